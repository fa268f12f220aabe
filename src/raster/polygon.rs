//! Polygons to masks, exactly as pycocotools does it, so that what we write is what a reader will see.
//!
//! Source of the behaviour: cocoapi `maskApi.c`, `rleFrPoly`. Vertices are put on a grid of a fifth of a pixel, edges
//! are walked on that grid, and wherever an edge passes the middle of a pixel column it toggles that column from the
//! height where it passes. Here only those passages are computed instead of every step of the walk, so that a
//! vertex far outside the picture costs nothing.

use super::Mask;

/// Vertices `[x, y]` in picture pixels, corner convention; not closed by repeating the first.
pub type Ring = Vec<[f64; 2]>;

/// Why rings are no mask.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum RingError {
    /// Fewer than three vertices.
    #[error("ring {ring} has {found} points, expected at least 3")]
    TooFewVertices {
        /// Which ring, from 0.
        ring: usize,
        /// Points found.
        found: usize,
    },
    /// A coordinate that is no number.
    #[error("point {vertex} of ring {ring} is not a finite number")]
    NotFinite {
        /// Which ring, from 0.
        ring: usize,
        /// Which point, from 0.
        vertex: usize,
    },
    /// More pixels than a mask can hold.
    #[error("a mask of {width} x {height} pixels is too large, expected at most 65,535 a side")]
    TooLarge {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
}

/// The union of the rings, each filled by the even-odd rule. Parts outside the picture are cut off.
///
/// # Errors
/// [`RingError`] for rings of fewer than three points, for coordinates that are not finite, and for a picture of 2^32
/// pixels or more.
pub fn mask_from_rings(width: u32, height: u32, rings: &[Ring]) -> Result<Mask, RingError> {
    if width.checked_mul(height).is_none() {
        return Err(RingError::TooLarge { width, height });
    }
    let mut spans = Vec::new();
    let mut toggles = Vec::new();
    for (index, ring) in rings.iter().enumerate() {
        if ring.len() < 3 {
            return Err(RingError::TooFewVertices { ring: index, found: ring.len() });
        }
        if let Some(vertex) = ring.iter().position(|point| !point.iter().all(|c| c.is_finite())) {
            return Err(RingError::NotFinite { ring: index, vertex });
        }
        toggles.clear();
        let columns = Columns { width: i64::from(width), height };
        let mut from = on_grid(ring[ring.len() - 1]);
        for &vertex in ring {
            let to = on_grid(vertex);
            columns.toggle_along(from, to, &mut toggles);
            from = to;
        }
        toggles.sort_unstable();
        let (pairs, odd) = toggles.as_chunks::<2>();
        spans.extend(pairs.iter().filter(|[start, end]| start < end).map(|&[start, end]| (start, end)));
        // A closed ring passes every column an even number of times; the original would fill to the end if not.
        spans.extend(odd.iter().map(|&start| (start, width * height)));
    }
    Ok(Mask::from_spans(width, height, spans))
}

/// A vertex on the grid of fifths, rounded as the original does: towards 0 after adding a half.
fn on_grid([x, y]: [f64; 2]) -> [i64; 2] {
    // Far beyond any picture the exact place no longer matters, only that sums cannot overflow.
    const FAR: i64 = 1 << 40;
    [x, y].map(|c| ((5.0 * c + 0.5) as i64).clamp(-FAR, FAR))
}

struct Columns {
    width: i64,
    height: u32,
}

impl Columns {
    /// Adds the column-major pixel index of each passage of the edge through the middle of a column.
    fn toggle_along(&self, from: [i64; 2], to: [i64; 2], toggles: &mut Vec<u32>) {
        let (dx, dy) = ((to[0] - from[0]).abs(), (to[1] - from[1]).abs());
        let flat = dx >= dy;
        let flip = if flat { from[0] > to[0] } else { from[1] > to[1] };
        let ([xs, ys], [xe, ye]) = if flip { (to, from) } else { (from, to) };
        if xs == xe {
            return;
        }
        // The middle of column j lies between the grid columns 5j+2 and 5j+3; both must be on the edge.
        if flat {
            let slope = (ye - ys) as f64 / dx as f64;
            let row = |t: i64| (ys as f64 + slope * t as f64 + 0.5) as i64;
            for j in self.columns_between(xs, xe) {
                let t = 5 * j + 2 - xs;
                toggles.push(self.index(j, row(t).min(row(t + 1))));
            }
        } else {
            let slope = (xe - xs) as f64 / dy as f64;
            let column = |t: i64| (xs as f64 + slope * t as f64 + 0.5) as i64;
            let rising = slope > 0.0;
            let (low, high) = if rising { (column(0), column(dy)) } else { (column(dy), column(0)) };
            for j in self.columns_between(low, high) {
                // The first step at which the edge is past the middle: estimated, then made exact.
                let past = |t: i64| if rising { column(t) >= 5 * j + 3 } else { column(t) <= 5 * j + 2 };
                let mut t = ((((5 * j + 3) as f64 - 0.5 - xs as f64) / slope) as i64).clamp(1, dy);
                while t > 1 && past(t - 1) {
                    t -= 1;
                }
                while t < dy && !past(t) {
                    t += 1;
                }
                toggles.push(self.index(j, ys + t - 1));
            }
        }
    }

    /// The columns of the picture whose middle lies between two grid columns.
    fn columns_between(&self, low: i64, high: i64) -> std::ops::RangeInclusive<i64> {
        let first = (low + 2).div_euclid(5).max(0);
        let last = (high - 3).div_euclid(5).min(self.width - 1);
        first..=last
    }

    /// The pixel of column `j` from which a passage at grid row `v` toggles, counted down the columns.
    fn index(&self, j: i64, v: i64) -> u32 {
        let row = ((v as f64 + 0.5) / 5.0 - 0.5).clamp(0.0, f64::from(self.height)).ceil();
        j as u32 * self.height + row as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn flat(ring: &Ring) -> Vec<f64> {
        ring.iter().flatten().copied().collect()
    }

    fn oracle(width: u32, height: u32, rings: &[Ring]) -> Mask {
        let polygons: Vec<_> = rings.iter().map(flat).collect();
        let rle = hotcoco::mask::fr_polys(&polygons, height, width).unwrap();
        Mask::from_runs(width, height, &rle.counts).unwrap()
    }

    /// Points on and off the fifths, in and around a small picture, some repeated.
    fn ring() -> impl Strategy<Value = Ring> {
        let coordinate = prop_oneof![
            -12.0..60.0f64,
            (-60i32..300).prop_map(|fifths| f64::from(fifths) / 5.0),
            (-10i32..60).prop_map(f64::from),
            (-40i32..240).prop_map(|quarters| f64::from(quarters) / 4.0),
        ];
        proptest::collection::vec([coordinate.clone(), coordinate], 3..14).prop_map(|mut ring| {
            if ring.len() > 6 {
                ring[2] = ring[1];
            }
            ring
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5_000))]
        #[test]
        fn random_polygons_fill_as_the_oracle_fills_them(ring in ring(), width in 1u32..48, height in 1u32..48) {
            let rings = [ring];
            prop_assert_eq!(mask_from_rings(width, height, &rings).unwrap(), oracle(width, height, &rings));
        }
    }

    proptest! {
        #[test]
        fn several_rings_are_united(rings in proptest::collection::vec(ring(), 1..5)) {
            prop_assert_eq!(mask_from_rings(40, 37, &rings).unwrap(), oracle(40, 37, &rings));
        }
    }

    #[test]
    fn a_square_of_whole_pixels_is_those_pixels() {
        let square = vec![[2.0, 1.0], [5.0, 1.0], [5.0, 4.0], [2.0, 4.0]];
        let mask = mask_from_rings(8, 6, &[square]).unwrap();
        assert_eq!(mask, Mask::from_runs(8, 6, &[13, 3, 3, 3, 3, 3, 20]).unwrap());
    }

    #[test]
    fn far_away_vertices_cost_nothing_and_bad_ones_are_refused() {
        let everything = vec![[-1e300, -1e300], [1e300, -1e300], [1e300, 1e300], [-1e300, 1e300]];
        assert_eq!(mask_from_rings(50, 40, &[everything]).unwrap().area(), 2_000);
        let nan = vec![[0.0, 0.0], [4.0, f64::NAN], [4.0, 4.0]];
        assert_eq!(mask_from_rings(8, 8, &[nan]), Err(RingError::NotFinite { ring: 0, vertex: 1 }));
        let short = vec![[0.0, 0.0], [4.0, 4.0]];
        assert_eq!(mask_from_rings(8, 8, &[short]), Err(RingError::TooFewVertices { ring: 0, found: 2 }));
    }
}

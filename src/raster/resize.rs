//! Resizing pictures exactly as Pillow does: bilinear with antialias, on 8-bit values.
//!
//! Invariant: byte for byte Pillow's `Image.resize(size, BILINEAR)`, because the models were trained and measured on
//! pixels made by it (`tests/golden/resize.py` made the proof). Hence Pillow's order (columns, then rows, rounded to
//! bytes in between) and its fixed-point weights. Source: Pillow, `libImaging/Resample.c`. Pillow of late 2026 takes the
//! rows first where the height shrinks clearly more than the width; views keep their proportions, so only slivers of a
//! few pixels would differ, by one level.

use crate::geometry::PixelRect;
use rayon::prelude::*;

/// Fractional bits of a weight: 32 less 8 for the pixel and 2 against overflow.
const WEIGHT_BITS: u32 = 32 - 8 - 2;
/// A half, so that the shift rounds.
const HALF: i32 = 1 << (WEIGHT_BITS - 1);

/// Resizes the part `view` of a picture. Neighbours outside the view have no influence.
///
/// # Shapes
/// `rgb`: `[height, width, 3]` for `size = (width, height)`, 0..=255; result `[to.1, to.0, 3]`; `to` is (width, height).
///
/// # Panics
/// If `rgb` has another length, the view leaves the picture, or a side is 0: callers check these as their own input.
pub fn resize_rgb(rgb: &[u8], size: (u32, u32), view: PixelRect, to: (u32, u32)) -> Vec<u8> {
    let (width, height) = size;
    assert_eq!(rgb.len(), width as usize * height as usize * 3, "pixels of a {width} x {height} picture");
    assert!(view.right() <= width && view.bottom() <= height, "{view:?} lies in a {width} x {height} picture");
    assert!(view.width > 0 && view.height > 0 && to.0 > 0 && to.1 > 0, "{view:?} to {to:?} has pixels");
    let row_of =
        |y: usize| &rgb[((view.y as usize + y) * width as usize + view.x as usize) * 3..][..view.width as usize * 3];
    let row_bytes = to.0 as usize * 3;
    // Filled below; zeros come from the system for nothing.
    let mut narrowed = vec![0; row_bytes * view.height as usize];
    let columns = (to.0 != view.width).then(|| ColumnTaps::new(view.width, to.0));
    narrowed.par_chunks_exact_mut(row_bytes).enumerate().with_min_len(ROWS_A_TASK).for_each_init(
        Vec::new,
        |padded, (y, out)| match &columns {
            Some(columns) => pulp::Arch::new().dispatch(NarrowRow { row: row_of(y), columns, padded, out }),
            None => out.copy_from_slice(row_of(y)),
        },
    );
    if to.1 == view.height {
        return narrowed;
    }
    let mut out = vec![0; row_bytes * to.1 as usize];
    let lines = out.par_chunks_exact_mut(row_bytes).zip(taps(view.height, to.1));
    lines.with_min_len(ROWS_A_TASK).for_each_init(Vec::new, |sums, (out, taps)| {
        pulp::Arch::new().dispatch(MixRows {
            rows: &narrowed[taps.first * row_bytes..],
            weights: &taps.weights,
            sums,
            out,
        });
    });
    out
}

/// Rows of one task for a thread: some tens of microseconds of work.
const ROWS_A_TASK: usize = 16;

/// Which source pixels make a target pixel, along one axis.
struct Taps {
    /// The first source pixel.
    first: usize,
    /// The share of each, from the first on; together about `1 << WEIGHT_BITS`.
    weights: Vec<i32>,
}

/// A triangle over each target pixel's centre, as wide as two target pixels or two source pixels, whichever is more.
fn taps(from: u32, to: u32) -> Vec<Taps> {
    let scale = f64::from(from) / f64::from(to);
    let support = scale.max(1.0);
    let tap = |target: u32| {
        let centre = (f64::from(target) + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from as usize);
        let share = |source: usize| (1.0 - ((source as f64 - centre + 0.5) * (1.0 / support)).abs()).max(0.0);
        let shares: Vec<f64> = (first..end).map(share).collect();
        let sum: f64 = shares.iter().sum();
        let fixed = |share: &f64| (0.5 + share / sum * f64::from(1 << WEIGHT_BITS)) as i32;
        Taps { first, weights: shares.iter().map(fixed).collect() }
    };
    (0..to).map(tap).collect()
}

/// Values that are added up side by side in a row: four pixels of three channels.
const LANES: usize = 12;

/// The taps of all columns, laid out for [`NarrowRow`]: weights come once a channel, and in whole blocks of [`LANES`].
struct ColumnTaps {
    /// The first source value (three a pixel) of each column.
    first: Vec<usize>,
    /// Blocks of each column.
    blocks: usize,
    /// `[columns, blocks]`; zeros beyond a column's last tap.
    weights: Vec<[i32; LANES]>,
}

impl ColumnTaps {
    fn new(from: u32, to: u32) -> Self {
        let taps = taps(from, to);
        let most = taps.iter().map(|taps| taps.weights.len()).max().unwrap_or(0);
        let blocks = (3 * most).div_ceil(LANES);
        let mut weights = vec![[0; LANES]; blocks * taps.len()];
        for (taps, blocks) in taps.iter().zip(weights.chunks_exact_mut(blocks)) {
            for (slot, weight) in blocks.as_flattened_mut().chunks_exact_mut(3).zip(&taps.weights) {
                slot.fill(*weight);
            }
        }
        Self { first: taps.iter().map(|taps| 3 * taps.first).collect(), blocks, weights }
    }
}

/// One row made shorter. The sums are those of [`Taps`] in another order, which whole numbers do not notice.
struct NarrowRow<'a> {
    row: &'a [u8],
    columns: &'a ColumnTaps,
    /// Room for the row and a block of zeros behind it.
    padded: &'a mut Vec<u8>,
    out: &'a mut [u8],
}

impl pulp::WithSimd for NarrowRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { row, columns: ColumnTaps { first, blocks, weights }, padded, out } = self;
        let span = blocks * LANES;
        padded.clear();
        padded.extend_from_slice(row);
        padded.resize(row.len() + span, 0);
        for ((pixel, &first), weights) in
            out.as_chunks_mut::<3>().0.iter_mut().zip(first).zip(weights.chunks_exact(*blocks))
        {
            let mut sums = [0i32; LANES];
            for (values, weights) in padded[first..][..span].as_chunks::<LANES>().0.iter().zip(weights) {
                for ((sum, &value), &weight) in sums.iter_mut().zip(values).zip(weights) {
                    *sum += i32::from(value) * weight;
                }
            }
            *pixel = std::array::from_fn(|c| byte(HALF + sums[c] + sums[c + 3] + sums[c + 6] + sums[c + 9]));
        }
    }
}

/// One row of the result from the rows that it covers.
struct MixRows<'a> {
    rows: &'a [u8],
    weights: &'a [i32],
    sums: &'a mut Vec<i32>,
    out: &'a mut [u8],
}

impl pulp::WithSimd for MixRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Self { rows, weights, sums, out } = self;
        sums.clear();
        sums.resize(out.len(), HALF);
        for (row, &weight) in rows.chunks_exact(out.len()).zip(weights) {
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += i32::from(value) * weight);
        }
        out.iter_mut().zip(&*sums).for_each(|(out, &sum)| *out = byte(sum));
    }
}

#[inline(always)]
fn byte(sum: i32) -> u8 {
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The picture of `tests/golden/resize.py`: noise from a linear congruential generator.
    fn noise(width: u32, height: u32) -> Vec<u8> {
        let mut state = 12_345u32;
        (0..width * height * 3)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect()
    }

    #[test]
    fn equals_pillow() {
        let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/resize.bin")).unwrap();
        let mut rest = file.as_slice();
        for (size, to) in [((61, 43), (32, 23)), ((61, 43), (96, 68)), ((200, 7), (51, 2)), ((3, 150), (1, 40))] {
            let (want, tail) = rest.split_at((to.0 * to.1 * 3) as usize);
            rest = tail;
            let got = resize_rgb(&noise(size.0, size.1), size, PixelRect::of_size(size.0, size.1), to);
            // The sliver's height shrinks by 3.75 and its width by 3: there the Pillow that made the file took rows first.
            let allowed = u8::from(size == (3, 150));
            assert_eq!(got.len(), want.len());
            assert!(got.iter().zip(want).all(|(g, w)| g.abs_diff(*w) <= allowed), "{size:?} to {to:?}");
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn a_view_is_resized_as_if_it_were_the_picture() {
        let (width, height) = (30, 20);
        let rgb = noise(width, height);
        let view = PixelRect { x: 7, y: 3, width: 12, height: 11 };
        let row = |y: usize| &rgb[(y * 30 + 7) * 3..][..12 * 3];
        let alone: Vec<u8> = (3..14).flat_map(row).copied().collect();
        let got = resize_rgb(&rgb, (width, height), view, (5, 6));
        assert_eq!(got, resize_rgb(&alone, (12, 11), PixelRect::of_size(12, 11), (5, 6)));
    }
}

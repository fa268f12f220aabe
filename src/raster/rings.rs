//! A mask as polygons that give the very same mask back.
//!
//! Each 4-connected part becomes one simple ring along its pixel edges. Polygons of COCO have no holes, so from the
//! top of every hole a slit runs up to the next edge of the part and joins the hole's edge to the ring. The ring is
//! then moved a quarter of a pixel inwards, which opens the slit to half a pixel, parts pixels that touch only at a
//! corner, and makes the ring exact both for pycocotools and for readers that truncate the coordinates and then fill
//! with the outline included (OpenCV, PIL).
//! Invariant: `mask_from_rings(mask_to_rings(mask)) == mask`, every ring is simple, all turns are right angles.

use super::Mask;
use super::polygon::Ring;
use crate::geometry::PixelRect;

/// How far the rings lie inside the pixel edges, in pixels.
const INSET: f64 = 0.25;

/// The rings of a mask, one for each 4-connected part, clockwise on the screen; none for an empty mask.
pub fn mask_to_rings(mask: &Mask) -> Vec<Ring> {
    let Some(bounds) = mask.bounds() else { return Vec::new() };
    let mut grid = Grid::new(mask, bounds);
    grid.cut_slits();
    grid.rings()
}

/// The pixel is part of the mask.
const INSIDE: u8 = 1;
/// A slit runs along the pixel's left side.
const SLIT: u8 = 2;
/// The pixel's bottom side was walked when looking for holes.
const BOTTOM_SEEN: u8 = 4;
/// The pixel's top side is on a finished ring.
const TOP_SEEN: u8 = 8;

/// The sides of a pixel in the order in which a ring goes round it.
const TOP: usize = 0;
const RIGHT: usize = 1;
const BOTTOM: usize = 2;
const LEFT: usize = 3;

/// The mask within its bounds as flags, with one empty pixel all round.
struct Grid {
    flags: Vec<u8>,
    width: usize,
    bounds: PixelRect,
    /// What to add to a pixel's index to get its neighbour across each side.
    across: [isize; 4],
}

impl Grid {
    fn new(mask: &Mask, bounds: PixelRect) -> Self {
        let width = bounds.width as usize + 2;
        let mut flags = vec![0; width * (bounds.height as usize + 2)];
        mask.for_each_inside_segment(|x, y0, y1| {
            let column = (x - bounds.x) as usize + 1;
            for y in y0..y1 {
                flags[((y - bounds.y) as usize + 1) * width + column] = INSIDE;
            }
        });
        let row = width as isize;
        Self { flags, width, bounds, across: [-row, 1, row, -1] }
    }

    fn is_inside(&self, pixel: usize) -> bool {
        self.flags[pixel] & INSIDE != 0
    }

    fn neighbor(&self, pixel: usize, side: usize) -> usize {
        pixel.wrapping_add_signed(self.across[side])
    }

    /// Whether a side of a pixel of the mask is an edge: towards the outside, or along a slit.
    fn is_edge(&self, pixel: usize, side: usize) -> bool {
        let beyond = self.neighbor(pixel, side);
        !self.is_inside(beyond)
            || (side == LEFT && self.flags[pixel] & SLIT != 0)
            || (side == RIGHT && self.flags[beyond] & SLIT != 0)
    }

    /// The edge that follows: turning about the corner at the end of `side`, through pixels that are joined.
    fn next_edge(&self, mut pixel: usize, side: usize) -> (usize, usize) {
        let mut next = (side + 1) % 4;
        while !self.is_edge(pixel, next) {
            pixel = self.neighbor(pixel, next);
            next = (next + 3) % 4;
        }
        (pixel, next)
    }

    /// Joins every hole to the edge above it.
    fn cut_slits(&mut self) {
        let mut holes = Vec::new();
        for start in self.width..self.flags.len() - self.width {
            if self.flags[start] & (INSIDE | BOTTOM_SEEN) != INSIDE || self.is_inside(start + self.width) {
                continue;
            }
            // The sum of x dy along the edge is the area within: positive round a part, negative round a hole.
            let mut area = 0i64;
            let (mut pixel, mut side) = (start, BOTTOM);
            loop {
                match side {
                    RIGHT => area += (pixel % self.width) as i64 + 1,
                    LEFT => area -= (pixel % self.width) as i64,
                    BOTTOM => self.flags[pixel] |= BOTTOM_SEEN,
                    _ => {}
                }
                (pixel, side) = self.next_edge(pixel, side);
                if (pixel, side) == (start, BOTTOM) {
                    break;
                }
            }
            if area < 0 {
                // Met row by row, `start` lies above the leftmost pixel of the hole's top row, so the pixel to its
                // left is inside as well: the slit between the two is at least a pixel long.
                holes.push(start);
            }
        }
        // Only now, since a slit would lead the walks above astray.
        for mut pixel in holes {
            while self.is_inside(pixel) && self.is_inside(pixel - 1) {
                self.flags[pixel] |= SLIT;
                pixel -= self.width;
            }
        }
    }

    fn rings(&mut self) -> Vec<Ring> {
        let mut rings = Vec::new();
        for start in self.width..self.flags.len() - self.width {
            if self.flags[start] & (INSIDE | TOP_SEEN) != INSIDE || self.is_inside(start - self.width) {
                continue;
            }
            let mut ring = Ring::new();
            let (mut pixel, mut side) = (start, TOP);
            loop {
                if side == TOP {
                    self.flags[pixel] |= TOP_SEEN;
                }
                let (next_pixel, next_side) = self.next_edge(pixel, side);
                if next_side != side {
                    ring.push(self.corner(pixel, side, next_side));
                }
                (pixel, side) = (next_pixel, next_side);
                if (pixel, side) == (start, TOP) {
                    break;
                }
            }
            rings.push(ring);
        }
        rings
    }

    /// The corner at the end of a side, moved inwards from both edges that meet there.
    fn corner(&self, pixel: usize, side: usize, next_side: usize) -> [f64; 2] {
        const END: [(usize, usize); 4] = [(1, 0), (1, 1), (0, 1), (0, 0)];
        const INWARDS: [(f64, f64); 4] = [(0.0, INSET), (-INSET, 0.0), (0.0, -INSET), (INSET, 0.0)];
        // The empty border shifts everything by one, hence the "- 1".
        let x = self.bounds.x as usize + pixel % self.width + END[side].0 - 1;
        let y = self.bounds.y as usize + pixel / self.width + END[side].1 - 1;
        [x as f64 + INWARDS[side].0 + INWARDS[next_side].0, y as f64 + INWARDS[side].1 + INWARDS[next_side].1]
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_masks::{any_mask, drawn};
    use super::super::{Connectivity, components, mask_from_rings};
    use super::*;
    use proptest::prelude::*;

    /// Whether an axis-aligned ring meets itself only where neighbouring edges share a corner.
    fn is_simple(ring: &Ring) -> bool {
        let edges: Vec<_> = (0..ring.len())
            .map(|i| {
                let ([ax, ay], [bx, by]) = (ring[i], ring[(i + 1) % ring.len()]);
                assert!((ax == bx) != (ay == by), "edges are level or upright and not empty");
                [ax.min(bx), ay.min(by), ax.max(bx), ay.max(by)]
            })
            .collect();
        let n = edges.len();
        (0..n).all(|i| {
            (i + 2..n).filter(|j| (j + 1) % n != i).all(|j| {
                let (a, b) = (edges[i], edges[j]);
                a[0] > b[2] || b[0] > a[2] || a[1] > b[3] || b[1] > a[3]
            })
        })
    }

    fn check(mask: &Mask) {
        let rings = mask_to_rings(mask);
        assert_eq!(&mask_from_rings(mask.width(), mask.height(), &rings).unwrap(), mask, "{rings:?}");
        assert_eq!(rings.len(), components(mask, Connectivity::Four).len());
        assert!(rings.iter().all(is_simple), "{rings:?}");
        assert!(rings.iter().flatten().flatten().all(|c| *c >= 0.25));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_500))]
        #[test]
        fn rings_give_the_same_mask_back(mask in any_mask()) {
            check(&mask);
        }
    }

    #[test]
    fn awkward_shapes_give_themselves_back() {
        for rows in [
            &["#"][..],
            &["##", "##"],
            &["#.", ".#"],
            &[".#", "#."],
            &["...", ".#.", "..."],
            &["####", "#..#", "#..#", "####"],
            // Two holes in one column, holes that touch at a corner, a hole that touches the outside at a corner.
            &["###", "#.#", "###", "#.#", "###"],
            &["####", "#.##", "##.#", "####"],
            &["###", "#.#", "##."],
            // An island in a hole, and one that touches the hole's rim at a corner.
            &["#######", "#.....#", "#.###.#", "#.#.#.#", "#.###.#", "#.....#", "#######"],
            &["#####", "#...#", "#.#.#", "#..##", "#####"],
            &["#########", ".........", "#.#.#.#.#"],
            &["....", "...."],
        ] {
            check(&drawn(rows));
        }
    }

    #[test]
    fn a_whole_picture_and_a_ring_of_pixels_have_the_expected_corners() {
        assert_eq!(
            mask_to_rings(&drawn(&["##", "##"])),
            [vec![[1.75, 0.25], [1.75, 1.75], [0.25, 1.75], [0.25, 0.25]]]
        );
        let rings = mask_to_rings(&drawn(&["###", "#.#", "###"]));
        assert_eq!(rings.len(), 1);
        assert_eq!(rings[0].len(), 10, "{rings:?}");
        assert!(mask_to_rings(&drawn(&["..."])).is_empty());
    }
}

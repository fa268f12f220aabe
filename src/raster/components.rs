//! The connected parts of a mask, found on its vertical runs without laying it out flat.
//!
//! Method: union-find over runs, each compared with the runs of the column before it. Time grows with the number of
//! runs, not with the number of pixels.

use super::Mask;
use crate::geometry::PixelRect;

/// Which pixels count as neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connectivity {
    /// Those that share a side.
    Four,
    /// Those that share a side or a corner.
    Eight,
}

/// One connected part of a mask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component {
    /// Pixels.
    pub area: u64,
    /// The smallest rectangle that holds it.
    pub bounds: PixelRect,
    /// Its vertical runs as column-major pixel indices, end exclusive.
    spans: Vec<(u32, u32)>,
}

impl Component {
    /// The part alone, as a mask of a picture of this size: the size of the mask that it was found in.
    pub fn to_mask(&self, width: u32, height: u32) -> Mask {
        Mask::from_spans(width, height, self.spans.clone())
    }
}

/// The connected parts of a mask, ordered by their first pixel going down the columns.
pub fn components(mask: &Mask, connectivity: Connectivity) -> Vec<Component> {
    let mut runs: Vec<(u32, u32, u32)> = Vec::new();
    mask.for_each_inside_segment(|x, y0, y1| runs.push((x, y0, y1)));
    let mut parents: Vec<usize> = (0..runs.len()).collect();
    let reach = u32::from(connectivity == Connectivity::Eight);

    // `before` walks the runs of the previous column while `now` walks its own; both go down.
    let mut before = 0;
    for now in 0..runs.len() {
        let (x, y0, y1) = runs[now];
        while runs[before].0 + 1 < x || (runs[before].0 + 1 == x && runs[before].2 + reach <= y0) {
            before += 1;
        }
        let mut other = before;
        while runs[other].0 + 1 == x && runs[other].1 < y1 + reach {
            let (a, b) = (root(&mut parents, other), root(&mut parents, now));
            // The earlier run stays the root, so roots come in the order of first pixels.
            parents[a.max(b)] = a.min(b);
            other += 1;
        }
    }

    let mut found: Vec<Component> = Vec::new();
    let mut place = vec![0; runs.len()];
    for (index, &(x, y0, y1)) in runs.iter().enumerate() {
        let top = root(&mut parents, index);
        if top == index {
            place[index] = found.len();
            let bounds = PixelRect { x, y: y0, width: 1, height: y1 - y0 };
            found.push(Component { area: 0, bounds, spans: Vec::new() });
        }
        let component = &mut found[place[top]];
        component.area += u64::from(y1 - y0);
        component.spans.push((x * mask.height() + y0, x * mask.height() + y1));
        let old = component.bounds;
        let y = old.y.min(y0);
        component.bounds = PixelRect { x: old.x, y, width: x + 1 - old.x, height: old.bottom().max(y1) - y };
    }
    found
}

/// The root of a run's tree, halving the path on the way.
fn root(parents: &mut [usize], mut index: usize) -> usize {
    while parents[index] != index {
        parents[index] = parents[parents[index]];
        index = parents[index];
    }
    index
}

#[cfg(test)]
mod tests {
    use super::super::test_masks::{any_mask, drawn};
    use super::*;
    use proptest::prelude::*;

    /// Flood fill on the bitmap: slow and obvious.
    fn flooded(mask: &Mask, reach: i64) -> Vec<Mask> {
        let bitmap = mask.to_bitmap();
        let (width, height) = (i64::from(mask.width()), i64::from(mask.height()));
        let mut seen = vec![false; bitmap.data.len()];
        let mut found = Vec::new();
        for x in 0..width {
            for y in 0..height {
                let mut part = super::super::Bitmap::new(mask.width(), mask.height());
                let mut open = vec![(x, y)];
                while let Some((x, y)) = open.pop() {
                    if x < 0 || y < 0 || x >= width || y >= height {
                        continue;
                    }
                    let at = (y * width + x) as usize;
                    if bitmap.data[at] == 0 || std::mem::replace(&mut seen[at], true) {
                        continue;
                    }
                    part.data[at] = 1;
                    for (dx, dy) in [(-1, 0), (1, 0), (0, -1), (0, 1)] {
                        open.push((x + dx, y + dy));
                    }
                    for (dx, dy) in [(-1, -1), (1, -1), (-1, 1), (1, 1)] {
                        open.push((x + dx * reach, y + dy * reach));
                    }
                }
                if part.area() > 0 {
                    found.push(Mask::from_bitmap(&part));
                }
            }
        }
        found
    }

    proptest! {
        #[test]
        fn parts_are_those_of_a_flood_fill(mask in any_mask()) {
            for (connectivity, reach) in [(Connectivity::Four, 0), (Connectivity::Eight, 1)] {
                let parts = components(&mask, connectivity);
                let wanted = flooded(&mask, reach);
                prop_assert_eq!(parts.len(), wanted.len());
                for (part, wanted) in parts.iter().zip(&wanted) {
                    prop_assert_eq!(&part.to_mask(mask.width(), mask.height()), wanted);
                    prop_assert_eq!(part.area, wanted.area());
                    prop_assert_eq!(Some(part.bounds), wanted.bounds());
                }
            }
        }
    }

    #[test]
    fn corners_join_only_with_eight() {
        let mask = drawn(&["#.", ".#"]);
        assert_eq!(components(&mask, Connectivity::Four).len(), 2);
        assert_eq!(components(&mask, Connectivity::Eight).len(), 1);
        assert!(components(&drawn(&["..."]), Connectivity::Eight).is_empty());
    }
}

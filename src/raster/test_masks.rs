//! Masks for tests: drawn by hand, and random ones of every kind that has broken a contour tracer before.

use super::{Bitmap, Mask};
use proptest::prelude::*;

/// A mask from rows of text, '#' inside.
pub(crate) fn drawn(rows: &[&str]) -> Mask {
    let bitmap = Bitmap::from_fn(rows[0].len() as u32, rows.len() as u32, |x, y| {
        rows[y as usize].as_bytes()[x as usize] == b'#'
    });
    Mask::from_bitmap(&bitmap)
}

/// Noise, blobs, blobs with holes, thin lines, single pixels, everything and nothing.
pub(crate) fn any_mask() -> impl Strategy<Value = Mask> {
    let size = (1u32..40, 1u32..40);
    (size, 0u8..8, any::<u64>()).prop_map(|((width, height), kind, seed)| {
        let mut state = seed | 1;
        let mut random = move |below: u32| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 33) as u32 % below.max(1)
        };
        let mut bitmap = Bitmap::new(width, height);
        let shapes: Vec<(i64, i64, i64, bool)> = (0..6)
            .map(|i| (i64::from(random(width)), i64::from(random(height)), i64::from(random(14)), i % 2 == 0))
            .collect();
        let (lone_x, lone_y) = (random(width), random(height));
        for y in 0..height {
            for x in 0..width {
                let inside = match kind {
                    0 => random(2) == 0,
                    1 => random(10) == 0,
                    2 => random(10) != 0,
                    3 => true,
                    4 => (x, y) == (lone_x, lone_y),
                    // Lines: rows, columns and diagonals, one pixel wide.
                    5 => y == lone_y || x == lone_x || x.abs_diff(lone_x) == y.abs_diff(lone_y),
                    // Discs, every second one punched out again, so that holes and islands come about.
                    _ => shapes.iter().fold(false, |inside, &(cx, cy, r, fills)| {
                        let (dx, dy) = (i64::from(x) - cx, i64::from(y) - cy);
                        if dx * dx + dy * dy <= r * r { fills } else { inside }
                    }),
                };
                bitmap.data[(y * width + x) as usize] = u8::from(inside);
            }
        }
        Mask::from_bitmap(&bitmap)
    })
}

//! A mask given as a prompt, in the form that mask decoders take: low-res logits of plus and minus 10.
//!
//! Invariant: a cell is inside where the mask covers at least half of the part of the view that the cell shows; padding
//! is outside. Areas are exact (fractions of pixels), so the result does not depend on sampling positions.

use super::segmenter::{LowResLogits, ViewFrame};
use crate::raster::Mask;

/// Logit of a cell inside; outside it is the negative.
pub(crate) const MASK_PROMPT_LOGIT: f32 = 10.0;
/// Cells that miss half by no more than rounding count as half.
const ROUNDING: f64 = 1e-6;

/// The mask on the decoder's grid of `side` x `side` cells over the model's square input.
///
/// # Shapes
/// Result `[side, side]`, row-major.
pub(crate) fn low_res_from_mask(mask: &Mask, frame: &ViewFrame, side: u32) -> LowResLogits {
    let cells_per_input = f64::from(side) / f64::from(frame.input_side);
    let cells_wide = f64::from(frame.content_width) * cells_per_input;
    let cells_high = f64::from(frame.content_height) * cells_per_input;
    let cells_per_column = cells_wide / f64::from(frame.view.width);
    let cells_per_row = cells_high / f64::from(frame.view.height);
    let width = side as usize;
    let mut covered = vec![0f64; width * width];
    mask.for_each_inside_segment(|x, y0, y1| {
        let (top, bottom) = (y0.max(frame.view.y), y1.min(frame.view.bottom()));
        if x < frame.view.x || x >= frame.view.right() || top >= bottom {
            return;
        }
        let left = f64::from(x - frame.view.x) * cells_per_column;
        let top = f64::from(top - frame.view.y) * cells_per_row;
        let bottom = f64::from(bottom - frame.view.y) * cells_per_row;
        for (row, share_y) in cell_shares(top, bottom, width) {
            for (column, share_x) in cell_shares(left, left + cells_per_column, width) {
                covered[row * width + column] += share_x * share_y;
            }
        }
    });
    let shown = |cell: usize, cells: f64| (cells - cell as f64).clamp(0.0, 1.0);
    let mut logits = Vec::with_capacity(width * width);
    for row in 0..width {
        for column in 0..width {
            let area = shown(row, cells_high) * shown(column, cells_wide);
            let inside = area > 0.0 && covered[row * width + column] + ROUNDING * area >= 0.5 * area;
            logits.push(if inside { MASK_PROMPT_LOGIT } else { -MASK_PROMPT_LOGIT });
        }
    }
    logits.into()
}

/// The cells that the interval `from..to` (in cells) touches, each with the length of it that lies in the cell.
fn cell_shares(from: f64, to: f64, cells: usize) -> impl Iterator<Item = (usize, f64)> {
    let last = (to.ceil() as usize).min(cells);
    (from as usize..last).map(move |cell| (cell, to.min(cell as f64 + 1.0) - from.max(cell as f64)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::PixelRect;
    use crate::raster::Bitmap;

    fn frame(image: (u32, u32), view: PixelRect) -> ViewFrame {
        let (content_width, content_height) = crate::inference::sam::preprocess::content_size(view, 64);
        ViewFrame { image_width: image.0, image_height: image.1, view, content_width, content_height, input_side: 64 }
    }

    /// Half-covered or better, counted on a fine grid of sub-cells: slow and plain.
    fn brute(mask: &Mask, frame: &ViewFrame, side: u32, column: u32, row: u32) -> Option<bool> {
        const FINE: u32 = 40;
        let (mut shown, mut inside) = (0, 0);
        for i in 0..FINE {
            for j in 0..FINE {
                let at = |cell: u32, k: u32| {
                    (f64::from(cell) + (f64::from(k) + 0.5) / f64::from(FINE)) * f64::from(frame.input_side)
                        / f64::from(side)
                };
                let (x, y) = (at(column, i), at(row, j));
                if x < f64::from(frame.content_width) && y < f64::from(frame.content_height) {
                    let ix = frame.view.x + (x * f64::from(frame.view.width) / f64::from(frame.content_width)) as u32;
                    let iy = frame.view.y + (y * f64::from(frame.view.height) / f64::from(frame.content_height)) as u32;
                    shown += 1;
                    inside += u32::from(mask.contains(ix, iy));
                }
            }
        }
        let share = f64::from(inside) / f64::from(shown.max(1));
        // Near one half the fine grid cannot tell.
        if shown == 0 { Some(false) } else { ((share - 0.5).abs() > 0.06).then_some(share > 0.5) }
    }

    #[test]
    fn coverage_agrees_with_counting() {
        let blob = Bitmap::from_fn(100, 60, |x, y| {
            (x as i32 - 50).pow(2) + 2 * (y as i32 - 33).pow(2) < 700 || (x / 3 + y / 5) % 4 == 0
        });
        let mask = Mask::from_bitmap(&blob);
        for view in [PixelRect::of_size(100, 60), PixelRect { x: 30, y: 11, width: 17, height: 40 }] {
            let frame = frame((100, 60), view);
            let got = low_res_from_mask(&mask, &frame, 16);
            let mut inside = 0;
            for row in 0..16 {
                for column in 0..16 {
                    let logit = got[(row * 16 + column) as usize];
                    assert!(logit.abs() == 10.0);
                    inside += u32::from(logit > 0.0);
                    if let Some(want) = brute(&mask, &frame, 16, column, row) {
                        assert_eq!(logit > 0.0, want, "cell {column},{row} of {view:?}");
                    }
                }
            }
            assert!(inside > 10 && inside < 200);
        }
    }

    #[test]
    fn a_full_mask_fills_the_content_and_spares_the_padding() {
        let mask = Mask::from_bitmap(&Bitmap::from_fn(3, 200, |_, _| true));
        let frame = frame((3, 200), PixelRect::of_size(3, 200));
        assert_eq!(frame.content_width, 1);
        let got = low_res_from_mask(&mask, &frame, 16);
        assert!(got.chunks_exact(16).all(|row| row[0] == 10.0 && row[1..].iter().all(|&v| v == -10.0)));
    }
}

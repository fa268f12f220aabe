//! Mask logits over a part of the picture, and the one function that turns them into pixels.
//!
//! Invariant: screen and file agree. `shaders/mask_overlay.wgsl` samples the field with the formula of
//! [`LogitField::sample`], and a pixel is inside where the value at its centre is above the threshold.

use super::{Bitmap, Mask};
use crate::geometry::{ImagePoint, PixelRect};
use std::sync::Arc;

/// Mask logits on a grid that spans a view of the picture edge to edge.
#[derive(Debug, Clone, PartialEq)]
pub struct LogitField {
    /// Columns of the grid.
    pub grid_width: u32,
    /// Rows of the grid.
    pub grid_height: u32,
    /// `grid_width * grid_height` logits, row-major.
    pub values: Arc<[f32]>,
    /// The part of the picture that the grid spans.
    pub view: PixelRect,
}

impl LogitField {
    /// The logit at a point of the picture: bilinear between grid cell centres, clamped at the rim (PyTorch's
    /// `interpolate` with `align_corners=False`). Points outside the view give minus infinity.
    pub fn sample(&self, at: ImagePoint) -> f32 {
        if !self.view.contains(at) {
            return f32::NEG_INFINITY;
        }
        let gx = (at.x - self.view.x as f32) * (self.grid_width as f32 / self.view.width as f32) - 0.5;
        let gy = (at.y - self.view.y as f32) * (self.grid_height as f32 / self.view.height as f32) - 0.5;
        let (gx, gy) = (gx.max(0.0), gy.max(0.0));
        let (x0, y0) = (gx as u32, gy as u32);
        let (x0, y0) = (x0.min(self.grid_width - 1), y0.min(self.grid_height - 1));
        let (x1, y1) = ((x0 + 1).min(self.grid_width - 1), (y0 + 1).min(self.grid_height - 1));
        let (fx, fy) = ((gx - x0 as f32).min(1.0), (gy - y0 as f32).min(1.0));
        let value = |x: u32, y: u32| self.values[y as usize * self.grid_width as usize + x as usize];
        let top = value(x0, y0) * (1.0 - fx) + value(x1, y0) * fx;
        let bottom = value(x0, y1) * (1.0 - fx) + value(x1, y1) * fx;
        top * (1.0 - fy) + bottom * fy
    }

    /// The mask of a picture of this size: inside where the logit at the pixel's centre is above `threshold`.
    pub fn to_mask(&self, width: u32, height: u32, threshold: f32) -> Mask {
        let mut bitmap = Bitmap::new(width, height);
        let full = interpolate_bilinear(
            &self.values,
            (self.grid_width, self.grid_height),
            (self.view.width, self.view.height),
        );
        for y in 0..self.view.height.min(height.saturating_sub(self.view.y)) {
            let from = &full[y as usize * self.view.width as usize..][..self.view.width as usize];
            let start = (y + self.view.y) as usize * width as usize + self.view.x as usize;
            let columns = from.len().min((width - self.view.x.min(width)) as usize);
            for (to, &logit) in bitmap.data[start..start + columns].iter_mut().zip(from) {
                *to = u8::from(logit > threshold);
            }
        }
        Mask::from_bitmap(&bitmap)
    }
}

/// Resamples a row-major grid bilinearly without antialias, as PyTorch's
/// `interpolate(mode="bilinear", align_corners=False)` does.
///
/// # Shapes
/// `values`: `[from.1, from.0]`, result `[to.1, to.0]`; sizes are (width, height).
pub fn interpolate_bilinear(values: &[f32], from: (u32, u32), to: (u32, u32)) -> Vec<f32> {
    let columns = axis_weights(from.0, to.0);
    let rows = axis_weights(from.1, to.1);
    let width = from.0 as usize;
    let mut out = Vec::with_capacity(to.0 as usize * to.1 as usize);
    for &(y0, y1, fy) in &rows {
        let (top, bottom) = (&values[y0 * width..(y0 + 1) * width], &values[y1 * width..(y1 + 1) * width]);
        out.extend(columns.iter().map(|&(x0, x1, fx)| {
            let upper = top[x0] * (1.0 - fx) + top[x1] * fx;
            let lower = bottom[x0] * (1.0 - fx) + bottom[x1] * fx;
            upper * (1.0 - fy) + lower * fy
        }));
    }
    out
}

/// For each target cell: the two source cells and the share of the second.
fn axis_weights(from: u32, to: u32) -> Vec<(usize, usize, f32)> {
    let scale = from as f32 / to as f32;
    (0..to)
        .map(|i| {
            let at = ((i as f32 + 0.5) * scale - 0.5).max(0.0);
            let low = (at as u32).min(from - 1);
            (low as usize, (low + 1).min(from - 1) as usize, (at - low as f32).clamp(0.0, 1.0))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sampling_and_masking_agree_pixel_for_pixel() {
        let values: Vec<f32> = (0..7 * 5).map(|i| ((i * 37 % 17) as f32) - 8.0).collect();
        let view = PixelRect { x: 4, y: 2, width: 31, height: 23 };
        let field = LogitField { grid_width: 7, grid_height: 5, values: values.into(), view };
        let mask = field.to_mask(40, 30, 0.5);
        for y in 0..30 {
            for x in 0..40 {
                let logit = field.sample(ImagePoint::new(x as f32 + 0.5, y as f32 + 0.5));
                if (logit - 0.5).abs() > 1e-4 {
                    assert_eq!(mask.contains(x, y), logit > 0.5, "pixel {x},{y}");
                }
            }
        }
        assert!(!mask.is_empty());
    }

    #[test]
    fn interpolation_matches_pytorch() {
        // torch.nn.functional.interpolate(torch.arange(6.).view(1,1,2,3), size=(3,4), mode="bilinear")
        let got = interpolate_bilinear(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], (3, 2), (4, 3));
        let want = [0.0, 0.625, 1.375, 2.0, 1.5, 2.125, 2.875, 3.5, 3.0, 3.625, 4.375, 5.0];
        for (g, w) in got.iter().zip(want) {
            assert!((g - w).abs() < 1e-6, "{got:?}");
        }
    }
}

//! From a view of the picture to the model's square input: the one conversion of pixels and of size.
//!
//! Invariant: the long side of the view becomes the input side, the rest is padding at the right and at the bottom, and
//! a view of any shape keeps at least one row and one column.

use crate::geometry::PixelRect;
use crate::inference::segmenter::{InferenceError, PreparedView, ViewFrame};
use crate::kernels::Pool;
use crate::raster::resize_rgb;

/// Size of the content when a view is scaled so that its long side is `input_side`: (width, height), halves up, at
/// least 1. Source: segment-anything `ResizeLongestSide.get_preprocess_shape`.
pub(crate) fn content_size(view: PixelRect, input_side: u32) -> (u32, u32) {
    let scale = f64::from(input_side) / f64::from(view.width.max(view.height).max(1));
    let scaled = |side: u32| ((f64::from(side) * scale + 0.5) as u32).clamp(1, input_side);
    (scaled(view.width), scaled(view.height))
}

/// Crops and resizes a view for the encoder, bilinear with antialias on 8-bit values as Pillow does.
///
/// # Errors
/// A view of no pixels or outside the picture, or pixels that do not fit the size.
pub(crate) fn prepare_view(
    rgb: &[u8],
    image_width: u32,
    image_height: u32,
    view: PixelRect,
    input_side: u32,
) -> Result<PreparedView, InferenceError> {
    let expected = image_width as usize * image_height as usize * 3;
    if rgb.len() != expected {
        return Err(InferenceError::Prompt(format!(
            "the picture has {} bytes, expected {expected} for {image_width} x {image_height} RGB",
            rgb.len()
        )));
    }
    let inside = u64::from(view.x) + u64::from(view.width) <= u64::from(image_width)
        && u64::from(view.y) + u64::from(view.height) <= u64::from(image_height);
    if view.width == 0 || view.height == 0 || !inside {
        return Err(InferenceError::Prompt(format!(
            "the region at {},{} of {} x {} pixels does not lie in the picture of {image_width} x {image_height}; choose \
             a region inside",
            view.x, view.y, view.width, view.height
        )));
    }
    let (content_width, content_height) = content_size(view, input_side);
    Ok(PreparedView {
        frame: ViewFrame { image_width, image_height, view, content_width, content_height, input_side },
        rgb: resize_rgb(rgb, (image_width, image_height), view, (content_width, content_height)),
    })
}

/// The encoder's input for models that keep a pixel's channels together: `(rgb / 255 - mean) / std`, zeros where there is
/// no content. The same numbers as [`normalised_planes`].
pub(crate) struct NormalisedPixels<'v> {
    view: &'v PreparedView,
    tables: [[f32; 256]; 3],
}

impl<'v> NormalisedPixels<'v> {
    pub(crate) fn new(view: &'v PreparedView, mean: [f32; 3], std: [f32; 3]) -> Self {
        Self { view, tables: std::array::from_fn(|channel| normalised_values(mean[channel], std[channel])) }
    }

    /// Row `row` of the input.
    ///
    /// # Shapes
    /// `to` `[input_side, 3]`.
    pub(crate) fn write_row(&self, row: usize, to: &mut [f32]) {
        let line = self.view.frame.content_width as usize * 3;
        let rgb = self.view.rgb.chunks_exact(line).nth(row).unwrap_or_default();
        let (content, rest) = to.split_at_mut(rgb.len());
        for (pixel, rgb) in content.as_chunks_mut::<3>().0.iter_mut().zip(rgb.as_chunks::<3>().0) {
            *pixel = std::array::from_fn(|channel| self.tables[channel][usize::from(rgb[channel])]);
        }
        rest.fill(0.0);
    }
}

/// All rows of [`NormalisedPixels`].
///
/// # Shapes
/// `pixels` `[input_side, input_side, 3]`.
pub(crate) fn normalise_pixels(pool: &Pool, view: &PreparedView, mean: [f32; 3], std: [f32; 3], pixels: &mut [f32]) {
    let rows = NormalisedPixels::new(view, mean, std);
    let side = view.frame.input_side as usize;
    pool.run_chunks(pixels, side * 3, &|row, to| rows.write_row(row, to));
}

/// What each of the 256 values of a channel becomes: the same arithmetic as the reference, once a value.
fn normalised_values(mean: f32, std: f32) -> [f32; 256] {
    std::array::from_fn(|value| (value as f32 / 255.0 - mean) / std)
}

/// The encoder's input: `(rgb / 255 - mean) / std`, zeros where there is no content.
///
/// # Shapes
/// Result `[3, input_side, input_side]`, row-major.
pub(crate) fn normalised_planes(view: &PreparedView, mean: [f32; 3], std: [f32; 3]) -> Vec<f32> {
    let side = view.frame.input_side as usize;
    let width = view.frame.content_width as usize;
    let mut planes = vec![0.0; 3 * side * side];
    for (channel, plane) in planes.chunks_exact_mut(side * side).enumerate() {
        let table = normalised_values(mean[channel], std[channel]);
        for (row, pixels) in plane.chunks_exact_mut(side).zip(view.rgb.chunks_exact(width * 3)) {
            for (value, pixel) in row.iter_mut().zip(pixels.chunks_exact(3)) {
                *value = table[usize::from(pixel[channel])];
            }
        }
    }
    planes
}

/// Mean and deviation of SAM's training pictures (`Sam.pixel_mean`, `pixel_std`).
const SAM_MEAN: [f32; 3] = [123.675 / 255.0, 116.28 / 255.0, 103.53 / 255.0];
const SAM_DEVIATION: [f32; 3] = [58.395 / 255.0, 57.12 / 255.0, 57.375 / 255.0];

/// [`normalised_planes`] with the mean and deviation of SAM's training pictures.
pub(super) fn sam_planes(view: &PreparedView) -> Vec<f32> {
    normalised_planes(view, SAM_MEAN, SAM_DEVIATION)
}

/// [`NormalisedPixels`] with the same.
pub(super) fn sam_pixels(view: &PreparedView) -> NormalisedPixels<'_> {
    NormalisedPixels::new(view, SAM_MEAN, SAM_DEVIATION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_long_side_fills_the_input_and_nothing_vanishes() {
        let size = |width, height| content_size(PixelRect::of_size(width, height), 512);
        assert_eq!(size(1024, 768), (512, 384));
        assert_eq!(size(300, 451), (341, 512));
        assert_eq!(size(1, 1), (512, 512));
        assert_eq!(size(1, 20_000), (1, 512));
        assert_eq!(size(65_535, 1), (512, 1));
    }

    #[test]
    fn slivers_and_regions_are_prepared_and_padding_is_zero() {
        let rgb: Vec<u8> = (0..20_000 * 3).map(|i| (i % 251) as u8).collect();
        let sliver = prepare_view(&rgb, 1, 20_000, PixelRect::of_size(1, 20_000), 64).unwrap();
        assert_eq!(sliver.rgb.len(), 64 * 3);
        let planes = normalised_planes(&sliver, [0.5; 3], [0.25; 3]);
        assert_eq!(planes.len(), 3 * 64 * 64);
        assert!((planes[0] - (f32::from(sliver.rgb[0]) / 255.0 - 0.5) / 0.25).abs() < 1e-6);
        assert!(planes.chunks_exact(64).all(|row| row[1..].iter().all(|&v| v == 0.0)));
        let (planes, pixels) = (sam_planes(&sliver), sam_pixels(&sliver));
        for y in 0..64 {
            let mut row = [7.0; 64 * 3];
            pixels.write_row(y, &mut row);
            assert!((0..64 * 3).all(|i| row[i] == planes[(i % 3) * 64 * 64 + y * 64 + i / 3]));
        }
    }

    #[test]
    fn regions_outside_the_picture_are_refused() {
        let rgb = [0; 4 * 3 * 3];
        for view in [
            PixelRect { x: 2, y: 0, width: 3, height: 3 },
            PixelRect { x: 0, y: 0, width: 0, height: 3 },
            PixelRect { x: u32::MAX, y: 0, width: 2, height: 1 },
        ] {
            assert!(matches!(prepare_view(&rgb, 4, 3, view, 64), Err(InferenceError::Prompt(_))), "{view:?}");
        }
        assert!(prepare_view(&rgb[1..], 4, 3, PixelRect::of_size(4, 3), 64).is_err());
    }
}

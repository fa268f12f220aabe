//! Resizing pictures as Pillow does: bilinear with antialias, on 8-bit values.
//!
//! Invariant: within one grey level of Pillow's `Image.resize(size, BILINEAR)`, because the models were trained and
//! measured on pixels made by it (`tests/golden/resize.py` made the proof).

use crate::geometry::PixelRect;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

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
    let cropped;
    let pixels = if view == PixelRect::of_size(width, height) {
        rgb
    } else {
        cropped = crop(rgb, width, view);
        &cropped
    };
    if to == (view.width, view.height) {
        return pixels.to_vec();
    }
    let mut out = vec![0; to.0 as usize * to.1 as usize * 3];
    let source = TypedImageRef::<U8x3>::from_buffer(view.width, view.height, pixels)
        .expect("the buffer has exactly the view's pixels, as asserted above");
    let mut target = TypedImage::<U8x3>::from_buffer(to.0, to.1, &mut out).expect("the buffer was made for this size");
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    // The typed call builds the code of one pixel type only; the other way builds all, and that takes minutes.
    Resizer::new()
        .resize_typed(&source, &mut target, &options)
        .expect("no crop is set, the only thing that a typed resize refuses");
    out
}

fn crop(rgb: &[u8], width: u32, view: PixelRect) -> Vec<u8> {
    let stride = width as usize * 3;
    let row_bytes = view.width as usize * 3;
    let mut out = Vec::with_capacity(row_bytes * view.height as usize);
    for row in rgb.chunks_exact(stride).skip(view.y as usize).take(view.height as usize) {
        out.extend_from_slice(&row[view.x as usize * 3..][..row_bytes]);
    }
    out
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
    fn equals_pillow_within_one_level() {
        let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/resize.bin")).unwrap();
        let mut rest = file.as_slice();
        for (size, to) in [((61, 43), (32, 23)), ((61, 43), (96, 68)), ((200, 7), (51, 2)), ((3, 150), (1, 40))] {
            let (want, tail) = rest.split_at((to.0 * to.1 * 3) as usize);
            rest = tail;
            let got = resize_rgb(&noise(size.0, size.1), size, PixelRect::of_size(size.0, size.1), to);
            assert_eq!(got.len(), want.len());
            for (index, (&g, &w)) in got.iter().zip(want).enumerate() {
                assert!(g.abs_diff(w) <= 1, "{size:?} to {to:?} at byte {index}: {g}, Pillow gives {w}");
            }
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn a_view_is_resized_as_if_it_were_the_picture() {
        let (width, height) = (30, 20);
        let rgb = noise(width, height);
        let view = PixelRect { x: 7, y: 3, width: 12, height: 11 };
        let alone = crop(&rgb, width, view);
        assert_eq!(alone[..3], rgb[(3 * 30 + 7) * 3..][..3]);
        let got = resize_rgb(&rgb, (width, height), view, (5, 6));
        assert_eq!(got, resize_rgb(&alone, (12, 11), PixelRect::of_size(12, 11), (5, 6)));
    }
}

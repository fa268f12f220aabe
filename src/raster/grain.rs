//! A small picture made into a large photo with grain: something the size of a camera's file to measure with.
//!
//! Invariant: the same input gives the same file on every machine.

use super::{Picture, resize_rgb};
use crate::geometry::PixelRect;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageResult};

/// Enlarges a picture to `(width, height)`, lays grain over it (alike on all three channels, about 6 levels strong, as
/// a sensor's at middling sensitivity) and encodes it as JPEG (4:4:4) of this quality, 1..=100.
///
/// # Errors
/// The encoder's, for a size that no JPEG can have.
pub fn grainy_jpeg(small: &Picture, (width, height): (u32, u32), quality: u8) -> Result<Vec<u8>, String> {
    let whole = PixelRect::of_size(small.width, small.height);
    let mut rgb = resize_rgb(&small.rgb, (small.width, small.height), whole, (width, height));
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for pixel in rgb.chunks_exact_mut(3) {
        // xorshift64 (Marsaglia 2003); four bytes added up are near enough to a bell, of standard deviation 148.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bell = state.to_le_bytes()[..4].iter().map(|&byte| i32::from(byte)).sum::<i32>() - 510;
        let grain = bell * 6 / 148;
        for value in pixel {
            *value = (i32::from(*value) + grain).clamp(0, 255) as u8;
        }
    }
    encoded(&rgb, width, height, quality).map_err(|error| error.to_string())
}

fn encoded(rgb: &[u8], width: u32, height: u32, quality: u8) -> ImageResult<Vec<u8>> {
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, quality).encode(rgb, width, height, ExtendedColorType::Rgb8)?;
    Ok(jpeg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::decode_picture_bytes;

    #[test]
    fn the_photo_is_the_picture_enlarged_with_grain() {
        let small = Picture { width: 4, height: 3, rgb: vec![120; 36].into(), notes: Vec::new() };
        let jpeg = grainy_jpeg(&small, (160, 120), 90).unwrap();
        assert_eq!(jpeg, grainy_jpeg(&small, (160, 120), 90).unwrap());
        let photo = decode_picture_bytes("photo", &jpeg).unwrap();
        assert_eq!((photo.width, photo.height), (160, 120));
        let count = photo.rgb.len() as f64;
        let mean = photo.rgb.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let spread = (photo.rgb.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count).sqrt();
        assert!((mean - 120.0).abs() < 1.0 && (4.0..8.0).contains(&spread), "{mean} {spread}");
        assert!(grainy_jpeg(&small, (70_000, 1), 90).is_err());
    }
}

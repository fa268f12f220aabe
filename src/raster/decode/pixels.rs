//! Decoder output to upright 8-bit RGB: reduces 16 bits, lays alpha over white and turns, in one pass.

use image::ColorType;
use image::metadata::Orientation;

/// Whether the colours of this type are reduced to 8 bits; `None` for a type that is not read.
pub(super) fn is_deep(color: ColorType) -> Option<bool> {
    match color {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => Some(false),
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => Some(true),
        _ => None,
    }
}

/// Width and height after turning.
pub(super) fn oriented_size(width: u32, height: u32, orientation: Orientation) -> (u32, u32) {
    if orientation.to_exif() >= 5 { (height, width) } else { (width, height) }
}

/// Fills `rgb` with the upright picture; says whether any pixel was transparent.
///
/// # Shapes
/// `raw`: `[height, width, channels]` in native byte order as `color` says; `rgb`: `[height, width, 3]` after turning.
pub(super) fn fill_oriented_rgb(
    raw: &[u8],
    (width, height): (u32, u32),
    color: ColorType,
    orientation: Orientation,
    rgb: &mut [u8],
) -> bool {
    let walk = Walk::new(width as usize, height as usize, orientation);
    let deep = |bytes: &[u8], channel: usize| {
        let value = u32::from(u16::from_ne_bytes([bytes[2 * channel], bytes[2 * channel + 1]]));
        // Rounded, so that 0xffff is 255 and 0x0101 is 1.
        ((value + 128) / 257) as u8
    };
    match color {
        ColorType::L8 => walk.fill::<1>(raw, rgb, |p| ([p[0]; 3], 255)),
        ColorType::La8 => walk.fill::<2>(raw, rgb, |p| ([p[0]; 3], p[1])),
        ColorType::Rgb8 => walk.fill::<3>(raw, rgb, |p| (*p, 255)),
        ColorType::Rgba8 => walk.fill::<4>(raw, rgb, |p| ([p[0], p[1], p[2]], p[3])),
        ColorType::L16 => walk.fill::<2>(raw, rgb, |p| ([deep(p, 0); 3], 255)),
        ColorType::La16 => walk.fill::<4>(raw, rgb, |p| ([deep(p, 0); 3], deep(p, 1))),
        ColorType::Rgb16 => walk.fill::<6>(raw, rgb, |p| ([deep(p, 0), deep(p, 1), deep(p, 2)], 255)),
        ColorType::Rgba16 => walk.fill::<8>(raw, rgb, |p| ([deep(p, 0), deep(p, 1), deep(p, 2)], deep(p, 3))),
        // `is_deep` has refused every other type.
        _ => false,
    }
}

/// Where the pixel for each upright place lies in the stored picture, counted in pixels.
struct Walk {
    out_width: usize,
    origin: isize,
    step_right: isize,
    step_down: isize,
}

impl Walk {
    /// Source of the eight cases: EXIF 2.32, tag 0x0112.
    fn new(width: usize, height: usize, orientation: Orientation) -> Self {
        let row = width as isize;
        let (right_end, last_row) = (row - 1, (height as isize - 1) * row);
        let (origin, step_right, step_down) = match orientation.to_exif() {
            2 => (right_end, -1, row),
            3 => (last_row + right_end, -1, -row),
            4 => (last_row, 1, -row),
            5 => (0, row, 1),
            6 => (last_row, -row, 1),
            7 => (last_row + right_end, -row, -1),
            8 => (right_end, row, -1),
            _ => (0, 1, row),
        };
        let out_width = if orientation.to_exif() >= 5 { height } else { width };
        Self { out_width, origin, step_right, step_down }
    }

    fn fill<const BYTES: usize>(
        &self,
        raw: &[u8],
        rgb: &mut [u8],
        read: impl Fn(&[u8; BYTES]) -> ([u8; 3], u8),
    ) -> bool {
        let (pixels, _) = raw.as_chunks::<BYTES>();
        let mut transparent = false;
        for (y, row) in rgb.chunks_exact_mut(3 * self.out_width).enumerate() {
            let mut at = self.origin + y as isize * self.step_down;
            for out in row.as_chunks_mut::<3>().0 {
                let (color, alpha) = read(&pixels[at as usize]);
                *out = if alpha == 255 {
                    color
                } else {
                    transparent = true;
                    color.map(|c| over_white(c, alpha))
                };
                at += self.step_right;
            }
        }
        transparent
    }
}

/// A straight-alpha value laid over white, rounded.
fn over_white(value: u8, alpha: u8) -> u8 {
    let (value, alpha) = (u32::from(value), u32::from(alpha));
    ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

//! A picture made ready for the GPU: RGBA and all its smaller levels, computed on a worker.
//!
//! The levels are made here and not on the GPU so that they are the same on every machine, odd sizes do not shift the
//! picture, and the small levels can be uploaded first: a fitted picture is complete before its finest level is.
//!
//! Invariant: each texel of a level is the mean of exactly the part of the finer level that it covers, in sRGB-encoded
//! values, as egui blends.

use crate::raster::Picture;

/// What the device can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Longest side of a texture.
    pub max_side: u32,
    /// Most texels of the finest level.
    pub max_texels: u64,
}

/// One mip level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// RGBA, `[height, width, 4]`; alpha is 255.
    pub rgba: Vec<u8>,
}

/// A picture as the GPU wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadBuffer {
    /// How often the picture was halved before its finest level here; 0 keeps every pixel.
    pub halvings: u32,
    /// From the finest to one texel.
    pub levels: Vec<Level>,
}

/// How often a picture of this size must be halved to fit.
pub fn halvings_needed(width: u32, height: u32, limits: UploadLimits) -> u32 {
    (0..32)
        .find(|&n| {
            let (w, h) = level_size(width, height, n);
            w.max(h) <= limits.max_side && u64::from(w) * u64::from(h) <= limits.max_texels
        })
        .unwrap_or(31)
}

/// Size of a picture after `halvings` halvings, each rounded down, never below 1.
pub fn level_size(width: u32, height: u32, halvings: u32) -> (u32, u32) {
    ((width >> halvings).max(1), (height >> halvings).max(1))
}

/// Converts a picture and makes its levels. Slow (a 12-megapixel picture takes tens of milliseconds): not for the UI
/// thread.
pub fn prepare_upload(picture: &Picture, limits: UploadLimits) -> UploadBuffer {
    let halvings = halvings_needed(picture.width, picture.height, limits);
    let mut first = if halvings == 0 {
        let mut rgba = vec![255u8; picture.width as usize * picture.height as usize * 4];
        for (to, from) in rgba.chunks_exact_mut(4).zip(picture.rgb.chunks_exact(3)) {
            to[..3].copy_from_slice(from);
        }
        Level { width: picture.width, height: picture.height, rgba }
    } else {
        halved::<3>(&picture.rgb, picture.width, picture.height)
    };
    for _ in 1..halvings {
        first = halved::<4>(&first.rgba, first.width, first.height);
    }
    let mut levels = vec![first];
    while let Some(last) = levels.last().filter(|l| l.width > 1 || l.height > 1) {
        levels.push(halved::<4>(&last.rgba, last.width, last.height));
    }
    UploadBuffer { halvings, levels }
}

/// For each target cell of a halved axis: the first source cell and the weights of it and the next two, in 1/256,
/// summing to 256. An even length takes the mean of two; an odd length `2m + 1` spreads `2 + 1/m` cells over three.
fn axis(length: u32) -> Vec<(usize, [u32; 3])> {
    let target = (length / 2).max(1);
    (0..target)
        .map(|i| {
            if length == 1 {
                return (0, [256, 0, 0]);
            }
            if length.is_multiple_of(2) {
                return (2 * i as usize, [128, 128, 0]);
            }
            let first = (256 * u64::from(target - i) / u64::from(length)) as u32;
            let last = (256 * u64::from(i + 1) / u64::from(length)) as u32;
            (2 * i as usize, [first, 256 - first - last, last])
        })
        .collect()
}

/// Half the size, from `CHANNELS` bytes a pixel (3 or 4) to RGBA.
fn halved<const CHANNELS: usize>(source: &[u8], width: u32, height: u32) -> Level {
    let (columns, rows) = (axis(width), axis(height));
    let stride = width as usize * CHANNELS;
    let mut rgba = vec![255u8; columns.len() * rows.len() * 4];
    let even = width.is_multiple_of(2) && height.is_multiple_of(2);
    let mut line = vec![0u32; stride];
    for (out, &(y, weights)) in rgba.chunks_exact_mut(columns.len() * 4).zip(&rows) {
        if even {
            let (upper, lower) = (&source[y * stride..][..stride], &source[(y + 1) * stride..][..stride]);
            let pairs = upper.chunks_exact(2 * CHANNELS).zip(lower.chunks_exact(2 * CHANNELS));
            for (to, (a, b)) in out.chunks_exact_mut(4).zip(pairs) {
                for c in 0..3 {
                    let sum =
                        u16::from(a[c]) + u16::from(a[c + CHANNELS]) + u16::from(b[c]) + u16::from(b[c + CHANNELS]);
                    to[c] = ((sum + 2) >> 2) as u8;
                }
            }
            continue;
        }
        // Rows first, kept in 1/256, then columns.
        line.fill(0);
        for (tap, &weight) in weights.iter().enumerate().filter(|(_, w)| **w > 0) {
            for (sum, &value) in line.iter_mut().zip(&source[(y + tap) * stride..][..stride]) {
                *sum += weight * u32::from(value);
            }
        }
        for (to, &(x, weights)) in out.chunks_exact_mut(4).zip(&columns) {
            for c in 0..3 {
                let mut sum = 0;
                for (tap, &weight) in weights.iter().enumerate().filter(|(_, w)| **w > 0) {
                    sum += weight * line[(x + tap) * CHANNELS + c];
                }
                to[c] = ((sum + (1 << 15)) >> 16) as u8;
            }
        }
    }
    Level { width: columns.len() as u32, height: rows.len() as u32, rgba }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: UploadLimits = UploadLimits { max_side: 8192, max_texels: 1 << 26 };

    fn picture(width: u32, height: u32, rule: impl Fn(u32, u32) -> [u8; 3]) -> Picture {
        let rgb: Vec<u8> =
            (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| rule(x, y)).collect();
        Picture { width, height, rgb: rgb.into(), notes: Vec::new() }
    }

    #[test]
    fn the_finest_level_is_the_picture_and_the_chain_ends_at_one_texel() {
        let picture = picture(5, 3, |x, y| [x as u8, y as u8, 9]);
        let upload = prepare_upload(&picture, ROOMY);
        assert_eq!(upload.halvings, 0);
        let sizes: Vec<_> = upload.levels.iter().map(|l| (l.width, l.height)).collect();
        assert_eq!(sizes, [(5, 3), (2, 1), (1, 1)]);
        assert_eq!(upload.levels[0].rgba[4 * 7..4 * 8], [2, 1, 9, 255]);
        assert!(upload.levels.iter().all(|l| l.rgba.len() == (l.width * l.height * 4) as usize));
    }

    #[test]
    fn each_level_keeps_the_mean_of_an_odd_sized_ramp_where_it_was() {
        // A ramp stays a ramp through the right centre; a halving that dropped the odd column would shift it.
        let upload = prepare_upload(&picture(101, 77, |x, y| [x as u8, 2 * y as u8, 200]), ROOMY);
        for level in &upload.levels {
            let texels = level.rgba.chunks_exact(4);
            let count = texels.len() as f32;
            let mean = texels.fold([0.0f32; 3], |m, t| [0, 1, 2].map(|c| m[c] + f32::from(t[c]) / count));
            assert!((mean[0] - 50.0).abs() < 1.5 && (mean[1] - 76.0).abs() < 1.5, "{mean:?} at {}", level.width);
            assert!((mean[2] - 200.0).abs() < 0.1, "{mean:?}");
        }
    }

    #[test]
    fn a_picture_beyond_the_limits_is_halved_until_it_fits_and_not_more() {
        let limits = UploadLimits { max_side: 64, max_texels: 1000 };
        assert_eq!(halvings_needed(64, 15, limits), 0);
        assert_eq!(halvings_needed(65, 3, limits), 1);
        assert_eq!(halvings_needed(40, 40, limits), 1);
        let upload = prepare_upload(&picture(1, 200, |_, y| [y as u8, 0, 0]), limits);
        assert_eq!((upload.halvings, upload.levels[0].width, upload.levels[0].height), (2, 1, 50));
        assert_eq!(upload.levels[0].rgba[0], 2, "the mean of 0, 1, 2, 3, rounded twice");
        assert_eq!(halvings_needed(65_535, 65_535, UploadLimits { max_side: 16_384, max_texels: 100_000_000 }), 3);
    }
}

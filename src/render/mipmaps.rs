//! Which sizes of a picture the GPU gets: all of them, or fewer where the picture is larger than the device takes.

use crate::raster::{Level, Picture, coarser_levels, finest_level};

/// What the device can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// Longest side of a texture.
    pub max_side: u32,
    /// Most texels of the finest level.
    pub max_texels: u64,
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

/// All levels that the GPU can hold of a picture: what a [`super::CanvasRenderer`] shows once it is complete.
pub fn prepare_upload(picture: &Picture, limits: UploadLimits) -> UploadBuffer {
    let halvings = halvings_needed(picture.width, picture.height, limits);
    let mut levels = vec![finest_level(picture)];
    levels.extend(coarser_levels(picture));
    levels.drain(..(halvings as usize).min(levels.len() - 1));
    UploadBuffer { halvings, levels }
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

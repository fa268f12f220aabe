//! Mask files and cut-outs: PNG on disk, written whole or not at all.
//!
//! Invariant: a mask file is 8-bit grey at the oriented picture's size, 0 outside and 255 inside; when one is read,
//! 128 and more is inside. A cut-out has straight alpha, 0 or 255, and keeps nothing of the pixels outside its mask.

use super::{Bitmap, Mask, Picture, PictureError, PictureNote, decode_picture};
use crate::atomic_file::write_atomically;
use crate::geometry::PixelRect;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder};
use std::io::{self, Write};
use std::path::Path;

/// Why a mask file or a cut-out was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum MaskFileError {
    /// The file is no readable picture at all.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// The mask is of another picture, or of the picture before it was turned.
    #[error(
        "{name}: the mask has {found_width} x {found_height} pixels, expected {width} x {height} as the picture has \
         when upright; give the mask that was made for this picture"
    )]
    Size {
        /// The mask's file, or "mask" in memory.
        name: String,
        /// Columns found.
        found_width: u32,
        /// Rows found.
        found_height: u32,
        /// Columns of the picture.
        width: u32,
        /// Rows of the picture.
        height: u32,
    },
    /// Colours say nothing about inside and outside.
    #[error(
        "{name}: the pixel in column {x}, row {y} is coloured, expected 8-bit grey with 0 outside and 255 inside; \
         save the mask as a grey PNG"
    )]
    Coloured {
        /// The file.
        name: String,
        /// Column of the first coloured pixel.
        x: usize,
        /// Row of the first coloured pixel.
        y: usize,
    },
    /// Transparency says nothing about inside and outside.
    #[error("{name}: the mask has transparent pixels, expected opaque 8-bit grey; save it without an alpha channel")]
    Transparent {
        /// The file.
        name: String,
    },
    /// A cut-out of nothing.
    #[error("the mask is empty, so there is nothing to cut out")]
    Empty,
    /// The system would not write the file.
    #[error("{name}: cannot be written ({source}); the old file, if any, is untouched")]
    Unwritable {
        /// The file.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Reads a mask for a picture of this size. Any opaque grey picture will do; PNG is what we write.
///
/// # Errors
/// [`MaskFileError`], naming the file, if it is no picture, coloured, transparent or of another size.
pub fn read_mask_file(path: &Path, width: u32, height: u32) -> Result<Mask, MaskFileError> {
    let name = || path.display().to_string();
    let picture = decode_picture(path)?;
    if (picture.width, picture.height) != (width, height) {
        let (found_width, found_height) = (picture.width, picture.height);
        return Err(MaskFileError::Size { name: name(), found_width, found_height, width, height });
    }
    if picture.notes.contains(&PictureNote::AlphaFlattened) {
        return Err(MaskFileError::Transparent { name: name() });
    }
    let (pixels, _) = picture.rgb.as_chunks::<3>();
    if let Some(at) = pixels.iter().position(|[r, g, b]| r != g || g != b) {
        let (x, y) = (at % width as usize, at / width as usize);
        return Err(MaskFileError::Coloured { name: name(), x, y });
    }
    let data = pixels.iter().map(|&[grey, ..]| u8::from(grey >= 128)).collect();
    Ok(Mask::from_bitmap(&Bitmap { width, height, data }))
}

/// Writes a mask as an 8-bit grey PNG, 0 or 255.
///
/// # Errors
/// [`MaskFileError::Unwritable`]; the old file is then untouched.
pub fn write_mask_file(path: &Path, mask: &Mask) -> Result<(), MaskFileError> {
    let mut bitmap = mask.to_bitmap();
    bitmap.data.iter_mut().for_each(|byte| *byte *= 255);
    write_png(path, &bitmap.data, (mask.width(), mask.height()), ExtendedColorType::L8)
}

/// How much of the picture a cut-out shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CutOutExtent {
    /// The mask's bounds.
    Bounds,
    /// All of the picture, so that the cut-out lies over it exactly.
    WholePicture,
}

/// The pixels inside a mask, the rest transparent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutOut {
    /// The part of the picture that is shown.
    pub rect: PixelRect,
    /// Straight alpha, `[rect.height, rect.width, 4]`; all four bytes are 0 outside the mask.
    pub rgba: Vec<u8>,
}

impl CutOut {
    /// Cuts the mask out of its picture.
    ///
    /// # Errors
    /// [`MaskFileError::Size`] if the mask is of another size, [`MaskFileError::Empty`] for an empty mask.
    pub fn new(picture: &Picture, mask: &Mask, extent: CutOutExtent) -> Result<Self, MaskFileError> {
        let (width, height) = (picture.width, picture.height);
        if (mask.width(), mask.height()) != (width, height) {
            let (found_width, found_height) = (mask.width(), mask.height());
            return Err(MaskFileError::Size { name: "mask".to_owned(), found_width, found_height, width, height });
        }
        let bounds = mask.bounds().ok_or(MaskFileError::Empty)?;
        let rect = match extent {
            CutOutExtent::Bounds => bounds,
            CutOutExtent::WholePicture => PixelRect::of_size(width, height),
        };
        let mut rgba = vec![0; 4 * rect.width as usize * rect.height as usize];
        mask.for_each_inside_segment(|x, y0, y1| {
            for y in y0..y1 {
                let from = 3 * (y as usize * width as usize + x as usize);
                let to = 4 * ((y - rect.y) as usize * rect.width as usize + (x - rect.x) as usize);
                rgba[to..to + 3].copy_from_slice(&picture.rgb[from..from + 3]);
                rgba[to + 3] = 255;
            }
        });
        Ok(Self { rect, rgba })
    }

    /// Writes the cut-out as an RGBA PNG.
    ///
    /// # Errors
    /// [`MaskFileError::Unwritable`]; the old file is then untouched.
    pub fn write(&self, path: &Path) -> Result<(), MaskFileError> {
        write_png(path, &self.rgba, (self.rect.width, self.rect.height), ExtendedColorType::Rgba8)
    }
}

/// Writes 8-bit RGB pixels as a PNG: contact sheets and previews.
///
/// # Shapes
/// `rgb`: `[height, width, 3]`; size is (width, height).
///
/// # Errors
/// [`MaskFileError::Unwritable`]; the old file is then untouched.
pub fn write_rgb_png(path: &Path, rgb: &[u8], size: (u32, u32)) -> Result<(), MaskFileError> {
    write_png(path, rgb, size, ExtendedColorType::Rgb8)
}

fn write_png(path: &Path, data: &[u8], size: (u32, u32), color: ExtendedColorType) -> Result<(), MaskFileError> {
    write_atomically(path, |writer| encode_png(writer, data, size, color))
        .map_err(|source| MaskFileError::Unwritable { name: path.display().to_string(), source })
}

fn encode_png(
    writer: &mut dyn Write,
    data: &[u8],
    (width, height): (u32, u32),
    color: ExtendedColorType,
) -> io::Result<()> {
    if data.len() as u64 != u64::from(width) * u64::from(height) * u64::from(color.bits_per_pixel() / 8) {
        let found = data.len();
        return Err(io::Error::other(format!("{found} bytes are not {width} x {height} pixels of {color:?}")));
    }
    PngEncoder::new_with_quality(writer, CompressionType::Fast, FilterType::Adaptive)
        .write_image(data, width, height, color)
        .map_err(|error| match error {
            image::ImageError::IoError(error) => error,
            other => io::Error::other(other),
        })
}

#[cfg(test)]
mod tests {
    use super::super::test_masks::{any_mask, drawn};
    use super::*;
    use image::{DynamicImage, ImageBuffer, Luma, LumaA, Rgb};
    use proptest::prelude::*;

    fn saved(image: impl Into<DynamicImage>) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mask.png");
        image.into().save(&path).unwrap();
        (folder, path)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn a_written_mask_reads_back_the_same(mask in any_mask()) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("m.png");
            write_mask_file(&path, &mask).unwrap();
            prop_assert_eq!(&read_mask_file(&path, mask.width(), mask.height()).unwrap(), &mask);
            let stored = image::open(&path).unwrap();
            prop_assert_eq!(stored.color(), image::ColorType::L8);
            prop_assert!(stored.as_bytes().iter().all(|&byte| byte == 0 || byte == 255));
        }
    }

    #[test]
    fn from_128_on_a_pixel_is_inside() {
        let (_kept, path) = saved(ImageBuffer::from_fn(4, 1, |x, _| Luma([[0u8, 127, 128, 255][x as usize]])));
        assert_eq!(read_mask_file(&path, 4, 1).unwrap(), drawn(&["..##"]));
        let (_kept, path) = saved(ImageBuffer::from_fn(2, 1, |x, _| Luma([[0x7f00u16, 0x8080][x as usize]])));
        assert_eq!(read_mask_file(&path, 2, 1).unwrap(), drawn(&[".#"]));
        // Grey stored as RGB is grey.
        let (_kept, path) = saved(ImageBuffer::from_fn(2, 1, |x, _| Rgb([[0u8; 3], [200; 3]][x as usize])));
        assert_eq!(read_mask_file(&path, 2, 1).unwrap(), drawn(&[".#"]));
    }

    #[test]
    fn what_is_no_mask_of_this_picture_is_refused() {
        let (_kept, path) = saved(ImageBuffer::from_pixel(4, 2, Luma([255u8])));
        let refused = read_mask_file(&path, 2, 4).unwrap_err();
        assert!(matches!(refused, MaskFileError::Size { found_width: 4, found_height: 2, .. }));
        assert!(refused.to_string().contains("mask.png") && refused.to_string().contains("2 x 4"), "{refused}");
        let (_kept, path) = saved(ImageBuffer::from_fn(3, 2, |x, y| Rgb([u8::from((x, y) == (2, 1)), 0, 0])));
        assert!(matches!(read_mask_file(&path, 3, 2), Err(MaskFileError::Coloured { x: 2, y: 1, .. })));
        let (_kept, path) = saved(ImageBuffer::from_pixel(2, 2, LumaA([0u8, 0])));
        assert!(matches!(read_mask_file(&path, 2, 2), Err(MaskFileError::Transparent { .. })));
        std::fs::write(&path, b"no picture").unwrap();
        assert!(matches!(read_mask_file(&path, 2, 2), Err(MaskFileError::Picture(PictureError::NotAPicture { .. }))));
    }

    #[test]
    fn a_cut_out_keeps_the_pixels_inside_and_nothing_else() {
        let rgb: Vec<u8> = (0..4 * 3 * 3).collect();
        let picture = Picture { width: 4, height: 3, rgb: rgb.into(), notes: Vec::new() };
        let mask = drawn(&["....", ".##.", "..#."]);
        let cropped = CutOut::new(&picture, &mask, CutOutExtent::Bounds).unwrap();
        assert_eq!(cropped.rect, PixelRect { x: 1, y: 1, width: 2, height: 2 });
        assert_eq!(cropped.rgba, [15, 16, 17, 255, 18, 19, 20, 255, 0, 0, 0, 0, 30, 31, 32, 255]);
        let whole = CutOut::new(&picture, &mask, CutOutExtent::WholePicture).unwrap();
        assert_eq!((whole.rect, whole.rgba.len()), (PixelRect::of_size(4, 3), 48));
        assert_eq!(whole.rgba.iter().skip(3).step_by(4).filter(|&&alpha| alpha == 255).count(), 3);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.png");
        cropped.write(&path).unwrap();
        let stored = image::open(&path).unwrap();
        assert_eq!((stored.color(), stored.as_bytes()), (image::ColorType::Rgba8, &cropped.rgba[..]));

        assert!(matches!(
            CutOut::new(&picture, &drawn(&["...."]), CutOutExtent::Bounds),
            Err(MaskFileError::Size { .. })
        ));
        let empty = drawn(&["....", "....", "...."]);
        assert!(matches!(CutOut::new(&picture, &empty, CutOutExtent::Bounds), Err(MaskFileError::Empty)));
    }

    #[test]
    fn a_failed_write_names_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let failed = write_mask_file(&folder.path().join("no such folder/m.png"), &drawn(&["#"])).unwrap_err();
        assert!(failed.to_string().contains("no such folder"), "{failed}");
        assert!(write_rgb_png(&folder.path().join("short.png"), &[0; 5], (2, 1)).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

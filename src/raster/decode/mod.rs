//! A file's bytes to an upright 8-bit RGB [`Picture`]: JPEG, PNG, WebP, TIFF, BMP, PNM and the first frame of GIF.
//!
//! Invariant: sizes are read from the header and checked against the caps before anything picture-sized is
//! allocated, and no content, however cut or lying, makes this panic. The content says what a file is, never its name.

mod error;
mod pixels;
mod sniff;

pub use error::PictureError;

use super::{Picture, PictureNote};
use image::codecs::{
    bmp::BmpDecoder, gif::GifDecoder, jpeg::JpegDecoder, png::PngDecoder, pnm::PnmDecoder, tiff::TiffDecoder,
    webp::WebPDecoder,
};
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError, ImageFormat, Limits};
use std::io::{Cursor, Read};
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

/// Most columns or rows of a picture.
pub const MAX_SIDE: u32 = 65_535;
/// Most bytes that a picture may take once decoded: 1 GiB.
pub const MAX_DECODED_BYTES: u64 = 1 << 30;
/// Most bytes of a picture file: any picture within the cap above fits, even stored uncompressed.
pub const MAX_FILE_BYTES: u64 = 2 << 30;

/// What the PNG decoder may allocate for itself.
const PNG_WORK_BYTES: u64 = 64 << 20;

const EXTENSIONS: [&str; 16] = [
    "apng", "bmp", "gif", "jfif", "jpe", "jpeg", "jpg", "pam", "pbm", "pgm", "png", "pnm", "ppm", "tif", "tiff", "webp",
];

/// Endings of picture files in lower case, without the dot, for dialogs and for listing a folder. Whether a file is a
/// picture, its content says.
pub fn picture_extensions() -> &'static [&'static str] {
    &EXTENSIONS
}

/// Whether a file's name ends as a picture's does.
pub fn is_picture_path(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| EXTENSIONS.iter().any(|known| known.eq_ignore_ascii_case(ending)))
}

/// Reads and decodes a picture file.
///
/// # Errors
/// A [`PictureError`] that names the file.
pub fn decode_picture(path: &Path) -> Result<Picture, PictureError> {
    let name = path.display().to_string();
    let bytes = read_file(path, &name)?;
    decode_picture_bytes(&name, &bytes)
}

/// Decodes a picture that is in memory already; `name` is what errors call it.
///
/// # Errors
/// A [`PictureError`] that starts with `name`.
pub fn decode_picture_bytes(name: &str, bytes: &[u8]) -> Result<Picture, PictureError> {
    let Some((image_format, format)) = sniff::format_of(bytes) else {
        return Err(PictureError::NotAPicture { name: name.to_owned(), found: sniff::describe_unknown(bytes) });
    };
    let file = PictureFile { name, image_format, format, bytes };
    // The decoders are other people's code and the bytes may be hostile: a panic in there is a damaged file here.
    std::panic::catch_unwind(AssertUnwindSafe(|| file.decode())).unwrap_or_else(|_| {
        let reason = "its decoder gave up".to_owned();
        Err(PictureError::Damaged { name: name.to_owned(), format, reason })
    })
}

fn read_file(path: &Path, name: &str) -> Result<Vec<u8>, PictureError> {
    let unreadable = |source| PictureError::Unreadable { name: name.to_owned(), source };
    // Asked by path before opening, since opening a pipe would wait for its writer.
    let found = std::fs::metadata(path).map_err(unreadable)?;
    if !found.is_file() {
        return Err(PictureError::NotAFile { name: name.to_owned() });
    }
    if found.len() > MAX_FILE_BYTES {
        return Err(PictureError::FileTooLong { name: name.to_owned(), bytes: found.len() });
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(found.len() as usize).map_err(|e| unreadable(std::io::Error::other(e)))?;
    let file = std::fs::File::open(path).map_err(unreadable)?;
    // A file may grow between the question and the answer; the cap holds all the same.
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
}

/// A file whose format is known and whose content is not yet trusted.
struct PictureFile<'a> {
    name: &'a str,
    image_format: ImageFormat,
    format: &'static str,
    bytes: &'a [u8],
}

impl<'a> PictureFile<'a> {
    fn decode(&self) -> Result<Picture, PictureError> {
        let (mut decoder, several_frames) = self.open().map_err(|e| self.translate(e))?;
        let (width, height) = decoder.dimensions();
        let color = decoder.color_type();
        self.check_size(&*decoder)?;
        let mut limits = decoder_limits();
        limits
            .reserve(decoder.total_bytes())
            .and_then(|()| decoder.set_limits(limits))
            .map_err(|e| self.translate(e))?;
        let Some(deep) = pixels::is_deep(color) else {
            let reason = format!("its colours are stored as {color:?}, floating point numbers");
            return Err(PictureError::Unsupported { name: self.name.to_owned(), format: self.format, reason });
        };
        if !sniff::reaches_its_end(self.image_format, self.bytes) {
            return Err(self.cut_short());
        }
        let orientation = self.orientation(&mut *decoder);

        let (out_width, out_height) = pixels::oriented_size(width, height, orientation);
        let mut rgb = self.try_buffer(out_width, out_height)?;
        let upright = Arc::get_mut(&mut rgb).expect("nobody else has seen the buffer yet");
        let mut transparent = false;
        if color == ColorType::Rgb8 && orientation == Orientation::NoTransforms {
            decoder.read_image_boxed(upright).map_err(|e| self.translate(e))?;
        } else {
            let raw_bytes = decoder.total_bytes();
            let mut raw = Vec::new();
            raw.try_reserve_exact(raw_bytes as usize).map_err(|_| self.out_of_memory(width, height, raw_bytes))?;
            raw.resize(raw_bytes as usize, 0);
            decoder.read_image_boxed(&mut raw).map_err(|e| self.translate(e))?;
            transparent = pixels::fill_oriented_rgb(&raw, (width, height), color, orientation, upright);
        }

        let mut notes = Vec::new();
        if several_frames {
            notes.push(PictureNote::FirstFrameOnly);
        }
        if orientation != Orientation::NoTransforms {
            notes.push(PictureNote::Reoriented(orientation.to_exif()));
        }
        if deep {
            notes.push(PictureNote::ReducedTo8Bit);
        }
        if transparent {
            notes.push(PictureNote::AlphaFlattened);
        }
        Ok(Picture { width: out_width, height: out_height, rgb, notes })
    }

    /// The decoder, its header read, and whether the file holds more than one frame or page.
    fn open(&self) -> Result<(Box<dyn ImageDecoder + 'a>, bool), ImageError> {
        let reader = Cursor::new(self.bytes);
        Ok(match self.image_format {
            ImageFormat::Jpeg => (Box::new(JpegDecoder::new(reader)?), false),
            ImageFormat::Png => {
                // The only decoder whose limits cannot be set later. It needs little beside the picture: rows, and
                // a colour profile that may be a bomb of its own.
                let mut limits = Limits::no_limits();
                limits.max_alloc = Some(PNG_WORK_BYTES);
                let decoder = PngDecoder::with_limits(reader, limits)?;
                let animated = decoder.is_apng()?;
                (Box::new(decoder), animated)
            }
            ImageFormat::WebP => {
                let decoder = WebPDecoder::new(reader)?;
                let animated = decoder.has_animation();
                (Box::new(decoder), animated)
            }
            ImageFormat::Tiff => (Box::new(TiffDecoder::new(reader)?), sniff::tiff_has_more_pages(self.bytes)),
            ImageFormat::Gif => (Box::new(GifDecoder::new(reader)?), sniff::gif_has_more_frames(self.bytes)),
            ImageFormat::Bmp => (Box::new(BmpDecoder::new(reader)?), false),
            _ => (Box::new(PnmDecoder::new(reader)?), false),
        })
    }

    /// The caps, on what the header says. `into_decoder` and `from_decoder` of the image crate check none of this.
    fn check_size(&self, decoder: &(dyn ImageDecoder + 'a)) -> Result<(), PictureError> {
        let name = || self.name.to_owned();
        let (width, height) = decoder.dimensions();
        if width == 0 || height == 0 {
            return Err(PictureError::NoPixels { name: name(), format: self.format, width, height });
        }
        if width > MAX_SIDE || height > MAX_SIDE {
            return Err(PictureError::SideTooLong { name: name(), width, height });
        }
        let bytes = decoder.total_bytes().max(u64::from(width) * u64::from(height) * 3);
        if bytes > MAX_DECODED_BYTES {
            return Err(PictureError::TooManyPixels { name: name(), width, height, bytes });
        }
        Ok(())
    }

    fn orientation(&self, decoder: &mut (dyn ImageDecoder + 'a)) -> Orientation {
        // A broken EXIF block does not make the picture unreadable; it then counts as having none.
        let found = if self.image_format == ImageFormat::Tiff {
            decoder.orientation().ok()
        } else {
            let exif = decoder.exif_metadata().ok().flatten();
            exif.and_then(|exif| Orientation::from_exif_chunk(exif.strip_prefix(b"Exif\0\0").unwrap_or(&exif)))
        };
        found.unwrap_or(Orientation::NoTransforms)
    }

    fn try_buffer(&self, width: u32, height: u32) -> Result<Arc<[u8]>, PictureError> {
        let bytes = u64::from(width) * u64::from(height) * 3;
        // `Arc` cannot be asked whether there is room and would abort; a vector can, and gives it back at once.
        Vec::<u8>::new().try_reserve_exact(bytes as usize).map_err(|_| self.out_of_memory(width, height, bytes))?;
        Ok(std::iter::repeat_n(0, bytes as usize).collect())
    }

    fn out_of_memory(&self, width: u32, height: u32, bytes: u64) -> PictureError {
        PictureError::OutOfMemory { name: self.name.to_owned(), width, height, bytes }
    }

    fn cut_short(&self) -> PictureError {
        let found_bytes = self.bytes.len() as u64;
        PictureError::CutShort { name: self.name.to_owned(), format: self.format, found_bytes }
    }

    fn translate(&self, error: ImageError) -> PictureError {
        let (name, format) = (self.name.to_owned(), self.format);
        match error {
            ImageError::IoError(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => self.cut_short(),
            ImageError::Limits(_) => PictureError::OverDecoderLimit { name, format },
            ImageError::Unsupported(e) => PictureError::Unsupported { name, format, reason: e.to_string() },
            other => PictureError::Damaged { name, format, reason: other.to_string() },
        }
    }
}

/// What a decoder may allocate: the picture at its cap and as much again to work in.
fn decoder_limits() -> Limits {
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(2 * MAX_DECODED_BYTES);
    limits
}

#[cfg(test)]
mod tests;

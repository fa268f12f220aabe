//! Layer 0: pixels, as pure functions on plain data. Nothing here knows of models, files' meaning or windows.

mod bitmap;
mod components;
mod decode;
mod grain;
mod logits;
mod mask;
mod mask_file;
mod mipmaps;
mod picture;
mod polygon;
mod resize;
mod rings;
mod rle;
#[cfg(test)]
pub(crate) mod test_masks;

pub use bitmap::Bitmap;
pub use components::{Component, Connectivity, components};
pub use decode::{
    MAX_DECODED_BYTES, MAX_FILE_BYTES, MAX_SIDE, PictureError, decode_picture, decode_picture_bytes, is_picture_path,
    picture_extensions,
};
pub use grain::grainy_jpeg;
pub use logits::{LogitField, interpolate_bilinear};
pub use mask::{Mask, MaskError};
pub use mask_file::{CutOut, CutOutExtent, MaskFileError, read_mask_file, write_mask_file, write_rgb_png};
pub use mipmaps::{Level, coarser_levels, finest_level};
pub use picture::{Picture, PictureNote};
pub use polygon::{Ring, RingError, mask_from_rings};
pub use resize::resize_rgb;
pub use rings::mask_to_rings;
pub use rle::{RleStringError, rle_from_string, rle_to_string};

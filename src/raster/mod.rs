//! Layer 0: pixels, as pure functions on plain data. Nothing here knows of models, files' meaning or windows.

mod bitmap;
mod logits;
mod mask;
mod picture;
mod resize;

pub use bitmap::Bitmap;
pub use logits::{LogitField, interpolate_bilinear};
pub use mask::{Mask, MaskError};
pub use picture::{Picture, PictureNote};
pub use resize::resize_rgb;

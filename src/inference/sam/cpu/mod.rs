//! SAM's networks on this program's own kernels: the same numbers as beside, up to rounding.

mod mask_decoder;
mod mask_prompt;
mod projection;
mod two_way;

pub(super) use mask_decoder::MaskDecoder;
pub(super) use two_way::PictureSide;

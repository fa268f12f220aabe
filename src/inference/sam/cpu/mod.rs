//! SAM's networks on this program's own kernels, for processors. candle's versions beside them run on GPUs and are what
//! these are tested against.
//!
//! Invariant: activations are f32 rows, one a token or pixel, in buffers of the model's arena.

mod mask_decoder;
mod mask_prompt;
mod neck;
mod projection;
mod three_layers;
mod tiny_vit;
mod tokens;
mod two_way;
mod vit;

pub(super) use mask_decoder::MaskDecoder;
pub(super) use neck::Neck;
pub(super) use three_layers::ThreeLayers;
pub(super) use tiny_vit::TinyVitEncoder;
pub(super) use two_way::{Picture, PictureSide, TwoWayDesign, TwoWayTransformer};
pub(super) use vit::VitEncoder;

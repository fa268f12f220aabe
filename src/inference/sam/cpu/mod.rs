//! SAM's networks on this program's own kernels, for processors. candle's versions beside them run on GPUs and are what
//! these are tested against.
//!
//! Invariant: activations are f32 rows, one a token or pixel, in buffers of the model's arena.

mod neck;
mod tiny_vit;
mod vit;

pub(super) use neck::Neck;
pub(super) use tiny_vit::TinyVitEncoder;
pub(super) use vit::VitEncoder;

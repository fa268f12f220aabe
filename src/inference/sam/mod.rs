//! Promptable segmenters of SAM's kind: an image encoder once a view, then points, boxes and masks decoded lightly.

mod batch_norm;
mod cpu;
mod decoder;
mod keys;
pub(super) mod layers;
mod mask_decoder;
#[cfg(test)]
pub(super) mod parity;
pub(super) mod preprocess;
mod prompt_encoder;
mod segment_anything;
pub(super) mod spark;
mod tiny_vit;
mod two_way;
mod vit;

pub(super) use keys::weights_file;
pub(super) use segment_anything::Sam;

//! A mask prompt added to the embedding, on the kernels: two 2x2 convolutions of stride 2 and a 1x1, each a product.
//!
//! Source: segment_anything/modeling/prompt_encoder.py, `mask_downscaling`.

use crate::inference::packed_layers::PackedLayers;
use crate::inference::sam::layers::SAM_EPSILON;
use crate::inference::sam::prompt_encoder::{DIM, MASK_CHANNELS};
use crate::inference::segmenter::InferenceError;
use crate::kernels::{Activation, Cpu, LayerNorm, Linear, Packed, Rows, RowsMut, Start};

/// The prompt encoder's layers for masks.
pub(super) struct MaskPrompt {
    first: Linear,
    norm1: LayerNorm,
    second: Linear,
    norm2: LayerNorm,
    last: Linear,
}

impl MaskPrompt {
    /// Reads `prompt_encoder.mask_downscaling.*`.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(super) fn load(layers: &PackedLayers<'_>) -> Result<Self, InferenceError> {
        let (weights, isa) = (layers.weights, layers.cpu.isa);
        let name = |part: &str| format!("prompt_encoder.mask_downscaling.{part}");
        let [few, some] = MASK_CHANNELS;
        let bias = |index: usize, size: usize| weights.values(&name(&format!("{index}.bias")), &[size]);
        let first = weights.values(&name("0.weight"), &[few, 1, 2, 2])?;
        let second = weights.values(&name("3.weight"), &[some, few, 2, 2])?;
        let last = weights.values(&name("6.weight"), &[DIM, some, 1, 1])?;
        // Rows of the second product are ordered by place, then channel.
        let second = Packed::new(isa, 4 * few, some, |row, output| second[(output * few + row % few) * 4 + row / few]);
        let norm = |index: &str, size| layers.layer_norm(&name(index), size, SAM_EPSILON as f32, Activation::Gelu);
        Ok(Self {
            first: Linear::new(Packed::from_linear(isa, &first, few, 4), Some(&bias(0, few)?), Activation::None),
            norm1: norm("1", few)?,
            second: Linear::new(second, Some(&bias(3, some)?), Activation::None),
            norm2: norm("4", some)?,
            last: Linear::new(Packed::from_linear(isa, &last, DIM, some), Some(&bias(6, DIM)?), Activation::None),
        })
    }

    /// `out = image + map`, both `[cells, DIM]`; `logits` are in the order of [`PromptEncoder::mask_cells`].
    ///
    /// [`PromptEncoder::mask_cells`]: crate::inference::sam::prompt_encoder::PromptEncoder::mask_cells
    pub(super) fn add(&self, cpu: &Cpu, image: &[f32], logits: &[f32], out: &mut [f32]) {
        let [few, some] = MASK_CHANNELS;
        let cells = image.len() / DIM;
        let mut once = cpu.arena.take(4 * cells * few);
        let rows = Rows::dense(logits, 4);
        self.first.run(cpu.pool, 4 * cells, rows, Start::Zero, RowsMut::dense(&mut once, few));
        self.norm1.run_in_place(cpu.pool, 4 * cells, RowsMut::dense(&mut once, few));
        let mut twice = cpu.arena.take(cells * some);
        let rows = Rows::dense(&once, 4 * few);
        self.second.run(cpu.pool, cells, rows, Start::Zero, RowsMut::dense(&mut twice, some));
        self.norm2.run_in_place(cpu.pool, cells, RowsMut::dense(&mut twice, some));
        let start = Start::Other(Rows::dense(image, DIM));
        self.last.run(cpu.pool, cells, Rows::dense(&twice, some), start, RowsMut::dense(out, DIM));
    }
}

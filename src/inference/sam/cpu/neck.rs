//! The neck behind every SAM image encoder: 1x1 convolution, channel norm, 3x3 convolution, channel norm
//! (segment_anything/modeling/image_encoder.py).

use crate::inference::packed_layers::PackedLayers;
use crate::inference::sam::layers::SAM_EPSILON;
use crate::inference::segmenter::InferenceError;
use crate::kernels::{Activation, Convolution, Cpu, LayerNorm, Linear, Packed, Rows, RowsMut, Start};

/// The neck with its weights.
pub(in crate::inference::sam) struct Neck {
    reduce: Linear,
    norm1: LayerNorm,
    mix: Convolution,
    norm2: LayerNorm,
    side: usize,
}

impl Neck {
    /// Reads `image_encoder.neck.*` for `inputs` channels on a `side x side` grid.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(in crate::inference::sam) fn load(
        layers: &PackedLayers<'_>,
        inputs: usize,
        outputs: usize,
        side: usize,
    ) -> Result<Self, InferenceError> {
        let name = |part: &str| format!("image_encoder.neck.{part}");
        let isa = layers.cpu.isa;
        let reduce = layers.weights.values(&name("0.weight"), &[outputs, inputs, 1, 1])?;
        let mix = layers.weights.values(&name("2.weight"), &[outputs, outputs, 3, 3])?;
        let norm = |part| layers.layer_norm(&name(part), outputs, SAM_EPSILON as f32, Activation::None);
        Ok(Self {
            reduce: Linear::new(Packed::from_linear(isa, &reduce, outputs, inputs), None, Activation::None),
            norm1: norm("1")?,
            mix: Convolution::new(isa, &mix, [outputs, outputs, 3], 1, None, Activation::None),
            norm2: norm("3")?,
            side,
        })
    }

    /// `[side * side, inputs]` to `[side * side, outputs]`.
    pub(in crate::inference::sam) fn forward(&self, cpu: &Cpu, x: &[f32]) -> Vec<f32> {
        let (pixels, outputs) = (self.side * self.side, self.norm1.channels());
        let inputs = x.len() / pixels;
        let mut reduced = cpu.arena.take(pixels * outputs);
        self.reduce.run(cpu.pool, pixels, Rows::dense(x, inputs), Start::Zero, RowsMut::dense(&mut reduced, outputs));
        self.norm1.run_in_place(cpu.pool, pixels, RowsMut::dense(&mut reduced, outputs));
        let mut mixed = vec![0.0; pixels * outputs];
        let rows = RowsMut::dense(&mut mixed, outputs);
        self.mix.run(cpu, &reduced, self.side, self.side, Start::Zero, rows);
        self.norm2.run_in_place(cpu.pool, pixels, RowsMut::dense(&mut mixed, outputs));
        mixed
    }
}

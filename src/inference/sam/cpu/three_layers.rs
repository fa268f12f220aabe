//! Three linear layers with ReLU between them: what turns a token into a mask's weights, or into the masks' qualities.
//!
//! Source: segment_anything/modeling/mask_decoder.py, `MLP`.

use crate::inference::packed_layers::PackedLayers;
use crate::inference::segmenter::InferenceError;
use crate::kernels::{Activation, Cpu, Linear, Rows, RowsMut, Start};

/// The layers.
pub(in crate::inference::sam) struct ThreeLayers([Linear; 3]);

impl ThreeLayers {
    /// Reads `name.layers.0` to `name.layers.2`: `width` values in and between.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(in crate::inference::sam) fn load(
        layers: &PackedLayers<'_>,
        name: &str,
        width: usize,
        outputs: usize,
    ) -> Result<Self, InferenceError> {
        let layer = |index: usize, outputs, activation| {
            layers.linear(&format!("{name}.layers.{index}"), width, outputs, activation)
        };
        let first = layer(0, width, Activation::Relu)?;
        Ok(Self([first, layer(1, width, Activation::Relu)?, layer(2, outputs, Activation::None)?]))
    }

    /// Of one token `[width]`.
    pub(in crate::inference::sam) fn run(&self, cpu: &Cpu, token: &[f32], out: &mut [f32]) {
        let width = token.len();
        let (mut once, mut twice) = (cpu.arena.take(width), cpu.arena.take(width));
        let step = |linear: &Linear, x: &[f32], out: &mut [f32]| {
            let outputs = out.len();
            linear.run(cpu.pool, 1, Rows::dense(x, width), Start::Zero, RowsMut::dense(out, outputs));
        };
        step(&self.0[0], token, &mut once);
        step(&self.0[1], &once, &mut twice);
        step(&self.0[2], &twice, out);
    }
}

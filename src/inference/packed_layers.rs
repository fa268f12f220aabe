//! Reads layers from weights into the kernels' packed form, for models that compute on the CPU with them.
//!
//! Invariant: names and shapes are checked by [`Weights`]; what is packed is the very numbers of the file.

use super::segmenter::InferenceError;
use super::weights::Weights;
use crate::kernels::{Activation, Cpu, LayerNorm, Linear, Packed, Rows, RowsMut, Start};

/// Reads layers for a processor.
pub(crate) struct PackedLayers<'w> {
    /// Where they come from.
    pub(crate) weights: &'w Weights,
    /// What they are packed for.
    pub(crate) cpu: &'w Cpu,
}

impl PackedLayers<'_> {
    /// A linear layer `name.weight [outputs, inputs]`, `name.bias [outputs]`, and what follows it.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(crate) fn linear(
        &self,
        name: &str,
        inputs: usize,
        outputs: usize,
        activation: Activation,
    ) -> Result<Linear, InferenceError> {
        let weight = self.weights.values(&format!("{name}.weight"), &[outputs, inputs])?;
        let bias = self.weights.values(&format!("{name}.bias"), &[outputs])?;
        Ok(Linear::new(Packed::from_linear(self.cpu.isa, &weight, outputs, inputs), Some(&bias), activation))
    }

    /// Linear layers that read the same rows and write next to each other, `outputs` each, such as query, key and value.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(crate) fn linears(&self, names: &[String], inputs: usize, outputs: usize) -> Result<Linear, InferenceError> {
        let (mut weight, mut bias) = (Vec::new(), Vec::new());
        for name in names {
            weight.extend(self.weights.values(&format!("{name}.weight"), &[outputs, inputs])?);
            bias.extend(self.weights.values(&format!("{name}.bias"), &[outputs])?);
        }
        let packed = Packed::from_linear(self.cpu.isa, &weight, names.len() * outputs, inputs);
        Ok(Linear::new(packed, Some(&bias), Activation::None))
    }

    /// A layer norm over `channels`, `name.weight` and `name.bias`, and what follows it.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(crate) fn layer_norm(
        &self,
        name: &str,
        channels: usize,
        epsilon: f32,
        activation: Activation,
    ) -> Result<LayerNorm, InferenceError> {
        let weight = self.weights.values(&format!("{name}.weight"), &[channels])?;
        let bias = self.weights.values(&format!("{name}.bias"), &[channels])?;
        Ok(LayerNorm::new(self.cpu.isa, &weight, &bias, epsilon, activation))
    }
}

/// Rows whose hidden values exist at a time: 12 MB in a ViT-B, which the last cache holds.
const ROWS_AT_ONCE: usize = 1024;

/// A transformer's two-layer part: wide, an activation, and narrow again.
pub(crate) struct TwoLayers {
    /// Has the activation.
    pub(crate) first: Linear,
    /// Has none.
    pub(crate) second: Linear,
}

impl TwoLayers {
    /// `x += second(first(normed))`; `normed` are as many dense rows as are added to.
    pub(crate) fn add_to(&self, cpu: &Cpu, normed: &[f32], x: RowsMut<'_>) {
        let (channels, hidden) = (self.first.weights().depth(), self.first.weights().columns());
        let rows = normed.len() / channels;
        let mut wide = cpu.arena.take(ROWS_AT_ONCE.min(rows) * hidden);
        for first in (0..rows).step_by(ROWS_AT_ONCE) {
            let count = ROWS_AT_ONCE.min(rows - first);
            let normed = Rows::dense(&normed[first * channels..], channels);
            self.first.run(cpu.pool, count, normed, Start::Zero, RowsMut::dense(&mut wide, hidden));
            let out = RowsMut { values: &mut x.values[first * x.stride..], stride: x.stride };
            self.second.run(cpu.pool, count, Rows::dense(&wide, hidden), Start::Output, out);
        }
    }
}

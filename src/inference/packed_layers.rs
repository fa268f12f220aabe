//! Reads layers from weights into the kernels' packed form, for models that compute on the CPU with them.
//!
//! Invariant: names and shapes are checked by [`Weights`]; what is packed is the very numbers of the file.

use super::segmenter::InferenceError;
use super::weights::Weights;
use crate::kernels::{Activation, Cpu, LayerNorm, Linear, Packed};

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

//! A linear layer's numbers on their way from the file to packed weights: reordered, scaled and joined.

use crate::inference::segmenter::InferenceError;
use crate::inference::weights::Weights;
use crate::kernels::{Activation, Cpu, CrossHeads, Isa, Linear, Packed};

/// A linear layer as PyTorch keeps it.
#[derive(Clone)]
pub(super) struct Projection {
    /// `[outputs, inputs]`.
    pub(super) weight: Vec<f32>,
    /// `[outputs]`.
    pub(super) bias: Vec<f32>,
}

impl Projection {
    /// Reads `name.weight` and `name.bias`.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(super) fn read(weights: &Weights, name: &str, inputs: usize, outputs: usize) -> Result<Self, InferenceError> {
        Ok(Self {
            weight: weights.values(&format!("{name}.weight"), &[outputs, inputs])?,
            bias: weights.values(&format!("{name}.bias"), &[outputs])?,
        })
    }

    fn inputs(&self) -> usize {
        self.weight.len() / self.bias.len()
    }

    /// With its outputs times `factor`.
    pub(super) fn scaled(mut self, factor: f32) -> Self {
        self.weight.iter_mut().chain(&mut self.bias).for_each(|value| *value *= factor);
        self
    }

    /// With the heads of its outputs interleaved.
    pub(super) fn interleaved(&self, heads: CrossHeads) -> Self {
        let inputs = self.inputs();
        let order = (0..self.bias.len()).map(|channel| heads.interleaved(channel));
        Self {
            weight: order.clone().flat_map(|from| &self.weight[from * inputs..][..inputs]).copied().collect(),
            bias: order.map(|from| self.bias[from]).collect(),
        }
    }

    /// For inputs whose heads are interleaved.
    pub(super) fn of_interleaved(&self, heads: CrossHeads) -> Self {
        let inputs = self.inputs();
        let reorder = |row: &[f32]| (0..inputs).map(|channel| row[heads.interleaved(channel)]).collect::<Vec<_>>();
        Self { weight: self.weight.chunks_exact(inputs).flat_map(reorder).collect(), bias: self.bias.clone() }
    }

    /// Its outputs, then the other's.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.weight.extend(other.weight);
        self.bias.extend(other.bias);
        self
    }

    /// The weight as `[inputs, outputs]`.
    pub(super) fn turned(&self) -> Vec<f32> {
        let (inputs, outputs) = (self.inputs(), self.bias.len());
        (0..self.weight.len()).map(|i| self.weight[i % outputs * inputs + i / outputs]).collect()
    }

    /// With zeros for its bias.
    pub(super) fn without_bias(mut self) -> Self {
        self.bias.fill(0.0);
        self
    }

    /// Packed, bias included.
    pub(super) fn pack(&self, cpu: &Cpu, activation: Activation) -> Linear {
        self.pack_for(cpu.isa, activation)
    }

    /// The same for another machine than the model's.
    pub(super) fn pack_for(&self, isa: Isa, activation: Activation) -> Linear {
        let packed = Packed::from_linear(isa, &self.weight, self.bias.len(), self.inputs());
        Linear::new(packed, Some(&self.bias), activation)
    }
}

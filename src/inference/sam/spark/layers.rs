//! Reads layers by name from the weights; batch norms are folded into the convolution before them.

use crate::inference::ops::{ChannelNorm, Depthwise, PerChannel, Pointwise};
use crate::inference::packed_layers::PackedLayers;
use crate::inference::segmenter::InferenceError;
use crate::inference::weights::Weights;
use crate::kernels::Activation;
use crate::kernels::{self, Cpu};
use candle_core::{Device, Tensor};
use candle_nn::{LayerNorm, Linear};

/// Of every batch norm of the backbone.
const BATCH_NORM_EPS: f32 = 1e-3;
/// Of every norm over the channels of a map.
pub(super) const MAP_NORM_EPS: f32 = 1e-6;
/// Of every norm of tokens (PyTorch's default).
pub(super) const TOKEN_NORM_EPS: f32 = 1e-5;

/// The size of a convolution: `[out, in per group, kernel, kernel]`.
#[derive(Clone, Copy)]
pub(super) struct ConvShape {
    pub(super) out: usize,
    pub(super) inputs: usize,
    pub(super) kernel: usize,
}

/// Reads layers.
pub(super) struct Layers<'w> {
    weights: &'w Weights,
}

impl<'w> Layers<'w> {
    pub(super) fn new(weights: &'w Weights) -> Self {
        Self { weights }
    }

    /// The same weights for the kernels.
    pub(super) fn packed<'a>(&'a self, cpu: &'a Cpu) -> PackedLayers<'a> {
        PackedLayers { weights: self.weights, cpu }
    }

    pub(super) fn device(&self) -> &Device {
        self.weights.device()
    }

    pub(super) fn values(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, InferenceError> {
        self.weights.values(name, shape)
    }

    pub(super) fn tensor(&self, name: &str, shape: &[usize]) -> Result<Tensor, InferenceError> {
        self.weights.tensor(name, shape)
    }

    /// Weight and bias of a convolution followed by a batch norm, as those of one convolution.
    pub(super) fn folded(
        &self,
        conv: &str,
        norm: &str,
        shape: ConvShape,
    ) -> Result<(Vec<f32>, Vec<f32>), InferenceError> {
        let ConvShape { out, inputs, kernel } = shape;
        let mut weight = self.values(&format!("{conv}.weight"), &[out, inputs, kernel, kernel])?;
        let of_norm = |part: &str| self.values(&format!("{norm}.{part}"), &[out]);
        let (gamma, beta) = (of_norm("weight")?, of_norm("bias")?);
        let (mean, variance) = (of_norm("running_mean")?, of_norm("running_var")?);
        if let Some(negative) = variance.iter().find(|&&v| v < 0.0) {
            return Err(self.weights.refuse(format!(
                "tensor {norm}.running_var holds {negative}, expected no variance below 0; the file is damaged: get it again"
            )));
        }
        let mut bias = Vec::with_capacity(out);
        for (channel, filter) in weight.chunks_exact_mut(inputs * kernel * kernel).enumerate() {
            let scale = gamma[channel] / (variance[channel] + BATCH_NORM_EPS).sqrt();
            filter.iter_mut().for_each(|value| *value *= scale);
            bias.push(beta[channel] - mean[channel] * scale);
        }
        Ok((weight, bias))
    }

    /// A convolution's own weight and bias.
    pub(super) fn conv(&self, name: &str, shape: ConvShape) -> Result<(Vec<f32>, Vec<f32>), InferenceError> {
        let ConvShape { out, inputs, kernel } = shape;
        let weight = self.values(&format!("{name}.weight"), &[out, inputs, kernel, kernel])?;
        Ok((weight, self.values(&format!("{name}.bias"), &[out])?))
    }

    /// A 1x1 convolution with bias.
    pub(super) fn pointwise(
        &self,
        name: &str,
        out: usize,
        inputs: usize,
        activation: Activation,
    ) -> Result<Pointwise, InferenceError> {
        let (weight, bias) = self.conv(name, ConvShape { out, inputs, kernel: 1 })?;
        Ok(Pointwise::new(weight, bias, activation, self.device())?)
    }

    /// A depthwise convolution with bias, stride 1.
    pub(super) fn depthwise(
        &self,
        name: &str,
        channels: usize,
        kernel: usize,
        activation: Activation,
    ) -> Result<Depthwise, InferenceError> {
        let (weight, bias) = self.conv(name, ConvShape { out: channels, inputs: 1, kernel })?;
        Ok(Depthwise::new(weight, bias, kernel, 1, activation, self.device())?)
    }

    /// A norm over the channels of a map.
    pub(super) fn channel_norm(
        &self,
        name: &str,
        channels: usize,
        eps: f32,
        activation: Activation,
    ) -> Result<ChannelNorm, InferenceError> {
        let weight = self.values(&format!("{name}.weight"), &[channels])?;
        let bias = self.values(&format!("{name}.bias"), &[channels])?;
        Ok(ChannelNorm::new(weight, bias, eps, activation, self.device())?)
    }

    /// A norm of rows for the kernels.
    pub(super) fn packed_norm(
        &self,
        cpu: &Cpu,
        name: &str,
        channels: usize,
        eps: f32,
        activation: Activation,
    ) -> Result<kernels::LayerNorm, InferenceError> {
        self.packed(cpu).layer_norm(name, channels, eps, activation)
    }

    /// A transposed convolution of kernel 2 and stride 2: the product `[out * 4, in]` that makes its 2x2 blocks (channel
    /// order of `ops::spread_and_add`), and the bias to add after spreading.
    pub(super) fn transposed(
        &self,
        name: &str,
        inputs: usize,
        out: usize,
    ) -> Result<(Tensor, PerChannel), InferenceError> {
        let weight = self.tensor(&format!("{name}.weight"), &[inputs, out, 2, 2])?;
        let bias = self.values(&format!("{name}.bias"), &[out])?;
        let weight = weight.reshape((inputs, out * 4))?.t()?.contiguous()?;
        Ok((weight, PerChannel::new(bias, self.device())?))
    }

    /// A linear layer on tokens.
    pub(super) fn linear(&self, name: &str, out: usize, inputs: usize) -> Result<Linear, InferenceError> {
        let weight = self.tensor(&format!("{name}.weight"), &[out, inputs])?;
        Ok(Linear::new(weight, Some(self.tensor(&format!("{name}.bias"), &[out])?)))
    }

    /// A norm of tokens.
    pub(super) fn layer_norm(&self, name: &str, size: usize) -> Result<LayerNorm, InferenceError> {
        let weight = self.tensor(&format!("{name}.weight"), &[size])?;
        let bias = self.tensor(&format!("{name}.bias"), &[size])?;
        Ok(LayerNorm::new(weight, bias, f64::from(TOKEN_NORM_EPS)))
    }
}

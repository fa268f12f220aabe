//! Convolutions whose batch norm is folded in at load, for encoders that are made of them.
//!
//! Invariant: a folded convolution equals convolution then batch norm up to rounding (`Conv2d_BN.fuse` in MobileSAM's
//! tiny_vit_sam.py).

use crate::inference::ops::{Convolution, Depthwise, Pointwise};
use crate::inference::segmenter::InferenceError;
use crate::inference::weights::Weights;
use crate::kernels::Activation;

/// Epsilon of PyTorch's `BatchNorm2d`.
const EPSILON: f32 = 1e-5;

/// Reads `name.c.weight` of shape `[outputs, inputs, kernel, kernel]` and `name.bn.*`; returns the folded kernel and bias.
pub(super) fn folded(weights: &Weights, name: &str, shape: [usize; 4]) -> Result<(Vec<f32>, Vec<f32>), InferenceError> {
    let part = |part: &str| weights.values(&format!("{name}.bn.{part}"), &shape[..1]);
    let mut kernel = weights.values(&format!("{name}.c.weight"), &shape)?;
    let (gain, mut bias) = (part("weight")?, part("bias")?);
    let (mean, variance) = (part("running_mean")?, part("running_var")?);
    if let Some(negative) = variance.iter().find(|&&v| v < 0.0) {
        return Err(weights.refuse(format!(
            "tensor {name}.bn.running_var holds {negative}, expected no variance below 0; the file is damaged: get it again"
        )));
    }
    for (output, filter) in kernel.chunks_exact_mut(shape[1..].iter().product()).enumerate() {
        let factor = gain[output] / (variance[output] + EPSILON).sqrt();
        filter.iter_mut().for_each(|value| *value *= factor);
        bias[output] -= mean[output] * factor;
    }
    Ok((kernel, bias))
}

/// A 1x1 convolution.
pub(super) fn pointwise(
    weights: &Weights,
    name: &str,
    inputs: usize,
    outputs: usize,
    activation: Activation,
) -> Result<Pointwise, InferenceError> {
    let (kernel, bias) = folded(weights, name, [outputs, inputs, 1, 1])?;
    Ok(Pointwise::new(kernel, bias, activation, weights.device())?)
}

/// A 3x3 convolution of stride 2 with a padding of 1.
pub(super) fn halving(
    weights: &Weights,
    name: &str,
    inputs: usize,
    outputs: usize,
    activation: Activation,
) -> Result<Convolution, InferenceError> {
    let (kernel, bias) = folded(weights, name, [outputs, inputs, 3, 3])?;
    Ok(Convolution::new(kernel, bias, 3, 2, activation, weights.device())?)
}

/// A 3x3 convolution of each channel by itself, with a padding of 1.
pub(super) fn depthwise(
    weights: &Weights,
    name: &str,
    channels: usize,
    stride: usize,
    activation: Activation,
) -> Result<Depthwise, InferenceError> {
    let (kernel, bias) = folded(weights, name, [channels, 1, 3, 3])?;
    Ok(Depthwise::new(kernel, bias, 3, stride, activation, weights.device())?)
}

//! Convolutions with their batch norm folded in, on planes: what TinyViT is made of besides attention.
//!
//! Invariant: planes are `[channels, side * side]` of one square map, row-major and contiguous. A folded convolution
//! equals convolution then batch norm up to rounding (`Conv2d_BN.fuse` in MobileSAM's tiny_vit_sam.py).

use crate::inference::segmenter::InferenceError;
use crate::inference::weights::Weights;
use candle_core::{Result, Tensor};

/// Epsilon of PyTorch's `BatchNorm2d`.
const EPSILON: f32 = 1e-5;

/// Reads `name.c.weight` of this shape and `name.bn.*`; returns the folded kernel and bias.
fn folded(weights: &Weights, name: &str, shape: &[usize]) -> std::result::Result<(Vec<f32>, Vec<f32>), InferenceError> {
    let outputs = shape[0];
    let part = |part: &str| weights.values(&format!("{name}.bn.{part}"), &[outputs]);
    let mut kernel = weights.values(&format!("{name}.c.weight"), shape)?;
    let (gain, mut bias) = (part("weight")?, part("bias")?);
    let (mean, variance) = (part("running_mean")?, part("running_var")?);
    if let Some(bad) = variance.iter().find(|v| **v < 0.0) {
        return Err(weights.refuse(format!(
            "tensor {name}.bn.running_var holds {bad}, expected variances of 0 or more; the file is damaged: get it again"
        )));
    }
    for (index, of_output) in kernel.chunks_exact_mut(shape[1..].iter().product()).enumerate() {
        let factor = gain[index] / (variance[index] + EPSILON).sqrt();
        of_output.iter_mut().for_each(|value| *value *= factor);
        bias[index] -= mean[index] * factor;
    }
    Ok((kernel, bias))
}

/// A 1x1 convolution: a matrix product.
pub(super) struct Pointwise {
    kernel: Tensor,
    bias: Tensor,
}

impl Pointwise {
    /// Reads `name.c.weight` `[outputs, inputs, 1, 1]` and its batch norm.
    pub(super) fn load(
        weights: &Weights,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> std::result::Result<Self, InferenceError> {
        let (kernel, bias) = folded(weights, name, &[outputs, inputs, 1, 1])?;
        Ok(Self {
            kernel: Tensor::from_vec(kernel, (outputs, inputs), weights.device())?,
            bias: Tensor::from_vec(bias, (outputs, 1), weights.device())?,
        })
    }

    /// `[inputs, pixels]` to `[outputs, pixels]`.
    pub(super) fn forward(&self, planes: &Tensor) -> Result<Tensor> {
        self.kernel.matmul(planes)?.broadcast_add(&self.bias)
    }
}

/// A 3x3 convolution with a padding of 1: full, or depthwise (each channel by itself).
pub(super) struct Convolution3x3 {
    kernel: Tensor,
    bias: Tensor,
    stride: usize,
    depthwise: bool,
}

impl Convolution3x3 {
    /// Reads a full convolution, `name.c.weight` `[outputs, inputs, 3, 3]`, and its batch norm.
    pub(super) fn load_full(
        weights: &Weights,
        name: &str,
        inputs: usize,
        outputs: usize,
        stride: usize,
    ) -> std::result::Result<Self, InferenceError> {
        Self::load(weights, name, [outputs, inputs, 3, 3], stride, false)
    }

    /// Reads a depthwise convolution, `name.c.weight` `[channels, 1, 3, 3]`, and its batch norm.
    pub(super) fn load_depthwise(
        weights: &Weights,
        name: &str,
        channels: usize,
        stride: usize,
    ) -> std::result::Result<Self, InferenceError> {
        Self::load(weights, name, [channels, 1, 3, 3], stride, true)
    }

    fn load(
        weights: &Weights,
        name: &str,
        shape: [usize; 4],
        stride: usize,
        depthwise: bool,
    ) -> std::result::Result<Self, InferenceError> {
        let (kernel, bias) = folded(weights, name, &shape)?;
        Ok(Self {
            kernel: Tensor::from_vec(kernel, &shape, weights.device())?,
            bias: Tensor::from_vec(bias, (shape[0], 1), weights.device())?,
            stride,
            depthwise,
        })
    }

    /// Planes of `side x side` to planes of `side / stride` a side, rounded up.
    pub(super) fn forward(&self, planes: &Tensor, side: usize) -> Result<Tensor> {
        let map = planes.reshape((1, (), side, side))?;
        let groups = if self.depthwise { map.dim(1)? } else { 1 };
        let out = map.conv2d(&self.kernel, 1, self.stride, 1, groups)?;
        out.flatten_from(2)?.squeeze(0)?.broadcast_add(&self.bias)
    }
}

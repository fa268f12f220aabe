//! The layers that candle's own operations are put together from, for GPUs, for `Engine::Candle`, and as the oracle that
//! the kernels of this program are tested against.
//!
//! Feature maps are `[channels, height, width]` without a batch axis, so a 1x1 convolution is one matrix product.
//! Invariant: nothing here but candle's operations; whatever is fast on the CPU is in `crate::kernels`.

use crate::kernels::Activation;
use candle_core::{D, Device, Result, Tensor};

/// An activation on a whole tensor.
pub(crate) fn activate(activation: Activation, x: Tensor) -> Result<Tensor> {
    match activation {
        Activation::None => Ok(x),
        Activation::Relu => x.relu(),
        Activation::Relu6 => x.clamp(0f32, 6f32),
        Activation::Gelu => x.gelu_erf(),
        Activation::QuickGelu => &x * candle_nn::ops::sigmoid(&(&x * 1.702)?)?,
    }
}

/// A number for each channel.
#[derive(Clone)]
pub(crate) struct PerChannel(Tensor);

impl PerChannel {
    pub(crate) fn new(values: Vec<f32>, device: &Device) -> Result<Self> {
        let channels = values.len();
        Ok(Self(Tensor::from_vec(values, channels, device)?))
    }

    /// Shaped to broadcast over `[channels, ...]` of this rank.
    fn broadcastable(&self, rank: usize) -> Result<Tensor> {
        let mut shape = vec![1; rank];
        shape[0] = self.0.dim(0)?;
        self.0.reshape(shape)
    }

    fn add_to(&self, x: &Tensor) -> Result<Tensor> {
        x.broadcast_add(&self.broadcastable(x.rank())?)
    }
}

/// A 1x1 convolution, or any convolution whose patches lie in the channels.
pub(crate) struct Pointwise {
    /// `[out, in]`.
    weight: Tensor,
    bias: PerChannel,
    activation: Activation,
}

impl Pointwise {
    /// `weight`: `[out, in]` row-major; `bias`: `[out]`.
    pub(crate) fn new(weight: Vec<f32>, bias: Vec<f32>, activation: Activation, device: &Device) -> Result<Self> {
        let (out, inputs) = (bias.len(), weight.len() / bias.len());
        let weight = Tensor::from_vec(weight, (out, inputs), device)?;
        Ok(Self { weight, bias: PerChannel::new(bias, device)?, activation })
    }

    /// `[in, ...]` to `[out, ...]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        activate(self.activation, self.bias.add_to(&self.product(x)?)?)
    }

    /// The same plus `skip` of the result's shape; for layers without activation.
    pub(crate) fn forward_add(&self, x: &Tensor, skip: &Tensor) -> Result<Tensor> {
        debug_assert_eq!(self.activation, Activation::None);
        self.forward(x)? + skip
    }

    fn product(&self, x: &Tensor) -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        shape[0] = self.weight.dim(0)?;
        self.weight.matmul(&x.flatten_from(1)?)?.reshape(shape)
    }
}

/// A convolution of any odd kernel with padding of half the kernel.
pub(crate) struct Convolution {
    /// `[out, in per group, kernel, kernel]`.
    weight: Tensor,
    bias: PerChannel,
    stride: usize,
    groups: usize,
    activation: Activation,
}

impl Convolution {
    /// `weight`: `[out, in, kernel, kernel]` row-major; `bias`: `[out]`.
    pub(crate) fn new(
        weight: Vec<f32>,
        bias: Vec<f32>,
        kernel: usize,
        stride: usize,
        activation: Activation,
        device: &Device,
    ) -> Result<Self> {
        let (out, inputs) = (bias.len(), weight.len() / bias.len() / kernel / kernel);
        let weight = Tensor::from_vec(weight, (out, inputs, kernel, kernel), device)?;
        Ok(Self { weight, bias: PerChannel::new(bias, device)?, stride, groups: 1, activation })
    }

    /// `[in, height, width]` to `[out, ceil(height / stride), ceil(width / stride)]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let pad = self.weight.dim(2)? / 2;
        let y = x.unsqueeze(0)?.conv2d(&self.weight, pad, self.stride, 1, self.groups)?.squeeze(0)?;
        activate(self.activation, self.bias.add_to(&y)?)
    }
}

/// A convolution of each channel by itself.
pub(crate) struct Depthwise(Convolution);

impl Depthwise {
    /// `weight`: `[channels, 1, kernel, kernel]` row-major; `bias`: `[channels]`.
    pub(crate) fn new(
        weight: Vec<f32>,
        bias: Vec<f32>,
        kernel: usize,
        stride: usize,
        activation: Activation,
        device: &Device,
    ) -> Result<Self> {
        let groups = bias.len();
        Ok(Self(Convolution { groups, ..Convolution::new(weight, bias, kernel, stride, activation, device)? }))
    }

    /// `[channels, height, width]` to `[channels, ceil(height / stride), ceil(width / stride)]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.0.forward(x)
    }
}

/// `(x - mean) / sqrt(variance + eps) * weight + bias`, mean and variance over the channels of each place; then the
/// activation. SAM's `LayerNorm2d`, and `LayerNorm` of tokens that are kept channel by channel.
pub(crate) struct ChannelNorm {
    weight: PerChannel,
    bias: PerChannel,
    eps: f32,
    activation: Activation,
}

impl ChannelNorm {
    /// `weight` and `bias`: `[channels]`.
    pub(crate) fn new(
        weight: Vec<f32>,
        bias: Vec<f32>,
        eps: f32,
        activation: Activation,
        device: &Device,
    ) -> Result<Self> {
        Ok(Self { weight: PerChannel::new(weight, device)?, bias: PerChannel::new(bias, device)?, eps, activation })
    }

    /// `[channels, ...]` to the same shape.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let rows = x.flatten_from(1)?.t()?;
        let centred = rows.broadcast_sub(&rows.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let scaled = centred.broadcast_div(&(variance + f64::from(self.eps))?.sqrt()?)?;
        let y = scaled.broadcast_mul(&self.weight.0)?.broadcast_add(&self.bias.0)?;
        activate(self.activation, y.t()?.contiguous()?.reshape(x.shape())?)
    }
}

/// Softmax over the last axis of `[batch, middle, last]`.
pub(crate) fn softmax_over_last(x: &Tensor) -> Result<Tensor> {
    candle_nn::ops::softmax(x, 2)
}

/// Softmax over the middle axis.
pub(crate) fn softmax_over_middle(x: &Tensor) -> Result<Tensor> {
    candle_nn::ops::softmax(x, 1)
}

/// `[channels, height, width]` to `[channels * 4, height / 2, width / 2]`: channel `c * 4 + ky * 2 + kx` holds the
/// values of rows `2y + ky` and columns `2x + kx`. Sides are even. With a product behind it, a convolution of kernel 2
/// and stride 2.
pub(crate) fn space_to_depth(x: &Tensor) -> Result<Tensor> {
    let (channels, height, width) = x.dims3()?;
    let (rows, columns) = (height / 2, width / 2);
    let parts = x.reshape((channels, rows, 2, columns, 2))?.permute((0, 2, 4, 1, 3))?.contiguous()?;
    parts.reshape((channels * 4, rows, columns))
}

/// The other half of a transposed convolution of kernel 2 and stride 2, then a skip and an activation: `x` is
/// `[channels * 4, height, width]` (channel order of [`space_to_depth`]), the result
/// `activation(spread(x) + bias + skip)` of `skip`'s shape `[channels, 2 * height, 2 * width]`.
pub(crate) fn spread_and_add(x: &Tensor, bias: &PerChannel, skip: &Tensor, activation: Activation) -> Result<Tensor> {
    let (channels, height, width) = x.dims3()?;
    let spread = x.reshape((channels / 4, 2, 2, height, width))?.permute((0, 3, 1, 4, 2))?.contiguous()?;
    let spread = spread.reshape((channels / 4, 2 * height, 2 * width))?;
    activate(activation, (bias.add_to(&spread)? + skip)?)
}

/// `to + upsample(from)`, bilinear to the size of `to` with half-pixel centres (`align_corners=False`). Both are
/// `[channels, height, width]`.
pub(crate) fn add_upsampled(to: &Tensor, from: &Tensor) -> Result<Tensor> {
    let (_, height, width) = to.dims3()?;
    to + from.unsqueeze(0)?.upsample_bilinear2d(height, width, false)?.squeeze(0)?
}

#[cfg(test)]
pub(crate) mod testing {
    //! Deterministic tensors and a comparison, for tests.

    use candle_core::{Device, Tensor};

    /// Values in -2..2 that look random.
    pub(crate) fn noise(shape: &[usize], seed: u32) -> Tensor {
        let values = crate::kernels::testing::noise(shape.iter().product(), seed);
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// Largest absolute difference; shapes must agree.
    pub(crate) fn difference(a: &Tensor, b: &Tensor) -> f32 {
        assert_eq!(a.dims(), b.dims());
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        flat(a).iter().zip(flat(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{difference, noise};
    use super::*;

    fn flat(t: &Tensor) -> Vec<f32> {
        t.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn products_and_blocks_are_the_convolutions_they_stand_for() {
        let (x, w, b, skip) = (noise(&[6, 5, 4], 1), noise(&[3, 6], 2), noise(&[3], 3), noise(&[3, 5, 4], 4));
        let want = x.unsqueeze(0).unwrap().conv2d(&w.reshape((3, 6, 1, 1)).unwrap(), 0, 1, 1, 1).unwrap();
        let want = want.squeeze(0).unwrap().broadcast_add(&b.reshape((3, 1, 1)).unwrap()).unwrap();
        let conv = Pointwise::new(flat(&w), flat(&b), Activation::None, &Device::Cpu).unwrap();
        assert!(difference(&conv.forward(&x).unwrap(), &want) < 1e-5);
        assert!(difference(&conv.forward_add(&x, &skip).unwrap(), &(want + skip).unwrap()) < 1e-5);

        let (x, w) = (noise(&[2, 4, 6], 5), noise(&[3, 2, 2, 2], 6));
        let want = x.unsqueeze(0).unwrap().conv2d(&w, 0, 2, 1, 1).unwrap().squeeze(0).unwrap();
        let conv = Pointwise::new(flat(&w), vec![0.0; 3], Activation::None, &Device::Cpu).unwrap();
        assert!(difference(&conv.forward(&space_to_depth(&x).unwrap()).unwrap(), &want) < 1e-5);

        let (bias, skip) = (PerChannel::new(vec![0.5, -1.0], &Device::Cpu).unwrap(), noise(&[2, 8, 12], 7));
        let blocks = noise(&[8, 4, 6], 8);
        let got = spread_and_add(&blocks, &bias, &skip, Activation::Relu).unwrap();
        let back = space_to_depth(&got).unwrap();
        let skip = space_to_depth(&skip).unwrap();
        let bias = Tensor::new(&[0.5f32, 0.5, 0.5, 0.5, -1.0, -1.0, -1.0, -1.0], &Device::Cpu).unwrap();
        let want = (blocks.broadcast_add(&bias.reshape((8, 1, 1)).unwrap()).unwrap() + skip).unwrap().relu().unwrap();
        assert!(difference(&back, &want) < 1e-6);
    }

    #[test]
    fn a_norm_leaves_channels_with_mean_zero_and_deviation_one() {
        let norm = ChannelNorm::new(vec![1.0; 16], vec![0.0; 16], 1e-6, Activation::None, &Device::Cpu).unwrap();
        let y = norm.forward(&noise(&[16, 3, 5], 3).affine(5.0, 30.0).unwrap()).unwrap();
        let (mean, square) = (y.mean(0).unwrap(), y.sqr().unwrap().mean(0).unwrap());
        assert!(flat(&mean).iter().all(|m| m.abs() < 1e-5));
        assert!(flat(&square).iter().all(|s| (s - 1.0).abs() < 1e-4));
    }
}

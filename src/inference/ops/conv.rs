//! Dense convolutions with bias and activation fused behind them; a 1x1 one is one matrix product.

use super::pointwise::{Activation, PerChannel, add_with_bias, bias_activation};
use candle_core::{Device, Result, Tensor};

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
        Ok(Self {
            weight: Tensor::from_vec(weight, (out, inputs), device)?,
            bias: PerChannel::new(bias, device)?,
            activation,
        })
    }

    /// `[in, ...]` to `[out, ...]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        bias_activation(self.product(x)?, &self.bias, self.activation)
    }

    /// The same plus `skip` of the result's shape; for layers without activation.
    pub(crate) fn forward_add(&self, x: &Tensor, skip: &Tensor) -> Result<Tensor> {
        debug_assert_eq!(self.activation, Activation::None);
        add_with_bias(self.product(x)?, skip, &self.bias)
    }

    fn product(&self, x: &Tensor) -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        shape[0] = self.bias.values.len();
        self.weight.matmul(&x.flatten_from(1)?)?.reshape(shape)
    }
}

/// A convolution of any odd kernel with padding of half the kernel, by candle.
pub(crate) struct Convolution {
    /// `[out, in, kernel, kernel]`.
    weight: Tensor,
    bias: PerChannel,
    stride: usize,
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
        Ok(Self {
            weight: Tensor::from_vec(weight, (out, inputs, kernel, kernel), device)?,
            bias: PerChannel::new(bias, device)?,
            stride,
            activation,
        })
    }

    /// `[in, height, width]` to `[out, ceil(height / stride), ceil(width / stride)]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let pad = self.weight.dim(2)? / 2;
        let y = x.unsqueeze(0)?.conv2d(&self.weight, pad, self.stride, 1, 1)?.squeeze(0)?;
        bias_activation(y, &self.bias, self.activation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::ops::testing::{difference, noise};

    #[test]
    fn equals_candles_convolution() {
        let (x, w, b, skip) = (noise(&[6, 5, 4], 1), noise(&[3, 6], 2), noise(&[3], 3), noise(&[3, 5, 4], 4));
        let plain = x.unsqueeze(0).unwrap().conv2d(&w.reshape((3, 6, 1, 1)).unwrap(), 0, 1, 1, 1).unwrap();
        let plain = plain.squeeze(0).unwrap().broadcast_add(&b.reshape((3, 1, 1)).unwrap()).unwrap();
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let conv = Pointwise::new(flat(&w), flat(&b), Activation::None, &Device::Cpu).unwrap();
        assert!(difference(&conv.forward(&x).unwrap(), &plain) < 1e-5);
        assert!(difference(&conv.forward_add(&x, &skip).unwrap(), &(plain + skip).unwrap()) < 1e-5);
    }
}

//! Bias, activation and residual in one pass over a map that nobody else holds yet.

use super::{numbers, on_cpu, slice, slice_mut, vectorised};
use candle_core::{CpuStorage, InplaceOp1, InplaceOp2, Layout, Result, Tensor};
use rayon::prelude::*;
use std::sync::Arc;

/// What follows a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// Nothing.
    None,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// The exact (erf) GELU.
    Gelu,
}

impl Activation {
    /// One value; written so that the match is lifted out of loops.
    #[inline(always)]
    pub(super) fn apply(self, x: f32) -> f32 {
        match self {
            Self::None => x,
            Self::Relu6 => x.clamp(0.0, 6.0),
            Self::Gelu => numbers::gelu(x),
        }
    }

    /// On a whole tensor by candle's own operations.
    pub(super) fn apply_plain(self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::None => Ok(x.clone()),
            Self::Relu6 => x.clamp(0f32, 6f32),
            Self::Gelu => x.gelu_erf(),
        }
    }
}

/// A number for each channel, ready for slices and for tensors.
#[derive(Clone)]
pub(crate) struct PerChannel {
    pub(super) values: Arc<[f32]>,
    /// `[channels]` on the device.
    pub(super) tensor: Tensor,
}

impl PerChannel {
    pub(crate) fn new(values: Vec<f32>, device: &candle_core::Device) -> Result<Self> {
        let tensor = Tensor::from_slice(&values, values.len(), device)?;
        Ok(Self { values: values.into(), tensor })
    }

    /// The tensor shaped to broadcast over `[channels, ...]` of this rank.
    pub(super) fn broadcastable(&self, rank: usize) -> Result<Tensor> {
        let mut shape = vec![1; rank];
        shape[0] = self.values.len();
        self.tensor.reshape(shape)
    }
}

struct BiasActivation<'a> {
    bias: &'a [f32],
    activation: Activation,
}

impl InplaceOp1 for BiasActivation<'_> {
    fn name(&self) -> &'static str {
        "bias-activation"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let values = slice_mut(storage, layout)?;
        let channel_size = values.len() / self.bias.len();
        values.par_chunks_exact_mut(channel_size).zip(self.bias).for_each(|(channel, &bias)| {
            vectorised(
                #[inline(always)]
                || bias_channel(channel, bias, self.activation),
            );
        });
        Ok(())
    }
}

#[inline(always)]
fn bias_channel(channel: &mut [f32], bias: f32, activation: Activation) {
    match activation {
        Activation::None => channel.iter_mut().for_each(|v| *v += bias),
        Activation::Relu6 => channel.iter_mut().for_each(|v| *v = Activation::Relu6.apply(*v + bias)),
        Activation::Gelu => channel.iter_mut().for_each(|v| *v = Activation::Gelu.apply(*v + bias)),
    }
}

/// `activation(x + bias)`. `x` is `[channels, ...]`, contiguous and freshly made: on the CPU it is written in place.
pub(super) fn bias_activation(x: Tensor, bias: &PerChannel, activation: Activation) -> Result<Tensor> {
    if on_cpu(&x) {
        x.inplace_op1(&BiasActivation { bias: &bias.values, activation })?;
        return Ok(x);
    }
    bias_activation_plain(&x, bias, activation)
}

fn bias_activation_plain(x: &Tensor, bias: &PerChannel, activation: Activation) -> Result<Tensor> {
    activation.apply_plain(&x.broadcast_add(&bias.broadcastable(x.rank())?)?)
}

struct AddBias<'a> {
    bias: Option<&'a [f32]>,
}

impl InplaceOp2 for AddBias<'_> {
    fn name(&self) -> &'static str {
        "add-bias"
    }

    fn cpu_fwd(&self, to: &mut CpuStorage, to_layout: &Layout, from: &CpuStorage, from_layout: &Layout) -> Result<()> {
        let (to, from) = (slice_mut(to, to_layout)?, slice(from, from_layout)?);
        if to.len() != from.len() {
            return Err(candle_core::Error::Msg(format!("adding {} values to {}", from.len(), to.len())));
        }
        let channels = self.bias.map_or(rayon::current_num_threads().max(1), <[f32]>::len);
        let chunk = to.len().div_ceil(channels);
        to.par_chunks_mut(chunk).zip(from.par_chunks(chunk)).enumerate().for_each(|(channel, (to, from))| {
            let bias = self.bias.map_or(0.0, |bias| bias[channel]);
            vectorised(
                #[inline(always)]
                || add_channel(to, from, bias),
            );
        });
        Ok(())
    }
}

#[inline(always)]
fn add_channel(to: &mut [f32], from: &[f32], bias: f32) {
    for (to, from) in to.iter_mut().zip(from) {
        *to += from + bias;
    }
}

/// `x + other + bias` with `bias` per channel. `x` is freshly made: on the CPU it is written in place.
pub(super) fn add_with_bias(x: Tensor, other: &Tensor, bias: &PerChannel) -> Result<Tensor> {
    if on_cpu(&x) {
        x.inplace_op2(other, &AddBias { bias: Some(&bias.values) })?;
        return Ok(x);
    }
    (x + other)?.broadcast_add(&bias.broadcastable(other.rank())?)
}

/// `x + other`. `x` is freshly made: on the CPU it is written in place.
pub(crate) fn add_in_place(x: Tensor, other: &Tensor) -> Result<Tensor> {
    if on_cpu(&x) {
        x.inplace_op2(other, &AddBias { bias: None })?;
        return Ok(x);
    }
    x + other
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::ops::testing::{difference, noise};
    use candle_core::Device;

    #[test]
    fn in_place_equals_plain() {
        let bias = PerChannel::new(vec![0.5, -1.0, 2.0, 0.1, 0.0], &Device::Cpu).unwrap();
        for activation in [Activation::None, Activation::Relu6, Activation::Gelu] {
            let x = noise(&[5, 7, 9], 3).affine(4.0, 1.0).unwrap();
            let want = bias_activation_plain(&x, &bias, activation).unwrap();
            let got = bias_activation(x.copy().unwrap(), &bias, activation).unwrap();
            assert!(difference(&got, &want) < 3e-6, "{activation:?}: {}", difference(&got, &want));
        }
        let (x, y) = (noise(&[5, 63], 1), noise(&[5, 63], 2));
        let want = (&x + &y).unwrap();
        assert_eq!(difference(&add_in_place(x.copy().unwrap(), &y).unwrap(), &want), 0.0);
        let want = want.broadcast_add(&bias.broadcastable(2).unwrap()).unwrap();
        assert!(difference(&add_with_bias(x, &y, &bias).unwrap(), &want) < 1e-6);
        assert!(add_in_place(noise(&[4], 1), &noise(&[5], 1)).is_err());
    }
}

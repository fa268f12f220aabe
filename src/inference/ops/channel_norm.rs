//! Layer norm over the channels of a map, place by place, with an optional GELU behind it.

use super::pointwise::{Activation, PerChannel};
use super::{on_cpu, slice, vectorised};
use candle_core::{CpuStorage, CustomOp1, D, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Places whose sums are kept at a time.
const PLACES: usize = 64;

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
        if on_cpu(x) { x.apply_op1_no_bwd(self) } else { self.forward_plain(x) }
    }

    fn forward_plain(&self, x: &Tensor) -> Result<Tensor> {
        let rows = x.flatten_from(1)?.t()?;
        let centred = rows.broadcast_sub(&rows.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        let scaled = centred.broadcast_div(&(variance + f64::from(self.eps))?.sqrt()?)?;
        let y = scaled.broadcast_mul(&self.weight.tensor)?.broadcast_add(&self.bias.tensor)?;
        self.activation.apply_plain(&y.t()?.contiguous()?.reshape(x.shape())?)
    }
}

impl CustomOp1 for ChannelNorm {
    fn name(&self) -> &'static str {
        "channel-norm"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = slice(storage, layout)?;
        let places = x.len() / self.weight.values.len();
        let mut stats = vec![(0f32, 0f32); places];
        stats.par_chunks_mut(PLACES).enumerate().for_each(|(chunk, stats)| {
            vectorised(
                #[inline(always)]
                || chunk_stats(x, places, chunk * PLACES, self.eps, stats),
            );
        });
        let mut out = vec![0f32; x.len()];
        out.par_chunks_exact_mut(places).zip(x.par_chunks_exact(places)).enumerate().for_each(|(channel, (out, x))| {
            let (weight, bias) = (self.weight.values[channel], self.bias.values[channel]);
            vectorised(
                #[inline(always)]
                || normalise(x, &stats, weight, bias, self.activation, out),
            );
        });
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

/// Mean and reciprocal deviation of the places from `start`.
#[inline(always)]
fn chunk_stats(x: &[f32], places: usize, start: usize, eps: f32, stats: &mut [(f32, f32)]) {
    let (mut sums, mut squares) = ([0f32; PLACES], [0f32; PLACES]);
    let count = (x.len() / places) as f32;
    for channel in x.chunks_exact(places) {
        for (sum, value) in sums.iter_mut().zip(&channel[start..start + stats.len()]) {
            *sum += value;
        }
    }
    sums.iter_mut().for_each(|sum| *sum /= count);
    // A second pass over the differences: the variance of large values must not cancel.
    for channel in x.chunks_exact(places) {
        for ((square, mean), value) in squares.iter_mut().zip(&sums).zip(&channel[start..start + stats.len()]) {
            *square += (value - mean) * (value - mean);
        }
    }
    for (stat, (mean, square)) in stats.iter_mut().zip(sums.iter().zip(&squares)) {
        *stat = (*mean, 1.0 / (square / count + eps).sqrt());
    }
}

#[inline(always)]
fn normalise(x: &[f32], stats: &[(f32, f32)], weight: f32, bias: f32, activation: Activation, out: &mut [f32]) {
    let plain = |x: f32, &(mean, scale): &(f32, f32)| (x - mean) * scale * weight + bias;
    let places = out.iter_mut().zip(x.iter().zip(stats));
    match activation {
        Activation::None => places.for_each(|(to, (&x, stat))| *to = plain(x, stat)),
        other => places.for_each(|(to, (&x, stat))| *to = other.apply(plain(x, stat))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::ops::testing::{difference, noise};

    #[test]
    fn equals_the_plain_formula() {
        let flat = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for (shape, activation) in [([16, 9, 15], Activation::Gelu), ([128, 1, 3], Activation::None)] {
            let (weight, bias) = (flat(noise(&[shape[0]], 1)), flat(noise(&[shape[0]], 2)));
            let norm = ChannelNorm::new(weight, bias, 1e-6, activation, &Device::Cpu).unwrap();
            let x = noise(&shape, 3).affine(5.0, 30.0).unwrap();
            let off = difference(&norm.forward(&x).unwrap(), &norm.forward_plain(&x).unwrap());
            assert!(off < 2e-5, "{off}");
        }
    }
}

//! Depthwise convolution (one filter a channel) with bias and activation: direct, one channel a task.
//!
//! candle runs one convolution a group; this walks each padded channel once. A stride of 2 first splits columns into
//! even and odd ones, so that every inner loop reads neighbours.

use super::pointwise::{Activation, PerChannel};
use super::{on_cpu, slice, vectorised};
use candle_core::{CpuStorage, CustomOp1, Device, Layout, Result, Shape, Tensor};
use rayon::prelude::*;
use std::sync::Arc;

/// Output columns computed at a time, kept in registers over all taps.
const LANES: usize = 32;

/// A depthwise convolution with odd kernel side, padding of half the kernel, and stride 1 or 2.
#[derive(Clone)]
pub(crate) struct Depthwise {
    /// `[channels, kernel * kernel]`, row-major.
    weight: Arc<[f32]>,
    /// `[channels, 1, kernel, kernel]` on the device.
    weight_tensor: Tensor,
    bias: PerChannel,
    kernel: usize,
    stride: usize,
    activation: Activation,
}

impl Depthwise {
    /// `weight`: `[channels, 1, kernel, kernel]` row-major; `bias`: `[channels]`. Kernels of 3 and 5, strides of 1 and 2.
    pub(crate) fn new(
        weight: Vec<f32>,
        bias: Vec<f32>,
        kernel: usize,
        stride: usize,
        activation: Activation,
        device: &Device,
    ) -> Result<Self> {
        if !matches!((kernel, stride), (3 | 5, 1 | 2)) || weight.len() != bias.len() * kernel * kernel {
            return Err(candle_core::Error::Msg(format!(
                "no depthwise convolution of {kernel} x {kernel} by {stride}"
            )));
        }
        Ok(Self {
            weight_tensor: Tensor::from_slice(&weight, (bias.len(), 1, kernel, kernel), device)?,
            weight: weight.into(),
            bias: PerChannel::new(bias, device)?,
            kernel,
            stride,
            activation,
        })
    }

    /// `[channels, height, width]` to `[channels, ceil(height / stride), ceil(width / stride)]`.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if on_cpu(x) { x.apply_op1_no_bwd(self) } else { self.forward_plain(x) }
    }

    fn forward_plain(&self, x: &Tensor) -> Result<Tensor> {
        let channels = self.bias.values.len();
        let y = x.unsqueeze(0)?.conv2d(&self.weight_tensor, self.kernel / 2, self.stride, 1, channels)?.squeeze(0)?;
        self.activation.apply_plain(&y.broadcast_add(&self.bias.broadcastable(3)?)?)
    }
}

impl CustomOp1 for Depthwise {
    fn name(&self) -> &'static str {
        "depthwise"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (channels, height, width) = layout.shape().dims3()?;
        let x = slice(storage, layout)?;
        if channels != self.bias.values.len() {
            return Err(candle_core::Error::Msg(format!("{channels} channels, expected {}", self.bias.values.len())));
        }
        let geometry = Geometry { height, width, out: [height.div_ceil(self.stride), width.div_ceil(self.stride)] };
        let mut out = vec![0f32; channels * geometry.out[0] * geometry.out[1]];
        let taps = self.kernel * self.kernel;
        out.par_chunks_exact_mut(geometry.out[0] * geometry.out[1])
            .zip(x.par_chunks_exact(height * width))
            .enumerate()
            .for_each_init(Vec::new, |padded, (channel, (out, plane))| {
                let weight = &self.weight[channel * taps..][..taps];
                let bias = self.bias.values[channel];
                let activation = self.activation;
                vectorised(
                    #[inline(always)]
                    || match (self.kernel, self.stride) {
                        (3, 1) => channel_of::<3, 1>(plane, geometry, weight, bias, activation, padded, out),
                        (5, 1) => channel_of::<5, 1>(plane, geometry, weight, bias, activation, padded, out),
                        (3, _) => channel_of::<3, 2>(plane, geometry, weight, bias, activation, padded, out),
                        _ => channel_of::<5, 2>(plane, geometry, weight, bias, activation, padded, out),
                    },
                );
            });
        Ok((CpuStorage::F32(out), (channels, geometry.out[0], geometry.out[1]).into()))
    }
}

#[derive(Clone, Copy)]
struct Geometry {
    height: usize,
    width: usize,
    /// Rows and columns of the result.
    out: [usize; 2],
}

/// One channel. `padded` is scratch: the plane with zeros around, each row split into `STRIDE` interleaved parts.
#[inline(always)]
fn channel_of<const KERNEL: usize, const STRIDE: usize>(
    plane: &[f32],
    geometry: Geometry,
    weight: &[f32],
    bias: f32,
    activation: Activation,
    padded: &mut Vec<f32>,
    out: &mut [f32],
) {
    let pad = KERNEL / 2;
    let [out_rows, out_columns] = geometry.out;
    // Columns of one part: enough for whole chunks of LANES and the taps to their right.
    let part = out_columns.next_multiple_of(LANES) + KERNEL;
    let row_size = part * STRIDE;
    padded.clear();
    padded.resize((geometry.height + 2 * pad + STRIDE) * row_size, 0.0);
    for (y, row) in plane.chunks_exact(geometry.width).enumerate() {
        let to = &mut padded[(y + pad) * row_size..][..row_size];
        if STRIDE == 1 {
            to[pad..pad + row.len()].copy_from_slice(row);
        } else {
            for (x, &value) in row.iter().enumerate() {
                to[((x + pad) % STRIDE) * part + (x + pad) / STRIDE] = value;
            }
        }
    }
    for (y, out_row) in out.chunks_exact_mut(out_columns).enumerate().take(out_rows) {
        for (chunk, target) in out_row.chunks_mut(LANES).enumerate() {
            let mut sums = [bias; LANES];
            for ky in 0..KERNEL {
                let row = &padded[(y * STRIDE + ky) * row_size..][..row_size];
                for kx in 0..KERNEL {
                    let factor = weight[ky * KERNEL + kx];
                    let from = &row[(kx % STRIDE) * part + kx / STRIDE + chunk * LANES..][..LANES];
                    for (sum, value) in sums.iter_mut().zip(from) {
                        *sum += factor * value;
                    }
                }
            }
            for (to, sum) in target.iter_mut().zip(sums) {
                *to = activation.apply(sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::ops::testing::{difference, noise};

    #[test]
    fn equals_candles_grouped_convolution() {
        let flat = |t: Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        for kernel in [3, 5] {
            for stride in [1, 2] {
                for (height, width) in [(16, 16), (7, 45), (1, 3), (32, 33), (40, 2)] {
                    let activation = if width == 45 { Activation::Gelu } else { Activation::Relu6 };
                    let weight = flat(noise(&[3, kernel * kernel], 5));
                    let bias = flat(noise(&[3], 6));
                    let conv = Depthwise::new(weight, bias, kernel, stride, activation, &Device::Cpu).unwrap();
                    let x = noise(&[3, height, width], 7);
                    let (got, want) = (conv.forward(&x).unwrap(), conv.forward_plain(&x).unwrap());
                    let off = difference(&got, &want);
                    assert!(off < 1e-5, "{kernel} by {stride} on {height} x {width}: {off}");
                }
            }
        }
        assert!(Depthwise::new(vec![0.0; 49], vec![0.0], 7, 1, Activation::None, &Device::Cpu).is_err());
    }
}

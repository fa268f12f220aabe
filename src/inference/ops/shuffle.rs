//! Changing the size of maps: 2x2 blocks into channels and back, and bilinear upsampling.
//!
//! A convolution of kernel 2 and stride 2 is [`space_to_depth`] and a matrix product; its transpose is a matrix product
//! and [`spread_and_add`].

use super::pointwise::{Activation, PerChannel};
use super::{on_cpu, slice, vectorised};
use crate::raster::interpolate_bilinear;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, InplaceOp2, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

struct SpaceToDepth;

/// `[channels, height, width]` to `[channels * 4, height / 2, width / 2]`: channel `c * 4 + ky * 2 + kx` holds the
/// values of rows `2y + ky` and columns `2x + kx`. Sides are even.
pub(crate) fn space_to_depth(x: &Tensor) -> Result<Tensor> {
    if on_cpu(x) { x.apply_op1_no_bwd(&SpaceToDepth) } else { space_to_depth_plain(x) }
}

fn space_to_depth_plain(x: &Tensor) -> Result<Tensor> {
    let (channels, height, width) = x.dims3()?;
    x.reshape((channels, height / 2, 2, width / 2, 2))?.permute((0, 2, 4, 1, 3))?.contiguous()?.reshape((
        channels * 4,
        height / 2,
        width / 2,
    ))
}

impl CustomOp1 for SpaceToDepth {
    fn name(&self) -> &'static str {
        "space-to-depth"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (channels, height, width) = layout.shape().dims3()?;
        let x = slice(storage, layout)?;
        let (rows, columns) = (height / 2, width / 2);
        let mut out = vec![0f32; x.len()];
        out.par_chunks_exact_mut(height * width).zip(x.par_chunks_exact(height * width)).for_each(|(out, plane)| {
            for (part, out) in out.chunks_exact_mut(rows * columns).enumerate() {
                let (ky, kx) = (part / 2, part % 2);
                for (y, out) in out.chunks_exact_mut(columns).enumerate() {
                    let row = &plane[(2 * y + ky) * width..][..width];
                    for (to, pair) in out.iter_mut().zip(row.as_chunks::<2>().0) {
                        *to = pair[kx];
                    }
                }
            }
        });
        Ok((CpuStorage::F32(out), (channels * 4, rows, columns).into()))
    }
}

struct Spread<'a> {
    bias: &'a PerChannel,
    activation: Activation,
}

/// The other half of a transposed convolution of kernel 2 and stride 2, then a skip and an activation: `x` is
/// `[channels * 4, height, width]` (channel order of [`space_to_depth`]), the result
/// `activation(spread(x) + bias + skip)` of `skip`'s shape `[channels, 2 * height, 2 * width]`.
pub(crate) fn spread_and_add(x: &Tensor, bias: &PerChannel, skip: &Tensor, activation: Activation) -> Result<Tensor> {
    if on_cpu(x) {
        x.apply_op2_no_bwd(skip, &Spread { bias, activation })
    } else {
        spread_and_add_plain(x, bias, skip, activation)
    }
}

fn spread_and_add_plain(x: &Tensor, bias: &PerChannel, skip: &Tensor, activation: Activation) -> Result<Tensor> {
    let (channels, height, width) = x.dims3()?;
    let spread = x.reshape((channels / 4, 2, 2, height, width))?.permute((0, 3, 1, 4, 2))?.contiguous()?;
    let spread = spread.reshape((channels / 4, 2 * height, 2 * width))?;
    activation.apply_plain(&(spread.broadcast_add(&bias.broadcastable(3)?)? + skip)?)
}

impl CustomOp2 for Spread<'_> {
    fn name(&self) -> &'static str {
        "spread-and-add"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        skip: &CpuStorage,
        skip_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (channels, height, width) = x_layout.shape().dims3()?;
        if skip_layout.shape().dims3()? != (channels / 4, 2 * height, 2 * width) {
            return Err(candle_core::Error::Msg(format!("{x_layout:?} does not spread to {skip_layout:?}")));
        }
        let (x, skip) = (slice(x, x_layout)?, slice(skip, skip_layout)?);
        let each = 4 * height * width;
        let mut out = vec![0f32; x.len()];
        out.par_chunks_exact_mut(each)
            .zip(x.par_chunks_exact(each))
            .zip(skip.par_chunks_exact(each))
            .enumerate()
            .for_each(|(channel, ((out, x), skip))| {
                vectorised(
                    #[inline(always)]
                    || spread_channel(x, skip, (height, width), self.bias.values[channel], self.activation, out),
                );
            });
        Ok((CpuStorage::F32(out), skip_layout.shape().clone()))
    }
}

#[inline(always)]
fn spread_channel(
    x: &[f32],
    skip: &[f32],
    (height, width): (usize, usize),
    bias: f32,
    activation: Activation,
    out: &mut [f32],
) {
    let plane = height * width;
    for (y, (out, skip)) in out.chunks_exact_mut(2 * width).zip(skip.chunks_exact(2 * width)).enumerate() {
        let left = &x[(y % 2) * 2 * plane + (y / 2) * width..][..width];
        let right = &x[((y % 2) * 2 + 1) * plane + (y / 2) * width..][..width];
        for (to, (left, right)) in out.as_chunks_mut::<2>().0.iter_mut().zip(left.iter().zip(right)) {
            *to = [*left, *right];
        }
        // A second loop without interleaving, so that the activation runs on whole vectors.
        match activation {
            Activation::None => out.iter_mut().zip(skip).for_each(|(to, skip)| *to += bias + skip),
            other => out.iter_mut().zip(skip).for_each(|(to, skip)| *to = other.apply(*to + bias + skip)),
        }
    }
}

struct AddUpsampled;

/// `to + upsample(from)`, bilinear to the size of `to` with half-pixel centres (`align_corners=False`). Both are
/// `[channels, height, width]`; `to` is freshly made: on the CPU it is written in place.
pub(crate) fn add_upsampled(to: Tensor, from: &Tensor) -> Result<Tensor> {
    if on_cpu(&to) {
        to.inplace_op2(from, &AddUpsampled)?;
        return Ok(to);
    }
    add_upsampled_plain(&to, from)
}

fn add_upsampled_plain(to: &Tensor, from: &Tensor) -> Result<Tensor> {
    let (_, height, width) = to.dims3()?;
    to + from.unsqueeze(0)?.upsample_bilinear2d(height, width, false)?.squeeze(0)?
}

impl InplaceOp2 for AddUpsampled {
    fn name(&self) -> &'static str {
        "add-upsampled"
    }

    fn cpu_fwd(&self, to: &mut CpuStorage, to_layout: &Layout, from: &CpuStorage, from_layout: &Layout) -> Result<()> {
        let (_, height, width) = to_layout.shape().dims3()?;
        let (_, from_height, from_width) = from_layout.shape().dims3()?;
        let (to, from) = (super::slice_mut(to, to_layout)?, slice(from, from_layout)?);
        let size = |w: usize, h: usize| (w as u32, h as u32);
        to.par_chunks_exact_mut(height * width).zip(from.par_chunks_exact(from_height * from_width)).for_each(
            |(to, from)| {
                let full = interpolate_bilinear(from, size(from_width, from_height), size(width, height));
                to.iter_mut().zip(full).for_each(|(to, value)| *to += value);
            },
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::ops::testing::{difference, noise};
    use candle_core::Device;

    #[test]
    fn shuffles_equal_permutations() {
        let x = noise(&[3, 6, 10], 1);
        assert_eq!(difference(&space_to_depth(&x).unwrap(), &space_to_depth_plain(&x).unwrap()), 0.0);
        let (x, skip) = (noise(&[8, 5, 7], 2), noise(&[2, 10, 14], 3));
        let bias = PerChannel::new(vec![0.3, -0.7], &Device::Cpu).unwrap();
        for activation in [Activation::None, Activation::Gelu] {
            let got = spread_and_add(&x, &bias, &skip, activation).unwrap();
            assert!(difference(&got, &spread_and_add_plain(&x, &bias, &skip, activation).unwrap()) < 3e-6);
        }
        assert!(spread_and_add(&x, &bias, &x, Activation::None).is_err());
    }

    #[test]
    fn a_strided_convolution_is_a_shuffle_and_a_product() {
        let (x, weight) = (noise(&[3, 6, 4], 4), noise(&[5, 3, 2, 2], 5));
        let want = x.unsqueeze(0).unwrap().conv2d(&weight, 0, 2, 1, 1).unwrap().squeeze(0).unwrap();
        let product = weight.reshape((5, 12)).unwrap().matmul(&space_to_depth(&x).unwrap().flatten_from(1).unwrap());
        assert!(difference(&product.unwrap().reshape((5, 3, 2)).unwrap(), &want) < 1e-5);
    }

    #[test]
    fn upsampling_equals_candles() {
        let (to, from) = (noise(&[2, 16, 12], 6), noise(&[2, 8, 6], 7));
        let want = add_upsampled_plain(&to, &from).unwrap();
        assert!(difference(&add_upsampled(to, &from).unwrap(), &want) < 1e-5);
    }
}

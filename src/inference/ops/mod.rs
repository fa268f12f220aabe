//! Tensor operations that candle does slowly or not at all on the CPU: depthwise convolution, bias with activation,
//! norms over channels, softmaxes, 2x2 shuffles, bilinear upsampling.
//!
//! Feature maps are `[channels, height, width]` without a batch axis, so a 1x1 convolution is one matrix product and no
//! map is ever transposed. Invariant: every function has a plain candle path (`*_plain`), which other devices take, and
//! the fast CPU path is tested against it. Kernels are scalar loops over slices, compiled for several instruction
//! sets by `pulp` and chosen at run time; rayon spreads them over channels or rows.

mod channel_norm;
mod conv;
mod depthwise;
mod numbers;
mod pointwise;
mod shuffle;
mod softmax;

pub(crate) use channel_norm::ChannelNorm;
pub(crate) use conv::{Convolution, Pointwise};
pub(crate) use depthwise::Depthwise;
pub(crate) use pointwise::{Activation, PerChannel, add_in_place};
pub(crate) use shuffle::{add_upsampled, space_to_depth, spread_and_add};
pub(crate) use softmax::{softmax_over_last, softmax_over_middle};

use candle_core::{CpuStorage, Error, Layout, Result, Tensor};

/// Runs a kernel compiled for the best instruction set of this machine. The closure and all that it calls must be
/// `#[inline(always)]`: what is not inlined into the dispatched function is compiled for the oldest machine.
fn vectorised<R>(kernel: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(kernel)
}

/// Whether the fast paths apply.
fn on_cpu(tensor: &Tensor) -> bool {
    tensor.device().is_cpu()
}

/// The numbers of a contiguous f32 tensor.
fn slice<'s>(storage: &'s CpuStorage, layout: &Layout) -> Result<&'s [f32]> {
    let range = contiguous(layout)?;
    Ok(&storage.as_slice::<f32>()?[range])
}

/// The same for writing.
fn slice_mut<'s>(storage: &'s mut CpuStorage, layout: &Layout) -> Result<&'s mut [f32]> {
    let range = contiguous(layout)?;
    match storage {
        CpuStorage::F32(values) => Ok(&mut values[range]),
        _ => Err(Error::Msg("this operation wants f32".to_owned())),
    }
}

fn contiguous(layout: &Layout) -> Result<std::ops::Range<usize>> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(start..end),
        None => Err(Error::Msg(format!("this operation wants contiguous numbers, got {layout:?}"))),
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Deterministic tensors and a comparison, for the tests beside each operation.

    use candle_core::{Device, Tensor};

    /// Values in -2..2 that look random.
    pub(crate) fn noise(shape: &[usize], seed: u32) -> Tensor {
        let mut state = seed.wrapping_mul(747_796_405).wrapping_add(2_891_336_453);
        let values: Vec<f32> = (0..shape.iter().product::<usize>())
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as f32 / (1 << 22) as f32 - 2.0
            })
            .collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// Largest absolute difference; shapes must agree.
    pub(crate) fn difference(a: &Tensor, b: &Tensor) -> f32 {
        assert_eq!(a.dims(), b.dims());
        let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        flat(a).iter().zip(flat(b)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    }
}

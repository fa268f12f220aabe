//! Softmax over the last or over the middle axis of `[batch, middle, last]`.
//!
//! Attention from many places to a few tokens keeps the places in the last axis, so its softmax runs over the middle.

use super::{numbers, on_cpu, slice, vectorised};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use rayon::prelude::*;

/// Columns handled at a time by the middle softmax.
const COLUMNS: usize = 64;

struct Softmax {
    over_middle: bool,
}

/// Softmax over the last axis.
pub(crate) fn softmax_over_last(x: &Tensor) -> Result<Tensor> {
    if on_cpu(x) { x.apply_op1_no_bwd(&Softmax { over_middle: false }) } else { candle_nn::ops::softmax(x, 2) }
}

/// Softmax over the middle axis.
pub(crate) fn softmax_over_middle(x: &Tensor) -> Result<Tensor> {
    if on_cpu(x) { x.apply_op1_no_bwd(&Softmax { over_middle: true }) } else { candle_nn::ops::softmax(x, 1) }
}

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, middle, last) = layout.shape().dims3()?;
        let x = slice(storage, layout)?;
        let mut out = vec![0f32; x.len()];
        if self.over_middle {
            let each = middle * last;
            out.par_chunks_exact_mut(each).zip(x.par_chunks_exact(each)).for_each(|(out, x)| {
                vectorised(
                    #[inline(always)]
                    || {
                        for start in (0..last).step_by(COLUMNS) {
                            columns(x, last, start..(start + COLUMNS).min(last), out);
                        }
                    },
                );
            });
        } else {
            out.par_chunks_exact_mut(last).zip(x.par_chunks_exact(last)).for_each(|(out, x)| {
                vectorised(
                    #[inline(always)]
                    || row(x, out),
                );
            });
        }
        Ok((CpuStorage::F32(out), layout.shape().clone()))
    }
}

#[inline(always)]
fn row(x: &[f32], out: &mut [f32]) {
    // Sixteen running values instead of one: a single chain of maxima or sums would not vectorise.
    let mut highest = [f32::NEG_INFINITY; 16];
    for chunk in x.chunks(16) {
        for (high, value) in highest.iter_mut().zip(chunk) {
            *high = if *value > *high { *value } else { *high };
        }
    }
    let highest = highest.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0f32; 16];
    for (to, from) in out.chunks_mut(16).zip(x.chunks(16)) {
        for ((to, from), sum) in to.iter_mut().zip(from).zip(&mut sums) {
            *to = numbers::exp(from - highest);
            *sum += *to;
        }
    }
    let scale = 1.0 / sums.iter().sum::<f32>();
    out.iter_mut().for_each(|value| *value *= scale);
}

/// The columns of one `[middle, last]` matrix.
#[inline(always)]
fn columns(x: &[f32], last: usize, range: std::ops::Range<usize>, out: &mut [f32]) {
    let (mut highest, mut sums) = ([f32::NEG_INFINITY; COLUMNS], [0f32; COLUMNS]);
    for row in x.chunks_exact(last) {
        for (high, value) in highest.iter_mut().zip(&row[range.clone()]) {
            *high = if *value > *high { *value } else { *high };
        }
    }
    for (to, from) in out.chunks_exact_mut(last).zip(x.chunks_exact(last)) {
        let (to, from) = (&mut to[range.clone()], &from[range.clone()]);
        for (((to, from), high), sum) in to.iter_mut().zip(from).zip(&highest).zip(&mut sums) {
            *to = numbers::exp(from - high);
            *sum += *to;
        }
    }
    sums.iter_mut().for_each(|sum| *sum = 1.0 / *sum);
    for to in out.chunks_exact_mut(last) {
        for (to, scale) in to[range.clone()].iter_mut().zip(&sums) {
            *to *= scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::ops::testing::{difference, noise};

    #[test]
    fn equal_candles_softmax() {
        for shape in [[2, 9, 150], [3, 1, 7], [1, 12, 64]] {
            let x = noise(&shape, 9).affine(9.0, 2.0).unwrap();
            let want = candle_nn::ops::softmax(&x, 2).unwrap();
            assert!(difference(&softmax_over_last(&x).unwrap(), &want) < 1e-6);
            let want = candle_nn::ops::softmax(&x, 1).unwrap();
            assert!(difference(&softmax_over_middle(&x).unwrap(), &want) < 1e-6);
        }
    }
}

//! Layer norm of rows: over the channels of a token, or of a pixel (SAM's `LayerNorm2d`).
//!
//! Source: PyTorch's `nn.LayerNorm` (biased variance, epsilon inside the root). Mean and variance are taken in two
//! passes over a row that is in the first cache, so nothing cancels.

use super::isa::{Isa, Kernel};
use super::math::Activation;
use super::memory::Shared;
use super::pool::Pool;
use super::product::{Rows, RowsMut};
use super::simd::Simd;

/// Rows a task norms.
const ROWS_A_TASK: usize = 64;

/// A norm's weights.
pub struct LayerNorm {
    isa: Isa,
    weight: Box<[f32]>,
    bias: Box<[f32]>,
    epsilon: f32,
    activation: Activation,
}

impl LayerNorm {
    /// `weight` and `bias` have a value a channel; the activation follows the norm.
    pub fn new(isa: Isa, weight: &[f32], bias: &[f32], epsilon: f32, activation: Activation) -> Self {
        assert_eq!(weight.len(), bias.len());
        Self { isa, weight: weight.into(), bias: bias.into(), epsilon, activation }
    }

    /// Channels of a row.
    pub fn channels(&self) -> usize {
        self.weight.len()
    }

    /// `out[r] = activation(norm(x[r]))` for the first `count` rows.
    pub fn run(&self, pool: &Pool, count: usize, x: Rows<'_>, out: RowsMut<'_>) {
        x.check(count, self.channels());
        out.check(count, self.channels());
        let stride = out.stride;
        let out = Shared::new(out.values);
        self.spread(pool, count, &|row| {
            let (from, to) = (x.values[row * x.stride..].as_ptr(), out.at(row * stride));
            (from, to)
        });
    }

    /// The same in place.
    pub fn run_in_place(&self, pool: &Pool, count: usize, rows: RowsMut<'_>) {
        rows.check(count, self.channels());
        let stride = rows.stride;
        let rows = Shared::new(rows.values);
        self.spread(pool, count, &|row| (rows.at(row * stride).cast_const(), rows.at(row * stride)));
    }

    /// `place` gives where a row is read and written; the callers above checked that `channels` values are there.
    fn spread(&self, pool: &Pool, count: usize, place: &(dyn Fn(usize) -> (*const f32, *mut f32) + Sync)) {
        let each = if count * self.channels() < 8192 { count.max(1) } else { ROWS_A_TASK };
        pool.run(count.div_ceil(each), &|task| {
            for row in task * each..((task + 1) * each).min(count) {
                let (from, to) = place(row);
                // SAFETY: `channels` values are readable at `from` and writable at `to`, and each row has one task.
                unsafe { self.isa.run(NormRow { norm: self, from, to }) };
            }
        });
    }
}

struct NormRow<'a> {
    norm: &'a LayerNorm,
    from: *const f32,
    to: *mut f32,
}

impl Kernel for NormRow<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let count = self.norm.channels();
        let whole = count / S::LANES * S::LANES;
        let tail = count - whole;
        // SAFETY: the maker's promise: `channels` values at both places; partial accesses keep to them.
        unsafe {
            let (mut sum, mut sum2) = (S::splat(0.0), S::splat(0.0));
            let mut at = 0;
            while at + 2 * S::LANES <= whole {
                sum = S::add(sum, S::load(self.from.add(at)));
                sum2 = S::add(sum2, S::load(self.from.add(at + S::LANES)));
                at += 2 * S::LANES;
            }
            if at < whole {
                sum = S::add(sum, S::load(self.from.add(at)));
            }
            if tail > 0 {
                sum2 = S::add(sum2, S::load_partial(self.from.add(whole), tail));
            }
            let mean = S::sum(S::add(sum, sum2)) / count as f32;
            let centre = S::splat(-mean);
            let (mut square, mut square2) = (S::splat(0.0), S::splat(0.0));
            at = 0;
            while at + 2 * S::LANES <= whole {
                let a = S::add(S::load(self.from.add(at)), centre);
                let b = S::add(S::load(self.from.add(at + S::LANES)), centre);
                square = S::mul_add(a, a, square);
                square2 = S::mul_add(b, b, square2);
                at += 2 * S::LANES;
            }
            if at < whole {
                let a = S::add(S::load(self.from.add(at)), centre);
                square = S::mul_add(a, a, square);
            }
            let mut squares = S::sum(S::add(square, square2));
            for lane in whole..count {
                let off = *self.from.add(lane) - mean;
                squares += off * off;
            }
            let scale = S::splat(1.0 / (squares / count as f32 + self.norm.epsilon).sqrt());
            let (weight, bias) = (self.norm.weight.as_ptr(), self.norm.bias.as_ptr());
            for at in (0..whole).step_by(S::LANES) {
                let x = S::mul(S::add(S::load(self.from.add(at)), centre), scale);
                let y = S::mul_add(x, S::load(weight.add(at)), S::load(bias.add(at)));
                S::store(self.to.add(at), self.norm.activation.apply::<S>(y));
            }
            if tail > 0 {
                let x = S::mul(S::add(S::load_partial(self.from.add(whole), tail), centre), scale);
                let (w, b) = (S::load_partial(weight.add(whole), tail), S::load_partial(bias.add(whole), tail));
                S::store_partial(self.to.add(whole), tail, self.norm.activation.apply::<S>(S::mul_add(x, w, b)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::*;

    #[test]
    fn equals_the_formula_in_f64_on_every_machine() {
        for isa in Isa::all() {
            for (channels, stride) in [(1, 1), (3, 5), (16, 16), (31, 31), (33, 40), (64, 64), (257, 260)] {
                let rows = 70;
                let x = noise(rows * stride, channels as u32);
                let (weight, bias) = (noise(channels, 1), noise(channels, 2));
                let norm = LayerNorm::new(isa, &weight, &bias, 1e-5, Activation::Relu);
                let mut out = vec![7.0; rows * stride];
                norm.run(Pool::global(), rows, Rows { values: &x, stride }, RowsMut { values: &mut out, stride });
                let mut want = vec![7.0; rows * stride];
                for r in 0..rows {
                    let row: Vec<f64> = x[r * stride..][..channels].iter().map(|&v| f64::from(v)).collect();
                    let mean = row.iter().sum::<f64>() / channels as f64;
                    let variance = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / channels as f64;
                    for c in 0..channels {
                        let y = (row[c] - mean) / (variance + 1e-5).sqrt() * f64::from(weight[c]) + f64::from(bias[c]);
                        want[r * stride + c] = y.max(0.0) as f32;
                    }
                }
                assert_close(isa.word(), &out, &want, 3e-6);
                let mut x = x;
                norm.run_in_place(Pool::global(), rows, RowsMut { values: &mut x, stride });
                for r in 0..rows {
                    assert_eq!(x[r * stride..][..channels], out[r * stride..][..channels]);
                }
            }
        }
    }
}

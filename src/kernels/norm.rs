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

/// Rows that are normed together.
const TOGETHER: usize = 4;
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
            let end = ((task + 1) * each).min(count);
            let mut row = task * each;
            // SAFETY: `channels` values are readable at `from` and writable at `to`, and each row has one task.
            unsafe {
                while row + TOGETHER <= end {
                    let places: [_; TOGETHER] = std::array::from_fn(|r| place(row + r));
                    self.isa.run(NormRows { norm: self, from: places.map(|p| p.0), to: places.map(|p| p.1) });
                    row += TOGETHER;
                }
                for row in row..end {
                    let (from, to) = place(row);
                    self.isa.run(NormRows { norm: self, from: [from], to: [to] });
                }
            }
        });
    }
}

/// Some rows at once, because a row is a chain of steps that wait for each other.
struct NormRows<'a, const ROWS: usize> {
    norm: &'a LayerNorm,
    from: [*const f32; ROWS],
    to: [*mut f32; ROWS],
}

impl<const ROWS: usize> Kernel for NormRows<'_, ROWS> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let count = self.norm.channels();
        let whole = count / S::LANES * S::LANES;
        let tail = count - whole;
        let Self { from, to, .. } = self;
        // SAFETY: the maker's promise: `channels` values at all places; partial accesses keep to them.
        unsafe {
            let (mut sum, mut sum2) = ([S::splat(0.0); ROWS], [S::splat(0.0); ROWS]);
            let mut at = 0;
            while at + 2 * S::LANES <= whole {
                for r in 0..ROWS {
                    sum[r] = S::add(sum[r], S::load(from[r].add(at)));
                    sum2[r] = S::add(sum2[r], S::load(from[r].add(at + S::LANES)));
                }
                at += 2 * S::LANES;
            }
            let (mut mean, mut centre) = ([0.0; ROWS], [S::splat(0.0); ROWS]);
            for r in 0..ROWS {
                if at < whole {
                    sum[r] = S::add(sum[r], S::load(from[r].add(at)));
                }
                if tail > 0 {
                    sum2[r] = S::add(sum2[r], S::load_partial(from[r].add(whole), tail));
                }
                mean[r] = S::sum(S::add(sum[r], sum2[r])) / count as f32;
                centre[r] = S::splat(-mean[r]);
            }
            let (mut square, mut square2) = ([S::splat(0.0); ROWS], [S::splat(0.0); ROWS]);
            at = 0;
            while at + 2 * S::LANES <= whole {
                for r in 0..ROWS {
                    let a = S::add(S::load(from[r].add(at)), centre[r]);
                    let b = S::add(S::load(from[r].add(at + S::LANES)), centre[r]);
                    square[r] = S::mul_add(a, a, square[r]);
                    square2[r] = S::mul_add(b, b, square2[r]);
                }
                at += 2 * S::LANES;
            }
            let mut scale = [S::splat(0.0); ROWS];
            for r in 0..ROWS {
                if at < whole {
                    let a = S::add(S::load(from[r].add(at)), centre[r]);
                    square[r] = S::mul_add(a, a, square[r]);
                }
                let mut squares = S::sum(S::add(square[r], square2[r]));
                for lane in whole..count {
                    let off = *from[r].add(lane) - mean[r];
                    squares += off * off;
                }
                scale[r] = S::splat(1.0 / (squares / count as f32 + self.norm.epsilon).sqrt());
            }
            let (weight, bias) = (self.norm.weight.as_ptr(), self.norm.bias.as_ptr());
            for at in (0..whole).step_by(S::LANES) {
                let (w, b) = (S::load(weight.add(at)), S::load(bias.add(at)));
                for r in 0..ROWS {
                    let x = S::mul(S::add(S::load(from[r].add(at)), centre[r]), scale[r]);
                    S::store(to[r].add(at), self.norm.activation.apply::<S>(S::mul_add(x, w, b)));
                }
            }
            if tail > 0 {
                let (w, b) = (S::load_partial(weight.add(whole), tail), S::load_partial(bias.add(whole), tail));
                for r in 0..ROWS {
                    let x = S::mul(S::add(S::load_partial(from[r].add(whole), tail), centre[r]), scale[r]);
                    let y = self.norm.activation.apply::<S>(S::mul_add(x, w, b));
                    S::store_partial(to[r].add(whole), tail, y);
                }
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

//! Attention between a picture's cells and a few tokens, over the pool: the picture side of a block of SAM's two-way
//! transformer as one pass over its cells, a chunk at a time, so that a chunk's rows stay in the second cache.
//!
//! With so few tokens it is cheaper to fold the projections of the picture into the tokens than to project the picture:
//! `(x W) . q` is `x . (W q)`, and `sum p (x W)` is `(sum p x) W`. What the picture's positions add to a projection is
//! constant and given as rows.
//!
//! Invariant: chunks are cut by size alone and merged in order, so results do not depend on the number of threads.

use super::block::{Left, multiply};
use super::cross_attention::{CrossHeads, FewTokens};
use super::memory::{Aligned, Buffer, Shared};
use super::norm::LayerNorm;
use super::packed::Packed;
use super::product::{Linear, Rows, RowsMut, Start};
use super::{Activation, Cpu};

/// Cells of a chunk where rows are multiplied: a whole number of tiles of any height.
const CHUNK: usize = 96;
/// Cells of a chunk where keys and values are at hand.
const LOOK_CHUNK: usize = 256;

/// Scores between cells and tokens.
pub struct Meeting<'a> {
    /// The cells' keys or queries `[cells, inner]`, interleaved; without what `folded` adds.
    cells: Rows<'a>,
    tokens: FewTokens,
    /// `[channels, columns]`: the rest of the scores is the cells' rows times this.
    folded: Option<Aligned>,
}

impl<'a> Meeting<'a> {
    /// With the cells' whole keys or queries `[cells, inner]`; `tokens` `[count, inner]`, scaled, all interleaved.
    pub fn with_cells(heads: CrossHeads, cells: Rows<'a>, tokens: Rows<'_>, count: usize) -> Self {
        Self { cells, tokens: heads.few(tokens, count), folded: None }
    }

    /// With the weight `[channels, inner]` that makes keys or queries of the cells' rows, and `constant` `[cells, inner]`,
    /// which is added to them (bias and positions).
    pub fn with_weight(heads: CrossHeads, constant: Rows<'a>, weight: &[f32], tokens: Rows<'_>, count: usize) -> Self {
        let tokens = heads.few(tokens, count);
        let folded = heads.fold(weight, &tokens);
        Self { cells: constant, tokens, folded: Some(folded) }
    }

    /// Scores `[count, columns]` of the cells from `first` on, whose rows are `rows`.
    fn scores(&self, heads: CrossHeads, first: usize, count: usize, rows: Rows<'_>, channels: usize, out: &mut [f32]) {
        let Rows { values, stride } = self.cells;
        heads.scores(Rows { values: &values[first * stride..], stride }, count, &self.tokens, out);
        if let Some(folded) = &self.folded {
            let columns = self.tokens.columns;
            let folded = Rows::dense(folded, columns);
            let size = [count, channels, columns];
            multiply(heads.isa, size, (Left::Plain, rows), folded, Start::Output, RowsMut::dense(out, columns));
        }
    }
}

/// What the cells hear from tokens.
pub struct Hearing<'a> {
    /// Scores of the cells' queries and the tokens' keys.
    pub meeting: Meeting<'a>,
    /// What each token says in each head, `[tokens * heads, channels]` with rows in the order of the columns
    /// ([`HeadsOut`]).
    pub messages: Rows<'a>,
    /// Follows the sum.
    pub norm: &'a LayerNorm,
}

/// One block's work on the picture: hear the tokens, norm, and be looked at by the next tokens.
pub struct PicturePass<'a> {
    /// How channels are divided.
    pub heads: CrossHeads,
    /// First.
    pub hears: Hearing<'a>,
    /// Then: scores of the next tokens' queries and the new cells' keys.
    pub looks: Meeting<'a>,
}

impl PicturePass<'_> {
    /// `after = norm(before + messages heard)`, where `before` `None` means `after` itself. The result is what each token
    /// and head sees: the new rows in its mixture, `[tokens * heads, channels]`, for [`HeadsIn`].
    pub fn run(&self, cpu: &Cpu, cells: usize, before: Option<Rows<'_>>, after: RowsMut<'_>) -> Buffer {
        let (heads, Hearing { meeting, messages, norm }) = (self.heads, &self.hears);
        let channels = norm.channels();
        after.check(cells, channels);
        let spoken = meeting.tokens.tokens * heads.count;
        messages.check(spoken, channels);
        let columns = meeting.tokens.columns;
        let stride = after.stride;
        let after_len = after.values.len();
        let after = Shared::new(after.values);
        let looks = &self.looks;
        mixtures(cpu, heads, looks, cells, channels, &|first, count, part| {
            let len = (count * stride).min(after_len - first * stride);
            // SAFETY: each task has its own rows.
            let rows = unsafe { after.part(first * stride, len) };
            let mut scores = cpu.arena.take(count * columns);
            let now = match before {
                Some(before) => before.from_row(first),
                None => Rows { values: rows, stride },
            };
            meeting.scores(heads, first, count, now, channels, &mut scores);
            heads.softmax_over_tokens(&mut scores, columns);
            let weights = Rows { values: &scores, stride: columns };
            let start = match before {
                Some(before) => Start::Other(before.from_row(first)),
                None => Start::Output,
            };
            let size = [count, spoken, channels];
            let out = RowsMut { values: rows, stride };
            multiply(heads.isa, size, (Left::Plain, weights), *messages, start, out);
            norm.run_in_place(cpu.pool, count, RowsMut { values: rows, stride });
            see(cpu, heads, looks, [first, count, channels], Rows { values: rows, stride }, part);
        })
    }
}

/// Tokens look at the rows of the picture themselves: what each token and head sees, `[tokens * heads, channels]`, for
/// [`HeadsIn`]. `looks` holds the weight of the keys.
pub fn look_at_rows(
    cpu: &Cpu,
    heads: CrossHeads,
    looks: &Meeting<'_>,
    rows: Rows<'_>,
    cells: usize,
    channels: usize,
) -> Buffer {
    rows.check(cells, channels);
    mixtures(cpu, heads, looks, cells, channels, &|first, count, part| {
        see(cpu, heads, looks, [first, count, channels], rows.from_row(first), part);
    })
}

/// What tokens see of the cells of one chunk, `place` = first cell, cells, channels, whose rows are `rows`.
fn see(cpu: &Cpu, heads: CrossHeads, looks: &Meeting<'_>, place: [usize; 3], rows: Rows<'_>, part: Part<'_>) {
    let [first, count, channels] = place;
    let (seen, columns) = (looks.tokens.tokens * heads.count, looks.tokens.columns);
    let mut scores = cpu.arena.take(count * columns);
    looks.scores(heads, first, count, rows, channels, &mut scores);
    heads.exp_over_rows(&mut scores, part.most, part.sum);
    let weights = Rows { values: &scores, stride: columns };
    let out = RowsMut::dense(part.seen, channels);
    multiply(heads.isa, [seen, count, channels], (Left::Transposed, weights), rows, Start::Zero, out);
}

/// Lets `work` (first cell, cells, what they show) see all chunks of a picture, and adds up what it saw.
fn mixtures(
    cpu: &Cpu,
    heads: CrossHeads,
    looks: &Meeting<'_>,
    cells: usize,
    channels: usize,
    work: &(dyn Fn(usize, usize, Part<'_>) + Sync),
) -> Buffer {
    let seen = looks.tokens.tokens * heads.count;
    let chunks = cells.div_ceil(CHUNK);
    let mut parts = Parts::new(cpu, chunks, looks.tokens.columns, seen * channels);
    let shared = parts.shared();
    cpu.pool.run(chunks, &|chunk| {
        let first = chunk * CHUNK;
        // SAFETY: each task has its own part.
        work(first, CHUNK.min(cells - first), unsafe { shared.part(chunk) });
    });
    parts.factors();
    let mut merged = cpu.arena.take(seen * channels);
    for (row, to) in merged.chunks_exact_mut(channels).enumerate() {
        // The chunks' factors times what they saw.
        let stride = parts.width();
        let factors = Rows { values: &parts.values[row..], stride };
        let seen = Rows { values: &parts.values[2 * parts.columns + row * channels..], stride };
        let size = [1, chunks, channels];
        multiply(heads.isa, size, (Left::Transposed, factors), seen, Start::Zero, RowsMut::dense(to, channels));
    }
    merged
}

/// Tokens look at rows whose keys and values are at hand, and at each other: `out[t] = softmax(q k^T) v` for each head,
/// all interleaved; `out` `[tokens, inner]`. `look` holds the keys.
pub fn look(cpu: &Cpu, heads: CrossHeads, look: &Meeting<'_>, values: Rows<'_>, count: usize, out: RowsMut<'_>) {
    assert!(look.folded.is_none(), "the keys are at hand");
    let columns = look.tokens.columns;
    let chunks = count.div_ceil(LOOK_CHUNK);
    let mut parts = Parts::new(cpu, chunks, columns, heads.depth * columns);
    let shared = parts.shared();
    cpu.pool.run(chunks, &|chunk| {
        let first = chunk * LOOK_CHUNK;
        let count = LOOK_CHUNK.min(count - first);
        // SAFETY: each task has its own part.
        let part = unsafe { shared.part(chunk) };
        let mut scores = cpu.arena.take(count * columns);
        look.scores(heads, first, count, Rows::dense(&[], 0), 0, &mut scores);
        heads.exp_over_rows(&mut scores, part.most, part.sum);
        let values = Rows { values: &values.values[first * values.stride..], stride: values.stride };
        heads.weigh(&scores, columns, values, count, part.seen);
    });
    parts.factors();
    let tokens = look.tokens.tokens;
    out.check(tokens, heads.inner());
    for token in 0..tokens {
        let to = &mut out.values[token * out.stride..][..heads.inner()];
        to.fill(0.0);
        for chunk in 0..chunks {
            let factors = &parts.factors_of(chunk)[token * heads.count..][..heads.count];
            let seen = parts.seen(chunk);
            for (d, to) in to.chunks_exact_mut(heads.count).enumerate() {
                let from = &seen[d * columns + token * heads.count..][..heads.count];
                for ((to, from), factor) in to.iter_mut().zip(from).zip(factors) {
                    *to += from * factor;
                }
            }
        }
    }
}

/// What the chunks saw, each with its own largest scores and sums.
struct Parts {
    values: Buffer,
    chunks: usize,
    columns: usize,
    seen: usize,
}

struct Part<'a> {
    most: &'a mut [f32],
    sum: &'a mut [f32],
    seen: &'a mut [f32],
}

#[derive(Clone, Copy)]
struct SharedParts<'a> {
    values: Shared<'a>,
    columns: usize,
    seen: usize,
}

impl Parts {
    fn new(cpu: &Cpu, chunks: usize, columns: usize, seen: usize) -> Self {
        Self { values: cpu.arena.take(chunks * (2 * columns + seen)), chunks, columns, seen }
    }

    fn shared(&mut self) -> SharedParts<'_> {
        SharedParts { values: Shared::new(&mut self.values), columns: self.columns, seen: self.seen }
    }

    fn width(&self) -> usize {
        2 * self.columns + self.seen
    }

    /// Turns each chunk's largest scores into the factors with which the chunks add up.
    fn factors(&mut self) {
        let (width, columns) = (self.width(), self.columns);
        for column in 0..columns {
            let most = (0..self.chunks).map(|c| self.values[c * width + column]).fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for part in self.values.chunks_exact_mut(width) {
                part[column] = (part[column] - most).exp();
                sum += part[column] * part[columns + column];
            }
            for part in self.values.chunks_exact_mut(width) {
                part[column] /= sum;
            }
        }
    }

    fn factors_of(&self, chunk: usize) -> &[f32] {
        &self.values[chunk * self.width()..][..self.columns]
    }

    fn seen(&self, chunk: usize) -> &[f32] {
        &self.values[chunk * self.width() + 2 * self.columns..][..self.seen]
    }
}

impl<'a> SharedParts<'a> {
    /// # Safety
    /// One task a chunk.
    unsafe fn part(self, chunk: usize) -> Part<'a> {
        let width = 2 * self.columns + self.seen;
        // SAFETY: the caller's promise.
        let part = unsafe { self.values.part(chunk * width, width) };
        let (most, rest) = part.split_at_mut(self.columns);
        let (sum, seen) = rest.split_at_mut(self.columns);
        Part { most, sum, seen }
    }
}

/// The projection of what tokens saw: `sum p (x W) = (sum p x) W`, head by head.
pub struct HeadsIn {
    heads: CrossHeads,
    channels: usize,
    linear: Vec<Linear>,
}

impl HeadsIn {
    /// From PyTorch's weight `[inner, channels]` and bias `[inner]`.
    pub fn new(heads: CrossHeads, weight: &[f32], bias: &[f32], channels: usize) -> Self {
        let depth = heads.depth;
        let linear = (0..heads.count).map(|head| {
            let weight = &weight[head * depth * channels..][..depth * channels];
            let packed = Packed::from_linear(heads.isa, weight, depth, channels);
            Linear::new(packed, Some(&bias[head * depth..][..depth]), Activation::None)
        });
        Self { heads, channels, linear: linear.collect() }
    }

    /// `seen` `[tokens * heads, channels]` to `out` `[tokens, inner]`, in the usual order (head by head).
    pub fn run(&self, cpu: &Cpu, tokens: usize, seen: &[f32], out: &mut [f32]) {
        let (channels, inner) = (self.channels, self.heads.inner());
        for (head, linear) in self.linear.iter().enumerate() {
            let rows = Rows { values: &seen[head * channels..], stride: self.heads.count * channels };
            let out = RowsMut { values: &mut out[head * self.heads.depth..], stride: inner };
            linear.run(cpu.pool, tokens, rows, Start::Zero, out);
        }
    }
}

/// The projection of what tokens say: `(sum p v) W = sum p (v W)`, head by head, so that the picture adds up finished rows.
pub struct HeadsOut {
    heads: CrossHeads,
    channels: usize,
    linear: Vec<Linear>,
}

impl HeadsOut {
    /// From PyTorch's weight `[channels, inner]` and bias `[channels]`.
    pub fn new(heads: CrossHeads, weight: &[f32], bias: &[f32], channels: usize) -> Self {
        let (depth, inner) = (heads.depth, heads.inner());
        assert_eq!((weight.len(), bias.len()), (channels * inner, channels));
        let linear = (0..heads.count).map(|head| {
            let packed =
                Packed::new(heads.isa, depth, channels, |d, channel| weight[channel * inner + head * depth + d]);
            // A head's weights sum to 1, so the bias comes once with the first.
            Linear::new(packed, (head == 0).then_some(bias), Activation::None)
        });
        Self { heads, channels, linear: linear.collect() }
    }

    /// Heads that speak for each token.
    pub fn heads(&self) -> usize {
        self.heads.count
    }

    /// `values` `[tokens, inner]` in the usual order to messages `[tokens * heads, channels]`, with `stride` from one to
    /// the next in `out`.
    pub fn run(&self, cpu: &Cpu, tokens: usize, values: &[f32], out: &mut [f32], stride: usize) {
        assert!(stride >= self.channels);
        let (depth, inner) = (self.heads.depth, self.heads.inner());
        for (head, linear) in self.linear.iter().enumerate() {
            let rows = Rows { values: &values[head * depth..], stride: inner };
            let out = RowsMut { values: &mut out[head * stride..], stride: self.heads.count * stride };
            linear.run(cpu.pool, tokens, rows, Start::Zero, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::super::{Isa, Pool};
    use super::*;

    /// `x W^T + b` in f64, `W` `[outputs, inputs]`.
    fn project(x: &[f64], weight: &[f32], bias: &[f32]) -> Vec<f64> {
        let inputs = weight.len() / bias.len();
        let row = |x: &[f64], o: usize| -> f64 {
            f64::from(bias[o]) + (0..inputs).map(|i| x[i] * f64::from(weight[o * inputs + i])).sum::<f64>()
        };
        x.chunks_exact(inputs).flat_map(|x| (0..bias.len()).map(move |o| row(x, o))).collect()
    }

    /// Attention by the definition, channels head by head.
    fn attend(q: &[f64], k: &[f64], v: &[f64], heads: usize, depth: usize) -> Vec<f64> {
        let inner = heads * depth;
        let mut out = vec![0.0; q.len()];
        for (q, out) in q.chunks_exact(inner).zip(out.chunks_exact_mut(inner)) {
            for head in (0..inner).step_by(depth) {
                let score = |k: &[f64]| (head..head + depth).map(|c| q[c] * k[c]).sum::<f64>();
                let scores: Vec<f64> = k.chunks_exact(inner).map(score).collect();
                let most = scores.iter().copied().fold(f64::MIN, f64::max);
                let sum: f64 = scores.iter().map(|s| (s - most).exp()).sum();
                for (v, score) in v.chunks_exact(inner).zip(&scores) {
                    (head..head + depth).for_each(|c| out[c] += (score - most).exp() / sum * v[c]);
                }
            }
        }
        out
    }

    fn wide(values: &[f32]) -> Vec<f64> {
        values.iter().map(|&v| f64::from(v)).collect()
    }

    fn narrow(values: &[f64]) -> Vec<f32> {
        values.iter().map(|&v| v as f32).collect()
    }

    /// Rows of `inner` channels, head by head, to interleaved ones.
    fn interleave(heads: CrossHeads, rows: &[f32]) -> Vec<f32> {
        let inner = heads.inner();
        rows.chunks_exact(inner).flat_map(|row| (0..inner).map(|c| row[heads.interleaved(c)])).collect()
    }

    #[test]
    fn a_look_is_attention_on_every_machine() {
        for isa in Isa::all() {
            let cpu = Cpu { isa, ..Cpu::new() };
            for (count, depth, tokens, cells) in [(8, 16, 7, 300), (8, 32, 12, 12), (4, 16, 7, 513), (16, 5, 1, 1)] {
                let heads = CrossHeads::new(isa, count, depth);
                let inner = heads.inner();
                let (q, k, v) = (noise(tokens * inner, 1), noise(cells * inner, 2), noise(cells * inner, 3));
                let (qi, ki, vi) = (interleave(heads, &q), interleave(heads, &k), interleave(heads, &v));
                let meeting = Meeting::with_cells(heads, Rows::dense(&ki, inner), Rows::dense(&qi, inner), tokens);
                let mut out = vec![0.0; tokens * inner];
                look(&cpu, heads, &meeting, Rows::dense(&vi, inner), cells, RowsMut::dense(&mut out, inner));
                let want = narrow(&attend(&wide(&q), &wide(&k), &wide(&v), count, depth));
                assert_close(isa.word(), &out, &interleave(heads, &want), 2e-5);
            }
        }
    }

    #[test]
    fn a_pass_is_two_attentions_and_a_norm_on_every_machine() {
        for isa in Isa::all() {
            let cpu = Cpu { isa, ..Cpu::new() };
            for (count, depth, channels, cells, tokens) in [(8, 16, 64, 230, 7), (4, 16, 32, 97, 9), (8, 4, 16, 5, 1)] {
                let heads = CrossHeads::new(isa, count, depth);
                let inner = heads.inner();
                let part = |size: usize, seed: u32| -> Vec<f32> { noise(size, seed).iter().map(|v| 0.2 * v).collect() };
                let (weight, bias) = (|seed| part(inner * channels, seed), |size, seed| part(size, seed));
                let [wq, wk, wv, wo] = [weight(1), weight(2), weight(3), weight(4)];
                let [bq, bk, bv, bo] = [bias(inner, 5), bias(inner, 6), bias(inner, 7), bias(channels, 8)];
                let before = noise(cells * channels, 9);
                // Tokens' keys and values for the picture, then queries of the next tokens.
                let [tk, tv, tq] = [noise(tokens * inner, 10), noise(tokens * inner, 11), noise(tokens * inner, 12)];
                let (gamma, beta) = (noise(channels, 13), noise(channels, 14));
                let norm = LayerNorm::new(isa, &gamma, &beta, 1e-5, Activation::None);

                let stride = channels + 16;
                let mut messages = vec![0.0; tokens * count * stride];
                HeadsOut::new(heads, &wo, &bo, channels).run(&cpu, tokens, &tv, &mut messages, stride);
                // `[inner, channels]` to `[channels, inner]`, interleaved.
                let turned = |w: &[f32]| -> Vec<f32> {
                    let at = |i: usize| w[heads.interleaved(i % inner) * channels + i / inner];
                    (0..w.len()).map(at).collect()
                };
                let (constant_q, constant_k) =
                    (interleave(heads, &bq).repeat(cells), interleave(heads, &bk).repeat(cells));
                let (tk_few, tq_few) = (interleave(heads, &tk), interleave(heads, &tq));
                let meet = |constant: &'static [f32], w: &[f32], few: &[f32]| {
                    let constant = Rows::dense(constant, inner);
                    Meeting::with_weight(heads, constant, &turned(w), Rows::dense(few, inner), tokens)
                };
                let pass = PicturePass {
                    heads,
                    hears: Hearing {
                        meeting: meet(constant_q.leak(), &wq, &tk_few),
                        messages: Rows { values: &messages, stride },
                        norm: &norm,
                    },
                    looks: meet(constant_k.leak(), &wk, &tq_few),
                };
                let mut after = vec![0.0; cells * stride];
                let rows = Rows::dense(&before, channels);
                let seen = pass.run(&cpu, cells, Some(rows), RowsMut { values: &mut after, stride });
                let mut looked = vec![0.0; tokens * inner];
                HeadsIn::new(heads, &wv, &bv, channels).run(&cpu, tokens, &seen, &mut looked);

                let heard = attend(&project(&wide(&before), &wq, &bq), &wide(&tk), &wide(&tv), count, depth);
                let heard = project(&heard, &wo, &bo);
                let mut want: Vec<f32> = before.iter().zip(&heard).map(|(b, h)| b + *h as f32).collect();
                norm.run_in_place(Pool::global(), cells, RowsMut::dense(&mut want, channels));
                for (got, want) in after.chunks(stride).zip(want.chunks(channels)) {
                    assert_close(isa.word(), &got[..channels], want, 1e-4);
                }
                let rows = wide(&want);
                let want = attend(&wide(&tq), &project(&rows, &wk, &bk), &project(&rows, &wv, &bv), count, depth);
                assert_close(isa.word(), &looked, &narrow(&want), 1e-4);

                // A look without hearing sees the same rows the same way.
                let after_rows = Rows { values: &after, stride };
                assert_eq!(*look_at_rows(&cpu, heads, &pass.looks, after_rows, cells, channels), *seen);

                // In place, the same.
                let mut again: Vec<f32> = vec![0.0; cells * stride];
                for (to, from) in again.chunks_mut(stride).zip(before.chunks(channels)) {
                    to[..channels].copy_from_slice(from);
                }
                let seen_again = pass.run(&cpu, cells, None, RowsMut { values: &mut again, stride });
                assert_eq!((&again, &*seen_again), (&after, &*seen));
            }
        }
    }

    #[test]
    fn nan_in_a_cell_reaches_the_tokens_and_no_other_cell() {
        let cpu = Cpu::new();
        let heads = CrossHeads::new(cpu.isa, 8, 4);
        let (channels, cells, tokens) = (16, 40, 7);
        let (weight, norm) = (noise(channels * 32, 1), noise(channels, 2));
        let norm = LayerNorm::new(cpu.isa, &norm, &norm, 1e-5, Activation::None);
        let (few, messages) = (noise(tokens * 32, 3), noise(tokens * 8 * channels, 4));
        let constant = noise(cells * 32, 5);
        let meet = || {
            let constant = Rows::dense(&constant, 32);
            Meeting::with_weight(heads, constant, &weight, Rows::dense(&few, 32), tokens)
        };
        let messages = Rows::dense(&messages, channels);
        let pass = PicturePass { heads, hears: Hearing { meeting: meet(), messages, norm: &norm }, looks: meet() };
        let mut rows = noise(cells * channels, 6);
        rows[5 * channels + 3] = f32::NAN;
        let seen = pass.run(&cpu, cells, None, RowsMut::dense(&mut rows, channels));
        for (cell, row) in rows.chunks(channels).enumerate() {
            assert_eq!(row.iter().all(|v| v.is_nan()), cell == 5);
            assert_eq!(row.iter().all(|v| v.is_finite()), cell != 5);
        }
        assert!(seen.iter().all(|v| v.is_nan()));
    }
}

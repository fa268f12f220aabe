//! Attention between the many rows of a picture and a few tokens, in pieces that a task applies to its own rows.
//!
//! Scores are a product of the rows with a matrix made of the tokens ([`per_head`]), one column for each head and token.
//! Tokens that look at the picture take a softmax down each column ([`column_softmax`], partial results merged by
//! [`Partial`]); the picture looking at tokens takes one along each head's columns ([`row_softmax`]). Nothing is
//! transposed. Invariant: pieces are merged in a fixed order, so results do not depend on the number of threads.

use super::isa::{Isa, Kernel};
use super::math;
use super::memory::volume;
use super::packed::Packed;
use super::simd::Simd;

/// A score that no softmax sees: its exponential vanishes beside any other.
pub const NEVER: f32 = -1e30;

/// The matrix `[heads * depth, heads * slots]` that turns rows into scores: column `head * slots + token` holds
/// `scale * tokens[token][head * depth..]` in that head's rows, and zeros elsewhere. `slots >= count`; the columns of
/// slots without a token are zero.
pub fn per_head(isa: Isa, tokens: &[f32], count: usize, heads: usize, slots: usize, scale: f32) -> Packed {
    let width = tokens.len().checked_div(count).unwrap_or(0);
    let depth = width / heads;
    assert!(slots >= count && depth * heads == width && width * count == tokens.len());
    Packed::new(isa, width, heads * slots, |row, column| {
        let (head, token) = (column / slots, column % slots);
        if token < count && row / depth == head { tokens[token * width + row] * scale } else { 0.0 }
    })
}

/// What some rows of the picture say to the tokens: for each column (head and token) the largest score, the sum of
/// exponentials and the weighted sum of the rows' values.
pub struct Partial<'a> {
    /// `columns * (2 + depth)` values: maxima, sums, then the values column by column.
    pub values: &'a mut [f32],
    /// Heads times tokens.
    pub columns: usize,
    /// Values of a head.
    pub depth: usize,
}

impl Partial<'_> {
    /// Values needed.
    pub fn len(columns: usize, depth: usize) -> usize {
        columns * (2 + depth)
    }
}

/// The softmax of some rows' scores down each column, and the rows' values weighted with it.
///
/// # Shapes
/// `scores` `[rows, columns]`, column `head * tokens + token`; overwritten. `values`: rows of `heads * depth` values every
/// `stride`.
pub fn column_softmax(
    isa: Isa,
    scores: &mut [f32],
    rows: usize,
    tokens: usize,
    values: &[f32],
    stride: usize,
    partial: Partial<'_>,
) {
    let Partial { values: out, columns, depth } = partial;
    assert!(rows > 0 && tokens > 0 && columns.is_multiple_of(tokens));
    let heads = columns / tokens;
    let needed = volume([rows - 1, stride]).saturating_add(volume([heads, depth]));
    assert!(scores.len() >= volume([rows, columns]) && values.len() >= needed);
    assert_eq!(out.len(), Partial::len(columns, depth));
    let (head, sums) = out.split_at_mut(2 * columns);
    let work = ColumnSoftmax { scores, rows, columns, head };
    // SAFETY: the kernel keeps to `rows * columns` scores and `2 * columns` values.
    unsafe { isa.run(work) };
    for index in 0..heads {
        let weighted = WeightedSum {
            weights: &scores[index * tokens..],
            columns,
            tokens,
            rows,
            values: &values[index * depth..],
            stride,
            out: &mut sums[index * tokens * depth..][..tokens * depth],
            depth,
        };
        // SAFETY: row `r` reads `tokens` weights at `r * columns` and `depth` values at `r * stride`, which the checks
        // above have seen, and `out` holds `tokens * depth` values.
        unsafe { isa.run(weighted) };
    }
}

struct ColumnSoftmax<'a> {
    scores: &'a mut [f32],
    rows: usize,
    columns: usize,
    /// Maxima, then sums.
    head: &'a mut [f32],
}

impl Kernel for ColumnSoftmax<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { scores, rows, columns, head } = self;
        let scores = scores.as_mut_ptr();
        for at in (0..columns).step_by(S::LANES) {
            let lanes = S::LANES.min(columns - at);
            // SAFETY: the maker's promise; partial accesses keep to `columns`.
            unsafe {
                let mut largest = S::load_partial(scores.add(at), lanes);
                for row in 1..rows {
                    largest = S::max(largest, S::load_partial(scores.add(row * columns + at), lanes));
                }
                let mut sum = S::splat(0.0);
                for row in 0..rows {
                    let place = scores.add(row * columns + at);
                    let weight = math::exp::<S>(S::sub(S::load_partial(place, lanes), largest));
                    S::store_partial(place, lanes, weight);
                    sum = S::add(sum, weight);
                }
                S::store_partial(head.as_mut_ptr().add(at), lanes, largest);
                S::store_partial(head.as_mut_ptr().add(columns + at), lanes, sum);
            }
        }
    }
}

/// `out[token] = sum over rows of weights[row][token] * values[row]`.
struct WeightedSum<'a> {
    weights: &'a [f32],
    columns: usize,
    tokens: usize,
    rows: usize,
    values: &'a [f32],
    stride: usize,
    out: &'a mut [f32],
    depth: usize,
}

impl Kernel for WeightedSum<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        let mut token = 0;
        while token < self.tokens {
            let together = (self.tokens - token).min(8);
            for at in (0..self.depth).step_by(S::LANES) {
                let lanes = S::LANES.min(self.depth - at);
                // SAFETY: the maker's promise; `together` tokens are there.
                unsafe {
                    if together == 8 {
                        self.sum::<S, 8>(token, at, lanes);
                    } else if together >= 4 {
                        self.sum::<S, 4>(token, at, lanes);
                    } else {
                        self.sum::<S, 1>(token, at, lanes);
                    }
                }
            }
            token += match together {
                8 => 8,
                4.. => 4,
                _ => 1,
            };
        }
    }
}

impl WeightedSum<'_> {
    /// # Safety
    /// `TOKENS` tokens from `token` on and `lanes` values from `at` on are there.
    #[inline(always)]
    unsafe fn sum<S: Simd, const TOKENS: usize>(&mut self, token: usize, at: usize, lanes: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut sums = [S::splat(0.0); TOKENS];
            let mut weights = self.weights.as_ptr().add(token);
            let mut values = self.values.as_ptr().add(at);
            for _ in 0..self.rows {
                let value = S::load_partial(values, lanes);
                for t in 0..TOKENS {
                    sums[t] = S::mul_add(S::splat(*weights.add(t)), value, sums[t]);
                }
                weights = weights.wrapping_add(self.columns);
                values = values.wrapping_add(self.stride);
            }
            for t in 0..TOKENS {
                S::store_partial(self.out.as_mut_ptr().add((token + t) * self.depth + at), lanes, sums[t]);
            }
        }
    }
}

/// Merges partial results, in their order, into what each token hears: `[tokens, heads * depth]`.
pub fn merge(partials: &[f32], tokens: usize, heads: usize, depth: usize) -> Vec<f32> {
    let columns = heads * tokens;
    let each = Partial::len(columns, depth);
    let mut heard = vec![0.0; tokens * heads * depth];
    for (column, (head, token)) in (0..heads).flat_map(|h| (0..tokens).map(move |t| (h, t))).enumerate() {
        let largest =
            partials.chunks_exact(each).map(|p| p[column]).fold(f32::NEG_INFINITY, |a, b| if b > a { b } else { a });
        let mut sum = 0.0;
        let out = &mut heard[(token * heads + head) * depth..][..depth];
        for partial in partials.chunks_exact(each) {
            let share = (partial[column] - largest).exp();
            sum += partial[columns + column] * share;
            let values = &partial[2 * columns + column * depth..][..depth];
            out.iter_mut().zip(values).for_each(|(out, value)| *out += value * share);
        }
        out.iter_mut().for_each(|out| *out /= sum);
    }
    heard
}

/// The softmax along each head's slots of every row, in place: `scores` `[rows, heads * slots]`. Slots without a token hold
/// [`NEVER`].
pub fn row_softmax(isa: Isa, scores: &mut [f32], slots: usize) {
    assert!(slots > 0 && scores.len().is_multiple_of(slots));
    // SAFETY: the kernel keeps to whole groups of `slots` values.
    unsafe { isa.run(RowSoftmax { scores, slots }) };
}

struct RowSoftmax<'a> {
    scores: &'a mut [f32],
    slots: usize,
}

impl Kernel for RowSoftmax<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for group in self.scores.chunks_exact_mut(self.slots) {
            let from = group.as_mut_ptr();
            // SAFETY: partial accesses keep to the group.
            unsafe {
                let mut largest = S::splat(NEVER);
                for at in (0..self.slots).step_by(S::LANES) {
                    let lanes = S::LANES.min(self.slots - at);
                    let scores = if lanes == S::LANES {
                        S::load(from.add(at))
                    } else {
                        // Lanes beyond the end are 0, which must not count as a score.
                        let mut padded = [NEVER; 16];
                        padded[..lanes].copy_from_slice(std::slice::from_raw_parts(from.add(at), lanes));
                        S::load(padded.as_ptr())
                    };
                    largest = S::max(largest, scores);
                }
                let largest = S::splat(S::largest(largest));
                let mut sum = 0.0;
                for at in (0..self.slots).step_by(S::LANES) {
                    let lanes = S::LANES.min(self.slots - at);
                    let weight = math::exp::<S>(S::sub(S::load_partial(from.add(at), lanes), largest));
                    S::store_partial(from.add(at), lanes, weight);
                    sum += S::sum(S::load_partial(from.add(at), lanes));
                }
                let share = S::splat(1.0 / sum);
                for at in (0..self.slots).step_by(S::LANES) {
                    let lanes = S::LANES.min(self.slots - at);
                    S::store_partial(from.add(at), lanes, S::mul(S::load_partial(from.add(at), lanes), share));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::super::{Activation, Linear, Rows, RowsMut, Start};
    use super::*;

    /// Attention by its definition, in f64: `[queries, heads * depth]`.
    fn attend(q: &[f32], k: &[f32], v: &[f32], heads: usize, depth: usize, scale: f32) -> Vec<f32> {
        let width = heads * depth;
        let mut out = vec![0.0; q.len()];
        for (query, out) in q.chunks(width).zip(out.chunks_mut(width)) {
            for head in 0..heads {
                let part = head * depth..(head + 1) * depth;
                let scores: Vec<f64> = k
                    .chunks(width)
                    .map(|key| {
                        query[part.clone()].iter().zip(&key[part.clone()]).map(|(a, b)| f64::from(a * b)).sum::<f64>()
                            * f64::from(scale)
                    })
                    .collect();
                let largest = scores.iter().copied().fold(f64::MIN, f64::max);
                let sum: f64 = scores.iter().map(|s| (s - largest).exp()).sum();
                for lane in part {
                    let value: f64 = scores
                        .iter()
                        .zip(v.chunks(width))
                        .map(|(s, value)| (s - largest).exp() / sum * f64::from(value[lane]))
                        .sum();
                    out[lane] = value as f32;
                }
            }
        }
        out
    }

    #[test]
    fn tokens_hear_the_picture_as_by_definition() {
        for isa in Isa::all() {
            for (rows, tokens, heads, depth) in [(70, 9, 4, 16), (5, 1, 2, 3), (64, 23, 8, 16), (33, 6, 1, 40)] {
                let width = heads * depth;
                let (keys, values) = (noise(rows * width, 1), noise(rows * width, 2));
                let queries = noise(tokens * width, 3);
                let linear = Linear::new(per_head(isa, &queries, tokens, heads, tokens, 0.5), None, Activation::None);
                let columns = heads * tokens;
                let mut partials = Vec::new();
                for (keys, values) in keys.chunks(13 * width).zip(values.chunks(13 * width)) {
                    let count = keys.len() / width;
                    let mut scores = vec![0.0; count * columns];
                    let out = RowsMut::dense(&mut scores, columns);
                    linear.run_here(count, Rows::dense(keys, width), Start::Zero, out);
                    let mut partial = vec![0.0; Partial::len(columns, depth)];
                    let into = Partial { values: &mut partial, columns, depth };
                    column_softmax(isa, &mut scores, count, tokens, values, width, into);
                    partials.extend(partial);
                }
                let got = merge(&partials, tokens, heads, depth);
                let want = attend(&queries, &keys, &values, heads, depth, 0.5);
                assert_close(isa.word(), &got, &want, 3e-5);
            }
        }
    }

    #[test]
    fn rows_hear_the_tokens_as_by_definition() {
        for isa in Isa::all() {
            for (rows, tokens, heads, depth, slots) in
                [(20, 9, 4, 16, 16), (5, 1, 2, 3, 1), (7, 17, 8, 16, 32), (3, 5, 2, 8, 7)]
            {
                let width = heads * depth;
                let queries = noise(rows * width, 1);
                let (keys, values) = (noise(tokens * width, 2), noise(tokens * width, 3));
                let unused: Vec<f32> =
                    (0..heads * slots).map(|column| if column % slots < tokens { 0.0 } else { NEVER }).collect();
                let packed = per_head(isa, &keys, tokens, heads, slots, 0.5);
                let linear = Linear::new(packed, Some(&unused), Activation::None);
                let mut scores = vec![0.0; rows * heads * slots];
                let out = RowsMut::dense(&mut scores, heads * slots);
                linear.run_here(rows, Rows::dense(&queries, width), Start::Zero, out);
                row_softmax(isa, &mut scores, slots);
                let back = Packed::new(isa, heads * slots, width, |row, column| {
                    let (head, token) = (row / slots, row % slots);
                    if token < tokens && column / depth == head { values[token * width + column] } else { 0.0 }
                });
                let mut got = vec![0.0; rows * width];
                let x = Rows::dense(&scores, heads * slots);
                Linear::new(back, None, Activation::None).run_here(
                    rows,
                    x,
                    Start::Zero,
                    RowsMut::dense(&mut got, width),
                );
                assert_close(isa.word(), &got, &attend(&queries, &keys, &values, heads, depth, 0.5), 3e-5);
            }
        }
    }
}

//! Attention between many rows (a picture's cells) and a few tokens: no products of matrices, no transposes.
//!
//! Channels are *interleaved*: channel `d * heads + h` is number `d` of head `h` ([`CrossHeads::interleaved`]; permute the
//! projections' weights at load). Scores of a row lie in columns `token * heads + head`, so a vector holds all heads of
//! one or two tokens, and a row's own channels are loaded as they are, repeated for each token of the vector.
//!
//! Invariant: columns are padded to whole vectors; a padded column's score is very low and its weights are never used.
//! Everything here runs on the calling thread; `picture_pass` spreads it.

use super::isa::{Isa, Kernel};
use super::math::exp;
use super::memory::{Aligned, volume};
use super::product::Rows;
use super::simd::Simd;

/// The score of a column that stands for no token.
const NO_TOKEN: f32 = -1e30;
/// The most parts that a token's heads are cut into: 16 heads in vectors of four.
const MAX_PARTS: usize = 4;

/// How attention's channels are divided, and for which machine.
#[derive(Debug, Clone, Copy)]
pub struct CrossHeads {
    pub(super) isa: Isa,
    pub(super) count: usize,
    pub(super) depth: usize,
}

/// Tokens' queries, keys or values in the order of the scores' columns.
pub struct FewTokens {
    /// Tokens that exist.
    pub(super) tokens: usize,
    pub(super) columns: usize,
    /// `[depth, columns]`; padded columns are 0.
    values: Aligned,
    /// What a row's scores start from: 0, and [`NO_TOKEN`] in padded columns.
    start: Aligned,
}

impl FewTokens {
    /// Columns of the scores, padding included.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

impl CrossHeads {
    /// `count` heads (4, 8 or 16) of `depth` channels each.
    pub fn new(isa: Isa, count: usize, depth: usize) -> Self {
        assert!([4, 8, 16].contains(&count) && volume([count, depth]) > 0, "{count} heads of {depth} channels");
        Self { isa, count, depth }
    }

    /// The machine that computes.
    pub fn isa(self) -> Isa {
        self.isa
    }

    /// Channels of a head.
    pub fn depth(self) -> usize {
        self.depth
    }

    /// Channels of all heads.
    pub fn inner(self) -> usize {
        self.count * self.depth
    }

    /// The usual place (`head * depth + d`) of an interleaved channel.
    pub fn interleaved(self, channel: usize) -> usize {
        channel % self.count * self.depth + channel / self.count
    }

    /// Columns for the scores of this many tokens.
    pub fn columns(self, tokens: usize) -> usize {
        (tokens * self.count).next_multiple_of(self.isa.shape().lanes.max(self.count))
    }

    /// Brings tokens' interleaved channels `[tokens, inner]` into the order of the scores' columns.
    pub fn few(self, tokens: Rows<'_>, count: usize) -> FewTokens {
        tokens.check(count, self.inner());
        let columns = self.columns(count);
        let (mut values, mut start) = (Aligned::zeros(self.depth * columns), Aligned::zeros(columns));
        start[count * self.count..].fill(NO_TOKEN);
        for token in 0..count {
            let row = &tokens.values[token * tokens.stride..][..self.inner()];
            for (channel, part) in row.chunks_exact(self.count).enumerate() {
                values[channel * columns + token * self.count..][..self.count].copy_from_slice(part);
            }
        }
        FewTokens { tokens: count, columns, values, start }
    }

    /// `out[r][token, head] = rows[r] . tokens[token]` over the head's channels. `rows` `[count, inner]` interleaved, `out`
    /// `[count, columns]`.
    pub fn scores(self, rows: Rows<'_>, count: usize, tokens: &FewTokens, out: &mut [f32]) {
        self.start_scores(rows, count, tokens, &tokens.start, out);
    }

    /// A weight `[channels, inner]` (interleaved) and tokens as one weight `[channels, columns]`: what
    /// `scores(x weight, tokens)` multiplies `x` with. Padded columns are 0.
    pub fn fold(self, weight: &[f32], tokens: &FewTokens) -> Aligned {
        let channels = weight.len() / self.inner();
        let mut folded = Aligned::zeros(channels * tokens.columns);
        let zeros = Aligned::zeros(tokens.columns);
        self.start_scores(Rows::dense(weight, self.inner()), channels, tokens, &zeros, &mut folded);
        folded
    }

    fn start_scores(self, rows: Rows<'_>, count: usize, tokens: &FewTokens, start: &[f32], out: &mut [f32]) {
        rows.check(count, self.inner());
        assert_eq!(out.len(), volume([count, tokens.columns]));
        assert_eq!((tokens.values.len(), start.len()), (self.depth * tokens.columns, tokens.columns));
        let scores = Scores { heads: self, rows, count, tokens, start: start.as_ptr(), out: out.as_mut_ptr() };
        // SAFETY: the lengths were checked.
        unsafe { self.isa.run(scores) }
    }

    /// Scores `[rows, columns]` to weights that sum to 1 over the tokens, for each row and head.
    pub fn softmax_over_tokens(self, scores: &mut [f32], columns: usize) {
        assert!(columns > 0 && scores.len().is_multiple_of(columns));
        assert!(columns.is_multiple_of(self.isa.shape().lanes.max(self.count)), "{columns} columns");
        // SAFETY: whole rows of whole vectors.
        unsafe { self.isa.run(OverTokens { heads: self.count, scores, columns }) }
    }

    /// Scores `[rows, columns]` to `exp(score - most)` with each column's largest score and sum over the rows.
    pub fn exp_over_rows(self, scores: &mut [f32], most: &mut [f32], sum: &mut [f32]) {
        let columns = most.len();
        assert!(columns > 0 && columns.is_multiple_of(self.isa.shape().lanes), "{columns} columns");
        assert!(scores.len().is_multiple_of(columns) && sum.len() == columns);
        // SAFETY: whole rows of whole vectors.
        unsafe { self.isa.run(OverRows { scores, most, sum }) }
    }

    /// `out[d][token, head] = sum over r of weights[r][token, head] values[r][d, head]`: `weights` `[count, columns]`,
    /// `values` `[count, inner]` interleaved, `out` `[depth, columns]`.
    pub fn weigh(self, weights: &[f32], columns: usize, values: Rows<'_>, count: usize, out: &mut [f32]) {
        values.check(count, self.inner());
        assert!(columns.is_multiple_of(self.isa.shape().lanes.max(self.count)), "{columns} columns");
        assert_eq!((weights.len(), out.len()), (volume([count, columns]), volume([self.depth, columns])));
        // SAFETY: the lengths were checked.
        unsafe { self.isa.run(Weigh { heads: self, weights, columns, values, count, out }) }
    }
}

/// Calls a method with the number of heads as a constant.
macro_rules! with_heads {
    ($count:expr, $self:ident.$method:ident::<$simd:ident>()) => {
        match $count {
            4 => $self.$method::<$simd, 4>(),
            8 => $self.$method::<$simd, 8>(),
            16 => $self.$method::<$simd, 16>(),
            _ => unreachable!("`CrossHeads::new` allows 4, 8 and 16"),
        }
    };
}

struct Scores<'a> {
    heads: CrossHeads,
    rows: Rows<'a>,
    count: usize,
    tokens: &'a FewTokens,
    start: *const f32,
    out: *mut f32,
}

impl Kernel for Scores<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: passed on.
        unsafe { with_heads!(self.heads.count, self.all::<S>()) }
    }
}

impl Scores<'_> {
    /// # Safety
    /// The lengths were checked; there are `H` heads.
    #[inline(always)]
    unsafe fn all<S: Simd, const H: usize>(&self) {
        let vectors = self.tokens.columns / S::LANES;
        let mut vector = 0;
        // SAFETY: rows and vectors stay within what was checked.
        unsafe {
            while vector < vectors {
                if vectors - vector >= 4 {
                    self.strip::<S, H, 4>(vector);
                    vector += 4;
                } else if vectors - vector >= 2 {
                    self.strip::<S, H, 2>(vector);
                    vector += 2;
                } else {
                    self.strip::<S, H, 1>(vector);
                    vector += 1;
                }
            }
        }
    }

    /// # Safety
    /// As above, `V` vectors from `vector` on.
    #[inline(always)]
    unsafe fn strip<S: Simd, const H: usize, const V: usize>(&self, vector: usize) {
        let mut row = 0;
        // SAFETY: rows stay below `count`.
        unsafe {
            while row + 4 <= self.count {
                if S::MAX_VECTORS >= 4 {
                    self.sum::<S, H, V, 4>(row, vector);
                } else {
                    self.sum::<S, H, V, 2>(row, vector);
                    self.sum::<S, H, V, 2>(row + 2, vector);
                }
                row += 4;
            }
            while row < self.count {
                self.sum::<S, H, V, 1>(row, vector);
                row += 1;
            }
        }
    }

    /// # Safety
    /// As above, `R` rows from `row` on.
    #[inline(always)]
    unsafe fn sum<S: Simd, const H: usize, const V: usize, const R: usize>(&self, row: usize, vector: usize) {
        let columns = self.tokens.columns;
        // SAFETY: the caller's promise; with fewer lanes than heads a vector starts at one of the heads' parts.
        unsafe {
            let mut sums = [[S::splat(0.0); V]; R];
            for v in 0..V {
                let start = S::load(self.start.add((vector + v) * S::LANES));
                for r in 0..R {
                    sums[r][v] = start;
                }
            }
            let mut x = [self.rows.values.as_ptr(); R];
            for r in 0..R {
                x[r] = self.rows.values.as_ptr().add((row + r) * self.rows.stride);
            }
            let mut tokens = self.tokens.values.as_ptr().add(vector * S::LANES);
            for d in 0..self.heads.depth {
                let mut weights = [S::splat(0.0); V];
                for v in 0..V {
                    weights[v] = S::load(tokens.add(v * S::LANES));
                }
                for r in 0..R {
                    if H <= S::LANES {
                        let x = S::load_repeated::<H>(x[r].add(d * H));
                        for v in 0..V {
                            sums[r][v] = S::mul_add(x, weights[v], sums[r][v]);
                        }
                    } else {
                        for v in 0..V {
                            let x = S::load(x[r].add(d * H + (vector + v) * S::LANES % H));
                            sums[r][v] = S::mul_add(x, weights[v], sums[r][v]);
                        }
                    }
                }
                tokens = tokens.wrapping_add(columns);
            }
            for r in 0..R {
                for v in 0..V {
                    S::store(self.out.add((row + r) * columns + (vector + v) * S::LANES), sums[r][v]);
                }
            }
        }
    }
}

/// Parts that a token's heads are cut into.
const fn parts<S: Simd, const H: usize>() -> usize {
    if H > S::LANES { H / S::LANES } else { 1 }
}

/// Each head's largest over the tokens of a vector, in all its lanes.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn spread_max<S: Simd, const H: usize>(mut v: S::V) -> S::V {
    // SAFETY: arithmetic on registers.
    unsafe {
        if H <= 4 && S::LANES > 4 {
            v = S::max(v, S::swap_lanes::<4>(v));
        }
        if H <= 8 && S::LANES > 8 {
            v = S::max(v, S::swap_lanes::<8>(v));
        }
    }
    v
}

/// Each head's sum over the tokens of a vector, in all its lanes.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
unsafe fn spread_sum<S: Simd, const H: usize>(mut v: S::V) -> S::V {
    // SAFETY: arithmetic on registers.
    unsafe {
        if H <= 4 && S::LANES > 4 {
            v = S::add(v, S::swap_lanes::<4>(v));
        }
        if H <= 8 && S::LANES > 8 {
            v = S::add(v, S::swap_lanes::<8>(v));
        }
    }
    v
}

struct OverTokens<'a> {
    heads: usize,
    scores: &'a mut [f32],
    columns: usize,
}

impl Kernel for OverTokens<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        // SAFETY: passed on.
        unsafe { with_heads!(self.heads, self.all::<S>()) }
    }
}

impl OverTokens<'_> {
    /// # Safety
    /// Rows are whole vectors and, where heads are more than lanes, whole tokens.
    #[inline(always)]
    unsafe fn all<S: Simd, const H: usize>(&mut self) {
        let vectors = self.columns / S::LANES;
        for row in self.scores.chunks_exact_mut(self.columns) {
            let row = row.as_mut_ptr();
            // SAFETY: `vectors` vectors are in the row.
            unsafe {
                let mut most = [S::splat(f32::NEG_INFINITY); MAX_PARTS];
                let mut v = 0;
                while v < vectors {
                    for part in 0..parts::<S, H>() {
                        most[part] = S::max(most[part], S::load(row.add((v + part) * S::LANES)));
                    }
                    v += parts::<S, H>();
                }
                let mut sum = [S::splat(0.0); MAX_PARTS];
                for part in 0..parts::<S, H>() {
                    most[part] = spread_max::<S, H>(most[part]);
                }
                v = 0;
                while v < vectors {
                    for part in 0..parts::<S, H>() {
                        let at = row.add((v + part) * S::LANES);
                        let weight = exp::<S>(S::sub(S::load(at), most[part]));
                        sum[part] = S::add(sum[part], weight);
                        S::store(at, weight);
                    }
                    v += parts::<S, H>();
                }
                for part in 0..parts::<S, H>() {
                    sum[part] = S::div(S::splat(1.0), spread_sum::<S, H>(sum[part]));
                }
                v = 0;
                while v < vectors {
                    for part in 0..parts::<S, H>() {
                        let at = row.add((v + part) * S::LANES);
                        S::store(at, S::mul(S::load(at), sum[part]));
                    }
                    v += parts::<S, H>();
                }
            }
        }
    }
}

struct OverRows<'a> {
    scores: &'a mut [f32],
    most: &'a mut [f32],
    sum: &'a mut [f32],
}

impl Kernel for OverRows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let columns = self.most.len();
        let rows = self.scores.len() / columns;
        for column in (0..columns).step_by(S::LANES) {
            // SAFETY: whole vectors of each row.
            unsafe {
                let top = self.scores.as_mut_ptr().add(column);
                let mut most = [S::splat(f32::NEG_INFINITY); 4];
                for row in 0..rows {
                    most[row % 4] = S::max(most[row % 4], S::load(top.add(row * columns)));
                }
                let most = S::max(S::max(most[0], most[1]), S::max(most[2], most[3]));
                let mut sum = S::splat(0.0);
                for row in 0..rows {
                    let at = top.add(row * columns);
                    let weight = exp::<S>(S::sub(S::load(at), most));
                    sum = S::add(sum, weight);
                    S::store(at, weight);
                }
                S::store(self.most.as_mut_ptr().add(column), most);
                S::store(self.sum.as_mut_ptr().add(column), sum);
            }
        }
    }
}

struct Weigh<'a> {
    heads: CrossHeads,
    weights: &'a [f32],
    columns: usize,
    values: Rows<'a>,
    count: usize,
    out: &'a mut [f32],
}

impl Kernel for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(mut self) {
        // SAFETY: passed on.
        unsafe { with_heads!(self.heads.count, self.all::<S>()) }
    }
}

impl Weigh<'_> {
    /// # Safety
    /// The lengths were checked; there are `H` heads.
    #[inline(always)]
    unsafe fn all<S: Simd, const H: usize>(&mut self) {
        let vectors = self.columns / S::LANES;
        let mut vector = 0;
        // SAFETY: vectors and channels stay within what was checked.
        unsafe {
            while vector < vectors {
                let wide = if vectors - vector >= 4 && S::MAX_VECTORS >= 4 { 4 } else { 1 };
                let mut d = 0;
                while d < self.heads.depth {
                    let deep = if self.heads.depth - d >= 4 { 4 } else { 1 };
                    match (wide, deep) {
                        (4, 4) => self.sum::<S, H, 4, 4>(vector, d),
                        (4, _) => self.sum::<S, H, 4, 1>(vector, d),
                        (_, 4) => self.sum::<S, H, 1, 4>(vector, d),
                        _ => self.sum::<S, H, 1, 1>(vector, d),
                    }
                    d += deep;
                }
                vector += wide;
            }
        }
    }

    /// # Safety
    /// As above, `V` vectors from `vector` on and `D` channels of each head from `d` on.
    #[inline(always)]
    unsafe fn sum<S: Simd, const H: usize, const V: usize, const D: usize>(&mut self, vector: usize, d: usize) {
        // SAFETY: the caller's promise.
        unsafe {
            let mut sums = [[S::splat(0.0); V]; D];
            let mut weights = self.weights.as_ptr().add(vector * S::LANES);
            let mut values = self.values.values.as_ptr().add(d * H);
            for _ in 0..self.count {
                let mut w = [S::splat(0.0); V];
                for v in 0..V {
                    w[v] = S::load(weights.add(v * S::LANES));
                }
                for i in 0..D {
                    if H <= S::LANES {
                        let x = S::load_repeated::<H>(values.add(i * H));
                        for v in 0..V {
                            sums[i][v] = S::mul_add(x, w[v], sums[i][v]);
                        }
                    } else {
                        for v in 0..V {
                            let x = S::load(values.add(i * H + (vector + v) * S::LANES % H));
                            sums[i][v] = S::mul_add(x, w[v], sums[i][v]);
                        }
                    }
                }
                weights = weights.wrapping_add(self.columns);
                values = values.wrapping_add(self.values.stride);
            }
            for i in 0..D {
                for v in 0..V {
                    let to = self.out.as_mut_ptr().add((d + i) * self.columns + (vector + v) * S::LANES);
                    S::store(to, sums[i][v]);
                }
            }
        }
    }
}

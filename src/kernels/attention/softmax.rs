//! The pass between attention's two products: scale, positions, running maximum, exponentials and their sum.
//!
//! Source: Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018). Invariant: after each block of
//! keys, `sum` and `acc` are those of all keys so far, relative to `max`.

use super::super::isa::Kernel;
use super::super::math::exp;
use super::super::simd::Simd;
use super::groups::Query;

/// The most lanes of a vector on any machine.
const MOST_LANES: usize = 16;

/// Zeros, then minus infinities: read at `MOST_LANES - count` it takes all but the first `count` lanes out of a maximum.
const TAIL: [f32; 2 * MOST_LANES] = {
    let mut tail = [0.0; 2 * MOST_LANES];
    let mut at = MOST_LANES;
    while at < 2 * MOST_LANES {
        tail[at] = f32::NEG_INFINITY;
        at += 1;
    }
    tail
};

/// What is added to the scaled scores.
#[derive(Clone, Copy)]
pub(super) enum Bias {
    /// Nothing.
    None,
    /// `[places, places]` of this head.
    Table { values: *const f32, places: usize },
    /// A query's product with each distance, rows' then columns', `2 * side - 1` each, both from far above (left) to far
    /// below (right).
    Relative { terms: *const f32, stride: usize, side: usize },
}

/// One block of keys for some queries.
pub(super) struct Softmax<'a> {
    /// `[queries, keys]`: scores, then their exponentials. Readable and writable up to whole vectors.
    pub(super) scores: *mut f32,
    pub(super) stride: usize,
    pub(super) queries: &'a [Query],
    /// The first key of the block.
    pub(super) first_key: usize,
    /// Keys of the block.
    pub(super) keys: usize,
    pub(super) scale: f32,
    pub(super) bias: Bias,
    /// A maximum a query.
    pub(super) max: *mut f32,
    /// A sum a query.
    pub(super) sum: *mut f32,
    /// Values summed so far, whole vectors a query.
    pub(super) acc: *mut f32,
    pub(super) acc_stride: usize,
    /// Nothing was summed so far.
    pub(super) is_first: bool,
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (index, query) in self.queries.iter().enumerate() {
            // SAFETY: the maker's promises; every access is within a query's own rows.
            unsafe {
                let row = self.scores.add(index * self.stride);
                let place = query.place as usize;
                match self.bias {
                    Bias::None | Bias::Table { .. } => {}
                    Bias::Relative { terms, stride, side } => {
                        let terms = terms.add(index * stride);
                        let of_rows = terms.add(side - 1 - place / side);
                        let of_columns = terms.add(2 * side - 1 + side - 1 - place % side);
                        self.add_relative::<S>(row, of_rows, of_columns, side);
                    }
                }
                let largest = match self.bias {
                    Bias::None => self.largest::<S, true>(row, None),
                    Bias::Table { values, places } => {
                        self.largest::<S, true>(row, Some(values.add(place * places + self.first_key)))
                    }
                    Bias::Relative { .. } => self.largest::<S, false>(row, None),
                };
                self.exponentials::<S>(index, row, largest);
            }
        }
    }
}

impl Softmax<'_> {
    /// `row = row * scale + of_rows[key's row] + of_columns[key's column]`.
    ///
    /// # Safety
    /// `row` is a row of scores; both terms reach `side` values.
    #[inline(always)]
    unsafe fn add_relative<S: Simd>(&self, row: *mut f32, of_rows: *const f32, of_columns: *const f32, side: usize) {
        let (mut at, mut y, mut x) = (0, self.first_key / side, self.first_key % side);
        // SAFETY: `at + run <= keys` and `x + run <= side` throughout; partial accesses keep to `run`.
        unsafe {
            let scale = S::splat(self.scale);
            while at < self.keys {
                let run = (side - x).min(self.keys - at);
                let of_row = S::splat(*of_rows.add(y));
                let mut within = 0;
                while within + S::LANES <= run {
                    let to = row.add(at + within);
                    let bias = S::add(of_row, S::load(of_columns.add(x + within)));
                    S::store(to, S::mul_add(S::load(to), scale, bias));
                    within += S::LANES;
                }
                if within < run {
                    let (to, count) = (row.add(at + within), run - within);
                    let bias = S::add(of_row, S::load_partial(of_columns.add(x + within), count));
                    S::store_partial(to, count, S::mul_add(S::load_partial(to, count), scale, bias));
                }
                at += run;
                (y, x) = (y + 1, 0);
            }
        }
    }

    /// The largest score of a row; `SCALED` also writes `row * scale + bias` back. Lanes behind the last key become
    /// minus infinity.
    ///
    /// # Safety
    /// `row` is a row of scores, `bias` null or as long as the keys.
    #[inline(always)]
    unsafe fn largest<S: Simd, const SCALED: bool>(&self, row: *mut f32, bias: Option<*const f32>) -> f32 {
        let whole = self.keys / S::LANES * S::LANES;
        let tail = self.keys - whole;
        // SAFETY: the row may be touched up to whole vectors, the bias is read up to `keys`.
        unsafe {
            let scale = S::splat(self.scale);
            let mut largest = S::splat(f32::NEG_INFINITY);
            let mut largest2 = largest;
            let mut at = 0;
            while at < whole {
                let mut value = S::load(row.add(at));
                if SCALED {
                    value = match bias {
                        None => S::mul(value, scale),
                        Some(bias) => S::mul_add(value, scale, S::load(bias.add(at))),
                    };
                    S::store(row.add(at), value);
                }
                (largest, largest2) = (largest2, S::max(largest, value));
                at += S::LANES;
            }
            if tail > 0 {
                let mut value = S::load(row.add(whole));
                if SCALED {
                    value = match bias {
                        None => S::mul(value, scale),
                        Some(bias) => S::mul_add(value, scale, S::load_partial(bias.add(whole), tail)),
                    };
                }
                value = S::add(value, S::load(TAIL.as_ptr().add(MOST_LANES - tail)));
                S::store(row.add(whole), value);
                largest = S::max(largest, value);
            }
            S::largest(S::max(largest, largest2))
        }
    }

    /// Turns scores into exponentials, and brings the query's maximum, sum and values up to date.
    ///
    /// # Safety
    /// `row` is row `index` of the scores.
    #[inline(always)]
    unsafe fn exponentials<S: Simd>(&self, index: usize, row: *mut f32, largest: f32) {
        // SAFETY: the row may be touched up to whole vectors; `index` is a query's.
        unsafe {
            let (max, sum) = (self.max.add(index), self.sum.add(index));
            let mut sum_before = 0.0;
            let mut now = largest;
            if !self.is_first {
                let before = *max;
                (now, sum_before) = (if before > largest { before } else { largest }, *sum);
                if now > before {
                    let factor = exp::<S>(S::splat(before - now));
                    let mut lanes = [0.0; MOST_LANES];
                    S::store(lanes.as_mut_ptr(), factor);
                    sum_before *= lanes[0];
                    let acc = self.acc.add(index * self.acc_stride);
                    for at in (0..self.acc_stride).step_by(S::LANES) {
                        S::store(acc.add(at), S::mul(S::load(acc.add(at)), factor));
                    }
                }
            }
            let shift = S::splat(now);
            let mut total = S::splat(0.0);
            for at in (0..self.keys).step_by(S::LANES) {
                let value = exp::<S>(S::sub(S::load(row.add(at)), shift));
                S::store(row.add(at), value);
                total = S::add(total, value);
            }
            *max = now;
            *sum = sum_before + S::sum(total);
        }
    }
}

/// Writes `acc / sum` to the rows of the queries.
pub(super) struct Finish<'a> {
    pub(super) queries: &'a [Query],
    pub(super) acc: *const f32,
    pub(super) acc_stride: usize,
    pub(super) sum: *const f32,
    /// Where the head's results of row 0 go.
    pub(super) out: *mut f32,
    pub(super) out_stride: usize,
    /// Values of a result.
    pub(super) depth: usize,
}

impl Kernel for Finish<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for (index, query) in self.queries.iter().enumerate() {
            // SAFETY: the maker's promises: `depth` values at each query's row, `acc` in whole vectors.
            unsafe {
                let share = S::splat(1.0 / *self.sum.add(index));
                let from = self.acc.add(index * self.acc_stride);
                let to = self.out.add(query.row as usize * self.out_stride);
                for at in (0..self.depth).step_by(S::LANES) {
                    let value = S::mul(S::load(from.add(at)), share);
                    S::store_partial(to.add(at), S::LANES.min(self.depth - at), value);
                }
            }
        }
    }
}

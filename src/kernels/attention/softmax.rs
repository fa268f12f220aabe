//! The pass between attention's two products: scale, positions, running maximum, exponentials and their sum.
//!
//! Source: Milakov and Gimelshein, "Online normalizer calculation for softmax" (2018). Invariant: after each block of
//! keys, `sum` and `acc` are those of all keys so far, relative to `max`.

use super::super::isa::Kernel;
use super::super::math::exp;
use super::super::simd::Simd;
use super::KEYS;
use super::groups::Query;

/// The most lanes of a vector on any machine.
pub(super) const MOST_LANES: usize = 16;

/// Queries whose position terms are summed before any is read again, so that no load waits for a store before it.
const TOGETHER: usize = 8;
/// From one query's sums to the next.
const SUMS_STRIDE: usize = KEYS + MOST_LANES;

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
    /// below (right). Readable for a vector beyond a row's end.
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
        let mut sums = [0.0; TOGETHER * SUMS_STRIDE];
        for (chunk, queries) in self.queries.chunks(TOGETHER).enumerate() {
            let first = chunk * TOGETHER;
            // SAFETY: the maker's promises; every access is within a query's own rows.
            unsafe {
                if let Bias::Relative { terms, stride, side } = self.bias
                    && side % S::LANES != 0
                {
                    for (index, query) in queries.iter().enumerate() {
                        let terms = Terms::of(terms.add((first + index) * stride), query, side);
                        self.add_terms::<S>(terms, sums.as_mut_ptr().add(index * SUMS_STRIDE));
                    }
                }
                for (index, query) in queries.iter().enumerate() {
                    let row = self.scores.add((first + index) * self.stride);
                    let largest = match self.bias {
                        Bias::None => self.largest::<S>(row, None),
                        Bias::Table { values, places } => {
                            self.largest::<S>(row, Some(values.add(query.place as usize * places + self.first_key)))
                        }
                        Bias::Relative { terms, stride, side } if side % S::LANES == 0 => {
                            self.largest_aligned::<S>(row, Terms::of(terms.add((first + index) * stride), query, side))
                        }
                        Bias::Relative { .. } => self.largest::<S>(row, Some(sums.as_ptr().add(index * SUMS_STRIDE))),
                    };
                    self.exponentials::<S>(first + index, row, largest);
                }
            }
        }
    }
}

/// A query's terms for the key rows and key columns of its window.
#[derive(Clone, Copy)]
struct Terms {
    rows: *const f32,
    columns: *const f32,
    side: usize,
}

impl Terms {
    /// From a query's products with all distances.
    ///
    /// # Safety
    /// `terms` holds `2 * (2 * side - 1)` values, the place is one of the window's.
    #[inline(always)]
    unsafe fn of(terms: *const f32, query: &Query, side: usize) -> Self {
        let (y, x) = (query.place as usize / side, query.place as usize % side);
        // SAFETY: `y` and `x` are below `side`.
        unsafe { Self { rows: terms.add(side - 1 - y), columns: terms.add(3 * side - 2 - x), side } }
    }
}

impl Softmax<'_> {
    /// `to[key] = rows[key's row] + columns[key's column]` for the keys of the block.
    ///
    /// # Safety
    /// Up to [`MOST_LANES`] values behind the terms of a query may be read, and as many behind the keys in `to` written.
    #[inline(always)]
    unsafe fn add_terms<S: Simd>(&self, terms: Terms, to: *mut f32) {
        let Terms { rows, columns, side } = terms;
        let (mut at, mut y, mut x) = (0, self.first_key / side, self.first_key % side);
        // SAFETY: `at < keys` and `x < side`; what is written beyond a run is overwritten by the next one.
        unsafe {
            while at < self.keys {
                let run = (side - x).min(self.keys - at);
                let of_row = S::splat(*rows.add(y));
                for within in (0..run).step_by(S::LANES) {
                    S::store(to.add(at + within), S::add(of_row, S::load(columns.add(x + within))));
                }
                at += run;
                (y, x) = (y + 1, 0);
            }
        }
    }

    /// [`Softmax::largest`] where rows of the window are whole vectors, and so are blocks.
    ///
    /// # Safety
    /// `row` is a row of scores; the block starts at a whole vector.
    #[inline(always)]
    unsafe fn largest_aligned<S: Simd>(&self, row: *mut f32, terms: Terms) -> f32 {
        let Terms { rows, columns, side } = terms;
        let (mut y, mut x) = (self.first_key / side, self.first_key % side);
        // SAFETY: `at < keys`, `x < side`, and all three are multiples of a vector.
        unsafe {
            let scale = S::splat(self.scale);
            let mut of_row = S::splat(*rows.add(y));
            let mut largest = S::splat(f32::NEG_INFINITY);
            for at in (0..self.keys).step_by(S::LANES) {
                let bias = S::add(of_row, S::load(columns.add(x)));
                let value = S::mul_add(S::load(row.add(at)), scale, bias);
                S::store(row.add(at), value);
                largest = S::max(largest, value);
                x += S::LANES;
                if x == side {
                    (y, x) = (y + 1, 0);
                    if y < side {
                        of_row = S::splat(*rows.add(y));
                    }
                }
            }
            S::largest(largest)
        }
    }

    /// Writes `row * scale + bias` back and gives the largest of it. Lanes behind the last key become minus infinity.
    ///
    /// # Safety
    /// `row` is a row of scores, `bias` is as long as the keys.
    #[inline(always)]
    unsafe fn largest<S: Simd>(&self, row: *mut f32, bias: Option<*const f32>) -> f32 {
        let whole = self.keys / S::LANES * S::LANES;
        let tail = self.keys - whole;
        // SAFETY: the row may be touched up to whole vectors, the bias is read up to `keys`.
        unsafe {
            let scale = S::splat(self.scale);
            let mut largest = S::splat(f32::NEG_INFINITY);
            for at in (0..whole).step_by(S::LANES) {
                let value = match bias {
                    None => S::mul(S::load(row.add(at)), scale),
                    Some(bias) => S::mul_add(S::load(row.add(at)), scale, S::load(bias.add(at))),
                };
                S::store(row.add(at), value);
                largest = S::max(largest, value);
            }
            if tail > 0 {
                let mut value = S::mul(S::load(row.add(whole)), scale);
                if let Some(bias) = bias {
                    value = S::add(value, S::load_partial(bias.add(whole), tail));
                }
                value = S::add(value, S::load(TAIL.as_ptr().add(MOST_LANES - tail)));
                S::store(row.add(whole), value);
                largest = S::max(largest, value);
            }
            S::largest(largest)
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

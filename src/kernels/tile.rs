//! The innermost loop of every product and convolution: a few rows times one panel of packed weights, summed in
//! registers.
//!
//! Each row is read in place through its own pointer, so inputs are never packed; a convolution is the same loop over
//! several taps, each a distance from the row's start. Invariant: sums run over the depth in order, one product after
//! the other, so a row's result does not depend on the rows beside it.

use super::isa::{Isa, Kernel};
use super::math::Activation;
use super::simd::Simd;

/// The most rows of a tile on any machine.
pub(super) const MAX_ROWS: usize = 12;

/// One tile's work.
#[derive(Clone, Copy)]
pub(super) struct Tile<'a> {
    /// Where each row starts; the first `row_count` count.
    pub(super) rows: [*const f32; MAX_ROWS],
    /// Distances from a row's start, one a tap.
    pub(super) taps: &'a [usize],
    /// Values read at each tap.
    pub(super) depth: usize,
    /// Whether each value, of rows and panel, is a pair of bf16 numbers.
    pub(super) pairs: bool,
    /// Packed weights: for each tap and depth, the panel's width of numbers.
    pub(super) panel: *const f32,
    /// A number a column to start from, or null.
    pub(super) bias: *const f32,
    /// Rows to start from, or null.
    pub(super) start: *const f32,
    /// From one of these rows to the next.
    pub(super) start_stride: usize,
    /// Where the results go.
    pub(super) out: *mut f32,
    /// From one result row to the next.
    pub(super) out_stride: usize,
    /// Columns of the panel that exist.
    pub(super) columns: usize,
    /// Applied to the sums.
    pub(super) activation: Activation,
}

/// The door to the code for each instruction set, and the only one: it is large.
struct Run<'a> {
    tile: &'a Tile<'a>,
    row_count: usize,
    vectors: usize,
}

impl Kernel for Run<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let Self { tile, row_count, vectors } = self;
        // SAFETY: the caller's promises; `row_count` and `vectors` choose the function that reads just as much.
        unsafe {
            match vectors {
                1 => tile.with_vectors::<S, 1>(row_count),
                2 => tile.with_vectors::<S, 2>(row_count),
                3 if S::MAX_VECTORS >= 3 => tile.with_vectors::<S, 3>(row_count),
                4 if S::MAX_VECTORS >= 4 => tile.with_vectors::<S, 4>(row_count),
                _ => unreachable!("panels are one to MAX_VECTORS wide"),
            }
        }
    }
}

impl Tile<'_> {
    /// Runs `row_count` rows (at most [`Isa::tile_rows`]) over a panel of `vectors`.
    ///
    /// # Safety
    /// Every row may be read at each tap for `depth` values; the panel holds `taps * depth * vectors * LANES` values;
    /// `bias`, `start` and `out` reach `columns` values a row; nobody else touches the results meanwhile.
    #[inline]
    pub(super) unsafe fn run(&self, isa: Isa, row_count: usize, vectors: usize) {
        let run = Run { tile: self, row_count, vectors };
        #[cfg(target_arch = "x86_64")]
        if self.pairs {
            // SAFETY: the caller's promises.
            return unsafe { isa.run_bf16(run) };
        }
        // SAFETY: the caller's promises.
        unsafe { isa.run(run) };
    }

    /// # Safety
    /// As [`Tile::run`].
    #[inline(always)]
    unsafe fn with_vectors<S: Simd, const VECTORS: usize>(&self, row_count: usize) {
        let most = S::TILE_ROWS[VECTORS - 1];
        // SAFETY: the caller's promises.
        unsafe {
            match row_count {
                1 => self.sum::<S, 1, VECTORS>(),
                2 => self.sum::<S, 2, VECTORS>(),
                3 => self.sum::<S, 3, VECTORS>(),
                4 => self.sum::<S, 4, VECTORS>(),
                5 if most >= 5 => self.sum::<S, 5, VECTORS>(),
                6 if most >= 6 => self.sum::<S, 6, VECTORS>(),
                7 if most >= 7 => self.sum::<S, 7, VECTORS>(),
                8 if most >= 8 => self.sum::<S, 8, VECTORS>(),
                9 if most >= 9 => self.sum::<S, 9, VECTORS>(),
                10 if most >= 10 => self.sum::<S, 10, VECTORS>(),
                11 if most >= 11 => self.sum::<S, 11, VECTORS>(),
                12 if most >= 12 => self.sum::<S, 12, VECTORS>(),
                _ => unreachable!("a tile has one to TILE_ROWS rows"),
            }
        }
    }

    /// # Safety
    /// As [`Tile::run`], with `ROWS` rows and `VECTORS` vectors.
    #[inline(always)]
    unsafe fn sum<S: Simd, const ROWS: usize, const VECTORS: usize>(&self) {
        // SAFETY: the caller's promises; a partial panel is summed in `scratch`, which is as wide as the panel.
        unsafe {
            if self.columns == VECTORS * S::LANES {
                self.sum_full::<S, ROWS, VECTORS>(self.bias, self.start, self.start_stride, self.out, self.out_stride);
                if self.activation.limits().is_none() {
                    finish::<S>(self.activation, self.out, self.out_stride, ROWS, self.columns);
                }
                return;
            }
            let mut scratch = Scratch([0.0; SCRATCH]);
            let width = VECTORS * S::LANES;
            let values = scratch.0.as_mut_ptr();
            for r in 0..ROWS {
                let row = values.add(r * width);
                if !self.bias.is_null() {
                    add::<S>(row, self.bias, self.columns);
                }
                if !self.start.is_null() {
                    add::<S>(row, self.start.add(r * self.start_stride), self.columns);
                }
            }
            self.sum_full::<S, ROWS, VECTORS>(std::ptr::null(), values, width, values, width);
            if self.activation.limits().is_none() {
                finish::<S>(self.activation, values, width, ROWS, self.columns);
            }
            for r in 0..ROWS {
                for column in (0..self.columns).step_by(S::LANES) {
                    let value = S::load(values.add(r * width + column));
                    let to = self.out.add(r * self.out_stride + column);
                    S::store_partial(to, S::LANES.min(self.columns - column), value);
                }
            }
        }
    }

    /// The sums of a panel all of whose columns exist. Nothing but loads, products and stores stands here: a larger body
    /// would not be unrolled, and the sums would live in memory.
    ///
    /// # Safety
    /// As [`Tile::run`]; `bias`, `start` and `out` reach the panel's whole width.
    #[inline(always)]
    unsafe fn sum_full<S: Simd, const ROWS: usize, const VECTORS: usize>(
        &self,
        bias: *const f32,
        start: *const f32,
        start_stride: usize,
        out: *mut f32,
        out_stride: usize,
    ) {
        // SAFETY: the caller's promises.
        unsafe {
            let mut sums = [[S::splat(0.0); VECTORS]; ROWS];
            if !start.is_null() {
                for r in 0..ROWS {
                    for v in 0..VECTORS {
                        sums[r][v] = S::load(start.add(r * start_stride + v * S::LANES));
                    }
                }
            }
            if !bias.is_null() {
                for v in 0..VECTORS {
                    let bias = S::load(bias.add(v * S::LANES));
                    for r in 0..ROWS {
                        sums[r][v] = S::add(sums[r][v], bias);
                    }
                }
            }
            let mut panel = self.panel;
            for &tap in self.taps {
                let mut rows = [self.rows[0]; ROWS];
                for r in 0..ROWS {
                    rows[r] = self.rows[r].add(tap);
                }
                for k in 0..self.depth {
                    let mut weights = [S::splat(0.0); VECTORS];
                    for v in 0..VECTORS {
                        weights[v] = S::load(panel.add(v * S::LANES));
                    }
                    for r in 0..ROWS {
                        let x = S::splat(*rows[r].add(k));
                        for v in 0..VECTORS {
                            sums[r][v] = S::accumulate(sums[r][v], x, weights[v]);
                        }
                    }
                    panel = panel.add(VECTORS * S::LANES);
                }
            }
            if let Some((low, high)) = self.activation.limits().filter(|_| self.activation != Activation::None) {
                let (low, high) = (S::splat(low), S::splat(high));
                for r in 0..ROWS {
                    for v in 0..VECTORS {
                        sums[r][v] = S::min(high, S::max(low, sums[r][v]));
                    }
                }
            }
            for r in 0..ROWS {
                for v in 0..VECTORS {
                    S::store(out.add(r * out_stride + v * S::LANES), sums[r][v]);
                }
            }
        }
    }
}

/// Room for the largest tile.
const SCRATCH: usize = 6 * 64;

/// Aligned like a vector.
#[repr(align(64))]
struct Scratch([f32; SCRATCH]);

/// `to += from` for `count` values.
///
/// # Safety
/// Both reach `count` values, `to` a whole number of vectors.
#[inline(always)]
unsafe fn add<S: Simd>(to: *mut f32, from: *const f32, count: usize) {
    for at in (0..count).step_by(S::LANES) {
        // SAFETY: the caller's promise; the partial load keeps to `count`.
        unsafe {
            let more = S::load_partial(from.add(at), S::LANES.min(count - at));
            S::store(to.add(at), S::add(S::load(to.add(at)), more));
        }
    }
}

/// The activation on rows of whole vectors.
///
/// # Safety
/// `rows` rows of `columns` values, rounded up to whole vectors, may be read and written.
#[inline(always)]
unsafe fn finish<S: Simd>(activation: Activation, out: *mut f32, stride: usize, rows: usize, columns: usize) {
    for r in 0..rows {
        for at in (0..columns).step_by(S::LANES) {
            // SAFETY: the caller's promise.
            unsafe {
                let to = out.add(r * stride + at);
                S::store(to, activation.apply::<S>(S::load(to)));
            }
        }
    }
}

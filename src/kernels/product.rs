//! `out = activation(x W + bias + other)` for rows `x` and packed weights `W`, spread over the pool.
//!
//! Source of the blocking: Goto and van de Geijn, "Anatomy of high-performance matrix multiplication" (2008), without its
//! packing of `x`. Invariant: a row's result depends on that row alone, not on the number of threads or rows.

use super::isa::{Isa, Shape};
use super::math::Activation;
use super::memory::{Shared, volume};
use super::packed::Packed;
use super::pool::Pool;
use super::tile::{MAX_ROWS, Tile};

/// Rows of equal length, perhaps with gaps between them.
#[derive(Clone, Copy)]
pub struct Rows<'a> {
    /// All of them.
    pub values: &'a [f32],
    /// From one row's start to the next.
    pub stride: usize,
}

impl<'a> Rows<'a> {
    /// Rows that follow each other.
    pub fn dense(values: &'a [f32], columns: usize) -> Self {
        Self { values, stride: columns }
    }

    /// The same rows without their first `column` values.
    pub fn from_column(self, column: usize) -> Self {
        Self { values: &self.values[column.min(self.values.len())..], stride: self.stride }
    }

    /// The same rows without the first `row`.
    pub fn from_row(self, row: usize) -> Self {
        Self { values: &self.values[row.saturating_mul(self.stride).min(self.values.len())..], stride: self.stride }
    }

    /// Panics unless `count` rows of `columns` values are there.
    pub(super) fn check(&self, count: usize, columns: usize) {
        let before = volume([count.saturating_sub(1), self.stride]);
        let needed = if count == 0 { 0 } else { before.saturating_add(columns) };
        assert!(self.stride >= columns || count <= 1, "rows of {columns} values every {}", self.stride);
        assert!(self.values.len() >= needed, "{count} rows of {columns} need {needed}, got {}", self.values.len());
    }
}

/// Rows to write, perhaps with gaps between them, which are left alone.
pub struct RowsMut<'a> {
    /// All of them.
    pub values: &'a mut [f32],
    /// From one row's start to the next.
    pub stride: usize,
}

impl<'a> RowsMut<'a> {
    /// Rows that follow each other.
    pub fn dense(values: &'a mut [f32], columns: usize) -> Self {
        Self { values, stride: columns }
    }

    pub(super) fn check(&self, count: usize, columns: usize) {
        Rows { values: self.values, stride: self.stride }.check(count, columns);
    }
}

/// What a product starts from, besides the bias.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    /// Nothing.
    Zero,
    /// What the output holds: the result is added to it.
    Output,
    /// Other rows.
    Other(Rows<'a>),
}

/// A product's weights and what follows it, packed once.
pub struct Linear {
    weights: Packed,
    bias: Option<Box<[f32]>>,
    activation: Activation,
}

/// Values of a row that are summed before the next row, so that a panel stays in the second cache.
const DEPTH_BLOCK: usize = 512;
/// Bytes of `x` that a task works through for each panel.
const CHUNK_BYTES: usize = 512 << 10;
/// Multiplications below which a product stays on the calling thread.
const SMALL: usize = 64 << 10;

impl Linear {
    /// From packed weights; `bias` has a value a column.
    pub fn new(weights: Packed, bias: Option<&[f32]>, activation: Activation) -> Self {
        if let Some(bias) = bias {
            assert_eq!(bias.len(), weights.columns);
        }
        Self { weights, bias: bias.map(Into::into), activation }
    }

    /// The packed weights.
    pub fn weights(&self) -> &Packed {
        &self.weights
    }

    /// `out[r] = activation(x[r] W + bias + start[r])` for the first `count` rows.
    pub fn run(&self, pool: &Pool, count: usize, x: Rows<'_>, start: Start<'_>, out: RowsMut<'_>) {
        let taps = Taps { offsets: &[0], depth: self.weights.depth, place: Place::Rows(x.stride) };
        x.check(count, self.weights.depth);
        // SAFETY: `check` has seen that `depth` values follow the start of each row.
        unsafe { self.run_taps(pool, count, x.values, taps, start, out) }
    }

    /// The same on this thread alone, for callers that are a task already.
    pub fn run_here(&self, count: usize, x: Rows<'_>, start: Start<'_>, out: RowsMut<'_>) {
        let taps = Taps { offsets: &[0], depth: self.weights.depth, place: Place::Rows(x.stride) };
        x.check(count, self.weights.depth);
        self.check(count, start, &out);
        let Packed { isa, .. } = self.weights;
        let each = rows_in_chunk(self.weights.depth);
        let out_stride = out.stride;
        let out = Shared::new(out.values);
        for row in (0..count).step_by(each) {
            let (rows, panels) = (row..(row + each).min(count), 0..self.weights.panels.len());
            let chunk = Chunk { linear: self, x: x.values, taps, start, out, out_stride, rows, panels };
            // SAFETY: rows and columns are within what was checked above, and nobody else writes them.
            unsafe { chunk.run(isa.shape(), isa) };
        }
    }

    fn check(&self, count: usize, start: Start<'_>, out: &RowsMut<'_>) {
        out.check(count, self.weights.columns);
        if let Start::Other(other) = start {
            other.check(count, self.weights.columns);
        }
    }

    /// The same as [`Linear::run`] where each row of the input lies in pieces.
    ///
    /// # Safety
    /// All pieces of `count` rows lie within `x`.
    pub(super) unsafe fn run_taps(
        &self,
        pool: &Pool,
        count: usize,
        x: &[f32],
        taps: Taps<'_>,
        start: Start<'_>,
        out: RowsMut<'_>,
    ) {
        let Packed { isa, depth, columns, .. } = self.weights;
        assert_eq!(taps.offsets.len() * taps.depth, depth);
        self.check(count, start, &out);
        if count == 0 || columns == 0 {
            return;
        }
        let out_stride = out.stride;
        let grid = Grid::new(pool.threads(), count, &self.weights);
        let out = Shared::new(out.values);
        let task = |index: usize| {
            let (rows, panels) = grid.part(index);
            let chunk = Chunk { linear: self, x, taps, start, out, out_stride, rows, panels };
            // SAFETY: rows and columns are within what was checked above, and no two tasks share a pair of them.
            unsafe { chunk.run(isa.shape(), isa) };
        };
        pool.run(grid.tasks(), &task);
    }
}

/// The pieces of an input row.
#[derive(Clone, Copy)]
pub(super) struct Taps<'a> {
    /// From the row's start to each piece.
    pub(super) offsets: &'a [usize],
    /// Values in a piece.
    pub(super) depth: usize,
    /// Where rows start.
    pub(super) place: Place,
}

/// Where an input row starts.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// Row after row, this far apart.
    Rows(usize),
    /// The pixels of an output map, as places of an input map.
    Map {
        /// Pixels of an output row.
        width: usize,
        /// In the input, from an output pixel to the one below it.
        down: usize,
        /// In the input, from an output pixel to the next.
        across: usize,
    },
}

impl Place {
    #[inline(always)]
    pub(super) fn of(self, row: usize) -> usize {
        match self {
            Self::Rows(stride) => row * stride,
            Self::Map { width, down, across } => row / width * down + row % width * across,
        }
    }
}

/// How rows and panels are cut into tasks.
struct Grid {
    count: usize,
    panels: usize,
    rows_each: usize,
    panels_each: usize,
}

impl Grid {
    fn new(threads: usize, count: usize, weights: &Packed) -> Self {
        let panels = weights.panels.len();
        let whole = Self { count, panels, rows_each: count, panels_each: panels };
        if threads == 1 || count * weights.depth * weights.columns < SMALL {
            let rows_each = rows_in_chunk(weights.depth).min(count);
            return Self { rows_each, ..whole };
        }
        // Few rows: each panel is read by one task alone.
        if count <= rows_in_chunk(weights.depth) && panels >= 2 * threads {
            return Self { panels_each: panels.div_ceil(4 * threads), ..whole };
        }
        // A few chunks for each thread, so that a late one costs little; whole tiles of any height.
        let fair = count.div_ceil(threads * 4).next_multiple_of(24);
        let rows_each = fair.min(rows_in_chunk(weights.depth)).min(count);
        let chunks = count.div_ceil(rows_each);
        let columns_wanted = (2 * threads).div_ceil(chunks).min(panels);
        Self { rows_each, panels_each: panels.div_ceil(columns_wanted), ..whole }
    }

    fn across(&self) -> usize {
        self.panels.div_ceil(self.panels_each)
    }

    fn tasks(&self) -> usize {
        self.count.div_ceil(self.rows_each) * self.across()
    }

    /// Rows and panels of a task.
    fn part(&self, index: usize) -> (std::ops::Range<usize>, std::ops::Range<usize>) {
        let (row, panel) = (index / self.across() * self.rows_each, index % self.across() * self.panels_each);
        (row..(row + self.rows_each).min(self.count), panel..(panel + self.panels_each).min(self.panels))
    }
}

fn rows_in_chunk(depth: usize) -> usize {
    (CHUNK_BYTES / (4 * depth.clamp(1, DEPTH_BLOCK)) / 24 * 24).max(24)
}

/// A task: some rows times some panels.
#[derive(Clone)]
struct Chunk<'a> {
    linear: &'a Linear,
    x: &'a [f32],
    taps: Taps<'a>,
    start: Start<'a>,
    out: Shared<'a>,
    out_stride: usize,
    rows: std::ops::Range<usize>,
    panels: std::ops::Range<usize>,
}

impl Chunk<'_> {
    /// # Safety
    /// The rows' pieces lie within `x`; no other task writes these rows and panels.
    unsafe fn run(self, shape: Shape, isa: Isa) {
        #[cfg(target_arch = "x86_64")]
        if isa.packs_bf16() {
            let weights = &self.linear.weights;
            return super::bf16::with_rows(isa, self.x, self.taps, self.rows.clone(), |pairs| {
                let place = Place::Rows(weights.steps());
                let taps = Taps { offsets: &[0], depth: weights.steps(), place };
                let first = self.rows.start;
                // SAFETY: the gathered rows are `steps` pairs each, counted from the first; the rest is the caller's.
                unsafe { Chunk { x: pairs, taps, ..self }.sum(shape, isa, first) }
            });
        }
        // SAFETY: the caller's promise.
        unsafe { self.sum(shape, isa, 0) }
    }

    /// # Safety
    /// As [`Chunk::run`]; row `r` of the chunk is row `r - first` of `x`.
    unsafe fn sum(self, shape: Shape, isa: Isa, first: usize) {
        let Taps { offsets, depth, place } = self.taps;
        let weights = &self.linear.weights;
        // Either some taps whole, or a part of the only one.
        let (taps_each, depth_each) = if offsets.len() > 1 {
            ((DEPTH_BLOCK / depth).clamp(1, offsets.len()), depth)
        } else {
            (1, depth.div_ceil(depth.div_ceil(DEPTH_BLOCK).max(1)).max(1))
        };
        let mut done = 0;
        let mut tap = 0;
        let mut within = 0;
        loop {
            let taps_now = taps_each.min(offsets.len() - tap);
            let depth_now = depth_each.min(depth - within);
            let summed = taps_now * depth_now;
            let is_first = done == 0;
            let is_last = done + summed >= weights.steps();
            for panel in &weights.panels[self.panels.clone()] {
                let height = shape.tile_rows[panel.vectors - 1];
                let width = panel.vectors * shape.lanes;
                let bias = match &self.linear.bias {
                    Some(bias) if is_first => bias[panel.column..].as_ptr(),
                    _ => std::ptr::null(),
                };
                let mut row = self.rows.start;
                while row < self.rows.end {
                    let row_count = height.min(self.rows.end - row);
                    // SAFETY: the rows and columns lie within the slices (the caller of this task checked), and a
                    // panel holds `depth * width` numbers, of which `done` rows lie before this block.
                    unsafe {
                        let mut rows = [self.x.as_ptr(); MAX_ROWS];
                        for (r, pointer) in rows.iter_mut().enumerate().take(row_count) {
                            *pointer = self.x.as_ptr().add(place.of(row + r - first) + within);
                        }
                        let out = self.out.at(row * self.out_stride + panel.column);
                        let (start, start_stride) = match self.start {
                            _ if !is_first => (out.cast_const(), self.out_stride),
                            Start::Zero => (std::ptr::null(), 0),
                            Start::Output => (out.cast_const(), self.out_stride),
                            Start::Other(o) => (o.values.as_ptr().add(row * o.stride + panel.column), o.stride),
                        };
                        let tile = Tile {
                            rows,
                            taps: &offsets[tap..tap + taps_now],
                            depth: depth_now,
                            pairs: isa.packs_bf16(),
                            panel: weights.values.as_ptr().add(panel.start + done * width),
                            bias,
                            start,
                            start_stride,
                            out,
                            out_stride: self.out_stride,
                            columns: panel.columns,
                            activation: if is_last { self.linear.activation } else { Activation::None },
                        };
                        tile.run(isa, row_count, panel.vectors);
                    }
                    row += row_count;
                }
            }
            done += summed;
            if is_last {
                return;
            }
            within += depth_now;
            if within == depth {
                within = 0;
                tap += taps_now;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::*;

    /// The definition, in f64.
    fn plain(x: Rows<'_>, weight: &[f32], [rows, depth, columns]: [usize; 3], bias: &[f32]) -> Vec<f32> {
        let mut out = Vec::new();
        for row in 0..rows {
            for column in 0..columns {
                let sum: f64 = (0..depth)
                    .map(|k| f64::from(x.values[row * x.stride + k]) * f64::from(weight[column * depth + k]))
                    .sum();
                out.push((sum + f64::from(bias[column])) as f32);
            }
        }
        out
    }

    #[test]
    fn equals_the_definition_for_odd_sizes_on_every_machine() {
        for isa in Isa::all() {
            for (rows, depth, columns, gap) in [
                (1, 1, 1, 0),
                (7, 5, 3, 2),
                (13, 33, 17, 0),
                (5, 1030, 40, 1),
                (50, 64, 100, 3),
                (300, 96, 64, 0),
                (25, 70, 81, 0),
                (12, 16, 16, 0),
            ] {
                let stride = depth + gap;
                let x = noise(rows * stride, 1);
                let x = Rows { values: &x, stride };
                let (weight, bias) = (noise(columns * depth, 2), noise(columns, 3));
                let linear =
                    Linear::new(Packed::from_linear(isa, &weight, columns, depth), Some(&bias), Activation::None);
                let want = plain(x, &weight, [rows, depth, columns], &bias);
                let out_stride = columns + gap;
                let mut out = vec![9.0; rows * out_stride];
                let rows_mut = RowsMut { values: &mut out, stride: out_stride };
                linear.run(Pool::global(), rows, x, Start::Zero, rows_mut);
                let tolerance = 2e-6 * depth as f32;
                for (row, want) in out.chunks(out_stride).zip(want.chunks(columns)) {
                    assert_close(isa.word(), &row[..columns], want, tolerance);
                    assert!(row[columns..].iter().all(|&gap| gap == 9.0), "gaps are left alone");
                }
                let once = out.clone();
                let rows_mut = RowsMut { values: &mut out, stride: out_stride };
                linear.run(Pool::global(), rows, x, Start::Output, rows_mut);
                let other = Rows { values: &once, stride: out_stride };
                let mut third = vec![9.0; rows * out_stride];
                let rows_mut = RowsMut { values: &mut third, stride: out_stride };
                linear.run(Pool::global(), rows, x, Start::Other(other), rows_mut);
                assert_eq!(out, third, "adding to the output and to a copy of it");
                for (row, want) in out.chunks(out_stride).zip(want.chunks(columns)) {
                    let twice: Vec<f32> = want.iter().map(|v| 2.0 * v).collect();
                    assert_close(isa.word(), &row[..columns], &twice, tolerance);
                }
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_its_neighbours_and_nan_stays_in_its_row() {
        for isa in Isa::all() {
            let (depth, columns) = (70, 50);
            let mut x = noise(40 * depth, 1);
            let packed = Packed::from_linear(isa, &noise(columns * depth, 2), columns, depth);
            let linear = Linear::new(packed, None, Activation::Gelu);
            let run = |x: &[f32]| {
                let rows = x.len() / depth;
                let mut out = vec![0.0; rows * columns];
                let rows_mut = RowsMut::dense(&mut out, columns);
                linear.run(Pool::global(), rows, Rows::dense(x, depth), Start::Zero, rows_mut);
                out
            };
            let all = run(&x);
            for row in [0, 11, 12, 39] {
                assert_eq!(run(&x[row * depth..(row + 1) * depth]), all[row * columns..(row + 1) * columns]);
            }
            x[5 * depth + 3] = f32::NAN;
            x[6 * depth] = 1e-40;
            let with_nan = run(&x);
            assert!(with_nan[5 * columns..6 * columns].iter().all(|v| v.is_nan()));
            assert!(with_nan[6 * columns..].iter().all(|v| v.is_finite()));
            assert_eq!(with_nan[..5 * columns], all[..5 * columns]);
        }
    }

    #[test]
    #[should_panic(expected = "need")]
    fn too_short_rows_are_refused() {
        let linear = Linear::new(Packed::from_linear(Isa::PORTABLE, &[1.0; 4], 2, 2), None, Activation::None);
        let rows_mut = RowsMut { values: &mut [0.0; 4], stride: 2 };
        linear.run(Pool::global(), 2, Rows::dense(&[1.0; 3], 2), Start::Zero, rows_mut);
    }
}

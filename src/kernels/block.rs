//! Products of blocks that lie in a cache: `out = a b + start`, where nothing is packed and `a` may be read column by
//! column.
//!
//! For factors that are made anew with each question, so that packing would not pay. Invariant: `b` and `out` are whole
//! vectors wide; sums run over the depth in order, so a row does not depend on the rows beside it.

use super::isa::{Isa, Kernel};
use super::product::{Rows, RowsMut, Start};
use super::simd::Simd;

/// How the left factor lies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Left {
    /// `[rows, depth]`.
    Plain,
    /// `[depth, rows]`.
    Transposed,
}

/// `out[r] = sum over k of a[r][k] b[k] + start[r]`, with `size` = rows, depth, columns. On this thread.
///
/// # Panics
/// If a factor is too short or `columns` is no whole number of vectors.
pub(super) fn multiply(
    isa: Isa,
    size: [usize; 3],
    (left, a): (Left, Rows<'_>),
    b: Rows<'_>,
    start: Start<'_>,
    out: RowsMut<'_>,
) {
    let [rows, depth, columns] = size;
    assert!(columns.is_multiple_of(isa.shape().lanes), "{columns} columns");
    match left {
        Left::Plain => a.check(rows, depth),
        Left::Transposed => a.check(depth, rows),
    }
    b.check(depth, columns);
    out.check(rows, columns);
    // The only borrow of the output, so that both of its pointers stay valid.
    let to = out.values.as_mut_ptr();
    let (start, start_row) = match start {
        Start::Zero => (std::ptr::null(), 0),
        Start::Output => (to.cast_const(), out.stride),
        Start::Other(other) => {
            other.check(rows, columns);
            (other.values.as_ptr(), other.stride)
        }
    };
    let block = Block {
        rows,
        depth,
        columns,
        a: a.values.as_ptr(),
        a_stride: a.stride,
        left,
        b: b.values.as_ptr(),
        b_stride: b.stride,
        start,
        start_row,
        out: to,
        out_row: out.stride,
    };
    // SAFETY: the lengths were checked above, and `out` is borrowed alone.
    unsafe { isa.run(block) }
}

struct Block {
    rows: usize,
    depth: usize,
    columns: usize,
    a: *const f32,
    a_stride: usize,
    left: Left,
    b: *const f32,
    b_stride: usize,
    start: *const f32,
    start_row: usize,
    out: *mut f32,
    out_row: usize,
}

impl Kernel for Block {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // SAFETY: the maker's checks.
        unsafe {
            match self.left {
                Left::Plain => self.all::<S, false>(),
                Left::Transposed => self.all::<S, true>(),
            }
        }
    }
}

impl Block {
    /// # Safety
    /// The factors reach as far as the sizes say.
    #[inline(always)]
    unsafe fn all<S: Simd, const TRANSPOSED: bool>(&self) {
        let mut column = 0;
        while column < self.columns {
            let left = (self.columns - column) / S::LANES;
            // SAFETY: columns stay below `self.columns`.
            unsafe {
                if S::MAX_VECTORS >= 4 && left >= 4 {
                    self.panel::<S, TRANSPOSED, 4>(column);
                    column += 4 * S::LANES;
                } else if left >= 2 {
                    self.panel::<S, TRANSPOSED, 2>(column);
                    column += 2 * S::LANES;
                } else {
                    self.panel::<S, TRANSPOSED, 1>(column);
                    column += S::LANES;
                }
            }
        }
    }

    /// # Safety
    /// As above; `VECTORS` vectors follow `column`.
    #[inline(always)]
    unsafe fn panel<S: Simd, const TRANSPOSED: bool, const VECTORS: usize>(&self, column: usize) {
        let most = S::TILE_ROWS[VECTORS - 1];
        let mut row = 0;
        // SAFETY: rows stay below `self.rows`.
        unsafe {
            while row < self.rows {
                let left = self.rows - row;
                row += match most {
                    12.. if left >= 12 => self.tile::<S, TRANSPOSED, VECTORS, 12>(row, column),
                    8.. if left >= 8 => self.tile::<S, TRANSPOSED, VECTORS, 8>(row, column),
                    6.. if left >= 6 => self.tile::<S, TRANSPOSED, VECTORS, 6>(row, column),
                    4.. if left >= 4 => self.tile::<S, TRANSPOSED, VECTORS, 4>(row, column),
                    _ if left >= 2 => self.tile::<S, TRANSPOSED, VECTORS, 2>(row, column),
                    _ => self.tile::<S, TRANSPOSED, VECTORS, 1>(row, column),
                };
            }
        }
    }

    /// Gives `ROWS`.
    ///
    /// # Safety
    /// As above; `ROWS` rows follow `row`.
    #[inline(always)]
    unsafe fn tile<S: Simd, const TRANSPOSED: bool, const VECTORS: usize, const ROWS: usize>(
        &self,
        row: usize,
        column: usize,
    ) -> usize {
        // SAFETY: the caller's promise.
        unsafe {
            let mut sums = [[S::splat(0.0); VECTORS]; ROWS];
            if !self.start.is_null() {
                for r in 0..ROWS {
                    for v in 0..VECTORS {
                        sums[r][v] = S::load(self.start.add((row + r) * self.start_row + column + v * S::LANES));
                    }
                }
            }
            // What the next tile starts from and writes may still be in memory, and nothing else asks for it early.
            for r in ROWS..2 * ROWS {
                for v in 0..VECTORS {
                    let at = (row + r) * self.out_row + column + v * S::LANES;
                    S::prefetch(self.out.wrapping_add(at));
                    if !self.start.is_null() {
                        let at = (row + r) * self.start_row + column + v * S::LANES;
                        S::prefetch(self.start.wrapping_add(at));
                    }
                }
            }
            let mut b = self.b.add(column);
            if TRANSPOSED {
                let mut a = self.a.add(row);
                for _ in 0..self.depth {
                    let mut weights = [S::splat(0.0); VECTORS];
                    for v in 0..VECTORS {
                        weights[v] = S::load(b.add(v * S::LANES));
                    }
                    for r in 0..ROWS {
                        let x = S::splat(*a.add(r));
                        for v in 0..VECTORS {
                            sums[r][v] = S::mul_add(x, weights[v], sums[r][v]);
                        }
                    }
                    // The last step leaves the factors, which `add` must not.
                    a = a.wrapping_add(self.a_stride);
                    b = b.wrapping_add(self.b_stride);
                }
            } else {
                let mut rows = [self.a; ROWS];
                for r in 0..ROWS {
                    rows[r] = self.a.add((row + r) * self.a_stride);
                }
                for k in 0..self.depth {
                    let mut weights = [S::splat(0.0); VECTORS];
                    for v in 0..VECTORS {
                        weights[v] = S::load(b.add(v * S::LANES));
                    }
                    for r in 0..ROWS {
                        let x = S::splat(*rows[r].add(k));
                        for v in 0..VECTORS {
                            sums[r][v] = S::mul_add(x, weights[v], sums[r][v]);
                        }
                    }
                    b = b.wrapping_add(self.b_stride);
                }
            }
            for r in 0..ROWS {
                for v in 0..VECTORS {
                    S::store(self.out.add((row + r) * self.out_row + column + v * S::LANES), sums[r][v]);
                }
            }
        }
        ROWS
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::*;

    #[test]
    fn equals_the_definition_on_every_machine() {
        for isa in Isa::all() {
            for (rows, depth, vectors) in [(1, 1, 1), (7, 5, 3), (96, 64, 4), (56, 96, 7), (29, 33, 16)] {
                let columns = vectors * isa.shape().lanes;
                let (a, b, from) =
                    (noise(rows * depth + 200, 1), noise(depth * (columns + 3), 2), noise(rows * columns, 3));
                for (left, stride) in [(Left::Plain, depth + 1), (Left::Transposed, rows + 1)] {
                    let a = noise(stride * rows.max(depth), a[0].to_bits());
                    let mut want = from.clone();
                    for (r, c, k) in
                        (0..rows).flat_map(|r| (0..columns).flat_map(move |c| (0..depth).map(move |k| (r, c, k))))
                    {
                        let x = if left == Left::Plain { a[r * stride + k] } else { a[k * stride + r] };
                        want[r * columns + c] += x * b[k * (columns + 3) + c];
                    }
                    let mut out = vec![0.0; rows * columns];
                    let a = Rows { values: &a, stride };
                    let b = Rows { values: &b, stride: columns + 3 };
                    let start = Start::Other(Rows::dense(&from, columns));
                    let size = [rows, depth, columns];
                    multiply(isa, size, (left, a), b, start, RowsMut::dense(&mut out, columns));
                    assert_close(isa.word(), &out, &want, 1e-4);
                    let mut onto = from.clone();
                    multiply(isa, size, (left, a), b, Start::Output, RowsMut::dense(&mut onto, columns));
                    assert_eq!(onto, out);
                }
            }
        }
    }
}

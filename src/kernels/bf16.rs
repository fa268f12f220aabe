//! Rows as bf16 for products whose weights are: gathered from their pieces and rounded once a task, before every panel
//! reads them.
//!
//! Invariant: rounding is to nearest, ties to even, the same as that of the weights; sums stay f32.

use super::isa::{Isa, Kernel};
use super::product::Taps;
use super::simd::Simd;
use super::simd::avx512_bf16::store_as_bf16;
use std::cell::RefCell;
use std::ops::Range;

thread_local! {
    /// Room for a task's rows; each thread works on one task at a time.
    static ROOM: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Hands `rows` of the input to `work` as pairs: row after row, two bf16 numbers in each value, an odd last one with a
/// zero beside it.
pub(super) fn with_rows<R>(
    isa: Isa,
    x: &[f32],
    taps: Taps<'_>,
    rows: Range<usize>,
    work: impl FnOnce(&[f32]) -> R,
) -> R {
    let depth = taps.offsets.len() * taps.depth;
    let steps = depth.div_ceil(2);
    ROOM.with_borrow_mut(|room| {
        let needed = rows.len() * steps;
        if room.len() < needed {
            room.resize(needed, 0.0);
        }
        let pairs = &mut room[..needed];
        for (index, row) in rows.enumerate() {
            let to = &mut pairs[index * steps..][..steps];
            if let Some(last) = to.last_mut() {
                *last = 0.0;
            }
            for (tap, offset) in taps.offsets.iter().enumerate() {
                let from = &x[taps.place.of(row) + offset..][..taps.depth];
                // SAFETY: `to` has room for `2 * steps >= depth` halves, of which this tap's start at `tap * taps.depth`.
                unsafe {
                    let to = to.as_mut_ptr().cast::<u16>().add(tap * taps.depth);
                    isa.run_bf16(Round { from, to });
                }
            }
        }
        work(pairs)
    })
}

/// A row as pairs, an odd last number with a zero beside it. `to` has `from.len() / 2` values, rounded up.
pub(super) fn round_row(isa: Isa, from: &[f32], to: &mut [f32]) {
    assert_eq!(to.len(), from.len().div_ceil(2));
    if let Some(last) = to.last_mut() {
        *last = 0.0;
    }
    // SAFETY: `to` has room for `from.len()` halves.
    unsafe { isa.run_bf16(Round { from, to: to.as_mut_ptr().cast() }) };
}

/// The same where the pairs take the place of the first half of the row's `count` numbers.
pub(super) fn round_row_in_place(isa: Isa, row: &mut [f32], count: usize) {
    assert!(count < row.len());
    // A number beside an odd last one.
    row[count] = 0.0;
    let count = count.next_multiple_of(2);
    assert!(count <= row.len());
    // SAFETY: both ends stay within the row; a vector of numbers is read before its halves are written, and these lie
    // before all numbers that are still to be read.
    unsafe { isa.run_bf16(RoundInPlace { row: row.as_mut_ptr(), count }) };
}

struct RoundInPlace {
    row: *mut f32,
    count: usize,
}

impl Kernel for RoundInPlace {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for at in (0..self.count).step_by(16) {
            // SAFETY: the maker's promise; this kernel is entered by `run_bf16` alone.
            unsafe {
                store_as_bf16(self.row.add(at), self.row.cast::<u16>().add(at), (self.count - at).min(16));
            }
        }
    }
}

/// Two numbers as bf16 in one value, nearest, ties to even; the first in the low half.
#[inline]
pub(super) fn bf16_pair(low: f32, high: f32) -> f32 {
    let half = |x: f32| {
        let bits = x.to_bits();
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
        // The sum would carry a NaN over into an infinity or a zero.
        if x.is_nan() { 0x7fc0 } else { rounded }
    };
    f32::from_bits(half(low) | half(high) << 16)
}

struct Round<'a> {
    from: &'a [f32],
    to: *mut u16,
}

impl Kernel for Round<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for at in (0..self.from.len()).step_by(16) {
            // SAFETY: the maker's promise; this kernel is entered by `run_bf16` alone.
            unsafe { store_as_bf16(self.from.as_ptr().add(at), self.to.add(at), (self.from.len() - at).min(16)) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::super::{Activation, Convolution, Cpu, Linear, Packed, Rows, RowsMut, Start};

    fn rounded(values: &[f32]) -> Vec<f32> {
        values.iter().map(|&v| half::bf16::from_f32(v).to_f32()).collect()
    }

    /// Against f32 products of the rounded numbers, which are exact in f32 one by one.
    #[test]
    fn equals_f32_products_of_rounded_numbers() {
        let Some(cpu) = Cpu::with_bf16() else {
            eprintln!("skipped: this machine has no products of bf16 numbers");
            return;
        };
        let plain = cpu.isa.with_f32_products();
        for (rows, depth, columns) in [(1, 1, 1), (7, 5, 3), (40, 33, 70), (300, 2050, 64), (13, 96, 17)] {
            let (x, weight) = (noise(rows * depth, 1), noise(columns * depth, 2));
            let bias = noise(columns, 3);
            let mut got = vec![1.0; rows * columns];
            let mut want = got.clone();
            let linear = |isa, weight: &[f32]| {
                Linear::new(Packed::from_linear(isa, weight, columns, depth), Some(&bias), Activation::None)
            };
            let out = RowsMut::dense(&mut got, columns);
            linear(cpu.isa, &weight).run(cpu.pool, rows, Rows::dense(&x, depth), Start::Output, out);
            let (x, out) = (rounded(&x), RowsMut::dense(&mut want, columns));
            linear(plain, &rounded(&weight)).run(cpu.pool, rows, Rows::dense(&x, depth), Start::Output, out);
            assert_close("bf16", &got, &want, 3e-6 * depth as f32);
        }
    }

    #[test]
    fn convolutions_gather_their_taps() {
        let Some(cpu) = Cpu::with_bf16() else {
            eprintln!("skipped: this machine has no products of bf16 numbers");
            return;
        };
        let plain = Cpu { isa: cpu.isa.with_f32_products(), ..cpu.clone() };
        for inputs in [3, 8] {
            let (map, weight) = (noise(9 * 7 * inputs, 1), noise(20 * inputs * 9, 2));
            let run = |cpu: &Cpu, map: &[f32], weight: &[f32]| {
                let convolution = Convolution::new(cpu.isa, weight, [20, inputs, 3], 2, None, Activation::None);
                let mut out = vec![0.0; 5 * 4 * 20];
                convolution.run(cpu, map, 9, 7, Start::Zero, RowsMut::dense(&mut out, 20));
                out
            };
            let want = run(&plain, &rounded(&map), &rounded(&weight));
            assert_close("bf16", &run(&cpu, &map, &weight), &want, 1e-4);
        }
    }
}

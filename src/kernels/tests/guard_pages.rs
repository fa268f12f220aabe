//! Every kernel with its slices at the edge of readable memory, on every instruction set and with every tail.

use super::super::{Arena, Cpu, Isa, Pool};
use super::cases::{Bench, CASES, Numbers, Size, inverted};
use super::guarded::Edge;

/// Sizes that leave tails of every length modulo the widest vector, in each of the three numbers.
fn sizes() -> impl Iterator<Item = Size> {
    let last: u32 = if cfg!(miri) { 3 } else { 33 };
    (1..=last).map(|n| {
        let (k, seed) = (n as usize, n);
        Size { a: (5 * k) % 33 + 1, b: (7 * k + 3) % 33 + 1, c: k, gap: k % 3, seed }
    })
}

/// The plain path gives what all others must give.
fn check(isa: Isa, numbers: Numbers, size: Size, tolerance: f32) {
    let plain = Cpu { isa: Isa::PORTABLE, pool: Pool::alone(), arena: Arena::default() };
    let cpu = Cpu { isa, ..plain.clone() };
    for &(name, case) in CASES {
        let want = case(&Bench { cpu: &plain, edge: Edge::End, numbers }, size);
        for edge in [Edge::End, Edge::Start] {
            let got = case(&Bench { cpu: &cpu, edge, numbers }, size);
            super::properties::assert_twins(&format!("{name} {size:?} {}", isa.word()), &got, &want, tolerance);
        }
    }
}

#[test]
fn no_kernel_leaves_its_slices() {
    for isa in Isa::all() {
        for size in sizes() {
            check(isa, Numbers::Usual, size, 2e-3);
        }
    }
}

/// Products of bf16 numbers are rounded, so only that they stay within bounds and gaps is seen here; `bf16` has tests of
/// what they give.
#[test]
fn no_kernel_with_bf16_weights_leaves_its_slices() {
    let Some(isa) = Isa::best_bf16() else {
        eprintln!("skipped: this machine has no products of bf16 numbers");
        return;
    };
    for size in sizes() {
        check(isa, Numbers::Usual, size, f32::INFINITY);
    }
}

/// Maps that are widened strip by strip, because the widened map is too large to be stored.
#[test]
#[cfg_attr(miri, ignore = "a million values")]
fn strips_of_widened_maps_stay_within_their_slices() {
    let mut first: Option<Vec<f32>> = None;
    for isa in Isa::all() {
        let cpu = Cpu { isa, pool: Pool::alone(), arena: Arena::default() };
        for edge in [Edge::End, Edge::Start] {
            let bench = Bench { cpu: &cpu, edge, numbers: Numbers::Usual };
            let mut got = inverted(&bench, [9, 37, 3, 3203, 3], [3, 1], true, 1);
            got.extend(inverted(&bench, [6, 37, 3, 4801, 2], [5, 2], false, 2));
            let want = first.get_or_insert_with(|| got.clone());
            super::properties::assert_twins(isa.word(), &got, want, 2e-3);
        }
    }
}

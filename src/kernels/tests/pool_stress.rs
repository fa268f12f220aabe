//! The pool under stress: short rounds one upon the other, sleepers, panics, callers in each other's way.

use super::super::testing::noise;
use super::super::{Activation, Isa, Linear, Packed, Pool, Rows, RowsMut, Start};
use std::panic::{AssertUnwindSafe, catch_unwind, panic_any};
use std::sync::atomic::{AtomicUsize, Ordering};

const ROUNDS: usize = if cfg!(miri) { 20 } else { 3_000 };

/// Each round has its own closure and numbers on the stack, so a worker that is late, or works on after the round, would
/// find others' memory. What tasks write is not atomic: it must be visible when `run` returns.
#[test]
fn rounds_do_not_mix_and_their_results_are_there() {
    let pool = Pool::start(4);
    let mut values = vec![0.0; 64];
    for round in 0..ROUNDS {
        let count = round % 64 + 1;
        let runs = AtomicUsize::new(0);
        pool.run_chunks(&mut values[..count], 1, &|index, part| {
            runs.fetch_add(1, Ordering::Relaxed);
            part[0] = (round * 64 + index) as f32;
        });
        assert_eq!(runs.into_inner(), count);
        assert!(values[..count].iter().enumerate().all(|(i, &v)| v == (round * 64 + i) as f32), "round {round}");
        if round.is_multiple_of(500) {
            // Long enough for the workers to fall asleep.
            std::thread::sleep(std::time::Duration::from_millis(3));
        }
    }
}

#[test]
fn callers_in_each_others_way_get_their_own_results() {
    let pool = Pool::start(3);
    std::thread::scope(|scope| {
        for caller in 0..4 {
            scope.spawn(move || {
                for round in 0..ROUNDS / 4 {
                    let (mut a, mut b) = ([0.0; 21], [0.0; 14]);
                    pool.run_chunks(&mut a, 3, &|index, a| {
                        // A call from within a task stays on its thread.
                        pool.run_chunks(a, 1, &|i, part| part[0] = (index * 3 + i) as f32);
                    });
                    pool.run_chunks(&mut b, 2, &|_, b| b.fill((caller * 1000 + round) as f32));
                    assert!(a.iter().enumerate().all(|(i, &v)| v == i as f32));
                    assert!(b.iter().all(|&v| v == (caller * 1000 + round) as f32));
                }
            });
        }
    });
}

/// A payload that panics when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[test]
fn panics_even_of_the_worst_kind_leave_a_pool_that_works() {
    let pool = Pool::start(3);
    for round in 0..ROUNDS / 50 {
        let done = AtomicUsize::new(0);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            pool.run(9, &|index| {
                if index == round % 9 {
                    panic_any(Bomb);
                }
                done.fetch_add(1, Ordering::Relaxed);
            });
        }));
        assert!(outcome.is_err());
        assert_eq!(done.into_inner(), 8, "the other tasks are run");
    }
    let sum = AtomicUsize::new(0);
    pool.run(100, &|index| {
        sum.fetch_add(index, Ordering::Relaxed);
    });
    assert_eq!(sum.into_inner(), 4950);
}

/// Products within tasks, each with room of its own thread.
#[test]
fn products_within_tasks_are_products() {
    let pool = Pool::start(3);
    let (rows, depth, columns) = (30, 37, 41);
    for isa in Isa::all().into_iter().chain(Isa::best_bf16()) {
        let packed = Packed::from_linear(isa, &noise(depth * columns, 1), columns, depth);
        let linear = Linear::new(packed, None, Activation::Gelu);
        let x = noise(rows * depth, 2);
        let mut want = vec![0.0; rows * columns];
        linear.run_here(rows, Rows::dense(&x, depth), Start::Zero, RowsMut::dense(&mut want, columns));
        let mut got = vec![0.0; rows * columns];
        pool.run_chunks(&mut got, columns, &|row, out| {
            let x = Rows::dense(&x[row * depth..][..depth], depth);
            linear.run(pool, 1, x, Start::Zero, RowsMut::dense(out, columns));
        });
        assert_eq!(got, want, "{}", isa.word());
    }
}

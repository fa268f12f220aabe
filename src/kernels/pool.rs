//! The threads that compute: started once, handed work by a few atomic operations, asleep when there is none.
//!
//! A call costs about a microsecond while the workers are awake; they look for work for a moment after each call, since
//! a model is a long row of short calls. Invariant: [`Pool::run`] returns only when every task has ended, so tasks may
//! borrow from the caller; a panic in a task reaches the caller. A second caller at the same time computes on its own
//! thread alone instead of waiting.

use super::memory::Shared;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, OnceLock, PoisonError};

/// Looks for new work (or for the end of work) before a thread gives its core away.
const SPINS: u32 = 4_000;

type Task = dyn Fn(usize) + Sync;

/// The computing threads of this process; the calling thread is one of them.
pub struct Pool {
    /// Held by the one caller whose work is spread.
    busy: Mutex<()>,
    /// Goes up with each piece of work.
    round: AtomicU32,
    work: Mutex<Option<Work>>,
    wake: Condvar,
    /// The next task of this round to take.
    next: AtomicUsize,
    /// Workers that take part in this round; joined under the lock of `work`, while there is any.
    inside: AtomicUsize,
    panicked: AtomicBool,
    sleeping: AtomicUsize,
    workers: usize,
}

/// A borrowed closure whose true lifetime ends with the call that made it.
#[derive(Clone, Copy)]
struct Work {
    task: *const Task,
    count: usize,
}

// SAFETY: the closure is `Sync`, and `Pool::run` keeps it alive until all workers have left the round.
unsafe impl Send for Work {}

static WISH: AtomicUsize = AtomicUsize::new(0);

/// Settles how many threads compute; has no effect once the pool has started.
pub fn set_threads(threads: usize) {
    WISH.store(threads, Ordering::Relaxed);
}

impl Pool {
    /// The pool of this process.
    pub fn global() -> &'static Self {
        static POOL: OnceLock<&'static Pool> = OnceLock::new();
        POOL.get_or_init(|| {
            let threads = match WISH.load(Ordering::Relaxed) {
                0 => std::thread::available_parallelism().map_or(1, NonZero::get),
                wish => wish,
            };
            Self::start(threads)
        })
    }

    /// A pool of the calling thread alone: for work within a task.
    pub fn alone() -> &'static Self {
        static ALONE: Pool = Pool::with_workers(0);
        &ALONE
    }

    const fn with_workers(workers: usize) -> Self {
        Self {
            busy: Mutex::new(()),
            round: AtomicU32::new(0),
            work: Mutex::new(None),
            wake: Condvar::new(),
            next: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            sleeping: AtomicUsize::new(0),
            workers,
        }
    }

    /// A pool for the rest of the process, with one thread less than `threads` of its own.
    pub(super) fn start(threads: usize) -> &'static Self {
        let pool: &'static Self = Box::leak(Box::new(Self::with_workers(threads.saturating_sub(1))));
        for index in 1..threads {
            let name = format!("kernels {index}");
            let started = std::thread::Builder::new().name(name).spawn(move || pool.serve());
            // Without its workers the pool would wait for ever; a system that refuses threads at start is beyond help.
            started.expect("the system gives a thread to compute on");
        }
        pool
    }

    /// Threads that compute, the caller's among them.
    pub fn threads(&self) -> usize {
        self.workers + 1
    }

    /// Runs `task(0)` to `task(count - 1)`, in any order, on all threads; returns when all have ended.
    ///
    /// # Panics
    /// If a task did.
    pub fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        if count <= 1 || self.workers == 0 {
            return (0..count).for_each(task);
        }
        let Ok(_alone) = self.busy.try_lock() else {
            return (0..count).for_each(task);
        };
        // SAFETY: only the lifetime is changed, and this function does not return, nor unwind, before the work is
        // taken back and every worker that joined has left (`inside` is 0), after which none looks at the closure.
        let task: *const Task = unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const Task>(task) };
        let work = Work { task, count };
        {
            let mut shared = self.work.lock().unwrap_or_else(PoisonError::into_inner);
            *shared = Some(work);
            self.next.store(0, Ordering::Relaxed);
            self.round.fetch_add(1, Ordering::Release);
        }
        if self.sleeping.load(Ordering::SeqCst) > 0 {
            self.wake.notify_all();
        }
        self.take_part(work);
        // Whoever has not joined by now need not: nobody waits for a sleeper.
        *self.work.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let mut spins = 0;
        while self.inside.load(Ordering::Acquire) > 0 {
            spins += 1;
            if spins < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        if self.panicked.swap(false, Ordering::Relaxed) {
            drop(_alone);
            panic!("a computing task panicked; its message was printed by the thread that ran it");
        }
    }

    /// Runs `task(index, part)` for each part of `each` values, the last of them perhaps shorter, on all threads.
    ///
    /// # Panics
    /// If a task did.
    pub fn run_chunks(&self, values: &mut [f32], each: usize, task: &(dyn Fn(usize, &mut [f32]) + Sync)) {
        let len = values.len();
        let each = each.max(1);
        let values = Shared::new(values);
        self.run(len.div_ceil(each), &|index| {
            let start = index * each;
            // SAFETY: parts do not overlap, and each index is run once.
            task(index, unsafe { values.part(start, each.min(len - start)) });
        });
    }

    /// Takes tasks until none is left.
    fn take_part(&self, work: Work) {
        loop {
            let index = self.next.fetch_add(1, Ordering::Relaxed);
            if index >= work.count {
                return;
            }
            // SAFETY: the round has not ended, so the closure is alive (see `run`).
            let task = unsafe { &*work.task };
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| task(index))) {
                // Dropping it might panic again, and nothing may unwind out of a round that others still work on.
                std::mem::forget(payload);
                self.panicked.store(true, Ordering::Relaxed);
            }
        }
    }

    /// A worker's life.
    fn serve(&self) {
        let mut seen = 0;
        loop {
            let mut spins = 0;
            while self.round.load(Ordering::Acquire) == seen && spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            }
            let mut shared = self.work.lock().unwrap_or_else(PoisonError::into_inner);
            self.sleeping.fetch_add(1, Ordering::SeqCst);
            while self.round.load(Ordering::Acquire) == seen {
                shared = self.wake.wait(shared).unwrap_or_else(PoisonError::into_inner);
            }
            self.sleeping.fetch_sub(1, Ordering::SeqCst);
            seen = self.round.load(Ordering::Acquire);
            let Some(work) = *shared else { continue };
            self.inside.fetch_add(1, Ordering::Relaxed);
            drop(shared);
            self.take_part(work);
            self.inside.fetch_sub(1, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_runs_once_and_borrows_are_fine() {
        let pool = Pool::start(3);
        for count in [0, 1, 2, 7, 1000] {
            let done: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
            pool.run(count, &|index| {
                done[index].fetch_add(1, Ordering::Relaxed);
            });
            assert!(done.iter().all(|d| d.load(Ordering::Relaxed) == 1), "{count}");
        }
    }

    #[test]
    fn parts_cover_all_values_once() {
        for pool in [Pool::alone(), Pool::start(2)] {
            for (len, each) in [(0, 3), (7, 3), (9, 3), (2, 100)] {
                let mut values = vec![0.0; len];
                pool.run_chunks(&mut values, each, &|index, part| {
                    part.iter_mut().enumerate().for_each(|(i, v)| *v += (index * each + i) as f32);
                });
                assert!(values.iter().enumerate().all(|(i, &v)| v == i as f32), "{values:?}");
            }
        }
        assert_eq!(Pool::alone().threads(), 1);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::start(2);
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let outcome = catch_unwind(AssertUnwindSafe(|| pool.run(10, &|index| assert!(index != 5))));
        std::panic::set_hook(hook);
        assert!(outcome.is_err());
        let sum = AtomicUsize::new(0);
        pool.run(10, &|index| {
            sum.fetch_add(index, Ordering::Relaxed);
        });
        assert_eq!(sum.into_inner(), 45);
    }

    #[test]
    fn callers_at_the_same_time_and_from_inside_all_finish() {
        let pool = Pool::start(2);
        let sum = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        pool.run(3, &|_| {
                            pool.run(2, &|_| {
                                sum.fetch_add(1, Ordering::Relaxed);
                            });
                        });
                    }
                });
            }
        });
        assert_eq!(sum.into_inner(), 4 * 200 * 6);
    }
}

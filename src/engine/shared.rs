//! What the workers share: the queues behind one lock, the way events go out, and the fence around a job.
//!
//! Invariants: the lock is held only to look at or change the queues, never across work or the caller's `wake`.
//! Events that belong to a change are queued under the lock, so their order is the order of the changes.

use super::EngineOptions;
use super::disk_cache::DiskCache;
use super::event::{Event, Problem};
use super::pictures::PictureReader;
use super::request::ModelOpener;
use super::state::State;
use crossbeam_channel::Sender;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Queues, events and what the workers need.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    events: Sender<Event>,
    wake: Arc<dyn Fn() + Send + Sync>,
    pub progress_step: Duration,
    pub disk: Option<DiskCache>,
    pub read_picture: PictureReader,
    cache_trouble_told: AtomicBool,
}

impl Shared {
    pub fn new(
        options: EngineOptions,
        events: Sender<Event>,
        open_model: ModelOpener,
        read_picture: PictureReader,
    ) -> Self {
        Self {
            state: Mutex::new(State::new(&options, open_model)),
            changed: Condvar::new(),
            events,
            wake: options.wake,
            progress_step: options.progress_step,
            disk: options.cache_folder.map(|folder| DiskCache::new(folder, options.disk_budget_bytes)),
            read_picture,
            cache_trouble_told: AtomicBool::new(false),
        }
    }

    /// Looks at the queues. A panic under the lock would leave them whole: each change is a few assignments.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the queues; what is encoded in vain is cancelled, and every worker looks at the queues again.
    pub fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = {
            let mut state = self.lock();
            let result = change(&mut state);
            state.cancel_superseded();
            result
        };
        self.changed.notify_all();
        result
    }

    /// Changes the queues and tells what came of it, in one step for all who look.
    pub fn change_and_tell(&self, change: impl FnOnce(&mut State) -> Vec<Event>) {
        let told = self.change(|state| {
            let events = change(state);
            let any = !events.is_empty();
            for event in events {
                self.send(event);
            }
            any
        });
        if told {
            (self.wake)();
        }
    }

    /// Queues an event that belongs to no change, and wakes the asker.
    pub fn emit(&self, event: Event) {
        self.send(event);
        (self.wake)();
    }

    fn send(&self, event: Event) {
        // The receiver outlives the workers but for the last moment of `Engine::drop`; then nobody wants to know.
        let _ = self.events.send(event);
    }

    /// Says once that the cache folder cannot be used.
    pub fn tell_cache_trouble(&self, doing: &str, error: &std::io::Error) {
        tracing::warn!(%error, "{doing} the embedding cache failed");
        if !self.cache_trouble_told.swap(true, Ordering::Relaxed) {
            self.emit(Event::CacheTrouble(Problem::new(format!(
                "{doing} the embedding cache failed: {error}. Pictures seen before are encoded again; check the cache \
                 folder and the free space."
            ))));
        }
    }

    /// Waits until `take` finds work; `None` once the engine shuts down.
    pub fn wait_for<T>(&self, mut take: impl FnMut(&mut State) -> Option<T>) -> Option<T> {
        let mut state = self.lock();
        loop {
            if state.shutting_down {
                return None;
            }
            if let Some(work) = take(&mut state) {
                return Some(work);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Asks everything that runs to stop.
    pub fn shut_down(&self) {
        self.change(|state| {
            state.shutting_down = true;
            let running = state.encoding.as_ref().map(|encode| &encode.cancel);
            for cancel in running.into_iter().chain(&state.heavy_running) {
                cancel.cancel();
            }
        });
    }
}

/// Runs a job behind a fence: a panic becomes a [`Problem`].
pub(super) fn fenced<T>(job: impl FnOnce() -> T) -> Result<T, Problem> {
    // What a job leaves half-done is its own (a local, or a cache entry not yet inserted): nothing torn is seen after.
    catch_unwind(AssertUnwindSafe(job)).map_err(|payload| {
        let message = payload
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| payload.downcast_ref::<String>().cloned())
            .unwrap_or_else(|| "a panic without a message".to_owned());
        Problem { message, panicked: true }
    })
}

/// The same for a job that may fail.
pub(super) fn fenced_result<T, E: std::fmt::Display>(job: impl FnOnce() -> Result<T, E>) -> Result<T, Problem> {
    fenced(job)?.map_err(Problem::new)
}

/// Milliseconds since a moment.
pub(super) fn elapsed_ms(since: std::time::Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

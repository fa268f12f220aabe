//! What the workers share: the queues behind one lock, the way events go out, and the fence around a job.
//!
//! Invariant: the lock is held only to look at or change the queues, never across work; no event is sent under it.

use super::EngineOptions;
use super::event::{Event, Problem};
use super::heavy::HeavyJob;
use super::request::{DecodeRequest, Generation, ModelOpener, PictureHandle, PictureSource};
use crate::geometry::PixelRect;
use crate::inference::CancelToken;
use crossbeam_channel::Sender;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A view of a picture.
#[derive(Debug, Clone)]
pub(super) struct ViewTarget {
    pub picture: PictureHandle,
    pub view: PixelRect,
}

/// A picture to read.
pub(super) struct OpenRequest {
    pub generation: Generation,
    pub source: PictureSource,
}

/// The queues. Every field is a wish not yet begun, or what a worker is at.
#[derive(Default)]
pub(super) struct State {
    pub shutting_down: bool,
    pub model_to_open: Option<ModelOpener>,
    pub open: Option<OpenRequest>,
    pub wanted: Option<ViewTarget>,
    pub ahead: VecDeque<PathBuf>,
    pub click: Option<DecodeRequest>,
    pub hover: Option<DecodeRequest>,
    pub jobs_made: u64,
    pub heavy: VecDeque<HeavyJob>,
    pub heavy_running: Option<CancelToken>,
}

/// Queues, events and options.
pub(super) struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    events: Sender<Event>,
    pub options: EngineOptions,
}

impl Shared {
    pub fn new(options: EngineOptions, events: Sender<Event>, open_model: ModelOpener) -> Self {
        let state = State { model_to_open: Some(open_model), ..State::default() };
        Self { state: Mutex::new(state), changed: Condvar::new(), events, options }
    }

    /// Looks at the queues. A panic under the lock leaves them whole: changes are single assignments.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the queues and lets every worker look at them again.
    pub fn change<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
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

    /// Queues an event and wakes the asker.
    pub fn emit(&self, event: Event) {
        // Nobody listens any more only while the engine is dropped.
        if self.events.send(event).is_ok() {
            (self.options.wake)();
        }
    }

    /// Asks everything that runs to stop.
    pub fn shut_down(&self) {
        self.change(|state| {
            state.shutting_down = true;
            if let Some(cancel) = &state.heavy_running {
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

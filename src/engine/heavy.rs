//! The heavy lane: long jobs (exports, imports) as closures, one after another on a thread of their own.
//!
//! Invariant: every job ends with exactly one `HeavyDone`, also if it panics or is cancelled before it starts.

use super::event::{Event, HeavyOutcome, Problem};
use super::shared::{Shared, fenced};
use super::state::State;
use crate::inference::CancelToken;
use std::sync::{Arc, Mutex, PoisonError};

/// Names a heavy job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub(super) u64);

/// Why a heavy job gave no result.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// It noticed the cancel and stopped.
    #[error("cancelled")]
    Cancelled,
    /// It failed; the text is for people.
    #[error("{0}")]
    Failed(String),
}

/// What a running job reports to and asks whether to go on.
pub struct JobControl<'a> {
    pub(super) job: JobId,
    pub(super) cancel: CancelToken,
    pub(super) shared: &'a Shared,
}

impl JobControl<'_> {
    /// Reports the share done, 0..=1.
    pub fn progress(&self, share: f32) {
        self.shared.emit(Event::HeavyProgress { job: self.job, share: share.clamp(0.0, 1.0) });
    }

    /// Asked between the parts of the work.
    ///
    /// # Errors
    /// [`JobError::Cancelled`] once the job was cancelled; pass it on with `?`.
    pub fn check(&self) -> Result<(), JobError> {
        if self.cancel.is_cancelled() { Err(JobError::Cancelled) } else { Ok(()) }
    }
}

/// The asking side of a heavy job. Dropping it neither cancels nor waits.
#[derive(Debug)]
pub struct JobTicket<T> {
    id: JobId,
    cancel: CancelToken,
    result: Arc<Mutex<Option<T>>>,
}

impl<T> JobTicket<T> {
    /// Its name in events.
    pub fn id(&self) -> JobId {
        self.id
    }

    /// Asks the job to stop; `HeavyDone` follows.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// The result, once: there after `HeavyDone` with [`HeavyOutcome::Finished`].
    pub fn take(&self) -> Option<T> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// What the lane runs.
type Work = Box<dyn FnOnce(&JobControl<'_>) -> Result<(), JobError> + Send>;

/// A queued job.
pub(super) struct HeavyJob {
    id: JobId,
    name: String,
    cancel: CancelToken,
    work: Work,
}

impl HeavyJob {
    /// Wraps a closure so that its result goes to the ticket.
    pub(super) fn new<T: Send + 'static>(
        id: JobId,
        name: String,
        work: impl FnOnce(&JobControl<'_>) -> Result<T, JobError> + Send + 'static,
    ) -> (Self, JobTicket<T>) {
        let ticket = JobTicket { id, cancel: CancelToken::default(), result: Arc::new(Mutex::new(None)) };
        let result = Arc::clone(&ticket.result);
        let job = Self {
            id,
            name,
            cancel: ticket.cancel.clone(),
            work: Box::new(move |control| {
                let value = work(control)?;
                *result.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
                Ok(())
            }),
        };
        (job, ticket)
    }

    fn run(self, shared: &Shared) {
        let control = JobControl { job: self.id, cancel: self.cancel, shared };
        let outcome = if control.cancel.is_cancelled() {
            HeavyOutcome::Cancelled
        } else {
            match fenced(|| (self.work)(&control)) {
                Ok(Ok(())) => HeavyOutcome::Finished,
                Ok(Err(JobError::Cancelled)) => HeavyOutcome::Cancelled,
                Ok(Err(JobError::Failed(message))) => HeavyOutcome::Failed(Problem::new(message)),
                Err(panic) => HeavyOutcome::Failed(panic),
            }
        };
        shared.emit(Event::HeavyDone { job: self.id, name: self.name, outcome });
    }
}

/// The lane's thread.
pub(super) fn run(shared: &Shared) {
    let take = |state: &mut State| {
        let job = state.heavy.pop_front()?;
        state.heavy_running = Some(job.cancel.clone());
        Some(job)
    };
    while let Some(job) = shared.wait_for(take) {
        job.run(shared);
        shared.lock().heavy_running = None;
    }
}

//! The thread that opens projects, keeps their files, and makes masks out of logits: the window waits for none of it.
//!
//! Invariants:
//! - Changes reach the file in the order in which they were made. One that cannot be saved stays at the head of the
//!   queue and is tried again; nothing is dropped, and no other project is opened before all is saved.
//! - A change goes to the project that the session had when it made it: the project before stays open until the session
//!   has taken over the new one.
//! - Dropping the desk saves what is left and joins the thread.

use super::command::{PastedPicture, SampleFile};
use super::project_open::{OpenedProject, Opener};
use crate::document::store::{Store, StoredDraft};
use crate::document::{AnnotationId, Edit, ImageName, ImageSize, LabelId, Origin};
use crate::engine::{Generation, PictureHandle};
use crate::raster::{CutOut, CutOutExtent, LogitField, Mask};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Whether the work on the open project is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Access {
    /// Nothing is open.
    #[default]
    None,
    /// Every edit is kept as it is made.
    ReadWrite,
    /// Another process has the project open: it can be looked at and exported, not changed.
    ReadOnly {
        /// Who has it: `process 4711 on workstation`.
        owner: String,
    },
}

/// Something to keep in the project file.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An edit of the project.
    Edit(Edit),
    /// A prompt not accepted yet, or that there is none any more.
    Draft(ImageName, Option<StoredDraft>),
    /// The picture on the canvas.
    LastImage(ImageName),
}

/// What to open.
#[derive(Debug, Clone)]
pub enum OpenRequest {
    /// A folder, or files.
    Paths(Vec<PathBuf>),
    /// Pictures that the program brings along.
    Samples(Vec<SampleFile>),
    /// Pixels from the clipboard.
    Pasted(PastedPicture),
}

/// An accepted draft on its way to becoming an object.
#[derive(Debug, Clone)]
pub struct Acceptance {
    /// The picture.
    pub image: ImageName,
    /// Its size.
    pub size: ImageSize,
    /// The logits shown when the user accepted.
    pub field: LogitField,
    /// The answer that the logits come from.
    pub answer: Generation,
    /// How the mask came to be, its threshold included.
    pub origin: Origin,
    /// The object to correct.
    pub correcting: Option<AnnotationId>,
    /// The new object's label.
    pub label: Option<LabelId>,
}

enum Job {
    Open(OpenRequest),
    Save(Unsaved),
    /// The session has taken over the newest project.
    LeaveBefore,
    Retry,
    MakeMask(Box<Acceptance>),
    CutOut(PictureHandle, Mask),
    Flush(Sender<Result<(), String>>),
}

/// A change on its way to the disk.
struct Unsaved {
    /// Which project, counted as the session takes them over.
    project: u64,
    number: u64,
    change: Change,
}

/// What the desk tells.
#[derive(Debug)]
pub enum DeskEvent {
    /// A project is open.
    Opened(Box<OpenedProject>),
    /// Nothing was opened; the project before stays. The text says why.
    OpenFailed(String),
    /// All changes up to this number are on the disk.
    Saved(u64),
    /// A change could not be saved; it is tried again. The text says why.
    SaveFailed(String),
    /// The mask of an accepted draft.
    MaskMade(Box<Acceptance>, Mask),
    /// A cut-out for the clipboard.
    CutOutMade(PastedPicture),
    /// A job failed or panicked; the next one runs. The text says why.
    JobFailed(String),
}

/// The asking side.
pub struct ProjectDesk {
    jobs: Option<Sender<Job>>,
    events: Receiver<DeskEvent>,
    thread: Option<JoinHandle<()>>,
    last_change: u64,
    /// The project that the session has, counted.
    project: u64,
}

impl ProjectDesk {
    /// Starts the thread. `wake` is called on it after each event.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(data_folder: Option<PathBuf>, wake: Arc<dyn Fn() + Send + Sync>) -> std::io::Result<Self> {
        let (jobs, job_queue) = unbounded();
        let (event_queue, events) = unbounded();
        let thread = std::thread::Builder::new().name("maskwright-project".to_owned()).spawn(move || {
            let worker = Worker {
                opener: Opener { data_folder },
                store: None,
                before: None,
                project: 0,
                unsaved: VecDeque::new(),
                failures: 0,
                try_again_at: Instant::now(),
                events: event_queue,
                wake,
            };
            worker.run(&job_queue);
        })?;
        Ok(Self { jobs: Some(jobs), events, thread: Some(thread), last_change: 0, project: 0 })
    }

    /// The next event, if there is one. Never waits.
    pub fn try_next_event(&self) -> Option<DeskEvent> {
        self.events.try_recv().ok()
    }

    /// Opens a project: `Opened` or `OpenFailed` follows. Not again before that.
    pub fn open(&self, request: OpenRequest) {
        self.send(Job::Open(request));
    }

    /// Keeps a change and returns its number; `Saved` with that number or a higher one follows.
    pub fn save(&mut self, change: Change) -> u64 {
        self.last_change += 1;
        self.send(Job::Save(Unsaved { project: self.project, number: self.last_change, change }));
        self.last_change
    }

    /// From now on changes are meant for the project opened last.
    pub fn take_over(&mut self) {
        self.project += 1;
        self.send(Job::LeaveBefore);
    }

    /// The number of the last change.
    pub fn last_change(&self) -> u64 {
        self.last_change
    }

    /// Tries at once what could not be saved.
    pub fn retry(&self) {
        self.send(Job::Retry);
    }

    /// Makes the mask of an accepted draft: `MaskMade` follows.
    pub fn make_mask(&self, acceptance: Acceptance) {
        self.send(Job::MakeMask(Box::new(acceptance)));
    }

    /// Cuts an object out: `CutOutMade` or `JobFailed` follows.
    pub fn cut_out(&self, picture: PictureHandle, mask: Mask) {
        self.send(Job::CutOut(picture, mask));
    }

    /// Waits until all is saved or has failed, at most this long.
    ///
    /// # Errors
    /// What could not be saved and why.
    pub fn flush(&self, at_most: Duration) -> Result<(), String> {
        let (answer, answered) = bounded(1);
        self.send(Job::Flush(answer));
        match answered.recv_timeout(at_most) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => Err("saving takes unusually long; the disk may hang".to_owned()),
            Err(RecvTimeoutError::Disconnected) => Err("the thread that saves is gone; please report it".to_owned()),
        }
    }

    fn send(&self, job: Job) {
        if let Some(jobs) = &self.jobs {
            // The thread ends only after this sender is dropped.
            let _ = jobs.send(job);
        }
    }
}

impl Drop for ProjectDesk {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    opener: Opener,
    store: Option<Store>,
    /// The project before, until the session has taken over.
    before: Option<Store>,
    /// Which project `store` is.
    project: u64,
    /// Not on the disk yet, oldest first.
    unsaved: VecDeque<Unsaved>,
    /// Failed tries in a row.
    failures: u32,
    /// When the next try is due, after a failed one.
    try_again_at: Instant,
    events: Sender<DeskEvent>,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl Worker {
    fn run(mut self, jobs: &Receiver<Job>) {
        loop {
            let job = if self.unsaved.is_empty() {
                jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                // A time, not a pause: other jobs must not put the next try off for ever.
                jobs.recv_deadline(self.try_again_at)
            };
            match job {
                Ok(job) => {
                    let fenced = catch_unwind(AssertUnwindSafe(|| self.do_job(job)));
                    if let Err(panic) = fenced {
                        self.tell(DeskEvent::JobFailed(panic_text(&*panic)));
                    }
                }
                Err(RecvTimeoutError::Timeout) => self.save_all(),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.save_all();
        close(self.before.take());
        close(self.store.take());
    }

    fn do_job(&mut self, job: Job) {
        match job {
            Job::Open(request) => self.open(&request),
            Job::Save(unsaved) => {
                // Of several drafts in a row only the last matters.
                if let (Change::Draft(image, _), Some(Unsaved { change: Change::Draft(last, _), project, .. })) =
                    (&unsaved.change, self.unsaved.back())
                    && (image, unsaved.project) == (last, *project)
                {
                    self.unsaved.pop_back();
                }
                self.unsaved.push_back(unsaved);
                // After a failure the next try waits its turn, or the user's.
                if self.failures == 0 {
                    self.save_all();
                }
            }
            Job::LeaveBefore => close(self.before.take()),
            Job::Retry => self.save_all(),
            Job::MakeMask(acceptance) => {
                let ImageSize { width, height } = acceptance.size;
                let mask = acceptance.field.to_mask(width, height, acceptance.origin.threshold);
                self.tell(DeskEvent::MaskMade(acceptance, mask));
            }
            Job::CutOut(picture, mask) => {
                self.tell(match CutOut::new(&picture, &mask, CutOutExtent::Bounds) {
                    Ok(cut) => DeskEvent::CutOutMade(PastedPicture {
                        width: cut.rect.width,
                        height: cut.rect.height,
                        rgba: cut.rgba.into(),
                    }),
                    Err(error) => DeskEvent::JobFailed(error.to_string()),
                });
            }
            Job::Flush(answer) => {
                let problem = self.try_saving();
                // Nobody may wait for the answer any more.
                let _ = answer.send(problem.map_or(Ok(()), Err));
            }
        }
    }

    fn open(&mut self, request: &OpenRequest) {
        if let Some(problem) = self.try_saving() {
            let text = format!(
                "{} changes of the open project are not saved yet, so nothing else was opened. {problem}",
                self.unsaved.len()
            );
            self.tell(DeskEvent::OpenFailed(text));
            return;
        }
        match self.opener.open(request, self.store.as_ref()) {
            Ok((opened, store)) => {
                if !opened.is_same_project {
                    self.before = std::mem::replace(&mut self.store, store);
                    self.project += 1;
                }
                self.tell(DeskEvent::Opened(Box::new(opened)));
            }
            Err(text) => self.tell(DeskEvent::OpenFailed(text)),
        }
    }

    fn save_all(&mut self) {
        if let Some(problem) = self.try_saving() {
            tracing::error!("saving: {problem}");
            self.tell(DeskEvent::SaveFailed(problem));
        }
    }

    /// Saves what is unsaved, in order; returns why it stopped.
    fn try_saving(&mut self) -> Option<String> {
        let mut saved = None;
        let mut problem = None;
        while let Some(Unsaved { project, number, change }) = self.unsaved.front() {
            let store = if *project == self.project { &mut self.store } else { &mut self.before };
            let written = match (store, change) {
                (None, _) => Err("the project is open for looking only".to_owned()),
                (Some(store), Change::Edit(edit)) => store.write(edit).map_err(|error| error.to_string()),
                (Some(store), Change::Draft(image, draft)) => {
                    store.write_draft(image, draft.as_ref()).map_err(|error| error.to_string())
                }
                (Some(store), Change::LastImage(image)) => {
                    store.write_last_image(image).map_err(|error| error.to_string())
                }
            };
            match written {
                Ok(()) => {
                    saved = Some(*number);
                    self.failures = 0;
                    self.unsaved.pop_front();
                }
                Err(text) => {
                    // Tried again after 1, 2, 4, ... at most 30 seconds.
                    let pause = Duration::from_millis(1000 << self.failures.min(5)).min(Duration::from_secs(30));
                    self.try_again_at = Instant::now() + pause;
                    self.failures += 1;
                    problem = Some(text);
                    break;
                }
            }
        }
        if let Some(number) = saved {
            self.tell(DeskEvent::Saved(number));
        }
        problem
    }

    fn tell(&self, event: DeskEvent) {
        // The session may be gone while the last changes are saved.
        if self.events.send(event).is_ok() {
            (self.wake)();
        }
    }
}

fn close(store: Option<Store>) {
    if let Some(Err(error)) = store.map(Store::close) {
        // All edits are on the disk; only tidying up failed.
        tracing::error!("closing the project: {error}");
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_default();
    format!("an internal error stopped this job (please report it): {text}")
}

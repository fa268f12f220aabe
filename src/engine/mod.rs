//! Layer 3: threads and queues. The session asks, four named workers answer with [`Event`]s, nobody waits.
//!
//! | thread | does | order |
//! |---|---|---|
//! | `maskwright-interactive` | answers clicks and hovers | the newest click wins; hover only when no click waits |
//! | `maskwright-encode` | opens models, encodes views, keeps the disk cache | what the user waits for, then storing, then neighbours |
//! | `maskwright-pictures` | reads and decodes pictures | the newest wish wins; neighbours when nothing else waits |
//! | `maskwright-heavy` | exports and other long jobs | first come, first served |
//!
//! Invariants:
//! - No call waits for work: a lock is held only to look at or change the queues.
//! - Answers to clicks come in the order of the questions; between two answers any number of questions may have been
//!   replaced by newer ones, and those get no answer.
//! - A panic of a worker becomes a [`Problem`] in the event that the work would have given; the next job runs.
//! - Embeddings never leave the engine, and no event carries a tensor.

mod disk_cache;
mod embedding_key;
mod encode;
mod event;
mod heavy;
mod interactive;
mod memory_cache;
mod pictures;
mod request;
mod shared;
mod state;

pub use crate::inference::{Candidate, Candidates, InferenceError, Segmenter, SegmenterInfo, ViewFrame};
pub use event::{EmbeddingSource, Event, HeavyOutcome, Problem};
pub use heavy::{JobControl, JobError, JobId, JobTicket};
pub use request::{DecodeRequest, Generation, ModelOpener, PictureHandle, PictureId, PictureSource};

use crate::geometry::PixelRect;
use crossbeam_channel::Receiver;
use heavy::HeavyJob;
use pictures::{OpenRequest, PictureReader};
use shared::Shared;
use state::{Shown, ViewTarget};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// What an engine needs to know at its start.
#[derive(Clone)]
pub struct EngineOptions {
    /// Where embeddings are kept between runs; `None` keeps them in memory only. See [`default_cache_folder`].
    pub cache_folder: Option<PathBuf>,
    /// What embeddings may take in memory. Only the views in use now may go beyond it.
    pub memory_budget_bytes: u64,
    /// What embeddings may take in the cache folder.
    pub disk_budget_bytes: u64,
    /// Progress of an encode is told no more often than this: each time costs a frame, which the encoder has to share
    /// the processor with.
    pub progress_step: Duration,
    /// Called after each queued event, on a worker: asks the window for a frame. Must be quick.
    pub wake: Arc<dyn Fn() + Send + Sync>,
}

impl Default for EngineOptions {
    /// Memory only, 512 MiB; 2 GiB once a folder is set; progress ten times a second; nobody to wake.
    fn default() -> Self {
        Self {
            cache_folder: None,
            memory_budget_bytes: 512 << 20,
            disk_budget_bytes: 2 << 30,
            progress_step: Duration::from_millis(100),
            wake: Arc::new(|| {}),
        }
    }
}

/// The user's folder for embeddings (on Linux `~/.cache/maskwright/embeddings`); `None` if there is no home.
pub fn default_cache_folder() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(strategy.cache_dir().join("maskwright").join("embeddings"))
}

/// A worker's thread: takes work from the queues until the engine shuts down.
type Lane = fn(&Shared);

/// The workers and the queues to them. Dropping it cancels what runs and joins the threads.
pub struct Engine {
    shared: Arc<Shared>,
    events: Receiver<Event>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Starts the workers; the first thing they do is to open the model (`ModelReady` or `ModelFailed` follows).
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(options: EngineOptions, open_model: ModelOpener) -> std::io::Result<Self> {
        Self::start_with_reader(options, open_model, Box::new(pictures::read))
    }

    fn start_with_reader(
        options: EngineOptions,
        open_model: ModelOpener,
        read_picture: PictureReader,
    ) -> std::io::Result<Self> {
        let (sender, events) = crossbeam_channel::unbounded();
        let shared = Arc::new(Shared::new(options, sender, open_model, read_picture));
        // Built before the threads: if one cannot be started, dropping it ends the others.
        let mut engine = Self { shared, events, threads: Vec::new() };
        let lanes: [(&str, Lane); 4] = [
            ("maskwright-interactive", interactive::run),
            ("maskwright-encode", encode::run),
            ("maskwright-pictures", pictures::run),
            ("maskwright-heavy", heavy::run),
        ];
        for (name, lane) in lanes {
            let shared = Arc::clone(&engine.shared);
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || lane(&shared))?;
            engine.threads.push(thread);
        }
        Ok(engine)
    }

    /// The next event, if there is one. Never waits.
    pub fn try_next_event(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// The next event, waiting at most so long: for callers without a window. The UI thread uses
    /// [`Engine::try_next_event`].
    pub fn wait_event(&self, at_most: Duration) -> Option<Event> {
        self.events.recv_timeout(at_most).ok()
    }

    /// Opens another model. The one before answers until the new one is ready; if opening fails it stays.
    pub fn set_model(&self, open_model: ModelOpener) {
        self.shared.change(|state| state.model_to_open = Some(open_model));
    }

    /// Reads and decodes a picture: `PictureOpened` or `PictureFailed` follows. A newer call replaces an older one
    /// that has not begun, and the older one then has no answer.
    pub fn open_picture(&self, generation: Generation, source: PictureSource) {
        self.shared.change(|state| state.open = Some(OpenRequest { generation, source }));
    }

    /// Begins to read a file that [`Engine::open_picture`] will probably ask for in a moment. Tells nothing; a newer call
    /// replaces an older one that has not begun.
    pub fn read_soon(&self, path: PathBuf) {
        self.shared.change(|state| state.read_soon = Some(path));
    }

    /// Says which view the user looks at: it is encoded before anything but a click's view, and stays in memory.
    /// `None` is the whole picture. `Encoded` or `EncodeFailed` follows, unless a newer call replaces this one.
    /// Questions about other pictures are dropped, as by [`Engine::cancel_decode`].
    pub fn encode(&self, picture: &PictureHandle, view: Option<PixelRect>) {
        let view = view.unwrap_or_else(|| picture.whole());
        self.shared.change(|state| {
            state.drop_questions(|about| about != picture.id());
            state.shown = Some(Shown { target: ViewTarget { picture: picture.clone(), view }, told: false });
        });
    }

    /// Names the files that the user will probably open next, the likeliest first; it replaces the earlier list.
    /// They are read and encoded whole when nothing else waits.
    pub fn encode_ahead(&self, paths: Vec<PathBuf>) {
        self.shared.change(|state| {
            let encoding = state.encoding.as_ref().and_then(|running| running.ahead.as_deref());
            state.ahead.replace(paths, encoding);
        });
    }

    /// Stops encoding, neighbours included. A click that waits for a view keeps it going.
    pub fn cancel_encode(&self) {
        self.shared.change(|state| {
            state.shown = None;
            state.ahead.replace(Vec::new(), None);
        });
    }

    /// Asks for the masks of a prompt: `MaskReady`, `DecodeFailed` or `EncodeFailed { unanswered }` follows, unless a
    /// newer question replaces this one. The view is encoded first if need be. A waiting hover is dropped.
    pub fn decode(&self, request: DecodeRequest) {
        self.shared.change(|state| {
            state.hover = None;
            state.dropped_hovers += 1;
            state.click = Some(request);
        });
    }

    /// Asks for the masks of a prompt under the pointer. The least important work: it starts no encode, gives way to
    /// any click, and only the newest is answered (`HoverReady`), if at all.
    pub fn hover(&self, request: DecodeRequest) {
        self.shared.change(|state| state.hover = Some(request));
    }

    /// Drops the waiting click and hover; an answer that is being made is dropped too. Events that are queued
    /// already still come, with their generation.
    pub fn cancel_decode(&self) {
        self.shared.change(|state| state.drop_questions(|_| true));
    }

    /// Queues a long job. `name` is for people (`Export 12 images`); the ticket cancels it and holds its result.
    pub fn run_heavy<T: Send + 'static>(
        &self,
        name: impl Into<String>,
        work: impl FnOnce(&JobControl<'_>) -> Result<T, JobError> + Send + 'static,
    ) -> JobTicket<T> {
        self.shared.change(|state| {
            state.jobs_made += 1;
            let (job, ticket) = HeavyJob::new(JobId(state.jobs_made), name.into(), work);
            state.heavy.push_back(job);
            ticket
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.shut_down();
        for thread in self.threads.drain(..) {
            // A worker that panicked outside its fence has nothing left to tell.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;

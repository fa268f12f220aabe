//! The queues, and what they say must be done next: plain data and decisions, no threads.
//!
//! Invariants:
//! - Every field is a wish not yet begun, or what a worker is at now.
//! - What the encoder should be at follows from the wishes alone ([`State::needed_target`]); a run that no wish covers
//!   any more is cancelled ([`State::cancel_superseded`], called after each change).

use super::EngineOptions;
use super::embedding_key::EmbeddingKey;
use super::heavy::HeavyJob;
use super::memory_cache::MemoryCache;
use super::pictures::{KeptPictures, OpenRequest};
use super::request::{DecodeRequest, ModelOpener, PictureHandle, PictureId};
use crate::geometry::PixelRect;
use crate::inference::{CancelToken, Embedding, EncodedView, Segmenter, ViewFrame};
use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many views the engine remembers the keys of; then it starts afresh (a key costs one resize to make again).
const REMEMBERED_KEYS: usize = 4096;

/// A view of a picture.
#[derive(Debug, Clone)]
pub(super) struct ViewTarget {
    pub picture: PictureHandle,
    pub view: PixelRect,
}

impl ViewTarget {
    fn place(&self) -> Place {
        (self.picture.id(), self.view)
    }

    pub fn is_same(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl DecodeRequest {
    pub(super) fn target(&self) -> ViewTarget {
        ViewTarget { picture: self.picture.clone(), view: self.view() }
    }
}

/// Which pixels of which picture.
pub(super) type Place = (PictureId, PixelRect);

/// The view that the user looks at.
pub(super) struct Shown {
    pub target: ViewTarget,
    /// Whether `Encoded` or `EncodeFailed` was sent for it with the present model.
    pub told: bool,
}

/// An open model.
#[derive(Clone)]
pub(super) struct OpenModel {
    pub segmenter: Arc<dyn Segmenter>,
    /// Counts the models opened so far.
    pub number: u64,
}

/// What the encoder is at.
pub(super) struct RunningEncode {
    pub target: ViewTarget,
    /// The neighbour's file, if this began as encoding ahead.
    pub ahead: Option<PathBuf>,
    pub cancel: CancelToken,
}

/// Where to find a view's embedding, and where it lies.
#[derive(Clone, Copy)]
pub(super) struct KnownView {
    pub key: EmbeddingKey,
    pub frame: ViewFrame,
}

/// A computed embedding that is not on the disk yet.
pub(super) struct ToStore {
    pub key: EmbeddingKey,
    pub embedding: Embedding,
    pub segmenter: Arc<dyn Segmenter>,
}

/// Neighbours to encode ahead.
#[derive(Default)]
pub(super) struct Ahead {
    /// The whole list as last asked for.
    wishes: Vec<PathBuf>,
    /// Not yet read.
    pub to_read: VecDeque<PathBuf>,
    /// Read, and waiting for the encoder.
    pub read: Option<(PathBuf, PictureHandle)>,
}

impl Ahead {
    pub fn is_wished(&self, path: &Path) -> bool {
        self.wishes.iter().any(|wish| wish == path)
    }

    /// A neighbour is read. One that was taken back meanwhile goes first; then this one is read again later.
    pub fn put_read(&mut self, path: PathBuf, picture: PictureHandle) {
        if !self.is_wished(&path) {
            return;
        }
        if self.read.is_none() {
            self.read = Some((path, picture));
        } else {
            self.to_read.push_front(path);
        }
    }

    /// A neighbour whose encode had to give way is the next one again.
    pub fn take_back(&mut self, path: PathBuf, picture: PictureHandle) {
        if !self.is_wished(&path) {
            return;
        }
        if let Some((later, _)) = self.read.replace((path, picture)) {
            self.to_read.push_front(later);
        }
    }

    /// Replaces the list; what is already read or being encoded is not asked for again.
    pub fn replace(&mut self, paths: Vec<PathBuf>, encoding: Option<&Path>) {
        self.read.take_if(|(path, _)| !paths.contains(path));
        let under_way = self.read.as_ref().map(|(path, _)| path.as_path());
        self.to_read = paths
            .iter()
            .filter(|path| Some(path.as_path()) != under_way && Some(path.as_path()) != encoding)
            .cloned()
            .collect();
        self.wishes = paths;
    }
}

/// What the encode lane does next.
pub(super) enum EncodeTask {
    OpenModel(ModelOpener),
    /// No model is open and none will be: whoever waits is told.
    RefuseAll,
    Encode {
        target: ViewTarget,
        ahead: Option<PathBuf>,
        model: OpenModel,
        cancel: CancelToken,
    },
    Store(ToStore),
    Sweep,
}

/// Why an answer is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    Click,
    Hover,
}

/// A question whose view is encoded.
pub(super) struct ReadyDecode {
    pub asked: Asked,
    pub request: DecodeRequest,
    pub encoded: EncodedView,
    pub model: OpenModel,
    /// [`State::dropped_answers`] or [`State::dropped_hovers`] when it began.
    pub epoch: u64,
}

/// All of it.
pub(super) struct State {
    pub shutting_down: bool,

    pub model: Option<OpenModel>,
    pub model_to_open: Option<ModelOpener>,

    pub click: Option<DecodeRequest>,
    pub hover: Option<DecodeRequest>,
    /// The picture of the question that is being answered.
    pub answering: Option<PictureId>,
    /// Grows when the answer being made is no longer wanted.
    pub dropped_answers: u64,
    /// The same for hovers.
    pub dropped_hovers: u64,

    pub shown: Option<Shown>,
    pub ahead: Ahead,
    pub encoding: Option<RunningEncode>,
    known: HashMap<Place, KnownView>,
    pub memory: MemoryCache,
    pub to_store: VecDeque<ToStore>,
    pub sweep_due: bool,

    pub open: Option<OpenRequest>,
    /// A file that will probably be opened in a moment.
    pub read_soon: Option<PathBuf>,
    /// A picture for the user is being read.
    pub opening: bool,
    pub pictures: KeptPictures,

    pub jobs_made: u64,
    pub heavy: VecDeque<HeavyJob>,
    pub heavy_running: Option<CancelToken>,
}

impl State {
    pub fn new(options: &EngineOptions, open_model: ModelOpener) -> Self {
        Self {
            shutting_down: false,
            model: None,
            model_to_open: Some(open_model),
            click: None,
            hover: None,
            answering: None,
            dropped_answers: 0,
            dropped_hovers: 0,
            shown: None,
            ahead: Ahead::default(),
            encoding: None,
            known: HashMap::new(),
            memory: MemoryCache::new(options.memory_budget_bytes),
            to_store: VecDeque::new(),
            sweep_due: options.cache_folder.is_some(),
            open: None,
            read_soon: None,
            opening: false,
            pictures: KeptPictures::default(),
            jobs_made: 0,
            heavy: VecDeque::new(),
            heavy_running: None,
        }
    }

    /// Another model answers from now on.
    pub fn use_model(&mut self, segmenter: Arc<dyn Segmenter>) {
        let number = self.model.as_ref().map_or(0, |model| model.number) + 1;
        self.model = Some(OpenModel { segmenter, number });
        self.known.clear();
        if let Some(shown) = &mut self.shown {
            shown.told = false;
        }
    }

    /// Drops the questions that wait and the answers that are being made, of the pictures that `drop` names.
    pub fn drop_questions(&mut self, drop: impl Fn(PictureId) -> bool) {
        self.click.take_if(|click| drop(click.picture.id()));
        self.hover.take_if(|hover| drop(hover.picture.id()));
        if self.answering.is_some_and(drop) {
            self.dropped_answers += 1;
            self.dropped_hovers += 1;
        }
    }

    /// What is known of a view under the present model.
    pub fn known(&self, target: &ViewTarget) -> Option<KnownView> {
        self.known.get(&target.place()).copied()
    }

    pub fn remember(&mut self, target: &ViewTarget, known: KnownView) {
        if self.known.len() >= REMEMBERED_KEYS {
            self.known.clear();
        }
        self.known.insert(target.place(), known);
    }

    fn is_encoded(&self, target: &ViewTarget) -> bool {
        self.known(target).is_some_and(|known| self.memory.contains(&known.key))
    }

    /// The keys that must stay in memory.
    pub fn pinned(&self) -> Vec<EmbeddingKey> {
        let shown = self.shown.as_ref().map(|shown| shown.target.clone());
        let click = self.click.as_ref().map(DecodeRequest::target);
        [shown, click].iter().flatten().filter_map(|target| self.known(target)).map(|known| known.key).collect()
    }

    /// The view that the user waits for: the click's first, then the one that is looked at.
    pub fn needed_target(&self) -> Option<ViewTarget> {
        let click = self.click.as_ref().map(DecodeRequest::target).filter(|target| !self.is_encoded(target));
        click.or_else(|| self.shown.as_ref().filter(|shown| !shown.told).map(|shown| shown.target.clone()))
    }

    /// Whether the user waits for this very view.
    pub fn is_needed(&self, target: &ViewTarget) -> bool {
        self.shown.as_ref().is_some_and(|shown| !shown.told && shown.target.is_same(target))
            || self.click.as_ref().is_some_and(|click| click.target().is_same(target))
    }

    /// Whether neighbours must wait.
    pub fn user_waits(&self) -> bool {
        self.model_to_open.is_some() || self.open.is_some() || self.opening || self.needed_target().is_some()
    }

    /// Cancels the running encode if it stands in the way of what is needed, or if nobody wants it any more.
    pub fn cancel_superseded(&self) {
        let Some(running) = &self.encoding else { return };
        let goes_on = self.model_to_open.is_none()
            && match self.needed_target() {
                Some(needed) => needed.is_same(&running.target),
                None => running.ahead.as_ref().is_some_and(|path| self.ahead.is_wished(path)),
            };
        if !goes_on {
            running.cancel.cancel();
        }
    }

    /// Takes what the encode lane does next: what the user waits for, then keeping, then neighbours.
    pub fn take_encode_task(&mut self) -> Option<EncodeTask> {
        if let Some(open_model) = self.model_to_open.take() {
            return Some(EncodeTask::OpenModel(open_model));
        }
        let needed = self.needed_target();
        let Some(model) = self.model.clone() else { return needed.map(|_| EncodeTask::RefuseAll) };
        if let Some(target) = needed {
            return Some(self.begin_encode(target, None, model));
        }
        if let Some(computed) = self.to_store.pop_front() {
            return Some(EncodeTask::Store(computed));
        }
        if std::mem::take(&mut self.sweep_due) {
            return Some(EncodeTask::Sweep);
        }
        let (path, picture) = self.ahead.read.take()?;
        let view = picture.whole();
        Some(self.begin_encode(ViewTarget { picture, view }, Some(path), model))
    }

    fn begin_encode(&mut self, target: ViewTarget, ahead: Option<PathBuf>, model: OpenModel) -> EncodeTask {
        let cancel = CancelToken::default();
        self.encoding = Some(RunningEncode { target: target.clone(), ahead: ahead.clone(), cancel: cancel.clone() });
        EncodeTask::Encode { target, ahead, model, cancel }
    }

    /// Takes the question to answer next, if its view is encoded. A hover over a view that is not encoded is dropped.
    pub fn take_ready_decode(&mut self) -> Option<ReadyDecode> {
        let ready = self.find_ready_decode();
        self.answering = ready.as_ref().map(|ready| ready.request.picture.id());
        ready
    }

    fn find_ready_decode(&mut self) -> Option<ReadyDecode> {
        if let Some(click) = &self.click {
            let (encoded, model) = self.encoded_view(&click.target())?;
            let request = self.click.take()?;
            return Some(ReadyDecode { asked: Asked::Click, request, encoded, model, epoch: self.dropped_answers });
        }
        let request = self.hover.take()?;
        let (encoded, model) = self.encoded_view(&request.target())?;
        Some(ReadyDecode { asked: Asked::Hover, request, encoded, model, epoch: self.dropped_hovers })
    }

    fn encoded_view(&mut self, target: &ViewTarget) -> Option<(EncodedView, OpenModel)> {
        let model = self.model.clone()?;
        let known = self.known(target)?;
        let embedding = self.memory.get(&known.key)?;
        Some((EncodedView { frame: known.frame, embedding }, model))
    }
}

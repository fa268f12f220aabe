//! What a session knows, in small parts that panels read.
//!
//! Invariant: these are plain data; only the session changes them, in answer to a command or an event.

use super::draft::Draft;
use super::project_desk::Access;
use crate::document::{AnnotationId, ImageName, ImageSize, LabelId, Project};
use crate::engine::{Candidates, EmbeddingSource, Generation, JobTicket, PictureHandle, PictureId, SegmenterInfo};
use crate::geometry::{ImageRect, PixelRect};
use crate::raster::LogitField;
use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::command::ModelChoice;
use super::export::ExportReport;

/// The opened folder and the work on it.
#[derive(Debug, Default)]
pub struct ProjectState {
    /// All labels, pictures and objects.
    pub project: Project,
    /// The opened folder; `None` before anything is opened.
    pub folder: Option<PathBuf>,
    /// Where the work is kept.
    pub store_path: Option<PathBuf>,
    /// Whether edits are kept, or why not.
    pub access: Access,
    /// The pictures in the list, ordered as people count: those of the folder, or only the files that were opened.
    pub listed: Vec<ImageName>,
    /// Pictures that have objects but whose files are gone.
    pub missing: HashSet<ImageName>,
    /// Whether a folder is being opened.
    pub opening: bool,
    /// Whether all is on disk.
    pub save: SaveState,
}

impl ProjectState {
    /// How many objects a picture of the list has.
    pub fn object_count(&self, image: &ImageName) -> usize {
        self.project.image(image).map_or(0, |entry| entry.annotations().len())
    }
}

/// Whether the work is on disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SaveState {
    /// All of it.
    #[default]
    Saved,
    /// The last actions are on their way.
    Saving,
    /// Saving failed; it is tried again by itself. The text says why.
    Failed(String),
}

/// The picture on the canvas.
#[derive(Debug, Default)]
pub struct PictureState {
    /// Its name in the project.
    pub name: Option<ImageName>,
    /// Its pixels, or why there are none.
    pub phase: PicturePhase,
    /// How far the encoder is with the whole picture or the view in use.
    pub encode: EncodePhase,
    /// The file now has another size than when its objects were made: they are kept, but not shown or changed.
    pub size_conflict: Option<SizeConflict>,
    /// The part that the window shows, and how much closer than fitted; see `Session::set_visible`.
    pub visible: Option<(ImageRect, f32)>,
    /// The view that the engine was last asked to encode; `None` is the whole picture.
    pub(super) wanted_view: Option<PixelRect>,
    pub(super) generation: Generation,
    /// Encoding begins once the window has shown the picture.
    pub(super) encode_waits: bool,
}

impl PictureState {
    /// The pixels, once they are there.
    pub fn handle(&self) -> Option<&PictureHandle> {
        match &self.phase {
            PicturePhase::Ready(handle) => Some(handle),
            _ => None,
        }
    }

    /// Whether encoding waits for [`super::Session::picture_was_shown`].
    pub fn encode_waits(&self) -> bool {
        self.encode_waits
    }

    /// The picture's size, once it is known.
    pub fn size(&self) -> Option<ImageSize> {
        self.handle().map(|handle| ImageSize { width: handle.width, height: handle.height })
    }

    pub(super) fn id(&self) -> Option<PictureId> {
        self.handle().map(PictureHandle::id)
    }
}

/// A picture whose file changed its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SizeConflict {
    /// The size that its masks have.
    pub stored: ImageSize,
    /// The size that the file has now.
    pub found: ImageSize,
}

/// How far the picture is.
#[derive(Debug, Default)]
pub enum PicturePhase {
    /// No picture is chosen.
    #[default]
    None,
    /// It is being read.
    Opening,
    /// It can be shown.
    Ready(PictureHandle),
    /// It cannot be read; the text says why and what to do.
    Failed(String),
}

/// How far the encoder is.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum EncodePhase {
    /// Nothing to do yet: no picture, or no model.
    #[default]
    Idle,
    /// At work; the share done, 0..=1. Clicks wait in the draft.
    Running {
        /// 0..=1.
        share: f32,
    },
    /// Clicks are answered at once.
    Ready,
    /// It failed; the text says why.
    Failed(String),
}

/// The object being said, and what the model thinks it is.
#[derive(Debug, Default)]
pub struct Prompting {
    /// Everything said so far.
    pub draft: Draft,
    /// The newest answer. It may be older than the draft while `waiting`, and outlives an accepted draft until the
    /// object is there.
    pub answer: Option<Answer>,
    /// A question is out that has no answer yet.
    pub waiting: bool,
    /// The draft is to be accepted as soon as its answer is there.
    pub accept_when_ready: bool,
    /// The mask under the resting pointer; only while the draft is empty.
    pub hover: Option<Answer>,
    /// Drafts of other pictures, as they were left.
    pub parked: HashMap<ImageName, Draft>,
    /// Numbers all questions, clicks and hovers alike.
    pub(super) last_generation: Generation,
    /// The newest question about the draft.
    pub(super) asked: Generation,
    /// The oldest question whose answer may be shown.
    pub(super) shown_from: Generation,
    /// The newest question about the resting pointer.
    pub(super) hover_asked: Generation,
    /// The answer that stays on the screen until its accepted mask is an object.
    pub(super) settling: Option<Generation>,
    /// Undo last took back a change of the project, not a click: redo begins there.
    pub(super) redo_project_first: bool,
}

/// The model's answer to a prompt.
#[derive(Debug)]
pub struct Answer {
    /// The picture that it lies on.
    pub picture: PictureId,
    /// Counts the answers; a texture made for one number is good as long as the number stays.
    pub generation: Generation,
    /// Three candidates for a lone point, else one, with predicted IoU and stability.
    pub candidates: Candidates,
    /// Which of them is shown and would be accepted.
    pub shown: usize,
    fields: Vec<OnceCell<LogitField>>,
}

impl Answer {
    /// Wraps the engine's answer.
    pub fn new(picture: PictureId, generation: Generation, candidates: Candidates) -> Self {
        let shown = candidates.chosen;
        let fields = candidates.items.iter().map(|_| OnceCell::new()).collect();
        Self { picture, generation, candidates, shown, fields }
    }

    /// A candidate's logits over its view; made when first asked for, then kept. `None` if there is no such candidate.
    pub fn field(&self, index: usize) -> Option<&LogitField> {
        let cell = self.fields.get(index)?;
        if cell.get().is_none() {
            let _ = cell.set(self.candidates.field(index)?);
        }
        cell.get()
    }

    /// The logits of the candidate shown.
    pub fn shown_field(&self) -> Option<&LogitField> {
        self.field(self.shown)
    }

    /// The part of the picture that the answer covers.
    pub fn view(&self) -> PixelRect {
        self.candidates.frame.view
    }
}

/// What is selected, and what the next object will be.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ObjectState {
    /// The selected object of the picture.
    pub selection: Option<AnnotationId>,
    /// The label that the next object gets.
    pub active_label: Option<LabelId>,
}

/// The segmenter.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelState {
    /// What was asked for last.
    pub choice: ModelChoice,
    /// The model that answers; `None` until the first is open.
    pub info: Option<SegmenterInfo>,
    /// Whether a model is being opened.
    pub opening: bool,
    /// Why the last one could not be opened.
    pub problem: Option<String>,
}

/// How long things took, in milliseconds, for the status bar.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Timings {
    /// Reading and decoding the picture.
    pub open_ms: Option<f64>,
    /// The image encoder, or finding its answer in the cache.
    pub encode_ms: Option<f64>,
    /// Where the embedding came from.
    pub encode_source: Option<EmbeddingSource>,
    /// The mask decoder.
    pub decode_ms: Option<f64>,
}

/// A running export.
#[derive(Debug)]
pub struct ExportState {
    /// For people: `Export of 12 pictures`.
    pub name: String,
    /// 0..=1.
    pub share: f32,
    pub(super) ticket: JobTicket<ExportReport>,
}

/// Something that only the window can do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Put this picture on the clipboard.
    CopyPicture(super::command::PastedPicture),
}

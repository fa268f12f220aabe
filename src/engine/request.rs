//! What the session asks of the engine: plain data that names its picture, its prompt and its generation.
//!
//! Invariant: an answer carries the generation of its question, so that a stale one can be told from the current one.

use crate::geometry::PixelRect;
use crate::inference::{InferenceError, Segmenter};
use crate::prompt::Prompt;
use crate::raster::{Level, Picture, coarser_levels};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// Counts the questions of one kind; an answer with a lower number than the newest question is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Generation(pub u64);

impl Generation {
    /// Moves on to the next question and returns its number.
    pub fn advance(&mut self) -> Self {
        self.0 += 1;
        *self
    }
}

/// Names the pixels of one picture for as long as the program runs. Changed pixels are another picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PictureId(u64);

/// An open picture: pixels and identity, shared without copying.
#[derive(Debug, Clone)]
pub struct PictureHandle(Arc<OpenPicture>);

#[derive(Debug)]
struct OpenPicture {
    id: PictureId,
    picture: Picture,
    coarser: OnceLock<Arc<[Level]>>,
}

impl PictureHandle {
    /// Gives an identity to pixels that are already in memory (pasted, or changed by an edit).
    pub fn new(picture: Picture) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = PictureId(NEXT.fetch_add(1, Ordering::Relaxed));
        Self(Arc::new(OpenPicture { id, picture, coarser: OnceLock::new() }))
    }

    /// Makes the smaller sizes of the picture, for showing it ([`coarser_levels`]). Slow: for workers.
    pub(super) fn make_coarser_levels(&self) {
        self.0.coarser.get_or_init(|| coarser_levels(&self.0.picture).into());
    }

    /// The smaller sizes of the picture, if they were made.
    pub fn coarser_levels(&self) -> Option<&Arc<[Level]>> {
        self.0.coarser.get()
    }

    /// What it holds in memory, in bytes.
    pub(super) fn byte_size(&self) -> usize {
        let levels = self.coarser_levels().map_or(0, |levels| levels.iter().map(|level| level.rgba.len()).sum());
        self.rgb.len() + levels
    }

    /// Its identity.
    pub fn id(&self) -> PictureId {
        self.0.id
    }

    /// All of it, as a rectangle.
    pub fn whole(&self) -> PixelRect {
        PixelRect::of_size(self.width, self.height)
    }
}

impl std::ops::Deref for PictureHandle {
    type Target = Picture;
    fn deref(&self) -> &Picture {
        &self.0.picture
    }
}

/// Where a picture comes from.
#[derive(Debug, Clone)]
pub enum PictureSource {
    /// A file on disk.
    File(PathBuf),
    /// A file's bytes (dropped or pasted), with a name for messages.
    Bytes {
        /// What to call it.
        name: String,
        /// The encoded file.
        bytes: Arc<[u8]>,
    },
}

impl PictureSource {
    /// What to call it in messages.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Bytes { name, .. } => name.clone(),
        }
    }
}

/// A question to the mask decoder.
#[derive(Debug, Clone)]
pub struct DecodeRequest {
    /// Goes back with the answer.
    pub generation: Generation,
    /// The picture.
    pub picture: PictureHandle,
    /// The whole prompt; it is replayed from its first step.
    pub prompt: Prompt,
}

impl DecodeRequest {
    /// The part of the picture that must be encoded to answer.
    pub fn view(&self) -> PixelRect {
        self.prompt.view.unwrap_or_else(|| self.picture.whole())
    }
}

/// Opens a model; runs once, on a worker, because reading and checking weights takes time.
pub type ModelOpener = Box<dyn FnOnce() -> Result<Arc<dyn Segmenter>, InferenceError> + Send>;

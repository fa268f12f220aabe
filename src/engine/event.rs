//! What the engine tells: facts, never wishes. A closed enum: a new fact breaks the build until it is handled.

use super::heavy::JobId;
use super::request::{Generation, PictureHandle, PictureId};
use crate::geometry::PixelRect;
use crate::inference::{Candidates, SegmenterInfo};
use std::path::PathBuf;
use std::time::Instant;

/// A fact from the engine.
#[derive(Debug, Clone)]
pub enum Event {
    /// A model is open; from now on it answers. Embeddings of the model before stay cached.
    ModelReady(SegmenterInfo),
    /// A model could not be opened; the one before, if any, goes on.
    ModelFailed(Problem),

    /// A picture is decoded and can be shown.
    PictureOpened {
        /// Of the request.
        generation: Generation,
        /// The pixels.
        picture: PictureHandle,
        /// Time that reading and decoding took.
        open_ms: f64,
    },
    /// A picture could not be read.
    PictureFailed {
        /// Of the request.
        generation: Generation,
        /// The file.
        name: String,
        /// Why.
        problem: Problem,
    },

    /// The encoder has done a share of its work on a view that the user waits for.
    EncodeProgress {
        /// The picture.
        picture: PictureId,
        /// The part of it.
        view: PixelRect,
        /// 0..=1.
        share: f32,
    },
    /// A view that the user asked for is encoded; prompts in it are answered at once.
    Encoded {
        /// The picture.
        picture: PictureId,
        /// The part of it.
        view: PixelRect,
        /// Time that it took, preparing and looking up included.
        encode_ms: f64,
        /// Computed, or found.
        source: EmbeddingSource,
    },
    /// A view could not be encoded.
    EncodeFailed {
        /// The picture.
        picture: PictureId,
        /// The part of it.
        view: PixelRect,
        /// The click that waited for it and now stays unanswered (there is no further event for it).
        unanswered: Option<Generation>,
        /// Why.
        problem: Problem,
    },
    /// A neighbour named by [`super::Engine::encode_ahead`] is encoded, or was already.
    EncodedAhead {
        /// Its file.
        path: PathBuf,
    },

    /// The answer to [`super::Engine::decode`]. Compare the generation: a newer question may wait already.
    MaskReady {
        /// Of the request.
        generation: Generation,
        /// The picture.
        picture: PictureId,
        /// What the prompt may mean.
        candidates: Candidates,
        /// Time that the decode took, waiting not included.
        decode_ms: f64,
        /// When the worker had the logits.
        ready: Instant,
    },
    /// A question that has no answer.
    DecodeFailed {
        /// Of the request.
        generation: Generation,
        /// Why.
        problem: Problem,
    },
    /// The answer to [`super::Engine::hover`]; many questions are dropped without one.
    HoverReady {
        /// Of the request.
        generation: Generation,
        /// The picture.
        picture: PictureId,
        /// What the prompt may mean.
        candidates: Candidates,
    },

    /// A heavy job reports how far it is.
    HeavyProgress {
        /// The job.
        job: JobId,
        /// 0..=1.
        share: f32,
    },
    /// A heavy job has ended; its result, if any, is in its ticket.
    HeavyDone {
        /// The job.
        job: JobId,
        /// The job's name, for people.
        name: String,
        /// How it ended.
        outcome: HeavyOutcome,
    },

    /// The embedding cache on disk cannot be used; all else goes on without it. Told once an engine.
    CacheTrouble(Problem),
}

/// Where an embedding came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbeddingSource {
    /// The encoder ran.
    Computed,
    /// It was in memory.
    Memory,
    /// It was in the cache folder.
    Disk,
}

/// How a heavy job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeavyOutcome {
    /// Its result lies in the ticket.
    Finished,
    /// It was cancelled, before or while it ran.
    Cancelled,
    /// It failed.
    Failed(Problem),
}

/// Why something did not work, in words for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What was found, what was expected, what to do.
    pub message: String,
    /// Whether the worker panicked: our own error, worth a report. The worker goes on with the next job.
    pub panicked: bool,
}

impl Problem {
    /// An ordinary failure.
    pub fn new(message: impl ToString) -> Self {
        Self { message: message.to_string(), panicked: false }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.panicked {
            write!(f, "an internal error stopped this job (please report it): {}", self.message)
        } else {
            f.write_str(&self.message)
        }
    }
}

//! What every promptable segmenter offers: a slow `encode` once a view, a light `decode` as often as wanted.
//!
//! Invariant: plain data in and out. The tensors inside an [`Embedding`] are the model's own business; all else is
//! numbers in stated spaces: *picture* pixels, and *input* pixels of the model's square input (long side of the view =
//! `input_side`, the rest padded right and bottom).

use crate::geometry::{ImagePoint, PixelRect};
use crate::kernels::Pool;
use crate::raster::{LogitField, interpolate_bilinear};
use std::any::Any;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// Why a model could not be used.
#[derive(Debug, thiserror::Error)]
pub enum InferenceError {
    /// A weights or config file is not what it should be. The text says what was found, what was expected and what to do.
    #[error("{}: {problem}", path.display())]
    Weights {
        /// The file, or `embedded` for the built-in model.
        path: PathBuf,
        /// Found, expected, next step.
        problem: String,
    },
    /// The model answered with numbers that are none.
    #[error("the model {model} answered with NaN; its weights are damaged, or the device computes wrongly")]
    NotANumber {
        /// Model id.
        model: String,
    },
    /// A prompt that no mask can answer.
    #[error("{0}")]
    Prompt(String),
    /// Stopped on request.
    #[error("cancelled")]
    Cancelled,
    /// A stored embedding does not belong to this model or is damaged.
    #[error("stored embedding: {0}")]
    StoredEmbedding(String),
    /// The tensor library failed.
    #[error("computing failed: {0}")]
    Compute(#[from] candle_core::Error),
}

/// A switch that asks running work to stop. Clones share the switch.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks for the stop.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether a stop was asked for.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// # Errors
    /// [`InferenceError::Cancelled`] once a stop was asked for.
    pub fn check(&self) -> Result<(), InferenceError> {
        if self.is_cancelled() { Err(InferenceError::Cancelled) } else { Ok(()) }
    }
}

/// What a long encode reports to, and asks whether to go on; checked between blocks of the network.
#[derive(Default)]
pub struct EncodeControl<'a> {
    /// Stops the encode at the next block.
    pub cancel: CancelToken,
    /// Told the share done, 0..=1, after each block.
    pub progress: Option<&'a (dyn Fn(f32) + Sync)>,
}

impl EncodeControl<'_> {
    /// One block is done: report it, and stop if that was asked for.
    ///
    /// # Errors
    /// [`InferenceError::Cancelled`] once a stop was asked for.
    pub fn step(&self, share_done: f32) -> Result<(), InferenceError> {
        if let Some(progress) = self.progress {
            progress(share_done);
        }
        self.cancel.check()
    }
}

/// A segmenter's fixed facts.
#[derive(Debug, Clone, PartialEq)]
pub struct SegmenterInfo {
    /// Stable id that changes with the weights: `spark-sam@<first 12 hex digits of SHA-256>`. Part of cache keys.
    pub id: String,
    /// For people: `spark-sam (built in)`.
    pub name: String,
    /// Where it runs: `CPU (2 threads, AVX-512)`.
    pub device: String,
    /// Side of the square input in input pixels.
    pub input_side: u32,
    /// Side of the square low-res logits.
    pub low_res_side: u32,
}

/// Where an encoded view lies in the picture and on the model's input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ViewFrame {
    /// Size of the whole picture.
    pub image_width: u32,
    /// Size of the whole picture.
    pub image_height: u32,
    /// The part that is encoded.
    pub view: PixelRect,
    /// Columns of the model's input that show the view; the rest is padding.
    pub content_width: u32,
    /// Rows of the model's input that show the view.
    pub content_height: u32,
    /// Side of the model's square input.
    pub input_side: u32,
}

impl ViewFrame {
    /// Picture pixels to input pixels.
    pub fn input_from_image(&self, at: ImagePoint) -> (f32, f32) {
        (
            (at.x - self.view.x as f32) * (self.content_width as f32 / self.view.width as f32),
            (at.y - self.view.y as f32) * (self.content_height as f32 / self.view.height as f32),
        )
    }
}

/// The view's pixels as the model will see them, before normalisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreparedView {
    /// Where it lies.
    pub frame: ViewFrame,
    /// RGB, `[content_height, content_width, 3]`, 0..=255.
    pub rgb: Vec<u8>,
}

/// An encoder's answer. Opaque: only the segmenter that made it can read it.
#[derive(Clone)]
pub struct Embedding {
    /// The [`SegmenterInfo::id`] that made it.
    pub model_id: String,
    /// The model's own tensors.
    pub tensors: Arc<dyn Any + Send + Sync>,
    /// What it holds in memory, in bytes.
    pub byte_size: usize,
}

/// An embedding together with the place it belongs to: all that a decode needs.
#[derive(Clone)]
pub struct EncodedView {
    /// Where it lies.
    pub frame: ViewFrame,
    /// The encoder's answer.
    pub embedding: Embedding,
}

/// What a point given to the mask decoder means (SAM's point labels).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointLabel {
    /// Label 0.
    Exclude,
    /// Label 1.
    Include,
    /// Label 2.
    BoxTopLeft,
    /// Label 3.
    BoxBottomRight,
}

/// A point in input pixels with its meaning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabeledPoint {
    /// Input pixels, corner convention.
    pub x: f32,
    /// Input pixels, corner convention.
    pub y: f32,
    /// What it means.
    pub label: PointLabel,
}

/// Mask logits as the decoder gives them and takes them back: `[low_res_side, low_res_side]`, row-major, padding included.
pub type LowResLogits = Arc<[f32]>;

/// One question to the mask decoder.
#[derive(Debug, Clone, Default)]
pub struct DecodeQuery {
    /// Include and exclude points; box corners, if any, stand at the end (top left, then bottom right).
    pub points: Vec<LabeledPoint>,
    /// Logits of the decode before, or of a mask given as a prompt.
    pub previous: Option<LowResLogits>,
    /// Three candidates, or the single answer.
    pub multimask: bool,
}

/// One mask of the decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct MaskOutput {
    /// Low-res logits.
    pub low_res: LowResLogits,
    /// The model's own estimate of the mask's IoU, about 0..1.
    pub predicted_iou: f32,
}

/// A promptable segmenter. Object-safe; steps are callable one by one.
pub trait Segmenter: Send + Sync {
    /// Fixed facts.
    fn info(&self) -> &SegmenterInfo;

    /// Resizes a view for the encoder. `rgb` is the whole picture, `[image_height, image_width, 3]`.
    ///
    /// # Errors
    /// A view outside the picture or of no pixels.
    fn prepare(
        &self,
        rgb: &[u8],
        image_width: u32,
        image_height: u32,
        view: PixelRect,
    ) -> Result<PreparedView, InferenceError>;

    /// Runs the image encoder. Its answer is rounded to what [`Segmenter::store_embedding`] keeps, so that a mask does
    /// not depend on whether the embedding was computed just now or read from a disk.
    ///
    /// # Errors
    /// [`InferenceError::Cancelled`], or a failure of the computation.
    fn encode(&self, view: &PreparedView, control: &EncodeControl<'_>) -> Result<Embedding, InferenceError>;

    /// Runs prompt encoder and mask decoder: three outputs if `query.multimask`, else one.
    ///
    /// # Errors
    /// An embedding of another model, [`InferenceError::NotANumber`], or a failure of the computation.
    fn decode(&self, embedding: &Embedding, query: &DecodeQuery) -> Result<Vec<MaskOutput>, InferenceError>;

    /// [`Segmenter::decode`] for several prompts on one embedding, in their order; models that can share work override it.
    ///
    /// # Errors
    /// As [`Segmenter::decode`], the first of them.
    fn decode_many(
        &self,
        embedding: &Embedding,
        queries: &[DecodeQuery],
    ) -> Result<Vec<Vec<MaskOutput>>, InferenceError> {
        queries.iter().map(|query| self.decode(embedding, query)).collect()
    }

    /// The embedding as bytes for the disk (f16 arrays with their shapes).
    ///
    /// # Errors
    /// An embedding of another model.
    fn store_embedding(&self, embedding: &Embedding) -> Result<Vec<u8>, InferenceError>;

    /// The inverse of [`Segmenter::store_embedding`], bit for bit.
    ///
    /// # Errors
    /// [`InferenceError::StoredEmbedding`] for bytes of another model, shape or length.
    fn restore_embedding(&self, bytes: &[u8]) -> Result<Embedding, InferenceError>;
}

/// [`Segmenter::decode_many`] with a prompt a thread, for models that run on the kernels' threads: each prompt is computed
/// by one thread from beginning to end, which wastes none of them on waiting for the others.
///
/// # Errors
/// The first of the prompts' errors.
pub(crate) fn decode_side_by_side(
    segmenter: &dyn Segmenter,
    pool: &Pool,
    embedding: &Embedding,
    queries: &[DecodeQuery],
) -> Result<Vec<Vec<MaskOutput>>, InferenceError> {
    let answers: Vec<OnceLock<_>> = queries.iter().map(|_| OnceLock::new()).collect();
    pool.run(queries.len(), &|index| {
        answers[index].get_or_init(|| segmenter.decode(embedding, &queries[index]));
    });
    answers.into_iter().map(|answer| answer.into_inner().expect("the pool runs every task")).collect()
}

/// Low-res logits as a field over the view, by SAM's official postprocessing: bilinear to the input size, crop the
/// padding away. (The last bilinear step, to picture pixels, is [`LogitField`]'s.)
pub fn field_from_low_res(low_res: &[f32], low_res_side: u32, frame: &ViewFrame) -> LogitField {
    let side = frame.input_side;
    let full = interpolate_bilinear(low_res, (low_res_side, low_res_side), (side, side));
    let mut values = Vec::with_capacity(frame.content_width as usize * frame.content_height as usize);
    for row in full.chunks_exact(side as usize).take(frame.content_height as usize) {
        values.extend_from_slice(&row[..frame.content_width as usize]);
    }
    LogitField {
        grid_width: frame.content_width,
        grid_height: frame.content_height,
        values: values.into(),
        view: frame.view,
    }
}

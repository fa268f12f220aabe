//! The one way from a prompt to masks, for every segmenter and every caller.
//!
//! Invariant: a prompt is replayed from its first step; each decode is fed the chosen logits of the one before. A
//! [`Replay`] only remembers; with it or without it the answer is the same, byte for byte.

use super::segmenter::{EncodedView, InferenceError, LowResLogits, Segmenter, ViewFrame};
use crate::prompt::Prompt;
use crate::raster::LogitField;

/// One mask that the model thinks the prompt may mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Low-res logits, `[low_res_side, low_res_side]`.
    pub low_res: LowResLogits,
    /// The model's own estimate of the mask's IoU.
    pub predicted_iou: f32,
    /// Area above logit +1 over area above logit -1, on the view's part of the low-res logits; 0 if both are empty.
    pub stability: f32,
}

/// The answer to a prompt: three candidates for a lone point, else one.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidates {
    /// In the model's order (smaller to larger for most models, not guaranteed).
    pub items: Vec<Candidate>,
    /// The prompt's choice, or the one of highest predicted IoU.
    pub chosen: usize,
    /// Where they lie.
    pub frame: ViewFrame,
    /// Side of the low-res logits.
    pub low_res_side: u32,
}

impl Candidates {
    /// A candidate's logits as a field over the view; `None` if there is no such candidate.
    pub fn field(&self, index: usize) -> Option<LogitField> {
        let item = self.items.get(index)?;
        Some(super::segmenter::field_from_low_res(&item.low_res, self.low_res_side, &self.frame))
    }
}

/// Remembers the decodes of the last prompt so that an appended step costs one decode. Valid for one encoded view.
#[derive(Default)]
pub struct Replay {
    _private: (),
}

/// Answers a prompt.
///
/// # Errors
/// An empty prompt, a step outside the view, or a failing model.
pub fn predict(
    _segmenter: &dyn Segmenter,
    _encoded: &EncodedView,
    _prompt: &Prompt,
    _replay: &mut Replay,
) -> Result<Candidates, InferenceError> {
    Err(InferenceError::Prompt(String::new()))
}

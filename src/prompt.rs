//! What a user says about an object, in the order they said it: the words of the window, the command line and the models.
//!
//! Invariant: a prompt is complete. The same prompt on the same picture with the same model gives the same mask, byte
//! for byte, whoever asks.

use crate::geometry::{ImagePoint, ImageRect, PixelRect};
use crate::raster::Mask;
use serde::{Deserialize, Serialize};

/// Whether a point belongs to the object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Polarity {
    /// The object covers this point.
    Include,
    /// The object does not cover this point.
    Exclude,
}

/// One thing said about the object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PromptStep {
    /// A point on the object or beside it.
    Point {
        /// Where, in picture pixels.
        at: ImagePoint,
        /// On the object or beside it.
        polarity: Polarity,
    },
    /// The object lies in this box. A later box replaces an earlier one.
    Box(ImageRect),
    /// An earlier mask to start from (becomes logits of plus and minus 10). It replaces all logits fed back so far.
    Mask(Mask),
}

/// Everything said about one object.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Prompt {
    /// In the order in which it was said; they are replayed in that order.
    pub steps: Vec<PromptStep>,
    /// The part of the picture that is encoded for this prompt; `None` is the whole picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<PixelRect>,
    /// Which of the three candidates of a lone first point was chosen (0, 1 or 2); `None` takes the one of highest
    /// predicted IoU. Later steps refine the chosen one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub choice: Option<usize>,
}

impl Prompt {
    /// A prompt of one point.
    pub fn point(at: ImagePoint, polarity: Polarity) -> Self {
        Self { steps: vec![PromptStep::Point { at, polarity }], ..Self::default() }
    }

    /// Whether nothing has been said yet.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether the prompt is a single point and nothing else, so that several masks are plausible.
    pub fn is_lone_point(&self) -> bool {
        matches!(self.steps.as_slice(), [PromptStep::Point { .. }])
    }
}

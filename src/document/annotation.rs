//! An object on a picture: its mask, what it is called, and how the mask came to be.

use super::Colour;
use crate::prompt::Prompt;
use crate::raster::Mask;
use serde::{Deserialize, Serialize};

/// Names an object in its project, for good: never given to another object while the project is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AnnotationId(pub u64);

/// Names a label in its project, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LabelId(pub u64);

/// A class of objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Which label.
    pub id: LabelId,
    /// What it is called; not empty, not used twice in a project, no white space around it.
    pub name: String,
    /// What its objects are drawn in.
    pub colour: Colour,
}

/// How a mask came to be: all that is needed to reopen it and correct it by another click.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Everything that was said about the object.
    pub prompt: Prompt,
    /// The logit above which a pixel was inside.
    pub threshold: f32,
    /// The model's own estimate of the mask's IoU, about 0..1.
    pub predicted_iou: f32,
    /// Area above logit +1 over area above logit -1, 0..=1.
    pub stability: f32,
    /// The id of the segmenter that answered. Another model answers the same prompt with another mask.
    pub model_id: String,
}

/// One object on one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Annotation {
    /// Which object.
    pub id: AnnotationId,
    /// Its pixels, of the picture's size.
    pub mask: Mask,
    /// How the mask came to be; `None` for one that was imported.
    pub origin: Option<Origin>,
    /// What it is.
    pub label: Option<LabelId>,
    /// Its own colour, instead of the label's.
    pub colour: Option<Colour>,
    /// Its own name, shown beside the label.
    pub name: Option<String>,
    /// Not drawn.
    pub hidden: bool,
    /// Not deleted or changed by a slip of the hand.
    pub locked: bool,
}

impl Annotation {
    /// An object with a mask and nothing else.
    pub fn new(id: AnnotationId, mask: Mask) -> Self {
        Self { id, mask, origin: None, label: None, colour: None, name: None, hidden: false, locked: false }
    }

    /// About how many bytes it takes in memory.
    pub fn byte_size(&self) -> usize {
        size_of::<Self>()
            + self.mask.byte_size()
            + self.origin.as_ref().map_or(0, Origin::byte_size)
            + self.name.as_ref().map_or(0, String::len)
    }
}

impl Origin {
    /// About how many bytes it takes in memory.
    pub fn byte_size(&self) -> usize {
        use crate::prompt::PromptStep;
        let masks: usize = self
            .prompt
            .steps
            .iter()
            .map(|step| if let PromptStep::Mask(mask) = step { mask.byte_size() } else { 0 })
            .sum();
        size_of::<Self>() + self.model_id.len() + self.prompt.steps.len() * size_of::<PromptStep>() + masks
    }
}

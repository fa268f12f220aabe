//! Prompts in, masks out: the calls that `segment` and `demo` share. They are those of the window.
//!
//! Invariant: a mask is the field of the chosen candidate above logit 0, as on the screen with its slider untouched.

use super::exit::{Failure, Outcome};
use crate::geometry::PixelRect;
use crate::inference::{EncodeControl, Replay, Segmenter, encode_view, predict};
use crate::prompt::Prompt;
use crate::raster::{Mask, Picture};
use std::time::{Duration, Instant};

/// The logit above which a pixel is inside.
pub const MASK_THRESHOLD: f32 = 0.0;

/// One mask for an object.
#[derive(Debug, Clone)]
pub struct FoundMask {
    /// Which of the model's candidates it is, from 1.
    pub candidate: usize,
    /// The model's own estimate of the mask's IoU.
    pub predicted_iou: f32,
    /// Area above logit +1 over area above logit -1.
    pub stability: f32,
    /// Of the picture's size; may be empty.
    pub mask: Mask,
}

/// The answer to one prompt.
#[derive(Debug, Clone)]
pub struct FoundObject {
    /// All candidates, in the model's order.
    pub candidates: Vec<FoundMask>,
    /// The one to take.
    pub chosen: usize,
}

impl FoundObject {
    /// The one to take.
    pub fn chosen(&self) -> &FoundMask {
        &self.candidates[self.chosen]
    }
}

/// The answers to all prompts on one view of a picture.
#[derive(Debug)]
pub struct Found {
    /// Time of the one encode.
    pub encode_time: Duration,
    /// Time of all decodes.
    pub decode_time: Duration,
    /// One for each prompt.
    pub objects: Vec<FoundObject>,
}

/// Encodes the view once and answers each prompt. All prompts lie in the same view.
///
/// # Errors
/// A prompt that the model cannot answer; a failure of the computation.
pub fn find_objects(
    segmenter: &dyn Segmenter,
    picture: &Picture,
    view: Option<PixelRect>,
    prompts: &[Prompt],
) -> Outcome<Found> {
    let start = Instant::now();
    let encoded = encode_view(segmenter, picture, view, &EncodeControl::default())?;
    let encode_time = start.elapsed();
    let start = Instant::now();
    let mut answers = Vec::with_capacity(prompts.len());
    for prompt in prompts {
        answers.push(predict(segmenter, &encoded, prompt, &mut Replay::default())?);
    }
    let decode_time = start.elapsed();
    let objects = answers
        .iter()
        .map(|answer| {
            let candidates = answer.items.iter().enumerate().filter_map(|(index, item)| {
                Some(FoundMask {
                    candidate: index + 1,
                    predicted_iou: item.predicted_iou,
                    stability: item.stability,
                    mask: answer.field(index)?.to_mask(picture.width, picture.height, MASK_THRESHOLD),
                })
            });
            let object = FoundObject { candidates: candidates.collect(), chosen: answer.chosen };
            if object.chosen < object.candidates.len() {
                Ok(object)
            } else {
                Err(Failure::retry(anyhow::anyhow!("the model gave no mask; please report this")))
            }
        })
        .collect::<Outcome<Vec<_>>>()?;
    Ok(Found { encode_time, decode_time, objects })
}

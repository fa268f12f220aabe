//! The one way from a prompt to masks, for every segmenter and every caller.
//!
//! Invariant: a prompt is replayed from its first step; each decode is given all points so far, the latest box and the
//! chosen logits of the decode before. A [`Replay`] only remembers; with it or without it the answer is the same, byte
//! for byte.

use super::mask_prompt::low_res_from_mask;
use super::segmenter::{
    DecodeQuery, EncodeControl, EncodedView, InferenceError, LabeledPoint, LowResLogits, MaskOutput, PointLabel,
    Segmenter, ViewFrame, field_from_low_res,
};
use crate::geometry::{ImagePoint, PixelRect};
use crate::prompt::{Polarity, Prompt, PromptStep};
use crate::raster::{LogitField, Picture};
use std::any::Any;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};

/// Decodes that a [`Replay`] keeps at least; each holds up to three low-res logits (256 KB each for a side of 256).
const REMEMBERED_DECODES: usize = 32;

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
        Some(field_from_low_res(&item.low_res, self.low_res_side, &self.frame))
    }
}

/// Remembers decodes so that an appended step costs one decode and a step taken back costs none. It forgets by itself
/// when it meets another encoded view.
#[derive(Default)]
pub struct Replay {
    /// The embedding and place that the memory belongs to. Weak: remembering keeps no embedding alive.
    owner: Option<(Weak<dyn Any + Send + Sync>, ViewFrame)>,
    /// Questions and answers, the latest used at the end.
    known: VecDeque<(DecodeQuery, Arc<[MaskOutput]>)>,
}

impl Replay {
    fn turn_to(&mut self, encoded: &EncodedView, steps: usize) {
        let tensors = &encoded.embedding.tensors;
        let same = self.owner.as_ref().is_some_and(|(owner, frame)| {
            std::ptr::addr_eq(owner.as_ptr(), Arc::as_ptr(tensors)) && *frame == encoded.frame
        });
        if !same {
            self.known.clear();
            self.owner = Some((Arc::downgrade(tensors), encoded.frame));
        }
        // Room for the whole prompt twice, else a long prompt would push out its own beginning on every replay.
        let room = REMEMBERED_DECODES.max(2 * steps);
        while self.known.len() > room {
            self.known.pop_front();
        }
    }

    fn decode(
        &mut self,
        segmenter: &dyn Segmenter,
        encoded: &EncodedView,
        query: DecodeQuery,
        room: usize,
    ) -> Result<Arc<[MaskOutput]>, InferenceError> {
        if let Some(at) = self.known.iter().position(|(known, _)| same_query(known, &query))
            && let Some(entry) = self.known.remove(at)
        {
            let answer = entry.1.clone();
            self.known.push_back(entry);
            return Ok(answer);
        }
        let answer: Arc<[MaskOutput]> = checked_decode(segmenter, encoded, &query)?.into();
        if self.known.len() >= room {
            self.known.pop_front();
        }
        self.known.push_back((query, answer.clone()));
        Ok(answer)
    }
}

fn same_query(a: &DecodeQuery, b: &DecodeQuery) -> bool {
    let same_logits = match (&a.previous, &b.previous) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(a, b) || a == b,
        _ => false,
    };
    a.multimask == b.multimask && a.points == b.points && same_logits
}

/// Decodes and refuses an answer that cannot be one.
fn checked_decode(
    segmenter: &dyn Segmenter,
    encoded: &EncodedView,
    query: &DecodeQuery,
) -> Result<Vec<MaskOutput>, InferenceError> {
    let info = segmenter.info();
    let outputs = segmenter.decode(&encoded.embedding, query)?;
    let (cells, expected) = ((info.low_res_side as usize).pow(2), if query.multimask { 3 } else { 1 });
    if outputs.len() != expected || outputs.iter().any(|output| output.low_res.len() != cells) {
        return Err(InferenceError::Compute(candle_core::Error::Msg(format!(
            "{} gave {} masks, expected {expected} of {cells} logits",
            info.id,
            outputs.len()
        ))));
    }
    let finite = |o: &MaskOutput| o.predicted_iou.is_finite() && o.low_res.iter().all(|logit| logit.is_finite());
    if outputs.iter().all(finite) { Ok(outputs) } else { Err(InferenceError::NotANumber { model: info.id.clone() }) }
}

/// Encodes a view of a picture; `None` is the whole picture.
///
/// # Errors
/// A view outside the picture, a cancel, or a failing model.
pub fn encode_view(
    segmenter: &dyn Segmenter,
    picture: &Picture,
    view: Option<PixelRect>,
    control: &EncodeControl<'_>,
) -> Result<EncodedView, InferenceError> {
    let view = view.unwrap_or(PixelRect::of_size(picture.width, picture.height));
    let prepared = segmenter.prepare(&picture.rgb, picture.width, picture.height, view)?;
    let embedding = segmenter.encode(&prepared, control)?;
    Ok(EncodedView { frame: prepared.frame, embedding })
}

/// Answers a prompt.
///
/// A lone point gets three candidates, and `prompt.choice` (else the highest predicted IoU) says which one the next step
/// refines; a box, a mask or any later step gets the single answer. A mask step starts from the mask: it is decoded by
/// itself only where it is the last step. `prompt.choice` has no meaning where the first step is no point.
///
/// # Errors
/// An empty prompt, a step outside the view, a mask of another size, a choice that is none, or a failing model.
pub fn predict(
    segmenter: &dyn Segmenter,
    encoded: &EncodedView,
    prompt: &Prompt,
    replay: &mut Replay,
) -> Result<Candidates, InferenceError> {
    let frame = &encoded.frame;
    check(prompt, frame)?;
    let low_res_side = segmenter.info().low_res_side;
    replay.turn_to(encoded, prompt.steps.len());
    let room = REMEMBERED_DECODES.max(2 * prompt.steps.len());

    let mut points: Vec<LabeledPoint> = Vec::new();
    let mut corners: Option<[LabeledPoint; 2]> = None;
    let mut previous: Option<LowResLogits> = None;
    let mut answer: Option<(Arc<[MaskOutput]>, usize)> = None;
    for (index, step) in prompt.steps.iter().enumerate() {
        match step {
            PromptStep::Point { at, polarity: Polarity::Include } => {
                points.push(labeled(frame, *at, PointLabel::Include))
            }
            PromptStep::Point { at, polarity: Polarity::Exclude } => {
                points.push(labeled(frame, *at, PointLabel::Exclude))
            }
            PromptStep::Box(rect) => {
                corners = Some([
                    labeled(frame, ImagePoint::new(rect.x0, rect.y0), PointLabel::BoxTopLeft),
                    labeled(frame, ImagePoint::new(rect.x1, rect.y1), PointLabel::BoxBottomRight),
                ]);
            }
            PromptStep::Mask(mask) => {
                previous = Some(low_res_from_mask(mask, frame, low_res_side));
                if index + 1 < prompt.steps.len() {
                    continue;
                }
            }
        }
        let multimask = index == 0 && matches!(step, PromptStep::Point { .. });
        let all = points.iter().chain(corners.iter().flatten()).copied().collect();
        let query = DecodeQuery { points: all, previous: previous.take(), multimask };
        let outputs = replay.decode(segmenter, encoded, query, room)?;
        let chosen = if multimask { choose(&outputs, prompt.choice)? } else { 0 };
        previous = Some(outputs[chosen].low_res.clone());
        answer = Some((outputs, chosen));
    }
    let Some((outputs, chosen)) = answer else {
        return Err(nothing_said());
    };
    let items = outputs
        .iter()
        .map(|output| Candidate {
            low_res: output.low_res.clone(),
            predicted_iou: output.predicted_iou,
            stability: stability(&output.low_res, low_res_side, frame),
        })
        .collect();
    Ok(Candidates { items, chosen, frame: *frame, low_res_side })
}

fn nothing_said() -> InferenceError {
    InferenceError::Prompt("nothing was said about the object; give a point, a box or a mask".to_owned())
}

fn labeled(frame: &ViewFrame, at: ImagePoint, label: PointLabel) -> LabeledPoint {
    let (x, y) = frame.input_from_image(at);
    LabeledPoint { x, y, label }
}

/// The wish, or the first of highest predicted IoU.
fn choose(outputs: &[MaskOutput], wish: Option<usize>) -> Result<usize, InferenceError> {
    if let Some(wish) = wish {
        if wish < outputs.len() {
            return Ok(wish);
        }
        return Err(InferenceError::Prompt(format!(
            "candidate {} was chosen, but there are {}; choose one of 1 to {}",
            wish.saturating_add(1),
            outputs.len(),
            outputs.len()
        )));
    }
    let mut best = 0;
    for (index, output) in outputs.iter().enumerate() {
        if output.predicted_iou > outputs[best].predicted_iou {
            best = index;
        }
    }
    Ok(best)
}

/// Refuses what no mask can answer, before anything is computed.
fn check(prompt: &Prompt, frame: &ViewFrame) -> Result<(), InferenceError> {
    let (width, height) = (frame.image_width, frame.image_height);
    let refuse = |text: String| Err(InferenceError::Prompt(text));
    if prompt.is_empty() {
        return Err(nothing_said());
    }
    let whole = PixelRect::of_size(width, height);
    let asked = prompt.view.unwrap_or(whole);
    if asked != frame.view {
        return refuse(format!("the prompt is about {}, but {} was encoded", place(asked), place(frame.view)));
    }
    let check_point = |what: &str, at: ImagePoint| {
        if !at.is_inside(width, height) {
            return refuse(format!(
                "{what} {},{} lies outside the picture of {width} x {height} pixels; x goes from 0 to {width}, y from 0 \
                 to {height}",
                at.x, at.y
            ));
        }
        if !frame.view.contains(at) {
            return refuse(format!(
                "{what} {},{} lies outside the region in use, {}; choose a region that holds all points, or none",
                at.x,
                at.y,
                place(frame.view)
            ));
        }
        Ok(())
    };
    for step in &prompt.steps {
        match step {
            PromptStep::Point { at, .. } => check_point("the point", *at)?,
            PromptStep::Box(rect) => {
                check_point("the box's first corner", ImagePoint::new(rect.x0, rect.y0))?;
                check_point("the box's second corner", ImagePoint::new(rect.x1, rect.y1))?;
                if rect.width() <= 0.0 || rect.height() <= 0.0 {
                    return refuse(format!(
                        "the box {},{} to {},{} has no area; give its left, top, right and bottom edge",
                        rect.x0, rect.y0, rect.x1, rect.y1
                    ));
                }
            }
            PromptStep::Mask(mask) => {
                if (mask.width(), mask.height()) != (width, height) {
                    return refuse(format!(
                        "the mask has {} x {} pixels, expected the picture's {width} x {height}",
                        mask.width(),
                        mask.height()
                    ));
                }
            }
        }
    }
    Ok(())
}

fn place(rect: PixelRect) -> String {
    format!("{},{} to {},{}", rect.x, rect.y, rect.right(), rect.bottom())
}

/// Area above logit +1 over area above logit -1 on the cells whose centre shows the view. Source: segment-anything
/// `calculate_stability_score` with an offset of 1.
fn stability(low_res: &[f32], side: u32, frame: &ViewFrame) -> f32 {
    let centre = |cell: usize| (cell as f32 + 0.5) * (frame.input_side as f32 / side as f32);
    let shown = |content: u32| (0..side as usize).take_while(|&cell| centre(cell) < content as f32).count().max(1);
    let (columns, rows) = (shown(frame.content_width), shown(frame.content_height));
    let (mut sure, mut possible) = (0u32, 0u32);
    for row in low_res.chunks_exact(side as usize).take(rows) {
        sure += row[..columns].iter().filter(|&&logit| logit > 1.0).count() as u32;
        possible += row[..columns].iter().filter(|&&logit| logit > -1.0).count() as u32;
    }
    if possible == 0 { 0.0 } else { sure as f32 / possible as f32 }
}

#[cfg(test)]
#[path = "predictor_tests.rs"]
mod tests;

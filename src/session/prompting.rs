//! From clicks to masks: the draft grows, the newest question goes to the engine, its answer is shown and accepted.
//!
//! Invariant: what is shown answers the draft, or an older state of it within one drag; an answer to anything else is
//! dropped by its generation.

use super::project_desk::{Acceptance, Change};
use super::{Answer, Draft, DraftState, EncodePhase, Session, Tool};
use crate::document::store::StoredDraft;
use crate::document::{Annotation, AnnotationId, Edit, ImageName, ImageSize, Origin};
use crate::engine::{Candidates, DecodeRequest, Generation, PictureId, Problem};
use crate::geometry::{ImagePoint, ImageRect, PixelRect, view_for_zoom};
use crate::prompt::{Polarity, Prompt, PromptStep};
use crate::raster::Mask;
use std::sync::Arc;
use std::time::Instant;

impl Session {
    /// The size of the picture if prompts make sense on it: it is there, and its objects fit it.
    fn promptable_size(&mut self) -> Option<ImageSize> {
        if let Some(conflict) = self.picture.size_conflict {
            self.warn(format!(
                "The objects of this picture were made at {}, but the file is {} now. Put the old file back to work on \
                 them.",
                conflict.stored, conflict.found
            ));
            return None;
        }
        self.picture.size()
    }

    pub(super) fn add_point(&mut self, at: ImagePoint, polarity: Polarity) {
        let Some(size) = self.promptable_size() else { return };
        if at.is_inside(size.width, size.height) {
            let view = self.view_for_new_prompt();
            self.prompting.draft.add_point(at, polarity, view);
            self.draft_changed();
        }
    }

    pub(super) fn set_box(&mut self, rect: ImageRect) {
        let Some(size) = self.promptable_size() else { return };
        let corner = |x: f32, y: f32| clamp_to_picture(ImagePoint::new(x, y), size);
        let rect = ImageRect::from_corners(corner(rect.x0, rect.y0), corner(rect.x1, rect.y1));
        // Nothing of a box beside the picture is left; NaN compares as nothing too.
        if rect.width() > 0.0 && rect.height() > 0.0 {
            let view = self.view_for_new_prompt();
            self.prompting.draft.set_box(rect, view);
            self.draft_changed();
        }
    }

    pub(super) fn move_point(&mut self, step: usize, to: ImagePoint) {
        let Some(size) = self.promptable_size() else { return };
        if to.x.is_nan() || to.y.is_nan() {
            return;
        }
        let lower_bound = self.prompting.shown_from;
        let is_going_on = self.prompting.draft.is_dragging(step);
        if self.prompting.draft.move_point(step, clamp_to_picture(to, size)) {
            self.ask();
            if is_going_on {
                // While one point is dragged, older answers of the same drag may be shown.
                self.prompting.shown_from = lower_bound;
            }
        }
    }

    pub(super) fn end_drag(&mut self) {
        if self.prompting.draft.end_drag() {
            self.keep_draft();
        }
    }

    pub(super) fn remove_step(&mut self, step: usize) {
        if self.prompting.draft.remove_step(step) {
            self.draft_changed();
        }
    }

    pub(super) fn drop_draft(&mut self) {
        self.prompting.draft.clear();
        self.draft_changed();
    }

    /// Shows another candidate; `pick` gets the shown one and how many there are.
    pub(super) fn choose_candidate(&mut self, pick: impl FnOnce(usize, usize) -> usize) {
        let is_lone = self.prompting.draft.prompt().is_lone_point();
        if let Some(answer) = self.prompting.answer.as_mut().filter(|_| is_lone) {
            let count = answer.candidates.items.len();
            let pick = pick(answer.shown, count);
            if pick < count {
                answer.shown = pick;
                self.prompting.draft.choose(pick);
                self.keep_draft();
            }
        }
    }

    /// Everything that follows from another draft: it is kept, and asked about.
    pub(super) fn draft_changed(&mut self) {
        self.keep_draft();
        self.ask();
    }

    /// Asks the engine about the draft as it is now.
    pub(super) fn ask(&mut self) {
        let prompting = &mut self.prompting;
        prompting.asked = prompting.last_generation.advance();
        prompting.shown_from = prompting.asked;
        prompting.accept_when_ready = false;
        prompting.hover = None;
        prompting.settling = None;
        if prompting.draft.is_empty() {
            prompting.answer = None;
            prompting.waiting = false;
            self.services.engine.cancel_decode();
            return;
        }
        prompting.waiting = true;
        self.felt.ask(Instant::now());
        // Before picture and model are there the draft waits; both ask again when they come.
        if let (Some(picture), Some(_)) = (self.picture.handle(), &self.model.info) {
            self.services.engine.decode(DecodeRequest {
                generation: prompting.asked,
                picture: picture.clone(),
                prompt: prompting.draft.prompt().clone(),
            });
        }
    }

    /// Keeps the draft in the project file, so that it survives a crash.
    fn keep_draft(&mut self) {
        let Some(image) = self.picture.name.clone() else { return };
        let state = self.prompting.draft.state();
        let stored = (!self.prompting.draft.is_empty())
            .then(|| StoredDraft { prompt: state.prompt.clone(), correcting: state.correcting });
        self.save(Change::Draft(image, stored));
    }

    pub(super) fn view_for_new_prompt(&self) -> Option<PixelRect> {
        let (visible, fit_zoom_ratio) = self.picture.visible?;
        let size = self.picture.size()?;
        if fit_zoom_ratio <= 2.0 { None } else { view_for_zoom(visible, size.width, size.height) }
    }

    pub(super) fn mask_ready(
        &mut self,
        generation: Generation,
        picture: PictureId,
        candidates: Candidates,
        decode_ms: f64,
        ready: Instant,
    ) {
        let prompting = &mut self.prompting;
        let is_current = generation >= prompting.shown_from && generation <= prompting.asked;
        if !is_current || !prompting.waiting || self.picture.id() != Some(picture) {
            return;
        }
        let mut answer = Answer::new(picture, generation, candidates);
        // The user may have chosen after this question was asked.
        let choice = prompting.draft.prompt().choice.filter(|_| prompting.draft.prompt().is_lone_point());
        if let Some(choice) = choice.filter(|choice| *choice < answer.candidates.items.len()) {
            answer.shown = choice;
        }
        prompting.answer = Some(answer);
        self.timings.decode_ms = Some(decode_ms);
        if generation == prompting.asked {
            prompting.waiting = false;
            self.felt.answer(ready);
            self.picture.encode = EncodePhase::Ready;
            if std::mem::take(&mut self.prompting.accept_when_ready) {
                self.accept_draft();
            }
        }
    }

    pub(super) fn decode_failed(&mut self, generation: Generation, problem: &Problem) {
        if generation == self.prompting.asked && self.prompting.waiting {
            self.prompting.waiting = false;
            self.prompting.answer = None;
            self.fail(format!("This prompt has no mask: {problem}"));
        }
    }

    pub(super) fn hover_at(&mut self, at: Option<ImagePoint>) {
        let is_wanted = self.view.hover_preview && self.tool == Tool::Prompt && self.prompting.draft.is_empty();
        let at = at.filter(|at| is_wanted && self.picture.size().is_some_and(|s| at.is_inside(s.width, s.height)));
        let (Some(at), None, Some(picture), Some(_)) =
            (at, self.picture.size_conflict, self.picture.handle().cloned(), &self.model.info)
        else {
            self.prompting.hover = None;
            self.prompting.hover_asked = Generation::default();
            return;
        };
        let view = self.view_for_new_prompt();
        if self.picture.wanted_view != view {
            // The pointer rests on a closer look: a click will probably follow.
            self.want_view(view);
        }
        self.prompting.hover_asked = self.prompting.last_generation.advance();
        self.services.engine.hover(DecodeRequest {
            generation: self.prompting.hover_asked,
            picture,
            prompt: Prompt { view, ..Prompt::point(at, Polarity::Include) },
        });
    }

    pub(super) fn hover_ready(&mut self, generation: Generation, picture: PictureId, candidates: Candidates) {
        let prompting = &mut self.prompting;
        if generation == prompting.hover_asked && prompting.draft.is_empty() && self.picture.id() == Some(picture) {
            prompting.hover = Some(Answer::new(picture, generation, candidates));
        }
    }

    /// Has a view of the picture encoded before it is asked about; `None` is the whole picture.
    pub(super) fn want_view(&mut self, view: Option<PixelRect>) {
        let Some(picture) = self.picture.handle() else { return };
        self.services.engine.encode(picture, view);
        self.picture.wanted_view = view;
        self.picture.encode = EncodePhase::Running { share: 0.0 };
    }

    pub(super) fn accept_draft(&mut self) {
        if self.prompting.draft.is_empty() || !self.may_edit() {
            return;
        }
        if self.project.opening {
            // The mask would be made after this project is left.
            self.warn("Another folder is being opened; keep the mask after that.");
            return;
        }
        let Some(size) = self.promptable_size() else { return };
        if self.prompting.waiting {
            self.prompting.accept_when_ready = true;
            return;
        }
        let (Some(image), Some(model)) = (self.picture.name.clone(), self.model.info.clone()) else { return };
        let threshold = self.view.threshold;
        let acceptance = self.prompting.answer.as_ref().and_then(|answer| {
            let item = answer.candidates.items.get(answer.shown)?;
            let field = answer.shown_field()?.clone();
            Some((answer.generation, field, item.predicted_iou, item.stability))
        });
        let Some((answer, field, predicted_iou, stability)) = acceptance else {
            self.warn("There is no mask to keep for these prompts; move or remove one of them.");
            return;
        };
        if !field.values.iter().any(|&logit| logit > threshold) {
            self.warn(EMPTY_MASK);
            return;
        }
        let DraftState { prompt, correcting } = self.prompting.draft.state().clone();
        self.desk.make_mask(Acceptance {
            image,
            size,
            field,
            answer,
            origin: Origin { prompt, threshold, predicted_iou, stability, model_id: model.id },
            correcting,
            label: self.objects.active_label,
        });
        // The answer stays on the screen until the object is there to take its place.
        let shown = self.prompting.answer.take();
        self.prompting.draft = Draft::default();
        self.draft_changed();
        self.prompting.answer = shown;
        self.prompting.settling = Some(answer);
    }

    pub(super) fn mask_made(&mut self, acceptance: Acceptance, mask: Mask) {
        let is_shown = self.picture.name.as_ref() == Some(&acceptance.image);
        if is_shown && self.prompting.settling == Some(acceptance.answer) {
            self.prompting.settling = None;
            self.prompting.answer = None;
        }
        if mask.is_empty() {
            self.warn(EMPTY_MASK);
            self.put_back(acceptance);
            return;
        }
        let corrected =
            acceptance.correcting.filter(|id| self.project.project.annotation(&acceptance.image, *id).is_some());
        let Acceptance { image, origin, label, .. } = acceptance;
        let (id, edit) = match corrected {
            Some(id) => (id, Edit::SetMask { image, id, mask, origin: Some(Box::new(origin)) }),
            None => {
                let id = self.project.project.new_annotation_id();
                let mut annotation = Annotation::new(id, mask);
                annotation.origin = Some(origin);
                annotation.label = label.filter(|label| self.project.project.label(*label).is_some());
                let position = self.project.object_count(&image);
                (id, Edit::AddAnnotation { image, position, annotation: Arc::new(annotation) })
            }
        };
        if self.commit(edit) && is_shown {
            self.objects.selection = Some(id);
        }
    }

    /// Makes the prompts of a mask that came to nothing the draft again, if nothing has been said since.
    fn put_back(&mut self, acceptance: Acceptance) {
        let state = DraftState { prompt: acceptance.origin.prompt, correcting: acceptance.correcting };
        if self.picture.name.as_ref() == Some(&acceptance.image) && self.prompting.draft.is_empty() {
            self.prompting.draft = Draft::from_state(state);
            self.draft_changed();
        }
    }

    /// Makes an object's prompts the draft again. Where another model made its mask, the mask itself is the prompt.
    pub(super) fn reopen(&mut self, id: AnnotationId) {
        let Some(annotation) = self.annotation(id).cloned() else { return };
        if self.promptable_size().is_none() || !self.may_edit() || !self.is_unlocked(&annotation) {
            return;
        }
        let model = self.model.info.as_ref().map(|info| info.id.as_str());
        let prompt = match &annotation.origin {
            Some(origin) if Some(origin.model_id.as_str()) == model => {
                self.view.threshold = origin.threshold;
                origin.prompt.clone()
            }
            _ => Prompt { steps: vec![PromptStep::Mask(annotation.mask.clone())], ..Prompt::default() },
        };
        self.tool = Tool::Prompt;
        self.objects.selection = Some(id);
        self.prompting.draft.replace(DraftState { prompt, correcting: Some(id) });
        self.draft_changed();
    }

    /// Puts the draft away with its picture and takes out that of another.
    pub(super) fn exchange_draft(&mut self, from: Option<ImageName>, to: &ImageName) {
        let kept = self.prompting.parked.remove(to).unwrap_or_default();
        let left = std::mem::replace(&mut self.prompting.draft, kept);
        if let Some(from) = from
            && (!left.is_empty() || left.can_undo() || left.can_redo())
        {
            self.prompting.parked.insert(from, left);
        }
        self.prompting.answer = None;
        self.ask();
    }
}

const EMPTY_MASK: &str =
    "The mask is empty, so nothing was kept. Click on the middle of the object, or lower the threshold.";

fn clamp_to_picture(at: ImagePoint, size: ImageSize) -> ImagePoint {
    ImagePoint::new(at.x.clamp(0.0, size.width as f32), at.y.clamp(0.0, size.height as f32))
}

//! The object being said: a prompt that grows click by click, with its own undo.
//!
//! Invariants: every change is undoable until the draft is accepted; a drag is one change; the prompt's view is set by
//! its first step and widened to the whole picture by a step outside it; at most one box.

use crate::document::AnnotationId;
use crate::geometry::{ImagePoint, ImageRect, PixelRect};
use crate::prompt::{Polarity, Prompt, PromptStep};

/// A prompt, and the object that it corrects.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct DraftState {
    /// Everything said so far.
    pub prompt: Prompt,
    /// The object whose mask the accepted draft will replace; `None` makes a new object.
    pub correcting: Option<AnnotationId>,
}

/// A prompt in the making.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Draft {
    state: DraftState,
    past: Vec<DraftState>,
    future: Vec<DraftState>,
    dragged_step: Option<usize>,
}

impl Draft {
    /// A draft that goes on from a stored one, without a past.
    pub fn from_state(state: DraftState) -> Self {
        Self { state, ..Self::default() }
    }

    /// Everything said so far.
    pub fn prompt(&self) -> &Prompt {
        &self.state.prompt
    }

    /// The object being corrected.
    pub fn correcting(&self) -> Option<AnnotationId> {
        self.state.correcting
    }

    /// Prompt and object together.
    pub fn state(&self) -> &DraftState {
        &self.state
    }

    /// Whether nothing has been said.
    pub fn is_empty(&self) -> bool {
        self.state.prompt.is_empty()
    }

    /// Whether a click or box can be taken back.
    pub fn can_undo(&self) -> bool {
        !self.past.is_empty()
    }

    /// Whether a click or box that was taken back can be said again.
    pub fn can_redo(&self) -> bool {
        !self.future.is_empty()
    }

    /// The draft's box, with its index in the steps.
    pub fn box_step(&self) -> Option<(usize, ImageRect)> {
        self.state.prompt.steps.iter().enumerate().find_map(|(index, step)| match step {
            PromptStep::Box(rect) => Some((index, *rect)),
            _ => None,
        })
    }

    /// Adds a point. `view` is the part of the picture to encode if this is the first step.
    pub fn add_point(&mut self, at: ImagePoint, polarity: Polarity, view: Option<PixelRect>) {
        self.change(|prompt| {
            if prompt.is_empty() {
                prompt.view = view;
            }
            prompt.steps.push(PromptStep::Point { at, polarity });
        });
    }

    /// Sets the box; an earlier one is replaced where it stands.
    pub fn set_box(&mut self, rect: ImageRect, view: Option<PixelRect>) {
        self.change(|prompt| {
            if prompt.is_empty() {
                prompt.view = view;
            }
            match prompt.steps.iter_mut().find(|step| matches!(step, PromptStep::Box(_))) {
                Some(step) => *step = PromptStep::Box(rect),
                None => prompt.steps.push(PromptStep::Box(rect)),
            }
        });
    }

    /// Moves a point; successive moves of one point are one change until [`Draft::end_drag`]. Returns whether the
    /// prompt changed.
    pub fn move_point(&mut self, index: usize, to: ImagePoint) -> bool {
        let Some(PromptStep::Point { at, .. }) = self.state.prompt.steps.get(index) else { return false };
        if *at == to {
            return false;
        }
        if self.dragged_step != Some(index) {
            self.remember();
            self.dragged_step = Some(index);
        }
        if let Some(PromptStep::Point { at, .. }) = self.state.prompt.steps.get_mut(index) {
            *at = to;
        }
        widen_view(&mut self.state.prompt);
        true
    }

    /// Whether this point is being dragged.
    pub fn is_dragging(&self, index: usize) -> bool {
        self.dragged_step == Some(index)
    }

    /// The drag is over: the next move is a change of its own. Returns whether there was a drag.
    pub fn end_drag(&mut self) -> bool {
        self.dragged_step.take().is_some()
    }

    /// Takes a step out. Returns whether there was one.
    pub fn remove_step(&mut self, index: usize) -> bool {
        if index >= self.state.prompt.steps.len() {
            return false;
        }
        self.change(|prompt| {
            prompt.steps.remove(index);
        });
        true
    }

    /// Takes one of a lone point's candidates: part of the prompt, but no undoable change of its own.
    pub fn choose(&mut self, candidate: usize) {
        self.state.prompt.choice = Some(candidate);
    }

    /// Clears the prompt; undo brings it back.
    pub fn clear(&mut self) {
        if self.state != DraftState::default() {
            self.remember();
            self.state = DraftState::default();
        }
    }

    /// Replaces the draft, as one change: an object is reopened.
    pub fn replace(&mut self, state: DraftState) {
        self.remember();
        self.state = state;
    }

    /// Takes back the last change. Returns whether there was one.
    pub fn undo(&mut self) -> bool {
        self.dragged_step = None;
        let Some(before) = self.past.pop() else { return false };
        self.future.push(std::mem::replace(&mut self.state, before));
        true
    }

    /// Does the last change taken back again. Returns whether there was one.
    pub fn redo(&mut self) -> bool {
        self.dragged_step = None;
        let Some(after) = self.future.pop() else { return false };
        self.past.push(std::mem::replace(&mut self.state, after));
        true
    }

    /// Forgets what could be undone and redone.
    pub fn forget_past(&mut self) {
        self.past.clear();
        self.future.clear();
    }

    fn remember(&mut self) {
        self.dragged_step = None;
        self.past.push(self.state.clone());
        self.future.clear();
    }

    fn change(&mut self, change: impl FnOnce(&mut Prompt)) {
        self.remember();
        change(&mut self.state.prompt);
        if self.state.prompt.is_empty() {
            (self.state.prompt.view, self.state.prompt.choice) = (None, None);
        }
        // A choice among the candidates of a first point means nothing once another step comes first.
        if !matches!(self.state.prompt.steps.first(), Some(PromptStep::Point { .. })) {
            self.state.prompt.choice = None;
        }
        widen_view(&mut self.state.prompt);
    }
}

/// Drops the view if a step lies outside it: what was said last must be answered.
fn widen_view(prompt: &mut Prompt) {
    let Some(view) = prompt.view else { return };
    let is_inside = |step: &PromptStep| match step {
        PromptStep::Point { at, .. } => view.contains(*at),
        PromptStep::Box(rect) => {
            view.contains(ImagePoint::new(rect.x0, rect.y0)) && view.contains(ImagePoint::new(rect.x1, rect.y1))
        }
        PromptStep::Mask(_) => true,
    };
    if !prompt.steps.iter().all(is_inside) {
        prompt.view = None;
    }
}

//! Renaming in place: one field at a time, Enter keeps, Escape or a click elsewhere drops.

use super::widgets::text_field;
use crate::document::{AnnotationId, LabelId};
use egui::{Key, Ui};

/// What is being renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InlineTarget {
    /// A label.
    Label(LabelId),
    /// An object.
    Object(AnnotationId),
}

/// The one field that may be open.
#[derive(Debug, Default)]
pub struct InlineEdit {
    open: Option<(InlineTarget, String)>,
    wants_focus: bool,
}

impl InlineEdit {
    /// Opens the field with the name so far.
    pub fn start(&mut self, target: InlineTarget, name: String) {
        self.open = Some((target, name));
        self.wants_focus = true;
    }

    /// Whether this is being renamed.
    pub fn is_editing(&self, target: InlineTarget) -> bool {
        self.open.as_ref().is_some_and(|(open, _)| *open == target)
    }

    /// Draws the field in the place of the name; the new name once Enter is pressed.
    pub fn field_ui(&mut self, ui: &mut Ui, name: &str) -> Option<String> {
        let (_, typed) = self.open.as_mut()?;
        let field = text_field(ui, name, typed, "", f32::INFINITY);
        if std::mem::take(&mut self.wants_focus) {
            field.request_focus();
            return None;
        }
        if !field.lost_focus() {
            return None;
        }
        let kept = ui.input(|input| input.key_pressed(Key::Enter));
        self.open.take().filter(|_| kept).map(|(_, typed)| typed)
    }
}

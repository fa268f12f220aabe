//! What is done with finished objects and their labels: each wish becomes one undoable edit.

use super::project_desk::Change;
use super::{Session, Tool};
use crate::document::{Annotation, AnnotationId, Colour, Edit, ImageName, Label, LabelId};
use crate::geometry::ImagePoint;
use std::sync::Arc;

impl Session {
    /// An object of the picture on the canvas.
    pub fn annotation(&self, id: AnnotationId) -> Option<&Arc<Annotation>> {
        self.project.project.annotation(self.picture.name.as_ref()?, id)
    }

    /// The selected object.
    pub fn selected(&self) -> Option<&Arc<Annotation>> {
        self.annotation(self.objects.selection?)
    }

    /// All objects of the picture, bottom first.
    pub fn annotations(&self) -> &[Arc<Annotation>] {
        let entry = self.picture.name.as_ref().and_then(|name| self.project.project.image(name));
        entry.map_or(&[], |entry| entry.annotations())
    }

    /// Does an edit: in memory, in the history, and on its way to the project file. Returns whether it was done.
    pub(super) fn commit(&mut self, edit: Edit) -> bool {
        if !self.may_edit() {
            return false;
        }
        match self.history.commit(&mut self.project.project, &edit) {
            Ok(()) => {
                self.save(Change::Edit(edit));
                if self.prompting.draft.is_empty() {
                    // Undo takes back this edit first; the clicks before it are done with.
                    self.prompting.draft.forget_past();
                }
                self.forget_what_is_gone();
                true
            }
            Err(error) => {
                self.warn(format!("This cannot be done: {error}."));
                false
            }
        }
    }

    /// Whether the project may be changed; says why not.
    pub(super) fn may_edit(&mut self) -> bool {
        match &self.project.access {
            super::Access::ReadWrite => true,
            super::Access::None => false,
            super::Access::ReadOnly { owner } => {
                let text = format!("The project is open in {owner}, so nothing can be changed here. Close it there.");
                self.warn(text);
                false
            }
        }
    }

    pub(super) fn is_unlocked(&mut self, annotation: &Annotation) -> bool {
        if annotation.locked {
            self.warn("The object is locked; unlock it first.");
        }
        !annotation.locked
    }

    fn image_and(&self, id: Option<AnnotationId>) -> Option<(ImageName, Arc<Annotation>)> {
        Some((self.picture.name.clone()?, self.annotation(id?)?.clone()))
    }

    pub(super) fn select_at(&mut self, at: ImagePoint) {
        let entry = self.picture.name.as_ref().and_then(|name| self.project.project.image(name));
        let is_on_picture = at.x >= 0.0 && at.y >= 0.0 && self.picture.size_conflict.is_none();
        let found = entry.filter(|_| is_on_picture).and_then(|entry| entry.annotation_at(at.x as u32, at.y as u32));
        self.objects.selection = found.map(|annotation| annotation.id);
    }

    pub(super) fn select(&mut self, id: Option<AnnotationId>) {
        self.objects.selection = id.filter(|id| self.annotation(*id).is_some());
    }

    /// Moves the selection by one in drawing order, around the ends.
    pub(super) fn select_neighbour(&mut self, forwards: bool) {
        let ids: Vec<AnnotationId> = self.annotations().iter().map(|annotation| annotation.id).collect();
        let at = ids.iter().position(|id| Some(*id) == self.objects.selection);
        let next = match (at, forwards) {
            (Some(at), true) => (at + 1) % ids.len(),
            (Some(at), false) => (at + ids.len() - 1) % ids.len(),
            (None, true) => 0,
            (None, false) => ids.len().saturating_sub(1),
        };
        self.objects.selection = ids.get(next).copied();
    }

    pub(super) fn delete(&mut self, id: Option<AnnotationId>) {
        let Some((image, annotation)) = self.image_and(id) else { return };
        if self.is_unlocked(&annotation) {
            self.commit(Edit::RemoveAnnotation { image, id: annotation.id });
        }
    }

    pub(super) fn duplicate_selected(&mut self) {
        let Some((image, annotation)) = self.image_and(self.objects.selection) else { return };
        let mut copy = Annotation::clone(&annotation);
        copy.id = self.project.project.new_annotation_id();
        copy.locked = false;
        let id = copy.id;
        let above = self.project.project.image(&image).and_then(|entry| entry.position(annotation.id));
        let position = above.map_or(0, |position| position + 1);
        if self.commit(Edit::AddAnnotation { image, position, annotation: Arc::new(copy) }) {
            self.objects.selection = Some(id);
        }
    }

    pub(super) fn rename(&mut self, id: AnnotationId, name: Option<String>) {
        let Some((image, annotation)) = self.image_and(Some(id)) else { return };
        let name = name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        if annotation.name != name {
            self.commit(Edit::SetName { image, id, name });
        }
    }

    pub(super) fn set_colour(&mut self, id: AnnotationId, colour: Option<Colour>) {
        let Some((image, annotation)) = self.image_and(Some(id)) else { return };
        if annotation.colour != colour {
            self.commit(Edit::SetColour { image, id, colour });
        }
    }

    /// `hidden` gets the present state.
    pub(super) fn set_hidden(&mut self, id: Option<AnnotationId>, hidden: impl FnOnce(bool) -> bool) {
        let Some((image, annotation)) = self.image_and(id) else { return };
        let hidden = hidden(annotation.hidden);
        if annotation.hidden != hidden {
            self.commit(Edit::SetHidden { image, id: annotation.id, hidden });
        }
    }

    /// `locked` gets the present state.
    pub(super) fn set_locked(&mut self, id: Option<AnnotationId>, locked: impl FnOnce(bool) -> bool) {
        let Some((image, annotation)) = self.image_and(id) else { return };
        let locked = locked(annotation.locked);
        if annotation.locked != locked {
            self.commit(Edit::SetLocked { image, id: annotation.id, locked });
        }
    }

    pub(super) fn toggle_all_hidden(&mut self) {
        let Some(image) = self.picture.name.clone() else { return };
        let hidden = self.annotations().iter().any(|annotation| !annotation.hidden);
        let edits: Vec<Edit> = self
            .annotations()
            .iter()
            .filter(|annotation| annotation.hidden != hidden)
            .map(|annotation| Edit::SetHidden { image: image.clone(), id: annotation.id, hidden })
            .collect();
        if !edits.is_empty() {
            self.commit(Edit::Together(edits));
        }
    }

    pub(super) fn move_annotation(&mut self, id: AnnotationId, position: usize) {
        let Some((image, _)) = self.image_and(Some(id)) else { return };
        let position = position.min(self.annotations().len().saturating_sub(1));
        if self.project.project.image(&image).and_then(|entry| entry.position(id)) != Some(position) {
            self.commit(Edit::MoveAnnotation { image, id, position });
        }
    }

    pub(super) fn set_label(&mut self, id: AnnotationId, label: Option<LabelId>) {
        let Some((image, annotation)) = self.image_and(Some(id)) else { return };
        if annotation.label != label && self.is_unlocked(&annotation) {
            self.commit(Edit::SetLabel { image, id, label });
        }
        self.objects.active_label = label.filter(|label| self.project.project.label(*label).is_some());
    }

    /// The object that a label is meant for: the selected one, unless a new one is being said.
    fn labelled_object(&self) -> Option<AnnotationId> {
        let drafting = !self.prompting.draft.is_empty();
        if drafting { self.prompting.draft.correcting() } else { self.objects.selection }
    }

    pub(super) fn label_by_number(&mut self, number: usize) {
        let label = number.checked_sub(1).and_then(|index| self.project.project.labels().get(index)).map(|l| l.id);
        match (label, self.labelled_object()) {
            (None, _) => self.warn(format!("There is no label {number} yet.")),
            (Some(label), Some(id)) => self.set_label(id, Some(label)),
            (Some(label), None) => self.objects.active_label = Some(label),
        }
    }

    pub(super) fn label_by_name(&mut self, name: &str) {
        let name = name.trim();
        if let Some(label) = self.project.project.label_named(name).map(|label| label.id) {
            match self.labelled_object() {
                Some(id) => self.set_label(id, Some(label)),
                None => self.objects.active_label = Some(label),
            }
            return;
        }
        let (label, add) = self.new_label(name);
        let target = self.image_and(self.labelled_object()).filter(|(_, annotation)| !annotation.locked);
        let edit = match target {
            // One wish, one action to take back.
            Some((image, annotation)) => {
                Edit::Together(vec![add, Edit::SetLabel { image, id: annotation.id, label: Some(label) }])
            }
            None => add,
        };
        if self.commit(edit) {
            self.objects.active_label = Some(label);
        }
    }

    fn new_label(&mut self, name: &str) -> (LabelId, Edit) {
        let id = self.project.project.new_label_id();
        let position = self.project.project.labels().len();
        let used: Vec<Colour> = self.project.project.labels().iter().map(|label| label.colour).collect();
        let colour = unused_colour(&used);
        (id, Edit::AddLabel { position, label: Label { id, name: name.to_owned(), colour } })
    }

    pub(super) fn add_label(&mut self, name: &str) {
        let (label, edit) = self.new_label(name.trim());
        if self.commit(edit) && self.objects.active_label.is_none() {
            self.objects.active_label = Some(label);
        }
    }

    pub(super) fn remove_label(&mut self, id: LabelId) {
        if let Some(edit) = self.project.project.edit_removing_label(id) {
            self.commit(edit);
        }
    }

    pub(super) fn escape(&mut self) {
        if !self.prompting.draft.is_empty() {
            self.drop_draft();
        } else if self.objects.selection.is_some() {
            self.objects.selection = None;
        } else {
            self.tool = Tool::Select;
            self.hover_at(None);
        }
    }

    pub(super) fn undo(&mut self) {
        if self.prompting.draft.undo() {
            self.prompting.redo_project_first = false;
            self.draft_changed();
            return;
        }
        let undone = self.history.undo(&mut self.project.project);
        self.prompting.redo_project_first = true;
        self.follow_history(undone);
    }

    pub(super) fn redo(&mut self) {
        let project_first = self.prompting.redo_project_first && self.history.redo_title().is_some();
        if !project_first && self.prompting.draft.redo() {
            self.draft_changed();
            return;
        }
        let redone = self.history.redo(&mut self.project.project);
        self.follow_history(redone);
    }

    fn follow_history(&mut self, edit: Result<Option<Edit>, crate::document::EditError>) {
        match edit {
            Ok(Some(edit)) => {
                let image = edit.image().cloned();
                self.save(Change::Edit(edit));
                self.forget_what_is_gone();
                // What was undone is to be seen.
                if let Some(image) = image.filter(|image| Some(image) != self.picture.name.as_ref())
                    && self.project.project.image(&image).is_some()
                {
                    self.show_image(&image);
                }
            }
            Ok(None) => {}
            Err(error) => self.fail(format!("This action can no longer be taken back or done again: {error}.")),
        }
    }

    /// Clears what refers to objects and labels that are no longer there.
    fn forget_what_is_gone(&mut self) {
        self.select(self.objects.selection);
        self.objects.active_label = self.objects.active_label.filter(|id| self.project.project.label(*id).is_some());
    }
}

/// The first colour of the palette that no label has; beyond the palette, the next in turn.
pub(super) fn unused_colour(used: &[Colour]) -> Colour {
    let unused = (0..=used.len()).map(Colour::from_palette).find(|colour| !used.contains(colour));
    unused.unwrap_or_else(|| Colour::from_palette(used.len()))
}

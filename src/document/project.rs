//! A project: the pictures of one folder, the objects on them, the labels they share.
//!
//! Invariants: objects lie in drawing order (the last is on top); every label an object names exists; labels stand in
//! the order of their number keys; a picture of known size has only masks of that size. Fields are private because only
//! an [`Edit`] may change them (`edit.rs`).

use super::{Annotation, AnnotationId, Colour, Edit, ImageName, Label, LabelId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Columns and rows of a picture after orientation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageSize {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

impl std::fmt::Display for ImageSize {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {}", self.width, self.height)
    }
}

/// A picture of the project.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageEntry {
    pub(super) name: ImageName,
    pub(super) size: Option<ImageSize>,
    pub(super) annotations: Vec<Arc<Annotation>>,
}

impl ImageEntry {
    /// Its name in the project.
    pub fn name(&self) -> &ImageName {
        &self.name
    }

    /// Its size after orientation; `None` until it was opened once.
    pub fn size(&self) -> Option<ImageSize> {
        self.size
    }

    /// Its objects in drawing order; the last is on top.
    pub fn annotations(&self) -> &[Arc<Annotation>] {
        &self.annotations
    }

    /// The object of this id.
    pub fn annotation(&self, id: AnnotationId) -> Option<&Arc<Annotation>> {
        self.annotations.iter().find(|annotation| annotation.id == id)
    }

    /// Where the object stands in drawing order.
    pub fn position(&self, id: AnnotationId) -> Option<usize> {
        self.annotations.iter().position(|annotation| annotation.id == id)
    }

    /// The topmost object that is not hidden and covers this pixel.
    pub fn annotation_at(&self, x: u32, y: u32) -> Option<&Arc<Annotation>> {
        self.annotations.iter().rev().find(|annotation| !annotation.hidden && annotation.mask.contains(x, y))
    }
}

/// All of a project. Cloning shares the masks, so a frozen copy for an export is cheap. Projects are equal if their
/// labels, pictures and objects are; the counters of ids only grow.
#[derive(Debug, Clone, Default)]
pub struct Project {
    pub(super) labels: Vec<Label>,
    pub(super) images: BTreeMap<ImageName, ImageEntry>,
    pub(super) last_annotation_id: u64,
    pub(super) last_label_id: u64,
}

impl PartialEq for Project {
    fn eq(&self, other: &Self) -> bool {
        self.labels == other.labels && self.images == other.images
    }
}

impl Project {
    /// A project without pictures and labels.
    pub fn new() -> Self {
        Self::default()
    }

    /// The labels in the order of their number keys.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The label of this id.
    pub fn label(&self, id: LabelId) -> Option<&Label> {
        self.labels.iter().find(|label| label.id == id)
    }

    /// The label of this name; white space around the name is ignored.
    pub fn label_named(&self, name: &str) -> Option<&Label> {
        self.labels.iter().find(|label| label.name == name.trim())
    }

    /// The pictures, ordered as people count.
    pub fn images(&self) -> impl DoubleEndedIterator<Item = &ImageEntry> + ExactSizeIterator {
        self.images.values()
    }

    /// The picture of this name.
    pub fn image(&self, name: &ImageName) -> Option<&ImageEntry> {
        self.images.get(name)
    }

    /// An object of a picture.
    pub fn annotation(&self, image: &ImageName, id: AnnotationId) -> Option<&Arc<Annotation>> {
        self.image(image)?.annotation(id)
    }

    /// How many objects the project holds.
    pub fn annotation_count(&self) -> usize {
        self.images.values().map(|image| image.annotations.len()).sum()
    }

    /// What an object is drawn in: its own colour, else its label's, else one of the palette.
    pub fn colour_of(&self, annotation: &Annotation) -> Colour {
        annotation
            .colour
            .or_else(|| Some(self.label(annotation.label?)?.colour))
            .unwrap_or_else(|| Colour::from_palette(annotation.id.0 as usize))
    }

    /// An id that no object has had since the project was opened.
    pub fn new_annotation_id(&mut self) -> AnnotationId {
        self.last_annotation_id += 1;
        AnnotationId(self.last_annotation_id)
    }

    /// Ids that no object has had, in their order. They are not given away: good until the project is changed.
    pub fn free_annotation_ids(&self) -> impl Iterator<Item = AnnotationId> + use<> {
        (self.last_annotation_id + 1..).map(AnnotationId)
    }

    /// An id that no label has had since the project was opened.
    pub fn new_label_id(&mut self) -> LabelId {
        self.last_label_id += 1;
        LabelId(self.last_label_id)
    }

    /// The edit that takes a label from all its objects and then away, as one action; `None` if there is no such label.
    pub fn edit_removing_label(&self, id: LabelId) -> Option<Edit> {
        self.label(id)?;
        let mut edits: Vec<Edit> = Vec::new();
        for image in self.images.values() {
            let users = image.annotations.iter().filter(|annotation| annotation.label == Some(id));
            edits.extend(users.map(|annotation| Edit::SetLabel {
                image: image.name.clone(),
                id: annotation.id,
                label: None,
            }));
        }
        edits.push(Edit::RemoveLabel { id });
        Some(Edit::Together(edits))
    }

    /// The edit that takes a picture with all its objects out of the project; `None` if there is no such picture.
    pub fn edit_removing_image(&self, name: &ImageName) -> Option<Edit> {
        let image = self.image(name)?;
        let mut edits: Vec<Edit> = image
            .annotations
            .iter()
            .rev()
            .map(|annotation| Edit::RemoveAnnotation { image: name.clone(), id: annotation.id })
            .collect();
        edits.push(Edit::RemoveImage { image: name.clone() });
        Some(Edit::Together(edits))
    }
}

//! A committed change. Applying an edit gives back the edit that undoes it.
//!
//! Invariant: `apply` either does all of the edit or leaves the project as it was, and applying the returned inverse
//! restores the project exactly. An edit carries all the data it needs, so that it can be replayed on the project file
//! by another thread.

use super::project::{ImageEntry, ImageSize, Project};
use super::{Annotation, AnnotationId, Colour, ImageName, Label, LabelId, Origin};
use crate::raster::Mask;
use std::sync::Arc;

/// One undoable change of a project.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields repeat the names of what they set")]
pub enum Edit {
    /// Several changes as one action, done in this order.
    Together(Vec<Edit>),
    /// A picture joins the project.
    AddImage { image: ImageName, size: Option<ImageSize> },
    /// A picture without objects leaves the project (see [`Project::edit_removing_image`]).
    RemoveImage { image: ImageName },
    /// A picture's size becomes known.
    SetImageSize { image: ImageName, size: Option<ImageSize> },
    /// A new object at a place in drawing order, 0 at the bottom.
    AddAnnotation { image: ImageName, position: usize, annotation: Arc<Annotation> },
    /// An object goes.
    RemoveAnnotation { image: ImageName, id: AnnotationId },
    /// An object's pixels change, and with them the account of how they came to be.
    SetMask { image: ImageName, id: AnnotationId, mask: Mask, origin: Option<Box<Origin>> },
    /// What the object is.
    SetLabel { image: ImageName, id: AnnotationId, label: Option<LabelId> },
    /// The object's own colour.
    SetColour { image: ImageName, id: AnnotationId, colour: Option<Colour> },
    /// The object's own name.
    SetName { image: ImageName, id: AnnotationId, name: Option<String> },
    /// Whether the object is drawn.
    SetHidden { image: ImageName, id: AnnotationId, hidden: bool },
    /// Whether the object is protected.
    SetLocked { image: ImageName, id: AnnotationId, locked: bool },
    /// The object goes to another place in drawing order.
    MoveAnnotation { image: ImageName, id: AnnotationId, position: usize },
    /// A new label at a place among the labels.
    AddLabel { position: usize, label: Label },
    /// A label that no object uses goes (see [`Project::edit_removing_label`]).
    RemoveLabel { id: LabelId },
    /// A label is called differently.
    RenameLabel { id: LabelId, name: String },
    /// A label gets another colour.
    RecolourLabel { id: LabelId, colour: Colour },
    /// A label goes to another place among the labels.
    MoveLabel { id: LabelId, position: usize },
}

/// Why an edit does not fit the project. The project is unchanged.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum EditError {
    /// The picture is not in the project.
    #[error("there is no picture {0} in the project")]
    NoSuchImage(ImageName),
    /// The picture is in the project already.
    #[error("the picture {0} is in the project already")]
    DuplicateImage(ImageName),
    /// The picture still has objects.
    #[error("the picture {0} still has objects; remove them first")]
    ImageInUse(ImageName),
    /// The object is not on the picture.
    #[error("there is no object {} on the picture {image}", id.0)]
    NoSuchAnnotation {
        /// The picture.
        image: ImageName,
        /// The object.
        id: AnnotationId,
    },
    /// The object's id is taken.
    #[error("the object id {} is taken", .0.0)]
    DuplicateAnnotation(AnnotationId),
    /// A mask of another size than its picture.
    #[error("the mask is {mask}, but the picture {image} is {picture}")]
    MaskSize {
        /// The picture.
        image: ImageName,
        /// Its size.
        picture: ImageSize,
        /// The mask's size.
        mask: ImageSize,
    },
    /// A mask without pixels.
    #[error("an object needs at least one pixel; its mask is empty")]
    EmptyMask,
    /// The label does not exist.
    #[error("there is no label {}", .0.0)]
    NoSuchLabel(LabelId),
    /// The label's id is taken.
    #[error("the label id {} is taken", .0.0)]
    DuplicateLabel(LabelId),
    /// Objects still use the label.
    #[error("objects still use the label {0}")]
    LabelInUse(String),
    /// A label name that is empty or has white space around it.
    #[error("a label needs a name of at least one letter, without white space around it; found {0:?}")]
    LabelName(String),
    /// The label name is taken.
    #[error("there is a label {0:?} already")]
    LabelNameTaken(String),
    /// A place beyond the end.
    #[error("there is no place {found}; the last is {last}")]
    Position {
        /// Place asked for.
        found: usize,
        /// Last place there is.
        last: usize,
    },
}

impl Edit {
    /// What the edit does, for "Undo ..." and "Redo ...".
    pub fn title(&self) -> &'static str {
        match self {
            // A group is called by its last part: the one that the others prepare.
            Self::Together(edits) => edits.last().map_or("nothing", Self::title),
            Self::AddImage { .. } => "add picture",
            Self::RemoveImage { .. } => "remove picture",
            Self::SetImageSize { .. } => "set picture size",
            Self::AddAnnotation { .. } => "add object",
            Self::RemoveAnnotation { .. } => "delete object",
            Self::SetMask { .. } => "change mask",
            Self::SetLabel { .. } => "set label",
            Self::SetColour { .. } => "set colour",
            Self::SetName { .. } => "rename object",
            Self::SetHidden { .. } => "show or hide",
            Self::SetLocked { .. } => "lock or unlock",
            Self::MoveAnnotation { .. } => "reorder objects",
            Self::AddLabel { .. } => "add label",
            Self::RemoveLabel { .. } => "remove label",
            Self::RenameLabel { .. } => "rename label",
            Self::RecolourLabel { .. } => "recolour label",
            Self::MoveLabel { .. } => "reorder labels",
        }
    }

    /// The picture that the edit changes; `None` if it changes labels only. Of a group, the last that names one.
    pub fn image(&self) -> Option<&ImageName> {
        match self {
            Self::Together(edits) => edits.iter().rev().find_map(Self::image),
            Self::AddImage { image, .. }
            | Self::RemoveImage { image }
            | Self::SetImageSize { image, .. }
            | Self::AddAnnotation { image, .. }
            | Self::RemoveAnnotation { image, .. }
            | Self::SetMask { image, .. }
            | Self::SetLabel { image, .. }
            | Self::SetColour { image, .. }
            | Self::SetName { image, .. }
            | Self::SetHidden { image, .. }
            | Self::SetLocked { image, .. }
            | Self::MoveAnnotation { image, .. } => Some(image),
            Self::AddLabel { .. }
            | Self::RemoveLabel { .. }
            | Self::RenameLabel { .. }
            | Self::RecolourLabel { .. }
            | Self::MoveLabel { .. } => None,
        }
    }

    /// About how many bytes the edit takes in memory.
    pub fn byte_size(&self) -> usize {
        let own = match self {
            Self::Together(edits) => edits.iter().map(Self::byte_size).sum(),
            Self::AddAnnotation { annotation, .. } => annotation.byte_size(),
            Self::SetMask { mask, origin, .. } => {
                mask.byte_size() + origin.as_ref().map_or(0, |origin| origin.byte_size())
            }
            Self::SetName { name, .. } => name.as_ref().map_or(0, String::len),
            Self::AddLabel { label, .. } => label.name.len(),
            Self::RenameLabel { name, .. } => name.len(),
            _ => 0,
        };
        size_of::<Self>() + own
    }
}

impl Project {
    /// Applies an edit and gives back its inverse.
    ///
    /// # Errors
    /// An edit that does not fit; the project is then unchanged.
    pub fn apply(&mut self, edit: &Edit) -> Result<Edit, EditError> {
        match edit {
            Edit::Together(edits) => self.apply_together(edits),
            Edit::AddImage { image, size } => {
                if self.images.contains_key(image) {
                    return Err(EditError::DuplicateImage(image.clone()));
                }
                let entry = ImageEntry { name: image.clone(), size: *size, annotations: Vec::new() };
                self.images.insert(image.clone(), entry);
                Ok(Edit::RemoveImage { image: image.clone() })
            }
            Edit::RemoveImage { image } => {
                let entry = self.entry_mut(image)?;
                if !entry.annotations.is_empty() {
                    return Err(EditError::ImageInUse(image.clone()));
                }
                let size = entry.size;
                self.images.remove(image);
                Ok(Edit::AddImage { image: image.clone(), size })
            }
            Edit::SetImageSize { image, size } => {
                let entry = self.entry_mut(image)?;
                if let Some(size) = size {
                    for annotation in &entry.annotations {
                        check_mask(image, Some(*size), &annotation.mask)?;
                    }
                }
                let size = std::mem::replace(&mut entry.size, *size);
                Ok(Edit::SetImageSize { image: image.clone(), size })
            }
            Edit::AddAnnotation { image, position, annotation } => self.add_annotation(image, *position, annotation),
            Edit::RemoveAnnotation { image, id } => {
                let entry = self.entry_mut(image)?;
                let position = position_of(entry, *id)?;
                let annotation = entry.annotations.remove(position);
                Ok(Edit::AddAnnotation { image: image.clone(), position, annotation })
            }
            Edit::SetMask { image, id, mask, origin } => {
                check_mask(image, self.entry_mut(image)?.size, mask)?;
                self.change(image, *id, |annotation| {
                    let mask = std::mem::replace(&mut annotation.mask, mask.clone());
                    let origin = std::mem::replace(&mut annotation.origin, origin.as_deref().cloned()).map(Box::new);
                    Edit::SetMask { image: image.clone(), id: *id, mask, origin }
                })
            }
            Edit::SetLabel { image, id, label } => {
                if let Some(label) = label {
                    self.label_position(*label)?;
                }
                self.change(image, *id, |annotation| {
                    let label = std::mem::replace(&mut annotation.label, *label);
                    Edit::SetLabel { image: image.clone(), id: *id, label }
                })
            }
            Edit::SetColour { image, id, colour } => self.change(image, *id, |annotation| {
                let colour = std::mem::replace(&mut annotation.colour, *colour);
                Edit::SetColour { image: image.clone(), id: *id, colour }
            }),
            Edit::SetName { image, id, name } => self.change(image, *id, |annotation| {
                let name = std::mem::replace(&mut annotation.name, name.clone());
                Edit::SetName { image: image.clone(), id: *id, name }
            }),
            Edit::SetHidden { image, id, hidden } => self.change(image, *id, |annotation| {
                let hidden = std::mem::replace(&mut annotation.hidden, *hidden);
                Edit::SetHidden { image: image.clone(), id: *id, hidden }
            }),
            Edit::SetLocked { image, id, locked } => self.change(image, *id, |annotation| {
                let locked = std::mem::replace(&mut annotation.locked, *locked);
                Edit::SetLocked { image: image.clone(), id: *id, locked }
            }),
            Edit::MoveAnnotation { image, id, position } => {
                let entry = self.entry_mut(image)?;
                let from = position_of(entry, *id)?;
                check_position(*position, entry.annotations.len() - 1)?;
                let annotation = entry.annotations.remove(from);
                entry.annotations.insert(*position, annotation);
                Ok(Edit::MoveAnnotation { image: image.clone(), id: *id, position: from })
            }
            Edit::AddLabel { position, label } => {
                check_position(*position, self.labels.len())?;
                if self.label(label.id).is_some() {
                    return Err(EditError::DuplicateLabel(label.id));
                }
                self.check_label_name(&label.name, None)?;
                self.last_label_id = self.last_label_id.max(label.id.0);
                self.labels.insert(*position, label.clone());
                Ok(Edit::RemoveLabel { id: label.id })
            }
            Edit::RemoveLabel { id } => {
                let position = self.label_position(*id)?;
                let is_used = |image: &ImageEntry| image.annotations.iter().any(|a| a.label == Some(*id));
                if self.images.values().any(is_used) {
                    return Err(EditError::LabelInUse(self.labels[position].name.clone()));
                }
                Ok(Edit::AddLabel { position, label: self.labels.remove(position) })
            }
            Edit::RenameLabel { id, name } => {
                let position = self.label_position(*id)?;
                self.check_label_name(name, Some(*id))?;
                let name = std::mem::replace(&mut self.labels[position].name, name.clone());
                Ok(Edit::RenameLabel { id: *id, name })
            }
            Edit::RecolourLabel { id, colour } => {
                let position = self.label_position(*id)?;
                let colour = std::mem::replace(&mut self.labels[position].colour, *colour);
                Ok(Edit::RecolourLabel { id: *id, colour })
            }
            Edit::MoveLabel { id, position } => {
                let from = self.label_position(*id)?;
                check_position(*position, self.labels.len() - 1)?;
                let label = self.labels.remove(from);
                self.labels.insert(*position, label);
                Ok(Edit::MoveLabel { id: *id, position: from })
            }
        }
    }

    fn apply_together(&mut self, edits: &[Edit]) -> Result<Edit, EditError> {
        let mut inverses = Vec::with_capacity(edits.len());
        for edit in edits {
            match self.apply(edit) {
                Ok(inverse) => inverses.push(inverse),
                Err(error) => {
                    for inverse in inverses.iter().rev() {
                        // The inverse of an edit just applied fits by construction.
                        let undone = self.apply(inverse);
                        debug_assert!(undone.is_ok(), "{undone:?}");
                    }
                    return Err(error);
                }
            }
        }
        inverses.reverse();
        Ok(Edit::Together(inverses))
    }

    fn add_annotation(
        &mut self,
        image: &ImageName,
        position: usize,
        annotation: &Arc<Annotation>,
    ) -> Result<Edit, EditError> {
        let id = annotation.id;
        if let Some(label) = annotation.label {
            self.label_position(label)?;
        }
        // Ids only grow: a new one needs no look at all objects, so that an import of many takes no longer for each.
        if id.0 <= self.last_annotation_id && self.images.values().any(|entry| entry.annotation(id).is_some()) {
            return Err(EditError::DuplicateAnnotation(id));
        }
        let entry = self.entry_mut(image)?;
        check_position(position, entry.annotations.len())?;
        check_mask(image, entry.size, &annotation.mask)?;
        entry.annotations.insert(position, annotation.clone());
        self.last_annotation_id = self.last_annotation_id.max(id.0);
        Ok(Edit::RemoveAnnotation { image: image.clone(), id })
    }

    fn change(
        &mut self,
        image: &ImageName,
        id: AnnotationId,
        change: impl FnOnce(&mut Annotation) -> Edit,
    ) -> Result<Edit, EditError> {
        let entry = self.entry_mut(image)?;
        let position = position_of(entry, id)?;
        Ok(change(Arc::make_mut(&mut entry.annotations[position])))
    }

    fn entry_mut(&mut self, image: &ImageName) -> Result<&mut ImageEntry, EditError> {
        self.images.get_mut(image).ok_or_else(|| EditError::NoSuchImage(image.clone()))
    }

    fn label_position(&self, id: LabelId) -> Result<usize, EditError> {
        self.labels.iter().position(|label| label.id == id).ok_or(EditError::NoSuchLabel(id))
    }

    fn check_label_name(&self, name: &str, of: Option<LabelId>) -> Result<(), EditError> {
        if name.is_empty() || name.trim() != name {
            return Err(EditError::LabelName(name.to_owned()));
        }
        match self.label_named(name) {
            Some(other) if Some(other.id) != of => Err(EditError::LabelNameTaken(name.to_owned())),
            _ => Ok(()),
        }
    }
}

fn position_of(entry: &ImageEntry, id: AnnotationId) -> Result<usize, EditError> {
    entry.position(id).ok_or_else(|| EditError::NoSuchAnnotation { image: entry.name.clone(), id })
}

fn check_position(found: usize, last: usize) -> Result<(), EditError> {
    if found <= last { Ok(()) } else { Err(EditError::Position { found, last }) }
}

fn check_mask(image: &ImageName, picture: Option<ImageSize>, mask: &Mask) -> Result<(), EditError> {
    if mask.is_empty() {
        return Err(EditError::EmptyMask);
    }
    let found = ImageSize { width: mask.width(), height: mask.height() };
    match picture {
        Some(picture) if picture != found => Err(EditError::MaskSize { image: image.clone(), picture, mask: found }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::testing;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_inverse_restores_the_project_exactly(seeds in testing::seeds(1..60)) {
            let (mut project, _) = testing::start();
            for seed in seeds {
                let edit = testing::edit(&project, seed);
                let before = project.clone();
                match project.apply(&edit) {
                    Ok(inverse) => {
                        let after = project.clone();
                        let again = project.apply(&inverse).expect("an inverse fits");
                        prop_assert_eq!(&project, &before);
                        project.apply(&again).expect("the inverse of the inverse fits");
                        prop_assert_eq!(&project, &after);
                    }
                    Err(_) => prop_assert_eq!(&project, &before),
                }
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_reason() {
        let (mut project, _) = testing::start();
        let image = project.images().next().unwrap().name().clone();
        let other_size = ImageSize { width: 9, height: 9 };
        let annotation = |id, size| Arc::new(Annotation::new(AnnotationId(id), testing::mask(3, size)));
        let add = |id, size, position| Edit::AddAnnotation {
            image: image.clone(),
            position,
            annotation: annotation(id, size),
        };
        assert!(matches!(project.apply(&add(1, other_size, 0)), Err(EditError::MaskSize { .. })));
        let size = ImageSize { width: 6, height: 5 };
        assert_eq!(project.apply(&add(1, size, 1)), Err(EditError::Position { found: 1, last: 0 }));
        project.apply(&add(1, size, 0)).unwrap();
        assert_eq!(project.apply(&add(1, size, 0)), Err(EditError::DuplicateAnnotation(AnnotationId(1))));
        let label = project.labels()[0].id;
        project.apply(&Edit::SetLabel { image: image.clone(), id: AnnotationId(1), label: Some(label) }).unwrap();
        assert_eq!(project.apply(&Edit::RemoveLabel { id: label }), Err(EditError::LabelInUse("cat".to_owned())));
        let removal = project.edit_removing_label(label).unwrap();
        project.apply(&removal).unwrap();
        assert!(project.labels().is_empty());
        for name in ["", " ", "cat "] {
            let label = Label { id: LabelId(5), name: name.to_owned(), colour: Colour::from_palette(1) };
            let refused = project.apply(&Edit::AddLabel { position: 0, label });
            assert_eq!(refused, Err(EditError::LabelName(name.to_owned())));
        }
        let empty = Mask::from_bitmap(&crate::raster::Bitmap::new(6, 5));
        let refused = project.apply(&Edit::SetMask { image, id: AnnotationId(1), mask: empty, origin: None });
        assert_eq!(refused, Err(EditError::EmptyMask));
    }
}

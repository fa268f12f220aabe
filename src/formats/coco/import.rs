//! A COCO file as a project takes it in: labels, pictures, masks, and a word about everything left out.
//!
//! Invariant: writing a project and importing the file gives the same masks and labels; objects that were written as
//! [`UNLABELLED`] have no label again.

use super::report::UNLABELLED;
use super::{CocoRead, CocoReadError, RecordKind, read_coco};
use crate::document::{ImportedDataset, ImportedImage, ImportedObject};
use std::path::Path;

/// Reads a COCO file for a project.
///
/// # Errors
/// As [`read_coco`]: nothing of the file can be used.
pub fn import_coco(path: &Path) -> Result<ImportedDataset, CocoReadError> {
    read_coco(path).map(imported)
}

fn imported(read: CocoRead) -> ImportedDataset {
    let CocoRead { dataset, refusals, notes } = read;
    let refused_objects = refusals.iter().filter(|refusal| refusal.kind == RecordKind::Annotation).count();
    // Whoever tells the remarks names the file once.
    let refused = refusals.iter().map(|refusal| {
        let text = refusal.to_string();
        text.strip_prefix(&format!("{}: ", refusal.file)).map(str::to_owned).unwrap_or(text)
    });
    let remarks = refused.chain(notes.iter().map(ToString::to_string)).collect();
    let label = |name: String| (name != UNLABELLED).then_some(name);
    let images = dataset.images.into_iter().map(|image| ImportedImage {
        file_name: image.file_name,
        width: image.width,
        height: image.height,
        objects: image
            .annotations
            .into_iter()
            .map(|object| ImportedObject { category: label(object.category), mask: object.mask })
            .collect(),
    });
    let images = images.collect();
    ImportedDataset {
        categories: dataset.categories.into_iter().filter_map(label).collect(),
        images,
        refused_objects,
        remarks,
    }
}

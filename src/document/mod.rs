//! Layer 1: what a project is. Labels, pictures, annotations; the edits that change them; the file that keeps them.
//!
//! Invariant: only an [`Edit`] changes a [`Project`], and every edit has an inverse. Nothing here knows of models,
//! windows or file formats other than the project's own.

mod annotation;
mod colour;
mod edit;
mod folder;
mod history;
mod image_name;
mod import;
mod project;
pub mod store;
#[cfg(test)]
mod testing;

pub use annotation::{Annotation, AnnotationId, Label, LabelId, Origin};
pub use colour::Colour;
pub use edit::{Edit, EditError};
pub use folder::{FolderListing, list_pictures};
pub use history::{DEFAULT_HISTORY_BYTES, History};
pub use image_name::{ImageName, ImageNameError};
pub use import::{ImportedDataset, ImportedImage, ImportedObject};
pub use project::{ImageEntry, ImageSize, Project};

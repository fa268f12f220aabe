//! What a file of other tools brings in, as plain data: formats make it, the session takes it into a project.
//!
//! Invariant: it says nothing about the project. Which pictures and labels are meant is decided where the project is known.

use crate::raster::Mask;

/// The usable part of a file, and what is to be said about the rest.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportedDataset {
    /// The labels that the file lists, in its order.
    pub categories: Vec<String>,
    /// The pictures with their objects, in the file's order.
    pub images: Vec<ImportedImage>,
    /// How many objects of the file could not be used.
    pub refused_objects: usize,
    /// What was left out or read differently, in words for people.
    pub remarks: Vec<String>,
}

/// A picture as a file knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedImage {
    /// Its name in the file: most often a path relative to a folder of pictures.
    pub file_name: String,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Its objects, bottom first.
    pub objects: Vec<ImportedObject>,
}

/// One object.
#[derive(Debug, Clone, PartialEq)]
pub struct ImportedObject {
    /// The name of its label; `None` for an object without one.
    pub category: Option<String>,
    /// Its pixels, of its picture's size.
    pub mask: Mask,
}

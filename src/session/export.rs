//! What an export is asked to write, and what it reports.
//!
//! The work itself is handed in by whoever builds the session (see `Services`), since a session knows no file format.

use crate::document::{ImageName, Project};
use crate::engine::{JobControl, JobError};
use std::path::PathBuf;
use std::sync::Arc;

/// What to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest {
    /// The kind of file.
    pub what: ExportKind,
    /// Which pictures.
    pub scope: ExportScope,
    /// The file (COCO) or folder (masks, cut-outs) to write.
    pub path: PathBuf,
}

/// The kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportKind {
    /// One COCO JSON file.
    Coco(CocoSegmentation),
    /// One grey PNG an object, 0 or 255.
    MaskPngs,
    /// One PNG with alpha an object.
    CutOuts,
}

/// How COCO writes masks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CocoSegmentation {
    /// Pixel-edge rings that every reader rasterises to the same mask.
    #[default]
    Polygons,
    /// Compressed run lengths.
    Rle,
    /// Run lengths as lists of numbers.
    RleList,
}

/// Which pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExportScope {
    /// The one on the canvas.
    ThisImage,
    /// All that have objects.
    #[default]
    Folder,
}

/// A frozen project with what is to be written of it.
#[derive(Debug, Clone)]
pub struct ExportInput {
    /// The project as it was when the user asked.
    pub project: Project,
    /// Where its pictures lie.
    pub folder: PathBuf,
    /// The pictures to write, in order.
    pub images: Vec<ImageName>,
    /// What to write and where.
    pub request: ExportRequest,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExportReport {
    /// The file or folder.
    pub path: PathBuf,
    /// Pictures written.
    pub images: usize,
    /// Objects written.
    pub objects: usize,
    /// What was left out or written differently, in words for people.
    pub remarks: Vec<String>,
}

/// Does an export on the engine's heavy lane.
pub type Exporter = Arc<dyn Fn(&ExportInput, &JobControl<'_>) -> Result<ExportReport, JobError> + Send + Sync>;

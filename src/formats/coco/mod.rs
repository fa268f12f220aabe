//! COCO JSON in and out.
//!
//! Source: cocodataset.org, "Data format", and the behaviour of pycocotools 2.0.11 where the text is silent.
//! Invariant: writing and reading again gives the same pictures, labels and masks, pixel for pixel.

mod import;
mod json;
mod read;
mod record;
mod report;
mod write;

pub use import::import_coco;
pub use read::{CocoRead, CocoReadError, CocoReadNote, CocoRefusal, RecordKind, read_coco, read_coco_bytes};
pub use record::RefusalReason;
pub use report::{CocoReport, CocoWriteError, CocoWriteNote};
pub use write::{coco_json, write_coco};

use crate::raster::Mask;

/// Pictures with their labelled masks, frozen for export or just read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CocoDataset {
    /// Names in the order of their ids 1..=N. Those used by annotations but not listed are added at the end.
    pub categories: Vec<String>,
    /// Pictures in the order of their ids.
    pub images: Vec<CocoImage>,
}

/// One picture and what was marked on it.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoImage {
    /// Path relative to the picture folder, with forward slashes.
    pub file_name: String,
    /// Columns of the upright picture.
    pub width: u32,
    /// Rows of the upright picture.
    pub height: u32,
    /// Objects in their order.
    pub annotations: Vec<CocoAnnotation>,
}

/// One object.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoAnnotation {
    /// The label.
    pub category: String,
    /// Its pixels, of the picture's size.
    pub mask: Mask,
    /// The model's own estimate of the mask's IoU, 0..=1, if it came from a model.
    pub predicted_iou: Option<f32>,
    /// How little the mask depends on the threshold, 0..=1.
    pub stability: Option<f32>,
}

impl CocoAnnotation {
    /// An object without scores.
    pub fn new(category: impl Into<String>, mask: Mask) -> Self {
        Self { category: category.into(), mask, predicted_iou: None, stability: None }
    }
}

/// How masks are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CocoProfile {
    /// Simple rings, read by everything; exact in pycocotools and in readers that truncate coordinates.
    #[default]
    Polygons,
    /// Compressed run-length strings: the smallest, exact wherever they are read.
    Rle,
    /// Run lengths as lists of numbers.
    RleList,
}

impl CocoProfile {
    /// Every profile, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Polygons, Self::Rle, Self::RleList];

    /// The name in dialogs and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Polygons => "polygons",
            Self::Rle => "rle",
            Self::RleList => "rle-list",
        }
    }
}

#[cfg(test)]
mod read_tests;
#[cfg(test)]
mod write_tests;

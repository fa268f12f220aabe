//! What an export tells: why nothing was written, or what was, with everything worth a look.

use super::CocoReadError;
use std::fmt;

/// The label of objects that were given none.
pub(super) const UNLABELLED: &str = "unlabelled";

/// Why no file was written.
#[derive(Debug, thiserror::Error)]
pub enum CocoWriteError {
    /// A picture name that other tools could not resolve.
    #[error("{file_name:?} cannot be a COCO file name ({reason}); expected a path inside the picture folder")]
    FileName {
        /// The name.
        file_name: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A picture without pixels or beyond the cap.
    #[error("{file_name}: has {width} x {height} pixels, expected 1 to 65,535 a side")]
    ImageSize {
        /// The picture.
        file_name: String,
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// A mask that is not of its picture's size.
    #[error(
        "{file_name}: the mask of object {object} has {found_width} x {found_height} pixels, expected {width} x \
         {height} as its picture has; reopen the picture and mark the object again"
    )]
    MaskSize {
        /// The picture.
        file_name: String,
        /// Which object, from 1.
        object: usize,
        /// Columns of the mask.
        found_width: u32,
        /// Rows of the mask.
        found_height: u32,
        /// Columns of the picture.
        width: u32,
        /// Rows of the picture.
        height: u32,
    },
    /// The text does not read back as what was to be written: a fault of this program.
    #[error("the export did not read back as it should ({reason}), so no file was written; please report this")]
    Verify {
        /// The first difference.
        reason: String,
    },
    /// The same, and the text is not even COCO.
    #[error("the export did not read back, so no file was written; please report this")]
    Unreadable(#[from] CocoReadError),
    /// JSON refused a value: a fault of this program.
    #[error("the export could not be put into JSON, so no file was written; please report this")]
    Json(#[from] serde_json::Error),
    /// The system would not write the file.
    #[error("{name}: cannot be written ({source}); the old file, if any, is untouched")]
    Unwritable {
        /// The file.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Something in the file is not as its maker might expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CocoWriteNote {
    /// The object has no pixels and was left out: an empty segmentation ends pycocotools' evaluation.
    EmptyMaskLeftOut {
        /// The picture.
        file_name: String,
        /// Which object on it, from 1.
        object: usize,
    },
    /// No polygon gives this mask back, so it was written as run lengths.
    WrittenAsRle {
        /// The picture.
        file_name: String,
        /// The annotation's id in the file.
        annotation_id: u32,
    },
    /// Objects without a label were written under the category "unlabelled".
    Unlabelled {
        /// How many.
        count: usize,
    },
    /// Two pictures have the same name but for folder and ending; tools that match by name will mix them up.
    SameStem {
        /// The first picture.
        first: String,
        /// The other one.
        second: String,
    },
}

impl fmt::Display for CocoWriteNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyMaskLeftOut { file_name, object } => {
                write!(f, "{file_name}: object {object} has no pixels and was left out")
            }
            Self::WrittenAsRle { file_name, annotation_id } => {
                write!(f, "{file_name}: annotation {annotation_id} was written as run lengths, no polygon being exact")
            }
            Self::Unlabelled { count } => write!(f, "{count} objects without a label are in category \"{UNLABELLED}\""),
            Self::SameStem { first, second } => {
                write!(f, "{first} and {second} differ only in folder or ending; some tools will mix them up")
            }
        }
    }
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CocoReport {
    /// Pictures in the file.
    pub images: usize,
    /// Objects in the file.
    pub annotations: usize,
    /// Labels in the file.
    pub categories: usize,
    /// Everything worth a look.
    pub notes: Vec<CocoWriteNote>,
}

//! Files in and out: pictures and masks read, results turned into bytes.
//!
//! Invariant: turning results into bytes touches no disk, so that a failure here leaves nothing behind.

use super::exit::{Failure, Outcome};
use super::output::OutputFormat;
use super::report::bbox;
use super::segment::ChosenMask;
use crate::raster::{Mask, Picture, PictureError, decode_picture, rle_to_string};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// What a COCO file calls an object without a label.
pub const UNNAMED: &str = "object";

/// One picture of a COCO file.
pub struct CocoPicture<'a> {
    /// Relative to the COCO file, forward slashes.
    pub file_name: String,
    /// Columns of the oriented picture.
    pub width: u32,
    /// Rows of the oriented picture.
    pub height: u32,
    /// In this order.
    pub objects: Vec<CocoObject<'a>>,
}

/// One object of a COCO file.
pub struct CocoObject<'a> {
    /// Its category; `None` is [`UNNAMED`].
    pub label: Option<&'a str>,
    /// Not empty.
    pub mask: &'a Mask,
}

/// The answer of `--format rle-json`.
#[derive(Serialize)]
struct RleFile<'a> {
    image: String,
    width: u32,
    height: u32,
    masks: Vec<RleMask<'a>>,
}

#[derive(Serialize)]
struct RleMask<'a> {
    label: Option<&'a str>,
    predicted_iou: f32,
    stability: f32,
    bbox: [u32; 4],
    area: u64,
    segmentation: Rle,
}

/// As pycocotools takes it: `size` is [height, width].
#[derive(Serialize)]
struct Rle {
    size: [u32; 2],
    counts: String,
}

/// Decodes a picture file and tells what decoding changed.
///
/// # Errors
/// The file is unusable.
pub fn read_picture(path: &Path) -> Outcome<Picture> {
    let picture = decode_picture(path).map_err(|error| picture_failure(path, error))?;
    for note in &picture.notes {
        tracing::info!("{}: {note:?}", path.display());
    }
    Ok(picture)
}

fn picture_failure(path: &Path, error: PictureError) -> Failure {
    match error {
        PictureError::Unreadable { source, .. } => Failure::reading(path, source),
        other => Failure::input(other),
    }
}

//! Files in and out: pictures and masks read, results written.
//!
//! Invariant: each file appears whole or not at all, and each failure knows its exit code.

use super::exit::{Failure, Outcome};
use super::objects::FoundMask;
use super::report::bbox;
use super::segment::ChosenMask;
use crate::atomic_file::write_atomically;
use crate::formats::coco::{self, CocoAnnotation, CocoDataset, CocoImage, CocoProfile, CocoWriteError};
use crate::raster::{
    CutOut, CutOutExtent, Mask, MaskFileError, Picture, PictureError, decode_picture, read_mask_file, rle_to_string,
    write_mask_file, write_rgb_png,
};
use serde::Serialize;
use std::path::Path;

/// The answer of `--format rle-json`.
#[derive(Serialize)]
struct RleFile {
    image: String,
    width: u32,
    height: u32,
    masks: Vec<RleMask>,
}

#[derive(Serialize)]
struct RleMask {
    label: Option<String>,
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

/// Reads a mask for a picture of this size.
///
/// # Errors
/// The file is unusable, or of another size.
pub fn read_mask(path: &Path, width: u32, height: u32) -> Outcome<Mask> {
    read_mask_file(path, width, height).map_err(|error| mask_failure(path, error))
}

/// Writes a mask as a grey PNG.
///
/// # Errors
/// The file cannot be written.
pub fn write_mask(path: &Path, mask: &Mask) -> Outcome<()> {
    write_mask_file(path, mask).map_err(|error| mask_failure(path, error))
}

/// Writes an object with alpha, cropped to its bounds.
///
/// # Errors
/// The file cannot be written.
pub fn write_cut_out(path: &Path, picture: &Picture, mask: &Mask) -> Outcome<()> {
    CutOut::new(picture, mask, CutOutExtent::Bounds)
        .and_then(|cut_out| cut_out.write(path))
        .map_err(|error| mask_failure(path, error))
}

/// Writes a picture as a PNG.
///
/// # Errors
/// The file cannot be written.
pub fn write_picture(path: &Path, picture: &Picture) -> Outcome<()> {
    write_rgb_png(path, &picture.rgb, (picture.width, picture.height)).map_err(|error| mask_failure(path, error))
}

/// Writes all masks into one JSON file as COCO's compressed run lengths.
///
/// # Errors
/// The file cannot be written.
pub(super) fn write_rle_json(path: &Path, image: &str, picture: &Picture, masks: &[ChosenMask<'_>]) -> Outcome<()> {
    let (width, height) = (picture.width, picture.height);
    let mask = |chosen: &ChosenMask<'_>| RleMask {
        label: chosen.label.map(str::to_owned),
        predicted_iou: chosen.found.predicted_iou,
        stability: chosen.found.stability,
        bbox: chosen.found.mask.bounds().map_or([0; 4], bbox),
        area: chosen.found.mask.area(),
        segmentation: Rle { size: [height, width], counts: rle_to_string(&chosen.found.mask) },
    };
    let file = RleFile { image: image.to_owned(), width, height, masks: masks.iter().map(mask).collect() };
    let text = serde_json::to_string_pretty(&file).map_err(Failure::retry)?;
    write_atomically(path, |to| writeln!(to, "{text}")).map_err(|error| Failure::writing(path, error))
}

/// An object for a COCO file; without a label the writer calls it "unlabelled".
pub fn coco_annotation(label: Option<&str>, found: &FoundMask) -> CocoAnnotation {
    CocoAnnotation {
        category: label.unwrap_or_default().to_owned(),
        mask: found.mask.clone(),
        predicted_iou: Some(found.predicted_iou),
        stability: Some(found.stability),
    }
}

/// Writes the one COCO file of a run, as polygons, without a date, so that equal runs give equal bytes.
///
/// # Errors
/// The file cannot be written, or a picture's name does not fit into COCO.
pub fn write_coco(path: &Path, images: Vec<CocoImage>) -> Outcome<()> {
    let dataset = CocoDataset { categories: Vec::new(), images };
    let report = coco::write_coco(path, &dataset, CocoProfile::Polygons, None).map_err(|error| match error {
        CocoWriteError::Unwritable { source, .. } => Failure::writing(path, source),
        CocoWriteError::Verify { .. } | CocoWriteError::Unreadable(_) | CocoWriteError::Json(_) => {
            Failure::retry(error)
        }
        other => Failure::input(other),
    })?;
    for note in &report.notes {
        tracing::info!("{}: {note}", path.display());
    }
    Ok(())
}

fn mask_failure(path: &Path, error: MaskFileError) -> Failure {
    match error {
        MaskFileError::Picture(error) => picture_failure(path, error),
        MaskFileError::Unwritable { source, .. } => Failure::writing(path, source),
        other => Failure::input(other),
    }
}

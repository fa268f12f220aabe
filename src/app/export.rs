//! Exports as the window asks for them: a frozen project to the writers of `formats`, on the engine's heavy lane.
//!
//! Invariant: what was left out or written differently is in the report; a picture is in memory only while its cut-outs
//! are made.

use crate::document::{Annotation, ImageEntry, Project};
use crate::engine::{JobControl, JobError};
use crate::formats::coco::{CocoAnnotation, CocoDataset, CocoImage, CocoProfile, write_coco};
use crate::formats::mask_folder::{FolderContent, MaskFolder};
use crate::raster::{CutOutExtent, decode_picture};
use crate::session::{CocoSegmentation, ExportInput, ExportKind, ExportReport};

/// Writes what was asked for.
///
/// # Errors
/// [`JobError::Failed`] with the writer's own words, [`JobError::Cancelled`] once it was stopped.
pub fn export(input: &ExportInput, control: &JobControl<'_>) -> Result<ExportReport, JobError> {
    let mut remarks = Vec::new();
    let dataset = dataset_of(input, &mut remarks);
    let (images, objects) = match input.request.what {
        ExportKind::Coco(segmentation) => coco(input, &dataset, segmentation, &mut remarks)?,
        ExportKind::MaskPngs => folder(input, &dataset, FolderContent::MaskPerObject, control, &mut remarks)?,
        ExportKind::CutOuts => {
            folder(input, &dataset, FolderContent::CutOuts(CutOutExtent::Bounds), control, &mut remarks)?
        }
    };
    Ok(ExportReport { path: input.request.path.clone(), images, objects, remarks })
}

fn coco(
    input: &ExportInput,
    dataset: &CocoDataset,
    segmentation: CocoSegmentation,
    remarks: &mut Vec<String>,
) -> Result<(usize, usize), JobError> {
    let profile = match segmentation {
        CocoSegmentation::Polygons => CocoProfile::Polygons,
        CocoSegmentation::Rle => CocoProfile::Rle,
        CocoSegmentation::RleList => CocoProfile::RleList,
    };
    let report = write_coco(&input.request.path, dataset, profile, None).map_err(failed)?;
    remarks.extend(report.notes.iter().map(ToString::to_string));
    Ok((report.images, report.annotations))
}

fn folder(
    input: &ExportInput,
    dataset: &CocoDataset,
    content: FolderContent,
    control: &JobControl<'_>,
    remarks: &mut Vec<String>,
) -> Result<(usize, usize), JobError> {
    let mut writer = MaskFolder::create(&input.request.path, content).map_err(failed)?;
    let with_objects = || dataset.images.iter().filter(|image| !image.annotations.is_empty());
    let count = with_objects().count();
    for (done, image) in with_objects().enumerate() {
        control.check()?;
        control.progress(done as f32 / count as f32);
        let picture = match content {
            FolderContent::CutOuts(_) => {
                let parts = image.file_name.split('/');
                let path = parts.fold(input.folder.clone(), |path, part| path.join(part));
                Some(decode_picture(&path).map_err(failed)?)
            }
            _ => None,
        };
        writer.add(image, picture.as_ref()).map_err(failed)?;
    }
    let report = writer.finish();
    remarks.extend(report.left_out.iter().map(ToString::to_string));
    Ok((count, report.files.len()))
}

fn failed(error: impl std::fmt::Display) -> JobError {
    JobError::Failed(error.to_string())
}

/// The pictures asked for with their objects, as every writer takes them.
fn dataset_of(input: &ExportInput, remarks: &mut Vec<String>) -> CocoDataset {
    let project = &input.project;
    let categories = project.labels().iter().map(|label| label.name.clone()).collect();
    let mut images = Vec::new();
    for name in &input.images {
        let Some(entry) = project.image(name) else { continue };
        match entry.size() {
            Some(size) => images.push(image_of(project, entry, size.width, size.height)),
            None => remarks.push(format!("{name} was never opened, so its size is unknown; it was left out")),
        }
    }
    CocoDataset { categories, images }
}

fn image_of(project: &Project, entry: &ImageEntry, width: u32, height: u32) -> CocoImage {
    let object = |annotation: &Annotation| {
        let label = annotation.label.and_then(|id| project.label(id));
        CocoAnnotation {
            category: label.map(|label| label.name.clone()).unwrap_or_default(),
            mask: annotation.mask.clone(),
            predicted_iou: annotation.origin.as_ref().map(|origin| origin.predicted_iou),
            stability: annotation.origin.as_ref().map(|origin| origin.stability),
        }
    };
    let annotations = entry.annotations().iter().map(|annotation| object(annotation)).collect();
    CocoImage { file_name: entry.name().as_str().to_owned(), width, height, annotations }
}

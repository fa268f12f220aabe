//! Writes COCO files that every common reader takes and that pycocotools reads back pixel for pixel.
//!
//! Rules: ids from 1, categories 1..=N without gaps, `iscrowd` always 0, integer boxes, `area` the pixel count, ASCII
//! text, the same bytes for the same input. An empty mask is left out and reported.
//! Invariant: the text has been read again and every mask compared before the file gets its name.

use super::json::AsciiLines;
use super::report::{CocoReport, CocoWriteError, CocoWriteNote, UNLABELLED};
use super::{CocoAnnotation, CocoDataset, CocoImage, CocoProfile, read_coco_bytes};
use crate::atomic_file::write_atomically;
use crate::raster::{MAX_SIDE, Mask, Ring, mask_from_rings, mask_to_rings, rle_to_string};
use serde::Serialize;
use std::collections::HashMap;
use std::path::Path;

/// Writes a dataset, checks it, and only then gives the file its name. `created` goes to `info.date_created`; without
/// it equal datasets give equal bytes on every day.
///
/// # Errors
/// [`CocoWriteError`]; the old file, if any, is then untouched.
pub fn write_coco(
    path: &Path,
    dataset: &CocoDataset,
    profile: CocoProfile,
    created: Option<&str>,
) -> Result<CocoReport, CocoWriteError> {
    let (bytes, report) = coco_json(dataset, profile, created)?;
    write_atomically(path, |writer| writer.write_all(&bytes))
        .map_err(|source| CocoWriteError::Unwritable { name: path.display().to_string(), source })?;
    Ok(report)
}

/// The bytes that [`write_coco`] writes, read again and compared.
///
/// # Errors
/// As [`write_coco`], but for those of the file system.
pub fn coco_json(
    dataset: &CocoDataset,
    profile: CocoProfile,
    created: Option<&str>,
) -> Result<(Vec<u8>, CocoReport), CocoWriteError> {
    let (file, report) = build(dataset, profile, created, mask_to_rings)?;
    let mut bytes = Vec::new();
    file.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, AsciiLines::default()))?;
    bytes.push(b'\n');
    verify(dataset, &bytes)?;
    Ok((bytes, report))
}

#[derive(Serialize)]
struct CocoFile<'a> {
    info: Info<'a>,
    licenses: [(); 0],
    images: Vec<ImageRecord<'a>>,
    annotations: Vec<AnnotationRecord<'a>>,
    categories: Vec<CategoryRecord<'a>>,
}

#[derive(Serialize)]
struct Info<'a> {
    description: &'static str,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    date_created: Option<&'a str>,
}

#[derive(Serialize)]
struct ImageRecord<'a> {
    id: u32,
    file_name: &'a str,
    width: u32,
    height: u32,
}

#[derive(Serialize)]
struct AnnotationRecord<'a> {
    id: u32,
    image_id: u32,
    category_id: u32,
    segmentation: Segmentation<'a>,
    area: u64,
    bbox: [u32; 4],
    iscrowd: u8,
    #[serde(skip_serializing_if = "Option::is_none")]
    predicted_iou: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stability_score: Option<f64>,
}

#[derive(Serialize)]
struct CategoryRecord<'a> {
    id: u32,
    name: &'a str,
    supercategory: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Segmentation<'a> {
    Rings(Vec<Vec<f64>>),
    RunString { size: [u32; 2], counts: String },
    RunList { size: [u32; 2], counts: &'a [u32] },
}

/// The records, and what there is to report. `rings_of` is a parameter so that a test can give rings that are wrong.
fn build<'a>(
    dataset: &'a CocoDataset,
    profile: CocoProfile,
    created: Option<&'a str>,
    rings_of: fn(&Mask) -> Vec<Ring>,
) -> Result<(CocoFile<'a>, CocoReport), CocoWriteError> {
    let mut notes = same_stems(dataset);
    let mut categories = Categories::new(dataset);
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    let mut unlabelled = 0;
    for (image, image_id) in dataset.images.iter().zip(1..) {
        check_image(image)?;
        let (file_name, width, height) = (&image.file_name, image.width, image.height);
        images.push(ImageRecord { id: image_id, file_name, width, height });
        for (annotation, object) in image.annotations.iter().zip(1..) {
            let mask = &annotation.mask;
            if (mask.width(), mask.height()) != (width, height) {
                let (found_width, found_height) = (mask.width(), mask.height());
                let file_name = file_name.clone();
                return Err(CocoWriteError::MaskSize { file_name, object, found_width, found_height, width, height });
            }
            let Some(bounds) = mask.bounds() else {
                notes.push(CocoWriteNote::EmptyMaskLeftOut { file_name: file_name.clone(), object });
                continue;
            };
            unlabelled += usize::from(annotation.category.is_empty());
            let id = annotations.len() as u32 + 1;
            let (segmentation, exact) = segmentation(mask, profile, rings_of);
            if !exact {
                notes.push(CocoWriteNote::WrittenAsRle { file_name: file_name.clone(), annotation_id: id });
            }
            annotations.push(AnnotationRecord {
                id,
                image_id,
                category_id: categories.id_of(written_category(annotation)),
                segmentation,
                area: mask.area(),
                bbox: [bounds.x, bounds.y, bounds.width, bounds.height],
                iscrowd: 0,
                predicted_iou: annotation.predicted_iou.and_then(four_decimals),
                stability_score: annotation.stability.and_then(four_decimals),
            });
        }
    }
    if unlabelled > 0 {
        notes.push(CocoWriteNote::Unlabelled { count: unlabelled });
    }
    let record = |(name, id)| CategoryRecord { id, name, supercategory: "" };
    let categories: Vec<_> = categories.names.into_iter().zip(1..).map(record).collect();
    let report =
        CocoReport { images: images.len(), annotations: annotations.len(), categories: categories.len(), notes };
    let info = Info { description: "Masks made with Maskwright", version: "1.0", date_created: created };
    Ok((CocoFile { info, licenses: [], images, annotations, categories }, report))
}

/// A mask in the form that the profile asks for; false if run lengths had to stand in for rings.
fn segmentation(mask: &Mask, profile: CocoProfile, rings_of: fn(&Mask) -> Vec<Ring>) -> (Segmentation<'_>, bool) {
    let size = [mask.height(), mask.width()];
    match profile {
        CocoProfile::Polygons => {
            let rings = rings_of(mask);
            if mask_from_rings(mask.width(), mask.height(), &rings).is_ok_and(|drawn| drawn == *mask) {
                let flat = |ring: Ring| ring.into_flattened();
                (Segmentation::Rings(rings.into_iter().map(flat).collect()), true)
            } else {
                (Segmentation::RunString { size, counts: rle_to_string(mask) }, false)
            }
        }
        CocoProfile::Rle => (Segmentation::RunString { size, counts: rle_to_string(mask) }, true),
        CocoProfile::RleList => (Segmentation::RunList { size, counts: mask.runs() }, true),
    }
}

/// Category names in the order of their ids.
struct Categories<'a> {
    names: Vec<&'a str>,
    id_of_name: HashMap<&'a str, u32>,
}

impl<'a> Categories<'a> {
    fn new(dataset: &'a CocoDataset) -> Self {
        let mut categories = Self { names: Vec::new(), id_of_name: HashMap::new() };
        for name in dataset.categories.iter().filter(|name| !name.is_empty()) {
            categories.id_of(name);
        }
        categories
    }

    fn id_of(&mut self, name: &'a str) -> u32 {
        *self.id_of_name.entry(name).or_insert_with(|| {
            self.names.push(name);
            self.names.len() as u32
        })
    }
}

fn written_category(annotation: &CocoAnnotation) -> &str {
    if annotation.category.is_empty() { UNLABELLED } else { &annotation.category }
}

/// A score as it is written: short and without the noise of f32; `None` if it is no number.
fn four_decimals(score: f32) -> Option<f64> {
    score.is_finite().then(|| (f64::from(score) * 1e4).round() / 1e4)
}

fn check_image(image: &CocoImage) -> Result<(), CocoWriteError> {
    let (file_name, width, height) = (&image.file_name, image.width, image.height);
    let sides = 1..=MAX_SIDE;
    if !sides.contains(&width) || !sides.contains(&height) {
        return Err(CocoWriteError::ImageSize { file_name: file_name.clone(), width, height });
    }
    let drive = file_name.as_bytes().get(1) == Some(&b':') && file_name.as_bytes()[0].is_ascii_alphabetic();
    let reason = if file_name.is_empty() {
        "it is empty"
    } else if file_name.starts_with('/') || file_name.starts_with('\\') || drive {
        "it is absolute"
    } else if file_name.split('/').any(|part| part == "..") {
        "it leads out of the folder"
    } else if file_name.split('/').any(|part| part.is_empty() || part == ".") {
        "it has an empty part"
    } else {
        return Ok(());
    };
    Err(CocoWriteError::FileName { file_name: file_name.clone(), reason })
}

/// Pairs of pictures that tools which match by name cannot tell apart.
fn same_stems(dataset: &CocoDataset) -> Vec<CocoWriteNote> {
    let mut first_with: HashMap<&str, &str> = HashMap::new();
    let mut notes = Vec::new();
    for CocoImage { file_name, .. } in &dataset.images {
        let name = file_name.rsplit('/').next().unwrap_or(file_name);
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        match first_with.get(stem) {
            Some(&first) => {
                notes.push(CocoWriteNote::SameStem { first: first.to_owned(), second: file_name.clone() });
            }
            None => {
                first_with.insert(stem, file_name);
            }
        }
    }
    notes
}

/// Reads the text as any reader would and compares every picture, label and mask.
fn verify(dataset: &CocoDataset, bytes: &[u8]) -> Result<(), CocoWriteError> {
    let read = read_coco_bytes("the export", bytes)?;
    let fail = |reason: String| Err(CocoWriteError::Verify { reason });
    if let Some(refusal) = read.refusals.first() {
        return fail(refusal.to_string());
    }
    if read.dataset.images.len() != dataset.images.len() {
        return fail(format!("{} images instead of {}", read.dataset.images.len(), dataset.images.len()));
    }
    for (found, wanted) in read.dataset.images.iter().zip(&dataset.images) {
        let name = &wanted.file_name;
        if (&found.file_name, found.width, found.height) != (name, wanted.width, wanted.height) {
            return fail(format!("image {name} came back as {}", found.file_name));
        }
        let kept: Vec<_> = wanted.annotations.iter().filter(|annotation| !annotation.mask.is_empty()).collect();
        if found.annotations.len() != kept.len() {
            return fail(format!("{name}: {} objects instead of {}", found.annotations.len(), kept.len()));
        }
        for ((found, wanted), object) in found.annotations.iter().zip(kept).zip(1..) {
            if found.mask != wanted.mask || found.category != written_category(wanted) {
                return fail(format!("{name}: object {object} came back changed"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::CocoRead;
    use super::*;
    use crate::raster::test_masks::drawn;

    #[test]
    fn a_mask_that_its_rings_do_not_give_back_is_written_as_run_lengths() {
        let image = CocoImage {
            file_name: "a.png".to_owned(),
            width: 3,
            height: 2,
            annotations: vec![CocoAnnotation::new("thing", drawn(&["##.", "#.."]))],
        };
        let dataset = CocoDataset { categories: Vec::new(), images: vec![image] };
        let wrong = |_: &Mask| vec![vec![[0.0, 0.0], [3.0, 0.0], [3.0, 2.0], [0.0, 2.0]]];
        let (file, report) = build(&dataset, CocoProfile::Polygons, None, wrong).unwrap();
        assert!(matches!(file.annotations[0].segmentation, Segmentation::RunString { .. }));
        assert_eq!(report.notes, [CocoWriteNote::WrittenAsRle { file_name: "a.png".to_owned(), annotation_id: 1 }]);
        let bytes = serde_json::to_vec(&file).unwrap();
        verify(&dataset, &bytes).unwrap();

        // And if such a ring had slipped through, the comparison would have caught it.
        let mut file = build(&dataset, CocoProfile::Polygons, None, mask_to_rings).unwrap().0;
        file.annotations[0].segmentation = Segmentation::Rings(
            wrong(&dataset.images[0].annotations[0].mask).into_iter().map(Vec::into_flattened).collect(),
        );
        let bytes = serde_json::to_vec(&file).unwrap();
        assert!(matches!(verify(&dataset, &bytes), Err(CocoWriteError::Verify { .. })));
        let CocoRead { refusals, .. } = read_coco_bytes("wrong", &bytes).unwrap();
        assert!(refusals.is_empty());
    }
}

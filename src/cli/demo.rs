//! `maskwright demo`: the main job end to end on the photos that the program carries.
//!
//! Invariant: nothing is downloaded and nothing is canned: every mask is computed by the model here and now. Without a
//! display the demo runs without one and says so.

use super::contact_sheet::{SheetObject, SheetRow, contact_sheet};
use super::demo_photos::{self, DemoPhoto, PHOTOS};
use super::exit::{Failure, Outcome};
use super::files;
use super::objects::{Found, find_objects};
use super::output::make_folder;
use super::report::{MaskReport, SegmentReport, bbox, milliseconds, print_json, print_text};
use super::window::{self, WindowRequest};
use crate::formats::coco::CocoImage;
use crate::inference::Segmenter;
use crate::prompt::Prompt;
use crate::raster::{Picture, decode_picture_bytes};
use clap::Args;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The one COCO file of the demo.
const ANNOTATIONS: &str = "annotations.json";
/// The picture that shows all of it.
const CONTACT_SHEET: &str = "contact-sheet.png";
/// The folder of the masks.
const MASKS: &str = "masks";

/// Show the main job, clicks to masks to COCO, on photos that the program carries
///
/// With a display the window opens on the photos, copied into DIR. Without one, or with --headless, prompts are answered
/// and DIR gets the photos, masks/*.png, contact-sheet.png and annotations.json (COCO).
#[derive(Debug, Clone, Args)]
pub struct DemoArguments {
    /// Do without a window even where there is a display
    #[arg(long)]
    headless: bool,
    /// The folder to write to
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// The segmenter: an id of `models list`, or a safetensors file or folder
    #[arg(long, value_name = "ID|PATH")]
    pub(super) model: Option<String>,
    /// Print what was written as JSON; means --headless
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct DemoReport {
    annotations: String,
    contact_sheet: String,
    photos: Vec<PhotoReport>,
}

#[derive(Serialize)]
struct PhotoReport {
    file: String,
    #[serde(flatten)]
    segmented: SegmentReport,
}

/// One photo with its answers.
struct DemoResult {
    photo: &'static DemoPhoto,
    picture: Picture,
    prompts: Vec<Prompt>,
    found: Found,
}

/// Runs without a window, or gives the window that is wanted.
///
/// # Errors
/// See [`super::exit::EXIT_CODES_HELP`].
pub fn run(arguments: DemoArguments) -> Outcome<Option<WindowRequest>> {
    let is_headless = arguments.headless || arguments.json;
    let reason = if is_headless { None } else { window::why_no_window() };
    if is_headless || reason.is_some() {
        return run_headless(&arguments, reason.as_deref()).map(|()| None);
    }
    demo_photos::unpack(&arguments.output)?;
    Ok(Some(WindowRequest::for_demo(vec![arguments.output.clone()], arguments)))
}

/// The whole job without a window; `reason` says why, if that was not asked for.
///
/// # Errors
/// See [`super::exit::EXIT_CODES_HELP`].
pub(super) fn run_headless(arguments: &DemoArguments, reason: Option<&str>) -> Outcome<()> {
    if let Some(reason) = reason {
        // Nobody to tell is no failure.
        let _ = writeln!(std::io::stderr(), "maskwright: {reason}; the demo runs without a window");
    }
    let segmenter = super::models::open(arguments.model.as_deref())?;
    let results = PHOTOS.iter().map(|photo| answer(&*segmenter, photo)).collect::<Outcome<Vec<_>>>()?;

    let folder = &arguments.output;
    let sheet = contact_sheet(&results.iter().map(sheet_row).collect::<Vec<_>>());
    demo_photos::unpack(folder)?;
    make_folder(&folder.join(MASKS))?;
    for result in &results {
        for (object, found) in result.photo.objects.iter().zip(&result.found.objects) {
            files::write_mask(&folder.join(mask_name(result.photo, object.label)), &found.chosen().mask)?;
        }
    }
    files::write_picture(&folder.join(CONTACT_SHEET), &sheet)?;
    files::write_coco(&folder.join(ANNOTATIONS), results.iter().map(coco_image).collect())?;

    let report = DemoReport {
        annotations: folder.join(ANNOTATIONS).display().to_string(),
        contact_sheet: folder.join(CONTACT_SHEET).display().to_string(),
        photos: results.iter().map(|result| photo_report(result, folder, &segmenter.info().id)).collect(),
    };
    if arguments.json { print_json(&report) } else { print_text(&describe(&report)) }
}

/// Decodes a photo and answers its prompts.
fn answer(segmenter: &dyn Segmenter, photo: &'static DemoPhoto) -> Outcome<DemoResult> {
    let picture = decode_picture_bytes(photo.file_name, photo.bytes).map_err(Failure::input)?;
    let prompts: Vec<Prompt> = photo.objects.iter().map(demo_photos::DemoObject::prompt).collect();
    let found = find_objects(segmenter, &picture, None, &prompts)?;
    let is_empty = |(_, object): &(_, &super::objects::FoundObject)| object.chosen().mask.is_empty();
    if let Some((object, _)) = photo.objects.iter().zip(&found.objects).find(is_empty) {
        return Err(Failure::input_text(format!(
            "{}: {} found no pixel of the {}, so nothing was written; try without --model",
            photo.file_name,
            segmenter.info().name,
            object.label
        )));
    }
    Ok(DemoResult { photo, picture, prompts, found })
}

/// `masks/chelsea-cat.png`.
fn mask_name(photo: &DemoPhoto, label: &str) -> PathBuf {
    let stem = photo.file_name.split('.').next().unwrap_or(photo.file_name);
    Path::new(MASKS).join(format!("{stem}-{label}.png"))
}

fn coco_image(result: &DemoResult) -> CocoImage {
    let labelled = result.photo.objects.iter().zip(&result.found.objects);
    CocoImage {
        file_name: result.photo.file_name.to_owned(),
        width: result.picture.width,
        height: result.picture.height,
        annotations: labelled
            .map(|(object, found)| files::coco_annotation(Some(object.label), found.chosen()))
            .collect(),
    }
}

fn sheet_row(result: &DemoResult) -> SheetRow {
    let answered = result.photo.objects.iter().zip(&result.found.objects).zip(&result.prompts);
    SheetRow {
        title: result.photo.file_name.to_owned(),
        picture: result.picture.clone(),
        objects: answered
            .map(|((object, found), prompt)| SheetObject {
                label: object.label.to_owned(),
                predicted_iou: found.chosen().predicted_iou,
                mask: found.chosen().mask.clone(),
                steps: prompt.steps.clone(),
            })
            .collect(),
    }
}

fn photo_report(result: &DemoResult, folder: &Path, model: &str) -> PhotoReport {
    let labelled = result.photo.objects.iter().zip(&result.found.objects);
    let masks = labelled.map(|(object, found)| {
        let chosen = found.chosen();
        MaskReport {
            file: folder.join(mask_name(result.photo, object.label)).display().to_string(),
            label: Some(object.label.to_owned()),
            predicted_iou: chosen.predicted_iou,
            stability: chosen.stability,
            bbox: chosen.mask.bounds().map_or([0; 4], bbox),
            area: chosen.mask.area(),
        }
    });
    PhotoReport {
        file: folder.join(result.photo.file_name).display().to_string(),
        segmented: SegmentReport {
            width: result.picture.width,
            height: result.picture.height,
            model: model.to_owned(),
            encode_ms: milliseconds(result.found.encode_time),
            decode_ms: milliseconds(result.found.decode_time),
            masks: masks.collect(),
        },
    }
}

/// The report for people.
fn describe(report: &DemoReport) -> String {
    let mut lines = Vec::new();
    for photo in &report.photos {
        let times = &photo.segmented;
        lines.push(format!("{}: encoded in {} ms, decoded in {} ms", photo.file, times.encode_ms, times.decode_ms));
        lines.extend(times.masks.iter().map(|mask| {
            let label = mask.label.as_deref().unwrap_or_default();
            format!("  {}: {label}, {} pixels, predicted IoU {:.2}", mask.file, mask.area, mask.predicted_iou)
        }));
    }
    lines.push(format!("{}: look at this to see them all", report.contact_sheet));
    lines.push(format!("{}: COCO, for pycocotools and its kin", report.annotations));
    lines.join("\n")
}

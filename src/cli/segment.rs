//! `maskwright segment`: one picture, prompts, masks in files.
//!
//! Invariant: everything is checked and computed before the first file is written; a prompt that cannot be answered
//! ends the run with a code and a text and leaves no file.

use super::exit::{Failure, Outcome};
use super::files;
use super::objects::{FoundMask, FoundObject, find_objects};
use super::output::{OutputFormat, OutputPlan, prepare_places};
use super::prompt_arguments::{PromptArgument, PromptArguments, parse_rect};
use super::report::{MaskReport, SegmentReport, bbox, milliseconds, print_json, print_text};
use crate::formats::coco::CocoImage;
use crate::geometry::{ImageRect, PixelRect};
use crate::prompt::{Prompt, PromptStep};
use crate::raster::Picture;
use clap::Args;
use std::path::{Path, PathBuf};

/// Segment objects of one picture by points, boxes and earlier masks
///
/// Prompts are replayed in the order given, across all flags: each step starts from the mask of the steps before it. A
/// lone point has three plausible answers; the one of highest predicted IoU is taken. A box, or several prompts, have
/// one. Several boxes are several objects. Coordinates are pixels of the upright picture, the first pixel spans 0..1.
#[derive(Debug, Args)]
pub struct SegmentArguments {
    /// The picture: JPEG, PNG, WebP, TIFF, BMP, PNM, first frame of a GIF
    image: PathBuf,
    #[command(flatten)]
    prompts: PromptArguments,
    /// Look only at this part of the picture, with all of the model's resolution: for small objects
    #[arg(long, value_name = "X0,Y0,X1,Y1", value_parser = parse_rect, allow_hyphen_values = true)]
    region: Option<ImageRect>,
    /// Take this candidate of a first point, not the one of highest predicted IoU
    #[arg(long, value_name = "1..3", value_parser = clap::value_parser!(u8).range(1..=3))]
    choose: Option<u8>,
    /// Write all candidates of a lone point: OUT-1.png, OUT-2.png, OUT-3.png
    #[arg(long, conflicts_with = "choose")]
    candidates: bool,
    /// The object's name; with several boxes one name for all, or one --label a box in their order
    #[arg(long, value_name = "NAME")]
    label: Vec<String>,
    /// The segmenter: an id of `models list`, or a safetensors file or folder
    #[arg(long, value_name = "ID|PATH")]
    model: Option<String>,
    /// What to write
    #[arg(long, value_enum, default_value_t = OutputFormat::Png)]
    format: OutputFormat,
    /// The file to write, or a folder for a file named like the picture. Several masks that do not share a file are
    /// numbered: OUT-1.png, OUT-2.png
    #[arg(short, long, value_name = "OUT")]
    output: PathBuf,
    /// Print {width, height, model, encode_ms, decode_ms, masks: [{file, label, predicted_iou, stability, bbox, area}]}
    #[arg(long)]
    json: bool,
}

/// A mask on its way into a file.
pub(super) struct ChosenMask<'a> {
    pub(super) found: &'a FoundMask,
    pub(super) label: Option<&'a str>,
}

/// Does it.
///
/// # Errors
/// See [`super::exit::EXIT_CODES_HELP`].
pub fn run(arguments: &SegmentArguments) -> Outcome<()> {
    let objects = check_usage(arguments)?;
    let plan = OutputPlan::new(&arguments.output, arguments.format, &arguments.image)?;
    let picture = files::read_picture(&arguments.image)?;
    let view = arguments.region.map(|region| clip_region(region, &picture)).transpose()?;
    let choice = arguments.choose.map(|number| usize::from(number) - 1);
    let prompts = objects
        .iter()
        .map(|object| {
            let steps = object.iter().map(|step| checked_step(step, &picture, view)).collect::<Outcome<_>>()?;
            Ok(Prompt { steps, view, choice })
        })
        .collect::<Outcome<Vec<_>>>()?;
    let segmenter = super::models::open(arguments.model.as_deref())?;
    let found = find_objects(&*segmenter, &picture, view, &prompts)?;

    let masks = choose_masks(&found.objects, arguments)?;
    let is_numbered = !arguments.format.is_one_file() && (arguments.candidates || found.objects.len() > 1);
    let names: Vec<PathBuf> = masks
        .iter()
        .enumerate()
        .map(|(index, mask)| match (is_numbered, arguments.candidates && found.objects.len() == 1) {
            (false, _) => plan.only(),
            (true, true) => plan.numbered(mask.found.candidate),
            (true, false) => plan.numbered(index + 1),
        })
        .collect();
    prepare_places(names.iter(), &arguments.image)?;
    write_results(arguments, &picture, &masks, &names)?;

    let report = SegmentReport {
        width: picture.width,
        height: picture.height,
        model: segmenter.info().id.clone(),
        encode_ms: milliseconds(found.encode_time),
        decode_ms: milliseconds(found.decode_time),
        masks: masks.iter().zip(&names).map(|(mask, name)| mask_report(mask, name)).collect(),
    };
    if arguments.json { print_json(&report) } else { print_text(&describe(&report)) }
}

/// All that can be wrong without looking at a file; gives the steps of each object.
fn check_usage(arguments: &SegmentArguments) -> Outcome<Vec<Vec<PromptArgument>>> {
    let objects = arguments.prompts.objects().map_err(Failure::usage)?;
    let starts_with_point = matches!(objects.as_slice(), [only] if matches!(only[0], PromptArgument::Point { .. }));
    if arguments.choose.is_some() && !starts_with_point {
        return Err(Failure::usage(
            "--choose picks among the three answers to a first point; this prompt starts with something else and has \
             one answer: leave --choose out",
        ));
    }
    if arguments.candidates && arguments.format == OutputFormat::Coco {
        return Err(Failure::usage(
            "--candidates are rival masks of one object, and a COCO file would hold them as several objects; use \
             --format png or rle-json, or --choose",
        ));
    }
    if arguments.label.iter().any(|label| label.trim().is_empty()) {
        return Err(Failure::usage("--label is empty; leave it out or give a name"));
    }
    if arguments.label.len() > 1 && arguments.label.len() != objects.len() {
        return Err(Failure::usage(format!(
            "{} --label for {} object(s); give one for all, or one each in the order of the boxes",
            arguments.label.len(),
            objects.len()
        )));
    }
    Ok(objects)
}

/// The region in whole pixels, cut to the picture.
fn clip_region(region: ImageRect, picture: &Picture) -> Outcome<PixelRect> {
    let clipped = PixelRect::covering(region, picture.width, picture.height)
        .ok_or_else(|| outside("--region", &describe_rect(region), picture, "inside the picture"))?;
    if region.x0 < 0.0 || region.y0 < 0.0 || region.x1 > picture.width as f32 || region.y1 > picture.height as f32 {
        tracing::warn!("--region {} reaches beyond the picture and was cut to it", describe_rect(region));
    }
    Ok(clipped)
}

/// A step with its places checked against the picture and the region, its mask read.
fn checked_step(step: &PromptArgument, picture: &Picture, view: Option<PixelRect>) -> Outcome<PromptStep> {
    let whole = PixelRect::of_size(picture.width, picture.height);
    match step {
        PromptArgument::Point { at, polarity } => {
            let text = format!("{},{}", at.x, at.y);
            if !at.is_inside(picture.width, picture.height) {
                return Err(outside(step.flag(), &text, picture, "on the picture"));
            }
            if view.is_some_and(|view| !view.contains(*at)) {
                return Err(outside_region(step.flag(), &text));
            }
            Ok(PromptStep::Point { at: *at, polarity: *polarity })
        }
        PromptArgument::Box(rect) => {
            let text = describe_rect(*rect);
            let on_picture =
                cut(*rect, whole).ok_or_else(|| outside("--box", &text, picture, "at least partly on the picture"))?;
            let clipped = cut(on_picture, view.unwrap_or(whole)).ok_or_else(|| outside_region("--box", &text))?;
            if clipped != *rect {
                tracing::warn!("--box {text} reaches beyond the picture or the region and was cut to it");
            }
            Ok(PromptStep::Box(clipped))
        }
        PromptArgument::Mask(path) => files::read_mask(path, picture.width, picture.height).map(PromptStep::Mask),
    }
}

/// The part of a rectangle that lies in another; `None` if there is none.
fn cut(rect: ImageRect, within: PixelRect) -> Option<ImageRect> {
    let cut = ImageRect {
        x0: rect.x0.max(within.x as f32),
        y0: rect.y0.max(within.y as f32),
        x1: rect.x1.min(within.right() as f32),
        y1: rect.y1.min(within.bottom() as f32),
    };
    (cut.width() > 0.0 && cut.height() > 0.0).then_some(cut)
}

fn outside(flag: &str, place: &str, picture: &Picture, expected: &str) -> Failure {
    Failure::input_text(format!(
        "{flag} {place} lies outside the picture, which is {} x {} pixels; it must lie {expected}",
        picture.width, picture.height
    ))
}

fn outside_region(flag: &str, place: &str) -> Failure {
    Failure::input_text(format!("{flag} {place} lies outside --region; move one of the two"))
}

fn describe_rect(rect: ImageRect) -> String {
    format!("{},{},{},{}", rect.x0, rect.y0, rect.x1, rect.y1)
}

/// The masks to write, none of them empty.
fn choose_masks<'a>(objects: &'a [FoundObject], arguments: &'a SegmentArguments) -> Outcome<Vec<ChosenMask<'a>>> {
    let mut masks = Vec::new();
    for (index, object) in objects.iter().enumerate() {
        let label = arguments.label.get(index).or(arguments.label.first()).map(String::as_str);
        let taken =
            if arguments.candidates { object.candidates.as_slice() } else { std::slice::from_ref(object.chosen()) };
        for found in taken {
            if !found.mask.is_empty() {
                masks.push(ChosenMask { found, label });
            } else if arguments.candidates {
                tracing::warn!("candidate {} is empty and was left out", found.candidate);
            }
        }
        if taken.iter().all(|found| found.mask.is_empty()) {
            let which = if objects.len() > 1 { format!("box {}: ", index + 1) } else { String::new() };
            return Err(Failure::input_text(format!(
                "{which}the model found no pixel for this prompt, so nothing was written; try a point in the middle of \
                 the object, a box around it, or --region for a small object"
            )));
        }
    }
    Ok(masks)
}

/// Writes what the format asks for; each file appears whole or not at all.
fn write_results(
    arguments: &SegmentArguments,
    picture: &Picture,
    masks: &[ChosenMask<'_>],
    names: &[PathBuf],
) -> Outcome<()> {
    let image_name = arguments.image.file_name().unwrap_or(arguments.image.as_os_str()).to_string_lossy();
    match arguments.format {
        OutputFormat::Png => {
            masks.iter().zip(names).try_for_each(|(mask, name)| files::write_mask(name, &mask.found.mask))
        }
        OutputFormat::Cutout => {
            masks.iter().zip(names).try_for_each(|(mask, name)| files::write_cut_out(name, picture, &mask.found.mask))
        }
        OutputFormat::RleJson => files::write_rle_json(&names[0], &image_name, picture, masks),
        OutputFormat::Coco => {
            let annotations = masks.iter().map(|mask| files::coco_annotation(mask.label, mask.found)).collect();
            let (width, height) = (picture.width, picture.height);
            files::write_coco(
                &names[0],
                vec![CocoImage { file_name: image_name.into_owned(), width, height, annotations }],
            )
        }
    }
}

fn mask_report(mask: &ChosenMask<'_>, name: &Path) -> MaskReport {
    MaskReport {
        file: name.display().to_string(),
        label: mask.label.map(str::to_owned),
        predicted_iou: mask.found.predicted_iou,
        stability: mask.found.stability,
        bbox: mask.found.mask.bounds().map_or([0; 4], bbox),
        area: mask.found.mask.area(),
    }
}

/// The report for people, a line a mask.
fn describe(report: &SegmentReport) -> String {
    let lines = report.masks.iter().map(|mask| {
        let [x, y, width, height] = mask.bbox;
        let label = mask.label.as_deref().map(|label| format!(" {label}:")).unwrap_or_default();
        format!(
            "{}:{label} {} pixels in {width} x {height} at {x},{y}; predicted IoU {:.2}, stability {:.2}",
            mask.file, mask.area, mask.predicted_iou, mask.stability
        )
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::exit::Exit;
    use super::*;
    use crate::geometry::ImagePoint;
    use crate::prompt::Polarity;

    fn picture() -> Picture {
        Picture { width: 100, height: 50, rgb: vec![0; 100 * 50 * 3].into(), notes: vec![] }
    }

    #[test]
    fn a_box_over_the_edge_is_cut_and_one_beyond_it_refused() {
        let rect = ImageRect { x0: -5.0, y0: 10.0, x1: 30.0, y1: 60.5 };
        let step = checked_step(&PromptArgument::Box(rect), &picture(), None).unwrap();
        assert_eq!(step, PromptStep::Box(ImageRect { x0: 0.0, y0: 10.0, x1: 30.0, y1: 50.0 }));
        let beyond = ImageRect { x0: 100.0, y0: 10.0, x1: 130.0, y1: 20.0 };
        let failure = checked_step(&PromptArgument::Box(beyond), &picture(), None).unwrap_err();
        assert_eq!(failure.exit, Exit::InputUnusable);
        assert!(failure.error.to_string().contains("100 x 50"), "{}", failure.error);
        let region = PixelRect { x: 50, y: 0, width: 50, height: 50 };
        assert!(checked_step(&PromptArgument::Box(rect), &picture(), Some(region)).is_err());
    }

    #[test]
    fn points_must_lie_on_the_picture_and_in_the_region() {
        let at = |x, y| PromptArgument::Point { at: ImagePoint::new(x, y), polarity: Polarity::Exclude };
        assert!(checked_step(&at(100.0, 0.0), &picture(), None).is_ok());
        let text = checked_step(&at(100.5, 0.0), &picture(), None).unwrap_err().error.to_string();
        assert!(text.contains("--not 100.5,0") && text.contains("outside the picture"), "{text}");
        let region = PixelRect { x: 50, y: 0, width: 50, height: 50 };
        let text = checked_step(&at(10.0, 10.0), &picture(), Some(region)).unwrap_err().error.to_string();
        assert!(text.contains("outside --region"), "{text}");
    }
}

//! `maskwright segment` with the embedded model on real photos: files, JSON, order, objects, and the same mask as the
//! library's.

use super::cli_run::{finish, folder_with_photos, iou, names_in, picture, program, run_in};
use maskwright::geometry::{ImagePoint, ImageRect, PixelRect};
use maskwright::inference::{EncodeControl, ModelChoice, Replay, encode_view, open_segmenter, predict};
use maskwright::prompt::{Polarity, Prompt, PromptStep};
use maskwright::raster::Mask;
use std::path::Path;

fn mask(folder: &Path, name: &str) -> Mask {
    super::cli_run::mask(&folder.join(name))
}

fn point(x: f32, y: f32, polarity: Polarity) -> PromptStep {
    PromptStep::Point { at: ImagePoint::new(x, y), polarity }
}

/// What the library answers to a prompt, chosen candidate.
fn library_mask(photo: &Path, prompts: &[Prompt]) -> Vec<Mask> {
    let picture = picture(photo);
    let segmenter = open_segmenter(&ModelChoice::BuiltIn).expect("the embedded model");
    let encoded = encode_view(&*segmenter, &picture, prompts[0].view, &EncodeControl::default()).expect("encodes");
    let answer = |prompt: &Prompt| {
        let answer = predict(&*segmenter, &encoded, prompt, &mut Replay::default()).expect("decodes");
        answer.field(answer.chosen).expect("chosen").to_mask(picture.width, picture.height, 0.0)
    };
    prompts.iter().map(answer).collect()
}

#[test]
fn a_point_gives_a_mask_and_exactly_the_promised_json() {
    let folder = folder_with_photos();
    let run = run_in(folder.path(), "segment astronaut.jpg --point 230,100 -o out/person.png --json").expect(0);
    let report = run.json();
    let keys = |value: &serde_json::Value| value.as_object().expect("an object").keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&report), ["width", "height", "model", "encode_ms", "decode_ms", "masks"]);
    let masks = report["masks"].as_array().expect("a list");
    assert_eq!(masks.len(), 1);
    assert_eq!(keys(&masks[0]), ["file", "label", "predicted_iou", "stability", "bbox", "area"]);
    assert_eq!((&report["width"], &report["height"]), (&512.into(), &512.into()));
    assert!(report["model"].as_str().is_some_and(|model| model.starts_with("spark-sam@")));
    assert!(report["encode_ms"].as_f64().is_some_and(|ms| ms > 0.0));
    assert_eq!(masks[0]["file"], "out/person.png");
    assert!(masks[0]["label"].is_null());
    let written = mask(folder.path(), "out/person.png");
    assert_eq!(masks[0]["area"], written.area());
    let bounds = written.bounds().expect("not empty");
    assert_eq!(masks[0]["bbox"], serde_json::json!([bounds.x, bounds.y, bounds.width, bounds.height]));
    assert!(written.contains(230, 100) && !written.contains(500, 200) && written.area() > 30_000, "{bounds:?}");
}

#[test]
fn the_order_across_flags_is_replayed_and_the_library_agrees() {
    let folder = folder_with_photos();
    let path = folder.path();
    let flags = ["--point 230,100", "--box 5,12,375,512", "--not 400,450"];
    run_in(path, &format!("segment astronaut.jpg {} {} {} -o a.png", flags[0], flags[1], flags[2])).expect(0);
    run_in(path, &format!("segment astronaut.jpg {} {} {} -o b.png", flags[2], flags[1], flags[0])).expect(0);
    let steps = [
        point(230.0, 100.0, Polarity::Include),
        PromptStep::Box(ImageRect { x0: 5.0, y0: 12.0, x1: 375.0, y1: 512.0 }),
        point(400.0, 450.0, Polarity::Exclude),
    ];
    let there = Prompt { steps: steps.to_vec(), ..Prompt::default() };
    let back = Prompt { steps: steps.iter().rev().cloned().collect(), ..Prompt::default() };
    let masks = library_mask(&path.join("astronaut.jpg"), &[there, back]);
    assert!(masks[0] != masks[1], "another order is another prompt");
    assert!(mask(path, "a.png") == masks[0], "the command line and the library differ");
    assert!(mask(path, "b.png") == masks[1], "the order on the command line was not kept");
}

#[test]
fn several_boxes_are_several_objects() {
    let folder = folder_with_photos();
    let path = folder.path();
    let cup = "--box 172,16,410,308 --not 365,300";
    let spoon = "--box 324,220,408,328";
    let line = format!("segment coffee.jpg {cup} {spoon} --label cup --label spoon -o m.png --json");
    let report = run_in(path, &line).expect(0).json();
    let told: Vec<_> =
        report["masks"].as_array().unwrap().iter().map(|m| (m["file"].clone(), m["label"].clone())).collect();
    assert_eq!(told, [("m-1.png".into(), "cup".into()), ("m-2.png".into(), "spoon".into())]);
    assert!(!path.join("m.png").exists());
    run_in(path, &format!("segment coffee.jpg {cup} -o cup.png")).expect(0);
    assert_eq!(std::fs::read(path.join("cup.png")).unwrap(), std::fs::read(path.join("m-1.png")).unwrap());
    assert!(iou(&mask(path, "m-1.png"), &mask(path, "m-2.png")) < 0.5);
}

#[test]
fn candidates_are_all_written_and_the_best_or_the_chosen_one_is_taken() {
    let folder = folder_with_photos();
    let path = folder.path();
    let point = "segment coffee.jpg --point 290,145";
    let report = run_in(path, &format!("{point} --candidates -o all.png --json")).expect(0).json();
    let masks = report["masks"].as_array().unwrap();
    assert_eq!(masks.len(), 3);
    let iou = |index: usize| masks[index]["predicted_iou"].as_f64().unwrap();
    let best = (0..3).max_by(|&a, &b| iou(a).total_cmp(&iou(b))).unwrap();
    run_in(path, &format!("{point} -o best.png")).expect(0);
    assert!(mask(path, "best.png") == mask(path, &format!("all-{}.png", best + 1)));
    let other = (best + 1) % 3 + 1;
    run_in(path, &format!("{point} --choose {other} -o chosen.png")).expect(0);
    assert!(mask(path, "chosen.png") == mask(path, &format!("all-{other}.png")));
    assert!(mask(path, "chosen.png") != mask(path, "best.png"), "the candidates differ");
}

#[test]
fn a_region_is_looked_at_alone() {
    let folder = folder_with_photos();
    let path = folder.path();
    let line = "segment astronaut.jpg --point 172,385 --region 112,324,234,446 -o patch.png";
    run_in(path, line).expect(0);
    let patch = mask(path, "patch.png");
    assert_eq!((patch.width(), patch.height()), (512, 512));
    let bounds = patch.bounds().expect("not empty");
    assert!(bounds.x >= 112 && bounds.y >= 324 && bounds.right() <= 234 && bounds.bottom() <= 446, "{bounds:?}");
    let view = Some(PixelRect { x: 112, y: 324, width: 122, height: 122 });
    let prompt = Prompt { view, ..Prompt::point(ImagePoint::new(172.0, 385.0), Polarity::Include) };
    assert!(library_mask(&path.join("astronaut.jpg"), &[prompt])[0] == patch);
}

#[test]
fn a_mask_file_is_a_prompt_and_may_be_refined_in_place() {
    let folder = folder_with_photos();
    let path = folder.path();
    run_in(path, "segment chelsea.jpg --box 0,0,372,300 -o m.png").expect(0);
    let first = mask(path, "m.png");
    run_in(path, "segment chelsea.jpg --mask m.png --point 40,260 -o m.png").expect(0);
    let second = mask(path, "m.png");
    assert!(second.contains(40, 260) && second != first);
    assert!(iou(&first, &second) > 0.5, "it starts from the mask: {}", iou(&first, &second));
    let prompt =
        Prompt { steps: vec![PromptStep::Mask(first), point(40.0, 260.0, Polarity::Include)], ..Prompt::default() };
    assert!(library_mask(&path.join("chelsea.jpg"), &[prompt])[0] == second);
}

#[test]
fn every_format_holds_the_same_mask_and_its_label() {
    let folder = folder_with_photos();
    let path = folder.path();
    let prompt = "segment coffee.jpg --box 172,16,410,308 --not 365,300 --label cup";
    run_in(path, &format!("{prompt} -o m.png")).expect(0);
    let want = mask(path, "m.png");

    let report = run_in(path, &format!("{prompt} --format coco -o m.json --json")).expect(0).json();
    assert_eq!((&report["masks"][0]["file"], &report["masks"][0]["label"]), (&"m.json".into(), &"cup".into()));
    let coco: serde_json::Value = serde_json::from_slice(&std::fs::read(path.join("m.json")).unwrap()).unwrap();
    assert_eq!(coco["images"][0]["file_name"], "coffee.jpg");
    assert_eq!(coco["categories"][0]["name"], "cup");
    assert_eq!(coco["annotations"][0]["area"], want.area());
    super::cli_run::assert_coco_masks(&path.join("m.json"), &[&want]);

    run_in(path, &format!("{prompt} --format rle-json -o rle.json")).expect(0);
    let rle: serde_json::Value = serde_json::from_slice(&std::fs::read(path.join("rle.json")).unwrap()).unwrap();
    let first = &rle["masks"][0];
    assert_eq!((&first["label"], &first["segmentation"]["size"]), (&"cup".into(), &serde_json::json!([400, 600])));
    let runs = hotcoco::mask::rle_from_string(first["segmentation"]["counts"].as_str().unwrap(), 400, 600).unwrap();
    assert_eq!(runs.counts, want.runs());

    run_in(path, &format!("{prompt} --format cutout -o cut.png")).expect(0);
    let png = std::fs::read(path.join("cut.png")).unwrap();
    let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap());
    let bounds = want.bounds().unwrap();
    assert_eq!((number(16), number(20), png[25]), (bounds.width, bounds.height, 6), "size and RGBA of the PNG header");
}

#[test]
fn neither_time_zone_nor_locale_changes_a_byte() {
    let outputs = [("UTC", "C"), ("Asia/Kathmandu", "de_DE.UTF-8")].map(|(zone, locale)| {
        let folder = folder_with_photos();
        for format in ["coco", "rle-json"] {
            let mut command = program();
            command.current_dir(folder.path()).env("TZ", zone).env("LC_ALL", locale).args([
                "segment",
                "chelsea.jpg",
                "--box",
                "0,0,372.5,300",
                "--label",
                "Käse",
                "--format",
                format,
                "-o",
                &format!("{format}.json"),
            ]);
            finish(command).expect(0);
        }
        ["coco.json", "rle-json.json"].map(|name| std::fs::read_to_string(folder.path().join(name)).unwrap())
    });
    assert_eq!(outputs[0], outputs[1]);
    assert!(outputs[0][0].is_ascii(), "COCO files are ASCII");
}

#[test]
fn an_answer_without_pixels_is_told_and_nothing_is_written() {
    let folder = folder_with_photos();
    let before = names_in(folder.path());
    run_in(folder.path(), "segment chelsea.jpg --not 230,150 -o m.png").expect(65).says(&["no pixel", "box"]);
    assert_eq!(names_in(folder.path()), before);
}

//! Datasets written and read again, by us and by an independent reader.

use super::*;
use crate::raster::test_masks::{any_mask, drawn};
use proptest::prelude::*;
use serde_json::Value;

fn image(file_name: &str, masks: &[(&str, Mask)]) -> CocoImage {
    let (width, height) = masks.first().map_or((4, 3), |(_, mask)| (mask.width(), mask.height()));
    let annotations = masks.iter().map(|(label, mask)| CocoAnnotation::new(*label, mask.clone())).collect();
    CocoImage { file_name: file_name.to_owned(), width, height, annotations }
}

fn two_images() -> CocoDataset {
    let ring = drawn(&["####", "#..#", "####"]);
    let dots = drawn(&["#...", ".#..", "...#"]);
    CocoDataset {
        categories: vec!["dog".to_owned(), "猫 \"x\"".to_owned()],
        images: vec![
            image("sub/ä.jpg", &[("猫 \"x\"", ring.clone()), ("bird", dots)]),
            image("plain.png", &[]),
            image("b.png", &[("dog", ring)]),
        ],
    }
}

fn json(dataset: &CocoDataset, profile: CocoProfile) -> (Value, CocoReport) {
    let (bytes, report) = coco_json(dataset, profile, None).unwrap();
    (serde_json::from_slice(&bytes).unwrap(), report)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]
    #[test]
    fn every_profile_gives_every_mask_back(masks in proptest::collection::vec(any_mask(), 1..4)) {
        let images = masks.iter().zip(0..).map(|(mask, i)| image(&format!("{i}.png"), &[("thing", mask.clone())]));
        let dataset = CocoDataset { categories: vec!["thing".to_owned()], images: images.collect() };
        let wanted: Vec<_> = masks.iter().filter(|mask| !mask.is_empty()).collect();
        for profile in CocoProfile::ALL {
            let (bytes, report) = coco_json(&dataset, profile, None).unwrap();
            prop_assert_eq!(report.annotations, wanted.len());
            let only_empty = report.notes.iter().all(|note| matches!(note, CocoWriteNote::EmptyMaskLeftOut { .. }));
            prop_assert!(only_empty, "{:?}", report.notes);
            let read = read_coco_bytes("written", &bytes).unwrap();
            let found: Vec<_> = read.dataset.images.iter().flat_map(|i| &i.annotations).map(|a| &a.mask).collect();
            prop_assert_eq!(&found, &wanted);
        }
    }
}

#[test]
fn an_independent_reader_sees_the_same_masks() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = two_images();
    for profile in CocoProfile::ALL {
        let path = folder.path().join(format!("{}.json", profile.name()));
        write_coco(&path, &dataset, profile, None).unwrap();
        let coco = hotcoco::COCO::new(&path).unwrap();
        let wanted = dataset.images.iter().flat_map(|image| &image.annotations);
        for (wanted, id) in wanted.zip(1..) {
            let annotation = coco.get_ann(id).unwrap();
            let rle = coco.ann_to_rle(annotation).unwrap();
            assert_eq!(rle.counts, wanted.mask.runs(), "{profile:?} {id}");
            assert_eq!(annotation.area, Some(wanted.mask.area() as f64));
        }
    }
}

#[test]
fn ids_boxes_and_categories_follow_the_rules() {
    let (file, report) = json(&two_images(), CocoProfile::Polygons);
    assert_eq!((report.images, report.annotations, report.categories), (3, 3, 3));
    assert_eq!(report.notes, []);
    let list = |key: &str| file[key].as_array().unwrap().clone();
    let ids = |key: &str| list(key).iter().map(|record| record["id"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!((ids("images"), ids("annotations"), ids("categories")), (vec![1, 2, 3], vec![1, 2, 3], vec![1, 2, 3]));
    let names: Vec<_> = list("categories").iter().map(|c| c["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["dog", "猫 \"x\"", "bird"]);
    let first = &list("annotations")[0];
    assert_eq!(first["image_id"], 1);
    assert_eq!(first["category_id"], 2);
    assert_eq!(first["bbox"].to_string(), "[0,0,4,3]");
    assert_eq!(first["area"].to_string(), "10");
    assert_eq!(first["iscrowd"].to_string(), "0");
    assert_eq!(first["segmentation"].as_array().unwrap().len(), 1, "a hole is cut through, so one ring is enough");
    assert!(first.get("predicted_iou").is_none());
    assert_eq!(list("annotations")[1]["segmentation"].as_array().unwrap().len(), 3);
    assert_eq!(list("images")[0]["file_name"], "sub/ä.jpg");

    let (file, _) = json(&two_images(), CocoProfile::Rle);
    assert_eq!(file["annotations"][0]["segmentation"]["size"].to_string(), "[3,4]");
    assert!(file["annotations"][0]["segmentation"]["counts"].is_string());
    let (file, _) = json(&two_images(), CocoProfile::RleList);
    assert_eq!(file["annotations"][0]["segmentation"]["counts"].to_string(), "[0,4,1,2,1,4]");
}

#[test]
fn the_text_is_ascii_and_the_same_every_time() {
    let (bytes, _) = coco_json(&two_images(), CocoProfile::Polygons, None).unwrap();
    assert!(bytes.is_ascii());
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(text.contains(r#""sub/\u00e4.jpg""#) && text.contains(r#"\u732b \"x\""#), "{text}");
    assert!(!text.contains("date_created"));
    assert_eq!(coco_json(&two_images(), CocoProfile::Polygons, None).unwrap().0, bytes);
    let (dated, _) = coco_json(&two_images(), CocoProfile::Polygons, Some("2026-11-21")).unwrap();
    assert!(String::from_utf8(dated).unwrap().contains(r#""date_created":"2026-11-21""#));
    // Each record has its line.
    assert_eq!(text.lines().filter(|line| line.starts_with(r#"{"id":"#)).count(), 9);
}

#[test]
fn scores_are_short_and_never_nan() {
    let mut dataset = two_images();
    dataset.images[0].annotations[0].predicted_iou = Some(0.912_345_6);
    dataset.images[0].annotations[0].stability = Some(f32::NAN);
    let (file, _) = json(&dataset, CocoProfile::Rle);
    assert_eq!(file["annotations"][0]["predicted_iou"].to_string(), "0.9123");
    assert!(file["annotations"][0].get("stability_score").is_none());
    let (bytes, _) = coco_json(&dataset, CocoProfile::Rle, None).unwrap();
    let read = read_coco_bytes("scores", &bytes).unwrap();
    assert_eq!(read.dataset.images[0].annotations[0].predicted_iou, Some(0.9123));
}

#[test]
fn empty_masks_missing_labels_and_same_stems_are_reported() {
    let empty = drawn(&["....", "....", "...."]);
    let full = drawn(&["####", "####", "####"]);
    let dataset = CocoDataset {
        categories: Vec::new(),
        images: vec![image("a/x.jpg", &[("cat", empty), ("", full.clone())]), image("b/x.png", &[("cat", full)])],
    };
    let (file, report) = json(&dataset, CocoProfile::Polygons);
    assert_eq!(file["annotations"].as_array().unwrap().len(), 2);
    assert_eq!(file["categories"][0]["name"], "unlabelled");
    assert_eq!(
        report.notes,
        [
            CocoWriteNote::SameStem { first: "a/x.jpg".to_owned(), second: "b/x.png".to_owned() },
            CocoWriteNote::EmptyMaskLeftOut { file_name: "a/x.jpg".to_owned(), object: 1 },
            CocoWriteNote::Unlabelled { count: 1 },
        ]
    );
    assert!(report.notes.iter().all(|note| !note.to_string().is_empty()));
}

#[test]
fn what_no_reader_could_use_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.json");
    crate::atomic_file::write_atomically(&path, |writer| writer.write_all(b"old")).unwrap();
    let mask = drawn(&["####", "####", "####"]);
    for name in ["", "/etc/x.png", "..", "a/../../x.png", "a//b.png", "./x.png", "C:\\x.png", "\\x.png"] {
        let dataset = CocoDataset { categories: Vec::new(), images: vec![image(name, &[("a", mask.clone())])] };
        let refused = write_coco(&path, &dataset, CocoProfile::Polygons, None).unwrap_err();
        assert!(matches!(refused, CocoWriteError::FileName { .. }), "{name}: {refused}");
    }
    let mut dataset = two_images();
    dataset.images[0].annotations[1].mask = drawn(&["#"]);
    let refused = write_coco(&path, &dataset, CocoProfile::Rle, None).unwrap_err();
    assert!(matches!(refused, CocoWriteError::MaskSize { object: 2, found_width: 1, .. }), "{refused}");
    let mut dataset = two_images();
    dataset.images[1].width = 70_000;
    assert!(matches!(write_coco(&path, &dataset, CocoProfile::Rle, None), Err(CocoWriteError::ImageSize { .. })));
    let gone = folder.path().join("no such folder/out.json");
    let refused = write_coco(&gone, &two_images(), CocoProfile::Rle, None).unwrap_err();
    assert!(matches!(refused, CocoWriteError::Unwritable { .. }) && refused.to_string().contains("no such folder"));
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

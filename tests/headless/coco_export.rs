//! An export of difficult masks in every profile, checked here and left for real pycocotools to check.
//!
//! `tests/golden/check_with_pycocotools.py` reads what this test leaves in `target/tmp/coco-check`: one JSON file a
//! profile, and `masks/<annotation id>.png` as the truth.

use maskwright::formats::coco::{CocoAnnotation, CocoDataset, CocoImage, CocoProfile, read_coco, write_coco};
use maskwright::raster::{Bitmap, Mask, read_mask_file, write_mask_file};
use std::path::Path;

/// A small generator, so that the files are the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) % u64::from(limit)) as u32
    }
}

/// Discs with discs punched out of them.
fn blobs(width: u32, height: u32, random: &mut Random) -> Bitmap {
    let reach = i64::from(width.min(height)) / 3;
    let discs: Vec<_> = (0..12)
        .map(|i| {
            let (x, y) = (i64::from(random.below(width)), i64::from(random.below(height)));
            (x, y, i64::from(random.below(reach as u32 + 1)), i % 3 != 2)
        })
        .collect();
    Bitmap::from_fn(width, height, |x, y| {
        discs.iter().fold(false, |inside, &(cx, cy, r, fills)| {
            let (dx, dy) = (i64::from(x) - cx, i64::from(y) - cy);
            if dx * dx + dy * dy <= r * r { fills } else { inside }
        })
    })
}

fn difficult_masks(width: u32, height: u32, random: &mut Random) -> Vec<(&'static str, Mask)> {
    let mut noise = |of_ten: u32| Bitmap::from_fn(width, height, |_, _| random.below(10) < of_ten);
    let (sparse, half, dense) = (noise(1), noise(5), noise(9));
    let bitmaps = [
        ("blobs", blobs(width, height, random)),
        ("sparse noise", sparse),
        ("half noise", half),
        ("dense noise", dense),
        ("everything", Bitmap::from_fn(width, height, |_, _| true)),
        ("one pixel", Bitmap::from_fn(width, height, |x, y| (x, y) == (width / 2, height / 2))),
        ("last pixel", Bitmap::from_fn(width, height, |x, y| (x, y) == (width - 1, height - 1))),
        ("frame", Bitmap::from_fn(width, height, |x, y| x == 0 || y == 0 || x == width - 1 || y == height - 1)),
        ("diagonal", Bitmap::from_fn(width, height, |x, y| x == y || x + 1 == y || x + y == height)),
        ("chessboard", Bitmap::from_fn(width, height, |x, y| (x + y) % 2 == 0)),
        ("grille", Bitmap::from_fn(width, height, |x, y| x % 3 == 0 || y % 4 == 0)),
        ("Ränder 猫", Bitmap::from_fn(width, height, |x, _| x % 2 == 0)),
    ];
    bitmaps.into_iter().map(|(label, bitmap)| (label, Mask::from_bitmap(&bitmap))).collect()
}

#[test]
fn every_profile_of_an_export_reads_back_and_is_left_for_pycocotools() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("coco-check");
    let masks = folder.join("masks");
    std::fs::create_dir_all(&masks).unwrap();
    let mut random = Random(2026);
    let mut images = Vec::new();
    for (width, height) in [(64, 48), (33, 57), (5, 3), (1, 1), (1, 200), (640, 480)] {
        let objects = difficult_masks(width, height, &mut random);
        let annotations = objects
            .into_iter()
            // Thousands of parts at this size are right as well, but pycocotools takes minutes to unite them.
            .filter(|(_, mask)| !mask.is_empty() && (width < 640 || mask.runs().len() < 3_000))
            .map(|(label, mask)| CocoAnnotation { predicted_iou: Some(0.9), ..CocoAnnotation::new(label, mask) })
            .collect();
        images.push(CocoImage { file_name: format!("photos/{width}x{height}.png"), width, height, annotations });
    }
    let dataset = CocoDataset { categories: vec!["blobs".to_owned()], images };

    let objects = || dataset.images.iter().flat_map(|image| &image.annotations);
    for (annotation, id) in objects().zip(1..) {
        let path = masks.join(format!("{id:06}.png"));
        let mask = &annotation.mask;
        write_mask_file(&path, mask).unwrap();
        assert_eq!(&read_mask_file(&path, mask.width(), mask.height()).unwrap(), mask);
    }
    for profile in CocoProfile::ALL {
        let path = folder.join(format!("{}.json", profile.name()));
        let report = write_coco(&path, &dataset, profile, Some("2026-11-21")).unwrap();
        assert_eq!((report.notes.len(), report.annotations), (0, objects().count()), "{:?}", report.notes);
        let read = read_coco(&path).unwrap();
        assert_eq!(read.refusals, []);
        assert_eq!(read.dataset.images, dataset.images);
    }
}

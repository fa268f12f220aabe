//! `maskwright demo --headless`: the main job end to end, and its files.

use super::cli_run::{assert_coco_masks, finish, mask, names_in, picture, program};
use std::path::Path;

fn demo(folder: &Path, flags: &[&str]) -> super::cli_run::Run {
    let mut command = program();
    command.current_dir(folder).args(["demo", "-o", "out"]).args(flags);
    finish(command).expect(0)
}

#[test]
fn the_demo_writes_masks_a_sheet_and_exactly_one_coco_file_twice_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let report = demo(folder.path(), &["--headless", "--json"]).json();
    let out = folder.path().join("out");
    assert_eq!(
        names_in(&out),
        ["annotations.json", "astronaut.jpg", "chelsea.jpg", "coffee.jpg", "contact-sheet.png", "masks"]
    );
    let photos = report["photos"].as_array().unwrap();
    let with_objects = photos.iter().filter(|photo| !photo["masks"].as_array().unwrap().is_empty()).count();
    let told: Vec<_> = photos.iter().flat_map(|photo| photo["masks"].as_array().unwrap()).collect();
    assert!(with_objects >= 2 && told.len() >= 3, "{report}");
    assert_eq!(names_in(&out.join("masks")).len(), told.len());
    let masks: Vec<_> = told.iter().map(|told| mask(&folder.path().join(told["file"].as_str().unwrap()))).collect();
    for (mask, told) in masks.iter().zip(&told) {
        assert_eq!(told["area"], mask.area());
        // Acceptable objects are large and sure; a model that lost its way gives crumbs.
        assert!(mask.area() > 2_000 && told["predicted_iou"].as_f64().unwrap() > 0.5, "{told}");
    }
    assert_coco_masks(&out.join("annotations.json"), &masks.iter().collect::<Vec<_>>());
    let sheet = picture(&out.join("contact-sheet.png"));
    assert!(sheet.width > 3 * 512 && sheet.height > 300 + 400 + 512);

    // Without a display the demo needs no flag, says why it opens no window, and writes the same bytes.
    let first: Vec<_> =
        ["annotations.json", "contact-sheet.png"].map(|name| std::fs::read(out.join(name)).unwrap()).into();
    std::fs::remove_dir_all(&out).unwrap();
    let again = demo(folder.path(), &[]);
    assert!(again.stderr.contains("without a window"), "{}", again.stderr);
    assert!(again.stdout.contains("annotations.json"), "{}", again.stdout);
    let second: Vec<_> =
        ["annotations.json", "contact-sheet.png"].map(|name| std::fs::read(out.join(name)).unwrap()).into();
    assert!(first == second, "the demo is not reproducible");
}

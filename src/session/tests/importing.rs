//! Annotations of other tools come into the project.

use super::harness::{SIDE, Stage, name};
use crate::document::{ImageSize, ImportedDataset, ImportedImage, ImportedObject};
use crate::raster::{Bitmap, Mask};
use crate::session::{Command, NoticeLevel};
use std::rc::Rc;

fn square(at: u32) -> Mask {
    sized(at, SIDE, SIDE)
}

fn sized(at: u32, width: u32, height: u32) -> Mask {
    Mask::from_bitmap(&Bitmap::from_fn(width, height, |x, y| (at..at + 4).contains(&x) && (at..at + 4).contains(&y)))
}

fn object(category: &str, mask: Mask) -> ImportedObject {
    ImportedObject { category: Some(category.to_owned()).filter(|name| !name.is_empty()), mask }
}

fn image(file_name: &str, objects: Vec<ImportedObject>) -> ImportedImage {
    ImportedImage { file_name: file_name.to_owned(), width: SIDE, height: SIDE, objects }
}

fn dataset(categories: &[&str], images: Vec<ImportedImage>) -> ImportedDataset {
    let categories = categories.iter().map(|&name| name.to_owned()).collect();
    ImportedDataset { categories, images, ..ImportedDataset::default() }
}

fn import(stage: &mut Stage, dataset: ImportedDataset) {
    *stage.import.lock().unwrap() = Some(dataset);
    stage.session.handle(Command::ImportCoco("coco.json".into()));
    assert_eq!(stage.session.imports.len(), 1);
    stage.until("the import is done", |session| session.imports.is_empty());
}

fn objects(stage: &Stage, image: &str) -> usize {
    stage.session.project.object_count(&name(image))
}

#[test]
fn an_import_is_one_action_that_is_saved_and_undone() {
    let mut stage = Stage::new();
    stage.add_object();
    stage.wish(Command::LabelByName("cat".to_owned()));
    let before = stage.session.project.project.clone();
    let coco = dataset(
        &["dog", "cat", "unused"],
        vec![
            image("1.png", vec![object("dog", square(1)), object(" cat ", square(2)), object("", square(3))]),
            image("10.png", vec![object("dog", square(4))]),
        ],
    );
    import(&mut stage, coco);
    assert!(stage.says(NoticeLevel::Info, "4 objects on 2 pictures imported from coco.json."), "{:?}", stage.texts());
    let labels: Vec<_> = stage.session.project.project.labels().iter().map(|label| label.name.clone()).collect();
    assert_eq!(labels, ["cat", "dog", "unused"]);
    let of = |stage: &Stage, index: usize| {
        let object = stage.object(index);
        let label = object.label.and_then(|id| stage.session.project.project.label(id).map(|l| l.name.clone()));
        (label, object.mask.clone())
    };
    assert_eq!(stage.session.annotations().len(), 4);
    assert_eq!(of(&stage, 1), (Some("dog".to_owned()), square(1)));
    assert_eq!(of(&stage, 2), (Some("cat".to_owned()), square(2)));
    assert_eq!(of(&stage, 3), (None, square(3)));
    let after = stage.session.project.project.clone();
    stage.wish(Command::Undo);
    assert_eq!(stage.session.project.project.labels(), before.labels());
    assert_eq!((objects(&stage, "1.png"), objects(&stage, "10.png")), (1, 0));
    stage.wish(Command::Redo);
    assert_eq!(stage.session.project.project, after);
    stage.until("all is saved", |session| session.project.save == crate::session::SaveState::Saved);
    let stage = stage.restarted();
    assert_eq!(stage.session.project.project, after);
}

#[test]
fn what_has_no_clear_match_is_counted_and_named() {
    let mut stage = Stage::new();
    let one = |file: &str, at| image(file, vec![object("thing", square(at))]);
    let files = ["1.png", "photos\\2.png", "p.png", "q.png", "r.png", "s.png"];
    let images = files.into_iter().zip(1..).map(|(file, at)| one(file, at)).collect();
    import(&mut stage, dataset(&["thing"], images));
    assert_eq!(["1.png", "2.png", "10.png"].map(|file| objects(&stage, file)), [1, 1, 0]);
    let said = "2 objects on 2 pictures imported from coco.json; 4 left out: 4 pictures of the file have no clear match \
                in this folder: p.png, q.png, r.png, and 1 more (4 objects).";
    assert!(stage.says(NoticeLevel::Warning, said), "{:?}", stage.texts());
}

#[test]
fn what_is_there_already_is_not_added_again() {
    let mut stage = Stage::new();
    let coco = || dataset(&["cat"], vec![image("1.png", vec![object("cat", square(1)), object("", square(1))])]);
    import(&mut stage, coco());
    assert_eq!(objects(&stage, "1.png"), 2);
    let after = stage.session.project.project.clone();
    import(&mut stage, coco());
    assert_eq!(stage.session.project.project, after);
    let said = "No object was imported from coco.json; 2 left out: 2 objects are there already.";
    assert!(stage.says(NoticeLevel::Warning, said), "{:?}", stage.texts());
    // The same pixels under another label are another object.
    import(&mut stage, dataset(&["dog"], vec![image("1.png", vec![object("dog", square(1))])]));
    assert_eq!(objects(&stage, "1.png"), 3);
}

#[test]
fn masks_must_fit_their_pictures() {
    let mut stage = Stage::new();
    let larger = |file: &str| ImportedImage {
        width: 40,
        height: 30,
        ..image(
            file,
            vec![
                object("cat", sized(1, 40, 30)),
                object("cat", square(1)),
                object("cat", Mask::from_bitmap(&Bitmap::new(40, 30))),
            ],
        )
    };
    // The first is open, so that its size is known; the second never was.
    let mut coco =
        dataset(&["cat"], vec![larger("1.png"), larger("2.png"), image("2.png", vec![object("cat", square(2))])]);
    coco.refused_objects = 2;
    coco.remarks = vec!["annotation 7 was left out: no".to_owned(), "another".to_owned()];
    import(&mut stage, coco);
    assert_eq!((objects(&stage, "1.png"), objects(&stage, "2.png")), (0, 1));
    let said = "1 object on 1 picture imported from coco.json; 8 left out: 2 pictures have another size in the file: \
                1.png (in the file 40 x 30, here 32 x 32), 2.png (in the file 32 x 32, here 40 x 30) (4 objects); \
                2 objects have no pixels, or a mask of another size than the picture; annotation 7 was left out: no; \
                and 1 more.";
    assert!(stage.says(NoticeLevel::Warning, said), "{:?}", stage.texts());
    let size = |stage: &Stage| stage.session.project.project.image(&name("2.png")).and_then(|entry| entry.size());
    assert_eq!(size(&stage), Some(ImageSize { width: 40, height: 30 }));
    // The file turns out to have another size than the import said: without its objects, the file is right.
    stage.wish(Command::Undo);
    assert_eq!(objects(&stage, "2.png"), 0);
    assert_eq!(stage.session.picture.name, Some(name("2.png")));
    stage.show_picture();
    assert_eq!(size(&stage), Some(ImageSize { width: SIDE, height: SIDE }));
    assert!(stage.session.picture.size_conflict.is_none());
}

#[test]
fn an_import_that_cannot_be_says_why() {
    let mut stage = Stage::new();
    stage.session.handle(Command::ImportCoco("torn.json".into()));
    stage.until("the import failed", |session| session.imports.is_empty());
    let said = "The import of torn.json failed. torn.json: is no COCO JSON";
    assert!(stage.says(NoticeLevel::Error, said), "{:?}", stage.texts());
    assert!(stage.session.undo_title().is_none());
    let folders = (Rc::new(tempfile::tempdir().unwrap()), Rc::new(tempfile::tempdir().unwrap()));
    let mut nothing_open = Stage::in_folders(folders.0, folders.1);
    nothing_open.wish(Command::ImportCoco("coco.json".into()));
    assert!(nothing_open.says(NoticeLevel::Warning, "Open the folder with the pictures first"));
    assert!(nothing_open.session.imports.is_empty());
}

//! COCO out and in again: what the real writer wrote, the real reader brings back into a project, pixel for pixel.

use maskwright::engine::{Engine, EngineOptions, JobError, ModelOpener};
use maskwright::formats::coco::{CocoAnnotation, CocoDataset, CocoImage, CocoProfile, import_coco, write_coco};
use maskwright::inference::fake::FakeSegmenter;
use maskwright::raster::{Bitmap, Mask, write_rgb_png};
use maskwright::session::{Command, ModelChoice, NoticeLevel, Services, Session};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const SIZE: (u32, u32) = (61, 40);

fn session(folder: &Path, data: &Path) -> Session {
    let fake = || -> ModelOpener { Box::new(|| Ok(Arc::new(FakeSegmenter::new()))) };
    let services = Services {
        engine: Box::new(Engine::start(EngineOptions::default(), fake()).unwrap()),
        open_model: Box::new(move |_| fake()),
        exporter: Arc::new(|_, _| unreachable!("nothing is exported here")),
        importer: Arc::new(|path, _| import_coco(path).map_err(|error| JobError::Failed(error.to_string()))),
        data_folder: Some(data.to_path_buf()),
        wake: Arc::new(|| {}),
        model: ModelChoice::BuiltIn,
    };
    let mut session = Session::new(services).unwrap();
    session.handle(Command::Open(vec![folder.to_path_buf()]));
    until(&mut session, "the folder is open", |session| session.picture.name.is_some());
    session
}

fn until(session: &mut Session, what: &str, holds: impl Fn(&Session) -> bool) {
    let start = Instant::now();
    while !holds(session) {
        session.drain(Duration::from_millis(100));
        assert!(start.elapsed() < Duration::from_secs(120), "never: {what}; {:?}", texts(session));
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn texts(session: &Session) -> Vec<String> {
    session.notices.iter().map(|notice| notice.text.clone()).collect()
}

fn import(session: &mut Session, path: &Path) {
    session.handle(Command::ImportCoco(path.to_path_buf()));
    until(session, "the import is done", |session| session.imports.is_empty());
}

fn mask(inside: impl Fn(u32, u32) -> bool) -> Mask {
    Mask::from_bitmap(&Bitmap::from_fn(SIZE.0, SIZE.1, inside))
}

/// Holes, islands, borders, and an object without a label.
fn project() -> CocoDataset {
    let ring = mask(|x, y| (9..200).contains(&((x.abs_diff(20)).pow(2) + (y.abs_diff(18)).pow(2))));
    let image = |file_name: &str, annotations| CocoImage {
        file_name: file_name.to_owned(),
        width: SIZE.0,
        height: SIZE.1,
        annotations,
    };
    CocoDataset {
        categories: vec!["ring".into(), "Häuser 猫".into()],
        images: vec![
            image(
                "a.png",
                vec![
                    CocoAnnotation::new("ring", ring),
                    CocoAnnotation::new("Häuser 猫", mask(|x, y| (x + y) % 2 == 0)),
                ],
            ),
            image(
                "sub/b.png",
                vec![
                    CocoAnnotation::new("", mask(|x, y| x == 0 || y == 0 || x == SIZE.0 - 1)),
                    CocoAnnotation::new("ring", mask(|_, _| true)),
                ],
            ),
        ],
    }
}

#[test]
fn what_was_exported_comes_back_pixel_for_pixel_in_every_profile() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["a.png", "b.png"] {
        write_rgb_png(&folder.path().join(name), &vec![90; 3 * (SIZE.0 * SIZE.1) as usize], SIZE).unwrap();
    }
    let mut session = session(folder.path(), data.path());
    let written = project();
    for profile in CocoProfile::ALL {
        let path = data.path().join(format!("{}.json", profile.name()));
        write_coco(&path, &written, profile, None).unwrap();
        import(&mut session, &path);
        let said = format!("4 objects on 2 pictures imported from {}.", path.display());
        let info = session.notices.iter().any(|notice| notice.level == NoticeLevel::Info && notice.text == said);
        assert!(info, "{profile:?}: {:?}", texts(&session));
        let read = &session.project.project;
        let labels: Vec<&str> = read.labels().iter().map(|label| label.name.as_str()).collect();
        assert_eq!(labels, ["ring", "Häuser 猫"]);
        assert_eq!(read.images().count(), written.images.len());
        for (image, entry) in written.images.iter().zip(read.images()) {
            let objects = entry.annotations().iter().map(|object| {
                let label = object.label.and_then(|id| read.label(id)).map_or("", |label| &label.name);
                CocoAnnotation::new(label, object.mask.clone())
            });
            // The file was written where the second picture lay in a folder of its own.
            assert_eq!(entry.name().as_str(), image.file_name.trim_start_matches("sub/"));
            assert_eq!(objects.collect::<Vec<_>>(), image.annotations, "{profile:?}");
        }
        // A second time it adds nothing, and one step back takes all of the first.
        import(&mut session, &path);
        assert!(texts(&session).last().unwrap().ends_with("4 left out: 4 objects are there already."));
        session.handle(Command::Undo);
        assert_eq!((session.project.project.annotation_count(), session.project.project.labels().len()), (0, 0));
    }
    assert_eq!(session.flush(Duration::from_secs(120)), Ok(()));
}

#[test]
fn a_file_with_faults_brings_the_rest_and_a_torn_one_is_named() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_rgb_png(&folder.path().join("a.png"), &[90; 3 * 8 * 6], (8, 6)).unwrap();
    let mut session = session(folder.path(), data.path());
    let path = folder.path().join("coco.json");
    std::fs::write(
        &path,
        r#"{"images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 6}],
            "categories": [{"id": 1, "name": "cat"}],
            "annotations": [
              {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 4, 1, 4, 4, 1, 4]]},
              {"id": 2, "image_id": 1, "category_id": 1, "segmentation": []}]}"#,
    )
    .unwrap();
    import(&mut session, &path);
    let text = texts(&session).pop().unwrap();
    let said = format!("1 object on 1 picture imported from {}; 1 left out: annotation 2 (id 2)", path.display());
    assert!(text.starts_with(&said), "{text}");
    std::fs::write(&path, "{\"images\": [").unwrap();
    import(&mut session, &path);
    let last = session.notices.last().unwrap();
    assert_eq!(last.level, NoticeLevel::Error);
    assert!(last.text.contains(&path.display().to_string()) && last.text.contains("is no COCO JSON"), "{}", last.text);
    assert_eq!(session.project.project.annotation_count(), 1);
}

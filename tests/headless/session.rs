//! The application without a window on a real engine: from a folder on disk to an object that a restart finds again.

use maskwright::engine::{Engine, EngineOptions, ModelOpener};
use maskwright::geometry::ImagePoint;
use maskwright::inference::fake::FakeSegmenter;
use maskwright::prompt::Polarity;
use maskwright::raster::write_rgb_png;
use maskwright::session::{Command, ModelChoice, PicturePhase, SaveState, Services, Session};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn open(folder: &Path, data: &Path) -> Session {
    let fake = || -> ModelOpener { Box::new(|| Ok(Arc::new(FakeSegmenter::new()))) };
    let services = Services {
        engine: Box::new(Engine::start(EngineOptions::default(), fake()).expect("threads")),
        open_model: Box::new(move |_| fake()),
        exporter: Arc::new(|_, _| unreachable!("nothing is exported here")),
        importer: Arc::new(|_, _| unreachable!("nothing is imported here")),
        data_folder: Some(data.to_path_buf()),
        wake: Arc::new(|| {}),
        model: ModelChoice::BuiltIn,
    };
    let mut session = Session::new(services).expect("a thread");
    session.handle(Command::Open(vec![folder.to_path_buf()]));
    until(&mut session, "the picture is there", |s| matches!(s.picture.phase, PicturePhase::Ready(_)));
    session
}

fn until(session: &mut Session, what: &str, holds: impl Fn(&Session) -> bool) {
    let start = Instant::now();
    while !holds(session) {
        session.drain(Duration::from_millis(100));
        let texts: Vec<&str> = session.notices.iter().map(|notice| notice.text.as_str()).collect();
        assert!(start.elapsed() < Duration::from_secs(120), "never: {what}; {texts:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn click(x: f32, y: f32, polarity: Polarity) -> Command {
    Command::AddPoint { at: ImagePoint::new(x, y), polarity }
}

#[test]
fn a_click_on_a_real_engine_becomes_an_object_that_a_restart_finds() {
    let (folder, data) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    for (name, grey) in [("a.png", 60u8), ("b.png", 90)] {
        write_rgb_png(&folder.path().join(name), &vec![grey; 3 * 200 * 100], (200, 100)).expect("written");
    }
    let mut session = open(folder.path(), data.path());
    // Two clicks at once, before the encoder can be done: the newest question is the one that is answered.
    session.handle(click(50.0, 50.0, Polarity::Include));
    session.handle(click(190.0, 10.0, Polarity::Exclude));
    session.handle(Command::AcceptDraft);
    until(&mut session, "the object is there", |s| s.annotations().len() == 1);
    let object = session.annotations()[0].clone();
    assert!(object.mask.contains(50, 50) && !object.mask.contains(190, 10));
    assert_eq!(object.origin.as_ref().map(|origin| origin.prompt.steps.len()), Some(2));
    session.handle(Command::LabelByName("disc".to_owned()));
    session.handle(Command::NextImage);
    until(&mut session, "the next picture is there", |s| matches!(s.picture.phase, PicturePhase::Ready(_)));
    session.handle(click(20.0, 20.0, Polarity::Include));
    until(&mut session, "three candidates are there", |s| s.context().choosing);
    until(&mut session, "all is saved", |s| s.project.save == SaveState::Saved);
    let project = session.project.project.clone();
    drop(session);

    let mut session = open(folder.path(), data.path());
    assert_eq!(session.project.project, project);
    // The prompt that was not accepted is there too, and answered.
    until(&mut session, "the draft is answered", |s| s.prompting.answer.is_some());
    session.handle(Command::PreviousImage);
    until(&mut session, "the first picture is there", |s| matches!(s.picture.phase, PicturePhase::Ready(_)));
    // Reopened and accepted as it is, the same prompt gives the same mask.
    let id = session.annotations()[0].id;
    session.handle(Command::Reopen(id));
    session.handle(Command::AcceptDraft);
    until(&mut session, "the object is corrected", |s| s.undo_title() == Some("change mask"));
    assert_eq!(session.annotations()[0].mask, object.mask);
    assert_eq!(session.flush(Duration::from_secs(120)), Ok(()));
}

//! Work is saved as it is made.

use super::harness::{Stage, model, name, point};
use crate::document::store::break_writes;
use crate::engine::Event;
use crate::session::{Access, Command, ModelChoice, NoticeLevel, PastedPicture, SampleFile, SaveState};
use std::time::Duration;

#[test]
fn a_restart_finds_objects_labels_and_the_picture_again() {
    let mut stage = Stage::new();
    stage.add_object();
    stage.wish(Command::LabelByName("cat".to_owned()));
    stage.wish(Command::NextImage);
    stage.show_picture();
    stage.add_object();
    stage.wish(Command::Undo);
    stage.add_object();
    stage.until("all is saved", |session| session.project.save == SaveState::Saved);
    let project = stage.session.project.project.clone();
    let stage = stage.restarted();
    assert_eq!(stage.session.project.project, project);
    assert_eq!(stage.session.picture.name, Some(name("2.png")));
    assert_eq!(stage.session.undo_title(), None);
    assert!(stage.texts().is_empty(), "{:?}", stage.texts());
}

#[test]
fn a_failed_save_is_told_and_tried_again_until_it_works() {
    let mut stage = Stage::new();
    stage.until("all is saved", |session| session.project.save == SaveState::Saved);
    break_writes(&stage.store_path(), true);
    stage.add_object();
    stage.until("it is told", |session| matches!(session.project.save, SaveState::Failed(_)));
    assert!(stage.says(NoticeLevel::Error, "not saved yet"));
    stage.wish(Command::LabelByName("cat".to_owned()));
    assert!(stage.session.flush(Duration::from_secs(60)).is_err());
    // Nothing else is opened over unsaved work.
    let elsewhere = Stage::new();
    let other = elsewhere.folder.clone();
    drop(elsewhere);
    stage.session.handle(Command::Open(vec![other.path().to_path_buf()]));
    stage.until("it is refused", |session| !session.project.opening);
    assert!(stage.says(NoticeLevel::Error, "not saved yet, so nothing else was opened"));
    assert_eq!(stage.session.project.folder.as_deref(), Some(stage.folder.path()));
    break_writes(&stage.store_path(), false);
    stage.wish(Command::SaveNow);
    stage.until("all is saved", |session| session.project.save == SaveState::Saved);
    assert_eq!(stage.session.flush(Duration::from_secs(60)), Ok(()));
    let project = stage.session.project.project.clone();
    assert_eq!(stage.restarted().session.project.project, project);
}

#[test]
fn a_second_session_looks_and_changes_nothing() {
    let mut stage = Stage::new();
    stage.add_object();
    stage.until("all is saved", |session| session.project.save == SaveState::Saved);
    let mut second = Stage::in_folders(stage.folder.clone(), stage.data.clone());
    second.open();
    second.tell(Event::ModelReady(model("model")));
    assert!(matches!(&second.session.project.access, Access::ReadOnly { owner } if owner.contains("process")));
    assert_eq!(second.session.annotations().len(), 1);
    second.wish(Command::Select(Some(second.object(0).id)));
    second.wish(Command::DeleteSelected);
    second.wish(point(16.0, 16.0));
    second.answer();
    second.wish(Command::AcceptDraft);
    assert_eq!(second.session.annotations().len(), 1);
    assert!(second.says(NoticeLevel::Warning, "nothing can be changed here"));
    // The first goes, and the folder opened again is ours.
    drop(stage);
    second.session.handle(Command::Open(vec![second.folder.path().to_path_buf()]));
    second.until("it is ours", |session| session.project.access == Access::ReadWrite);
}

#[test]
fn edits_made_while_another_folder_opens_go_where_they_belong() {
    let mut stage = Stage::new();
    stage.add_object();
    let id = stage.object(0).id;
    let other = Stage::new();
    let other_folder = other.folder.clone();
    drop(other);
    stage.session.handle(Command::Open(vec![other_folder.path().to_path_buf()]));
    // Not drained yet: the session still has the first project.
    stage.session.handle(Command::SetHidden(id, true));
    stage.session.handle(Command::Open(vec![stage.folder.path().to_path_buf()]));
    let first = stage.folder.path().to_path_buf();
    stage.until("the first folder is back", |session| {
        !session.project.opening && session.project.folder.as_deref() == Some(&*first)
    });
    assert!(stage.object(0).hidden);
    assert!(stage.is_writable());
}

#[test]
fn single_files_samples_and_pasted_pixels_open_as_folders_do() {
    let mut stage = Stage::new();
    stage.wish(Command::Open(vec![stage.path("2.png"), stage.path("10.png"), "absent.png".into()]));
    stage.until("two are listed", |session| session.project.listed.len() == 2);
    assert_eq!(stage.session.picture.name, Some(name("2.png")));
    assert!(stage.says(NoticeLevel::Warning, "1 of the picked files"));
    assert_eq!(stage.session.project.project.images().len(), 3);

    let pasted = PastedPicture { width: 2, height: 1, rgba: vec![0, 0, 0, 255, 10, 20, 30, 0].into() };
    stage.wish(Command::OpenPasted(pasted));
    stage.until("it is open", |session| session.picture.name == Some(name("pasted-1.png")));
    let kept = crate::raster::decode_picture(&stage.data.path().join("pasted/pasted-1.png")).unwrap();
    assert_eq!((kept.width, kept.height, &kept.rgb[..]), (2, 1, &[0, 0, 0, 255, 255, 255][..]));
    let torn = PastedPicture { width: 2, height: 2, rgba: vec![0; 4].into() };
    stage.wish(Command::OpenPasted(torn));
    stage.until("it is refused", |session| !session.project.opening);
    assert!(stage.says(NoticeLevel::Error, "expected 16"));

    let sample = SampleFile { name: "cat.png", bytes: b"a picture" };
    stage.wish(Command::OpenSamples(vec![sample]));
    stage.until("it is open", |session| session.picture.name == Some(name("cat.png")));
    assert_eq!(std::fs::read(stage.data.path().join("samples/cat.png")).unwrap(), b"a picture");

    stage.wish(Command::Open(vec![stage.path("absent")]));
    stage.until("it is refused", |session| !session.project.opening);
    assert!(stage.says(NoticeLevel::Error, "absent"));
    let empty = tempfile::tempdir().unwrap();
    stage.wish(Command::Open(vec![empty.path().to_path_buf()]));
    stage.until("it is refused", |session| !session.project.opening);
    assert!(stage.says(NoticeLevel::Error, "no picture in this folder"));
    assert_eq!(stage.session.picture.name, Some(name("cat.png")));
}

#[test]
fn a_picture_that_changed_its_size_keeps_its_objects_untouched() {
    let mut stage = Stage::new();
    stage.add_object();
    let fresh = stage.restarted();
    let mut stage = Stage::in_folders(fresh.folder.clone(), fresh.data.clone());
    drop(fresh);
    stage.session.handle(Command::Open(vec![stage.folder.path().to_path_buf()]));
    stage.until("the folder is open", |session| session.picture.name.is_some());
    stage.show_picture_of(20, 10);
    stage.tell(Event::ModelReady(model("model")));
    assert!(stage.says(NoticeLevel::Error, "20 x 10") && stage.session.picture.size_conflict.is_some());
    assert_eq!((stage.session.annotations().len(), stage.session.drawn_objects().count()), (1, 0));
    stage.wish(point(5.0, 5.0));
    assert!(stage.session.prompting.draft.is_empty());
    // A file that is gone keeps its objects too.
    std::fs::remove_file(stage.path("1.png")).unwrap();
    let folder = stage.folder.path().to_path_buf();
    stage.wish(Command::Open(vec![folder]));
    stage.until("the folder is read again", |session| session.project.missing.contains(&name("1.png")));
    assert_eq!(stage.session.project.object_count(&name("1.png")), 1);
}

#[test]
fn another_model_is_asked_again_and_a_bad_one_changes_nothing() {
    let mut stage = Stage::new();
    stage.wish(point(16.0, 16.0));
    let before = stage.last_asked();
    stage.wish(Command::SetModel(ModelChoice::Path("sam.safetensors".into())));
    assert!(stage.session.model.opening && stage.script.borrow().models == 1);
    stage.tell(Event::ModelFailed(crate::engine::Problem::new("a pickle")));
    assert!(stage.says(NoticeLevel::Error, "model goes on. a pickle") && !stage.session.model.opening);
    stage.tell(Event::ModelReady(model("sam")));
    let after = stage.last_asked();
    assert!(after.generation > before.generation && after.prompt == before.prompt);
    stage.answer_to(&before);
    assert!(stage.session.prompting.answer.is_none());
}

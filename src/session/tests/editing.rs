//! What is done with finished objects and labels.

use super::harness::{Stage, name, point};
use crate::engine::Event;
use crate::geometry::ImagePoint;
use crate::session::{
    CocoSegmentation, Command, ExportKind, ExportRequest, ExportScope, NoticeLevel, Output, PicturePhase, Tool,
};

#[test]
fn objects_are_selected_hidden_locked_copied_and_deleted() {
    let mut stage = Stage::new();
    stage.add_object();
    let id = stage.object(0).id;
    stage.wish(Command::DuplicateSelected);
    let copy = stage.object(1);
    assert!(copy.id != id && copy.mask == stage.object(0).mask);
    assert_eq!(stage.session.objects.selection, Some(copy.id));
    stage.wish(Command::SelectNext);
    assert_eq!(stage.session.objects.selection, Some(id));
    stage.wish(Command::SelectPrevious);
    assert_eq!(stage.session.objects.selection, Some(copy.id));
    // The topmost object that is not hidden is hit.
    stage.wish(Command::SelectAt(ImagePoint::new(16.0, 16.0)));
    assert_eq!(stage.session.objects.selection, Some(copy.id));
    stage.wish(Command::ToggleHiddenSelected);
    assert_eq!(stage.session.drawn_objects().count(), 1);
    stage.wish(Command::SelectAt(ImagePoint::new(16.0, 16.0)));
    assert_eq!(stage.session.objects.selection, Some(id));
    stage.wish(Command::SelectAt(ImagePoint::new(-1.0, 16.0)));
    assert_eq!(stage.session.objects.selection, None);
    // All hidden, all shown: one action each.
    stage.wish(Command::ToggleAllHidden);
    assert_eq!(stage.session.drawn_objects().count(), 0);
    stage.wish(Command::ToggleAllHidden);
    assert_eq!(stage.session.drawn_objects().count(), 2);
    stage.wish(Command::Undo);
    assert_eq!(stage.session.drawn_objects().count(), 0);
    stage.wish(Command::SetLocked(id, true));
    stage.wish(Command::Delete(id));
    assert!(stage.session.annotations().len() == 2 && stage.says(NoticeLevel::Warning, "locked"));
    stage.wish(Command::MoveAnnotation(id, 99));
    assert_eq!(stage.object(1).id, id);
    stage.wish(Command::SetLocked(id, false));
    stage.wish(Command::Select(Some(id)));
    stage.wish(Command::Rename(id, Some("  left one ".to_owned())));
    assert_eq!(stage.object(1).name.as_deref(), Some("left one"));
    stage.wish(Command::DeleteSelected);
    assert_eq!((stage.session.annotations().len(), stage.session.objects.selection), (1, None));
    stage.wish(Command::Escape);
    assert_eq!(stage.session.tool, Tool::Select);
}

#[test]
fn labels_are_made_given_and_taken_in_one_action_each() {
    let mut stage = Stage::new();
    stage.add_object();
    stage.wish(Command::LabelByNumber(1));
    assert!(stage.says(NoticeLevel::Warning, "no label 1"));
    stage.wish(Command::LabelByName(" cat ".to_owned()));
    let cat = stage.object(0).label.expect("labelled");
    assert_eq!(stage.session.project.project.label(cat).unwrap().name, "cat");
    assert_eq!(stage.session.drawn_objects().next().unwrap().1, stage.session.project.project.labels()[0].colour);
    stage.wish(Command::Undo);
    assert!(stage.object(0).label.is_none() && stage.session.project.project.labels().is_empty());
    assert_eq!(stage.session.objects.active_label, None);
    stage.wish(Command::Redo);
    stage.wish(Command::SetLabel(stage.object(0).id, Some(cat)));
    // The next object gets the same label without a word.
    stage.add_object();
    assert_eq!(stage.object(1).label, Some(cat));
    stage.wish(Command::AddLabel("cat".to_owned()));
    assert!(stage.says(NoticeLevel::Warning, "already"));
    stage.wish(Command::AddLabel("dog".to_owned()));
    // While an object is said, a number names it and not the selected one.
    stage.wish(point(16.0, 16.0));
    stage.wish(point(17.0, 16.0));
    stage.wish(Command::LabelByNumber(2));
    stage.answer();
    stage.wish(Command::AcceptDraft);
    stage.until("the third object is there", |session| session.annotations().len() == 3);
    let dog = stage.session.project.project.label_named("dog").unwrap().id;
    assert_eq!([0, 1, 2].map(|index| stage.object(index).label), [Some(cat), Some(cat), Some(dog)]);
    stage.wish(Command::RemoveLabel(cat));
    assert_eq!([0, 1, 2].map(|index| stage.object(index).label), [None, None, Some(dog)]);
    stage.wish(Command::Undo);
    assert_eq!(stage.object(1).label, Some(cat));
    assert_eq!(stage.session.project.project.labels()[0].id, cat);
}

#[test]
fn undo_goes_to_the_picture_it_changes() {
    let mut stage = Stage::new();
    stage.add_object();
    stage.wish(Command::NextImage);
    stage.show_picture();
    assert_eq!(stage.session.picture.name, Some(name("2.png")));
    stage.wish(Command::Undo);
    assert_eq!(stage.session.picture.name, Some(name("1.png")));
    stage.show_picture();
    assert!(stage.session.annotations().is_empty());
}

#[test]
fn pictures_follow_each_other_as_people_count() {
    let mut stage = Stage::new();
    let listed: Vec<String> = stage.session.project.listed.iter().map(ToString::to_string).collect();
    assert_eq!(listed, ["1.png", "2.png", "10.png"]);
    assert_eq!(stage.script.borrow().ahead, [stage.path("2.png"), stage.path("10.png")]);
    stage.wish(Command::PreviousImage);
    assert_eq!(stage.session.picture.name, Some(name("1.png")));
    stage.wish(Command::NextImage);
    // The answer to the first wish comes after the second was made.
    let (early, _) = stage.script.borrow().opened.last().cloned().unwrap();
    stage.wish(Command::NextImage);
    stage.tell(Event::PictureFailed {
        generation: early,
        name: "2.png".to_owned(),
        problem: crate::engine::Problem::new("torn"),
    });
    assert!(matches!(stage.session.picture.phase, PicturePhase::Opening) && !stage.says(NoticeLevel::Error, "torn"));
    let (late, path) = stage.script.borrow().opened.last().cloned().unwrap();
    assert_eq!(path, stage.path("10.png"));
    stage.tell(Event::PictureFailed {
        generation: late,
        name: "10.png".to_owned(),
        problem: crate::engine::Problem::new("torn"),
    });
    assert!(matches!(&stage.session.picture.phase, PicturePhase::Failed(why) if why == "torn"));
    stage.wish(point(1.0, 1.0));
    assert!(stage.session.prompting.draft.is_empty());
    stage.wish(Command::NextImage);
    assert_eq!(stage.session.picture.name, Some(name("10.png")));
    // Asked for again, it is tried again.
    stage.wish(Command::ShowImage(name("10.png")));
    stage.show_picture();
}

#[test]
fn exports_say_what_they_wrote() {
    let mut stage = Stage::new();
    let request = |scope| {
        Command::Export(ExportRequest {
            what: ExportKind::Coco(CocoSegmentation::Rle),
            scope,
            path: "annotations.json".into(),
        })
    };
    stage.wish(request(ExportScope::Folder));
    assert!(stage.says(NoticeLevel::Warning, "no object") && stage.session.export.is_none());
    stage.add_object();
    stage.wish(Command::NextImage);
    stage.show_picture();
    stage.add_object();
    stage.add_object();
    for (scope, report) in [
        (ExportScope::ThisImage, "Wrote 2 objects of 1 pictures to annotations.json."),
        (ExportScope::Folder, "Wrote 3 objects of 2 pictures to annotations.json."),
    ] {
        stage.session.handle(request(scope));
        assert!(stage.session.export.is_some());
        stage.until("the export is done", |session| session.export.is_none());
        assert!(stage.says(NoticeLevel::Info, report), "{:?}", stage.texts());
        assert!(stage.says(NoticeLevel::Warning, "a remark"));
    }
}

#[test]
fn a_cut_out_goes_to_the_clipboard() {
    let mut stage = Stage::new();
    stage.add_object();
    let bounds = stage.object(0).mask.bounds().unwrap();
    stage.wish(Command::CopyCutout);
    stage.until("it is told", |session| session.notices.iter().any(|notice| notice.text.contains("Copied")));
    let outputs = stage.session.take_outputs();
    let [Output::CopyPicture(picture)] = outputs.as_slice() else { panic!("one picture") };
    assert_eq!((picture.width, picture.height), (bounds.width, bounds.height));
    let inside = picture.rgba.chunks_exact(4).filter(|pixel| pixel == &[128, 128, 128, 255]).count();
    assert_eq!(inside as u64, stage.object(0).mask.area());
    assert!(stage.session.take_outputs().is_empty());
}

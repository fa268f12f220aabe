//! From a click to a file, and every step back.

use super::support::{APPLE, LIME, RADIUS, Setup, TestWindow};
use egui::{Key, Modifiers, PointerButton};
use egui_kittest::kittest::Queryable;
use maskwright::geometry::ImagePoint;
use maskwright::inference::fake::FakeSegmenter;
use maskwright::session::Session;
use maskwright::ui::hints::{EMPTY_MASK, FIRST_CONTACT};
use std::time::Duration;

fn shown(session: &Session) -> usize {
    session.prompting.answer.as_ref().map_or(usize::MAX, |answer| answer.shown)
}

#[test]
fn from_click_to_coco_and_back() {
    let mut window = TestWindow::ready(Setup::default());
    assert!(window.shows(FIRST_CONTACT));
    window.enter("Label name", "fruit");
    window.enter("Label name", "apple");
    window.until("the labels are there", |session| session.project.project.labels().len() == 2);

    window.click_apple();
    assert!(!window.shows(FIRST_CONTACT));
    assert!(window.shows("Candidate 1, IoU 0.70") && window.shows("Candidate 3, IoU 0.80"));
    assert_eq!(shown(window.session()), 1, "the best predicted IoU is shown first");
    window.key(Key::Num3);
    assert_eq!(shown(window.session()), 2);
    window.key(Key::Num2);
    assert_eq!(shown(window.session()), 1);
    window.key(Key::Enter);
    window.until("the object is there", |session| session.project.project.annotation_count() == 1);
    let area = window.objects()[0].mask.area() as f32;
    let expected = std::f32::consts::PI * RADIUS * RADIUS;
    assert!((area / expected - 1.0).abs() < 0.05, "area {area}, expected about {expected}");

    let id = window.objects()[0].id;
    assert_eq!(window.session().objects.selection, Some(id), "what was just kept is selected, to be named");
    let at_first = window.objects()[0].label;
    window.key(Key::Num2);
    let label = window.session().project.project.labels()[1].id;
    assert_ne!(at_first, Some(label));
    assert_eq!(window.objects()[0].label, Some(label));
    assert!(window.shows("Object 1: apple"));

    window.ctrl(Key::Z);
    assert_eq!(window.objects()[0].label, at_first);
    window.ctrl(Key::Z);
    assert!(window.objects().is_empty());
    for _ in 0..2 {
        window.harness.key_press_modifiers(Modifiers::COMMAND | Modifiers::SHIFT, Key::Z);
        window.frames();
    }
    assert_eq!(window.objects()[0].label, Some(label));

    window.ctrl(Key::E);
    window.push("Write export");
    window.until("the export is done", |session| session.export.is_none() && session.last_export.is_some());
    assert!(window.shows("1 objects of 1 pictures written"));
    let text = std::fs::read_to_string(window.folder.join("annotations.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(file["annotations"].as_array().map(Vec::len), Some(1));
    assert_eq!(file["annotations"][0]["area"].as_f64(), Some(f64::from(area)));
    assert_eq!(file["categories"][1]["name"], "apple");
    assert_eq!(file["annotations"][0]["category_id"], 2);
    window.push("Done");
    assert!(!window.shows("Write export"));
}

#[test]
fn right_click_excludes_and_an_empty_mask_says_what_to_try() {
    let mut window = TestWindow::ready(Setup::default());
    window.press(LIME, PointerButton::Secondary);
    window.until("there is an answer", |session| session.prompting.answer.is_some() && !session.prompting.waiting);
    assert!(window.shows(EMPTY_MASK));
    window.key(Key::Escape);
    assert!(window.session().prompting.draft.is_empty());
    assert!(window.shows(FIRST_CONTACT));
}

#[test]
fn a_drag_is_a_box_and_gives_one_answer() {
    let mut window = TestWindow::ready(Setup::default());
    let (from, to) = (window.at(ImagePoint::new(320.0, 40.0)), window.at(ImagePoint::new(460.0, 180.0)));
    window.harness.drag_at(from);
    window.harness.step();
    for share in [0.3, 0.7, 1.0] {
        window.harness.hover_at(from + (to - from) * share);
        window.harness.step();
    }
    window.harness.drop_at(to);
    window.until("there is an answer", |session| session.prompting.answer.is_some() && !session.prompting.waiting);
    assert!(window.session().prompting.draft.box_step().is_some());
    assert!(!window.shows("Candidate 1"), "a box has one answer");
    window.push("Accept");
    window.until("the object is there", |session| session.project.project.annotation_count() == 1);
    assert!(window.objects()[0].mask.contains(390, 110));
}

#[test]
fn the_wheel_over_the_strip_changes_candidates_and_does_not_zoom() {
    let mut window = TestWindow::ready(Setup::default());
    window.click_apple();
    let first = window.harness.get_by_label_contains("Candidate 1").rect().center();
    let zoom_before = window.session().picture.visible;
    window.harness.hover_at(first);
    window.frames();
    for (lines, expected) in [(-1.0, 2), (-1.0, 0), (1.0, 2)] {
        window.harness.event(egui::Event::MouseWheel {
            unit: egui::MouseWheelUnit::Line,
            delta: egui::vec2(0.0, lines),
            phase: egui::TouchPhase::Move,
            modifiers: Modifiers::NONE,
            source: egui::MouseWheelSource::Wheel,
        });
        window.frames();
        assert_eq!(shown(window.session()), expected);
    }
    window.harness.run_steps(30);
    assert_eq!(window.session().picture.visible, zoom_before);
}

#[test]
fn tab_takes_the_next_candidate_and_leaves_enter_to_accept() {
    let mut window = TestWindow::ready(Setup::default());
    window.click_apple();
    window.key(Key::Tab);
    assert_eq!(shown(window.session()), 2);
    window.harness.get_by_label_contains("Candidate 1").click();
    window.frames();
    assert_eq!(shown(window.session()), 0);
    window.key(Key::Enter);
    window.until("the object is there", |session| session.project.project.annotation_count() == 1);
    window.key(Key::F6);
    assert!(window.harness.ctx.memory(|memory| memory.focused().is_some()), "F6 leads to the panels");
}

#[test]
fn a_double_click_keeps_the_mask() {
    let mut window = TestWindow::ready(Setup::default());
    window.click(APPLE);
    window.click(APPLE);
    window.until("the object is there", |session| session.project.project.annotation_count() == 1);
    assert!(window.session().prompting.draft.is_empty());
}

#[test]
fn clicks_made_while_the_picture_is_prepared_wait_and_are_answered() {
    let segmenter = FakeSegmenter::new().with_encode_delay(Duration::from_millis(1500));
    let mut window = TestWindow::open(Setup { segmenter, ..Setup::default() });
    window.until("the picture can be seen", |session| session.picture.handle().is_some());
    window.click(APPLE);
    assert!(window.shows("Your click waits"));
    window.until("the click is answered", |session| !session.prompting.waiting && session.prompting.answer.is_some());
    assert!(!window.shows("Your click waits"));
}

#[test]
fn objects_are_hidden_locked_reopened_and_deleted_by_their_buttons() {
    let mut window = TestWindow::ready(Setup::default());
    window.accept_apple();
    window.push("Hide object 1");
    assert!(window.objects()[0].hidden);
    window.push("Show object 1");
    assert!(!window.objects()[0].hidden);
    if window.session().objects.selection.is_none() {
        window.push("Object 1: No label");
    }
    window.push("Lock object 1");
    window.key(Key::Delete);
    assert_eq!(window.objects().len(), 1, "a locked object stays");
    window.push("Unlock object 1");
    window.push("Correct object 1");
    assert!(window.session().prompting.draft.correcting().is_some());
    assert!(window.shows("Correcting an object"));
    window.key(Key::Escape);
    if window.session().objects.selection.is_none() {
        window.push("Object 1: No label");
    }
    window.push("Delete object 1");
    assert!(window.objects().is_empty());
    window.ctrl(Key::Z);
    assert_eq!(window.objects().len(), 1);
}

#[test]
fn labels_are_added_renamed_and_removed_and_letters_typed_are_no_commands() {
    let mut window = TestWindow::ready(Setup { pictures: vec!["a.png", "b.png"], ..Setup::default() });
    window.enter("Label name", "dad");
    window.until("the label is there", |session| session.project.project.labels().len() == 1);
    let first = window.session().picture.name.clone();
    assert_eq!(first.as_ref().map(|name| name.as_str()), Some("a.png"), "the d of dad did not go to the next picture");
    window.push("Label dad");
    window.push("Rename label dad");
    window.harness.get_by_label("New name of the label").type_text("dy");
    window.frames();
    window.key(Key::Enter);
    assert_eq!(window.session().project.project.labels()[0].name, "daddy");
    window.push("Remove label daddy");
    assert!(window.session().project.project.labels().is_empty());
    window.key(Key::D);
    window.until("the next picture is shown", |session| {
        session.picture.name.as_ref().is_some_and(|name| name.as_str() == "b.png")
    });
}

//! From clicks to objects.

use super::harness::{Stage, candidates, model, name, point};
use crate::engine::{Event, Problem};
use crate::geometry::{ImagePoint, ImageRect, PixelRect};
use crate::prompt::{Polarity, PromptStep};
use crate::session::{Command, EncodePhase, NoticeLevel, Shortcut, Tool};

#[test]
fn a_click_becomes_an_object_with_its_prompt() {
    let mut stage = Stage::new();
    stage.wish(point(16.0, 16.0));
    assert!(stage.session.prompting.waiting && stage.session.prompting.answer.is_none());
    stage.answer();
    let context = stage.session.context();
    assert!(context.drafting && context.choosing && !stage.session.prompting.waiting);
    assert_eq!(stage.session.prompting.answer.as_ref().unwrap().shown, 1);
    stage.wish(Command::ChooseCandidate(2));
    let field = stage.session.prompting.answer.as_ref().unwrap().shown_field().unwrap().clone();
    stage.wish(Command::SetThreshold(0.5));
    stage.wish(Command::AcceptDraft);
    assert!(stage.session.prompting.draft.is_empty());
    stage.until("the object is there", |session| session.annotations().len() == 1);
    let object = stage.object(0);
    assert_eq!(object.mask, field.to_mask(32, 32, 0.5));
    let origin = object.origin.as_ref().unwrap();
    assert_eq!((origin.threshold, origin.predicted_iou, origin.stability), (0.5, 0.8, 0.95));
    assert_eq!((origin.prompt.choice, origin.prompt.steps.len()), (Some(2), 1));
    assert_eq!(origin.model_id, "model");
    assert_eq!(stage.session.objects.selection, Some(object.id));
    assert!(stage.session.prompting.answer.is_none() && stage.session.tool == Tool::Prompt);
    assert_eq!(stage.session.timings.decode_ms, Some(5.0));
}

#[test]
fn the_newest_question_wins_and_older_answers_are_dropped() {
    let mut stage = Stage::new();
    stage.wish(point(10.0, 10.0));
    let first = stage.last_asked();
    stage.wish(Command::AddPoint { at: ImagePoint::new(20.0, 20.0), polarity: Polarity::Exclude });
    let second = stage.last_asked();
    assert!(second.generation > first.generation);
    stage.answer_to(&first);
    assert!(stage.session.prompting.answer.is_none() && stage.session.prompting.waiting);
    stage.answer_to(&second);
    assert_eq!(stage.session.prompting.answer.as_ref().unwrap().generation, second.generation);
    stage.wish(Command::DropDraft);
    stage.answer_to(&second);
    assert!(stage.session.prompting.answer.is_none());
    // An answer about another picture under the right number is none either.
    stage.wish(point(1.0, 1.0));
    let mut other = stage.last_asked();
    other.picture = crate::engine::PictureHandle::new((*other.picture).clone());
    stage.answer_to(&other);
    assert!(stage.session.prompting.answer.is_none());
}

#[test]
fn within_a_drag_older_answers_are_shown_until_the_newest_comes() {
    let mut stage = Stage::new();
    stage.wish(point(10.0, 10.0));
    stage.answer();
    let moved = |x| Command::MovePoint { step: 0, to: ImagePoint::new(x, 10.0) };
    stage.wish(moved(11.0));
    let early = stage.last_asked();
    stage.wish(moved(12.0));
    stage.wish(moved(99.0));
    let last = stage.last_asked();
    stage.answer_to(&early);
    assert_eq!(stage.session.prompting.answer.as_ref().unwrap().generation, early.generation);
    assert!(stage.session.prompting.waiting);
    stage.answer_to(&last);
    assert!(!stage.session.prompting.waiting);
    // The drag went to the picture's edge and is one action.
    let at = |stage: &Stage| match stage.session.prompting.draft.prompt().steps[0] {
        PromptStep::Point { at, .. } => at.x,
        _ => panic!("a point"),
    };
    assert_eq!(at(&stage), 32.0);
    stage.wish(Command::EndDrag);
    stage.wish(moved(5.0));
    stage.wish(Command::Undo);
    assert_eq!(at(&stage), 32.0);
    stage.wish(Command::Undo);
    assert_eq!(at(&stage), 10.0);
    // The drag is over: its old answers no longer take the place of what is shown.
    stage.answer_to(&early);
    assert_eq!(stage.session.prompting.answer.as_ref().unwrap().generation, last.generation);
}

#[test]
fn clicks_before_model_and_encoder_wait_and_are_answered() {
    let fresh = Stage::new();
    let mut stage = Stage::in_folders(fresh.folder.clone(), fresh.data.clone());
    drop(fresh);
    stage.open();
    stage.wish(point(16.0, 16.0));
    stage.wish(Command::AcceptDraft);
    assert!(stage.session.prompting.waiting && stage.script.borrow().asked.is_empty());
    stage.tell(Event::ModelReady(model("model")));
    assert_eq!(stage.script.borrow().encoded, [None]);
    assert_eq!(stage.session.picture.encode, EncodePhase::Running { share: 0.0 });
    let (id, whole) = (stage.last_asked().picture.id(), PixelRect::of_size(32, 32));
    stage.tell(Event::EncodeProgress { picture: id, view: whole, share: 0.5 });
    assert_eq!(stage.session.picture.encode, EncodePhase::Running { share: 0.5 });
    // Accepted again while it waits: kept as soon as the answer comes.
    stage.wish(Command::AcceptDraft);
    assert!(stage.session.prompting.accept_when_ready && stage.session.annotations().is_empty());
    stage.answer();
    stage.until("the object is there", |session| session.annotations().len() == 1);
}

#[test]
fn an_object_is_reopened_corrected_and_keeps_its_id() {
    let mut stage = Stage::new();
    stage.wish(Command::SetThreshold(1.5));
    stage.add_object();
    let before = stage.object(0);
    stage.wish(Command::SetThreshold(0.0));
    stage.wish(Command::ReopenSelected);
    assert_eq!(stage.session.view.threshold, 1.5);
    assert_eq!(stage.session.prompting.draft.correcting(), Some(before.id));
    assert_eq!(stage.last_asked().prompt, before.origin.as_ref().unwrap().prompt);
    assert_eq!(stage.session.drawn_objects().count(), 0);
    stage.wish(Command::AddPoint { at: ImagePoint::new(2.0, 2.0), polarity: Polarity::Exclude });
    stage.answer();
    stage.wish(Command::AcceptDraft);
    stage.until("the mask is another", |session| session.annotations()[0].mask != before.mask);
    let after = stage.object(0);
    assert_eq!((after.id, after.origin.as_ref().unwrap().prompt.steps.len()), (before.id, 2));
    stage.wish(Command::Undo);
    assert_eq!(stage.object(0), before);
    // With another model the mask itself is what is corrected.
    stage.tell(Event::ModelReady(model("another")));
    stage.wish(Command::ReopenSelected);
    assert_eq!(stage.last_asked().prompt.steps, [PromptStep::Mask(before.mask.clone())]);
    stage.wish(Command::Escape);
    assert_eq!(stage.session.drawn_objects().count(), 1);
    // A locked object stays closed.
    stage.wish(Command::ToggleLockedSelected);
    stage.wish(Command::ReopenSelected);
    assert!(stage.session.prompting.draft.is_empty() && stage.says(NoticeLevel::Warning, "locked"));
}

#[test]
fn clicks_and_edits_share_one_history() {
    let mut stage = Stage::new();
    stage.add_object();
    stage.wish(point(3.0, 3.0));
    stage.wish(Command::SetBox(ImageRect { x0: -5.0, y0: 2.0, x1: 9.0, y1: 8.0 }));
    let steps = |stage: &Stage| stage.session.prompting.draft.prompt().steps.len();
    assert_eq!(stage.session.prompting.draft.box_step().unwrap().1.x0, 0.0);
    stage.wish(Command::Undo);
    stage.wish(Command::Undo);
    assert_eq!((steps(&stage), stage.session.annotations().len()), (0, 1));
    stage.wish(Command::Undo);
    assert_eq!(stage.session.annotations().len(), 0);
    // Forwards in the same order.
    stage.wish(Command::Redo);
    assert_eq!((steps(&stage), stage.session.annotations().len()), (0, 1));
    stage.wish(Command::Redo);
    assert_eq!(steps(&stage), 1);
    stage.wish(Command::Redo);
    assert_eq!(steps(&stage), 2);
    assert_eq!(stage.last_asked().prompt, *stage.session.prompting.draft.prompt());
    // Dropped prompts come back too; after an edit they are done with.
    stage.wish(Command::Escape);
    assert_eq!(steps(&stage), 0);
    stage.wish(Command::Undo);
    assert_eq!(steps(&stage), 2);
    stage.wish(Command::Escape);
    let id = stage.object(0).id;
    stage.wish(Command::SetHidden(id, true));
    stage.wish(Command::Undo);
    assert_eq!((steps(&stage), stage.object(0).hidden), (0, false));
}

#[test]
fn an_empty_mask_is_not_kept_and_a_failed_question_is_told() {
    let mut stage = Stage::new();
    stage.wish(point(16.0, 16.0));
    stage.answer();
    stage.wish(Command::SetThreshold(9.0));
    stage.wish(Command::AcceptDraft);
    assert!(!stage.session.prompting.draft.is_empty() && stage.says(NoticeLevel::Warning, "empty"));
    let generation = stage.last_asked().generation;
    stage.wish(point(1.0, 1.0));
    stage.tell(Event::DecodeFailed { generation, problem: Problem::new("old") });
    assert!(!stage.says(NoticeLevel::Error, "old"));
    let generation = stage.last_asked().generation;
    stage.tell(Event::DecodeFailed { generation, problem: Problem::new("NaN") });
    assert!(stage.says(NoticeLevel::Error, "NaN") && !stage.session.prompting.waiting);
    stage.wish(Command::AcceptDraft);
    assert!(stage.says(NoticeLevel::Warning, "no mask to keep"));
}

#[test]
fn a_closer_look_is_a_view_of_its_own() {
    let mut stage = Stage::new();
    stage.wish(Command::NextImage);
    stage.show_picture_of(3000, 2000);
    let visible = ImageRect { x0: 1000.0, y0: 500.0, x1: 1600.0, y1: 900.0 };
    stage.session.set_visible(visible, 5.0);
    stage.wish(Command::Hover(Some(ImagePoint::new(1200.0, 700.0))));
    let hovered = stage.script.borrow().hovers.last().unwrap().prompt.view.expect("a view");
    assert_eq!(stage.script.borrow().encoded.last(), Some(&Some(hovered)));
    stage.wish(point(1200.0, 700.0));
    assert_eq!(stage.last_asked().prompt.view, Some(hovered));
    assert!(hovered.contains(ImagePoint::new(1000.0, 500.0)) && hovered.width < 1200);
    stage.wish(point(1300.0, 700.0));
    assert_eq!(stage.last_asked().prompt.view, Some(hovered));
    stage.wish(point(100.0, 100.0));
    assert_eq!(stage.last_asked().prompt.view, None);
    stage.wish(Command::Undo);
    assert_eq!(stage.last_asked().prompt.view, Some(hovered));
    stage.wish(Command::DropDraft);
    stage.session.set_visible(visible, 1.9);
    stage.wish(point(1200.0, 700.0));
    assert_eq!(stage.last_asked().prompt.view, None);
}

#[test]
fn the_resting_pointer_shows_a_preview_only_while_nothing_is_said() {
    let mut stage = Stage::new();
    let hover = |x| Command::Hover(Some(ImagePoint::new(x, 5.0)));
    stage.wish(hover(5.0));
    let old = stage.script.borrow().hovers[0].clone();
    stage.wish(hover(6.0));
    let new = stage.script.borrow().hovers[1].clone();
    let ready = |request: &crate::engine::DecodeRequest| Event::HoverReady {
        generation: request.generation,
        picture: request.picture.id(),
        candidates: candidates(3, None),
    };
    stage.tell(ready(&old));
    assert!(stage.session.prompting.hover.is_none());
    stage.tell(ready(&new));
    assert!(stage.session.prompting.hover.is_some());
    stage.wish(Command::Hover(None));
    assert!(stage.session.prompting.hover.is_none());
    stage.tell(ready(&new));
    assert!(stage.session.prompting.hover.is_none());
    stage.wish(hover(40.0));
    stage.wish(Command::SetHoverPreview(false));
    stage.wish(hover(6.0));
    assert_eq!(stage.script.borrow().hovers.len(), 2);
    stage.wish(Command::SetHoverPreview(true));
    stage.wish(point(6.0, 6.0));
    stage.wish(hover(6.0));
    assert_eq!(stage.script.borrow().hovers.len(), 2);
}

#[test]
fn drafts_wait_with_their_pictures_and_survive_a_restart() {
    let mut stage = Stage::new();
    stage.wish(point(4.0, 4.0));
    stage.wish(point(5.0, 5.0));
    stage.wish(Command::NextImage);
    assert!(stage.session.prompting.draft.is_empty());
    stage.show_picture();
    stage.wish(point(7.0, 7.0));
    stage.wish(Command::PreviousImage);
    stage.show_picture();
    assert_eq!(stage.last_asked().prompt.steps.len(), 2);
    stage.wish(Command::Undo);
    assert_eq!(stage.session.prompting.draft.prompt().steps.len(), 1);
    stage.wish(Command::NextImage);
    stage.show_picture();
    let mut stage = stage.restarted();
    assert_eq!(stage.session.picture.name, Some(name("2.png")));
    assert_eq!(stage.last_asked().prompt.steps.len(), 1);
    stage.wish(Command::PreviousImage);
    stage.show_picture();
    assert_eq!(stage.session.prompting.draft.prompt().steps.len(), 1);
}

#[test]
fn keys_reach_the_session_through_the_table() {
    let mut stage = Stage::new();
    let table = crate::session::CommandTable::default();
    let press = |stage: &mut Stage, shortcut: Shortcut| {
        let entry = table.resolve(shortcut, stage.session.context()).expect("a command").clone();
        match entry.action {
            crate::session::Action::Run(command) => stage.wish(command),
            crate::session::Action::Window(request) => panic!("{request:?} is for the window"),
        }
    };
    stage.wish(Command::AddLabel("cat".to_owned()));
    stage.wish(Command::AddLabel("dog".to_owned()));
    stage.wish(point(16.0, 16.0));
    stage.answer();
    press(&mut stage, Shortcut::sign('3'));
    assert_eq!(stage.session.prompting.answer.as_ref().unwrap().shown, 2);
    press(&mut stage, Shortcut::sign('N'));
    stage.until("the object is there", |session| session.annotations().len() == 1);
    let label = |stage: &Stage| stage.session.project.project.label(stage.object(0).label?).map(|l| l.name.clone());
    assert_eq!(label(&stage).as_deref(), Some("cat"));
    press(&mut stage, Shortcut::sign('2'));
    assert_eq!(label(&stage).as_deref(), Some("dog"));
    press(&mut stage, Shortcut::ctrl('Z'));
    assert_eq!(label(&stage).as_deref(), Some("cat"));
    press(&mut stage, Shortcut::ctrl('Y'));
    press(&mut stage, Shortcut::plain(crate::session::Key::Delete));
    assert!(stage.session.annotations().is_empty());
}

//! What the window looks like: few pictures, looked at by people when they change.

use super::support::{LIME, Setup, TestWindow};
use egui::{Key, Pos2, Rect};
use egui_kittest::kittest::Queryable;
use maskwright::ui::preferences::ThemeChoice;

fn drawn(theme: ThemeChoice) -> TestWindow {
    TestWindow::ready(Setup {
        pictures: vec!["breakfast.png", "lunch.png", "supper.png"],
        theme,
        drawn: true,
        ..Setup::default()
    })
}

/// Labels and two objects, the apple selected.
fn labelled(theme: ThemeChoice) -> TestWindow {
    let mut window = drawn(theme);
    for name in ["apple", "lime", "plate"] {
        window.enter("Label name", name);
    }
    window.click(LIME);
    window.until("the lime is answered", |session| session.prompting.answer.is_some() && !session.prompting.waiting);
    window.key(Key::Enter);
    window.until("the lime is there", |session| session.project.project.annotation_count() == 1);
    window.key(Key::Num2);
    window.accept_apple();
    window.key(Key::Num1);
    window
}

fn snapshot(window: &mut TestWindow, name: &str) {
    window.until("all is saved", |session| session.project.save == maskwright::session::SaveState::Saved);
    // The canvas prepares its layers on a thread of its own.
    for _ in 0..20 {
        window.harness.step();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    window.harness.remove_cursor();
    window.frames();
    // Times differ from run to run.
    window.harness.mask(Rect::from_min_max(Pos2::new(420.0, 574.0), Pos2::new(900.0, 600.0)));
    window.harness.snapshot(name);
}

#[test]
fn welcome() {
    let mut window = TestWindow::open(Setup { pictures: vec![], drawn: true, ..Setup::default() });
    window.frames();
    window.harness.snapshot("window-welcome-dark");
}

#[test]
fn candidates_dark() {
    let mut window = drawn(ThemeChoice::Dark);
    window.click_apple();
    snapshot(&mut window, "window-candidates-dark");
}

#[test]
fn candidates_light() {
    let mut window = drawn(ThemeChoice::Light);
    window.click_apple();
    snapshot(&mut window, "window-candidates-light");
}

#[test]
fn objects_dark() {
    snapshot(&mut labelled(ThemeChoice::Dark), "window-objects-dark");
}

#[test]
fn export_light() {
    let mut window = labelled(ThemeChoice::Light);
    window.ctrl(Key::E);
    // The folder's name differs from run to run.
    window.harness.get_by_label("Export path").click();
    window.frames();
    window.ctrl(Key::A);
    window.harness.get_by_label("Export path").type_text("/home/me/photos/annotations.json");
    window.key(Key::Tab);
    snapshot(&mut window, "window-export-light");
}

#[test]
fn palette_dark() {
    let mut window = drawn(ThemeChoice::Dark);
    window.ctrl(Key::K);
    snapshot(&mut window, "window-palette-dark");
}

#[test]
fn settings_dark() {
    let mut window = drawn(ThemeChoice::Dark);
    window.ctrl(Key::Comma);
    snapshot(&mut window, "window-settings-dark");
}

#[test]
fn shortcuts_light() {
    let mut window = drawn(ThemeChoice::Light);
    window.key(Key::F1);
    snapshot(&mut window, "window-shortcuts-light");
}

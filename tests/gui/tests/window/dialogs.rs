//! Palette, shortcut sheet, settings, messages, and a project found again.

use super::support::{Setup, TestWindow};
use egui::{Key, Vec2};
use egui_kittest::kittest::Queryable;
use maskwright::session::{CommandTable, ModelChoice, Session};
use maskwright::ui::preferences::ThemeChoice;

#[test]
fn the_palette_finds_and_runs_a_command() {
    let mut window = TestWindow::ready(Setup::default());
    assert_eq!(window.harness.state().window().preferences.theme, ThemeChoice::Dark);
    window.ctrl(Key::K);
    window.harness.get_by_label("Command").type_text("light or");
    window.frames();
    assert!(window.shows("Light or dark") && !window.shows("Open folder…"));
    window.key(Key::Enter);
    assert_eq!(window.harness.state().window().preferences.theme, ThemeChoice::Light);
    assert!(window.harness.query_by_label("Command").is_none(), "it closed");
    window.ctrl(Key::P);
    assert!(window.harness.query_by_label("Command").is_some());
    window.key(Key::Escape);
    assert!(window.harness.query_by_label("Command").is_none());
}

#[test]
fn the_sheet_lists_every_command_that_has_a_key() {
    let mut window = TestWindow::ready(Setup::default());
    window.key(Key::F1);
    for entry in CommandTable::default().entries().iter().filter(|entry| !entry.keys.is_empty()) {
        assert!(window.shows(entry.title), "{} is missing", entry.title);
    }
    assert!(window.shows("Box around an object"));
    window.push("Close shortcuts");
    assert!(!window.shows("Box around an object"));
}

#[test]
fn settings_change_what_they_say() {
    let mut window = TestWindow::ready(Setup { size: Vec2::new(900.0, 900.0), ..Setup::default() });
    window.push("Settings");
    window.push("Light");
    assert_eq!(window.harness.state().window().preferences.theme, ThemeChoice::Light);
    window.push("Reduce motion");
    assert!(window.session().view.reduce_motion);
    window.enter("Model path", "/no/such/model.safetensors");
    window.until("the model was refused", |session| session.model.problem.is_some());
    assert!(window.shows("is no safetensors file"));
    assert_eq!(window.session().model.choice, ModelChoice::Path("/no/such/model.safetensors".into()));
    window.push("Close settings");
}

#[test]
fn a_broken_picture_is_a_message_that_stays_until_it_is_dismissed() {
    let place = tempfile::tempdir().unwrap();
    let broken = place.path().join("broken.png");
    std::fs::write(&broken, b"\x89PNG\r\n\x1a\nnothing more").unwrap();
    let folder = place.path().to_path_buf();
    let mut window = TestWindow::open_paths(Setup::default(), place, folder, vec![broken]);
    let told = |session: &Session| session.notices.iter().any(|notice| notice.text.contains("broken.png"));
    window.until("the failure is told", told);
    assert!(window.shows("broken.png"));
    window.harness.run_steps(60 * 20);
    assert!(told(window.session()), "errors stay, and by now all other messages have left");
    window.push("Dismiss message");
    assert!(!told(window.session()));
}

#[test]
fn letters_without_a_font_are_looked_for_and_a_vain_search_is_told() {
    let mut window = TestWindow::ready(Setup { pictures: vec!["猫.png"], system_fonts: true, ..Setup::default() });
    let context = window.harness.ctx.clone();
    // Which of the two depends on the machine.
    window.until("the search has ended", |session| {
        let told = session.notices.iter().any(|notice| notice.text.contains("No font with Chinese"));
        let font = egui::TextStyle::Body.resolve(&context.global_style());
        told || context.fonts_mut(|fonts| fonts.has_glyph(&font, '猫'))
    });
}

#[test]
fn an_export_that_fails_says_why_and_can_be_repeated() {
    let mut window = TestWindow::ready(Setup::default());
    window.accept_apple();
    window.ctrl(Key::E);
    let field = window.harness.get_by_label("Export path");
    field.click();
    window.frames();
    window.ctrl(Key::A);
    window.harness.get_by_label("Export path").type_text("/no/such/folder/annotations.json");
    window.frames();
    window.push("Write export");
    window.until("the export failed", |session| matches!(session.last_export, Some(Err(_))));
    assert!(window.shows("/no/such/folder"));
    window.push("Export again");
    assert!(window.harness.query_by_label("Export path").is_some());
}

#[test]
fn the_work_is_found_again_when_the_folder_is_opened_again() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("pictures");
    std::fs::create_dir(&folder).unwrap();
    let picture = folder.join("one.png");
    maskwright::raster::write_rgb_png(&picture, &super::support::painted(), super::support::SIZE).unwrap();
    let second = tempfile::tempdir().unwrap();
    let mut window = TestWindow::open_paths(Setup::default(), place, folder.clone(), vec![folder.clone()]);
    window.until("the picture is encoded", |session| session.picture.encode == maskwright::session::EncodePhase::Ready);
    window.accept_apple();
    window.until("all is saved", |session| session.project.save == maskwright::session::SaveState::Saved);
    let kept = window.objects();
    // The place goes with the window: keep the folder for the second one.
    let moved = second.path().join("pictures");
    std::fs::create_dir(&moved).unwrap();
    eframe::App::on_exit(window.harness.state_mut());
    for entry in std::fs::read_dir(&folder).unwrap() {
        let from = entry.unwrap().path();
        std::fs::copy(&from, moved.join(from.file_name().unwrap())).unwrap();
    }
    drop(window);
    let mut again = TestWindow::open_paths(Setup::default(), second, moved.clone(), vec![moved]);
    again.until("the object is back", |session| session.project.project.annotation_count() == 1);
    again.until("the picture can be seen", |session| session.picture.handle().is_some());
    assert_eq!(again.objects()[0].mask, kept[0].mask);
}

#[test]
fn timings_are_hidden_until_they_are_asked_for() {
    let mut window = TestWindow::ready(Setup::default());
    window.click_apple();
    assert!(window.harness.query_by_label("Press to logits").is_none());
    window.key(Key::F12);
    window.frames();
    assert!(window.harness.query_by_label("Press to logits").is_some());
    let felt = &window.session().felt;
    let (first, click) = (felt.first_click_ms.unwrap(), felt.click_ms.unwrap());
    assert!(click > 0.0 && first >= click, "{first} {click}");
    window.key(Key::F12);
    window.frames();
    assert!(window.harness.query_by_label("Press to logits").is_none());
}

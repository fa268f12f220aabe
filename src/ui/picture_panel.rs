//! The pictures of the open folder: which one is shown, which have objects, which are gone.

use super::icons::{self, Icon};
use super::object_panel::empty_note_ui;
use super::theme::{CORNER, Palette, ROW_HEIGHT};
use super::widgets::{IconButton, elided_text, section_heading};
use super::wish::Wishes;
use crate::document::ImageName;
use crate::session::{Command, Session};
use egui::{Align2, Layout, Rect, Role, ScrollArea, Sense, TextStyle, Ui, Vec2, WidgetInfo, pos2, vec2};

/// Draws the panel.
pub fn picture_panel_ui(ui: &mut Ui, session: &Session, wishes: &mut Wishes) {
    let listed = &session.project.listed;
    ui.horizontal(|ui| {
        section_heading(ui, "Pictures", (!listed.is_empty()).then_some(listed.len()));
        ui.with_layout(Layout::right_to_left(egui::Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 0.0;
            let at = session.picture.name.as_ref().and_then(|name| listed.iter().position(|listed| listed == name));
            let step = |ui: &mut Ui, icon, name, keys, enabled| {
                IconButton::new(icon, name).shortcut(keys).side(24.0).enabled(enabled).show(ui).clicked()
            };
            if step(ui, Icon::ChevronRight, "Next picture", "D", at.is_some_and(|at| at + 1 < listed.len())) {
                wishes.command(Command::NextImage);
            }
            if step(ui, Icon::ChevronLeft, "Previous picture", "A", at.is_some_and(|at| at > 0)) {
                wishes.command(Command::PreviousImage);
            }
        });
    });
    if listed.is_empty() {
        let text = if session.project.opening { "Opening…" } else { "Open pictures or a folder, or drop them here." };
        empty_note_ui(ui, Icon::Folder, text);
        return;
    }
    // Follow the shown picture when it changes, and leave the list alone otherwise.
    let followed = ui.scope_id().with("followed");
    let shown = session.picture.name.clone();
    let follow = ui.data(|data| data.get_temp::<Option<ImageName>>(followed)) != Some(shown.clone());
    ui.data_mut(|data| data.insert_temp(followed, shown.clone()));
    let mut area = ScrollArea::vertical().id_salt("pictures").auto_shrink([false, false]);
    let row = ROW_HEIGHT + 1.0;
    let place = shown.as_ref().and_then(|name| listed.iter().position(|listed| listed == name));
    if follow && let Some(place) = place {
        area = area.vertical_scroll_offset((place as f32 * row - ui.available_height() * 0.4).max(0.0));
    }
    ui.spacing_mut().item_spacing.y = 1.0;
    area.show_rows(ui, ROW_HEIGHT, listed.len(), |ui, range| {
        for name in &listed[range] {
            row_ui(ui, session, name, shown.as_ref() == Some(name), wishes);
        }
    });
}

fn row_ui(ui: &mut Ui, session: &Session, name: &ImageName, is_shown: bool, wishes: &mut Wishes) {
    let palette = Palette::of(ui.visuals());
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW_HEIGHT), Sense::click());
    let objects = session.project.object_count(name);
    let missing = session.project.missing.contains(name);
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_shown, format!("Picture {name}")));
    if is_shown {
        ui.painter().rect_filled(rect, CORNER, palette.accent_soft);
    } else if response.hovered() || response.has_focus() {
        ui.painter().rect_filled(rect, CORNER, palette.control);
    }
    let ink = match (missing, is_shown) {
        (true, _) => palette.warning,
        (_, true) => palette.text_strong,
        _ => palette.text,
    };
    let sign = Rect::from_center_size(pos2(rect.left() + 17.0, rect.center().y), Vec2::splat(16.0));
    let tint = if objects > 0 { palette.good } else { palette.text_weak.gamma_multiply(0.7) };
    let icon = if missing {
        Icon::Warning
    } else if objects > 0 {
        Icon::Check
    } else {
        Icon::Picture
    };
    icons::paint(ui.painter(), sign, icon, if missing { palette.warning } else { tint });
    let mut right = rect.right() - 10.0;
    if objects > 0 {
        let font = TextStyle::Small.resolve(ui.style());
        let count =
            ui.painter().text(pos2(right, rect.center().y), Align2::RIGHT_CENTER, objects, font, palette.text_weak);
        right = count.left() - 6.0;
    }
    let text = Rect::from_min_max(pos2(rect.left() + 32.0, rect.top()), pos2(right, rect.bottom()));
    elided_text(ui, text, name.as_str(), TextStyle::Body.resolve(ui.style()), ink);
    if response.clicked() {
        wishes.command(Command::ShowImage(name.clone()));
    }
    response.on_hover_ui(|ui| {
        ui.label(name.as_str());
        if missing {
            ui.colored_label(palette.warning, "The file is gone. Its objects are kept.");
        } else if objects > 0 {
            ui.colored_label(palette.text_weak, format!("{objects} objects"));
        }
    });
}

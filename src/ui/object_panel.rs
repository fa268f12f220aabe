//! The objects of the picture, the topmost first: colour, name, hide, lock; the chosen one opens up for the rest.
//!
//! Invariant: every row and button is named with the object's number, so that two cats can be told apart by ear.

use super::colour_popup::{color32, colour_button_ui};
use super::icons::{self, Icon};
use super::inline_edit::{InlineEdit, InlineTarget};
use super::theme::{CORNER, Palette, ROW_HEIGHT};
use super::widgets::{IconButton, Weight, action_button, elided_text, section_heading, swatch};
use super::wish::Wishes;
use crate::document::{Annotation, Project};
use crate::session::{Command, Session};
use egui::{Layout, Rect, RichText, Role, ScrollArea, Sense, TextStyle, Ui, UiBuilder, Vec2, WidgetInfo, vec2};
use std::sync::Arc;

/// What an object is called on the screen.
pub fn object_title(project: &Project, object: &Annotation) -> String {
    let label = object.label.and_then(|id| project.label(id)).map(|label| label.name.as_str());
    match (label, object.name.as_deref()) {
        (Some(label), Some(name)) => format!("{label} · {name}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => "No label".to_owned(),
    }
}

/// The objects of the picture on the canvas, the bottom one first.
pub fn shown_objects(session: &Session) -> &[Arc<Annotation>] {
    let image = session.picture.name.as_ref().and_then(|name| session.project.project.image(name));
    image.map_or(&[], |image| image.annotations())
}

/// The selected object.
pub fn selected_object(session: &Session) -> Option<&Annotation> {
    let selection = session.objects.selection?;
    shown_objects(session).iter().find(|object| object.id == selection).map(|object| &**object)
}

/// Draws the panel.
pub fn object_panel_ui(ui: &mut Ui, session: &Session, edit: &mut InlineEdit, wishes: &mut Wishes) {
    let palette = Palette::of(ui.visuals());
    let objects = shown_objects(session);
    ui.horizontal(|ui| {
        section_heading(ui, "Objects", (!objects.is_empty()).then_some(objects.len()));
        ui.with_layout(Layout::right_to_left(egui::Align::Center), |ui| {
            if objects.is_empty() {
                return;
            }
            let all_hidden = objects.iter().all(|object| object.hidden);
            let (icon, name) =
                if all_hidden { (Icon::EyeOff, "Show all objects") } else { (Icon::Eye, "Hide all objects") };
            if IconButton::new(icon, name).side(24.0).tint(palette.text_weak).show(ui).clicked() {
                wishes.command(Command::ToggleAllHidden);
            }
        });
    });
    if objects.is_empty() {
        ui.add_space(2.0);
        let text = if session.picture.handle().is_some() {
            "Click an object on the picture, then press Enter to keep its mask. It will be listed here."
        } else {
            "Objects of the open picture are listed here."
        };
        ui.label(RichText::new(text).color(palette.text_weak));
        return;
    }
    ScrollArea::vertical().id_salt("objects").auto_shrink([false, false]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        for (position, object) in objects.iter().enumerate().rev() {
            object_row_ui(ui, session, object, position + 1, edit, wishes);
        }
        ui.add_space(6.0);
    });
}

fn object_row_ui(
    ui: &mut Ui,
    session: &Session,
    object: &Annotation,
    number: usize,
    edit: &mut InlineEdit,
    wishes: &mut Wishes,
) {
    let selected = session.objects.selection == Some(object.id);
    let place = ui.painter().add(egui::Shape::Noop);
    let top = ui.cursor().min;
    let width = ui.available_width();
    header_ui(ui, session, object, number, selected, wishes);
    if selected {
        ui.scope(|ui| details_ui(ui, session, object, number, edit, wishes));
        let rect = Rect::from_min_max(top, egui::pos2(top.x + width, ui.min_rect().bottom()));
        let fill = Palette::of(ui.visuals()).accent_soft;
        ui.painter().set(place, egui::Shape::rect_filled(rect, CORNER, fill));
    }
}

fn header_ui(ui: &mut Ui, session: &Session, object: &Annotation, number: usize, selected: bool, wishes: &mut Wishes) {
    let palette = Palette::of(ui.visuals());
    let project = &session.project.project;
    let title = object_title(project, object);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW_HEIGHT), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, format!("Object {number}: {title}")));
    if !ui.is_rect_visible(rect) {
        return;
    }
    let pointed = ui.rect_contains_pointer(rect);
    if !selected && (pointed || response.has_focus()) {
        ui.painter().rect_filled(rect, CORNER, palette.control);
    }
    if response.double_clicked() {
        wishes.command(Command::Reopen(object.id));
    } else if response.clicked() {
        wishes.command(Command::Select((!selected).then_some(object.id)));
    }
    let mut right = ui.new_child(
        UiBuilder::new()
            .id_salt(("object row", object.id.0))
            .max_rect(rect.shrink2(vec2(4.0, 0.0)))
            .layout(Layout::right_to_left(egui::Align::Center)),
    );
    right.spacing_mut().item_spacing.x = 0.0;
    let quiet = palette.text_weak.gamma_multiply(if pointed || selected { 1.0 } else { 0.45 });
    let toggle = |ui: &mut Ui, icon, name: String, is_on: bool| {
        let tint = if is_on { palette.text } else { quiet };
        IconButton::new(icon, &name).side(24.0).tint(tint).show(ui).clicked()
    };
    let (icon, verb) = if object.locked { (Icon::Lock, "Unlock") } else { (Icon::Unlock, "Lock") };
    if object.locked || pointed || selected {
        if toggle(&mut right, icon, format!("{verb} object {number}"), object.locked) {
            wishes.command(Command::SetLocked(object.id, !object.locked));
        }
    } else {
        right.add_space(24.0);
    }
    let (icon, verb) = if object.hidden { (Icon::EyeOff, "Show") } else { (Icon::Eye, "Hide") };
    if toggle(&mut right, icon, format!("{verb} object {number}"), object.hidden) {
        wishes.command(Command::SetHidden(object.id, !object.hidden));
    }
    let left = rect.left() + 10.0;
    let square = Rect::from_center_size(egui::pos2(left + 6.0, rect.center().y), Vec2::splat(12.0));
    let colour = color32(project.colour_of(object));
    swatch(ui, square, if object.hidden { colour.gamma_multiply(0.35) } else { colour });
    let mut text_left = left + 22.0;
    let font = TextStyle::Body.resolve(ui.style());
    let ink = match (object.hidden, selected, object.label.is_some() || object.name.is_some()) {
        (true, ..) | (_, false, false) => palette.text_weak,
        (_, true, _) => palette.text_strong,
        _ => palette.text,
    };
    let room = |from: f32| {
        Rect::from_min_max(egui::pos2(from, rect.top()), egui::pos2(right.min_rect().left() - 6.0, rect.bottom()))
    };
    text_left += elided_text(ui, room(text_left), &title, font, ink);
    let small = TextStyle::Small.resolve(ui.style());
    if room(text_left + 6.0).width() > 18.0 {
        elided_text(ui, room(text_left + 6.0), &number.to_string(), small, palette.text_weak.gamma_multiply(0.8));
    }
}

fn details_ui(
    ui: &mut Ui,
    session: &Session,
    object: &Annotation,
    number: usize,
    edit: &mut InlineEdit,
    wishes: &mut Wishes,
) {
    let palette = Palette::of(ui.visuals());
    ui.spacing_mut().item_spacing.y = 4.0;
    ui.horizontal(|ui| {
        ui.add_space(8.0);
        ui.vertical(|ui| {
            let facts = match &object.origin {
                Some(origin) => format!(
                    "{} px · IoU {:.2} · stability {:.2}",
                    group_digits(object.mask.area()),
                    origin.predicted_iou,
                    origin.stability
                ),
                None => format!("{} px · imported", group_digits(object.mask.area())),
            };
            ui.label(RichText::new(facts).size(11.5).color(palette.text_weak));
            if edit.is_editing(InlineTarget::Object(object.id)) {
                ui.set_max_width(ui.available_width() - 8.0);
                if let Some(name) = edit.field_ui(ui, "Name of the object") {
                    let name = name.trim();
                    wishes.command(Command::Rename(object.id, (!name.is_empty()).then(|| name.to_owned())));
                }
            }
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 3.0;
                if correct_button_ui(ui, object, number).clicked() {
                    wishes.command(Command::Reopen(object.id));
                }
                let rename = format!("Name object {number}");
                if IconButton::new(Icon::Pencil, &rename).shortcut("F2").side(26.0).show(ui).clicked() {
                    edit.start(InlineTarget::Object(object.id), object.name.clone().unwrap_or_default());
                }
                let colour = session.project.project.colour_of(object);
                if let Some(colour) = colour_button_ui(ui, &format!("Colour of object {number}"), colour) {
                    wishes.command(Command::SetColour(object.id, Some(colour)));
                }
                if IconButton::new(Icon::Copy, "Copy cut-out").shortcut("Ctrl+C").side(26.0).show(ui).clicked() {
                    wishes.command(Command::CopyCutout);
                }
                let delete = IconButton::new(Icon::Trash, &format!("Delete object {number}"))
                    .shortcut("Del")
                    .side(26.0)
                    .tint(palette.bad)
                    .enabled(!object.locked)
                    .show(ui);
                if delete.clicked() {
                    wishes.command(Command::Delete(object.id));
                }
            });
        });
    });
    ui.add_space(6.0);
}

fn correct_button_ui(ui: &mut Ui, object: &Annotation, number: usize) -> egui::Response {
    let response = action_button(ui, Some(Icon::Target), "Correct", Weight::Normal, !object.locked);
    response.widget_info(|| WidgetInfo::labeled(Role::Button, !object.locked, format!("Correct object {number}")));
    response.on_hover_text("Reopen this object: further clicks correct its mask")
}

/// 1234567 as `1 234 567`.
pub fn group_digits(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push('\u{a0}');
        }
        grouped.push(digit);
    }
    grouped
}

/// An icon and a line where a list would be; used where a panel has nothing to show.
pub fn empty_note_ui(ui: &mut Ui, icon: Icon, text: &str) {
    let palette = Palette::of(ui.visuals());
    ui.vertical_centered(|ui| {
        ui.add_space(18.0);
        let (rect, _) = ui.allocate_exact_size(Vec2::splat(30.0), Sense::hover());
        icons::paint(ui.painter(), rect, icon, palette.text_weak);
        ui.add_space(2.0);
        ui.label(RichText::new(text).color(palette.text_weak));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_in_threes() {
        assert_eq!(group_digits(7), "7");
        assert_eq!(group_digits(1234), "1\u{a0}234");
        assert_eq!(group_digits(1_234_567), "1\u{a0}234\u{a0}567");
    }
}

//! The labels: their number keys, colours and uses; adding, renaming, recolouring and removing them.

use super::colour_popup::{color32, colour_button_ui};
use super::icons::Icon;
use super::inline_edit::{InlineEdit, InlineTarget};
use super::object_panel::{selected_object, shown_objects};
use super::theme::{CORNER, Palette, ROW_HEIGHT};
use super::widgets::{IconButton, elided_text, keycap, section_heading, swatch, text_field};
use super::wish::Wishes;
use crate::document::{Label, LabelId};
use crate::session::{Command, Session};
use egui::{Key, Layout, Rect, Role, Sense, TextStyle, Ui, UiBuilder, WidgetInfo, vec2};

/// What the panel keeps while nothing is sent yet.
#[derive(Debug, Default)]
pub struct LabelPanel {
    typed: String,
    wants_focus: bool,
}

impl LabelPanel {
    /// Puts the cursor into the field for a label's name at the next frame.
    pub fn focus_name(&mut self) {
        self.wants_focus = true;
    }

    /// Draws the panel.
    pub fn label_panel_ui(&mut self, ui: &mut Ui, session: &Session, edit: &mut InlineEdit, wishes: &mut Wishes) {
        let labels = session.project.project.labels();
        ui.horizontal(|ui| section_heading(ui, "Labels", (!labels.is_empty()).then_some(labels.len())));
        ui.spacing_mut().item_spacing.y = 1.0;
        let current = match selected_object(session) {
            Some(object) => object.label,
            None => session.objects.active_label,
        };
        for (index, label) in labels.iter().enumerate() {
            if edit.is_editing(InlineTarget::Label(label.id)) {
                if let Some(name) = edit.field_ui(ui, "New name of the label") {
                    wishes.command(Command::RenameLabel(label.id, name));
                }
            } else {
                label_row_ui(ui, session, label, index, current == Some(label.id), edit, wishes);
            }
        }
        ui.add_space(5.0);
        self.add_field_ui(ui, session, wishes);
    }

    fn add_field_ui(&mut self, ui: &mut Ui, session: &Session, wishes: &mut Wishes) {
        let hint = if session.project.project.labels().is_empty() { "Name the first label" } else { "Add a label" };
        let field = text_field(ui, "Label name", &mut self.typed, hint, f32::INFINITY);
        if std::mem::take(&mut self.wants_focus) {
            field.request_focus();
        }
        if field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) && !self.typed.trim().is_empty() {
            let name = std::mem::take(&mut self.typed).trim().to_owned();
            // With something to name, the name goes there too.
            let names_something = session.objects.selection.is_some() || !session.prompting.draft.is_empty();
            wishes.command(if names_something { Command::LabelByName(name) } else { Command::AddLabel(name) });
        }
    }
}

fn label_row_ui(
    ui: &mut Ui,
    session: &Session,
    label: &Label,
    index: usize,
    is_current: bool,
    edit: &mut InlineEdit,
    wishes: &mut Wishes,
) {
    let palette = Palette::of(ui.visuals());
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW_HEIGHT), Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, is_current, format!("Label {}", label.name)));
    let pointed = ui.rect_contains_pointer(rect);
    if is_current {
        ui.painter().rect_filled(rect, CORNER, palette.accent_soft);
    } else if pointed || response.has_focus() {
        ui.painter().rect_filled(rect, CORNER, palette.control);
    }
    if response.clicked() {
        wishes.command(match session.objects.selection {
            Some(object) => Command::SetLabel(object, Some(label.id)),
            None => Command::SetActiveLabel(Some(label.id)),
        });
    }
    let mut right = ui.new_child(
        UiBuilder::new()
            .id_salt(("label row", label.id.0))
            .max_rect(rect.shrink2(vec2(4.0, 0.0)))
            .layout(Layout::right_to_left(egui::Align::Center)),
    );
    right.spacing_mut().item_spacing.x = 1.0;
    if pointed || is_current {
        let button = |ui: &mut Ui, icon, name: String| {
            IconButton::new(icon, &name).side(24.0).tint(palette.text_weak).show(ui).clicked()
        };
        if button(&mut right, Icon::Trash, format!("Remove label {}", label.name)) {
            wishes.command(Command::RemoveLabel(label.id));
        }
        if button(&mut right, Icon::Pencil, format!("Rename label {}", label.name)) {
            edit.start(InlineTarget::Label(label.id), label.name.clone());
        }
        let recolour = format!("Colour of label {}", label.name);
        if let Some(colour) = colour_button_ui(&mut right, &recolour, label.colour) {
            wishes.command(Command::RecolourLabel(label.id, colour));
        }
    }
    if index < 9 {
        right.add_space(3.0);
        keycap(&mut right, &(index + 1).to_string());
    }
    let uses = uses(session, label.id);
    if uses > 0 && !(pointed || is_current) {
        right.add_space(4.0);
        right.small(egui::RichText::new(uses.to_string()).color(palette.text_weak));
    }
    let left = rect.left() + 10.0;
    let square = Rect::from_center_size(egui::pos2(left + 6.0, rect.center().y), egui::Vec2::splat(12.0));
    swatch(ui, square, color32(label.colour));
    let text = Rect::from_min_max(
        egui::pos2(left + 22.0, rect.top()),
        egui::pos2(right.min_rect().left() - 6.0, rect.bottom()),
    );
    let ink = if is_current { palette.text_strong } else { palette.text };
    elided_text(ui, text, &label.name, TextStyle::Body.resolve(ui.style()), ink);
}

/// How many objects of the shown picture have the label.
fn uses(session: &Session, label: LabelId) -> usize {
    shown_objects(session).iter().filter(|object| object.label == Some(label)).count()
}

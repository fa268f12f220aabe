//! The command palette: type a few letters, Enter runs. It lists what the one command table lists.
//!
//! Invariant: it knows commands only as rows; what a row does is the caller's to say.

use super::theme::{CORNER, Palette as Colours};
use super::widgets::{dialog_frame, elided_text, keycap};
use egui::{Align2, Context, Id, Key, Margin, Modal, Modifiers, Rect, Role, ScrollArea, Sense, TextStyle, Ui, vec2};

/// One command as the palette and the shortcut sheet show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandRow {
    /// What it does: `Undo`.
    pub title: String,
    /// The heading it stands under: `Edit`.
    pub group: &'static str,
    /// Its keys for people: `Ctrl+Z`; the first is the one to learn.
    pub keys: Vec<String>,
    /// Whether it can run now.
    pub enabled: bool,
}

/// The palette's state while it is open.
#[derive(Debug, Default)]
pub struct CommandPalette {
    query: String,
    selected: usize,
}

/// How the palette ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaletteAnswer {
    /// Run the row of this index.
    Run(usize),
    /// Nothing.
    Closed,
}

const ROW_HEIGHT: f32 = 30.0;

impl CommandPalette {
    /// Draws the palette; an answer ends it.
    pub fn palette_ui(&mut self, context: &Context, rows: &[CommandRow]) -> Option<PaletteAnswer> {
        let mut fitting: Vec<(usize, u32)> =
            rows.iter().enumerate().filter_map(|(index, row)| Some((index, match_cost(&self.query, row)?))).collect();
        // Stable: equal fits keep the table's order.
        fitting.sort_by_key(|&(index, cost)| (!rows[index].enabled, cost));
        self.selected = self.selected.min(fitting.len().saturating_sub(1));
        let (down, up, enter) = context.input_mut(|input| {
            (
                input.consume_key(Modifiers::NONE, Key::ArrowDown),
                input.consume_key(Modifiers::NONE, Key::ArrowUp),
                input.consume_key(Modifiers::NONE, Key::Enter),
            )
        });
        if down && self.selected + 1 < fitting.len() {
            self.selected += 1;
        }
        if up {
            self.selected = self.selected.saturating_sub(1);
        }
        let area = Modal::default_area(Id::unique("command palette")).anchor(Align2::CENTER_TOP, vec2(0.0, 64.0));
        let response = Modal::new(Id::unique("command palette"))
            .area(area)
            .frame(dialog_frame(context).inner_margin(Margin::same(10)))
            .show(context, |ui| {
                ui.set_width(480.0);
                self.query_field_ui(ui);
                ui.add_space(4.0);
                self.rows_ui(ui, rows, &fitting, down || up)
            });
        let chosen =
            response.inner.or_else(|| if enter { fitting.get(self.selected).map(|&(index, _)| index) } else { None });
        match chosen {
            Some(index) if rows[index].enabled => Some(PaletteAnswer::Run(index)),
            _ => response.should_close().then_some(PaletteAnswer::Closed),
        }
    }

    fn query_field_ui(&mut self, ui: &mut Ui) {
        let field = super::widgets::text_field(ui, "Command", &mut self.query, "Search commands", f32::INFINITY);
        if field.changed() {
            self.selected = 0;
        }
        field.request_focus();
    }

    fn rows_ui(&mut self, ui: &mut Ui, rows: &[CommandRow], fitting: &[(usize, u32)], moved: bool) -> Option<usize> {
        let colours = Colours::of(ui.visuals());
        if fitting.is_empty() {
            ui.add_space(6.0);
            ui.colored_label(colours.text_weak, format!("No command is called {:?}.", self.query));
            ui.add_space(6.0);
        }
        let mut chosen = None;
        ScrollArea::vertical().max_height(ROW_HEIGHT * 9.5).auto_shrink([false, true]).show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            for (place, &(index, _)) in fitting.iter().enumerate() {
                let response = row_ui(ui, &rows[index], place == self.selected);
                if response.hovered() && ui.input(|input| input.pointer.is_moving()) {
                    self.selected = place;
                }
                if moved && place == self.selected {
                    response.scroll_to_me(None);
                }
                if response.clicked() {
                    chosen = Some(index);
                }
            }
        });
        chosen
    }
}

fn row_ui(ui: &mut Ui, row: &CommandRow, selected: bool) -> egui::Response {
    let colours = Colours::of(ui.visuals());
    let size = vec2(ui.available_width(), ROW_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, if row.enabled { Sense::click() } else { Sense::hover() });
    response.widget_info(|| egui::WidgetInfo::selected(Role::MenuItem, row.enabled, selected, &row.title));
    if !ui.is_rect_visible(rect) {
        return response;
    }
    if selected {
        ui.painter().rect_filled(rect, CORNER, colours.accent_soft);
    }
    let font = TextStyle::Body.resolve(ui.style());
    let ink = if row.enabled { colours.text } else { colours.text_weak.gamma_multiply(0.7) };
    let inner = rect.shrink2(vec2(10.0, 0.0));
    let width = elided_text(ui, inner, &row.title, font, ink);
    let group = Rect::from_min_max(inner.left_top() + vec2(width + 10.0, 1.0), inner.right_bottom());
    elided_text(ui, group, row.group, TextStyle::Small.resolve(ui.style()), colours.text_weak);
    if let Some(first) = row.keys.first() {
        let mut keys = ui
            .new_child(egui::UiBuilder::new().max_rect(inner).layout(egui::Layout::right_to_left(egui::Align::Center)));
        keycap(&mut keys, first);
    }
    response
}

/// How badly a query fits a row, 0 best; `None` if its letters do not occur in this order.
fn match_cost(query: &str, row: &CommandRow) -> Option<u32> {
    let query = query.trim().to_lowercase();
    let title = row.title.to_lowercase();
    if let Some(at) = title.find(&query) {
        return Some(at as u32);
    }
    let whole = format!("{title} {}", row.group.to_lowercase());
    let mut letters = whole.chars();
    let mut gaps = 0;
    for wanted in query.chars().filter(|letter| !letter.is_whitespace()) {
        gaps += letters.by_ref().position(|letter| letter == wanted)? as u32;
    }
    Some(1000 + gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(title: &str) -> CommandRow {
        CommandRow { title: title.into(), group: "View", keys: Vec::new(), enabled: true }
    }

    #[test]
    fn whole_words_fit_better_than_scattered_letters() {
        let fit = |query, title| match_cost(query, &row(title));
        assert!(fit("redo", "Redo") < fit("redo", "Reset the window"));
        assert!(fit("undo", "Undo").is_some() && fit("udo", "Undo").is_some());
        assert_eq!(fit("xyz", "Undo"), None);
        assert_eq!(fit("", "Undo"), Some(0));
        assert!(fit("undo view", "Undo").is_some(), "the group may be typed too");
    }
}

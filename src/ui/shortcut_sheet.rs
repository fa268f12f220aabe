//! The sheet of all shortcuts, made from the one command table, and of what the mouse does on the canvas.

use super::palette::CommandRow;
use super::theme::Palette;
use super::widgets::{IconButton, dialog_frame, keycap, section_heading};
use egui::{Context, Id, Layout, Modal, ScrollArea, Ui};

/// What the mouse does; said nowhere else, since no command stands behind it.
const GESTURES: &[(&str, &str)] = &[
    ("Include a point", "Left click"),
    ("Exclude a point", "Right click, or Shift + left click"),
    ("Box around an object", "Drag"),
    ("Remove a point", "Click on it"),
    ("Move a point", "Drag it"),
    ("Accept the mask", "Double click"),
    ("Select an object", "Ctrl + left click"),
    ("Zoom", "Wheel"),
    ("Pan", "Space + drag, or middle button"),
    ("Next candidate", "Wheel over the candidates"),
    ("See the picture alone", "Hold `"),
];

/// Draws the sheet; true once it was closed.
pub fn shortcut_sheet_ui(context: &Context, rows: &[CommandRow]) -> bool {
    let screen = context.content_rect();
    let response = Modal::new(Id::unique("shortcut sheet")).frame(dialog_frame(context)).show(context, |ui| {
        ui.set_width((screen.width() - 80.0).clamp(300.0, 760.0));
        let closed = ui
            .horizontal(|ui| {
                ui.heading("Shortcuts");
                ui.with_layout(Layout::right_to_left(egui::Align::Center), |ui| {
                    IconButton::new(super::icons::Icon::Cross, "Close shortcuts").show(ui).clicked()
                })
                .inner
            })
            .inner;
        ui.add_space(4.0);
        ScrollArea::vertical().max_height(screen.height() - 170.0).auto_shrink([false, true]).show(ui, |ui| {
            let groups = groups(rows);
            // Room for the scroll bar, which floats over the content.
            ui.set_max_width(ui.available_width() - 14.0);
            ui.spacing_mut().item_spacing = egui::vec2(28.0, 2.0);
            ui.columns(2, |columns| {
                let (left, right) = columns.split_at_mut(1);
                gestures_ui(&mut left[0]);
                // Fill the shorter column; the mouse's part stands in the left one already.
                let (mut left_rows, mut right_rows) = (GESTURES.len() + 2, 0);
                for (group, rows) in groups {
                    let height = rows.len() + 2;
                    let column = if left_rows + height <= right_rows + height / 2 || left_rows < right_rows {
                        left_rows += height;
                        &mut left[0]
                    } else {
                        right_rows += height;
                        &mut right[0]
                    };
                    section_heading(column, group, None);
                    for row in rows {
                        line_ui(column, &row.title, &row.keys);
                    }
                    column.add_space(12.0);
                }
            });
        });
        closed
    });
    response.inner || response.should_close()
}

/// Rows with keys under their headings, in the table's order.
fn groups(rows: &[CommandRow]) -> Vec<(&'static str, Vec<&CommandRow>)> {
    let mut groups: Vec<(&'static str, Vec<&CommandRow>)> = Vec::new();
    for row in rows.iter().filter(|row| !row.keys.is_empty()) {
        match groups.iter_mut().find(|(group, _)| *group == row.group) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((row.group, vec![row])),
        }
    }
    groups
}

fn gestures_ui(ui: &mut Ui) {
    section_heading(ui, "Mouse on the canvas", None);
    for (what, how) in GESTURES {
        line_ui(ui, what, &[(*how).to_owned()]);
    }
    ui.add_space(12.0);
}

fn line_ui(ui: &mut Ui, what: &str, keys: &[String]) {
    let palette = Palette::of(ui.visuals());
    ui.horizontal(|ui| {
        ui.set_min_height(24.0);
        ui.colored_label(palette.text, what);
        ui.with_layout(Layout::right_to_left(egui::Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            for key in keys.iter().rev() {
                keycap(ui, key);
            }
        });
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_under_their_heading_and_rows_without_keys_are_left_out() {
        let row = |title: &str, group, keys: &str| CommandRow {
            title: title.into(),
            group,
            keys: keys.split_whitespace().map(Into::into).collect(),
            enabled: true,
        };
        let rows = [
            row("Open", "File", "Ctrl+O"),
            row("Fit", "View", "F"),
            row("Save", "File", "Ctrl+S"),
            row("x", "File", ""),
        ];
        let groups = groups(&rows);
        assert_eq!(
            groups.iter().map(|(name, rows)| (*name, rows.len())).collect::<Vec<_>>(),
            [("File", 2), ("View", 1)]
        );
    }
}

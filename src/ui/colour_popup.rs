//! A small board of colours to choose from, and a field for any other.
//!
//! Invariant: one choice is one answer, so that a change of colour is one undoable edit.

use super::theme::Palette;
use super::widgets::{focus_outline, swatch, text_field};
use crate::document::Colour;
use egui::{Color32, Key, Popup, PopupCloseBehavior, Response, Role, Sense, Ui, Vec2, WidgetInfo};

const CHOICES: usize = 20;

/// The colour as the window draws it.
pub fn color32(colour: Colour) -> Color32 {
    Color32::from_rgb(colour.r, colour.g, colour.b)
}

/// A square that shows a colour and opens the board; `name` is said by screen readers. Returns the new choice.
pub fn colour_button_ui(ui: &mut Ui, name: &str, colour: Colour) -> Option<Colour> {
    let (rect, response) = ui.allocate_exact_size(Vec2::splat(22.0), Sense::click());
    response.widget_info(|| WidgetInfo::labeled(Role::Button, true, name));
    swatch(ui, rect.shrink(4.0), color32(colour));
    if response.hovered() || response.has_focus() {
        focus_outline(ui, rect);
    }
    board_ui(&response.on_hover_text(name), colour)
}

fn board_ui(button: &Response, current: Colour) -> Option<Colour> {
    Popup::menu(button)
        .close_behavior(PopupCloseBehavior::CloseOnClickOutside)
        .show(|ui| {
            let mut chosen = None;
            ui.spacing_mut().item_spacing = Vec2::splat(4.0);
            for row in 0..CHOICES / 5 {
                ui.horizontal(|ui| {
                    for colour in (row * 5..row * 5 + 5).map(Colour::from_palette) {
                        let (rect, response) = ui.allocate_exact_size(Vec2::splat(26.0), Sense::click());
                        let name = format!("Colour #{:06X}", colour.to_hex());
                        response.widget_info(|| WidgetInfo::selected(Role::Button, true, colour == current, &name));
                        swatch(ui, rect.shrink(3.0), color32(colour));
                        if response.hovered() || response.has_focus() || colour == current {
                            focus_outline(ui, rect);
                        }
                        if response.clicked() {
                            chosen = Some(colour);
                        }
                    }
                });
            }
            let id = ui.scope_id().with("typed");
            let mut typed: String = ui.data(|data| data.get_temp(id)).unwrap_or_default();
            let field = text_field(ui, "Colour as hex", &mut typed, "#RRGGBB", 134.0);
            if field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter)) {
                match parse_hex(&typed) {
                    Some(colour) => {
                        chosen = Some(colour);
                        typed.clear();
                    }
                    None => field.request_focus(),
                }
            }
            if !typed.is_empty() && parse_hex(&typed).is_none() {
                ui.small(
                    egui::RichText::new("Six hex digits, such as #3A86FF").color(Palette::of(ui.visuals()).text_weak),
                );
            }
            ui.data_mut(|data| data.insert_temp(id, typed));
            if chosen.is_some() {
                ui.close();
            }
            chosen
        })
        .and_then(|response| response.inner)
}

fn parse_hex(text: &str) -> Option<Colour> {
    let digits = text.trim().trim_start_matches('#');
    (digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then(|| u32::from_str_radix(digits, 16).ok())
        .flatten()
        .map(Colour::from_hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_read_with_and_without_the_sign() {
        assert_eq!(parse_hex(" #3A86FF "), Some(Colour::new(0x3A, 0x86, 0xFF)));
        assert_eq!(parse_hex("000001"), Some(Colour::new(0, 0, 1)));
        for wrong in ["", "#fff", "#GGGGGG", "+12345"] {
            assert_eq!(parse_hex(wrong), None, "{wrong}");
        }
    }
}

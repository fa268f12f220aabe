//! What stands in the middle of the window while no picture is open.

use super::icons::{self, Icon};
use super::theme::Palette;
use super::widgets::{Weight, action_button};
use super::wish::Wishes;
use crate::session::{Session, WindowRequest};
use egui::{RichText, Sense, Ui, UiBuilder, Vec2};

/// Draws the welcome in `rect`.
pub fn welcome_ui(ui: &mut Ui, rect: egui::Rect, session: &Session, wishes: &mut Wishes) {
    let palette = Palette::of(ui.visuals());
    let size = egui::vec2(420.0_f32.min(rect.width() - 24.0), 230.0);
    let place = egui::Rect::from_center_size(rect.center(), size);
    let mut ui = ui.new_child(UiBuilder::new().id_salt("welcome").max_rect(place));
    ui.vertical_centered(|ui| {
        let (sign, _) = ui.allocate_exact_size(Vec2::splat(64.0), Sense::hover());
        icons::paint(ui.painter(), sign, Icon::Brand, palette.accent);
        ui.add_space(8.0);
        ui.label(RichText::new("Click an object, get its mask").size(20.0).strong().color(palette.text_strong));
        let text = if session.project.opening {
            "Opening…"
        } else {
            "Drop pictures or a folder here. Your work is saved as you make it."
        };
        ui.label(RichText::new(text).color(palette.text_weak));
        ui.add_space(14.0);
        ui.allocate_ui(egui::vec2(245.0, 32.0), |ui| {
            ui.horizontal(|ui| {
                if action_button(ui, Some(Icon::Picture), "Open pictures", Weight::Primary, true).clicked() {
                    wishes.request(WindowRequest::OpenFiles);
                }
                if action_button(ui, Some(Icon::Folder), "Open folder", Weight::Normal, true).clicked() {
                    wishes.request(WindowRequest::OpenFolder);
                }
            });
        });
    });
}

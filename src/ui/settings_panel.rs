//! The settings: how the window looks, how masks are shown, which model answers, what may be kept.

use super::icons::Icon;
use super::preferences::{Preferences, ThemeChoice};
use super::theme::Palette;
use super::widgets::{
    IconButton, Weight, action_button, dialog_frame, named_slider, section_heading, segmented, text_field,
};
use super::wish::Wishes;
use crate::session::{Command, ModelChoice, Session, WindowRequest};
use egui::{Align, Context, DragValue, Id, Key, Layout, Modal, RichText, ScrollArea, Slider, Ui};
use std::path::PathBuf;

/// The settings while they are open.
#[derive(Debug, Default)]
pub struct SettingsPanel {
    model_path: String,
}

const NAME_WIDTH: f32 = 150.0;

impl SettingsPanel {
    /// Opened with the model in use.
    pub fn new(session: &Session) -> Self {
        let mut panel = Self::default();
        panel.show_choice(&session.model.choice);
        panel
    }

    /// Takes over a path that was chosen in a dialog.
    pub fn show_choice(&mut self, choice: &ModelChoice) {
        self.model_path = match choice {
            ModelChoice::BuiltIn => String::new(),
            ModelChoice::Path(path) => path.display().to_string(),
        };
    }

    /// Draws the settings; true once they were closed.
    pub fn settings_ui(
        &mut self,
        context: &Context,
        session: &Session,
        preferences: &mut Preferences,
        wishes: &mut Wishes,
    ) -> bool {
        let height = context.content_rect().height();
        let response = Modal::new(Id::unique("settings")).frame(dialog_frame(context)).show(context, |ui| {
            ui.set_width(470.0);
            let closed = ui
                .horizontal(|ui| {
                    ui.heading("Settings");
                    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                        IconButton::new(Icon::Cross, "Close settings").show(ui).clicked()
                    })
                    .inner
                })
                .inner;
            ScrollArea::vertical().max_height(height - 130.0).show(ui, |ui| {
                ui.spacing_mut().item_spacing.y = 8.0;
                appearance_ui(ui, session, preferences, wishes);
                masks_ui(ui, session, wishes);
                self.model_ui(ui, session, wishes);
                caches_ui(ui, preferences);
            });
            closed
        });
        response.inner || response.should_close()
    }

    fn model_ui(&mut self, ui: &mut Ui, session: &Session, wishes: &mut Wishes) {
        let palette = Palette::of(ui.visuals());
        heading_ui(ui, "Model");
        row_ui(ui, "In use", |ui| {
            match (&session.model.info, session.model.opening) {
                (_, true) => ui.label("Opening…"),
                (Some(info), _) => ui.label(format!("{}, {}", info.name, info.device)),
                (None, _) => ui.colored_label(palette.bad, "None"),
            };
        });
        if let Some(problem) = &session.model.problem {
            ui.colored_label(palette.bad, problem);
        }
        row_ui(ui, "Weights", |ui| {
            if action_button(ui, None, "Choose file…", Weight::Normal, true).clicked() {
                wishes.request(WindowRequest::ChooseModel);
            }
            let is_built_in = session.model.choice == ModelChoice::BuiltIn;
            if action_button(ui, None, "Use the built-in one", Weight::Normal, !is_built_in).clicked() {
                self.model_path.clear();
                wishes.command(Command::SetModel(ModelChoice::BuiltIn));
            }
        });
        row_ui(ui, "", |ui| {
            let hint = "Path of a SAM or MobileSAM .safetensors";
            let field = text_field(ui, "Model path", &mut self.model_path, hint, f32::INFINITY);
            let entered = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            if entered && !self.model_path.trim().is_empty() {
                wishes.command(Command::SetModel(ModelChoice::Path(PathBuf::from(self.model_path.trim()))));
            }
        });
    }
}

fn appearance_ui(ui: &mut Ui, session: &Session, preferences: &mut Preferences, wishes: &mut Wishes) {
    heading_ui(ui, "Appearance");
    row_ui(ui, "Theme", |ui| {
        let choices = [(ThemeChoice::System, "System"), (ThemeChoice::Light, "Light"), (ThemeChoice::Dark, "Dark")];
        segmented(ui, &choices, &mut preferences.theme, true);
    });
    row_ui(ui, "Motion", |ui| {
        let mut on = session.view.reduce_motion;
        if ui.checkbox(&mut on, "Reduce motion").changed() {
            wishes.command(Command::SetReduceMotion(on));
        }
    });
}

fn masks_ui(ui: &mut Ui, session: &Session, wishes: &mut Wishes) {
    heading_ui(ui, "Masks");
    row_ui(ui, "Threshold", |ui| {
        let mut threshold = session.view.threshold;
        let slider = Slider::new(&mut threshold, -10.0..=10.0).fixed_decimals(1).step_by(0.1);
        if named_slider(ui, "Threshold", slider) {
            wishes.command(Command::SetThreshold(threshold));
        }
        if threshold != 0.0 && ui.small_button("Reset threshold").clicked() {
            wishes.command(Command::SetThreshold(0.0));
        }
    });
    row_ui(ui, "Tint", |ui| {
        let mut percent = session.view.tint_opacity * 100.0;
        let slider = Slider::new(&mut percent, 0.0..=100.0).fixed_decimals(0).suffix(" %");
        if named_slider(ui, "Tint opacity", slider) {
            wishes.command(Command::SetTintOpacity(percent / 100.0));
        }
    });
    row_ui(ui, "Show", |ui| {
        let mut outline = session.view.outline;
        if ui.checkbox(&mut outline, "Outline").changed() {
            wishes.command(Command::SetOutline(outline));
        }
        let mut hover = session.view.hover_preview;
        if ui.checkbox(&mut hover, "Preview under the pointer").changed() {
            wishes.command(Command::SetHoverPreview(hover));
        }
    });
}

fn caches_ui(ui: &mut Ui, preferences: &mut Preferences) {
    heading_ui(ui, "Caches of prepared pictures");
    let mut size = |name: &str, accessible: &str, mib: &mut u32, range| {
        row_ui(ui, name, |ui| {
            ui.name_inputs(accessible, |ui| ui.add(DragValue::new(mib).range(range).speed(16.0).suffix(" MiB")));
        });
    };
    size("In memory", "Memory cache", &mut preferences.memory_cache_mib, 64..=65_536);
    size("On disk", "Disk cache", &mut preferences.disk_cache_mib, 0..=1_048_576);
    let palette = Palette::of(ui.visuals());
    ui.label(RichText::new("Used from the next start on.").size(11.5).color(palette.text_weak));
}

fn heading_ui(ui: &mut Ui, text: &str) {
    ui.add_space(6.0);
    section_heading(ui, text, None);
}

/// A name on the left, widgets on the right.
fn row_ui(ui: &mut Ui, name: &str, add: impl FnOnce(&mut Ui)) {
    let palette = Palette::of(ui.visuals());
    ui.horizontal(|ui| {
        ui.allocate_ui_with_layout(egui::vec2(NAME_WIDTH, 26.0), Layout::left_to_right(Align::Center), |ui| {
            ui.set_min_width(NAME_WIDTH);
            ui.colored_label(palette.text_weak, name);
        });
        add(ui);
    });
}

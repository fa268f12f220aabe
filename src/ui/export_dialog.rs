//! The export: what, of which pictures, where to; then how far it is; then what was written.
//!
//! Invariant: the report stays until it is closed, and says what was left out.

use super::icons::{self, Icon};
use super::theme::Palette;
use super::widgets::{Weight, action_button, dialog_frame, segmented, text_field};
use super::wish::{WindowWish, Wishes};
use crate::session::{CocoSegmentation, Command, ExportKind, ExportRequest, ExportScope, Session};
use egui::{Align, Context, Id, Layout, Modal, ProgressBar, RichText, Sense, Ui, vec2};
use std::path::{Path, PathBuf};

/// The kinds of files that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Coco,
    Masks,
    CutOuts,
}

/// Where the dialog stands.
#[derive(Debug, PartialEq, Eq)]
enum Stage {
    Asking,
    Sent,
}

/// The export dialog while it is open.
#[derive(Debug)]
pub struct ExportDialog {
    kind: Kind,
    segmentation: CocoSegmentation,
    scope: ExportScope,
    /// As typed; follows the kind until it is changed by hand.
    path: String,
    path_is_own: bool,
    stage: Stage,
    problem: Option<String>,
}

impl ExportDialog {
    /// Opened with a target beside the pictures.
    pub fn new(session: &Session) -> Self {
        let mut dialog = Self {
            kind: Kind::Coco,
            segmentation: CocoSegmentation::default(),
            scope: ExportScope::default(),
            path: String::new(),
            path_is_own: false,
            stage: Stage::Asking,
            problem: None,
        };
        dialog.suggest(session.project.folder.as_deref());
        dialog
    }

    /// Takes over a path that was chosen in a dialog.
    pub fn set_path(&mut self, path: &Path) {
        self.path = path.display().to_string();
        self.path_is_own = true;
    }

    fn suggest(&mut self, folder: Option<&Path>) {
        if !self.path_is_own {
            let name = match self.kind {
                Kind::Coco => "annotations.json",
                Kind::Masks => "masks",
                Kind::CutOuts => "cut-outs",
            };
            self.path = folder.map_or_else(|| PathBuf::from(name), |folder| folder.join(name)).display().to_string();
        }
    }

    fn request(&self) -> ExportRequest {
        ExportRequest {
            what: match self.kind {
                Kind::Coco => ExportKind::Coco(self.segmentation),
                Kind::Masks => ExportKind::MaskPngs,
                Kind::CutOuts => ExportKind::CutOuts,
            },
            scope: self.scope,
            path: PathBuf::from(self.path.trim()),
        }
    }

    /// Draws the dialog; true once it was closed.
    pub fn export_dialog_ui(&mut self, context: &Context, session: &Session, wishes: &mut Wishes) -> bool {
        let response = Modal::new(Id::unique("export")).frame(dialog_frame(context)).show(context, |ui| {
            ui.set_width(500.0);
            ui.heading("Export");
            ui.add_space(4.0);
            match (&self.stage, &session.export) {
                (Stage::Asking, None) => self.asking_ui(ui, session, wishes),
                (_, Some(running)) => {
                    running_ui(ui, &running.name, running.share, wishes);
                    false
                }
                (Stage::Sent, None) => self.done_ui(ui, session),
            }
        });
        response.inner || (response.should_close() && session.export.is_none())
    }

    fn asking_ui(&mut self, ui: &mut Ui, session: &Session, wishes: &mut Wishes) -> bool {
        let palette = Palette::of(ui.visuals());
        ui.spacing_mut().item_spacing.y = 9.0;
        row_ui(ui, "Write", |ui| {
            let kinds = [(Kind::Coco, "COCO"), (Kind::Masks, "Mask PNGs"), (Kind::CutOuts, "Cut-outs")];
            if segmented(ui, &kinds, &mut self.kind, true) {
                self.path_is_own = false;
            }
        });
        row_ui(ui, "Masks as", |ui| {
            let ways = [
                (CocoSegmentation::Polygons, "Polygons"),
                (CocoSegmentation::Rle, "RLE"),
                (CocoSegmentation::RleList, "RLE list"),
            ];
            segmented(ui, &ways, &mut self.segmentation, self.kind == Kind::Coco);
        });
        ui.label(RichText::new(self.explanation()).size(12.0).color(palette.text_weak));
        row_ui(ui, "Of", |ui| {
            let here = session.picture.name.as_ref().map_or(0, |name| session.project.object_count(name));
            let all = session.project.project.annotation_count();
            let (here, all) = (format!("This picture ({here})"), format!("All pictures ({all})"));
            let scopes = [(ExportScope::ThisImage, here.as_str()), (ExportScope::Folder, all.as_str())];
            segmented(ui, &scopes, &mut self.scope, true);
        });
        self.suggest(session.project.folder.as_deref());
        let mut submitted = false;
        row_ui(ui, "To", |ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if action_button(ui, None, "Choose…", Weight::Normal, true).clicked() {
                    wishes.window(WindowWish::AskExportTarget {
                        folder: self.kind != Kind::Coco,
                        suggestion: PathBuf::from(self.path.trim()),
                    });
                }
                let field = text_field(ui, "Export path", &mut self.path, "", ui.available_width());
                self.path_is_own |= field.changed();
                submitted = field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
            });
        });
        if let Some(problem) = &self.problem {
            ui.colored_label(palette.bad, problem);
        }
        ui.add_space(4.0);
        let mut closed = false;
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            submitted |= action_button(ui, Some(Icon::Export), "Write export", Weight::Primary, true).clicked();
            closed = action_button(ui, None, "Cancel", Weight::Normal, true).clicked();
        });
        if submitted {
            if self.path.trim().is_empty() {
                self.problem = Some("Say where to write to.".into());
            } else {
                self.problem = None;
                self.stage = Stage::Sent;
                wishes.command(Command::Export(self.request()));
            }
        }
        closed
    }

    fn explanation(&self) -> &'static str {
        match (self.kind, self.segmentation) {
            (Kind::Coco, CocoSegmentation::Polygons) => {
                "One JSON file. Outlines along pixel edges; what no outline gives back exactly is written as RLE."
            }
            (Kind::Coco, CocoSegmentation::Rle) => {
                "One JSON file. Compressed run lengths: exact, small, read by pycocotools."
            }
            (Kind::Coco, CocoSegmentation::RleList) => {
                "One JSON file. Run lengths as plain numbers: exact, readable, larger."
            }
            (Kind::Masks, _) => "One grey PNG an object, as large as its picture: 0 outside, 255 inside.",
            (Kind::CutOuts, _) => "One PNG with transparency an object, cropped to it.",
        }
    }

    fn done_ui(&mut self, ui: &mut Ui, session: &Session) -> bool {
        let palette = Palette::of(ui.visuals());
        match &session.last_export {
            Some(Ok(report)) => {
                result_ui(
                    ui,
                    Icon::Check,
                    palette.good,
                    &format!("{} objects of {} pictures written", report.objects, report.images),
                );
                ui.label(RichText::new(report.path.display().to_string()).monospace().color(palette.text_weak));
                for remark in &report.remarks {
                    ui.label(format!("• {remark}"));
                }
            }
            Some(Err(problem)) => result_ui(ui, Icon::Warning, palette.bad, problem),
            None => {
                ui.label("Starting…");
            }
        }
        ui.add_space(8.0);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let closed = action_button(ui, None, "Done", Weight::Primary, true).clicked();
            if action_button(ui, None, "Export again", Weight::Normal, true).clicked() {
                self.stage = Stage::Asking;
            }
            closed
        })
        .inner
    }
}

fn running_ui(ui: &mut Ui, name: &str, share: f32, wishes: &mut Wishes) {
    ui.label(name);
    ui.add(ProgressBar::new(share).show_percentage());
    ui.add_space(8.0);
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        if action_button(ui, None, "Stop", Weight::Normal, true).clicked() {
            wishes.command(Command::CancelExport);
        }
    });
}

fn result_ui(ui: &mut Ui, icon: Icon, color: egui::Color32, text: &str) {
    ui.horizontal(|ui| {
        let (rect, _) = ui.allocate_exact_size(vec2(20.0, 20.0), Sense::hover());
        icons::paint(ui.painter(), rect, icon, color);
        ui.add(egui::Label::new(text).wrap());
    });
}

fn row_ui(ui: &mut Ui, name: &str, add: impl FnOnce(&mut Ui)) {
    let palette = Palette::of(ui.visuals());
    ui.horizontal(|ui| {
        ui.allocate_ui_with_layout(vec2(72.0, 26.0), Layout::left_to_right(Align::Center), |ui| {
            ui.set_min_width(72.0);
            ui.colored_label(palette.text_weak, name);
        });
        add(ui);
    });
}

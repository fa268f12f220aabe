//! The whole window: where the panels stand, which dialog lies over them, what a wish for the window does.
//!
//! Invariant: one dialog at a time; while one is open, keys and pointer say nothing to what lies below.

use super::candidate_strip::CandidateStrip;
use super::canvas::CanvasRenderer;
use super::canvas_host::{CanvasCircumstances, CanvasFrame, CanvasHost};
use super::export_dialog::ExportDialog;
use super::inline_edit::{InlineEdit, InlineTarget};
use super::label_panel::LabelPanel;
use super::object_panel::{object_panel_ui, selected_object};
use super::palette::{CommandPalette, CommandRow, PaletteAnswer};
use super::path_dialog::{PathAnswer, PathDialog};
use super::picture_panel::picture_panel_ui;
use super::preferences::{Preferences, ThemeChoice};
use super::settings_panel::SettingsPanel;
use super::shortcut_sheet::shortcut_sheet_ui;
use super::status_bar::status_bar_ui;
use super::theme::Palette;
use super::timing_view::{FrameFacts, timing_view_ui};
use super::toasts::Toasts;
use super::top_bar::TopBar;
use super::welcome::welcome_ui;
use super::wish::{WindowWish, Wishes};
use super::{keys, theme};
use crate::session::{CommandTable, ModelChoice, PicturePhase, Session, WindowRequest};
use egui::{CentralPanel, Context, Frame, Margin, Panel, Stroke, Ui};
use std::path::Path;

/// What a frame is drawn under.
#[derive(Debug, Clone, Copy, Default)]
pub struct Circumstances {
    /// The window has no focus: nothing moves.
    pub unfocused: bool,
    /// Fixed clock of the canvas' animations, for tests.
    pub time_secs: Option<f64>,
    /// Files are held over the window.
    pub files_hover: bool,
    /// What the frame before took, and what the program holds in memory; asked for only while they are shown.
    pub frame: FrameFacts,
}

/// The dialog that is open.
#[derive(Default)]
enum Dialog {
    #[default]
    None,
    Palette(CommandPalette),
    Shortcuts,
    Settings(SettingsPanel),
    Export(ExportDialog),
}

/// Everything that the window keeps between frames and the session does not know.
#[derive(Default)]
pub struct Window {
    /// What the user has set about the window.
    pub preferences: Preferences,
    table: CommandTable,
    canvas: CanvasHost,
    strip: CandidateStrip,
    labels: LabelPanel,
    edit: InlineEdit,
    toasts: Toasts,
    dialog: Dialog,
    path_dialog: Option<PathDialog>,
    /// How long things took is shown. Never kept: the next start is without it.
    timings_shown: bool,
    /// The focus goes to the first widget of the next frame.
    wants_panel_focus: bool,
}

impl Window {
    /// A window as it was left.
    pub fn new(preferences: Preferences) -> Self {
        Self { preferences, ..Self::default() }
    }

    /// Whether how long things took is shown.
    pub fn timings_shown(&self) -> bool {
        self.timings_shown
    }

    /// Where the canvas lay in the last frame, in logical points.
    pub fn canvas_rect(&self) -> Option<egui::Rect> {
        self.canvas.rect()
    }

    /// Shows our own path field over everything else.
    pub fn ask_path(&mut self, dialog: PathDialog) {
        self.path_dialog = Some(dialog);
    }

    /// A path for the export dialog, from a file dialog.
    pub fn set_export_path(&mut self, path: &Path) {
        if let Dialog::Export(dialog) = &mut self.dialog {
            dialog.set_path(path);
        }
    }

    /// The model that was just asked for, so that the settings show it.
    pub fn set_model_choice(&mut self, choice: &ModelChoice) {
        if let Dialog::Settings(panel) = &mut self.dialog {
            panel.show_choice(choice);
        }
    }

    /// Does what the window itself can do about a request; false where the application is needed.
    pub fn take_request(&mut self, context: &Context, session: &Session, request: WindowRequest) -> bool {
        match request {
            WindowRequest::FocusPanels => self.wants_panel_focus = true,
            WindowRequest::Palette => self.toggle(Dialog::Palette(CommandPalette::default())),
            WindowRequest::Shortcuts => self.toggle(Dialog::Shortcuts),
            WindowRequest::Settings => self.toggle(Dialog::Settings(SettingsPanel::new(session))),
            WindowRequest::Export => self.dialog = Dialog::Export(ExportDialog::new(session)),
            WindowRequest::TypeLabel => {
                self.preferences.objects_shown = true;
                self.labels.focus_name();
            }
            WindowRequest::TypeName => {
                if let Some(object) = selected_object(session) {
                    self.preferences.objects_shown = true;
                    self.edit.start(InlineTarget::Object(object.id), object.name.clone().unwrap_or_default());
                }
            }
            WindowRequest::ToggleTheme => {
                let dark_now = context.theme() == egui::Theme::Dark;
                self.preferences.theme = if dark_now { ThemeChoice::Light } else { ThemeChoice::Dark };
            }
            WindowRequest::ZoomFit | WindowRequest::ZoomActualSize | WindowRequest::ZoomIn | WindowRequest::ZoomOut => {
                self.canvas.zoom_request(session, request)
            }
            WindowRequest::Timings => self.timings_shown ^= true,
            WindowRequest::OpenFiles
            | WindowRequest::OpenFolder
            | WindowRequest::ImportCoco
            | WindowRequest::Paste
            | WindowRequest::ChooseModel
            | WindowRequest::Quit => return false,
        }
        true
    }

    /// Does what the window itself can do about a panel's wish; gives back what the application must do.
    pub fn take_wish(&mut self, wish: WindowWish) -> Option<WindowWish> {
        match wish {
            WindowWish::TogglePictures => self.preferences.pictures_shown ^= true,
            WindowWish::ToggleObjects => self.preferences.objects_shown ^= true,
            other => return Some(other),
        }
        None
    }

    fn toggle(&mut self, dialog: Dialog) {
        let same = std::mem::discriminant(&self.dialog) == std::mem::discriminant(&dialog);
        self.dialog = if same { Dialog::None } else { dialog };
    }

    /// Draws the window. The second result is the answer of our own path field.
    pub fn window_ui(
        &mut self,
        ui: &mut Ui,
        session: &Session,
        renderer: &mut CanvasRenderer,
        circumstances: Circumstances,
        wishes: &mut Wishes,
    ) -> (CanvasFrame, Option<PathAnswer>) {
        let context = ui.ctx().clone();
        context.set_theme(self.preferences.theme);
        if std::mem::take(&mut self.wants_panel_focus) {
            context.memory_mut(|memory| memory.move_focus(egui::FocusDirection::Next));
        }
        let took_tab = self.keys(&context, session, wishes);
        self.bars_ui(ui, session, wishes);
        self.side_panels_ui(ui, session, wishes);
        let frame = self.canvas_ui(ui, session, renderer, circumstances, wishes);
        self.strip.candidate_strip_ui(ui, frame.rect, renderer, session, wishes);
        if circumstances.files_hover {
            drop_target_ui(ui, frame.rect);
        }
        if self.timings_shown {
            timing_view_ui(&context, frame.rect, session, circumstances.frame);
        }
        self.toasts.toasts_ui(&context, frame.rect, &session.notices, wishes);
        self.dialog_ui(&context, session, wishes);
        let answer = self.path_dialog.as_mut().and_then(|dialog| dialog.path_dialog_ui(&context));
        if answer.is_some() {
            self.path_dialog = None;
        }
        if took_tab {
            context.memory_mut(|memory| {
                if let Some(gained) = memory.focused() {
                    memory.surrender_focus(gained);
                }
            });
        }
        (frame, answer)
    }

    fn is_covered(&self, context: &Context) -> bool {
        self.path_dialog.is_some() || !matches!(self.dialog, Dialog::None) || egui::Popup::is_any_open(context)
    }

    /// True if the Tab key was a command.
    fn keys(&mut self, context: &Context, session: &Session, wishes: &mut Wishes) -> bool {
        let state = session.context();
        if !self.is_covered(context) {
            return keys::keys_to_wishes(context, &self.table, state, wishes);
        }
        if let Some(request) = keys::keys_over_dialog(context, &self.table, state)
            && self.path_dialog.is_none()
        {
            wishes.request(request);
        }
        false
    }

    fn bars_ui(&mut self, ui: &mut Ui, session: &Session, wishes: &mut Wishes) {
        let palette = Palette::of(ui.visuals());
        let bar = Frame::new().fill(palette.panel).inner_margin(Margin::symmetric(10, 0));
        Panel::top("top bar").exact_size(46.0).frame(bar).show(ui, |ui| {
            let bar = TopBar {
                table: &self.table,
                pictures_shown: self.preferences.pictures_shown,
                objects_shown: self.preferences.objects_shown,
            };
            bar.top_bar_ui(ui, session, wishes);
        });
        Panel::bottom("status bar").exact_size(27.0).frame(bar).show(ui, |ui| {
            status_bar_ui(ui, session, self.canvas.zoom());
        });
    }

    fn side_panels_ui(&mut self, ui: &mut Ui, session: &Session, wishes: &mut Wishes) {
        let palette = Palette::of(ui.visuals());
        let side = Frame::new().fill(palette.panel).inner_margin(Margin { left: 10, right: 10, top: 10, bottom: 4 });
        if self.preferences.pictures_shown {
            let panel = Panel::left("pictures").default_size(self.preferences.pictures_width).size_range(140.0..=420.0);
            let shown = panel.frame(side).show(ui, |ui| picture_panel_ui(ui, session, wishes));
            self.preferences.pictures_width = shown.response.rect.width().round();
        }
        if self.preferences.objects_shown {
            let panel = Panel::right("objects").default_size(self.preferences.objects_width).size_range(216.0..=460.0);
            let shown = panel.frame(side).show(ui, |ui| {
                self.labels.label_panel_ui(ui, session, &mut self.edit, wishes);
                ui.add_space(8.0);
                let line = ui.available_rect_before_wrap();
                ui.painter().hline(line.x_range(), line.top(), Stroke::new(1.0, palette.line));
                ui.add_space(10.0);
                object_panel_ui(ui, session, &mut self.edit, wishes);
            });
            self.preferences.objects_width = shown.response.rect.width().round();
        }
    }

    fn canvas_ui(
        &mut self,
        ui: &mut Ui,
        session: &Session,
        renderer: &mut CanvasRenderer,
        circumstances: Circumstances,
        wishes: &mut Wishes,
    ) -> CanvasFrame {
        let palette = Palette::of(ui.visuals());
        let covered = self.is_covered(ui.ctx());
        CentralPanel::no_frame()
            .frame(Frame::new().fill(palette.canvas))
            .show(ui, |ui| {
                let circumstances_of_canvas = CanvasCircumstances {
                    covered,
                    unfocused: circumstances.unfocused,
                    time_secs: circumstances.time_secs,
                };
                let frame = self.canvas.canvas_host_ui(ui, renderer, session, circumstances_of_canvas, wishes);
                if matches!(session.picture.phase, PicturePhase::None) {
                    welcome_ui(ui, frame.rect, session, wishes);
                }
                frame
            })
            .inner
    }

    fn dialog_ui(&mut self, context: &Context, session: &Session, wishes: &mut Wishes) {
        let closed = match &mut self.dialog {
            Dialog::None => false,
            Dialog::Palette(palette) => {
                let rows = command_rows(&self.table, session);
                match palette.palette_ui(context, &rows) {
                    Some(PaletteAnswer::Run(index)) => {
                        // Closed first, since the command may open another dialog.
                        self.dialog = Dialog::None;
                        wishes.action(&self.table.entries()[index].action);
                        return;
                    }
                    Some(PaletteAnswer::Closed) => true,
                    None => false,
                }
            }
            Dialog::Shortcuts => shortcut_sheet_ui(context, &command_rows(&self.table, session)),
            Dialog::Settings(panel) => panel.settings_ui(context, session, &mut self.preferences, wishes),
            Dialog::Export(dialog) => dialog.export_dialog_ui(context, session, wishes),
        };
        if closed {
            self.dialog = Dialog::None;
        }
    }
}

/// The command table as rows, in its own order.
pub fn command_rows(table: &CommandTable, session: &Session) -> Vec<CommandRow> {
    let state = session.context();
    let row = |entry: &crate::session::CommandEntry| CommandRow {
        title: entry.title.to_owned(),
        group: entry.group.title(),
        keys: entry.keys.iter().map(ToString::to_string).collect(),
        enabled: entry.when.allows(state),
    };
    table.entries().iter().map(row).collect()
}

fn drop_target_ui(ui: &Ui, canvas: egui::Rect) {
    let palette = Palette::of(ui.visuals());
    let rect = canvas.shrink(12.0);
    let painter = ui.ctx().layer_painter(egui::LayerId::new(egui::Order::Foreground, egui::Id::unique("drop target")));
    painter.rect(
        rect,
        theme::CARD_CORNER,
        palette.accent.gamma_multiply(0.18),
        Stroke::new(2.0, palette.accent),
        egui::StrokeKind::Inside,
    );
    let font = egui::TextStyle::Heading.resolve(ui.style());
    painter.text(rect.center(), egui::Align2::CENTER_CENTER, "Drop to open", font, palette.text_strong);
}

//! The bar at the top: open, undo and redo, what clicks do, find a command, export, settings, help.

use super::icons::{self, Icon};
use super::theme::{CORNER, Palette};
use super::widgets::{IconButton, Weight, action_button, keycap};
use super::wish::{WindowWish, Wishes};
use crate::session::{Action, Command, CommandTable, Session, Tool, WindowRequest};
use egui::{
    Align, Layout, Popup, Rect, RichText, Role, Sense, Stroke, StrokeKind, Ui, UiBuilder, Vec2, WidgetInfo, vec2,
};

/// What the bar needs to know besides the session.
pub struct TopBar<'a> {
    /// The keys shown beside names.
    pub table: &'a CommandTable,
    /// Whether the list of pictures is shown.
    pub pictures_shown: bool,
    /// Whether labels and objects are shown.
    pub objects_shown: bool,
}

impl TopBar<'_> {
    /// Draws the bar.
    pub fn top_bar_ui(&self, ui: &mut Ui, session: &Session, wishes: &mut Wishes) {
        let state = session.context();
        ui.horizontal_centered(|ui| {
            ui.spacing_mut().item_spacing.x = 4.0;
            brand_ui(ui);
            ui.add_space(6.0);
            self.open_menu_ui(ui, wishes);
            divider_ui(ui);
            let undo = session.undo_title().map_or("Undo".to_owned(), |title| format!("Undo: {title}"));
            let redo = session.redo_title().map_or("Redo".to_owned(), |title| format!("Redo: {title}"));
            self.edit_button_ui(ui, Icon::Undo, &undo, Command::Undo, state.can_undo, wishes);
            self.edit_button_ui(ui, Icon::Redo, &redo, Command::Redo, state.can_redo, wishes);
            divider_ui(ui);
            self.tool_ui(ui, session, wishes);
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = 4.0;
                let mut window_button = |ui: &mut Ui, icon, name, request| {
                    if IconButton::new(icon, name).shortcut(self.keys_of(request).as_deref()).show(ui).clicked() {
                        wishes.request(request);
                    }
                };
                window_button(ui, Icon::Help, "Keyboard shortcuts", WindowRequest::Shortcuts);
                window_button(ui, Icon::Settings, "Settings", WindowRequest::Settings);
                let objects = IconButton::new(Icon::SidebarRight, "Labels and objects").selected(self.objects_shown);
                if objects.show(ui).clicked() {
                    wishes.window(WindowWish::ToggleObjects);
                }
                let pictures = IconButton::new(Icon::SidebarLeft, "List of pictures").selected(self.pictures_shown);
                if pictures.show(ui).clicked() {
                    wishes.window(WindowWish::TogglePictures);
                }
                divider_ui(ui);
                // One accent a view: while prompting, the next action is to accept.
                let weight = if state.exportable && !state.drafting { Weight::Primary } else { Weight::Normal };
                let export = action_button(ui, Some(Icon::Export), "Export", weight, state.exportable);
                if export.on_hover_text(self.hint_of("Write COCO, masks or cut-outs", WindowRequest::Export)).clicked()
                {
                    wishes.request(WindowRequest::Export);
                }
                ui.add_space(4.0);
                if ui.available_width() > 110.0 {
                    self.search_button_ui(ui, wishes);
                }
            });
        });
    }

    fn keys_of(&self, request: WindowRequest) -> Option<String> {
        let entry = self.table.entry_for(&Action::Window(request))?;
        entry.keys.first().map(ToString::to_string)
    }

    fn hint_of(&self, text: &str, request: WindowRequest) -> String {
        self.keys_of(request).map_or_else(|| text.to_owned(), |keys| format!("{text} ({keys})"))
    }

    fn edit_button_ui(
        &self,
        ui: &mut Ui,
        icon: Icon,
        name: &str,
        command: Command,
        enabled: bool,
        wishes: &mut Wishes,
    ) {
        let entry = self.table.entry_for(&Action::Run(command.clone()));
        let keys = entry.and_then(|entry| entry.keys.first()).map(ToString::to_string);
        if IconButton::new(icon, name).shortcut(keys.as_deref()).enabled(enabled).show(ui).clicked() {
            wishes.command(command);
        }
    }

    fn open_menu_ui(&self, ui: &mut Ui, wishes: &mut Wishes) {
        let button = action_button(ui, Some(Icon::Folder), "Open", Weight::Quiet, true);
        Popup::menu(&button).show(|ui| {
            ui.set_min_width(230.0);
            let mut entry = |ui: &mut Ui, text: &str, request| {
                let keys = self.keys_of(request).unwrap_or_default();
                if ui.add(egui::Button::new(text).right_text(RichText::new(keys).weak()).frame(false)).clicked() {
                    wishes.request(request);
                    ui.close();
                }
            };
            entry(ui, "Pictures…", WindowRequest::OpenFiles);
            entry(ui, "Folder…", WindowRequest::OpenFolder);
            entry(ui, "From the clipboard", WindowRequest::Paste);
        });
    }

    fn tool_ui(&self, ui: &mut Ui, session: &Session, wishes: &mut Wishes) {
        let palette = Palette::of(ui.visuals());
        let size = vec2(64.0, 30.0);
        let (rect, _) = ui.allocate_exact_size(size, Sense::hover());
        ui.painter().rect(rect, CORNER, palette.sunken, Stroke::new(1.0, palette.line), StrokeKind::Inside);
        let mut inner = ui.new_child(
            UiBuilder::new().id_salt("tools").max_rect(rect.shrink(2.0)).layout(Layout::left_to_right(Align::Center)),
        );
        inner.spacing_mut().item_spacing.x = 4.0;
        for (tool, icon, name) in
            [(Tool::Prompt, Icon::Target, "Prompt tool"), (Tool::Select, Icon::Pointer, "Select tool")]
        {
            let entry = self.table.entry_for(&Action::Run(Command::SetTool(tool)));
            let keys = entry.and_then(|entry| entry.keys.first()).map(ToString::to_string);
            let button =
                IconButton::new(icon, name).shortcut(keys.as_deref()).side(26.0).selected(session.tool == tool);
            if button.show(&mut inner).clicked() {
                wishes.command(Command::SetTool(tool));
            }
        }
    }

    fn search_button_ui(&self, ui: &mut Ui, wishes: &mut Wishes) {
        let palette = Palette::of(ui.visuals());
        let width = (ui.available_width() - 8.0).min(230.0);
        let (rect, response) = ui.allocate_exact_size(vec2(width, 30.0), Sense::click());
        response.widget_info(|| WidgetInfo::labeled(Role::Button, true, "Find a command"));
        let lit = response.hovered() || response.has_focus();
        let outline = Stroke::new(1.0, if lit { palette.accent } else { palette.outline });
        ui.painter().rect(rect, CORNER, palette.sunken, outline, StrokeKind::Inside);
        let icon = Rect::from_center_size(egui::pos2(rect.left() + 16.0, rect.center().y), Vec2::splat(16.0));
        icons::paint(ui.painter(), icon, Icon::Search, palette.text_weak);
        let mut inner = ui.new_child(
            UiBuilder::new()
                .id_salt("find a command")
                .max_rect(rect.shrink2(vec2(8.0, 0.0)))
                .layout(Layout::right_to_left(Align::Center)),
        );
        if width > 150.0 {
            keycap(&mut inner, &self.keys_of(WindowRequest::Palette).unwrap_or_default());
        }
        let text =
            Rect::from_min_max(rect.min + vec2(30.0, 0.0), egui::pos2(inner.min_rect().left() - 4.0, rect.bottom()));
        let font = egui::TextStyle::Body.resolve(ui.style());
        super::widgets::elided_text(ui, text, "Find a command", font, palette.text_weak);
        if response.clicked() {
            wishes.request(WindowRequest::Palette);
        }
    }
}

fn brand_ui(ui: &mut Ui) {
    let palette = Palette::of(ui.visuals());
    let (rect, _) = ui.allocate_exact_size(Vec2::splat(26.0), Sense::hover());
    icons::paint(ui.painter(), rect.shrink(1.0), Icon::Brand, palette.accent);
    ui.label(RichText::new("Maskwright").size(15.0).strong().color(palette.text_strong));
}

fn divider_ui(ui: &mut Ui) {
    let palette = Palette::of(ui.visuals());
    let (rect, _) = ui.allocate_exact_size(vec2(9.0, 20.0), Sense::hover());
    ui.painter().vline(rect.center().x, rect.y_range(), Stroke::new(1.0, palette.outline));
}

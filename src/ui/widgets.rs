//! Small widgets that several panels share.
//!
//! Invariant: every one that can be clicked takes an accessible name, and shows it with its shortcut as a tooltip.

use super::icons::{self, Icon};
use super::theme::{CARD_CORNER, CORNER, ICON_BUTTON, Palette};
use egui::{
    Align2, Color32, CornerRadius, FontId, Frame, Margin, Rect, Response, RichText, Role, Sense, Stroke, StrokeKind,
    TextStyle, Ui, Vec2, WidgetInfo, vec2,
};

/// What an icon button says of itself.
pub struct IconButton<'a> {
    icon: Icon,
    name: &'a str,
    shortcut: Option<&'a str>,
    enabled: bool,
    selected: bool,
    side: f32,
    tint: Option<Color32>,
}

impl<'a> IconButton<'a> {
    /// A button with an icon; `name` is what a screen reader says.
    pub fn new(icon: Icon, name: &'a str) -> Self {
        Self { icon, name, shortcut: None, enabled: true, selected: false, side: ICON_BUTTON, tint: None }
    }

    /// The keys that do the same, shown in the tooltip.
    pub fn shortcut(mut self, shortcut: impl Into<Option<&'a str>>) -> Self {
        self.shortcut = shortcut.into();
        self
    }

    /// Whether it can be clicked.
    pub fn enabled(mut self, enabled: bool) -> Self {
        self.enabled = enabled;
        self
    }

    /// Whether it is on.
    pub fn selected(mut self, selected: bool) -> Self {
        self.selected = selected;
        self
    }

    /// Its side in points.
    pub fn side(mut self, side: f32) -> Self {
        self.side = side;
        self
    }

    /// The icon's colour at rest.
    pub fn tint(mut self, tint: Color32) -> Self {
        self.tint = Some(tint);
        self
    }

    /// Draws it.
    pub fn show(self, ui: &mut Ui) -> Response {
        let sense = if self.enabled { Sense::click() } else { Sense::hover() };
        let (rect, response) = ui.allocate_exact_size(Vec2::splat(self.side), sense);
        response.widget_info(|| WidgetInfo::selected(Role::Button, self.enabled, self.selected, self.name));
        if ui.is_rect_visible(rect) {
            let palette = Palette::of(ui.visuals());
            let lit = self.enabled && (response.hovered() || response.has_focus());
            let fill = match (self.selected, lit, response.is_pointer_button_down_on()) {
                (true, ..) => palette.accent_soft,
                (_, true, true) => palette.control_pressed,
                (_, true, false) => palette.control_hovered,
                _ => Color32::TRANSPARENT,
            };
            ui.painter().rect_filled(rect, CORNER, fill);
            if response.has_focus() {
                focus_outline(ui, rect);
            }
            let rest = if self.selected { palette.accent } else { self.tint.unwrap_or(palette.text) };
            let color = match (self.enabled, lit) {
                (false, _) => palette.text_weak.gamma_multiply(0.45),
                (true, true) if !self.selected => palette.text_strong,
                _ => rest,
            };
            icons::paint(ui.painter(), rect.shrink(self.side * 0.2), self.icon, color);
        }
        named_tooltip(response, self.name, self.shortcut)
    }
}

/// A thin accent line around what has the focus or lies under the pointer.
pub fn focus_outline(ui: &Ui, rect: Rect) {
    let stroke = Stroke::new(1.5, Palette::of(ui.visuals()).accent);
    ui.painter().rect_stroke(rect, CORNER, stroke, StrokeKind::Inside);
}

fn named_tooltip(response: Response, name: &str, shortcut: Option<&str>) -> Response {
    response.on_hover_ui(|ui| {
        ui.horizontal(|ui| {
            ui.label(name);
            if let Some(shortcut) = shortcut.filter(|keys| !keys.is_empty()) {
                keycap(ui, shortcut);
            }
        });
    })
}

/// How much a text button calls for attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The next action: filled with the accent. At most one a view.
    Primary,
    /// Any other action.
    Normal,
    /// An action beside others, without a frame.
    Quiet,
}

/// A button with an icon before its text.
pub fn action_button(ui: &mut Ui, icon: Option<Icon>, text: &str, weight: Weight, enabled: bool) -> Response {
    wide_button(ui, icon, text, weight, enabled, 0.0)
}

/// [`action_button`] of at least this width.
pub fn wide_button(
    ui: &mut Ui,
    icon: Option<Icon>,
    text: &str,
    weight: Weight,
    enabled: bool,
    min_width: f32,
) -> Response {
    let font = TextStyle::Button.resolve(ui.style());
    let palette = Palette::of(ui.visuals());
    let galley = ui.painter().layout_no_wrap(text.to_owned(), font, palette.text);
    let icon_width = if icon.is_some() { 22.0 } else { 0.0 };
    let size = vec2((galley.size().x + icon_width + 22.0).max(min_width), ICON_BUTTON);
    let (rect, response) = ui.allocate_exact_size(size, if enabled { Sense::click() } else { Sense::hover() });
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, text));
    let lit = enabled && (response.hovered() || response.has_focus());
    let pressed = enabled && response.is_pointer_button_down_on();
    let (fill, ink) = match weight {
        _ if !enabled => (palette.control.gamma_multiply(0.5), palette.text_weak.gamma_multiply(0.6)),
        Weight::Primary if lit => (palette.accent_hovered, palette.on_accent),
        Weight::Primary => (palette.accent, palette.on_accent),
        _ if pressed => (palette.control_pressed, palette.text_strong),
        _ if lit => (palette.control_hovered, palette.text_strong),
        Weight::Normal => (palette.control, palette.text),
        Weight::Quiet => (Color32::TRANSPARENT, palette.text),
    };
    ui.painter().rect_filled(rect, CORNER, fill);
    if weight == Weight::Normal {
        ui.painter().rect_stroke(rect, CORNER, Stroke::new(1.0, palette.outline), StrokeKind::Inside);
    }
    if response.has_focus() {
        focus_outline(ui, rect);
    }
    let mut left = rect.left() + 11.0;
    if let Some(icon) = icon {
        let square = Rect::from_center_size(egui::pos2(left + 8.0, rect.center().y), Vec2::splat(17.0));
        icons::paint(ui.painter(), square, icon, ink);
        left += icon_width;
    }
    ui.painter().galley_with_override_text_color(
        egui::pos2(left, rect.center().y - galley.size().y * 0.5),
        galley,
        ink,
    );
    response
}

/// A key or a combination of keys, drawn as a cap.
pub fn keycap(ui: &mut Ui, keys: &str) {
    let palette = Palette::of(ui.visuals());
    let galley = ui.painter().layout_no_wrap(keys.to_owned(), FontId::proportional(11.0), palette.text_weak);
    let size = vec2((galley.size().x + 11.0).max(18.0), 18.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| WidgetInfo::labeled(Role::Label, true, keys));
    let rect = rect.shrink(0.5);
    ui.painter().rect(rect, 4.0, palette.sunken, Stroke::new(1.0, palette.outline), StrokeKind::Middle);
    let at = Align2::CENTER_CENTER.align_size_within_rect(galley.size(), rect).min;
    ui.painter().galley(at, galley, palette.text_weak);
}

/// The small heading over a list.
pub fn section_heading(ui: &mut Ui, text: &str, count: Option<usize>) {
    let palette = Palette::of(ui.visuals());
    ui.label(RichText::new(text).size(12.0).strong().color(palette.text_strong));
    if let Some(count) = count {
        ui.label(RichText::new(count.to_string()).size(11.5).color(palette.text_weak));
    }
}

/// A card that floats over the canvas.
pub fn card_frame(ui: &Ui) -> Frame {
    let palette = Palette::of(ui.visuals());
    Frame::new()
        .fill(palette.raised)
        .stroke(Stroke::new(1.0, palette.outline))
        .corner_radius(CARD_CORNER)
        .inner_margin(Margin::same(10))
        .shadow(ui.visuals().popup_shadow)
}

/// The frame of a dialog.
pub fn dialog_frame(context: &egui::Context) -> Frame {
    let style = context.style_of(context.theme());
    Frame::popup(&style)
        .fill(style.visuals.window_fill)
        .corner_radius(CARD_CORNER)
        .inner_margin(Margin::same(18))
        .shadow(style.visuals.window_shadow)
}

/// A slider with a name for assistive technology; true when it moved.
pub fn named_slider(ui: &mut Ui, name: &str, slider: egui::Slider<'_>) -> bool {
    ui.scope(|ui| {
        let accent = Palette::of(ui.visuals()).accent;
        ui.spacing_mut().interact_size.y = 20.0;
        ui.spacing_mut().button_padding.y = 1.0;
        ui.visuals_mut().selection.bg_fill = accent;
        ui.name_inputs(name, |ui| ui.add(slider).changed())
    })
    .inner
}

/// One choice among a few, side by side; true when another one was chosen.
pub fn segmented<T: Copy + PartialEq>(ui: &mut Ui, choices: &[(T, &str)], chosen: &mut T, enabled: bool) -> bool {
    let palette = Palette::of(ui.visuals());
    let font = FontId::proportional(13.0);
    let faded = if enabled { 1.0 } else { 0.5 };
    let galleys: Vec<_> = choices
        .iter()
        .map(|(_, name)| ui.painter().layout_no_wrap((*name).to_owned(), font.clone(), palette.text))
        .collect();
    let width: f32 = galleys.iter().map(|galley| galley.size().x + 24.0).sum::<f32>() + 4.0;
    let (frame, _) = ui.allocate_exact_size(vec2(width, ICON_BUTTON), Sense::hover());
    ui.painter().rect(frame, CORNER, palette.sunken, Stroke::new(1.0, palette.outline), StrokeKind::Inside);
    let mut left = frame.left() + 2.0;
    let mut changed = false;
    for ((value, name), galley) in choices.iter().zip(galleys) {
        let size = vec2(galley.size().x + 24.0, frame.height() - 4.0);
        let rect = Rect::from_min_size(egui::pos2(left, frame.top() + 2.0), size);
        left += size.x;
        let id = ui.scope_id().with(("segment", *name));
        let response = ui.interact(rect, id, if enabled { Sense::click() } else { Sense::hover() });
        let is_chosen = *value == *chosen;
        response.widget_info(|| WidgetInfo::selected(Role::RadioButton, enabled, is_chosen, name));
        let lit = enabled && (response.hovered() || response.has_focus());
        let (fill, ink) = match (is_chosen, lit) {
            (true, _) => (palette.accent, palette.on_accent),
            (_, true) => (palette.control_hovered, palette.text_strong),
            _ => (Color32::TRANSPARENT, palette.text),
        };
        ui.painter().rect_filled(rect, 5.0, fill.gamma_multiply(faded));
        let at = Align2::CENTER_CENTER.align_size_within_rect(galley.size(), rect).min;
        ui.painter().galley_with_override_text_color(at, galley, ink.gamma_multiply(faded));
        if response.clicked() && !is_chosen {
            *chosen = *value;
            changed = true;
        }
    }
    changed
}

/// A filled square with round corners that shows a colour.
pub fn swatch(ui: &Ui, rect: Rect, color: Color32) {
    ui.painter().rect_filled(rect, CornerRadius::same(4), color);
}

/// The tint of an object or label on the screen, from bytes.
pub fn rgb(color: [u8; 3]) -> Color32 {
    Color32::from_rgb(color[0], color[1], color[2])
}

/// One line of text in a rectangle, cut with an ellipsis where it does not fit. Returns the width drawn.
pub fn elided_text(ui: &Ui, rect: Rect, text: &str, font: FontId, color: Color32) -> f32 {
    let mut job = egui::text::LayoutJob::single_section(text.to_owned(), egui::TextFormat::simple(font, color));
    job.wrap = egui::text::TextWrapping::truncate_at_width(rect.width().max(8.0));
    let galley = ui.painter().layout_job(job);
    let at = Align2::LEFT_CENTER.align_size_within_rect(galley.size(), rect).min;
    let width = galley.size().x;
    ui.painter().galley(at, galley, color);
    width
}

/// A field of one line with a name for assistive technology. `width` in points; infinite takes what is there.
pub fn text_field(ui: &mut Ui, name: &str, text: &mut String, hint: &str, width: f32) -> Response {
    let palette = Palette::of(ui.visuals());
    let hint = RichText::new(hint).color(palette.text_weak.gamma_multiply(0.8));
    let response = ui.add(egui::TextEdit::singleline(text).desired_width(width).hint_text(hint));
    ui.ctx().accesskit_node_builder(response.id, |node| node.set_label(name.to_owned()));
    response
}

//! The look of the window in one place: a palette for dark and one for light, spacing, corners and type sizes.
//!
//! Invariant: no panel names a colour of its own. Panels ask [`Palette::of`]; one accent colour marks what the next
//! action is, and nothing else.

use egui::{Color32, CornerRadius, FontFamily, FontId, Margin, Shadow, Stroke, Style, TextStyle, Theme, Visuals, vec2};

/// Every colour that the window uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    /// Behind the picture.
    pub canvas: Color32,
    /// Side panels and bars.
    pub panel: Color32,
    /// Cards, dialogs and menus, which lie above panels.
    pub raised: Color32,
    /// Text fields, lists, slider rails.
    pub sunken: Color32,
    /// A button at rest.
    pub control: Color32,
    /// A button under the pointer.
    pub control_hovered: Color32,
    /// A button that is pressed.
    pub control_pressed: Color32,
    /// Lines between areas.
    pub line: Color32,
    /// Outlines of cards and fields.
    pub outline: Color32,
    /// Body text.
    pub text: Color32,
    /// Headings and what is chosen.
    pub text_strong: Color32,
    /// Secondary text; still 4.5 to 1 against `panel`.
    pub text_weak: Color32,
    /// The one accent.
    pub accent: Color32,
    /// The accent under the pointer.
    pub accent_hovered: Color32,
    /// Text on the accent.
    pub on_accent: Color32,
    /// A tint of the accent for chosen rows.
    pub accent_soft: Color32,
    /// Done, saved.
    pub good: Color32,
    /// Needs attention.
    pub warning: Color32,
    /// Failed, destructive.
    pub bad: Color32,
}

const DARK: Palette = Palette {
    canvas: Color32::from_rgb(13, 15, 19),
    panel: Color32::from_rgb(22, 25, 31),
    raised: Color32::from_rgb(30, 34, 42),
    sunken: Color32::from_rgb(16, 19, 24),
    control: Color32::from_rgb(39, 44, 54),
    control_hovered: Color32::from_rgb(50, 56, 68),
    control_pressed: Color32::from_rgb(33, 38, 47),
    line: Color32::from_rgb(36, 41, 50),
    outline: Color32::from_rgb(52, 59, 71),
    text: Color32::from_rgb(214, 219, 228),
    text_strong: Color32::from_rgb(245, 247, 250),
    text_weak: Color32::from_rgb(142, 152, 168),
    accent: Color32::from_rgb(94, 129, 244),
    accent_hovered: Color32::from_rgb(116, 148, 255),
    on_accent: Color32::from_rgb(255, 255, 255),
    accent_soft: Color32::from_rgb(37, 46, 74),
    good: Color32::from_rgb(87, 196, 146),
    warning: Color32::from_rgb(232, 184, 88),
    bad: Color32::from_rgb(240, 112, 120),
};

const LIGHT: Palette = Palette {
    canvas: Color32::from_rgb(225, 229, 235),
    panel: Color32::from_rgb(247, 248, 250),
    raised: Color32::from_rgb(255, 255, 255),
    sunken: Color32::from_rgb(237, 240, 244),
    control: Color32::from_rgb(232, 235, 240),
    control_hovered: Color32::from_rgb(221, 226, 233),
    control_pressed: Color32::from_rgb(211, 217, 226),
    line: Color32::from_rgb(224, 228, 234),
    outline: Color32::from_rgb(203, 210, 220),
    text: Color32::from_rgb(47, 54, 66),
    text_strong: Color32::from_rgb(15, 20, 28),
    text_weak: Color32::from_rgb(95, 105, 121),
    accent: Color32::from_rgb(52, 93, 225),
    accent_hovered: Color32::from_rgb(37, 76, 204),
    on_accent: Color32::from_rgb(255, 255, 255),
    accent_soft: Color32::from_rgb(224, 232, 254),
    good: Color32::from_rgb(22, 126, 82),
    warning: Color32::from_rgb(150, 99, 4),
    bad: Color32::from_rgb(193, 45, 58),
};

impl Palette {
    /// The palette of a style in use.
    pub fn of(visuals: &Visuals) -> &'static Self {
        if visuals.dark_mode { &DARK } else { &LIGHT }
    }
}

/// Corners of buttons and fields.
pub const CORNER: CornerRadius = CornerRadius::same(6);
/// Corners of cards and dialogs.
pub const CARD_CORNER: CornerRadius = CornerRadius::same(10);
/// Height of a row in a list, in points.
pub const ROW_HEIGHT: f32 = 30.0;
/// Side of an icon button, in points.
pub const ICON_BUTTON: f32 = 30.0;

/// Gives both styles, dark and light, to the window.
pub fn install(context: &egui::Context) {
    context.set_style_of(Theme::Dark, style(&DARK, Visuals::dark()));
    context.set_style_of(Theme::Light, style(&LIGHT, Visuals::light()));
}

fn style(palette: &Palette, base: Visuals) -> Style {
    let proportional = |size| FontId::new(size, FontFamily::Proportional);
    let mut style = Style {
        text_styles: [
            (TextStyle::Small, proportional(11.5)),
            (TextStyle::Body, proportional(13.5)),
            (TextStyle::Button, proportional(13.5)),
            (TextStyle::Heading, proportional(17.0)),
            (TextStyle::Monospace, FontId::new(12.5, FontFamily::Monospace)),
        ]
        .into(),
        visuals: visuals(palette, base),
        animation_time: 0.12,
        ..Style::default()
    };
    let spacing = &mut style.spacing;
    spacing.item_spacing = vec2(8.0, 6.0);
    spacing.button_padding = vec2(10.0, 5.0);
    spacing.window_margin = Margin::same(16);
    spacing.menu_margin = Margin::same(6);
    spacing.interact_size = vec2(36.0, 28.0);
    spacing.slider_width = 130.0;
    spacing.slider_rail_height = 4.0;
    spacing.icon_width = 16.0;
    spacing.icon_width_inner = 9.0;
    spacing.icon_spacing = 7.0;
    spacing.combo_width = 120.0;
    spacing.tooltip_width = 340.0;
    // Dialogs limit their own height by the window's.
    spacing.default_area_size = vec2(600.0, 4000.0);
    style.interaction.selectable_labels = false;
    style.interaction.tooltip_delay = 0.45;
    style
}

fn visuals(palette: &Palette, base: Visuals) -> Visuals {
    let mut visuals = base;
    let dark = visuals.dark_mode;
    visuals.panel_fill = palette.panel;
    visuals.window_fill = palette.raised;
    visuals.window_stroke = Stroke::new(1.0, palette.outline);
    visuals.window_corner_radius = CARD_CORNER;
    visuals.menu_corner_radius = CornerRadius::same(8);
    visuals.extreme_bg_color = palette.sunken;
    visuals.text_edit_bg_color = Some(palette.sunken);
    visuals.faint_bg_color = palette.sunken;
    visuals.code_bg_color = palette.sunken;
    visuals.hyperlink_color = palette.accent;
    visuals.warn_fg_color = palette.warning;
    visuals.error_fg_color = palette.bad;
    visuals.weak_text_color = Some(palette.text_weak);
    visuals.selection.bg_fill = palette.accent_soft;
    visuals.selection.stroke = Stroke::new(1.0, if dark { palette.accent_hovered } else { palette.accent });
    visuals.slider_trailing_fill = true;
    visuals.handle_shape = egui::style::HandleShape::Circle;
    visuals.indent_has_left_vline = false;
    visuals.window_shadow =
        Shadow { offset: [0, 10], blur: 32, spread: 0, color: Color32::from_black_alpha(if dark { 130 } else { 50 }) };
    visuals.popup_shadow =
        Shadow { offset: [0, 4], blur: 16, spread: 0, color: Color32::from_black_alpha(if dark { 110 } else { 40 }) };
    let widgets = &mut visuals.widgets;
    let state = |fill: Color32, outline: Color32, text: Color32| egui::style::WidgetVisuals {
        bg_fill: fill,
        weak_bg_fill: fill,
        bg_stroke: Stroke::new(1.0, outline),
        corner_radius: CORNER,
        fg_stroke: Stroke::new(1.2, text),
        expansion: 0.0,
    };
    widgets.noninteractive = state(palette.panel, palette.line, palette.text);
    widgets.inactive = state(palette.control, palette.control, palette.text);
    widgets.inactive.bg_stroke.color = palette.outline;
    widgets.hovered = state(palette.control_hovered, palette.outline, palette.text_strong);
    widgets.active = state(palette.control_pressed, palette.accent, palette.text_strong);
    widgets.open = state(palette.control_hovered, palette.outline, palette.text_strong);
    visuals
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG 2 relative luminance contrast.
    fn contrast(a: Color32, b: Color32) -> f32 {
        let luminance = |color: Color32| {
            let channel = |value: u8| {
                let value = f32::from(value) / 255.0;
                if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * channel(color.r()) + 0.7152 * channel(color.g()) + 0.0722 * channel(color.b())
        };
        let (a, b) = (luminance(a), luminance(b));
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    #[test]
    fn text_can_be_read_on_every_surface() {
        for palette in [DARK, LIGHT] {
            for surface in [palette.panel, palette.raised, palette.sunken] {
                assert!(contrast(palette.text, surface) >= 7.0);
                assert!(contrast(palette.text_weak, surface) >= 4.5);
                for signal in [palette.good, palette.warning, palette.bad] {
                    assert!(contrast(signal, surface) >= 4.0, "{signal:?} on {surface:?}");
                }
            }
            assert!(contrast(palette.on_accent, palette.accent) >= 3.0);
        }
    }
}

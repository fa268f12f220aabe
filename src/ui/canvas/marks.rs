//! Points and boxes, drawn by egui's painter in screen points, so that they are as crisp at every zoom.
//!
//! Polarity is told by the sign and the ring, not by colour alone.

use super::{CanvasBox, CanvasPoint};
use crate::geometry::{ImageFromScreen, ImagePoint, ImageRect};
use crate::prompt::Polarity;
use egui::emath::GuiRounding;
use egui::{Color32, Painter, Pos2, Rect, Shape, Stroke, StrokeKind, pos2, vec2};

const INCLUDE: Color32 = Color32::from_rgb(0x1f, 0x9d, 0x55);
const EXCLUDE: Color32 = Color32::from_rgb(0xd6, 0x3a, 0x4a);
const BOX: Color32 = Color32::from_rgb(0x3b, 0x9d, 0xff);
const SHADE: Color32 = Color32::from_black_alpha(150);
const RADIUS: f32 = 7.0;

/// How the marks look in this frame.
#[derive(Clone, Copy)]
pub(super) struct MarkLook {
    /// 0..=1: how strongly waiting marks are drawn just now.
    pub waiting_strength: f32,
    /// The point under the pointer.
    pub hovered: Option<usize>,
}

fn on_screen(view: ImageFromScreen, at: ImagePoint) -> Pos2 {
    let at = view.screen_from_image(at);
    pos2(at.x, at.y)
}

/// The points in the order in which they were said, later ones on top.
pub(super) fn paint_points(painter: &Painter, view: ImageFromScreen, points: &[CanvasPoint], look: MarkLook) {
    let pixel = 1.0 / painter.pixels_per_point();
    for (index, point) in points.iter().enumerate() {
        // The middle on a pixel's corner, and all bars an even number of pixels thick: every edge is sharp.
        let center = on_screen(view, point.at).round_to_pixels(painter.pixels_per_point());
        let radius = if look.hovered == Some(index) { RADIUS + 2.0 } else { RADIUS };
        let color = if point.polarity == Polarity::Include { INCLUDE } else { EXCLUDE };
        let strength = if point.waiting { look.waiting_strength } else { 1.0 };
        let white = Color32::WHITE.gamma_multiply(strength);
        painter.circle_filled(center, radius + 2.0, SHADE.gamma_multiply(strength));
        if point.waiting {
            painter.circle_stroke(center, radius, Stroke::new(2.0, white));
        } else {
            painter.circle_filled(center, radius + 1.0, white);
            painter.circle_filled(center, radius - 0.5, color);
        }
        let (half, thick) = ((radius - 3.0).round(), pixel.max(1.0));
        painter.rect_filled(Rect::from_center_size(center, vec2(2.0 * half, 2.0 * thick)), 0.0, white);
        if point.polarity == Polarity::Include {
            painter.rect_filled(Rect::from_center_size(center, vec2(2.0 * thick, 2.0 * half)), 0.0, white);
        }
    }
}

/// The prompt's box; dashed while it waits.
pub(super) fn paint_box(painter: &Painter, view: ImageFromScreen, shown: &CanvasBox, look: MarkLook) {
    let strength = if shown.waiting { look.waiting_strength } else { 1.0 };
    frame(painter, view, shown.rect, BOX.gamma_multiply(strength), shown.waiting);
}

/// The box being drawn.
pub(super) fn paint_rubber_band(painter: &Painter, view: ImageFromScreen, rect: ImageRect) {
    painter.rect_filled(screen_rect(painter, view, rect), 0.0, BOX.gamma_multiply(0.12));
    frame(painter, view, rect, BOX, false);
}

fn frame(painter: &Painter, view: ImageFromScreen, rect: ImageRect, color: Color32, dashed: bool) {
    let rect = screen_rect(painter, view, rect);
    // Dark, colour, dark: seen on any picture. Whole pixels, so sharp.
    painter.rect_stroke(rect.expand(2.0), 0.0, Stroke::new(1.0, SHADE), StrokeKind::Inside);
    if !dashed {
        painter.rect_stroke(rect.shrink(1.0), 0.0, Stroke::new(1.0, SHADE), StrokeKind::Inside);
        painter.rect_stroke(rect, 0.0, Stroke::new(2.0, color), StrokeKind::Middle);
        return;
    }
    let corners = [rect.left_top(), rect.right_top(), rect.right_bottom(), rect.left_bottom(), rect.left_top()];
    painter.extend(Shape::dashed_line(&corners, Stroke::new(2.0, color), 6.0, 4.0));
}

fn screen_rect(painter: &Painter, view: ImageFromScreen, rect: ImageRect) -> Rect {
    let corner = |x, y| on_screen(view, ImagePoint::new(x, y)).round_to_pixels(painter.pixels_per_point());
    Rect::from_min_max(corner(rect.x0, rect.y0), corner(rect.x1, rect.y1))
}

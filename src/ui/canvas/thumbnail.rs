//! One candidate over the picture, small: the candidate strip's button.

use super::{CanvasArea, CanvasMask, CanvasRenderer};
use crate::geometry::{ImageFromScreen, ImageRect, PixelRect, ScreenPoint};
use crate::render::{MaskDraw, Outline, SceneDraw};
use egui::{Color32, Response, Role, Sense, Stroke, StrokeKind, Ui, Vec2, WidgetInfo};

/// Draws a candidate in a button of this size, named `name` for assistive technology. `region` is the part of the
/// picture to show (one for all candidates makes them comparable, see [`candidates_region`]); `None` shows all that
/// the candidate's field spans. Without a GPU the button is empty but works.
pub fn candidate_thumbnail_ui(
    ui: &mut Ui,
    renderer: &mut CanvasRenderer,
    name: &str,
    size: Vec2,
    selected: bool,
    region: Option<PixelRect>,
    mask: CanvasMask<'_>,
) -> Response {
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    response.widget_info(|| WidgetInfo::selected(Role::Button, ui.is_enabled(), selected, name));
    if !ui.is_rect_visible(rect) {
        return response;
    }
    let painter = ui.painter_at(rect.expand(1.0));
    painter.rect_filled(rect, 2.0, ui.visuals().extreme_bg_color);
    // A gap of the background parts the frame from the picture, whatever their colours.
    let inner = rect.shrink(5.0);
    let pixels_per_point = ui.pixels_per_point();
    let area = CanvasArea {
        origin: ScreenPoint { x: inner.left(), y: inner.top() },
        width: inner.width(),
        height: inner.height(),
        pixels_per_point,
    };
    let draw = SceneDraw {
        clip: [inner.left(), inner.top(), inner.width(), inner.height()],
        image_from_screen: fitted(area, region.unwrap_or(mask.field.view)),
        pixels_per_point,
        instances: false,
        tint_opacity: 0.0,
        outlines: false,
        masks: &[MaskDraw {
            field: mask.field,
            threshold: mask.threshold,
            color: mask.color,
            tint_opacity: 0.5,
            outline: Outline::Line,
        }],
    };
    if let Some(shape) = renderer.paint(&draw) {
        painter.add(shape);
    }
    let visuals = ui.style().interact_selectable(&response, selected);
    let stroke = if selected {
        Stroke::new(3.0, ui.visuals().selection.stroke.color)
    } else if response.hovered() || response.has_focus() {
        Stroke::new(2.0, visuals.fg_stroke.color)
    } else {
        Stroke::new(1.0, Color32::from_gray(128))
    };
    painter.rect_stroke(rect, 2.0, stroke, StrokeKind::Inside);
    response
}

/// The part of the picture that holds all these candidates, with a margin: what their thumbnails should show. `None`
/// if all are empty. Looks at every logit: call it when the candidates change, not every frame.
pub fn candidates_region(masks: &[CanvasMask<'_>], picture: (u32, u32)) -> Option<PixelRect> {
    let around = masks.iter().filter_map(field_bounds).reduce(|a, b| ImageRect {
        x0: a.x0.min(b.x0),
        y0: a.y0.min(b.y0),
        x1: a.x1.max(b.x1),
        y1: a.y1.max(b.y1),
    })?;
    let margin = 0.15 * around.width().max(around.height());
    let wide =
        ImageRect { x0: around.x0 - margin, y0: around.y0 - margin, x1: around.x1 + margin, y1: around.y1 + margin };
    PixelRect::covering(wide, picture.0, picture.1)
}

/// The grid cells above the threshold, as a rectangle of the picture.
fn field_bounds(mask: &CanvasMask<'_>) -> Option<ImageRect> {
    let field = mask.field;
    let (mut x0, mut y0, mut x1, mut y1) = (u32::MAX, u32::MAX, 0, 0);
    for (row, values) in (0u32..).zip(field.values.chunks_exact(field.grid_width.max(1) as usize)) {
        for (column, _) in (0u32..).zip(values).filter(|(_, v)| **v > mask.threshold) {
            (x0, x1) = (x0.min(column), x1.max(column + 1));
            (y0, y1) = (y0.min(row), y1.max(row + 1));
        }
    }
    let (sx, sy) =
        (field.view.width as f32 / field.grid_width as f32, field.view.height as f32 / field.grid_height as f32);
    let (left, top) = (field.view.x as f32, field.view.y as f32);
    (x1 > x0).then_some(ImageRect {
        x0: left + x0 as f32 * sx,
        y0: top + y0 as f32 * sy,
        x1: left + x1 as f32 * sx,
        y1: top + y1 as f32 * sy,
    })
}

/// The region in the middle of the area, as large as it fits.
fn fitted(area: CanvasArea, region: PixelRect) -> ImageFromScreen {
    let (width, height) = (region.width.max(1) as f32, region.height.max(1) as f32);
    let zoom = (area.width / width).min(area.height / height);
    let left = area.origin.x + (area.width - width * zoom) / 2.0;
    let top = area.origin.y + (area.height - height * zoom) / 2.0;
    let origin = ScreenPoint { x: left - region.x as f32 * zoom, y: top - region.y as f32 * zoom };
    ImageFromScreen { origin, zoom }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::ImagePoint;
    use crate::raster::LogitField;

    #[test]
    fn the_region_holds_all_candidates_with_a_margin_and_stays_on_the_picture() {
        let view = PixelRect { x: 100, y: 0, width: 80, height: 80 };
        let field = |inside: &[usize]| {
            let mut values = vec![-1.0f32; 64];
            inside.iter().for_each(|&i| values[i] = 1.0);
            LogitField { grid_width: 8, grid_height: 8, values: values.into(), view }
        };
        let (a, b, empty) = (field(&[2 * 8 + 3]), field(&[4 * 8 + 5]), field(&[]));
        let mask = |field| CanvasMask { field, threshold: 0.0, color: [0; 3] };
        let region = candidates_region(&[mask(&a), mask(&b), mask(&empty)], (200, 100)).expect("two are not empty");
        // Columns 3..6 and rows 2..5 of ten pixels each, widened by 15 % of 30.
        assert_eq!(region, PixelRect { x: 125, y: 15, width: 40, height: 40 });
        assert_eq!(candidates_region(&[mask(&empty)], (200, 100)), None);
    }

    #[test]
    fn a_fitted_region_fills_its_area_and_stands_in_the_middle() {
        let area =
            CanvasArea { origin: ScreenPoint { x: 10.0, y: 20.0 }, width: 100.0, height: 60.0, pixels_per_point: 1.0 };
        let view = fitted(area, PixelRect { x: 40, y: 40, width: 20, height: 20 });
        assert_eq!(view.zoom, 3.0);
        assert_eq!(view.screen_from_image(ImagePoint::new(50.0, 50.0)), ScreenPoint { x: 60.0, y: 50.0 });
    }
}

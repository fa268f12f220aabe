//! Which part of the picture is on the screen: fit, zoom and pan as pure functions.
//!
//! Invariants: the middle of the canvas always lies on the picture, so the picture cannot be lost; zoom stays between
//! a quarter of the fit and [`CanvasView::MAX_ZOOM`]. The view is kept relative to the middle of the canvas, so a
//! resized window shows the same place.

use crate::geometry::{ImageFromScreen, ImagePoint, ImageRect, PixelRect, ScreenPoint};

/// Where the canvas lies in the window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CanvasArea {
    /// Top left corner, logical points.
    pub origin: ScreenPoint,
    /// Logical points.
    pub width: f32,
    /// Logical points.
    pub height: f32,
    /// Physical screen pixels a logical point.
    pub pixels_per_point: f32,
}

impl CanvasArea {
    fn center(self) -> ScreenPoint {
        ScreenPoint { x: self.origin.x + self.width / 2.0, y: self.origin.y + self.height / 2.0 }
    }
}

/// What the user chose to look at. It does not know the canvas: that is given with each question.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum CanvasView {
    /// The whole picture with a margin, whatever the canvas' size.
    #[default]
    Fit,
    /// This place in the middle, this large.
    At {
        /// The picture point in the middle of the canvas.
        center: ImagePoint,
        /// Screen points a picture pixel.
        zoom: f32,
    },
}

/// Kept free on each side of a fitted picture, logical points.
const FIT_MARGIN: f32 = 16.0;

impl CanvasView {
    /// The whole picture.
    pub const FIT: Self = Self::Fit;
    /// Largest zoom, in physical screen pixels a picture pixel.
    pub const MAX_ZOOM: f32 = 64.0;

    /// One physical screen pixel a picture pixel, around what is in the middle now.
    pub fn one_to_one(self, area: CanvasArea, size: (u32, u32)) -> Self {
        Self::At { center: self.center(size), zoom: 1.0 / area.pixels_per_point }.clamped(area, size)
    }

    /// Screen points a picture pixel.
    pub fn zoom(self, area: CanvasArea, size: (u32, u32)) -> f32 {
        match self {
            Self::Fit => fit_zoom(area, size),
            Self::At { zoom, .. } => clamp_zoom(zoom, area, size),
        }
    }

    /// Where the picture lies on the screen. Its corner is put on a whole physical pixel, so that 1:1 and whole-number
    /// zooms are exact.
    pub fn image_from_screen(self, area: CanvasArea, size: (u32, u32)) -> ImageFromScreen {
        let (zoom, center, middle) = (self.zoom(area, size), self.clamped(area, size).center(size), area.center());
        let snap = |v: f32| (v * area.pixels_per_point).round() / area.pixels_per_point;
        let origin = ScreenPoint { x: snap(middle.x - center.x * zoom), y: snap(middle.y - center.y * zoom) };
        ImageFromScreen { origin, zoom }
    }

    /// Zoomed by `factor`, the picture point under `anchor` staying where it is as far as the limits allow.
    pub fn zoomed_at(self, area: CanvasArea, size: (u32, u32), anchor: ScreenPoint, factor: f32) -> Self {
        let (before, center, middle) = (self.zoom(area, size), self.clamped(area, size).center(size), area.center());
        let zoom = clamp_zoom(before * factor, area, size);
        if zoom == before {
            return self;
        }
        // From the middle and not from the picture's far-off corner, which would cost precision. Nor from the snapped
        // view, or many small steps would add up to a drift.
        let kept = 1.0 / before - 1.0 / zoom;
        let center = ImagePoint::new(center.x + (anchor.x - middle.x) * kept, center.y + (anchor.y - middle.y) * kept);
        Self::At { center, zoom }.clamped(area, size)
    }

    /// Moved so that the picture follows a pointer that moved by this many logical points.
    pub fn panned(self, area: CanvasArea, size: (u32, u32), by: (f32, f32)) -> Self {
        let (zoom, center) = (self.zoom(area, size), self.clamped(area, size).center(size));
        let center = ImagePoint::new(center.x - by.0 / zoom, center.y - by.1 / zoom);
        Self::At { center, zoom }.clamped(area, size)
    }

    /// The part of the picture on the screen, rounded outwards; `None` if the canvas has no room.
    pub fn visible(self, area: CanvasArea, size: (u32, u32)) -> Option<PixelRect> {
        let view = self.image_from_screen(area, size);
        let from = view.image_from_screen(area.origin);
        let to = view.image_from_screen(ScreenPoint { x: area.origin.x + area.width, y: area.origin.y + area.height });
        PixelRect::covering(ImageRect::from_corners(from, to), size.0, size.1)
    }

    fn center(self, size: (u32, u32)) -> ImagePoint {
        match self {
            Self::Fit => ImagePoint::new(size.0 as f32 / 2.0, size.1 as f32 / 2.0),
            Self::At { center, .. } => center,
        }
    }

    fn clamped(self, area: CanvasArea, size: (u32, u32)) -> Self {
        match self {
            Self::Fit => Self::Fit,
            Self::At { center, zoom } => Self::At {
                center: ImagePoint::new(clamp_or(center.x, size.0), clamp_or(center.y, size.1)),
                zoom: clamp_zoom(zoom, area, size),
            },
        }
    }
}

/// Within the picture; a value that is no number goes to the middle.
fn clamp_or(value: f32, size: u32) -> f32 {
    if value.is_nan() { size as f32 / 2.0 } else { value.clamp(0.0, size as f32) }
}

fn fit_zoom(area: CanvasArea, size: (u32, u32)) -> f32 {
    let room = |length: f32| (length - 2.0 * FIT_MARGIN).max(length * 0.5).max(1.0);
    let (width, height) = (size.0.max(1) as f32, size.1.max(1) as f32);
    (room(area.width) / width).min(room(area.height) / height).min(CanvasView::MAX_ZOOM / area.pixels_per_point)
}

fn clamp_zoom(zoom: f32, area: CanvasArea, size: (u32, u32)) -> f32 {
    let fit = fit_zoom(area, size);
    if zoom.is_nan() { fit } else { zoom.clamp(fit / 4.0, CanvasView::MAX_ZOOM / area.pixels_per_point) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AREA: CanvasArea =
        CanvasArea { origin: ScreenPoint { x: 100.0, y: 50.0 }, width: 800.0, height: 600.0, pixels_per_point: 1.0 };

    #[test]
    fn fit_shows_the_whole_picture_with_a_margin() {
        for size in [(4000, 3000), (300, 2000), (1, 1), (1, 20_000), (65_535, 1)] {
            let view = CanvasView::FIT.image_from_screen(AREA, size);
            let far = view.screen_from_image(ImagePoint::new(size.0 as f32, size.1 as f32));
            assert!(view.origin.x >= 100.0 + 15.0 && view.origin.y >= 50.0 + 15.0, "{size:?}");
            assert!(far.x <= 900.0 - 15.0 && far.y <= 650.0 - 15.0, "{size:?}");
            assert_eq!(CanvasView::FIT.visible(AREA, size), Some(PixelRect::of_size(size.0, size.1)));
        }
    }

    #[test]
    fn zooming_keeps_the_point_under_the_pointer_and_stays_in_its_limits() {
        let size = (4000, 3000);
        let anchor = ScreenPoint { x: 420.0, y: 333.0 };
        // A view whose corner lies on a whole pixel, so that the snapping of the first frame is no part of the question.
        let mut view = CanvasView::At { center: ImagePoint::new(2000.0, 1500.0), zoom: 0.25 };
        let fixed = view.image_from_screen(AREA, size).image_from_screen(anchor);
        for _ in 0..60 {
            view = view.zoomed_at(AREA, size, anchor, 1.2);
            let now = view.image_from_screen(AREA, size);
            let seen = now.screen_from_image(fixed);
            assert!((seen.x - anchor.x).abs() <= 1.0 && (seen.y - anchor.y).abs() <= 1.0, "{seen:?}");
        }
        assert_eq!(view.zoom(AREA, size), 64.0);
        for _ in 0..100 {
            view = view.zoomed_at(AREA, size, anchor, 0.8);
        }
        let fit = CanvasView::FIT.zoom(AREA, size);
        assert!((view.zoom(AREA, size) - fit / 4.0).abs() < 1e-6);
    }

    #[test]
    fn the_picture_cannot_be_lost() {
        let size = (400, 300);
        for by in [(1e6, 0.0), (-1e6, 3.0), (0.0, 1e9), (f32::NAN, 0.0), (f32::INFINITY, f32::NEG_INFINITY)] {
            let view = CanvasView::FIT.panned(AREA, size, by);
            let middle = view.image_from_screen(AREA, size).image_from_screen(AREA.center());
            assert!(
                middle.x >= -1.0 && middle.x <= 401.0 && middle.y >= -1.0 && middle.y <= 301.0,
                "{by:?} {middle:?}"
            );
            assert!(view.visible(AREA, size).is_some());
        }
    }

    #[test]
    fn one_to_one_is_a_physical_pixel_on_a_whole_pixel() {
        let area = CanvasArea { pixels_per_point: 1.5, ..AREA };
        let size = (4001, 2999);
        let view = CanvasView::FIT.one_to_one(area, size).image_from_screen(area, size);
        assert!((view.zoom * 1.5 - 1.0).abs() < 1e-6);
        let origin_px = view.origin.x * 1.5;
        assert!((origin_px - origin_px.round()).abs() < 1e-2);
    }

    #[test]
    fn panning_moves_the_picture_with_the_pointer() {
        let size = (4000, 3000);
        let view = CanvasView::At { center: ImagePoint::new(2000.0, 1500.0), zoom: 2.0 };
        let before = view.image_from_screen(AREA, size);
        let after = view.panned(AREA, size, (30.0, -12.0)).image_from_screen(AREA, size);
        assert!((after.origin.x - before.origin.x - 30.0).abs() <= 1.0);
        assert!((after.origin.y - before.origin.y + 12.0).abs() <= 1.0);
    }
}

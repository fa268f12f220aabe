//! Points and rectangles, each named after the space it lives in, and the one conversion between screen and picture.
//!
//! Invariant: picture coordinates are pixels of the oriented picture in the corner convention, so the first pixel
//! spans 0..1 and its centre is 0.5.

use serde::{Deserialize, Serialize};

/// A point of the oriented picture, in pixels, corner convention.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ImagePoint {
    /// From the left edge, 0..=width.
    pub x: f32,
    /// From the top edge, 0..=height.
    pub y: f32,
}

impl ImagePoint {
    /// A point from its coordinates in pixels.
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// Whether the point lies on a picture of this size; the right and bottom edges count as inside.
    pub fn is_inside(self, width: u32, height: u32) -> bool {
        self.x >= 0.0 && self.y >= 0.0 && self.x <= width as f32 && self.y <= height as f32
    }
}

/// A rectangle of the oriented picture with real-valued corners, in pixels, corner convention.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ImageRect {
    /// Left edge.
    pub x0: f32,
    /// Top edge.
    pub y0: f32,
    /// Right edge, `>= x0`.
    pub x1: f32,
    /// Bottom edge, `>= y0`.
    pub y1: f32,
}

impl ImageRect {
    /// The rectangle between two opposite corners, given in any order.
    pub fn from_corners(a: ImagePoint, b: ImagePoint) -> Self {
        Self { x0: a.x.min(b.x), y0: a.y.min(b.y), x1: a.x.max(b.x), y1: a.y.max(b.y) }
    }

    /// Width in pixels.
    pub fn width(self) -> f32 {
        self.x1 - self.x0
    }

    /// Height in pixels.
    pub fn height(self) -> f32 {
        self.y1 - self.y0
    }
}

/// A rectangle of whole pixels: columns `x..x + width`, rows `y..y + height`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PixelRect {
    /// First column.
    pub x: u32,
    /// First row.
    pub y: u32,
    /// Number of columns.
    pub width: u32,
    /// Number of rows.
    pub height: u32,
}

impl PixelRect {
    /// The whole picture.
    pub const fn of_size(width: u32, height: u32) -> Self {
        Self { x: 0, y: 0, width, height }
    }

    /// First column to the right of the rectangle.
    pub const fn right(self) -> u32 {
        self.x + self.width
    }

    /// First row below the rectangle.
    pub const fn bottom(self) -> u32 {
        self.y + self.height
    }

    /// Whether a point in picture coordinates lies in the rectangle, its edges included.
    pub fn contains(self, point: ImagePoint) -> bool {
        point.x >= self.x as f32
            && point.y >= self.y as f32
            && point.x <= self.right() as f32
            && point.y <= self.bottom() as f32
    }

    /// The smallest rectangle of whole pixels that covers `rect`, clipped to the picture; `None` if nothing is left.
    pub fn covering(rect: ImageRect, width: u32, height: u32) -> Option<Self> {
        let x0 = rect.x0.floor().clamp(0.0, width as f32) as u32;
        let y0 = rect.y0.floor().clamp(0.0, height as f32) as u32;
        let x1 = rect.x1.ceil().clamp(0.0, width as f32) as u32;
        let y1 = rect.y1.ceil().clamp(0.0, height as f32) as u32;
        (x1 > x0 && y1 > y0).then(|| Self { x: x0, y: y0, width: x1 - x0, height: y1 - y0 })
    }
}

/// A point of the window in logical points, from the window's top left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScreenPoint {
    /// To the right.
    pub x: f32,
    /// Down.
    pub y: f32,
}

/// Where the picture lies on the screen: the one conversion between the two spaces.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ImageFromScreen {
    /// Where the picture's top left corner is drawn.
    pub origin: ScreenPoint,
    /// Screen points a picture pixel, `> 0`.
    pub zoom: f32,
}

impl ImageFromScreen {
    /// The picture point under a screen point.
    pub fn image_from_screen(self, at: ScreenPoint) -> ImagePoint {
        ImagePoint::new((at.x - self.origin.x) / self.zoom, (at.y - self.origin.y) / self.zoom)
    }

    /// Where a picture point is drawn.
    pub fn screen_from_image(self, at: ImagePoint) -> ScreenPoint {
        ScreenPoint { x: self.origin.x + at.x * self.zoom, y: self.origin.y + at.y * self.zoom }
    }

    /// The same picture at another zoom, the picture point under `anchor` staying where it is.
    pub fn zoomed_at(self, anchor: ScreenPoint, zoom: f32) -> Self {
        let fixed = self.image_from_screen(anchor);
        Self { origin: ScreenPoint { x: anchor.x - fixed.x * zoom, y: anchor.y - fixed.y * zoom }, zoom }
    }
}

/// Fewer pixels than this a side show the encoder nothing that it could recognise.
const SMALLEST_VIEW_SIDE: f32 = 128.0;
/// What is added around the visible region on each side, as a share of it, so that an object at the rim has context.
const VIEW_MARGIN: f32 = 0.15;
/// A view's edges lie on a grid of about this many steps a view, so that small pans give the same view.
const VIEW_GRID_STEPS: f32 = 16.0;

/// The part of a picture to encode for its own sake when it is zoomed in beyond twice the fit; `None` is the whole.
///
/// `visible` is all that the canvas shows, in picture pixels, also where it reaches beyond the picture: at the fit one
/// of its sides is the picture's. The view is the visible part with a margin, its edges moved outwards onto a grid whose
/// step is a power of two, so that it stays the same while one pans or zooms a little and its embedding is found again.
pub fn view_for_zoom(visible: ImageRect, image_width: u32, image_height: u32) -> Option<PixelRect> {
    let (width, height) = (image_width as f32, image_height as f32);
    let zoom_over_fit = (width / visible.width()).max(height / visible.height());
    // Also where `visible` is no rectangle at all (NaN, empty): nothing to zoom into.
    if !zoom_over_fit.is_finite() || zoom_over_fit <= 2.0 {
        return None;
    }
    let axis = |low: f32, high: f32, limit: f32| {
        let (low, high) = (low.clamp(0.0, limit), high.clamp(0.0, limit));
        let margin = (VIEW_MARGIN * (high - low)).max((SMALLEST_VIEW_SIDE - (high - low)) / 2.0);
        let least = SMALLEST_VIEW_SIDE.min(limit);
        let low = (low - margin).clamp(0.0, limit - least);
        (low, (high + margin).clamp(low + least, limit))
    };
    let (x0, x1) = axis(visible.x0, visible.x1, width);
    let (y0, y1) = axis(visible.y0, visible.y1, height);
    let step = ((x1 - x0).max(y1 - y0) / VIEW_GRID_STEPS).log2().floor().max(0.0).exp2();
    let outwards = ImageRect {
        x0: (x0 / step).floor() * step,
        y0: (y0 / step).floor() * step,
        x1: (x1 / step).ceil() * step,
        y1: (y1 / step).ceil() * step,
    };
    PixelRect::covering(outwards, image_width, image_height)
        .filter(|view| *view != PixelRect::of_size(image_width, image_height))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screen_and_image_are_inverse_and_zoom_keeps_the_anchor() {
        let view = ImageFromScreen { origin: ScreenPoint { x: 30.0, y: -12.0 }, zoom: 0.4 };
        let at = ImagePoint::new(123.5, 77.25);
        let back = view.image_from_screen(view.screen_from_image(at));
        assert!((back.x - at.x).abs() < 1e-3 && (back.y - at.y).abs() < 1e-3);
        let anchor = ScreenPoint { x: 200.0, y: 150.0 };
        let zoomed = view.zoomed_at(anchor, 3.0);
        let (before, after) = (view.image_from_screen(anchor), zoomed.image_from_screen(anchor));
        assert!((before.x - after.x).abs() < 1e-3 && (before.y - after.y).abs() < 1e-3);
        assert_eq!(zoomed.zoom, 3.0);
    }

    #[test]
    fn covering_rounds_outwards_and_clips() {
        let rect = ImageRect { x0: -3.0, y0: 1.2, x1: 4.1, y1: 99.0 };
        assert_eq!(PixelRect::covering(rect, 10, 8), Some(PixelRect { x: 0, y: 1, width: 5, height: 7 }));
        assert_eq!(PixelRect::covering(ImageRect { x0: 20.0, y0: 0.0, x1: 30.0, y1: 5.0 }, 10, 8), None);
    }

    #[test]
    fn a_zoomed_view_covers_what_is_seen_and_stands_still() {
        let seen = |x: f32, y: f32, width: f32, height: f32| ImageRect { x0: x, y0: y, x1: x + width, y1: y + height };
        // At the fit, and up to twice of it, the whole picture serves; the canvas shows more than the picture here.
        assert_eq!(view_for_zoom(seen(0.0, -500.0, 4000.0, 4000.0), 4000, 3000), None);
        assert_eq!(view_for_zoom(seen(100.0, 100.0, 2000.0, 2000.0), 4000, 3000), None);
        // Panned half out of the picture at the fit is no zoom.
        assert_eq!(view_for_zoom(seen(3000.0, 0.0, 4000.0, 4000.0), 4000, 3000), None);
        let view = view_for_zoom(seen(1000.0, 900.0, 800.0, 600.0), 4000, 3000).unwrap();
        assert!(view.x <= 880 && view.right() >= 1920 && view.y <= 810 && view.bottom() >= 1590, "{view:?}");
        assert!(view.width <= 1200 && view.height <= 950, "{view:?}");
        // Small pans keep the view: of 64 one-pixel steps few cross a line of the grid.
        let mut changes = 0;
        for i in 0..64 {
            let at = |i: i32| view_for_zoom(seen(1000.0 + i as f32, 900.0, 800.0, 600.0), 4000, 3000).unwrap();
            changes += i32::from(at(i) != at(i + 1));
        }
        assert!(changes <= 2, "{changes}");
    }

    #[test]
    fn a_zoomed_view_never_leaves_the_picture_nor_gets_too_small() {
        let seen = ImageRect { x0: 395.0, y0: -3.0, x1: 403.0, y1: 3.0 };
        let view = view_for_zoom(seen, 400, 300).unwrap();
        assert!(view.right() == 400 && view.y == 0 && view.width >= 128 && view.height >= 128, "{view:?}");
        let nothing = ImageRect { x0: f32::NAN, y0: 0.0, x1: 0.0, y1: 0.0 };
        assert_eq!(view_for_zoom(nothing, 400, 300), None);
        assert_eq!(view_for_zoom(ImageRect { x0: 3.0, y0: 3.0, x1: 5.0, y1: 5.0 }, 90, 60), None);
        assert_eq!(view_for_zoom(ImageRect { x0: 3.0, y0: 3.0, x1: 3.0, y1: 5.0 }, 90, 60), None);
    }
}

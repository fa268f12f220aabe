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
}

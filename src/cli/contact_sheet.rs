//! One picture that shows what was asked and what was answered: a row a photo, with the prompts drawn on it, the masks
//! tinted and outlined, and the objects cut out.
//!
//! Invariant: pure functions on pixels, no resizing: a pixel of a tile is a pixel of the photo, so a mask's rim can be
//! judged by eye. Same input, same bytes.

use super::tiny_font;
use crate::geometry::{ImagePoint, ImageRect, PixelRect};
use crate::prompt::{Polarity, PromptStep};
use crate::raster::{Bitmap, Mask, Picture};

/// One object of a photo.
pub struct SheetObject {
    /// For the legend.
    pub label: String,
    /// For the legend.
    pub predicted_iou: f32,
    /// Of the photo's size.
    pub mask: Mask,
    /// What was asked.
    pub steps: Vec<PromptStep>,
}

/// One photo with its objects.
pub struct SheetRow {
    /// For the caption.
    pub title: String,
    /// The photo.
    pub picture: Picture,
    /// Its objects; colours go by their order.
    pub objects: Vec<SheetObject>,
}

type Rgb = [u8; 3];

const BACKGROUND: Rgb = [27, 28, 32];
const TEXT: Rgb = [226, 228, 233];
const INCLUDE: Rgb = [35, 160, 75];
const EXCLUDE: Rgb = [214, 48, 49];
/// Okabe and Ito's colours for all kinds of sight, brightest first.
const OBJECTS: [Rgb; 6] = [[86, 180, 233], [240, 228, 66], [0, 158, 115], [230, 159, 0], [204, 121, 167], [213, 94, 0]];
const MARGIN: u32 = 24;
const GAP: u32 = 16;
const CAPTION: u32 = 34;
/// Pixels a dot of the captions.
const DOT: u32 = 2;

/// Draws the sheet.
pub fn contact_sheet(rows: &[SheetRow]) -> Picture {
    let cell = rows.iter().map(|row| row.picture.width).max().unwrap_or(0);
    let heights: u32 = rows.iter().map(|row| CAPTION + row.picture.height + MARGIN).sum();
    let mut sheet = Canvas::new(2 * MARGIN + 3 * cell + 2 * GAP, MARGIN + heights, BACKGROUND);
    let mut top = MARGIN;
    for row in rows {
        draw_caption(&mut sheet, row, top);
        top += CAPTION;
        let tiles = [prompts_tile(row), masks_tile(row), cut_outs_tile(row)];
        for (column, tile) in tiles.iter().enumerate() {
            let left = MARGIN + column as u32 * (cell + GAP);
            sheet.paste(tile, left, top);
        }
        top += row.picture.height + MARGIN;
    }
    sheet.into_picture()
}

fn object_color(index: usize) -> Rgb {
    OBJECTS[index % OBJECTS.len()]
}

/// Title, then a swatch, a label and the predicted IoU for each object.
fn draw_caption(sheet: &mut Canvas, row: &SheetRow, top: u32) {
    let mut left = MARGIN;
    sheet.text(&row.title, left, top + 6, TEXT);
    left += (tiny_font::width(&row.title) + 4 * tiny_font::ADVANCE) * DOT;
    for (index, object) in row.objects.iter().enumerate() {
        let swatch = PixelRect { x: left, y: top + 6, width: 14, height: tiny_font::HEIGHT * DOT };
        sheet.fill(swatch, object_color(index), 1.0);
        let text = format!("{} {:.2}", object.label, object.predicted_iou);
        sheet.text(&text, left + 22, top + 6, TEXT);
        left += 22 + (tiny_font::width(&text) + 3 * tiny_font::ADVANCE) * DOT;
    }
}

/// The photo with boxes and points.
fn prompts_tile(row: &SheetRow) -> Canvas {
    let mut tile = Canvas::of(&row.picture);
    for (index, object) in row.objects.iter().enumerate() {
        let color = object_color(index);
        for step in &object.steps {
            if let PromptStep::Box(rect) = step {
                tile.frame(*rect, color);
            }
        }
        for step in &object.steps {
            if let PromptStep::Point { at, polarity } = step {
                tile.point_mark(*at, *polarity, color);
            }
        }
    }
    tile
}

/// The photo, dimmed outside the masks, each mask tinted and outlined.
fn masks_tile(row: &SheetRow) -> Canvas {
    let mut tile = Canvas::of(&row.picture);
    let covered = union(row);
    for (pixel, &inside) in tile.rgb.chunks_exact_mut(3).zip(&covered.data) {
        if inside == 0 {
            let grey = (u32::from(pixel[0]) * 77 + u32::from(pixel[1]) * 150 + u32::from(pixel[2]) * 29) / 256;
            for value in pixel {
                *value = ((u32::from(*value) + grey) / 4) as u8;
            }
        }
    }
    for (index, object) in row.objects.iter().enumerate() {
        let mask = object.mask.to_bitmap();
        for y in 0..mask.height {
            for x in (0..mask.width).filter(|&x| mask.get(x, y)) {
                let opacity = if is_near_rim(&mask, x, y) { 1.0 } else { 0.35 };
                tile.blend(x, y, object_color(index), opacity);
            }
        }
    }
    tile
}

/// The masked pixels on a chequered ground.
fn cut_outs_tile(row: &SheetRow) -> Canvas {
    let mut tile = Canvas::of(&row.picture);
    let covered = union(row);
    for y in 0..tile.height {
        for x in (0..tile.width).filter(|&x| !covered.get(x, y)) {
            let shade = if (x / 12 + y / 12) % 2 == 0 { 70 } else { 92 };
            tile.blend(x, y, [shade; 3], 1.0);
        }
    }
    tile
}

/// All pixels that some object of the row covers.
fn union(row: &SheetRow) -> Bitmap {
    let mut covered = Bitmap::new(row.picture.width, row.picture.height);
    for object in &row.objects {
        for (to, from) in covered.data.iter_mut().zip(object.mask.to_bitmap().data) {
            *to |= from;
        }
    }
    covered
}

/// Whether a pixel outside the mask lies within two pixels; the picture's edge is no rim.
fn is_near_rim(mask: &Bitmap, x: u32, y: u32) -> bool {
    const NEAR: [(i64, i64); 12] =
        [(0, -2), (-1, -1), (0, -1), (1, -1), (-2, 0), (-1, 0), (1, 0), (2, 0), (-1, 1), (0, 1), (1, 1), (0, 2)];
    NEAR.into_iter().any(|(dx, dy)| {
        let (x, y) = (i64::from(x) + dx, i64::from(y) + dy);
        let on_picture = (0..i64::from(mask.width)).contains(&x) && (0..i64::from(mask.height)).contains(&y);
        on_picture && !mask.get(x as u32, y as u32)
    })
}

/// RGB pixels to draw on; what falls beyond the edges is not drawn.
struct Canvas {
    width: u32,
    height: u32,
    rgb: Vec<u8>,
}

impl Canvas {
    fn new(width: u32, height: u32, color: Rgb) -> Self {
        Self { width, height, rgb: color.repeat(width as usize * height as usize) }
    }

    fn of(picture: &Picture) -> Self {
        Self { width: picture.width, height: picture.height, rgb: picture.rgb.to_vec() }
    }

    fn into_picture(self) -> Picture {
        Picture { width: self.width, height: self.height, rgb: self.rgb.into(), notes: Vec::new() }
    }

    /// Lays a colour over one pixel.
    fn blend(&mut self, x: u32, y: u32, color: Rgb, opacity: f32) {
        if x >= self.width || y >= self.height {
            return;
        }
        let at = (y as usize * self.width as usize + x as usize) * 3;
        for (value, over) in self.rgb[at..at + 3].iter_mut().zip(color) {
            *value = (f32::from(*value) + (f32::from(over) - f32::from(*value)) * opacity).round() as u8;
        }
    }

    fn fill(&mut self, rect: PixelRect, color: Rgb, opacity: f32) {
        for y in rect.y..rect.bottom().min(self.height) {
            for x in rect.x..rect.right().min(self.width) {
                self.blend(x, y, color, opacity);
            }
        }
    }

    fn paste(&mut self, tile: &Self, left: u32, top: u32) {
        let (row_bytes, start) = (tile.width as usize * 3, left as usize * 3);
        for (y, from) in tile.rgb.chunks_exact(row_bytes.max(1)).enumerate() {
            let at = (top as usize + y) * self.width as usize * 3 + start;
            self.rgb[at..at + row_bytes].copy_from_slice(from);
        }
    }

    fn text(&mut self, text: &str, left: u32, top: u32, color: Rgb) {
        tiny_font::for_each_dot(text, |x, y| {
            self.fill(PixelRect { x: left + x * DOT, y: top + y * DOT, width: DOT, height: DOT }, color, 1.0);
        });
    }

    /// A smooth disc.
    fn disc(&mut self, center: ImagePoint, radius: f32, color: Rgb) {
        let reach = radius + 1.0;
        let rect = ImageRect { x0: center.x - reach, y0: center.y - reach, x1: center.x + reach, y1: center.y + reach };
        let Some(rect) = PixelRect::covering(rect, self.width, self.height) else { return };
        for y in rect.y..rect.bottom() {
            for x in rect.x..rect.right() {
                let distance = (x as f32 + 0.5 - center.x).hypot(y as f32 + 0.5 - center.y);
                self.blend(x, y, color, (radius + 0.5 - distance).clamp(0.0, 1.0));
            }
        }
    }

    /// A rectangle with real-valued edges.
    fn bar(&mut self, rect: ImageRect, color: Rgb) {
        if let Some(rect) = PixelRect::covering(
            ImageRect { x0: rect.x0.round(), y0: rect.y0.round(), x1: rect.x1.round(), y1: rect.y1.round() },
            self.width,
            self.height,
        ) {
            self.fill(rect, color, 1.0);
        }
    }

    /// A point of a prompt: a ring in the object's colour, a plus on green or a minus on red.
    fn point_mark(&mut self, at: ImagePoint, polarity: Polarity, ring: Rgb) {
        self.disc(at, 10.5, [16, 16, 18]);
        self.disc(at, 9.5, ring);
        self.disc(at, 7.5, if polarity == Polarity::Include { INCLUDE } else { EXCLUDE });
        let bar = |half_width: f32, half_height: f32| ImageRect {
            x0: at.x - half_width,
            y0: at.y - half_height,
            x1: at.x + half_width,
            y1: at.y + half_height,
        };
        self.bar(bar(4.0, 1.0), [255; 3]);
        if polarity == Polarity::Include {
            self.bar(bar(1.0, 4.0), [255; 3]);
        }
    }

    /// A box of a prompt: three pixels in the object's colour between dark lines.
    fn frame(&mut self, rect: ImageRect, color: Rgb) {
        for (inset, thickness, color) in [(-1.0, 5.0, [16, 16, 18]), (0.0, 3.0, color)] {
            let outer = ImageRect {
                x0: (rect.x0 + inset).max(0.0),
                y0: (rect.y0 + inset).max(0.0),
                x1: (rect.x1 - inset).min(self.width as f32),
                y1: (rect.y1 - inset).min(self.height as f32),
            };
            self.bar(ImageRect { y1: outer.y0 + thickness, ..outer }, color);
            self.bar(ImageRect { y0: outer.y1 - thickness, ..outer }, color);
            self.bar(ImageRect { x1: outer.x0 + thickness, ..outer }, color);
            self.bar(ImageRect { x0: outer.x1 - thickness, ..outer }, color);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> SheetRow {
        let (width, height) = (60, 40);
        let inside = |x: u32, y: u32| (10..30).contains(&x) && y >= 15;
        let object = SheetObject {
            label: "thing".into(),
            predicted_iou: 0.5,
            mask: Mask::from_bitmap(&Bitmap::from_fn(width, height, inside)),
            steps: vec![
                PromptStep::Point { at: ImagePoint::new(20.0, 25.0), polarity: Polarity::Include },
                PromptStep::Point { at: ImagePoint::new(0.0, 39.0), polarity: Polarity::Exclude },
                PromptStep::Box(ImageRect { x0: 10.0, y0: 15.0, x1: 30.0, y1: 40.0 }),
            ],
        };
        let picture = Picture { width, height, rgb: vec![100; 60 * 40 * 3].into(), notes: vec![] };
        SheetRow { title: "photo".into(), picture, objects: vec![object] }
    }

    fn pixel(canvas: &Canvas, x: u32, y: u32) -> Rgb {
        let at = (y as usize * canvas.width as usize + x as usize) * 3;
        [canvas.rgb[at], canvas.rgb[at + 1], canvas.rgb[at + 2]]
    }

    #[test]
    fn each_tile_shows_its_part_of_the_answer() {
        let row = row();
        let prompts = prompts_tile(&row);
        assert_eq!(pixel(&prompts, 20, 25), [255; 3], "the plus of the point");
        assert_eq!(pixel(&prompts, 45, 5), [100; 3], "untouched");
        assert_eq!(pixel(&prompts, 12, 37), object_color(0), "the box");
        let masks = masks_tile(&row);
        assert_eq!(pixel(&masks, 10, 30), object_color(0), "the rim");
        assert_eq!(pixel(&masks, 20, 39), pixel(&masks, 20, 30), "the picture's edge is no rim");
        assert!(pixel(&masks, 20, 30) != [100; 3] && pixel(&masks, 20, 30) != object_color(0), "the tint");
        assert_eq!(pixel(&masks, 50, 5), [50; 3], "dimmed outside");
        let cut_outs = cut_outs_tile(&row);
        assert_eq!(pixel(&cut_outs, 20, 30), [100; 3]);
        assert_eq!(pixel(&cut_outs, 0, 0), [70; 3]);
    }

    #[test]
    fn the_sheet_holds_all_rows() {
        let sheet = contact_sheet(&[row(), row()]);
        assert_eq!(sheet.width, 2 * MARGIN + 3 * 60 + 2 * GAP);
        assert_eq!(sheet.height, MARGIN + 2 * (CAPTION + 40 + MARGIN));
        assert_eq!(sheet.rgb.len(), (sheet.width * sheet.height * 3) as usize);
        assert_eq!(contact_sheet(&[]).width, 2 * MARGIN + 2 * GAP);
    }
}

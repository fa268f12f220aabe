//! A made-up picture with things on it, and a stage that draws with a real GPU renderer (a software one will do).
#![allow(dead_code, reason = "each test binary uses its own part")]

use egui_kittest::{Harness, HarnessBuilder};
use maskwright::geometry::PixelRect;
use maskwright::raster::{Bitmap, LogitField, Mask, Picture};
use maskwright::render::CanvasRenderer;

/// A picture from a rule.
pub fn picture(width: u32, height: u32, rule: impl Fn(u32, u32) -> [u8; 3]) -> Picture {
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        (0..width).for_each(|x| rgb.extend(rule(x, y)));
    }
    Picture { width, height, rgb: rgb.into(), notes: Vec::new() }
}

/// A landscape of sorts: sky, ground, a red ball at (200, 130) with radius 60, a blue box at 330..450 x 150..260.
pub fn still_life() -> Picture {
    picture(520, 340, |x, y| {
        let (dx, dy) = (x as f32 - 200.0, y as f32 - 130.0);
        let far = dx.hypot(dy);
        if far < 60.0 {
            let light = 1.0 - 0.6 * ((dx + 25.0).hypot(dy + 25.0) / 85.0).min(1.0);
            [(235.0 * light) as u8, (70.0 * light) as u8, (50.0 * light) as u8]
        } else if (330..450).contains(&x) && (150..260).contains(&y) {
            [40, 80, 120 + (x % 16 * 4) as u8]
        } else if y < 200 {
            [150 + (y / 3) as u8, 190 + (y / 5) as u8, 230]
        } else {
            [90 + (x / 13) as u8, 120 + (y / 8) as u8, 60 + (y % 40) as u8]
        }
    })
}

/// Noise: the hardest picture for a filter.
pub fn noise(width: u32, height: u32) -> Picture {
    picture(width, height, |x, y| {
        let mut h = x.wrapping_mul(0x9E37_79B1) ^ y.wrapping_mul(0x85EB_CA77);
        h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
        h ^= h >> 12;
        [h as u8, (h >> 8) as u8, (h >> 16) as u8]
    })
}

/// Logits of a disc, positive inside, on a grid over `view`.
pub fn disc_field(view: PixelRect, grid: (u32, u32), center: (f32, f32), radius: f32) -> LogitField {
    let (sx, sy) = (view.width as f32 / grid.0 as f32, view.height as f32 / grid.1 as f32);
    let values: Vec<f32> = (0..grid.0 * grid.1)
        .map(|i| {
            let x = view.x as f32 + ((i % grid.0) as f32 + 0.5) * sx;
            let y = view.y as f32 + ((i / grid.0) as f32 + 0.5) * sy;
            ((radius - (x - center.0).hypot(y - center.1)) * 0.4).clamp(-9.0, 9.0)
        })
        .collect();
    LogitField { grid_width: grid.0, grid_height: grid.1, values: values.into(), view }
}

/// A disc as a committed mask.
pub fn disc_mask(size: (u32, u32), center: (f32, f32), radius: f32) -> Mask {
    Mask::from_bitmap(&Bitmap::from_fn(size.0, size.1, |x, y| {
        (x as f32 + 0.5 - center.0).hypot(y as f32 + 0.5 - center.1) < radius
    }))
}

/// A rectangle as a committed mask.
pub fn box_mask(size: (u32, u32), x: std::ops::Range<u32>, y: std::ops::Range<u32>) -> Mask {
    Mask::from_bitmap(&Bitmap::from_fn(size.0, size.1, |px, py| x.contains(&px) && y.contains(&py)))
}

/// What a stage draws each frame.
pub type Act = Box<dyn FnMut(&mut egui::Ui, &mut CanvasRenderer)>;

/// An app of one canvas renderer.
pub struct Stage {
    pub renderer: CanvasRenderer,
    pub act: Act,
}

impl eframe::App for Stage {
    fn ui(&mut self, ui: &mut egui::Ui, _frame: &mut eframe::Frame) {
        (self.act)(ui, &mut self.renderer);
    }
}

/// A harness with a GPU renderer that finishes all its work in each frame.
pub fn stage(
    size: (u32, u32),
    theme: egui::Theme,
    act: impl FnMut(&mut egui::Ui, &mut CanvasRenderer) + 'static,
) -> Harness<'static, Stage> {
    builder(size, theme).wgpu().build_eframe(|cc| Stage {
        renderer: CanvasRenderer::new_inline(cc.wgpu_render_state.as_ref()),
        act: Box::new(act),
    })
}

/// Nothing in it that differs between machines.
pub fn builder<State>(size: (u32, u32), theme: egui::Theme) -> HarnessBuilder<State> {
    Harness::builder().with_size([size.0 as f32, size.1 as f32]).with_theme(theme).with_render_cursor(false)
}

//! The shaders again, on the CPU: the same formulas, pixel for pixel, so that a test can hold the GPU to them.
//!
//! Names follow the shader files: [`picture`] is `shaders/picture.wgsl`, [`mask_overlay`] and [`instances`] likewise.
//! All colours are premultiplied and sRGB-encoded, 0..=1.

use super::gpu_types::{FLAG_SELECTED, FLAG_VISIBLE, FieldUniform, ViewUniform};
use super::mipmaps::UploadBuffer;
use crate::geometry::ImagePoint;
use crate::raster::Level;
use crate::raster::LogitField;

/// A premultiplied colour.
pub type Color = [f32; 4];

/// Lays `top` over `bottom`.
pub fn over(top: Color, bottom: Color) -> Color {
    std::array::from_fn(|i| top[i] + bottom[i] * (1.0 - top[3]))
}

/// The picture point under a framebuffer position (pixel centres end in .5).
pub fn image_from_fragment(view: &ViewUniform, position: [f32; 2]) -> ImagePoint {
    ImagePoint::new((position[0] - view.origin_px[0]) / view.zoom_px, (position[1] - view.origin_px[1]) / view.zoom_px)
}

fn is_on_picture(view: &ViewUniform, at: ImagePoint) -> bool {
    at.x >= 0.0 && at.y >= 0.0 && at.x < view.picture[0] && at.y < view.picture[1]
}

/// Twin of `shaders/picture.wgsl`; transparent beside the picture. `view.lod` counts from the finest level given.
pub fn picture(view: &ViewUniform, upload: &UploadBuffer, position: [f32; 2]) -> Color {
    let at = image_from_fragment(view, position);
    if !is_on_picture(view, at) {
        return [0.0; 4];
    }
    let share = [at.x / view.picture[0], at.y / view.picture[1]];
    if view.nearest != 0 {
        let level = &upload.levels[0];
        let texel = |share: f32, size: u32| ((share * size as f32).floor() as i64).clamp(0, i64::from(size) - 1);
        return texel_at(level, texel(share[0], level.width), texel(share[1], level.height));
    }
    let last = upload.levels.len() - 1;
    let lower = (view.lod as usize).min(last);
    let upper = (lower + 1).min(last);
    let mix = view.lod - view.lod.floor();
    let (a, b) = (bilinear(&upload.levels[lower], share), bilinear(&upload.levels[upper], share));
    std::array::from_fn(|i| a[i] * (1.0 - mix) + b[i] * mix)
}

fn texel_at(level: &Level, x: i64, y: i64) -> Color {
    let (x, y) = (x.clamp(0, i64::from(level.width) - 1), y.clamp(0, i64::from(level.height) - 1));
    let start = (y as usize * level.width as usize + x as usize) * 4;
    std::array::from_fn(|i| f32::from(level.rgba[start + i]) / 255.0)
}

fn bilinear(level: &Level, share: [f32; 2]) -> Color {
    let (x, y) = (share[0] * level.width as f32 - 0.5, share[1] * level.height as f32 - 0.5);
    let (x0, y0) = (x.floor(), y.floor());
    let (fx, fy) = (x - x0, y - y0);
    let texel = |dx, dy| texel_at(level, x0 as i64 + dx, y0 as i64 + dy);
    let (a, b, c, d) = (texel(0, 0), texel(1, 0), texel(0, 1), texel(1, 1));
    std::array::from_fn(|i| (a[i] * (1.0 - fx) + b[i] * fx) * (1.0 - fy) + (c[i] * (1.0 - fx) + d[i] * fx) * fy)
}

/// Twin of `shaders/mask_overlay.wgsl`; transparent beside the field's view. The logit is [`LogitField::sample`].
pub fn mask_overlay(view: &ViewUniform, uniform: &FieldUniform, field: &LogitField, position: [f32; 2]) -> Color {
    let at = image_from_fragment(view, position);
    let [x, y, width, height] = uniform.span;
    if at.x < x || at.y < y || at.x >= x + width || at.y >= y + height {
        return [0.0; 4];
    }
    let logit = field.sample(at);
    let slope = slope(field, at);
    let slope = slope.map(|s| s / view.zoom_px);
    let steepness = slope[0].hypot(slope[1]).max(1e-6);
    let distance_px = (logit - uniform.threshold) / steepness;
    let inside = (distance_px + 0.5).clamp(0.0, 1.0);
    let half = uniform.outline_half_px;
    let line = if half > 0.0 { (half + 0.5 - distance_px.abs()).clamp(0.0, 1.0) } else { 0.0 };
    let turned = slope[0] * slope[1] > 0.35 * steepness * steepness;
    let stripe = position[0] + if turned { -position[1] } else { position[1] };
    let along = stripe / uniform.dash_period_px - uniform.dash_phase;
    let along = along - along.floor();
    let wave = ((along - 0.5).abs() * 2.0 - 0.5) * uniform.dash_period_px * 0.5;
    let mix = (wave + 0.5).clamp(0.0, 1.0);
    let dash: Color = std::array::from_fn(|i| (uniform.dash_a[i] * (1.0 - mix) + uniform.dash_b[i] * mix) * line);
    over(dash, uniform.tint.map(|v| v * inside))
}

/// How the logit changes a picture pixel, within the cell of `at`.
fn slope(field: &LogitField, at: ImagePoint) -> [f32; 2] {
    let axis = |at: f32, from: u32, span: u32, cells: u32| {
        let scale = cells as f32 / span as f32;
        let g = ((at - from as f32) * scale - 0.5).max(0.0);
        let low = (g as u32).min(cells - 1);
        (low as usize, (low + 1).min(cells - 1) as usize, (g - low as f32).min(1.0), scale)
    };
    let (x0, x1, fx, scale_x) = axis(at.x, field.view.x, field.view.width, field.grid_width);
    let (y0, y1, fy, scale_y) = axis(at.y, field.view.y, field.view.height, field.grid_height);
    let value = |x: usize, y: usize| field.values[y * field.grid_width as usize + x];
    let (v00, v10, v01, v11) = (value(x0, y0), value(x1, y0), value(x0, y1), value(x1, y1));
    let top = v00 * (1.0 - fx) + v10 * fx;
    let bottom = v01 * (1.0 - fx) + v11 * fx;
    [((v10 - v00) * (1.0 - fy) + (v11 - v01) * fy) * scale_x, (bottom - top) * scale_y]
}

/// The instance map and its palette, as the shader reads them.
#[derive(Debug, Clone, Copy)]
pub struct InstanceMap<'a> {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Row-major, 0 for none.
    pub ids: &'a [u16],
    /// Colour and flags of each id.
    pub palette: &'a [[u8; 4]],
}

impl InstanceMap<'_> {
    fn id_at(&self, view: &ViewUniform, x: f32, y: f32) -> u16 {
        let column = (x / view.picture[0] * self.width as f32).floor() as i64;
        let row = (y / view.picture[1] * self.height as f32).floor() as i64;
        let inside = column >= 0 && row >= 0 && column < i64::from(self.width) && row < i64::from(self.height);
        if inside { self.ids[row as usize * self.width as usize + column as usize] } else { 0 }
    }

    fn look(&self, id: u16) -> [u8; 4] {
        self.palette.get(id as usize).copied().unwrap_or_default()
    }
}

/// Twin of `shaders/instances.wgsl`; transparent beside the picture.
pub fn instances(view: &ViewUniform, map: &InstanceMap<'_>, position: [f32; 2]) -> Color {
    let at = image_from_fragment(view, position);
    if !is_on_picture(view, at) {
        return [0.0; 4];
    }
    let step = 1.0 / view.zoom_px;
    let shown = |id: u16| Some((id, map.look(id))).filter(|(_, look)| look[3] & FLAG_VISIBLE != 0).unwrap_or_default();
    let (center_id, center) = shown(map.id_at(view, at.x, at.y));
    let color_of = |look: [u8; 4]| [look[0], look[1], look[2]].map(|c| f32::from(c) / 255.0);
    let with_alpha = |rgb: [f32; 3], a: f32| [rgb[0] * a, rgb[1] * a, rgb[2] * a, a];
    let mut tint: Color = [0.0; 4];
    let mut edge = 0.0;
    let (mut owner, mut owner_weight) = (center, 0.0);
    for dy in -1i8..=1 {
        for dx in -1i8..=1 {
            let weight = f32::from((2 - dx.abs()) * (2 - dy.abs())) / 16.0;
            let (mut id, mut look) = (center_id, center);
            if dx != 0 || dy != 0 {
                id = map.id_at(view, at.x + f32::from(dx) * step, at.y + f32::from(dy) * step);
                if id != center_id {
                    (id, look) = shown(id);
                }
            }
            if id != 0 {
                let strength = if look[3] & FLAG_SELECTED != 0 { 1.3 } else { 1.0 };
                let opacity = (view.tint_opacity * strength).min(1.0) * weight;
                let add = with_alpha(color_of(look), opacity);
                tint = std::array::from_fn(|i| tint[i] + add[i]);
            }
            if id != center_id {
                edge += weight;
                if center_id == 0 && weight > owner_weight {
                    (owner, owner_weight) = (look, weight);
                }
            }
        }
    }
    if view.outlines == 0 {
        return tint;
    }
    let line = (edge * 4.0f32).min(1.0);
    let mut rim = 0.0f32;
    let mut rim_color = [0.0; 3];
    if view.selection != 0 {
        for dy in -1i8..=1 {
            for dx in -1i8..=1 {
                let reach = if dx * dy != 0 { 2.1213203 } else { 3.0 } * step;
                let id = map.id_at(view, at.x + f32::from(dx) * reach, at.y + f32::from(dy) * reach);
                if id == center_id {
                    continue;
                }
                let look = map.look(id);
                if center[3] & FLAG_SELECTED != 0 {
                    rim += 0.34;
                    rim_color = color_of(center);
                } else if look[3] == FLAG_VISIBLE | FLAG_SELECTED {
                    rim += 0.34;
                    rim_color = color_of(look);
                }
            }
        }
    }
    let line_color = if owner[3] & FLAG_SELECTED != 0 { [1.0; 3] } else { color_of(owner) };
    over(with_alpha(line_color, line), over(with_alpha(rim_color, rim.min(1.0)), tint))
}

//! Logit grids on the GPU, kept while they are drawn.
//!
//! A grid is recognised by its shared values; the cache holds them, so their address cannot be used again.

use super::canvas::{Gpu, MaskDraw, Outline};
use super::gpu_types::FieldUniform;
use super::picture_layer::write_strip;
use crate::raster::LogitField;
use std::sync::Arc;
use wgpu::util::DeviceExt;

/// Frames that a grid is kept after its last use.
const KEPT_FRAMES: u64 = 60;

#[derive(Default)]
pub(super) struct FieldLayer {
    kept: Vec<Kept>,
    frame: u64,
}

struct Kept {
    values: Arc<[f32]>,
    grid: (u32, u32),
    view: wgpu::TextureView,
    used: u64,
}

impl FieldLayer {
    /// Forgets grids that are no longer drawn.
    pub fn next_frame(&mut self) {
        self.frame += 1;
        self.kept.retain(|k| k.used + KEPT_FRAMES >= self.frame);
    }

    /// What the overlay pass reads for one mask. `None` for a grid that is no grid or larger than the device takes.
    pub fn bind(&mut self, gpu: &Gpu, draw: &MaskDraw<'_>) -> Option<wgpu::BindGroup> {
        let field = draw.field;
        let cells = field.grid_width as usize * field.grid_height as usize;
        if cells == 0 || field.values.len() != cells || field.view.width == 0 || field.view.height == 0 {
            tracing::warn!("a mask of {} logits for a grid of {cells} was not drawn", field.values.len());
            return None;
        }
        if field.grid_width.max(field.grid_height) > gpu.limits.max_side {
            tracing::warn!("a mask of {} x {} logits is too large to draw", field.grid_width, field.grid_height);
            return None;
        }
        let uniform = gpu.device.create_buffer_init(&wgpu::util::BufferInitDescriptor {
            label: Some("canvas mask"),
            contents: bytemuck::bytes_of(&field_uniform(draw)),
            usage: wgpu::BufferUsages::UNIFORM,
        });
        let view = self.texture(gpu, field);
        Some(gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("canvas mask"),
            layout: &gpu.pipelines.mask_overlay.inputs,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::TextureView(view) },
                wgpu::BindGroupEntry { binding: 1, resource: uniform.as_entire_binding() },
            ],
        }))
    }

    fn texture(&mut self, gpu: &Gpu, field: &LogitField) -> &wgpu::TextureView {
        let grid = (field.grid_width, field.grid_height);
        let found = self.kept.iter().position(|k| Arc::ptr_eq(&k.values, &field.values) && k.grid == grid);
        let index = found.unwrap_or_else(|| {
            let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
                label: Some("canvas logits"),
                size: wgpu::Extent3d { width: grid.0, height: grid.1, depth_or_array_layers: 1 },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format: wgpu::TextureFormat::R32Float,
                usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
                view_formats: &[],
            });
            write_strip(gpu, &texture, 0, (0, 0), grid, 4, bytemuck::cast_slice(&field.values));
            let view = texture.create_view(&Default::default());
            self.kept.push(Kept { values: Arc::clone(&field.values), grid, view, used: self.frame });
            self.kept.len() - 1
        });
        self.kept[index].used = self.frame;
        &self.kept[index].view
    }
}

/// The overlay pass' numbers for one mask.
pub fn field_uniform(draw: &MaskDraw<'_>) -> FieldUniform {
    let span = draw.field.view;
    let [r, g, b] = draw.color.map(|c| f32::from(c) / 255.0);
    let a = draw.tint_opacity.clamp(0.0, 1.0);
    let (dash_a, dash_b, outline_half_px, dash_phase) = match draw.outline {
        Outline::None => ([0.0; 4], [0.0; 4], 0.0, 0.0),
        Outline::Line => ([r, g, b, 1.0], [r, g, b, 1.0], 0.75, 0.0),
        Outline::Dashes { phase } => ([1.0; 4], [0.05, 0.05, 0.05, 1.0], 1.0, phase.rem_euclid(1.0)),
    };
    FieldUniform {
        span: [span.x as f32, span.y as f32, span.width as f32, span.height as f32],
        tint: [r * a, g * a, b * a, a],
        dash_a,
        dash_b,
        threshold: draw.threshold,
        outline_half_px,
        dash_period_px: DASH_PERIOD_PX,
        dash_phase,
    }
}

/// Length of a light and a dark dash together, measured along the screen's diagonal sum x + y.
const DASH_PERIOD_PX: f32 = 12.0;

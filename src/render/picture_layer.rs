//! The picture's texture: filled from the smallest level up, as far as the zoom needs it, some megabytes a frame.
//!
//! Invariants:
//! - Only complete levels are bound, so nothing half-written is ever seen.
//! - A level finer than the screen shows is not uploaded, and the finest one is not even made, until somebody zooms in:
//!   a fitted photo of 12 megapixels takes 4 MB of the GPU's memory and of the bus, and not 64.

use super::canvas::Gpu;
use super::mipmaps::level_size;
use crate::raster::Level;
use std::sync::Arc;

pub(super) struct PictureLayer {
    texture: wgpu::Texture,
    /// The picture halved once, twice and so on.
    coarser: Arc<[Level]>,
    /// The picture itself, once it was made and until it is uploaded.
    finest: Option<Level>,
    /// Whether the finest level was asked for.
    finest_asked: bool,
    /// Level that is uploaded next; all coarser ones are there. `None`: all are.
    next: Option<u32>,
    /// First row of that level that is not uploaded yet.
    row: u32,
    /// The finest level that was wanted so far.
    wanted: u32,
    /// Finest complete level and the binding of it and all coarser ones.
    ready: Option<(u32, wgpu::BindGroup)>,
    pub halvings: u32,
}

impl PictureLayer {
    /// A texture for a picture of this size, halved so often. Level 0 of the texture is that halving.
    pub fn new(gpu: &Gpu, (width, height): (u32, u32), halvings: u32, coarser: Arc<[Level]>) -> Self {
        let (width, height) = level_size(width, height, halvings);
        let levels = (coarser.len() as u32 + 1).saturating_sub(halvings).max(1);
        let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("canvas picture"),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: levels,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        Self {
            texture,
            coarser,
            finest: None,
            finest_asked: false,
            next: Some(levels - 1),
            row: 0,
            wanted: levels - 1,
            ready: None,
            halvings,
        }
    }

    /// Whether there is anything to draw yet.
    pub fn is_drawable(&self) -> bool {
        self.ready.is_some()
    }

    /// Whether all that was wanted is there.
    pub fn is_complete(&self) -> bool {
        self.next.is_none_or(|next| next < self.wanted)
    }

    /// Whether something that is wanted and there is still to be uploaded.
    pub fn can_go_on(&self) -> bool {
        !self.is_complete() && (self.next != Some(0) || self.halvings > 0 || self.finest.is_some())
    }

    /// Wants all levels that a picture of this width shows at this zoom.
    pub fn want_zoom(&mut self, picture_width: u32, zoom_px: f32) {
        self.want(self.lod(picture_width, zoom_px) as u32);
    }

    /// Wants this level and all coarser ones.
    pub fn want(&mut self, level: u32) {
        self.wanted = self.wanted.min(level);
    }

    /// Whether the picture itself is needed to go on; true once.
    pub fn asks_for_finest(&mut self) -> bool {
        let asks = self.wanted == 0 && self.halvings == 0 && self.next.is_some() && !self.finest_asked;
        self.finest_asked |= asks;
        asks
    }

    /// The picture itself, which was asked for.
    pub fn bring_finest(&mut self, finest: Level) {
        self.finest = Some(finest);
    }

    /// Uploads what is wanted and there, up to `budget` bytes (at least one row), and takes them off it.
    pub fn upload(&mut self, gpu: &Gpu, budget: &mut usize) {
        let mut complete = None;
        while let Some(index) = self.next.filter(|next| *next >= self.wanted && *budget > 0) {
            let level = match (index + self.halvings).checked_sub(1) {
                Some(halved) => self.coarser.get(halved as usize),
                None => self.finest.as_ref(),
            };
            let Some(level) = level else { break };
            let stride = level.width as usize * 4;
            let rows = ((*budget / stride).max(1) as u32).min(level.height - self.row);
            let strip = &level.rgba[self.row as usize * stride..][..rows as usize * stride];
            write_strip(gpu, &self.texture, index, (0, self.row), (level.width, rows), 4, strip);
            *budget = budget.saturating_sub(strip.len());
            self.row += rows;
            if self.row == level.height {
                self.row = 0;
                self.next = index.checked_sub(1);
                complete = Some(index);
            }
        }
        if let Some(index) = complete {
            self.ready = Some((index, self.bind(gpu, index)));
        }
        if self.next.is_none() {
            self.finest = None;
        }
    }

    /// The binding and the level of it to read for a picture of this width at this zoom.
    pub fn at_zoom(&self, picture_width: u32, zoom_px: f32) -> Option<(f32, &wgpu::BindGroup)> {
        let (finest, group) = self.ready.as_ref()?;
        Some(((self.lod(picture_width, zoom_px) - *finest as f32).max(0.0), group))
    }

    /// Which level has a texel a screen pixel.
    fn lod(&self, picture_width: u32, zoom_px: f32) -> f32 {
        let texels_a_pixel = self.texture.width() as f32 / picture_width as f32;
        (texels_a_pixel / zoom_px).log2().max(0.0)
    }

    fn bind(&self, gpu: &Gpu, finest: u32) -> wgpu::BindGroup {
        let view = self.texture.create_view(&wgpu::TextureViewDescriptor {
            label: Some("canvas picture"),
            base_mip_level: finest,
            ..Default::default()
        });
        gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("canvas picture"),
            layout: &gpu.pipelines.picture.inputs,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::TextureView(&view) },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::Sampler(&gpu.pipelines.sampler) },
            ],
        })
    }
}

/// Writes whole rows of a rectangle into a level of a texture.
pub(super) fn write_strip(
    gpu: &Gpu,
    texture: &wgpu::Texture,
    level: u32,
    (x, y): (u32, u32),
    (width, height): (u32, u32),
    bytes_a_texel: u32,
    data: &[u8],
) {
    gpu.queue.write_texture(
        wgpu::TexelCopyTextureInfo {
            texture,
            mip_level: level,
            origin: wgpu::Origin3d { x, y, z: 0 },
            aspect: wgpu::TextureAspect::All,
        },
        data,
        wgpu::TexelCopyBufferLayout {
            offset: 0,
            bytes_per_row: Some(width * bytes_a_texel),
            rows_per_image: Some(height),
        },
        wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
    );
}

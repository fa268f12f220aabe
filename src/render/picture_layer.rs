//! The picture's texture: filled from the smallest level up, a few megabytes a frame.
//!
//! Invariant: only complete levels are bound, so nothing half-written is ever seen.

use super::canvas::Gpu;
use super::mipmaps::{Level, UploadBuffer};

pub(super) struct PictureLayer {
    texture: wgpu::Texture,
    /// Levels still to be uploaded; the last one is next.
    waiting: Vec<Level>,
    /// First row of the next level that is not uploaded yet.
    row: u32,
    /// Finest complete level and the binding of it and all coarser ones.
    ready: Option<(u32, wgpu::BindGroup)>,
    pub halvings: u32,
}

impl PictureLayer {
    pub fn new(gpu: &Gpu, upload: UploadBuffer) -> Self {
        let (width, height) = upload.levels.first().map_or((1, 1), |l| (l.width, l.height));
        let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("canvas picture"),
            size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
            mip_level_count: upload.levels.len().max(1) as u32,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::Rgba8Unorm,
            usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        Self { texture, waiting: upload.levels, row: 0, ready: None, halvings: upload.halvings }
    }

    /// Whether there is anything to draw yet.
    pub fn is_drawable(&self) -> bool {
        self.ready.is_some()
    }

    pub fn is_complete(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Uploads up to `budget` bytes (at least one row) and takes them off it.
    pub fn upload(&mut self, gpu: &Gpu, budget: &mut usize) {
        let mut finest = None;
        while let Some(level) = self.waiting.last() {
            if *budget == 0 {
                break;
            }
            let index = self.waiting.len() as u32 - 1;
            let stride = level.width as usize * 4;
            let rows = ((*budget / stride).max(1) as u32).min(level.height - self.row);
            let strip = &level.rgba[self.row as usize * stride..][..rows as usize * stride];
            write_strip(gpu, &self.texture, index, (0, self.row), (level.width, rows), 4, strip);
            *budget = budget.saturating_sub(strip.len());
            self.row += rows;
            if self.row == level.height {
                self.waiting.pop();
                self.row = 0;
                finest = Some(index);
            }
        }
        if let Some(index) = finest {
            self.ready = Some((index, self.bind(gpu, index)));
        }
    }

    /// The binding and the level of it to read for a picture of this width at this zoom.
    pub fn at_zoom(&self, picture_width: u32, zoom_px: f32) -> Option<(f32, &wgpu::BindGroup)> {
        let (finest, group) = self.ready.as_ref()?;
        let texels_a_pixel = self.texture.width() as f32 / picture_width as f32;
        let lod = (texels_a_pixel / zoom_px).log2().max(0.0);
        Some(((lod - *finest as f32).max(0.0), group))
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

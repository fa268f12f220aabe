//! The instance map and its palette on the GPU.
//!
//! A new colour, selection or hiding is a palette write and shows in the same frame. A new or removed mask is a patch
//! from the worker and shows a little later; until then a removed one is hidden by the palette.

use super::canvas::{CanvasInstance, Gpu};
use super::gpu_types::{FLAG_SELECTED, FLAG_VISIBLE};
use super::instance_map::{IdPatch, Redraw, Stack, map_size};
use super::picture_layer::write_strip;
use std::collections::{HashMap, VecDeque};

/// Entries in a row of the palette, and rows.
const PALETTE_SIDE: usize = 256;

#[derive(Default)]
pub(super) struct InstanceLayer {
    stack: Stack,
    textures: Option<Textures>,
    /// Patches still to be uploaded, with the number of their redraw after the last one.
    waiting: VecDeque<Upload>,
    /// Next row of the first patch.
    row: u32,
    palette: Vec<[u8; 4]>,
    palette_is_stale: bool,
    any_selected: bool,
}

enum Upload {
    Patch(IdPatch),
    Drawn(u64),
}

struct Textures {
    ids: wgpu::Texture,
    palette: wgpu::Texture,
    group: wgpu::BindGroup,
}

impl InstanceLayer {
    /// Takes in the newest instances and returns what the worker must redraw.
    pub fn update(&mut self, instances: &[CanvasInstance<'_>]) -> Option<(u64, Redraw)> {
        let work = self.stack.update(instances);
        let looks: HashMap<u64, &CanvasInstance<'_>> = instances.iter().map(|i| (i.key, i)).collect();
        let mut palette = vec![[0; 4]; self.palette.len()];
        self.any_selected = false;
        for (key, id) in self.stack.ids() {
            let Some(look) = looks.get(&key) else { continue };
            let selected = look.selected && !look.hidden;
            self.any_selected |= selected;
            let flags = if look.hidden { 0 } else { FLAG_VISIBLE | if selected { FLAG_SELECTED } else { 0 } };
            let rows = id as usize / PALETTE_SIDE + 1;
            if palette.len() < rows * PALETTE_SIDE {
                palette.resize(rows * PALETTE_SIDE, [0; 4]);
            }
            let [r, g, b] = look.color;
            palette[id as usize] = [r, g, b, flags];
        }
        if palette != self.palette {
            self.palette = palette;
            self.palette_is_stale = true;
        }
        work
    }

    /// Takes in the worker's answer.
    pub fn receive(&mut self, number: u64, patches: Vec<IdPatch>) {
        self.waiting.extend(patches.into_iter().map(Upload::Patch));
        self.waiting.push_back(Upload::Drawn(number));
    }

    pub fn is_complete(&self) -> bool {
        self.waiting.is_empty()
    }

    pub fn any_selected(&self) -> bool {
        self.any_selected
    }

    /// Uploads up to `budget` bytes (at least one row) and takes them off it; the palette always whole.
    pub fn upload(&mut self, gpu: &Gpu, picture: (u32, u32), halvings: u32, budget: &mut usize) {
        if self.palette.is_empty() && self.waiting.is_empty() {
            return;
        }
        let textures =
            self.textures.get_or_insert_with(|| Textures::new(gpu, map_size(picture.0, picture.1, halvings)));
        if std::mem::take(&mut self.palette_is_stale) {
            let size = (PALETTE_SIDE as u32, (self.palette.len() / PALETTE_SIDE) as u32);
            write_strip(gpu, &textures.palette, 0, (0, 0), size, 4, self.palette.as_flattened());
        }
        while let Some(next) = self.waiting.front() {
            match next {
                Upload::Drawn(number) => self.stack.drawn(*number),
                Upload::Patch(IdPatch { rect, ids }) => {
                    if *budget == 0 {
                        return;
                    }
                    let stride = rect.width as usize;
                    let rows = ((*budget / (2 * stride)).max(1) as u32).min(rect.height - self.row);
                    let strip = &ids[self.row as usize * stride..][..rows as usize * stride];
                    let (at, size) = ((rect.x, rect.y + self.row), (rect.width, rows));
                    write_strip(gpu, &textures.ids, 0, at, size, 2, bytemuck::cast_slice(strip));
                    *budget = budget.saturating_sub(2 * strip.len());
                    self.row += rows;
                    if self.row < rect.height {
                        continue;
                    }
                    self.row = 0;
                }
            }
            self.waiting.pop_front();
        }
    }

    /// The binding, if there is anything to see.
    pub fn group(&self) -> Option<&wgpu::BindGroup> {
        let visible = self.palette.iter().any(|look| look[3] & FLAG_VISIBLE != 0);
        self.textures.as_ref().filter(|_| visible).map(|t| &t.group)
    }
}

impl Textures {
    fn new(gpu: &Gpu, (width, height): (u32, u32)) -> Self {
        let texture = |label, (width, height), format| {
            gpu.device.create_texture(&wgpu::TextureDescriptor {
                label: Some(label),
                size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format,
                usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
                view_formats: &[],
            })
        };
        let side = PALETTE_SIDE as u32;
        let ids = texture("canvas instance map", (width, height), wgpu::TextureFormat::R16Uint);
        let palette = texture("canvas palette", (side, side), wgpu::TextureFormat::Rgba8Uint);
        let (ids_view, palette_view) = (ids.create_view(&Default::default()), palette.create_view(&Default::default()));
        let group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("canvas instances"),
            layout: &gpu.pipelines.instances.inputs,
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: wgpu::BindingResource::TextureView(&ids_view) },
                wgpu::BindGroupEntry { binding: 1, resource: wgpu::BindingResource::TextureView(&palette_view) },
            ],
        });
        Self { ids, palette, group }
    }
}

//! The canvas' textures and draws: what is shown goes in once a frame, a paint callback comes out.
//!
//! Invariant: no call waits for anything; what is not uploaded yet is missing from the frame, and the next frame is
//! asked for.

use super::callback::{CanvasPaint, CanvasShape};
use super::field_layer::FieldLayer;
use super::gpu_types::ViewUniform;
use super::instance_layer::InstanceLayer;
use super::instance_map::MAX_INSTANCES;
use super::mipmaps::{UploadLimits, halvings_needed};
use super::picture_layer::PictureLayer;
use super::pipelines::Pipelines;
use super::worker::{Done, Job, Wake, Worker};
use crate::geometry::ImageFromScreen;
use crate::raster::{Level, LogitField, Mask, Picture};
use egui_wgpu::RenderState;
use std::sync::Arc;

/// A committed mask and how it looks.
#[derive(Debug, Clone, Copy)]
pub struct CanvasInstance<'a> {
    /// Names the instance; unique and stable while it lives.
    pub key: u64,
    /// Of the picture's size; one of another size is not shown.
    pub mask: &'a Mask,
    /// sRGB.
    pub color: [u8; 3],
    /// Not shown, and what lies below shows through.
    pub hidden: bool,
    /// Drawn with a strong outline.
    pub selected: bool,
}

/// The edge of a mask that is still logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outline {
    /// No edge.
    None,
    /// A line in the mask's colour.
    Line,
    /// Light and dark dashes.
    Dashes {
        /// How far they have marched, in dash pairs.
        phase: f32,
    },
}

/// A mask that is still logits and how it looks.
#[derive(Debug, Clone, Copy)]
pub struct MaskDraw<'a> {
    /// The logits.
    pub field: &'a LogitField,
    /// Inside where the logit is above it.
    pub threshold: f32,
    /// Tint, sRGB.
    pub color: [u8; 3],
    /// How much the tint covers the picture, 0..=1.
    pub tint_opacity: f32,
    /// Its edge.
    pub outline: Outline,
}

/// One canvas or thumbnail in one frame.
#[derive(Debug, Clone, Copy)]
pub struct SceneDraw<'a> {
    /// Cut to this rectangle, logical points: x, y, width, height.
    pub clip: [f32; 4],
    /// Where the picture lies, logical points.
    pub image_from_screen: ImageFromScreen,
    /// Physical pixels a logical point.
    pub pixels_per_point: f32,
    /// Whether the committed masks are drawn.
    pub instances: bool,
    /// Opacity of their tint, 0..=1.
    pub tint_opacity: f32,
    /// Whether their edges are drawn.
    pub outlines: bool,
    /// Masks that are still logits, from the bottom to the top.
    pub masks: &'a [MaskDraw<'a>],
}

/// Device and what is made once for it.
pub(super) struct Gpu {
    pub device: wgpu::Device,
    pub queue: wgpu::Queue,
    pub pipelines: Pipelines,
    pub limits: UploadLimits,
    linear_output: bool,
}

/// Bytes uploaded in one frame: about 4 ms of copying.
const FRAME_BUDGET: usize = 12 << 20;
/// Most texels of a picture's finest level: 400 MB, and a third more for the other levels.
const MAX_TEXELS: u64 = 100_000_000;
/// From this many physical pixels a picture pixel each one is drawn as a flat square.
const NEAREST_FROM_ZOOM: f32 = 3.0;

/// Everything the canvas has on the GPU. Without a GPU it takes the same calls and draws nothing.
pub struct CanvasRenderer {
    gpu: Option<Gpu>,
    worker: Worker,
    wake: Wake,
    /// Bytes that a frame may upload; without a bound all levels are uploaded, whatever the zoom.
    budget: usize,
    /// What is left of it in this frame.
    budget_left: usize,
    /// Levels that somebody has made already, for the picture that they are of.
    brought: Option<(Picture, Arc<[Level]>)>,
    /// Counts the pictures shown, so that late answers for an older one are known.
    scene: u64,
    picture: Option<Picture>,
    picture_layer: Option<PictureLayer>,
    instances: InstanceLayer,
    fields: FieldLayer,
    failure: Option<String>,
    too_many: bool,
}

impl CanvasRenderer {
    /// A renderer for eframe's `CreationContext::wgpu_render_state`. `wake` asks for a new frame; it is called from the
    /// renderer's thread and from [`CanvasRenderer::show`].
    pub fn new(render_state: Option<&RenderState>, wake: Wake) -> Self {
        let worker = if render_state.is_some() { Worker::threaded(Arc::clone(&wake)) } else { Worker::inline() };
        Self::with_worker(render_state, wake, worker, FRAME_BUDGET)
    }

    /// A renderer that is complete after every call, however long that takes: for tests.
    pub fn new_inline(render_state: Option<&RenderState>) -> Self {
        Self::with_worker(render_state, Arc::new(|| ()), Worker::inline(), usize::MAX)
    }

    fn with_worker(render_state: Option<&RenderState>, wake: Wake, worker: Worker, budget: usize) -> Self {
        let gpu = render_state.map(|state| Gpu {
            device: state.device.clone(),
            queue: state.queue.clone(),
            pipelines: Pipelines::new(&state.device, state.target_format),
            limits: UploadLimits { max_side: state.device.limits().max_texture_dimension_2d, max_texels: MAX_TEXELS },
            linear_output: state.target_format.is_srgb(),
        });
        Self {
            gpu,
            worker,
            wake,
            budget,
            budget_left: budget,
            brought: None,
            scene: 0,
            picture: None,
            picture_layer: None,
            instances: InstanceLayer::default(),
            fields: FieldLayer::default(),
            failure: None,
            too_many: false,
        }
    }

    /// Whether anything can be drawn.
    pub fn has_gpu(&self) -> bool {
        self.gpu.is_some()
    }

    /// Brings along the levels of a picture that will be shown next ([`crate::raster::coarser_levels`]), so that it is
    /// there in its first frame.
    pub fn bring(&mut self, picture: &Picture, levels: &Arc<[Level]>) {
        if !is_same(self.picture.as_ref(), Some(picture)) {
            self.brought = Some((picture.clone(), Arc::clone(levels)));
        }
    }

    /// Takes in what is to be shown, as it is now; call it once a frame. Unchanged pictures and masks cost nothing.
    pub fn show(&mut self, picture: Option<&Picture>, instances: &[CanvasInstance<'_>]) {
        let Some(gpu) = &self.gpu else { return };
        self.fields.next_frame();
        if !is_same(self.picture.as_ref(), picture) {
            self.scene += 1;
            self.picture = picture.cloned();
            self.picture_layer = None;
            self.instances = InstanceLayer::default();
            self.failure = None;
            if let Some(picture) = picture {
                let brought = self.brought.take().filter(|(of, _)| is_same(Some(of), Some(picture)));
                match (check(picture), brought) {
                    (Ok(()), Some((_, levels))) => self.picture_layer = Some(picture_layer(gpu, picture, levels)),
                    (Ok(()), None) => {
                        self.worker.send(Job::Coarser { scene: self.scene, picture: picture.clone() });
                    }
                    (Err(message), _) => self.failure = Some(message),
                }
            }
        }
        self.too_many = instances.len() > MAX_INSTANCES;
        let size = self.picture.as_ref().filter(|_| self.failure.is_none()).map(|p| (p.width, p.height));
        if let Some((width, height)) = size {
            let halvings = halvings_needed(width, height, gpu.limits);
            if let Some((number, redraw)) = self.instances.update(instances) {
                let picture = (width, height);
                self.worker.send(Job::Instances { scene: self.scene, number, picture, halvings, redraw });
            }
        }
        while let Some(done) = self.worker.receive() {
            match done {
                Done::Coarser { scene, levels } if scene == self.scene => {
                    self.picture_layer = self.picture.as_ref().map(|picture| picture_layer(gpu, picture, levels));
                }
                Done::Finest { scene, level } if scene == self.scene => {
                    if let Some(layer) = &mut self.picture_layer {
                        layer.bring_finest(level);
                    }
                }
                Done::Instances { scene, number, patches } if scene == self.scene => {
                    self.instances.receive(number, patches);
                }
                Done::Failed { scene, message } if scene == self.scene => self.failure = Some(message),
                Done::Coarser { .. } | Done::Finest { .. } | Done::Instances { .. } | Done::Failed { .. } => {}
            }
        }
        self.budget_left = self.budget;
        if let Some(picture) = size {
            let halvings = halvings_needed(picture.0, picture.1, gpu.limits);
            self.instances.upload(gpu, picture, halvings, &mut self.budget_left);
        }
        if !self.instances.is_complete() {
            (self.wake)();
        }
    }

    /// Uploads what a draw at this zoom needs, as far as this frame's budget goes.
    fn upload_for(&mut self, zoom_px: f32) {
        let (Some(gpu), Some(picture), Some(layer)) = (&self.gpu, &self.picture, &mut self.picture_layer) else {
            return;
        };
        layer.want_zoom(picture.width, zoom_px);
        if self.budget == usize::MAX {
            layer.want(0);
        }
        if layer.asks_for_finest() {
            self.worker.send(Job::Finest { scene: self.scene, picture: picture.clone() });
            // A worker that works at once has it ready.
            if let Worker::Inline { .. } = self.worker
                && let Some(Done::Finest { level, .. }) = self.worker.receive()
            {
                layer.bring_finest(level);
            }
        }
        layer.upload(gpu, &mut self.budget_left);
        // Where the finest level is still being made its worker asks for the frame.
        if layer.can_go_on() {
            (self.wake)();
        }
    }

    /// Whether all that the last draw needed of the picture is on the GPU. Coarser levels are drawn before that.
    pub fn is_complete(&self) -> bool {
        self.picture_layer.as_ref().is_some_and(PictureLayer::is_complete)
    }

    /// Whether a frame drawn now shows this picture, be it coarse.
    pub fn can_draw(&self, picture: &Picture) -> bool {
        is_same(self.picture.as_ref(), Some(picture))
            && self.picture_layer.as_ref().is_some_and(PictureLayer::is_drawable)
    }

    /// The picture shown last.
    pub fn picture(&self) -> Option<&Picture> {
        self.picture.as_ref()
    }

    /// One sentence for the user where the screen shows less than the picture has; `None` if all is shown.
    pub fn notice(&self) -> Option<String> {
        if self.gpu.is_none() {
            return Some("The picture cannot be shown: the window has no GPU renderer (wgpu)".to_owned());
        }
        if let Some(message) = &self.failure {
            return Some(message.clone());
        }
        let halvings = self.picture_layer.as_ref().map_or(0, |l| l.halvings);
        if halvings > 0 {
            let share = 1u32 << halvings;
            return Some(format!(
                "This picture is larger than the GPU takes: shown at 1/{share} of its size, masks keep every pixel"
            ));
        }
        self.too_many.then(|| format!("Only the lowest {MAX_INSTANCES} instances are shown"))
    }

    /// Draws what [`CanvasRenderer::show`] was given, as a shape for egui's painter. `None` while there is nothing.
    pub fn paint(&mut self, draw: &SceneDraw<'_>) -> Option<CanvasShape> {
        self.upload_for(draw.image_from_screen.zoom * draw.pixels_per_point);
        let gpu = self.gpu.as_ref()?;
        let picture = self.picture.as_ref()?;
        let layer = self.picture_layer.as_ref()?;
        let mut view = view_uniform(picture, draw);
        view.linear_output = u32::from(gpu.linear_output);
        view.selection = u32::from(self.instances.any_selected());
        let (lod, group) = layer.at_zoom(picture.width, view.zoom_px)?;
        view.lod = lod;
        let pipelines = &gpu.pipelines;
        let mut passes = vec![(pipelines.picture.pipeline.clone(), group.clone())];
        if let Some(group) = self.instances.group().filter(|_| draw.instances) {
            passes.push((pipelines.instances.pipeline.clone(), group.clone()));
        }
        for mask in draw.masks {
            if let Some(group) = self.fields.bind(gpu, mask) {
                passes.push((pipelines.mask_overlay.pipeline.clone(), group));
            }
        }
        let view_buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("canvas view"),
            size: size_of::<ViewUniform>() as u64,
            usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let view_group = gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("canvas view"),
            layout: &pipelines.view,
            entries: &[wgpu::BindGroupEntry { binding: 0, resource: view_buffer.as_entire_binding() }],
        });
        Some(CanvasPaint { view, view_buffer, view_group, passes }.into_shape(draw.clip))
    }
}

/// The view's numbers for one draw. The framebuffer's size, the level and the selection are filled in later.
pub fn view_uniform(picture: &Picture, draw: &SceneDraw<'_>) -> ViewUniform {
    let (view, scale) = (draw.image_from_screen, draw.pixels_per_point);
    let zoom_px = view.zoom * scale;
    ViewUniform {
        origin_px: [view.origin.x * scale, view.origin.y * scale],
        screen_px: [1.0; 2],
        picture: [picture.width as f32, picture.height as f32],
        zoom_px,
        lod: 0.0,
        nearest: u32::from(zoom_px >= NEAREST_FROM_ZOOM),
        linear_output: 0,
        tint_opacity: draw.tint_opacity.clamp(0.0, 1.0),
        outlines: u32::from(draw.outlines),
        selection: 0,
        padding: [0; 3],
    }
}

fn picture_layer(gpu: &Gpu, picture: &Picture, levels: Arc<[Level]>) -> PictureLayer {
    let halvings = halvings_needed(picture.width, picture.height, gpu.limits);
    PictureLayer::new(gpu, (picture.width, picture.height), halvings, levels)
}

fn is_same(a: Option<&Picture>, b: Option<&Picture>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => Arc::ptr_eq(&a.rgb, &b.rgb) && a.width == b.width && a.height == b.height,
        _ => false,
    }
}

fn check(picture: &Picture) -> Result<(), String> {
    let expected = u64::from(picture.width) * u64::from(picture.height) * 3;
    if expected == 0 || picture.rgb.len() as u64 != expected {
        return Err(format!(
            "The picture cannot be shown: {} bytes for {} x {} pixels, expected {expected}",
            picture.rgb.len(),
            picture.width,
            picture.height
        ));
    }
    Ok(())
}

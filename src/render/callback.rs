//! The hand-over to egui: one paint callback that carries all it needs.
//!
//! The only place in `render` that names egui's types. The callback owns its buffers (made new each frame, a few
//! microseconds), so two canvases or thumbnails in a frame cannot see each other's view.

use super::gpu_types::ViewUniform;
use egui_wgpu::{Callback, CallbackResources, CallbackTrait, ScreenDescriptor};

/// What egui's painter takes.
pub type CanvasShape = egui::PaintCallback;

/// The draws of one canvas in one frame.
pub(super) struct CanvasPaint {
    /// All but the framebuffer's size, which is known only when the frame is drawn.
    pub view: ViewUniform,
    pub view_buffer: wgpu::Buffer,
    pub view_group: wgpu::BindGroup,
    /// From the bottom to the top.
    pub passes: Vec<(wgpu::RenderPipeline, wgpu::BindGroup)>,
}

impl CanvasPaint {
    /// As a shape for egui's painter, cut to a rectangle in logical points: x, y, width, height.
    pub fn into_shape(self, rect: [f32; 4]) -> CanvasShape {
        let rect = egui::Rect::from_min_size(egui::pos2(rect[0], rect[1]), egui::vec2(rect[2], rect[3]));
        Callback::new_paint_callback(rect, self)
    }
}

impl CallbackTrait for CanvasPaint {
    fn prepare(
        &self,
        _device: &wgpu::Device,
        queue: &wgpu::Queue,
        screen: &ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        _resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        let screen_px = screen.size_in_pixels.map(|v| v as f32);
        queue.write_buffer(&self.view_buffer, 0, bytemuck::bytes_of(&ViewUniform { screen_px, ..self.view }));
        Vec::new()
    }

    fn paint(&self, info: egui::PaintCallbackInfo, pass: &mut wgpu::RenderPass<'static>, _: &CallbackResources) {
        // The view speaks of the whole framebuffer, not of the callback's rectangle; egui's scissor cuts it.
        let [width, height] = info.screen_size_px.map(|v| v as f32);
        pass.set_viewport(0.0, 0.0, width, height, 0.0, 1.0);
        pass.set_bind_group(0, &self.view_group, &[]);
        for (pipeline, inputs) in &self.passes {
            pass.set_pipeline(pipeline);
            pass.set_bind_group(1, inputs, &[]);
            pass.draw(0..4, 0..1);
        }
    }
}

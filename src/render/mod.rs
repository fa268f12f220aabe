//! Layer 5: the canvas on the GPU. Knows wgpu and egui's paint callback, no widgets.
//!
//! What the window needs to know:
//! - [`wgpu_options`] gives eframe's `NativeOptions::wgpu_options` with the adapter's own texture limit instead of
//!   8192, and [`watch_device`] reports GPU errors and a lost device instead of the default panic.
//! - [`CanvasRenderer`] owns the textures. `CanvasRenderer::new(Option<&RenderState>, wake)` in the app's creation;
//!   `None` is accepted everywhere and draws nothing.
//! - [`CanvasInstance`] is one committed mask with its look.
//!
//! Three passes, each with a shader in `shaders/` and a twin on the CPU in [`twin`] that a test holds equal to it:
//! picture, instances, draft masks. Colours stay sRGB-encoded from file to screen, as egui blends them.
//!
//! A picture goes: worker (RGBA, mip levels) -> strips of a few megabytes a frame, smallest level first -> screen. So
//! the fitted picture is there in a frame or two, whatever its size, and no frame waits.

mod callback;
mod canvas;
mod field_layer;
pub mod gpu_types;
mod instance_layer;
pub mod instance_map;
pub mod mipmaps;
mod picture_layer;
mod pipelines;
mod setup;
pub mod twin;
mod worker;

pub use callback::CanvasShape;
pub use canvas::{CanvasInstance, CanvasRenderer, MaskDraw, Outline, SceneDraw, view_uniform};
pub use field_layer::field_uniform;
pub use mipmaps::{UploadBuffer, UploadLimits, prepare_upload};
pub use setup::{GpuProblem, raise_texture_limit, watch_device, wgpu_options};
pub use worker::Wake;

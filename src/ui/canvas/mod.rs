//! The canvas: draws the picture with everything on it, and turns the pointer into wishes.
//!
//! One call a frame, plain data in, plain data out; the caller owns all state and decides what each wish means:
//!
//! ```ignore
//! // once, when the window starts (`None` where there is no wgpu: the canvas then says so and still takes input)
//! let wake = { let ctx = cc.egui_ctx.clone(); Arc::new(move || ctx.request_repaint()) };
//! let mut renderer = CanvasRenderer::new(cc.wgpu_render_state.as_ref(), wake);
//!
//! // every frame, in a panel
//! let output = canvas_ui(ui, &mut renderer, &CanvasInput { picture: Some(&picture), view, points: &points, ..default() });
//! for action in output.actions {
//!     match action {
//!         CanvasAction::View(next) => view = next,
//!         CanvasAction::Point { at, polarity } => ..,
//!         ..
//!     }
//! }
//! ```
//!
//! - Sharing: `picture` is recognised by its pixel buffer (`Arc`), a field by its values (`Arc`), a mask by its runs
//!   (`Arc`): pass the same ones again every frame, it costs nothing. New pixels must be a new `Picture`. Colour
//!   conversion, mip levels and the instance map are made on the renderer's own thread, so no frame waits for them.
//! - [`CanvasAction`] lists the wishes and when each one is sent. Coordinates are picture pixels, corner convention,
//!   clipped to the picture; presses beside the picture send nothing but panning, zooming and box corners.
//! - Left = include; right, or Shift and left, = exclude; a drag of the left button longer than [`DRAG_SLOP`] = box;
//!   press on a point and release = remove it, press and drag = move it; Ctrl and left = select (as the whole of
//!   [`CanvasTool::Select`] does). Wheel (with or without Ctrl) and pinch zoom at the pointer, Space and drag or the
//!   middle button pans. Keys such as Enter, Escape, F and 1-3 are the caller's; [`CanvasView::FIT`] and
//!   [`CanvasView::one_to_one`] are what F and Ctrl+1 set.
//! - A double click sends the first click's `Point` at once, since a mask must not wait 0.3 s, then `DoubleClick` and
//!   no second `Point`: whoever accepts on a double click takes that last step back first.
//! - [`candidate_thumbnail_ui`] draws one candidate over the picture for the candidate strip; it reads only what the
//!   last `canvas_ui` call has set up, so the picture is uploaded once:
//!   `candidate_thumbnail_ui(ui, &mut renderer, "Candidate 1", size, selected, region, mask) -> Response`, where
//!   [`candidates_region`] finds one region that shows all candidates.
//! - The canvas paints no background: the fill of the panel around it shows beside the picture.
//! - [`CanvasRenderer::notice`] is a sentence where the picture is shown at less than its own pixels, or not at all.
//!
//! Invariant: nothing here changes a document or starts work; the canvas keeps only the gesture in progress.

mod gesture;
mod input;
mod marks;
mod thumbnail;
mod view;
mod widget;

pub use gesture::DRAG_SLOP;
pub use input::{
    CanvasAction, CanvasBox, CanvasInput, CanvasMask, CanvasOptions, CanvasOutput, CanvasPoint, CanvasTool,
};
pub use thumbnail::{candidate_thumbnail_ui, candidates_region};
pub use view::{CanvasArea, CanvasView};
pub use widget::canvas_ui;

pub use crate::render::{CanvasInstance, CanvasRenderer};

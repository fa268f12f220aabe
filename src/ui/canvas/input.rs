//! What the canvas is given and what it says back: plain data, so that panels and tests need no knowledge of drawing.

use super::CanvasView;
use crate::geometry::{ImageFromScreen, ImagePoint, ImageRect, PixelRect};
use crate::prompt::Polarity;
use crate::raster::{LogitField, Picture};
use crate::render::CanvasInstance;

/// Everything the canvas shows in one frame.
#[derive(Debug, Clone, Copy, Default)]
pub struct CanvasInput<'a> {
    /// The picture; `None` leaves the canvas empty but for the hint.
    pub picture: Option<&'a Picture>,
    /// Which part of the picture is shown, as the last [`CanvasAction::View`] said.
    pub view: CanvasView,
    /// Committed masks from the bottom to the top of the stack.
    pub instances: &'a [CanvasInstance<'a>],
    /// The mask being made: the chosen candidate.
    pub draft: Option<CanvasMask<'a>>,
    /// What a click under the pointer would give.
    pub preview: Option<CanvasMask<'a>>,
    /// The points said so far, in order; actions name them by their index here.
    pub points: &'a [CanvasPoint],
    /// The box said last.
    pub prompt_box: Option<CanvasBox>,
    /// What the left button does.
    pub tool: CanvasTool,
    /// One line at the foot of the canvas: what to try next, or why nothing is seen.
    pub hint: Option<&'a str>,
    /// Taste and circumstances.
    pub options: CanvasOptions,
}

/// A mask that is still logits.
#[derive(Debug, Clone, Copy)]
pub struct CanvasMask<'a> {
    /// The logits and the part of the picture they span.
    pub field: &'a LogitField,
    /// Inside where the logit is above it.
    pub threshold: f32,
    /// Tint, sRGB.
    pub color: [u8; 3],
}

/// A point of the prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CanvasPoint {
    /// Where.
    pub at: ImagePoint,
    /// On the object or beside it.
    pub polarity: Polarity,
    /// Said, but not answered yet (the encoder still runs): drawn hollow.
    pub waiting: bool,
}

/// The box of the prompt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CanvasBox {
    /// Where.
    pub rect: ImageRect,
    /// Said, but not answered yet: drawn dashed.
    pub waiting: bool,
}

/// What the left button does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CanvasTool {
    /// Points and boxes; Ctrl and left selects.
    #[default]
    Prompt,
    /// Selects instances; no points, no boxes.
    Select,
}

/// Taste and circumstances.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CanvasOptions {
    /// Nothing moves: dashes and waiting points stand still.
    pub reduce_motion: bool,
    /// The clock of the animations in seconds; `None` takes egui's. Tests set it.
    pub time_secs: Option<f64>,
    /// How much the tint covers the picture, 0..=1.
    pub tint_opacity: f32,
    /// Whether edges are drawn.
    pub outlines: bool,
    /// Only the picture: masks, points and box are hidden while a key is held.
    pub show_original: bool,
    /// Whether the pointer may say anything; zooming and panning always work.
    pub interactive: bool,
}

impl Default for CanvasOptions {
    fn default() -> Self {
        Self {
            reduce_motion: false,
            time_secs: None,
            tint_opacity: 0.4,
            outlines: true,
            show_original: false,
            interactive: true,
        }
    }
}

/// A wish of the user, in the order of the gestures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CanvasAction {
    /// A click: the object covers this point, or does not. Sent at the release of the button.
    Point {
        /// Where.
        at: ImagePoint,
        /// On the object or beside it.
        polarity: Polarity,
    },
    /// A drag: the object lies in this box. Sent once, at the release; at least one pixel wide and high.
    Box(ImageRect),
    /// A point is dragged. Sent on every move, then once with `done`: only that one is worth an edit.
    PointMoved {
        /// Which of [`CanvasInput::points`].
        index: usize,
        /// Where it is now.
        to: ImagePoint,
        /// Whether the button was released.
        done: bool,
    },
    /// A click on a point takes it back.
    PointRemoved {
        /// Which of [`CanvasInput::points`].
        index: usize,
    },
    /// A click that selects.
    Select {
        /// Key of the topmost visible instance there; `None` where there is none.
        instance: Option<u64>,
        /// Where.
        at: ImagePoint,
        /// Shift was held: add to the selection or take away from it.
        extend: bool,
    },
    /// The second click of a double click, at the place of the first one (whose `Point` or `Select` was sent before).
    DoubleClick {
        /// Where.
        at: ImagePoint,
    },
    /// Zoomed or panned: show this from now on.
    View(CanvasView),
}

/// What the canvas says back.
#[derive(Debug)]
pub struct CanvasOutput {
    /// The user's wishes, oldest first.
    pub actions: Vec<CanvasAction>,
    /// The point of the picture under the pointer while nothing is pressed; `None` beside the picture.
    pub hover: Option<ImagePoint>,
    /// The visible part of the picture, rounded outwards; `None` without a picture or room.
    pub visible: Option<PixelRect>,
    /// How this frame's picture lies in the window; `None` without a picture.
    pub image_from_screen: Option<ImageFromScreen>,
    /// Physical screen pixels a picture pixel (1 is 100 %); 0 without a picture.
    pub zoom: f32,
    /// Zoom of this frame divided by the zoom of [`CanvasView::FIT`]; 0 without a picture.
    pub zoom_over_fit: f32,
    /// The widget itself, named "Canvas" for assistive technology.
    pub response: egui::Response,
}

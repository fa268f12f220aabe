//! How long things took, over a corner of the canvas: hidden unless asked for, and never kept for the next start.
//!
//! Invariant: it shows what the session and the frame noted anyway; it measures nothing itself.

use super::theme::Palette;
use super::widgets::card_frame;
use crate::session::Session;
use egui::{Align2, Area, Context, Grid, Id, Order, Rect, RichText, vec2};

/// What only the window knows about its frames.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameFacts {
    /// Processor time of the frame before, waiting for the display left out; `None` before the first.
    pub cpu_ms: Option<f64>,
    /// Resident memory of the program; `None` where the system does not tell.
    pub resident_mib: Option<f64>,
}

/// Draws the view at the foot of the canvas. Start and end of each number: [`crate::session::Felt`],
/// [`crate::session::Timings`].
pub fn timing_view_ui(context: &Context, canvas: Rect, session: &Session, frame: FrameFacts) {
    let (felt, timings) = (&session.felt, &session.timings);
    let rows = [
        ("Open to picture", felt.picture_ms, "ms"),
        ("  file read and decoded", timings.open_ms, "ms"),
        ("  prepared for clicks", timings.encode_ms, "ms"),
        ("Open to first answer", felt.first_click_ms, "ms"),
        ("Press to logits", felt.click_ms, "ms"),
        ("  mask decoder", timings.decode_ms, "ms"),
        ("Press to mask shown", felt.mask_ms, "ms"),
        ("Last frame", frame.cpu_ms, "ms"),
        ("Memory", frame.resident_mib, "MiB"),
    ];
    Area::new(Id::unique("timings"))
        .order(Order::Middle)
        .pivot(Align2::LEFT_BOTTOM)
        .fixed_pos(canvas.left_bottom() + vec2(12.0, -12.0))
        .interactable(false)
        .fade_in(false)
        .show(context, |ui| {
            let palette = Palette::of(ui.visuals());
            card_frame(ui).show(ui, |ui| {
                Grid::new("timings").num_columns(2).spacing(vec2(18.0, 2.0)).show(ui, |ui| {
                    for (name, value, unit) in rows {
                        let color = if name.starts_with(' ') { palette.text_weak } else { palette.text };
                        ui.label(RichText::new(name).size(12.0).color(color));
                        let text = value.map_or("–".to_owned(), |value| format!("{value:.1} {unit}"));
                        ui.label(RichText::new(text).monospace().size(12.0).color(color));
                        ui.end_row();
                    }
                });
            });
        });
}

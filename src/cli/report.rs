//! What a run tells on stdout: one JSON value for programs, or a line a mask for people.
//!
//! Invariant: the field names and their order are an interface; a test compares them.

use super::exit::{Failure, Outcome};
use crate::geometry::PixelRect;
use serde::Serialize;
use std::io::{ErrorKind, Write};
use std::time::Duration;

/// The answer of `segment --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SegmentReport {
    /// Columns of the oriented picture.
    pub width: u32,
    /// Rows of the oriented picture.
    pub height: u32,
    /// The segmenter's id.
    pub model: String,
    /// Time of the image encoder.
    pub encode_ms: f64,
    /// Time of all decodes together.
    pub decode_ms: f64,
    /// In the order of the objects, or of the candidates.
    pub masks: Vec<MaskReport>,
}

/// One mask of a report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MaskReport {
    /// The file that holds it; several masks share a COCO or RLE file.
    pub file: String,
    /// The name given with `--label`, or null.
    pub label: Option<String>,
    /// The model's own estimate of the mask's IoU.
    pub predicted_iou: f32,
    /// Area above logit +1 over area above logit -1.
    pub stability: f32,
    /// `[x, y, width, height]` in whole pixels.
    pub bbox: [u32; 4],
    /// Pixels inside.
    pub area: u64,
}

/// `[x, y, width, height]`, COCO's order.
pub fn bbox(rect: PixelRect) -> [u32; 4] {
    [rect.x, rect.y, rect.width, rect.height]
}

/// Milliseconds to a hundredth.
pub fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 100.0
}

/// Prints one JSON value on stdout.
///
/// # Errors
/// stdout cannot be written.
pub fn print_json(value: &impl Serialize) -> Outcome<()> {
    let text = serde_json::to_string_pretty(value).map_err(Failure::retry)?;
    print_text(&text)
}

/// Prints lines on stdout. A reader that has left (`| head -1`) is no failure: the work is done.
///
/// # Errors
/// stdout cannot be written.
pub fn print_text(text: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::retry(anyhow::Error::new(error).context("stdout could not be written")))
        }
        _ => Ok(()),
    }
}

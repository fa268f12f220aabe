//! Prompts as numbers: tokens (SAM's positional encoding plus learned kinds) and six dense channels drawn at half the
//! input's side: previous logits, include fine and wide, exclude fine and wide, box interior.
//!
//! Invariant: plain arithmetic without tensors, so every engine starts from the same numbers.

use super::config::{STRIDE, SparkConfig, WIDTH};
use super::layers::Layers;
use crate::inference::segmenter::{InferenceError, PointLabel};

/// Channels drawn.
pub(super) const DENSE_CHANNELS: usize = 6;
/// Widths of the two bells drawn at a point, as parts of the input's side.
const BELL_PARTS: [f32; 2] = [64.0, 10.0];

/// A point in input pixels; `None` is a padding token, which the network met in training.
pub(super) type PromptPoint = (f32, f32, Option<PointLabel>);

/// What turns points into numbers.
pub(super) struct PromptPoints {
    /// Frequencies, `[2, 64]` row-major.
    frequencies: Vec<f32>,
    /// By label: exclude, include, box top left, box bottom right; `[4, 128]` row-major.
    kinds: Vec<f32>,
    padding: Vec<f32>,
    logits_clamp: f32,
    logits_scale: f32,
    side: usize,
}

impl PromptPoints {
    /// For inputs of `side` pixels.
    pub(super) fn load(layers: &Layers<'_>, config: &SparkConfig, side: usize) -> Result<Self, InferenceError> {
        Ok(Self {
            frequencies: layers.values("prompt.gauss", &[2, WIDTH / 2])?,
            kinds: layers.values("prompt.point_embeddings", &[4, WIDTH])?,
            padding: layers.values("prompt.not_a_point", &[WIDTH])?,
            logits_clamp: config.prev_logits_clamp,
            logits_scale: config.prev_logits_scale,
            side,
        })
    }

    /// Random Fourier features of a place in 0..1: 64 sines, then 64 cosines.
    fn position(&self, x: f32, y: f32) -> impl Iterator<Item = f32> {
        let (across, down) = self.frequencies.split_at(WIDTH / 2);
        let (x, y) = (2.0 * x - 1.0, 2.0 * y - 1.0);
        let angle = move |(&fx, &fy): (&f32, &f32)| (x * fx + y * fy) * std::f32::consts::TAU;
        across.iter().zip(down).map(angle).map(f32::sin).chain(across.iter().zip(down).map(angle).map(f32::cos))
    }

    /// The encoding of every cell of the embedding, `[cells, 128]`.
    pub(super) fn cell_positions(&self) -> Vec<f32> {
        let cells = self.side / STRIDE;
        let centre = |index: usize| (index as f32 + 0.5) / cells as f32;
        let mut values = Vec::with_capacity(cells * cells * WIDTH);
        for row in 0..cells {
            for column in 0..cells {
                values.extend(self.position(centre(column), centre(row)));
            }
        }
        values
    }

    /// The points as tokens, `[points, 128]`.
    pub(super) fn tokens(&self, points: &[PromptPoint]) -> Vec<f32> {
        let side = self.side as f32;
        let mut values = Vec::with_capacity(points.len() * WIDTH);
        for &(x, y, label) in points {
            let Some(label) = label else {
                values.extend_from_slice(&self.padding);
                continue;
            };
            let kind = match label {
                PointLabel::Exclude => 0,
                PointLabel::Include => 1,
                PointLabel::BoxTopLeft => 2,
                PointLabel::BoxBottomRight => 3,
            };
            let kind = &self.kinds[kind * WIDTH..][..WIDTH];
            values.extend(self.position((x + 0.5) / side, (y + 0.5) / side).zip(kind).map(|(p, k)| p + k));
        }
        values
    }

    /// Values of the six dense channels.
    pub(super) fn drawn_len(&self) -> usize {
        DENSE_CHANNELS * self.side / 2 * self.side / 2
    }

    /// The six dense channels, `[6, side / 2, side / 2]`. `previous`: `[side / 2, side / 2]`, row-major.
    ///
    /// # Errors
    /// Previous logits of another size.
    pub(super) fn draw(
        &self,
        points: &[PromptPoint],
        previous: Option<&[f32]>,
        planes: &mut [f32],
    ) -> Result<(), InferenceError> {
        let half = self.side / 2;
        let plane = half * half;
        planes.fill(0.0);
        let (logits, drawn) = planes.split_at_mut(plane);
        if let Some(previous) = previous {
            if previous.len() != plane {
                return Err(InferenceError::Prompt(format!(
                    "the logits fed back have {} values, expected {half} x {half}",
                    previous.len()
                )));
            }
            for (to, &logit) in logits.iter_mut().zip(previous) {
                *to = logit.clamp(-self.logits_clamp, self.logits_clamp) * self.logits_scale;
            }
        }
        let mut channels = drawn.chunks_exact_mut(plane);
        for wanted in [PointLabel::Include, PointLabel::Exclude] {
            for part in BELL_PARTS {
                let Some(channel) = channels.next() else { continue };
                for &(x, y, _) in points.iter().filter(|(_, _, label)| *label == Some(wanted)) {
                    draw_bell(channel, half, (x, y), self.side as f32 / part);
                }
            }
        }
        let corner = |wanted: PointLabel| points.iter().rfind(|(_, _, label)| *label == Some(wanted));
        if let (Some(channel), Some(&(x0, y0, _)), Some(&(x1, y1, _))) =
            (channels.next(), corner(PointLabel::BoxTopLeft), corner(PointLabel::BoxBottomRight))
        {
            for (row, values) in channel.chunks_exact_mut(half).enumerate() {
                let y = cell_centre(row);
                if y >= y0 && y <= y1 {
                    for (column, value) in values.iter_mut().enumerate() {
                        let x = cell_centre(column);
                        *value = f32::from(x >= x0 && x <= x1);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Centre of a cell of the half-size grid in input pixels.
fn cell_centre(index: usize) -> f32 {
    (index as f32 + 0.5) * 2.0
}

/// Raises a channel to a Gaussian bell of deviation `sigma` input pixels around a point.
fn draw_bell(channel: &mut [f32], half: usize, (x, y): (f32, f32), sigma: f32) {
    let falloff = |distance: f32| (-distance * distance / (2.0 * sigma * sigma)).exp();
    let across: Vec<f32> = (0..half).map(|column| falloff(cell_centre(column) - x)).collect();
    for (row, values) in channel.chunks_exact_mut(half).enumerate() {
        let down = falloff(cell_centre(row) - y);
        for (value, across) in values.iter_mut().zip(&across) {
            *value = value.max(down * across);
        }
    }
}

//! SAM's prompt encoder: points and box corners become tokens, a mask becomes a map.
//!
//! Source: segment_anything/modeling/prompt_encoder.py. Invariant: coordinates are input pixels in the corner
//! convention. Upstream gets pixel indices and adds 0.5 before it encodes them; a [`LabeledPoint`] has that half already.

use super::layers::{SAM_EPSILON, layer_norm};
use crate::inference::segmenter::{InferenceError, LabeledPoint, PointLabel};
use crate::inference::weights::Weights;
use candle_core::{Device, Result, Tensor};
use candle_nn::{LayerNorm, Linear, Module};
use std::f32::consts::TAU;

/// Channels of every token and of every cell of the embedding.
pub(super) const DIM: usize = 256;
/// Channels between the mask's convolutions.
pub(super) const MASK_CHANNELS: [usize; 2] = [4, 16];

/// The prompt encoder with its weights.
pub(super) struct PromptEncoder {
    /// Random frequencies, `[2, DIM / 2]`: those of x, then those of y.
    frequencies: Vec<f32>,
    /// What is added to a position, by the number of [`PointLabel`].
    labels: [Vec<f32>; 4],
    not_a_point: Vec<f32>,
    /// `[1, DIM]`: the map where no mask is given, the same in every cell.
    pub(super) no_mask: Tensor,
    mask: MaskLayers,
    grid: usize,
    input_side: usize,
    device: Device,
}

/// Two 2x2 convolutions of stride 2 and a 1x1, each a matrix product on cells.
struct MaskLayers {
    first: Linear,
    norm1: LayerNorm,
    second: Linear,
    norm2: LayerNorm,
    last: Linear,
}

impl PromptEncoder {
    /// Reads `prompt_encoder.*` for an embedding of `grid x grid` cells over an input of `input_side` pixels.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(super) fn load(weights: &Weights, grid: usize, input_side: usize) -> std::result::Result<Self, InferenceError> {
        let name = |part: &str| format!("prompt_encoder.{part}");
        let row = |part: &str| weights.values(&name(part), &[1, DIM]);
        let label = |index: usize| row(&format!("point_embeddings.{index}.weight"));
        let frequencies = weights.values(&name("pe_layer.positional_encoding_gaussian_matrix"), &[2, DIM / 2])?;
        Ok(Self {
            frequencies,
            labels: [label(0)?, label(1)?, label(2)?, label(3)?],
            not_a_point: row("not_a_point_embed.weight")?,
            no_mask: weights.tensor(&name("no_mask_embed.weight"), &[1, DIM])?,
            mask: MaskLayers::load(weights)?,
            grid,
            input_side,
            device: weights.device().clone(),
        })
    }

    /// The position of a point as sines and cosines; `x` and `y` are shares of the input's side.
    fn encode_position(&self, x: f32, y: f32, into: &mut Vec<f32>) {
        let (of_x, of_y) = self.frequencies.split_at(DIM / 2);
        let (x, y) = (2.0 * x - 1.0, 2.0 * y - 1.0);
        let angle = |(fx, fy): (&f32, &f32)| TAU * (x * fx + y * fy);
        into.extend(of_x.iter().zip(of_y).map(angle).map(f32::sin));
        into.extend(of_x.iter().zip(of_y).map(angle).map(f32::cos));
    }

    /// The position of every cell's centre, `[grid * grid, DIM]`.
    pub(super) fn cell_positions(&self) -> Result<Tensor> {
        Tensor::from_vec(self.cell_position_values(), (self.grid * self.grid, DIM), &self.device)
    }

    /// The same as plain numbers.
    pub(super) fn cell_position_values(&self) -> Vec<f32> {
        let side = self.grid;
        let mut values = Vec::with_capacity(side * side * DIM);
        for cell in 0..side * side {
            let centre = |index: usize| (index as f32 + 0.5) / side as f32;
            self.encode_position(centre(cell % side), centre(cell / side), &mut values);
        }
        values
    }

    /// Tokens of points and box corners, `[n, DIM]`, or `None` without any.
    pub(super) fn tokens(&self, points: &[LabeledPoint]) -> Result<Option<Tensor>> {
        let values = self.token_values(points);
        let count = values.len() / DIM;
        if count == 0 { Ok(None) } else { Tensor::from_vec(values, (count, DIM), &self.device).map(Some) }
    }

    /// The same as plain numbers, none without any point. Where points come without a box a token that says "not a point"
    /// is appended, as upstream does.
    pub(super) fn token_values(&self, points: &[LabeledPoint]) -> Vec<f32> {
        if points.is_empty() {
            return Vec::new();
        }
        let mut values = Vec::with_capacity((points.len() + 1) * DIM);
        let side = self.input_side as f32;
        let mut box_given = false;
        for point in points {
            let start = values.len();
            self.encode_position(point.x / side, point.y / side, &mut values);
            let label = match point.label {
                PointLabel::Exclude => 0,
                PointLabel::Include => 1,
                PointLabel::BoxTopLeft => 2,
                PointLabel::BoxBottomRight => 3,
            };
            box_given |= label >= 2;
            values[start..].iter_mut().zip(&self.labels[label]).for_each(|(value, more)| *value += more);
        }
        if !box_given {
            values.extend_from_slice(&self.not_a_point);
        }
        values
    }

    /// The map of a mask, `[grid * grid, DIM]`, from its logits `[4 * grid, 4 * grid]`.
    ///
    /// # Errors
    /// Another number of logits.
    pub(super) fn mask_map(&self, logits: &[f32]) -> std::result::Result<Tensor, InferenceError> {
        let rows = Tensor::from_vec(self.mask_cells(logits)?, (logits.len() / 4, 4), &self.device)?;
        Ok(self.mask.forward(&rows)?)
    }

    /// A mask's logits `[4 * grid, 4 * grid]` cell by cell, and in a cell quarter by quarter.
    ///
    /// # Errors
    /// Another number of logits.
    pub(super) fn mask_cells(&self, logits: &[f32]) -> std::result::Result<Vec<f32>, InferenceError> {
        let side = 4 * self.grid;
        if logits.len() != side * side {
            return Err(InferenceError::Prompt(format!(
                "the mask prompt has {} logits, expected {side} x {side}; give the low-res logits of the same model",
                logits.len()
            )));
        }
        // A cell's 4 x 4 logits become four rows of 2 x 2, so that both convolutions are products without a copy.
        let mut cells = Vec::with_capacity(logits.len());
        for cell in 0..self.grid * self.grid {
            let (x0, y0) = (cell % self.grid * 4, cell / self.grid * 4);
            for place in 0..16 {
                let (quarter, inner) = (place / 4, place % 4);
                let (x, y) = (quarter % 2 * 2 + inner % 2, quarter / 2 * 2 + inner / 2);
                cells.push(logits[(y0 + y) * side + x0 + x]);
            }
        }
        Ok(cells)
    }
}

impl MaskLayers {
    fn load(weights: &Weights) -> std::result::Result<Self, InferenceError> {
        let name = |part: &str| format!("prompt_encoder.mask_downscaling.{part}");
        let [few, some] = MASK_CHANNELS;
        let bias = |index: usize, size: usize| weights.tensor(&name(&format!("{index}.bias")), &[size]).map(Some);
        let first = weights.tensor(&name("0.weight"), &[few, 1, 2, 2])?.flatten_from(1)?;
        // The rows of the second product are ordered by place, then channel.
        let second = weights.tensor(&name("3.weight"), &[some, few, 2, 2])?.permute((0, 2, 3, 1))?.contiguous()?;
        let last = weights.tensor(&name("6.weight"), &[DIM, some, 1, 1])?.flatten_from(1)?;
        Ok(Self {
            first: Linear::new(first, bias(0, few)?),
            norm1: layer_norm(weights, &name("1"), few, SAM_EPSILON)?,
            second: Linear::new(second.flatten_from(1)?, bias(3, some)?),
            norm2: layer_norm(weights, &name("4"), some, SAM_EPSILON)?,
            last: Linear::new(last, bias(6, DIM)?),
        })
    }

    /// `[4 * cells, 4]` to `[cells, DIM]`.
    fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        let x = self.norm1.forward(&self.first.forward(rows)?)?.gelu_erf()?;
        let x = x.reshape(((), 4 * MASK_CHANNELS[0]))?;
        let x = self.norm2.forward(&self.second.forward(&x)?)?.gelu_erf()?;
        self.last.forward(&x)
    }
}

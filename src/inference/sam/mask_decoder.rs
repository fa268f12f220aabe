//! SAM's mask decoder: tokens for the masks and for their quality meet the picture; each mask token becomes the weights
//! that turn the enlarged picture into one mask.
//!
//! Source: segment_anything/modeling/mask_decoder.py. Invariant: the enlarged picture stays in rows, one a cell, in the
//! order in which the transposed convolutions make them; only the finished masks are brought into picture order.

use super::layers::{SAM_EPSILON, layer_norm, linear};
use super::prompt_encoder::DIM;
use super::two_way::{PictureSide, TwoWayTransformer};
use crate::inference::segmenter::InferenceError;
use crate::inference::weights::Weights;
use candle_core::{Result, Tensor};
use candle_nn::{LayerNorm, Linear, Module};
use std::ops::Range;

/// Mask tokens: the single answer, then three candidates.
const MASKS: usize = 4;
/// Channels after the first and the second enlargement.
const ENLARGED: [usize; 2] = [DIM / 4, DIM / 8];

/// Three linear layers with ReLU between them.
struct ThreeLayers([Linear; 3]);

impl ThreeLayers {
    fn load(weights: &Weights, name: &str, outputs: usize) -> std::result::Result<Self, InferenceError> {
        let layer = |index: usize, outputs| linear(weights, &format!("{name}.layers.{index}"), DIM, outputs);
        Ok(Self([layer(0, DIM)?, layer(1, DIM)?, layer(2, outputs)?]))
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.0[0].forward(x)?.relu()?;
        self.0[2].forward(&self.0[1].forward(&x)?.relu()?)
    }
}

/// The mask decoder with its weights.
pub(super) struct MaskDecoder {
    /// The quality token, then the mask tokens: `[1 + MASKS, DIM]`.
    output_tokens: Tensor,
    transformer: TwoWayTransformer,
    enlarge1: Linear,
    norm: LayerNorm,
    enlarge2: Linear,
    mask_weights: Vec<ThreeLayers>,
    quality: ThreeLayers,
    /// Position of every cell's centre, `[cells, DIM]`.
    positions: Tensor,
    grid: usize,
}

/// What the decoder computed for one prompt.
pub(super) struct DecodedMasks {
    /// Low-res logits, `[masks, 4 * grid, 4 * grid]`.
    pub(super) low_res: Tensor,
    /// Predicted IoU, `[masks]`.
    pub(super) predicted_iou: Vec<f32>,
}

impl MaskDecoder {
    /// Reads `mask_decoder.*`; `positions` are those of the cells of the `grid x grid` embedding.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(super) fn load(weights: &Weights, positions: Tensor, grid: usize) -> std::result::Result<Self, InferenceError> {
        let name = |part: &str| format!("mask_decoder.{part}");
        let quality_token = weights.tensor(&name("iou_token.weight"), &[1, DIM])?;
        let mask_tokens = weights.tensor(&name("mask_tokens.weight"), &[MASKS, DIM])?;
        let [large, larger] = ENLARGED;
        let mask_weights =
            (0..MASKS).map(|i| ThreeLayers::load(weights, &name(&format!("output_hypernetworks_mlps.{i}")), larger));
        Ok(Self {
            output_tokens: Tensor::cat(&[quality_token, mask_tokens], 0)?,
            transformer: TwoWayTransformer::load(weights)?,
            enlarge1: enlargement(weights, &name("output_upscaling.0"), DIM, large)?,
            norm: layer_norm(weights, &name("output_upscaling.1"), large, SAM_EPSILON)?,
            enlarge2: enlargement(weights, &name("output_upscaling.3"), large, larger)?,
            mask_weights: mask_weights.collect::<std::result::Result<_, _>>()?,
            quality: ThreeLayers::load(weights, &name("iou_prediction_head"), MASKS)?,
            positions,
            grid,
        })
    }

    /// What depends on the picture (and on a mask prompt) only; `rows` is embedding plus mask map, `[cells, DIM]`.
    pub(super) fn picture_side(&self, rows: Tensor) -> Result<PictureSide> {
        self.transformer.picture_side(rows, &self.positions)
    }

    /// Decodes prompt tokens `[n, DIM]` (or none) on a picture: three candidates if `multimask`, else the single answer.
    pub(super) fn decode(
        &self,
        picture: &PictureSide,
        prompt: Option<&Tensor>,
        multimask: bool,
    ) -> Result<DecodedMasks> {
        let tokens = match prompt {
            Some(prompt) => &Tensor::cat(&[&self.output_tokens, prompt], 0)?,
            None => &self.output_tokens,
        };
        let (tokens, rows) = self.transformer.forward(tokens, picture, &self.positions)?;
        let masks = if multimask { 1..MASKS } else { 0..1 };
        let quality = self.quality.forward(&tokens.narrow(0, 0, 1)?)?;
        let quality = quality.narrow(1, masks.start, masks.len())?.flatten_all()?;
        Ok(DecodedMasks { low_res: self.masks(&tokens, &rows, masks)?, predicted_iou: quality.to_vec1()? })
    }

    /// The transformer by itself, for the tests.
    #[cfg(test)]
    pub(super) fn transformer(&self) -> &TwoWayTransformer {
        &self.transformer
    }

    fn masks(&self, tokens: &Tensor, rows: &Tensor, masks: Range<usize>) -> Result<Tensor> {
        let grid = self.grid;
        let count = masks.len();
        let rows = self.enlarge1.forward(rows)?.reshape(((), ENLARGED[0]))?;
        let rows = self.norm.forward(&rows)?.gelu_erf()?;
        let rows = self.enlarge2.forward(&rows)?.reshape(((), ENLARGED[1]))?.gelu_erf()?;
        let mask_weights = masks
            .map(|index| self.mask_weights[index].forward(&tokens.narrow(0, 1 + index, 1)?))
            .collect::<Result<Vec<_>>>()?;
        let masks = Tensor::cat(&mask_weights, 0)?.matmul(&rows.t()?)?;
        // Order of the rows: y, x of the cell, then y, x of its quarter, then y, x of the quarter's quarter.
        masks.reshape(vec![count, grid, grid, 2, 2, 2, 2])?.permute(vec![0, 1, 3, 5, 2, 4, 6])?.contiguous()?.reshape((
            count,
            4 * grid,
            4 * grid,
        ))
    }
}

/// A transposed 2x2 convolution of stride 2, `name.weight` `[inputs, outputs, 2, 2]`, as a linear layer: each row becomes
/// four rows of `outputs` channels, ordered by y, then x.
fn enlargement(
    weights: &Weights,
    name: &str,
    inputs: usize,
    outputs: usize,
) -> std::result::Result<Linear, InferenceError> {
    let kernel = weights.tensor(&format!("{name}.weight"), &[inputs, outputs, 2, 2])?;
    let kernel = kernel.permute((2, 3, 1, 0))?.contiguous()?.reshape((4 * outputs, inputs))?;
    let bias = weights.tensor(&format!("{name}.bias"), &[outputs])?;
    Ok(Linear::new(kernel, Some(bias.repeat(4)?)))
}

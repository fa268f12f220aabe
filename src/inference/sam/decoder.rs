//! Whose code decodes: this program's kernels on the CPU, candle's elsewhere. Both give the same masks up to rounding.

use super::mask_decoder::{self, DecodedMasks};
use super::prompt_encoder::PromptEncoder;
use super::{cpu, two_way};
use crate::inference::device::ComputeDevice;
use crate::inference::segmenter::{DecodeQuery, InferenceError, LowResLogits};
use crate::inference::weights::Weights;
use candle_core::Tensor;

/// The mask decoder with its weights.
pub(super) enum Decoder {
    Candle(mask_decoder::MaskDecoder),
    Kernels(cpu::MaskDecoder),
}

/// What depends on the picture, and on a mask prompt, only.
pub(super) enum Picture {
    Candle(two_way::PictureSide),
    Kernels(cpu::PictureSide),
}

impl Picture {
    /// Bytes held.
    pub(super) fn byte_size(&self) -> usize {
        match self {
            Self::Candle(side) => side.byte_size(),
            Self::Kernels(side) => side.byte_size(),
        }
    }
}

impl Decoder {
    /// Reads `mask_decoder.*` for a `grid x grid` embedding.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(super) fn load(
        weights: &Weights,
        prompts: &PromptEncoder,
        grid: usize,
        compute: &ComputeDevice,
    ) -> Result<Self, InferenceError> {
        Ok(if compute.uses_kernels() {
            Self::Kernels(cpu::MaskDecoder::load(weights, &prompts.cell_position_values(), grid)?)
        } else {
            Self::Candle(mask_decoder::MaskDecoder::load(weights, prompts.cell_positions()?, grid)?)
        })
    }

    /// `rows` is embedding plus mask map, `[cells, DIM]`.
    ///
    /// # Errors
    /// A failure of the computation.
    pub(super) fn picture(&self, rows: Tensor) -> Result<Picture, InferenceError> {
        Ok(match self {
            Self::Candle(decoder) => Picture::Candle(decoder.picture_side(rows)?),
            Self::Kernels(decoder) => Picture::Kernels(decoder.picture_side(rows.flatten_all()?.to_vec1()?)),
        })
    }

    /// Low-res logits and predicted IoU of each mask: three candidates, or the single answer.
    ///
    /// # Errors
    /// A failure of the computation.
    pub(super) fn decode(
        &self,
        picture: &Picture,
        prompts: &PromptEncoder,
        query: &DecodeQuery,
    ) -> Result<Vec<(LowResLogits, f32)>, InferenceError> {
        match (self, picture) {
            (Self::Kernels(decoder), Picture::Kernels(picture)) => {
                let masks = decoder.decode(picture, &prompts.token_values(&query.points), query.multimask);
                Ok(masks.into_iter().map(|mask| (mask.low_res, mask.predicted_iou)).collect())
            }
            (Self::Candle(decoder), Picture::Candle(picture)) => {
                let tokens = prompts.tokens(&query.points)?;
                let DecodedMasks { low_res, predicted_iou } =
                    decoder.decode(picture, tokens.as_ref(), query.multimask)?;
                let mask = |(index, iou)| Ok((low_res.get(index)?.flatten_all()?.to_vec1::<f32>()?.into(), iou));
                predicted_iou.into_iter().enumerate().map(mask).collect()
            }
            _ => unreachable!("a model makes its own pictures"),
        }
    }
}

//! Whose code decodes: this program's kernels on the CPU, candle's elsewhere. Both give the same masks up to rounding.

use super::mask_decoder::{self, DecodedMasks};
use super::prompt_encoder::PromptEncoder;
use super::{cpu, two_way};
use crate::inference::device::ComputeDevice;
use crate::inference::segmenter::{DecodeQuery, InferenceError, LowResLogits};
use crate::inference::weights::Weights;
use crate::kernels::Pool;
use candle_core::{Storage, Tensor};

/// The mask decoder with its weights.
pub(super) enum Decoder {
    Candle(Box<mask_decoder::MaskDecoder>),
    Kernels(Box<cpu::MaskDecoder>),
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
            let positions = prompts.cell_position_values();
            Self::Kernels(Box::new(cpu::MaskDecoder::load(weights, &positions, grid, compute.kernels())?))
        } else {
            Self::Candle(Box::new(mask_decoder::MaskDecoder::load(weights, prompts.cell_positions()?, grid)?))
        })
    }

    /// `rows` is the embedding plus what stands for no mask, `[cells, DIM]`.
    ///
    /// # Errors
    /// A failure of the computation.
    pub(super) fn picture(&self, rows: Tensor) -> Result<Picture, InferenceError> {
        Ok(match self {
            Self::Candle(decoder) => Picture::Candle(decoder.picture_side(rows)?),
            Self::Kernels(decoder) => Picture::Kernels(decoder.picture_side(rows.flatten_all()?.to_vec1()?)),
        })
    }

    /// Low-res logits and predicted IoU of each mask: three candidates, or the single answer. `image` is the embedding
    /// `[cells, DIM]`, `picture` what was made of it.
    ///
    /// # Errors
    /// A mask prompt of another size, or a failure of the computation.
    pub(super) fn decode(
        &self,
        image: &Tensor,
        picture: &Picture,
        prompts: &PromptEncoder,
        query: &DecodeQuery,
    ) -> Result<Vec<(LowResLogits, f32)>, InferenceError> {
        match (self, picture) {
            (Self::Kernels(decoder), Picture::Kernels(picture)) => {
                let tokens = prompts.token_values(&query.points);
                let masks = match &query.previous {
                    Some(logits) => {
                        let mask = prompts.mask_cells(logits)?;
                        with_values(image, |image| decoder.decode_with_mask(image, &mask, &tokens, query.multimask))?
                    }
                    None => decoder.decode(picture, &tokens, query.multimask),
                };
                Ok(masks.into_iter().map(|mask| (mask.low_res, mask.predicted_iou)).collect())
            }
            (Self::Candle(decoder), Picture::Candle(picture)) => {
                let with_mask = match &query.previous {
                    Some(logits) => Some(decoder.picture_side((image + prompts.mask_map(logits)?)?)?),
                    None => None,
                };
                let tokens = prompts.tokens(&query.points)?;
                let picture = with_mask.as_ref().unwrap_or(picture);
                let DecodedMasks { low_res, predicted_iou } =
                    decoder.decode(picture, tokens.as_ref(), query.multimask)?;
                let mask = |(index, iou)| Ok((low_res.get(index)?.flatten_all()?.to_vec1::<f32>()?.into(), iou));
                predicted_iou.into_iter().enumerate().map(mask).collect()
            }
            _ => unreachable!("a model makes its own pictures"),
        }
    }

    /// The threads that may decode several prompts at once, a prompt each, where that is quicker.
    pub(super) fn pool(&self) -> Option<&'static Pool> {
        match self {
            Self::Kernels(decoder) => Some(decoder.pool()),
            Self::Candle(_) => None,
        }
    }
}

/// The numbers of a contiguous tensor on the CPU, in place.
fn with_values<R>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> R) -> Result<R, InferenceError> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(values), Some((start, end))) => Ok(read(&values.as_slice::<f32>()?[start..end])),
        _ => {
            drop(storage);
            Ok(read(&tensor.flatten_all()?.to_vec1::<f32>()?))
        }
    }
}

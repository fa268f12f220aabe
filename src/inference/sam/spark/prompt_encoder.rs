//! The prompt encoder by candle: tokens as they are, and the dense channels brought down to the embedding's cells.

use super::config::{SparkConfig, WIDTH};
use super::layers::{ConvShape, Layers, MAP_NORM_EPS};
use super::prompt_points::{DENSE_CHANNELS, PromptPoint, PromptPoints};
use crate::inference::ops::{ChannelNorm, Pointwise, space_to_depth};
use crate::inference::segmenter::InferenceError;
use crate::kernels::Activation;
use candle_core::{Device, Tensor};

pub(super) struct PromptEncoder {
    points: PromptPoints,
    no_mask: Tensor,
    down: [Pointwise; 3],
    norms: [ChannelNorm; 2],
    side: usize,
    device: Device,
}

impl PromptEncoder {
    /// For inputs of `side` pixels.
    pub(super) fn load(layers: &Layers<'_>, config: &SparkConfig, side: usize) -> Result<Self, InferenceError> {
        // Convolutions of kernel 2 and stride 2 are products on 2x2 blocks laid into channels.
        let strided = |name: &str, out: usize, inputs: usize| -> Result<Pointwise, InferenceError> {
            let (weight, bias) = layers.conv(name, ConvShape { out, inputs, kernel: 2 })?;
            Ok(Pointwise::new(weight, bias, Activation::None, layers.device())?)
        };
        let norm = |name: &str, channels| layers.channel_norm(name, channels, MAP_NORM_EPS, Activation::Gelu);
        Ok(Self {
            points: PromptPoints::load(layers, config, side)?,
            no_mask: layers.tensor("prompt.no_mask", &[WIDTH])?.reshape((WIDTH, 1, 1))?,
            down: [
                strided("prompt.mask_down.0", 16, DENSE_CHANNELS)?,
                strided("prompt.mask_down.3", 64, 16)?,
                layers.pointwise("prompt.mask_down.6", WIDTH, 64, Activation::None)?,
            ],
            norms: [norm("prompt.mask_down.1", 16)?, norm("prompt.mask_down.4", 64)?],
            side,
            device: layers.device().clone(),
        })
    }

    /// The encoding of every cell of the embedding, `[128, cells]`.
    pub(super) fn dense_position(&self) -> Result<Tensor, InferenceError> {
        let values = self.points.cell_positions();
        let cells = values.len() / WIDTH;
        Ok(Tensor::from_vec(values, (cells, WIDTH), &self.device)?.t()?.contiguous()?)
    }

    /// The points as tokens, `[points, 128]`.
    pub(super) fn tokens(&self, points: &[PromptPoint]) -> Result<Tensor, InferenceError> {
        Ok(Tensor::from_vec(self.points.tokens(points), (points.len(), WIDTH), &self.device)?)
    }

    /// What is added to the embedding, `[128, side / 8, side / 8]`. `previous`: `[side / 2, side / 2]`, row-major.
    pub(super) fn dense(&self, points: &[PromptPoint], previous: Option<&[f32]>) -> Result<Tensor, InferenceError> {
        let half = self.side / 2;
        let mut drawn = vec![0.0; self.points.drawn_len()];
        self.points.draw(points, previous, &mut drawn)?;
        let drawn = Tensor::from_vec(drawn, (DENSE_CHANNELS, half, half), &self.device)?;
        let x = self.norms[0].forward(&self.down[0].forward(&space_to_depth(&drawn)?)?)?;
        let x = self.norms[1].forward(&self.down[1].forward(&space_to_depth(&x)?)?)?;
        let x = self.down[2].forward(&x)?;
        Ok(if previous.is_none() { x.broadcast_add(&self.no_mask)? } else { x })
    }
}

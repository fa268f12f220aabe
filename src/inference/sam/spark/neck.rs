//! The neck: three strides merged top down into the embedding, and two thin high-resolution maps for crisp rims.

use super::backbone::TAP_CHANNELS;
use super::config::WIDTH;
use super::layers::{Layers, MAP_NORM_EPS};
use crate::inference::ops::{ChannelNorm, Depthwise, Pointwise, add_upsampled};
use crate::inference::segmenter::InferenceError;
use crate::kernels::Activation;
use candle_core::Tensor;

/// Channels of the map at a quarter of the input's side.
pub(super) const QUARTER_CHANNELS: usize = 32;
/// Channels of the map at half of the input's side.
pub(super) const HALF_CHANNELS: usize = 16;

/// What the decoder needs of a view.
pub(super) struct Features {
    /// `[128, side / 8, side / 8]`.
    pub(super) embed: Tensor,
    /// `[32, side / 4, side / 4]`.
    pub(super) quarter: Tensor,
    /// `[16, side / 2, side / 2]`.
    pub(super) half: Tensor,
}

pub(super) struct Neck {
    lateral: [Pointwise; 3],
    context: Depthwise,
    smooth_depthwise: Depthwise,
    smooth_pointwise: Pointwise,
    norm: ChannelNorm,
    quarter: Pointwise,
    half: Pointwise,
}

impl Neck {
    pub(super) fn load(layers: &Layers<'_>) -> Result<Self, InferenceError> {
        let lateral = |index: usize| {
            layers.pointwise(&format!("neck.lateral.{index}"), WIDTH, TAP_CHANNELS[index + 2], Activation::None)
        };
        Ok(Self {
            lateral: [lateral(0)?, lateral(1)?, lateral(2)?],
            context: layers.depthwise("neck.context", WIDTH, 5, Activation::None)?,
            smooth_depthwise: layers.depthwise("neck.smooth_dw", WIDTH, 3, Activation::Gelu)?,
            smooth_pointwise: layers.pointwise("neck.smooth_pw", WIDTH, WIDTH, Activation::None)?,
            norm: layers.channel_norm("neck.norm", WIDTH, MAP_NORM_EPS, Activation::None)?,
            quarter: layers.pointwise("neck.hr4", QUARTER_CHANNELS, TAP_CHANNELS[1], Activation::None)?,
            half: layers.pointwise("neck.hr2", HALF_CHANNELS, TAP_CHANNELS[0], Activation::None)?,
        })
    }

    /// `taps`: the backbone's five maps.
    pub(super) fn forward(&self, taps: &[Tensor]) -> Result<Features, InferenceError> {
        let coarse = self.lateral[2].forward(&taps[4])?;
        let everywhere = coarse.mean_keepdim((1, 2))?;
        let coarse = (self.context.forward(&coarse)? + &coarse)?.broadcast_add(&everywhere)?;
        let middle = add_upsampled(&self.lateral[1].forward(&taps[3])?, &coarse)?;
        let fine = add_upsampled(&self.lateral[0].forward(&taps[2])?, &middle)?;
        let smooth = self.smooth_pointwise.forward_add(&self.smooth_depthwise.forward(&fine)?, &fine)?;
        Ok(Features {
            embed: self.norm.forward(&smooth)?,
            quarter: self.quarter.forward(&taps[1])?,
            half: self.half.forward(&taps[0])?,
        })
    }
}

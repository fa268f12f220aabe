//! The mask decoder: tokens and image through the two-way transformer, two local blocks, upsampling with the
//! high-resolution maps, and one small network a mask token that weighs the channels.

use super::config::WIDTH;
use super::layers::{Layers, MAP_NORM_EPS};
use super::neck::{Features, HALF_CHANNELS, QUARTER_CHANNELS};
use super::two_way::{FinalAttention, TwoWayBlock};
use crate::inference::ops::{ChannelNorm, Depthwise, PerChannel, Pointwise, spread_and_add};
use crate::inference::segmenter::InferenceError;
use crate::kernels::Activation;
use candle_core::Tensor;
use candle_nn::{Linear, Module};
use std::ops::Range;

/// The single answer and three candidates.
pub(super) const MASK_TOKENS: usize = 4;

/// Three linear layers with ReLU between.
struct Mlp([Linear; 3]);

impl Mlp {
    fn load(layers: &Layers<'_>, name: &str, out: usize) -> Result<Self, InferenceError> {
        let layer = |index: usize, out: usize| layers.linear(&format!("{name}.layers.{index}"), out, WIDTH);
        Ok(Self([layer(0, WIDTH)?, layer(1, WIDTH)?, layer(2, out)?]))
    }

    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        self.0[2].forward(&self.0[1].forward(&self.0[0].forward(x)?.relu()?)?.relu()?)
    }
}

/// A ConvNeXt-like block that lets neighbours talk after the transformer.
struct LocalBlock {
    depthwise: Depthwise,
    norm: ChannelNorm,
    widen: Pointwise,
    narrow: Pointwise,
}

impl LocalBlock {
    fn load(layers: &Layers<'_>, index: usize) -> Result<Self, InferenceError> {
        let name = format!("decoder.local.{index}");
        Ok(Self {
            depthwise: layers.depthwise(&format!("{name}.dw"), WIDTH, 5, Activation::None)?,
            norm: layers.channel_norm(&format!("{name}.norm"), WIDTH, MAP_NORM_EPS, Activation::None)?,
            widen: layers.pointwise(&format!("{name}.pw1"), 2 * WIDTH, WIDTH, Activation::Gelu)?,
            narrow: layers.pointwise(&format!("{name}.pw2"), WIDTH, 2 * WIDTH, Activation::None)?,
        })
    }

    fn forward(&self, x: &Tensor) -> candle_core::Result<Tensor> {
        let wide = self.widen.forward(&self.norm.forward(&self.depthwise.forward(x)?)?)?;
        self.narrow.forward_add(&wide, x)
    }
}

pub(super) struct MaskDecoder {
    /// IoU token, then mask tokens: `[5, 128]`.
    tokens: Tensor,
    blocks: [TwoWayBlock; 2],
    final_attention: FinalAttention,
    local: [LocalBlock; 2],
    up: [(Tensor, PerChannel); 2],
    up_norm: ChannelNorm,
    mask_heads: Vec<Mlp>,
    iou_head: Mlp,
}

impl MaskDecoder {
    /// `position`: the image's positional encoding, `[128, cells]`.
    pub(super) fn load(layers: &Layers<'_>, position: &Tensor) -> Result<Self, InferenceError> {
        let tokens = [
            layers.tensor("decoder.iou_token", &[1, WIDTH])?,
            layers.tensor("decoder.mask_tokens", &[MASK_TOKENS, WIDTH])?,
        ];
        let mask_heads = (0..MASK_TOKENS).map(|i| Mlp::load(layers, &format!("decoder.hyper.{i}"), HALF_CHANNELS));
        Ok(Self {
            tokens: Tensor::cat(&tokens, 0)?,
            blocks: [TwoWayBlock::load(layers, 0, position)?, TwoWayBlock::load(layers, 1, position)?],
            final_attention: FinalAttention::load(layers, position)?,
            local: [LocalBlock::load(layers, 0)?, LocalBlock::load(layers, 1)?],
            up: [
                layers.transposed("decoder.up1", WIDTH, QUARTER_CHANNELS)?,
                layers.transposed("decoder.up2", QUARTER_CHANNELS, HALF_CHANNELS)?,
            ],
            up_norm: layers.channel_norm("decoder.up_norm", QUARTER_CHANNELS, MAP_NORM_EPS, Activation::Gelu)?,
            mask_heads: mask_heads.collect::<Result<_, _>>()?,
            iou_head: Mlp::load(layers, "decoder.iou_head", MASK_TOKENS)?,
        })
    }

    /// Logits `[masks, side / 2, side / 2]` of the wanted mask tokens, and the predicted IoU of all four.
    ///
    /// `prompt`: `[points, 128]`; `dense`: `[128, side / 8, side / 8]`.
    pub(super) fn forward(
        &self,
        features: &Features,
        prompt: &Tensor,
        dense: Tensor,
        wanted: Range<usize>,
    ) -> Result<(Tensor, Vec<f32>), InferenceError> {
        let shape = features.embed.shape();
        let prompt = Tensor::cat(&[&self.tokens, prompt], 0)?;
        let mut tokens = prompt.clone();
        let mut image = (dense + &features.embed)?.flatten_from(1)?;
        for block in &self.blocks {
            (tokens, image) = block.forward(&tokens, &image, &prompt)?;
        }
        let tokens = self.final_attention.forward(&tokens, &image, &prompt)?;
        let mut map = image.reshape(shape)?;
        for block in &self.local {
            map = block.forward(&map)?;
        }
        let map = self.up_norm.forward(&upsample(&map, &self.up[0], &features.quarter, Activation::None)?)?;
        let map = upsample(&map, &self.up[1], &features.half, Activation::Gelu)?;
        let heads = wanted.map(|mask| self.mask_heads[mask].forward(&tokens.narrow(0, 1 + mask, 1)?));
        let weights = Tensor::cat(&heads.collect::<candle_core::Result<Vec<_>>>()?, 0)?;
        let (_, height, width) = map.dims3()?;
        let logits = weights.matmul(&map.flatten_from(1)?)?.reshape((weights.dim(0)?, height, width))?;
        let iou = self.iou_head.forward(&tokens.narrow(0, 0, 1)?)?.flatten_all()?.to_vec1()?;
        Ok((logits, iou))
    }
}

/// `activation(transposed convolution of x + skip)`, twice the side.
fn upsample(
    x: &Tensor,
    (weight, bias): &(Tensor, PerChannel),
    skip: &Tensor,
    activation: Activation,
) -> candle_core::Result<Tensor> {
    let (_, height, width) = x.dims3()?;
    let blocks = weight.matmul(&x.flatten_from(1)?)?.reshape((weight.dim(0)?, height, width))?;
    spread_and_add(&blocks, bias, skip, activation)
}

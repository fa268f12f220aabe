//! MobileSAM's image encoder, TinyViT-5M: a convolutional stem and stage, then three stages of windowed attention.
//!
//! Source: mobile_sam/modeling/tiny_vit_sam.py of MobileSAM. Invariant: between stages the map travels as planes
//! `[channels, side, side]`; batch norms are folded, and dropout and the unused classifier are absent.

use super::batch_norm::{depthwise, halving, pointwise};
use super::layers::{DEFAULT_EPSILON, Neck, TwoLayers, attend_with_bias, layer_norm, linear};
use super::preprocess::sam_planes;
use crate::inference::ops::{Convolution, Depthwise, Pointwise};
use crate::inference::segmenter::{EncodeControl, InferenceError, PreparedView};
use crate::inference::weights::Weights;
use crate::kernels::Activation;
use candle_core::{Device, Result, Tensor};
use candle_nn::{LayerNorm, Linear, Module};

/// What differs between TinyViT's four stages.
pub(super) struct Stage {
    pub(super) dim: usize,
    pub(super) depth: usize,
    /// 0 for the convolutional stage.
    pub(super) heads: usize,
    pub(super) window: usize,
}

/// TinyViT-5M, the only one that MobileSAM uses.
pub(super) const STAGES: [Stage; 4] = [
    Stage { dim: 64, depth: 2, heads: 0, window: 0 },
    Stage { dim: 128, depth: 2, heads: 4, window: 7 },
    Stage { dim: 160, depth: 6, heads: 5, window: 14 },
    Stage { dim: 320, depth: 2, heads: 10, window: 7 },
];
/// Hidden channels a channel, in the convolutional blocks and in the two-layer parts.
pub(super) const EXPANSION: usize = 4;
/// Channels of the embedding.
pub(super) const OUTPUTS: usize = 256;
/// Pixels a side of the square input. The weights do not tell it; MobileSAM was trained at this one.
pub(super) const INPUT_SIDE: usize = 1024;
/// Input pixels a side of an embedding's cell: the last stage does not halve the map.
pub(super) const CELL: usize = 16;

/// The encoder with its weights.
pub(super) struct TinyVitEncoder {
    input_side: usize,
    stem: [Convolution; 2],
    steps: Vec<Step>,
    neck: Neck,
    device: Device,
}

/// What a map goes through, one after the other; each is a step of the progress.
enum Step {
    Convolutional(MobileBlock),
    Attention(AttentionBlock),
    Merge(Merge),
}

impl TinyVitEncoder {
    /// Reads `image_encoder.*` for an input of `input_side` pixels, a multiple of 16.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(super) fn load(weights: &Weights, input_side: usize) -> std::result::Result<Self, InferenceError> {
        let first = STAGES[0].dim;
        let name = |index: usize| format!("image_encoder.patch_embed.seq.{index}");
        let stem = [
            halving(weights, &name(0), 3, first / 2, Activation::Gelu)?,
            halving(weights, &name(2), first / 2, first, Activation::None)?,
        ];
        let mut steps = Vec::new();
        let mut side = input_side / 4;
        for (index, stage) in STAGES.iter().enumerate() {
            let name = format!("image_encoder.layers.{index}");
            for block in 0..stage.depth {
                let name = format!("{name}.blocks.{block}");
                steps.push(if stage.heads == 0 {
                    Step::Convolutional(MobileBlock::load(weights, &name, stage.dim)?)
                } else {
                    Step::Attention(AttentionBlock::load(weights, &name, stage, side)?)
                });
            }
            if let Some(next) = STAGES.get(index + 1) {
                // Only the last merge keeps the map's size, so that SAM gets its 64 x 64 cells.
                let stride = if index + 2 == STAGES.len() { 1 } else { 2 };
                let name = format!("{name}.downsample");
                steps.push(Step::Merge(Merge::load(weights, &name, stage.dim, next.dim, stride)?));
                side = side.div_ceil(stride);
            }
        }
        let neck = Neck::load(weights, STAGES[STAGES.len() - 1].dim, OUTPUTS, side)?;
        Ok(Self { input_side, stem, steps, neck, device: weights.device().clone() })
    }

    /// The image embedding as rows, `[(input_side / 16)^2, 256]`. The view is prepared for this input side.
    ///
    /// # Errors
    /// A stop on request, or a failure of the computation.
    pub(super) fn encode(
        &self,
        view: &PreparedView,
        control: &EncodeControl<'_>,
    ) -> std::result::Result<Tensor, InferenceError> {
        control.cancel.check()?;
        let side = self.input_side;
        self.encode_planes(&Tensor::from_vec(sam_planes(view), (3, side, side), &self.device)?, control)
    }

    /// The same from normalised planes, `[3, input_side, input_side]`.
    pub(super) fn encode_planes(
        &self,
        planes: &Tensor,
        control: &EncodeControl<'_>,
    ) -> std::result::Result<Tensor, InferenceError> {
        let count = self.steps.len() as f32 + 2.0;
        let mut x = self.stem(planes)?;
        control.step(1.0 / count)?;
        for (index, step) in self.steps.iter().enumerate() {
            x = step.forward(&x)?;
            control.step((index + 2) as f32 / count)?;
        }
        let embedding = self.neck.forward(&x.flatten_from(1)?.t()?.contiguous()?)?;
        control.step(1.0)?;
        Ok(embedding)
    }

    /// One step by itself, for the tests.
    #[cfg(test)]
    pub(super) fn step(&self, index: usize, x: &Tensor) -> Tensor {
        self.steps[index].forward(x).unwrap()
    }

    /// `[3, side, side]` to `[64, side / 4, side / 4]`.
    pub(super) fn stem(&self, planes: &Tensor) -> Result<Tensor> {
        self.stem[1].forward(&self.stem[0].forward(planes)?)
    }
}

impl Step {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        match self {
            Self::Convolutional(block) => block.forward(x),
            Self::Attention(block) => block.forward(x),
            Self::Merge(merge) => merge.forward(x),
        }
    }
}

/// Widen, convolve each channel by itself, narrow, add (`MBConv`).
struct MobileBlock {
    widen: Pointwise,
    depthwise: Depthwise,
    narrow: Pointwise,
}

impl MobileBlock {
    fn load(weights: &Weights, name: &str, dim: usize) -> std::result::Result<Self, InferenceError> {
        let hidden = dim * EXPANSION;
        Ok(Self {
            widen: pointwise(weights, &format!("{name}.conv1"), dim, hidden, Activation::Gelu)?,
            depthwise: depthwise(weights, &format!("{name}.conv2"), hidden, 1, Activation::Gelu)?,
            narrow: pointwise(weights, &format!("{name}.conv3"), hidden, dim, Activation::None)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let wide = self.depthwise.forward(&self.widen.forward(x)?)?;
        self.narrow.forward_add(&wide, x)?.gelu_erf()
    }
}

/// From one stage to the next: more channels, a map of half the side or the same (`PatchMerging`).
struct Merge {
    widen: Pointwise,
    depthwise: Depthwise,
    mix: Pointwise,
}

impl Merge {
    fn load(
        weights: &Weights,
        name: &str,
        dim: usize,
        next: usize,
        stride: usize,
    ) -> std::result::Result<Self, InferenceError> {
        Ok(Self {
            widen: pointwise(weights, &format!("{name}.conv1"), dim, next, Activation::Gelu)?,
            depthwise: depthwise(weights, &format!("{name}.conv2"), next, stride, Activation::Gelu)?,
            mix: pointwise(weights, &format!("{name}.conv3"), next, next, Activation::None)?,
        })
    }

    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.mix.forward(&self.depthwise.forward(&self.widen.forward(x)?)?)
    }
}

/// Attention within windows, a depthwise convolution, and a two-layer part (`TinyViTBlock`).
struct AttentionBlock {
    attention_norm: LayerNorm,
    qkv: Linear,
    project: Linear,
    /// `[heads, window^2, window^2]`, added to the scores.
    bias: Tensor,
    local: Depthwise,
    mlp_norm: LayerNorm,
    mlp: TwoLayers,
    side: usize,
    window: usize,
    heads: usize,
}

impl AttentionBlock {
    fn load(weights: &Weights, name: &str, stage: &Stage, side: usize) -> std::result::Result<Self, InferenceError> {
        let &Stage { dim, heads, window, .. } = stage;
        let part = |part: &str| format!("{name}.{part}");
        let table = weights.tensor(&part("attn.attention_biases"), &[heads, window * window])?;
        Ok(Self {
            attention_norm: layer_norm(weights, &part("attn.norm"), dim, DEFAULT_EPSILON)?,
            qkv: linear(weights, &part("attn.qkv"), dim, 3 * dim)?,
            project: linear(weights, &part("attn.proj"), dim, dim)?,
            bias: bias_by_distance(&table, window)?,
            local: depthwise(weights, &part("local_conv"), dim, 1, Activation::None)?,
            mlp_norm: layer_norm(weights, &part("mlp.norm"), dim, DEFAULT_EPSILON)?,
            mlp: TwoLayers {
                first: linear(weights, &part("mlp.fc1"), dim, dim * EXPANSION)?,
                second: linear(weights, &part("mlp.fc2"), dim * EXPANSION, dim)?,
            },
            side,
            window,
            heads,
        })
    }

    /// `[dim, side, side]` to the same.
    fn forward(&self, planes: &Tensor) -> Result<Tensor> {
        let shape = planes.dims3()?;
        let rows = planes.flatten_from(1)?.t()?.contiguous()?;
        let rows = (&rows + self.attend(&rows)?)?;
        let local = self.local.forward(&rows.t()?.contiguous()?.reshape(shape)?)?;
        let rows = local.flatten_from(1)?.t()?.contiguous()?;
        let more = self.mlp.forward_gelu(&self.mlp_norm.forward(&rows)?)?;
        (rows + more)?.t()?.contiguous()?.reshape(shape)
    }

    /// Attention within windows, `[side^2, dim]` to the same. Unlike SAM's ViT this one pads before the norm.
    fn attend(&self, rows: &Tensor) -> Result<Tensor> {
        let (side, window, heads) = (self.side, self.window, self.heads);
        let dim = rows.dim(1)?;
        let depth = dim / heads;
        let across = side.div_ceil(window);
        let padding = across * window - side;
        let padded = rows.reshape((side, side, dim))?.pad_with_zeros(0, 0, padding)?.pad_with_zeros(1, 0, padding)?;
        let padded = padded.contiguous()?.reshape(((across * window) * (across * window), dim))?;
        let qkv = self.qkv.forward(&self.attention_norm.forward(&padded)?)?;
        // The layer's outputs are ordered by head, then query, key and value.
        let qkv = qkv
            .reshape(vec![across, window, across, window, heads, 3, depth])?
            .permute(vec![5, 0, 2, 4, 1, 3, 6])?
            .contiguous()?
            .reshape(vec![3, across * across, heads, window * window, depth])?;
        let query = (qkv.get(0)? * (1.0 / (depth as f64).sqrt()))?;
        let out = attend_with_bias(&query, &qkv.get(1)?, &qkv.get(2)?, &self.bias)?;
        let out = out
            .reshape(vec![across, across, heads, window, window, depth])?
            .permute(vec![0, 3, 1, 4, 2, 5])?
            .contiguous()?
            .reshape((across * window, across * window, dim))?
            .narrow(0, 0, side)?
            .narrow(1, 0, side)?
            .contiguous()?;
        self.project.forward(&out.reshape((side * side, dim))?)
    }
}

/// A table of one bias a head and distance, `[heads, window^2]`, entry `|dy| * window + |dx|`, laid out for every pair of
/// places: `[heads, window^2, window^2]`.
fn bias_by_distance(table: &Tensor, window: usize) -> Result<Tensor> {
    let count = window * window;
    let index = Tensor::from_iter(pairs_by_distance(window).map(|entry| entry as u32), table.device())?;
    table.index_select(&index, 1)?.reshape(((), count, count))
}

/// The entry of such a table for every pair of places of a window, in reading order.
pub(super) fn pairs_by_distance(window: usize) -> impl Iterator<Item = usize> {
    let count = window * window;
    (0..count).flat_map(move |from| (0..count).map(move |to| (from, to))).map(move |(from, to)| {
        let down = (from / window).abs_diff(to / window);
        let right = (from % window).abs_diff(to % window);
        down * window + right
    })
}

//! EfficientNet-Lite0 (Tan and Le 2019, "lite" variant without squeeze-and-excite, ReLU6): five feature maps.

use super::layers::{ConvShape, Layers};
use crate::inference::ops::{Convolution, Depthwise, Pointwise};
use crate::inference::segmenter::{EncodeControl, InferenceError};
use crate::kernels::Activation;
use candle_core::Tensor;

/// A row of the architecture: blocks of one kind.
pub(super) struct Stage {
    pub(super) repeats: usize,
    pub(super) kernel: usize,
    /// Of the first block; the others have 1.
    pub(super) stride: usize,
    /// Widening inside a block.
    pub(super) expand: usize,
    pub(super) inputs: usize,
    pub(super) out: usize,
}

const fn stage(repeats: usize, kernel: usize, stride: usize, expand: usize, inputs: usize, out: usize) -> Stage {
    Stage { repeats, kernel, stride, expand, inputs, out }
}

pub(super) const STEM_CHANNELS: usize = 32;
pub(super) const STAGES: [Stage; 7] = [
    stage(1, 3, 1, 1, 32, 16),
    stage(2, 3, 2, 6, 16, 24),
    stage(2, 5, 2, 6, 24, 40),
    stage(3, 3, 2, 6, 40, 80),
    stage(3, 5, 1, 6, 80, 112),
    stage(4, 5, 2, 6, 112, 192),
    stage(1, 3, 1, 6, 192, 320),
];
/// The stages whose results the neck takes: strides 2, 4, 8, 16, 32.
pub(super) const TAPS: [usize; 5] = [0, 1, 2, 4, 6];
/// Channels of the maps taken.
pub(super) const TAP_CHANNELS: [usize; 5] = [16, 24, 40, 112, 320];
/// What the backbone reports to [`EncodeControl::step`]: the stem and each block.
pub(super) const STEPS: usize = 17;

/// An inverted residual: widen, filter each channel, narrow; plus the input where shapes allow.
struct Block {
    expand: Option<Pointwise>,
    depthwise: Depthwise,
    project: Pointwise,
    skip: bool,
    /// The tap that this block's result is, if any.
    tap: Option<usize>,
}

impl Block {
    fn forward(&self, x: &Tensor) -> Result<Tensor, InferenceError> {
        let wide = match &self.expand {
            Some(expand) => self.depthwise.forward(&expand.forward(x)?)?,
            None => self.depthwise.forward(x)?,
        };
        Ok(if self.skip { self.project.forward_add(&wide, x)? } else { self.project.forward(&wide)? })
    }
}

/// The backbone with batch norms folded.
pub(super) struct Backbone {
    stem: Convolution,
    blocks: Vec<Block>,
}

impl Backbone {
    pub(super) fn load(layers: &Layers<'_>) -> Result<Self, InferenceError> {
        let device = layers.device();
        let shape = ConvShape { out: STEM_CHANNELS, inputs: 3, kernel: 3 };
        let (weight, bias) = layers.folded("backbone._conv_stem", "backbone._bn0", shape)?;
        let stem = Convolution::new(weight, bias, 3, 2, Activation::Relu6, device)?;
        let mut blocks = Vec::new();
        for (index, stage) in STAGES.iter().enumerate() {
            for repeat in 0..stage.repeats {
                let name = format!("backbone._blocks.{}", blocks.len());
                let (inputs, stride) = if repeat == 0 { (stage.inputs, stage.stride) } else { (stage.out, 1) };
                let wide = inputs * stage.expand;
                let expand = if stage.expand == 1 {
                    None
                } else {
                    let shape = ConvShape { out: wide, inputs, kernel: 1 };
                    let (weight, bias) =
                        layers.folded(&format!("{name}._expand_conv"), &format!("{name}._bn0"), shape)?;
                    Some(Pointwise::new(weight, bias, Activation::Relu6, device)?)
                };
                let shape = ConvShape { out: wide, inputs: 1, kernel: stage.kernel };
                let (weight, bias) =
                    layers.folded(&format!("{name}._depthwise_conv"), &format!("{name}._bn1"), shape)?;
                let depthwise = Depthwise::new(weight, bias, stage.kernel, stride, Activation::Relu6, device)?;
                let shape = ConvShape { out: stage.out, inputs: wide, kernel: 1 };
                let (weight, bias) = layers.folded(&format!("{name}._project_conv"), &format!("{name}._bn2"), shape)?;
                let project = Pointwise::new(weight, bias, Activation::None, device)?;
                let last = repeat + 1 == stage.repeats;
                let tap = TAPS.iter().position(|&tap| tap == index).filter(|_| last);
                blocks.push(Block { expand, depthwise, project, skip: stride == 1 && inputs == stage.out, tap });
            }
        }
        Ok(Self { stem, blocks })
    }

    /// `[3, side, side]` to five maps of strides 2, 4, 8, 16, 32 with [`TAP_CHANNELS`] channels. `steps` is what the
    /// whole encode will report.
    pub(super) fn forward(
        &self,
        image: &Tensor,
        control: &EncodeControl<'_>,
        steps: usize,
    ) -> Result<Vec<Tensor>, InferenceError> {
        let mut x = self.stem.forward(image)?;
        control.step(1.0 / steps as f32)?;
        let mut taps = Vec::with_capacity(TAPS.len());
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x)?;
            if block.tap.is_some() {
                taps.push(x.clone());
            }
            control.step((index + 2) as f32 / steps as f32)?;
        }
        Ok(taps)
    }
}

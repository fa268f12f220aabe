//! The backbone on the kernels: the same layers as `spark/backbone.rs`, on maps `[height, width, channels]`.

use super::super::backbone::{STAGES, STEM_CHANNELS, STEPS, TAPS};
use super::super::layers::{ConvShape, Layers};
use crate::inference::segmenter::{EncodeControl, InferenceError};
use crate::kernels::{
    Activation, Buffer, Convolution, Cpu, Depthwise, InvertedResidual, Linear, Packed, RowsMut, Start,
};

/// A map with its size.
pub(super) struct Map {
    /// `[side, side, channels]`.
    pub(super) values: Buffer,
    /// Pixels a side.
    pub(super) side: usize,
}

/// The backbone with batch norms folded and weights packed.
pub(super) struct Backbone {
    stem: Convolution,
    /// Each block, and whether its result is a tap.
    blocks: Vec<(InvertedResidual, bool)>,
}

impl Backbone {
    pub(super) fn load(layers: &Layers<'_>, cpu: &Cpu) -> Result<Self, InferenceError> {
        let isa = cpu.isa;
        let shape = ConvShape { out: STEM_CHANNELS, inputs: 3, kernel: 3 };
        let (weight, bias) = layers.folded("backbone._conv_stem", "backbone._bn0", shape)?;
        let stem = Convolution::new(isa, &weight, [STEM_CHANNELS, 3, 3], 2, Some(&bias), Activation::Relu6);
        let mut blocks = Vec::new();
        for (index, stage) in STAGES.iter().enumerate() {
            for repeat in 0..stage.repeats {
                let name = format!("backbone._blocks.{}", blocks.len());
                let (inputs, stride) = if repeat == 0 { (stage.inputs, stage.stride) } else { (stage.out, 1) };
                let wide = inputs * stage.expand;
                let pointwise = |conv: &str, norm: &str, inputs, out, activation| -> Result<Linear, InferenceError> {
                    let shape = ConvShape { out, inputs, kernel: 1 };
                    let (weight, bias) = layers.folded(&format!("{name}.{conv}"), &format!("{name}.{norm}"), shape)?;
                    Ok(Linear::new(Packed::from_linear(isa, &weight, out, inputs), Some(&bias), activation))
                };
                let expand = match stage.expand {
                    1 => None,
                    _ => Some(pointwise("_expand_conv", "_bn0", inputs, wide, Activation::Relu6)?),
                };
                let shape = ConvShape { out: wide, inputs: 1, kernel: stage.kernel };
                let (weight, bias) =
                    layers.folded(&format!("{name}._depthwise_conv"), &format!("{name}._bn1"), shape)?;
                let depthwise = Depthwise::new(isa, &weight, [wide, stage.kernel], stride, &bias, Activation::Relu6);
                let project = pointwise("_project_conv", "_bn2", wide, stage.out, Activation::None)?;
                let skip = stride == 1 && inputs == stage.out;
                let is_tap = TAPS.contains(&index) && repeat + 1 == stage.repeats;
                blocks.push((InvertedResidual::new(expand, depthwise, project, skip), is_tap));
            }
        }
        Ok(Self { stem, blocks })
    }

    /// `image` `[side, side, 3]` to five maps of strides 2, 4, 8, 16, 32. `steps` is what the whole encode will report.
    pub(super) fn forward(
        &self,
        cpu: &Cpu,
        image: &[f32],
        side: usize,
        control: &EncodeControl<'_>,
        steps: usize,
    ) -> Result<Vec<Map>, InferenceError> {
        let (half, _) = self.stem.out_size(side, side);
        let mut x = cpu.arena.take(half * half * STEM_CHANNELS);
        self.stem.run(cpu, image, side, side, Start::Zero, RowsMut::dense(&mut x, STEM_CHANNELS));
        let mut side = half;
        control.step(1.0 / steps as f32)?;
        let mut taps = Vec::with_capacity(TAPS.len());
        for (index, (block, is_tap)) in self.blocks.iter().enumerate() {
            let (out_side, _) = block.out_size(side, side);
            let mut out = cpu.arena.take(out_side * out_side * block.outputs());
            block.run(cpu, &x, side, side, &mut out);
            let before = std::mem::replace(&mut x, out);
            // A tap is kept until the neck has seen it; everything else is used again at once.
            if index > 0 && self.blocks[index - 1].1 {
                taps.push(Map { values: before, side });
            }
            side = out_side;
            control.step((index + 2) as f32 / steps as f32)?;
            if *is_tap && index + 1 == self.blocks.len() {
                taps.push(Map { values: std::mem::replace(&mut x, cpu.arena.take(0)), side });
            }
        }
        debug_assert_eq!(self.blocks.len() + 1, STEPS);
        Ok(taps)
    }
}

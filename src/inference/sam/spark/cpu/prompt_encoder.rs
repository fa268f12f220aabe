//! The prompt encoder on the kernels: the same layers as `spark/prompt_encoder.rs`.

use super::super::config::{SparkConfig, WIDTH};
use super::super::layers::{ConvShape, Layers, MAP_NORM_EPS};
use super::super::prompt_points::{DENSE_CHANNELS, PromptPoint, PromptPoints};
use crate::inference::segmenter::InferenceError;
use crate::kernels::patches::Layout;
use crate::kernels::{Activation, Buffer, Cpu, LayerNorm, Linear, Packed, Patches, Rows, RowsMut, Start};

/// Channels on the way down.
const CHANNELS: [usize; 2] = [16, 64];

pub(super) struct PromptEncoder {
    pub(super) points: PromptPoints,
    down: [Patches; 2],
    norms: [LayerNorm; 2],
    /// The last layer, with a mask given and without (then a learned vector is added to its bias).
    last_with_mask: Linear,
    last_without_mask: Linear,
    side: usize,
}

impl PromptEncoder {
    pub(super) fn load(
        layers: &Layers<'_>,
        cpu: &Cpu,
        config: &SparkConfig,
        side: usize,
    ) -> Result<Self, InferenceError> {
        let isa = cpu.isa;
        let patches = |name: &str, out, inputs, layout| -> Result<Patches, InferenceError> {
            let (weight, bias) = layers.conv(name, ConvShape { out, inputs, kernel: 2 })?;
            Ok(Patches::new(isa, &weight, [out, inputs, 2], layout, Some(&bias), Activation::None))
        };
        let norm = |name: &str, channels| layers.packed_norm(cpu, name, channels, MAP_NORM_EPS, Activation::Gelu);
        let (weight, bias) =
            layers.conv("prompt.mask_down.6", ConvShape { out: WIDTH, inputs: CHANNELS[1], kernel: 1 })?;
        let no_mask = layers.values("prompt.no_mask", &[WIDTH])?;
        let more: Vec<f32> = bias.iter().zip(&no_mask).map(|(bias, no_mask)| bias + no_mask).collect();
        let last = |bias: &[f32]| {
            Linear::new(Packed::from_linear(isa, &weight, WIDTH, CHANNELS[1]), Some(bias), Activation::None)
        };
        Ok(Self {
            points: PromptPoints::load(layers, config, side)?,
            down: [
                patches("prompt.mask_down.0", CHANNELS[0], DENSE_CHANNELS, Layout::Planes)?,
                patches("prompt.mask_down.3", CHANNELS[1], CHANNELS[0], Layout::Pixels)?,
            ],
            norms: [norm("prompt.mask_down.1", CHANNELS[0])?, norm("prompt.mask_down.4", CHANNELS[1])?],
            last_with_mask: last(&bias),
            last_without_mask: last(&more),
            side,
        })
    }

    /// The embedding with what the prompt draws added: `[cells, 128]`.
    pub(super) fn image(
        &self,
        cpu: &Cpu,
        embed: &[f32],
        points: &[PromptPoint],
        previous: Option<&[f32]>,
    ) -> Result<Buffer, InferenceError> {
        let [half, quarter, eighth] = [self.side / 2, self.side / 4, self.side / 8];
        let mut drawn = cpu.arena.take(self.points.drawn_len());
        self.points.draw(points, previous, &mut drawn)?;
        let mut fine = cpu.arena.take(quarter * quarter * CHANNELS[0]);
        self.down[0].run(cpu, &drawn, half, half, Start::Zero, RowsMut::dense(&mut fine, CHANNELS[0]));
        self.norms[0].run_in_place(cpu.pool, quarter * quarter, RowsMut::dense(&mut fine, CHANNELS[0]));
        let mut coarse = cpu.arena.take(eighth * eighth * CHANNELS[1]);
        self.down[1].run(cpu, &fine, quarter, quarter, Start::Zero, RowsMut::dense(&mut coarse, CHANNELS[1]));
        self.norms[1].run_in_place(cpu.pool, eighth * eighth, RowsMut::dense(&mut coarse, CHANNELS[1]));
        let last = if previous.is_some() { &self.last_with_mask } else { &self.last_without_mask };
        let mut image = cpu.arena.take(eighth * eighth * WIDTH);
        let (x, start) = (Rows::dense(&coarse, CHANNELS[1]), Start::Other(Rows::dense(embed, WIDTH)));
        last.run(cpu.pool, eighth * eighth, x, start, RowsMut::dense(&mut image, WIDTH));
        Ok(image)
    }
}

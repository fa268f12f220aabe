//! The neck on the kernels: the same layers as `spark/neck.rs`.

use super::super::backbone::TAP_CHANNELS;
use super::super::config::WIDTH;
use super::super::layers::{ConvShape, Layers, MAP_NORM_EPS};
use super::super::neck::{HALF_CHANNELS, QUARTER_CHANNELS};
use super::backbone::Map;
use super::features::Features;
use crate::inference::segmenter::InferenceError;
use crate::kernels::maps::{add_doubled, add_with_mean};
use crate::kernels::{Activation, Cpu, Depthwise, LayerNorm, Linear, Packed, Rows, RowsMut, Start};

pub(super) struct Neck {
    lateral: [Linear; 3],
    context: Depthwise,
    smooth_depthwise: Depthwise,
    smooth_pointwise: Linear,
    norm: LayerNorm,
    quarter: Linear,
    half: Linear,
}

impl Neck {
    pub(super) fn load(layers: &Layers<'_>, cpu: &Cpu) -> Result<Self, InferenceError> {
        let isa = cpu.isa;
        let pointwise = |name: &str, inputs, out| -> Result<Linear, InferenceError> {
            let (weight, bias) = layers.conv(name, ConvShape { out, inputs, kernel: 1 })?;
            Ok(Linear::new(Packed::from_linear(isa, &weight, out, inputs), Some(&bias), Activation::None))
        };
        let depthwise = |name: &str, kernel, activation| -> Result<Depthwise, InferenceError> {
            let (weight, bias) = layers.conv(name, ConvShape { out: WIDTH, inputs: 1, kernel })?;
            Ok(Depthwise::new(isa, &weight, [WIDTH, kernel], 1, &bias, activation))
        };
        let lateral = |index: usize| pointwise(&format!("neck.lateral.{index}"), TAP_CHANNELS[index + 2], WIDTH);
        Ok(Self {
            lateral: [lateral(0)?, lateral(1)?, lateral(2)?],
            context: depthwise("neck.context", 5, Activation::None)?,
            smooth_depthwise: depthwise("neck.smooth_dw", 3, Activation::Gelu)?,
            smooth_pointwise: pointwise("neck.smooth_pw", WIDTH, WIDTH)?,
            norm: layers.packed_norm(cpu, "neck.norm", WIDTH, MAP_NORM_EPS, Activation::None)?,
            quarter: pointwise("neck.hr4", TAP_CHANNELS[1], QUARTER_CHANNELS)?,
            half: pointwise("neck.hr2", TAP_CHANNELS[0], HALF_CHANNELS)?,
        })
    }

    /// `taps`: the backbone's five maps.
    pub(super) fn forward(&self, cpu: &Cpu, taps: &[Map]) -> Features {
        let lateral = |index: usize| {
            let Map { values, side } = &taps[index + 2];
            let mut map = cpu.arena.take(side * side * WIDTH);
            let x = Rows::dense(values, TAP_CHANNELS[index + 2]);
            self.lateral[index].run(cpu.pool, side * side, x, Start::Zero, RowsMut::dense(&mut map, WIDTH));
            map
        };
        let (coarse_side, middle_side, side) = (taps[4].side, taps[3].side, taps[2].side);
        let plain = lateral(2);
        let mut coarse = cpu.arena.take(plain.len());
        self.context.run(cpu, &plain, coarse_side, coarse_side, &mut coarse);
        add_with_mean(&mut coarse, &plain, WIDTH);
        let mut middle = lateral(1);
        add_doubled(cpu, &coarse, coarse_side, coarse_side, WIDTH, &mut middle);
        let mut fine = lateral(0);
        add_doubled(cpu, &middle, middle_side, middle_side, WIDTH, &mut fine);
        let mut filtered = cpu.arena.take(fine.len());
        self.smooth_depthwise.run(cpu, &fine, side, side, &mut filtered);
        let (cells, x) = (side * side, Rows::dense(&filtered, WIDTH));
        self.smooth_pointwise.run(cpu.pool, cells, x, Start::Output, RowsMut::dense(&mut fine, WIDTH));
        let mut features = Features::empty(cpu, side);
        self.norm.run(cpu.pool, cells, Rows::dense(&fine, WIDTH), RowsMut::dense(&mut features.embed, WIDTH));
        let thin = |linear: &Linear, tap: usize, channels: usize| {
            let Map { values, side } = &taps[tap];
            let mut map = cpu.arena.take(side * side * channels);
            let x = Rows::dense(values, TAP_CHANNELS[tap]);
            linear.run(cpu.pool, side * side, x, Start::Zero, RowsMut::dense(&mut map, channels));
            map
        };
        features.set_quarter(cpu, &thin(&self.quarter, 1, QUARTER_CHANNELS));
        features.set_half(cpu, &thin(&self.half, 0, HALF_CHANNELS));
        features
    }
}

//! A ConvNeXt-like block that lets neighbours talk after the transformer, a row of cells at a time.

use super::super::config::WIDTH;
use super::super::layers::{ConvShape, Layers, MAP_NORM_EPS};
use crate::inference::segmenter::InferenceError;
use crate::kernels::{Activation, Cpu, Depthwise, LayerNorm, Linear, Packed, Rows, RowsMut, Start};

/// Cells of a side of the local filters.
const KERNEL: usize = 5;

pub(super) struct LocalBlock {
    depthwise: Depthwise,
    norm: LayerNorm,
    widen: Linear,
    narrow: Linear,
}

impl LocalBlock {
    pub(super) fn load(layers: &Layers<'_>, cpu: &Cpu, index: usize) -> Result<Self, InferenceError> {
        let name = format!("decoder.local.{index}");
        let (weight, bias) = layers.conv(&format!("{name}.dw"), ConvShape { out: WIDTH, inputs: 1, kernel: KERNEL })?;
        let pointwise = |part: &str, inputs, out, activation| -> Result<Linear, InferenceError> {
            let (weight, bias) = layers.conv(&format!("{name}.{part}"), ConvShape { out, inputs, kernel: 1 })?;
            Ok(Linear::new(Packed::from_linear(cpu.isa, &weight, out, inputs), Some(&bias), activation))
        };
        Ok(Self {
            depthwise: Depthwise::new(cpu.isa, &weight, [WIDTH, KERNEL], 1, &bias, Activation::None),
            norm: layers.packed_norm(cpu, &format!("{name}.norm"), WIDTH, MAP_NORM_EPS, Activation::None)?,
            widen: pointwise("pw1", WIDTH, 2 * WIDTH, Activation::Gelu)?,
            narrow: pointwise("pw2", 2 * WIDTH, WIDTH, Activation::None)?,
        })
    }

    /// `map` `[side, side, 128]` to as many cells in `out`.
    pub(super) fn run(&self, cpu: &Cpu, map: &[f32], side: usize, out: &mut [f32]) {
        cpu.pool.run_chunks(out, side * WIDTH, &|row, to| self.row(cpu, map, side, row, to));
    }

    /// Row `row` of the result.
    fn row(&self, cpu: &Cpu, map: &[f32], side: usize, row: usize, out: &mut [f32]) {
        let mut filtered = cpu.arena.take(side * WIDTH);
        self.depthwise.run_row(map, side, row, &mut filtered);
        self.norm.run_in_place(cpu.pool, side, RowsMut::dense(&mut filtered, WIDTH));
        let mut widened = cpu.arena.take(side * 2 * WIDTH);
        let x = Rows::dense(&filtered, WIDTH);
        self.widen.run_here(side, x, Start::Zero, RowsMut::dense(&mut widened, 2 * WIDTH));
        let itself = Start::Other(Rows::dense(&map[row * side * WIDTH..][..side * WIDTH], WIDTH));
        let x = Rows::dense(&widened, 2 * WIDTH);
        self.narrow.run_here(side, x, itself, RowsMut::dense(out, WIDTH));
    }
}

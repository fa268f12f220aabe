//! Widen, filter each channel, narrow (MobileNetV2's inverted residual, TinyViT's MBConv), row by row.
//!
//! The widened map is the largest of all, and each of its rows is needed only while the filter passes over it. So a task
//! keeps as many widened rows as the filter is high, in a ring that stays in the core's own cache; the whole widened map
//! is never stored. Source of the block: Sandler et al. 2018, "MobileNetV2". Invariant: the same sums in the same order
//! as the three layers one after the other.

use super::memory::Shared;
use super::product::{Linear, Rows, RowsMut, Start};
use super::{Cpu, Depthwise};
use std::ops::Range;

/// Values of a widened map that may be stored whole: below this a map stays in the shared cache, and whole products use
/// the weights better.
const STORED_WHOLE: usize = 1 << 20;
/// Tasks a thread, so that a late one costs little. Each repeats `kernel - stride` widened rows of its neighbour.
const TASKS_A_THREAD: usize = 3;

/// The block's layers.
pub struct InvertedResidual {
    expand: Option<Linear>,
    depthwise: Depthwise,
    project: Linear,
    /// Whether the input is added before the last activation.
    skip: bool,
}

impl InvertedResidual {
    /// Layers that fit each other; without `expand` the filter takes the input itself.
    pub fn new(expand: Option<Linear>, depthwise: Depthwise, project: Linear, skip: bool) -> Self {
        if let Some(expand) = &expand {
            assert_eq!(expand.weights().columns(), depthwise.channels());
        }
        assert_eq!(depthwise.channels(), project.weights().depth());
        let block = Self { expand, depthwise, project, skip };
        assert!(!skip || (block.inputs() == block.outputs() && block.depthwise.stride() == 1));
        block
    }

    fn inputs(&self) -> usize {
        self.expand.as_ref().map_or(self.depthwise.channels(), |expand| expand.weights().depth())
    }

    /// Channels of the result.
    pub fn outputs(&self) -> usize {
        self.project.weights().columns()
    }

    /// Height and width of the result.
    pub fn out_size(&self, height: usize, width: usize) -> (usize, usize) {
        self.depthwise.out_size(height, width)
    }

    /// `map` `[height, width, inputs]` to `out` `[out height, out width, outputs]`.
    pub fn run(&self, cpu: &Cpu, map: &[f32], height: usize, width: usize, out: &mut [f32]) {
        let (out_height, out_width) = self.out_size(height, width);
        assert_eq!(map.len(), height * width * self.inputs());
        assert_eq!(out.len(), out_height * out_width * self.outputs());
        if map.is_empty() {
            return;
        }
        if height * width * self.depthwise.channels() <= STORED_WHOLE {
            self.run_stored(cpu, map, height, width, out);
        } else {
            self.run_by_rows(cpu, map, [height, width], out);
        }
    }

    /// Layer after layer.
    fn run_stored(&self, cpu: &Cpu, map: &[f32], height: usize, width: usize, out: &mut [f32]) {
        let (inputs, middle, outputs) = (self.inputs(), self.depthwise.channels(), self.outputs());
        let (out_height, out_width) = self.out_size(height, width);
        let mut filtered = cpu.arena.take(out_height * out_width * middle);
        match &self.expand {
            Some(expand) => {
                let mut wide = cpu.arena.take(height * width * middle);
                let rows = RowsMut::dense(&mut wide, middle);
                expand.run(cpu.pool, height * width, Rows::dense(map, inputs), Start::Zero, rows);
                self.depthwise.run(cpu, &wide, height, width, &mut filtered);
            }
            None => self.depthwise.run(cpu, map, height, width, &mut filtered),
        }
        let start = if self.skip { Start::Other(Rows::dense(map, inputs)) } else { Start::Zero };
        let (x, rows) = (Rows::dense(&filtered, middle), RowsMut::dense(out, outputs));
        self.project.run(cpu.pool, out_height * out_width, x, start, rows);
    }

    /// All layers for one row after the other.
    fn run_by_rows(&self, cpu: &Cpu, map: &[f32], size: [usize; 2], out: &mut [f32]) {
        let (out_height, out_width) = self.out_size(size[0], size[1]);
        let each = out_height.div_ceil(cpu.pool.threads() * TASKS_A_THREAD).max(self.depthwise.kernel());
        let line = out_width * self.outputs();
        let out = Shared::new(out);
        cpu.pool.run(out_height.div_ceil(each), &|task| {
            let band = task * each..((task + 1) * each).min(out_height);
            // SAFETY: each task writes its own rows.
            let part = unsafe { out.part(band.start * line, band.len() * line) };
            self.run_band(cpu, map, size, band, part);
        });
    }

    fn run_band(&self, cpu: &Cpu, map: &[f32], [height, width]: [usize; 2], band: Range<usize>, out: &mut [f32]) {
        let (inputs, middle, outputs) = (self.inputs(), self.depthwise.channels(), self.outputs());
        let (kernel, stride) = (self.depthwise.kernel(), self.depthwise.stride());
        let rim = kernel / 2;
        let wide = (width + 2 * rim) * middle;
        let out_width = width.div_ceil(stride);
        let mut ring = cpu.arena.take(kernel * wide);
        let mut zeros = cpu.arena.take(wide);
        let mut filtered = cpu.arena.take(out_width * middle);
        // The rims at both ends of each row stay zero; only what is between them is written.
        ring.fill(0.0);
        zeros.fill(0.0);
        // Counted with the rim: widened row `n` belongs to row `n - rim` of the map.
        let mut next = band.start * stride;
        for (index, row) in band.enumerate() {
            let top = row * stride;
            while next < top + kernel {
                if (rim..rim + height).contains(&next) {
                    let from = &map[(next - rim) * width * inputs..][..width * inputs];
                    let to = &mut ring[next % kernel * wide + rim * middle..][..width * middle];
                    match &self.expand {
                        Some(expand) => {
                            let rows = RowsMut::dense(to, middle);
                            expand.run_here(width, Rows::dense(from, inputs), Start::Zero, rows);
                        }
                        None => to.copy_from_slice(from),
                    }
                }
                next += 1;
            }
            let mut rows = [&zeros[..]; 7];
            for (y, from) in rows.iter_mut().enumerate().take(kernel) {
                if (rim..rim + height).contains(&(top + y)) {
                    *from = &ring[(top + y) % kernel * wide..][..wide];
                }
            }
            self.depthwise.run_row(&rows[..kernel], &mut filtered);
            let start = if self.skip {
                Start::Other(Rows::dense(&map[row * width * inputs..][..width * inputs], inputs))
            } else {
                Start::Zero
            };
            let to = &mut out[index * out_width * outputs..][..out_width * outputs];
            let (x, to) = (Rows::dense(&filtered, middle), RowsMut::dense(to, outputs));
            self.project.run_here(out_width, x, start, to);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::super::{Activation, Isa, Packed};
    use super::*;

    #[test]
    fn by_rows_equals_layer_after_layer_and_both_equal_the_layers() {
        for isa in Isa::all() {
            let cpu = Cpu { isa, ..Cpu::new() };
            for (height, width, inputs, middle, outputs, kernel, stride) in
                [(9, 7, 5, 20, 5, 3, 1), (8, 6, 4, 17, 9, 5, 2), (1, 3, 6, 6, 6, 5, 1), (30, 4, 3, 8, 3, 3, 2)]
            {
                let layer = |from: usize, to: usize, seed: u32, activation: Activation| {
                    let packed = Packed::from_linear(isa, &noise(from * to, seed), to, from);
                    Linear::new(packed, Some(&noise(to, seed + 1)), activation)
                };
                let depthwise = |seed: u32| {
                    let weight = noise(middle * kernel * kernel, seed);
                    let shape = [middle, kernel];
                    Depthwise::new(isa, &weight, shape, stride, &noise(middle, 6), Activation::Relu6)
                };
                let map = noise(height * width * inputs, 7);
                for (expands, skip) in
                    [(true, false), (true, inputs == outputs && stride == 1), (inputs == middle, false)]
                {
                    let expand = expands.then(|| layer(inputs, middle, 1, Activation::Relu6));
                    if !expands && inputs != middle {
                        continue;
                    }
                    let project = layer(middle, outputs, 3, Activation::Gelu);
                    let block = InvertedResidual::new(expand, depthwise(5), project, skip);
                    let (out_height, out_width) = block.out_size(height, width);
                    let mut by_rows = vec![0.0; out_height * out_width * outputs];
                    let mut stored = by_rows.clone();
                    block.run_by_rows(&cpu, &map, [height, width], &mut by_rows);
                    block.run_stored(&cpu, &map, height, width, &mut stored);
                    assert_close(isa.word(), &by_rows, &stored, 1e-6);
                    let mut chosen = stored.clone();
                    block.run(&cpu, &map, height, width, &mut chosen);
                    assert_close(isa.word(), &chosen, &stored, 1e-6);
                }
            }
        }
    }
}

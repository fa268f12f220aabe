//! Widen, filter each channel, narrow (MobileNetV2's inverted residual, TinyViT's MBConv), row by row.
//!
//! The widened map is the largest of all, and each of its rows is needed only while the filter passes over it. So a task
//! makes a strip of a band of the result and keeps as many widened rows as the filter is high, in a ring that stays in
//! the core's own cache; the whole widened map is never stored. Source of the block: Sandler et al. 2018, "MobileNetV2".
//! Invariant: the same sums in the same order as the three layers one after the other; only what lies at the rims of
//! bands and strips is widened twice.

use super::Cpu;
use super::depthwise::{Depthwise, Line, MAX_KERNEL};
use super::memory::{Shared, volume};
use super::product::{Linear, Rows, RowsMut, Start};

/// Bytes of widened rows that a task keeps: a part of the second cache, which also holds the weights.
const RING_BYTES: usize = 384 << 10;
/// Fewer columns are not worth a strip of their own.
const MIN_STRIP: usize = 16;
/// Fewer rows are not worth a band of their own.
const MIN_BAND: usize = 4;
/// Tasks a thread, so that a late one costs little. Each repeats `kernel - stride` widened rows of its neighbour.
const TASKS_A_THREAD: usize = 4;

/// Values of a widened map that is stored whole: it stays in the shared cache, and whole products read the weights, which
/// are the larger part where maps are small, less often.
const STORED_WHOLE: usize = 1 << 20;

/// The block's layers.
pub struct InvertedResidual {
    expand: Option<Linear>,
    depthwise: Depthwise,
    project: Linear,
    /// Whether the input is added before the last activation.
    skip: bool,
}

/// How the result is cut into tasks.
struct Cut {
    strip: usize,
    strips: usize,
    band: usize,
    bands: usize,
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
        let (inputs, middle, outputs) = (self.inputs(), self.depthwise.channels(), self.outputs());
        let (kernel, stride) = (self.depthwise.kernel(), self.depthwise.stride());
        let rim = kernel / 2;
        let (out_height, out_width) = self.out_size(height, width);
        assert_eq!(map.len(), volume([height, width, inputs]));
        assert_eq!(out.len(), volume([out_height, out_width, outputs]));
        if out.is_empty() {
            return;
        }
        if height * width * middle <= STORED_WHOLE {
            return self.run_stored(cpu, map, [height, width], out);
        }
        let cut = self.cut(cpu.pool.threads(), out_height, out_width);
        let out = Shared::new(out);
        cpu.pool.run(cut.strips * cut.bands, &|task| {
            let (top, left) = (task / cut.strips * cut.band, task % cut.strips * cut.strip);
            let count = cut.strip.min(out_width - left);
            // Columns of the map under the strip.
            let begin = (left * stride).saturating_sub(rim);
            let wide = ((left + count - 1) * stride + kernel - rim).min(width) - begin;
            let first = (left * stride) as isize - rim as isize - begin as isize;
            let line = wide * middle;
            let mut ring = cpu.arena.take(if self.expand.is_some() { kernel * line } else { 0 });
            let ring = Shared::new(&mut ring);
            let mut filtered = cpu.arena.take(count * middle);
            let mut next = 0;
            for row in top..(top + cut.band).min(out_height) {
                let under = (row * stride).saturating_sub(rim)..(row * stride + kernel - rim).min(height);
                let mut rows = [std::ptr::null(); MAX_KERNEL];
                for y in under.clone() {
                    let from = &map[(y * width + begin) * inputs..][..wide * inputs];
                    let widened = match &self.expand {
                        Some(expand) => {
                            // Row `y` of the widened map has slot `y % kernel`.
                            let slot = y % kernel * line;
                            if y >= next {
                                // SAFETY: the ring is this task's own; rows in other slots are not borrowed with it.
                                let to = RowsMut::dense(unsafe { ring.part(slot, line) }, middle);
                                expand.run_here(wide, Rows::dense(from, inputs), Start::Zero, to);
                            }
                            ring.at(slot).cast_const()
                        }
                        None => from.as_ptr(),
                    };
                    rows[y + rim - row * stride] = widened;
                }
                next = under.end;
                let under = Line { rows, wide, first, to: filtered.as_mut_ptr(), count };
                // SAFETY: the rows hold `wide` pixels, and `filtered`, this task's own, holds `count`.
                unsafe { self.depthwise.run_line(under) };
                let at = row * out_width + left;
                // SAFETY: tasks make different pixels.
                let part = unsafe { out.part(at * outputs, count * outputs) };
                let start = if self.skip {
                    Start::Other(Rows::dense(&map[at * inputs..][..count * inputs], inputs))
                } else {
                    Start::Zero
                };
                self.project.run_here(count, Rows::dense(&filtered, middle), start, RowsMut::dense(part, outputs));
            }
        });
    }

    /// Layer after layer.
    fn run_stored(&self, cpu: &Cpu, map: &[f32], [height, width]: [usize; 2], out: &mut [f32]) {
        let (inputs, middle, outputs) = (self.inputs(), self.depthwise.channels(), self.outputs());
        let pixels = out.len() / outputs;
        let mut filtered = cpu.arena.take(pixels * middle);
        match &self.expand {
            Some(expand) => {
                let mut wide = cpu.arena.take(height * width * middle);
                let (x, to) = (Rows::dense(map, inputs), RowsMut::dense(&mut wide, middle));
                expand.run(cpu.pool, height * width, x, Start::Zero, to);
                self.depthwise.run(cpu, &wide, height, width, &mut filtered);
            }
            None => self.depthwise.run(cpu, map, height, width, &mut filtered),
        }
        let start = if self.skip { Start::Other(Rows::dense(map, inputs)) } else { Start::Zero };
        let (x, to) = (Rows::dense(&filtered, middle), RowsMut::dense(out, outputs));
        self.project.run(cpu.pool, pixels, x, start, to);
    }

    fn cut(&self, threads: usize, out_height: usize, out_width: usize) -> Cut {
        let (kernel, stride) = (self.depthwise.kernel(), self.depthwise.stride());
        let column_bytes = kernel * stride * self.depthwise.channels() * size_of::<f32>();
        let widest = (RING_BYTES / column_bytes).max(MIN_STRIP);
        let strip = out_width.div_ceil(out_width.div_ceil(widest));
        let strips = out_width.div_ceil(strip);
        let wanted = (threads * TASKS_A_THREAD).div_ceil(strips);
        let band = out_height.div_ceil(wanted).max(MIN_BAND).min(out_height);
        Cut { strip, strips, band, bands: out_height.div_ceil(band) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::noise;
    use super::super::{Activation, Isa, Packed};
    use super::*;

    #[test]
    fn equals_its_layers_on_every_machine() {
        for isa in Isa::all() {
            let cpu = Cpu { isa, ..Cpu::new() };
            for (height, width, inputs, middle, outputs, kernel, stride) in [
                (9, 7, 5, 20, 5, 3, 1),
                (8, 6, 4, 17, 9, 5, 2),
                (1, 3, 6, 6, 6, 5, 1),
                (30, 4, 3, 8, 3, 3, 2),
                (19, 21, 8, 32, 8, 3, 1),
                (18, 23, 5, 40, 7, 3, 2),
                (20, 40, 16, 1500, 16, 3, 1),
            ] {
                let layer = |from: usize, to: usize, seed: u32, activation: Activation| {
                    let packed = Packed::from_linear(isa, &noise(from * to, seed), to, from);
                    Linear::new(packed, Some(&noise(to, seed + 1)), activation)
                };
                let weight = noise(middle * kernel * kernel, 5);
                let depthwise =
                    || Depthwise::new(isa, &weight, [middle, kernel], stride, &noise(middle, 6), Activation::Relu6);
                let map = noise(height * width * inputs, 7);
                for (expands, skip) in
                    [(true, false), (true, inputs == outputs && stride == 1), (inputs != middle, false)]
                {
                    let expand = expands.then(|| layer(inputs, middle, 1, Activation::Relu6));
                    let block =
                        InvertedResidual::new(expand, depthwise(), layer(middle, outputs, 3, Activation::Gelu), skip);
                    let (out_height, out_width) = block.out_size(height, width);
                    let pixels = out_height * out_width;
                    let mut out = vec![0.0; pixels * outputs];
                    block.run(&cpu, &map, height, width, &mut out);

                    let mut wide = vec![0.0; height * width * middle];
                    match &block.expand {
                        Some(expand) => {
                            let (x, to) = (Rows::dense(&map, inputs), RowsMut::dense(&mut wide, middle));
                            expand.run_here(height * width, x, Start::Zero, to);
                        }
                        None => wide.copy_from_slice(&map),
                    }
                    let mut filtered = vec![0.0; pixels * middle];
                    block.depthwise.run(&cpu, &wide, height, width, &mut filtered);
                    let start = if skip { Start::Other(Rows::dense(&map, inputs)) } else { Start::Zero };
                    let mut want = vec![0.0; pixels * outputs];
                    let (x, to) = (Rows::dense(&filtered, middle), RowsMut::dense(&mut want, outputs));
                    block.project.run_here(pixels, x, start, to);
                    assert_eq!(out, want, "{height} x {width} on {}", isa.word());
                }
            }
        }
    }
}

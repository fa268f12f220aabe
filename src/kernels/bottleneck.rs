//! Widen, convolve each channel by itself, narrow: the block that mobile networks are made of, without its wide maps.
//!
//! The widened map is several times larger than the block's input, so writing and reading it would cost more time than
//! the arithmetic. A task makes a strip of a band of the result row by row and keeps only those widened rows that lie
//! under the kernel, in the second cache. Invariant: the result equals the three layers one after the other, bit for
//! bit; only rows at the rim of bands and columns at the rim of strips are widened twice.

use super::depthwise::{Depthwise, Line, MAX_KERNEL};
use super::memory::Shared;
use super::product::{Linear, Rows, RowsMut, Start};
use super::{Cpu, Pool};

/// Bytes of widened rows that a task keeps: a part of the second cache, which also holds the weights.
const RING_BYTES: usize = 256 << 10;
/// Fewer columns are not worth a strip of their own.
const MIN_STRIP: usize = 16;
/// Fewer rows are not worth a band of their own.
const MIN_BAND: usize = 8;
/// Tasks for each thread, so that a late one costs little.
const TASKS_A_THREAD: usize = 6;

/// The block's three layers, each with its activation.
pub struct Bottleneck {
    widen: Linear,
    depthwise: Depthwise,
    narrow: Linear,
}

/// How the result is cut into tasks.
struct Cut {
    strip: usize,
    strips: usize,
    band: usize,
    bands: usize,
}

impl Bottleneck {
    /// `widen` and `narrow` are 1x1 convolutions.
    pub fn new(widen: Linear, depthwise: Depthwise, narrow: Linear) -> Self {
        let hidden = depthwise.channels();
        assert_eq!((widen.weights().columns(), narrow.weights().depth()), (hidden, hidden));
        Self { widen, depthwise, narrow }
    }

    /// Height and width of the result.
    pub fn out_size(&self, height: usize, width: usize) -> (usize, usize) {
        self.depthwise.out_size(height, width)
    }

    /// Channels of the result.
    pub fn outputs(&self) -> usize {
        self.narrow.weights().columns()
    }

    /// `map` `[height, width, inputs]` to `out` `[out height, out width, outputs]`; `start` is added before the last
    /// activation, as the map itself is where the block has a shortcut.
    pub fn run(&self, cpu: &Cpu, map: &[f32], height: usize, width: usize, start: Start<'_>, out: &mut [f32]) {
        let (inputs, hidden, outputs) = (self.widen.weights().depth(), self.depthwise.channels(), self.outputs());
        let (kernel, stride) = self.depthwise.kernel_and_stride();
        let rim = kernel / 2;
        let (out_height, out_width) = self.out_size(height, width);
        assert_eq!(map.len(), height * width * inputs);
        assert_eq!(out.len(), out_height * out_width * outputs);
        if out.is_empty() {
            return;
        }
        let cut = self.cut(cpu.pool.threads(), out_height, out_width);
        let out = Shared::new(out);
        cpu.pool.run(cut.strips * cut.bands, &|task| {
            let (top, start_column) = (task / cut.strips * cut.band, task % cut.strips * cut.strip);
            let bottom = (top + cut.band).min(out_height);
            let count = cut.strip.min(out_width - start_column);
            // Columns of the map under the strip.
            let left = (start_column * stride).saturating_sub(rim);
            let right = ((start_column + count - 1) * stride + kernel - rim).min(width);
            let wide = right - left;
            let line = wide * hidden;
            let first = (start_column * stride) as isize - rim as isize - left as isize;
            // Row `y` of the widened map lies in slot `y % kernel`.
            let mut ring = cpu.arena.take(kernel * line);
            let mut deep = cpu.arena.take(count * hidden);
            let mut next = 0;
            for row in top..bottom {
                let begin = (row * stride).saturating_sub(rim);
                let end = (row * stride + kernel - rim).min(height);
                for y in begin.max(next)..end {
                    let x = Rows::dense(&map[(y * width + left) * inputs..][..wide * inputs], inputs);
                    let slot = RowsMut::dense(&mut ring[y % kernel * line..][..line], hidden);
                    self.widen.run(Pool::alone(), wide, x, Start::Zero, slot);
                }
                next = end;
                let mut rows = [std::ptr::null(); MAX_KERNEL];
                for y in begin..end {
                    rows[y + rim - row * stride] = ring[y % kernel * line..][..line].as_ptr();
                }
                let under = Line { rows, wide, first, to: deep.as_mut_ptr(), count };
                // SAFETY: the rows hold `wide` pixels, and `deep`, this task's own, holds `count`.
                unsafe { self.depthwise.run_line(under) };
                let at = row * out_width + start_column;
                // SAFETY: tasks make different pixels.
                let part = unsafe { out.part(at * outputs, count * outputs) };
                let start = match start {
                    Start::Other(rows) => Start::Other(rows.from_row(at)),
                    same => same,
                };
                let deep = Rows::dense(&deep, hidden);
                self.narrow.run(Pool::alone(), count, deep, start, RowsMut::dense(part, outputs));
            }
        });
    }

    fn cut(&self, threads: usize, out_height: usize, out_width: usize) -> Cut {
        let (kernel, stride) = self.depthwise.kernel_and_stride();
        let column_bytes = kernel * stride * self.depthwise.channels() * size_of::<f32>();
        let widest = (RING_BYTES / column_bytes).max(MIN_STRIP);
        let strip = out_width.div_ceil(out_width.div_ceil(widest));
        let strips = out_width.div_ceil(strip);
        // The machine's threads do not change the values, only which rows are widened twice.
        let wanted = (threads * TASKS_A_THREAD).div_ceil(strips);
        let band = out_height.div_ceil(wanted).max(MIN_BAND).min(out_height);
        Cut { strip, strips, band, bands: out_height.div_ceil(band) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::math::Activation;
    use super::super::packed::Packed;
    use super::super::testing::noise;
    use super::super::{Isa, Pool};
    use super::*;

    #[test]
    fn equals_its_three_layers_on_every_machine() {
        for isa in Isa::all() {
            let cpu = Cpu { isa, ..Cpu::new() };
            for (height, width, inputs, hidden, outputs, kernel, stride) in [
                (19, 21, 8, 32, 8, 3, 1),
                (18, 23, 5, 40, 7, 3, 2),
                (9, 40, 4, 24, 4, 5, 1),
                (10, 9, 3, 17, 6, 5, 2),
                (20, 40, 16, 1500, 16, 3, 1),
                (1, 1, 2, 3, 2, 3, 1),
            ] {
                let linear = |seed, outputs: usize, inputs: usize, activation| {
                    let weight: Vec<f32> =
                        noise(outputs * inputs, seed).iter().map(|w| w / (inputs as f32).sqrt()).collect();
                    let packed = Packed::from_linear(isa, &weight, outputs, inputs);
                    Linear::new(packed, Some(&noise(outputs, seed + 1)), activation)
                };
                let block = Bottleneck::new(
                    linear(1, hidden, inputs, Activation::Gelu),
                    Depthwise::new(
                        isa,
                        &noise(hidden * kernel * kernel, 3),
                        [hidden, kernel],
                        stride,
                        &noise(hidden, 4),
                        Activation::Relu6,
                    ),
                    linear(5, outputs, hidden, Activation::Gelu),
                );
                let map = noise(height * width * inputs, 7);
                let (out_height, out_width) = block.out_size(height, width);
                let pixels = out_height * out_width;
                let other = noise(pixels * outputs, 8);
                let start = Start::Other(Rows::dense(&other, outputs));
                let mut out = vec![0.0; pixels * outputs];
                block.run(&cpu, &map, height, width, start, &mut out);

                let mut wide = vec![0.0; height * width * hidden];
                let mut deep = vec![0.0; pixels * hidden];
                let mut want = vec![0.0; pixels * outputs];
                let (x, to) = (Rows::dense(&map, inputs), RowsMut::dense(&mut wide, hidden));
                block.widen.run(Pool::alone(), height * width, x, Start::Zero, to);
                block.depthwise.run(&cpu, &wide, height, width, &mut deep);
                let (x, to) = (Rows::dense(&deep, hidden), RowsMut::dense(&mut want, outputs));
                block.narrow.run(Pool::alone(), pixels, x, start, to);
                assert_eq!(out, want, "{height} x {width} on {}", isa.word());
            }
        }
    }
}

//! SAM's enlargement fused with its masks: each cell becomes 4 x 4 pixels, and only the wanted masks' logits are stored.
//! Finer maps may be added on the way, as SAM 2 does.
//!
//! Source: segment_anything/modeling/mask_decoder.py, `output_upscaling` and the product with the masks' weights. A
//! transposed 2x2 convolution of stride 2 is a product that turns a row into four. Invariant: the enlarged map exists
//! only for the few cells at hand, in a cache.

use super::isa::{Isa, Kernel};
use super::memory::{Aligned, Shared, volume};
use super::norm::LayerNorm;
use super::packed::Packed;
use super::product::{Linear, Rows, RowsMut, Start};
use super::simd::{MAX_LANES, Simd};
use super::{Activation, Cpu};

/// Cells that are enlarged together: whole tiles of any height.
const CELLS: usize = 24;
/// Pixels that a row of the first enlargement becomes.
const QUARTERS: usize = 4;

/// The enlargement's weights.
pub struct Enlarge {
    isa: Isa,
    first: Linear,
    norm: LayerNorm,
    /// Columns are ordered by channel, then quarter, so that a vector times the masks' weights sums quarters apart.
    second: Linear,
    /// Channels of a row after the first and the second enlargement.
    channels: [usize; 2],
}

impl Enlarge {
    /// From PyTorch's transposed convolutions: weights `[inputs, outputs, 2, 2]` and biases `[outputs]`. `norm` follows
    /// the first with its activation, GELU the second.
    pub fn new(
        isa: Isa,
        [inputs, large, larger]: [usize; 3],
        first: (&[f32], &[f32]),
        norm: LayerNorm,
        second: (&[f32], &[f32]),
    ) -> Self {
        assert_eq!((first.0.len(), first.1.len()), (inputs * large * QUARTERS, large));
        assert_eq!((second.0.len(), second.1.len()), (large * larger * QUARTERS, larger));
        assert_eq!(norm.channels(), large);
        assert!((larger * QUARTERS).is_multiple_of(isa.shape().lanes), "{larger} channels");
        let packed = Packed::new(isa, inputs, QUARTERS * large, |input, column| {
            first.0[(input * large + column % large) * QUARTERS + column / large]
        });
        let bias: Vec<f32> = (0..QUARTERS * large).map(|column| first.1[column % large]).collect();
        let first = Linear::new(packed, Some(&bias), Activation::None);
        // [inputs, outputs * 4] is the order that is wanted.
        let packed =
            Packed::new(isa, large, QUARTERS * larger, |input, column| second.0[input * larger * QUARTERS + column]);
        let bias: Vec<f32> = (0..QUARTERS * larger).map(|column| second.1[column / QUARTERS]).collect();
        let second = Linear::new(packed, Some(&bias), Activation::Gelu);
        Self { isa, first, norm, second, channels: [large, larger] }
    }

    /// Logits of masks: `rows` are those of `cells` cells of a map `width` wide; `weights` `[masks, channels]`; `out`
    /// `[masks, 4 * height, 4 * width]`.
    ///
    /// `skips` are added to the enlargements before norm and activation: `[cells, quarters, channels]`, and `[cells,
    /// quarters, channels, quarters]`.
    pub fn masks(
        &self,
        cpu: &Cpu,
        [cells, width]: [usize; 2],
        rows: Rows<'_>,
        skips: Option<[&[f32]; 2]>,
        weights: &[f32],
        out: &mut [f32],
    ) {
        let [large, larger] = self.channels;
        let count = weights.len() / larger;
        rows.check(cells, self.first.weights().depth());
        assert!(cells.is_multiple_of(width) && weights.len() == count * larger);
        assert_eq!(out.len(), volume([count, cells, QUARTERS * QUARTERS]));
        let mut repeated = Aligned::zeros(weights.len() * QUARTERS);
        for (four, weight) in repeated.chunks_exact_mut(QUARTERS).zip(weights) {
            four.fill(*weight);
        }
        let (masks, out) = (Rows::dense(&repeated, larger * QUARTERS), Shared::new(out));
        cpu.pool.run(cells.div_ceil(CELLS), &|task| {
            let first = task * CELLS;
            let some = CELLS.min(cells - first);
            let quarters = some * QUARTERS;
            let start = |index: usize, width: usize| match skips {
                Some(skips) => {
                    Start::Other(Rows::dense(&skips[index][first * QUARTERS.pow(index as u32) * width..], width))
                }
                None => Start::Zero,
            };
            let mut once = cpu.arena.take(quarters * large);
            let mut twice = cpu.arena.take(quarters * QUARTERS * larger);
            self.first.run(
                cpu.pool,
                some,
                rows.from_row(first),
                start(0, QUARTERS * large),
                RowsMut::dense(&mut once, QUARTERS * large),
            );
            self.norm.run_in_place(cpu.pool, quarters, RowsMut::dense(&mut once, large));
            let wide = RowsMut::dense(&mut twice, QUARTERS * larger);
            self.second.run(cpu.pool, quarters, Rows::dense(&once, large), start(1, QUARTERS * larger), wide);
            let enlarged = Rows::dense(&twice, QUARTERS * larger);
            let weigh = Weigh { enlarged, first, quarters, masks, count, width, pixels: cells * 16, out };
            // SAFETY: rows are whole vectors; each task has its own cells and so its own pixels.
            unsafe { self.isa.run(weigh) };
        });
    }
}

/// Products of some cells' quarters with the masks' weights.
struct Weigh<'a> {
    /// `[quarters, channels, 4]`.
    enlarged: Rows<'a>,
    /// The cell whose quarters come first.
    first: usize,
    quarters: usize,
    /// `[count, channels, 4]`.
    masks: Rows<'a>,
    count: usize,
    /// Cells of a row of the map.
    width: usize,
    /// Of a mask.
    pixels: usize,
    out: Shared<'a>,
}

impl Kernel for Weigh<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let wide = self.enlarged.stride;
        for quarter in (0..self.quarters).step_by(2) {
            let cell = self.first + quarter / QUARTERS;
            let (x, y) = (4 * (cell % self.width), 4 * (cell / self.width) + quarter % QUARTERS);
            for mask in 0..self.count {
                // SAFETY: two quarters of a cell lie side by side; their pixels are in the mask.
                unsafe {
                    let from = self.enlarged.values.as_ptr().add(quarter * wide);
                    let weights = self.masks.values.as_ptr().add(mask * wide);
                    let left = sum::<S>(from, weights, wide);
                    let right = sum::<S>(from.add(wide), weights, wide);
                    let to = self.out.at(mask * self.pixels + y * 4 * self.width + x);
                    to.cast::<[f32; 4]>().write_unaligned([left[0], left[1], right[0], right[1]]);
                    let below = to.add(4 * self.width);
                    below.cast::<[f32; 4]>().write_unaligned([left[2], left[3], right[2], right[3]]);
                }
            }
        }
    }
}

/// Sums of `x * w` by place in their group of four.
///
/// # Safety
/// Both reach `count` values, whole vectors.
#[inline(always)]
unsafe fn sum<S: Simd>(x: *const f32, w: *const f32, count: usize) -> [f32; 4] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut sum = S::splat(0.0);
        let mut at = 0;
        while at < count {
            sum = S::mul_add(S::load(x.add(at)), S::load(w.add(at)), sum);
            at += S::LANES;
        }
        if S::LANES > 4 {
            sum = S::add(sum, S::swap_lanes::<4>(sum));
        }
        if S::LANES > 8 {
            sum = S::add(sum, S::swap_lanes::<8>(sum));
        }
        let mut lanes = [0.0; MAX_LANES];
        S::store(lanes.as_mut_ptr(), sum);
        [lanes[0], lanes[1], lanes[2], lanes[3]]
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::*;

    /// A transposed 2x2 convolution of stride 2 by its definition, on planes `[channels][y][x]`.
    fn transposed(map: &[f64], [inputs, outputs]: [usize; 2], width: usize, weight: &[f32], bias: &[f32]) -> Vec<f64> {
        let height = map.len() / inputs / width;
        let mut out = Vec::new();
        for (o, y, x) in
            (0..outputs).flat_map(|o| (0..2 * height).flat_map(move |y| (0..2 * width).map(move |x| (o, y, x))))
        {
            let at = |i: usize| map[(i * height + y / 2) * width + x / 2];
            let w = |i: usize| f64::from(weight[((i * outputs + o) * 2 + y % 2) * 2 + x % 2]);
            out.push(f64::from(bias[o]) + (0..inputs).map(|i| at(i) * w(i)).sum::<f64>());
        }
        out
    }

    #[test]
    fn equals_the_definition_on_every_machine() {
        for isa in Isa::all() {
            let cpu = Cpu { isa, ..Cpu::new() };
            let ([inputs, large, larger], width, height, count) = ([20, 12, 8], 5, 7, 3);
            let cells = width * height;
            let rows = noise(cells * inputs, 1);
            let (w1, b1) = (noise(inputs * large * 4, 2), noise(large, 3));
            let (w2, b2) = (noise(large * larger * 4, 4), noise(larger, 5));
            let (gamma, beta, masks) = (noise(large, 6), noise(large, 7), noise(count * larger, 8));
            let norm = || LayerNorm::new(isa, &gamma, &beta, 1e-6, Activation::Relu);
            let enlarge = Enlarge::new(isa, [inputs, large, larger], (&w1, &b1), norm(), (&w2, &b2));
            let skips = [noise(cells * 4 * large, 9), noise(cells * 16 * larger, 10)];
            for skips in [None, Some(skips.each_ref().map(Vec::as_slice))] {
                let mut got = vec![0.0; count * cells * 16];
                enlarge.masks(&cpu, [cells, width], Rows::dense(&rows, inputs), skips, &masks, &mut got);

                let planes: Vec<f64> =
                    (0..inputs * cells).map(|i| f64::from(rows[i % cells * inputs + i / cells])).collect();
                let once = transposed(&planes, [inputs, large], width, &w1, &b1);
                let pixels = 4 * cells;
                // The place of a pixel of the first enlargement, cell by cell.
                let nested = |y: usize, x: usize| ((y / 2) * width + x / 2) * 4 + y % 2 * 2 + x % 2;
                let skip1 = |pixel: usize, channel: usize| {
                    let place = nested(pixel / (2 * width), pixel % (2 * width));
                    skips.map_or(0.0, |skips| skips[0][place * large + channel])
                };
                let mut normed: Vec<f32> = (0..pixels * large)
                    .map(|i| once[i % large * pixels + i / large] as f32 + skip1(i / large, i % large))
                    .collect();
                norm().run_in_place(cpu.pool, pixels, RowsMut::dense(&mut normed, large));
                let planes: Vec<f64> =
                    (0..large * pixels).map(|i| f64::from(normed[i % pixels * large + i / pixels])).collect();
                let twice = transposed(&planes, [large, larger], 2 * width, &w2, &b2);
                let pixels = 16 * cells;
                let skip2 = |channel: usize, pixel: usize| {
                    let (y, x) = (pixel / (4 * width), pixel % (4 * width));
                    let place = (nested(y / 2, x / 2) * larger + channel) * 4 + y % 2 * 2 + x % 2;
                    skips.map_or(0.0, |skips| skips[1][place])
                };
                // GELU by the kernel that has its own test.
                let one = Linear::new(Packed::new(isa, 1, 1, |_, _| 1.0), None, Activation::Gelu);
                let x: Vec<f32> =
                    twice.iter().enumerate().map(|(i, &v)| v as f32 + skip2(i / pixels, i % pixels)).collect();
                let mut gelu = vec![0.0; x.len()];
                one.run(cpu.pool, x.len(), Rows::dense(&x, 1), Start::Zero, RowsMut::dense(&mut gelu, 1));
                let logit = |mask: usize, pixel: usize| {
                    (0..larger)
                        .map(|c| f64::from(masks[mask * larger + c]) * f64::from(gelu[c * pixels + pixel]))
                        .sum::<f64>()
                };
                let want: Vec<f32> = (0..count * pixels).map(|i| logit(i / pixels, i % pixels) as f32).collect();
                assert_close(isa.word(), &got, &want, 2e-4);
            }
        }
    }
}

//! Dense convolution of a map `[height, width, channels]`: the product's loop, reading each pixel's surroundings in place.
//!
//! A copy of the map with a rim of zeros makes every tap a fixed distance from the pixel, so nothing is gathered (no
//! im2col). Kernels of 1 with stride 1 need no copy and are a [`Linear`]. Odd kernels, padding `kernel / 2`.

use super::layout::with_rim;
use super::math::Activation;
use super::memory::volume;
use super::packed::Packed;
use super::product::{Linear, Place, RowsMut, Start, Taps};
use super::{Cpu, Isa, Pool};

/// Rows of the largest kernel.
const MAX_KERNEL: usize = 16;

/// A convolution's weights, packed once.
pub struct Convolution {
    linear: Linear,
    kernel: usize,
    stride: usize,
    inputs: usize,
}

impl Convolution {
    /// From PyTorch's weight `[outputs, inputs, kernel, kernel]`.
    pub fn new(
        isa: Isa,
        weight: &[f32],
        [outputs, inputs, kernel]: [usize; 3],
        stride: usize,
        bias: Option<&[f32]>,
        activation: Activation,
    ) -> Self {
        assert_eq!(weight.len(), outputs * inputs * kernel * kernel);
        assert!(kernel % 2 == 1 && kernel <= MAX_KERNEL && stride > 0, "kernel {kernel}, stride {stride}");
        assert!(inputs > 0, "a map without channels");
        // Taps in reading order, each with its channels together.
        let area = kernel * kernel;
        let packed = Packed::new(isa, area * inputs, outputs, |row, output| {
            let (tap, input) = (row / inputs, row % inputs);
            weight[(output * inputs + input) * area + tap]
        });
        Self { linear: Linear::new(packed, bias, activation), kernel, stride, inputs }
    }

    /// Height and width of the result.
    pub fn out_size(&self, height: usize, width: usize) -> (usize, usize) {
        (height.div_ceil(self.stride), width.div_ceil(self.stride))
    }

    /// Channels of the result.
    pub fn outputs(&self) -> usize {
        self.linear.weights().columns()
    }

    /// `map` `[height, width, inputs]` to `out` `[out height * out width, outputs]`.
    pub fn run(&self, cpu: &Cpu, map: &[f32], height: usize, width: usize, start: Start<'_>, out: RowsMut<'_>) {
        assert_eq!(map.len(), volume([height, width, self.inputs]));
        let rim = self.kernel / 2;
        let (out_height, out_width) = self.out_size(height, width);
        if map.is_empty() {
            return;
        }
        let wide = width + 2 * rim;
        let mut padded = cpu.arena.take((height + 2 * rim) * wide * self.inputs);
        with_rim(cpu.pool, map, width, self.inputs, rim, &mut padded);
        self.run_on_surroundings(cpu.pool, &padded, wide, [out_height, out_width], start, out);
    }

    /// A part of a result from the part of the map under it, surroundings included: result `(y, x)` is made of the rows
    /// from `y * stride` and the columns from `x * stride` of `patch`, which has `wide` pixels a row.
    pub fn run_on_surroundings(
        &self,
        pool: &Pool,
        patch: &[f32],
        wide: usize,
        [out_height, out_width]: [usize; 2],
        start: Start<'_>,
        out: RowsMut<'_>,
    ) {
        let Self { kernel, stride, inputs, .. } = *self;
        if out_height == 0 || out_width == 0 {
            return;
        }
        let [rows, columns] = [out_height, out_width].map(|side| volume([side - 1, stride]).saturating_add(kernel));
        assert!(columns <= wide && patch.len() >= volume([rows, wide, inputs]), "{rows} x {columns} of {wide} columns");
        // The pixels under a row of the kernel lie together: one tap of `kernel * inputs` values a row.
        let mut offsets = [0; MAX_KERNEL];
        (0..kernel).for_each(|y| offsets[y] = y * wide * inputs);
        let place = Place::Map { width: out_width, down: stride * wide * inputs, across: stride * inputs };
        let taps = Taps { offsets: &offsets[..kernel], depth: kernel * inputs, place };
        // SAFETY: the last result reads up to row `rows` and column `columns`, which lie within the patch.
        unsafe { self.linear.run_taps(pool, out_height * out_width, patch, taps, start, out) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::*;

    #[test]
    fn equals_the_definition_on_every_machine() {
        for isa in Isa::all() {
            let cpu = Cpu { isa, ..Cpu::new() };
            for (height, width, inputs, outputs, kernel, stride) in
                [(5, 7, 3, 32, 3, 2), (6, 6, 8, 5, 3, 1), (1, 1, 2, 3, 5, 1), (9, 4, 40, 70, 3, 1), (8, 8, 3, 20, 5, 4)]
            {
                let (map, bias) = (noise(height * width * inputs, 1), noise(outputs, 3));
                let weight = noise(outputs * inputs * kernel * kernel, 2);
                let shape = [outputs, inputs, kernel];
                let convolution = Convolution::new(isa, &weight, shape, stride, Some(&bias), Activation::Relu);
                let (out_height, out_width) = convolution.out_size(height, width);
                let mut out = vec![0.0; out_height * out_width * outputs];
                convolution.run(&cpu, &map, height, width, Start::Zero, RowsMut::dense(&mut out, outputs));
                let rim = (kernel / 2) as isize;
                let mut want = Vec::new();
                for pixel in 0..out_height * out_width {
                    let (top, left) = ((pixel / out_width * stride) as isize, (pixel % out_width * stride) as isize);
                    for output in 0..outputs {
                        let mut sum = f64::from(bias[output]);
                        for (tap, input) in (0..kernel * kernel).flat_map(|t| (0..inputs).map(move |i| (t, i))) {
                            let y = top + (tap / kernel) as isize - rim;
                            let x = left + (tap % kernel) as isize - rim;
                            if (0..height as isize).contains(&y) && (0..width as isize).contains(&x) {
                                let value = map[(y as usize * width + x as usize) * inputs + input];
                                let w = weight[(output * inputs + input) * kernel * kernel + tap];
                                sum += f64::from(value) * f64::from(w);
                            }
                        }
                        want.push(sum.max(0.0) as f32);
                    }
                }
                assert_close(isa.word(), &out, &want, 2e-5);
            }
        }
    }
}

//! Convolution of each channel by itself, on a map `[height, width, channels]`, directly: no products, no copies beyond a
//! rim of zeros.
//!
//! A task makes some rows of the result, a block of channels at a time, several neighbouring pixels at once so that
//! weights are loaded once for all of them. Odd kernels, padding `kernel / 2`.

use super::isa::Kernel;
use super::layout::with_rim;
use super::math::Activation;
use super::memory::{Aligned, Shared};
use super::simd::Simd;
use super::{Cpu, Isa};

/// The largest kernel.
const MAX_KERNEL: usize = 7;
/// Pixels of a row that are summed together.
const TOGETHER: usize = 4;

/// A depthwise convolution's weights.
pub struct Depthwise {
    isa: Isa,
    /// `[kernel * kernel, channels]`.
    weight: Aligned,
    bias: Box<[f32]>,
    channels: usize,
    kernel: usize,
    stride: usize,
    activation: Activation,
}

impl Depthwise {
    /// From PyTorch's weight `[channels, 1, kernel, kernel]`.
    pub fn new(
        isa: Isa,
        weight: &[f32],
        [channels, kernel]: [usize; 2],
        stride: usize,
        bias: &[f32],
        activation: Activation,
    ) -> Self {
        let area = kernel * kernel;
        assert_eq!((weight.len(), bias.len()), (channels * area, channels));
        assert!(kernel % 2 == 1 && kernel <= MAX_KERNEL && stride > 0, "kernel {kernel}, stride {stride}");
        let mut by_tap = Aligned::zeros(weight.len());
        for (tap, row) in by_tap.chunks_exact_mut(channels.max(1)).enumerate() {
            for (channel, value) in row.iter_mut().enumerate() {
                *value = weight[channel * area + tap];
            }
        }
        Self { isa, weight: by_tap, bias: bias.into(), channels, kernel, stride, activation }
    }

    /// Height and width of the result.
    pub fn out_size(&self, height: usize, width: usize) -> (usize, usize) {
        (height.div_ceil(self.stride), width.div_ceil(self.stride))
    }

    /// `map` `[height, width, channels]` to `out` `[out height, out width, channels]`.
    pub fn run(&self, cpu: &Cpu, map: &[f32], height: usize, width: usize, out: &mut [f32]) {
        let channels = self.channels;
        assert_eq!(map.len(), height * width * channels);
        let rim = self.kernel / 2;
        let mut padded = cpu.arena.take((height + 2 * rim) * (width + 2 * rim) * channels);
        with_rim(cpu.pool, map, width, channels, rim, &mut padded);
        self.run_padded(cpu, &padded, height, width, out);
    }

    /// The same on a map that has its rim of `kernel / 2` zeros already:
    /// `[height + 2 rim, width + 2 rim, channels]`.
    pub fn run_padded(&self, cpu: &Cpu, padded: &[f32], height: usize, width: usize, out: &mut [f32]) {
        let (channels, rim) = (self.channels, self.kernel / 2);
        let (out_height, out_width) = self.out_size(height, width);
        assert_eq!(padded.len(), (height + 2 * rim) * (width + 2 * rim) * channels);
        assert_eq!(out.len(), out_height * out_width * channels);
        let line = out_width * channels;
        let out = Shared::new(out);
        let wide = (width + 2 * rim) * channels;
        cpu.pool.run(out_height, &|row| {
            let mut rows = [padded; MAX_KERNEL];
            for (y, from) in rows.iter_mut().enumerate().take(self.kernel) {
                *from = &padded[(row * self.stride + y) * wide..][..wide];
            }
            // SAFETY: each task writes its own row.
            self.run_row(&rows[..self.kernel], unsafe { out.part(row * line, line) });
        });
    }

    /// Channels of the map.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Pixels of a side of the kernel.
    pub fn kernel(&self) -> usize {
        self.kernel
    }

    /// From an output pixel to the next, in input pixels.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// One row of the result, on this thread, from the `kernel` input rows under it, each with its rim:
    /// `[width + 2 rim, channels]` to `[out width, channels]`.
    pub fn run_row(&self, rows: &[&[f32]], to: &mut [f32]) {
        let out_width = to.len().checked_div(self.channels).unwrap_or(0);
        if out_width == 0 {
            return;
        }
        let needed = ((out_width - 1) * self.stride + self.kernel) * self.channels;
        assert_eq!((rows.len(), to.len()), (self.kernel, out_width * self.channels));
        let mut from = [std::ptr::null(); MAX_KERNEL];
        for (from, row) in from.iter_mut().zip(rows) {
            assert!(row.len() >= needed, "a row of {} values, expected {needed}", row.len());
            *from = row.as_ptr();
        }
        let line = DepthwiseRow { depthwise: self, rows: from, to: to.as_mut_ptr(), out_width };
        // SAFETY: the last pixel reads up to `needed` values of each row, and writes up to the end of `to`.
        unsafe { self.isa.run(line) };
    }
}

struct DepthwiseRow<'a> {
    depthwise: &'a Depthwise,
    /// The rows under the kernel.
    rows: [*const f32; MAX_KERNEL],
    to: *mut f32,
    out_width: usize,
}

impl Kernel for DepthwiseRow<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let channels = self.depthwise.channels;
        let mut pixel = 0;
        while pixel < self.out_width {
            let together = TOGETHER.min(self.out_width - pixel);
            let mut channel = 0;
            // SAFETY: pixels and channels stay within the row; a partial vector keeps to `channels`.
            unsafe {
                while channel + S::LANES <= channels {
                    if together == TOGETHER {
                        self.sum::<S, TOGETHER, false>(pixel, channel, S::LANES);
                    } else {
                        for one in pixel..pixel + together {
                            self.sum::<S, 1, false>(one, channel, S::LANES);
                        }
                    }
                    channel += S::LANES;
                }
                if channel < channels {
                    for one in pixel..pixel + together {
                        self.sum::<S, 1, true>(one, channel, channels - channel);
                    }
                }
            }
            pixel += together;
        }
    }
}

impl DepthwiseRow<'_> {
    /// One vector of channels (the first `count` of it if `PARTIAL`) of `PIXELS` neighbours.
    ///
    /// # Safety
    /// They lie within the row.
    #[inline(always)]
    unsafe fn sum<S: Simd, const PIXELS: usize, const PARTIAL: bool>(
        &self,
        pixel: usize,
        channel: usize,
        count: usize,
    ) {
        let Depthwise { channels, kernel, stride, .. } = *self.depthwise;
        // SAFETY: the caller's promise.
        unsafe {
            let bias = load::<S, PARTIAL>(self.depthwise.bias.as_ptr().add(channel), count);
            let mut sums = [bias; PIXELS];
            let mut weight = self.depthwise.weight.as_ptr().add(channel);
            for y in 0..kernel {
                let mut at = self.rows[y].add(pixel * stride * channels + channel);
                for _ in 0..kernel {
                    let w = load::<S, PARTIAL>(weight, count);
                    for p in 0..PIXELS {
                        sums[p] = S::mul_add(load::<S, PARTIAL>(at.add(p * stride * channels), count), w, sums[p]);
                    }
                    weight = weight.add(channels);
                    at = at.add(channels);
                }
            }
            let to = self.to.add(pixel * channels + channel);
            for p in 0..PIXELS {
                let value = self.depthwise.activation.apply::<S>(sums[p]);
                if PARTIAL {
                    S::store_partial(to.add(p * channels), count, value);
                } else {
                    S::store(to.add(p * channels), value);
                }
            }
        }
    }
}

/// A whole vector, or its first `count` values.
///
/// # Safety
/// They are there.
#[inline(always)]
unsafe fn load<S: Simd, const PARTIAL: bool>(from: *const f32, count: usize) -> S::V {
    // SAFETY: the caller's promise.
    unsafe { if PARTIAL { S::load_partial(from, count) } else { S::load(from) } }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::*;

    #[test]
    fn equals_the_definition_on_every_machine() {
        for isa in Isa::all() {
            let cpu = Cpu { isa, ..Cpu::new() };
            for (height, width, channels, kernel, stride) in
                [(5, 7, 3, 3, 2), (6, 9, 16, 3, 1), (1, 1, 2, 5, 1), (9, 4, 40, 5, 2), (4, 11, 70, 3, 1)]
            {
                let (map, bias) = (noise(height * width * channels, 1), noise(channels, 3));
                let weight = noise(channels * kernel * kernel, 2);
                let depthwise = Depthwise::new(isa, &weight, [channels, kernel], stride, &bias, Activation::Relu6);
                let (out_height, out_width) = depthwise.out_size(height, width);
                let mut out = vec![0.0; out_height * out_width * channels];
                depthwise.run(&cpu, &map, height, width, &mut out);
                let rim = (kernel / 2) as isize;
                let mut want = Vec::new();
                for (pixel, channel) in (0..out_height * out_width).flat_map(|p| (0..channels).map(move |c| (p, c))) {
                    let (top, left) = ((pixel / out_width * stride) as isize, (pixel % out_width * stride) as isize);
                    let mut sum = f64::from(bias[channel]);
                    for tap in 0..kernel * kernel {
                        let (y, x) = (top + (tap / kernel) as isize - rim, left + (tap % kernel) as isize - rim);
                        if (0..height as isize).contains(&y) && (0..width as isize).contains(&x) {
                            let value = map[(y as usize * width + x as usize) * channels + channel];
                            sum += f64::from(value) * f64::from(weight[channel * kernel * kernel + tap]);
                        }
                    }
                    want.push(sum.clamp(0.0, 6.0) as f32);
                }
                assert_close(isa.word(), &out, &want, 1e-5);
            }
        }
    }
}

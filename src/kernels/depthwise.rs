//! Convolution of each channel by itself, on a map `[height, width, channels]`, directly: no products, no copies.
//!
//! A task makes a row of the result from the rows of the map under it, several neighbouring pixels at once so that
//! weights are loaded once for all of them. Odd kernels, padding `kernel / 2`; taps outside the map are left out, which
//! is what zeros there would give.

use super::isa::Kernel;
use super::math::Activation;
use super::memory::{Aligned, Shared, volume};
use super::simd::Simd;
use super::{Cpu, Isa};
use std::ops::Range;

/// Rows of the largest kernel.
pub(super) const MAX_KERNEL: usize = 7;
/// Columns of the map under the pixels that are summed at once, at most: eight with a kernel of 5 and a stride of 2.
const WINDOW: usize = 19;

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

    /// Channels of the map and of the result.
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

    /// `map` `[height, width, channels]` to `out` `[out height, out width, channels]`.
    pub fn run(&self, cpu: &Cpu, map: &[f32], height: usize, width: usize, out: &mut [f32]) {
        let channels = self.channels;
        let (out_height, out_width) = self.out_size(height, width);
        assert_eq!(map.len(), volume([height, width, channels]));
        assert_eq!(out.len(), volume([out_height, out_width, channels]));
        let out = Shared::new(out);
        let rim = self.kernel / 2;
        cpu.pool.run(out_height, &|row| {
            let mut rows = [std::ptr::null(); MAX_KERNEL];
            for (tap, pointer) in rows.iter_mut().enumerate().take(self.kernel) {
                let y = row * self.stride + tap;
                if (rim..height + rim).contains(&y) {
                    *pointer = map[(y - rim) * width * channels..].as_ptr();
                }
            }
            let to = out.at(row * out_width * channels);
            // SAFETY: each row holds `width` pixels, and each task writes its own row of the result.
            unsafe { self.run_line(Line { rows, wide: width, first: -(rim as isize), to, count: out_width }) };
        });
    }

    /// Row `row` of the result by itself, on this thread, with stride 1: `map` `[height, width, channels]` to `out`
    /// `[width, channels]`.
    pub fn run_row(&self, map: &[f32], height: usize, row: usize, out: &mut [f32]) {
        let line = out.len();
        assert!(self.stride == 1 && row < height && line.is_multiple_of(self.channels));
        assert_eq!(map.len(), volume([height, line]));
        let rim = self.kernel / 2;
        let mut rows = [std::ptr::null(); MAX_KERNEL];
        for (tap, pointer) in rows.iter_mut().enumerate().take(self.kernel) {
            if (rim..height + rim).contains(&(row + tap)) {
                *pointer = map[(row + tap - rim) * line..].as_ptr();
            }
        }
        let wide = line / self.channels;
        // SAFETY: each row holds `wide` pixels, and so does `out`.
        unsafe { self.run_line(Line { rows, wide, first: -(rim as isize), to: out.as_mut_ptr(), count: wide }) };
    }

    /// One row of the result, or a part of it.
    ///
    /// # Safety
    /// Every row that is not null may be read for `wide` pixels; `count` pixels may be written at `to`, and nobody else
    /// touches them meanwhile.
    pub(super) unsafe fn run_line(&self, line: Line) {
        // SAFETY: the caller's promise.
        unsafe { self.isa.run(LineKernel { depthwise: self, line }) };
    }
}

/// Neighbouring pixels of a result row, and what lies under them.
#[derive(Clone, Copy)]
pub(super) struct Line {
    /// The rows of the map under the kernel, from the top; null outside the map.
    pub(super) rows: [*const f32; MAX_KERNEL],
    /// Pixels in each of them.
    pub(super) wide: usize,
    /// The place in these rows of the first tap of the first result; below 0 is outside the map.
    pub(super) first: isize,
    /// Where the results go.
    pub(super) to: *mut f32,
    /// Results.
    pub(super) count: usize,
}

struct LineKernel<'a> {
    depthwise: &'a Depthwise,
    line: Line,
}

impl Kernel for LineKernel<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        // The usual shapes are unrolled; pixels summed at once are as many as the registers hold beside the taps.
        // SAFETY: the caller's promise.
        unsafe {
            match (self.depthwise.kernel, self.depthwise.stride) {
                (3, 1) if S::LANES == 16 => self.pixels::<S, 3, 1, 8>(),
                (3, 2) if S::LANES == 16 => self.pixels::<S, 3, 2, 8>(),
                (5, 1) if S::LANES == 16 => self.pixels::<S, 5, 1, 8>(),
                (5, 2) if S::LANES == 16 => self.pixels::<S, 5, 2, 8>(),
                (3, 1) => self.pixels::<S, 3, 1, 4>(),
                (3, 2) => self.pixels::<S, 3, 2, 4>(),
                (5, 1) => self.pixels::<S, 5, 1, 4>(),
                (5, 2) => self.pixels::<S, 5, 2, 4>(),
                _ => self.pixels::<S, 0, 0, 4>(),
            }
        }
    }
}

impl LineKernel<'_> {
    /// All pixels of the line; a kernel of `KERNEL` rows and `STRIDE`, or any if these are 0.
    ///
    /// # Safety
    /// As [`Depthwise::run_line`].
    #[inline(always)]
    unsafe fn pixels<S: Simd, const KERNEL: usize, const STRIDE: usize, const TOGETHER: usize>(&self) {
        let (kernel, stride) = self.kernel_and_stride::<KERNEL, STRIDE>();
        let Line { wide, first, count, .. } = self.line;
        // Results all of whose taps lie within the rows.
        let begin = if first < 0 { first.unsigned_abs().div_ceil(stride) } else { 0 }.min(count);
        let room = wide as isize - kernel as isize - first;
        let end = if room < 0 { 0 } else { room as usize / stride + 1 }.clamp(begin, count);
        let channels = self.depthwise.channels;
        // A vector of channels along the whole line, then the next: what neighbouring pixels share stays in the first
        // cache.
        // SAFETY: pixels are below `count`; whole windows lie within the rows, `edge` keeps to those taps that do; a partial
        // vector keeps to `channels`.
        unsafe {
            let mut channel = 0;
            while channel + S::LANES <= channels {
                self.along::<S, KERNEL, STRIDE, TOGETHER, false>(begin..end, channel, S::LANES);
                channel += S::LANES;
            }
            if channel < channels {
                self.along::<S, KERNEL, STRIDE, TOGETHER, true>(begin..end, channel, channels - channel);
            }
        }
    }

    /// One vector of channels along the line; `inside` are the pixels all of whose taps lie within the rows.
    ///
    /// # Safety
    /// As [`Depthwise::run_line`]; the channels exist.
    #[inline(always)]
    unsafe fn along<S: Simd, const KERNEL: usize, const STRIDE: usize, const TOGETHER: usize, const PARTIAL: bool>(
        &self,
        inside: Range<usize>,
        channel: usize,
        lanes: usize,
    ) {
        let (kernel, stride) = self.kernel_and_stride::<KERNEL, STRIDE>();
        let Line { wide, first, count, .. } = self.line;
        let Range { start: begin, end } = inside;
        // SAFETY: the caller's promise.
        unsafe {
            for pixel in (0..begin).chain(end..count) {
                let first_tap = first + (pixel * stride) as isize;
                let from = (-first_tap).clamp(0, kernel as isize) as usize;
                let to = (wide as isize - first_tap).clamp(from as isize, kernel as isize) as usize;
                self.sum_one::<S, PARTIAL>(pixel, channel, lanes, from..to);
            }
            let mut pixel = begin;
            if KERNEL > 0 {
                while pixel + TOGETHER <= end {
                    self.sum::<S, KERNEL, STRIDE, TOGETHER, PARTIAL>(pixel, channel, lanes);
                    pixel += TOGETHER;
                }
                if pixel < end && end - begin >= TOGETHER {
                    // Some are computed twice, to the same values.
                    self.sum::<S, KERNEL, STRIDE, TOGETHER, PARTIAL>(end - TOGETHER, channel, lanes);
                    pixel = end;
                }
            }
            for pixel in pixel..end {
                self.sum_one::<S, PARTIAL>(pixel, channel, lanes, 0..kernel);
            }
        }
    }

    #[inline(always)]
    fn kernel_and_stride<const KERNEL: usize, const STRIDE: usize>(&self) -> (usize, usize) {
        if KERNEL > 0 { (KERNEL, STRIDE) } else { (self.depthwise.kernel, self.depthwise.stride) }
    }

    /// `PIXELS` neighbours at once, each row of the map loaded into registers once for all of them.
    ///
    /// # Safety
    /// All taps of these pixels lie within the rows; the channels exist.
    #[inline(always)]
    unsafe fn sum<S: Simd, const KERNEL: usize, const STRIDE: usize, const PIXELS: usize, const PARTIAL: bool>(
        &self,
        pixel: usize,
        channel: usize,
        lanes: usize,
    ) {
        let channels = self.depthwise.channels;
        // SAFETY: the caller's promise.
        unsafe {
            let bias = load::<S, PARTIAL>(self.depthwise.bias.as_ptr().add(channel), lanes);
            let mut sums = [bias; PIXELS];
            let mut weights = self.depthwise.weight.as_ptr().add(channel);
            let left = (self.line.first + (pixel * STRIDE) as isize) * channels as isize + channel as isize;
            for y in 0..KERNEL {
                let row = self.line.rows[y];
                if !row.is_null() {
                    let mut from = row.offset(left);
                    let mut window = [S::splat(0.0); WINDOW];
                    for x in 0..(PIXELS - 1) * STRIDE + KERNEL {
                        window[x] = load::<S, PARTIAL>(from, lanes);
                        from = from.wrapping_add(channels);
                    }
                    for x in 0..KERNEL {
                        let weight = load::<S, PARTIAL>(weights.add(x * channels), lanes);
                        for p in 0..PIXELS {
                            sums[p] = S::mul_add(window[p * STRIDE + x], weight, sums[p]);
                        }
                    }
                }
                weights = weights.wrapping_add(KERNEL * channels);
            }
            self.depthwise.activation.apply_each::<S, PIXELS>(&mut sums);
            let to = self.line.to.add(pixel * channels + channel);
            for p in 0..PIXELS {
                store::<S, PARTIAL>(to.add(p * channels), lanes, sums[p]);
            }
        }
    }

    /// One pixel of any kernel, from some columns of it.
    ///
    /// # Safety
    /// These columns of the pixel's taps lie within the rows; the channels exist.
    #[inline(always)]
    unsafe fn sum_one<S: Simd, const PARTIAL: bool>(
        &self,
        pixel: usize,
        channel: usize,
        lanes: usize,
        columns: Range<usize>,
    ) {
        let Depthwise { channels, kernel, stride, activation, .. } = *self.depthwise;
        // SAFETY: the caller's promise.
        unsafe {
            let mut sum = load::<S, PARTIAL>(self.depthwise.bias.as_ptr().add(channel), lanes);
            let weights = self.depthwise.weight.as_ptr().add(channel);
            let left = (self.line.first + (pixel * stride) as isize) * channels as isize + channel as isize;
            for y in 0..kernel {
                let row = self.line.rows[y];
                if row.is_null() {
                    continue;
                }
                // A window at the edge starts outside the row; only its inner columns are read.
                let row = row.wrapping_offset(left);
                for x in columns.clone() {
                    let weight = load::<S, PARTIAL>(weights.add((y * kernel + x) * channels), lanes);
                    sum = S::mul_add(load::<S, PARTIAL>(row.wrapping_add(x * channels), lanes), weight, sum);
                }
            }
            let value = activation.apply::<S>(sum);
            store::<S, PARTIAL>(self.line.to.add(pixel * channels + channel), lanes, value);
        }
    }
}

/// Writes a whole vector, or its first `count` values.
///
/// # Safety
/// There is room for them.
#[inline(always)]
unsafe fn store<S: Simd, const PARTIAL: bool>(to: *mut f32, count: usize, v: S::V) {
    // SAFETY: the caller's promise.
    unsafe { if PARTIAL { S::store_partial(to, count, v) } else { S::store(to, v) } }
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
            for (height, width, channels, kernel, stride) in [
                (5, 7, 3, 3, 2),
                (6, 9, 16, 3, 1),
                (1, 1, 2, 5, 1),
                (9, 4, 40, 5, 2),
                (4, 11, 70, 3, 1),
                (3, 37, 33, 3, 2),
                (2, 3, 5, 7, 1),
            ] {
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

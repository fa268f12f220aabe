//! Small steps on whole maps `[height, width, channels]`: doubling the size, adding the mean, rounding to f16.

use super::Cpu;
use super::isa::Kernel;
use super::memory::{Shared, volume};
use super::simd::Simd;

/// Values a task works on where the work has no rows.
const VALUES_A_TASK: usize = 1 << 16;

/// `to += from` at twice the size, bilinear without antialias, as PyTorch's
/// `interpolate(scale_factor=2, mode="bilinear", align_corners=False)` does.
///
/// # Shapes
/// `from` `[height, width, channels]`, `to` `[2 height, 2 width, channels]`.
pub fn add_doubled(cpu: &Cpu, from: &[f32], height: usize, width: usize, channels: usize, to: &mut [f32]) {
    assert_eq!((from.len(), to.len()), (volume([height, width, channels]), volume([4, height, width, channels])));
    if from.is_empty() {
        return;
    }
    let line = 2 * width * channels;
    let to = Shared::new(to);
    cpu.pool.run(2 * height, &|row| {
        let [near, far] = neighbours(row, height);
        let (near, far) = (&from[near * width * channels..], &from[far * width * channels..]);
        // SAFETY: each task has its own row.
        let out = unsafe { to.part(row * line, line) };
        for (column, out) in out.chunks_exact_mut(channels).enumerate() {
            let [left, right] = neighbours(column, width).map(|column| column * channels);
            let pixels = [&near[left..], &near[right..], &far[left..], &far[right..]].map(|p| &p[..channels]);
            // SAFETY: the five slices are `channels` long.
            unsafe { cpu.isa.run(AddBlend { pixels, out }) };
        }
    });
}

/// For a place in the doubled row: the place it comes from with a weight of 3/4, and the one with 1/4.
fn neighbours(doubled: usize, side: usize) -> [usize; 2] {
    let near = doubled / 2;
    let far = if doubled.is_multiple_of(2) { near.saturating_sub(1) } else { (near + 1).min(side - 1) };
    [near, far]
}

/// `out += 9/16 near left.. + 3/16 + 3/16 + 1/16`.
struct AddBlend<'a> {
    pixels: [&'a [f32]; 4],
    out: &'a mut [f32],
}

impl Kernel for AddBlend<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let count = self.out.len();
        // SAFETY: all slices have `count` values; partial accesses keep to them.
        unsafe {
            let (most, least) = (S::splat(0.75), S::splat(0.25));
            for at in (0..count).step_by(S::LANES) {
                let lanes = S::LANES.min(count - at);
                let mut pixels = [S::splat(0.0); 4];
                for (vector, pixel) in pixels.iter_mut().zip(&self.pixels) {
                    *vector = S::load_partial(pixel.as_ptr().add(at), lanes);
                }
                let near = S::mul_add(pixels[0], most, S::mul(pixels[1], least));
                let far = S::mul_add(pixels[2], most, S::mul(pixels[3], least));
                let blend = S::mul_add(near, most, S::mul(far, least));
                let sum = S::add(S::load_partial(self.out.as_ptr().add(at), lanes), blend);
                S::store_partial(self.out.as_mut_ptr().add(at), lanes, sum);
            }
        }
    }
}

/// `map += other + mean`, where `mean` is that of all pixels of `other`.
///
/// # Shapes
/// Both `[pixels, channels]`.
pub fn add_with_mean(map: &mut [f32], other: &[f32], channels: usize) {
    assert_eq!(map.len(), other.len());
    let pixels = other.len().checked_div(channels).unwrap_or(0);
    let mut mean = vec![0.0; channels];
    for pixel in other.chunks_exact(channels.max(1)) {
        mean.iter_mut().zip(pixel).for_each(|(mean, value)| *mean += value);
    }
    mean.iter_mut().for_each(|mean| *mean /= pixels as f32);
    for (map, other) in map.chunks_exact_mut(channels.max(1)).zip(other.chunks_exact(channels.max(1))) {
        for ((map, other), mean) in map.iter_mut().zip(other).zip(&mean) {
            *map += other + mean;
        }
    }
}

/// Rounds every value as f16 would keep it: what comes back from the disk is then what was there before.
pub fn round_to_f16(cpu: &Cpu, values: &mut [f32]) {
    let count = values.len();
    let values = Shared::new(values);
    cpu.pool.run(count.div_ceil(VALUES_A_TASK), &|task| {
        let start = task * VALUES_A_TASK;
        // SAFETY: each task has its own part.
        let part = unsafe { values.part(start, VALUES_A_TASK.min(count - start)) };
        // SAFETY: the kernel keeps to its slice.
        unsafe { cpu.isa.run(RoundToF16(part)) };
    });
}

struct RoundToF16<'a>(&'a mut [f32]);

impl Kernel for RoundToF16<'_> {
    type Output = ();
    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        for chunk in self.0.chunks_mut(S::LANES) {
            // SAFETY: partial accesses keep to the chunk.
            unsafe {
                let v = S::load_partial(chunk.as_ptr(), chunk.len());
                S::store_partial(chunk.as_mut_ptr(), chunk.len(), S::round_to_f16(v));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::super::{Arena, Isa, Pool};
    use super::*;

    fn cpus() -> impl Iterator<Item = Cpu> {
        Isa::all().into_iter().map(|isa| Cpu { isa, pool: Pool::global(), arena: Arena::default() })
    }

    #[test]
    fn doubling_equals_interpolation_by_its_definition() {
        for cpu in cpus() {
            for (height, width, channels) in [(1, 1, 3), (4, 3, 17), (2, 5, 40)] {
                let from = noise(height * width * channels, 1);
                let start = noise(4 * height * width * channels, 2);
                let mut got = start.clone();
                add_doubled(&cpu, &from, height, width, channels, &mut got);
                // Where a doubled place lies: the two places around it and the share of the second.
                let around = |doubled: usize, side: usize| {
                    let at = ((doubled as f64 + 0.5) / 2.0 - 0.5).max(0.0);
                    (at as usize, (at as usize + 1).min(side - 1), at.fract())
                };
                let value = |y: usize, x: usize, c: usize| f64::from(from[(y * width + x) * channels + c]);
                let mut want = start;
                for (index, want) in want.iter_mut().enumerate() {
                    let (pixel, c) = (index / channels, index % channels);
                    let (top, bottom, down) = around(pixel / (2 * width), height);
                    let (left, right, across) = around(pixel % (2 * width), width);
                    let blend = |y| value(y, left, c) * (1.0 - across) + value(y, right, c) * across;
                    *want += (blend(top) * (1.0 - down) + blend(bottom) * down) as f32;
                }
                assert_close(cpu.isa.word(), &got, &want, 1e-6);
            }
        }
    }

    #[test]
    fn rounding_is_that_of_f16_for_every_kind_of_number() {
        let mut values = noise(1000, 1);
        values.extend([0.0, -0.0, 1e-7, 6e-8, -3e-5, 65504.0, 65519.0, 65520.0, 1e9, -1e9, f32::INFINITY, 1.0009766]);
        let want: Vec<f32> = values.iter().map(|&v| half::f16::from_f32(v).to_f32()).collect();
        for cpu in cpus() {
            let mut got = values.clone();
            round_to_f16(&cpu, &mut got);
            assert_eq!(got, want, "{}", cpu.isa.word());
            let mut nan = [f32::NAN];
            round_to_f16(&cpu, &mut nan);
            assert!(nan[0].is_nan());
        }
    }

    #[test]
    fn the_mean_is_that_of_the_other_map() {
        let mut map = [1.0, 2.0, 3.0, 4.0];
        add_with_mean(&mut map, &[10.0, 20.0, 30.0, 40.0], 2);
        assert_eq!(map, [1.0 + 10.0 + 20.0, 2.0 + 20.0 + 30.0, 3.0 + 30.0 + 20.0, 4.0 + 40.0 + 30.0]);
    }
}

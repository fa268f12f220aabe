//! Convolution whose kernel and stride are equal, without padding: each patch of the map is one row of a product, read in
//! place.

use super::math::Activation;
use super::memory::volume;
use super::packed::Packed;
use super::product::{Linear, Place, RowsMut, Start, Taps};
use super::{Cpu, Isa};

/// How the input map lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `[height, width, channels]`.
    Pixels,
    /// `[channels, height, width]`.
    Planes,
}

/// A patch convolution's weights, packed once.
pub struct Patches {
    linear: Linear,
    side: usize,
    inputs: usize,
    layout: Layout,
}

impl Patches {
    /// From PyTorch's weight `[outputs, inputs, side, side]`.
    pub fn new(
        isa: Isa,
        weight: &[f32],
        [outputs, inputs, side]: [usize; 3],
        layout: Layout,
        bias: Option<&[f32]>,
        activation: Activation,
    ) -> Self {
        assert!(inputs > 0 && side > 0, "patches of {side} pixels with {inputs} channels");
        let depth = volume([inputs, side, side]);
        assert_eq!(weight.len(), volume([outputs, depth]));
        let packed = Packed::new(isa, depth, outputs, |row, output| {
            // The order in which the patch is read.
            let from = match layout {
                Layout::Planes => row,
                Layout::Pixels => row % inputs * side * side + row / inputs,
            };
            weight[output * depth + from]
        });
        Self { linear: Linear::new(packed, bias, activation), side, inputs, layout }
    }

    /// Channels of the result.
    pub fn outputs(&self) -> usize {
        self.linear.weights().columns()
    }

    /// A map of `height * width` pixels, multiples of the side, to `out` `[height / side * width / side, outputs]`.
    pub fn run(&self, cpu: &Cpu, map: &[f32], height: usize, width: usize, start: Start<'_>, out: RowsMut<'_>) {
        let Self { side, inputs, .. } = *self;
        assert_eq!(map.len(), volume([height, width, inputs]));
        assert!(height.is_multiple_of(side) && width.is_multiple_of(side), "{height} x {width} by {side}");
        let (columns, rows) = (width / side, height / side);
        let (offsets, depth, across): (Vec<usize>, usize, usize) = match self.layout {
            Layout::Pixels => ((0..side).map(|y| y * width * inputs).collect(), side * inputs, side * inputs),
            Layout::Planes => {
                let places = (0..inputs).flat_map(|i| (0..side).map(move |y| (i * height + y) * width));
                (places.collect(), side, side)
            }
        };
        let row = if self.layout == Layout::Pixels { width * inputs } else { width };
        let taps = Taps { offsets: &offsets, depth, place: Place::Map { width: columns, down: side * row, across } };
        // SAFETY: patch (y, x) reads rows y*side..y*side+side and columns alike, all within the map.
        unsafe { self.linear.run_taps(cpu.pool, rows * columns, map, taps, start, out) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{assert_close, noise};
    use super::*;

    #[test]
    fn both_layouts_equal_the_definition() {
        for isa in Isa::all() {
            let cpu = Cpu { isa, ..Cpu::new() };
            let (height, width, inputs, outputs, side) = (6, 10, 3, 20, 2);
            let (planes, bias) = (noise(inputs * height * width, 1), noise(outputs, 3));
            let weight = noise(outputs * inputs * side * side, 2);
            let mut pixels = planes.clone();
            super::super::layout::rows_from_planes(cpu.pool, &planes, inputs, &mut pixels);
            let mut want = Vec::new();
            for (y, x) in (0..height / side).flat_map(|y| (0..width / side).map(move |x| (y, x))) {
                for output in 0..outputs {
                    let mut sum = f64::from(bias[output]);
                    for (input, dy, dx) in
                        (0..inputs).flat_map(|i| (0..side).flat_map(move |dy| (0..side).map(move |dx| (i, dy, dx))))
                    {
                        let value = planes[(input * height + y * side + dy) * width + x * side + dx];
                        sum +=
                            f64::from(value) * f64::from(weight[((output * inputs + input) * side + dy) * side + dx]);
                    }
                    want.push(sum as f32);
                }
            }
            for (layout, map) in [(Layout::Planes, &planes), (Layout::Pixels, &pixels)] {
                let shape = [outputs, inputs, side];
                let patches = Patches::new(isa, &weight, shape, layout, Some(&bias), Activation::None);
                let mut out = vec![0.0; want.len()];
                patches.run(&cpu, map, height, width, Start::Zero, RowsMut::dense(&mut out, outputs));
                assert_close(isa.word(), &out, &want, 1e-5);
            }
        }
    }
}

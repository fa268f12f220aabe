//! What the decoder needs of a view, as it reads it: rows of cells.
//!
//! The two fine maps are kept in the order in which the decoder makes them: a cell's four quarters together, and within
//! each quarter its four quarters, the finest of them channel by channel. Invariant: going to planes and back changes no value.

use super::super::config::WIDTH;
use super::super::neck::{HALF_CHANNELS, QUARTER_CHANNELS};
use crate::kernels::layout::{planes_from_rows, rows_from_planes};
use crate::kernels::maps::round_to_f16;
use crate::kernels::{Buffer, Cpu};

/// Buffers of the model's arena: an embedding that is dropped leaves its memory to the next.
pub(in super::super) struct Features {
    /// `[cells, 128]`, cells row by row.
    pub(super) embed: Buffer,
    /// `[cells, 4, 32]`.
    pub(super) quarter: Buffer,
    /// `[cells, 4, 16, 4]`.
    pub(super) half: Buffer,
    /// Cells a side.
    side: usize,
}

impl Features {
    pub(super) fn empty(cpu: &Cpu, side: usize) -> Self {
        let cells = side * side;
        Self {
            embed: cpu.arena.take(cells * WIDTH),
            quarter: cpu.arena.take(cells * 4 * QUARTER_CHANNELS),
            half: cpu.arena.take(cells * 16 * HALF_CHANNELS),
            side,
        }
    }

    /// Takes the map at twice the cells, `[2 side, 2 side, 32]`.
    pub(super) fn set_quarter(&mut self, cpu: &Cpu, map: &[f32]) {
        let side = self.side;
        let band = side * 4 * QUARTER_CHANNELS;
        cpu.pool.run_chunks(&mut self.quarter, band, &|row, to| {
            let map = &map[row * band..][..band];
            for (to, [y, x]) in to.chunks_exact_mut(QUARTER_CHANNELS).zip(quarters(2 * side)) {
                to.copy_from_slice(&map[(y * 2 * side + x) * QUARTER_CHANNELS..][..QUARTER_CHANNELS]);
            }
        });
    }

    /// Takes the map at four times the cells, `[4 side, 4 side, 16]`.
    pub(super) fn set_half(&mut self, cpu: &Cpu, map: &[f32]) {
        let side = self.side;
        let band = side * 16 * HALF_CHANNELS;
        cpu.pool.run_chunks(&mut self.half, band, &|row, to| {
            let map = &map[row * band..][..band];
            for (to, [y, x]) in to.chunks_exact_mut(4 * HALF_CHANNELS).zip(quarters(2 * side)) {
                let pixels = [0, 1, 2, 3].map(|quarter| {
                    &map[((2 * y + quarter / 2) * 4 * side + 2 * x + quarter % 2) * HALF_CHANNELS..][..HALF_CHANNELS]
                });
                for (channel, to) in to.chunks_exact_mut(4).enumerate() {
                    to.copy_from_slice(&pixels.map(|pixel| pixel[channel]));
                }
            }
        });
    }

    /// Rounds all values to f16, as the disk will.
    pub(in super::super) fn round(&mut self, cpu: &Cpu) {
        round_to_f16(cpu, &mut self.embed);
        round_to_f16(cpu, &mut self.quarter);
        round_to_f16(cpu, &mut self.half);
    }

    /// The three maps as planes: `[128, side, side]`, `[32, 2 side, 2 side]`, `[16, 4 side, 4 side]`.
    pub(in super::super) fn planes(&self, cpu: &Cpu) -> [Vec<f32>; 3] {
        let side = self.side;
        let mut quarter = vec![0.0; self.quarter.len()];
        for (from, [y, x]) in self.quarter.chunks_exact(QUARTER_CHANNELS).zip(quarters(2 * side)) {
            quarter[(y * 2 * side + x) * QUARTER_CHANNELS..][..QUARTER_CHANNELS].copy_from_slice(from);
        }
        let mut half = vec![0.0; self.half.len()];
        for (from, [y, x]) in self.half.chunks_exact(4 * HALF_CHANNELS).zip(quarters(2 * side)) {
            for (index, value) in from.iter().enumerate() {
                let (channel, part) = (index / 4, index % 4);
                half[((2 * y + part / 2) * 4 * side + 2 * x + part % 2) * HALF_CHANNELS + channel] = *value;
            }
        }
        let planes = |rows: &[f32], channels: usize| {
            let mut planes = vec![0.0; rows.len()];
            planes_from_rows(cpu.pool, rows, channels, &mut planes);
            planes
        };
        [planes(&self.embed, WIDTH), planes(&quarter, QUARTER_CHANNELS), planes(&half, HALF_CHANNELS)]
    }

    /// The inverse of [`Features::planes`].
    pub(in super::super) fn from_planes(cpu: &Cpu, side: usize, [embed, quarter, half]: [&[f32]; 3]) -> Self {
        let mut features = Self::empty(cpu, side);
        rows_from_planes(cpu.pool, embed, WIDTH, &mut features.embed);
        let rows = |planes: &[f32], channels: usize| {
            let mut rows = vec![0.0; planes.len()];
            rows_from_planes(cpu.pool, planes, channels, &mut rows);
            rows
        };
        features.set_quarter(cpu, &rows(quarter, QUARTER_CHANNELS));
        features.set_half(cpu, &rows(half, HALF_CHANNELS));
        features
    }
}

/// Places `[y, x]` of a map of this even side, cell by cell: each cell's four quarters, row before column.
fn quarters(side: usize) -> impl Iterator<Item = [usize; 2]> {
    let cells = side / 2;
    (0..side * side).map(move |index| {
        let (cell, quarter) = (index / 4, index % 4);
        [2 * (cell / cells) + quarter / 2, 2 * (cell % cells) + quarter % 2]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_are_a_permutation_that_keeps_cells_together() {
        let places: Vec<_> = quarters(6).collect();
        let mut sorted = places.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 6 * 6);
        assert_eq!(places[..6], [[0, 0], [0, 1], [1, 0], [1, 1], [0, 2], [0, 3]]);
    }

    #[test]
    fn fine_maps_lie_as_the_decoder_makes_them() {
        let (cpu, side) = (Cpu::new(), 3);
        let mut features = Features::empty(&cpu, side);
        let value = |y: usize, x: usize, channel: usize| ((y * 100 + x) * 100 + channel) as f32;
        let map = |wide: usize, channels: usize| -> Vec<f32> {
            (0..wide * wide * channels).map(|i| value(i / channels / wide, i / channels % wide, i % channels)).collect()
        };
        features.set_quarter(&cpu, &map(2 * side, QUARTER_CHANNELS));
        features.set_half(&cpu, &map(4 * side, HALF_CHANNELS));
        // Cell (1, 2), its quarter (1, 0), and of that the quarter (0, 1).
        let quarter = (side + 2) * 4 + 2;
        assert_eq!(features.quarter[quarter * QUARTER_CHANNELS + 5], value(3, 4, 5));
        assert_eq!(features.half[(quarter * HALF_CHANNELS + 5) * 4 + 1], value(6, 9, 5));
    }

    #[test]
    fn planes_and_back_are_the_same() {
        let cpu = Cpu::new();
        let mut features = Features::empty(&cpu, 4);
        for (index, value) in features.embed.iter_mut().enumerate() {
            *value = index as f32;
        }
        for (index, value) in features.quarter.iter_mut().chain(features.half.iter_mut()).enumerate() {
            *value = -(index as f32);
        }
        let planes = features.planes(&cpu);
        let again = Features::from_planes(&cpu, 4, planes.each_ref().map(Vec::as_slice));
        assert_eq!(features.embed[..], again.embed[..]);
        assert_eq!(features.quarter[..], again.quarter[..]);
        assert_eq!(features.half[..], again.half[..]);
    }
}

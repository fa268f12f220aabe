//! What the decoder needs of a view, as it reads it: rows of cells.
//!
//! The two fine maps are kept in the order in which the decoder makes them: a cell's four quarters together, and within
//! each quarter its four quarters. Invariant: going to planes and back changes no value.

use super::super::config::WIDTH;
use super::super::neck::{HALF_CHANNELS, QUARTER_CHANNELS};
use crate::kernels::layout::{planes_from_rows, rows_from_planes};
use crate::kernels::maps::round_to_f16;
use crate::kernels::pool::run_parts;
use crate::kernels::{Buffer, Cpu};

/// Buffers of the model's arena: an embedding that is dropped leaves its memory to the next.
pub(in super::super) struct Features {
    /// `[cells, 128]`, cells row by row.
    pub(super) embed: Buffer,
    /// `[cells, 4, 32]`.
    pub(super) quarter: Buffer,
    /// `[cells, 4, 4, 16]`.
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
        nest::<1>(cpu, map, self.side, QUARTER_CHANNELS, &mut self.quarter);
    }

    /// Takes the map at four times the cells, `[4 side, 4 side, 16]`.
    pub(super) fn set_half(&mut self, cpu: &Cpu, map: &[f32]) {
        nest::<2>(cpu, map, self.side, HALF_CHANNELS, &mut self.half);
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
        for (from, [y, x]) in self.quarter.chunks_exact(QUARTER_CHANNELS).zip(nested_places::<1>(side)) {
            quarter[(y * 2 * side + x) * QUARTER_CHANNELS..][..QUARTER_CHANNELS].copy_from_slice(from);
        }
        let mut half = vec![0.0; self.half.len()];
        for (from, [y, x]) in self.half.chunks_exact(HALF_CHANNELS).zip(nested_places::<2>(side)) {
            half[(y * 4 * side + x) * HALF_CHANNELS..][..HALF_CHANNELS].copy_from_slice(from);
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

/// A map `2^LEVELS` times the cells' side into the order of [`nested_places`], a row of cells a task.
fn nest<const LEVELS: u32>(cpu: &Cpu, map: &[f32], side: usize, channels: usize, nested: &mut [f32]) {
    let times = 1usize << LEVELS;
    let band = side * times * times * channels;
    run_parts(cpu.pool, side, [(nested, band)], &|row, [to]| {
        let map = &map[row * band..][..band];
        for (to, [y, x]) in to.chunks_exact_mut(channels).zip(nested_places::<LEVELS>(side)) {
            to.copy_from_slice(&map[(y * times * side + x) * channels..][..channels]);
        }
    });
}

/// Places `[y, x]` of a map `2^LEVELS` times the cells' side, cell by cell, each quartered `LEVELS` times: row before
/// column at every level.
pub(super) fn nested_places<const LEVELS: u32>(side: usize) -> impl Iterator<Item = [usize; 2]> {
    let parts = 1usize << (2 * LEVELS);
    (0..side * side * parts).map(move |index| {
        let (cell, part) = (index / parts, index % parts);
        let (mut y, mut x) = (cell / side, cell % side);
        for level in (0..LEVELS).rev() {
            let quarter = part >> (2 * level) & 3;
            y = 2 * y + quarter / 2;
            x = 2 * x + quarter % 2;
        }
        [y, x]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_places_are_a_permutation_that_keeps_cells_together() {
        let places: Vec<_> = nested_places::<2>(3).collect();
        let mut sorted = places.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 12 * 12);
        assert_eq!(places[..6], [[0, 0], [0, 1], [1, 0], [1, 1], [0, 2], [0, 3]]);
        assert!(places[16..32].iter().all(|&[y, x]| y < 4 && (4..8).contains(&x)));
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

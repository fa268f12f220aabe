//! Planes to rows and back, and maps with a rim of zeros around them.
//!
//! Invariant: `planes[c][p] == rows[p][c]`; values are moved, never changed.

use super::memory::{Shared, volume};
use super::pool::Pool;

/// Values of a side of the blocks that are moved at once, so that both sides stay in the first cache.
const BLOCK: usize = 16;
/// Pixels a task moves.
const PIXELS_A_TASK: usize = 1024;

/// `planes` `[channels, pixels]` to `rows` `[pixels, channels]`.
pub fn rows_from_planes(pool: &Pool, planes: &[f32], channels: usize, rows: &mut [f32]) {
    transpose(pool, planes, channels, rows);
}

/// `rows` `[pixels, channels]` to `planes` `[channels, pixels]`.
pub fn planes_from_rows(pool: &Pool, rows: &[f32], channels: usize, planes: &mut [f32]) {
    let pixels = rows.len().checked_div(channels).unwrap_or(0);
    transpose(pool, rows, pixels, planes);
}

/// `from` `[height, width]` to `to` `[width, height]`.
fn transpose(pool: &Pool, from: &[f32], height: usize, to: &mut [f32]) {
    assert_eq!(from.len(), to.len());
    if from.is_empty() {
        return;
    }
    let width = from.len() / height;
    assert_eq!(width * height, from.len());
    let each = (PIXELS_A_TASK * 64 / height).max(1).next_multiple_of(BLOCK);
    let to = Shared::new(to);
    pool.run(width.div_ceil(each), &|task| {
        let columns = task * each..((task + 1) * each).min(width);
        // SAFETY: rows `columns` of `to` belong to this task alone.
        let part = unsafe { to.part(columns.start * height, columns.len() * height) };
        for left in columns.clone().step_by(BLOCK) {
            let right = (left + BLOCK).min(columns.end);
            for top in (0..height).step_by(BLOCK) {
                let bottom = (top + BLOCK).min(height);
                for column in left..right {
                    let line = &mut part[(column - columns.start) * height..][..height];
                    for row in top..bottom {
                        line[row] = from[row * width + column];
                    }
                }
            }
        }
    });
}

/// The square patches of square planes `[channels, side, side]` as rows `[patches, channels * patch * patch]`: patches in
/// reading order, values in the order of a convolution's kernel. A whole number of patches fills a side.
pub fn patch_rows(pool: &Pool, planes: &[f32], channels: usize, side: usize, patch: usize, rows: &mut [f32]) {
    assert!(patch > 0 && side.is_multiple_of(patch), "patches of {patch} pixels in {side}");
    assert_eq!((planes.len(), rows.len()), (volume([channels, side, side]), planes.len()));
    let across = side / patch;
    let line = channels * patch * side;
    let rows = Shared::new(rows);
    pool.run(across, &|top| {
        // SAFETY: each task has its own row of patches.
        let part = unsafe { rows.part(top * line, line) };
        let pieces = part.chunks_exact_mut(patch);
        let places = (0..across).flat_map(|left| (0..channels * patch).map(move |line| (left, line)));
        for (to, (left, line)) in pieces.zip(places) {
            let from = (line / patch * side + top * patch + line % patch) * side + left * patch;
            to.copy_from_slice(&planes[from..from + patch]);
        }
    });
}

/// A map `[height, width, channels]` with `rim` pixels of zeros on each side:
/// `[height + 2 rim, width + 2 rim, channels]`.
pub fn with_rim(pool: &Pool, map: &[f32], width: usize, channels: usize, rim: usize, padded: &mut [f32]) {
    let line = width * channels;
    let height = map.len().checked_div(line).unwrap_or(0);
    assert_eq!(height * line, map.len());
    let wide = (width + 2 * rim) * channels;
    assert_eq!(padded.len(), (height + 2 * rim) * wide);
    let padded = Shared::new(padded);
    pool.run(height + 2 * rim, &|row| {
        // SAFETY: each task has its own row.
        let to = unsafe { padded.part(row * wide, wide) };
        if row < rim || row >= rim + height {
            to.fill(0.0);
            return;
        }
        to[..rim * channels].fill(0.0);
        to[rim * channels..][..line].copy_from_slice(&map[(row - rim) * line..][..line]);
        to[rim * channels + line..].fill(0.0);
    });
}

#[cfg(test)]
mod tests {
    use super::super::testing::noise;
    use super::*;

    #[test]
    fn there_and_back_is_the_same() {
        for (channels, pixels) in [(1, 1), (3, 100), (17, 33), (64, 4096), (5, 0)] {
            let planes = noise(channels * pixels, 1);
            let (mut rows, mut back) = (vec![0.0; planes.len()], vec![0.0; planes.len()]);
            rows_from_planes(Pool::global(), &planes, channels, &mut rows);
            for p in 0..pixels {
                for c in 0..channels {
                    assert_eq!(rows[p * channels + c], planes[c * pixels + p]);
                }
            }
            planes_from_rows(Pool::global(), &rows, channels, &mut back);
            assert_eq!(back, planes);
        }
    }

    #[test]
    fn patches_keep_the_order_of_a_kernel() {
        let (channels, side, patch) = (3, 12, 4);
        let planes = noise(channels * side * side, 1);
        let mut rows = vec![0.0; planes.len()];
        patch_rows(Pool::global(), &planes, channels, side, patch, &mut rows);
        for (index, value) in rows.into_iter().enumerate() {
            let (at, x) = (index / patch, index % patch);
            let (at, y) = (at / patch, at % patch);
            let (tile, channel) = (at / channels, at % channels);
            let (top, left) = (tile / (side / patch) * patch, tile % (side / patch) * patch);
            assert_eq!(value, planes[(channel * side + top + y) * side + left + x]);
        }
    }

    #[test]
    fn a_rim_is_zero_and_the_middle_is_the_map() {
        let map = noise(3 * 4 * 2, 1);
        let mut padded = vec![9.0; 5 * 6 * 2];
        with_rim(Pool::global(), &map, 4, 2, 1, &mut padded);
        for y in 0..5 {
            for x in 0..6 {
                let inside = (1..4).contains(&y) && (1..5).contains(&x);
                for c in 0..2 {
                    let want = if inside { map[((y - 1) * 4 + x - 1) * 2 + c] } else { 0.0 };
                    assert_eq!(padded[(y * 6 + x) * 2 + c], want);
                }
            }
        }
    }
}

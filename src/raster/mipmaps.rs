//! A picture as RGBA in halving sizes, as the GPU wants it: the small sizes are soon there, and enough for a fitted view.
//!
//! The levels are made here and not on the GPU so that they are the same on every machine, odd sizes do not shift the
//! picture, and the small levels can be shown before the finest one is made.
//!
//! Invariant: each texel of a level is the mean of exactly the part of the finer level that it covers, in sRGB-encoded
//! values, as egui blends.

use super::Picture;
use rayon::prelude::*;

/// One size of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// RGBA, `[height, width, 4]`; alpha is 255.
    pub rgba: Vec<u8>,
}

/// The picture itself as RGBA. Slow for large pictures (12 megapixels take tens of milliseconds): not for a thread that
/// must not wait.
pub fn finest_level(picture: &Picture) -> Level {
    let mut rgba = vec![255u8; picture.width as usize * picture.height as usize * 4];
    let rows = rgba.par_chunks_mut(picture.width.max(1) as usize * 4);
    rows.zip(picture.rgb.par_chunks(picture.width.max(1) as usize * 3)).for_each(|(to, from)| {
        for (to, from) in to.as_chunks_mut::<4>().0.iter_mut().zip(from.as_chunks::<3>().0) {
            to[..3].copy_from_slice(from);
        }
    });
    Level { width: picture.width, height: picture.height, rgba }
}

/// The picture halved once, twice and so on, to one texel; empty for a picture of one pixel. A tenth of the work of
/// [`finest_level`] and it, but not for a thread that must not wait either.
pub fn coarser_levels(picture: &Picture) -> Vec<Level> {
    if picture.width <= 1 && picture.height <= 1 {
        return Vec::new();
    }
    let mut levels = vec![halved::<3>(&picture.rgb, picture.width, picture.height)];
    while let Some(last) = levels.last().filter(|l| l.width > 1 || l.height > 1) {
        levels.push(halved::<4>(&last.rgba, last.width, last.height));
    }
    levels
}

/// For each target cell of a halved axis: the first source cell and the weights of it and the next two, in 1/256,
/// summing to 256. An even length takes the mean of two; an odd length `2m + 1` spreads `2 + 1/m` cells over three.
fn axis(length: u32) -> Vec<(usize, [u32; 3])> {
    let target = (length / 2).max(1);
    (0..target)
        .map(|i| {
            if length == 1 {
                return (0, [256, 0, 0]);
            }
            if length.is_multiple_of(2) {
                return (2 * i as usize, [128, 128, 0]);
            }
            let first = (256 * u64::from(target - i) / u64::from(length)) as u32;
            let last = (256 * u64::from(i + 1) / u64::from(length)) as u32;
            (2 * i as usize, [first, 256 - first - last, last])
        })
        .collect()
}

/// Half the size, from `CHANNELS` bytes a pixel (3 or 4) to RGBA.
fn halved<const CHANNELS: usize>(source: &[u8], width: u32, height: u32) -> Level {
    let (columns, rows) = (axis(width), axis(height));
    let stride = width as usize * CHANNELS;
    let mut rgba = vec![255u8; columns.len() * rows.len() * 4];
    let even = width.is_multiple_of(2) && height.is_multiple_of(2);
    let lines = rgba.par_chunks_exact_mut(columns.len() * 4).zip(&rows);
    lines.with_min_len(16).for_each_init(
        || vec![0u32; if even { 0 } else { stride }],
        |line, (out, &(y, weights))| {
            if even {
                halve_even_row::<CHANNELS>(out, &source[y * stride..][..stride], &source[(y + 1) * stride..][..stride]);
                return;
            }
            // Rows first, kept in 1/256, then columns.
            line.fill(0);
            for (tap, &weight) in weights.iter().enumerate().filter(|(_, w)| **w > 0) {
                for (sum, &value) in line.iter_mut().zip(&source[(y + tap) * stride..][..stride]) {
                    *sum += weight * u32::from(value);
                }
            }
            for (to, &(x, weights)) in out.chunks_exact_mut(4).zip(&columns) {
                for c in 0..3 {
                    let mut sum = 0;
                    for (tap, &weight) in weights.iter().enumerate().filter(|(_, w)| **w > 0) {
                        sum += weight * line[(x + tap) * CHANNELS + c];
                    }
                    to[c] = ((sum + (1 << 15)) >> 16) as u8;
                }
            }
        },
    );
    Level { width: columns.len() as u32, height: rows.len() as u32, rgba }
}

/// Two rows of even length into one of half the length.
fn halve_even_row<const CHANNELS: usize>(out: &mut [u8], upper: &[u8], lower: &[u8]) {
    let pairs = upper.chunks_exact(2 * CHANNELS).zip(lower.chunks_exact(2 * CHANNELS));
    for (to, (a, b)) in out.chunks_exact_mut(4).zip(pairs) {
        for c in 0..3 {
            let sum = u16::from(a[c]) + u16::from(a[c + CHANNELS]) + u16::from(b[c]) + u16::from(b[c + CHANNELS]);
            to[c] = ((sum + 2) >> 2) as u8;
        }
    }
}

//! Resizing pictures exactly as Pillow does: bilinear with antialias, on 8-bit values.
//!
//! Invariant: byte for byte Pillow's `Image.resize(size, BILINEAR)`, because the models were trained and measured on
//! pixels made by it (`tests/golden/resize.py` made the proof). Hence Pillow's order (columns, then rows, rounded to
//! bytes in between) and its fixed-point weights. Source: Pillow, `libImaging/Resample.c`. Pillow of late 2026 takes the
//! rows first where the height shrinks clearly more than the width; views keep their proportions, so only slivers of a
//! few pixels would differ, by one level.

use crate::geometry::PixelRect;

/// Fractional bits of a weight: 32 less 8 for the pixel and 2 against overflow.
const WEIGHT_BITS: u32 = 32 - 8 - 2;
/// A half, so that the shift rounds.
const HALF: i32 = 1 << (WEIGHT_BITS - 1);

/// Resizes the part `view` of a picture. Neighbours outside the view have no influence.
///
/// # Shapes
/// `rgb`: `[height, width, 3]` for `size = (width, height)`, 0..=255; result `[to.1, to.0, 3]`; `to` is (width, height).
///
/// # Panics
/// If `rgb` has another length, the view leaves the picture, or a side is 0: callers check these as their own input.
pub fn resize_rgb(rgb: &[u8], size: (u32, u32), view: PixelRect, to: (u32, u32)) -> Vec<u8> {
    let (width, height) = size;
    assert_eq!(rgb.len(), width as usize * height as usize * 3, "pixels of a {width} x {height} picture");
    assert!(view.right() <= width && view.bottom() <= height, "{view:?} lies in a {width} x {height} picture");
    assert!(view.width > 0 && view.height > 0 && to.0 > 0 && to.1 > 0, "{view:?} to {to:?} has pixels");
    let rows = rgb.chunks_exact(width as usize * 3).skip(view.y as usize).take(view.height as usize);
    let rows = rows.map(|row| &row[view.x as usize * 3..][..view.width as usize * 3]);
    let mut narrowed = Vec::with_capacity(to.0 as usize * view.height as usize * 3);
    if to.0 == view.width {
        rows.for_each(|row| narrowed.extend_from_slice(row));
    } else {
        let columns = taps(view.width, to.0);
        rows.for_each(|row| narrowed.extend(columns.iter().flat_map(|taps| weighted_pixel(row, taps))));
    }
    if to.1 == view.height {
        return narrowed;
    }
    let row_bytes = to.0 as usize * 3;
    let mut out = Vec::with_capacity(row_bytes * to.1 as usize);
    let mut sums = vec![0i32; row_bytes];
    for Taps { first, weights } in taps(view.height, to.1) {
        sums.fill(HALF);
        for (row, weight) in narrowed[first * row_bytes..].chunks_exact(row_bytes).zip(weights) {
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += i32::from(value) * weight);
        }
        out.extend(sums.iter().map(|&sum| byte(sum)));
    }
    out
}

/// Which source pixels make a target pixel, along one axis.
struct Taps {
    /// The first source pixel.
    first: usize,
    /// The share of each, from the first on; together about `1 << WEIGHT_BITS`.
    weights: Vec<i32>,
}

/// A triangle over each target pixel's centre, as wide as two target pixels or two source pixels, whichever is more.
fn taps(from: u32, to: u32) -> Vec<Taps> {
    let scale = f64::from(from) / f64::from(to);
    let support = scale.max(1.0);
    let tap = |target: u32| {
        let centre = (f64::from(target) + 0.5) * scale;
        let first = (centre - support + 0.5).max(0.0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from as usize);
        let share = |source: usize| (1.0 - ((source as f64 - centre + 0.5) * (1.0 / support)).abs()).max(0.0);
        let shares: Vec<f64> = (first..end).map(share).collect();
        let sum: f64 = shares.iter().sum();
        let fixed = |share: &f64| (0.5 + share / sum * f64::from(1 << WEIGHT_BITS)) as i32;
        Taps { first, weights: shares.iter().map(fixed).collect() }
    };
    (0..to).map(tap).collect()
}

fn weighted_pixel(row: &[u8], taps: &Taps) -> [u8; 3] {
    let mut sums = [HALF; 3];
    for (pixel, weight) in row.as_chunks::<3>().0[taps.first..].iter().zip(&taps.weights) {
        for (sum, &value) in sums.iter_mut().zip(pixel) {
            *sum += i32::from(value) * weight;
        }
    }
    sums.map(byte)
}

fn byte(sum: i32) -> u8 {
    (sum >> WEIGHT_BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The picture of `tests/golden/resize.py`: noise from a linear congruential generator.
    fn noise(width: u32, height: u32) -> Vec<u8> {
        let mut state = 12_345u32;
        (0..width * height * 3)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect()
    }

    #[test]
    fn equals_pillow() {
        let file = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/resize.bin")).unwrap();
        let mut rest = file.as_slice();
        for (size, to) in [((61, 43), (32, 23)), ((61, 43), (96, 68)), ((200, 7), (51, 2)), ((3, 150), (1, 40))] {
            let (want, tail) = rest.split_at((to.0 * to.1 * 3) as usize);
            rest = tail;
            let got = resize_rgb(&noise(size.0, size.1), size, PixelRect::of_size(size.0, size.1), to);
            // The sliver's height shrinks by 3.75 and its width by 3: there the Pillow that made the file took rows first.
            let allowed = u8::from(size == (3, 150));
            assert_eq!(got.len(), want.len());
            assert!(got.iter().zip(want).all(|(g, w)| g.abs_diff(*w) <= allowed), "{size:?} to {to:?}");
        }
        assert!(rest.is_empty());
    }

    #[test]
    fn a_view_is_resized_as_if_it_were_the_picture() {
        let (width, height) = (30, 20);
        let rgb = noise(width, height);
        let view = PixelRect { x: 7, y: 3, width: 12, height: 11 };
        let row = |y: usize| &rgb[(y * 30 + 7) * 3..][..12 * 3];
        let alone: Vec<u8> = (3..14).flat_map(row).copied().collect();
        let got = resize_rgb(&rgb, (width, height), view, (5, 6));
        assert_eq!(got, resize_rgb(&alone, (12, 11), PixelRect::of_size(12, 11), (5, 6)));
    }
}

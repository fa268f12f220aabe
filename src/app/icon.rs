//! The window's icon, drawn by rule so that no picture file has to be kept: a lit outline with a point inside.

/// RGBA bytes of a square icon of this side.
pub fn icon_rgba(side: u32) -> Vec<u8> {
    let mut rgba = Vec::with_capacity(side as usize * side as usize * 4);
    let unit = side as f32;
    for y in 0..side {
        for x in 0..side {
            let (x, y) = ((x as f32 + 0.5) / unit - 0.5, (y as f32 + 0.5) / unit - 0.5);
            rgba.extend(pixel(x, y, 1.2 / unit));
        }
    }
    rgba
}

/// The colour at a point of the square -0.5..0.5; `soft` is the width of an edge.
fn pixel(x: f32, y: f32, soft: f32) -> [u8; 4] {
    let cover = |distance: f32| (0.5 - distance / soft).clamp(0.0, 1.0);
    // A square with round corners.
    let (corner, half) = (0.14, 0.47);
    let (dx, dy) = ((x.abs() - half + corner).max(0.0), (y.abs() - half + corner).max(0.0));
    let tile = cover(dx.hypot(dy) - corner);
    // A pebble: a circle whose radius changes a little with the angle.
    let angle = y.atan2(x);
    let pebble = 0.28 + 0.025 * (2.0 * angle + 0.6).sin() + 0.018 * (3.0 * angle).cos();
    let distance = x.hypot(y) - pebble;
    let inside = cover(distance);
    let outline = cover(distance.abs() - 0.028);
    let point = cover(x.hypot(y) - 0.085);
    let mix = |from: [f32; 3], to: [f32; 3], share: f32| {
        std::array::from_fn::<f32, 3, _>(|i| from[i] + (to[i] - from[i]) * share)
    };
    let shade = (0.5 - y).clamp(0.0, 1.0);
    let mut color = mix([30.0, 34.0, 46.0], [46.0, 54.0, 76.0], shade);
    color = mix(color, [94.0, 129.0, 244.0], inside * 0.55);
    color = mix(color, [190.0, 207.0, 255.0], outline);
    color = mix(color, [255.0, 255.0, 255.0], point);
    [color[0] as u8, color[1] as u8, color[2] as u8, (tile * 255.0) as u8]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_icon_has_clear_corners_and_a_white_point() {
        let rgba = icon_rgba(64);
        assert_eq!(rgba.len(), 64 * 64 * 4);
        assert_eq!(rgba[3], 0);
        let middle = (32 * 64 + 32) * 4;
        assert_eq!(rgba[middle..middle + 4], [255, 255, 255, 255]);
    }
}

//! Colours of labels and objects, and a palette whose neighbours are easy to tell apart.

use serde::{Deserialize, Serialize};

/// An opaque sRGB colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Colour {
    /// Red, 0..=255.
    pub r: u8,
    /// Green, 0..=255.
    pub g: u8,
    /// Blue, 0..=255.
    pub b: u8,
}

impl Colour {
    /// A colour from its parts.
    pub const fn new(r: u8, g: u8, b: u8) -> Self {
        Self { r, g, b }
    }

    /// The `index`-th colour of an endless palette: hues a golden angle apart, so that neighbours differ strongly.
    pub fn from_palette(index: usize) -> Self {
        const GOLDEN: f32 = 0.618_034;
        // The lightness changes from round to round, since hues alone come close to each other after a dozen.
        let hue = (0.58 + index as f32 * GOLDEN).fract();
        let value = [0.95, 0.78, 0.88][index / 5 % 3];
        let saturation = [0.72, 0.85, 0.6][index / 3 % 3];
        Self::from_hsv(hue, saturation, value)
    }

    /// As `0xRRGGBB`.
    pub const fn to_hex(self) -> u32 {
        (self.r as u32) << 16 | (self.g as u32) << 8 | self.b as u32
    }

    /// From `0xRRGGBB`; higher bits are ignored.
    pub const fn from_hex(hex: u32) -> Self {
        Self { r: (hex >> 16) as u8, g: (hex >> 8) as u8, b: hex as u8 }
    }

    /// All parts 0..=1.
    fn from_hsv(hue: f32, saturation: f32, value: f32) -> Self {
        let part = |n: f32| {
            let k = (n + hue * 6.0) % 6.0;
            let level = value - value * saturation * k.min(4.0 - k).clamp(0.0, 1.0);
            (level * 255.0).round() as u8
        };
        Self { r: part(5.0), g: part(3.0), b: part(1.0) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn palette_neighbours_differ_and_hex_is_the_same_colour() {
        for index in 0..40 {
            let (a, b) = (Colour::from_palette(index), Colour::from_palette(index + 1));
            let distance = a.r.abs_diff(b.r) as u32 + a.g.abs_diff(b.g) as u32 + a.b.abs_diff(b.b) as u32;
            assert!(distance > 90, "{index}: {a:?} {b:?}");
            assert_eq!(Colour::from_hex(a.to_hex()), a);
        }
        assert_eq!(Colour::from_hsv(0.0, 1.0, 1.0), Colour::new(255, 0, 0));
        assert_eq!(Colour::from_hsv(1.0 / 3.0, 1.0, 1.0), Colour::new(0, 255, 0));
    }
}

//! A mask laid out flat, one byte a pixel: the working form. [`crate::raster::Mask`] is the form that is kept.

/// Row-major bits of a picture's size; a byte is 0 (outside) or 1 (inside).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmap {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// `width * height` bytes, 0 or 1.
    pub data: Vec<u8>,
}

impl Bitmap {
    /// All outside.
    pub fn new(width: u32, height: u32) -> Self {
        Self { width, height, data: vec![0; width as usize * height as usize] }
    }

    /// A bitmap from a rule on columns and rows.
    pub fn from_fn(width: u32, height: u32, mut inside: impl FnMut(u32, u32) -> bool) -> Self {
        let mut data = Vec::with_capacity(width as usize * height as usize);
        for y in 0..height {
            data.extend((0..width).map(|x| u8::from(inside(x, y))));
        }
        Self { width, height, data }
    }

    /// Whether the pixel is inside; pixels beyond the edges are outside.
    pub fn get(&self, x: u32, y: u32) -> bool {
        x < self.width && y < self.height && self.data[y as usize * self.width as usize + x as usize] != 0
    }

    /// Number of pixels inside.
    pub fn area(&self) -> u64 {
        self.data.iter().map(|&b| u64::from(b)).sum()
    }
}

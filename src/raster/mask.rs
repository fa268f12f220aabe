//! The mask as it is kept: run lengths in COCO's order. Lossless, small, cheap to clone.
//!
//! Invariant: the runs alternate outside and inside, start with outside (the first may be 0), go down the columns,
//! sum to `width * height`, and no run after the first is 0. Source: cocoapi `maskApi.c`.

use super::Bitmap;
use crate::geometry::PixelRect;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Why run lengths are no mask.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum MaskError {
    /// The runs cover another number of pixels.
    #[error("the run lengths cover {found} pixels, expected {width} x {height} = {expected}")]
    Sum {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Pixels expected.
        expected: u64,
        /// Pixels covered.
        found: u64,
    },
    /// More pixels than a run can count.
    #[error("a mask of {width} x {height} pixels is too large, expected at most 65,535 a side")]
    TooLarge {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
}

/// A lossless mask of a picture's size as column-major run lengths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StoredMask", into = "StoredMask")]
pub struct Mask {
    width: u32,
    height: u32,
    runs: Arc<[u32]>,
}

#[derive(Serialize, Deserialize)]
struct StoredMask {
    width: u32,
    height: u32,
    runs: Vec<u32>,
}

impl From<Mask> for StoredMask {
    fn from(mask: Mask) -> Self {
        Self { width: mask.width, height: mask.height, runs: mask.runs.to_vec() }
    }
}

impl TryFrom<StoredMask> for Mask {
    type Error = MaskError;
    fn try_from(stored: StoredMask) -> Result<Self, MaskError> {
        Self::from_runs(stored.width, stored.height, &stored.runs)
    }
}

impl Mask {
    /// A mask from run lengths; runs of 0 in the middle are merged away.
    ///
    /// # Errors
    /// [`MaskError::Sum`] if the runs do not cover exactly `width * height` pixels, [`MaskError::TooLarge`] if these
    /// are 2^32 or more.
    pub fn from_runs(width: u32, height: u32, runs: &[u32]) -> Result<Self, MaskError> {
        let expected = u64::from(width) * u64::from(height);
        if expected > u64::from(u32::MAX) {
            return Err(MaskError::TooLarge { width, height });
        }
        let found = runs.iter().map(|&r| u64::from(r)).sum();
        if found != expected {
            return Err(MaskError::Sum { width, height, expected, found });
        }
        let mut builder = RunBuilder::default();
        for (index, &run) in runs.iter().enumerate() {
            builder.push(index % 2 == 1, run);
        }
        Ok(Self { width, height, runs: builder.finish() })
    }

    /// The mask of a bitmap.
    pub fn from_bitmap(bitmap: &Bitmap) -> Self {
        let (width, height) = (bitmap.width as usize, bitmap.height as usize);
        let mut builder = RunBuilder::default();
        // Columns are walked in strips so that each cache line of the row-major bytes is read once a strip.
        const STRIP: usize = 64;
        let mut strip = vec![0u8; STRIP * height];
        for x0 in (0..width).step_by(STRIP) {
            let columns = STRIP.min(width - x0);
            for y in 0..height {
                let row = &bitmap.data[y * width + x0..y * width + x0 + columns];
                for (column, &byte) in row.iter().enumerate() {
                    strip[column * height + y] = byte;
                }
            }
            for column in strip[..columns * height].chunks_exact(height.max(1)) {
                let mut rest = column;
                while let Some(&first) = rest.first() {
                    let length = rest.iter().position(|&b| b != first).unwrap_or(rest.len());
                    builder.push(first != 0, length as u32);
                    rest = &rest[length..];
                }
            }
        }
        Self { width: bitmap.width, height: bitmap.height, runs: builder.finish() }
    }

    /// The union of spans of pixels, in any order, overlapping or not. A span is a first and an end index (exclusive),
    /// counted down the columns; what lies beyond the last pixel is cut off. Sides are at most 65,535.
    pub fn from_spans(width: u32, height: u32, mut spans: Vec<(u32, u32)>) -> Self {
        let end_of_all = width.saturating_mul(height);
        if !spans.is_sorted() {
            spans.sort_unstable();
        }
        let mut builder = RunBuilder::default();
        let mut at = 0;
        for (start, end) in spans {
            let (start, end) = (start.max(at).min(end_of_all), end.min(end_of_all));
            if end > start {
                builder.push(false, start - at);
                builder.push(true, end - start);
                at = end;
            }
        }
        builder.push(false, end_of_all - at);
        Self { width, height, runs: builder.finish() }
    }

    /// The union of masks. All must have this size: pixels of a mask of another size would land elsewhere.
    pub fn union_of<'a>(width: u32, height: u32, masks: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut spans = Vec::new();
        for mask in masks {
            let mut at = 0u32;
            for pair in mask.runs.chunks(2) {
                let start = at + pair[0];
                at = start + pair.get(1).copied().unwrap_or(0);
                spans.push((start, at));
            }
        }
        Self::from_spans(width, height, spans)
    }

    /// The mask laid out flat.
    pub fn to_bitmap(&self) -> Bitmap {
        let mut bitmap = Bitmap::new(self.width, self.height);
        let width = self.width as usize;
        self.for_each_inside_segment(|x, y0, y1| {
            for y in y0..y1 {
                bitmap.data[y as usize * width + x as usize] = 1;
            }
        });
        bitmap
    }

    /// Calls `visit(x, y0, y1)` for each vertical segment of inside pixels, rows `y0..y1` of column `x`, in order.
    pub fn for_each_inside_segment(&self, mut visit: impl FnMut(u32, u32, u32)) {
        let height = u64::from(self.height);
        let mut at = 0u64;
        for (index, &run) in self.runs.iter().enumerate() {
            let end = at + u64::from(run);
            if index % 2 == 1 {
                while at < end {
                    let (x, y) = (at / height, at % height);
                    let stop = (y + (end - at)).min(height);
                    visit(x as u32, y as u32, stop as u32);
                    at += stop - y;
                }
            }
            at = end;
        }
    }

    /// Columns of the picture.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Rows of the picture.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Column-major run lengths, starting with outside.
    pub fn runs(&self) -> &[u32] {
        &self.runs
    }

    /// Number of pixels inside.
    pub fn area(&self) -> u64 {
        self.runs.iter().skip(1).step_by(2).map(|&r| u64::from(r)).sum()
    }

    /// Whether no pixel is inside.
    pub fn is_empty(&self) -> bool {
        self.runs.len() < 2
    }

    /// The smallest rectangle that holds all pixels inside; `None` for an empty mask.
    pub fn bounds(&self) -> Option<PixelRect> {
        let (mut x0, mut y0, mut x1, mut y1) = (u32::MAX, u32::MAX, 0, 0);
        self.for_each_inside_segment(|x, top, bottom| {
            x0 = x0.min(x);
            x1 = x1.max(x + 1);
            y0 = y0.min(top);
            y1 = y1.max(bottom);
        });
        (x1 > x0).then(|| PixelRect { x: x0, y: y0, width: x1 - x0, height: y1 - y0 })
    }

    /// Whether the pixel in this column and row is inside.
    pub fn contains(&self, x: u32, y: u32) -> bool {
        if x >= self.width || y >= self.height {
            return false;
        }
        let at = u64::from(x) * u64::from(self.height) + u64::from(y);
        let mut end = 0u64;
        for (index, &run) in self.runs.iter().enumerate() {
            end += u64::from(run);
            if at < end {
                return index % 2 == 1;
            }
        }
        false
    }

    /// Bytes that the runs take in memory.
    pub fn byte_size(&self) -> usize {
        self.runs.len() * size_of::<u32>()
    }
}

/// Collects runs, merging neighbours of one kind.
#[derive(Default)]
struct RunBuilder {
    runs: Vec<u32>,
}

impl RunBuilder {
    fn push(&mut self, inside: bool, length: u32) {
        if self.runs.is_empty() {
            self.runs.push(0);
        }
        if length == 0 {
            return;
        }
        if self.runs.len().is_multiple_of(2) == inside {
            if let Some(last) = self.runs.last_mut() {
                *last += length;
            }
        } else {
            self.runs.push(length);
        }
    }

    fn finish(self) -> Arc<[u32]> {
        self.runs.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bitmap() -> impl Strategy<Value = Bitmap> {
        (1u32..90, 1u32..70).prop_flat_map(|(width, height)| {
            proptest::collection::vec(0u8..2, (width * height) as usize).prop_map(move |data| Bitmap {
                width,
                height,
                data,
            })
        })
    }

    proptest! {
        #[test]
        fn a_mask_is_its_bitmap(bitmap in bitmap()) {
            let mask = Mask::from_bitmap(&bitmap);
            prop_assert_eq!(&mask.to_bitmap(), &bitmap);
            prop_assert_eq!(mask.area(), bitmap.area());
            prop_assert_eq!(&Mask::from_runs(bitmap.width, bitmap.height, mask.runs()).expect("its own runs"), &mask);
            prop_assert!(mask.runs().iter().skip(1).all(|&r| r > 0));
            for (x, y) in [(0, 0), (bitmap.width - 1, bitmap.height - 1), (bitmap.width / 2, bitmap.height / 3)] {
                prop_assert_eq!(mask.contains(x, y), bitmap.get(x, y));
            }
            let bounds = mask.bounds();
            prop_assert_eq!(bounds.is_none(), bitmap.area() == 0);
            if let Some(b) = bounds {
                prop_assert!((b.y..b.bottom()).any(|y| bitmap.get(b.x, y)) && (b.y..b.bottom()).any(|y| bitmap.get(b.right() - 1, y)));
                prop_assert!((b.x..b.right()).any(|x| bitmap.get(x, b.y)) && (b.x..b.right()).any(|x| bitmap.get(x, b.bottom() - 1)));
            }
        }
    }

    #[test]
    fn runs_that_do_not_fit_are_refused() {
        assert_eq!(Mask::from_runs(3, 2, &[4, 1]), Err(MaskError::Sum { width: 3, height: 2, expected: 6, found: 5 }));
        assert!(Mask::from_runs(3, 2, &[u32::MAX, u32::MAX]).is_err());
        let huge = Mask::from_runs(65_536, 65_536, &[u32::MAX, 0, 1]);
        assert_eq!(huge, Err(MaskError::TooLarge { width: 65_536, height: 65_536 }));
    }

    #[test]
    fn spans_are_united_in_any_order() {
        let mask = Mask::from_spans(4, 3, vec![(7, 9), (0, 2), (1, 5), (8, 8), (9, 20)]);
        assert_eq!(mask.runs(), &[0, 5, 2, 5]);
        assert_eq!(Mask::from_spans(4, 3, Vec::new()).runs(), &[12]);
        let (a, b) = (Mask::from_runs(2, 2, &[1, 1, 2]).unwrap(), Mask::from_runs(2, 2, &[3, 1]).unwrap());
        assert_eq!(Mask::union_of(2, 2, [&a, &b]).runs(), &[1, 1, 1, 1]);
    }

    #[test]
    fn zero_runs_in_the_middle_are_merged() {
        let mask = Mask::from_runs(3, 2, &[2, 0, 1, 2, 0, 1]).expect("sums to 6");
        assert_eq!(mask.runs(), &[3, 3]);
    }
}

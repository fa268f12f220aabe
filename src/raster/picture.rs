//! A decoded picture: upright, 8-bit RGB, shared without copying.

use std::sync::Arc;

/// An oriented picture in memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// Columns after orientation.
    pub width: u32,
    /// Rows after orientation.
    pub height: u32,
    /// RGB, `[height, width, 3]`, 0..=255.
    pub rgb: Arc<[u8]>,
    /// What a user should know about how the file became these pixels.
    pub notes: Vec<PictureNote>,
}

/// Something that decoding changed or left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureNote {
    /// The file is animated or has several pages; only the first frame or page is shown.
    FirstFrameOnly,
    /// The EXIF orientation (2..=8) was applied.
    Reoriented(u8),
    /// More than 8 bits a channel were reduced to 8.
    ReducedTo8Bit,
    /// Transparent pixels were laid over white.
    AlphaFlattened,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Picture({} x {}, {:?})", self.width, self.height, self.notes)
    }
}

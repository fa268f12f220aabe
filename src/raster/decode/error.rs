//! Why a file gave no picture: what was found, what was expected and what to do, ready to be shown to a user.

use super::{MAX_DECODED_BYTES, MAX_FILE_BYTES, MAX_SIDE};

/// Why a file gave no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The system would not read the file.
    #[error("{name}: cannot be read ({source}); check that it is there and that you may read it")]
    Unreadable {
        /// The file.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A folder, a pipe or a device.
    #[error("{name}: is not an ordinary file; give the path of a picture file")]
    NotAFile {
        /// The path.
        name: String,
    },
    /// The file itself is longer than any picture that would be accepted.
    #[error("{name}: the file has {bytes} bytes, expected at most {}; save it smaller or compressed", MAX_FILE_BYTES)]
    FileTooLong {
        /// The file.
        name: String,
        /// Its length in bytes.
        bytes: u64,
    },
    /// The content is of no known picture format.
    #[error(
        "{name}: found {found}, expected JPEG, PNG, WebP, TIFF, BMP, PNM or GIF content; save it as one of these \
         (the content counts, not the name)"
    )]
    NotAPicture {
        /// The file.
        name: String,
        /// What it looks like instead.
        found: String,
    },
    /// A known format in a variant that is not read.
    #[error("{name}: this kind of {format} is not read ({reason}); save it as an 8-bit or 16-bit RGB or grey picture")]
    Unsupported {
        /// The file.
        name: String,
        /// The format, such as "TIFF".
        format: &'static str,
        /// What is unusual about it.
        reason: String,
    },
    /// No columns or no rows.
    #[error("{name}: the {format} header says {width} x {height} pixels, expected at least 1 x 1; the file is damaged")]
    NoPixels {
        /// The file.
        name: String,
        /// The format.
        format: &'static str,
        /// Columns found.
        width: u32,
        /// Rows found.
        height: u32,
    },
    /// Longer than the cap on a side.
    #[error("{name}: has {width} x {height} pixels, expected at most {} a side; save it smaller", MAX_SIDE)]
    SideTooLong {
        /// The file.
        name: String,
        /// Columns found.
        width: u32,
        /// Rows found.
        height: u32,
    },
    /// More decoded bytes than the cap.
    #[error(
        "{name}: {width} x {height} pixels would take {bytes} bytes, expected at most {}; save it smaller",
        MAX_DECODED_BYTES
    )]
    TooManyPixels {
        /// The file.
        name: String,
        /// Columns found.
        width: u32,
        /// Rows found.
        height: u32,
        /// Bytes that the pixels would take.
        bytes: u64,
    },
    /// The decoder would have needed more memory than it is allowed.
    #[error("{name}: decoding this {format} needs more memory than is allowed; save it smaller or less compressed")]
    OverDecoderLimit {
        /// The file.
        name: String,
        /// The format.
        format: &'static str,
    },
    /// The machine has not that much memory free.
    #[error("{name}: {width} x {height} pixels need {bytes} bytes of memory, which are not free; close other programs")]
    OutOfMemory {
        /// The file.
        name: String,
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes asked for.
        bytes: u64,
    },
    /// The file ends before its picture does.
    #[error("{name}: the {format} file ends after {found_bytes} bytes, before its picture does; copy it again")]
    CutShort {
        /// The file.
        name: String,
        /// The format.
        format: &'static str,
        /// Length of the file in bytes.
        found_bytes: u64,
    },
    /// The content contradicts itself or its format.
    #[error("{name}: the {format} file is damaged ({reason}); copy it again or save it anew")]
    Damaged {
        /// The file.
        name: String,
        /// The format.
        format: &'static str,
        /// What the decoder said.
        reason: String,
    },
}

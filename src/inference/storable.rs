//! The one embedding that every caller decodes from, whether it was computed just now or read from a disk.
//!
//! Invariant: an embedding is rounded to what the disk keeps (f16) before its first use. So a mask does not depend on
//! whether the embedding was computed just now or read from a cache, nor on whether the window or the command line
//! asked.

use super::segmenter::{Embedding, EncodeControl, InferenceError, PreparedView, Segmenter};

/// An embedding and its bytes for the disk; restoring the bytes gives the same embedding, bit for bit.
pub struct StorableEmbedding {
    /// Rounded to what `stored` holds.
    pub embedding: Embedding,
    /// [`Segmenter::store_embedding`]'s bytes.
    pub stored: Vec<u8>,
}

/// Runs the image encoder and rounds its answer to what the disk keeps.
///
/// # Errors
/// Those of [`Segmenter::encode`], and of storing and restoring its answer.
pub fn encode_storable(
    segmenter: &dyn Segmenter,
    view: &PreparedView,
    control: &EncodeControl<'_>,
) -> Result<StorableEmbedding, InferenceError> {
    let stored = segmenter.store_embedding(&segmenter.encode(view, control)?)?;
    let embedding = segmenter.restore_embedding(&stored)?;
    Ok(StorableEmbedding { embedding, stored })
}

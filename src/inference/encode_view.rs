//! From a view of a picture to the one embedding that every caller decodes from, fresh or from the disk.
//!
//! Invariant: an embedding is rounded to what the disk keeps (f16) before its first use. So a mask does not depend on
//! whether the embedding was computed just now or read from a cache, nor on whether the window or the command line
//! asked.

use super::segmenter::{Embedding, EncodeControl, EncodedView, InferenceError, PreparedView, Segmenter};
use crate::geometry::PixelRect;
use crate::raster::Picture;

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

/// Resizes and encodes a view of a picture: all that [`super::predict`] needs.
///
/// # Errors
/// A view outside the picture, and those of [`encode_storable`].
pub fn encode_view(
    segmenter: &dyn Segmenter,
    picture: &Picture,
    view: PixelRect,
    control: &EncodeControl<'_>,
) -> Result<EncodedView, InferenceError> {
    let prepared = segmenter.prepare(&picture.rgb, picture.width, picture.height, view)?;
    let embedding = encode_storable(segmenter, &prepared, control)?.embedding;
    Ok(EncodedView { frame: prepared.frame, embedding })
}

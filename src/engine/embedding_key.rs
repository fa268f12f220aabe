//! What an embedding is found by: a hash of exactly what the encoder saw, and of which encoder it was.
//!
//! Invariant: two views share a key only if the encoder would give both the same embedding. Names and dates of files
//! play no part.

use crate::inference::PreparedView;
use sha2::{Digest, Sha256};

/// SHA-256 of the model's id, the size of the prepared pixels and the pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct EmbeddingKey(pub [u8; 32]);

impl EmbeddingKey {
    /// The key of a prepared view for the model of this id.
    pub fn of(model_id: &str, view: &PreparedView) -> Self {
        let mut hash = Sha256::new();
        // Lengths stand before what varies, so that no two inputs run together to the same bytes.
        hash.update((model_id.len() as u64).to_le_bytes());
        hash.update(model_id.as_bytes());
        for side in [view.frame.content_width, view.frame.content_height, view.frame.input_side] {
            hash.update(side.to_le_bytes());
        }
        hash.update(&view.rgb);
        Self(hash.finalize().into())
    }

    /// As 64 hexadecimal digits.
    pub fn to_hex(self) -> String {
        use std::fmt::Write;
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::PixelRect;
    use crate::inference::ViewFrame;

    #[test]
    fn the_key_changes_with_pixels_shape_and_model_but_not_with_the_place() {
        let view = |width, height, x, first| PreparedView {
            frame: ViewFrame {
                image_width: 100,
                image_height: 100,
                view: PixelRect { x, y: 0, width: 10, height: 10 },
                content_width: width,
                content_height: height,
                input_side: 8,
            },
            rgb: std::iter::once(first).chain(std::iter::repeat(7)).take(3 * 8 * 4).collect(),
        };
        let key = EmbeddingKey::of("model", &view(8, 4, 0, 1));
        assert_eq!(key, EmbeddingKey::of("model", &view(8, 4, 50, 1)));
        assert_ne!(key, EmbeddingKey::of("model", &view(8, 4, 0, 2)));
        assert_ne!(key, EmbeddingKey::of("model", &view(4, 8, 0, 1)));
        assert_ne!(key, EmbeddingKey::of("other", &view(8, 4, 0, 1)));
        assert_eq!(key.to_hex().len(), 64);
    }
}

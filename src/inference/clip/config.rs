//! What the shapes of a CLIP file say about its image tower.
//!
//! Invariant: heads are 64 channels wide and the activation is `quick_gelu`, which shapes do not tell but which holds for
//! all of OpenAI's ViTs (B/32, B/16, L/14); wider towers, of others, are refused.

use crate::inference::segmenter::InferenceError;
use crate::inference::weights::Weights;

/// Channels of a head in OpenAI's towers.
const HEAD: usize = 64;
/// Channels of OpenAI's widest tower, L/14.
const MOST_CHANNELS: usize = 1024;

/// The tower's plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClipImageConfig {
    /// Channels of a token.
    pub dim: usize,
    /// Attention heads a layer.
    pub heads: usize,
    /// Channels inside the two-layer part of a layer.
    pub hidden: usize,
    /// Layers.
    pub layers: usize,
    /// Pixels a side of a patch.
    pub patch: usize,
    /// Patches a side of the picture.
    pub grid: usize,
    /// Channels of the features.
    pub outputs: usize,
}

impl ClipImageConfig {
    /// Pixels a side of the square input.
    pub fn input_side(&self) -> usize {
        self.grid * self.patch
    }

    /// Tokens of a picture: its patches and the class token before them.
    pub fn tokens(&self) -> usize {
        self.grid * self.grid + 1
    }

    /// Reads the plan off the shapes of a file in Hugging Face's layout.
    ///
    /// # Errors
    /// Shapes that agree with no CLIP ViT of OpenAI's; the text says which.
    pub(super) fn from_shapes(weights: &Weights) -> Result<Self, InferenceError> {
        let shape = |name: &str| {
            weights.shape(name).map(<[usize]>::to_vec).ok_or_else(|| {
                weights.refuse(format!(
                    "has no tensor {name}, expected in every CLIP with a ViT image tower in Hugging Face's layout; it has \
                     {}: choose another file",
                    weights.some_names()
                ))
            })
        };
        let strange = |name: &str, found: &[usize], expected: &str| {
            weights.refuse(format!(
                "tensor {name} has shape {found:?}, expected {expected}; this is no CLIP ViT of OpenAI's: choose another \
                 file"
            ))
        };
        let name = "vision_model.embeddings.patch_embedding.weight";
        let kernel = shape(name)?;
        let &[dim, 3, patch, patch_width] = kernel.as_slice() else {
            return Err(strange(name, &kernel, "[channels, 3, 32, 32]"));
        };
        if patch == 0 || patch != patch_width || dim == 0 || dim % HEAD != 0 || dim > MOST_CHANNELS {
            let expected = format!("square patches and channels in heads of {HEAD}, at most {MOST_CHANNELS}");
            return Err(strange(name, &kernel, &expected));
        }
        let name = "vision_model.embeddings.position_embedding.weight";
        let positions = shape(name)?;
        let patches = positions.first().map_or(0, |tokens| tokens.saturating_sub(1));
        let grid = patches.isqrt();
        if grid == 0 || grid * grid != patches {
            return Err(strange(name, &positions, &format!("[side * side + 1, {dim}]")));
        }
        let name = "vision_model.encoder.layers.0.mlp.fc1.weight";
        let wide = shape(name)?;
        let &[hidden, _] = wide.as_slice() else { return Err(strange(name, &wide, &format!("[hidden, {dim}]"))) };
        let name = "visual_projection.weight";
        let projection = shape(name)?;
        let &[outputs, _] = projection.as_slice() else {
            return Err(strange(name, &projection, &format!("[features, {dim}]")));
        };
        if hidden == 0 || outputs == 0 {
            return Err(strange(name, &projection, "layers that are not empty"));
        }
        let has = |layer: usize| weights.contains(&format!("vision_model.encoder.layers.{layer}.layer_norm1.weight"));
        let layers = (0..).take_while(|&layer| has(layer)).count();
        Ok(Self { dim, heads: dim / HEAD, hidden, layers, patch, grid, outputs })
    }
}

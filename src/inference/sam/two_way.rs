//! The two-way transformer of SAM's mask decoder: tokens and picture attend to each other.
//!
//! Source: segment_anything/modeling/transformer.py. Invariant: what depends on the picture alone is computed once an
//! embedding ([`PictureSide`]), not once a click.

use super::layers::{DEFAULT_EPSILON, TwoLayers, attend, join_heads, layer_norm, linear, split_heads};
use super::prompt_encoder::DIM;
use crate::inference::segmenter::InferenceError;
use crate::inference::weights::Weights;
use candle_core::{Result, Tensor};
use candle_nn::{LayerNorm, Linear, Module};

const HEADS: usize = 8;
const HIDDEN: usize = 2048;
const DEPTH: usize = 2;

/// Attention between two sets of rows, computed in `inner` channels.
struct Attention {
    q: Linear,
    k: Linear,
    v: Linear,
    out: Linear,
    scale: f64,
}

impl Attention {
    fn load(weights: &Weights, name: &str, inner: usize) -> std::result::Result<Self, InferenceError> {
        let into = |part: &str| linear(weights, &format!("{name}.{part}_proj"), DIM, inner);
        Ok(Self {
            q: into("q")?,
            k: into("k")?,
            v: into("v")?,
            out: linear(weights, &format!("{name}.out_proj"), inner, DIM)?,
            scale: 1.0 / ((inner / HEADS) as f64).sqrt(),
        })
    }

    /// Scaled queries, `[heads, n, inner / heads]`.
    fn queries(&self, rows: &Tensor) -> Result<Tensor> {
        split_heads(&(self.q.forward(rows)? * self.scale)?, HEADS)
    }

    fn keys(&self, rows: &Tensor) -> Result<Tensor> {
        split_heads(&self.k.forward(rows)?, HEADS)
    }

    fn values(&self, rows: &Tensor) -> Result<Tensor> {
        split_heads(&self.v.forward(rows)?, HEADS)
    }

    fn finish(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        self.out.forward(&join_heads(&attend(q, k, v)?)?)
    }

    /// `[n, DIM]`, `[m, DIM]`, `[m, DIM]` to `[n, DIM]`.
    fn forward(&self, q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
        self.finish(&self.queries(q)?, &self.keys(k)?, &self.values(v)?)
    }
}

/// The picture as one block sees it: all of the block's work that no token takes part in.
#[derive(Clone)]
pub(super) struct PictureSide {
    /// `[cells, DIM]`.
    rows: Tensor,
    /// Keys and values for the tokens, queries of the picture: `[heads, cells, depth]`.
    keys: Tensor,
    values: Tensor,
    queries: Tensor,
}

impl PictureSide {
    /// Bytes of the tensors.
    pub(super) fn byte_size(&self) -> usize {
        [&self.rows, &self.keys, &self.values, &self.queries].iter().map(|t| t.elem_count() * size_of::<f32>()).sum()
    }
}

/// One block: tokens among themselves, tokens to picture, two layers on the tokens, picture to tokens.
struct Block {
    self_attention: Attention,
    norm1: LayerNorm,
    token_to_picture: Attention,
    norm2: LayerNorm,
    mlp: TwoLayers,
    norm3: LayerNorm,
    picture_to_token: Attention,
    norm4: LayerNorm,
    /// The first block's tokens are their own positions, so none are added and nothing is kept.
    first: bool,
}

impl Block {
    fn load(weights: &Weights, index: usize) -> std::result::Result<Self, InferenceError> {
        let name = |part: &str| format!("mask_decoder.transformer.layers.{index}.{part}");
        let norm = |number: usize| layer_norm(weights, &name(&format!("norm{number}")), DIM, DEFAULT_EPSILON);
        Ok(Self {
            self_attention: Attention::load(weights, &name("self_attn"), DIM)?,
            norm1: norm(1)?,
            token_to_picture: Attention::load(weights, &name("cross_attn_token_to_image"), DIM / 2)?,
            norm2: norm(2)?,
            mlp: TwoLayers {
                first: linear(weights, &name("mlp.lin1"), DIM, HIDDEN)?,
                second: linear(weights, &name("mlp.lin2"), HIDDEN, DIM)?,
            },
            norm3: norm(3)?,
            picture_to_token: Attention::load(weights, &name("cross_attn_image_to_token"), DIM / 2)?,
            norm4: norm(4)?,
            first: index == 0,
        })
    }

    fn picture_side(&self, rows: Tensor, positions: &Tensor) -> Result<PictureSide> {
        let placed = (&rows + positions)?;
        Ok(PictureSide {
            keys: self.token_to_picture.keys(&placed)?,
            values: self.token_to_picture.values(&rows)?,
            queries: self.picture_to_token.queries(&placed)?,
            rows,
        })
    }

    /// New tokens `[n, DIM]` and new picture rows `[cells, DIM]`.
    fn forward(&self, tokens: &Tensor, token_positions: &Tensor, picture: &PictureSide) -> Result<(Tensor, Tensor)> {
        let tokens = if self.first {
            self.self_attention.forward(tokens, tokens, tokens)?
        } else {
            let placed = (tokens + token_positions)?;
            (tokens + self.self_attention.forward(&placed, &placed, tokens)?)?
        };
        let tokens = self.norm1.forward(&tokens)?;
        let queries = self.token_to_picture.queries(&(&tokens + token_positions)?)?;
        let seen = self.token_to_picture.finish(&queries, &picture.keys, &picture.values)?;
        let tokens = self.norm2.forward(&(tokens + seen)?)?;
        let more = self.mlp.forward_relu(&tokens)?;
        let tokens = self.norm3.forward(&(tokens + more)?)?;
        let keys = self.picture_to_token.keys(&(&tokens + token_positions)?)?;
        let values = self.picture_to_token.values(&tokens)?;
        let seen = self.picture_to_token.finish(&picture.queries, &keys, &values)?;
        let rows = self.norm4.forward(&(&picture.rows + seen)?)?;
        Ok((tokens, rows))
    }
}

/// The transformer with its weights.
pub(super) struct TwoWayTransformer {
    blocks: Vec<Block>,
    last: Attention,
    last_norm: LayerNorm,
}

impl TwoWayTransformer {
    /// Reads `mask_decoder.transformer.*`.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(super) fn load(weights: &Weights) -> std::result::Result<Self, InferenceError> {
        let name = |part: &str| format!("mask_decoder.transformer.{part}");
        Ok(Self {
            blocks: (0..DEPTH).map(|index| Block::load(weights, index)).collect::<std::result::Result<_, _>>()?,
            last: Attention::load(weights, &name("final_attn_token_to_image"), DIM / 2)?,
            last_norm: layer_norm(weights, &name("norm_final_attn"), DIM, DEFAULT_EPSILON)?,
        })
    }

    /// What the first block needs of the picture; `rows` and `positions` are `[cells, DIM]`.
    pub(super) fn picture_side(&self, rows: Tensor, positions: &Tensor) -> Result<PictureSide> {
        self.blocks[0].picture_side(rows, positions)
    }

    /// One block by itself, for the tests.
    #[cfg(test)]
    pub(super) fn block(
        &self,
        index: usize,
        tokens: &Tensor,
        token_positions: &Tensor,
        rows: &Tensor,
        positions: &Tensor,
    ) -> (Tensor, Tensor) {
        let block = &self.blocks[index];
        let picture = block.picture_side(rows.clone(), positions).unwrap();
        block.forward(tokens, token_positions, &picture).unwrap()
    }

    /// Tokens `[n, DIM]` and picture rows `[cells, DIM]` after all blocks.
    pub(super) fn forward(
        &self,
        tokens: &Tensor,
        picture: &PictureSide,
        positions: &Tensor,
    ) -> Result<(Tensor, Tensor)> {
        let (mut now, mut rows) = self.blocks[0].forward(tokens, tokens, picture)?;
        for block in &self.blocks[1..] {
            (now, rows) = block.forward(&now, tokens, &block.picture_side(rows, positions)?)?;
        }
        let seen = self.last.forward(&(&now + tokens)?, &(&rows + positions)?, &rows)?;
        Ok((self.last_norm.forward(&(now + seen)?)?, rows))
    }
}

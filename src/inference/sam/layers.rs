//! The small parts that SAM's networks share: checked linear layers and norms, rows and planes, attention in pieces.
//!
//! Invariant: activations are rows of one picture, `[pixels, channels]`; nothing here has a batch axis, except
//! attention's windows and heads.

use crate::inference::ops::softmax_over_last;
use crate::inference::segmenter::InferenceError;
use crate::inference::weights::Weights;
use candle_core::{D, Result, Tensor};
use candle_nn::{LayerNorm, Linear, Module};

/// Epsilon of PyTorch's `LayerNorm` where SAM does not say otherwise.
pub(in crate::inference) const DEFAULT_EPSILON: f64 = 1e-5;
/// Epsilon of the norms in SAM's image encoder and of all its channel norms (`LayerNorm2d`).
pub(super) const SAM_EPSILON: f64 = 1e-6;
/// Attention scores held at a time. Small enough for a core's share of the last cache, big enough for whole products.
const SCORE_BYTES: usize = 16 << 20;

/// A linear layer `name.weight [outputs, inputs]`, `name.bias [outputs]`.
pub(in crate::inference) fn linear(
    weights: &Weights,
    name: &str,
    inputs: usize,
    outputs: usize,
) -> std::result::Result<Linear, InferenceError> {
    let weight = weights.tensor(&format!("{name}.weight"), &[outputs, inputs])?;
    let bias = weights.tensor(&format!("{name}.bias"), &[outputs])?;
    Ok(Linear::new(weight, Some(bias)))
}

/// A layer norm over the last axis, `name.weight` and `name.bias` `[size]`.
pub(in crate::inference) fn layer_norm(
    weights: &Weights,
    name: &str,
    size: usize,
    epsilon: f64,
) -> std::result::Result<LayerNorm, InferenceError> {
    let weight = weights.tensor(&format!("{name}.weight"), &[size])?;
    let bias = weights.tensor(&format!("{name}.bias"), &[size])?;
    Ok(LayerNorm::new(weight, bias, epsilon))
}

/// Two linear layers with an activation between them: `first`, then `second`.
pub(super) struct TwoLayers {
    pub(super) first: Linear,
    pub(super) second: Linear,
}

impl TwoLayers {
    /// With the exact (erf) GELU, as every GELU of SAM is. `[n, channels]` to `[n, channels]`.
    pub(super) fn forward_gelu(&self, x: &Tensor) -> Result<Tensor> {
        self.second.forward(&self.first.forward(x)?.gelu_erf()?)
    }

    /// With ReLU.
    pub(super) fn forward_relu(&self, x: &Tensor) -> Result<Tensor> {
        self.second.forward(&self.first.forward(x)?.relu()?)
    }
}

/// The neck behind every SAM image encoder: 1x1 convolution, channel norm, 3x3 convolution, channel norm
/// (segment_anything/modeling/image_encoder.py).
pub(super) struct Neck {
    reduce: Linear,
    norm1: LayerNorm,
    mix: Tensor,
    norm2: LayerNorm,
    side: usize,
}

impl Neck {
    /// Reads `image_encoder.neck.*` for `inputs` channels on a `side x side` grid.
    pub(super) fn load(
        weights: &Weights,
        inputs: usize,
        outputs: usize,
        side: usize,
    ) -> std::result::Result<Self, InferenceError> {
        let name = |part: &str| format!("image_encoder.neck.{part}");
        let reduce = weights.tensor(&name("0.weight"), &[outputs, inputs, 1, 1])?.reshape((outputs, inputs))?;
        Ok(Self {
            reduce: Linear::new(reduce, None),
            norm1: layer_norm(weights, &name("1"), outputs, SAM_EPSILON)?,
            mix: weights.tensor(&name("2.weight"), &[outputs, outputs, 3, 3])?,
            norm2: layer_norm(weights, &name("3"), outputs, SAM_EPSILON)?,
            side,
        })
    }

    /// `[side * side, inputs]` to `[side * side, outputs]`.
    pub(super) fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        let x = self.norm1.forward(&self.reduce.forward(rows)?)?;
        let planes = x.t()?.contiguous()?.reshape((1, (), self.side, self.side))?;
        let mixed = planes.conv2d(&self.mix, 1, 1, 1, 1)?;
        self.norm2.forward(&mixed.flatten_from(2)?.squeeze(0)?.t()?.contiguous()?)
    }
}

/// `softmax(q k^T) v` without ever holding more than [`SCORE_BYTES`] of scores: a few batch entries at a time, and where
/// one entry alone is too big, a few of its queries at a time. Exact, since each query has its own softmax.
///
/// # Shapes
/// `q` `[batch, queries, depth]`, already scaled; `k` `[batch, keys, depth]`, `v` `[batch, keys, channels]`, all
/// contiguous; the result is `[batch, queries, channels]`.
pub(super) fn attend(q: &Tensor, k: &Tensor, v: &Tensor) -> Result<Tensor> {
    attend_within(q, k, v, SCORE_BYTES)
}

fn attend_within(q: &Tensor, k: &Tensor, v: &Tensor, score_bytes: usize) -> Result<Tensor> {
    let (batch, queries, _) = q.dims3()?;
    let row_bytes = k.dim(1)? * size_of::<f32>();
    let rows_at_once = (score_bytes / row_bytes).clamp(1, queries);
    let entries_at_once = (score_bytes / (row_bytes * queries)).clamp(1, batch);
    let mut entries = Vec::new();
    for entry in (0..batch).step_by(entries_at_once) {
        let count = entries_at_once.min(batch - entry);
        let keys = k.narrow(0, entry, count)?.t()?;
        let values = v.narrow(0, entry, count)?;
        let of_entry = q.narrow(0, entry, count)?;
        let mut rows = Vec::new();
        for row in (0..queries).step_by(rows_at_once) {
            let some = of_entry.narrow(1, row, rows_at_once.min(queries - row))?;
            let scores = softmax_over_last(&some.matmul(&keys)?)?;
            rows.push(scores.matmul(&values)?);
        }
        entries.push(Tensor::cat(&rows, 1)?);
    }
    Tensor::cat(&entries, 0)
}

/// `softmax(q k^T + bias) v`, a few windows at a time; the bias is the same for all windows.
///
/// # Shapes
/// `q`, `k` and `v` `[windows, heads, places, depth]`, contiguous, `q` already scaled; `bias` `[heads, places, places]`;
/// the result is `[windows, heads, places, depth]`.
pub(super) fn attend_with_bias(q: &Tensor, k: &Tensor, v: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let windows = q.dim(0)?;
    let at_once = (SCORE_BYTES / (bias.elem_count() * size_of::<f32>())).clamp(1, windows);
    let mut pieces = Vec::new();
    for start in (0..windows).step_by(at_once) {
        let count = at_once.min(windows - start);
        let scores = q.narrow(0, start, count)?.matmul(&k.narrow(0, start, count)?.t()?)?.broadcast_add(bias)?;
        let weights = softmax_over_last(&scores.flatten(0, 1)?)?.reshape(scores.shape())?;
        pieces.push(weights.matmul(&v.narrow(0, start, count)?)?);
    }
    Tensor::cat(&pieces, 0)
}

/// Rows of `heads * depth` channels to `[heads, rows, depth]`, contiguous.
pub(super) fn split_heads(rows: &Tensor, heads: usize) -> Result<Tensor> {
    let (count, channels) = rows.dims2()?;
    rows.reshape((count, heads, channels / heads))?.transpose(0, 1)?.contiguous()
}

/// `[heads, rows, depth]` back to rows of `heads * depth` channels.
pub(super) fn join_heads(heads: &Tensor) -> Result<Tensor> {
    heads.transpose(0, 1)?.contiguous()?.flatten_from(D::Minus2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn attention_in_pieces_is_attention() {
        let random = |shape: (usize, usize, usize)| Tensor::randn(0f32, 1.0, shape, &Device::Cpu).unwrap();
        let (q, k, v) = (random((5, 12, 3)), random((5, 9, 3)), random((5, 9, 4)));
        let whole = attend(&q, &k, &v).unwrap();
        let row_bytes = 9 * 4;
        for bytes in [1, row_bytes * 5, row_bytes * 12, row_bytes * 12 * 2] {
            let pieces = attend_within(&q, &k, &v, bytes).unwrap();
            assert_eq!(pieces.dims(), [5, 12, 4]);
            let apart = (&pieces - &whole).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(apart < 1e-6, "{bytes} bytes: {apart}");
        }
    }
}

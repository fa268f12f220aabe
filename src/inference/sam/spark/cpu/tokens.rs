//! The tokens' own work: a handful of rows of 128 values, attending to each other and going through small layers.
//!
//! Source and order of the layers: `spark/two_way.rs`. All of it stays on the calling thread; it is too small to spread.

use super::super::config::WIDTH;
use super::super::layers::Layers;
use crate::inference::segmenter::InferenceError;
use crate::kernels::{Activation, Cpu, LayerNorm, Linear, Rows, RowsMut, Start};

/// Tokens as rows of 128 values.
pub(super) type Tokens = Vec<f32>;

/// `linear` on rows; the result has its columns.
pub(super) fn apply(linear: &Linear, rows: &[f32]) -> Vec<f32> {
    let (depth, columns) = (linear.weights().depth(), linear.weights().columns());
    let count = rows.len() / depth;
    let mut out = vec![0.0; count * columns];
    linear.run_here(count, Rows::dense(rows, depth), Start::Zero, RowsMut::dense(&mut out, columns));
    out
}

/// `rows + linear(x)`, in place.
pub(super) fn apply_and_add(linear: &Linear, x: &[f32], rows: &mut [f32]) {
    let (depth, columns) = (linear.weights().depth(), linear.weights().columns());
    linear.run_here(x.len() / depth, Rows::dense(x, depth), Start::Output, RowsMut::dense(rows, columns));
}

/// The norm of each row, in place.
pub(super) fn normalise(cpu: &Cpu, norm: &LayerNorm, rows: &mut [f32]) {
    let count = rows.len() / norm.channels();
    norm.run_in_place(cpu.pool, count, RowsMut::dense(rows, norm.channels()));
}

/// Value by value.
pub(super) fn sum(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a + b).collect()
}

/// Linear layers one after the other.
pub(super) struct Mlp(Vec<Linear>);

impl Mlp {
    /// `name.layers.0` to `.2`, with ReLU between, as of SAM's heads.
    pub(super) fn head(layers: &Layers<'_>, cpu: &Cpu, name: &str, out: usize) -> Result<Self, InferenceError> {
        let layer = |index: usize, out: usize, activation| {
            layers.packed_linear(cpu, &format!("{name}.layers.{index}"), WIDTH, out, activation)
        };
        Ok(Self(vec![
            layer(0, WIDTH, Activation::Relu)?,
            layer(1, WIDTH, Activation::Relu)?,
            layer(2, out, Activation::None)?,
        ]))
    }

    pub(super) fn forward(&self, rows: &[f32]) -> Vec<f32> {
        self.0.iter().fold(rows.to_vec(), |rows, linear| apply(linear, &rows))
    }
}

/// Tokens attending to each other.
pub(super) struct SelfAttention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
}

impl SelfAttention {
    pub(super) fn load(layers: &Layers<'_>, cpu: &Cpu, name: &str, heads: usize) -> Result<Self, InferenceError> {
        let linear = |part: &str| layers.packed_linear(cpu, &format!("{name}.{part}"), WIDTH, WIDTH, Activation::None);
        Ok(Self {
            query: linear("q_proj")?,
            key: linear("k_proj")?,
            value: linear("v_proj")?,
            out: linear("out_proj")?,
            heads,
        })
    }

    /// What the attention adds to `rows` (or, without them, its plain result).
    pub(super) fn forward(&self, placed: &[f32], tokens: &[f32], add_to: Option<&[f32]>) -> Tokens {
        let (q, k, v) = (apply(&self.query, placed), apply(&self.key, placed), apply(&self.value, tokens));
        let heard = attend(&q, &k, &v, self.heads);
        match add_to {
            Some(rows) => {
                let mut rows = rows.to_vec();
                apply_and_add(&self.out, &heard, &mut rows);
                rows
            }
            None => apply(&self.out, &heard),
        }
    }
}

/// `softmax(q k / sqrt(depth)) v` for each head; a few hundred numbers, so plain loops.
fn attend(q: &[f32], k: &[f32], v: &[f32], heads: usize) -> Vec<f32> {
    let depth = WIDTH / heads;
    let scale = 1.0 / (depth as f32).sqrt();
    let mut out = vec![0.0; q.len()];
    let mut shares = vec![0.0; k.len() / WIDTH];
    for (query, out) in q.chunks_exact(WIDTH).zip(out.chunks_exact_mut(WIDTH)) {
        for head in 0..heads {
            let part = head * depth..(head + 1) * depth;
            let query = &query[part.clone()];
            let mut largest = f32::NEG_INFINITY;
            for (share, key) in shares.iter_mut().zip(k.chunks_exact(WIDTH)) {
                *share = query.iter().zip(&key[part.clone()]).map(|(a, b)| a * b).sum::<f32>() * scale;
                largest = if *share > largest { *share } else { largest };
            }
            let mut total = 0.0;
            for share in &mut shares {
                *share = (*share - largest).exp();
                total += *share;
            }
            for (share, value) in shares.iter().zip(v.chunks_exact(WIDTH)) {
                for (out, value) in out[part.clone()].iter_mut().zip(&value[part.clone()]) {
                    *out += share / total * value;
                }
            }
        }
    }
    out
}

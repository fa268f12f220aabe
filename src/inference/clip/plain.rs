//! CLIP's image tower in candle's own operations: for GPUs, and what the kernels are compared with.

use super::ClipImageConfig;
use crate::inference::sam::layers::{DEFAULT_EPSILON, layer_norm, linear};
use crate::inference::segmenter::InferenceError;
use crate::inference::weights::Weights;
use candle_core::{Device, Result, Tensor};
use candle_nn::{LayerNorm, Linear, Module, ops};

/// The tower with its weights.
pub(super) struct Tower {
    config: ClipImageConfig,
    patch_embed: Linear,
    class_token: Tensor,
    positions: Tensor,
    norm_before: LayerNorm,
    layers: Vec<Layer>,
    norm_after: LayerNorm,
    project: Linear,
    device: Device,
}

impl Tower {
    pub(super) fn load(weights: &Weights, config: ClipImageConfig) -> std::result::Result<Self, InferenceError> {
        let ClipImageConfig { dim, patch, outputs, .. } = config;
        let embeddings = |name: &str| format!("vision_model.embeddings.{name}");
        let kernel = weights.tensor(&embeddings("patch_embedding.weight"), &[dim, 3, patch, patch])?;
        let layers = (0..config.layers).map(|index| Layer::load(weights, &config, index));
        Ok(Self {
            patch_embed: Linear::new(kernel.flatten_from(1)?, None),
            class_token: weights.tensor(&embeddings("class_embedding"), &[dim])?,
            positions: weights.tensor(&embeddings("position_embedding.weight"), &[config.tokens(), dim])?,
            norm_before: layer_norm(weights, "vision_model.pre_layrnorm", dim, DEFAULT_EPSILON)?,
            layers: layers.collect::<std::result::Result<_, _>>()?,
            norm_after: layer_norm(weights, "vision_model.post_layernorm", dim, DEFAULT_EPSILON)?,
            project: Linear::new(weights.tensor("visual_projection.weight", &[outputs, dim])?, None),
            device: weights.device().clone(),
            config,
        })
    }

    /// Planes `[count, 3, side, side]` to features `[count, outputs]`.
    pub(super) fn forward(&self, planes: &[f32], count: usize) -> Result<Vec<f32>> {
        let ClipImageConfig { dim, patch, grid, .. } = self.config;
        let planes = Tensor::from_slice(planes, vec![count, 3, grid, patch, grid, patch], &self.device)?;
        let patches = planes.permute(vec![0, 2, 4, 1, 3, 5])?.contiguous()?;
        let patches = self.patch_embed.forward(&patches.reshape((count * grid * grid, 3 * patch * patch))?)?;
        let class = self.class_token.reshape((1, 1, dim))?.broadcast_as((count, 1, dim))?;
        let x = Tensor::cat(&[class, patches.reshape((count, grid * grid, dim))?], 1)?;
        let mut x = self.norm_before.forward(&x.broadcast_add(&self.positions)?)?;
        for layer in &self.layers {
            x = layer.forward(&x)?;
        }
        let class = self.norm_after.forward(&x.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?)?;
        self.project.forward(&class)?.flatten_all()?.to_vec1()
    }
}

/// One transformer layer: attention and a two-layer part, each on normed input and added to it.
struct Layer {
    heads: usize,
    norm1: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    project: Linear,
    norm2: LayerNorm,
    first: Linear,
    second: Linear,
}

impl Layer {
    fn load(weights: &Weights, config: &ClipImageConfig, index: usize) -> std::result::Result<Self, InferenceError> {
        let name = |part: &str| format!("vision_model.encoder.layers.{index}.{part}");
        let ClipImageConfig { dim, heads, hidden, .. } = *config;
        Ok(Self {
            heads,
            norm1: layer_norm(weights, &name("layer_norm1"), dim, DEFAULT_EPSILON)?,
            query: linear(weights, &name("self_attn.q_proj"), dim, dim)?,
            key: linear(weights, &name("self_attn.k_proj"), dim, dim)?,
            value: linear(weights, &name("self_attn.v_proj"), dim, dim)?,
            project: linear(weights, &name("self_attn.out_proj"), dim, dim)?,
            norm2: layer_norm(weights, &name("layer_norm2"), dim, DEFAULT_EPSILON)?,
            first: linear(weights, &name("mlp.fc1"), dim, hidden)?,
            second: linear(weights, &name("mlp.fc2"), hidden, dim)?,
        })
    }

    /// `[count, tokens, dim]` to the same.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = (x + self.attend(&self.norm1.forward(x)?)?)?;
        let wide = self.first.forward(&self.norm2.forward(&x)?)?;
        let wide = (&wide * ops::sigmoid(&(&wide * 1.702)?)?)?;
        &x + self.second.forward(&wide)?
    }

    fn attend(&self, x: &Tensor) -> Result<Tensor> {
        let (count, tokens, dim) = x.dims3()?;
        let depth = dim / self.heads;
        // [count, tokens, dim] to [count, heads, tokens, depth].
        let split = |x: Tensor| x.reshape((count, tokens, self.heads, depth))?.transpose(1, 2)?.contiguous();
        let query = split((self.query.forward(x)? / (depth as f64).sqrt())?)?;
        let (key, value) = (split(self.key.forward(x)?)?, split(self.value.forward(x)?)?);
        let weights = ops::softmax_last_dim(&query.matmul(&key.t()?)?)?;
        let out = weights.matmul(&value)?.transpose(1, 2)?.contiguous()?;
        self.project.forward(&out.reshape((count, tokens, dim))?)
    }
}

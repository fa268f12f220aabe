//! CLIP's image tower on the kernels.
//!
//! Invariant: all pictures of a call go through a layer together, as rows of one buffer, and attend each to itself. After
//! the last attention only the class tokens matter, so only they are computed.

use super::ClipImageConfig;
use crate::inference::packed_layers::{PackedLayers, TwoLayers};
use crate::inference::segmenter::InferenceError;
use crate::inference::weights::Weights;
use crate::kernels::{
    Activation, Aligned, Attention, Buffer, Cpu, Groups, Heads, LayerNorm, Linear, Packed, Positions, Rows, RowsMut,
    Start, layout,
};

/// Of every norm.
const EPSILON: f32 = 1e-5;

/// The tower with its weights.
pub(super) struct Tower {
    cpu: Cpu,
    config: ClipImageConfig,
    patch_embed: Linear,
    class_token: Box<[f32]>,
    /// `[tokens, dim]`.
    positions: Aligned,
    norm_before: LayerNorm,
    layers: Vec<Layer>,
    norm_after: LayerNorm,
    project: Linear,
}

impl Tower {
    pub(super) fn load(weights: &Weights, config: ClipImageConfig, cpu: Cpu) -> Result<Self, InferenceError> {
        let ClipImageConfig { dim, patch, outputs, .. } = config;
        let packed = PackedLayers { weights, cpu: &cpu };
        let embeddings = |name: &str| format!("vision_model.embeddings.{name}");
        let kernel = weights.values(&embeddings("patch_embedding.weight"), &[dim, 3, patch, patch])?;
        let kernel = Packed::from_linear(cpu.isa, &kernel, dim, 3 * patch * patch);
        let positions = weights.values(&embeddings("position_embedding.weight"), &[config.tokens(), dim])?;
        let project = weights.values("visual_projection.weight", &[outputs, dim])?;
        let project = Packed::from_linear(cpu.isa, &project, outputs, dim);
        let norm = |name: &str| packed.layer_norm(name, dim, EPSILON, Activation::None);
        Ok(Self {
            patch_embed: Linear::new(kernel, None, Activation::None),
            class_token: weights.values(&embeddings("class_embedding"), &[dim])?.into(),
            positions: Aligned::from_slice(&positions),
            norm_before: norm("vision_model.pre_layrnorm")?,
            layers: (0..config.layers).map(|index| Layer::load(&packed, &config, index)).collect::<Result<_, _>>()?,
            norm_after: norm("vision_model.post_layernorm")?,
            project: Linear::new(project, None, Activation::None),
            config,
            cpu,
        })
    }

    /// Planes `[count, 3, side, side]` to features `[count, outputs]`.
    pub(super) fn forward(&self, planes: &[f32], count: usize) -> Vec<f32> {
        let (cpu, tokens) = (&self.cpu, self.config.tokens());
        let ClipImageConfig { dim, outputs, .. } = self.config;
        let mut x = self.embed_patches(planes, count);
        self.norm_before.run_in_place(cpu.pool, count * tokens, RowsMut::dense(&mut x, dim));
        let groups = Groups::consecutive(count, tokens);
        for (index, layer) in self.layers.iter().enumerate() {
            // In the last layer, what the class tokens do not read is left out.
            let step = if index + 1 == self.layers.len() { tokens } else { 1 };
            layer.forward(cpu, &groups, step, &mut x);
        }
        let mut classes = cpu.arena.take(count * dim);
        let class_rows = Rows { values: &x, stride: tokens * dim };
        self.norm_after.run(cpu.pool, count, class_rows, RowsMut::dense(&mut classes, dim));
        let mut features = vec![0.0; count * outputs];
        let rows = RowsMut::dense(&mut features, outputs);
        self.project.run(cpu.pool, count, Rows::dense(&classes, dim), Start::Zero, rows);
        features
    }

    /// Planes to tokens `[count * tokens, dim]`: each picture's class token, then its patches, all with their positions.
    fn embed_patches(&self, planes: &[f32], count: usize) -> Buffer {
        let ClipImageConfig { dim, patch, grid, .. } = self.config;
        let (pool, arena, patches, values) = (self.cpu.pool, &self.cpu.arena, grid * grid, 3 * patch * patch);
        let mut rows = arena.take(count * patches * values);
        let pictures = planes.chunks_exact(patches * values);
        for (picture, rows) in pictures.zip(rows.chunks_exact_mut(patches * values)) {
            layout::patch_rows(pool, picture, 3, grid * patch, patch, rows);
        }
        let mut embedded = arena.take(count * patches * dim);
        let out = RowsMut::dense(&mut embedded, dim);
        self.patch_embed.run(pool, count * patches, Rows::dense(&rows, values), Start::Zero, out);
        let mut x = arena.take(count * (patches + 1) * dim);
        let pictures = x.chunks_exact_mut((patches + 1) * dim).zip(embedded.chunks_exact(patches * dim));
        for (picture, embedded) in pictures {
            let (class, others) = picture.split_at_mut(dim);
            class.copy_from_slice(&self.class_token);
            others.copy_from_slice(embedded);
            picture.iter_mut().zip(self.positions.iter()).for_each(|(value, position)| *value += position);
        }
        x
    }
}

/// One transformer layer: attention and a two-layer part, each on normed input and added to it.
struct Layer {
    norm1: LayerNorm,
    qkv: Linear,
    attention: Attention,
    project: Linear,
    norm2: LayerNorm,
    mlp: TwoLayers,
}

impl Layer {
    fn load(packed: &PackedLayers<'_>, config: &ClipImageConfig, index: usize) -> Result<Self, InferenceError> {
        let name = |part: &str| format!("vision_model.encoder.layers.{index}.{part}");
        let ClipImageConfig { dim, heads, hidden, .. } = *config;
        let norm = |part: &str| packed.layer_norm(&name(part), dim, EPSILON, Activation::None);
        let qkv = ["q_proj", "k_proj", "v_proj"].map(|part| name(&format!("self_attn.{part}")));
        let heads = Heads::parts_first(heads, dim / heads);
        Ok(Self {
            norm1: norm("layer_norm1")?,
            qkv: packed.linears(&qkv, dim, dim)?,
            attention: Attention::new(packed.cpu.isa, heads, Positions::None),
            project: packed.linear(&name("self_attn.out_proj"), dim, dim, Activation::None)?,
            norm2: norm("layer_norm2")?,
            mlp: TwoLayers {
                first: packed.linear(&name("mlp.fc1"), dim, hidden, Activation::QuickGelu)?,
                second: packed.linear(&name("mlp.fc2"), hidden, dim, Activation::None)?,
            },
        })
    }

    /// Adds to every `step`-th row of `x`, `[count * tokens, dim]`; all rows are attended to.
    fn forward(&self, cpu: &Cpu, groups: &Groups, step: usize, x: &mut [f32]) {
        let (pool, dim) = (cpu.pool, self.norm1.channels());
        let rows = x.len() / dim;
        let mut normed = cpu.arena.take(x.len());
        let mut qkv = cpu.arena.take(3 * x.len());
        self.norm1.run(pool, rows, Rows::dense(x, dim), RowsMut::dense(&mut normed, dim));
        self.qkv.run(pool, rows, Rows::dense(&normed, dim), Start::Zero, RowsMut::dense(&mut qkv, 3 * dim));
        self.attention.run(cpu, Rows::dense(&qkv, 3 * dim), groups, None, RowsMut::dense(&mut normed, dim));
        let (count, stride) = (rows / step, step * dim);
        let attended = Rows { values: &normed, stride };
        self.project.run(pool, count, attended, Start::Output, RowsMut { values: x, stride });
        self.norm2.run(pool, count, Rows { values: x, stride }, RowsMut::dense(&mut normed, dim));
        self.mlp.add_to(cpu, &normed[..count * dim], RowsMut { values: x, stride });
    }
}

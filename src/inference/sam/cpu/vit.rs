//! SAM's ViT image encoder on the kernels; the plan and its source are those of [`VitConfig`]'s module.
//!
//! Invariant: tokens stay in one buffer, which each block adds to; of the widest layers only a part of the rows exists at
//! a time, and weights are held in packed form alone.

use super::Neck;
use crate::inference::packed_layers::{PackedLayers, TwoLayers};
use crate::inference::sam::layers::SAM_EPSILON;
use crate::inference::sam::preprocess::sam_planes;
use crate::inference::sam::vit::VitConfig;
use crate::inference::segmenter::{EncodeControl, InferenceError, PreparedView};
use crate::inference::weights::Weights;
use crate::kernels::{
    Activation, Aligned, Attention, Cpu, Groups, Heads, LayerNorm, Linear, Packed, Positions, Rows, RowsMut, Start,
    layout,
};

/// The encoder with its weights.
pub(in crate::inference::sam) struct VitEncoder {
    cpu: Cpu,
    config: VitConfig,
    patch_embed: Linear,
    /// `[grid * grid, dim]`.
    positions: Aligned,
    blocks: Vec<Block>,
    /// Each window side of the blocks, with its windows.
    windows: Vec<(usize, Groups)>,
    neck: Neck,
}

impl VitEncoder {
    /// Reads `image_encoder.*`, one layer at a time.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(in crate::inference::sam) fn load(
        weights: &Weights,
        config: VitConfig,
        cpu: Cpu,
    ) -> Result<Self, InferenceError> {
        let VitConfig { dim, patch, grid, outputs, .. } = config;
        let layers = PackedLayers { weights, cpu: &cpu };
        let kernel = weights.values("image_encoder.patch_embed.proj.weight", &[dim, 3, patch, patch])?;
        let bias = weights.values("image_encoder.patch_embed.proj.bias", &[dim])?;
        let kernel = Packed::from_linear(cpu.isa, &kernel, dim, 3 * patch * patch);
        let positions = weights.values("image_encoder.pos_embed", &[1, grid, grid, dim])?;
        let blocks = (0..config.windows.len()).map(|index| Block::load(&layers, &config, index));
        let blocks = blocks.collect::<Result<Vec<_>, _>>()?;
        let mut sides = config.windows.clone();
        sides.sort_unstable();
        sides.dedup();
        Ok(Self {
            patch_embed: Linear::new(kernel, Some(&bias), Activation::None),
            positions: Aligned::from_slice(&positions),
            blocks,
            windows: sides.into_iter().map(|side| (side, Groups::windows(grid, grid, side))).collect(),
            neck: Neck::load(&layers, dim, outputs, grid)?,
            config,
            cpu,
        })
    }

    /// The image embedding as rows, `[grid * grid, outputs]`. The view is prepared for [`VitConfig::input_side`].
    ///
    /// # Errors
    /// A stop on request.
    pub(in crate::inference::sam) fn encode(
        &self,
        view: &PreparedView,
        control: &EncodeControl<'_>,
    ) -> Result<Vec<f32>, InferenceError> {
        control.cancel.check()?;
        let mut x = self.embed_patches(&sam_planes(view));
        let steps = self.blocks.len() as f32 + 1.0;
        for index in 0..self.blocks.len() {
            self.forward_block(index, &mut x);
            control.step((index + 1) as f32 / steps)?;
        }
        let embedding = self.neck.forward(&self.cpu, &x);
        drop(x);
        // Hundreds of megabytes that the next picture needs, but none before it.
        self.cpu.arena.clear();
        control.step(1.0)?;
        Ok(embedding)
    }

    /// Runs one block on tokens `[grid * grid, dim]`, in place.
    pub(in crate::inference::sam) fn forward_block(&self, index: usize, x: &mut [f32]) {
        let side = self.config.windows[index];
        if let Some((_, groups)) = self.windows.iter().find(|(of, _)| *of == side) {
            self.blocks[index].forward(&self.cpu, groups, x);
        }
    }

    /// Planes `[3, side, side]` to tokens `[grid * grid, dim]`: each patch a row, in the kernel's order.
    fn embed_patches(&self, planes: &[f32]) -> crate::kernels::Buffer {
        let VitConfig { grid, patch, dim, .. } = self.config;
        let (pool, tokens, values) = (self.cpu.pool, grid * grid, 3 * patch * patch);
        let mut patches = self.cpu.arena.take(tokens * values);
        layout::patch_rows(pool, planes, 3, grid * patch, patch, &mut patches);
        let mut x = self.cpu.arena.take(tokens * dim);
        let start = Start::Other(Rows::dense(&self.positions, dim));
        self.patch_embed.run(pool, tokens, Rows::dense(&patches, values), start, RowsMut::dense(&mut x, dim));
        x
    }
}

/// One transformer block: attention and a two-layer part, each on normed input and added to it.
struct Block {
    norm1: LayerNorm,
    qkv: Linear,
    /// What padding has for query, key and value: upstream pads normed tokens by 0, so only the bias is left.
    padding: Box<[f32]>,
    attention: Attention,
    project: Linear,
    norm2: LayerNorm,
    mlp: TwoLayers,
}

impl Block {
    fn load(layers: &PackedLayers<'_>, config: &VitConfig, index: usize) -> Result<Self, InferenceError> {
        let name = |part: &str| format!("image_encoder.blocks.{index}.{part}");
        let VitConfig { dim, heads, hidden, .. } = *config;
        let (window, depth) = (config.windows[index], dim / heads);
        let table =
            |axis: &str| layers.weights.values(&name(&format!("attn.rel_pos_{axis}")), &[2 * window - 1, depth]);
        let norm = |part: &str| layers.layer_norm(&name(part), dim, SAM_EPSILON as f32, Activation::None);
        let linear = |part: &str, inputs, outputs, activation| layers.linear(&name(part), inputs, outputs, activation);
        let isa = layers.cpu.isa;
        let positions = Positions::relative(isa, window, depth, &table("h")?, &table("w")?);
        Ok(Self {
            norm1: norm("norm1")?,
            qkv: linear("attn.qkv", dim, 3 * dim, Activation::None)?,
            padding: layers.weights.values(&name("attn.qkv.bias"), &[3 * dim])?.into(),
            attention: Attention::new(isa, Heads::parts_first(heads, depth), positions),
            project: linear("attn.proj", dim, dim, Activation::None)?,
            norm2: norm("norm2")?,
            mlp: TwoLayers {
                first: linear("mlp.lin1", dim, hidden, Activation::Gelu)?,
                second: linear("mlp.lin2", hidden, dim, Activation::None)?,
            },
        })
    }

    /// Adds to `x`, `[tokens, dim]`.
    fn forward(&self, cpu: &Cpu, groups: &Groups, x: &mut [f32]) {
        let (pool, dim) = (cpu.pool, self.norm1.channels());
        let tokens = x.len() / dim;
        let mut normed = cpu.arena.take(tokens * dim);
        self.norm1.run(pool, tokens, Rows::dense(x, dim), RowsMut::dense(&mut normed, dim));
        let mut qkv = cpu.arena.take(tokens * 3 * dim);
        self.qkv.run(pool, tokens, Rows::dense(&normed, dim), Start::Zero, RowsMut::dense(&mut qkv, 3 * dim));
        let attended = RowsMut::dense(&mut normed, dim);
        self.attention.run(cpu, Rows::dense(&qkv, 3 * dim), groups, Some(&self.padding), attended);
        drop(qkv);
        self.project.run(pool, tokens, Rows::dense(&normed, dim), Start::Output, RowsMut::dense(x, dim));
        self.norm2.run(pool, tokens, Rows::dense(x, dim), RowsMut::dense(&mut normed, dim));
        self.mlp.add_to(cpu, &normed, RowsMut::dense(x, dim));
    }
}

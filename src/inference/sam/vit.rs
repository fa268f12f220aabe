//! SAM's image encoder for ViT-B, L, H and any other size of the same plan: plain blocks, most of them attending within
//! windows, a few over the whole picture, all with decomposed relative positions.
//!
//! Source: segment_anything/modeling/image_encoder.py. Invariant: the relative positions are folded into queries and
//! keys, so attention is one exact product in pieces and no `[heads, 4096, 4096]` tensor is ever held.

use super::layers::{Neck, SAM_EPSILON, TwoLayers, attend, layer_norm, linear};
use super::preprocess::sam_planes;
use crate::inference::segmenter::{EncodeControl, InferenceError, PreparedView};
use crate::inference::weights::Weights;
use candle_core::{D, Device, Result, Tensor};
use candle_nn::{LayerNorm, Linear, Module};

/// What a ViT checkpoint's shapes say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VitConfig {
    /// Channels of a token.
    pub(super) dim: usize,
    /// Attention heads a block.
    pub(super) heads: usize,
    /// Channels inside the two-layer part of a block.
    pub(super) hidden: usize,
    /// Pixels a side of a patch.
    pub(super) patch: usize,
    /// Patches a side of the picture.
    pub(super) grid: usize,
    /// For each block the side of its attention's window; `grid` means the whole picture.
    pub(super) windows: Vec<usize>,
    /// Channels of the embedding.
    pub(super) outputs: usize,
}

impl VitConfig {
    /// Reads the plan off the shapes of a file in the original key layout.
    ///
    /// # Errors
    /// Shapes that agree with no SAM ViT; the text says which.
    pub(super) fn from_shapes(weights: &Weights) -> std::result::Result<Self, InferenceError> {
        let shape = |name: &str| {
            let name = format!("image_encoder.{name}");
            weights.shape(&name).map(<[usize]>::to_vec).ok_or_else(|| {
                weights.refuse(format!(
                    "has no tensor {name}, expected in every SAM with a ViT image encoder; the file is incomplete or of \
                     another model: choose another file"
                ))
            })
        };
        let strange = |name: &str, found: &[usize], expected: &str| {
            weights.refuse(format!(
                "tensor image_encoder.{name} has shape {found:?}, expected {expected}; this is no SAM ViT: choose \
                 another file"
            ))
        };
        let kernel = shape("patch_embed.proj.weight")?;
        let &[dim, 3, patch, patch_width] = kernel.as_slice() else {
            return Err(strange("patch_embed.proj.weight", &kernel, "[channels, 3, 16, 16]"));
        };
        let positions = shape("pos_embed")?;
        let &[1, grid, grid_width, dim_again] = positions.as_slice() else {
            return Err(strange("pos_embed", &positions, "[1, 64, 64, channels]"));
        };
        if patch == 0 || patch != patch_width || grid == 0 || grid != grid_width || dim != dim_again {
            let expected = format!("[1, side, side, {dim}] and square patches");
            return Err(strange("pos_embed", &positions, &expected));
        }
        let hidden_shape = shape("blocks.0.mlp.lin1.weight")?;
        let neck = shape("neck.0.weight")?;
        let (Some(&hidden), Some(&outputs)) = (hidden_shape.first(), neck.first()) else {
            return Err(strange("neck.0.weight", &neck, "[256, channels, 1, 1]"));
        };
        let mut head_dim = None;
        let mut windows = Vec::new();
        while weights.contains(&format!("image_encoder.blocks.{}.norm1.weight", windows.len())) {
            let name = format!("blocks.{}.attn.rel_pos_h", windows.len());
            let table = shape(&name)?;
            let &[length, depth] = table.as_slice() else {
                return Err(strange(&name, &table, "[2 * window - 1, channels of a head]"));
            };
            let window = length.div_ceil(2);
            let same_heads = depth > 0 && *head_dim.get_or_insert(depth) == depth;
            if length % 2 == 0 || window > grid || !same_heads || dim % depth != 0 {
                let expected = format!(
                    "[2 * window - 1, channels of a head] with a window of at most {grid}, and heads that divide {dim}"
                );
                return Err(strange(&name, &table, &expected));
            }
            windows.push(window);
        }
        let Some(head_dim) = head_dim else {
            shape("blocks.0.norm1.weight")?;
            return Err(strange("pos_embed", &positions, "blocks behind it"));
        };
        Ok(Self { dim, heads: dim / head_dim, hidden, patch, grid, windows, outputs })
    }

    /// Pixels a side of the square input.
    pub(super) fn input_side(&self) -> usize {
        self.grid * self.patch
    }
}

/// The encoder with its weights.
pub(super) struct VitEncoder {
    config: VitConfig,
    patch_embed: Linear,
    positions: Tensor,
    blocks: Vec<Block>,
    neck: Neck,
    device: Device,
}

impl VitEncoder {
    /// Reads `image_encoder.*`.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(super) fn load(weights: &Weights, config: VitConfig) -> std::result::Result<Self, InferenceError> {
        let VitConfig { dim, patch, grid, outputs, .. } = config;
        let kernel = weights.tensor("image_encoder.patch_embed.proj.weight", &[dim, 3, patch, patch])?;
        let bias = weights.tensor("image_encoder.patch_embed.proj.bias", &[dim])?;
        let positions = weights.tensor("image_encoder.pos_embed", &[1, grid, grid, dim])?;
        let blocks = (0..config.windows.len()).map(|index| Block::load(weights, &config, index));
        Ok(Self {
            patch_embed: Linear::new(kernel.flatten_from(1)?, Some(bias)),
            positions: positions.reshape((grid * grid, dim))?,
            blocks: blocks.collect::<std::result::Result<_, _>>()?,
            neck: Neck::load(weights, dim, outputs, grid)?,
            device: weights.device().clone(),
            config,
        })
    }

    /// The image embedding as rows, `[grid * grid, outputs]`. The view is prepared for [`VitConfig::input_side`].
    ///
    /// # Errors
    /// A stop on request, or a failure of the computation.
    pub(super) fn encode(
        &self,
        view: &PreparedView,
        control: &EncodeControl<'_>,
    ) -> std::result::Result<Tensor, InferenceError> {
        control.cancel.check()?;
        let mut x = self.embed_patches(&sam_planes(view))?;
        let steps = self.blocks.len() as f32 + 1.0;
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(&x)?;
            control.step((index + 1) as f32 / steps)?;
        }
        let embedding = self.neck.forward(&x)?;
        control.step(1.0)?;
        Ok(embedding)
    }

    /// One block by itself, for the tests.
    #[cfg(test)]
    pub(super) fn block(&self, index: usize, x: &Tensor) -> Tensor {
        self.blocks[index].forward(x).unwrap()
    }

    /// Planes `[3, side, side]` to tokens `[grid * grid, dim]`: each patch a row, in the kernel's order.
    fn embed_patches(&self, planes: &[f32]) -> Result<Tensor> {
        let VitConfig { grid, patch, .. } = self.config;
        let planes = Tensor::from_slice(planes, vec![3, grid, patch, grid, patch], &self.device)?;
        let rows = planes.permute(vec![1, 3, 0, 2, 4])?.contiguous()?.reshape((grid * grid, 3 * patch * patch))?;
        self.patch_embed.forward(&rows)? + &self.positions
    }
}

/// One transformer block: attention and a two-layer part, each on normed input and added to it.
struct Block {
    norm1: LayerNorm,
    attention: WindowAttention,
    norm2: LayerNorm,
    mlp: TwoLayers,
}

impl Block {
    fn load(weights: &Weights, config: &VitConfig, index: usize) -> std::result::Result<Self, InferenceError> {
        let name = |part: &str| format!("image_encoder.blocks.{index}.{part}");
        let (dim, hidden) = (config.dim, config.hidden);
        Ok(Self {
            norm1: layer_norm(weights, &name("norm1"), dim, SAM_EPSILON)?,
            attention: WindowAttention::load(weights, &name("attn"), config, config.windows[index])?,
            norm2: layer_norm(weights, &name("norm2"), dim, SAM_EPSILON)?,
            mlp: TwoLayers {
                first: linear(weights, &name("mlp.lin1"), dim, hidden)?,
                second: linear(weights, &name("mlp.lin2"), hidden, dim)?,
            },
        })
    }

    /// `[grid * grid, dim]` to the same.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = (x + self.attention.forward(&self.norm1.forward(x)?)?)?;
        let more = self.mlp.forward_gelu(&self.norm2.forward(&x)?)?;
        x + more
    }
}

/// Attention within windows of the grid, with decomposed relative positions.
///
/// The score of query `(qy, qx)` and key `(ky, kx)` is `q.k / sqrt(d) + q.H[qy-ky] + q.W[qx-kx]`. The two position terms
/// depend on the key by its row and its column only, so they are further channels of the query (one a row, one a column),
/// and the key has a 1 in the channel of its own row and column: one product gives the whole score.
struct WindowAttention {
    grid: usize,
    window: usize,
    heads: usize,
    /// `[3 * dim, dim]`; the query's part is multiplied by `1 / sqrt(d)`.
    qkv: Tensor,
    /// `[3 * dim]`, likewise. Added after padding: upstream pads normed tokens by 0, so padding has only the bias.
    bias: Tensor,
    /// `[window, d, window]`: for a query in row `i`, `H[i - j] * sqrt(d)` for each key row `j`.
    rows: Tensor,
    /// The same for columns.
    columns: Tensor,
    /// `[window^2, 2 * window]`: the 1s of each key.
    places: Tensor,
    project: Linear,
}

impl WindowAttention {
    fn load(
        weights: &Weights,
        name: &str,
        config: &VitConfig,
        window: usize,
    ) -> std::result::Result<Self, InferenceError> {
        let (dim, heads) = (config.dim, config.heads);
        let depth = dim / heads;
        let scale = 1.0 / (depth as f64).sqrt();
        let table = |axis: &str| -> std::result::Result<Tensor, InferenceError> {
            let table = weights.tensor(&format!("{name}.rel_pos_{axis}"), &[2 * window - 1, depth])?;
            relative(&(table / scale)?, window).map_err(Into::into)
        };
        let scaled = |tensor: &Tensor| -> Result<Tensor> {
            let query = (tensor.narrow(0, 0, dim)? * scale)?;
            Tensor::cat(&[query, tensor.narrow(0, dim, 2 * dim)?], 0)
        };
        Ok(Self {
            grid: config.grid,
            window,
            heads,
            qkv: scaled(&weights.tensor(&format!("{name}.qkv.weight"), &[3 * dim, dim])?)?,
            bias: scaled(&weights.tensor(&format!("{name}.qkv.bias"), &[3 * dim])?)?,
            rows: table("h")?,
            columns: table("w")?,
            places: places(window, weights.device())?,
            project: linear(weights, &format!("{name}.proj"), dim, dim)?,
        })
    }

    /// `[grid * grid, dim]` to the same; the input is normed.
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let (grid, side, heads) = (self.grid, self.window, self.heads);
        let dim = x.dim(1)?;
        let depth = dim / heads;
        // Windows a side of the grid, the last ones padded.
        let across = grid.div_ceil(side);
        let padding = across * side - grid;
        let qkv = x.matmul(&self.qkv.t()?)?.reshape((grid, grid, 3 * dim))?;
        let qkv = qkv.pad_with_zeros(0, 0, padding)?.pad_with_zeros(1, 0, padding)?.broadcast_add(&self.bias)?;
        // [window row, y, window column, x, q|k|v, head, depth] -> [q|k|v, batch = (windows, head), (y, x), depth]
        let qkv = qkv
            .reshape(vec![across, side, across, side, 3, heads, depth])?
            .permute(vec![4, 0, 2, 5, 1, 3, 6])?
            .contiguous()?
            .reshape((3, across * across * heads, side * side, depth))?;
        let (q, k, v) = (qkv.get(0)?, qkv.get(1)?, qkv.get(2)?);
        let out = attend(&self.with_positions(&q)?, &self.with_places(&k)?, &v)?;
        // Back to [y of the grid, x of the grid, dim], the padding cut off.
        let out = out
            .reshape(vec![across, across, heads, side, side, depth])?
            .permute(vec![0, 3, 1, 4, 2, 5])?
            .contiguous()?
            .reshape((across * side, across * side, dim))?
            .narrow(0, 0, grid)?
            .narrow(1, 0, grid)?
            .contiguous()?;
        self.project.forward(&out.reshape((grid * grid, dim))?)
    }

    /// Queries with their position terms: `[batch, window^2, d]` to `[batch, window^2, d + 2 * window]`.
    fn with_positions(&self, q: &Tensor) -> Result<Tensor> {
        let (batch, count, depth) = q.dims3()?;
        let side = self.window;
        let by_place = q.reshape((batch, side, side, depth))?;
        // A query's row chooses the matrix, so the row becomes the batch axis of a product; then the same for columns.
        let rows = by_place.transpose(0, 1)?.contiguous()?.reshape((side, batch * side, depth))?.matmul(&self.rows)?;
        let rows = rows.reshape((side, batch, side, side))?.transpose(0, 1)?.contiguous()?;
        let columns = by_place.permute((2, 0, 1, 3))?.contiguous()?.reshape((side, batch * side, depth))?;
        let columns = columns.matmul(&self.columns)?.reshape((side, batch, side, side))?;
        let columns = columns.permute((1, 2, 0, 3))?.contiguous()?;
        let shape = (batch, count, side);
        Tensor::cat(&[q, &rows.reshape(shape)?, &columns.reshape(shape)?], D::Minus1)
    }

    /// Keys with their places: `[batch, window^2, d]` to `[batch, window^2, d + 2 * window]`.
    fn with_places(&self, k: &Tensor) -> Result<Tensor> {
        let (batch, count, _) = k.dims3()?;
        let places = self.places.broadcast_as((batch, count, 2 * self.window))?.contiguous()?;
        Tensor::cat(&[k, &places], D::Minus1)
    }
}

/// `[2 * side - 1, d]`, entry `i - j + side - 1` being the distance `i - j`, to `[side i, d, side j]`.
fn relative(table: &Tensor, side: usize) -> Result<Tensor> {
    let index: Vec<u32> = (0..side).flat_map(|i| (0..side).map(move |j| (i + side - 1 - j) as u32)).collect();
    let index = Tensor::from_vec(index, side * side, table.device())?;
    table.index_select(&index, 0)?.reshape((side, side, ()))?.transpose(1, 2)?.contiguous()
}

/// For each place of a window, row by row: a 1 for its row, then a 1 for its column.
fn places(side: usize, device: &Device) -> Result<Tensor> {
    let mut ones = vec![0f32; side * side * 2 * side];
    for (place, row) in ones.chunks_exact_mut(2 * side).enumerate() {
        row[place / side] = 1.0;
        row[side + place % side] = 1.0;
    }
    Tensor::from_vec(ones, (side * side, 2 * side), device)
}

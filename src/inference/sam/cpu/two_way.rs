//! The two-way transformer of SAM's mask decoder on the kernels.
//!
//! Source: segment_anything/modeling/transformer.py. The first block's projections of the picture are computed once an
//! embedding ([`PictureSide`]); those of later blocks are never computed: they are folded into the few tokens
//! ([`PicturePass`]). A block's tokens know their next questions before the picture has heard them, so a block's answer
//! to the picture and the next look at it are one pass over its cells.
//!
//! Invariant: `W (row + position) + b` is `W row` plus a constant of the cell, computed at load.

use super::projection::Projection;
use crate::inference::packed_layers::PackedLayers;
use crate::inference::sam::layers::DEFAULT_EPSILON;
use crate::inference::sam::prompt_encoder::DIM;
use crate::inference::segmenter::InferenceError;
use crate::kernels::{
    Activation, Buffer, Cpu, CrossHeads, HeadsIn, HeadsOut, LayerNorm, Linear, Meeting, PicturePass, Rows, RowsMut,
    Start, look,
};

const HEADS: usize = 8;
const HIDDEN: usize = 2048;
/// Channels inside attention between tokens and picture.
const INNER: usize = DIM / 2;
/// From one row of the picture to the next: not a power of two, so that rows do not share their places in a cache.
pub(super) const STRIDE: usize = DIM + 16;
/// Keys, values and queries of a cell.
pub(super) const KVQ: usize = 3 * INNER;

/// The picture as the first block sees it: all of the block's work that no token takes part in.
pub(in crate::inference::sam) struct PictureSide {
    rows: Vec<f32>,
    kvq: Vec<f32>,
}

impl PictureSide {
    /// Bytes of the arrays.
    pub(in crate::inference::sam) fn byte_size(&self) -> usize {
        (self.rows.len() + self.kvq.len()) * size_of::<f32>()
    }

    pub(super) fn borrow(&self) -> Picture<'_> {
        Picture { rows: &self.rows, kvq: &self.kvq }
    }
}

/// The arrays of a [`PictureSide`].
#[derive(Clone, Copy)]
pub(super) struct Picture<'a> {
    /// `[cells, DIM]`.
    pub(super) rows: &'a [f32],
    /// Keys and values for the tokens, then queries of the picture: `[cells, 3, INNER]`, interleaved.
    pub(super) kvq: &'a [f32],
}

impl<'a> Picture<'a> {
    fn part(self, index: usize) -> Rows<'a> {
        Rows::dense(self.kvq, KVQ).from_column(index * INNER)
    }
}

/// What happens to the tokens of a block between its looks at the picture.
struct TokenSide {
    query_and_key: Linear,
    value: Linear,
    self_out: Linear,
    norm1: LayerNorm,
    look_query: Linear,
    look_out: Linear,
    norm2: LayerNorm,
    mlp: [Linear; 2],
    norm3: LayerNorm,
    /// For the picture.
    key: Linear,
    value_out: Linear,
    messages: HeadsOut,
    /// The first block's tokens are their own positions, so none are added and nothing is kept.
    first: bool,
}

/// A look at a picture whose keys and values are not at hand.
struct FoldedLook {
    /// `[DIM, INNER]`, interleaved.
    key: Vec<f32>,
    /// Bias and positions, `[cells, INNER]`, interleaved.
    constant: Vec<f32>,
    value: HeadsIn,
}

/// The transformer with its weights.
pub(super) struct TwoWayTransformer {
    blocks: [TokenSide; 2],
    /// The picture's norms after each block.
    picture_norms: [LayerNorm; 2],
    /// Makes [`PictureSide::kvq`].
    kvq: Linear,
    /// `[cells, KVQ]`.
    kvq_constant: Vec<f32>,
    second_look: FoldedLook,
    /// The second block's queries of the picture.
    query: Vec<f32>,
    query_constant: Vec<f32>,
    last_look: FoldedLook,
    last_query: Linear,
    last_out: Linear,
    last_norm: LayerNorm,
    /// How channels are divided among tokens, and between tokens and picture.
    self_heads: CrossHeads,
    heads: CrossHeads,
    cpu: Cpu,
}

fn in_transformer(part: &str) -> String {
    format!("mask_decoder.transformer.{part}")
}

fn in_block(index: usize, part: &str) -> String {
    in_transformer(&format!("layers.{index}.{part}"))
}

/// Reads the transformer's parts.
struct Loader<'w> {
    layers: PackedLayers<'w>,
    self_heads: CrossHeads,
    heads: CrossHeads,
    positions: &'w [f32],
}

impl Loader<'_> {
    fn projection(&self, name: &str, inputs: usize, outputs: usize) -> Result<Projection, InferenceError> {
        Projection::read(self.layers.weights, name, inputs, outputs)
    }

    fn norm(&self, name: &str) -> Result<LayerNorm, InferenceError> {
        self.layers.layer_norm(name, DIM, DEFAULT_EPSILON as f32, Activation::None)
    }

    /// Bias and what the positions add to a projection: `[cells, outputs]`.
    fn constant(&self, projection: &Projection) -> Vec<f32> {
        let (cells, outputs) = (self.positions.len() / DIM, projection.bias.len());
        let mut rows = vec![0.0; cells * outputs];
        let linear = projection.pack(self.layers.cpu, Activation::None);
        let positions = Rows::dense(self.positions, DIM);
        linear.run(self.layers.cpu.pool, cells, positions, Start::Zero, RowsMut::dense(&mut rows, outputs));
        rows
    }

    fn token_side(&self, index: usize) -> Result<TokenSide, InferenceError> {
        let cpu = self.layers.cpu;
        let name = |part: &str| in_block(index, part);
        let itself = |part: &str| self.projection(&name(&format!("self_attn.{part}_proj")), DIM, DIM);
        let looks = |part: &str| name(&format!("cross_attn_token_to_image.{part}_proj"));
        let speaks = |part: &str| name(&format!("cross_attn_image_to_token.{part}_proj"));
        let scale = |heads: CrossHeads| 1.0 / (heads.depth() as f32).sqrt();
        let query = itself("q")?.scaled(scale(self.self_heads)).interleaved(self.self_heads);
        let look_out = self.projection(&looks("out"), INNER, DIM)?;
        // Only the first block's looks give interleaved channels.
        let look_out = if index == 0 { look_out.of_interleaved(self.heads) } else { look_out };
        let messages = self.projection(&speaks("out"), INNER, DIM)?;
        Ok(TokenSide {
            query_and_key: query.and(itself("k")?.interleaved(self.self_heads)).pack(cpu, Activation::None),
            value: itself("v")?.interleaved(self.self_heads).pack(cpu, Activation::None),
            self_out: itself("out")?.of_interleaved(self.self_heads).pack(cpu, Activation::None),
            norm1: self.norm(&name("norm1"))?,
            look_query: self.look_query(&looks("q"))?,
            look_out: look_out.pack(cpu, Activation::None),
            norm2: self.norm(&name("norm2"))?,
            mlp: [
                self.layers.linear(&name("mlp.lin1"), DIM, HIDDEN, Activation::Relu)?,
                self.layers.linear(&name("mlp.lin2"), HIDDEN, DIM, Activation::None)?,
            ],
            norm3: self.norm(&name("norm3"))?,
            key: self.look_query(&speaks("k"))?,
            value_out: self.layers.linear(&speaks("v"), DIM, INNER, Activation::None)?,
            messages: HeadsOut::new(self.heads, &messages.weight, &messages.bias, DIM),
            first: index == 0,
        })
    }

    /// The tokens' part of scores with the picture: scaled and interleaved.
    fn look_query(&self, name: &str) -> Result<Linear, InferenceError> {
        let scale = 1.0 / (self.heads.depth() as f32).sqrt();
        let projection = self.projection(name, DIM, INNER)?.scaled(scale).interleaved(self.heads);
        Ok(projection.pack(self.layers.cpu, Activation::None))
    }

    fn folded_look(&self, name: &str) -> Result<FoldedLook, InferenceError> {
        let key = self.projection(&format!("{name}.k_proj"), DIM, INNER)?.interleaved(self.heads);
        let value = self.projection(&format!("{name}.v_proj"), DIM, INNER)?;
        Ok(FoldedLook {
            constant: self.constant(&key),
            key: key.turned(),
            value: HeadsIn::new(self.heads, &value.weight, &value.bias, DIM),
        })
    }
}

impl TwoWayTransformer {
    /// Reads `mask_decoder.transformer.*`; `positions` are those of the cells, `[cells, DIM]`.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(super) fn load(layers: PackedLayers<'_>, positions: &[f32]) -> Result<Self, InferenceError> {
        let cpu = layers.cpu.clone();
        let (self_heads, heads) =
            (CrossHeads::new(cpu.isa, HEADS, DIM / HEADS), CrossHeads::new(cpu.isa, HEADS, INNER / HEADS));
        let loader = Loader { layers, self_heads, heads, positions };
        let read = |name: &str| Ok::<_, InferenceError>(loader.projection(name, DIM, INNER)?.interleaved(heads));
        let look = in_block(0, "cross_attn_token_to_image");
        let key = read(&format!("{look}.k_proj"))?;
        let value = read(&format!("{look}.v_proj"))?;
        let query = read(&in_block(0, "cross_attn_image_to_token.q_proj"))?;
        // Values see no positions.
        let mut kvq_constant = loader.constant(&key.clone().and(value.clone()).and(query.clone()));
        for row in kvq_constant.chunks_exact_mut(KVQ) {
            row[INNER..2 * INNER].copy_from_slice(&value.bias);
        }
        let second_query = read(&in_block(1, "cross_attn_image_to_token.q_proj"))?;
        let last = in_transformer("final_attn_token_to_image");
        let kvq = key.and(value).and(query);
        let kvq = Projection { bias: vec![0.0; KVQ], ..kvq }.pack(&cpu, Activation::None);
        Ok(Self {
            blocks: [loader.token_side(0)?, loader.token_side(1)?],
            picture_norms: [loader.norm(&in_block(0, "norm4"))?, loader.norm(&in_block(1, "norm4"))?],
            kvq,
            kvq_constant,
            second_look: loader.folded_look(&in_block(1, "cross_attn_token_to_image"))?,
            query: second_query.turned(),
            query_constant: loader.constant(&second_query),
            last_look: loader.folded_look(&last)?,
            last_query: loader.look_query(&format!("{last}.q_proj"))?,
            last_out: loader.projection(&format!("{last}.out_proj"), INNER, DIM)?.pack(&cpu, Activation::None),
            last_norm: loader.norm(&in_transformer("norm_final_attn"))?,
            self_heads,
            heads,
            cpu,
        })
    }

    /// What the first block needs of the picture, whose rows are `[cells, DIM]`.
    pub(super) fn picture_side(&self, rows: Vec<f32>) -> PictureSide {
        let mut kvq = vec![0.0; rows.len() / DIM * KVQ];
        self.project_picture(&rows, &mut kvq);
        PictureSide { rows, kvq }
    }

    /// Fills [`Picture::kvq`].
    pub(super) fn project_picture(&self, rows: &[f32], kvq: &mut [f32]) {
        let constant = Start::Other(Rows::dense(&self.kvq_constant, KVQ));
        let out = RowsMut::dense(kvq, KVQ);
        self.kvq.run(self.cpu.pool, rows.len() / DIM, Rows::dense(rows, DIM), constant, out);
    }

    /// Tokens `[n, DIM]` and picture rows (every [`STRIDE`]) after all blocks; `prompt` are the tokens before, which are
    /// also their positions.
    pub(super) fn forward(&self, prompt: &[f32], picture: Picture<'_>) -> (Buffer, Buffer) {
        let (cpu, heads) = (&self.cpu, self.heads);
        let tokens = &mut Tokens::new(cpu, prompt, self.self_heads);
        let cells = picture.rows.len() / DIM;
        let count = tokens.count;
        let [first, second] = &self.blocks;

        tokens.attend_themselves(first);
        let query = tokens.project(&first.look_query, INNER);
        let meeting = Meeting::with_cells(heads, picture.part(0), Rows::dense(&query, INNER), count);
        let mut seen = cpu.arena.take(count * INNER);
        look(cpu, heads, &meeting, picture.part(1), cells, RowsMut::dense(&mut seen, INNER));
        tokens.think(first, &seen);
        let (key, messages) = tokens.speak(first);
        let hears = Meeting::with_cells(heads, picture.part(2), Rows::dense(&key, INNER), count);

        tokens.attend_themselves(second);
        let query = tokens.project(&second.look_query, INNER);
        let mut rows = cpu.arena.take(cells * STRIDE);
        let pass = PicturePass {
            heads,
            hears,
            messages: Rows { values: &messages, stride: STRIDE },
            norm: &self.picture_norms[0],
            looks: self.second_look.meet(heads, &query, count),
        };
        let before = Some(Rows::dense(picture.rows, DIM));
        let mixtures = pass.run(cpu, cells, before, RowsMut { values: &mut rows, stride: STRIDE });
        self.second_look.value.run(cpu, count, &mixtures, &mut seen);
        tokens.think(second, &seen);
        let (key, messages) = tokens.speak(second);

        let query = tokens.project(&self.last_query, INNER);
        let constant = Rows::dense(&self.query_constant, INNER);
        let pass = PicturePass {
            heads,
            hears: Meeting::with_weight(heads, constant, &self.query, Rows::dense(&key, INNER), count),
            messages: Rows { values: &messages, stride: STRIDE },
            norm: &self.picture_norms[1],
            looks: self.last_look.meet(heads, &query, count),
        };
        let mixtures = pass.run(cpu, cells, None, RowsMut { values: &mut rows, stride: STRIDE });
        self.last_look.value.run(cpu, count, &mixtures, &mut seen);
        tokens.add(&self.last_out, &seen, INNER);
        tokens.norm(&self.last_norm);
        (tokens.take(), rows)
    }
}

impl FoldedLook {
    fn meet(&self, heads: CrossHeads, query: &[f32], count: usize) -> Meeting<'_> {
        let constant = Rows::dense(&self.constant, INNER);
        Meeting::with_weight(heads, constant, &self.key, Rows::dense(query, INNER), count)
    }
}

/// The tokens at work.
struct Tokens<'a> {
    cpu: &'a Cpu,
    self_heads: CrossHeads,
    prompt: &'a [f32],
    count: usize,
    /// `[count, DIM]`.
    now: Buffer,
    /// The same plus their positions, kept up to date by [`Tokens::norm`].
    placed: Buffer,
}

impl<'a> Tokens<'a> {
    fn new(cpu: &'a Cpu, prompt: &'a [f32], self_heads: CrossHeads) -> Self {
        let (mut now, mut placed) = (cpu.arena.take(prompt.len()), cpu.arena.take(prompt.len()));
        now.copy_from_slice(prompt);
        placed.copy_from_slice(prompt);
        Self { cpu, self_heads, prompt, count: prompt.len() / DIM, now, placed }
    }

    /// The tokens themselves.
    fn take(&mut self) -> Buffer {
        std::mem::replace(&mut self.now, self.cpu.arena.take(0))
    }

    /// A projection of the tokens plus their positions.
    fn project(&self, linear: &Linear, outputs: usize) -> Buffer {
        let mut out = self.cpu.arena.take(self.count * outputs);
        let rows = Rows::dense(&self.placed, DIM);
        linear.run(self.cpu.pool, self.count, rows, Start::Zero, RowsMut::dense(&mut out, outputs));
        out
    }

    /// Adds a projection of `rows` to the tokens.
    fn add(&mut self, linear: &Linear, rows: &[f32], inputs: usize) {
        let rows = Rows::dense(rows, inputs);
        linear.run(self.cpu.pool, self.count, rows, Start::Output, RowsMut::dense(&mut self.now, DIM));
    }

    fn norm(&mut self, norm: &LayerNorm) {
        norm.run_in_place(self.cpu.pool, self.count, RowsMut::dense(&mut self.now, DIM));
        for ((placed, now), position) in self.placed.iter_mut().zip(&*self.now).zip(self.prompt) {
            *placed = now + position;
        }
    }

    fn attend_themselves(&mut self, side: &TokenSide) {
        let (cpu, count) = (self.cpu, self.count);
        let mut query_and_key = cpu.arena.take(count * 2 * DIM);
        // In the first block tokens and positions are one.
        let placed = if side.first { &self.now } else { &self.placed };
        let wide = RowsMut::dense(&mut query_and_key, 2 * DIM);
        side.query_and_key.run(cpu.pool, count, Rows::dense(placed, DIM), Start::Zero, wide);
        let mut value = cpu.arena.take(count * DIM);
        let out = RowsMut::dense(&mut value, DIM);
        side.value.run(cpu.pool, count, Rows::dense(&self.now, DIM), Start::Zero, out);
        let query_and_key = Rows::dense(&query_and_key, 2 * DIM);
        let meeting = Meeting::with_cells(self.self_heads, query_and_key.from_column(DIM), query_and_key, count);
        let mut seen = cpu.arena.take(count * DIM);
        let out = RowsMut::dense(&mut seen, DIM);
        look(cpu, self.self_heads, &meeting, Rows::dense(&value, DIM), count, out);
        if side.first {
            self.now.fill(0.0);
        }
        self.add(&side.self_out, &seen, DIM);
        self.norm(&side.norm1);
    }

    /// Takes in what a look at the picture has shown, `[count, INNER]`, then the two layers.
    fn think(&mut self, side: &TokenSide, seen: &[f32]) {
        self.add(&side.look_out, seen, INNER);
        self.norm(&side.norm2);
        let mut hidden = self.cpu.arena.take(self.count * HIDDEN);
        let out = RowsMut::dense(&mut hidden, HIDDEN);
        side.mlp[0].run(self.cpu.pool, self.count, Rows::dense(&self.now, DIM), Start::Zero, out);
        self.add(&side.mlp[1], &hidden, HIDDEN);
        self.norm(&side.norm3);
    }

    /// Keys and messages for the picture.
    fn speak(&self, side: &TokenSide) -> (Buffer, Buffer) {
        let (cpu, count) = (self.cpu, self.count);
        let key = self.project(&side.key, INNER);
        let mut value = cpu.arena.take(count * INNER);
        let out = RowsMut::dense(&mut value, INNER);
        side.value_out.run(cpu.pool, count, Rows::dense(&self.now, DIM), Start::Zero, out);
        let mut messages = cpu.arena.take(count * HEADS * STRIDE);
        side.messages.run(cpu, count, &value, &mut messages, STRIDE);
        (key, messages)
    }
}

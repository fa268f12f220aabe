//! The two-way transformer of SAM's mask decoder, and of others that are built like it, on the kernels.
//!
//! Source: segment_anything/modeling/transformer.py. Projections of the picture are not computed: they are folded into
//! the few tokens ([`PicturePass`]). Only the first block's may be, once an embedding, where one is asked many questions
//! ([`PictureSide`]). A block's tokens know their next questions before the picture has heard them, so a block's answer
//! to the picture and the next look at it are one pass over its cells.
//!
//! Invariant: `W (row + position) + b` is `W row` plus a constant of the cell, computed at load.

use super::projection::Projection;
use super::tokens::{TokenSide, Tokens};
use crate::inference::packed_layers::PackedLayers;
use crate::inference::sam::layers::DEFAULT_EPSILON;
use crate::inference::segmenter::InferenceError;
use crate::kernels::{
    Activation, Buffer, Cpu, CrossHeads, HeadsIn, Hearing, LayerNorm, Linear, Meeting, PicturePass, Rows, RowsMut,
    Start, look, look_at_rows,
};

/// A transformer's sizes, and what its file calls its parts.
#[derive(Clone, Copy)]
pub(in crate::inference::sam) struct TwoWayDesign {
    /// Channels of tokens and picture; attention between the two has half as many.
    pub(in crate::inference::sam) width: usize,
    /// Of every attention.
    pub(in crate::inference::sam) heads: usize,
    /// Channels inside the tokens' two layers.
    pub(in crate::inference::sam) hidden: usize,
    /// From one row of the result to the next.
    pub(in crate::inference::sam) stride: usize,
    /// What all names begin with.
    pub(in crate::inference::sam) prefix: &'static str,
    /// Tokens attending to the picture.
    pub(in crate::inference::sam) look: &'static str,
    /// The picture attending to tokens.
    pub(in crate::inference::sam) speak: &'static str,
    /// The tokens' two layers.
    pub(in crate::inference::sam) mlp: [&'static str; 2],
    /// The tokens' last look at the picture, and the norm after it.
    pub(in crate::inference::sam) last: [&'static str; 2],
}

impl TwoWayDesign {
    pub(super) fn in_block(&self, index: usize, part: &str) -> String {
        format!("{}.layers.{index}.{part}", self.prefix)
    }

    fn name(&self, part: &str) -> String {
        format!("{}.{part}", self.prefix)
    }

    /// Channels inside attention between tokens and picture.
    fn inner(&self) -> usize {
        self.width / 2
    }
}

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
        Picture { rows: &self.rows, kvq: Some(&self.kvq) }
    }
}

/// A picture to ask about.
#[derive(Clone, Copy)]
pub(in crate::inference::sam) struct Picture<'a> {
    /// `[cells, width]`.
    pub(in crate::inference::sam) rows: &'a [f32],
    /// If they were computed ahead, the first block's keys and values for the tokens, then its queries of the picture:
    /// `[cells, 3, inner]`, interleaved.
    pub(in crate::inference::sam) kvq: Option<&'a [f32]>,
}

/// A projection of the picture that is folded into the tokens it meets.
struct Folded {
    /// `[width, inner]`, interleaved.
    weight: Vec<f32>,
    /// Bias and positions, `[cells, inner]`, interleaved.
    constant: Vec<f32>,
}

impl Folded {
    fn meet(&self, heads: CrossHeads, tokens: &[f32], count: usize) -> Meeting<'_> {
        let inner = heads.inner();
        Meeting::with_weight(heads, self.constant(inner), &self.weight, Rows::dense(tokens, inner), count)
    }

    fn constant(&self, inner: usize) -> Rows<'_> {
        Rows::dense(&self.constant, inner)
    }
}

/// A look at the picture.
struct Look {
    key: Folded,
    value: HeadsIn,
}

struct Block {
    tokens: TokenSide,
    look: Look,
    /// The picture's queries.
    query: Folded,
    /// Of the picture.
    norm: LayerNorm,
}

/// The transformer with its weights.
pub(in crate::inference::sam) struct TwoWayTransformer {
    design: TwoWayDesign,
    blocks: [Block; 2],
    last_look: Look,
    last_query: Linear,
    last_out: Linear,
    last_norm: LayerNorm,
    heads: CrossHeads,
    cpu: Cpu,
}

/// Reads the transformer's parts.
pub(super) struct Loader<'w> {
    pub(super) layers: &'w PackedLayers<'w>,
    pub(super) design: TwoWayDesign,
    /// How channels are divided between tokens and picture.
    pub(super) heads: CrossHeads,
    positions: &'w [f32],
}

impl Loader<'_> {
    pub(super) fn projection(&self, name: &str, inputs: usize, outputs: usize) -> Result<Projection, InferenceError> {
        Projection::read(self.layers.weights, name, inputs, outputs)
    }

    pub(super) fn norm(&self, name: &str) -> Result<LayerNorm, InferenceError> {
        self.layers.layer_norm(name, self.design.width, DEFAULT_EPSILON as f32, Activation::None)
    }

    /// The tokens' part of scores with the picture: scaled and interleaved.
    pub(super) fn scores(&self, name: &str) -> Result<Linear, InferenceError> {
        let scale = 1.0 / (self.heads.depth() as f32).sqrt();
        let projection = self.projection(name, self.design.width, self.heads.inner())?;
        Ok(projection.scaled(scale).interleaved(self.heads).pack(self.layers.cpu, Activation::None))
    }

    fn folded(&self, name: &str) -> Result<Folded, InferenceError> {
        let (width, inner, cpu) = (self.design.width, self.heads.inner(), self.layers.cpu);
        let projection = self.projection(name, width, inner)?.interleaved(self.heads);
        let cells = self.positions.len() / width;
        let mut constant = vec![0.0; cells * inner];
        // Computed once and used always: as exact as can be.
        let linear = projection.pack_for(cpu.isa.with_f32_products(), Activation::None);
        let positions = Rows::dense(self.positions, width);
        linear.run(cpu.pool, cells, positions, Start::Zero, RowsMut::dense(&mut constant, inner));
        Ok(Folded { weight: projection.turned(), constant })
    }

    fn look(&self, name: &str) -> Result<Look, InferenceError> {
        let value = self.projection(&format!("{name}.v_proj"), self.design.width, self.heads.inner())?;
        Ok(Look {
            key: self.folded(&format!("{name}.k_proj"))?,
            value: HeadsIn::new(self.heads, &value.weight, &value.bias, self.design.width),
        })
    }

    fn block(&self, index: usize) -> Result<Block, InferenceError> {
        let name = |part: &str| self.design.in_block(index, part);
        Ok(Block {
            tokens: TokenSide::load(self, index)?,
            look: self.look(&name(self.design.look))?,
            query: self.folded(&name(&format!("{}.q_proj", self.design.speak)))?,
            norm: self.norm(&name("norm4"))?,
        })
    }
}

impl TwoWayTransformer {
    /// Reads the parts that `design` names; `positions` are those of the cells, `[cells, width]`.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(in crate::inference::sam) fn load(
        layers: &PackedLayers<'_>,
        design: TwoWayDesign,
        positions: &[f32],
    ) -> Result<Self, InferenceError> {
        let cpu = layers.cpu.clone();
        // What is made of the few tokens is never rounded: it is small, and a whole picture depends on it.
        let heads = CrossHeads::new(cpu.isa.with_f32_products(), design.heads, design.inner() / design.heads);
        let loader = Loader { layers, design, heads, positions };
        let [last, last_norm] = design.last.map(|part| design.name(part));
        Ok(Self {
            design,
            blocks: [loader.block(0)?, loader.block(1)?],
            last_look: loader.look(&last)?,
            last_query: loader.scores(&format!("{last}.q_proj"))?,
            last_out: layers.linear(&format!("{last}.out_proj"), design.inner(), design.width, Activation::None)?,
            last_norm: loader.norm(&last_norm)?,
            heads,
            cpu,
        })
    }

    /// Tokens `[n, width]` and picture rows (every `design.stride`) after all blocks; `prompt` are the tokens before,
    /// which are also their positions.
    pub(in crate::inference::sam) fn forward(&self, prompt: &[f32], picture: Picture<'_>) -> (Buffer, Buffer) {
        let (cpu, heads, TwoWayDesign { width, stride, .. }) = (&self.cpu, self.heads, self.design);
        let inner = heads.inner();
        let mut tokens = Tokens::new(cpu, prompt, width);
        let cells = picture.rows.len() / width;
        let count = tokens.count;
        let [first, second] = &self.blocks;
        let mut seen = cpu.arena.take(count * inner);
        let ahead = |index: usize| picture.kvq.map(|kvq| Rows::dense(kvq, 3 * inner).from_column(index * inner));
        let before = Rows::dense(picture.rows, width);

        tokens.attend_themselves(&first.tokens);
        let query = tokens.project(&first.tokens.look_query);
        if let (Some(keys), Some(values)) = (ahead(0), ahead(1)) {
            let meeting = Meeting::with_cells(heads, keys, Rows::dense(&query, inner), count);
            let mut interleaved = cpu.arena.take(count * inner);
            look(cpu, heads, &meeting, values, cells, RowsMut::dense(&mut interleaved, inner));
            for (to, from) in seen.chunks_exact_mut(inner).zip(interleaved.chunks_exact(inner)) {
                from.iter().enumerate().for_each(|(channel, value)| to[heads.interleaved(channel)] = *value);
            }
        } else {
            let mixtures = look_at_rows(cpu, heads, &first.look.key.meet(heads, &query, count), before, cells, width);
            first.look.value.run(cpu, count, &mixtures, &mut seen);
        }
        tokens.think(&first.tokens, &seen);
        let (key, messages) = tokens.speak(&first.tokens, stride);
        let meeting = match ahead(2) {
            Some(queries) => Meeting::with_cells(heads, queries, Rows::dense(&key, inner), count),
            None => first.query.meet(heads, &key, count),
        };

        tokens.attend_themselves(&second.tokens);
        let query = tokens.project(&second.tokens.look_query);
        let mut rows = cpu.arena.take(cells * stride);
        let pass = PicturePass {
            heads,
            hears: Hearing { meeting, messages: Rows { values: &messages, stride }, norm: &first.norm },
            looks: second.look.key.meet(heads, &query, count),
        };
        let mixtures = pass.run(cpu, cells, Some(before), RowsMut { values: &mut rows, stride });
        second.look.value.run(cpu, count, &mixtures, &mut seen);
        tokens.think(&second.tokens, &seen);
        let (key, messages) = tokens.speak(&second.tokens, stride);

        let query = tokens.project(&self.last_query);
        let meeting = second.query.meet(heads, &key, count);
        let pass = PicturePass {
            heads,
            hears: Hearing { meeting, messages: Rows { values: &messages, stride }, norm: &second.norm },
            looks: self.last_look.key.meet(heads, &query, count),
        };
        let mixtures = pass.run(cpu, cells, None, RowsMut { values: &mut rows, stride });
        self.last_look.value.run(cpu, count, &mixtures, &mut seen);
        tokens.add(&self.last_out, &seen);
        tokens.norm(&self.last_norm);
        (tokens.into_now(), rows)
    }
}

/// Computes the first block's projections of a picture ahead of the questions.
pub(super) struct PictureProjection {
    key: Linear,
    value: Linear,
    query: Linear,
}

impl PictureProjection {
    /// Those of the transformer that `design` names.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(super) fn load(transformer: &TwoWayTransformer, layers: &PackedLayers<'_>) -> Result<Self, InferenceError> {
        let (design, heads) = (transformer.design, transformer.heads);
        let read = |part: &str, name: &str| -> Result<Projection, InferenceError> {
            let name = design.in_block(0, &format!("{part}.{name}_proj"));
            Ok(Projection::read(layers.weights, &name, design.width, heads.inner())?.interleaved(heads))
        };
        let pack = |projection: Projection| projection.pack(layers.cpu, Activation::None);
        Ok(Self {
            // Their biases are in the constants.
            key: pack(read(design.look, "k")?.without_bias()),
            value: pack(read(design.look, "v")?),
            query: pack(read(design.speak, "q")?.without_bias()),
        })
    }

    /// What the first block needs of the picture, whose rows are `[cells, width]`.
    pub(super) fn picture_side(&self, transformer: &TwoWayTransformer, rows: Vec<f32>) -> PictureSide {
        let TwoWayTransformer { cpu, heads, design, blocks: [first, _], .. } = transformer;
        let (width, inner) = (design.width, heads.inner());
        let cells = rows.len() / width;
        let mut kvq = vec![0.0; cells * 3 * inner];
        let mut project = |linear: &Linear, start: Start<'_>, index: usize| {
            let out = RowsMut { values: &mut kvq[index * inner..], stride: 3 * inner };
            linear.run(cpu.pool, cells, Rows::dense(&rows, width), start, out);
        };
        project(&self.key, Start::Other(first.look.key.constant(inner)), 0);
        // Values see no positions.
        project(&self.value, Start::Zero, 1);
        project(&self.query, Start::Other(first.query.constant(inner)), 2);
        PictureSide { rows, kvq }
    }
}

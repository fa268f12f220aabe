//! The tokens' own work in a two-way transformer: a handful of rows that attend to each other and go through small
//! layers between their looks at the picture.
//!
//! Source: segment_anything/modeling/transformer.py, `TwoWayAttentionBlock`. Invariant: `placed` is always `now` plus
//! the tokens' positions, which are the tokens as the prompt made them.

use super::two_way::Loader;
use crate::inference::segmenter::InferenceError;
use crate::kernels::{
    Activation, Buffer, Cpu, CrossHeads, HeadsOut, LayerNorm, Linear, Meeting, Rows, RowsMut, Start, look,
};

/// What happens to the tokens of a block between its looks at the picture.
pub(super) struct TokenSide {
    query_and_key: Linear,
    value: Linear,
    self_out: Linear,
    norm1: LayerNorm,
    /// The tokens' part of scores with the picture.
    pub(super) look_query: Linear,
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
    self_heads: CrossHeads,
}

impl TokenSide {
    /// Block `index`.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(super) fn load(loader: &Loader<'_>, index: usize) -> Result<Self, InferenceError> {
        let (cpu, design, heads) = (loader.layers.cpu, loader.design, loader.heads);
        let (width, inner, hidden) = (design.width, heads.inner(), design.hidden);
        let self_heads = CrossHeads::new(heads.isa(), design.heads, width / design.heads);
        let name = |part: &str| design.in_block(index, part);
        let itself = |part: &str| loader.projection(&name(&format!("self_attn.{part}_proj")), width, width);
        let looks = |part: &str| name(&format!("{}.{part}_proj", design.look));
        let speaks = |part: &str| name(&format!("{}.{part}_proj", design.speak));
        let query = itself("q")?.scaled(1.0 / (self_heads.depth() as f32).sqrt()).interleaved(self_heads);
        let messages = loader.projection(&speaks("out"), inner, width)?;
        let layers = loader.layers;
        Ok(Self {
            query_and_key: query.and(itself("k")?.interleaved(self_heads)).pack(cpu, Activation::None),
            value: itself("v")?.interleaved(self_heads).pack(cpu, Activation::None),
            self_out: itself("out")?.of_interleaved(self_heads).pack(cpu, Activation::None),
            norm1: loader.norm(&name("norm1"))?,
            look_query: loader.scores(&looks("q"))?,
            look_out: layers.linear(&looks("out"), inner, width, Activation::None)?,
            norm2: loader.norm(&name("norm2"))?,
            mlp: [
                layers.linear(&name(design.mlp[0]), width, hidden, Activation::Relu)?,
                layers.linear(&name(design.mlp[1]), hidden, width, Activation::None)?,
            ],
            norm3: loader.norm(&name("norm3"))?,
            key: loader.scores(&speaks("k"))?,
            value_out: layers.linear(&speaks("v"), width, inner, Activation::None)?,
            messages: HeadsOut::new(heads, &messages.weight, &messages.bias, width),
            first: index == 0,
            self_heads,
        })
    }
}

/// The tokens at work.
pub(super) struct Tokens<'a> {
    cpu: &'a Cpu,
    prompt: &'a [f32],
    width: usize,
    pub(super) count: usize,
    /// `[count, width]`.
    now: Buffer,
    /// The same plus their positions, kept up to date by [`Tokens::norm`].
    placed: Buffer,
}

impl<'a> Tokens<'a> {
    /// `prompt` `[count, width]`.
    pub(super) fn new(cpu: &'a Cpu, prompt: &'a [f32], width: usize) -> Self {
        let (mut now, mut placed) = (cpu.arena.take(prompt.len()), cpu.arena.take(prompt.len()));
        now.copy_from_slice(prompt);
        placed.copy_from_slice(prompt);
        Self { cpu, prompt, width, count: prompt.len() / width, now, placed }
    }

    /// The tokens themselves.
    pub(super) fn into_now(self) -> Buffer {
        self.now
    }

    /// A projection of `rows`, as many as there are tokens.
    fn apply(&self, linear: &Linear, rows: &[f32]) -> Buffer {
        let (inputs, outputs) = (linear.weights().depth(), linear.weights().columns());
        let mut out = self.cpu.arena.take(self.count * outputs);
        let rows = Rows::dense(rows, inputs);
        linear.run(self.cpu.pool, self.count, rows, Start::Zero, RowsMut::dense(&mut out, outputs));
        out
    }

    /// A projection of the tokens plus their positions.
    pub(super) fn project(&self, linear: &Linear) -> Buffer {
        self.apply(linear, &self.placed)
    }

    /// Adds a projection of `rows` to the tokens.
    pub(super) fn add(&mut self, linear: &Linear, rows: &[f32]) {
        let rows = Rows::dense(rows, linear.weights().depth());
        linear.run(self.cpu.pool, self.count, rows, Start::Output, RowsMut::dense(&mut self.now, self.width));
    }

    pub(super) fn norm(&mut self, norm: &LayerNorm) {
        norm.run_in_place(self.cpu.pool, self.count, RowsMut::dense(&mut self.now, self.width));
        for ((placed, now), position) in self.placed.iter_mut().zip(&*self.now).zip(self.prompt) {
            *placed = now + position;
        }
    }

    pub(super) fn attend_themselves(&mut self, side: &TokenSide) {
        let (cpu, count, width) = (self.cpu, self.count, self.width);
        // In the first block tokens and positions are one.
        let query_and_key = self.apply(&side.query_and_key, if side.first { &self.now } else { &self.placed });
        let value = self.apply(&side.value, &self.now);
        let query_and_key = Rows::dense(&query_and_key, 2 * width);
        let meeting = Meeting::with_cells(side.self_heads, query_and_key.from_column(width), query_and_key, count);
        let mut seen = cpu.arena.take(count * width);
        let out = RowsMut::dense(&mut seen, width);
        look(cpu, side.self_heads, &meeting, Rows::dense(&value, width), count, out);
        if side.first {
            self.now.fill(0.0);
        }
        self.add(&side.self_out, &seen);
        self.norm(&side.norm1);
    }

    /// Takes in what a look at the picture has shown, `[count, inner]`, then the two layers.
    pub(super) fn think(&mut self, side: &TokenSide, seen: &[f32]) {
        self.add(&side.look_out, seen);
        self.norm(&side.norm2);
        let hidden = self.apply(&side.mlp[0], &self.now);
        self.add(&side.mlp[1], &hidden);
        self.norm(&side.norm3);
    }

    /// Keys `[count, inner]` and messages `[count * heads, width]`, these every `stride` values, for the picture.
    pub(super) fn speak(&self, side: &TokenSide, stride: usize) -> (Buffer, Buffer) {
        let (cpu, count) = (self.cpu, self.count);
        let value = self.apply(&side.value_out, &self.now);
        let mut messages = cpu.arena.take(count * side.messages.heads() * stride);
        side.messages.run(cpu, count, &value, &mut messages, stride);
        (self.project(&side.key), messages)
    }
}

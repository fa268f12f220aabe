//! The two-way transformer on the kernels: the same layers as `spark/two_way.rs`, cut differently.
//!
//! The picture's rows are worked on a band at a time, and each band goes through everything that needs no other band
//! before it leaves the core's cache: it hears the tokens (of the block before), is normed, is projected, and speaks to
//! the tokens (of this block). What bands say is merged; the tokens' own work is in between.

use super::super::config::WIDTH;
use super::super::layers::{Layers, TOKEN_NORM_EPS};
use super::super::two_way::{CROSS_WIDTH, HEADS, MLP_WIDTH};
use super::tokens::{SelfAttention, Tokens, apply, apply_and_add, normalise, sum};
use crate::inference::segmenter::InferenceError;
use crate::kernels::few_tokens::{NEVER, Partial, column_softmax, merge, per_head, row_softmax};
use crate::kernels::{Activation, Cpu, LayerNorm, Linear, Packed, Rows, RowsMut, Start};

const DEPTH: usize = CROSS_WIDTH / HEADS;
const SCALE: f32 = 0.25;
/// Slots of a head in the scores of rows against tokens: whole vectors on every machine.
const SLOTS: usize = 16;

/// Tokens attending to the picture.
pub(super) struct Listening {
    /// Keys and values of the picture's rows, and (where the picture listens, too) its queries: `[128, 2 or 3 * 64]`.
    project: Linear,
    /// What the bias and the positional encoding add to each row, `[cells, 2 or 3 * 64]`.
    constant: Vec<f32>,
    query: Linear,
    out: Linear,
}

impl Listening {
    /// `names`: the projections of the picture's rows, and whether each sees the positional encoding.
    fn load(
        layers: &Layers<'_>,
        cpu: &Cpu,
        name: &str,
        names: &[(String, bool)],
        positions: &[f32],
    ) -> Result<Self, InferenceError> {
        let columns = names.len() * CROSS_WIDTH;
        let cells = positions.len() / WIDTH;
        let mut weights = Vec::new();
        let mut constant = vec![0.0; cells * columns];
        for (index, (name, sees_position)) in names.iter().enumerate() {
            let weight = layers.values(&format!("{name}.weight"), &[CROSS_WIDTH, WIDTH])?;
            let bias = layers.values(&format!("{name}.bias"), &[CROSS_WIDTH])?;
            let part = RowsMut { values: &mut constant[index * CROSS_WIDTH..], stride: columns };
            if *sees_position {
                let packed = Packed::from_linear(cpu.isa, &weight, CROSS_WIDTH, WIDTH);
                let linear = Linear::new(packed, Some(&bias), Activation::None);
                linear.run(cpu.pool, cells, Rows::dense(positions, WIDTH), Start::Zero, part);
            } else {
                part.values.chunks_mut(columns).for_each(|row| row[..CROSS_WIDTH].copy_from_slice(&bias));
            }
            weights.extend(weight);
        }
        Ok(Self {
            project: Linear::new(Packed::from_linear(cpu.isa, &weights, columns, WIDTH), None, Activation::None),
            constant,
            query: layers.packed_linear(cpu, &format!("{name}.q_proj"), WIDTH, CROSS_WIDTH, Activation::None)?,
            out: layers.packed_linear(cpu, &format!("{name}.out_proj"), CROSS_WIDTH, WIDTH, Activation::None)?,
        })
    }

    /// Columns of a projected row.
    pub(super) fn columns(&self) -> usize {
        self.project.weights().columns()
    }

    /// The tokens' questions, ready for bands: `placed` are the tokens with the prompt's encoding added.
    pub(super) fn ask(&self, cpu: &Cpu, placed: &[f32]) -> Question {
        let count = placed.len() / WIDTH;
        let packed = per_head(cpu.isa, &apply(&self.query, placed), count, HEADS, count, SCALE);
        Question { scores: Linear::new(packed, None, Activation::None), tokens: count }
    }

    /// A band's rows projected, and what they say to the tokens. `first_cell` is the band's first row.
    pub(super) fn speak(
        &self,
        cpu: &Cpu,
        rows: &[f32],
        first_cell: usize,
        question: &Question,
        projected: &mut [f32],
        partial: &mut [f32],
    ) {
        let (count, columns) = (rows.len() / WIDTH, self.columns());
        let constant = &self.constant[first_cell * columns..][..count * columns];
        let start = Start::Other(Rows::dense(constant, columns));
        self.project.run_here(count, Rows::dense(rows, WIDTH), start, RowsMut::dense(projected, columns));
        let mut scores = cpu.arena.take(count * question.columns());
        let out = RowsMut::dense(&mut scores, question.columns());
        question.scores.run_here(count, Rows::dense(projected, columns), Start::Zero, out);
        let partial = Partial { values: partial, columns: question.columns(), depth: DEPTH };
        let values = &projected[CROSS_WIDTH..];
        column_softmax(cpu.isa, &mut scores, count, question.tokens, values, columns, partial);
    }

    /// The tokens with what all bands said added.
    pub(super) fn hear(&self, tokens: &mut [f32], partials: &[f32], question: &Question) {
        apply_and_add(&self.out, &merge(partials, question.tokens, HEADS, DEPTH), tokens);
    }
}

/// What the tokens ask the picture.
pub(super) struct Question {
    scores: Linear,
    tokens: usize,
}

impl Question {
    fn columns(&self) -> usize {
        self.tokens * HEADS
    }

    /// Values of what a band says.
    pub(super) fn partial_len(&self) -> usize {
        Partial::len(self.columns(), DEPTH)
    }
}

/// The picture attending to tokens.
struct Telling {
    key: Linear,
    value: Linear,
    /// Weight of the output projection, `[128, 64]`, and its bias.
    out: Vec<f32>,
    out_bias: Vec<f32>,
    norm: LayerNorm,
}

/// What the tokens tell the picture.
pub(super) struct Told {
    /// From a row's queries to its scores.
    scores: Linear,
    /// From its shares to what is added to the row: the tokens' values through the output projection.
    values: Linear,
    slots: usize,
}

impl Telling {
    fn load(layers: &Layers<'_>, cpu: &Cpu, name: &str, norm: &str) -> Result<Self, InferenceError> {
        let linear =
            |part: &str| layers.packed_linear(cpu, &format!("{name}.{part}"), WIDTH, CROSS_WIDTH, Activation::None);
        Ok(Self {
            key: linear("k_proj")?,
            value: linear("v_proj")?,
            out: layers.values(&format!("{name}.out_proj.weight"), &[WIDTH, CROSS_WIDTH])?,
            out_bias: layers.values(&format!("{name}.out_proj.bias"), &[WIDTH])?,
            norm: layers.packed_norm(cpu, norm, WIDTH, TOKEN_NORM_EPS, Activation::None)?,
        })
    }

    fn tell(&self, cpu: &Cpu, placed: &[f32], tokens: &[f32]) -> Told {
        let count = placed.len() / WIDTH;
        let slots = count.next_multiple_of(SLOTS);
        let unused: Vec<f32> =
            (0..HEADS * slots).map(|column| if column % slots < count { 0.0 } else { NEVER }).collect();
        let keys = per_head(cpu.isa, &apply(&self.key, placed), count, HEADS, slots, SCALE);
        let values = apply(&self.value, tokens);
        // The output projection of each head's part of each token, once instead of once a row.
        let mut through = vec![0.0; HEADS * slots * WIDTH];
        for (slot, row) in through.chunks_exact_mut(WIDTH).enumerate() {
            let (head, token) = (slot / slots, slot % slots);
            if token >= count {
                continue;
            }
            let value = &values[token * CROSS_WIDTH + head * DEPTH..][..DEPTH];
            for (to, weight) in row.iter_mut().zip(self.out.chunks_exact(CROSS_WIDTH)) {
                *to = value.iter().zip(&weight[head * DEPTH..]).map(|(value, weight)| value * weight).sum();
            }
        }
        let packed = Packed::new(cpu.isa, HEADS * slots, WIDTH, |row, column| through[row * WIDTH + column]);
        Told {
            scores: Linear::new(keys, Some(&unused), Activation::None),
            values: Linear::new(packed, Some(&self.out_bias), Activation::None),
            slots,
        }
    }
}

/// One block of the transformer.
pub(super) struct TwoWayBlock {
    /// The first block's self attention replaces the tokens instead of adding to them.
    first: bool,
    self_attention: SelfAttention,
    pub(super) listening: Listening,
    mlp: [Linear; 2],
    telling: Telling,
    norms: [LayerNorm; 3],
}

impl TwoWayBlock {
    /// `positions`: the picture's positional encoding, `[cells, 128]`.
    pub(super) fn load(
        layers: &Layers<'_>,
        cpu: &Cpu,
        index: usize,
        positions: &[f32],
    ) -> Result<Self, InferenceError> {
        let name = format!("decoder.layers.{index}");
        let (to_image, to_tokens) = (format!("{name}.cross_t2i"), format!("{name}.cross_i2t"));
        let norm = |part: usize| {
            layers.packed_norm(cpu, &format!("{name}.norm{part}"), WIDTH, TOKEN_NORM_EPS, Activation::None)
        };
        let mlp = |part: usize, inputs, out, activation| {
            layers.packed_linear(cpu, &format!("{name}.mlp.{part}"), inputs, out, activation)
        };
        let projections = [
            (format!("{to_image}.k_proj"), true),
            (format!("{to_image}.v_proj"), false),
            (format!("{to_tokens}.q_proj"), true),
        ];
        Ok(Self {
            first: index == 0,
            self_attention: SelfAttention::load(layers, cpu, &format!("{name}.self_attn"), HEADS)?,
            listening: Listening::load(layers, cpu, &to_image, &projections, positions)?,
            mlp: [mlp(0, WIDTH, MLP_WIDTH, Activation::Relu)?, mlp(2, MLP_WIDTH, WIDTH, Activation::None)?],
            telling: Telling::load(layers, cpu, &to_tokens, &format!("{name}.norm4"))?,
            norms: [norm(1)?, norm(2)?, norm(3)?],
        })
    }

    /// The tokens after they attended to each other. `prompt`: the tokens before the first block.
    pub(super) fn among_themselves(&self, cpu: &Cpu, tokens: &[f32], prompt: &[f32]) -> Tokens {
        let mut tokens = if self.first {
            self.self_attention.forward(tokens, tokens, None)
        } else {
            self.self_attention.forward(&sum(tokens, prompt), tokens, Some(tokens))
        };
        normalise(cpu, &self.norms[0], &mut tokens);
        tokens
    }

    /// The tokens after they heard the picture, and what they tell it.
    pub(super) fn after_hearing(
        &self,
        cpu: &Cpu,
        mut tokens: Tokens,
        prompt: &[f32],
        partials: &[f32],
        question: &Question,
    ) -> (Tokens, Told) {
        self.listening.hear(&mut tokens, partials, question);
        normalise(cpu, &self.norms[1], &mut tokens);
        let thought = apply(&self.mlp[0], &tokens);
        apply_and_add(&self.mlp[1], &thought, &mut tokens);
        normalise(cpu, &self.norms[2], &mut tokens);
        let told = self.telling.tell(cpu, &sum(&tokens, prompt), &tokens);
        (tokens, told)
    }

    /// A band after it was told, in place; `projected` is what [`Listening::speak`] of this block made of it.
    pub(super) fn listen(&self, cpu: &Cpu, rows: &mut [f32], projected: &[f32], told: &Told) {
        let (count, columns) = (rows.len() / WIDTH, self.listening.columns());
        let width = HEADS * told.slots;
        let mut scores = cpu.arena.take(count * width);
        let queries = Rows::dense(projected, columns).from_column(2 * CROSS_WIDTH);
        told.scores.run_here(count, queries, Start::Zero, RowsMut::dense(&mut scores, width));
        row_softmax(cpu.isa, &mut scores, told.slots);
        told.values.run_here(count, Rows::dense(&scores, width), Start::Output, RowsMut::dense(rows, WIDTH));
        normalise(cpu, &self.telling.norm, rows);
    }
}

/// The last look of the tokens at the picture.
pub(super) struct FinalAttention {
    pub(super) listening: Listening,
    norm: LayerNorm,
}

impl FinalAttention {
    pub(super) fn load(layers: &Layers<'_>, cpu: &Cpu, positions: &[f32]) -> Result<Self, InferenceError> {
        let name = "decoder.final_attn";
        let projections = [(format!("{name}.k_proj"), true), (format!("{name}.v_proj"), false)];
        Ok(Self {
            listening: Listening::load(layers, cpu, name, &projections, positions)?,
            norm: layers.packed_norm(cpu, "decoder.norm_final", WIDTH, TOKEN_NORM_EPS, Activation::None)?,
        })
    }

    /// The tokens after they heard the picture for the last time.
    pub(super) fn after_hearing(&self, cpu: &Cpu, mut tokens: Tokens, partials: &[f32], question: &Question) -> Tokens {
        self.listening.hear(&mut tokens, partials, question);
        normalise(cpu, &self.norm, &mut tokens);
        tokens
    }
}

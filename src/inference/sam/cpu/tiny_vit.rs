//! MobileSAM's image encoder on the kernels; the plan and its source are those of the module that runs it on candle.
//!
//! Invariant: a map is rows of pixels, `[side * side, channels]`, from the picture to the embedding; what is wider than
//! a map exists only for the few rows that a task works on.

use super::Neck;
use crate::inference::packed_layers::PackedLayers;
use crate::inference::sam::batch_norm::folded;
use crate::inference::sam::layers::DEFAULT_EPSILON;
use crate::inference::sam::preprocess::sam_pixels;
use crate::inference::sam::tiny_vit::{CELL, EXPANSION, OUTPUTS, STAGES, Stage, pairs_by_distance};
use crate::inference::segmenter::{EncodeControl, InferenceError, PreparedView};
use crate::inference::weights::Weights;
use crate::kernels::{
    Activation, Attention, Buffer, Convolution, Cpu, Depthwise, Groups, Heads, InvertedResidual, LayerNorm, Linear,
    Packed, Pool, Positions, Rows, RowsMut, Start,
};
use std::sync::Arc;

/// Rows of a layer that a task works on: whole tiles of every height, few enough that their hidden channels stay in the
/// second cache.
const ROWS_A_TASK: usize = 96;

/// Writes one row of the input, `[input_side, 3]`, normalised.
pub(in crate::inference::sam) type PixelRow<'a> = dyn Fn(usize, &mut [f32]) + Sync + 'a;

/// The encoder with its weights.
pub(in crate::inference::sam) struct TinyVitEncoder {
    cpu: Cpu,
    input_side: usize,
    stem: Stem,
    steps: Vec<Step>,
    neck: Neck,
}

/// What a map of `side` goes through, one after the other; each is a step of the progress.
struct Step {
    side: usize,
    layers: StepLayers,
}

enum StepLayers {
    /// A convolutional block, or the way from one stage to the next (`PatchMerging`).
    Convolutional(Box<InvertedResidual>),
    Attention(Box<AttentionBlock>),
}

impl TinyVitEncoder {
    /// Reads `image_encoder.*` for an input of `input_side` pixels, a multiple of 16.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(in crate::inference::sam) fn load(
        weights: &Weights,
        input_side: usize,
        cpu: Cpu,
    ) -> Result<Self, InferenceError> {
        let layers = PackedLayers { weights, cpu: &cpu };
        let mut steps = Vec::new();
        let mut side = input_side / 4;
        for (index, stage) in STAGES.iter().enumerate() {
            let name = format!("image_encoder.layers.{index}");
            let groups = (stage.heads > 0).then(|| Arc::new(Groups::windows(side, side, stage.window)));
            for block in 0..stage.depth {
                let name = format!("{name}.blocks.{block}");
                let layers = match &groups {
                    Some(groups) => StepLayers::Attention(Box::new(AttentionBlock::load(
                        &layers,
                        &name,
                        stage,
                        side,
                        groups.clone(),
                    )?)),
                    None => {
                        let channels = [stage.dim, stage.dim * EXPANSION, stage.dim];
                        StepLayers::Convolutional(Box::new(inverted_residual(&layers, &name, channels, 1, true)?))
                    }
                };
                steps.push(Step { side, layers });
            }
            if let Some(next) = STAGES.get(index + 1) {
                // Only the last merge keeps the map's size, so that SAM gets its 64 x 64 cells.
                let stride = if index + 2 == STAGES.len() { 1 } else { 2 };
                let channels = [stage.dim, next.dim, next.dim];
                let merge = inverted_residual(&layers, &format!("{name}.downsample"), channels, stride, false)?;
                steps.push(Step { side, layers: StepLayers::Convolutional(Box::new(merge)) });
                side = side.div_ceil(stride);
            }
        }
        let stem = Stem::load(&layers)?;
        let neck = Neck::load(&layers, STAGES[STAGES.len() - 1].dim, OUTPUTS, side)?;
        Ok(Self { cpu, input_side, stem, steps, neck })
    }

    /// Cells a side of the embedding.
    pub(in crate::inference::sam) fn grid(&self) -> usize {
        self.input_side / CELL
    }

    /// The image embedding as rows, `[grid^2, 256]`. The view is prepared for this input side.
    ///
    /// # Errors
    /// A stop on request.
    pub(in crate::inference::sam) fn encode(
        &self,
        view: &PreparedView,
        control: &EncodeControl<'_>,
    ) -> Result<Vec<f32>, InferenceError> {
        let pixels = sam_pixels(view);
        self.encode_pixels(&|row, to| pixels.write_row(row, to), control)
    }

    /// The same from normalised pixels.
    pub(in crate::inference::sam) fn encode_pixels(
        &self,
        pixels: &PixelRow<'_>,
        control: &EncodeControl<'_>,
    ) -> Result<Vec<f32>, InferenceError> {
        control.cancel.check()?;
        let count = self.steps.len() as f32 + 2.0;
        let mut x = self.stem(pixels);
        control.step(1.0 / count)?;
        for index in 0..self.steps.len() {
            x = self.step(index, x);
            control.step((index + 2) as f32 / count)?;
        }
        let embedding = self.neck.forward(&self.cpu, &x);
        control.step(1.0)?;
        Ok(embedding)
    }

    /// Pixels to the first map, `[(input_side / 4)^2, 64]`.
    pub(in crate::inference::sam) fn stem(&self, pixels: &PixelRow<'_>) -> Buffer {
        self.stem.forward(&self.cpu, self.input_side, pixels)
    }

    /// A map through one step.
    pub(in crate::inference::sam) fn step(&self, index: usize, x: Buffer) -> Buffer {
        let Step { side, layers } = &self.steps[index];
        match layers {
            StepLayers::Convolutional(block) => {
                let (height, width) = block.out_size(*side, *side);
                let mut out = self.cpu.arena.take(height * width * block.outputs());
                block.run(&self.cpu, &x, *side, *side, &mut out);
                out
            }
            StepLayers::Attention(block) => block.forward(&self.cpu, x),
        }
    }
}

/// `name.conv1` to `name.conv3`: `[inputs, hidden, outputs]` channels. With a shortcut the last activation follows it
/// (`MBConv`), without there is none (`PatchMerging`).
fn inverted_residual(
    layers: &PackedLayers<'_>,
    name: &str,
    [inputs, hidden, outputs]: [usize; 3],
    stride: usize,
    skip: bool,
) -> Result<InvertedResidual, InferenceError> {
    let pointwise = |part: &str, inputs, outputs, activation| -> Result<Linear, InferenceError> {
        let (kernel, bias) = folded(layers.weights, &format!("{name}.{part}"), [outputs, inputs, 1, 1])?;
        Ok(Linear::new(Packed::from_linear(layers.cpu.isa, &kernel, outputs, inputs), Some(&bias), activation))
    };
    let last = if skip { Activation::Gelu } else { Activation::None };
    Ok(InvertedResidual::new(
        Some(pointwise("conv1", inputs, hidden, Activation::Gelu)?),
        depthwise(layers, &format!("{name}.conv2"), hidden, stride, Activation::Gelu)?,
        pointwise("conv3", hidden, outputs, last)?,
        skip,
    ))
}

/// A 3x3 convolution of each channel by itself.
fn depthwise(
    layers: &PackedLayers<'_>,
    name: &str,
    channels: usize,
    stride: usize,
    activation: Activation,
) -> Result<Depthwise, InferenceError> {
    let (kernel, bias) = folded(layers.weights, name, [channels, 1, 3, 3])?;
    Ok(Depthwise::new(layers.cpu.isa, &kernel, [channels, 3], stride, &bias, activation))
}

/// Two 3x3 convolutions that halve the map (`PatchEmbed`), a few rows at a time: the map between them is never whole.
struct Stem {
    first: Convolution,
    second: Convolution,
}

impl Stem {
    /// Rows of the result that are made at once.
    const ROWS: usize = 2;
    /// Rows of the result that a task makes.
    const ROWS_A_TASK: usize = 16;

    fn load(layers: &PackedLayers<'_>) -> Result<Self, InferenceError> {
        let last = STAGES[0].dim;
        let halving = |index: usize, inputs, outputs, activation| -> Result<Convolution, InferenceError> {
            let name = format!("image_encoder.patch_embed.seq.{index}");
            let (kernel, bias) = folded(layers.weights, &name, [outputs, inputs, 3, 3])?;
            Ok(Convolution::new(layers.cpu.isa, &kernel, [outputs, inputs, 3], 2, Some(&bias), activation))
        };
        Ok(Self {
            first: halving(0, 3, last / 2, Activation::Gelu)?,
            second: halving(2, last / 2, last, Activation::None)?,
        })
    }

    /// A picture of `side` pixels, a multiple of 4, to a map of a quarter of it.
    fn forward(&self, cpu: &Cpu, side: usize, pixels: &PixelRow<'_>) -> Buffer {
        let (half, quarter) = (side / 2, side / 4);
        let (middle, outputs) = (self.first.outputs(), self.second.outputs());
        let mut out = cpu.arena.take(quarter * quarter * outputs);
        // With stride 2 and an even side no window reaches beyond the right or lower edge, so the rim of zeros is one
        // column on the left and one row above.
        let (wide, picture_wide) = ((half + 1) * middle, (side + 1) * 3);
        let line = quarter * outputs;
        cpu.pool.run_chunks(&mut out, Self::ROWS_A_TASK * line, &|task, part| {
            let top = task * Self::ROWS_A_TASK;
            let mut picture = cpu.arena.take((4 * Self::ROWS + 3) * picture_wide);
            let mut halved = cpu.arena.take((2 * Self::ROWS + 1) * wide);
            for (step, part) in part.chunks_mut(Self::ROWS * line).enumerate() {
                let rows = part.len() / line;
                let row = top + step * Self::ROWS;
                // Row `r` of `halved` is row `2 * row - 1 + r` of the halved map; those from `fresh` on are to be made.
                let fresh = usize::from(row == 0 || step > 0);
                if row == 0 {
                    halved[..wide].fill(0.0);
                } else if step > 0 {
                    // The last row of the step before is the first of this one.
                    halved.copy_within(2 * Self::ROWS * wide.., 0);
                }
                // Row `r` of `picture` is row `2 * (2 * row - 1 + fresh) - 1 + r` of the picture.
                let fresh_rows = 2 * rows + 1 - fresh;
                for (r, to) in picture.chunks_exact_mut(picture_wide).enumerate().take(2 * fresh_rows + 1) {
                    match (4 * row + 2 * fresh + r).checked_sub(3) {
                        Some(y) => {
                            to[..3].fill(0.0);
                            pixels(y, &mut to[3..]);
                        }
                        None => to.fill(0.0),
                    }
                }
                for r in 0..fresh_rows {
                    let to = &mut halved[(fresh + r) * wide..][..wide];
                    to[..middle].fill(0.0);
                    let to = RowsMut::dense(&mut to[middle..], middle);
                    let from = &picture[2 * r * picture_wide..];
                    self.first.run_on_surroundings(Pool::alone(), from, side + 1, [1, half], Start::Zero, to);
                }
                let to = RowsMut::dense(part, outputs);
                self.second.run_on_surroundings(Pool::alone(), &halved, half + 1, [rows, quarter], Start::Zero, to);
            }
        });
        out
    }
}

/// Attention within windows, a depthwise convolution, and a two-layer part (`TinyViTBlock`).
struct AttentionBlock {
    attention_norm: LayerNorm,
    qkv: Linear,
    /// What padding has for query, key and value: this model pads before the norm.
    padding: Vec<f32>,
    attention: Attention,
    groups: Arc<Groups>,
    project: Linear,
    local: Depthwise,
    mlp_norm: LayerNorm,
    widen: Linear,
    narrow: Linear,
    side: usize,
}

impl AttentionBlock {
    fn load(
        layers: &PackedLayers<'_>,
        name: &str,
        stage: &Stage,
        side: usize,
        groups: Arc<Groups>,
    ) -> Result<Self, InferenceError> {
        let &Stage { dim, heads, window, .. } = stage;
        let part = |part: &str| format!("{name}.{part}");
        let places = window * window;
        let table = layers.weights.values(&part("attn.attention_biases"), &[heads, places])?;
        let table: Vec<f32> =
            table.chunks_exact(places).flat_map(|head| pairs_by_distance(window).map(|entry| head[entry])).collect();
        let epsilon = DEFAULT_EPSILON as f32;
        let norm = |name: &str| layers.layer_norm(&part(name), dim, epsilon, Activation::None);
        let linear = |name: &str, inputs, outputs, activation| layers.linear(&part(name), inputs, outputs, activation);
        let (attention_norm, qkv) = (norm("attn.norm")?, linear("attn.qkv", dim, 3 * dim, Activation::None)?);
        let mut padding = vec![0.0; 3 * dim];
        project_normed(&attention_norm, &qkv, &vec![0.0; dim], &mut vec![0.0; dim], &mut padding);
        Ok(Self {
            attention_norm,
            qkv,
            padding,
            attention: Attention::new(
                layers.cpu.isa,
                Heads::heads_first(heads, dim / heads),
                Positions::table(heads, places, &table),
            ),
            groups,
            project: linear("attn.proj", dim, dim, Activation::None)?,
            local: depthwise(layers, &part("local_conv"), dim, 1, Activation::None)?,
            mlp_norm: norm("mlp.norm")?,
            widen: linear("mlp.fc1", dim, dim * EXPANSION, Activation::Gelu)?,
            narrow: linear("mlp.fc2", dim * EXPANSION, dim, Activation::None)?,
            side,
        })
    }

    /// `[side^2, dim]` to the same.
    fn forward(&self, cpu: &Cpu, mut x: Buffer) -> Buffer {
        let (dim, hidden) = (self.mlp_norm.channels(), self.widen.weights().columns());
        let pixels = self.side * self.side;
        let mut qkv = cpu.arena.take(pixels * 3 * dim);
        cpu.pool.run_chunks(&mut qkv, ROWS_A_TASK * 3 * dim, &|task, part| {
            let x = &x[task * ROWS_A_TASK * dim..][..part.len() / 3];
            project_normed(&self.attention_norm, &self.qkv, x, &mut cpu.arena.take(x.len()), part);
        });
        let mut y = cpu.arena.take(pixels * dim);
        let attended = RowsMut::dense(&mut y, dim);
        self.attention.run(cpu, Rows::dense(&qkv, 3 * dim), &self.groups, Some(&self.padding), attended);
        drop(qkv);
        self.project.run(cpu.pool, pixels, Rows::dense(&y, dim), Start::Output, RowsMut::dense(&mut x, dim));
        // Whole rows of the map, for the depthwise convolution; its result goes on while it is in the cache.
        let line = self.side * dim;
        cpu.pool.run_chunks(&mut y, ROWS_A_TASK.div_ceil(self.side) * line, &|task, part| {
            let first = task * ROWS_A_TASK.div_ceil(self.side);
            for (row, to) in part.chunks_exact_mut(line).enumerate() {
                self.local.run_row(&x, self.side, first + row, to);
            }
            let rows = part.len() / dim;
            let mut wide = cpu.arena.take(rows * hidden);
            project_normed(&self.mlp_norm, &self.widen, part, &mut cpu.arena.take(rows * dim), &mut wide);
            self.narrow.run_here(rows, Rows::dense(&wide, hidden), Start::Output, RowsMut::dense(part, dim));
        });
        y
    }
}

/// `out = linear(norm(x))` for dense rows, on this thread; `normed` is room for as many values as `x`.
fn project_normed(norm: &LayerNorm, linear: &Linear, x: &[f32], normed: &mut [f32], out: &mut [f32]) {
    let (channels, outputs) = (norm.channels(), linear.weights().columns());
    let rows = x.len() / channels;
    norm.run(Pool::alone(), rows, Rows::dense(x, channels), RowsMut::dense(normed, channels));
    linear.run_here(rows, Rows::dense(normed, channels), Start::Zero, RowsMut::dense(out, outputs));
}

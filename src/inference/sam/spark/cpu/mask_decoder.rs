//! The mask decoder on the kernels: the same layers as `spark/mask_decoder.rs`, a band of the picture at a time.
//!
//! A band is one row of cells. After the transformer come two local blocks, each of which needs the rows above and below
//! (so each is a pass of its own), and from the second on a band goes all the way to its logits: nothing larger than a
//! band is stored at the finer sides.

use super::super::config::WIDTH;
use super::super::layers::{ConvShape, Layers, MAP_NORM_EPS};
use super::super::mask_decoder::MASK_TOKENS;
use super::super::neck::{HALF_CHANNELS, QUARTER_CHANNELS};
use super::features::{Features, nested_places};
use super::tokens::{Mlp, sum};
use super::two_way::{FinalAttention, TwoWayBlock};
use crate::inference::segmenter::InferenceError;
use crate::kernels::pool::run_parts;
use crate::kernels::{Activation, Cpu, Depthwise, LayerNorm, Linear, Packed, Rows, RowsMut, Start};
use std::ops::Range;

/// Cells of a side of the local filters.
const LOCAL_KERNEL: usize = 5;

/// A ConvNeXt-like block that lets neighbours talk after the transformer.
struct LocalBlock {
    depthwise: Depthwise,
    norm: LayerNorm,
    widen: Linear,
    narrow: Linear,
}

impl LocalBlock {
    fn load(layers: &Layers<'_>, cpu: &Cpu, index: usize) -> Result<Self, InferenceError> {
        let name = format!("decoder.local.{index}");
        let kernel = LOCAL_KERNEL;
        let (weight, bias) = layers.conv(&format!("{name}.dw"), ConvShape { out: WIDTH, inputs: 1, kernel })?;
        let pointwise = |part: &str, inputs, out, activation| -> Result<Linear, InferenceError> {
            let (weight, bias) = layers.conv(&format!("{name}.{part}"), ConvShape { out, inputs, kernel: 1 })?;
            Ok(Linear::new(Packed::from_linear(cpu.isa, &weight, out, inputs), Some(&bias), activation))
        };
        Ok(Self {
            depthwise: Depthwise::new(cpu.isa, &weight, [WIDTH, kernel], 1, &bias, Activation::None),
            norm: layers.packed_norm(cpu, &format!("{name}.norm"), WIDTH, MAP_NORM_EPS, Activation::None)?,
            widen: pointwise("pw1", WIDTH, 2 * WIDTH, Activation::Gelu)?,
            narrow: pointwise("pw2", 2 * WIDTH, WIDTH, Activation::None)?,
        })
    }

    /// Row `row` of the result: `map` `[side, side, 128]` to `[side, 128]`.
    fn row(&self, cpu: &Cpu, map: &[f32], side: usize, row: usize, out: &mut [f32]) {
        let mut filtered = cpu.arena.take(side * WIDTH);
        self.depthwise.run_row(map, side, row, &mut filtered);
        self.norm.run_in_place(cpu.pool, side, RowsMut::dense(&mut filtered, WIDTH));
        let mut widened = cpu.arena.take(side * 2 * WIDTH);
        let x = Rows::dense(&filtered, WIDTH);
        self.widen.run_here(side, x, Start::Zero, RowsMut::dense(&mut widened, 2 * WIDTH));
        let itself = Start::Other(Rows::dense(&map[row * side * WIDTH..][..side * WIDTH], WIDTH));
        let x = Rows::dense(&widened, 2 * WIDTH);
        self.narrow.run_here(side, x, itself, RowsMut::dense(out, WIDTH));
    }
}

pub(super) struct MaskDecoder {
    /// IoU token, then mask tokens: `[5, 128]`.
    tokens: Vec<f32>,
    blocks: [TwoWayBlock; 2],
    final_attention: FinalAttention,
    local: [LocalBlock; 2],
    /// From a cell to its four quarters, from each of these to its four.
    up: [Linear; 2],
    up_norm: LayerNorm,
    mask_heads: Vec<Mlp>,
    iou_head: Mlp,
}

impl MaskDecoder {
    /// `positions`: the picture's positional encoding, `[cells, 128]`.
    pub(super) fn load(layers: &Layers<'_>, cpu: &Cpu, positions: &[f32]) -> Result<Self, InferenceError> {
        let mut tokens = layers.values("decoder.iou_token", &[1, WIDTH])?;
        tokens.extend(layers.values("decoder.mask_tokens", &[MASK_TOKENS, WIDTH])?);
        let up = |name: &str, inputs: usize, out: usize, activation| -> Result<Linear, InferenceError> {
            let weight = layers.values(&format!("{name}.weight"), &[inputs, out, 2, 2])?;
            let bias = layers.values(&format!("{name}.bias"), &[out])?.repeat(4);
            // Columns are the four quarters, row before column, each with its channels together.
            let packed = Packed::new(cpu.isa, inputs, 4 * out, |input, column| {
                weight[(input * out + column % out) * 4 + column / out]
            });
            Ok(Linear::new(packed, Some(&bias), activation))
        };
        let mask_heads = (0..MASK_TOKENS).map(|i| Mlp::head(layers, cpu, &format!("decoder.hyper.{i}"), HALF_CHANNELS));
        let norm_eps = MAP_NORM_EPS;
        Ok(Self {
            tokens,
            blocks: [TwoWayBlock::load(layers, cpu, 0, positions)?, TwoWayBlock::load(layers, cpu, 1, positions)?],
            final_attention: FinalAttention::load(layers, cpu, positions)?,
            local: [LocalBlock::load(layers, cpu, 0)?, LocalBlock::load(layers, cpu, 1)?],
            up: [
                up("decoder.up1", WIDTH, QUARTER_CHANNELS, Activation::None)?,
                up("decoder.up2", QUARTER_CHANNELS, HALF_CHANNELS, Activation::Gelu)?,
            ],
            up_norm: layers.packed_norm(cpu, "decoder.up_norm", QUARTER_CHANNELS, norm_eps, Activation::Gelu)?,
            mask_heads: mask_heads.collect::<Result<_, _>>()?,
            iou_head: Mlp::head(layers, cpu, "decoder.iou_head", MASK_TOKENS)?,
        })
    }

    /// Logits `[masks][side * 4 * side * 4]` of the wanted mask tokens, and the predicted IoU of all four.
    ///
    /// `prompt`: `[points, 128]`; `image`: the embedding with what the prompt draws added, `[side * side, 128]`.
    pub(super) fn forward(
        &self,
        cpu: &Cpu,
        features: &Features,
        prompt: &[f32],
        mut image: crate::kernels::Buffer,
        side: usize,
        wanted: Range<usize>,
    ) -> (Vec<Vec<f32>>, Vec<f32>) {
        let prompt = [self.tokens.as_slice(), prompt].concat();
        let [first, second] = &self.blocks;
        let last = &self.final_attention;
        let band = side * WIDTH;

        // The first block's tokens look at the picture as it came.
        let tokens = first.among_themselves(cpu, &prompt, &prompt);
        let question = first.listening.ask(cpu, &sum(&tokens, &prompt));
        let columns = first.listening.columns();
        let mut projected = cpu.arena.take(side * side * columns);
        let mut partials = cpu.arena.take(side * question.partial_len());
        let parts = [(&mut projected[..], side * columns), (&mut partials[..], question.partial_len())];
        run_parts(cpu.pool, side, parts, &|row, [projected, partial]| {
            let rows = &image[row * band..][..band];
            first.listening.speak(cpu, rows, row * side, &question, projected, partial);
        });
        let (tokens, told) = first.after_hearing(cpu, tokens, &prompt, &partials, &question);

        // The picture hears the first block's tokens, and speaks to the second's.
        let tokens = second.among_themselves(cpu, &tokens, &prompt);
        let question = second.listening.ask(cpu, &sum(&tokens, &prompt));
        let parts =
            [(&mut image[..], band), (&mut projected[..], side * columns), (&mut partials[..], question.partial_len())];
        run_parts(cpu.pool, side, parts, &|row, [rows, projected, partial]| {
            first.listen(cpu, rows, projected, &told);
            second.listening.speak(cpu, rows, row * side, &question, projected, partial);
        });
        let (tokens, told) = second.after_hearing(cpu, tokens, &prompt, &partials, &question);

        // It hears the second's, and speaks to the last look.
        let question = last.listening.ask(cpu, &sum(&tokens, &prompt));
        let parts =
            [(&mut image[..], band), (&mut projected[..], side * columns), (&mut partials[..], question.partial_len())];
        run_parts(cpu.pool, side, parts, &|row, [rows, projected, partial]| {
            second.listen(cpu, rows, projected, &told);
            let fewer = &mut projected[..side * last.listening.columns()];
            last.listening.speak(cpu, rows, row * side, &question, fewer, partial);
        });
        let tokens = last.after_hearing(cpu, tokens, &partials, &question);

        let mut mixed = cpu.arena.take(image.len());
        run_parts(cpu.pool, side, [(&mut mixed[..], band)], &|row, [to]| {
            self.local[0].row(cpu, &image, side, row, to);
        });

        let weights: Vec<f32> =
            wanted.clone().flat_map(|mask| self.mask_heads[mask].forward(token(&tokens, 1 + mask))).collect();
        let iou = self.iou_head.forward(token(&tokens, 0));
        let masks = wanted.len();
        let packed = Packed::from_linear(cpu.isa, &weights, masks, HALF_CHANNELS);
        let dot = Linear::new(packed, None, Activation::None);
        let mut logits = cpu.arena.take(side * side * 16 * masks);
        run_parts(cpu.pool, side, [(&mut logits[..], side * 16 * masks)], &|row, [to]| {
            let mut rows = cpu.arena.take(band);
            self.local[1].row(cpu, &mixed, side, row, &mut rows);
            self.row_logits(cpu, features, row * side..(row + 1) * side, &rows, &dot, to);
        });
        (in_picture_order(&logits, side, masks), iou)
    }

    /// From a band's rows `[cells, 128]` to its logits `[cells * 16, masks]`.
    fn row_logits(
        &self,
        cpu: &Cpu,
        features: &Features,
        cells: Range<usize>,
        rows: &[f32],
        dot: &Linear,
        logits: &mut [f32],
    ) {
        let count = cells.len();
        let (four, sixteen) = (4 * QUARTER_CHANNELS, 4 * HALF_CHANNELS);
        let mut quarter = cpu.arena.take(count * four);
        let skip = &features.quarter[cells.start * four..][..count * four];
        let start = Start::Other(Rows::dense(skip, four));
        self.up[0].run_here(count, Rows::dense(rows, WIDTH), start, RowsMut::dense(&mut quarter, four));
        self.up_norm.run_in_place(cpu.pool, count * 4, RowsMut::dense(&mut quarter, QUARTER_CHANNELS));
        let mut half = cpu.arena.take(count * 4 * sixteen);
        let skip = &features.half[cells.start * 4 * sixteen..][..count * 4 * sixteen];
        let start = Start::Other(Rows::dense(skip, sixteen));
        let x = Rows::dense(&quarter, QUARTER_CHANNELS);
        self.up[1].run_here(count * 4, x, start, RowsMut::dense(&mut half, sixteen));
        let masks = dot.weights().columns();
        let x = Rows::dense(&half, HALF_CHANNELS);
        dot.run_here(count * 16, x, Start::Zero, RowsMut::dense(logits, masks));
    }
}

/// A token by its number.
fn token(tokens: &[f32], index: usize) -> &[f32] {
    &tokens[index * WIDTH..][..WIDTH]
}

/// `[cells * 16, masks]` in the order of nested quarters to one row-major map a mask.
fn in_picture_order(logits: &[f32], side: usize, masks: usize) -> Vec<Vec<f32>> {
    let wide = 4 * side;
    let mut maps = vec![vec![0.0; wide * wide]; masks];
    for (values, [y, x]) in logits.chunks_exact(masks).zip(nested_places::<2>(side)) {
        for (map, &value) in maps.iter_mut().zip(values) {
            map[y * wide + x] = value;
        }
    }
    maps
}

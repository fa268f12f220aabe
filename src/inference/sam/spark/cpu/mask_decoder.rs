//! The mask decoder on the kernels: the same layers as `spark/mask_decoder.rs`.
//!
//! The two-way transformer and the enlargement are SAM's, in other sizes; between them stand two local blocks, and the
//! enlargement adds the high-resolution maps. Invariant: nothing is stored at the finer sides but the wanted logits.

use super::super::config::WIDTH;
use super::super::layers::{Layers, MAP_NORM_EPS};
use super::super::mask_decoder::MASK_TOKENS;
use super::super::neck::{HALF_CHANNELS, QUARTER_CHANNELS};
use super::super::two_way::{HEADS, MLP_WIDTH};
use super::features::Features;
use super::local_block::LocalBlock;
use crate::inference::sam::cpu::{Picture, ThreeLayers, TwoWayDesign, TwoWayTransformer};
use crate::inference::segmenter::InferenceError;
use crate::kernels::{Activation, Cpu, Enlarge, Rows};
use std::ops::Range;

const DESIGN: TwoWayDesign = TwoWayDesign {
    width: WIDTH,
    heads: HEADS,
    hidden: MLP_WIDTH,
    stride: WIDTH,
    prefix: "decoder",
    look: "cross_t2i",
    speak: "cross_i2t",
    mlp: ["mlp.0", "mlp.2"],
    last: ["final_attn", "norm_final"],
};

pub(super) struct MaskDecoder {
    /// IoU token, then mask tokens: `[5, 128]`.
    tokens: Vec<f32>,
    transformer: TwoWayTransformer,
    local: [LocalBlock; 2],
    enlarge: Enlarge,
    mask_heads: Vec<ThreeLayers>,
    iou_head: ThreeLayers,
}

impl MaskDecoder {
    /// `positions`: the picture's positional encoding, `[cells, 128]`.
    pub(super) fn load(layers: &Layers<'_>, cpu: &Cpu, positions: &[f32]) -> Result<Self, InferenceError> {
        let packed = layers.packed(cpu);
        let mut tokens = layers.values("decoder.iou_token", &[1, WIDTH])?;
        tokens.extend(layers.values("decoder.mask_tokens", &[MASK_TOKENS, WIDTH])?);
        let up = |name: &str, inputs: usize, out: usize| -> Result<(Vec<f32>, Vec<f32>), InferenceError> {
            let weight = layers.values(&format!("{name}.weight"), &[inputs, out, 2, 2])?;
            Ok((weight, layers.values(&format!("{name}.bias"), &[out])?))
        };
        let first = up("decoder.up1", WIDTH, QUARTER_CHANNELS)?;
        let norm = layers.packed_norm(cpu, "decoder.up_norm", QUARTER_CHANNELS, MAP_NORM_EPS, Activation::Gelu)?;
        let second = up("decoder.up2", QUARTER_CHANNELS, HALF_CHANNELS)?;
        let channels = [WIDTH, QUARTER_CHANNELS, HALF_CHANNELS];
        let head = |name: &str, outputs| ThreeLayers::load(&packed, &format!("decoder.{name}"), WIDTH, outputs);
        let mask_heads = (0..MASK_TOKENS).map(|index| head(&format!("hyper.{index}"), HALF_CHANNELS));
        Ok(Self {
            tokens,
            transformer: TwoWayTransformer::load(&packed, DESIGN, positions)?,
            local: [LocalBlock::load(layers, cpu, 0)?, LocalBlock::load(layers, cpu, 1)?],
            enlarge: Enlarge::new(cpu.isa, channels, (&first.0, &first.1), norm, (&second.0, &second.1)),
            mask_heads: mask_heads.collect::<Result<_, _>>()?,
            iou_head: head("iou_head", MASK_TOKENS)?,
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
        image: crate::kernels::Buffer,
        side: usize,
        wanted: Range<usize>,
    ) -> (Vec<Vec<f32>>, Vec<f32>) {
        let prompt = [self.tokens.as_slice(), prompt].concat();
        let (tokens, rows) = self.transformer.forward(&prompt, Picture { rows: &image, kvq: None });
        // Its memory serves for the first block's result.
        let mut mixed = image;
        self.local[0].run(cpu, &rows, side, &mut mixed);
        let mut rows = rows;
        self.local[1].run(cpu, &mixed, side, &mut rows);

        let token = |index: usize| &tokens[index * WIDTH..][..WIDTH];
        let mut iou = vec![0.0; MASK_TOKENS];
        self.iou_head.run(cpu, token(0), &mut iou);
        let mut weights = vec![0.0; wanted.len() * HALF_CHANNELS];
        for (index, weights) in wanted.clone().zip(weights.chunks_exact_mut(HALF_CHANNELS)) {
            self.mask_heads[index].run(cpu, token(1 + index), weights);
        }
        let cells = side * side;
        let mut logits = cpu.arena.take(wanted.len() * cells * 16);
        let skips = Some([features.quarter.as_ref(), features.half.as_ref()]);
        self.enlarge.masks(cpu, [cells, side], Rows::dense(&rows, WIDTH), skips, &weights, &mut logits);
        (logits.chunks_exact(cells * 16).map(<[f32]>::to_vec).collect(), iou)
    }
}

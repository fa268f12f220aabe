//! SAM's mask decoder on the kernels: the two-way transformer, then the enlargement fused with the wanted masks.
//!
//! Source: segment_anything/modeling/mask_decoder.py.

use super::mask_prompt::MaskPrompt;
use super::three_layers::ThreeLayers;
use super::two_way::{Picture, PictureProjection, PictureSide, TwoWayDesign, TwoWayTransformer};
use crate::inference::packed_layers::PackedLayers;
use crate::inference::sam::layers::SAM_EPSILON;
use crate::inference::sam::prompt_encoder::DIM;
use crate::inference::segmenter::{InferenceError, LowResLogits};
use crate::inference::weights::Weights;
use crate::kernels::{Activation, Cpu, Enlarge, Pool, Rows};

/// Mask tokens: the single answer, then three candidates.
const MASKS: usize = 4;
/// Channels after the first and the second enlargement.
const ENLARGED: [usize; 2] = [DIM / 4, DIM / 8];

/// SAM's transformer. Rows are not a power of two apart, so that they do not share their places in a cache.
const DESIGN: TwoWayDesign = TwoWayDesign {
    width: DIM,
    heads: 8,
    hidden: 2048,
    stride: DIM + 16,
    prefix: "mask_decoder.transformer",
    look: "cross_attn_token_to_image",
    speak: "cross_attn_image_to_token",
    mlp: ["mlp.lin1", "mlp.lin2"],
    last: ["final_attn_token_to_image", "norm_final_attn"],
};

/// The mask decoder with its weights.
pub(in crate::inference::sam) struct MaskDecoder {
    /// The quality token, then the mask tokens: `[1 + MASKS, DIM]`.
    output_tokens: Vec<f32>,
    mask_prompt: MaskPrompt,
    transformer: TwoWayTransformer,
    picture_projection: PictureProjection,
    enlarge: Enlarge,
    mask_weights: Vec<ThreeLayers>,
    quality: ThreeLayers,
    grid: usize,
    cpu: Cpu,
}

/// One mask as the decoder gives it.
pub(in crate::inference::sam) struct DecodedMask {
    /// `[4 * grid, 4 * grid]`.
    pub(in crate::inference::sam) low_res: LowResLogits,
    pub(in crate::inference::sam) predicted_iou: f32,
}

impl MaskDecoder {
    /// Reads `mask_decoder.*` and the prompt encoder's layers for masks; `positions` `[cells, DIM]` are those of the cells of the `grid x grid` embedding.
    ///
    /// # Errors
    /// A missing or misshapen tensor.
    pub(in crate::inference::sam) fn load(
        weights: &Weights,
        positions: &[f32],
        grid: usize,
        cpu: Cpu,
    ) -> Result<Self, InferenceError> {
        let layers = PackedLayers { weights, cpu: &cpu };
        let name = |part: &str| format!("mask_decoder.{part}");
        let mut output_tokens = weights.values(&name("iou_token.weight"), &[1, DIM])?;
        output_tokens.extend(weights.values(&name("mask_tokens.weight"), &[MASKS, DIM])?);
        let [large, larger] = ENLARGED;
        let mask_weights = (0..MASKS)
            .map(|i| ThreeLayers::load(&layers, &name(&format!("output_hypernetworks_mlps.{i}")), DIM, larger));
        let kernel = |part: &str, inputs, outputs| weights.values(&name(part), &[inputs, outputs, 2, 2]);
        let enlarge = Enlarge::new(
            cpu.isa,
            [DIM, large, larger],
            (
                &kernel("output_upscaling.0.weight", DIM, large)?,
                &weights.values(&name("output_upscaling.0.bias"), &[large])?,
            ),
            layers.layer_norm(&name("output_upscaling.1"), large, SAM_EPSILON as f32, Activation::Gelu)?,
            (
                &kernel("output_upscaling.3.weight", large, larger)?,
                &weights.values(&name("output_upscaling.3.bias"), &[larger])?,
            ),
        );
        let transformer = TwoWayTransformer::load(&layers, DESIGN, positions)?;
        Ok(Self {
            output_tokens,
            mask_weights: mask_weights.collect::<Result<_, _>>()?,
            quality: ThreeLayers::load(&layers, &name("iou_prediction_head"), DIM, MASKS)?,
            mask_prompt: MaskPrompt::load(&layers)?,
            picture_projection: PictureProjection::load(&transformer, &layers)?,
            transformer,
            enlarge,
            grid,
            cpu,
        })
    }

    /// What depends on the picture only; `rows` is the embedding plus what stands for no mask, `[cells, DIM]`.
    pub(in crate::inference::sam) fn picture_side(&self, rows: Vec<f32>) -> PictureSide {
        self.picture_projection.picture_side(&self.transformer, rows)
    }

    /// Decodes prompt tokens `[n, DIM]` (perhaps none) on a picture without a mask prompt: three candidates if
    /// `multimask`, else the single answer.
    pub(in crate::inference::sam) fn decode(
        &self,
        picture: &PictureSide,
        prompt: &[f32],
        multimask: bool,
    ) -> Vec<DecodedMask> {
        self.decode_picture(picture.borrow(), prompt, multimask)
    }

    /// The same with a mask prompt: `image` is the embedding `[cells, DIM]`, `mask` the mask's logits in the order of
    /// `PromptEncoder::mask_cells`.
    pub(in crate::inference::sam) fn decode_with_mask(
        &self,
        image: &[f32],
        mask: &[f32],
        prompt: &[f32],
        multimask: bool,
    ) -> Vec<DecodedMask> {
        let cpu = &self.cpu;
        let mut rows = cpu.arena.take(image.len());
        self.mask_prompt.add(cpu, image, mask, &mut rows);
        // One question only, so nothing is projected ahead of it.
        self.decode_picture(Picture { rows: &rows, kvq: None }, prompt, multimask)
    }

    /// The threads that compute.
    pub(in crate::inference::sam) fn pool(&self) -> &'static Pool {
        self.cpu.pool
    }

    fn decode_picture(&self, picture: Picture<'_>, prompt: &[f32], multimask: bool) -> Vec<DecodedMask> {
        let cpu = &self.cpu;
        let tokens = [&self.output_tokens, prompt].concat();
        let (tokens, rows) = self.transformer.forward(&tokens, picture);
        let masks = if multimask { 1..MASKS } else { 0..1 };
        let token = |index: usize| &tokens[index * DIM..][..DIM];
        let mut quality = [0.0; MASKS];
        self.quality.run(cpu, token(0), &mut quality);
        let mut weights = [0.0; MASKS * ENLARGED[1]];
        let weights = &mut weights[..masks.len() * ENLARGED[1]];
        for (index, weights) in masks.clone().zip(weights.chunks_exact_mut(ENLARGED[1])) {
            self.mask_weights[index].run(cpu, token(1 + index), weights);
        }
        let cells = self.grid * self.grid;
        let mut logits = cpu.arena.take(masks.len() * cells * 16);
        let rows = Rows { values: &rows, stride: DESIGN.stride };
        self.enlarge.masks(cpu, [cells, self.grid], rows, None, weights, &mut logits);
        let decoded = quality[masks].iter().zip(logits.chunks_exact(cells * 16));
        decoded.map(|(&predicted_iou, logits)| DecodedMask { low_res: logits.into(), predicted_iou }).collect()
    }
}

//! The network on our own kernels: the same layers and the same weights as the candle version beside it, which is its
//! oracle in tests and what GPUs run.
//!
//! Maps are `[height, width, channels]` here, so nothing is transposed between layers. Invariant: results equal the candle
//! version's up to rounding, and do not depend on the number of threads.

mod backbone;
mod features;
mod local_block;
mod mask_decoder;
mod neck;
mod prompt_encoder;

use super::config::{STRIDE, SparkConfig};
use super::layers::Layers;
use super::prompt_points::PromptPoint;
use crate::inference::segmenter::{EncodeControl, InferenceError};
use crate::inference::weights::Weights;
use crate::kernels::Cpu;
use backbone::Backbone;
use mask_decoder::MaskDecoder;
use neck::Neck;
use prompt_encoder::PromptEncoder;
use std::ops::Range;

pub(super) use features::Features;

/// Blocks that an encode reports: the backbone's and the neck.
const STEPS: usize = super::backbone::STEPS + 1;

pub(super) struct CpuNetwork {
    cpu: Cpu,
    backbone: Backbone,
    neck: Neck,
    prompt: PromptEncoder,
    decoder: MaskDecoder,
    side: usize,
}

impl CpuNetwork {
    /// `side`: of the input, a multiple of 32; the weights do not depend on it.
    pub(super) fn load(weights: &Weights, config: &SparkConfig, side: usize, cpu: Cpu) -> Result<Self, InferenceError> {
        let layers = Layers::new(weights);
        let prompt = PromptEncoder::load(&layers, &cpu, config, side)?;
        let decoder = MaskDecoder::load(&layers, &cpu, &prompt.points.cell_positions())?;
        let (backbone, neck) = (Backbone::load(&layers, &cpu)?, Neck::load(&layers, &cpu)?);
        Ok(Self { cpu, backbone, neck, prompt, decoder, side })
    }

    pub(super) fn cpu(&self) -> &Cpu {
        &self.cpu
    }

    /// Cells a side of the embedding.
    pub(super) fn cells(&self) -> usize {
        self.side / STRIDE
    }

    /// `pixels`: `[side, side, 3]`, normalised.
    pub(super) fn encode(&self, pixels: &[f32], control: &EncodeControl<'_>) -> Result<Features, InferenceError> {
        let taps = self.backbone.forward(&self.cpu, pixels, self.side, control, STEPS)?;
        let features = self.neck.forward(&self.cpu, &taps);
        control.step(1.0)?;
        Ok(features)
    }

    /// Logits `[masks][side / 2 * side / 2]` of the wanted mask tokens, and the predicted IoU of all four.
    pub(super) fn decode(
        &self,
        features: &Features,
        points: &[PromptPoint],
        previous: Option<&[f32]>,
        wanted: Range<usize>,
    ) -> Result<(Vec<Vec<f32>>, Vec<f32>), InferenceError> {
        let image = self.prompt.image(&self.cpu, &features.embed, points, previous)?;
        let tokens = self.prompt.points.tokens(points);
        Ok(self.decoder.forward(&self.cpu, features, &tokens, image, self.cells(), wanted))
    }
}

//! The default segmenter, embedded in the program: EfficientNet-Lite0 encoder, SAM's tokens plus six dense prompt
//! channels, two-way transformer, two local blocks, high-resolution skips. 4.0 M parameters, input side 512.
//!
//! Invariant: the same numbers as the PyTorch network that was trained (models/README.md tells of it), proven by
//! `tests/golden/spark-sam.golden.safetensors`. Embeddings are rounded to f16 at birth, so that one that comes back from
//! the disk gives the same mask, byte for byte, as a fresh one.

mod backbone;
mod config;
mod cpu;
mod layers;
mod mask_decoder;
mod neck;
mod network;
mod prompt_encoder;
mod prompt_points;
mod two_way;

use super::preprocess::{normalise_pixels, normalised_planes, prepare_view};
use crate::geometry::PixelRect;
use crate::inference::device::ComputeDevice;
use crate::inference::embedding_file;
use crate::inference::segmenter::{
    DecodeQuery, Embedding, EncodeControl, InferenceError, MaskOutput, PreparedView, Segmenter, SegmenterInfo,
    decode_side_by_side,
};
use crate::inference::weights::Weights;
use candle_core::{DType, Device, Tensor};
use config::{STRIDE, SparkConfig, WIDTH};
use cpu::CpuNetwork;
use mask_decoder::MASK_TOKENS;
use neck::{Features, HALF_CHANNELS, QUARTER_CHANNELS};
use network::Network;
use prompt_points::PromptPoint;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The weights in the program itself.
pub(crate) const BUILT_IN_WEIGHTS: &[u8] = include_bytes!("../../../../models/spark-sam.safetensors");
const BUILT_IN_CONFIG: &str = include_str!("../../../../models/spark-sam.json");
/// Prompts shorter than this are filled up with padding tokens, as in training and evaluation.
const LEAST_TOKENS: usize = 4;
/// A tensor that only this family has.
const TELLTALE: &str = "backbone._conv_stem.weight";

/// The default segmenter.
pub(crate) struct SparkSegmenter {
    info: SegmenterInfo,
    config: SparkConfig,
    network: Engine,
    device: Device,
}

/// Who computes.
enum Engine {
    /// candle, on any device.
    Candle(Box<Network>),
    /// Our own kernels.
    Kernels(Box<CpuNetwork>),
}

impl SparkSegmenter {
    /// From the weights in the program itself.
    ///
    /// # Errors
    /// A failing device; the embedded files are tested.
    pub(crate) fn built_in(compute: &ComputeDevice) -> Result<Self, InferenceError> {
        let weights =
            Weights::from_bytes(PathBuf::from("embedded spark-sam.safetensors"), BUILT_IN_WEIGHTS, &compute.device)?;
        Self::of_built_in_plan(&weights, compute)
    }

    /// The built-in network from these weights.
    ///
    /// # Errors
    /// Weights that do not fit, or a failing device.
    pub(crate) fn of_built_in_plan(weights: &Weights, compute: &ComputeDevice) -> Result<Self, InferenceError> {
        let config = SparkConfig::parse(Path::new("embedded spark-sam.json"), BUILT_IN_CONFIG)?;
        Self::new(weights, config, "spark-sam (built in)".to_owned(), compute)
    }

    /// Whether these weights are of this family.
    pub(crate) fn recognises(weights: &Weights) -> bool {
        weights.contains(TELLTALE)
    }

    /// From other weights of the family, with their JSON config beside them (`NAME.json` for `NAME.safetensors`).
    ///
    /// # Errors
    /// A missing or wrong config, or weights that do not fit.
    pub(crate) fn from_weights(weights: &Weights, compute: &ComputeDevice) -> Result<Self, InferenceError> {
        let path = weights.source().with_extension("json");
        let text = std::fs::read_to_string(&path).map_err(|e| InferenceError::Weights {
            path: path.clone(),
            problem: format!("cannot be read: {e}; expected the config of spark-sam beside its weights"),
        })?;
        let config = SparkConfig::parse(&path, &text)?;
        Self::new(weights, config, format!("spark-sam ({})", weights.source().display()), compute)
    }

    fn new(
        weights: &Weights,
        config: SparkConfig,
        name: String,
        compute: &ComputeDevice,
    ) -> Result<Self, InferenceError> {
        let side = config.input_side as usize;
        let network = if compute.uses_kernels() {
            Engine::Kernels(Box::new(CpuNetwork::load(weights, &config, side, compute.kernels())?))
        } else {
            Engine::Candle(Box::new(Network::load(weights, &config, side)?))
        };
        let surplus = weights.unused();
        if !surplus.is_empty() {
            tracing::warn!(
                "{} has {} tensors that spark-sam does not use: {surplus:?}",
                weights.source().display(),
                surplus.len()
            );
        }
        let info = SegmenterInfo {
            id: format!("spark-sam@{}{}", weights.sha256_prefix(), compute.id_suffix()),
            name,
            device: compute.description.clone(),
            input_side: config.input_side,
            low_res_side: config.mask_side,
        };
        Ok(Self { info, config, network, device: compute.device.clone() })
    }

    /// Names and shapes of what an embedding holds.
    fn layout(&self) -> [(&'static str, [usize; 3]); 3] {
        let side = self.config.input_side as usize;
        [
            ("embed", [WIDTH, side / STRIDE, side / STRIDE]),
            ("quarter", [QUARTER_CHANNELS, side / 4, side / 4]),
            ("half", [HALF_CHANNELS, side / 2, side / 2]),
        ]
    }

    /// `features` are those of the engine that computes.
    fn embedding<F: Send + Sync + 'static>(&self, features: F) -> Embedding {
        let byte_size = self.layout().iter().map(|(_, shape)| shape.iter().product::<usize>() * 4).sum();
        Embedding { model_id: self.info.id.clone(), tensors: Arc::new(features), byte_size }
    }

    fn features<'e, F: 'static>(&self, embedding: &'e Embedding) -> Result<&'e F, InferenceError> {
        embedding_file::check_owner(embedding, &self.info.id)?;
        embedding.tensors.downcast_ref().ok_or_else(|| {
            InferenceError::StoredEmbedding(format!("not made by {}; encode the picture again", self.info.id))
        })
    }
}

impl Segmenter for SparkSegmenter {
    fn info(&self) -> &SegmenterInfo {
        &self.info
    }

    fn prepare(
        &self,
        rgb: &[u8],
        image_width: u32,
        image_height: u32,
        view: PixelRect,
    ) -> Result<PreparedView, InferenceError> {
        prepare_view(rgb, image_width, image_height, view, self.config.input_side)
    }

    fn encode(&self, view: &PreparedView, control: &EncodeControl<'_>) -> Result<Embedding, InferenceError> {
        if view.frame.input_side != self.config.input_side {
            return Err(InferenceError::Prompt(format!(
                "the view was prepared for an input of {} pixels, expected {}",
                view.frame.input_side, self.config.input_side
            )));
        }
        let (mean, std) = (self.config.mean, self.config.std);
        let network = match &self.network {
            Engine::Kernels(network) => {
                let side = self.config.input_side as usize;
                let mut pixels = network.cpu().arena.take(side * side * 3);
                normalise_pixels(network.cpu().pool, view, mean, std, &mut pixels);
                let mut features = network.encode(&pixels, control)?;
                features.round(network.cpu());
                return Ok(self.embedding(features));
            }
            Engine::Candle(network) => network,
        };
        let Features { embed, quarter, half } = network.encode(normalised_planes(view, mean, std), control)?;
        let rounded = |x: Tensor| x.to_dtype(DType::F16)?.to_dtype(DType::F32);
        Ok(self.embedding(Features { embed: rounded(embed)?, quarter: rounded(quarter)?, half: rounded(half)? }))
    }

    fn decode(&self, embedding: &Embedding, query: &DecodeQuery) -> Result<Vec<MaskOutput>, InferenceError> {
        let mut points: Vec<PromptPoint> = query.points.iter().map(|p| (p.x, p.y, Some(p.label))).collect();
        points.resize(points.len().max(LEAST_TOKENS), (0.0, 0.0, None));
        let wanted = if query.multimask { 1..MASK_TOKENS } else { 0..1 };
        let previous = query.previous.as_deref();
        let (logits, iou) = match &self.network {
            Engine::Kernels(network) => network.decode(self.features(embedding)?, &points, previous, wanted.clone())?,
            Engine::Candle(network) => {
                let (logits, iou) = network.decode(self.features(embedding)?, &points, previous, wanted.clone())?;
                (logits.flatten_from(1)?.to_vec2::<f32>()?, iou)
            }
        };
        Ok(logits
            .into_iter()
            .zip(&iou[wanted])
            .map(|(low_res, &predicted_iou)| MaskOutput { low_res: low_res.into(), predicted_iou })
            .collect())
    }

    fn decode_many(
        &self,
        embedding: &Embedding,
        queries: &[DecodeQuery],
    ) -> Result<Vec<Vec<MaskOutput>>, InferenceError> {
        match &self.network {
            Engine::Kernels(network) => decode_side_by_side(self, network.cpu().pool, embedding, queries),
            Engine::Candle(_) => queries.iter().map(|query| self.decode(embedding, query)).collect(),
        }
    }

    fn store_embedding(&self, embedding: &Embedding) -> Result<Vec<u8>, InferenceError> {
        let layout = self.layout();
        let [embed, quarter, half] = match &self.network {
            Engine::Kernels(network) => {
                let mut planes = self.features::<cpu::Features>(embedding)?.planes(network.cpu()).into_iter();
                let mut next = |index: usize| {
                    Tensor::from_vec(planes.next().unwrap_or_default(), layout[index].1.as_slice(), &self.device)
                };
                [next(0)?, next(1)?, next(2)?]
            }
            Engine::Candle(_) => {
                let features: &Features = self.features(embedding)?;
                [features.embed.clone(), features.quarter.clone(), features.half.clone()]
            }
        };
        let [embed_name, quarter_name, half_name] = layout.map(|(name, _)| name);
        let tensors = [(embed_name, &embed), (quarter_name, &quarter), (half_name, &half)];
        embedding_file::store(&self.info.id, &tensors)
    }

    fn restore_embedding(&self, bytes: &[u8]) -> Result<Embedding, InferenceError> {
        let layout = self.layout();
        let shapes = layout.each_ref().map(|(name, shape)| (*name, shape.as_slice()));
        let [embed, quarter, half] = embedding_file::restore(bytes, &self.info.id, shapes, &self.device)?;
        match &self.network {
            Engine::Kernels(network) => {
                let planes = |x: Tensor| x.flatten_all()?.to_vec1::<f32>();
                let (embed, quarter, half) = (planes(embed)?, planes(quarter)?, planes(half)?);
                let planes = [embed.as_slice(), &quarter, &half];
                Ok(self.embedding(cpu::Features::from_planes(network.cpu(), network.cells(), planes)))
            }
            Engine::Candle(_) => Ok(self.embedding(Features { embed, quarter, half })),
        }
    }
}

#[cfg(test)]
mod tests;

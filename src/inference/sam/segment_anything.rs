//! Real SAM as a [`Segmenter`]: ViT-B, L, H and MobileSAM from a safetensors file.
//!
//! Invariant: what depends on the weights alone is computed at load, what depends on the picture alone at encode; a
//! decode runs the transformer and the enlargement, nothing else.

use super::cpu;
use super::decoder::{Decoder, Picture};
use super::keys::{EncoderKind, looks_like_sam, recognise, refuse_surplus};
use super::preprocess::prepare_view;
use super::prompt_encoder::{DIM, PromptEncoder};
use super::tiny_vit::{self, TinyVitEncoder};
use super::vit::{VitConfig, VitEncoder};
use crate::geometry::PixelRect;
use crate::inference::device::ComputeDevice;
use crate::inference::embedding_file;
use crate::inference::segmenter::{
    DecodeQuery, Embedding, EncodeControl, InferenceError, MaskOutput, PreparedView, Segmenter, SegmenterInfo,
    decode_side_by_side,
};
use crate::inference::weights::Weights;
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

/// Name of the array in a stored embedding.
const STORED_ARRAY: &str = "image_embedding";

/// A SAM with its weights.
pub(crate) struct Sam {
    info: SegmenterInfo,
    encoder: ImageEncoder,
    prompt_encoder: PromptEncoder,
    decoder: Decoder,
    /// Cells a side of the embedding.
    grid: usize,
    device: Device,
}

enum ImageEncoder {
    /// On the kernels, with the cells a side of what it gives.
    VitOnCpu(Box<cpu::VitEncoder>, usize),
    Vit(VitEncoder),
    TinyVit(TinyVitEncoder),
    /// On the kernels.
    TinyVitOnCpu(Box<cpu::TinyVitEncoder>),
}

impl ImageEncoder {
    fn encode(&self, view: &PreparedView, control: &EncodeControl<'_>) -> Result<Tensor, InferenceError> {
        match self {
            Self::VitOnCpu(encoder, grid) => {
                let rows = encoder.encode(view, control)?;
                Ok(Tensor::from_vec(rows, (grid * grid, DIM), &Device::Cpu)?)
            }
            Self::Vit(encoder) => encoder.encode(view, control),
            Self::TinyVit(encoder) => encoder.encode(view, control),
            Self::TinyVitOnCpu(encoder) => {
                let cells = encoder.grid() * encoder.grid();
                Ok(Tensor::from_vec(encoder.encode(view, control)?, (cells, tiny_vit::OUTPUTS), &Device::Cpu)?)
            }
        }
    }
}

/// What [`Sam`] keeps of a view.
struct SamEmbedding {
    /// The encoder's answer as rows, `[grid * grid, DIM]`.
    image: Tensor,
    /// The decoder's first look at it where no mask is given.
    without_mask: Picture,
}

impl Sam {
    /// Whether these weights mean to be of this family.
    pub(crate) fn recognises(weights: &Weights) -> bool {
        looks_like_sam(weights)
    }

    /// Builds the model from a file in the original, Hugging Face's or MobileSAM's key layout.
    ///
    /// # Errors
    /// [`InferenceError::Weights`] for a file that is damaged, no SAM, or a variant that is not supported.
    pub(crate) fn from_weights(weights: Weights, compute: &ComputeDevice) -> Result<Self, InferenceError> {
        let (weights, kind) = recognise(weights)?;
        let (family, name, encoder, grid, input_side) = match kind {
            EncoderKind::Vit => {
                let config = VitConfig::from_shapes(&weights)?;
                if config.outputs != DIM {
                    return Err(weights.refuse(format!(
                        "its image encoder gives {} channels, expected {DIM}; it is no SAM: choose another file",
                        config.outputs
                    )));
                }
                let (family, name) = vit_family(&config);
                let (grid, side) = (config.grid, config.input_side());
                let encoder = if compute.uses_kernels() {
                    ImageEncoder::VitOnCpu(Box::new(cpu::VitEncoder::load(&weights, config, compute.kernels())?), grid)
                } else {
                    ImageEncoder::Vit(VitEncoder::load(&weights, config)?)
                };
                (family, name, encoder, grid, side)
            }
            EncoderKind::TinyVit => {
                let side = tiny_vit::INPUT_SIDE;
                let encoder = if compute.uses_kernels() {
                    ImageEncoder::TinyVitOnCpu(Box::new(cpu::TinyVitEncoder::load(&weights, side, compute.kernels())?))
                } else {
                    ImageEncoder::TinyVit(TinyVitEncoder::load(&weights, side)?)
                };
                ("mobile-sam".to_owned(), "MobileSAM".to_owned(), encoder, side / tiny_vit::CELL, side)
            }
        };
        let prompt_encoder = PromptEncoder::load(&weights, grid, input_side)?;
        let decoder = Decoder::load(&weights, &prompt_encoder, grid, compute)?;
        refuse_surplus(&weights)?;
        let file = weights.source().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self {
            info: SegmenterInfo {
                id: format!("{family}@{}{}", weights.sha256_prefix(), compute.id_suffix()),
                name: format!("{name} ({file})"),
                device: compute.description.clone(),
                input_side: input_side as u32,
                low_res_side: 4 * grid as u32,
            },
            encoder,
            prompt_encoder,
            decoder,
            grid,
            device: compute.device.clone(),
        })
    }

    fn own<'e>(&self, embedding: &'e Embedding) -> Result<&'e SamEmbedding, InferenceError> {
        embedding_file::check_owner(embedding, &self.info.id)?;
        embedding.tensors.downcast_ref().ok_or_else(|| {
            InferenceError::StoredEmbedding(format!("not made by {}; encode the picture again", self.info.id))
        })
    }

    /// An embedding from the encoder's rows, `[grid * grid, DIM]`.
    fn embedding(&self, image: Tensor) -> Result<Embedding, InferenceError> {
        let without_mask = self.decoder.picture(image.broadcast_add(&self.prompt_encoder.no_mask)?)?;
        let byte_size = image.elem_count() * size_of::<f32>() + without_mask.byte_size();
        let tensors = Arc::new(SamEmbedding { image, without_mask });
        Ok(Embedding { model_id: self.info.id.clone(), tensors, byte_size })
    }

    fn not_a_number(&self) -> InferenceError {
        InferenceError::NotANumber { model: self.info.id.clone() }
    }
}

/// `sam-vit-b` and `SAM ViT-B`; other sizes are named by their numbers.
fn vit_family(config: &VitConfig) -> (String, String) {
    let (dim, depth) = (config.dim, config.windows.len());
    let letter = match (dim, depth) {
        (768, 12) => "B",
        (1024, 24) => "L",
        (1280, 32) => "H",
        _ => return (format!("sam-vit-{dim}x{depth}"), format!("SAM ViT, {dim} channels, {depth} blocks")),
    };
    (format!("sam-vit-{}", letter.to_lowercase()), format!("SAM ViT-{letter}"))
}

impl Segmenter for Sam {
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
        prepare_view(rgb, image_width, image_height, view, self.info.input_side)
    }

    fn encode(&self, view: &PreparedView, control: &EncodeControl<'_>) -> Result<Embedding, InferenceError> {
        let frame = &view.frame;
        let bytes = frame.content_width as usize * frame.content_height as usize * 3;
        if frame.input_side != self.info.input_side || view.rgb.len() != bytes {
            return Err(InferenceError::Prompt(format!(
                "the view was prepared for an input of side {}, expected {}; prepare it with the model that encodes it",
                frame.input_side, self.info.input_side
            )));
        }
        // Rounded as the disk will round it, so that an embedding from there gives the same mask, byte for byte.
        let image = self.encoder.encode(view, control)?.to_dtype(DType::F16)?.to_dtype(DType::F32)?;
        self.embedding(image)
    }

    fn decode(&self, embedding: &Embedding, query: &DecodeQuery) -> Result<Vec<MaskOutput>, InferenceError> {
        let own = self.own(embedding)?;
        if query.points.is_empty() && query.previous.is_none() {
            return Err(InferenceError::Prompt("a prompt needs a point, a box or a mask".to_owned()));
        }
        let masks = self.decoder.decode(&own.image, &own.without_mask, &self.prompt_encoder, query)?;
        let masks = masks.into_iter().map(|(low_res, predicted_iou)| {
            // Without a way out in the middle this is done in vectors.
            let bad = low_res.iter().fold(false, |bad, logit| bad | !logit.is_finite());
            if bad || !predicted_iou.is_finite() {
                return Err(self.not_a_number());
            }
            Ok(MaskOutput { low_res, predicted_iou })
        });
        masks.collect()
    }

    /// On the CPU a prompt a thread: the pieces of one decode are small, and threads wait for each other between them.
    fn decode_many(
        &self,
        embedding: &Embedding,
        queries: &[DecodeQuery],
    ) -> Result<Vec<Vec<MaskOutput>>, InferenceError> {
        match self.decoder.pool() {
            Some(pool) => decode_side_by_side(self, pool, embedding, queries),
            None => queries.iter().map(|query| self.decode(embedding, query)).collect(),
        }
    }

    fn store_embedding(&self, embedding: &Embedding) -> Result<Vec<u8>, InferenceError> {
        embedding_file::store(&self.info.id, &[(STORED_ARRAY, &self.own(embedding)?.image)])
    }

    fn restore_embedding(&self, bytes: &[u8]) -> Result<Embedding, InferenceError> {
        let shape = [self.grid * self.grid, DIM];
        let [image] = embedding_file::restore(bytes, &self.info.id, [(STORED_ARRAY, &shape)], &self.device)?;
        self.embedding(image)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parity::counter_weights::{assert_close, mask_prompt, model, safetensors_bytes, unit};
    use super::*;
    use crate::inference::device::{Engine, Precision};
    use crate::inference::segmenter::{LabeledPoint, PointLabel};

    fn sam(engine: Engine) -> Sam {
        let weights = Weights::from_bytes("vit".into(), safetensors_bytes(&model("vit")), &Device::Cpu).unwrap();
        Sam::from_weights(weights, &ComputeDevice::cpu_with(engine, Precision::F32)).unwrap()
    }

    /// 0 to 9 points, with and without a box and a mask.
    fn queries() -> Vec<DecodeQuery> {
        let places = unit("places", 40);
        let point = |index: usize, label| {
            let share = |i: usize| (places[i] * 0.5 + 0.5) * 320.0;
            LabeledPoint { x: share(2 * index), y: share(2 * index + 1), label }
        };
        let mut queries = Vec::new();
        for (count, kind) in (0..=9).flat_map(|count| (0..4).map(move |kind| (count, kind))) {
            let (boxed, masked) = (kind % 2 == 1, kind / 2 == 1);
            let label = |index| if index % 3 == 1 { PointLabel::Exclude } else { PointLabel::Include };
            let mut points: Vec<_> = (0..count).map(|index| point(index, label(index))).collect();
            if boxed {
                points.push(LabeledPoint { x: 40.0, y: 60.0, label: PointLabel::BoxTopLeft });
                points.push(LabeledPoint { x: 200.5, y: 300.0, label: PointLabel::BoxBottomRight });
            }
            let previous = masked.then(|| mask_prompt(80).into());
            if !points.is_empty() || masked {
                queries.push(DecodeQuery { points, previous, multimask: count % 2 == 1 });
            }
        }
        queries
    }

    fn image() -> Tensor {
        Tensor::from_vec(unit("image", 400 * DIM), (400, DIM), &Device::Cpu).unwrap()
    }

    #[test]
    fn kernels_decode_what_candle_decodes() {
        let (ours, theirs) = (sam(Engine::Ours), sam(Engine::Candle));
        let (embedding, other) = (ours.embedding(image()).unwrap(), theirs.embedding(image()).unwrap());
        for query in queries() {
            let (got, want) = (ours.decode(&embedding, &query).unwrap(), theirs.decode(&other, &query).unwrap());
            assert_eq!(got.len(), want.len());
            let name = format!("{} points, mask {}", query.points.len(), query.previous.is_some());
            for (got, want) in got.iter().zip(&want) {
                assert_close(&name, &got.low_res, &want.low_res, 1e-4);
                assert_close(&name, &[got.predicted_iou], &[want.predicted_iou], 1e-5);
            }
        }
    }

    #[test]
    fn many_prompts_at_once_give_what_each_gives() {
        for engine in [Engine::Ours, Engine::Candle] {
            let sam = sam(engine);
            let embedding = sam.embedding(image()).unwrap();
            let mut queries: Vec<_> = queries().into_iter().step_by(5).collect();
            let each: Vec<_> = queries.iter().map(|query| sam.decode(&embedding, query).unwrap()).collect();
            assert!(sam.decode_many(&embedding, &queries).unwrap() == each);
            assert!(sam.decode_many(&embedding, &[]).unwrap().is_empty());
            queries.push(DecodeQuery::default());
            let error = sam.decode_many(&embedding, &queries).unwrap_err().to_string();
            assert!(error.contains("needs a point"), "{error}");
        }
    }

    #[test]
    fn nan_is_an_error_on_both_engines() {
        for engine in [Engine::Ours, Engine::Candle] {
            let sam = sam(engine);
            let mut values = unit("image", 400 * DIM);
            values[7 * DIM + 5] = f32::NAN;
            let embedding = sam.embedding(Tensor::from_vec(values, (400, DIM), &Device::Cpu).unwrap()).unwrap();
            let error = sam.decode(&embedding, &queries()[0]).unwrap_err();
            assert!(matches!(error, InferenceError::NotANumber { .. }), "{error}");
        }
    }
}

//! The whole network for one input side, constants computed.

use super::backbone::{self, Backbone};
use super::config::SparkConfig;
use super::layers::Layers;
use super::mask_decoder::MaskDecoder;
use super::neck::{Features, Neck};
use super::prompt_encoder::{PromptEncoder, PromptPoint};
use crate::inference::segmenter::{EncodeControl, InferenceError};
use crate::inference::weights::Weights;
use candle_core::{Device, Tensor};
use std::ops::Range;

/// Blocks that an encode reports: the backbone's and the neck.
const STEPS: usize = backbone::STEPS + 1;

pub(super) struct Network {
    backbone: Backbone,
    neck: Neck,
    prompt: PromptEncoder,
    decoder: MaskDecoder,
    side: usize,
    device: Device,
}

impl Network {
    /// `side`: of the input, a multiple of 32; the weights do not depend on it.
    pub(super) fn load(weights: &Weights, config: &SparkConfig, side: usize) -> Result<Self, InferenceError> {
        let layers = Layers::new(weights);
        let prompt = PromptEncoder::load(&layers, config, side)?;
        let decoder = MaskDecoder::load(&layers, &prompt.dense_position()?)?;
        let (backbone, neck) = (Backbone::load(&layers)?, Neck::load(&layers)?);
        Ok(Self { backbone, neck, prompt, decoder, side, device: weights.device().clone() })
    }

    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// `planes`: `[3, side, side]`, normalised.
    pub(super) fn encode(&self, planes: Vec<f32>, control: &EncodeControl<'_>) -> Result<Features, InferenceError> {
        let image = Tensor::from_vec(planes, (3, self.side, self.side), &self.device)?;
        let taps = self.backbone.forward(&image, control, STEPS)?;
        let features = self.neck.forward(&taps)?;
        control.step(1.0)?;
        Ok(features)
    }

    /// Logits `[masks, side / 2, side / 2]` of the wanted mask tokens, and the predicted IoU of all four.
    pub(super) fn decode(
        &self,
        features: &Features,
        points: &[PromptPoint],
        previous: Option<&[f32]>,
        wanted: Range<usize>,
    ) -> Result<(Tensor, Vec<f32>), InferenceError> {
        let dense = self.prompt.dense(points, previous)?;
        self.decoder.forward(features, &self.prompt.tokens(points)?, dense, wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::ops::testing::difference;
    use crate::inference::segmenter::PointLabel;
    use std::path::Path;

    const SIDE: usize = 128;

    /// Largest difference as a share of the reference's range.
    fn share_off(got: &Tensor, want: &Tensor) -> f32 {
        let flat = want.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let (low, high) = flat.iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
        difference(got, want) / (high - low)
    }

    /// PyTorch ran the same f16 weights in f32 (see models/README.md); rows of padding carry the label -1.
    #[test]
    fn equals_pytorch_on_the_golden_file() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let golden = Weights::open(&root.join("tests/golden/spark-sam.golden.safetensors"), &Device::Cpu).unwrap();
        let weights = Weights::open(&root.join("models/spark-sam.safetensors"), &Device::Cpu).unwrap();
        let text = std::fs::read_to_string(root.join("models/spark-sam.json")).unwrap();
        let config = SparkConfig::parse(Path::new("spark-sam.json"), &text).unwrap();
        let network = Network::load(&weights, &config, SIDE).unwrap();
        assert!(weights.unused().is_empty(), "{:?}", weights.unused());

        let want = |name: &str, shape: &[usize]| golden.tensor(name, shape).unwrap();
        let image = golden.values("image", &[1, 3, SIDE, SIDE]).unwrap();
        let features = network.encode(image, &EncodeControl::default()).unwrap();
        let mut report = vec![
            ("embed", share_off(&features.embed, &want("embed", &[1, 128, 16, 16]).squeeze(0).unwrap())),
            ("hr4", share_off(&features.quarter, &want("hr4", &[1, 32, 32, 32]).squeeze(0).unwrap())),
            ("hr2", share_off(&features.half, &want("hr2", &[1, 16, 64, 64]).squeeze(0).unwrap())),
        ];
        let (points, labels) =
            (golden.values("points", &[3, 3, 2]).unwrap(), golden.values("labels", &[3, 3]).unwrap());
        let first = want("logits", &[3, 4, 64, 64]);
        let with_mask = want("logits_with_mask", &[3, 4, 64, 64]);
        for case in 0..3 {
            let label = |value: f32| match value as i32 {
                0 => Some(PointLabel::Exclude),
                1 => Some(PointLabel::Include),
                2 => Some(PointLabel::BoxTopLeft),
                3 => Some(PointLabel::BoxBottomRight),
                _ => None,
            };
            let prompt: Vec<PromptPoint> = (case * 3..case * 3 + 3)
                .map(|row| (points[row * 2], points[row * 2 + 1], label(labels[row])))
                .collect();
            let previous = first.get(case).unwrap().get(0).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
            let iou = |name: &str, row: &[f32]| {
                let want = golden.values(name, &[3, 4]).unwrap();
                row.iter().zip(&want[case * 4..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
            };
            let (logits, scores) = network.decode(&features, &prompt, None, 0..4).unwrap();
            report.push(("logits", share_off(&logits, &first.get(case).unwrap())));
            report.push(("iou", iou("iou", &scores)));
            let (logits, scores) = network.decode(&features, &prompt, Some(&previous), 0..4).unwrap();
            report.push(("logits with mask", share_off(&logits, &with_mask.get(case).unwrap())));
            report.push(("iou with mask", iou("iou_with_mask", &scores)));
        }
        let worst = report.iter().map(|&(_, off)| off).fold(0.0, f32::max);
        assert!(worst < 2e-5, "{report:?}");
        assert!(report.iter().all(|(_, off)| off.is_finite()), "{report:?}");
        eprintln!("differences to PyTorch as shares of the range: {report:?}");
    }

    #[test]
    fn encoding_reports_every_block_and_stops_on_request() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let weights = Weights::open(&root.join("models/spark-sam.safetensors"), &Device::Cpu).unwrap();
        let text = std::fs::read_to_string(root.join("models/spark-sam.json")).unwrap();
        let config = SparkConfig::parse(Path::new("spark-sam.json"), &text).unwrap();
        let network = Network::load(&weights, &config, 32).unwrap();
        let heard = std::sync::Mutex::new(Vec::new());
        let listen = |share: f32| heard.lock().unwrap().push(share);
        let control = EncodeControl { progress: Some(&listen), ..EncodeControl::default() };
        network.encode(vec![0.0; 3 * 32 * 32], &control).unwrap();
        let shares = heard.lock().unwrap().clone();
        assert_eq!(shares.len(), STEPS);
        assert!(shares.is_sorted() && shares.last() == Some(&1.0), "{shares:?}");
        let stop_midway = |share: f32| {
            if share > 0.4 {
                control.cancel.cancel();
            }
        };
        let control = EncodeControl { cancel: control.cancel.clone(), progress: Some(&stop_midway) };
        assert!(matches!(network.encode(vec![0.0; 3 * 32 * 32], &control), Err(InferenceError::Cancelled)));
    }
}

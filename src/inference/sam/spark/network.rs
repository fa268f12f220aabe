//! The whole network for one input side, constants computed.

use super::backbone::{self, Backbone};
use super::config::SparkConfig;
use super::layers::Layers;
use super::mask_decoder::MaskDecoder;
use super::neck::{Features, Neck};
use super::prompt_encoder::PromptEncoder;
use super::prompt_points::PromptPoint;
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
    use super::super::cpu::{self, CpuNetwork};
    use super::*;
    use crate::inference::segmenter::PointLabel;
    use crate::kernels::Cpu;
    use crate::kernels::layout::rows_from_planes;
    use std::path::Path;

    const SIDE: usize = 128;

    /// An engine that runs the network: planes in, plain numbers out.
    trait Subject {
        type Features;
        fn encode(&self, planes: Vec<f32>, control: &EncodeControl<'_>) -> Result<Self::Features, InferenceError>;
        /// Embedding, quarter and half, as planes.
        fn planes(&self, features: &Self::Features) -> [Vec<f32>; 3];
        fn decode(
            &self,
            features: &Self::Features,
            points: &[PromptPoint],
            previous: Option<&[f32]>,
        ) -> (Vec<f32>, Vec<f32>);
    }

    fn flat(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    impl Subject for Network {
        type Features = Features;
        fn encode(&self, planes: Vec<f32>, control: &EncodeControl<'_>) -> Result<Features, InferenceError> {
            self.encode(planes, control)
        }
        fn planes(&self, features: &Features) -> [Vec<f32>; 3] {
            [&features.embed, &features.quarter, &features.half].map(flat)
        }
        fn decode(
            &self,
            features: &Features,
            points: &[PromptPoint],
            previous: Option<&[f32]>,
        ) -> (Vec<f32>, Vec<f32>) {
            let (logits, iou) = self.decode(features, points, previous, 0..4).unwrap();
            (flat(&logits), iou)
        }
    }

    impl Subject for CpuNetwork {
        type Features = cpu::Features;
        fn encode(&self, planes: Vec<f32>, control: &EncodeControl<'_>) -> Result<cpu::Features, InferenceError> {
            let mut pixels = planes.clone();
            rows_from_planes(self.cpu().pool, &planes, 3, &mut pixels);
            self.encode(&pixels, control)
        }
        fn planes(&self, features: &cpu::Features) -> [Vec<f32>; 3] {
            features.planes(self.cpu())
        }
        fn decode(
            &self,
            features: &cpu::Features,
            points: &[PromptPoint],
            previous: Option<&[f32]>,
        ) -> (Vec<f32>, Vec<f32>) {
            let (logits, iou) = self.decode(features, points, previous, 0..4).unwrap();
            (logits.concat(), iou)
        }
    }

    /// Largest difference as a share of the reference's range.
    fn share_off(got: &[f32], want: &[f32]) -> f32 {
        assert_eq!(got.len(), want.len());
        let (low, high) = want.iter().fold((f32::MAX, f32::MIN), |(l, h), &v| (l.min(v), h.max(v)));
        got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max) / (high - low)
    }

    fn built_in() -> (Weights, SparkConfig) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let weights = Weights::open(&root.join("models/spark-sam.safetensors"), &Device::Cpu).unwrap();
        let text = std::fs::read_to_string(root.join("models/spark-sam.json")).unwrap();
        (weights, SparkConfig::parse(Path::new("spark-sam.json"), &text).unwrap())
    }

    /// PyTorch ran the same f16 weights in f32 (see models/README.md); rows of padding carry the label -1.
    fn compare_with_golden<S: Subject>(network: &S) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let golden = Weights::open(&root.join("tests/golden/spark-sam.golden.safetensors"), &Device::Cpu).unwrap();
        let want = |name: &str, shape: &[usize]| golden.values(name, shape).unwrap();
        let image = want("image", &[1, 3, SIDE, SIDE]);
        let features = network.encode(image, &EncodeControl::default()).unwrap();
        let [embed, quarter, half] = network.planes(&features);
        let mut report = vec![
            ("embed", share_off(&embed, &want("embed", &[1, 128, 16, 16]))),
            ("hr4", share_off(&quarter, &want("hr4", &[1, 32, 32, 32]))),
            ("hr2", share_off(&half, &want("hr2", &[1, 16, 64, 64]))),
        ];
        let (points, labels) = (want("points", &[3, 3, 2]), want("labels", &[3, 3]));
        let masks = 4 * 64 * 64;
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
            let of_case = case * masks..(case + 1) * masks;
            let previous = &first[of_case.start..][..64 * 64];
            let iou = |name: &str, row: &[f32]| {
                let want = golden.values(name, &[3, 4]).unwrap();
                row.iter().zip(&want[case * 4..]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
            };
            let (logits, scores) = network.decode(&features, &prompt, None);
            report.push(("logits", share_off(&logits, &first[of_case.clone()])));
            report.push(("iou", iou("iou", &scores)));
            let (logits, scores) = network.decode(&features, &prompt, Some(previous));
            report.push(("logits with mask", share_off(&logits, &with_mask[of_case])));
            report.push(("iou with mask", iou("iou_with_mask", &scores)));
        }
        let worst = report.iter().map(|&(_, off)| off).fold(0.0, f32::max);
        assert!(worst < 2e-5, "{report:?}");
        assert!(report.iter().all(|(_, off)| off.is_finite()), "{report:?}");
        eprintln!("differences to PyTorch as shares of the range: {report:?}");
    }

    #[test]
    fn candle_equals_pytorch_on_the_golden_file() {
        let (weights, config) = built_in();
        compare_with_golden(&Network::load(&weights, &config, SIDE).unwrap());
        assert!(weights.unused().is_empty(), "{:?}", weights.unused());
    }

    #[test]
    fn our_kernels_equal_pytorch_on_the_golden_file() {
        let (weights, config) = built_in();
        compare_with_golden(&CpuNetwork::load(&weights, &config, SIDE, Cpu::new()).unwrap());
        assert!(weights.unused().is_empty(), "{:?}", weights.unused());
    }

    /// More points than fit the slots of a vector, and sides that are no power of two.
    #[test]
    fn our_kernels_equal_candle_with_many_points() {
        let (weights, config) = built_in();
        let side = 96;
        let (candle, ours) = (
            Network::load(&weights, &config, side).unwrap(),
            CpuNetwork::load(&weights, &config, side, Cpu::new()).unwrap(),
        );
        let planes = crate::kernels::testing::noise(3 * side * side, 5);
        let control = EncodeControl::default();
        let want = Subject::encode(&candle, planes.clone(), &control).unwrap();
        let got = Subject::encode(&ours, planes, &control).unwrap();
        for (got, want) in Subject::planes(&ours, &got).iter().zip(Subject::planes(&candle, &want)) {
            assert!(share_off(got, &want) < 2e-5);
        }
        for count in [1, 11, 12, 40] {
            let points: Vec<PromptPoint> = (0..count)
                .map(|i| {
                    let label = if i % 3 == 1 { PointLabel::Exclude } else { PointLabel::Include };
                    ((i * 37 % side) as f32, (i * 53 % side) as f32, Some(label))
                })
                .collect();
            let (want, want_iou) = Subject::decode(&candle, &want, &points, None);
            let (got, got_iou) = Subject::decode(&ours, &got, &points, None);
            assert!(share_off(&got, &want) < 2e-5, "{count} points: {}", share_off(&got, &want));
            assert!(got_iou.iter().zip(&want_iou).all(|(a, b)| (a - b).abs() < 2e-5));
        }
    }

    fn reports_every_block_and_stops<S: Subject>(network: &S) {
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

    #[test]
    fn encoding_reports_every_block_and_stops_on_request() {
        let (weights, config) = built_in();
        reports_every_block_and_stops(&Network::load(&weights, &config, 32).unwrap());
        reports_every_block_and_stops(&CpuNetwork::load(&weights, &config, 32, Cpu::new()).unwrap());
    }
}

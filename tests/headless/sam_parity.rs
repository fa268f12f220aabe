//! SAM and MobileSAM against the PyPI packages segment-anything and mobilesam-lite: from the picture's bytes to the mask
//! at the picture's size, for every kind of prompt (`tests/golden/make_sam_golden.py` wrote the answers).

use crate::counter_weights::{Golden, assert_close, mask_prompt, model, picture, safetensors_bytes};
use maskwright::atomic_file::write_atomically;
use maskwright::geometry::PixelRect;
use maskwright::inference::{
    Candidate, Candidates, DecodeQuery, EncodeControl, EncodedView, LabeledPoint, ModelChoice, PointLabel, Segmenter,
    open_segmenter,
};
use std::sync::Arc;
use std::sync::Mutex;

/// A prompt of the golden file. Numbers are shares of the picture's width and height.
struct Case {
    name: &'static str,
    points: &'static [(f32, f32, PointLabel)],
    boxed: bool,
    mask: bool,
}

const A: (f32, f32, PointLabel) = (0.42, 0.5, PointLabel::Include);
const B: (f32, f32, PointLabel) = (0.8, 0.25, PointLabel::Exclude);
const C: (f32, f32, PointLabel) = (0.3, 0.6, PointLabel::Include);
const BOX: [(f32, f32, PointLabel); 2] = [(0.2, 0.25, PointLabel::BoxTopLeft), (0.6, 0.8, PointLabel::BoxBottomRight)];

const CASES: [Case; 7] = [
    Case { name: "point", points: &[A], boxed: false, mask: false },
    Case { name: "points", points: &[A, B, C], boxed: false, mask: false },
    Case { name: "box", points: &[], boxed: true, mask: false },
    Case { name: "box_point", points: &[A], boxed: true, mask: false },
    Case { name: "mask", points: &[], boxed: false, mask: true },
    Case { name: "mask_point", points: &[A], boxed: false, mask: true },
    Case { name: "box_mask", points: &[], boxed: true, mask: true },
];

/// Opens a model made of counted weights through the same door as the window and the command line.
pub(crate) fn open_model(bytes: &[u8]) -> Arc<dyn Segmenter> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    write_atomically(&path, |w| w.write_all(bytes)).unwrap();
    open_segmenter(&ModelChoice::Path(path)).unwrap()
}

/// Every `step`-th value along both axes of a square grid.
fn sampled(values: &[f32], side: usize, step: usize) -> Vec<f32> {
    values.chunks_exact(side).step_by(step).flat_map(|row| row.iter().copied().step_by(step)).collect()
}

fn check(segmenter: &dyn Segmenter, golden: &Golden, size: (u32, u32), low_res_step: usize) {
    let (width, height) = size;
    let key = format!("{width}x{height}");
    let view = segmenter.prepare(&picture(width, height), width, height, PixelRect::of_size(width, height)).unwrap();
    let frame = view.frame;
    let resized_size = golden.bytes(&format!("{key}.resized_size")).1;
    let resized_size: Vec<i64> = resized_size.as_chunks::<8>().0.iter().map(|&b| i64::from_le_bytes(b)).collect();
    assert_eq!([i64::from(frame.content_height), i64::from(frame.content_width)], resized_size[..]);
    let resized = golden.bytes(&format!("{key}.resized")).1;
    let ours: Vec<u8> = view
        .rgb
        .chunks_exact(frame.content_width as usize * 3)
        .step_by(5)
        .flat_map(|row| row.as_chunks::<3>().0.iter().step_by(5).flatten().copied())
        .collect();
    assert_eq!(ours.len(), resized.len());
    assert!(ours == resized, "{key}: Pillow resizes to other values");

    let steps = Mutex::new(Vec::new());
    let report = |share| steps.lock().unwrap().push(share);
    let control = EncodeControl { progress: Some(&report), ..EncodeControl::default() };
    let embedding = segmenter.encode(&view, &control).unwrap();
    let steps = steps.into_inner().unwrap();
    assert!(steps.len() > 3 && steps.is_sorted() && steps.last() == Some(&1.0), "{steps:?}");

    let encoded = EncodedView { frame, embedding };
    let scale = (frame.content_width as f32 / width as f32, frame.content_height as f32 / height as f32);
    // Upstream takes pixel indices, scales them and adds a half; we hand over the result, in our corner convention.
    let place = |&(x, y, label): &(f32, f32, PointLabel)| LabeledPoint {
        x: x * width as f32 * scale.0 + 0.5,
        y: y * height as f32 * scale.1 + 0.5,
        label,
    };
    let side = segmenter.info().low_res_side;
    for case in &CASES {
        let corners: &[_] = if case.boxed { &BOX } else { &[] };
        let query = DecodeQuery {
            points: case.points.iter().chain(corners).map(place).collect(),
            previous: case.mask.then(|| mask_prompt(i64::from(side)).into()),
            multimask: case.name == "point",
        };
        let outputs = segmenter.decode(&encoded.embedding, &query).unwrap();
        let name = format!("{key}.{}", case.name);
        let iou: Vec<f32> = outputs.iter().map(|o| o.predicted_iou).collect();
        assert_close(&format!("{name}.iou"), &iou, &golden.floats(&format!("{name}.iou")).1, 1e-3);
        let low_res: Vec<f32> = outputs.iter().flat_map(|o| sampled(&o.low_res, side as usize, low_res_step)).collect();
        assert_close(&format!("{name}.low_res"), &low_res, &golden.floats(&format!("{name}.low_res")).1, 5e-3);

        let items = outputs
            .into_iter()
            .map(|o| Candidate { low_res: o.low_res, predicted_iou: o.predicted_iou, stability: 0.0 })
            .collect();
        let candidates = Candidates { items, chosen: 0, frame, low_res_side: side };
        let (shape, bits) = golden.bytes(&format!("{name}.mask_bits"));
        assert_eq!(candidates.items.len(), shape[0]);
        for (index, bits) in bits.chunks_exact(shape[1]).enumerate() {
            let mask = candidates.field(index).unwrap().to_mask(width, height, 0.0).to_bitmap();
            let expected = |pixel: usize| bits[pixel / 8] >> (7 - pixel % 8) & 1;
            let wrong = mask.data.iter().enumerate().filter(|&(pixel, &bit)| bit != expected(pixel)).count();
            let share = wrong as f64 / mask.data.len() as f64;
            eprintln!("{name} mask {index}: {wrong} of {} pixels differ ({:.4} %)", mask.data.len(), share * 100.0);
            assert!(share <= 0.001, "{name} mask {index}: {wrong} pixels differ");
        }
    }
}

#[test]
fn sam_vit_matches_the_official_predictor() {
    let segmenter = open_model(&safetensors_bytes(&model("vit")));
    let golden = Golden::open("sam-vit.golden.safetensors");
    assert_eq!((segmenter.info().input_side, segmenter.info().low_res_side), (320, 80));
    assert!(segmenter.info().id.starts_with("sam-vit-32x3@"), "{}", segmenter.info().id);
    for size in [(480, 320), (320, 480)] {
        check(&*segmenter, &golden, size, 3);
    }
}

#[test]
fn mobile_sam_matches_the_official_predictor() {
    let segmenter = open_model(&safetensors_bytes(&model("mobile_sam")));
    let golden = Golden::open("mobile-sam.golden.safetensors");
    assert_eq!((segmenter.info().input_side, segmenter.info().low_res_side), (1024, 256));
    assert!(segmenter.info().id.starts_with("mobile-sam@"), "{}", segmenter.info().id);
    for size in [(450, 300), (300, 450)] {
        check(&*segmenter, &golden, size, 9);
    }
}

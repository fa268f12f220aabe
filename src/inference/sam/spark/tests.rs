//! The embedded segmenter through its public trait.

use super::*;
use crate::geometry::ImagePoint;
use crate::inference::device::{Engine, Precision};
use crate::inference::predictor::{Replay, encode_view, predict};
use crate::prompt::{Polarity, Prompt, PromptStep};
use crate::raster::Picture;

/// A bright disc on dark ground with a little texture.
fn disc(width: u32, height: u32, centre: (i32, i32), radius: i32) -> Picture {
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height as i32 {
        for x in 0..width as i32 {
            let inside = (x - centre.0).pow(2) + (y - centre.1).pow(2) < radius * radius;
            let grain = ((x * 31 + y * 17) % 13) as u8;
            rgb.extend(if inside { [220, 120 + grain, 40] } else { [40, 60 + grain, 80] });
        }
    }
    Picture { width, height, rgb: rgb.into(), notes: Vec::new() }
}

#[test]
fn a_click_on_a_disc_finds_the_disc_and_storing_changes_nothing() {
    let segmenter = SparkSegmenter::built_in(&ComputeDevice::cpu()).unwrap();
    assert!(segmenter.info().id.starts_with("spark-sam@") && segmenter.info().id.len() >= 22);
    let picture = disc(360, 240, (200, 110), 60);
    let mut encoded = encode_view(&segmenter, &picture, None, &EncodeControl::default()).unwrap();
    let mut prompt = Prompt::point(ImagePoint::new(200.0, 110.0), Polarity::Include);
    let fresh = predict(&segmenter, &encoded, &prompt, &mut Replay::default()).unwrap();
    assert_eq!(fresh.items.len(), 3);
    let iou = (0..3)
        .map(|index| {
            let mask = fresh.field(index).unwrap().to_mask(360, 240, 0.0);
            let inside = |x: i32, y: i32| (x - 200).pow(2) + (y - 110).pow(2) < 3600;
            let (mut both, mut either) = (0, 0);
            for y in 0..240 {
                for x in 0..360 {
                    let (a, b) = (mask.contains(x, y), inside(x as i32, y as i32));
                    both += u32::from(a && b);
                    either += u32::from(a || b);
                }
            }
            both as f32 / either as f32
        })
        .fold(0.0, f32::max);
    assert!(iou > 0.9, "best candidate has IoU {iou}");

    let bytes = segmenter.store_embedding(&encoded.embedding).unwrap();
    encoded.embedding = segmenter.restore_embedding(&bytes).unwrap();
    prompt.steps.push(PromptStep::Point { at: ImagePoint::new(20.0, 20.0), polarity: Polarity::Exclude });
    let restored = predict(&segmenter, &encoded, &prompt, &mut Replay::default()).unwrap();
    prompt.steps.pop();
    assert_eq!(predict(&segmenter, &encoded, &prompt, &mut Replay::default()).unwrap(), fresh);
    assert_eq!(restored.items.len(), 1);
    assert!(segmenter.restore_embedding(&bytes[..bytes.len() / 2]).is_err());
}

#[test]
fn a_sliver_of_a_picture_and_a_single_pixel_are_answered() {
    let segmenter = SparkSegmenter::built_in(&ComputeDevice::cpu()).unwrap();
    for (width, height) in [(1, 20_000), (1, 1)] {
        let picture = disc(width, height, (0, 0), 5);
        let encoded = encode_view(&segmenter, &picture, None, &EncodeControl::default()).unwrap();
        let prompt = Prompt::point(ImagePoint::new(0.5, 0.5), Polarity::Include);
        let answer = predict(&segmenter, &encoded, &prompt, &mut Replay::default()).unwrap();
        let mask = answer.field(answer.chosen).unwrap().to_mask(width, height, 0.0);
        assert_eq!((mask.width(), mask.height()), (width, height));
    }
}

/// Masks with bf16 weights against those with f32: 25 clicks on each demo photo, the candidate that would be shown. A folder of
/// other photos may be named in `MASKWRIGHT_TEST_PHOTOS`, to repeat what docs/performance.md says of them.
#[test]
fn bf16_changes_masks_of_real_photos_hardly() {
    let compute = ComputeDevice::cpu_with(Engine::Ours, Precision::Bf16);
    if compute.precision != Precision::Bf16 {
        eprintln!("skipped: this processor has no products of bf16 numbers");
        return;
    }
    let exact = SparkSegmenter::built_in(&ComputeDevice::cpu()).unwrap();
    let rounded = SparkSegmenter::built_in(&compute).unwrap();
    let mut shares = Vec::new();
    let folder = match std::env::var("MASKWRIGHT_TEST_PHOTOS") {
        Ok(folder) => PathBuf::from(folder),
        Err(_) => Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo"),
    };
    let mut photos: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    photos.sort();
    for photo in photos {
        let picture = crate::raster::decode_picture(&photo).unwrap();
        let (width, height) = (picture.width, picture.height);
        let encode =
            |segmenter: &SparkSegmenter| encode_view(segmenter, &picture, None, &EncodeControl::default()).unwrap();
        let (a, b) = (encode(&exact), encode(&rounded));
        for click in 0..25 {
            let at = ImagePoint::new(
                (click % 5) as f32 * width as f32 / 5.0 + width as f32 / 10.0,
                (click / 5) as f32 * height as f32 / 5.0 + height as f32 / 10.0,
            );
            let prompt = Prompt::point(at, Polarity::Include);
            let answer = predict(&exact, &a, &prompt, &mut Replay::default()).unwrap();
            let other = predict(&rounded, &b, &prompt, &mut Replay::default()).unwrap();
            let mask =
                |answer: &crate::inference::Candidates, index| answer.field(index).unwrap().to_mask(width, height, 0.0);
            // The same candidate of both: which one is shown first may tip over, and that is another question.
            let (one, two) = (mask(&answer, answer.chosen), mask(&other, answer.chosen));
            let (mut both, mut either) = (0u64, 0u64);
            for y in 0..height {
                for x in 0..width {
                    let (a, b) = (one.contains(x, y), two.contains(x, y));
                    both += u64::from(a && b);
                    either += u64::from(a || b);
                }
            }
            if either > 0 {
                shares.push(both as f64 / either as f64);
            }
        }
    }
    shares.sort_by(f64::total_cmp);
    let mean = shares.iter().sum::<f64>() / shares.len() as f64;
    let (least, tenth) = (shares[0], shares[shares.len() / 10]);
    eprintln!(
        "bf16 against f32: {} masks, mean IoU {mean:.4}, a tenth below {tenth:.4}, least {least:.4}",
        shares.len()
    );
    assert!(mean > 0.97, "mean IoU {mean:.4}");
}

//! The engine with the built-in model: what it answers is what a direct call answers, byte for byte, whether the
//! embedding is fresh or from the disk, and however the questions before it went.

use maskwright::engine::{
    Candidates, DecodeRequest, EmbeddingSource, Engine, EngineOptions, Event, Generation, PictureHandle,
};
use maskwright::geometry::{ImagePoint, ImageRect, PixelRect};
use maskwright::inference::{EncodeControl, ModelChoice, Replay, Segmenter, encode_view, open_segmenter, predict};
use maskwright::prompt::{Polarity, Prompt, PromptStep};
use maskwright::raster::Picture;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Only turns a hang into a failure.
const PATIENCE: Duration = Duration::from_secs(300);

/// A bright disc at 200, 110 on dark ground with a little texture.
fn disc() -> Picture {
    let (width, height) = (360, 240);
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            let texture = (x * 7 + y * 13) % 11;
            let inside = (x - 200i32).pow(2) + (y - 110i32).pow(2) < 3600;
            let colour = if inside { [220, 170, 60] } else { [40, 60, 70] };
            rgb.extend(colour.map(|value: i32| (value + texture) as u8));
        }
    }
    Picture { width: width as u32, height: height as u32, rgb: rgb.into(), notes: Vec::new() }
}

/// Prompts of every kind that a user makes, growing and starting anew, one in a view of its own.
fn prompts() -> Vec<Prompt> {
    let point = |x: f32, y: f32, polarity| PromptStep::Point { at: ImagePoint::new(x, y), polarity };
    let on = point(200.0, 110.0, Polarity::Include);
    let off = point(30.0, 30.0, Polarity::Exclude);
    let around = PromptStep::Box(ImageRect { x0: 135.0, y0: 45.0, x1: 265.0, y1: 175.0 });
    let of = |steps: &[&PromptStep]| Prompt { steps: steps.iter().copied().cloned().collect(), ..Prompt::default() };
    let view = Some(PixelRect { x: 120, y: 30, width: 160, height: 150 });
    vec![
        of(&[&on]),
        of(&[&on, &off]),
        Prompt { choice: Some(0), ..of(&[&on, &off]) },
        of(&[&around]),
        of(&[&around, &on]),
        Prompt { view, ..of(&[&on]) },
    ]
}

fn start(folder: &Path, segmenter: &Arc<dyn Segmenter>) -> Engine {
    let options = EngineOptions {
        cache_folder: Some(folder.to_owned()),
        progress_step: Duration::ZERO,
        ..EngineOptions::default()
    };
    let segmenter = Arc::clone(segmenter);
    Engine::start(options, Box::new(move || Ok(segmenter))).expect("the system has threads left")
}

/// All answers in order, and where the embeddings came from.
fn ask(engine: &Engine, picture: &PictureHandle) -> (Vec<Candidates>, Vec<EmbeddingSource>) {
    let (mut answers, mut sources) = (Vec::new(), Vec::new());
    for (number, prompt) in prompts().into_iter().enumerate() {
        let generation = Generation(number as u64);
        engine.decode(DecodeRequest { generation, picture: picture.clone(), prompt });
        loop {
            match engine.wait_event(PATIENCE).expect("an answer") {
                Event::MaskReady { generation: found, candidates, .. } if found == generation => {
                    answers.push(candidates);
                    break;
                }
                Event::Encoded { source, .. } => sources.push(source),
                Event::ModelReady(_) | Event::EncodeProgress { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    (answers, sources)
}

#[test]
fn the_engine_answers_as_a_direct_call_does_byte_for_byte_fresh_and_from_disk() {
    let segmenter = open_segmenter(&ModelChoice::BuiltIn).unwrap();
    let picture = disc();
    let direct: Vec<Candidates> = prompts()
        .iter()
        .map(|prompt| {
            let encoded = encode_view(segmenter.as_ref(), &picture, prompt.view, &EncodeControl::default()).unwrap();
            predict(segmenter.as_ref(), &encoded, prompt, &mut Replay::default()).unwrap()
        })
        .collect();
    let mask = direct[4].field(0).unwrap().to_mask(360, 240, 0.0);
    assert!(mask.contains(200, 110) && !mask.contains(30, 30), "a real answer, not an empty one");

    let folder = tempfile::tempdir().unwrap();
    for expected in [EmbeddingSource::Computed, EmbeddingSource::Disk] {
        let engine = start(folder.path(), &segmenter);
        let (answers, sources) = ask(&engine, &PictureHandle::new(picture.clone()));
        assert_eq!(answers, direct);
        assert_eq!(sources, [expected; 2], "the whole picture and the view");
    }
}

#[test]
fn switching_the_picture_stops_the_real_encoder_and_the_new_picture_is_answered() {
    let segmenter = open_segmenter(&ModelChoice::BuiltIn).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let engine = start(folder.path(), &segmenter);
    let (first, second) =
        (PictureHandle::new(Picture { width: 240, height: 360, ..disc() }), PictureHandle::new(disc()));
    engine.encode(&first, None);
    let mut switched = false;
    loop {
        match engine.wait_event(PATIENCE).expect("an answer") {
            // The first block is done: the encoder is in the middle of its work.
            Event::EncodeProgress { picture, .. } if picture == first.id() && !switched => {
                switched = true;
                engine.encode(&second, None);
                let prompt = prompts().remove(0);
                engine.decode(DecodeRequest { generation: Generation(1), picture: second.clone(), prompt });
            }
            Event::Encoded { picture, .. } => assert_eq!(picture, second.id()),
            Event::MaskReady { generation, picture, .. } => {
                assert_eq!((generation, picture), (Generation(1), second.id()));
                break;
            }
            Event::ModelReady(_) | Event::EncodeProgress { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

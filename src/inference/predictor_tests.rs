//! Tests of the predictor against the fake segmenter, whose answers and decode counts are known.

use super::*;
use crate::geometry::ImageRect;
use crate::inference::fake::{FAKE_PREDICTED_IOUS, FAKE_SINGLE_IOU, FakeSegmenter};
use crate::raster::{Bitmap, Mask};
use proptest::prelude::*;

const WIDTH: u32 = 300;
const HEIGHT: u32 = 200;

fn picture() -> Picture {
    let rgb: Vec<u8> = (0..WIDTH * HEIGHT * 3).map(|i| (i % 253) as u8).collect();
    Picture { width: WIDTH, height: HEIGHT, rgb: rgb.into(), notes: Vec::new() }
}

fn encoded(segmenter: &FakeSegmenter, view: Option<PixelRect>) -> EncodedView {
    encode_view(segmenter, &picture(), view, &EncodeControl::default()).unwrap()
}

fn point(x: f32, y: f32) -> PromptStep {
    PromptStep::Point { at: ImagePoint::new(x, y), polarity: Polarity::Include }
}

fn not(x: f32, y: f32) -> PromptStep {
    PromptStep::Point { at: ImagePoint::new(x, y), polarity: Polarity::Exclude }
}

fn prompt(steps: &[PromptStep]) -> Prompt {
    Prompt { steps: steps.to_vec(), ..Prompt::default() }
}

fn fresh(segmenter: &FakeSegmenter, encoded: &EncodedView, prompt: &Prompt) -> Candidates {
    predict(segmenter, encoded, prompt, &mut Replay::default()).unwrap()
}

#[test]
fn a_lone_point_has_three_candidates_and_all_else_one() {
    let fake = FakeSegmenter::new();
    let encoded = encoded(&fake, None);
    let lone = fresh(&fake, &encoded, &prompt(&[point(150.0, 100.0)]));
    assert_eq!(lone.items.iter().map(|c| c.predicted_iou).collect::<Vec<_>>(), FAKE_PREDICTED_IOUS);
    assert_eq!(lone.chosen, 1);
    let chosen = Prompt { choice: Some(2), ..prompt(&[point(150.0, 100.0)]) };
    assert_eq!(fresh(&fake, &encoded, &chosen).chosen, 2);
    let mask = Mask::from_bitmap(&Bitmap::from_fn(WIDTH, HEIGHT, |x, y| x < 90 && y < 70));
    let rect = ImageRect { x0: 20.0, y0: 30.0, x1: 90.0, y1: 99.5 };
    for steps in [
        vec![PromptStep::Box(rect)],
        vec![PromptStep::Mask(mask.clone())],
        vec![PromptStep::Mask(mask), point(20.0, 20.0)],
        vec![point(20.0, 20.0), not(30.0, 30.0)],
    ] {
        let answer = fresh(&fake, &encoded, &prompt(&steps));
        assert_eq!((answer.items.len(), answer.chosen), (1, 0), "{steps:?}");
        assert_eq!(answer.items[0].predicted_iou, FAKE_SINGLE_IOU);
    }
}

#[test]
fn masks_come_back_in_picture_pixels_from_any_view() {
    let fake = FakeSegmenter::new();
    let rect = ImageRect { x0: 120.0, y0: 60.0, x1: 160.0, y1: 90.0 };
    for view in [None, Some(PixelRect { x: 100, y: 50, width: 90, height: 70 })] {
        let encoded = encoded(&fake, view);
        let answer = fresh(&fake, &encoded, &Prompt { view, ..prompt(&[PromptStep::Box(rect)]) });
        let mask = answer.field(answer.chosen).unwrap().to_mask(WIDTH, HEIGHT, 0.0);
        let bounds = mask.bounds().unwrap();
        let near = |got: u32, want: f32| (got as f32 - want).abs() <= 4.0;
        assert!(near(bounds.x, 120.0) && near(bounds.right(), 160.0), "{bounds:?}");
        assert!(near(bounds.y, 60.0) && near(bounds.bottom(), 90.0), "{bounds:?}");
        assert!(answer.field(1).is_none());
    }
}

#[test]
fn an_appended_step_costs_one_decode_and_taking_back_costs_none() {
    let fake = FakeSegmenter::new();
    let encoded = encoded(&fake, None);
    let mut replay = Replay::default();
    let mut cost = |prompt: &Prompt| {
        let before = fake.decodes();
        predict(&fake, &encoded, prompt, &mut replay).unwrap();
        fake.decodes() - before
    };
    let [a, b, c] = [point(50.0, 50.0), not(80.0, 60.0), point(90.0, 120.0)];
    assert_eq!(cost(&prompt(std::slice::from_ref(&a))), 1);
    assert_eq!(cost(&prompt(&[a.clone(), b.clone()])), 1);
    assert_eq!(cost(&prompt(&[a.clone(), b.clone(), c.clone()])), 1);
    assert_eq!(cost(&prompt(&[a.clone(), b.clone()])), 0);
    assert_eq!(cost(&prompt(&[a.clone(), b.clone(), c.clone()])), 0);
    // Without its first point all of the rest is another conversation.
    assert_eq!(cost(&prompt(&[b.clone(), c.clone()])), 2);
    // Another choice changes what the later steps start from, not the first decode.
    let other = Prompt { choice: Some(0), ..prompt(&[a.clone(), b.clone()]) };
    assert_eq!(cost(&other), 1);
    assert_eq!(cost(&prompt(&[a, b])), 0);
}

#[test]
fn the_choice_decides_what_the_next_step_starts_from() {
    let fake = FakeSegmenter::new();
    let encoded = encoded(&fake, None);
    let steps = [point(150.0, 100.0), point(160.0, 100.0)];
    let with = |choice| fresh(&fake, &encoded, &Prompt { choice, ..prompt(&steps) });
    assert_ne!(with(Some(0)).items, with(Some(2)).items);
    assert_eq!(with(None).items, with(Some(1)).items);
}

#[test]
fn a_long_prompt_stays_cheap_to_extend() {
    let fake = FakeSegmenter::new();
    let encoded = encoded(&fake, None);
    let mut replay = Replay::default();
    let mut steps = Vec::new();
    for i in 0..REMEMBERED_DECODES + 20 {
        steps.push(point(20.0 + i as f32, 100.0));
        let before = fake.decodes();
        predict(&fake, &encoded, &prompt(&steps), &mut replay).unwrap();
        assert_eq!(fake.decodes() - before, 1, "at {i} points");
    }
}

#[test]
fn another_view_is_not_answered_from_memory() {
    let fake = FakeSegmenter::new();
    let (one, two) = (encoded(&fake, None), encoded(&fake, None));
    let mut replay = Replay::default();
    for view in [&one, &two, &one] {
        let before = fake.decodes();
        predict(&fake, view, &prompt(&[point(9.0, 9.0)]), &mut replay).unwrap();
        assert_eq!(fake.decodes() - before, 1);
    }
}

#[test]
fn bad_prompts_are_named() {
    let fake = FakeSegmenter::new().with_nan_at(100.0 * 256.0 / 300.0, 50.0 * 256.0 / 300.0);
    let view = PixelRect { x: 100, y: 50, width: 90, height: 70 };
    let (whole, region) = (encoded(&fake, None), encoded(&fake, Some(view)));
    let text = |encoded: &EncodedView, prompt: Prompt| {
        predict(&fake, encoded, &prompt, &mut Replay::default()).unwrap_err().to_string()
    };
    assert!(text(&whole, Prompt::default()).contains("nothing was said"));
    assert!(text(&whole, prompt(&[point(300.5, 10.0)])).contains("outside the picture of 300 x 200"));
    assert!(text(&whole, prompt(&[point(f32::NAN, 10.0)])).contains("outside the picture"));
    let regional = |steps: &[PromptStep]| Prompt { view: Some(view), ..prompt(steps) };
    assert!(text(&region, regional(&[point(10.0, 10.0)])).contains("outside the region in use, 100,50 to 190,120"));
    assert!(text(&region, prompt(&[point(110.0, 60.0)])).contains("was encoded"));
    let flat = ImageRect { x0: 5.0, y0: 5.0, x1: 5.0, y1: 9.0 };
    assert!(text(&whole, prompt(&[PromptStep::Box(flat)])).contains("no area"));
    let mask = Mask::from_bitmap(&Bitmap::new(10, 10));
    assert!(
        text(&whole, prompt(&[PromptStep::Mask(mask)])).contains("10 x 10 pixels, expected the picture's 300 x 200")
    );
    let wish = Prompt { choice: Some(3), ..prompt(&[point(10.0, 10.0)]) };
    assert!(text(&whole, wish).contains("candidate 4 was chosen, but there are 3"));
    let nan = predict(&fake, &whole, &prompt(&[point(100.0, 50.0)]), &mut Replay::default()).unwrap_err();
    assert!(matches!(nan, InferenceError::NotANumber { .. }));
}

#[test]
fn stability_looks_at_the_content_only() {
    let fake = FakeSegmenter::new();
    let frame = encoded(&fake, None).frame;
    // 300 x 200 on 256 x 256 leaves 171 rows of input: 43 of 64 rows of cells.
    let mut logits = vec![-5.0; 64 * 64];
    logits[0] = 3.0;
    logits[1] = 0.0;
    logits[63 * 64] = 9.0;
    assert_eq!(stability(&logits, 64, &frame), 0.5);
    assert_eq!(stability(&[-5.0; 64 * 64], 64, &frame), 0.0);
}

#[derive(Debug, Clone)]
enum Change {
    Push(PromptStep),
    Pop,
    Remove(usize),
    Choose(Option<usize>),
}

fn change() -> impl Strategy<Value = Change> {
    let at = (0.0f32..WIDTH as f32, 0.0f32..HEIGHT as f32);
    prop_oneof![
        at.clone().prop_map(|(x, y)| Change::Push(point(x, y))),
        at.clone().prop_map(|(x, y)| Change::Push(not(x, y))),
        at.prop_map(|(x, y)| Change::Push(PromptStep::Box(ImageRect {
            x0: x / 2.0,
            y0: y / 2.0,
            x1: x + 0.5,
            y1: y + 0.5
        }))),
        (1u32..WIDTH).prop_map(|right| {
            Change::Push(PromptStep::Mask(Mask::from_bitmap(&Bitmap::from_fn(WIDTH, HEIGHT, |x, _| x < right))))
        }),
        Just(Change::Pop),
        (0usize..4).prop_map(Change::Remove),
        prop_oneof![Just(None), (0usize..3).prop_map(Some)].prop_map(Change::Choose),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn with_or_without_memory_the_answer_is_the_same(changes in proptest::collection::vec(change(), 1..10)) {
        let fake = FakeSegmenter::new();
        let encoded = encoded(&fake, None);
        let mut replay = Replay::default();
        let mut prompt = Prompt::default();
        for change in changes {
            match change {
                Change::Push(step) => prompt.steps.push(step),
                Change::Pop => { prompt.steps.pop(); }
                Change::Remove(at) if at < prompt.steps.len() => { prompt.steps.remove(at); }
                Change::Remove(_) => {}
                Change::Choose(choice) => prompt.choice = choice,
            }
            if !prompt.is_empty() {
                let with = predict(&fake, &encoded, &prompt, &mut replay);
                let without = predict(&fake, &encoded, &prompt, &mut Replay::default());
                match (with, without) {
                    (Ok(with), Ok(without)) => prop_assert_eq!(with, without),
                    (with, without) => prop_assert_eq!(with.unwrap_err().to_string(), without.unwrap_err().to_string()),
                }
            }
        }
    }
}

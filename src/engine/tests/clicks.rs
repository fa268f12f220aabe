//! Clicks and hovers: the newest wins, stale answers are dropped, a panic is told.

use super::*;

#[test]
fn of_fifty_clicks_the_running_one_and_the_last_are_answered() {
    let mut bench = Bench::new();
    let picture = handle(1);
    bench.encode(&picture);
    bench.segmenter.decode_gate.set_closed(true);
    bench.engine.decode(click(1, &picture, 4.0, 4.0));
    bench.segmenter.decode_gate.wait_for_arrivals(1);
    for generation in 2..=50 {
        bench.engine.decode(click(generation, &picture, generation as f32 / 2.0, 9.0));
    }
    bench.segmenter.decode_gate.set_closed(false);
    let candidates = bench.wait_mask(50);
    assert_eq!(bench.masks_seen(), [1, 50]);
    assert_eq!(bench.segmenter.fake.decodes(), 2);
    let mask = candidates.field(candidates.chosen).unwrap().to_mask(32, 32, 0.0);
    assert!(mask.contains(25, 9), "the mask of the last click");
}

#[test]
fn of_fifty_clicks_during_the_encode_the_last_is_answered() {
    let mut bench = Bench::new();
    let picture = handle(1);
    bench.segmenter.encode_gate.set_closed(true);
    bench.engine.encode(&picture, None);
    bench.segmenter.encode_gate.wait_for_arrivals(1);
    for generation in 1..=50 {
        bench.engine.decode(click(generation, &picture, 4.0, 4.0));
    }
    bench.segmenter.encode_gate.set_closed(false);
    bench.wait_mask(50);
    assert_eq!(bench.masks_seen(), [50]);
    assert_eq!((bench.segmenter.fake.encodes(), bench.segmenter.fake.decodes()), (1, 1));
    let progress = bench.seen.iter().any(|event| matches!(event, Event::EncodeProgress { .. }));
    assert!(progress, "the waiting user saw progress");
}

#[test]
fn a_click_encodes_the_view_that_it_needs() {
    let mut bench = Bench::new();
    let picture = handle(1);
    let view = PixelRect { x: 8, y: 8, width: 16, height: 16 };
    let mut request = click(1, &picture, 16.0, 16.0);
    request.prompt.view = Some(view);
    bench.engine.decode(request);
    let candidates = bench.wait_mask(1);
    assert_eq!(candidates.frame.view, view);
    let encoded = |event: &Event| matches!(event, Event::Encoded { view: found, .. } if *found == view);
    assert!(bench.seen.iter().any(encoded), "{:#?}", bench.seen);
}

#[test]
fn a_view_outside_the_picture_leaves_the_click_unanswered_and_says_so() {
    let mut bench = Bench::new();
    let picture = handle(1);
    let mut request = click(1, &picture, 16.0, 16.0);
    request.prompt.view = Some(PixelRect { x: 20, y: 0, width: 20, height: 20 });
    bench.engine.decode(request);
    let unanswered = bench.wait(|event| match event {
        Event::EncodeFailed { unanswered, problem, .. } => Some((*unanswered, problem.panicked)),
        _ => None,
    });
    assert_eq!(unanswered, (Some(Generation(1)), false));
    bench.engine.decode(click(2, &picture, 16.0, 16.0));
    bench.wait_mask(2);
}

#[test]
fn a_prompt_that_cannot_be_answered_is_told() {
    let mut bench = Bench::new();
    let picture = handle(1);
    let prompt = Prompt::default();
    bench.engine.decode(DecodeRequest { generation: Generation(1), picture: picture.clone(), prompt });
    let problem = bench.wait(|event| match event {
        Event::DecodeFailed { generation: Generation(1), problem } => Some(problem.clone()),
        _ => None,
    });
    assert!(!problem.panicked && !problem.message.is_empty());
}

#[test]
fn a_stale_answer_is_dropped() {
    let mut bench = Bench::new();
    let picture = handle(1);
    bench.encode(&picture);
    bench.segmenter.decode_gate.set_closed(true);
    bench.engine.decode(click(1, &picture, 4.0, 4.0));
    bench.segmenter.decode_gate.wait_for_arrivals(1);
    bench.engine.decode(click(2, &picture, 5.0, 4.0));
    bench.engine.cancel_decode();
    bench.engine.decode(click(3, &picture, 6.0, 4.0));
    bench.segmenter.decode_gate.set_closed(false);
    bench.wait_mask(3);
    assert_eq!(bench.masks_seen(), [3]);
}

#[test]
fn a_panicking_decode_is_told_and_the_next_click_is_answered() {
    // The fake's input is 256 wide, the picture 32: a pixel is 8 input pixels.
    let mut bench = Bench::with(FakeSegmenter::new().with_panic_at(80.0, 80.0), EngineOptions::default());
    let picture = handle(1);
    bench.engine.decode(click(1, &picture, 10.0, 10.0));
    let problem = bench.wait(|event| match event {
        Event::DecodeFailed { generation: Generation(1), problem } => Some(problem.clone()),
        _ => None,
    });
    assert!(problem.panicked && problem.to_string().contains("report"), "{problem}");
    bench.engine.decode(click(2, &picture, 20.0, 20.0));
    bench.wait_mask(2);
}

#[test]
fn hovers_give_way_to_clicks_and_only_the_newest_is_answered() {
    let mut bench = Bench::new();
    let picture = handle(1);
    let at = |generation| click(generation, &picture, generation as f32, 4.0);
    bench.encode(&picture);
    bench.segmenter.decode_gate.set_closed(true);
    bench.engine.hover(at(1));
    bench.segmenter.decode_gate.wait_for_arrivals(1);
    bench.engine.hover(at(2));
    bench.engine.decode(at(3));
    for generation in 4..=20 {
        bench.engine.hover(at(generation));
    }
    bench.segmenter.decode_gate.set_closed(false);
    bench.wait(|event| matches!(event, Event::HoverReady { generation: Generation(20), .. }).then_some(()));
    assert_eq!(bench.masks_seen(), [3]);
    assert_eq!(
        bench.hovers_seen(),
        [20],
        "1 was overtaken by a click, 2 was waiting when it came, 4 to 19 were replaced"
    );
    assert_eq!(bench.segmenter.fake.decodes(), 3);
}

#[test]
fn a_hover_starts_no_encode() {
    let mut bench = Bench::new();
    let (encoded, other) = (handle(1), handle(2));
    bench.encode(&encoded);
    bench.engine.hover(click(1, &other, 4.0, 4.0));
    bench.engine.decode(click(2, &encoded, 4.0, 4.0));
    bench.wait_mask(2);
    bench.engine.hover(click(3, &other, 4.0, 4.0));
    bench.engine.hover(click(4, &encoded, 4.0, 4.0));
    bench.wait(|event| matches!(event, Event::HoverReady { generation: Generation(4), .. }).then_some(()));
    assert_eq!(bench.hovers_seen(), [4]);
    assert_eq!(bench.segmenter.log(), [Encode::Begun(1), Encode::Finished(1)]);
}

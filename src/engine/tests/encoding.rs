//! Encoding: the user's wishes decide what runs, neighbours give way, models change.

use super::*;

fn wait_ahead(bench: &mut Bench, path: &Path) {
    bench.wait(|event| matches!(event, Event::EncodedAhead { path: found } if found == path).then_some(()));
}

fn open(bench: &mut Bench, path: &Path) -> PictureHandle {
    bench.engine.open_picture(Generation(1), PictureSource::File(path.to_owned()));
    bench.wait(|event| match event {
        Event::PictureOpened { picture, .. } => Some(picture.clone()),
        _ => None,
    })
}

fn encoded_ids(bench: &Bench) -> Vec<PictureId> {
    let id = |event: &Event| match event {
        Event::Encoded { picture, .. } => Some(*picture),
        _ => None,
    };
    bench.seen.iter().filter_map(id).collect()
}

#[test]
fn a_picture_switched_in_mid_encode_gives_way_to_the_new_one() {
    let mut bench = Bench::new();
    let (first, second) = (handle(1), handle(2));
    bench.segmenter.encode_gate.set_closed(true);
    bench.engine.encode(&first, None);
    bench.engine.decode(click(1, &first, 4.0, 4.0));
    bench.segmenter.encode_gate.wait_for_arrivals(1);
    bench.engine.encode(&second, None);
    bench.engine.decode(click(2, &second, 4.0, 4.0));
    // The first encode is still at the closed gate: only a cancel lets the second come there too.
    bench.segmenter.encode_gate.wait_for_arrivals(2);
    bench.segmenter.encode_gate.set_closed(false);
    bench.wait_mask(2);
    assert_eq!(encoded_ids(&bench), [second.id()]);
    assert_eq!(bench.masks_seen(), [2]);
    let log = [Encode::Begun(1), Encode::Cancelled(1), Encode::Begun(2), Encode::Finished(2)];
    assert_eq!(bench.segmenter.log(), log);
}

#[test]
fn a_click_in_another_view_goes_before_the_view_that_is_looked_at() {
    let mut bench = Bench::new();
    let picture = handle(1);
    bench.segmenter.encode_gate.set_closed(true);
    bench.engine.encode(&picture, None);
    bench.segmenter.encode_gate.wait_for_arrivals(1);
    let mut request = click(1, &picture, 16.0, 16.0);
    request.prompt.view = Some(PixelRect { x: 8, y: 8, width: 16, height: 16 });
    bench.engine.decode(request);
    bench.segmenter.encode_gate.wait_for_arrivals(2);
    bench.segmenter.encode_gate.set_closed(false);
    bench.wait_mask(1);
    let whole = picture.whole();
    let whole_encoded = |event: &Event| matches!(event, Event::Encoded { view, .. } if *view == whole);
    if !bench.seen.iter().any(whole_encoded) {
        bench.wait(|event| whole_encoded(event).then_some(()));
    }
    let log = bench.segmenter.log();
    assert_eq!(log[1], Encode::Cancelled(1), "{log:?}");
    assert_eq!(log.iter().filter(|entry| matches!(entry, Encode::Finished(_))).count(), 2);
}

#[test]
fn a_panicking_encode_is_told_and_the_next_picture_is_encoded() {
    let mut bench = Bench::with(FakeSegmenter::new().with_panic_on_colour([9, 20, 30]), EngineOptions::default());
    let (bad, good) = (handle(9), handle(1));
    bench.engine.encode(&bad, None);
    bench.engine.decode(click(1, &bad, 4.0, 4.0));
    let mut unanswered = None;
    while unanswered.is_none() {
        unanswered = bench.wait(|event| match event {
            Event::EncodeFailed { problem, unanswered, .. } => {
                assert!(problem.panicked);
                Some(*unanswered)
            }
            _ => None,
        });
    }
    assert_eq!(unanswered, Some(Generation(1)));
    assert_eq!(bench.encode(&good), EmbeddingSource::Computed);
    bench.engine.decode(click(2, &good, 4.0, 4.0));
    bench.wait_mask(2);
}

#[test]
fn neighbours_give_way_and_are_taken_up_again() {
    let folder = tempfile::tempdir().unwrap();
    let paths = files(folder.path(), &[11, 12]);
    let mut bench = Bench::new();
    let current = handle(1);
    bench.segmenter.encode_gate.set_closed(true);
    bench.engine.encode_ahead(paths.clone());
    bench.segmenter.encode_gate.wait_for_arrivals(1);
    bench.engine.encode(&current, None);
    bench.segmenter.encode_gate.wait_for_arrivals(2);
    bench.segmenter.encode_gate.set_closed(false);
    bench.wait_encoded(&current);
    let both = [paths[0].clone(), paths[1].clone()];
    for path in &both {
        wait_ahead(&mut bench, path);
    }
    let log = bench.segmenter.log();
    assert_eq!(log[..4], [Encode::Begun(11), Encode::Cancelled(11), Encode::Begun(1), Encode::Finished(1)]);
    assert_eq!(encoded_ids(&bench), [current.id()], "neighbours are no event of the current picture");
    let neighbour = open(&mut bench, &paths[1]);
    assert_eq!(bench.encode(&neighbour), EmbeddingSource::Memory);
}

#[test]
fn a_neighbour_that_is_opened_while_it_is_encoded_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let paths = files(folder.path(), &[11, 12]);
    let mut bench = Bench::new();
    bench.segmenter.encode_gate.set_closed(true);
    bench.engine.encode_ahead(paths.clone());
    bench.segmenter.encode_gate.wait_for_arrivals(1);
    let picture = open(&mut bench, &paths[0]);
    bench.engine.encode(&picture, None);
    bench.engine.encode_ahead(vec![paths[1].clone()]);
    bench.segmenter.encode_gate.set_closed(false);
    assert_eq!(bench.wait_encoded(&picture), EmbeddingSource::Computed);
    wait_ahead(&mut bench, &paths[1]);
    let log = [Encode::Begun(11), Encode::Finished(11), Encode::Begun(12), Encode::Finished(12)];
    assert_eq!(bench.segmenter.log(), log);
}

#[test]
fn neighbours_no_longer_wished_for_are_cancelled_and_bad_ones_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let paths = files(folder.path(), &[11, 12, 255, 13]);
    let mut bench = Bench::new();
    bench.segmenter.encode_gate.set_closed(true);
    bench.engine.encode_ahead(vec![paths[0].clone()]);
    bench.segmenter.encode_gate.wait_for_arrivals(1);
    let missing = folder.path().join("no number");
    bench.engine.encode_ahead(vec![missing, paths[2].clone(), paths[3].clone()]);
    bench.segmenter.encode_gate.wait_for_arrivals(2);
    bench.segmenter.encode_gate.set_closed(false);
    wait_ahead(&mut bench, &paths[3]);
    let log = [Encode::Begun(11), Encode::Cancelled(11), Encode::Begun(13), Encode::Finished(13)];
    assert_eq!(bench.segmenter.log(), log);
}

#[test]
fn cancelling_stops_the_encode_and_a_later_wish_starts_it_again() {
    let mut bench = Bench::new();
    let picture = handle(1);
    bench.segmenter.encode_gate.set_closed(true);
    bench.engine.encode(&picture, None);
    bench.segmenter.encode_gate.wait_for_arrivals(1);
    bench.engine.cancel_encode();
    bench.engine.encode(&picture, None);
    bench.segmenter.encode_gate.set_closed(false);
    bench.wait_encoded(&picture);
    assert_eq!(encoded_ids(&bench).len(), 1);
    assert_eq!(bench.segmenter.log().last(), Some(&Encode::Finished(1)));
}

#[test]
fn a_new_model_encodes_again_and_the_old_one_is_still_cached() {
    let mut bench = Bench::new();
    let picture = handle(1);
    assert_eq!(bench.encode(&picture), EmbeddingSource::Computed);
    let other = GatedSegmenter::new(FakeSegmenter::new().with_id("other@1"));
    bench.engine.set_model(other.opener());
    bench.wait(|event| matches!(event, Event::ModelReady(info) if info.id == "other@1").then_some(()));
    assert_eq!(bench.wait_encoded(&picture), EmbeddingSource::Computed, "the shown view, without being asked");
    bench.engine.decode(click(1, &picture, 4.0, 4.0));
    bench.wait_mask(1);
    assert_eq!((other.fake.decodes(), bench.segmenter.fake.decodes()), (1, 0));
    bench.engine.set_model(bench.segmenter.opener());
    bench.wait(|event| matches!(event, Event::ModelReady(info) if info.id != "other@1").then_some(()));
    assert_eq!(bench.wait_encoded(&picture), EmbeddingSource::Memory);
}

#[test]
fn a_model_asked_for_in_mid_encode_does_not_wait_for_the_old_one() {
    let mut bench = Bench::new();
    let picture = handle(1);
    bench.segmenter.encode_gate.set_closed(true);
    bench.engine.decode(click(1, &picture, 4.0, 4.0));
    bench.segmenter.encode_gate.wait_for_arrivals(1);
    let other = GatedSegmenter::new(FakeSegmenter::new().with_id("other@1"));
    bench.engine.set_model(other.opener());
    bench.wait_mask(1);
    assert_eq!(bench.segmenter.log(), [Encode::Begun(1), Encode::Cancelled(1)]);
    assert_eq!(other.fake.decodes(), 1);
}

#[test]
fn a_model_that_does_not_open_leaves_the_old_one_at_work() {
    let mut bench = Bench::new();
    let picture = handle(1);
    bench.encode(&picture);
    bench.engine.set_model(Box::new(|| Err(InferenceError::Prompt("no such file".into()))));
    let message = bench.wait(|event| match event {
        Event::ModelFailed(problem) => Some(problem.message.clone()),
        _ => None,
    });
    assert_eq!(message, "no such file");
    bench.engine.decode(click(1, &picture, 4.0, 4.0));
    bench.wait_mask(1);
}

#[test]
fn without_any_model_who_waits_is_told_until_one_opens() {
    let (options, reader) = (EngineOptions::default(), Box::new(read_by_name));
    let engine = Engine::start_with_reader(options, Box::new(|| panic!("bad weights")), reader).unwrap();
    let segmenter = GatedSegmenter::new(FakeSegmenter::new());
    let mut bench = Bench { engine, segmenter, seen: Vec::new(), wakes: Arc::default() };
    bench.wait(|event| matches!(event, Event::ModelFailed(problem) if problem.panicked).then_some(()));
    let (shown, clicked) = (handle(1), handle(2));
    bench.engine.encode(&shown, None);
    bench.wait(|event| matches!(event, Event::EncodeFailed { unanswered: None, .. }).then_some(()));
    bench.engine.decode(click(1, &clicked, 4.0, 4.0));
    bench.wait(|event| matches!(event, Event::EncodeFailed { unanswered: Some(Generation(1)), .. }).then_some(()));
    bench.engine.set_model(bench.segmenter.opener());
    bench.wait_encoded(&shown);
    bench.engine.decode(click(2, &clicked, 4.0, 4.0));
    bench.wait_mask(2);
}

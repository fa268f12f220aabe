//! Pictures, heavy jobs, waking and shutting down.

use super::*;
use crate::engine::HeavyOutcome;

fn wait_done<T>(bench: &mut Bench, ticket: &JobTicket<T>) -> HeavyOutcome {
    bench.wait(|event| match event {
        Event::HeavyDone { job, outcome, .. } if *job == ticket.id() => Some(outcome.clone()),
        _ => None,
    })
}

#[test]
fn a_heavy_job_reports_and_leaves_its_result_in_the_ticket() {
    let mut bench = Bench::new();
    let ticket = bench.engine.run_heavy("count", |control| {
        control.progress(0.5);
        Ok(vec![1, 2, 3])
    });
    assert_eq!(wait_done(&mut bench, &ticket), HeavyOutcome::Finished);
    assert!(
        bench
            .seen
            .iter()
            .any(|e| matches!(e, Event::HeavyProgress { job, share } if *job == ticket.id() && *share == 0.5))
    );
    assert_eq!(ticket.take(), Some(vec![1, 2, 3]));
    assert_eq!(ticket.take(), None);
}

#[test]
fn a_panicking_or_failing_heavy_job_is_told_and_the_next_runs() {
    let mut bench = Bench::new();
    let panics = bench.engine.run_heavy("panics", |_| -> Result<(), JobError> { panic!("by design") });
    let fails =
        bench.engine.run_heavy("fails", |_| -> Result<(), JobError> { Err(JobError::Failed("no space".into())) });
    let works = bench.engine.run_heavy("works", |_| Ok(7));
    let problem = Problem { message: "by design".into(), panicked: true };
    assert_eq!(wait_done(&mut bench, &panics), HeavyOutcome::Failed(problem));
    assert_eq!(wait_done(&mut bench, &fails), HeavyOutcome::Failed(Problem::new("no space")));
    assert_eq!(wait_done(&mut bench, &works), HeavyOutcome::Finished);
    assert_eq!((panics.take(), works.take()), (None, Some(7)));
}

#[test]
fn heavy_jobs_are_cancelled_while_they_run_and_before() {
    let mut bench = Bench::new();
    let gate = Arc::new(Gate::default());
    gate.set_closed(true);
    let inside = Arc::clone(&gate);
    let running = bench.engine.run_heavy("running", move |control| {
        inside.pass(|| control.check().map_err(|_| InferenceError::Cancelled)).map_err(|_| JobError::Cancelled)
    });
    let waiting = bench.engine.run_heavy("waiting", |_| Ok(()));
    gate.wait_for_arrivals(1);
    waiting.cancel();
    running.cancel();
    assert_eq!(wait_done(&mut bench, &running), HeavyOutcome::Cancelled);
    assert_eq!(wait_done(&mut bench, &waiting), HeavyOutcome::Cancelled);
    assert_eq!(waiting.take(), None);
}

#[test]
fn clicks_are_answered_while_a_heavy_job_runs() {
    let mut bench = Bench::new();
    let gate = Arc::new(Gate::default());
    gate.set_closed(true);
    let inside = Arc::clone(&gate);
    let job = bench
        .engine
        .run_heavy("long", move |_| inside.pass(|| Ok(())).map_err(|error| JobError::Failed(error.to_string())));
    gate.wait_for_arrivals(1);
    bench.engine.decode(click(1, &handle(1), 4.0, 4.0));
    bench.wait_mask(1);
    gate.set_closed(false);
    assert_eq!(wait_done(&mut bench, &job), HeavyOutcome::Finished);
}

#[test]
fn pictures_open_fail_and_panic_with_their_generation() {
    let folder = tempfile::tempdir().unwrap();
    let paths = files(folder.path(), &[5, 255]);
    let mut bench = Bench::new();
    let open = |bench: &Bench, generation, path: &Path| {
        bench.engine.open_picture(Generation(generation), PictureSource::File(path.to_owned()));
    };
    open(&bench, 1, &paths[1]);
    let failed = |wanted: u64| {
        move |event: &Event| match event {
            Event::PictureFailed { generation, problem, .. } if generation.0 == wanted => Some(problem.panicked),
            _ => None,
        }
    };
    assert!(bench.wait(failed(1)));
    open(&bench, 2, &folder.path().join("not a number.png"));
    assert!(!bench.wait(failed(2)));
    open(&bench, 3, &paths[0]);
    let opened = |wanted: u64| {
        move |event: &Event| match event {
            Event::PictureOpened { generation, picture, .. } if generation.0 == wanted => Some(picture.clone()),
            _ => None,
        }
    };
    let picture = bench.wait(opened(3));
    assert_eq!(picture.rgb[0], 5);
    open(&bench, 4, &paths[0]);
    assert_eq!(bench.wait(opened(4)).id(), picture.id(), "an unchanged file is the same picture");
    std::fs::write(&paths[0], b"changed").unwrap();
    open(&bench, 5, &paths[0]);
    assert_ne!(bench.wait(opened(5)).id(), picture.id());
}

#[test]
fn every_event_wakes_the_asker() {
    let mut bench = Bench::new();
    let picture = handle(1);
    bench.engine.decode(click(1, &picture, 4.0, 4.0));
    bench.wait_mask(1);
    let wakes = Arc::clone(&bench.wakes);
    while let Some(event) = bench.engine.try_next_event() {
        bench.seen.push(event);
    }
    let seen = bench.seen.len();
    // The last wake may still be on its way; once the workers are joined it has come.
    drop(bench);
    assert!(wakes.load(Ordering::SeqCst) >= seen, "{seen} events");
}

#[test]
fn dropping_the_engine_stops_what_runs() {
    let bench = Bench::new();
    let segmenter = Arc::clone(&bench.segmenter);
    segmenter.encode_gate.set_closed(true);
    bench.engine.encode(&handle(1), None);
    segmenter.encode_gate.wait_for_arrivals(1);
    let cancel_seen = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&cancel_seen);
    let gate = Arc::new(Gate::default());
    gate.set_closed(true);
    let inside = Arc::clone(&gate);
    let _ticket = bench.engine.run_heavy("endless", move |control| {
        let stopped = inside.pass(|| control.check().map_err(|_| InferenceError::Cancelled));
        counter.fetch_add(1, Ordering::SeqCst);
        stopped.map_err(|_| JobError::Cancelled)
    });
    gate.wait_for_arrivals(1);
    // Both gates stay closed: this ends only because both are cancelled.
    drop(bench);
    assert_eq!(segmenter.log(), [Encode::Begun(1), Encode::Cancelled(1)]);
    assert_eq!(cancel_seen.load(Ordering::SeqCst), 1);
}

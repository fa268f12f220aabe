//! Caches: within their budgets, across runs, and no harm from what is torn or cannot be written.

use super::*;
use std::fs;

fn on_disk(folder: &Path) -> EngineOptions {
    EngineOptions { cache_folder: Some(folder.to_owned()), ..EngineOptions::default() }
}

fn cache_files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// The fake's embedding is 8 bytes.
const TWO_EMBEDDINGS: u64 = 16;

#[test]
fn memory_stays_within_its_budget() {
    let options = EngineOptions { memory_budget_bytes: TWO_EMBEDDINGS, ..EngineOptions::default() };
    let mut bench = Bench::with(FakeSegmenter::new(), options);
    let (first, second, third) = (handle(1), handle(2), handle(3));
    for picture in [&first, &second, &third] {
        assert_eq!(bench.encode(picture), EmbeddingSource::Computed);
    }
    assert_eq!(bench.encode(&second), EmbeddingSource::Memory);
    assert_eq!(bench.encode(&first), EmbeddingSource::Computed, "the oldest had to go");
}

#[test]
fn clicks_are_answered_even_without_any_budget() {
    let options = EngineOptions { memory_budget_bytes: 0, ..EngineOptions::default() };
    let mut bench = Bench::with(FakeSegmenter::new(), options);
    let picture = handle(1);
    bench.engine.encode(&picture, None);
    for generation in 1..=3 {
        bench.engine.decode(click(generation, &picture, 4.0, 4.0));
        bench.wait_mask(generation);
    }
    assert_eq!(bench.segmenter.fake.encodes(), 1);
}

#[test]
fn the_same_pixels_in_another_picture_are_found() {
    let mut bench = Bench::new();
    assert_eq!(bench.encode(&handle(1)), EmbeddingSource::Computed);
    assert_eq!(bench.encode(&handle(1)), EmbeddingSource::Memory);
}

#[test]
fn the_next_run_finds_what_this_one_computed_and_a_torn_file_is_computed_again() {
    let folder = tempfile::tempdir().unwrap();
    let cache = folder.path().join("embeddings");
    let run = |expected: EmbeddingSource| {
        let mut bench = Bench::with(FakeSegmenter::new(), on_disk(&cache));
        let picture = handle(1);
        assert_eq!(bench.encode(&picture), expected);
        bench.engine.decode(click(1, &picture, 4.0, 4.0));
        let candidates = bench.wait_mask(1);
        assert!(!bench.seen.iter().any(|event| matches!(event, Event::CacheTrouble(_))));
        candidates
    };
    let computed = run(EmbeddingSource::Computed);
    assert_eq!(run(EmbeddingSource::Disk), computed);
    let path = cache_files(&cache).pop().unwrap();
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    assert_eq!(run(EmbeddingSource::Computed), computed);
    assert_eq!(fs::read(&path).unwrap(), whole);
    assert_eq!(run(EmbeddingSource::Disk), computed);
}

#[test]
fn the_disk_cache_stays_within_its_budget() {
    let folder = tempfile::tempdir().unwrap();
    let options = EngineOptions { disk_budget_bytes: 500, ..on_disk(folder.path()) };
    let mut bench = Bench::with(FakeSegmenter::new(), options);
    for red in 0..10 {
        bench.encode(&handle(red));
    }
    drop(bench);
    let sizes: Vec<u64> = cache_files(folder.path()).iter().map(|path| fs::metadata(path).unwrap().len()).collect();
    assert!(!sizes.is_empty() && sizes.iter().sum::<u64>() <= 500, "{sizes:?}");
}

#[test]
fn a_cache_folder_that_cannot_be_used_is_told_once_and_all_else_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("a file");
    fs::write(&file, b"").unwrap();
    let mut bench = Bench::with(FakeSegmenter::new(), on_disk(&file.join("below")));
    for red in 0..4 {
        let picture = handle(red);
        assert_eq!(bench.encode(&picture), EmbeddingSource::Computed);
        bench.engine.decode(click(u64::from(red), &picture, 4.0, 4.0));
        bench.wait_mask(u64::from(red));
    }
    bench.engine.encode(&handle(9), None);
    // The encode lane stores before it takes up a neighbour, so all stores are over when one is done.
    let neighbours = files(folder.path(), &[77]);
    bench.engine.encode_ahead(neighbours);
    bench.wait(|event| matches!(event, Event::EncodedAhead { .. }).then_some(()));
    let troubles = bench.seen.iter().filter(|event| matches!(event, Event::CacheTrouble(_))).count();
    assert_eq!(troubles, 1);
}

//! The encode lane: opens models, turns views into embeddings, and keeps the disk cache.
//!
//! Invariants:
//! - What an encode was begun for does not matter when it ends: whoever wishes for that view then is told.
//! - A failure is told once and not tried again by itself.
//! - A failing disk cache never fails an encode.

use super::embedding_key::EmbeddingKey;
use super::event::{EmbeddingSource, Event, Problem};
use super::request::ModelOpener;
use super::shared::{Shared, elapsed_ms, fenced, fenced_result};
use super::state::{EncodeTask, KnownView, OpenModel, State, ToStore, ViewTarget};
use crate::inference::{CancelToken, Embedding, EncodeControl, InferenceError};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

/// Embeddings waiting for the disk are held in memory; beyond so many the oldest is not kept on disk.
const MAX_WAITING_FOR_DISK: usize = 8;

/// The lane's thread.
pub(super) fn run(shared: &Shared) {
    while let Some(task) = shared.wait_for(State::take_encode_task) {
        match task {
            EncodeTask::OpenModel(open_model) => open(shared, open_model),
            EncodeTask::RefuseAll => refuse_all(shared),
            EncodeTask::Encode { target, ahead, model, cancel } => encode(shared, &target, ahead, &model, &cancel),
            EncodeTask::Store(computed) => store(shared, &computed),
            EncodeTask::Sweep => sweep(shared),
        }
    }
    // What was computed is worth a few milliseconds at the end: the next start finds it.
    let waiting = std::mem::take(&mut shared.lock().to_store);
    for computed in waiting {
        store(shared, &computed);
    }
}

fn open(shared: &Shared, open_model: ModelOpener) {
    let opened = fenced_result(open_model);
    shared.change_and_tell(|state| match opened {
        Ok(segmenter) => {
            let info = segmenter.info().clone();
            state.use_model(segmenter);
            vec![Event::ModelReady(info)]
        }
        Err(problem) => vec![Event::ModelFailed(problem)],
    });
}

/// Tells everyone who waits for a view that there is no model to encode it.
fn refuse_all(shared: &Shared) {
    shared.change_and_tell(|state| {
        let mut events = Vec::new();
        while let Some(target) = state.needed_target() {
            let problem = Problem::new("no model is open, so nothing can be segmented: choose another model");
            events.extend(give_up(state, &target, problem));
        }
        events
    });
}

/// A view with the embedding found or made for it.
struct Found {
    known: KnownView,
    /// `None`: it is in memory already.
    embedding: Option<Embedding>,
    source: EmbeddingSource,
    to_store: Option<ToStore>,
}

fn encode(shared: &Shared, target: &ViewTarget, ahead: Option<PathBuf>, model: &OpenModel, cancel: &CancelToken) {
    let start = Instant::now();
    let found = fenced(|| find_or_compute(shared, target, model, cancel));
    let encode_ms = elapsed_ms(start);
    shared.change_and_tell(|state| {
        state.encoding = None;
        match found {
            Ok(Ok(found)) => accept(state, target, ahead, found, encode_ms),
            // Cancelled by us: the wishes say what comes next. A neighbour that only had to wait is taken up again.
            Ok(Err(InferenceError::Cancelled)) if cancel.is_cancelled() => {
                if let Some(path) = ahead {
                    state.ahead.take_back(path, target.picture.clone());
                }
                Vec::new()
            }
            Ok(Err(error)) => give_up(state, target, Problem::new(error)),
            Err(panic) => give_up(state, target, panic),
        }
    });
}

fn find_or_compute(
    shared: &Shared,
    target: &ViewTarget,
    model: &OpenModel,
    cancel: &CancelToken,
) -> Result<Found, InferenceError> {
    let segmenter = model.segmenter.as_ref();
    let in_memory = |state: &State, known: KnownView| {
        let source = EmbeddingSource::Memory;
        state.memory.contains(&known.key).then_some(Found { known, embedding: None, source, to_store: None })
    };
    {
        let state = shared.lock();
        if let Some(found) = state.known(target).and_then(|known| in_memory(&state, known)) {
            return Ok(found);
        }
    }
    let picture = &target.picture;
    let prepared = segmenter.prepare(&picture.rgb, picture.width, picture.height, target.view)?;
    let known = KnownView { key: EmbeddingKey::of(&segmenter.info().id, &prepared), frame: prepared.frame };
    cancel.check()?;
    if let Some(found) = in_memory(&shared.lock(), known) {
        return Ok(found);
    }
    if let Some(embedding) = load(shared, model, &known.key) {
        return Ok(Found { known, embedding: Some(embedding), source: EmbeddingSource::Disk, to_store: None });
    }
    let (id, view) = (picture.id(), target.view);
    let last_told = Mutex::new(Instant::now());
    let tell_progress = |share: f32| {
        let mut last_told = last_told.lock().unwrap_or_else(PoisonError::into_inner);
        if last_told.elapsed() < shared.progress_step {
            return;
        }
        *last_told = Instant::now();
        if shared.lock().is_needed(target) {
            shared.emit(Event::EncodeProgress { picture: id, view, share });
        }
    };
    let control = EncodeControl { cancel: cancel.clone(), progress: Some(&tell_progress) };
    let embedding = segmenter.encode(&prepared, &control)?;
    let to_store = shared.disk.is_some().then(|| ToStore {
        key: known.key,
        embedding: embedding.clone(),
        segmenter: Arc::clone(&model.segmenter),
    });
    Ok(Found { known, embedding: Some(embedding), source: EmbeddingSource::Computed, to_store })
}

/// Puts the embedding where it is looked for, and tells whoever wishes for it now.
fn accept(state: &mut State, target: &ViewTarget, ahead: Option<PathBuf>, found: Found, encode_ms: f64) -> Vec<Event> {
    let mut events = Vec::new();
    state.remember(target, found.known);
    if let Some(embedding) = found.embedding {
        let pinned = state.pinned();
        state.memory.insert(found.known.key, embedding, &pinned);
    }
    if let Some(computed) = found.to_store {
        if state.to_store.len() >= MAX_WAITING_FOR_DISK {
            state.to_store.pop_front();
        }
        state.to_store.push_back(computed);
    }
    if state.is_needed(target) {
        if let Some(shown) = state.shown.as_mut().filter(|shown| shown.target.is_same(target)) {
            shown.told = true;
        }
        let (picture, view) = (target.picture.id(), target.view);
        events.push(Event::Encoded { picture, view, encode_ms, source: found.source });
    }
    events.extend(ahead.map(|path| Event::EncodedAhead { path }));
    events
}

/// Tells whoever wishes for the view that there will be none, and forgets those wishes.
fn give_up(state: &mut State, target: &ViewTarget, problem: Problem) -> Vec<Event> {
    if !state.is_needed(target) {
        // A neighbour: the user is told when they open it.
        tracing::debug!(%problem, "encoding ahead failed");
        return Vec::new();
    }
    let unanswered = state.click.take_if(|click| click.target().is_same(target)).map(|click| click.generation);
    if let Some(shown) = state.shown.as_mut().filter(|shown| shown.target.is_same(target)) {
        shown.told = true;
    }
    vec![Event::EncodeFailed { picture: target.picture.id(), view: target.view, unanswered, problem }]
}

/// The embedding on disk; whatever is wrong with it means that there is none.
fn load(shared: &Shared, model: &OpenModel, key: &EmbeddingKey) -> Option<Embedding> {
    let disk = shared.disk.as_ref()?;
    let bytes = match disk.load(key) {
        Ok(bytes) => bytes?,
        Err(error) => {
            shared.tell_cache_trouble("reading", &error);
            return None;
        }
    };
    match model.segmenter.restore_embedding(&bytes) {
        Ok(embedding) => Some(embedding),
        Err(error) => {
            tracing::warn!(%error, "an embedding in the cache does not suit its model: computing it again");
            disk.remove(key);
            None
        }
    }
}

fn store(shared: &Shared, ToStore { key, embedding, segmenter }: &ToStore) {
    let Some(disk) = &shared.disk else { return };
    let stored = fenced(|| disk.store(key, &segmenter.store_embedding(embedding).map_err(io::Error::other)?));
    if let Err(error) = stored.unwrap_or_else(|panic| Err(io::Error::other(panic.to_string()))) {
        shared.tell_cache_trouble("writing", &error);
    }
}

fn sweep(shared: &Shared) {
    if let Some(Err(error)) = shared.disk.as_ref().map(|disk| disk.sweep(SystemTime::now())) {
        shared.tell_cache_trouble("tidying", &error);
    }
}

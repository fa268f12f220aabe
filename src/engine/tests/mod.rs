//! The engine against a segmenter that stops at a gate until the test lets it go on: no test waits for a clock.
//!
//! Time limits only turn a hang into a failure.

mod caches;
mod clicks;
mod encoding;
mod jobs;

use super::*;
use crate::geometry::ImagePoint;
use crate::inference::fake::FakeSegmenter;
use crate::inference::{DecodeQuery, Embedding, EncodeControl, MaskOutput, PreparedView};
use crate::prompt::{Polarity, Prompt};
use crate::raster::{Picture, PictureError};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};

const PATIENCE: Duration = Duration::from_secs(60);

/// A door that work waits at until it is open.
#[derive(Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Default)]
struct GateState {
    closed: bool,
    arrived: usize,
}

impl Gate {
    fn set_closed(&self, closed: bool) {
        self.state.lock().unwrap().closed = closed;
        self.changed.notify_all();
    }

    /// Waits until so many have come to the gate since the start.
    fn wait_for_arrivals(&self, count: usize) {
        let state = self.state.lock().unwrap();
        let (_state, timeout) =
            self.changed.wait_timeout_while(state, PATIENCE, |state| state.arrived < count).unwrap();
        assert!(!timeout.timed_out(), "nobody came to the gate");
    }

    /// Comes to the gate; while it is closed `check` is asked again and again whether to go on waiting.
    fn pass(&self, check: impl Fn() -> Result<(), InferenceError>) -> Result<(), InferenceError> {
        let mut state = self.state.lock().unwrap();
        state.arrived += 1;
        self.changed.notify_all();
        while state.closed {
            check()?;
            state = self.changed.wait_timeout(state, Duration::from_millis(1)).unwrap().0;
        }
        check()
    }
}

/// What became of an encode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encode {
    Begun(u8),
    Cancelled(u8),
    Finished(u8),
}

/// The fake behind gates, with a log. A picture is known by the red of its first pixel.
struct GatedSegmenter {
    fake: FakeSegmenter,
    encode_gate: Gate,
    decode_gate: Gate,
    log: Mutex<Vec<Encode>>,
}

impl GatedSegmenter {
    fn new(fake: FakeSegmenter) -> Arc<Self> {
        let (encode_gate, decode_gate) = (Gate::default(), Gate::default());
        Arc::new(Self { fake, encode_gate, decode_gate, log: Mutex::default() })
    }

    fn log(&self) -> Vec<Encode> {
        self.log.lock().unwrap().clone()
    }

    fn opener(self: &Arc<Self>) -> ModelOpener {
        let this = Arc::clone(self);
        Box::new(move || Ok(this as Arc<dyn Segmenter>))
    }
}

impl Segmenter for GatedSegmenter {
    fn info(&self) -> &SegmenterInfo {
        self.fake.info()
    }

    fn prepare(
        &self,
        rgb: &[u8],
        image_width: u32,
        image_height: u32,
        view: PixelRect,
    ) -> Result<PreparedView, InferenceError> {
        self.fake.prepare(rgb, image_width, image_height, view)
    }

    fn encode(&self, view: &PreparedView, control: &EncodeControl<'_>) -> Result<Embedding, InferenceError> {
        let red = view.rgb[0];
        let note = |what: Encode| self.log.lock().unwrap().push(what);
        note(Encode::Begun(red));
        let passed = self.encode_gate.pass(|| control.step(0.5));
        match passed.and_then(|()| self.fake.encode(view, control)) {
            Ok(embedding) => {
                note(Encode::Finished(red));
                Ok(embedding)
            }
            Err(error) => {
                note(Encode::Cancelled(red));
                Err(error)
            }
        }
    }

    fn decode(&self, embedding: &Embedding, query: &DecodeQuery) -> Result<Vec<MaskOutput>, InferenceError> {
        self.decode_gate.pass(|| Ok(()))?;
        self.fake.decode(embedding, query)
    }

    fn store_embedding(&self, embedding: &Embedding) -> Result<Vec<u8>, InferenceError> {
        self.fake.store_embedding(embedding)
    }

    fn restore_embedding(&self, bytes: &[u8]) -> Result<Embedding, InferenceError> {
        self.fake.restore_embedding(bytes)
    }
}

/// An engine under test with the events seen so far.
struct Bench {
    engine: Engine,
    segmenter: Arc<GatedSegmenter>,
    seen: Vec<Event>,
    wakes: Arc<AtomicUsize>,
}

impl Bench {
    fn new() -> Self {
        Self::with(FakeSegmenter::new(), EngineOptions::default())
    }

    fn with(fake: FakeSegmenter, options: EngineOptions) -> Self {
        let segmenter = GatedSegmenter::new(fake);
        let wakes = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&wakes);
        let wake = Arc::new(move || {
            counter.fetch_add(1, Ordering::SeqCst);
        });
        let options = EngineOptions { wake, progress_step: Duration::ZERO, ..options };
        let engine = Engine::start_with_reader(options, segmenter.opener(), Box::new(read_by_name)).unwrap();
        Self { engine, segmenter, seen: Vec::new(), wakes }
    }

    /// The first new event that is looked for; what comes before it is kept in `seen`, as is the event itself.
    fn wait<T>(&mut self, find: impl Fn(&Event) -> Option<T>) -> T {
        loop {
            let Some(event) = self.engine.wait_event(PATIENCE) else { panic!("never came; seen: {:#?}", self.seen) };
            let found = find(&event);
            self.seen.push(event);
            if let Some(found) = found {
                return found;
            }
        }
    }

    fn wait_encoded(&mut self, picture: &PictureHandle) -> EmbeddingSource {
        let id = picture.id();
        self.wait(|event| match event {
            Event::Encoded { picture, source, .. } if *picture == id => Some(*source),
            _ => None,
        })
    }

    fn wait_mask(&mut self, generation: u64) -> Candidates {
        self.wait(|event| match event {
            Event::MaskReady { generation: Generation(found), candidates, .. } if *found == generation => {
                Some(candidates.clone())
            }
            _ => None,
        })
    }

    fn encode(&mut self, picture: &PictureHandle) -> EmbeddingSource {
        self.engine.encode(picture, None);
        self.wait_encoded(picture)
    }

    fn masks_seen(&self) -> Vec<u64> {
        let generation = |event: &Event| match event {
            Event::MaskReady { generation, .. } => Some(generation.0),
            _ => None,
        };
        self.seen.iter().filter_map(generation).collect()
    }

    fn hovers_seen(&self) -> Vec<u64> {
        let generation = |event: &Event| match event {
            Event::HoverReady { generation, .. } => Some(generation.0),
            _ => None,
        };
        self.seen.iter().filter_map(generation).collect()
    }
}

/// A picture known by its red; green and blue grow, so that no two views of it are alike.
fn test_picture(red: u8) -> Picture {
    let rgb: Vec<u8> = (0..32u8).flat_map(|y| (0..32u8).flat_map(move |x| [red, 20 + x, 30 + y])).collect();
    Picture { width: 32, height: 32, rgb: rgb.into(), notes: Vec::new() }
}

fn handle(red: u8) -> PictureHandle {
    PictureHandle::new(test_picture(red))
}

/// Reads `17.png` as the picture of red 17, whatever the file holds; panics on `255.png`.
fn read_by_name(source: &PictureSource) -> Result<Picture, PictureError> {
    let name = source.name();
    let red = Path::new(&name).file_stem().and_then(|stem| stem.to_str()?.parse().ok());
    assert!(red != Some(255), "asked to panic");
    red.map(test_picture).ok_or(PictureError::NotAFile { name })
}

/// Empty files named after their red.
fn files(folder: &Path, reds: &[u8]) -> Vec<PathBuf> {
    reds.iter()
        .map(|red| {
            let path = folder.join(format!("{red}.png"));
            std::fs::write(&path, b"").unwrap();
            path
        })
        .collect()
}

fn click(generation: u64, picture: &PictureHandle, x: f32, y: f32) -> DecodeRequest {
    let prompt = Prompt::point(ImagePoint::new(x, y), Polarity::Include);
    DecodeRequest { generation: Generation(generation), picture: picture.clone(), prompt }
}

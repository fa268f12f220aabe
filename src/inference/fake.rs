//! A segmenter without a network, for tests of everything that waits for one: quick, deterministic, and able to be
//! slow, to panic or to answer NaN on request.
//!
//! Invariant: its answers depend on the query alone in a way that a test can state: a disc around each include point,
//! cut by discs around exclude points, or the box; logits are signed distances in input pixels. Fed-back logits shift
//! the answer a little, so that a test notices whether they were fed.

use super::sam::preprocess::prepare_view;
use super::segmenter::{
    DecodeQuery, Embedding, EncodeControl, InferenceError, MaskOutput, PointLabel, PreparedView, Segmenter,
    SegmenterInfo,
};
use crate::geometry::PixelRect;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Side of the fake's input.
pub const FAKE_INPUT_SIDE: u32 = 256;
/// Side of the fake's low-res logits.
pub const FAKE_LOW_RES_SIDE: u32 = 64;
/// Radii of the three candidates' discs in input pixels; the single answer takes the middle one.
pub const FAKE_RADII: [f32; 3] = [16.0, 32.0, 64.0];
/// Predicted IoUs of the three candidates; the middle one is best.
pub const FAKE_PREDICTED_IOUS: [f32; 3] = [0.7, 0.9, 0.8];
/// Predicted IoU of the single answer.
pub const FAKE_SINGLE_IOU: f32 = 0.85;
/// Share of the fed-back logits (clamped to +-10) that is added to the answer.
pub const FAKE_PREVIOUS_SHARE: f32 = 0.125;
/// Blocks that an encode reports.
const ENCODE_BLOCKS: usize = 8;
/// How stored embeddings start.
const STORED_MAGIC: &[u8] = b"fake-embedding-1:";

/// What the fake remembers of a view.
struct FakeEmbedding {
    /// Sum of all pixel values: tells views apart.
    pixel_sum: u64,
}

/// The fake segmenter. Build it with [`FakeSegmenter::new`] and the `with_` methods.
pub struct FakeSegmenter {
    info: SegmenterInfo,
    encode_delay: Duration,
    decode_delay: Duration,
    panic_colour: Option<[u8; 3]>,
    panic_point: Option<(f32, f32)>,
    nan_point: Option<(f32, f32)>,
    encodes: AtomicUsize,
    decodes: AtomicUsize,
}

impl Default for FakeSegmenter {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeSegmenter {
    /// Quick and well-behaved.
    pub fn new() -> Self {
        Self {
            info: SegmenterInfo {
                id: "fake@000000000000".to_owned(),
                name: "fake".to_owned(),
                device: "CPU (no network)".to_owned(),
                input_side: FAKE_INPUT_SIDE,
                low_res_side: FAKE_LOW_RES_SIDE,
            },
            encode_delay: Duration::ZERO,
            decode_delay: Duration::ZERO,
            panic_colour: None,
            panic_point: None,
            nan_point: None,
            encodes: AtomicUsize::new(0),
            decodes: AtomicUsize::new(0),
        }
    }

    /// Under another model id.
    pub fn with_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.info.id);
        self
    }

    /// Each encode takes this long, spread over its blocks, so that it can be cancelled in between.
    pub fn with_encode_delay(mut self, delay: Duration) -> Self {
        self.encode_delay = delay;
        self
    }

    /// Each decode takes this long.
    pub fn with_decode_delay(mut self, delay: Duration) -> Self {
        self.decode_delay = delay;
        self
    }

    /// An encode panics if the view's first pixel has this colour.
    pub fn with_panic_on_colour(mut self, colour: [u8; 3]) -> Self {
        self.panic_colour = Some(colour);
        self
    }

    /// A decode panics if a point of the query lies within one input pixel of this place.
    pub fn with_panic_at(mut self, x: f32, y: f32) -> Self {
        self.panic_point = Some((x, y));
        self
    }

    /// A decode answers NaN if a point of the query lies within one input pixel of this place.
    pub fn with_nan_at(mut self, x: f32, y: f32) -> Self {
        self.nan_point = Some((x, y));
        self
    }

    /// Encodes begun so far.
    pub fn encodes(&self) -> usize {
        self.encodes.load(Ordering::SeqCst)
    }

    /// Decodes begun so far.
    pub fn decodes(&self) -> usize {
        self.decodes.load(Ordering::SeqCst)
    }

    fn own<'e>(&self, embedding: &'e Embedding) -> Result<&'e FakeEmbedding, InferenceError> {
        if embedding.model_id == self.info.id
            && let Some(own) = embedding.tensors.downcast_ref::<FakeEmbedding>()
        {
            return Ok(own);
        }
        Err(InferenceError::StoredEmbedding(format!(
            "made by {}, expected {}; encode the picture again",
            embedding.model_id, self.info.id
        )))
    }

    fn embedding(&self, pixel_sum: u64) -> Embedding {
        Embedding { model_id: self.info.id.clone(), tensors: Arc::new(FakeEmbedding { pixel_sum }), byte_size: 8 }
    }
}

impl Segmenter for FakeSegmenter {
    fn info(&self) -> &SegmenterInfo {
        &self.info
    }

    fn prepare(
        &self,
        rgb: &[u8],
        image_width: u32,
        image_height: u32,
        view: PixelRect,
    ) -> Result<PreparedView, InferenceError> {
        prepare_view(rgb, image_width, image_height, view, FAKE_INPUT_SIDE)
    }

    fn encode(&self, view: &PreparedView, control: &EncodeControl<'_>) -> Result<Embedding, InferenceError> {
        self.encodes.fetch_add(1, Ordering::SeqCst);
        if let (Some(colour), Some(first)) = (self.panic_colour, view.rgb.first_chunk::<3>()) {
            assert!(*first != colour, "the fake was asked to panic on {colour:?}");
        }
        for block in 1..=ENCODE_BLOCKS {
            std::thread::sleep(self.encode_delay / ENCODE_BLOCKS as u32);
            control.step(block as f32 / ENCODE_BLOCKS as f32)?;
        }
        Ok(self.embedding(view.rgb.iter().map(|&value| u64::from(value)).sum()))
    }

    fn decode(&self, embedding: &Embedding, query: &DecodeQuery) -> Result<Vec<MaskOutput>, InferenceError> {
        self.own(embedding)?;
        self.decodes.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(self.decode_delay);
        let meets = |place: Option<(f32, f32)>| {
            place.is_some_and(|(x, y)| query.points.iter().any(|p| (p.x - x).hypot(p.y - y) <= 1.0))
        };
        assert!(!meets(self.panic_point), "the fake was asked to panic at {:?}", self.panic_point);
        let nan = meets(self.nan_point);
        let answer = |radius: f32, predicted_iou: f32| {
            let mut logits = distances(query, radius);
            if nan {
                logits[0] = f32::NAN;
            }
            MaskOutput { low_res: logits.into(), predicted_iou }
        };
        Ok(if query.multimask {
            FAKE_RADII.iter().zip(FAKE_PREDICTED_IOUS).map(|(&radius, iou)| answer(radius, iou)).collect()
        } else {
            vec![answer(FAKE_RADII[1], FAKE_SINGLE_IOU)]
        })
    }

    fn store_embedding(&self, embedding: &Embedding) -> Result<Vec<u8>, InferenceError> {
        let own = self.own(embedding)?;
        Ok([STORED_MAGIC, &own.pixel_sum.to_le_bytes(), self.info.id.as_bytes()].concat())
    }

    fn restore_embedding(&self, bytes: &[u8]) -> Result<Embedding, InferenceError> {
        let rest = bytes.strip_prefix(STORED_MAGIC).and_then(<[u8]>::split_first_chunk::<8>);
        match rest {
            Some((sum, id)) if id == self.info.id.as_bytes() => Ok(self.embedding(u64::from_le_bytes(*sum))),
            _ => Err(InferenceError::StoredEmbedding(format!(
                "{} bytes that are no embedding of {}; encode the picture again",
                bytes.len(),
                self.info.id
            ))),
        }
    }
}

/// Signed distances to the asked shape in input pixels, positive inside, clamped to +-20.
fn distances(query: &DecodeQuery, radius: f32) -> Vec<f32> {
    let find = |label| query.points.iter().rfind(|p| p.label == label);
    let corners = find(PointLabel::BoxTopLeft).zip(find(PointLabel::BoxBottomRight));
    let cell = FAKE_INPUT_SIDE as f32 / FAKE_LOW_RES_SIDE as f32;
    let mut out = Vec::with_capacity((FAKE_LOW_RES_SIDE * FAKE_LOW_RES_SIDE) as usize);
    for row in 0..FAKE_LOW_RES_SIDE {
        for column in 0..FAKE_LOW_RES_SIDE {
            let (x, y) = ((column as f32 + 0.5) * cell, (row as f32 + 0.5) * cell);
            let mut inside = f32::NEG_INFINITY;
            if let Some((low, high)) = corners {
                inside = (x - low.x).min(high.x - x).min(y - low.y).min(high.y - y);
            }
            for point in query.points.iter().filter(|p| p.label == PointLabel::Include) {
                inside = inside.max(radius - (point.x - x).hypot(point.y - y));
            }
            for point in query.points.iter().filter(|p| p.label == PointLabel::Exclude) {
                inside = inside.min((point.x - x).hypot(point.y - y) - radius / 2.0);
            }
            let previous = query.previous.as_ref().map_or(0.0, |p| p[out.len()].clamp(-10.0, 10.0));
            // A mask alone, or with exclude points, keeps its own shape.
            if inside == f32::NEG_INFINITY && query.previous.is_some() {
                inside = previous;
            }
            out.push(inside.clamp(-20.0, 20.0) + FAKE_PREVIOUS_SHARE * previous);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::segmenter::LabeledPoint;

    fn encoded(fake: &FakeSegmenter) -> Embedding {
        let view = fake.prepare(&[9; 20 * 10 * 3], 20, 10, PixelRect::of_size(20, 10)).unwrap();
        fake.encode(&view, &EncodeControl::default()).unwrap()
    }

    fn query(points: &[(f32, f32, PointLabel)]) -> DecodeQuery {
        let points = points.iter().map(|&(x, y, label)| LabeledPoint { x, y, label }).collect();
        DecodeQuery { points, previous: None, multimask: false }
    }

    #[test]
    fn it_draws_what_it_says() {
        let fake = FakeSegmenter::new();
        let embedding = encoded(&fake);
        let at = |logits: &[f32], x: usize, y: usize| logits[y / 4 * 64 + x / 4];
        let mut asked = query(&[(100.0, 60.0, PointLabel::Include), (130.0, 60.0, PointLabel::Exclude)]);
        let disc = fake.decode(&embedding, &asked).unwrap();
        assert_eq!(disc.len(), 1);
        assert!(at(&disc[0].low_res, 100, 60) > 0.0 && at(&disc[0].low_res, 128, 60) < 0.0);
        assert!(at(&disc[0].low_res, 100, 120) < 0.0);
        asked.multimask = true;
        assert_eq!(fake.decode(&embedding, &asked).unwrap().len(), 3);
        let boxed = query(&[(20.0, 30.0, PointLabel::BoxTopLeft), (90.0, 80.0, PointLabel::BoxBottomRight)]);
        let boxed = fake.decode(&embedding, &boxed).unwrap();
        assert!(at(&boxed[0].low_res, 50, 50) > 0.0 && at(&boxed[0].low_res, 50, 90) < 0.0);
        assert_eq!((fake.encodes(), fake.decodes()), (1, 3));
    }

    #[test]
    fn it_misbehaves_on_request_only() {
        let fake = FakeSegmenter::new().with_nan_at(5.0, 5.0).with_panic_at(7.0, 9.0).with_panic_on_colour([1, 2, 3]);
        let embedding = encoded(&fake);
        let nan = fake.decode(&embedding, &query(&[(5.0, 5.0, PointLabel::Include)])).unwrap();
        assert!(nan[0].low_res[0].is_nan());
        let panics = |f: &(dyn Fn() + std::panic::RefUnwindSafe)| std::panic::catch_unwind(f).is_err();
        let (fake, embedding) = (std::panic::AssertUnwindSafe(&fake), std::panic::AssertUnwindSafe(&embedding));
        assert!(panics(&|| drop(fake.decode(&embedding, &query(&[(7.0, 9.0, PointLabel::Include)])))));
        let marked = fake.prepare(&[1, 2, 3], 1, 1, PixelRect::of_size(1, 1)).unwrap();
        assert!(panics(&|| drop(fake.encode(&marked, &EncodeControl::default()))));
    }

    #[test]
    fn stored_embeddings_come_back_to_their_own_model_only() {
        let fake = FakeSegmenter::new();
        let bytes = fake.store_embedding(&encoded(&fake)).unwrap();
        let back = fake.restore_embedding(&bytes).unwrap();
        assert_eq!(fake.own(&back).unwrap().pixel_sum, fake.own(&encoded(&fake)).unwrap().pixel_sum);
        assert!(FakeSegmenter::new().with_id("other@1").restore_embedding(&bytes).is_err());
        assert!(fake.restore_embedding(&bytes[..20]).is_err());
    }
}

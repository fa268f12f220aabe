//! Layer 1: models. The only place that names candle, safetensors and tokenizers; plain data goes in and comes out.

mod device;
pub mod fake;
pub mod predictor;
mod sam;
pub mod segmenter;
mod weights;

pub use predictor::{Candidate, Candidates, Replay, predict};
pub use segmenter::{
    CancelToken, DecodeQuery, Embedding, EncodeControl, EncodedView, InferenceError, LabeledPoint, LowResLogits,
    MaskOutput, PointLabel, PreparedView, Segmenter, SegmenterInfo, ViewFrame,
};

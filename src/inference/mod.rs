//! Layer 1: models. The only place that names candle, safetensors and tokenizers; plain data goes in and comes out.

pub mod encode_view;
pub mod predictor;
pub mod segmenter;

pub use encode_view::encode_view;
pub use predictor::{Candidate, Candidates, Replay, predict};
pub use segmenter::{
    CancelToken, DecodeQuery, Embedding, EncodeControl, EncodedView, InferenceError, LabeledPoint, LowResLogits,
    MaskOutput, PointLabel, PreparedView, Segmenter, SegmenterInfo, ViewFrame,
};

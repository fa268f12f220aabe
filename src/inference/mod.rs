//! Layer 1: models. The only place that names candle, safetensors and tokenizers; plain data goes in and comes out.

mod allocator;
pub mod bench;
pub mod catalog;
mod device;
mod embedding_file;
pub mod fake;
mod mask_prompt;
mod ops;
mod packed_layers;
pub mod predictor;
mod sam;
pub mod segmenter;
mod threads;
mod weights;

pub use catalog::{BUILT_IN_SEGMENTER, ModelChoice, ModelEntry, open_segmenter};
pub use device::{ComputeDevice, Engine, Precision};
pub use predictor::{Candidate, Candidates, Replay, encode_view, predict};
pub use segmenter::{
    CancelToken, DecodeQuery, Embedding, EncodeControl, EncodedView, InferenceError, LabeledPoint, LowResLogits,
    MaskOutput, PointLabel, PreparedView, Segmenter, SegmenterInfo, ViewFrame,
};
pub use threads::settle_threads;

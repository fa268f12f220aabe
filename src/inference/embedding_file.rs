//! Embeddings as bytes for the disk: safetensors of f16 arrays with the model's id in the header.
//!
//! Invariant: bytes of another model, another shape, cut off or damaged are refused, never decoded.

use super::segmenter::{Embedding, InferenceError};
use super::weights::Weights;
use candle_core::{Device, Tensor};
use half::f16;
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use std::collections::HashMap;
use std::path::PathBuf;

/// Key of the model's id in the header.
const MODEL_KEY: &str = "model";

/// Refuses an embedding of another model.
///
/// # Errors
/// [`InferenceError::StoredEmbedding`].
pub(crate) fn check_owner(embedding: &Embedding, model_id: &str) -> Result<(), InferenceError> {
    if embedding.model_id == model_id {
        return Ok(());
    }
    Err(InferenceError::StoredEmbedding(format!(
        "made by {}, expected {model_id}; encode the picture again",
        embedding.model_id
    )))
}

/// The arrays as f16 with their names and shapes.
///
/// # Errors
/// A tensor that cannot be read from its device.
pub(crate) fn store(model_id: &str, tensors: &[(&str, &Tensor)]) -> Result<Vec<u8>, InferenceError> {
    let mut arrays = Vec::with_capacity(tensors.len());
    for (name, tensor) in tensors {
        let values = tensor.flatten_all()?.to_vec1::<f32>()?;
        let bytes: Vec<u8> = values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
        arrays.push((*name, tensor.dims().to_vec(), bytes));
    }
    let refuse = |e: safetensors::SafeTensorError| InferenceError::StoredEmbedding(format!("cannot be written: {e}"));
    let mut views = Vec::with_capacity(arrays.len());
    for (name, shape, bytes) in &arrays {
        views.push((*name, TensorView::new(Dtype::F16, shape.clone(), bytes).map_err(refuse)?));
    }
    let header = HashMap::from([(MODEL_KEY.to_owned(), model_id.to_owned())]);
    safetensors::serialize(views, Some(header)).map_err(refuse)
}

/// The inverse of [`store`]: the arrays of these names and shapes, in f32.
///
/// # Errors
/// [`InferenceError::StoredEmbedding`] for bytes of another model, shape or length.
pub(crate) fn restore<const N: usize>(
    bytes: &[u8],
    model_id: &str,
    shapes: [(&str, &[usize]); N],
    device: &Device,
) -> Result<[Tensor; N], InferenceError> {
    let refuse = |error: InferenceError| match error {
        InferenceError::Weights { problem, .. } => InferenceError::StoredEmbedding(problem),
        other => other,
    };
    let file = Weights::from_bytes(PathBuf::from("stored embedding"), bytes.to_vec(), device).map_err(refuse)?;
    let found = file.metadata(MODEL_KEY).unwrap_or("no model");
    if found != model_id {
        return Err(InferenceError::StoredEmbedding(format!(
            "made by {found}, expected {model_id}; encode the picture again"
        )));
    }
    let mut tensors = Vec::with_capacity(N);
    for (name, shape) in shapes {
        tensors.push(file.tensor(name, shape).map_err(refuse)?);
    }
    tensors.try_into().map_err(|_| InferenceError::StoredEmbedding("another number of arrays".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::ops::testing::{difference, noise};

    #[test]
    fn embeddings_come_back_within_half_precision_and_faults_are_named() {
        let (a, b) = (noise(&[3, 4, 5], 1), noise(&[2, 2], 2));
        let bytes = store("m@1", &[("a", &a), ("b", &b)]).unwrap();
        let restored = |bytes: &[u8], id: &str, side: usize| {
            restore(bytes, id, [("a", &[3, 4, 5]), ("b", &[side, 2])], &Device::Cpu)
        };
        let [a2, b2] = restored(&bytes, "m@1", 2).unwrap();
        assert!(difference(&a, &a2) < 1e-3 && difference(&b, &b2) < 1e-3);
        // What was rounded once is not changed again.
        let again = store("m@1", &[("a", &a2), ("b", &b2)]).unwrap();
        let [a3, _] = restored(&again, "m@1", 2).unwrap();
        assert_eq!(difference(&a2, &a3), 0.0);
        let text = |result: Result<[Tensor; 2], InferenceError>| match result.unwrap_err() {
            InferenceError::StoredEmbedding(text) => text,
            other => panic!("{other}"),
        };
        assert!(text(restored(&bytes, "m@2", 2)).contains("made by m@1, expected m@2"));
        assert!(text(restored(&bytes, "m@1", 3)).contains("shape [2, 2], expected [3, 2]"));
        for cut in [0, 7, 20, bytes.len() - 1] {
            text(restored(&bytes[..cut], "m@1", 2));
        }
    }
}

//! Which models there are, and how one is opened.
//!
//! Invariant: the built-in model always opens; anything else is opened from a path that the user named, recognised by
//! its tensors' names, and refused with what was found where nothing fits. Nothing is searched for or downloaded.

use super::device::ComputeDevice;
use super::sam::spark::{self, SparkSegmenter};
use super::sam::{Sam, weights_file};
use super::segmenter::{InferenceError, Segmenter};
use super::weights::Weights;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::Arc;

/// Id of the built-in segmenter, as `--model` takes it.
pub const BUILT_IN_SEGMENTER: &str = "spark-sam";

const SEGMENTATION: &str = "promptable segmentation";

/// Which segmenter to open.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ModelChoice {
    /// The one in the program.
    #[default]
    BuiltIn,
    /// A safetensors file of a known family, or a folder with one.
    Path(PathBuf),
}

impl ModelChoice {
    /// What `--model` means: the built-in model's id, or a path.
    pub fn from_argument(argument: &str) -> Self {
        if argument == BUILT_IN_SEGMENTER { Self::BuiltIn } else { Self::Path(PathBuf::from(argument)) }
    }
}

/// A line of `maskwright models list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelEntry {
    /// What `--model` takes.
    pub id: String,
    /// For people.
    pub name: String,
    /// What it does.
    pub task: String,
    /// Size of its weights; `None` where it depends on the file given.
    pub bytes: Option<u64>,
    /// Its licence.
    pub licence: String,
    /// `built in`, or `give a path`.
    pub place: String,
    /// SHA-256 of its weights, 64 hex digits; `None` where it depends on the file given.
    pub sha256: Option<String>,
}

/// Opens a segmenter on the best device.
///
/// # Errors
/// [`InferenceError::Weights`] for a file that is no safetensors file, no known model or damaged.
pub fn open_segmenter(choice: &ModelChoice) -> Result<Arc<dyn Segmenter>, InferenceError> {
    let compute = ComputeDevice::best();
    match choice {
        ModelChoice::BuiltIn => Ok(Arc::new(SparkSegmenter::built_in(&compute)?)),
        ModelChoice::Path(path) => {
            let weights = Weights::open(&weights_file(path)?, &compute.device)?;
            if SparkSegmenter::recognises(&weights) {
                return Ok(Arc::new(SparkSegmenter::from_weights(&weights, &compute)?));
            }
            if Sam::recognises(&weights) {
                return Ok(Arc::new(Sam::from_weights(weights, &compute)?));
            }
            Err(weights.refuse(format!(
                "is no model that this program knows; it has {}. Expected weights of spark-sam, or of a SAM (ViT-B, L, H \
                 or MobileSAM; original or Hugging Face's names): choose another file",
                weights.some_names()
            )))
        }
    }
}

/// All models that this program can run.
pub fn list() -> Vec<ModelEntry> {
    vec![
        ModelEntry {
            id: BUILT_IN_SEGMENTER.to_owned(),
            name: "spark-sam".to_owned(),
            task: SEGMENTATION.to_owned(),
            bytes: Some(spark::BUILT_IN_WEIGHTS.len() as u64),
            licence: "MIT OR Apache-2.0; trained on research data".to_owned(),
            place: "built in".to_owned(),
            sha256: Some(super::weights::sha256_hex(spark::BUILT_IN_WEIGHTS)),
        },
        ModelEntry {
            id: "PATH".to_owned(),
            name: "SAM ViT-B, ViT-L, ViT-H or MobileSAM (safetensors file, or a folder with one)".to_owned(),
            task: SEGMENTATION.to_owned(),
            bytes: None,
            licence: "Apache-2.0 (the checkpoints of their authors)".to_owned(),
            place: "give a path".to_owned(),
            sha256: None,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    #[test]
    fn the_manifest_tells_the_truth_about_the_files() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("models");
        let manifest = std::fs::read_to_string(folder.join("manifest.toml")).unwrap();
        let value = |line: &str| line.split_once(" = ").map(|(_, value)| value.trim_matches('"').to_owned());
        let mut files = 0;
        for part in manifest.split("[[model.file]]").skip(1) {
            let get = |key: &str| value(part.lines().find(|line| line.starts_with(key)).unwrap()).unwrap();
            let bytes = std::fs::read(folder.join(get("name"))).unwrap();
            assert_eq!(bytes.len().to_string(), get("bytes"));
            assert_eq!(super::super::weights::sha256_hex(&bytes), get("sha256"), "{}", get("name"));
            files += 1;
        }
        assert_eq!(files, 2);
        let listed = &list()[0];
        assert!(manifest.contains(listed.sha256.as_deref().unwrap()));
        assert_eq!(ModelChoice::from_argument(&listed.id), ModelChoice::BuiltIn);
    }

    #[test]
    fn files_are_opened_by_what_they_hold() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let open = |path: &str| open_segmenter(&ModelChoice::from_argument(root.join(path).to_str().unwrap()));
        let (from_file, built_in) =
            (open("models/spark-sam.safetensors").unwrap(), open_segmenter(&ModelChoice::BuiltIn));
        assert_eq!(from_file.info().id, built_in.unwrap().info().id);
        let error = |path: &str| open(path).err().unwrap().to_string();
        let text = error("tests/golden/spark-sam.golden.safetensors");
        assert!(text.contains("no model that this program knows; it has embed, hr2, hr4 and 7 more"), "{text}");
        assert!(error("models/spark-sam.json").contains("no safetensors file"));
        assert!(error("models/nowhere.safetensors").contains("cannot be opened"));
    }
}

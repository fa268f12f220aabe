//! The JSON file beside the weights: what the network was trained for. Checked, because a wrong number here would give
//! wrong masks without any error.

use crate::inference::segmenter::InferenceError;
use serde::Deserialize;
use std::path::Path;

/// Channels of the embedding and of all tokens; the layers' shapes depend on it.
pub(super) const WIDTH: usize = 128;
/// Input pixels a cell of the embedding.
pub(super) const STRIDE: usize = 8;
const MODEL: &str = "spark-sam";
const VERSION: u32 = 1;
const CANDIDATES: usize = 3;
/// The deepest features have a stride of 32.
const DEEPEST_STRIDE: u32 = 32;
/// Larger inputs would take gigabytes and were never tried.
const MAX_INPUT_SIDE: u32 = 2048;

/// What the network was trained for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SparkConfig {
    model: String,
    version: u32,
    /// Side of the square input in pixels, a multiple of 32.
    pub(super) input_side: u32,
    stride: usize,
    width: usize,
    /// Of the training pixels over 0..1, by channel.
    pub(super) mean: [f32; 3],
    /// Of the training pixels over 0..1, by channel.
    pub(super) std: [f32; 3],
    /// Side of the low-res logits.
    pub(super) mask_side: u32,
    candidates: usize,
    /// Logits fed back are held within plus and minus this.
    pub(super) prev_logits_clamp: f32,
    /// Then multiplied by this.
    pub(super) prev_logits_scale: f32,
}

impl SparkConfig {
    /// Reads and checks the config; `source` names the file in errors.
    ///
    /// # Errors
    /// Text that is no such config, or one that this program cannot run.
    pub(super) fn parse(source: &Path, text: &str) -> Result<Self, InferenceError> {
        let refuse = |problem: String| Err(InferenceError::Weights { path: source.to_path_buf(), problem });
        let config: Self = match serde_json::from_str(text) {
            Ok(config) => config,
            Err(e) => {
                return refuse(format!("is no config of {MODEL} ({e}); take the .json that came with the weights"));
            }
        };
        if config.model != MODEL || config.version != VERSION {
            return refuse(format!(
                "is for {} version {}, expected {MODEL} version {VERSION}; take matching files",
                config.model, config.version
            ));
        }
        if (config.width, config.stride, config.candidates) != (WIDTH, STRIDE, CANDIDATES) {
            return refuse(format!(
                "gives width {}, stride {}, {} candidates, expected {WIDTH}, {STRIDE} and {CANDIDATES}",
                config.width, config.stride, config.candidates
            ));
        }
        let side = config.input_side;
        if side == 0 || side > MAX_INPUT_SIDE || !side.is_multiple_of(DEEPEST_STRIDE) {
            return refuse(format!(
                "gives input_side {side}, expected a multiple of {DEEPEST_STRIDE} up to {MAX_INPUT_SIDE}"
            ));
        }
        if config.mask_side != side / 2 {
            return refuse(format!("gives mask_side {}, expected half of input_side, {}", config.mask_side, side / 2));
        }
        let positive = |value: f32| value.is_finite() && value > 0.0;
        let numbers_fit = config.std.iter().all(|&std| positive(std))
            && config.mean.iter().all(|mean| mean.is_finite())
            && positive(config.prev_logits_clamp)
            && positive(config.prev_logits_scale);
        if !numbers_fit {
            return refuse(
                "has a mean, std, prev_logits_clamp or prev_logits_scale that is not finite or not above 0".to_owned(),
            );
        }
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT_IN: &str = include_str!("../../../../models/spark-sam.json");

    #[test]
    fn the_embedded_config_is_accepted_and_faults_are_named() {
        let parse = |text: &str| SparkConfig::parse(Path::new("c.json"), text);
        let config = parse(BUILT_IN).unwrap();
        assert_eq!((config.input_side, config.mask_side), (512, 256));
        for (from, to, word) in [
            ("spark-sam", "other", "is for other version 1, expected spark-sam"),
            ("\"version\": 1", "\"version\": 2", "version 2"),
            ("\"input_side\": 512", "\"input_side\": 500", "input_side 500, expected a multiple of 32"),
            ("\"input_side\": 512", "\"input_side\": 4096", "input_side 4096"),
            ("\"mask_side\": 256", "\"mask_side\": 128", "mask_side 128, expected half of input_side, 256"),
            ("\"width\": 128", "\"width\": 64", "width 64"),
            ("0.229", "0.0", "not above 0"),
            ("0.229", "1e99", "no config of spark-sam"),
            ("\"stride\"", "\"strife\"", "no config of spark-sam"),
        ] {
            assert!(BUILT_IN.contains(from));
            let error = parse(&BUILT_IN.replacen(from, to, 1)).unwrap_err().to_string();
            assert!(error.starts_with("c.json: ") && error.contains(word), "{error}");
        }
    }
}

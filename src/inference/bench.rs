//! Timings of the models' slow and light halves on this machine, for `maskwright bench`.
//!
//! Invariant: what is timed is what users run (the trait's `encode` and `decode`), single runs take turns so that a
//! noisy moment hits all alike, and each was run once before to warm up.

use super::catalog::{ModelChoice, open_segmenter};
use super::segmenter::{
    DecodeQuery, Embedding, EncodeControl, InferenceError, LabeledPoint, PointLabel, PreparedView, Segmenter,
};
use crate::geometry::PixelRect;
use serde::Serialize;
use std::sync::Arc;
use std::time::Instant;

/// Encoding a view with the built-in segmenter: from its resized pixels to the embedding.
pub const ENCODER: &str = "spark-sam-encoder";
/// Decoding a lone point with the built-in segmenter: three candidates.
pub const DECODER: &str = "spark-sam-decoder";
/// All that can be timed.
pub const NAMES: [&str; 2] = [ENCODER, DECODER];
/// Timed runs a name unless told otherwise.
pub const DEFAULT_REPEAT: u32 = 20;

/// The picture that is encoded; its content does not change the work.
const PICTURE: (u32, u32) = (1024, 768);

/// Timings of one thing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timing {
    /// One of [`NAMES`].
    pub name: String,
    /// What computes: `candle`.
    pub engine: String,
    /// Of the arithmetic: `f32`.
    pub precision: String,
    /// Half of the runs were quicker.
    pub median_ms: f64,
    /// A tenth of the runs was quicker.
    pub p10_ms: f64,
    /// Nine tenths of the runs were quicker.
    pub p90_ms: f64,
    /// The most memory that the whole process held so far, in MiB; `None` where the system does not tell.
    pub peak_rss_mib: Option<f64>,
    /// Computing threads.
    pub threads: usize,
}

/// Times the named things, all of them if `only` is empty, `repeat` runs each, taking turns.
///
/// # Errors
/// An unknown name, no runs, or a failing model.
pub fn bench(only: &[String], repeat: usize) -> Result<Vec<Timing>, InferenceError> {
    if let Some(unknown) = only.iter().find(|name| !NAMES.contains(&name.as_str())) {
        return Err(InferenceError::Prompt(format!(
            "nothing named {unknown} can be timed; choose from {}",
            NAMES.join(", ")
        )));
    }
    if repeat == 0 {
        return Err(InferenceError::Prompt("no runs were asked for; give at least 1".to_owned()));
    }
    let subject = Subject::new()?;
    let wanted = NAMES.iter().filter(|name| only.is_empty() || only.iter().any(|asked| asked == *name));
    let mut runs: Vec<(&str, Vec<f64>)> = wanted.map(|&name| (name, Vec::with_capacity(repeat))).collect();
    for turn in 0..=repeat {
        for (name, times) in &mut runs {
            let start = Instant::now();
            subject.run(name)?;
            let milliseconds = start.elapsed().as_secs_f64() * 1e3;
            // Turn 0 warms up.
            if turn > 0 {
                times.push(milliseconds);
            }
        }
    }
    let peak_rss_mib = peak_rss_mib();
    Ok(runs
        .into_iter()
        .map(|(name, mut times)| {
            times.sort_by(f64::total_cmp);
            Timing {
                name: name.to_owned(),
                engine: "candle".to_owned(),
                precision: "f32".to_owned(),
                median_ms: quantile(&times, 0.5),
                p10_ms: quantile(&times, 0.1),
                p90_ms: quantile(&times, 0.9),
                peak_rss_mib,
                threads: candle_core::utils::get_num_threads(),
            }
        })
        .collect())
}

/// The model with its inputs made.
struct Subject {
    segmenter: Arc<dyn Segmenter>,
    view: PreparedView,
    embedding: Embedding,
    query: DecodeQuery,
}

impl Subject {
    fn new() -> Result<Self, InferenceError> {
        let segmenter = open_segmenter(&ModelChoice::BuiltIn)?;
        let (width, height) = PICTURE;
        let rgb: Vec<u8> = (0..width * height * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let view = segmenter.prepare(&rgb, width, height, PixelRect::of_size(width, height))?;
        let embedding = segmenter.encode(&view, &EncodeControl::default())?;
        let (x, y) = (view.frame.content_width as f32 / 2.0, view.frame.content_height as f32 / 2.0);
        let query = DecodeQuery {
            points: vec![LabeledPoint { x, y, label: PointLabel::Include }],
            previous: None,
            multimask: true,
        };
        Ok(Self { segmenter, view, embedding, query })
    }

    fn run(&self, name: &str) -> Result<(), InferenceError> {
        if name == ENCODER {
            self.segmenter.encode(&self.view, &EncodeControl::default())?;
        } else {
            self.segmenter.decode(&self.embedding, &self.query)?;
        }
        Ok(())
    }
}

/// The value below which a share of the sorted values lies, between neighbours by proportion.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

/// The process's largest resident size so far, where /proc tells it.
fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kib / 1024.0 * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timings_are_ordered_and_names_checked() {
        let timings = bench(&[DECODER.to_owned()], 3).unwrap();
        assert_eq!(timings.len(), 1);
        let timing = &timings[0];
        assert_eq!((timing.name.as_str(), timing.precision.as_str()), (DECODER, "f32"));
        assert!(0.0 < timing.p10_ms && timing.p10_ms <= timing.median_ms && timing.median_ms <= timing.p90_ms);
        let error = bench(&["nothing".to_owned()], 3).unwrap_err().to_string();
        assert!(error.contains("spark-sam-encoder, spark-sam-decoder"), "{error}");
        assert!(bench(&[], 0).is_err());
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[5.0], 0.9), 5.0);
    }
}

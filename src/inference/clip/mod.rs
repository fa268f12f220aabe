//! CLIP's image tower: pictures to directions that words of the same meaning share.
//!
//! Source: transformers, models/clip/modeling_clip.py (`CLIPVisionModelWithProjection`), and OpenAI's CLIP. Invariant:
//! plain numbers go in and come out; on the CPU the kernels compute, on GPUs and as their oracle candle does.

mod config;
mod cpu;
mod plain;
#[cfg(test)]
mod tests;

use super::device::ComputeDevice;
use super::segmenter::InferenceError;
use super::weights::Weights;
pub use config::ClipImageConfig;

/// The image tower with its weights.
pub struct ClipImageTower {
    id: String,
    config: ClipImageConfig,
    tower: Tower,
}

enum Tower {
    OnCpu(Box<cpu::Tower>),
    Plain(plain::Tower),
}

impl ClipImageTower {
    /// Reads `vision_model.*` and `visual_projection.weight` of a file in Hugging Face's layout; a text tower beside them
    /// is left alone.
    ///
    /// # Errors
    /// A file that is damaged, no CLIP, or one of a kind that is not supported.
    pub fn from_weights(weights: &Weights, compute: &ComputeDevice) -> Result<Self, InferenceError> {
        let config = ClipImageConfig::from_shapes(weights)?;
        let tower = if compute.uses_kernels() {
            Tower::OnCpu(Box::new(cpu::Tower::load(weights, config.clone(), compute.kernels())?))
        } else {
            Tower::Plain(plain::Tower::load(weights, config.clone())?)
        };
        Ok(Self { id: format!("clip-image@{}{}", weights.sha256_prefix(), compute.id_suffix()), config, tower })
    }

    /// What the file's shapes say.
    pub fn config(&self) -> &ClipImageConfig {
        &self.config
    }

    /// Features of `count` pictures, `[count, outputs]`, each of length 1. `planes` is `[count, 3, side, side]`, normalised
    /// by the mean and deviation of CLIP's training pictures.
    ///
    /// # Errors
    /// Planes of another size, or a failure of the computation.
    pub fn embed(&self, planes: &[f32], count: usize) -> Result<Vec<f32>, InferenceError> {
        let mut features = self.embed_raw(planes, count)?;
        for row in features.chunks_exact_mut(self.config.outputs) {
            let length = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
            if !length.is_normal() {
                return Err(InferenceError::NotANumber { model: self.id.clone() });
            }
            row.iter_mut().for_each(|value| *value = (f64::from(*value) / length) as f32);
        }
        Ok(features)
    }

    /// The same as the projection gives them, of any length.
    ///
    /// # Errors
    /// As [`ClipImageTower::embed`].
    pub fn embed_raw(&self, planes: &[f32], count: usize) -> Result<Vec<f32>, InferenceError> {
        let side = self.config.input_side();
        let expected = count * 3 * side * side;
        if planes.len() != expected {
            return Err(InferenceError::Prompt(format!(
                "{} values were given for {count} pictures, expected {expected}: 3 planes of {side} x {side} each",
                planes.len()
            )));
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        let features = match &self.tower {
            Tower::OnCpu(tower) => tower.forward(planes, count),
            Tower::Plain(tower) => tower.forward(planes, count)?,
        };
        if features.iter().any(|value| !value.is_finite()) {
            return Err(InferenceError::NotANumber { model: self.id.clone() });
        }
        Ok(features)
    }
}

//! What is timed: a model, loaded, with its inputs made.
//!
//! Invariant: inputs never depend on the engine or the precision, so that all do the same work.

use crate::geometry::PixelRect;
use crate::inference::clip::ClipImageTower;
use crate::inference::device::ComputeDevice;
use crate::inference::random_weights::{
    Shapes, TINY_VIT_5M, VIT_B, clip_vit_b32_image, mobile_sam, random_weights, sam_vit,
};
use crate::inference::sam::Sam;
use crate::inference::sam::spark::{BUILT_IN_WEIGHTS, SparkSegmenter};
use crate::inference::segmenter::{
    DecodeQuery, Embedding, EncodeControl, InferenceError, LabeledPoint, PointLabel, PreparedView, Segmenter,
};
use crate::inference::weights::Weights;
use candle_core::Device;

/// The picture that is encoded, in pixels; its content does not change the work.
const PICTURE: (u32, u32) = (1024, 768);

/// A model that can be loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    /// The built-in segmenter.
    SparkSam,
    /// TinyViT with SAM's decoder.
    MobileSam,
    /// SAM with its smallest ViT.
    SamVitB,
    /// CLIP's image tower, ViT-B/32.
    ClipB32,
}

/// What is asked of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// A view's resized pixels to its embedding.
    Encode,
    /// That many prompts of one point each, answered on one embedding in one call: three masks each.
    Decode { prompts: usize },
    /// The features of that many pictures, in one call.
    EmbedImages { count: usize },
}

/// A loaded model. Another kind of model is another [`Loaded`].
pub(super) struct Subject {
    pub(super) model: Model,
    loaded: Loaded,
}

enum Loaded {
    Segmenter { segmenter: Box<dyn Segmenter>, view: PreparedView, embedding: Option<Embedding> },
    ImageTower { tower: Box<ClipImageTower>, planes: Vec<f32> },
}

impl Subject {
    /// Loads a model with the weights in the program, or with random ones where there are none or if they are wished.
    pub(super) fn open(model: Model, random: bool, compute: &ComputeDevice) -> Result<Self, InferenceError> {
        let segmenter: Box<dyn Segmenter> = match model {
            Model::ClipB32 => {
                let weights = random_weights("CLIP ViT-B/32", clip_vit_b32_image(), &compute.device);
                let tower = Box::new(ClipImageTower::from_weights(&weights, compute)?);
                return Ok(Self { model, loaded: Loaded::ImageTower { tower, planes: Vec::new() } });
            }
            Model::SparkSam if random => {
                let weights = random_weights("spark-sam", built_in_shapes()?, &compute.device);
                Box::new(SparkSegmenter::of_built_in_plan(&weights, compute)?)
            }
            Model::SparkSam => Box::new(SparkSegmenter::built_in(compute)?),
            Model::MobileSam => {
                let weights = random_weights("MobileSAM", mobile_sam(&TINY_VIT_5M), &compute.device);
                Box::new(Sam::from_weights(weights, compute)?)
            }
            Model::SamVitB => {
                let weights = random_weights("SAM ViT-B", sam_vit(&VIT_B), &compute.device);
                Box::new(Sam::from_weights(weights, compute)?)
            }
        };
        let (width, height) = PICTURE;
        let rgb: Vec<u8> = (0..width * height * 3).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let view = segmenter.prepare(&rgb, width, height, PixelRect::of_size(width, height))?;
        Ok(Self { model, loaded: Loaded::Segmenter { segmenter, view, embedding: None } })
    }

    /// Makes what the task needs and is not timed.
    pub(super) fn get_ready(&mut self, task: Task) -> Result<(), InferenceError> {
        match &mut self.loaded {
            Loaded::Segmenter { segmenter, view, embedding } => {
                if task != Task::Encode && embedding.is_none() {
                    *embedding = Some(segmenter.encode(view, &EncodeControl::default())?);
                }
            }
            Loaded::ImageTower { tower, planes } => {
                if let Task::EmbedImages { count } = task {
                    let side = tower.config().input_side();
                    let needed = count * 3 * side * side;
                    planes.extend((planes.len()..needed).map(|i| (i * 37 % 255) as f32 / 127.5 - 1.0));
                }
            }
        }
        Ok(())
    }

    /// Runs the task once.
    pub(super) fn run(&self, task: Task) -> Result<(), InferenceError> {
        match (&self.loaded, task) {
            (Loaded::Segmenter { segmenter, view, .. }, Task::Encode) => {
                segmenter.encode(view, &EncodeControl::default())?;
            }
            (Loaded::Segmenter { segmenter, view, embedding }, Task::Decode { prompts }) => {
                // An encode that was not made beforehand would be timed: `get_ready` made it.
                let Some(embedding) = embedding else {
                    return Err(InferenceError::Prompt("the picture is not encoded yet".to_owned()));
                };
                let queries: Vec<DecodeQuery> = grid(view, prompts)
                    .map(|point| DecodeQuery { points: vec![point], previous: None, multimask: true })
                    .collect();
                segmenter.decode_many(embedding, &queries)?;
            }
            (Loaded::ImageTower { tower, planes }, Task::EmbedImages { count }) => {
                let side = tower.config().input_side();
                tower.embed(&planes[..count * 3 * side * side], count)?;
            }
            _ => return Err(InferenceError::Prompt("this model has no such task".to_owned())),
        }
        Ok(())
    }
}

/// That many points, different from each other, spread over the view in rows.
fn grid(view: &PreparedView, count: usize) -> impl Iterator<Item = LabeledPoint> + use<> {
    let (width, height) = (view.frame.content_width as f32, view.frame.content_height as f32);
    let across = (count as f32).sqrt().ceil() as usize;
    let down = count.div_ceil(across);
    let share = |index: usize, of: usize| (index as f32 + 0.5) / of as f32;
    (0..count).map(move |index| LabeledPoint {
        x: width * share(index % across, across),
        y: height * share(index / across, down),
        label: PointLabel::Include,
    })
}

/// Names and shapes of the weights in the program.
fn built_in_shapes() -> Result<Shapes, InferenceError> {
    let weights = Weights::from_bytes("embedded spark-sam.safetensors".into(), BUILT_IN_WEIGHTS, &Device::Cpu)?;
    let shape = |name: &str| weights.shape(name).unwrap_or_default().to_vec();
    Ok(weights.names().map(|name| (name.to_owned(), shape(name))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::segmenter::ViewFrame;

    #[test]
    fn points_are_inside_and_differ() {
        let (width, height) = (1024, 768);
        let frame = ViewFrame {
            image_width: width,
            image_height: height,
            view: PixelRect::of_size(width, height),
            content_width: width,
            content_height: height,
            input_side: 1024,
        };
        let view = PreparedView { frame, rgb: Vec::new() };
        let points: Vec<LabeledPoint> = grid(&view, 64).collect();
        assert_eq!(points.len(), 64);
        for (index, point) in points.iter().enumerate() {
            assert!(point.x > 0.0 && point.x < 1024.0 && point.y > 0.0 && point.y < 768.0);
            assert!(!points[..index].contains(point));
        }
        let lone = grid(&view, 1).next().unwrap();
        assert_eq!((lone.x, lone.y), (512.0, 384.0));
    }
}

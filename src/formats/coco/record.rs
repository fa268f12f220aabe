//! One JSON record into an image, an annotation or a category, or the reason why not.
//!
//! Invariant: nothing is guessed. What pycocotools would read wrongly or die of is refused here with its reason.

use super::{CocoAnnotation, CocoImage};
use crate::raster::{MAX_SIDE, Mask, MaskError, Ring, RingError, RleStringError, mask_from_rings, rle_from_string};
use serde_json::{Map, Value};

/// Why a record was left out.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum RefusalReason {
    /// A list holds something else than objects.
    #[error("it is not a JSON object; expected {{\"id\": ...}}")]
    NotAnObject,
    /// A key that is needed is not there.
    #[error("it has no \"{0}\"; expected {1}")]
    Missing(&'static str, &'static str),
    /// A key holds something unusable.
    #[error("its \"{key}\" is {found}; expected {expected}")]
    BadValue {
        /// The key.
        key: &'static str,
        /// What was there, shortened.
        found: String,
        /// What should have been there.
        expected: &'static str,
    },
    /// The id was used before; the first record with it was kept.
    #[error("its id was used before in this file; expected every id once (the first was kept)")]
    DuplicateId,
    /// The picture is not in the file, or was itself refused.
    #[error("its image_id {0} is not among the images that were read; add the image or correct the id")]
    UnknownImage(i64),
    /// The category is not in the file, or was itself refused.
    #[error("its category_id {0} is not among the categories that were read; add the category or correct the id")]
    UnknownCategory(i64),
    /// `"segmentation": []`, which ends pycocotools' evaluation.
    #[error("its segmentation is empty; expected at least one ring or a run-length object")]
    EmptySegmentation,
    /// One list of numbers instead of a list of lists.
    #[error("its segmentation is a flat list of numbers; expected a list of rings [[x0, y0, x1, y1, ...], ...]")]
    FlatRing,
    /// A list of points instead of a flat ring.
    #[error("ring {0} is a list of points; expected flat numbers [x0, y0, x1, y1, ...]")]
    NestedPairs(usize),
    /// A ring that is no list.
    #[error("ring {0} is not a list of numbers; expected [x0, y0, x1, y1, ...]")]
    RingNotAList(usize),
    /// A coordinate without its partner.
    #[error("ring {ring} has {found} numbers; expected an even count of x y pairs")]
    OddRing {
        /// Which ring, from 0.
        ring: usize,
        /// Numbers found.
        found: usize,
    },
    /// Fewer than three points.
    #[error("ring {ring} has {found} numbers; expected at least 6, three points")]
    ShortRing {
        /// Which ring, from 0.
        ring: usize,
        /// Numbers found.
        found: usize,
    },
    /// NaN, infinity, null or text for a coordinate.
    #[error("number {at} of ring {ring} is not a finite number")]
    NotANumber {
        /// Which ring, from 0.
        ring: usize,
        /// Which of its numbers, from 0.
        at: usize,
    },
    /// The run lengths are for another picture.
    #[error(
        "its run lengths are for {found_width} x {found_height} pixels; expected the image's {width} x {height} \
         (\"size\" is [height, width])"
    )]
    SizeMismatch {
        /// Columns of the run lengths.
        found_width: u32,
        /// Rows of the run lengths.
        found_height: u32,
        /// Columns of the image.
        width: u32,
        /// Rows of the image.
        height: u32,
    },
    /// A run that is no count.
    #[error("run {0} of its counts is not a whole number from 0; the file is damaged")]
    BadRun(usize),
    /// The runs do not cover the picture.
    #[error("{0}; the file is damaged")]
    Runs(MaskError),
    /// The compressed string is damaged.
    #[error("{0}")]
    RunString(RleStringError),
    /// A polygon outside the picture, or runs without inside.
    #[error("its mask covers no pixel of the image; expected at least one")]
    EmptyMask,
}

/// A JSON value, short enough for a message.
fn shown(value: &Value) -> String {
    const MOST: usize = 40;
    let text = match value {
        Value::Array(items) => return format!("a list of {}", items.len()),
        Value::Object(_) => return "an object".to_owned(),
        other => other.to_string(),
    };
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).chain("...".chars()).collect() }
}

/// A whole number, also when written as 3.0.
fn whole(value: &Value) -> Option<i64> {
    /// Up to here every whole number has its own double.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_i64().or_else(|| {
        let number = value.as_f64()?;
        (number.fract() == 0.0 && number.abs() <= EXACT).then_some(number as i64)
    })
}

fn required<'a>(
    record: &'a Map<String, Value>,
    key: &'static str,
    expected: &'static str,
) -> Result<&'a Value, RefusalReason> {
    record.get(key).filter(|value| !value.is_null()).ok_or(RefusalReason::Missing(key, expected))
}

fn bad(key: &'static str, value: &Value, expected: &'static str) -> RefusalReason {
    RefusalReason::BadValue { key, found: shown(value), expected }
}

fn required_whole(record: &Map<String, Value>, key: &'static str) -> Result<i64, RefusalReason> {
    let expected = "a whole number";
    let value = required(record, key, expected)?;
    whole(value).ok_or_else(|| bad(key, value, expected))
}

fn required_text(record: &Map<String, Value>, key: &'static str) -> Result<String, RefusalReason> {
    let expected = "text that is not empty";
    let value = required(record, key, expected)?;
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned).ok_or_else(|| bad(key, value, expected))
}

fn side(value: &Value) -> Option<u32> {
    whole(value).and_then(|side| u32::try_from(side).ok()).filter(|side| (1..=MAX_SIDE).contains(side))
}

fn required_side(record: &Map<String, Value>, key: &'static str) -> Result<u32, RefusalReason> {
    let expected = "a whole number from 1 to 65535";
    let value = required(record, key, expected)?;
    side(value).ok_or_else(|| bad(key, value, expected))
}

/// An id and an image without annotations.
pub(super) fn image(record: &Map<String, Value>) -> Result<(i64, CocoImage), RefusalReason> {
    let id = required_whole(record, "id")?;
    let file_name = required_text(record, "file_name")?;
    let (width, height) = (required_side(record, "width")?, required_side(record, "height")?);
    Ok((id, CocoImage { file_name, width, height, annotations: Vec::new() }))
}

/// An id and a name.
pub(super) fn category(record: &Map<String, Value>) -> Result<(i64, String), RefusalReason> {
    Ok((required_whole(record, "id")?, required_text(record, "name")?))
}

/// An annotation whose image and category are still to be looked up.
#[derive(Debug)]
pub(super) struct PendingAnnotation {
    /// Where it stood in its list, from 0.
    pub(super) position: usize,
    pub(super) id: Option<i64>,
    pub(super) image_id: i64,
    pub(super) category_id: i64,
    pub(super) crowd: bool,
    shape: Shape,
    predicted_iou: Option<f32>,
    stability: Option<f32>,
}

#[derive(Debug)]
enum Shape {
    Rings(Vec<Ring>),
    Runs { width: u32, height: u32, counts: Vec<u32> },
    RunString { width: u32, height: u32, counts: String },
}

impl PendingAnnotation {
    pub(super) fn new(position: usize, record: &Map<String, Value>) -> Result<Self, RefusalReason> {
        let id = match record.get("id") {
            None | Some(Value::Null) => None,
            Some(value) => Some(whole(value).ok_or_else(|| bad("id", value, "a whole number"))?),
        };
        let score = |key| record.get(key).and_then(Value::as_f64).map(|score| score as f32);
        Ok(Self {
            position,
            id,
            image_id: required_whole(record, "image_id")?,
            category_id: required_whole(record, "category_id")?,
            crowd: record.get("iscrowd").and_then(whole) == Some(1),
            shape: Shape::new(required(record, "segmentation", "rings or a run-length object")?)?,
            predicted_iou: score("predicted_iou"),
            stability: score("stability_score"),
        })
    }

    /// The annotation on its image, its mask made.
    pub(super) fn resolve(self, category: &str, image: &CocoImage) -> Result<CocoAnnotation, RefusalReason> {
        let (width, height) = (image.width, image.height);
        let check = |found_width, found_height| {
            if (found_width, found_height) == (width, height) {
                Ok(())
            } else {
                Err(RefusalReason::SizeMismatch { found_width, found_height, width, height })
            }
        };
        let mask = match self.shape {
            Shape::Rings(rings) => mask_from_rings(width, height, &rings).map_err(|error| match error {
                RingError::TooFewVertices { ring, found } => RefusalReason::ShortRing { ring, found: 2 * found },
                RingError::NotFinite { ring, vertex } => RefusalReason::NotANumber { ring, at: 2 * vertex },
                RingError::TooLarge { width, height } => RefusalReason::Runs(MaskError::TooLarge { width, height }),
            })?,
            Shape::Runs { width, height, counts } => {
                check(width, height)?;
                Mask::from_runs(width, height, &counts).map_err(RefusalReason::Runs)?
            }
            Shape::RunString { width, height, counts } => {
                check(width, height)?;
                rle_from_string(width, height, &counts).map_err(RefusalReason::RunString)?
            }
        };
        if mask.is_empty() {
            return Err(RefusalReason::EmptyMask);
        }
        let category = category.to_owned();
        Ok(CocoAnnotation { category, mask, predicted_iou: self.predicted_iou, stability: self.stability })
    }
}

impl Shape {
    fn new(value: &Value) -> Result<Self, RefusalReason> {
        match value {
            Value::Array(rings) if rings.is_empty() => Err(RefusalReason::EmptySegmentation),
            Value::Array(rings) if rings[0].is_number() => Err(RefusalReason::FlatRing),
            Value::Array(rings) => rings
                .iter()
                .enumerate()
                .map(|(index, value)| ring(index, value))
                .collect::<Result<_, _>>()
                .map(Self::Rings),
            Value::Object(object) => Self::from_runs(object),
            other => Err(bad("segmentation", other, "a list of rings or a run-length object")),
        }
    }

    fn from_runs(object: &Map<String, Value>) -> Result<Self, RefusalReason> {
        let expected = "[height, width], each from 1 to 65535";
        let size = required(object, "size", expected)?;
        let sides = size.as_array().map(|sides| sides.iter().map(side).collect::<Vec<_>>());
        let Some([Some(height), Some(width)]) = sides.as_deref() else {
            return Err(bad("size", size, expected));
        };
        let (width, height) = (*width, *height);
        match required(object, "counts", "a list of run lengths or a compressed string")? {
            Value::String(counts) => Ok(Self::RunString { width, height, counts: counts.clone() }),
            Value::Array(counts) => {
                let run = |(index, value)| {
                    whole(value).and_then(|run| u32::try_from(run).ok()).ok_or(RefusalReason::BadRun(index))
                };
                let counts = counts.iter().enumerate().map(run).collect::<Result<_, _>>()?;
                Ok(Self::Runs { width, height, counts })
            }
            other => Err(bad("counts", other, "a list of run lengths or a compressed string")),
        }
    }
}

fn ring(ring: usize, value: &Value) -> Result<Ring, RefusalReason> {
    let Value::Array(numbers) = value else { return Err(RefusalReason::RingNotAList(ring)) };
    if numbers.first().is_some_and(Value::is_array) {
        return Err(RefusalReason::NestedPairs(ring));
    }
    let found = numbers.len();
    if found % 2 == 1 {
        return Err(RefusalReason::OddRing { ring, found });
    }
    if found < 6 {
        return Err(RefusalReason::ShortRing { ring, found });
    }
    let number = |at: usize| {
        numbers[at].as_f64().filter(|number| number.is_finite()).ok_or(RefusalReason::NotANumber { ring, at })
    };
    (0..found / 2).map(|vertex| Ok([number(2 * vertex)?, number(2 * vertex + 1)?])).collect()
}

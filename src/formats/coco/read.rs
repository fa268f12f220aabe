//! Reads COCO files of any origin: rings, run-length lists and strings; what is unusable is listed, the rest loads.
//!
//! Records are taken one at a time as the text is parsed, so that memory holds masks and not the JSON tree.
//! Invariant: every record of the file is either in the dataset or in the list of refusals.

use super::json::without_bare_nan;
use super::record::{self, PendingAnnotation, RefusalReason};
use super::{CocoDataset, CocoImage};
use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::Read;
use std::path::Path;

/// Why a whole file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum CocoReadError {
    /// The system would not read the file.
    #[error("{name}: cannot be read ({source}); check that it is there and that you may read it")]
    Unreadable {
        /// The file.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not text in UTF-8.
    #[error("{name}: byte {at} is not UTF-8; expected a COCO JSON file in UTF-8, save it so")]
    NotUtf8 {
        /// The file.
        name: String,
        /// The first byte that is not.
        at: usize,
    },
    /// Not JSON, or JSON of another shape.
    #[error(
        "{name}: is no COCO JSON ({reason}); expected an object with the lists \"images\", \"annotations\" and \
         \"categories\""
    )]
    NotCoco {
        /// The file.
        name: String,
        /// What the parser said, with line and column.
        reason: String,
    },
    /// JSON without pictures.
    #[error("{name}: has no \"images\" list; expected a COCO dataset (a list of results alone cannot be read)")]
    NoImages {
        /// The file.
        name: String,
    },
}

/// What kind of record was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// An entry of "images".
    Image,
    /// An entry of "annotations".
    Annotation,
    /// An entry of "categories".
    Category,
}

/// A record that was left out.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoRefusal {
    /// The file.
    pub file: String,
    /// Its kind.
    pub kind: RecordKind,
    /// Where it stands in its list, from 1.
    pub position: usize,
    /// Its id as written, if it has one.
    pub id: Option<String>,
    /// Why.
    pub reason: RefusalReason,
}

impl fmt::Display for CocoRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            RecordKind::Image => "image",
            RecordKind::Annotation => "annotation",
            RecordKind::Category => "category",
        };
        write!(f, "{}: {kind} {}", self.file, self.position)?;
        if let Some(id) = &self.id {
            write!(f, " (id {id})")?;
        }
        write!(f, " was left out: {}", self.reason)
    }
}

/// What a user should know about how the file was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CocoReadNote {
    /// The file has no "categories"; labels were made from the category ids.
    NoCategories,
    /// So many annotations were marked `iscrowd: 1` and came in as ordinary objects.
    CrowdsAsObjects(usize),
}

impl fmt::Display for CocoReadNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCategories => f.write_str("the file has no categories, so the category ids became the labels"),
            Self::CrowdsAsObjects(count) => {
                write!(f, "{count} objects were marked iscrowd 1 (regions to ignore) and are ordinary objects now")
            }
        }
    }
}

/// What a file held.
#[derive(Debug, Clone, PartialEq)]
pub struct CocoRead {
    /// The usable part.
    pub dataset: CocoDataset,
    /// The rest, with reasons, in the file's order of lists.
    pub refusals: Vec<CocoRefusal>,
    /// What was read differently from how it was written.
    pub notes: Vec<CocoReadNote>,
}

/// Reads a COCO file.
///
/// # Errors
/// [`CocoReadError`] if nothing of it can be used; single bad records are listed in the answer instead.
pub fn read_coco(path: &Path) -> Result<CocoRead, CocoReadError> {
    let name = path.display().to_string();
    let unreadable = |source| CocoReadError::Unreadable { name: name.clone(), source };
    let mut file = std::fs::File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    let length = file.metadata().map_err(unreadable)?.len();
    bytes.try_reserve_exact(length as usize).map_err(|e| unreadable(std::io::Error::other(e)))?;
    file.read_to_end(&mut bytes).map_err(unreadable)?;
    read_coco_bytes(&name, &bytes)
}

/// Reads a COCO file that is in memory already; `name` is what messages call it.
///
/// # Errors
/// As [`read_coco`].
pub fn read_coco_bytes(name: &str, bytes: &[u8]) -> Result<CocoRead, CocoReadError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes)
        .map_err(|e| CocoReadError::NotUtf8 { name: name.to_owned(), at: e.valid_up_to() })?;
    let text = without_bare_nan(text);
    let mut collector = Collector { name, ..Collector::default() };
    let mut parser = serde_json::Deserializer::from_str(&text);
    (&mut collector)
        .deserialize(&mut parser)
        .and_then(|()| parser.end())
        .map_err(|e| CocoReadError::NotCoco { name: name.to_owned(), reason: e.to_string() })?;
    if !collector.has_images {
        return Err(CocoReadError::NoImages { name: name.to_owned() });
    }
    Ok(collector.finish())
}

/// Everything seen so far. Lists may come in any order, so annotations wait for images and categories.
#[derive(Default)]
struct Collector<'a> {
    name: &'a str,
    has_images: bool,
    has_categories: bool,
    images: Vec<CocoImage>,
    image_of_id: HashMap<i64, usize>,
    categories: Vec<String>,
    category_of_id: HashMap<i64, usize>,
    category_of_name: HashMap<String, usize>,
    pending: Vec<PendingAnnotation>,
    refusals: Vec<CocoRefusal>,
}

impl Collector<'_> {
    fn take(&mut self, kind: RecordKind, position: usize, value: &Value) {
        let taken = match value.as_object() {
            None => Err(RefusalReason::NotAnObject),
            Some(object) => match kind {
                RecordKind::Image => record::image(object).and_then(|(id, image)| {
                    insert_once(&mut self.image_of_id, id, self.images.len())?;
                    self.images.push(image);
                    Ok(())
                }),
                RecordKind::Category => record::category(object).and_then(|(id, name)| {
                    // Two ids may share a name; they are one label then.
                    let place = self.category_of_name.get(&name).copied().unwrap_or(self.categories.len());
                    insert_once(&mut self.category_of_id, id, place)?;
                    if place == self.categories.len() {
                        self.category_of_name.insert(name.clone(), place);
                        self.categories.push(name);
                    }
                    Ok(())
                }),
                RecordKind::Annotation => {
                    PendingAnnotation::new(position, object).map(|annotation| self.pending.push(annotation))
                }
            },
        };
        if let Err(reason) = taken {
            self.refuse(kind, position, value.get("id").map(Value::to_string), reason);
        }
    }

    fn refuse(&mut self, kind: RecordKind, position: usize, id: Option<String>, reason: RefusalReason) {
        let file = self.name.to_owned();
        self.refusals.push(CocoRefusal { file, kind, position: position + 1, id, reason });
    }

    fn finish(mut self) -> CocoRead {
        let mut notes = Vec::new();
        if !self.has_categories && !self.pending.is_empty() {
            notes.push(CocoReadNote::NoCategories);
        }
        let mut seen = HashSet::new();
        let mut crowds = 0;
        for annotation in std::mem::take(&mut self.pending) {
            let (position, id, crowd) = (annotation.position, annotation.id, annotation.crowd);
            if let Err(reason) = self.place(annotation, &mut seen) {
                self.refuse(RecordKind::Annotation, position, id.map(|id| id.to_string()), reason);
            } else if crowd {
                crowds += 1;
            }
        }
        if crowds > 0 {
            notes.push(CocoReadNote::CrowdsAsObjects(crowds));
        }
        let dataset = CocoDataset { categories: self.categories, images: self.images };
        CocoRead { dataset, refusals: self.refusals, notes }
    }

    fn place(&mut self, annotation: PendingAnnotation, seen: &mut HashSet<i64>) -> Result<(), RefusalReason> {
        if annotation.id.is_some_and(|id| !seen.insert(id)) {
            return Err(RefusalReason::DuplicateId);
        }
        let unknown = RefusalReason::UnknownImage(annotation.image_id);
        let image = *self.image_of_id.get(&annotation.image_id).ok_or(unknown)?;
        let category_id = annotation.category_id;
        let category = match self.category_of_id.get(&category_id) {
            Some(&category) => category,
            None if self.has_categories => return Err(RefusalReason::UnknownCategory(category_id)),
            None => {
                self.categories.push(category_id.to_string());
                self.category_of_id.insert(category_id, self.categories.len() - 1);
                self.categories.len() - 1
            }
        };
        let annotation = annotation.resolve(&self.categories[category], &self.images[image])?;
        self.images[image].annotations.push(annotation);
        Ok(())
    }
}

fn insert_once(places: &mut HashMap<i64, usize>, id: i64, place: usize) -> Result<(), RefusalReason> {
    if places.contains_key(&id) {
        return Err(RefusalReason::DuplicateId);
    }
    places.insert(id, place);
    Ok(())
}

impl<'de> DeserializeSeed<'de> for &mut Collector<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Collector<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a COCO dataset object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            let kind = match key.as_str() {
                "images" => RecordKind::Image,
                "annotations" => RecordKind::Annotation,
                "categories" => RecordKind::Category,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            self.has_images |= kind == RecordKind::Image;
            self.has_categories |= kind == RecordKind::Category;
            map.next_value_seed(RecordList { kind, collector: &mut *self })?;
        }
        Ok(())
    }
}

/// One of the three lists, its records handed on one by one.
struct RecordList<'a, 'b> {
    kind: RecordKind,
    collector: &'a mut Collector<'b>,
}

impl<'de> DeserializeSeed<'de> for RecordList<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RecordList<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        let mut position = 0;
        while let Some(value) = records.next_element::<Value>()? {
            self.collector.take(self.kind, position, &value);
            position += 1;
        }
        Ok(())
    }
}

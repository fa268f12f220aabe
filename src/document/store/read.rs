//! Reads all of a project file, and goes on where a part is damaged.
//!
//! Invariant: what is returned is consistent (it is built by edits), and everything left out is named in `damage`.

use super::encoding::{checksum, runs_from_bytes};
use super::{Contents, StoredDraft};
use crate::document::{Annotation, AnnotationId, Colour, Edit, ImageName, ImageSize, Label, LabelId, Origin, Project};
use crate::raster::Mask;
use rusqlite::{Connection, Row};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What could be read.
pub struct Read {
    pub contents: Contents,
    /// What could not, in words for people.
    pub damage: Vec<String>,
}

/// Reads the file. Damaged rows are left out and named.
///
/// # Errors
/// Failures of the system; damage is no error here.
pub fn read(connection: &Connection) -> rusqlite::Result<Read> {
    let mut damage = Vec::new();
    let mut project = Project::new();
    let mut apply = |edit: Edit, damage: &mut Vec<String>| {
        if let Err(error) = project.apply(&edit) {
            damage.push(error.to_string());
        }
    };

    let mut labels = rows(connection, "labels", "id", "id, position, name, colour", label, &mut damage)?;
    labels.sort_by_key(|(position, label)| (*position, label.id));
    for (position, (_, label)) in labels.into_iter().enumerate() {
        apply(Edit::AddLabel { position, label }, &mut damage);
    }

    let images = rows(connection, "images", "name", "name, width, height", image, &mut damage)?;
    for (image, size) in images {
        apply(Edit::AddImage { image, size }, &mut damage);
    }

    let columns = "id, image, position, width, height, runs, prompt, threshold, predicted_iou, stability, model, \
                   checksum, label, colour, name, hidden, locked";
    let mut annotations = rows(connection, "annotations", "id", columns, annotation, &mut damage)?;
    annotations.sort_by_key(|row| (row.position, row.annotation.id));
    for AnnotationRow { image, mut annotation, .. } in annotations {
        if project.image(&image).is_none() {
            damage.push(format!("the picture {image} was missing"));
            let size = ImageSize { width: annotation.mask.width(), height: annotation.mask.height() };
            let _ = project.apply(&Edit::AddImage { image: image.clone(), size: Some(size) });
        }
        if annotation.label.is_some_and(|label| project.label(label).is_none()) {
            damage.push(format!("the label of object {} was missing", annotation.id.0));
            annotation.label = None;
        }
        let position = project.image(&image).map_or(0, |entry| entry.annotations().len());
        let edit = Edit::AddAnnotation { image, position, annotation: Arc::new(annotation) };
        if let Err(error) = project.apply(&edit) {
            damage.push(error.to_string());
        }
    }

    let drafts = rows(connection, "drafts", "image", "image, prompt, correcting", draft, &mut damage)?;
    let drafts: BTreeMap<_, _> = drafts.into_iter().filter(|(image, _)| project.image(image).is_some()).collect();

    let settings = rows(connection, "settings", "name", "name, value", setting, &mut damage)?;
    let last_image = settings
        .into_iter()
        .find(|(name, _)| name == "last_image")
        .and_then(|(_, value)| ImageName::new(&value).ok())
        .filter(|image| project.image(image).is_some());

    Ok(Read { contents: Contents { project, drafts, last_image }, damage })
}

/// All rows of a table that can be read. Where reading stops at a damaged page, it is tried from the other end.
fn rows<T>(
    connection: &Connection,
    table: &str,
    key: &str,
    columns: &str,
    parse: impl Fn(&Row<'_>) -> Result<T, String>,
    damage: &mut Vec<String>,
) -> rusqlite::Result<Vec<T>> {
    let mut found = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for direction in ["ASC", "DESC"] {
        let sql = format!("SELECT {columns} FROM {table} ORDER BY {key} {direction}");
        let mut query = match connection.prepare(&sql) {
            Ok(query) => query,
            Err(error) if super::schema::is_damage(&error) => {
                damage.push(format!("the table of {table} cannot be read ({error})"));
                return Ok(found);
            }
            Err(error) => return Err(error),
        };
        let mut cursor = query.query([])?;
        let stopped_by = loop {
            match cursor.next() {
                Ok(Some(row)) => {
                    let name = row.get::<_, rusqlite::types::Value>(0).map(|value| format!("{value:?}"));
                    if !seen.insert(name.unwrap_or_default()) {
                        continue;
                    }
                    match parse(row) {
                        Ok(value) => found.push(value),
                        Err(problem) => damage.push(problem),
                    }
                }
                Ok(None) => break None,
                Err(error) if super::schema::is_damage(&error) => break Some(error),
                Err(error) => return Err(error),
            }
        };
        match stopped_by {
            None => break,
            Some(error) => damage.push(format!("a part of the {table} cannot be read ({error})")),
        }
    }
    Ok(found)
}

fn label(row: &Row<'_>) -> Result<(i64, Label), String> {
    let read = || -> rusqlite::Result<_> {
        let colour = Colour::from_hex(row.get(3)?);
        Ok((row.get(1)?, row.get::<_, i64>(0)?, row.get(2)?, colour))
    };
    let (position, id, name, colour): (i64, i64, String, Colour) =
        read().map_err(|error| format!("a label is damaged ({error})"))?;
    let id = LabelId(u64::try_from(id).map_err(|_| format!("the label {name} has the number {id}"))?);
    Ok((position, Label { id, name, colour }))
}

fn image(row: &Row<'_>) -> Result<(ImageName, Option<ImageSize>), String> {
    let read =
        || -> rusqlite::Result<(String, Option<u32>, Option<u32>)> { Ok((row.get(0)?, row.get(1)?, row.get(2)?)) };
    let (name, width, height) = read().map_err(|error| format!("a picture's entry is damaged ({error})"))?;
    let name = ImageName::new(&name).map_err(|error| error.to_string())?;
    Ok((name, width.zip(height).map(|(width, height)| ImageSize { width, height })))
}

struct AnnotationRow {
    image: ImageName,
    position: i64,
    annotation: Annotation,
}

fn annotation(row: &Row<'_>) -> Result<AnnotationRow, String> {
    let id: i64 = row.get(0).map_err(|error| format!("an object is damaged ({error})"))?;
    let damaged = |problem: String| format!("object {id} is damaged ({problem})");
    let sql = |error: rusqlite::Error| damaged(error.to_string());
    let image: String = row.get(1).map_err(sql)?;
    let image = ImageName::new(&image).map_err(|error| damaged(error.to_string()))?;
    let position = row.get(2).map_err(sql)?;
    let (width, height): (u32, u32) = (row.get(3).map_err(sql)?, row.get(4).map_err(sql)?);
    let bytes: Vec<u8> = row.get(5).map_err(sql)?;
    let prompt: Option<String> = row.get(6).map_err(sql)?;
    let sum: Vec<u8> = row.get(11).map_err(sql)?;
    let runs = runs_from_bytes(&bytes).ok_or_else(|| damaged("its mask cannot be read".to_owned()))?;
    let mask = Mask::from_runs(width, height, &runs).map_err(|error| damaged(error.to_string()))?;
    if sum != checksum(&mask, &bytes, prompt.as_deref()) {
        return Err(damaged("its checksum does not fit".to_owned()));
    }
    let origin = prompt
        .map(|text| -> Result<Origin, String> {
            let number = |column| row.get::<_, Option<f32>>(column).map_err(sql);
            Ok(Origin {
                prompt: serde_json::from_str(&text).map_err(|error| damaged(error.to_string()))?,
                threshold: number(7)?.unwrap_or_default(),
                // SQLite keeps NaN as NULL.
                predicted_iou: number(8)?.unwrap_or(f32::NAN),
                stability: number(9)?.unwrap_or(f32::NAN),
                model_id: row.get::<_, Option<String>>(10).map_err(sql)?.unwrap_or_default(),
            })
        })
        .transpose()?;
    let label: Option<i64> = row.get(12).map_err(sql)?;
    let colour: Option<u32> = row.get(13).map_err(sql)?;
    let number = |value: i64| u64::try_from(value).map_err(|_| damaged(format!("the number {value}")));
    let annotation = Annotation {
        id: AnnotationId(number(id)?),
        mask,
        origin,
        label: label.map(number).transpose()?.map(LabelId),
        colour: colour.map(Colour::from_hex),
        name: row.get(14).map_err(sql)?,
        hidden: row.get(15).map_err(sql)?,
        locked: row.get(16).map_err(sql)?,
    };
    Ok(AnnotationRow { image, position, annotation })
}

fn draft(row: &Row<'_>) -> Result<(ImageName, StoredDraft), String> {
    let damaged = |problem: String| format!("a draft is damaged ({problem})");
    let sql = |error: rusqlite::Error| damaged(error.to_string());
    let image: String = row.get(0).map_err(sql)?;
    let image = ImageName::new(&image).map_err(|error| damaged(error.to_string()))?;
    let prompt: String = row.get(1).map_err(sql)?;
    let prompt = serde_json::from_str(&prompt).map_err(|error| damaged(error.to_string()))?;
    let correcting: Option<i64> = row.get(2).map_err(sql)?;
    let correcting = correcting.and_then(|id| u64::try_from(id).ok()).map(AnnotationId);
    Ok((image, StoredDraft { prompt, correcting }))
}

fn setting(row: &Row<'_>) -> Result<(String, String), String> {
    let read = || -> rusqlite::Result<_> { Ok((row.get(0)?, row.get(1)?)) };
    read().map_err(|error| format!("a setting is damaged ({error})"))
}

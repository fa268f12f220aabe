//! Edits as SQL: what `Project::apply` does in memory, done to the file in one transaction.
//!
//! Invariant (tested): after the same edits, reading the file gives the project in memory.

use super::encoding::{bytes_from_runs, checksum};
use super::{Contents, StoreError, StoredDraft, database};
use crate::document::{Annotation, AnnotationId, Edit, ImageName, ImageSize, Label, LabelId, Origin};
use crate::raster::Mask;
use rusqlite::{Connection, Params, Transaction, TransactionBehavior, params};
use std::path::Path;

/// Why a part of a transaction failed.
pub enum WriteFailure {
    Database(rusqlite::Error),
    OutOfStep(String),
}

impl From<rusqlite::Error> for WriteFailure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error)
    }
}

type Written = Result<(), WriteFailure>;

/// Runs `work` in one transaction; if it fails the file is as before.
pub fn in_transaction(
    connection: &mut Connection,
    path: &Path,
    work: impl FnOnce(&Writer<'_>) -> Written,
) -> Result<(), StoreError> {
    let run = || -> Written {
        let writer = Writer(connection.transaction_with_behavior(TransactionBehavior::Immediate)?);
        work(&writer)?;
        Ok(writer.0.commit()?)
    };
    run().map_err(|failure| match failure {
        WriteFailure::Database(source) => database(path, source),
        WriteFailure::OutOfStep(what) => StoreError::OutOfStep { path: path.to_path_buf(), what },
    })
}

/// Fills a new file.
pub fn write_contents(connection: &mut Connection, path: &Path, contents: &Contents) -> Result<(), StoreError> {
    in_transaction(connection, path, |writer| {
        for (position, label) in contents.project.labels().iter().enumerate() {
            writer.add_label(position, label)?;
        }
        for image in contents.project.images() {
            writer.add_image(image.name(), image.size())?;
            for (position, annotation) in image.annotations().iter().enumerate() {
                writer.insert_annotation(image.name(), position, annotation)?;
            }
        }
        for (image, draft) in &contents.drafts {
            writer.draft(image, Some(draft))?;
        }
        contents.last_image.as_ref().map_or(Ok(()), |image| writer.last_image(image))
    })
}

/// An open transaction.
pub struct Writer<'a>(Transaction<'a>);

impl Writer<'_> {
    /// Does an edit.
    pub fn edit(&self, edit: &Edit) -> Written {
        match edit {
            Edit::Together(edits) => edits.iter().try_for_each(|edit| self.edit(edit)),
            Edit::AddImage { image, size } => self.add_image(image, *size),
            Edit::RemoveImage { image } => {
                self.one("DELETE FROM images WHERE name = ?1", params![image.as_str()], || format!("picture {image}"))
            }
            Edit::SetImageSize { image, size } => self.one(
                "UPDATE images SET width = ?2, height = ?3 WHERE name = ?1",
                params![image.as_str(), size.map(|size| size.width), size.map(|size| size.height)],
                || format!("picture {image}"),
            ),
            Edit::AddAnnotation { image, position, annotation } => {
                self.shift_annotations(image, *position, 1)?;
                self.insert_annotation(image, *position, annotation)
            }
            Edit::RemoveAnnotation { image, id } => {
                let position = self.annotation_position(image, *id)?;
                self.set(
                    *id,
                    image,
                    "DELETE FROM annotations WHERE id = ?1 AND image = ?2",
                    params![row_id(id.0), image.as_str()],
                )?;
                self.shift_annotations(image, position, -1)
            }
            Edit::SetMask { image, id, mask, origin } => self.set_mask(image, *id, mask, origin.as_deref()),
            Edit::SetLabel { image, id, label } => self.set(
                *id,
                image,
                "UPDATE annotations SET label = ?3 WHERE id = ?1 AND image = ?2",
                params![row_id(id.0), image.as_str(), label.map(|label| row_id(label.0))],
            ),
            Edit::SetColour { image, id, colour } => self.set(
                *id,
                image,
                "UPDATE annotations SET colour = ?3 WHERE id = ?1 AND image = ?2",
                params![row_id(id.0), image.as_str(), colour.map(|colour| colour.to_hex())],
            ),
            Edit::SetName { image, id, name } => self.set(
                *id,
                image,
                "UPDATE annotations SET name = ?3 WHERE id = ?1 AND image = ?2",
                params![row_id(id.0), image.as_str(), name],
            ),
            Edit::SetHidden { image, id, hidden } => self.set(
                *id,
                image,
                "UPDATE annotations SET hidden = ?3 WHERE id = ?1 AND image = ?2",
                params![row_id(id.0), image.as_str(), hidden],
            ),
            Edit::SetLocked { image, id, locked } => self.set(
                *id,
                image,
                "UPDATE annotations SET locked = ?3 WHERE id = ?1 AND image = ?2",
                params![row_id(id.0), image.as_str(), locked],
            ),
            Edit::MoveAnnotation { image, id, position } => {
                let from = self.annotation_position(image, *id)?;
                self.shift_annotations(image, from + 1, -1)?;
                self.shift_annotations(image, *position, 1)?;
                self.set(
                    *id,
                    image,
                    "UPDATE annotations SET position = ?3 WHERE id = ?1 AND image = ?2",
                    params![row_id(id.0), image.as_str(), row_position(*position)],
                )
            }
            Edit::AddLabel { position, label } => {
                self.shift_labels(*position, 1)?;
                self.add_label(*position, label)
            }
            Edit::RemoveLabel { id } => {
                let position = self.label_position(*id)?;
                self.one("DELETE FROM labels WHERE id = ?1", params![row_id(id.0)], || format!("label {}", id.0))?;
                self.shift_labels(position, -1)
            }
            Edit::RenameLabel { id, name } => {
                self.one("UPDATE labels SET name = ?2 WHERE id = ?1", params![row_id(id.0), name], || {
                    format!("label {}", id.0)
                })
            }
            Edit::RecolourLabel { id, colour } => {
                self.one("UPDATE labels SET colour = ?2 WHERE id = ?1", params![row_id(id.0), colour.to_hex()], || {
                    format!("label {}", id.0)
                })
            }
            Edit::MoveLabel { id, position } => {
                let from = self.label_position(*id)?;
                self.shift_labels(from + 1, -1)?;
                self.shift_labels(*position, 1)?;
                let values = params![row_id(id.0), row_position(*position)];
                self.one("UPDATE labels SET position = ?2 WHERE id = ?1", values, || format!("label {}", id.0))
            }
        }
    }

    /// Keeps or forgets a draft.
    pub fn draft(&self, image: &ImageName, draft: Option<&StoredDraft>) -> Written {
        let Some(draft) = draft else {
            self.0.prepare_cached("DELETE FROM drafts WHERE image = ?1")?.execute([image.as_str()])?;
            return Ok(());
        };
        let sql = "INSERT OR REPLACE INTO drafts (image, prompt, correcting) VALUES (?1, ?2, ?3)";
        let correcting = draft.correcting.map(|id| row_id(id.0));
        self.0.prepare_cached(sql)?.execute(params![image.as_str(), prompt_text(&draft.prompt)?, correcting])?;
        Ok(())
    }

    /// Keeps which picture is on the canvas.
    pub fn last_image(&self, image: &ImageName) -> Written {
        let sql = "INSERT OR REPLACE INTO settings (name, value) VALUES ('last_image', ?1)";
        self.0.prepare_cached(sql)?.execute([image.as_str()])?;
        Ok(())
    }

    fn add_image(&self, image: &ImageName, size: Option<ImageSize>) -> Written {
        let sql = "INSERT INTO images (name, width, height) VALUES (?1, ?2, ?3)";
        let values = params![image.as_str(), size.map(|size| size.width), size.map(|size| size.height)];
        self.0.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn add_label(&self, position: usize, label: &Label) -> Written {
        let sql = "INSERT INTO labels (id, position, name, colour) VALUES (?1, ?2, ?3, ?4)";
        let values = params![row_id(label.id.0), row_position(position), label.name, label.colour.to_hex()];
        self.0.prepare_cached(sql)?.execute(values)?;
        Ok(())
    }

    fn insert_annotation(&self, image: &ImageName, position: usize, annotation: &Annotation) -> Written {
        let sql = "INSERT INTO annotations (id, image, position, width, height, runs, checksum, label, colour, name, \
                   hidden, locked) VALUES (?1, ?2, ?3, 0, 0, x'', x'', ?4, ?5, ?6, ?7, ?8)";
        self.0.prepare_cached(sql)?.execute(params![
            row_id(annotation.id.0),
            image.as_str(),
            row_position(position),
            annotation.label.map(|label| row_id(label.0)),
            annotation.colour.map(|colour| colour.to_hex()),
            annotation.name,
            annotation.hidden,
            annotation.locked,
        ])?;
        self.set_mask(image, annotation.id, &annotation.mask, annotation.origin.as_ref())
    }

    fn set_mask(&self, image: &ImageName, id: AnnotationId, mask: &Mask, origin: Option<&Origin>) -> Written {
        let runs = bytes_from_runs(mask.runs());
        let prompt = origin.map(|origin| prompt_text(&origin.prompt)).transpose()?;
        let checksum = checksum(mask, &runs, prompt.as_deref());
        self.set(
            id,
            image,
            "UPDATE annotations SET width = ?3, height = ?4, runs = ?5, checksum = ?6, prompt = ?7, threshold = ?8, \
             predicted_iou = ?9, stability = ?10, model = ?11 WHERE id = ?1 AND image = ?2",
            params![
                row_id(id.0),
                image.as_str(),
                mask.width(),
                mask.height(),
                runs,
                checksum,
                prompt,
                origin.map(|origin| origin.threshold),
                origin.map(|origin| origin.predicted_iou),
                origin.map(|origin| origin.stability),
                origin.map(|origin| &origin.model_id),
            ],
        )
    }

    fn annotation_position(&self, image: &ImageName, id: AnnotationId) -> Result<usize, WriteFailure> {
        let mut query = self.0.prepare_cached("SELECT position FROM annotations WHERE id = ?1 AND image = ?2")?;
        position(query.query_row(params![row_id(id.0), image.as_str()], |row| row.get(0)), || {
            format!("object {} of {image}", id.0)
        })
    }

    fn label_position(&self, id: LabelId) -> Result<usize, WriteFailure> {
        let mut query = self.0.prepare_cached("SELECT position FROM labels WHERE id = ?1")?;
        position(query.query_row([row_id(id.0)], |row| row.get(0)), || format!("label {}", id.0))
    }

    fn shift_annotations(&self, image: &ImageName, from: usize, by: i64) -> Written {
        let sql = "UPDATE annotations SET position = position + ?3 WHERE image = ?1 AND position >= ?2";
        self.0.prepare_cached(sql)?.execute(params![image.as_str(), row_position(from), by])?;
        Ok(())
    }

    fn shift_labels(&self, from: usize, by: i64) -> Written {
        let sql = "UPDATE labels SET position = position + ?2 WHERE position >= ?1";
        self.0.prepare_cached(sql)?.execute(params![row_position(from), by])?;
        Ok(())
    }

    fn set(&self, id: AnnotationId, image: &ImageName, sql: &str, values: impl Params) -> Written {
        self.one(sql, values, || format!("object {} of {image}", id.0))
    }

    /// Runs SQL that must change exactly one row.
    fn one(&self, sql: &str, values: impl Params, what: impl FnOnce() -> String) -> Written {
        match self.0.prepare_cached(sql)?.execute(values)? {
            1 => Ok(()),
            _ => Err(WriteFailure::OutOfStep(what())),
        }
    }
}

fn position(found: rusqlite::Result<i64>, what: impl FnOnce() -> String) -> Result<usize, WriteFailure> {
    match found {
        Ok(position) => usize::try_from(position).map_err(|_| WriteFailure::OutOfStep(what())),
        Err(rusqlite::Error::QueryReturnedNoRows) => Err(WriteFailure::OutOfStep(what())),
        Err(error) => Err(error.into()),
    }
}

/// SQLite's integers have a sign. Ids count up from 1 and never come near it.
fn row_id(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}

fn row_position(position: usize) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

fn prompt_text(prompt: &crate::prompt::Prompt) -> Result<String, WriteFailure> {
    serde_json::to_string(prompt)
        .map_err(|error| WriteFailure::OutOfStep(format!("a prompt that cannot be written: {error}")))
}

//! Imports as the window asks for them: the COCO reader of `formats` on the engine's heavy lane.

use crate::document::ImportedDataset;
use crate::engine::{JobControl, JobError};
use crate::formats::coco::import_coco;
use std::path::Path;

/// Reads a file of annotations.
///
/// # Errors
/// [`JobError::Failed`] with the reader's own words, which name the file.
pub fn import(path: &Path, control: &JobControl<'_>) -> Result<ImportedDataset, JobError> {
    let dataset = import_coco(path).map_err(|error| JobError::Failed(error.to_string()))?;
    control.check()?;
    Ok(dataset)
}

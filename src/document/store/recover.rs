//! A damaged project file: what can be read is taken over, the file itself is kept under another name.

use super::location::{log_of, with_suffix};
use super::{Contents, StoreError, io_error, read};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::path::{Path, PathBuf};

/// What came out of a damaged file.
pub struct Rescued {
    /// What could be read.
    pub contents: Contents,
    /// What happened, for the user.
    pub remark: String,
}

/// Reads what can be read and moves the file (with its log) aside, so that a new one can take its place.
///
/// # Errors
/// The file cannot be moved; it is then untouched.
pub fn rescue(connection: Option<Connection>, path: &Path, problem: &str) -> Result<Rescued, StoreError> {
    let read = connection.and_then(|connection| {
        let read = read::read(&connection).ok();
        // The last connection to close would move the log into the main file; both are to stay as they are.
        let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        let _ = connection.close();
        read
    });
    let kept = move_aside(path)?;
    let contents = read.map(|read| read.contents).unwrap_or_default();
    let remark = format!(
        "The project file was damaged ({problem}). {} objects on {} pictures could be read and are here; the damaged \
         file is kept as {}.",
        contents.project.annotation_count(),
        contents.project.images().filter(|image| !image.annotations().is_empty()).count(),
        kept.display()
    );
    tracing::warn!("{remark}");
    Ok(Rescued { contents, remark })
}

fn move_aside(path: &Path) -> Result<PathBuf, StoreError> {
    let kept = (1..)
        .map(|number| with_suffix(path, &format!(".damaged-{number}")))
        .find(|kept| !kept.exists())
        .unwrap_or_else(|| with_suffix(path, ".damaged"));
    std::fs::rename(path, &kept).map_err(|source| io_error(path, source))?;
    let log = log_of(path);
    if log.exists() {
        std::fs::rename(&log, log_of(&kept)).map_err(|source| io_error(&log, source))?;
    }
    // The index of the log is made anew from the log.
    let index = with_suffix(path, "-shm");
    if index.exists() {
        std::fs::remove_file(&index).map_err(|source| io_error(&index, source))?;
    }
    Ok(kept)
}

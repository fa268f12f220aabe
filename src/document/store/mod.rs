//! The project file: one SQLite database for the opened folder, written edit by edit.
//!
//! Invariants:
//! - One edit is one transaction, on the disk (`synchronous=FULL`) before [`Store::write`] returns. A process that dies
//!   at any moment loses at most the edit that it was writing.
//! - Only the process that holds the lock writes; others look ([`StoreAccess::ReadOnly`]).
//! - A file that is not ours or from a newer version is not touched. A damaged file is kept under another name.
//!
//! All methods wait for the disk: they are called on the session's project desk or in the command line.

mod encoding;
mod location;
mod lock;
mod read;
mod recover;
mod schema;
mod write;

use super::{AnnotationId, Edit, ImageName, Project};
use crate::prompt::Prompt;
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// What the project file is called where the folder can be written.
pub const STORE_FILE_NAME: &str = "maskwright.sqlite";

/// Why a project file could not be opened or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Made by a newer version of the program.
    #[error(
        "{}: written by a newer Maskwright (format {found}; this one knows up to {known}). The file is untouched; \
         open it with the newer version",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known here.
        known: i64,
    },
    /// A database of another program.
    #[error(
        "{}: this is a database of another program, not a Maskwright project. It is untouched; move or rename it, then \
         open the folder again",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Neither the folder nor a data folder can hold the work.
    #[error(
        "{}: the folder cannot be written, and there is no home folder for data where the work could be kept instead; \
         set HOME or make the folder writable",
        folder.display()
    )]
    Nowhere {
        /// The opened folder.
        folder: PathBuf,
    },
    /// An edit names something that the file does not hold.
    #[error("{}: the project file does not hold what the edit changes ({what}); reopen the folder", path.display())]
    OutOfStep {
        /// The file.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// The file system failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database failed.
    #[error("{}: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
}

/// A prompt that was not accepted yet.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StoredDraft {
    /// Everything said so far.
    pub prompt: Prompt,
    /// The object that it corrects.
    pub correcting: Option<AnnotationId>,
}

/// What a project file holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Contents {
    /// Labels, pictures, objects.
    pub project: Project,
    /// Prompts that were not accepted yet.
    pub drafts: BTreeMap<ImageName, StoredDraft>,
    /// The picture that was on the canvas.
    pub last_image: Option<ImageName>,
}

/// Whether the opened project can be written.
pub enum StoreAccess {
    /// It is ours.
    ReadWrite(Store),
    /// Another process has it.
    ReadOnly {
        /// Who: `process 4711 on workstation`.
        owner: String,
    },
}

/// An opened project.
pub struct OpenedStore {
    /// Whether it can be written.
    pub access: StoreAccess,
    /// What it holds.
    pub contents: Contents,
    /// The file.
    pub path: PathBuf,
    /// What the user should know: repairs, another project file for the same folder.
    pub remarks: Vec<String>,
}

/// A project file that is ours to write.
pub struct Store {
    connection: Connection,
    path: PathBuf,
    folder: PathBuf,
    /// Held for as long as the store lives.
    _lock: lock::ProjectLock,
}

impl Store {
    /// Opens the project of a folder, or makes it. The file lies in the folder, or under `data_folder` if the folder
    /// cannot be written.
    ///
    /// # Errors
    /// See [`StoreError`]; a damaged file is no error but repaired, with a remark.
    pub fn open(folder: &Path, data_folder: Option<&Path>) -> Result<OpenedStore, StoreError> {
        let place = location::choose(folder, data_folder, location::can_write)?;
        let mut remarks = place.remarks;
        let path = place.folder.join(STORE_FILE_NAME);
        let lock = match lock::ProjectLock::acquire(&place.folder)? {
            lock::Acquired::Ours(lock) => lock,
            lock::Acquired::Theirs { owner } => {
                let (contents, damage) = read_only_contents(&path)?;
                remarks.extend(damage);
                return Ok(OpenedStore { access: StoreAccess::ReadOnly { owner }, contents, path, remarks });
            }
        };
        let (connection, contents) = match open_checked(&path, folder)? {
            Checked::Sound(connection, contents) => (connection, *contents),
            Checked::Damaged { connection, problem } => {
                let rescued = recover::rescue(connection, &path, &problem)?;
                remarks.push(rescued.remark);
                let mut connection = open_connection(&path)?;
                schema::create(&connection, folder).map_err(|source| database(&path, source))?;
                write::write_contents(&mut connection, &path, &rescued.contents)?;
                (connection, rescued.contents)
            }
        };
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
        let store = Self { connection, path: path.clone(), folder, _lock: lock };
        Ok(OpenedStore { access: StoreAccess::ReadWrite(store), contents, path, remarks })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder whose work this is, without links; the file may lie elsewhere.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes one edit; on return it is on the disk.
    ///
    /// # Errors
    /// The file is then as before the edit.
    pub fn write(&mut self, edit: &Edit) -> Result<(), StoreError> {
        write::in_transaction(&mut self.connection, &self.path, |transaction| transaction.edit(edit))
    }

    /// Keeps a prompt that is not accepted yet, or forgets it.
    ///
    /// # Errors
    /// The file is then as before.
    pub fn write_draft(&mut self, image: &ImageName, draft: Option<&StoredDraft>) -> Result<(), StoreError> {
        write::in_transaction(&mut self.connection, &self.path, |transaction| transaction.draft(image, draft))
    }

    /// Keeps which picture is on the canvas.
    ///
    /// # Errors
    /// The file is then as before.
    pub fn write_last_image(&mut self, image: &ImageName) -> Result<(), StoreError> {
        write::in_transaction(&mut self.connection, &self.path, |transaction| transaction.last_image(image))
    }

    /// Moves all work into the one file (no `-wal` beside it any more) and gives up the lock.
    ///
    /// # Errors
    /// The database failed; all edits are on the disk nevertheless.
    pub fn close(self) -> Result<(), StoreError> {
        let Self { connection, path, _lock, .. } = self;
        let checkpointed = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        let closed = connection.close().map_err(|(_, source)| source);
        checkpointed.and(closed).map_err(|source| database(&path, source))
    }
}

enum Checked {
    Sound(Connection, Box<Contents>),
    Damaged { connection: Option<Connection>, problem: String },
}

/// Opens the file for writing after looking at it without writing.
fn open_checked(path: &Path, folder: &Path) -> Result<Checked, StoreError> {
    let is_new = std::fs::metadata(path).map_or(true, |meta| meta.len() == 0);
    if is_new {
        let connection = open_connection(path)?;
        schema::create(&connection, folder).map_err(|source| database(path, source))?;
        return Ok(Checked::Sound(connection, Box::default()));
    }
    match schema::identify_header(path).map_err(|source| io_error(path, source))? {
        Some(schema::Identity::Ours | schema::Identity::Empty) => {}
        Some(schema::Identity::Newer(found)) => return Err(newer(path, found)),
        Some(schema::Identity::Foreign) => {
            let looking = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
            return match looking {
                Ok(connection) if schema::has_our_tables(&connection).unwrap_or(false) => Ok(Checked::Damaged {
                    connection: Some(connection),
                    problem: "its header names another program".to_owned(),
                }),
                _ => Err(StoreError::Foreign { path: path.to_path_buf() }),
            };
        }
        None => {
            let problem = "it does not begin as a database does".to_owned();
            return Ok(Checked::Damaged { connection: None, problem });
        }
    }
    let damaged = |connection, source: rusqlite::Error| {
        if schema::is_damage(&source) {
            Ok(Checked::Damaged { connection, problem: source.to_string() })
        } else {
            Err(database(path, source))
        }
    };
    let connection = match Connection::open(path) {
        Ok(connection) => connection,
        Err(source) => return damaged(None, source),
    };
    // Identified before configured: setting the journal's mode writes to the file.
    match schema::identify(&connection) {
        Ok(schema::Identity::Ours) => {}
        Ok(schema::Identity::Empty) => {
            schema::configure(&connection).map_err(|source| database(path, source))?;
            schema::create(&connection, folder).map_err(|source| database(path, source))?;
            return Ok(Checked::Sound(connection, Box::default()));
        }
        Ok(schema::Identity::Newer(found)) => return Err(newer(path, found)),
        Ok(schema::Identity::Foreign) => return Err(StoreError::Foreign { path: path.to_path_buf() }),
        Err(source) => return damaged(Some(connection), source),
    }
    match schema::configure(&connection).and_then(|()| schema::integrity(&connection)) {
        Ok(None) => {}
        Ok(Some(problem)) => return Ok(Checked::Damaged { connection: Some(connection), problem }),
        Err(source) => return damaged(Some(connection), source),
    }
    match read::read(&connection) {
        Ok(read) if read.damage.is_empty() => Ok(Checked::Sound(connection, Box::new(read.contents))),
        Ok(read) => Ok(Checked::Damaged { connection: Some(connection), problem: read.damage.join("; ") }),
        Err(source) => damaged(Some(connection), source),
    }
}

fn open_connection(path: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(path).map_err(|source| database(path, source))?;
    schema::configure(&connection).map_err(|source| database(path, source))?;
    Ok(connection)
}

/// What another process's project file holds now.
fn read_only_contents(path: &Path) -> Result<(Contents, Vec<String>), StoreError> {
    if !path.exists() {
        return Ok((Contents::default(), Vec::new()));
    }
    let error = |source| database(path, source);
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(error)?;
    connection.busy_timeout(schema::BUSY_TIMEOUT).map_err(error)?;
    match schema::identify(&connection).map_err(error)? {
        schema::Identity::Ours => {}
        schema::Identity::Empty => return Ok((Contents::default(), Vec::new())),
        schema::Identity::Newer(found) => return Err(newer(path, found)),
        schema::Identity::Foreign => return Err(StoreError::Foreign { path: path.to_path_buf() }),
    }
    let read = read::read(&connection).map_err(error)?;
    Ok((read.contents, read.damage))
}

fn newer(path: &Path, found: i64) -> StoreError {
    StoreError::Newer { path: path.to_path_buf(), found, known: schema::VERSION }
}

fn database(path: &Path, source: rusqlite::Error) -> StoreError {
    StoreError::Database { path: path.to_path_buf(), source }
}

fn io_error(path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { path: path.to_path_buf(), source }
}

/// Makes every write of objects fail, or work again, for tests of what happens then.
#[cfg(test)]
pub(crate) fn break_writes(path: &Path, broken: bool) {
    let sql =
        if broken { "ALTER TABLE annotations RENAME TO hidden" } else { "ALTER TABLE hidden RENAME TO annotations" };
    Connection::open(path).and_then(|connection| connection.execute_batch(sql)).expect("the table is there");
}

#[cfg(test)]
mod tests;

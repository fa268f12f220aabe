//! The tables, and how to tell our file from others.
//!
//! Invariant: `application_id` and `user_version` are in the file's first page from its first commit on.

use rusqlite::{Connection, ErrorCode};
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

/// The newest format that this program knows. Raise it with any change of the tables.
pub const VERSION: i64 = 1;

/// `MsKw`, in the database header.
const APPLICATION_ID: i64 = 0x4d73_4b77;

/// How long a look at another process's file waits for it.
pub const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const TABLES: &str = "
    CREATE TABLE labels (
        id INTEGER PRIMARY KEY,
        position INTEGER NOT NULL,
        name TEXT NOT NULL UNIQUE,
        colour INTEGER NOT NULL -- 0xRRGGBB
    ) STRICT;
    CREATE TABLE images (
        name TEXT PRIMARY KEY, -- relative to the folder, forward slashes
        width INTEGER, -- after orientation; NULL until opened once
        height INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE annotations (
        id INTEGER PRIMARY KEY,
        image TEXT NOT NULL REFERENCES images (name),
        position INTEGER NOT NULL, -- in drawing order, 0 at the bottom
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        runs BLOB NOT NULL, -- column-major run lengths, outside first, each as LEB128
        prompt TEXT, -- JSON; NULL for an imported mask, and then the next four too
        threshold REAL,
        predicted_iou REAL,
        stability REAL,
        model TEXT,
        checksum BLOB NOT NULL, -- of width, height, runs, prompt
        label INTEGER REFERENCES labels (id),
        colour INTEGER,
        name TEXT,
        hidden INTEGER NOT NULL,
        locked INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX annotations_by_image ON annotations (image, position);
    CREATE INDEX annotations_by_label ON annotations (label);
    CREATE TABLE drafts (
        image TEXT PRIMARY KEY,
        prompt TEXT NOT NULL, -- JSON
        correcting INTEGER
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE settings (
        name TEXT PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
";

/// What a database file is.
#[derive(Debug, PartialEq, Eq)]
pub enum Identity {
    /// A project of this format.
    Ours,
    /// A database without tables: our process died while it made the file.
    Empty,
    /// A project of this newer format.
    Newer(i64),
    /// Something else.
    Foreign,
}

/// Looks at the first bytes of a file, without SQLite, so that a file that is not ours stays as it is; `None` if they
/// are not those of a database. What is still in the log is not seen: [`identify`] decides in the end.
///
/// # Errors
/// The file cannot be read.
pub fn identify_header(path: &Path) -> io::Result<Option<Identity>> {
    let mut header = [0; 100];
    match File::open(path)?.read_exact(&mut header) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return Ok(None);
    }
    let number =
        |at: usize| i64::from(u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]));
    // Offsets of user_version and application_id: the SQLite file format, section 1.3.
    Ok(Some(identity(number(68), number(60))))
}

/// Asks an open database.
pub fn identify(connection: &Connection) -> rusqlite::Result<Identity> {
    let application_id: i64 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(match identity(application_id, version) {
        Identity::Empty if tables > 0 => Identity::Foreign,
        identity => identity,
    })
}

fn identity(application_id: i64, version: i64) -> Identity {
    match (application_id, version) {
        (APPLICATION_ID, 1..=VERSION) => Identity::Ours,
        (APPLICATION_ID, newer) if newer > VERSION => Identity::Newer(newer),
        (0, 0) => Identity::Empty,
        _ => Identity::Foreign,
    }
}

/// Whether a database with another program's number in its header has our tables: then the header is damaged.
pub fn has_our_tables(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT count(*) FROM pragma_table_info('annotations') WHERE name IN ('runs', 'checksum')";
    connection.query_row(sql, [], |row| row.get::<_, i64>(0)).map(|columns| columns == 2)
}

/// Sets what holds for every connection that writes.
pub fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
}

/// Makes the tables of a new file.
pub fn create(connection: &Connection, folder: &Path) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
    ))?;
    // For people and for moving projects: which folder this was, when the file lies elsewhere.
    connection
        .execute("INSERT INTO settings (name, value) VALUES ('folder', ?1)", [folder.to_string_lossy().as_ref()])?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}

/// The first fault of the file's structure, if there is one.
pub fn integrity(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    Ok((found != "ok").then_some(found))
}

/// Whether an error says that the file is damaged, rather than that the system failed.
pub fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => matches!(
            failure.code,
            // A flipped bit in the schema's text reads as an unknown table or a syntax error.
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::Unknown
                | ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::TooBig
        ),
        rusqlite::Error::SqlInputError { .. }
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::QueryReturnedNoRows
        | rusqlite::Error::InvalidColumnType(..) => true,
        _ => false,
    }
}

//! One writer a project: a lock file that lives and dies with the process.
//!
//! Invariant: the lock is the system's lock on the file, not the file's existence, so nothing stays locked after a crash.
//! The file itself stays, since removing it would let two processes lock two files of one name.

use super::{StoreError, io_error};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

/// The lock file's name, beside the project file.
pub const LOCK_FILE_NAME: &str = ".maskwright.lock";

/// A held lock.
pub struct ProjectLock {
    _file: File,
}

/// The answer to the wish for the lock.
pub enum Acquired {
    /// We hold it.
    Ours(ProjectLock),
    /// Someone else does.
    Theirs {
        /// `process 4711 on workstation`
        owner: String,
    },
}

impl ProjectLock {
    /// Takes the lock of the project file in this folder.
    ///
    /// # Errors
    /// The lock file cannot be made.
    pub fn acquire(folder: &Path) -> Result<Acquired, StoreError> {
        let path = folder.join(LOCK_FILE_NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| io_error(&path, source))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                // Where a locked file cannot be read, the owner stays unnamed.
                let readable = file.read_to_string(&mut owner).is_ok() && !owner.trim().is_empty();
                let owner = if readable { owner.trim().to_owned() } else { "another process".to_owned() };
                return Ok(Acquired::Theirs { owner });
            }
            // A file system without locks: SQLite's own locks still keep the file whole.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => return Err(io_error(&path, source)),
        }
        let text = format!("process {} on {}\n", std::process::id(), host_name());
        let written = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(text.as_bytes()));
        written.map_err(|source| io_error(&path, source))?;
        Ok(Acquired::Ours(Self { _file: file }))
    }
}

fn host_name() -> String {
    let from_system = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let from_environment = || ["HOSTNAME", "COMPUTERNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let name = from_system().or_else(from_environment).unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "this computer".to_owned() } else { name.to_owned() }
}

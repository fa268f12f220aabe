//! Where the project file of a folder lies: in the folder, or in the user's data folder if the folder cannot be written.
//!
//! Invariant: work once kept is found again, also if the folder's rights have changed in between.

use super::{STORE_FILE_NAME, StoreError, io_error, lock::LOCK_FILE_NAME};
use sha2::{Digest, Sha256};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The chosen place.
#[derive(Debug)]
pub struct Place {
    /// Where the project file lies or will lie; exists and can be written.
    pub folder: PathBuf,
    /// What the user should know.
    pub remarks: Vec<String>,
}

/// Whether files can be made in a folder. Asked by making the lock file, since rights alone do not tell.
pub fn can_write(folder: &Path) -> io::Result<bool> {
    let made = std::fs::OpenOptions::new().write(true).create(true).truncate(false).open(folder.join(LOCK_FILE_NAME));
    match made {
        Ok(_) => Ok(true),
        Err(error) => match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Ok(false),
            _ => Err(error),
        },
    }
}

/// Chooses the place for the project file of `folder`. `can_write` is handed in so that tests can refuse.
///
/// # Errors
/// A folder that is not there, or no place at all.
pub fn choose(
    folder: &Path,
    data_folder: Option<&Path>,
    can_write: impl Fn(&Path) -> io::Result<bool>,
) -> Result<Place, StoreError> {
    let is_writable = can_write(folder).map_err(|source| io_error(folder, source))?;
    let elsewhere = data_folder.map(|data| data.join("projects").join(folder_key(folder)));
    let beside_file = folder.join(STORE_FILE_NAME);
    let elsewhere_file = elsewhere.as_ref().map(|place| place.join(STORE_FILE_NAME));
    let has_elsewhere = elsewhere_file.as_ref().is_some_and(|file| file.exists());
    let mut remarks = Vec::new();
    if is_writable {
        if let (true, Some(elsewhere), Some(file)) = (has_elsewhere, elsewhere, elsewhere_file) {
            // The folder could not be written once. Go on with whichever was worked on last.
            let is_newer = !beside_file.exists() || last_change(&file) > last_change(&beside_file);
            if is_newer {
                if beside_file.exists() {
                    remarks.push(format!(
                        "There is older work on this folder in {}; the newer in {} is used.",
                        beside_file.display(),
                        file.display()
                    ));
                }
                return Ok(Place { folder: elsewhere, remarks });
            }
            remarks.push(format!(
                "There is older work on this folder in {}; the newer in {} is used.",
                file.display(),
                beside_file.display()
            ));
        }
        return Ok(Place { folder: folder.to_path_buf(), remarks });
    }
    let (Some(elsewhere), Some(file)) = (elsewhere, elsewhere_file) else {
        return Err(StoreError::Nowhere { folder: folder.to_path_buf() });
    };
    std::fs::create_dir_all(&elsewhere).map_err(|source| io_error(&elsewhere, source))?;
    if !has_elsewhere && beside_file.exists() {
        copy_database(&beside_file, &file)?;
        remarks.push(format!("The folder cannot be written; its work was copied and goes on in {}.", file.display()));
    } else if !has_elsewhere {
        remarks.push(format!("The folder cannot be written; the work is kept in {}.", file.display()));
    }
    Ok(Place { folder: elsewhere, remarks })
}

/// A folder name for the project of another folder: its last part for people, a hash of its whole path for uniqueness.
fn folder_key(folder: &Path) -> String {
    let whole = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf());
    let hash = Sha256::digest(whole.as_os_str().as_encoded_bytes());
    let hash: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let last = whole.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let last: String = last.chars().filter(|c| c.is_alphanumeric() || *c == '-').take(24).collect();
    if last.is_empty() { hash } else { format!("{last}-{hash}") }
}

/// The database with its write-ahead log; a torn copy is found and repaired when it is opened.
fn copy_database(from: &Path, to: &Path) -> Result<(), StoreError> {
    std::fs::copy(from, to).map_err(|source| io_error(to, source))?;
    let (from_log, to_log) = (log_of(from), log_of(to));
    if from_log.exists() {
        std::fs::copy(&from_log, &to_log).map_err(|source| io_error(&to_log, source))?;
    }
    for copied in [to, &to_log] {
        // The original may be write-protected, and a copy keeps its rights.
        if let Ok(meta) = std::fs::metadata(copied) {
            make_writable(copied, meta.permissions())?;
        }
    }
    Ok(())
}

fn make_writable(path: &Path, mut rights: std::fs::Permissions) -> Result<(), StoreError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        rights.set_mode(rights.mode() | 0o600);
    }
    #[cfg(not(unix))]
    #[allow(clippy::permissions_set_readonly_false, reason = "this is the branch without Unix rights")]
    rights.set_readonly(false);
    std::fs::set_permissions(path, rights).map_err(|source| io_error(path, source))
}

/// The write-ahead log of a database file.
pub fn log_of(path: &Path) -> PathBuf {
    with_suffix(path, "-wal")
}

/// The path with something put behind its last part.
pub fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn last_change(path: &Path) -> Option<SystemTime> {
    let changed = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    changed(path).max(changed(&log_of(path)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writable_folder_keeps_its_own_project() {
        let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let place = choose(folder.path(), Some(data.path()), can_write).unwrap();
        assert_eq!(place.folder, folder.path());
        assert!(place.remarks.is_empty());
        assert!(choose(&folder.path().join("absent"), Some(data.path()), can_write).is_err());
    }

    #[test]
    fn a_read_only_folder_keeps_its_project_in_the_data_folder() {
        let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let refuse = |_: &Path| Ok(false);
        std::fs::write(folder.path().join(STORE_FILE_NAME), b"earlier work").unwrap();
        let place = choose(folder.path(), Some(data.path()), refuse).unwrap();
        assert!(place.folder.starts_with(data.path()));
        assert_eq!(std::fs::read(place.folder.join(STORE_FILE_NAME)).unwrap(), b"earlier work");
        assert!(place.remarks[0].contains("copied"), "{:?}", place.remarks);
        // Opened again: the copy is the work now.
        std::fs::write(place.folder.join(STORE_FILE_NAME), b"later work").unwrap();
        let again = choose(folder.path(), Some(data.path()), refuse).unwrap();
        assert_eq!(std::fs::read(again.folder.join(STORE_FILE_NAME)).unwrap(), b"later work");
        // The folder becomes writable: the later work is found.
        let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000);
        std::fs::File::options()
            .append(true)
            .open(folder.path().join(STORE_FILE_NAME))
            .unwrap()
            .set_modified(old)
            .unwrap();
        let writable = choose(folder.path(), Some(data.path()), can_write).unwrap();
        assert_eq!(writable.folder, again.folder);
        assert!(writable.remarks[0].contains("older work"));
        assert!(matches!(choose(folder.path(), None, refuse), Err(StoreError::Nowhere { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn rights_are_tried_not_read() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o555)).unwrap();
        // The superuser may write everywhere; everyone else is refused.
        let may = std::fs::File::create(folder.path().join("probe")).is_ok();
        assert_eq!(can_write(folder.path()).unwrap(), may);
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

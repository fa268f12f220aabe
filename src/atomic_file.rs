//! Files that are whole or not there: a temporary name beside the target, synced, then renamed.
//!
//! Invariant: whatever fails, and whenever the process dies, the old file is intact; at worst a temporary file that
//! starts with [`TEMPORARY_PREFIX`] is left beside it.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// How the names of unfinished files start.
pub const TEMPORARY_PREFIX: &str = ".maskwright-unfinished-";

/// Writes a file through `fill` and puts it in place only if all of it reached the disk.
///
/// # Errors
/// Whatever creating, filling, syncing or renaming gave; the old file is then untouched.
pub fn write_atomically(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut temporary = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile_in(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A temporary file is private by default; a result is an ordinary file, or keeps the rights of the old one.
        let rights =
            std::fs::metadata(path).map_or_else(|_| std::fs::Permissions::from_mode(0o644), |old| old.permissions());
        temporary.as_file().set_permissions(rights)?;
    }
    {
        let mut writer = BufWriter::with_capacity(1 << 16, temporary.as_file_mut());
        fill(&mut writer)?;
        writer.flush()?;
    }
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|failed| failed.error)?;
    // The new name is on the disk only once the folder is; not every system lets a folder be opened.
    if let Ok(opened) = File::open(folder) {
        let _ = opened.sync_all();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_keeps_the_old_file_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.txt");
        write_atomically(&path, |w| w.write_all(b"old")).unwrap();
        let failed = write_atomically(&path, |w| {
            w.write_all(b"half of the new")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        write_atomically(&path, |w| w.write_all(b"new")).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
    }
}

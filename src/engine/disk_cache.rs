//! Embeddings in a folder, so that a picture seen before needs no encoder: one file an embedding.
//!
//! Invariants:
//! - A file is believed only if its magic, version, key, length and checksum are right; else it is deleted and the
//!   embedding computed again. So a torn or foreign file costs time, never a wrong mask.
//! - Files are written whole or not at all, and any file may vanish at any time: several processes may share the folder.
//! - Only files with our names are ever deleted.
//!
//! Layout, little-endian: magic 8, version u32, key 32, payload length u64, SHA-256 of the payload 32, payload.

use super::embedding_key::EmbeddingKey;
use crate::atomic_file::{TEMPORARY_PREFIX, write_atomically};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

const MAGIC: [u8; 8] = *b"MWEMBED\n";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 8 + 4 + 32 + 8 + 32;
const EXTENSION: &str = "embedding";
/// An unfinished file this old belongs to no living writer.
const ABANDONED_AFTER: Duration = Duration::from_secs(3600);

/// The cache folder.
pub(super) struct DiskCache {
    folder: PathBuf,
    budget_bytes: u64,
}

impl DiskCache {
    pub fn new(folder: PathBuf, budget_bytes: u64) -> Self {
        Self { folder, budget_bytes }
    }

    fn path(&self, key: &EmbeddingKey) -> PathBuf {
        self.folder.join(format!("{}.{EXTENSION}", key.to_hex()))
    }

    /// The stored bytes; `None` if there are none, or none that can be believed.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn load(&self, key: &EmbeddingKey) -> io::Result<Option<Vec<u8>>> {
        let mut file = match File::open(self.path(key)) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            Err(error) => return Err(error),
        };
        let payload = read_payload(&mut file, key)?;
        if payload.is_some() {
            // The age decides what goes first when room is needed; a folder that cannot be written is no obstacle here.
            let _ = file.set_modified(SystemTime::now());
        } else {
            tracing::warn!(file = %self.path(key).display(), "damaged embedding in the cache: computing it again");
            self.remove(key);
        }
        Ok(payload)
    }

    /// Forgets an embedding.
    pub fn remove(&self, key: &EmbeddingKey) {
        // Another process may have been quicker, or the folder is read-only: the file is rejected again next time.
        let _ = fs::remove_file(self.path(key));
    }

    /// Keeps an embedding, then makes room if the budget is exceeded. What is bigger than the budget is not kept.
    ///
    /// # Errors
    /// The folder cannot be made or written.
    pub fn store(&self, key: &EmbeddingKey, payload: &[u8]) -> io::Result<()> {
        if (HEADER_BYTES + payload.len()) as u64 > self.budget_bytes {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        write_atomically(&self.path(key), |out| {
            out.write_all(&MAGIC)?;
            out.write_all(&VERSION.to_le_bytes())?;
            out.write_all(&key.0)?;
            out.write_all(&(payload.len() as u64).to_le_bytes())?;
            out.write_all(&Sha256::digest(payload))?;
            out.write_all(payload)
        })?;
        self.sweep(SystemTime::now())
    }

    /// Deletes what a dead writer left, and the files unused for longest until the rest is within the budget.
    ///
    /// # Errors
    /// The folder cannot be listed. A folder that does not exist is empty.
    pub fn sweep(&self, now: SystemTime) -> io::Result<()> {
        let listing = match fs::read_dir(&self.folder) {
            Ok(listing) => listing,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut kept = Vec::new();
        for entry in listing {
            let entry = entry?;
            // A file may vanish between listing and looking: then it is gone, which is all we want.
            let Ok(facts) = entry.metadata() else { continue };
            let modified = facts.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(TEMPORARY_PREFIX) {
                if now.duration_since(modified).is_ok_and(|age| age > ABANDONED_AFTER) {
                    let _ = fs::remove_file(entry.path());
                }
            } else if facts.is_file() && is_ours(&name) {
                kept.push((modified, facts.len(), entry.path()));
            }
        }
        let mut total: u64 = kept.iter().map(|(_, bytes, _)| bytes).sum();
        kept.sort();
        for (_, bytes, path) in kept {
            if total <= self.budget_bytes {
                break;
            }
            // A file that does not let itself be deleted still counts: then more of the others go.
            if fs::remove_file(path).is_ok() {
                total -= bytes;
            }
        }
        Ok(())
    }
}

/// Whether a name is 64 hexadecimal digits and our extension.
fn is_ours(name: &str) -> bool {
    name.strip_suffix(EXTENSION)
        .and_then(|rest| rest.strip_suffix('.'))
        .is_some_and(|stem| stem.len() == 64 && stem.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// The payload if the whole file is what it should be. Memory is taken only for a length that the file really has.
fn read_payload(file: &mut File, key: &EmbeddingKey) -> io::Result<Option<Vec<u8>>> {
    let bytes_on_disk = file.metadata()?.len();
    let mut header = [0; HEADER_BYTES];
    if bytes_on_disk < HEADER_BYTES as u64 {
        return Ok(None);
    }
    file.read_exact(&mut header)?;
    let expected_start =
        [&MAGIC[..], &VERSION.to_le_bytes(), &key.0, &(bytes_on_disk - HEADER_BYTES as u64).to_le_bytes()];
    let expected_start = expected_start.concat();
    let (start, checksum) = header.split_at(expected_start.len());
    if start != expected_start {
        return Ok(None);
    }
    let mut payload = Vec::new();
    file.read_to_end(&mut payload)?;
    Ok((Sha256::digest(&payload).as_slice() == checksum).then_some(payload))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> EmbeddingKey {
        EmbeddingKey([number; 32])
    }

    fn cache(budget_bytes: u64) -> (tempfile::TempDir, DiskCache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = DiskCache::new(folder.path().join("embeddings"), budget_bytes);
        (folder, cache)
    }

    fn holds(cache: &DiskCache, number: u8) -> bool {
        cache.path(&key(number)).exists()
    }

    fn set_age(cache: &DiskCache, name: &str, seconds: u64) {
        let file = File::options().append(true).open(cache.folder.join(name)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds)).unwrap();
    }

    #[test]
    fn what_is_stored_comes_back_and_nothing_else() {
        let (_folder, cache) = cache(1 << 20);
        assert_eq!(cache.load(&key(1)).unwrap(), None, "no folder yet");
        cache.store(&key(1), b"payload").unwrap();
        cache.store(&key(2), b"").unwrap();
        assert_eq!(cache.load(&key(1)).unwrap().as_deref(), Some(&b"payload"[..]));
        assert_eq!(cache.load(&key(2)).unwrap().as_deref(), Some(&b""[..]));
        assert_eq!(cache.load(&key(3)).unwrap(), None);
    }

    #[test]
    fn any_torn_or_changed_file_is_rejected_and_deleted() {
        let (_folder, cache) = cache(1 << 20);
        cache.store(&key(1), b"some payload").unwrap();
        let path = cache.path(&key(1));
        let good = fs::read(&path).unwrap();
        let mut bad: Vec<Vec<u8>> = (0..good.len()).map(|length| good[..length].to_vec()).collect();
        bad.extend((0..good.len()).map(|at| {
            let mut flipped = good.clone();
            flipped[at] ^= 0x20;
            flipped
        }));
        bad.push([&good[..], b"more"].concat());
        for content in bad {
            fs::write(&path, &content).unwrap();
            assert_eq!(cache.load(&key(1)).unwrap(), None, "{} bytes", content.len());
            assert!(!path.exists());
        }
        fs::write(&path, &good).unwrap();
        assert!(cache.load(&key(1)).unwrap().is_some());
        fs::write(cache.path(&key(2)), &good).unwrap();
        assert_eq!(cache.load(&key(2)).unwrap(), None, "the file of another key");
    }

    #[test]
    fn the_budget_holds_and_what_was_read_last_stays() {
        let (_folder, cache) = cache(3 * (HEADER_BYTES as u64 + 100));
        for number in 0..3 {
            cache.store(&key(number), &[number; 100]).unwrap();
            set_age(&cache, &format!("{}.{EXTENSION}", key(number).to_hex()), 100 - u64::from(number));
        }
        assert!(cache.load(&key(0)).unwrap().is_some());
        cache.store(&key(3), &[3; 100]).unwrap();
        assert!(holds(&cache, 0) && !holds(&cache, 1) && holds(&cache, 2) && holds(&cache, 3));
        cache.store(&key(4), &[4; 1000]).unwrap();
        assert!(!holds(&cache, 4), "bigger than the whole budget");
    }

    #[test]
    fn sweeping_takes_abandoned_temporary_files_and_leaves_foreign_ones() {
        let (_folder, cache) = cache(0);
        fs::create_dir_all(&cache.folder).unwrap();
        let fresh = format!("{TEMPORARY_PREFIX}fresh");
        let abandoned = format!("{TEMPORARY_PREFIX}abandoned");
        let ours = format!("{}.{EXTENSION}", key(1).to_hex());
        for name in [fresh.as_str(), &abandoned, &ours, "holiday.embedding", "notes.txt"] {
            fs::write(cache.folder.join(name), b"content").unwrap();
        }
        set_age(&cache, &abandoned, 2 * ABANDONED_AFTER.as_secs());
        cache.sweep(SystemTime::now()).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(&cache.folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, [fresh.as_str(), "holiday.embedding", "notes.txt"]);
    }

    #[test]
    fn several_writers_and_readers_share_a_folder_without_seeing_half_a_file() {
        let (_folder, cache) = cache(2 * (HEADER_BYTES as u64 + 10_000));
        std::thread::scope(|scope| {
            for worker in 0..4u8 {
                let cache = &cache;
                scope.spawn(move || {
                    for round in 0..20 {
                        let number = (worker + round) % 3;
                        cache.store(&key(number), &[number; 10_000]).unwrap();
                        if let Some(payload) = cache.load(&key(number)).unwrap() {
                            assert_eq!(payload, [number; 10_000]);
                        }
                    }
                });
            }
        });
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_not_a_panic() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), b"").unwrap();
        let cache = DiskCache::new(folder.path().join("file").join("below"), 1 << 20);
        assert_eq!(cache.load(&key(1)).unwrap(), None);
        assert!(cache.store(&key(1), b"payload").is_err());
    }
}

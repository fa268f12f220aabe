//! The picture lane: reads and decodes what the user opens, then neighbours, and keeps the last pictures at hand.
//!
//! Invariant: a kept picture is used only while its file has the size and time that it had when it was read.

use super::event::{Event, Problem};
use super::request::{Generation, PictureHandle, PictureSource};
use super::shared::{Shared, elapsed_ms, fenced_result};
use super::state::State;
use crate::raster::{Picture, PictureError, decode_picture, decode_picture_bytes};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime};

/// What kept pictures may take in memory together, in bytes: a few photos of a camera, for going back and forth.
const KEPT_BYTES: usize = 256 << 20;

/// How a source becomes a picture. Tests bring their own.
pub(super) type PictureReader = Box<dyn Fn(&PictureSource) -> Result<Picture, PictureError> + Send + Sync>;

/// The ordinary reader.
pub(super) fn read(source: &PictureSource) -> Result<Picture, PictureError> {
    match source {
        PictureSource::File(path) => decode_picture(path),
        PictureSource::Bytes { name, bytes } => decode_picture_bytes(name, bytes),
    }
}

/// A picture to read for the user.
pub(super) struct OpenRequest {
    pub generation: Generation,
    pub source: PictureSource,
}

/// Which content of which file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileStamp {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

impl FileStamp {
    /// The stamp of a file as it is now; `None` where the system tells too little to recognise a change.
    pub fn of(path: &Path) -> Option<Self> {
        let facts = std::fs::metadata(path).ok()?;
        let name = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        Some(Self { path: name, bytes: facts.len(), modified: facts.modified().ok()? })
    }
}

/// The last pictures read, newest last.
#[derive(Default)]
pub(super) struct KeptPictures {
    kept: VecDeque<(FileStamp, PictureHandle)>,
}

impl KeptPictures {
    /// The picture of a file that has not changed since it was read.
    pub fn get(&mut self, stamp: &FileStamp) -> Option<PictureHandle> {
        let at = self.kept.iter().position(|(kept, _)| kept == stamp)?;
        let entry = self.kept.remove(at)?;
        let picture = entry.1.clone();
        self.kept.push_back(entry);
        Some(picture)
    }

    /// Keeps a picture; the oldest go when all together take too much.
    pub fn keep(&mut self, stamp: FileStamp, picture: PictureHandle) {
        self.kept.retain(|(kept, _)| kept.path != stamp.path);
        self.kept.push_back((stamp, picture));
        let mut total: usize = self.kept.iter().map(|(_, picture)| picture.byte_size()).sum();
        while total > KEPT_BYTES {
            let Some((_, dropped)) = self.kept.pop_front() else { return };
            total -= dropped.byte_size();
        }
    }
}

enum Task {
    Open(OpenRequest),
    Soon(PathBuf),
    Ahead(PathBuf),
}

impl State {
    /// What the user opens; else a neighbour, if nothing that the user waits for would be slowed down.
    fn take_picture_task(&mut self) -> Option<Task> {
        if let Some(request) = self.open.take() {
            self.read_soon = None;
            self.opening = true;
            return Some(Task::Open(request));
        }
        if let Some(path) = self.read_soon.take() {
            return Some(Task::Soon(path));
        }
        if self.user_waits() || self.ahead.read.is_some() || self.model.is_none() {
            return None;
        }
        self.ahead.to_read.pop_front().map(Task::Ahead)
    }
}

/// The lane's thread.
pub(super) fn run(shared: &Shared) {
    while let Some(task) = shared.wait_for(State::take_picture_task) {
        match task {
            Task::Open(request) => open(shared, request),
            // It is kept, and found when it is opened; what is wrong with it is told then, too.
            Task::Soon(path) => drop(read_or_reuse(shared, &PictureSource::File(path))),
            Task::Ahead(path) => read_ahead(shared, path),
        }
    }
}

fn open(shared: &Shared, OpenRequest { generation, source }: OpenRequest) {
    let start = Instant::now();
    let opened = read_or_reuse(shared, &source);
    let open_ms = elapsed_ms(start);
    shared.change_and_tell(|state| {
        state.opening = false;
        vec![match opened {
            Ok(picture) => Event::PictureOpened { generation, picture, open_ms },
            Err(problem) => Event::PictureFailed { generation, name: source.name(), problem },
        }]
    });
}

fn read_ahead(shared: &Shared, path: PathBuf) {
    match read_or_reuse(shared, &PictureSource::File(path.clone())) {
        // The list may be another by now.
        Ok(picture) => shared.change(|state| state.ahead.put_read(path, picture)),
        // The user is told when they open it.
        Err(problem) => tracing::debug!(%problem, file = %path.display(), "reading ahead failed"),
    }
}

fn read_or_reuse(shared: &Shared, source: &PictureSource) -> Result<PictureHandle, Problem> {
    let stamp = match source {
        PictureSource::File(path) => FileStamp::of(path),
        PictureSource::Bytes { .. } => None,
    };
    if let Some(kept) = stamp.as_ref().and_then(|stamp| shared.lock().pictures.get(stamp)) {
        return Ok(kept);
    }
    let picture = fenced_result(|| {
        let picture = PictureHandle::new((shared.read_picture)(source)?);
        // Here, and not where it is shown: the first frame that knows of the picture then shows it.
        picture.make_coarser_levels();
        Ok::<_, PictureError>(picture)
    })?;
    if let Some(stamp) = stamp {
        shared.lock().pictures.keep(stamp, picture.clone());
    }
    Ok(picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(bytes: usize) -> PictureHandle {
        // Never touched, so it takes no real memory.
        PictureHandle::new(Picture { width: 1, height: 1, rgb: vec![0; bytes].into(), notes: Vec::new() })
    }

    fn stamp(name: &str, bytes: u64) -> FileStamp {
        FileStamp { path: name.into(), bytes, modified: SystemTime::UNIX_EPOCH }
    }

    #[test]
    fn a_changed_file_is_not_taken_from_memory() {
        let mut kept = KeptPictures::default();
        let first = picture(3);
        kept.keep(stamp("a", 10), first.clone());
        assert_eq!(kept.get(&stamp("a", 10)).map(|p| p.id()), Some(first.id()));
        assert!(kept.get(&stamp("a", 11)).is_none());
        kept.keep(stamp("a", 11), picture(3));
        assert!(kept.get(&stamp("a", 10)).is_none());
    }

    #[test]
    fn kept_pictures_stay_within_their_bytes() {
        let mut kept = KeptPictures::default();
        for name in ["a", "b", "c", "d"] {
            kept.keep(stamp(name, 1), picture(KEPT_BYTES / 3));
            let _ = kept.get(&stamp("a", 1));
        }
        assert!(kept.get(&stamp("a", 1)).is_some(), "used last");
        assert!(kept.get(&stamp("b", 1)).is_none());
        kept.keep(stamp("huge", 1), picture(KEPT_BYTES + 1));
        assert!(kept.kept.is_empty());
    }
}

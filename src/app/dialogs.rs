//! File dialogs of the system, off the drawing thread, and the question whether one really came up.
//!
//! Invariant: at most one dialog at a time. Where the system shows none (no portal, no zenity), the answer is
//! [`Answer::Unavailable`] and the window shows its own path field; nothing is ever silently skipped.

use crate::raster::picture_extensions;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

/// What a path is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Pictures to open.
    OpenPictures,
    /// A folder of pictures to open.
    OpenFolder,
    /// A file or folder to write an export to.
    ExportTo {
        /// A folder rather than a file.
        folder: bool,
    },
    /// A file of annotations to import.
    Annotations,
    /// Weights of a segmenter.
    ModelFile,
}

impl Purpose {
    /// The dialog's title.
    pub fn title(self) -> &'static str {
        match self {
            Self::OpenPictures => "Open pictures",
            Self::OpenFolder => "Open a folder of pictures",
            Self::ExportTo { folder: true } => "Choose a folder to export to",
            Self::ExportTo { folder: false } => "Export to",
            Self::Annotations => "Import COCO annotations",
            Self::ModelFile => "Choose the weights of a SAM model",
        }
    }
}

/// What came of a dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Chosen.
    Paths(Vec<PathBuf>),
    /// Closed without a choice.
    Cancelled,
    /// The system showed no dialog.
    Unavailable,
}

/// The one dialog that may be open.
#[derive(Default)]
pub struct Dialogs {
    open: Option<(Purpose, Receiver<Answer>)>,
}

impl Dialogs {
    /// Whether a dialog is open.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Opens a dialog, unless one is open already. `suggestion` is the path it starts at.
    pub fn open(&mut self, purpose: Purpose, suggestion: Option<PathBuf>, wake: impl FnOnce() + Send + 'static) {
        if self.is_open() {
            return;
        }
        let (sender, receiver) = channel();
        std::thread::spawn(move || {
            let answer = ask(purpose, suggestion.as_deref());
            if sender.send(answer).is_ok() {
                wake();
            }
        });
        self.open = Some((purpose, receiver));
    }

    /// The answer, once it is there.
    pub fn poll(&mut self) -> Option<(Purpose, Answer)> {
        let (purpose, receiver) = self.open.as_ref()?;
        let answer = match receiver.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Empty) => return None,
            // The dialog's thread ended without an answer.
            Err(TryRecvError::Disconnected) => Answer::Unavailable,
        };
        let purpose = *purpose;
        self.open = None;
        Some((purpose, answer))
    }
}

fn ask(purpose: Purpose, suggestion: Option<&Path>) -> Answer {
    if !may_have_dialogs() {
        return Answer::Unavailable;
    }
    let mut dialog = rfd::FileDialog::new().set_title(purpose.title());
    if let Some(folder) = suggestion.and_then(|path| if path.is_dir() { Some(path) } else { path.parent() }) {
        dialog = dialog.set_directory(folder);
    }
    let started = Instant::now();
    let paths = match purpose {
        Purpose::OpenPictures => dialog.add_filter("Pictures", picture_extensions()).pick_files(),
        Purpose::OpenFolder | Purpose::ExportTo { folder: true } => dialog.pick_folder().map(|path| vec![path]),
        Purpose::ExportTo { folder: false } => {
            if let Some(name) = suggestion.and_then(Path::file_name) {
                dialog = dialog.set_file_name(name.to_string_lossy());
            }
            dialog.save_file().map(|path| vec![path])
        }
        Purpose::Annotations => dialog.add_filter("COCO annotations", &["json"]).pick_file().map(|path| vec![path]),
        Purpose::ModelFile => dialog.add_filter("Weights", &["safetensors"]).pick_file().map(|path| vec![path]),
    };
    match paths {
        Some(paths) => Answer::Paths(paths),
        // Without a portal and without zenity rfd answers as if it were cancelled. Nobody cancels that fast.
        None if started.elapsed() < Duration::from_millis(250) => Answer::Unavailable,
        None => Answer::Cancelled,
    }
}

/// Whether this system could show a dialog at all.
fn may_have_dialogs() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let zenity = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("zenity").is_file()));
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    zenity
        || std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some()
        || runtime.is_some_and(|folder| folder.join("bus").exists())
}

//! Layer 4: the application without a window. A session takes [`Command`]s and engine events and shows its state; a
//! window, a test or a script drives it the same way.
//!
//! Invariants:
//! - No call waits: files are read and written by the project desk's thread, models run in the engine.
//! - Only an edit changes the project; every edit goes to the history and to the project file.
//! - An answer to an older question is dropped.

mod command;
mod command_table;
mod draft;
mod export;
mod keys;
mod notices;
mod options;
mod port;
mod project_desk;
mod state;

pub use command::{Command, ModelChoice, PastedPicture, SampleFile};
pub use command_table::{Action, CommandEntry, CommandTable, Context, Group, When, WindowRequest};
pub use draft::{Draft, DraftState};
pub use export::{CocoSegmentation, ExportInput, ExportKind, ExportReport, ExportRequest, ExportScope, Exporter};
pub use keys::{Key, Shortcut};
pub use notices::{KEPT_NOTICES, Notice, NoticeId, NoticeLevel, Notices};
pub use options::{Tool, ViewOptions};
pub use port::{EnginePort, ExportWork};
pub use project_desk::Access;
pub use state::{
    Answer, EncodePhase, ExportState, ModelState, ObjectState, Output, PicturePhase, PictureState, ProjectState,
    Prompting, SaveState, SizeConflict, Timings,
};

use crate::document::{Annotation, Colour, History};
pub use crate::engine::EmbeddingSource;
use crate::engine::ModelOpener;
use crate::geometry::ImageRect;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a session is given at its start.
pub struct Services {
    /// The engine; its first model may still be opening.
    pub engine: Box<dyn EnginePort>,
    /// Makes the job that opens a model; the job runs on a worker.
    pub open_model: Box<dyn Fn(&ModelChoice) -> ModelOpener>,
    /// Does exports, on the engine's heavy lane.
    pub exporter: Exporter,
    /// The user's data folder, for projects of read-only folders and pasted pictures; `None` if there is no home.
    pub data_folder: Option<PathBuf>,
    /// Called after each result of the session's own thread, on that thread: asks the window for a frame.
    pub wake: Arc<dyn Fn() + Send + Sync>,
    /// The model that the engine was started with.
    pub model: ModelChoice,
}

/// The application without a window. Panels read its parts; only [`Session::handle`] and [`Session::drain`] change them.
pub struct Session {
    /// The opened folder and the work on it.
    pub project: ProjectState,
    /// The picture on the canvas.
    pub picture: PictureState,
    /// The object being said.
    pub prompting: Prompting,
    /// What is selected, and what the next object will be.
    pub objects: ObjectState,
    /// What clicks do.
    pub tool: Tool,
    /// How masks are shown.
    pub view: ViewOptions,
    /// The segmenter.
    pub model: ModelState,
    /// How long things took.
    pub timings: Timings,
    /// Messages to the user.
    pub notices: Notices,
    /// The running export.
    pub export: Option<ExportState>,
    /// What came of the last export: its report, or why it failed.
    pub last_export: Option<Result<ExportReport, String>>,
    history: History,
    services: Services,
    outputs: Vec<Output>,
}

impl Session {
    /// A session without a project.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn new(services: Services) -> std::io::Result<Self> {
        Ok(Self {
            project: ProjectState::default(),
            picture: PictureState::default(),
            prompting: Prompting::default(),
            objects: ObjectState::default(),
            tool: Tool::default(),
            view: ViewOptions::default(),
            model: ModelState { choice: services.model.clone(), opening: true, ..ModelState::default() },
            timings: Timings::default(),
            notices: Notices::default(),
            export: None,
            last_export: None,
            history: History::default(),
            services,
            outputs: Vec::new(),
        })
    }

    /// Does what the user wishes, or says why not.
    pub fn handle(&mut self, command: Command) {
        let _ = command;
    }

    /// Takes in what the engine and the project desk have to tell, for at most this long. Returns whether something is
    /// left for the next frame.
    pub fn drain(&mut self, budget: Duration) -> bool {
        let _ = budget;
        false
    }

    /// Says which part of the picture the window shows, and how much closer than fitted it is. Zoomed in beyond twice
    /// the fit, the next draft is answered from that part alone.
    pub fn set_visible(&mut self, visible: ImageRect, fit_zoom_ratio: f32) {
        self.picture.visible = Some((visible, fit_zoom_ratio));
    }

    /// The facts that decide which commands are available.
    pub fn context(&self) -> Context {
        Context::default()
    }

    /// The objects of the picture that may be drawn, bottom first, each with its colour: not hidden, not the one that
    /// is reopened.
    pub fn drawn_objects(&self) -> impl Iterator<Item = (&Arc<Annotation>, Colour)> {
        std::iter::empty()
    }

    /// What undo would take back, for the menu.
    pub fn undo_title(&self) -> Option<&'static str> {
        self.history.undo_title()
    }

    /// What redo would do again, for the menu.
    pub fn redo_title(&self) -> Option<&'static str> {
        self.history.redo_title()
    }

    /// What only the window can do, since the last call.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.outputs)
    }

    /// Waits until all work is on disk, at most this long. For the end of the program only.
    ///
    /// # Errors
    /// What could not be saved, and why.
    pub fn flush(&mut self, at_most: Duration) -> Result<(), String> {
        let _ = at_most;
        Ok(())
    }
}

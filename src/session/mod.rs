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
mod draining;
mod export;
mod felt;
mod import;
mod keys;
mod notices;
mod objects;
mod opening;
mod options;
mod port;
mod project_desk;
mod project_open;
mod prompting;
mod state;
#[cfg(test)]
mod tests;

pub use command::{Command, ModelChoice, PastedPicture, SampleFile};
pub use command_table::{Action, CommandEntry, CommandTable, Context, Group, When, WindowRequest};
pub use draft::{Draft, DraftState};
pub use export::{CocoSegmentation, ExportInput, ExportKind, ExportReport, ExportRequest, ExportScope, Exporter};
pub use felt::Felt;
pub use import::{ImportState, Importer};
pub use keys::{Key, Shortcut};
pub use notices::{KEPT_NOTICES, Notice, NoticeId, NoticeLevel, Notices};
pub use options::{Tool, ViewOptions};
pub use port::{EnginePort, ExportWork, ImportWork};
pub use project_desk::Access;
pub use state::{
    Answer, EncodePhase, ExportState, ModelState, ObjectState, Output, PicturePhase, PictureState, ProjectState,
    Prompting, SaveState, SizeConflict, Timings,
};

use crate::document::{Annotation, Colour, Edit, History};
pub use crate::engine::EmbeddingSource;
use crate::engine::ModelOpener;
use crate::geometry::ImageRect;
use project_desk::{Change, OpenRequest, ProjectDesk};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a session is given at its start.
pub struct Services {
    /// The engine; its first model may still be opening.
    pub engine: Box<dyn EnginePort>,
    /// Makes the job that opens a model; the job runs on a worker.
    pub open_model: Box<dyn Fn(&ModelChoice) -> ModelOpener>,
    /// Does exports, on the engine's heavy lane.
    pub exporter: Exporter,
    /// Reads files of annotations, on the engine's heavy lane.
    pub importer: Importer,
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
    /// How long the user waited.
    pub felt: Felt,
    /// Messages to the user.
    pub notices: Notices,
    /// The running export.
    pub export: Option<ExportState>,
    /// What came of the last export: its report, or why it failed.
    pub last_export: Option<Result<ExportReport, String>>,
    /// The running imports.
    pub imports: Vec<ImportState>,
    /// Set by a window, which then calls [`Session::picture_was_shown`]: a picture is drawn before it is encoded, so
    /// that the two do not slow each other down.
    pub shows_pictures_first: bool,
    history: History,
    desk: ProjectDesk,
    services: Services,
    outputs: Vec<Output>,
    /// Asked for while another project was being opened.
    open_next: Option<OpenRequest>,
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
            felt: Felt::default(),
            notices: Notices::default(),
            export: None,
            last_export: None,
            imports: Vec::new(),
            shows_pictures_first: false,
            history: History::default(),
            desk: ProjectDesk::start(services.data_folder.clone(), Arc::clone(&services.wake))?,
            services,
            outputs: Vec::new(),
            open_next: None,
        })
    }

    /// Does what the user wishes, or says why not. Never waits: what takes time is answered through [`Session::drain`].
    pub fn handle(&mut self, command: Command) {
        use Command as C;
        if command.opens_a_picture() {
            self.felt.wish_to_open(Instant::now());
        }
        match command {
            C::Open(paths) => {
                // One file is read while its project is opened. Of a folder nobody knows yet which picture it will be.
                if let [path] = paths.as_slice()
                    && crate::raster::is_picture_path(path)
                {
                    self.services.engine.read_soon(path.clone());
                }
                self.open(OpenRequest::Paths(paths));
            }
            C::OpenSamples(samples) => self.open(OpenRequest::Samples(samples)),
            C::OpenPasted(picture) => self.open(OpenRequest::Pasted(picture)),
            C::ShowImage(image) => self.show_image(&image),
            C::NextImage => self.go_by(1),
            C::PreviousImage => self.go_by(-1),

            C::AddPoint { at, polarity } => self.add_point(at, polarity),
            C::MovePoint { step, to } => self.move_point(step, to),
            C::EndDrag => self.end_drag(),
            C::RemoveStep(step) => self.remove_step(step),
            C::SetBox(rect) => self.set_box(rect),
            C::ChooseCandidate(index) => self.choose_candidate(|_, _| index),
            C::NextCandidate => self.choose_candidate(|shown, count| (shown + 1) % count),
            C::PreviousCandidate => self.choose_candidate(|shown, count| (shown + count - 1) % count),
            C::Hover(at) => self.hover_at(at),
            C::AcceptDraft => self.accept_draft(),
            C::DropDraft => self.drop_draft(),
            C::Escape => self.escape(),

            C::SelectAt(at) => self.select_at(at),
            C::Select(id) => self.select(id),
            C::SelectNext => self.select_neighbour(true),
            C::SelectPrevious => self.select_neighbour(false),
            C::Reopen(id) => self.reopen(id),
            C::ReopenSelected => {
                if let Some(id) = self.objects.selection {
                    self.reopen(id);
                }
            }
            C::Delete(id) => self.delete(Some(id)),
            C::DeleteSelected => self.delete(self.objects.selection),
            C::DuplicateSelected => self.duplicate_selected(),
            C::Rename(id, name) => self.rename(id, name),
            C::SetColour(id, colour) => self.set_colour(id, colour),
            C::SetHidden(id, hidden) => self.set_hidden(Some(id), |_| hidden),
            C::SetLocked(id, locked) => self.set_locked(Some(id), |_| locked),
            C::ToggleHiddenSelected => self.set_hidden(self.objects.selection, |hidden| !hidden),
            C::ToggleLockedSelected => self.set_locked(self.objects.selection, |locked| !locked),
            C::ToggleAllHidden => self.toggle_all_hidden(),
            C::MoveAnnotation(id, position) => self.move_annotation(id, position),

            C::SetLabel(id, label) => self.set_label(id, label),
            C::LabelByNumber(number) => self.label_by_number(number),
            C::LabelByName(name) => self.label_by_name(&name),
            C::SetActiveLabel(label) => {
                self.objects.active_label = label.filter(|label| self.project.project.label(*label).is_some());
            }
            C::AddLabel(name) => self.add_label(&name),
            C::RenameLabel(id, name) => {
                self.commit(Edit::RenameLabel { id, name: name.trim().to_owned() });
            }
            C::RecolourLabel(id, colour) => {
                self.commit(Edit::RecolourLabel { id, colour });
            }
            C::MoveLabel(id, position) => {
                let position = position.min(self.project.project.labels().len().saturating_sub(1));
                self.commit(Edit::MoveLabel { id, position });
            }
            C::RemoveLabel(id) => self.remove_label(id),

            C::Undo => self.undo(),
            C::Redo => self.redo(),
            C::SaveNow => self.save_now(),

            C::SetThreshold(threshold) if threshold.is_finite() => self.view.threshold = threshold.clamp(-10.0, 10.0),
            C::SetTintOpacity(share) if share.is_finite() => self.view.tint_opacity = share.clamp(0.0, 1.0),
            C::SetThreshold(_) | C::SetTintOpacity(_) => {}
            C::SetOutline(outline) => self.view.outline = outline,
            C::SetReduceMotion(reduce) => self.view.reduce_motion = reduce,
            C::SetHoverPreview(preview) => {
                self.view.hover_preview = preview;
                self.hover_at(None);
            }
            C::SetTool(tool) => {
                self.tool = tool;
                self.hover_at(None);
            }

            C::SetModel(choice) => self.set_model(choice),
            C::Export(request) => self.start_export(request),
            C::ImportCoco(path) => self.start_import(path),
            C::CancelExport => {
                if let Some(export) = &self.export {
                    export.ticket.cancel();
                }
            }
            C::CopyCutout => self.copy_cutout(),
            C::DismissNotice(id) => self.notices.dismiss(id),
        }
    }

    /// Says which part of the picture the window shows (`visible` may reach beyond it), and how much closer than fitted
    /// it is. Zoomed in beyond twice the fit, the next draft is answered from that part alone.
    pub fn set_visible(&mut self, visible: ImageRect, fit_zoom_ratio: f32) {
        self.picture.visible = Some((visible, fit_zoom_ratio));
    }

    /// The facts that decide which commands are available.
    pub fn context(&self) -> Context {
        let draft = &self.prompting.draft;
        let candidates = self.prompting.answer.as_ref().map_or(0, |answer| answer.candidates.items.len());
        Context {
            project: self.project.folder.is_some(),
            picture: self.picture.handle().is_some(),
            drafting: !draft.is_empty(),
            choosing: draft.prompt().is_lone_point() && candidates > 1,
            selected: self.selected().is_some(),
            objects: !self.annotations().is_empty(),
            exportable: self.project.project.annotation_count() > 0,
            can_undo: self.undo_title().is_some(),
            can_redo: self.redo_title().is_some(),
        }
    }

    /// The objects of the picture that may be drawn, bottom first, each with its colour: not hidden, not the one that
    /// is reopened, none if the file changed its size.
    pub fn drawn_objects(&self) -> impl Iterator<Item = (&Arc<Annotation>, Colour)> {
        let annotations = if self.picture.size_conflict.is_some() { &[] } else { self.annotations() };
        let reopened = self.prompting.draft.correcting();
        annotations
            .iter()
            .filter(move |annotation| !annotation.hidden && Some(annotation.id) != reopened)
            .map(|annotation| (annotation, self.project.project.colour_of(annotation)))
    }

    /// What undo would take back, for the menu.
    pub fn undo_title(&self) -> Option<&'static str> {
        if self.prompting.draft.can_undo() { Some("prompt") } else { self.history.undo_title() }
    }

    /// What redo would do again, for the menu.
    pub fn redo_title(&self) -> Option<&'static str> {
        let of_project = self.history.redo_title();
        if self.prompting.draft.can_redo() && !(self.prompting.redo_project_first && of_project.is_some()) {
            Some("prompt")
        } else {
            of_project
        }
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
        self.desk.flush(at_most)
    }

    fn open(&mut self, request: OpenRequest) {
        if self.project.opening {
            self.open_next = Some(request);
        } else {
            self.project.opening = true;
            self.desk.open(request);
        }
    }

    fn opening_is_over(&mut self) {
        self.project.opening = false;
        if let Some(next) = self.open_next.take() {
            self.open(next);
        }
    }

    /// Sends a change to the project file; nothing where the project may only be looked at.
    fn save(&mut self, change: Change) {
        if self.project.access == Access::ReadWrite {
            self.desk.save(change);
            if self.project.save == SaveState::Saved {
                self.project.save = SaveState::Saving;
            }
        }
    }

    fn save_now(&mut self) {
        if !self.may_edit() {
            return;
        }
        self.desk.retry();
        let place = self.project.store_path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        self.inform(match self.project.save {
            SaveState::Saved => format!("All work is saved in {place}. Saving happens by itself."),
            SaveState::Saving | SaveState::Failed(_) => format!("Saving to {place}."),
        });
    }

    fn set_model(&mut self, choice: ModelChoice) {
        self.services.engine.set_model((self.services.open_model)(&choice));
        self.model.choice = choice;
        self.model.opening = true;
    }

    fn start_export(&mut self, request: ExportRequest) {
        let Some(folder) = self.project.folder.clone() else { return };
        if self.export.is_some() {
            self.warn("An export is running; wait for it or stop it.");
            return;
        }
        let shown = self.picture.name.as_ref();
        let images: Vec<_> = self
            .project
            .project
            .images()
            .filter(|entry| !entry.annotations().is_empty())
            .map(|entry| entry.name().clone())
            .filter(|name| request.scope == ExportScope::Folder || Some(name) == shown)
            .collect();
        if images.is_empty() {
            let text = "There is no object to export yet. Click on one and press Enter to keep it.";
            self.last_export = Some(Err(text.to_owned()));
            self.warn(text);
            return;
        }
        self.last_export = None;
        let name = match images.len() {
            1 => format!("The export of {}", images[0]),
            count => format!("The export of {count} pictures"),
        };
        let input = ExportInput { project: self.project.project.clone(), folder, images, request };
        let exporter = Arc::clone(&self.services.exporter);
        let ticket = self.services.engine.run_export(name.clone(), Box::new(move |control| exporter(&input, control)));
        self.export = Some(ExportState { name, share: 0.0, ticket });
    }

    fn copy_cutout(&mut self) {
        if self.picture.size_conflict.is_none()
            && let (Some(picture), Some(annotation)) = (self.picture.handle(), self.selected())
        {
            self.desk.cut_out(picture.clone(), annotation.mask.clone());
        }
    }
}

//! What a session asks of the engine, as a trait, so that tests can script the answers.

use super::export::ExportReport;
use crate::document::ImportedDataset;
use crate::engine::{
    DecodeRequest, Engine, Event, Generation, JobControl, JobError, JobTicket, ModelOpener, PictureHandle,
    PictureSource,
};
use crate::geometry::PixelRect;
use std::path::PathBuf;

/// The work of an export.
pub type ExportWork = Box<dyn FnOnce(&JobControl<'_>) -> Result<ExportReport, JobError> + Send>;

/// The work of an import.
pub type ImportWork = Box<dyn FnOnce(&JobControl<'_>) -> Result<ImportedDataset, JobError> + Send>;

/// The part of [`Engine`] that a session uses. No call waits.
pub trait EnginePort {
    /// See [`Engine::try_next_event`].
    fn try_next_event(&self) -> Option<Event>;
    /// See [`Engine::set_model`].
    fn set_model(&self, open_model: ModelOpener);
    /// See [`Engine::open_picture`].
    fn open_picture(&self, generation: Generation, path: PathBuf);
    /// See [`Engine::read_soon`].
    fn read_soon(&self, path: PathBuf);
    /// See [`Engine::encode`].
    fn encode(&self, picture: &PictureHandle, view: Option<PixelRect>);
    /// See [`Engine::encode_ahead`].
    fn encode_ahead(&self, paths: Vec<PathBuf>);
    /// See [`Engine::cancel_encode`].
    fn cancel_encode(&self);
    /// See [`Engine::decode`].
    fn decode(&self, request: DecodeRequest);
    /// See [`Engine::hover`].
    fn hover(&self, request: DecodeRequest);
    /// See [`Engine::cancel_decode`].
    fn cancel_decode(&self);
    /// See [`Engine::run_heavy`].
    fn run_export(&self, name: String, work: ExportWork) -> JobTicket<ExportReport>;
    /// See [`Engine::run_heavy`].
    fn run_import(&self, name: String, work: ImportWork) -> JobTicket<ImportedDataset>;
}

impl EnginePort for Engine {
    fn try_next_event(&self) -> Option<Event> {
        Self::try_next_event(self)
    }
    fn set_model(&self, open_model: ModelOpener) {
        Self::set_model(self, open_model);
    }
    fn open_picture(&self, generation: Generation, path: PathBuf) {
        Self::open_picture(self, generation, PictureSource::File(path));
    }
    fn read_soon(&self, path: PathBuf) {
        Self::read_soon(self, path);
    }
    fn encode(&self, picture: &PictureHandle, view: Option<PixelRect>) {
        Self::encode(self, picture, view);
    }
    fn encode_ahead(&self, paths: Vec<PathBuf>) {
        Self::encode_ahead(self, paths);
    }
    fn cancel_encode(&self) {
        Self::cancel_encode(self);
    }
    fn decode(&self, request: DecodeRequest) {
        Self::decode(self, request);
    }
    fn hover(&self, request: DecodeRequest) {
        Self::hover(self, request);
    }
    fn cancel_decode(&self) {
        Self::cancel_decode(self);
    }
    fn run_export(&self, name: String, work: ExportWork) -> JobTicket<ExportReport> {
        self.run_heavy(name, work)
    }
    fn run_import(&self, name: String, work: ImportWork) -> JobTicket<ImportedDataset> {
        self.run_heavy(name, work)
    }
}

//! Facts become state: what the engine and the project desk tell, handled once each.

use super::project_desk::DeskEvent;
use super::{EncodePhase, ExportReport, NoticeLevel, Output, SaveState, Session};
use crate::engine::{Event, HeavyOutcome, JobId, PictureId, Problem};
use crate::geometry::PixelRect;
use std::time::{Duration, Instant};

impl Session {
    /// Takes in what the engine and the project desk have to tell, for at most this long. Returns whether something is
    /// left for the next frame.
    pub fn drain(&mut self, budget: Duration) -> bool {
        let start = Instant::now();
        loop {
            let mut was_idle = true;
            if let Some(event) = self.desk.try_next_event() {
                self.take_in_desk_event(event);
                was_idle = false;
            }
            if let Some(event) = self.services.engine.try_next_event() {
                self.take_in_engine_event(event);
                was_idle = false;
            }
            if was_idle {
                return false;
            }
            if start.elapsed() >= budget {
                return true;
            }
        }
    }

    fn take_in_desk_event(&mut self, event: DeskEvent) {
        match event {
            DeskEvent::Opened(opened) => {
                self.project_opened(*opened);
                self.opening_is_over();
            }
            DeskEvent::OpenFailed(text) => {
                self.fail(text);
                self.opening_is_over();
            }
            DeskEvent::Saved(number) => {
                if number >= self.desk.last_change() {
                    self.project.save = SaveState::Saved;
                } else if matches!(self.project.save, SaveState::Failed(_)) {
                    self.project.save = SaveState::Saving;
                }
            }
            DeskEvent::SaveFailed(text) => {
                self.fail(format!("The last changes are not saved yet; it is tried again. {text}"));
                self.project.save = SaveState::Failed(text);
            }
            DeskEvent::MaskMade(acceptance, mask) => self.mask_made(*acceptance, mask),
            DeskEvent::CutOutMade(picture) => {
                self.inform(format!("Copied a cut-out of {} x {} pixels.", picture.width, picture.height));
                self.outputs.push(Output::CopyPicture(picture));
            }
            DeskEvent::JobFailed(text) => self.fail(text),
        }
    }

    fn take_in_engine_event(&mut self, event: Event) {
        match event {
            Event::ModelReady(info) => self.model_ready(info),
            Event::ModelFailed(problem) => {
                self.model.opening = false;
                self.model.problem = Some(problem.to_string());
                self.fail(match &self.model.info {
                    Some(info) => format!("The model cannot be used; {} goes on. {problem}", info.name),
                    None => format!("The model cannot be used. {problem}"),
                });
            }
            Event::PictureOpened { generation, picture, open_ms } => self.picture_opened(generation, picture, open_ms),
            Event::PictureFailed { generation, problem, .. } => self.picture_failed(generation, &problem),
            Event::EncodeProgress { picture, view, share } => {
                if self.is_looked_at(picture, view) {
                    self.picture.encode = EncodePhase::Running { share };
                }
            }
            Event::Encoded { picture, view, encode_ms, source } => {
                if self.is_looked_at(picture, view) {
                    self.picture.encode = EncodePhase::Ready;
                    self.timings.encode_ms = Some(encode_ms);
                    self.timings.encode_source = Some(source);
                }
            }
            Event::EncodeFailed { picture, view, unanswered, problem } => {
                if self.is_looked_at(picture, view) {
                    self.picture.encode = EncodePhase::Failed(problem.to_string());
                    self.fail(format!("The picture could not be prepared for clicks. {problem}"));
                }
                if unanswered == Some(self.prompting.asked) {
                    self.prompting.waiting = false;
                    self.prompting.accept_when_ready = false;
                }
            }
            Event::EncodedAhead { .. } => {}
            Event::MaskReady { generation, picture, candidates, decode_ms, ready } => {
                self.mask_ready(generation, picture, candidates, decode_ms, ready);
            }
            Event::DecodeFailed { generation, problem } => self.decode_failed(generation, &problem),
            Event::HoverReady { generation, picture, candidates } => self.hover_ready(generation, picture, candidates),
            Event::HeavyProgress { job, share } => {
                if let Some(export) = self.export.as_mut().filter(|export| export.ticket.id() == job) {
                    export.share = share;
                }
            }
            Event::HeavyDone { job, name, outcome } => match self.take_import(job) {
                Some(import) => self.import_done(&import, &name, outcome),
                None => self.export_done(job, &name, outcome),
            },
            Event::CacheTrouble(problem) => self.warn(problem.to_string()),
        }
    }

    /// Whether an encoder event is about what the user waits for: the wanted view, or the draft's.
    fn is_looked_at(&self, picture: PictureId, view: PixelRect) -> bool {
        let Some(handle) = self.picture.handle().filter(|handle| handle.id() == picture) else { return false };
        let rect = |view: Option<PixelRect>| view.unwrap_or_else(|| handle.whole());
        let draft = &self.prompting.draft;
        view == rect(self.picture.wanted_view) || (!draft.is_empty() && view == rect(draft.prompt().view))
    }

    fn export_done(&mut self, job: JobId, name: &str, outcome: HeavyOutcome) {
        let Some(export) = self.export.take_if(|export| export.ticket.id() == job) else { return };
        match (outcome, export.ticket.take()) {
            (HeavyOutcome::Finished, Some(report)) => {
                self.export_written(&report);
                self.last_export = Some(Ok(report));
            }
            (HeavyOutcome::Finished, None) => {
                self.export_failed(name, &Problem::new("it gave no report; please report this"));
            }
            (HeavyOutcome::Cancelled, _) => {
                let text = format!("{name} was stopped; nothing was written over.");
                self.last_export = Some(Err(text.clone()));
                self.inform(text);
            }
            (HeavyOutcome::Failed(problem), _) => self.export_failed(name, &problem),
        }
    }

    fn export_written(&mut self, report: &ExportReport) {
        let ExportReport { path, images, objects, remarks } = report;
        self.inform(format!("Wrote {objects} objects of {images} pictures to {}.", path.display()));
        for remark in remarks {
            self.warn(remark.clone());
        }
    }

    fn export_failed(&mut self, name: &str, problem: &Problem) {
        self.last_export = Some(Err(problem.to_string()));
        self.fail(format!("{name} failed. {problem}"));
    }

    pub(super) fn inform(&mut self, text: impl Into<String>) {
        self.notices.push(NoticeLevel::Info, text);
    }

    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.notices.push(NoticeLevel::Warning, text);
    }

    pub(super) fn fail(&mut self, text: impl Into<String>) {
        self.notices.push(NoticeLevel::Error, text);
    }
}

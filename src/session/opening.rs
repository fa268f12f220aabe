//! Opening projects and going from picture to picture. Nothing is lost on the way: drafts wait with their pictures.

use super::project_desk::{Access, Change};
use super::project_open::OpenedProject;
use super::{Draft, DraftState, EncodePhase, PicturePhase, PictureState, Session, SizeConflict};
use crate::document::{Edit, ImageName, ImageSize};
use crate::engine::{Generation, PictureHandle, Problem};
use crate::raster::PictureNote;
use std::collections::HashSet;
use std::path::PathBuf;

/// How many pictures ahead are encoded beforehand, and how many behind.
const NEIGHBOURS: (usize, usize) = (2, 1);

impl Session {
    pub(super) fn project_opened(&mut self, opened: OpenedProject) {
        for remark in &opened.remarks {
            self.warn(remark.clone());
        }
        if opened.is_same_project {
            self.project.listed = opened.listed;
        } else {
            self.leave_picture();
            self.desk.take_over();
            self.history.clear();
            self.objects = super::ObjectState::default();
            self.prompting.parked = opened
                .contents
                .drafts
                .into_iter()
                .map(|(image, draft)| {
                    let state = DraftState { prompt: draft.prompt, correcting: draft.correcting };
                    (image, Draft::from_state(state))
                })
                .collect();
            self.project.project = opened.contents.project;
            self.project.folder = Some(opened.folder);
            self.project.store_path = Some(opened.store_path);
            self.project.access = opened.access;
            self.project.listed = opened.listed;
            self.project.save = super::SaveState::Saved;
        }
        if let Access::ReadOnly { owner } = &self.project.access {
            let text = format!("This folder is open in {owner}. Here it can be looked at and exported, not changed.");
            self.warn(text);
        }
        self.take_in_folder(&opened.pictures);
        let last = opened.contents.last_image.filter(|image| self.project.listed.contains(image));
        let shown = self.picture.name.clone().filter(|image| self.project.listed.contains(image));
        let first = self.project.listed.first().cloned();
        if let Some(image) = opened.focus.or(shown).or(last).or(first) {
            self.show_image(&image);
        }
    }

    /// Makes the project's pictures those of the folder; pictures with objects stay although their files are gone.
    fn take_in_folder(&mut self, pictures: &[ImageName]) {
        let there: HashSet<&ImageName> = pictures.iter().collect();
        let project = &self.project.project;
        let mut edits: Vec<Edit> = pictures
            .iter()
            .filter(|image| project.image(image).is_none())
            .map(|image| Edit::AddImage { image: image.clone(), size: None })
            .collect();
        let gone = project.images().filter(|entry| !there.contains(entry.name()));
        let (kept, dropped): (Vec<_>, Vec<_>) = gone.partition(|entry| !entry.annotations().is_empty());
        edits.extend(dropped.iter().map(|entry| Edit::RemoveImage { image: entry.name().clone() }));
        let missing: HashSet<ImageName> = kept.iter().map(|entry| entry.name().clone()).collect();
        if !missing.is_empty() {
            self.warn(format!(
                "{} pictures with objects are no longer in the folder; their objects are kept.",
                missing.len()
            ));
        }
        self.project.missing = missing;
        if !edits.is_empty() {
            self.apply_fact(Edit::Together(edits));
        }
    }

    /// Does an edit that only records what is so in the folder: kept in the project file, but nothing to undo.
    pub(super) fn apply_fact(&mut self, edit: Edit) {
        match self.project.project.apply(&edit) {
            Ok(_) => self.save(Change::Edit(edit)),
            Err(error) => self.fail(format!("The folder does not fit the project: {error}.")),
        }
    }

    /// The picture `by` places after the shown one in the list.
    fn neighbour(&self, by: isize) -> Option<&ImageName> {
        let shown = self.picture.name.as_ref()?;
        let at = match self.project.listed.binary_search(shown) {
            Ok(at) => at.checked_add_signed(by)?,
            // A picture that is not in the list (it came by undo) stands between two that are.
            Err(after) => after.checked_add_signed(if by > 0 { by - 1 } else { by })?,
        };
        self.project.listed.get(at)
    }

    pub(super) fn go_by(&mut self, by: isize) {
        if let Some(image) = self.neighbour(by).cloned() {
            self.show_image(&image);
        }
    }

    pub(super) fn show_image(&mut self, image: &ImageName) {
        let Some(folder) = self.project.folder.clone() else { return };
        let is_shown = self.picture.name.as_ref() == Some(image);
        if (is_shown && !matches!(self.picture.phase, PicturePhase::Failed(_)))
            || self.project.project.image(image).is_none()
        {
            return;
        }
        let left = self.picture.name.clone();
        let mut generation = self.picture.generation;
        generation.advance();
        self.picture = PictureState {
            name: Some(image.clone()),
            phase: PicturePhase::Opening,
            generation,
            ..PictureState::default()
        };
        if !is_shown {
            self.exchange_draft(left, image);
            self.objects.selection = None;
        }
        self.timings.open_ms = None;
        self.timings.encode_ms = None;
        self.timings.encode_source = None;
        self.save(Change::LastImage(image.clone()));
        self.services.engine.open_picture(generation, image.path_in(&folder));
    }

    fn leave_picture(&mut self) {
        let mut generation = self.picture.generation;
        generation.advance();
        self.picture = PictureState { generation, ..PictureState::default() };
        self.prompting.draft = Draft::default();
        self.ask();
        self.services.engine.cancel_encode();
    }

    pub(super) fn picture_opened(&mut self, generation: Generation, handle: PictureHandle, open_ms: f64) {
        let Some(name) = self.picture.name.clone().filter(|_| generation == self.picture.generation) else { return };
        let found = ImageSize { width: handle.width, height: handle.height };
        let entry = self.project.project.image(&name);
        let stored = entry.and_then(|entry| entry.size());
        let has_objects = entry.is_some_and(|entry| !entry.annotations().is_empty());
        match stored {
            Some(stored) if stored != found && has_objects => {
                self.picture.size_conflict = Some(SizeConflict { stored, found });
                self.fail(format!(
                    "{name} is {found} pixels now, but its objects were made at {stored}. They are kept, but cannot be \
                     shown or changed; put the old file back, or delete them from the list."
                ));
            }
            Some(stored) if stored == found => {}
            _ => self.apply_fact(Edit::SetImageSize { image: name.clone(), size: Some(found) }),
        }
        for note in &handle.notes {
            match note {
                PictureNote::FirstFrameOnly => self.warn(format!("{name} is animated; its first frame is shown.")),
                PictureNote::AlphaFlattened => self.inform(format!("{name}: transparent pixels are shown over white.")),
                PictureNote::ReducedTo8Bit => self.inform(format!("{name} is shown at 8 bits a channel.")),
                PictureNote::Reoriented(_) => {}
            }
        }
        self.picture.phase = PicturePhase::Ready(handle);
        self.timings.open_ms = Some(open_ms);
        if self.picture.size_conflict.is_none() {
            self.picture.encode_waits = self.shows_pictures_first;
            if !self.picture.encode_waits {
                self.encode_from_now_on();
            }
            // Clicks that were left here, or made before.
            if !self.prompting.draft.is_empty() {
                self.ask();
            }
        }
        if !self.picture.encode_waits {
            self.services.engine.encode_ahead(self.neighbour_paths());
        }
    }

    /// The window has drawn the picture: now it may be encoded.
    pub fn picture_was_shown(&mut self) {
        if std::mem::take(&mut self.picture.encode_waits) {
            self.encode_from_now_on();
            self.services.engine.encode_ahead(self.neighbour_paths());
        }
    }

    /// Has the whole picture encoded, unless a prompt was there before and asks for its own view.
    fn encode_from_now_on(&mut self) {
        if self.model.info.is_some() {
            self.want_view(None);
        }
    }

    fn neighbour_paths(&self) -> Vec<PathBuf> {
        let Some(folder) = &self.project.folder else { return Vec::new() };
        let (ahead, behind) = (NEIGHBOURS.0 as isize, NEIGHBOURS.1 as isize);
        let near = (1..=ahead).chain((1..=behind).map(|by| -by));
        near.filter_map(|by| Some(self.neighbour(by)?.path_in(folder))).collect()
    }

    pub(super) fn picture_failed(&mut self, generation: Generation, problem: &Problem) {
        if generation == self.picture.generation {
            self.picture.phase = PicturePhase::Failed(problem.to_string());
            self.fail(problem.to_string());
            self.services.engine.encode_ahead(self.neighbour_paths());
        }
    }

    /// A model is ready: the picture is encoded with it, and what was said is asked again.
    pub(super) fn model_ready(&mut self, info: crate::engine::SegmenterInfo) {
        let is_another = self.model.info.as_ref() != Some(&info);
        self.model.opening = false;
        self.model.problem = None;
        self.model.info = Some(info);
        let encodes = self.picture.size_conflict.is_none() && !self.picture.encode_waits;
        if !is_another || self.picture.handle().is_none() || !encodes {
            return;
        }
        self.picture.encode = EncodePhase::Idle;
        self.want_view(self.prompting.draft.prompt().view);
        if !self.prompting.draft.is_empty() {
            self.ask();
        }
        self.services.engine.encode_ahead(self.neighbour_paths());
    }
}

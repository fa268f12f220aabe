//! Our own path field, shown where the system has no file dialog: type or paste a path, Enter takes it.
//!
//! Invariant: a path that cannot work is refused here with the reason; the dialog stays open with what was typed.

use super::theme::Palette;
use super::widgets::{Weight, action_button, dialog_frame, text_field};
use egui::{Context, Id, Key, Modal, RichText};
use std::path::PathBuf;

/// The kind of path that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// A file that exists.
    File,
    /// A file of annotations that exists.
    AnnotationFile,
    /// A file or a folder that exists.
    FileOrFolder,
    /// A folder that exists.
    Folder,
    /// A place to write to; its folder must exist.
    Target,
}

/// The dialog's state while it is open.
#[derive(Debug)]
pub struct PathDialog {
    title: String,
    wanted: Wanted,
    typed: String,
    problem: Option<String>,
    focus_asked: bool,
}

/// How the dialog ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathAnswer {
    /// This path.
    Path(PathBuf),
    /// No path.
    Cancelled,
}

impl PathDialog {
    /// An open dialog.
    pub fn new(title: impl Into<String>, wanted: Wanted, suggestion: Option<PathBuf>) -> Self {
        let typed = suggestion.map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        Self { title: title.into(), wanted, typed, problem: None, focus_asked: false }
    }

    /// Draws the dialog; an answer ends it.
    pub fn path_dialog_ui(&mut self, context: &Context) -> Option<PathAnswer> {
        let response = Modal::new(Id::unique("path dialog")).frame(dialog_frame(context)).show(context, |ui| {
            ui.set_width(460.0);
            let palette = Palette::of(ui.visuals());
            ui.heading(&self.title);
            ui.label(
                RichText::new(
                    "This system shows no file dialog, so the path goes here. Files can also be dropped on the window.",
                )
                .color(palette.text_weak),
            );
            ui.add_space(4.0);
            let hint = match self.wanted {
                Wanted::File => "/home/me/models/sam.safetensors",
                Wanted::AnnotationFile => "/home/me/photos/annotations.json",
                Wanted::FileOrFolder => "/home/me/photos/cat.jpg",
                Wanted::Folder => "/home/me/photos",
                Wanted::Target => "/home/me/annotations.json",
            };
            let field = text_field(ui, "Path", &mut self.typed, hint, f32::INFINITY);
            if !self.focus_asked {
                field.request_focus();
                self.focus_asked = true;
            }
            if let Some(problem) = &self.problem {
                ui.colored_label(palette.bad, problem);
            }
            ui.add_space(8.0);
            let submitted = field.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
            ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
                let taken = action_button(ui, None, "Use this path", Weight::Primary, true).clicked();
                let cancelled = action_button(ui, None, "Cancel", Weight::Normal, true).clicked();
                (taken || submitted, cancelled)
            })
            .inner
        });
        let (taken, cancelled) = response.inner;
        if taken {
            match self.check() {
                Ok(path) => return Some(PathAnswer::Path(path)),
                Err(problem) => {
                    self.problem = Some(problem);
                    self.focus_asked = false;
                }
            }
        }
        (cancelled || response.should_close()).then_some(PathAnswer::Cancelled)
    }

    /// The typed path, if it can work. A look at one path's metadata, no reading.
    fn check(&self) -> Result<PathBuf, String> {
        let typed = self.typed.trim().trim_matches(['"', '\'']);
        let typed = typed.strip_prefix("file://").unwrap_or(typed);
        if typed.is_empty() {
            return Err("Type a path first.".into());
        }
        let path = match typed.strip_prefix("~/").and_then(|rest| etcetera::home_dir().ok().map(|home| home.join(rest)))
        {
            Some(path) => path,
            None => PathBuf::from(typed),
        };
        match self.wanted {
            Wanted::File | Wanted::AnnotationFile if !path.is_file() => {
                Err(format!("There is no file {}.", path.display()))
            }
            Wanted::FileOrFolder if !path.exists() => Err(format!("There is nothing at {}.", path.display())),
            Wanted::Folder if !path.is_dir() => Err(format!("There is no folder {}.", path.display())),
            Wanted::Target
                if path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) =>
            {
                Err(format!("There is no folder {}.", path.parent().unwrap_or(&path).display()))
            }
            _ => Ok(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_cannot_work_are_refused_with_the_reason() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.png");
        std::fs::write(&file, b"x").unwrap();
        let check = |wanted, typed: String| PathDialog { typed, ..PathDialog::new("t", wanted, None) }.check();
        assert_eq!(check(Wanted::File, format!(" \"{}\" ", file.display())), Ok(file.clone()));
        assert_eq!(check(Wanted::File, format!("file://{}", file.display())), Ok(file.clone()));
        assert!(check(Wanted::FileOrFolder, folder.path().display().to_string()).is_ok());
        assert!(check(Wanted::FileOrFolder, "/no/such/place".into()).is_err());
        assert!(check(Wanted::Folder, file.display().to_string()).unwrap_err().contains("no folder"));
        assert!(check(Wanted::Target, folder.path().join("no/out.json").display().to_string()).is_err());
        assert!(check(Wanted::Target, folder.path().join("out.json").display().to_string()).is_ok());
        assert!(check(Wanted::File, "  ".into()).is_err());
    }
}

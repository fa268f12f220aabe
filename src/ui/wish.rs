//! What panels give back: commands for the session, and wishes that only concern the window.
//!
//! Invariant: panels never act. The application takes the wishes after the frame is drawn, in order.

use crate::session::Command;
use std::path::PathBuf;

/// A wish of the user, from any panel.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// For the session.
    Command(Command),
    /// For the window.
    Window(WindowWish),
}

/// A wish that concerns the window alone.
#[derive(Debug, Clone, PartialEq)]
pub enum WindowWish {
    /// Asks for pictures to open.
    AskPictures,
    /// Asks for a folder to open.
    AskFolder,
    /// Asks for the weights of a segmenter.
    AskModel,
    /// Asks where to write an export; the path goes to the export dialog.
    AskExportTarget {
        /// A folder rather than a file.
        folder: bool,
        /// Where to start.
        suggestion: PathBuf,
    },
    /// Takes the picture on the clipboard.
    PastePicture,
    /// Opens or closes the command palette.
    TogglePalette,
    /// Opens or closes the sheet of shortcuts.
    ToggleShortcuts,
    /// Opens or closes the settings.
    ToggleSettings,
    /// Opens the export dialog.
    ShowExport,
    /// Shows or hides the list of pictures.
    TogglePictures,
    /// Shows or hides the panel of labels and objects.
    ToggleObjects,
    /// Shows the whole picture.
    Fit,
    /// Shows one picture pixel as one screen pixel.
    OneToOne,
    /// Zooms in around the middle.
    ZoomIn,
    /// Zooms out around the middle.
    ZoomOut,
    /// Changes the theme.
    SetTheme(super::settings_panel::ThemeChoice),
    /// Closes the window.
    Quit,
}

/// The wishes of one frame, in the order in which they were said.
#[derive(Debug, Default)]
pub struct Wishes(Vec<Wish>);

impl Wishes {
    /// A wish for the session.
    pub fn command(&mut self, command: Command) {
        self.0.push(Wish::Command(command));
    }

    /// A wish for the window.
    pub fn window(&mut self, wish: WindowWish) {
        self.0.push(Wish::Window(wish));
    }

    /// All of them, oldest first.
    pub fn take(&mut self) -> Vec<Wish> {
        std::mem::take(&mut self.0)
    }
}

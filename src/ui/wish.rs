//! What panels give back: commands for the session, and wishes that only concern the window.
//!
//! Invariant: panels never act. The application takes the wishes after the frame is drawn, in order.

use crate::session::{Action, Command, WindowRequest};
use std::path::PathBuf;

/// A wish of the user, from any panel.
#[derive(Debug, Clone, PartialEq)]
pub enum Wish {
    /// For the session.
    Command(Command),
    /// For the window, as the command table names it.
    Request(WindowRequest),
    /// For the window, from a panel of its own.
    Window(WindowWish),
}

/// A wish that only a panel can say: no line of the command table stands for it.
#[derive(Debug, Clone, PartialEq)]
pub enum WindowWish {
    /// Asks where to write an export; the path goes to the export dialog.
    AskExportTarget {
        /// A folder rather than a file.
        folder: bool,
        /// Where to start.
        suggestion: PathBuf,
    },
    /// Shows or hides the list of pictures.
    TogglePictures,
    /// Shows or hides the panel of labels and objects.
    ToggleObjects,
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
    pub fn request(&mut self, request: WindowRequest) {
        self.0.push(Wish::Request(request));
    }

    /// A wish of a panel for the window.
    pub fn window(&mut self, wish: WindowWish) {
        self.0.push(Wish::Window(wish));
    }

    /// What a line of the command table does.
    pub fn action(&mut self, action: &Action) {
        match action {
            Action::Run(command) => self.command(command.clone()),
            Action::Window(request) => self.request(*request),
        }
    }

    /// Whether anything was said.
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }

    /// All of them, oldest first.
    pub fn take(&mut self) -> Vec<Wish> {
        std::mem::take(&mut self.0)
    }
}

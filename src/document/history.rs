//! Undo and redo: the inverses of what was done, within a byte budget.
//!
//! Invariant: the history never holds more than its budget; the oldest entries go first. What is undone comes back
//! exactly by redo until a new edit is committed.

use super::{Edit, EditError, Project};
use std::collections::VecDeque;

/// The budget of a session's history: 64 MiB, thousands of masks.
pub const DEFAULT_HISTORY_BYTES: usize = 64 << 20;

#[derive(Debug)]
struct Entry {
    /// What the user did, for "Undo ...".
    title: &'static str,
    /// Takes it back (or, among the undone, does it again).
    edit: Edit,
    bytes: usize,
}

/// What can be undone and redone.
#[derive(Debug)]
pub struct History {
    done: VecDeque<Entry>,
    undone: Vec<Entry>,
    bytes: usize,
    budget_bytes: usize,
}

impl Default for History {
    fn default() -> Self {
        Self::new(DEFAULT_HISTORY_BYTES)
    }
}

impl History {
    /// An empty history that holds at most this many bytes.
    pub fn new(budget_bytes: usize) -> Self {
        Self { done: VecDeque::new(), undone: Vec::new(), bytes: 0, budget_bytes }
    }

    /// Applies an edit to the project and remembers how to take it back. What was undone can no longer be redone.
    ///
    /// # Errors
    /// An edit that does not fit; project and history are then unchanged.
    pub fn commit(&mut self, project: &mut Project, edit: &Edit) -> Result<(), EditError> {
        let inverse = project.apply(edit)?;
        for entry in self.undone.drain(..) {
            self.bytes -= entry.bytes;
        }
        let bytes = inverse.byte_size();
        self.bytes += bytes;
        self.done.push_back(Entry { title: edit.title(), edit: inverse, bytes });
        self.keep_to_budget();
        Ok(())
    }

    /// Takes back the last action and returns the edit that did so, for the project file; `None` if there is nothing.
    ///
    /// # Errors
    /// A project that was changed behind the history's back; the entry is then dropped.
    pub fn undo(&mut self, project: &mut Project) -> Result<Option<Edit>, EditError> {
        let Some(entry) = self.done.pop_back() else { return Ok(None) };
        self.bytes -= entry.bytes;
        let inverse = project.apply(&entry.edit)?;
        let bytes = inverse.byte_size();
        self.bytes += bytes;
        self.undone.push(Entry { title: entry.title, edit: inverse, bytes });
        self.keep_to_budget();
        Ok(Some(entry.edit))
    }

    /// Does again what was undone last and returns the edit that did so; `None` if there is nothing.
    ///
    /// # Errors
    /// A project that was changed behind the history's back; the entry is then dropped.
    pub fn redo(&mut self, project: &mut Project) -> Result<Option<Edit>, EditError> {
        let Some(entry) = self.undone.pop() else { return Ok(None) };
        self.bytes -= entry.bytes;
        let inverse = project.apply(&entry.edit)?;
        let bytes = inverse.byte_size();
        self.bytes += bytes;
        self.done.push_back(Entry { title: entry.title, edit: inverse, bytes });
        self.keep_to_budget();
        Ok(Some(entry.edit))
    }

    /// What undo would take back.
    pub fn undo_title(&self) -> Option<&'static str> {
        self.done.back().map(|entry| entry.title)
    }

    /// What redo would do again.
    pub fn redo_title(&self) -> Option<&'static str> {
        self.undone.last().map(|entry| entry.title)
    }

    /// About how many bytes the history holds.
    pub fn byte_size(&self) -> usize {
        self.bytes
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.done.clear();
        self.undone.clear();
        self.bytes = 0;
    }

    fn keep_to_budget(&mut self) {
        while self.bytes > self.budget_bytes {
            // The undone are nearer to the present than the oldest done; their oldest is the first of the list.
            let dropped = self.done.pop_front().or_else(|| (!self.undone.is_empty()).then(|| self.undone.remove(0)));
            match dropped {
                Some(entry) => self.bytes -= entry.bytes,
                None => break,
            }
        }
    }
}

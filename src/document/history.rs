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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::testing;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn undo_to_the_start_and_redo_to_the_end(seeds in testing::seeds(1..40)) {
            let (mut project, _) = testing::start();
            let mut history = History::default();
            let mut states = vec![project.clone()];
            for seed in seeds {
                let edit = testing::edit(&project, seed);
                if history.commit(&mut project, &edit).is_ok() {
                    states.push(project.clone());
                }
            }
            for state in states.iter().rev().skip(1) {
                prop_assert!(history.undo(&mut project).unwrap().is_some());
                prop_assert_eq!(&project, state);
            }
            prop_assert!(history.undo(&mut project).unwrap().is_none() && history.undo_title().is_none());
            for state in states.iter().skip(1) {
                prop_assert!(history.redo(&mut project).unwrap().is_some());
                prop_assert_eq!(&project, state);
            }
            prop_assert!(history.redo(&mut project).unwrap().is_none());
        }

        #[test]
        fn the_budget_holds_and_the_newest_can_be_undone(seeds in testing::seeds(20..60)) {
            let (mut project, _) = testing::start();
            let mut history = History::new(3_000);
            let mut before_last = None;
            for seed in seeds {
                let before = project.clone();
                let edit = testing::edit(&project, seed);
                if history.commit(&mut project, &edit).is_ok() {
                    before_last = Some(before);
                }
                prop_assert!(history.byte_size() <= 3_000);
            }
            if let (Some(before), Some(_)) = (before_last, history.undo_title()) {
                history.undo(&mut project).unwrap();
                prop_assert_eq!(&project, &before);
                prop_assert!(history.byte_size() <= 3_000);
            }
        }
    }

    #[test]
    fn a_new_edit_ends_what_could_be_redone() {
        let (mut project, _) = testing::start();
        let image = project.images().next().unwrap().name().clone();
        let size = |width| Edit::SetImageSize {
            image: image.clone(),
            size: Some(crate::document::ImageSize { width, height: 1 }),
        };
        let mut history = History::default();
        history.commit(&mut project, &size(1)).unwrap();
        history.undo(&mut project).unwrap();
        assert_eq!(history.redo_title(), Some("set picture size"));
        history.commit(&mut project, &size(2)).unwrap();
        assert_eq!(history.redo_title(), None);
        history.clear();
        assert_eq!((history.byte_size(), history.undo_title()), (0, None));
    }
}

//! Messages to the user, as data: the window shows them as toasts, tests read them.
//!
//! Invariant: every failure ends here exactly once. At most [`KEPT_NOTICES`] are kept, the oldest go first.

use std::collections::VecDeque;

/// How many notices are kept.
pub const KEPT_NOTICES: usize = 20;

/// Names a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NoticeId(pub u64);

/// How much a notice matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoticeLevel {
    /// Something was done.
    Info,
    /// Something is not as expected; the work goes on.
    Warning,
    /// Something failed. Stays until it is dismissed.
    Error,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Which notice; later ones have higher numbers.
    pub id: NoticeId,
    /// How much it matters.
    pub level: NoticeLevel,
    /// What happened and what to do, in a sentence or two.
    pub text: String,
}

/// The messages not yet dismissed, oldest first.
#[derive(Debug, Default)]
pub struct Notices {
    list: VecDeque<Notice>,
    last_id: u64,
}

impl Notices {
    /// The messages, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Notice> {
        self.list.iter()
    }

    /// The newest message.
    pub fn last(&self) -> Option<&Notice> {
        self.list.back()
    }

    /// Adds a message. One that says the same as a kept one takes its place instead of standing twice.
    pub fn push(&mut self, level: NoticeLevel, text: impl Into<String>) -> NoticeId {
        let text = text.into();
        self.list.retain(|notice| notice.text != text);
        self.last_id += 1;
        let id = NoticeId(self.last_id);
        self.list.push_back(Notice { id, level, text });
        if self.list.len() > KEPT_NOTICES {
            self.list.pop_front();
        }
        id
    }

    /// Removes a message.
    pub fn dismiss(&mut self, id: NoticeId) {
        self.list.retain(|notice| notice.id != id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_message_stands_once_and_the_oldest_go() {
        let mut notices = Notices::default();
        let first = notices.push(NoticeLevel::Error, "disk full");
        let again = notices.push(NoticeLevel::Error, "disk full");
        assert!(again > first);
        assert_eq!(notices.iter().count(), 1);
        for n in 0..40 {
            notices.push(NoticeLevel::Info, n.to_string());
        }
        assert_eq!(notices.iter().count(), KEPT_NOTICES);
        assert_eq!(notices.last().unwrap().text, "39");
        notices.dismiss(notices.last().unwrap().id);
        assert_eq!(notices.last().unwrap().text, "38");
    }
}

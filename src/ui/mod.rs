//! Layer 5: what is on the window. One file a panel; functions end in `_ui`.
//!
//! Invariant: panels read the session and say what the user wishes; they change nothing but their own look (which card
//! is open, what is typed and not yet sent).

pub mod icons;
pub mod path_dialog;
pub mod theme;
pub mod toasts;
pub mod widgets;

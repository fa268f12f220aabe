//! Layer 5: what is on the window. One file a panel; functions end in `_ui`.
//!
//! Invariant: panels read the session and say what the user wishes; they change nothing but their own look (which card
//! is open, what is typed and not yet sent).

pub mod candidate_strip;
pub mod canvas;
pub mod canvas_host;
pub mod colour_popup;
pub mod export_dialog;
pub mod hints;
pub mod icons;
pub mod inline_edit;
pub mod keys;
pub mod label_panel;
pub mod object_panel;
pub mod palette;
pub mod path_dialog;
pub mod picture_panel;
pub mod preferences;
pub mod settings_panel;
pub mod shortcut_sheet;
pub mod status_bar;
pub mod theme;
pub mod timing_view;
pub mod toasts;
pub mod top_bar;
pub mod welcome;
pub mod widgets;
pub mod window;
pub mod wish;

//! Layer 6: the window's application. `logic()` drains, `ui()` draws; dialogs, clipboard and fonts work elsewhere.

mod clipboard;
mod dialogs;
mod fonts;
mod icon;

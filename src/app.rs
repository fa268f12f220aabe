//! Layer 6: the window: eframe, dialogs, clipboard.

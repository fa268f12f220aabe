//! Layer 6: the window.

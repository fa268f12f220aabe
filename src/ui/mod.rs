//! Placeholder head.
pub mod canvas;

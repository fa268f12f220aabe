//! What the window remembers between runs: how it looks and how it works, never the user's work.
//!
//! Invariant: a settings file that cannot be read changes nothing and is not overwritten before a setting changes; the
//! reason is told. Written off the drawing thread, whole or not at all.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Which theme is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThemeChoice {
    /// As the system has it.
    #[default]
    System,
    /// Light.
    Light,
    /// Dark.
    Dark,
}

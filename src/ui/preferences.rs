//! What the user has set about the window itself; the application keeps it between runs.

use serde::{Deserialize, Serialize};

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

impl From<ThemeChoice> for egui::ThemePreference {
    fn from(choice: ThemeChoice) -> Self {
        match choice {
            ThemeChoice::System => Self::System,
            ThemeChoice::Light => Self::Light,
            ThemeChoice::Dark => Self::Dark,
        }
    }
}

/// What the window looks like and how much it may keep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preferences {
    /// Light, dark, or as the system.
    pub theme: ThemeChoice,
    /// Whether the list of pictures is shown.
    pub pictures_shown: bool,
    /// Whether labels and objects are shown.
    pub objects_shown: bool,
    /// Width of the list of pictures, in points.
    pub pictures_width: f32,
    /// Width of the panel of labels and objects, in points.
    pub objects_width: f32,
    /// What embeddings may take in memory, in MiB; used from the next start on.
    pub memory_cache_mib: u32,
    /// What embeddings may take on disk, in MiB; used from the next start on.
    pub disk_cache_mib: u32,
}

impl Default for Preferences {
    fn default() -> Self {
        Self {
            theme: ThemeChoice::System,
            pictures_shown: true,
            objects_shown: true,
            pictures_width: 190.0,
            objects_width: 256.0,
            memory_cache_mib: 512,
            disk_cache_mib: 2048,
        }
    }
}

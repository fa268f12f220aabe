//! What the program remembers between runs: how it looks and how it works, never the user's work.
//!
//! Invariant: a settings file that cannot be read changes nothing and is told; it is kept under another name before the
//! first change is written. Written off the drawing thread, whole or not at all.

use crate::atomic_file::write_atomically;
use crate::session::{ModelChoice, ViewOptions};
use crate::ui::preferences::Preferences;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

/// Everything that is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// The window.
    pub window: Preferences,
    /// How masks are shown.
    pub masks: MaskSettings,
    /// Weights to use instead of the built-in model.
    pub model_path: Option<PathBuf>,
    /// Inner size of the window, in points.
    pub window_size: [f32; 2],
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: Preferences::default(),
            masks: MaskSettings::from(ViewOptions::default()),
            model_path: None,
            window_size: [1280.0, 820.0],
        }
    }
}

/// [`ViewOptions`] as they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MaskSettings {
    threshold: f32,
    tint_opacity: f32,
    outline: bool,
    reduce_motion: bool,
    hover_preview: bool,
}

impl Default for MaskSettings {
    fn default() -> Self {
        Self::from(ViewOptions::default())
    }
}

impl From<ViewOptions> for MaskSettings {
    fn from(view: ViewOptions) -> Self {
        let ViewOptions { threshold, tint_opacity, outline, reduce_motion, hover_preview } = view;
        Self { threshold, tint_opacity, outline, reduce_motion, hover_preview }
    }
}

impl From<MaskSettings> for ViewOptions {
    fn from(kept: MaskSettings) -> Self {
        let sane = |value: f32, low: f32, high: f32, normal: f32| {
            if value.is_finite() { value.clamp(low, high) } else { normal }
        };
        Self {
            threshold: sane(kept.threshold, -10.0, 10.0, 0.0),
            tint_opacity: sane(kept.tint_opacity, 0.0, 1.0, Self::default().tint_opacity),
            outline: kept.outline,
            reduce_motion: kept.reduce_motion,
            hover_preview: kept.hover_preview,
        }
    }
}

impl Settings {
    /// The model that the settings name.
    pub fn model(&self) -> ModelChoice {
        self.model_path.clone().map_or(ModelChoice::BuiltIn, ModelChoice::Path)
    }
}

/// The user's settings file (on Linux `~/.config/maskwright/settings.json`); `None` if there is no home.
pub fn default_settings_path() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(strategy.config_dir().join("maskwright").join("settings.json"))
}

/// Reads the settings. The second result says what is wrong with a file that could not be used.
pub fn read_settings(path: &Path) -> (Settings, Option<String>) {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return (Settings::default(), None),
        Err(error) => {
            return (Settings::default(), Some(format!("{}: {error}; starting with defaults", path.display())));
        }
    };
    match serde_json::from_str(&text) {
        Ok(settings) => (settings, None),
        Err(error) => {
            let aside = path.with_extension("json.unreadable");
            let kept = match std::fs::copy(path, &aside) {
                Ok(_) => format!("a copy is kept in {}", aside.display()),
                Err(error) => format!("no copy could be kept: {error}"),
            };
            let told = format!("{} is no settings file ({error}); starting with defaults, {kept}", path.display());
            (Settings::default(), Some(told))
        }
    }
}

/// Writes settings on a thread of its own, the newest only.
pub struct SettingsWriter {
    sender: Option<Sender<Settings>>,
    thread: Option<JoinHandle<()>>,
    written: Settings,
}

impl SettingsWriter {
    /// A writer to this file; `written` is what it holds.
    pub fn start(path: PathBuf, written: Settings) -> Self {
        let (sender, receiver) = channel::<Settings>();
        let thread = std::thread::spawn(move || {
            while let Ok(mut settings) = receiver.recv() {
                while let Ok(newer) = receiver.try_recv() {
                    settings = newer;
                }
                if let Err(error) = write(&path, &settings) {
                    tracing::warn!("settings could not be written to {}: {error}", path.display());
                }
            }
        });
        Self { sender: Some(sender), thread: Some(thread), written }
    }

    /// Writes if something changed.
    pub fn keep(&mut self, settings: &Settings) {
        if self.written != *settings {
            self.written = settings.clone();
            if let Some(sender) = &self.sender {
                // The thread ends only with this writer.
                let _ = sender.send(settings.clone());
            }
        }
    }
}

impl Drop for SettingsWriter {
    /// Waits for the last write.
    fn drop(&mut self) {
        self.sender = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has already been reported by the panic hook.
            let _ = thread.join();
        }
    }
}

fn write(path: &Path, settings: &Settings) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut text = serde_json::to_vec_pretty(settings)?;
    text.push(b'\n');
    write_atomically(path, |file: &mut dyn Write| file.write_all(&text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::preferences::ThemeChoice;

    #[test]
    fn settings_come_back_as_they_were_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/settings.json");
        let mut settings = Settings { model_path: Some("sam.safetensors".into()), ..Settings::default() };
        settings.window.theme = ThemeChoice::Dark;
        settings.masks.threshold = 0.5;
        let mut writer = SettingsWriter::start(path.clone(), Settings::default());
        writer.keep(&settings);
        drop(writer);
        assert_eq!(read_settings(&path), (settings, None));
    }

    #[test]
    fn an_unreadable_file_gives_defaults_says_so_and_is_kept_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("settings.json");
        std::fs::write(&path, "{ not json").unwrap();
        let (settings, problem) = read_settings(&path);
        assert_eq!(settings, Settings::default());
        assert!(problem.unwrap().contains("settings.json.unreadable"));
        assert_eq!(std::fs::read_to_string(folder.path().join("settings.json.unreadable")).unwrap(), "{ not json");
        std::fs::write(&path, r#"{"masks":{"threshold":1e40}}"#).unwrap();
        let (settings, _) = read_settings(&path);
        assert_eq!(ViewOptions::from(settings.masks).threshold, 0.0, "infinite is no threshold");
    }
}

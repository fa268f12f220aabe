//! `maskwright [IMAGE|FOLDER ...]`: what the window shall open. The window itself is `app`'s, called by `main.rs`.
//!
//! Invariant: what can be known before a window opens is checked before it opens (paths, display).

use super::demo::{self, DemoArguments};
use super::demo_photos;
use super::exit::{Failure, Outcome};
use clap::Args;
use std::path::PathBuf;

/// Arguments of a start without subcommand.
#[derive(Debug, Args)]
pub struct WindowArguments {
    /// Pictures or folders to open; nothing opens a demo photo
    #[arg(value_name = "IMAGE|FOLDER")]
    paths: Vec<PathBuf>,
    /// The segmenter: an id of `models list`, or a safetensors file or folder
    #[arg(long, value_name = "ID|PATH")]
    model: Option<String>,
}

/// A wish for a window.
#[derive(Debug)]
pub struct WindowRequest {
    /// Pictures and folders to open.
    pub paths: Vec<PathBuf>,
    /// The segmenter's id or path; `None` is the built-in one.
    pub model: Option<String>,
    /// Whether the paths are the demo photos, so that the window may greet a newcomer.
    pub demo: bool,
    /// The demo that runs in the window's place if none opens.
    otherwise: Option<DemoArguments>,
}

impl WindowRequest {
    /// The demo photos in a window; `arguments` run without it if it does not open.
    pub(super) fn for_demo(paths: Vec<PathBuf>, arguments: DemoArguments) -> Self {
        Self { paths, model: arguments.model.clone(), demo: true, otherwise: Some(arguments) }
    }
}

/// Checks the paths and the display.
///
/// # Errors
/// A path that is not there; no display; a build without the window.
pub fn request(arguments: WindowArguments) -> Outcome<WindowRequest> {
    for path in &arguments.paths {
        std::fs::metadata(path).map_err(|error| Failure::reading(path, error))?;
    }
    if let Some(problem) = why_no_window() {
        return Err(Failure::configuration_text(no_window_text(&problem)));
    }
    let demo = arguments.paths.is_empty();
    let paths = if demo { vec![demo_photos::unpack_for_user()?] } else { arguments.paths };
    Ok(WindowRequest { paths, model: arguments.model, demo, otherwise: None })
}

/// Why no window can open here, as far as can be told without trying.
pub fn why_no_window() -> Option<String> {
    if cfg!(not(feature = "gui")) {
        return Some("this build has no window (it was made without the feature `gui`)".into());
    }
    let has_servers = cfg!(all(unix, not(target_os = "macos")));
    let named = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    (has_servers && !["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET"].into_iter().any(named))
        .then(|| "there is no display (DISPLAY and WAYLAND_DISPLAY are not set)".into())
}

/// The window did not open though a display was named: run the demo without it, or say what the window said.
///
/// # Errors
/// Nothing may run in the window's place, or that failed too.
pub(super) fn without_window(request: WindowRequest, problem: &dyn std::fmt::Display) -> Outcome<()> {
    match request.otherwise {
        Some(arguments) => demo::run_headless(&arguments, Some(&problem.to_string())),
        None => Err(Failure::configuration_text(no_window_text(&problem.to_string()))),
    }
}

fn no_window_text(problem: &str) -> String {
    format!(
        "{problem}; without a window there are `maskwright segment IMAGE --point X,Y -o mask.png` and \
         `maskwright demo --headless -o DIR` (see --help)"
    )
}

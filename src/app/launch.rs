//! Opens the window, or says in plain words why there is none and what to install.

use super::settings::{default_settings_path, read_settings};
use super::{App, AppOptions, icon};
use crate::session::{ModelChoice, SampleFile, Services};
use eframe::NativeOptions;
use egui::{IconData, ViewportBuilder};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

/// What the command line hands over.
#[derive(Default)]
pub struct LaunchOptions {
    /// Pictures or a folder to open at once.
    pub open: Vec<PathBuf>,
    /// Pictures that the program brings along.
    pub samples: Vec<SampleFile>,
    /// The segmenter to use in this run instead of the one in the settings.
    pub model: Option<ModelChoice>,
}

/// Why the window did not open, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// No display, no driver, or no GPU that will do.
    #[error("{0}")]
    NoWindow(String),
    /// The last edits did not reach the disk.
    #[error("the last changes could not be saved: {0}")]
    NotSaved(String),
}

/// What is made of the settings for the services: caches and model.
pub struct ServiceSettings {
    /// The segmenter to start with.
    pub model: ModelChoice,
    /// What embeddings may take in memory, in bytes.
    pub memory_cache_bytes: u64,
    /// What embeddings may take on disk, in bytes.
    pub disk_cache_bytes: u64,
    /// Asks the window for a frame.
    pub wake: Arc<dyn Fn() + Send + Sync>,
}

/// Opens the window and returns once it was closed.
///
/// # Errors
/// See [`LaunchError`]; the text is for people and says what to do.
pub fn launch(
    options: LaunchOptions,
    services: impl FnOnce(ServiceSettings) -> std::io::Result<Services>,
) -> Result<(), LaunchError> {
    let settings_path = default_settings_path();
    let (settings, problem) = settings_path.as_deref().map_or_else(Default::default, read_settings);
    if let Some(problem) = problem {
        tracing::warn!("{problem}");
    }
    let model = options.model.unwrap_or_else(|| settings.model());
    let [width, height] = settings.window_size;
    let viewport = ViewportBuilder::default()
        .with_title("Maskwright")
        .with_app_id("maskwright")
        .with_inner_size([width.clamp(640.0, 8192.0), height.clamp(420.0, 8192.0)])
        .with_min_inner_size([640.0, 420.0])
        .with_icon(IconData { rgba: icon::icon_rgba(64), width: 64, height: 64 });
    let native = NativeOptions {
        viewport,
        wgpu_options: crate::render::wgpu_options(),
        // Fonts of the system are our own affair, see `fonts`.
        system_font_fallback: false,
        ..NativeOptions::default()
    };
    let unsaved = Arc::new(Mutex::new(None));
    let app_options = AppOptions {
        open: options.open,
        samples: options.samples,
        settings: settings.clone(),
        settings_path,
        system_fonts: true,
        time_secs: None,
        unsaved: Arc::clone(&unsaved),
    };
    let mib = |mib: u32| u64::from(mib) << 20;
    let create = move |creation: &eframe::CreationContext<'_>| -> Result<Box<dyn eframe::App>, _> {
        let app = App::new(creation, app_options, |wake| {
            services(ServiceSettings {
                model,
                memory_cache_bytes: mib(settings.window.memory_cache_mib),
                disk_cache_bytes: mib(settings.window.disk_cache_mib),
                wake,
            })
        })?;
        Ok(Box::new(app) as Box<dyn eframe::App>)
    };
    eframe::run_native("maskwright", native, Box::new(create))
        .map_err(|error| LaunchError::NoWindow(explanation(&error)))?;
    match unsaved.lock().ok().and_then(|mut unsaved| unsaved.take()) {
        Some(why) => Err(LaunchError::NotSaved(why)),
        None => Ok(()),
    }
}

fn explanation(error: &eframe::Error) -> String {
    let help = match error {
        eframe::Error::Winit(_) | eframe::Error::WinitEventLoop(_) => {
            "There seems to be no display: neither DISPLAY nor WAYLAND_DISPLAY leads to one, or a library is missing. \
             On Debian or Ubuntu the libraries are: libx11-6 libx11-xcb1 libxcursor1 libxi6 libxkbcommon-x11-0 \
             libxkbcommon0, for Wayland libwayland-client0 libwayland-cursor0 libwayland-egl1."
        }
        eframe::Error::Wgpu(_) => {
            "There is no driver to draw with. On Debian or Ubuntu install libvulkan1 and mesa-vulkan-drivers (Vulkan), or \
             libegl1 and libgl1-mesa-dri (OpenGL)."
        }
        _ => "The window could not be set up.",
    };
    format!(
        "the window could not be opened: {error}\n{help}\nWithout a window: maskwright segment IMAGE --point X,Y -o MASK.png, \
         or maskwright demo --headless -o FOLDER."
    )
}

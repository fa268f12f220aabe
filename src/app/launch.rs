//! Opens the window, or says in plain words why there is none and what to install.

use super::export::export;
use super::felt::FeltRun;
use super::import::import;
use super::settings::{default_settings_path, read_settings};
use super::{App, AppOptions, Settings, icon, one_more_frame};
use crate::engine::{Engine, EngineOptions, ModelOpener, default_cache_folder};
use crate::inference::{self, open_segmenter};
use crate::session::{ModelChoice, Services};
use eframe::NativeOptions;
use egui::{IconData, ViewportBuilder};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

/// What the command line hands over.
#[derive(Debug, Clone, Default)]
pub struct LaunchOptions {
    /// Pictures or folders to open at once.
    pub paths: Vec<PathBuf>,
    /// Whether these are the pictures that the program brings along.
    pub demo: bool,
    /// The segmenter to use in this run instead of the one in the settings: an id or a path.
    pub model: Option<String>,
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
    /// A run that measures did not come to its end.
    #[error("the window could not be measured: {0}")]
    NotMeasured(String),
}

/// Opens the window and returns once it was closed.
///
/// # Errors
/// See [`LaunchError`]; the text is for people and says what to do.
pub fn run(options: LaunchOptions) -> Result<(), LaunchError> {
    open_window(options, None)
}

/// The same, with somebody who plays the user and takes the time.
pub(super) fn open_window(options: LaunchOptions, felt_run: Option<FeltRun>) -> Result<(), LaunchError> {
    let settings_path = default_settings_path();
    let (mut settings, problem) = settings_path.as_deref().map_or_else(Default::default, read_settings);
    if let Some(problem) = &problem {
        tracing::warn!("{problem}");
    }
    if let Some(model) = &options.model {
        settings.model_path = match inference::ModelChoice::from_argument(model) {
            inference::ModelChoice::BuiltIn => None,
            inference::ModelChoice::Path(path) => Some(path),
        };
    }
    let unsaved = Arc::new(Mutex::new(None));
    let native = native_options(&settings);
    let app_options = AppOptions {
        open: options.paths,
        demo: options.demo,
        settings: settings.clone(),
        settings_path,
        settings_problem: problem,
        system_fonts: true,
        time_secs: None,
        unsaved: Arc::clone(&unsaved),
        felt_run,
    };
    // The model is opened while the window is; what is told before there is a window waits for its first frame.
    let window = Arc::new(OnceLock::<egui::Context>::new());
    let wake = {
        let window = Arc::clone(&window);
        Arc::new(move || {
            if let Some(context) = window.get() {
                one_more_frame(context);
            }
        })
    };
    let services = services(&settings, wake);
    let create = move |creation: &eframe::CreationContext<'_>| -> Result<Box<dyn eframe::App>, _> {
        window.get_or_init(|| creation.egui_ctx.clone());
        let app = App::new(creation, app_options, |_| services)?;
        Ok(Box::new(app) as Box<dyn eframe::App>)
    };
    eframe::run_native("maskwright", native, Box::new(create))
        .map_err(|error| LaunchError::NoWindow(explanation(&error)))?;
    match unsaved.lock().ok().and_then(|mut unsaved| unsaved.take()) {
        Some(why) => Err(LaunchError::NotSaved(why)),
        None => Ok(()),
    }
}

fn native_options(settings: &Settings) -> NativeOptions {
    let [width, height] = settings.window_size;
    let viewport = ViewportBuilder::default()
        .with_title("Maskwright")
        .with_app_id("maskwright")
        .with_inner_size([width.clamp(640.0, 8192.0), height.clamp(420.0, 8192.0)])
        .with_min_inner_size([640.0, 420.0])
        .with_icon(IconData { rgba: icon::icon_rgba(64), width: 64, height: 64 });
    NativeOptions {
        viewport,
        wgpu_options: crate::render::wgpu_options(),
        // Fonts of the system are our own affair, see `fonts`.
        system_font_fallback: false,
        ..NativeOptions::default()
    }
}

/// The engine, the models and the exporter, as the program runs them. `wake` asks the window for a frame.
fn services(settings: &Settings, wake: Arc<dyn Fn() + Send + Sync>) -> std::io::Result<Services> {
    let mib = |mib: u32| u64::from(mib) << 20;
    let options = EngineOptions {
        cache_folder: default_cache_folder().filter(|_| settings.window.disk_cache_mib > 0),
        memory_budget_bytes: mib(settings.window.memory_cache_mib),
        disk_budget_bytes: mib(settings.window.disk_cache_mib),
        wake: Arc::clone(&wake),
        ..EngineOptions::default()
    };
    let model = settings.model();
    let engine = Engine::start(options, opener(&model))?;
    Ok(Services {
        engine: Box::new(engine),
        open_model: Box::new(opener),
        exporter: Arc::new(export),
        importer: Arc::new(import),
        data_folder: user_data_folder(),
        wake,
        model,
    })
}

/// The job that opens a segmenter.
fn opener(choice: &ModelChoice) -> ModelOpener {
    let choice = match choice {
        ModelChoice::BuiltIn => inference::ModelChoice::BuiltIn,
        ModelChoice::Path(path) => inference::ModelChoice::Path(path.clone()),
    };
    Box::new(move || open_segmenter(&choice))
}

/// The user's folder for projects of read-only folders (on Linux `~/.local/share/maskwright`); `None` without a home.
fn user_data_folder() -> Option<PathBuf> {
    use etcetera::BaseStrategy;
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(strategy.data_dir().join("maskwright"))
}

fn explanation(error: &eframe::Error) -> String {
    let help = match error {
        eframe::Error::Winit(_) | eframe::Error::WinitEventLoop(_) => {
            "There seems to be no display: neither DISPLAY nor WAYLAND_DISPLAY leads to one, or a library is missing. \
             On Debian or Ubuntu the libraries are libx11-6 libx11-xcb1 libxcursor1 libxi6 libxkbcommon-x11-0 \
             libxkbcommon0, and for Wayland libwayland-client0 libwayland-cursor0 libwayland-egl1"
        }
        eframe::Error::Wgpu(_) => {
            "There is no driver to draw with. On Debian or Ubuntu install libvulkan1 and mesa-vulkan-drivers (Vulkan), or \
             libegl1 and libgl1-mesa-dri (OpenGL)"
        }
        _ => "It could not be set up",
    };
    // winit puts the place in its own source before the reason.
    let text = error.to_string();
    let reason =
        text.rsplit_once(".rs:").and_then(|(_, rest)| rest.split_once(": ")).map_or(&*text, |(_, reason)| reason);
    format!("{reason}. {help}")
}

//! Layer 6: the window's application. `logic()` drains, `ui()` draws; dialogs, clipboard, fonts and settings work on
//! threads of their own.
//!
//! Invariant: the drawing thread never waits. It repaints on input, on news from a worker, and while something moves.

mod clipboard;
mod dialogs;
mod export;
mod felt;
mod fonts;
mod icon;
mod import;
mod launch;
mod resident;
mod settings;

pub use export::export;
pub use felt::{FeltPlan, FeltTimes, measure_felt};
pub use import::import;
pub use launch::{LaunchError, LaunchOptions, run};
pub use settings::{Settings, default_settings_path, read_settings};

use crate::geometry::ImageRect;
use crate::render::{GpuProblem, watch_device};
use crate::session::{Command, ModelChoice, NoticeLevel, Output, PastedPicture, Services, Session, WindowRequest};
use crate::ui::canvas::CanvasRenderer;
use crate::ui::path_dialog::{PathAnswer, PathDialog, Wanted};
use crate::ui::theme;
use crate::ui::timing_view::FrameFacts;
use crate::ui::window::{Circumstances, Window};
use crate::ui::wish::{WindowWish, Wish, Wishes};
use clipboard::{Clipboard, ClipboardAnswer, RgbaPicture};
use dialogs::{Answer, Dialogs, Purpose};
use eframe::Frame;
use egui::{Context, Event, RawInput, Ui, ViewportCommand};
use felt::FeltRun;
use fonts::SystemFonts;
use settings::SettingsWriter;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What one frame may spend on taking in news.
const DRAIN_BUDGET: Duration = Duration::from_millis(4);
/// How long closing may wait for the last edits to reach the disk.
const FLUSH_AT_MOST: Duration = Duration::from_secs(20);

/// How the application is set up; tests leave most of it out.
#[derive(Default)]
pub struct AppOptions {
    /// Pictures or a folder to open at once.
    pub open: Vec<PathBuf>,
    /// Whether these are the pictures that the program brings along.
    pub demo: bool,
    /// What was kept from the last run.
    pub settings: Settings,
    /// Where to keep them; `None` keeps nothing.
    pub settings_path: Option<PathBuf>,
    /// What was wrong with the settings file.
    pub settings_problem: Option<String>,
    /// Whether fonts of the system are looked for.
    pub system_fonts: bool,
    /// Fixed clock of the canvas' animations, for tests.
    pub time_secs: Option<f64>,
    /// What could not be saved at the end goes here.
    pub unsaved: Arc<Mutex<Option<String>>>,
    /// Plays a user and takes the time, in a run that measures.
    pub felt_run: Option<FeltRun>,
}

/// The application.
pub struct App {
    session: Session,
    window: Window,
    renderer: CanvasRenderer,
    wishes: Wishes,
    dialogs: Dialogs,
    /// What our own path field is open for.
    asking: Option<Purpose>,
    clipboard: Clipboard,
    fonts: Option<SystemFonts>,
    gpu_problems: Receiver<GpuProblem>,
    settings: Settings,
    settings_writer: Option<SettingsWriter>,
    time_secs: Option<f64>,
    title: String,
    renderer_notice: Option<String>,
    unsaved: Arc<Mutex<Option<String>>>,
    felt_run: Option<FeltRun>,
    /// What the last frame showed: the picture, the newest mask.
    on_screen: (bool, bool),
    /// The frame before was the first with the picture.
    picture_shown: bool,
}

impl App {
    /// Sets the window up. `services` is made with the function that asks for a frame.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn new(
        creation: &eframe::CreationContext<'_>,
        options: AppOptions,
        services: impl FnOnce(Arc<dyn Fn() + Send + Sync>) -> std::io::Result<Services>,
    ) -> std::io::Result<Self> {
        let context = creation.egui_ctx.clone();
        theme::install(&context);
        // Ctrl and + zoom the picture, not the letters.
        context.options_mut(|options| options.zoom_with_keyboard = false);
        let wake = wake_of(&context);
        let mut session = Session::new(services(Arc::clone(&wake))?)?;
        session.view = options.settings.masks.into();
        session.shows_pictures_first = true;
        if let Some(problem) = options.settings_problem {
            session.notices.push(NoticeLevel::Warning, problem);
        }
        if options.demo {
            session.notices.push(NoticeLevel::Info, "These are sample pictures. Open your own with Ctrl+O.");
        }
        if !options.open.is_empty() {
            session.handle(Command::Open(options.open));
        }
        let (problems, gpu_problems) = channel();
        if let Some(state) = &creation.wgpu_render_state {
            let wake = Arc::clone(&wake);
            watch_device(&state.device, move |problem| {
                // The receiver lives as long as the window.
                let _ = problems.send(problem);
                wake();
            });
        }
        let renderer = CanvasRenderer::new(creation.wgpu_render_state.as_ref(), Arc::clone(&wake));
        let writer = options.settings_path.map(|path| SettingsWriter::start(path, options.settings.clone()));
        Ok(Self {
            session,
            window: Window::new(options.settings.window.clone()),
            renderer,
            wishes: Wishes::default(),
            dialogs: Dialogs::default(),
            asking: None,
            clipboard: Clipboard::start(move || wake()),
            fonts: options.system_fonts.then(|| SystemFonts::watch(&context)),
            gpu_problems,
            settings: options.settings,
            settings_writer: writer,
            time_secs: options.time_secs,
            title: String::new(),
            renderer_notice: None,
            unsaved: options.unsaved,
            felt_run: options.felt_run,
            on_screen: (false, false),
            picture_shown: false,
        })
    }

    /// The application behind the window.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Does a command as if the user had wished it.
    pub fn handle(&mut self, command: Command) {
        self.session.handle(command);
    }

    /// What the window itself is set to.
    pub fn window(&self) -> &Window {
        &self.window
    }

    fn take_wishes(&mut self, context: &Context) {
        for wish in self.wishes.take() {
            match wish {
                Wish::Command(command) => {
                    if let Command::SetModel(choice) = &command {
                        self.window.set_model_choice(choice);
                    }
                    self.session.handle(command);
                }
                Wish::Request(request) => self.take_request(context, request),
                Wish::Window(wish) => {
                    let left = self.window.take_wish(wish);
                    if let Some(WindowWish::AskExportTarget { folder, suggestion }) = left {
                        self.ask(context, Purpose::ExportTo { folder }, Some(suggestion));
                    }
                }
            }
        }
    }

    fn take_request(&mut self, context: &Context, request: WindowRequest) {
        if self.window.take_request(context, &self.session, request) {
            return;
        }
        match request {
            WindowRequest::OpenFiles => self.ask(context, Purpose::OpenPictures, self.session.project.folder.clone()),
            WindowRequest::OpenFolder => self.ask(context, Purpose::OpenFolder, self.session.project.folder.clone()),
            WindowRequest::ImportCoco => self.ask(context, Purpose::Annotations, self.session.project.folder.clone()),
            WindowRequest::ChooseModel => self.ask(context, Purpose::ModelFile, None),
            WindowRequest::Paste => self.clipboard.paste(),
            WindowRequest::Quit => context.send_viewport_cmd(ViewportCommand::Close),
            // The window does all others.
            _ => {}
        }
    }

    /// Opens a dialog of the system; our own path field follows where it has none.
    fn ask(&mut self, context: &Context, purpose: Purpose, suggestion: Option<PathBuf>) {
        let wake = wake_of(context);
        self.dialogs.open(purpose, suggestion, move || wake());
    }

    fn take_paths(&mut self, purpose: Purpose, mut paths: Vec<PathBuf>) {
        match purpose {
            Purpose::OpenPictures | Purpose::OpenFolder => self.session.handle(Command::Open(paths)),
            Purpose::ExportTo { .. } => {
                if let Some(path) = paths.pop() {
                    self.window.set_export_path(&path);
                }
            }
            Purpose::Annotations => {
                if let Some(path) = paths.pop() {
                    self.session.handle(Command::ImportCoco(path));
                }
            }
            Purpose::ModelFile => {
                if let Some(path) = paths.pop() {
                    let choice = ModelChoice::Path(path);
                    self.window.set_model_choice(&choice);
                    self.session.handle(Command::SetModel(choice));
                }
            }
        }
    }

    fn drain_dialogs(&mut self) {
        match self.dialogs.poll() {
            Some((purpose, Answer::Paths(paths))) => self.take_paths(purpose, paths),
            Some((purpose, Answer::Unavailable)) => {
                let wanted = match purpose {
                    Purpose::OpenPictures => Wanted::FileOrFolder,
                    Purpose::ModelFile => Wanted::File,
                    Purpose::Annotations => Wanted::AnnotationFile,
                    Purpose::OpenFolder => Wanted::Folder,
                    Purpose::ExportTo { .. } => Wanted::Target,
                };
                let suggestion = self.session.project.folder.clone();
                self.window.ask_path(PathDialog::new(purpose.title(), wanted, suggestion));
                self.asking = Some(purpose);
            }
            Some((_, Answer::Cancelled)) | None => {}
        }
    }

    fn drain_clipboard(&mut self) {
        for output in self.session.take_outputs() {
            match output {
                Output::CopyPicture(picture) => self.clipboard.copy(RgbaPicture {
                    width: picture.width,
                    height: picture.height,
                    rgba: picture.rgba.to_vec(),
                }),
            }
        }
        while let Some(answer) = self.clipboard.poll() {
            match answer {
                // The session has said so already.
                ClipboardAnswer::Copied => {}
                ClipboardAnswer::Pasted(picture) => self.open_pasted(picture.width, picture.height, picture.rgba),
                ClipboardAnswer::Failed(why) => self.note(NoticeLevel::Warning, why),
            }
        }
    }

    fn open_pasted(&mut self, width: u32, height: u32, rgba: Vec<u8>) {
        self.session.handle(Command::OpenPasted(PastedPicture { width, height, rgba: rgba.into() }));
    }

    /// Files dropped on the window, and what the window library made of Ctrl+V.
    fn drain_input(&mut self, context: &Context) {
        let dropped: Vec<PathBuf> =
            context.input(|input| input.raw.dropped_files.iter().map(|file| file.path().to_path_buf()).collect());
        let (annotations, pictures): (Vec<PathBuf>, Vec<PathBuf>) =
            dropped.into_iter().partition(|path| path.extension().is_some_and(|end| end.eq_ignore_ascii_case("json")));
        for path in annotations {
            self.session.handle(Command::ImportCoco(path));
        }
        if !pictures.is_empty() {
            self.session.handle(Command::Open(pictures));
        }
        if context.text_edit_focused() {
            return;
        }
        let events = context.input(|input| input.events.clone());
        for event in events {
            match event {
                Event::PasteImage(image) => {
                    let [width, height] = image.size;
                    let rgba = image.pixels.iter().flat_map(|pixel| pixel.to_srgba_unmultiplied()).collect();
                    self.open_pasted(width as u32, height as u32, rgba);
                }
                Event::Paste(text) => match pasted_paths(&text) {
                    paths if paths.is_empty() => self.clipboard.paste(),
                    paths => self.session.handle(Command::Open(paths)),
                },
                _ => {}
            }
        }
    }

    fn drain_problems(&mut self) {
        while let Ok(problem) = self.gpu_problems.try_recv() {
            self.note(NoticeLevel::Error, problem.to_string());
        }
        let notice = self.renderer.notice();
        if notice != self.renderer_notice {
            if let Some(text) = &notice {
                self.note(NoticeLevel::Warning, text.clone());
            }
            self.renderer_notice = notice;
        }
    }

    fn drain_fonts(&mut self, context: &Context) {
        let Some(fonts) = &mut self.fonts else { return };
        for text in fonts.drain(context) {
            self.session.notices.push(NoticeLevel::Warning, text);
            context.request_repaint();
        }
    }

    fn note(&mut self, level: NoticeLevel, text: impl Into<String>) {
        self.session.notices.push(level, text);
    }

    fn keep_settings(&mut self, context: &Context) {
        // Not while a slider is being dragged.
        if context.input(|input| input.pointer.any_down()) {
            return;
        }
        let size = context
            .input(|input| input.viewport().inner_rect)
            .map_or(self.settings.window_size, |rect| [rect.width().round(), rect.height().round()]);
        self.settings = Settings {
            window: self.window.preferences.clone(),
            masks: self.session.view.into(),
            model_path: match &self.session.model.choice {
                ModelChoice::BuiltIn => None,
                ModelChoice::Path(path) => Some(path.clone()),
            },
            window_size: size,
        };
        if let Some(writer) = &mut self.settings_writer {
            writer.keep(&self.settings);
        }
    }

    /// Asked for only while they are shown: reading the memory in use is a system call.
    fn frame_facts(&self, frame: &Frame) -> FrameFacts {
        if !self.window.timings_shown() {
            return FrameFacts::default();
        }
        FrameFacts {
            cpu_ms: frame.info().cpu_usage.map(|seconds| f64::from(seconds) * 1e3),
            resident_mib: resident::resident_mib(),
        }
    }

    /// Remembers what this frame shows, for the moment at which it has been handed to the display. Only one who watches
    /// the timings has a further frame drawn for that.
    fn note_what_is_drawn(&mut self, context: &Context) {
        let picture = self.session.picture.handle().is_some_and(|handle| self.renderer.can_draw(handle));
        if self.session.picture.encode_waits() {
            // What was drawn is handed over after this call; the next frame's begin is the first chance to go on.
            self.picture_shown = true;
            one_more_frame(context);
        }
        let mask = picture && self.session.prompting.answer.is_some() && !self.session.prompting.waiting;
        if let Some(run) = &mut self.felt_run {
            run.ask_for_frame(context, &self.session);
        }
        let watched = self.felt_run.is_some() || self.window.timings_shown();
        self.on_screen = (picture && watched, mask && watched);
        if watched && self.session.felt.waits_for_frame(picture, mask) {
            one_more_frame(context);
        }
    }

    fn keep_title(&mut self, context: &Context) {
        let title = match &self.session.picture.name {
            Some(name) => format!("{name} – Maskwright"),
            None => "Maskwright".to_owned(),
        };
        if title != self.title {
            context.send_viewport_cmd(ViewportCommand::Title(title.clone()));
            self.title = title;
        }
    }
}

impl eframe::App for App {
    fn raw_input_hook(&mut self, context: &Context, input: &mut RawInput) {
        // The first call of a frame: the one before has been handed to the display, and its input is here.
        let now = Instant::now();
        let (picture, mask) = self.on_screen;
        self.session.felt.frame_shown(now, picture, mask);
        if let Some(run) = &mut self.felt_run {
            run.act(now, context, &mut self.session, self.window.canvas_rect(), input);
        }
        let button = input.events.iter().any(|event| matches!(event, Event::PointerButton { .. }));
        self.session.felt.buttons(button.then_some(now));
    }

    fn logic(&mut self, context: &Context, _frame: &mut Frame) {
        if std::mem::take(&mut self.picture_shown) {
            self.session.picture_was_shown();
        }
        if self.session.drain(DRAIN_BUDGET) {
            context.request_repaint();
        }
        self.drain_dialogs();
        self.drain_clipboard();
        self.drain_input(context);
        self.drain_problems();
    }

    fn ui(&mut self, ui: &mut Ui, frame: &mut Frame) {
        let context = ui.ctx().clone();
        let circumstances = Circumstances {
            unfocused: context.input(|input| !input.focused),
            time_secs: self.time_secs,
            files_hover: context.input(|input| !input.raw.hovered_files.is_empty()),
            frame: self.frame_facts(frame),
        };
        let (drawn, answer) =
            self.window.window_ui(ui, &self.session, &mut self.renderer, circumstances, &mut self.wishes);
        if let Some((visible, fit_zoom_ratio)) = drawn.visible {
            let visible: ImageRect = visible;
            self.session.set_visible(visible, fit_zoom_ratio);
        }
        if let Some(answer) = answer
            && let (Some(purpose), PathAnswer::Path(path)) = (self.asking.take(), answer)
        {
            self.take_paths(purpose, vec![path]);
        }
        let said_something = self.wishes.any();
        self.take_wishes(&context);
        self.keep_title(&context);
        self.keep_settings(&context);
        self.drain_fonts(&context);
        self.note_what_is_drawn(&context);
        if said_something {
            // What was wished shows in the next frame.
            one_more_frame(&context);
        }
    }

    fn clear_color(&self, visuals: &egui::Visuals) -> [f32; 4] {
        visuals.panel_fill.to_normalized_gamma_f32()
    }

    fn on_exit(&mut self) {
        if let Err(why) = self.session.flush(FLUSH_AT_MOST) {
            tracing::error!("not everything could be saved: {why}");
            if let Ok(mut unsaved) = self.unsaved.lock() {
                *unsaved = Some(why);
            }
        }
    }
}

fn wake_of(context: &Context) -> Arc<dyn Fn() + Send + Sync> {
    let context = context.clone();
    Arc::new(move || one_more_frame(&context))
}

/// Has one frame drawn soon. egui's own `request_repaint` has two drawn, which news from a worker does not need.
fn one_more_frame(context: &Context) {
    context.request_repaint_after(Duration::from_nanos(1));
}

/// Files in a pasted text, as file managers copy them: one a line, as paths or `file://` addresses.
fn pasted_paths(text: &str) -> Vec<PathBuf> {
    let path_of = |line: &str| {
        let line = line.trim();
        let path = PathBuf::from(line.strip_prefix("file://").map_or_else(|| line.to_owned(), percent_decoded));
        (path.is_absolute() && path.exists()).then_some(path)
    };
    text.lines().take(1000).filter_map(path_of).collect()
}

/// `%20` and the like as the bytes they stand for.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|two| std::str::from_utf8(two).ok());
        match hex.filter(|_| bytes[at] == b'%').and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pasted_files_are_found_by_path_and_by_address() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a cat.png");
        std::fs::write(&file, b"x").unwrap();
        let address = format!("file://{}", file.display().to_string().replace(' ', "%20"));
        assert_eq!(pasted_paths(&format!("{address}\r\nno such line\n")), std::slice::from_ref(&file));
        assert_eq!(pasted_paths(&file.display().to_string()), [file]);
        assert!(pasted_paths("just some words").is_empty());
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%zz%4"), "%zz%4");
    }
}

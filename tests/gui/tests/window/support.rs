//! The window under test: the real application, session and engine, with a fake segmenter and a folder of its own.
//!
//! The fake answers a point with discs whose radius is known, so the picture is painted with discs of those radii.

use egui::{Key, Modifiers, PointerButton, Pos2, Rect, Vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use maskwright::app::{App, AppOptions, Settings, export, import};
use maskwright::document::Annotation;
use maskwright::engine::{Engine, EngineOptions};
use maskwright::geometry::ImagePoint;
use maskwright::inference::fake::FakeSegmenter;
use maskwright::inference::{InferenceError, Segmenter};
use maskwright::raster::write_rgb_png;
use maskwright::session::{EncodePhase, ModelChoice, Services, Session};
use maskwright::ui::preferences::ThemeChoice;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Columns and rows of the painted pictures.
pub const SIZE: (u32, u32) = (480, 360);
/// The middle of the apple on its plate; the fake's three candidates are its core, the apple and the plate.
pub const APPLE: ImagePoint = ImagePoint::new(180.0, 190.0);
/// The middle of the lime.
pub const LIME: ImagePoint = ImagePoint::new(390.0, 110.0);
/// Radius of apple and lime, in pixels: the fake's middle candidate at this picture's size.
pub const RADIUS: f32 = 60.0;

/// How a test wants its window.
pub struct Setup {
    pub pictures: Vec<&'static str>,
    pub segmenter: FakeSegmenter,
    pub theme: ThemeChoice,
    pub drawn: bool,
    /// Letters without a font are looked for on the machine.
    pub system_fonts: bool,
    pub size: Vec2,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            pictures: vec!["breakfast.png"],
            segmenter: FakeSegmenter::new(),
            theme: ThemeChoice::Dark,
            drawn: false,
            system_fonts: false,
            size: Vec2::new(900.0, 600.0),
        }
    }
}

pub struct TestWindow {
    pub harness: Harness<'static, App>,
    pub folder: PathBuf,
    /// Removed with the window.
    _place: tempfile::TempDir,
}

impl TestWindow {
    /// A window on a new folder of painted pictures.
    pub fn open(setup: Setup) -> Self {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("pictures");
        std::fs::create_dir(&folder).unwrap();
        for name in &setup.pictures {
            write_rgb_png(&folder.join(name), &painted(), SIZE).unwrap();
        }
        let open = if setup.pictures.is_empty() { Vec::new() } else { vec![folder.clone()] };
        Self::open_paths(setup, place, folder, open)
    }

    /// A window that opens these paths.
    pub fn open_paths(setup: Setup, place: tempfile::TempDir, folder: PathBuf, open: Vec<PathBuf>) -> Self {
        let data = place.path().join("data");
        let segmenter: Arc<dyn Segmenter> = Arc::new(setup.segmenter);
        let mut settings = Settings::default();
        settings.window.theme = setup.theme;
        let options = AppOptions {
            open,
            settings,
            time_secs: Some(0.0),
            system_fonts: setup.system_fonts,
            ..AppOptions::default()
        };
        let mut builder = Harness::builder().with_size(setup.size).with_step_dt(1.0 / 60.0).with_render_cursor(false);
        if setup.system_fonts {
            builder = builder.allow_missing_glyphs();
        }
        if setup.drawn {
            builder = builder.wgpu();
        }
        let harness = builder.build_eframe(move |creation| {
            App::new(creation, options, |wake| services(segmenter, &data, wake)).unwrap()
        });
        Self { harness, folder, _place: place }
    }

    /// A window whose first picture is encoded.
    pub fn ready(setup: Setup) -> Self {
        let mut window = Self::open(setup);
        window.until("the picture is encoded", |session| session.picture.encode == EncodePhase::Ready);
        window
    }

    pub fn session(&self) -> &Session {
        self.harness.state().session()
    }

    /// The objects of the picture shown.
    pub fn objects(&self) -> Vec<Arc<Annotation>> {
        let session = self.session();
        let image = session.picture.name.as_ref().and_then(|name| session.project.project.image(name));
        image.map(|image| image.annotations().to_vec()).unwrap_or_default()
    }

    /// Draws frames until the session is as wanted; workers answer in real time.
    pub fn until(&mut self, what: &str, wanted: impl Fn(&Session) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            self.harness.step();
            if wanted(self.session()) {
                // One more, so that the frame shows it.
                self.harness.run_steps(2);
                return;
            }
            assert!(Instant::now() < deadline, "waited in vain until {what}; notices: {:?}", self.notices());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn frames(&mut self) {
        self.harness.run_steps(4);
    }

    pub fn notices(&self) -> Vec<String> {
        self.session().notices.iter().map(|notice| notice.text.clone()).collect()
    }

    /// Where a point of the fitted picture lies in the window.
    pub fn at(&self, point: ImagePoint) -> Pos2 {
        let canvas = self.canvas();
        let margin = 16.0;
        let zoom =
            ((canvas.width() - 2.0 * margin) / SIZE.0 as f32).min((canvas.height() - 2.0 * margin) / SIZE.1 as f32);
        let corner = canvas.center() - Vec2::new(SIZE.0 as f32, SIZE.1 as f32) * zoom / 2.0;
        corner + Vec2::new(point.x, point.y) * zoom
    }

    pub fn canvas(&self) -> Rect {
        self.harness.get_by_label("Canvas").rect()
    }

    pub fn click(&mut self, point: ImagePoint) {
        self.press(point, PointerButton::Primary);
    }

    pub fn press(&mut self, point: ImagePoint, button: PointerButton) {
        let pos = self.at(point);
        self.harness.hover_at(pos);
        self.harness.step();
        for pressed in [true, false] {
            self.harness.event(egui::Event::PointerButton { pos, button, pressed, modifiers: Modifiers::NONE });
            self.harness.step();
        }
        self.harness.step();
    }

    pub fn key(&mut self, key: Key) {
        self.harness.key_press(key);
        self.frames();
    }

    pub fn ctrl(&mut self, key: Key) {
        self.harness.key_press_modifiers(Modifiers::COMMAND, key);
        self.frames();
    }

    /// Clicks the widget of this name.
    pub fn push(&mut self, label: &str) {
        self.harness.get_by_label(label).click();
        self.frames();
    }

    pub fn shows(&self, text: &str) -> bool {
        self.harness.query_all_by_label_contains(text).next().is_some()
    }

    /// Types into the field of this name and presses Enter.
    pub fn enter(&mut self, field: &str, text: &str) {
        self.harness.get_by_label(field).click();
        self.frames();
        self.harness.get_by_label(field).type_text(text);
        self.frames();
        self.key(Key::Enter);
    }

    /// Clicks the apple and waits for its candidates.
    pub fn click_apple(&mut self) {
        self.click(APPLE);
        self.until("there are candidates", |session| {
            !session.prompting.waiting
                && session.prompting.answer.as_ref().is_some_and(|answer| answer.candidates.items.len() == 3)
        });
    }

    /// Makes an object of the apple.
    pub fn accept_apple(&mut self) {
        let before = self.objects().len();
        self.click_apple();
        self.key(Key::Enter);
        let count =
            move |session: &Session| session.picture.name.as_ref().map_or(0, |name| session.project.object_count(name));
        self.until("the object is there", |session| count(session) == before + 1);
    }
}

fn services(
    segmenter: Arc<dyn Segmenter>,
    data: &Path,
    wake: Arc<dyn Fn() + Send + Sync>,
) -> std::io::Result<Services> {
    let open = Arc::clone(&segmenter);
    let engine = Engine::start(
        EngineOptions { wake: Arc::clone(&wake), ..EngineOptions::default() },
        Box::new(move || Ok(open)),
    )?;
    Ok(Services {
        engine: Box::new(engine),
        open_model: Box::new(move |choice| {
            let (choice, segmenter) = (choice.clone(), Arc::clone(&segmenter));
            Box::new(move || match choice {
                ModelChoice::BuiltIn => Ok(segmenter),
                ModelChoice::Path(path) => {
                    Err(InferenceError::Weights { path, problem: "is no safetensors file; choose another".into() })
                }
            })
        }),
        exporter: Arc::new(export),
        importer: Arc::new(import),
        data_folder: Some(data.to_path_buf()),
        wake,
        model: ModelChoice::BuiltIn,
    })
}

/// An apple on a plate and a lime on a wooden table, in plain shapes.
pub fn painted() -> Vec<u8> {
    let mut rgb = Vec::with_capacity(SIZE.0 as usize * SIZE.1 as usize * 3);
    for y in 0..SIZE.1 {
        for x in 0..SIZE.0 {
            let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
            let grain = 8.0 * (y * 0.11 + (x * 0.02).sin() * 2.0).sin() + 4.0 * (y * 0.37).sin();
            let mut color = [168.0 + grain, 122.0 + grain, 82.0 + grain];
            let ball = |center: ImagePoint, radius: f32, tint: [f32; 3], color: &mut [f32; 3]| {
                let (dx, dy) = ((x - center.x) / radius, (y - center.y) / radius);
                if dx * dx + dy * dy < 1.0 {
                    let light = 0.62 + 0.5 * (1.0 - dx * dx - dy * dy).sqrt() - 0.25 * (dx + dy);
                    *color = tint.map(|part| part * light.clamp(0.2, 1.15));
                }
            };
            let plate = (x - APPLE.x).hypot(y - APPLE.y);
            if plate < 2.0 * RADIUS {
                let shade = if plate > 1.75 * RADIUS { 205.0 } else { 228.0 };
                color = [shade, shade + 4.0, shade + 10.0];
            }
            ball(APPLE, RADIUS, [205.0, 48.0, 44.0], &mut color);
            ball(LIME, RADIUS, [122.0, 190.0, 62.0], &mut color);
            rgb.extend(color.map(|part| part.clamp(0.0, 255.0) as u8));
        }
    }
    rgb
}

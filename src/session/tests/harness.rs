//! A session in a temporary folder with an engine whose answers the test writes.

use crate::document::{Annotation, ImageName, ImportedDataset};
use crate::engine::{
    Candidate, Candidates, DecodeRequest, Engine, EngineOptions, Event, Generation, InferenceError, JobError,
    JobTicket, ModelOpener, PictureHandle, SegmenterInfo, ViewFrame,
};
use crate::geometry::{ImagePoint, PixelRect};
use crate::prompt::Polarity;
use crate::raster::Picture;
use crate::session::{
    Access, Command, EnginePort, ExportReport, ExportWork, Exporter, ImportWork, ModelChoice, NoticeLevel,
    PicturePhase, Services, Session,
};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Side of the scripted pictures.
pub const SIDE: u32 = 32;

/// What the session asked, and what it will be told.
#[derive(Default)]
pub struct Script {
    pub events: VecDeque<Event>,
    pub asked: Vec<DecodeRequest>,
    pub hovers: Vec<DecodeRequest>,
    pub opened: Vec<(Generation, PathBuf)>,
    pub encoded: Vec<Option<PixelRect>>,
    pub ahead: Vec<PathBuf>,
    pub models: usize,
}

struct ScriptedEngine {
    script: Rc<RefCell<Script>>,
    /// Runs exports, since only an engine gives job tickets.
    heavy: Engine,
}

impl EnginePort for ScriptedEngine {
    fn try_next_event(&self) -> Option<Event> {
        let heavy = self.heavy.try_next_event().filter(|event| !matches!(event, Event::ModelFailed(_)));
        heavy.or_else(|| self.script.borrow_mut().events.pop_front())
    }
    fn set_model(&self, _: ModelOpener) {
        self.script.borrow_mut().models += 1;
    }
    fn open_picture(&self, generation: Generation, path: PathBuf) {
        self.script.borrow_mut().opened.push((generation, path));
    }
    fn read_soon(&self, _: PathBuf) {}
    fn encode(&self, _: &PictureHandle, view: Option<PixelRect>) {
        self.script.borrow_mut().encoded.push(view);
    }
    fn encode_ahead(&self, paths: Vec<PathBuf>) {
        self.script.borrow_mut().ahead = paths;
    }
    fn cancel_encode(&self) {}
    fn decode(&self, request: DecodeRequest) {
        self.script.borrow_mut().asked.push(request);
    }
    fn hover(&self, request: DecodeRequest) {
        self.script.borrow_mut().hovers.push(request);
    }
    fn cancel_decode(&self) {}
    fn run_export(&self, name: String, work: ExportWork) -> JobTicket<ExportReport> {
        self.heavy.run_heavy(name, work)
    }
    fn run_import(&self, name: String, work: ImportWork) -> JobTicket<ImportedDataset> {
        self.heavy.run_heavy(name, work)
    }
}

/// A session with its script and folders.
pub struct Stage {
    pub session: Session,
    pub script: Rc<RefCell<Script>>,
    pub folder: Rc<tempfile::TempDir>,
    pub data: Rc<tempfile::TempDir>,
    /// What the next imports bring; without one, the file cannot be read.
    pub import: Arc<Mutex<Option<ImportedDataset>>>,
}

pub fn model(id: &str) -> SegmenterInfo {
    SegmenterInfo {
        id: id.to_owned(),
        name: id.to_owned(),
        device: "script".to_owned(),
        input_side: SIDE,
        low_res_side: 16,
    }
}

pub fn name(text: &str) -> ImageName {
    ImageName::new(text).unwrap()
}

pub fn point(x: f32, y: f32) -> Command {
    Command::AddPoint { at: ImagePoint::new(x, y), polarity: Polarity::Include }
}

/// Answers of three discs around the middle, or of the middle one alone.
pub fn candidates(count: usize, choice: Option<usize>) -> Candidates {
    let disc = |radius: f32| -> Arc<[f32]> {
        let at = |i: usize| ((i % 16) as f32 - 7.5, (i / 16) as f32 - 7.5);
        (0..256).map(at).map(|(x, y)| radius - x.hypot(y)).collect()
    };
    let radii = if count == 3 { vec![3.0, 5.0, 7.0] } else { vec![4.0] };
    let items = radii.into_iter().zip([0.7, 0.9, 0.8]);
    Candidates {
        items: items
            .map(|(radius, predicted_iou)| Candidate { low_res: disc(radius), predicted_iou, stability: 0.95 })
            .collect(),
        chosen: choice.unwrap_or(if count == 3 { 1 } else { 0 }),
        frame: ViewFrame {
            image_width: SIDE,
            image_height: SIDE,
            view: PixelRect::of_size(SIDE, SIDE),
            content_width: SIDE,
            content_height: SIDE,
            input_side: SIDE,
        },
        low_res_side: 16,
    }
}

fn no_exporter() -> Exporter {
    Arc::new(|input, _| {
        let count = |image: &ImageName| input.project.image(image).map_or(0, |entry| entry.annotations().len());
        Ok(ExportReport {
            path: input.request.path.clone(),
            images: input.images.len(),
            objects: input.images.iter().map(count).sum(),
            remarks: vec!["a remark".to_owned()],
        })
    })
}

impl Stage {
    /// A folder of three pictures, opened, the first shown, the model ready.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in ["1.png", "2.png", "10.png"] {
            let fill = |writer: &mut dyn std::io::Write| writer.write_all(b"the engine is scripted");
            crate::atomic_file::write_atomically(&folder.path().join(file), fill).unwrap();
        }
        let mut stage = Self::in_folders(Rc::new(folder), Rc::new(tempfile::tempdir().unwrap()));
        stage.open();
        stage.tell(Event::ModelReady(model("model")));
        stage
    }

    /// A session that has opened nothing.
    pub fn in_folders(folder: Rc<tempfile::TempDir>, data: Rc<tempfile::TempDir>) -> Self {
        let script = Rc::new(RefCell::new(Script::default()));
        let no_model: ModelOpener = Box::new(|| Err(InferenceError::Cancelled));
        let heavy = Engine::start(EngineOptions::default(), no_model).unwrap();
        let import = Arc::new(Mutex::new(None));
        let services = Services {
            engine: Box::new(ScriptedEngine { script: Rc::clone(&script), heavy }),
            open_model: Box::new(|_| Box::new(|| Err(InferenceError::Cancelled))),
            exporter: no_exporter(),
            importer: {
                let import = Arc::clone(&import);
                Arc::new(move |path, _| {
                    let dataset = import.lock().unwrap().clone();
                    dataset.ok_or_else(|| JobError::Failed(format!("{}: is no COCO JSON", path.display())))
                })
            },
            data_folder: Some(data.path().to_path_buf()),
            wake: Arc::new(|| {}),
            model: ModelChoice::BuiltIn,
        };
        Self { session: Session::new(services).unwrap(), script, folder, data, import }
    }

    /// Opens the folder and its first or last picture.
    pub fn open(&mut self) {
        let folder = self.folder.path().to_path_buf();
        self.session.handle(Command::Open(vec![folder]));
        self.until("the folder is open", |session| session.picture.name.is_some());
        self.show_picture();
    }

    /// The same folder in a new session, as after a restart.
    pub fn restarted(self) -> Self {
        let (folder, data) = (Rc::clone(&self.folder), Rc::clone(&self.data));
        drop(self);
        let mut stage = Self::in_folders(folder, data);
        stage.open();
        stage.tell(Event::ModelReady(model("model")));
        stage
    }

    /// Answers the newest wish to open a picture.
    pub fn show_picture(&mut self) {
        self.show_picture_of(SIDE, SIDE);
    }

    pub fn show_picture_of(&mut self, width: u32, height: u32) {
        let (generation, _) = self.script.borrow().opened.last().cloned().expect("a picture was asked for");
        let rgb = vec![128; 3 * (width * height) as usize].into();
        let picture = PictureHandle::new(Picture { width, height, rgb, notes: Vec::new() });
        self.tell(Event::PictureOpened { generation, picture, open_ms: 1.0 });
        assert!(matches!(self.session.picture.phase, PicturePhase::Ready(_)));
    }

    /// Tells the session an event.
    pub fn tell(&mut self, event: Event) {
        self.script.borrow_mut().events.push_back(event);
        self.drain();
    }

    pub fn drain(&mut self) {
        while self.session.drain(Duration::from_secs(1)) {}
    }

    pub fn wish(&mut self, command: Command) {
        self.session.handle(command);
        self.drain();
    }

    /// The newest question about the draft.
    pub fn last_asked(&self) -> DecodeRequest {
        self.script.borrow().asked.last().cloned().expect("something was asked")
    }

    /// Answers a question as the model would: three candidates for a lone point.
    pub fn answer_to(&mut self, request: &DecodeRequest) {
        let count = if request.prompt.is_lone_point() { 3 } else { 1 };
        let candidates = candidates(count, request.prompt.choice.filter(|_| count == 3));
        let (generation, picture) = (request.generation, request.picture.id());
        self.tell(Event::MaskReady { generation, picture, candidates, decode_ms: 5.0, ready: Instant::now() });
    }

    pub fn answer(&mut self) {
        let request = self.last_asked();
        self.answer_to(&request);
    }

    /// Clicks, waits for the answer, accepts, waits for the object.
    pub fn add_object(&mut self) {
        let before = self.session.annotations().len();
        self.wish(point(16.0, 16.0));
        self.answer();
        self.wish(Command::AcceptDraft);
        self.until("the object is there", |session| session.annotations().len() > before);
    }

    /// Drains until something holds; a session that never gets there fails the test.
    pub fn until(&mut self, what: &str, holds: impl Fn(&Session) -> bool) {
        let start = Instant::now();
        loop {
            self.drain();
            if holds(&self.session) {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "never: {what}; {:?}", self.texts());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub fn texts(&self) -> Vec<String> {
        self.session.notices.iter().map(|notice| notice.text.clone()).collect()
    }

    /// The newest notice of this level that holds these words.
    pub fn says(&self, level: NoticeLevel, words: &str) -> bool {
        self.session.notices.iter().any(|notice| notice.level == level && notice.text.contains(words))
    }

    pub fn object(&self, index: usize) -> Arc<Annotation> {
        Arc::clone(&self.session.annotations()[index])
    }

    pub fn store_path(&self) -> PathBuf {
        self.session.project.store_path.clone().expect("a project is open")
    }

    pub fn is_writable(&self) -> bool {
        self.session.project.access == Access::ReadWrite
    }

    pub fn path(&self, file: &str) -> PathBuf {
        Path::new(self.folder.path()).join(file)
    }
}

use egui_kittest::Harness;
use maskwright::document::*;
use maskwright::engine::*;
use maskwright::geometry::*;
use maskwright::inference as inf;
use maskwright::prompt::*;
use maskwright::raster::*;
use maskwright::session::*;
use maskwright::ui::canvas::CanvasRenderer;
use maskwright::ui::window::*;
use maskwright::ui::wish::Wishes;
use std::path::PathBuf;
use std::sync::Arc;
struct Port;
impl EnginePort for Port {
    fn try_next_event(&self) -> Option<Event> { None }
    fn set_model(&self, _: ModelOpener) {}
    fn open_picture(&self, _: Generation, _: PathBuf) {}
    fn encode(&self, _: &PictureHandle, _: Option<PixelRect>) {}
    fn encode_ahead(&self, _: Vec<PathBuf>) {}
    fn cancel_encode(&self) {}
    fn decode(&self, _: DecodeRequest) {}
    fn hover(&self, _: DecodeRequest) {}
    fn cancel_decode(&self) {}
    fn run_export(&self, _: String, _: ExportWork) -> JobTicket<ExportReport> { panic!() }
}
struct A { session: Session, window: Window, renderer: CanvasRenderer, wishes: Wishes }
impl eframe::App for A {
    fn ui(&mut self, ui: &mut egui::Ui, _: &mut eframe::Frame) {
        let c = Circumstances { unfocused: false, time_secs: Some(0.0), files_hover: false, has_samples: true };
        self.window.window_ui(ui, &self.session, &mut self.renderer, c, &mut self.wishes);
        for w in self.wishes.take() {
            if let maskwright::ui::wish::Wish::Request(r) = w { self.window.take_request(&self.session, r, true); }
        }
    }
}
fn session() -> Session {
    let services = Services { engine: Box::new(Port), open_model: Box::new(|_| Box::new(|| Err(InferenceError::Cancelled))), exporter: Arc::new(|_, _| Err(JobError::Cancelled)), data_folder: None, wake: Arc::new(|| {}), model: ModelChoice::BuiltIn };
    Session::new(services).unwrap()
}
fn full() -> Session {
    let mut s = session();
    let raw = image::open("/tmp/coffee.png").unwrap().to_rgb8();
    let (w, h) = raw.dimensions();
    let p = PictureHandle::new(Picture { width: w, height: h, rgb: raw.into_raw().into(), notes: vec![] });
    let names: Vec<ImageName> = ["breakfast.jpg", "chelsea.jpg", "coffee.png", "street-with-a-very-long-name.jpg", "zebra.jpg"].iter().map(|n| ImageName::new(n).unwrap()).collect();
    for n in &names { s.project.project.apply(&Edit::AddImage { image: n.clone(), size: (n.as_str()=="coffee.png").then_some(ImageSize{width:w,height:h}) }).unwrap(); }
    let mut ids = vec![];
    for (i, l) in ["cup", "spoon", "saucer", "table"].iter().enumerate() {
        let id = s.project.project.new_label_id(); ids.push(id);
        s.project.project.apply(&Edit::AddLabel { position: i, label: Label { id, name: l.to_string(), colour: Colour::from_palette(i) } }).unwrap();
    }
    for (i,(cx,cy,r)) in [(330.0f32,180.0f32,150.0f32),(150.0,300.0,60.0),(480.0,330.0,40.0)].into_iter().enumerate() {
        let id = s.project.project.new_annotation_id();
        let b = Bitmap::from_fn(w, h, |x, y| (x as f32-cx).hypot(y as f32-cy) < r);
        let mut a = Annotation::new(id, Mask::from_bitmap(&b)); a.label = (i<2).then(|| ids[i]);
        a.origin = Some(Origin{prompt:Prompt::default(),threshold:0.0,predicted_iou:0.93,stability:0.97,model_id:"x".into()});
        if i==1 { a.hidden = true; a.name = Some("silver".into()); }
        s.project.project.apply(&Edit::AddAnnotation { image: names[2].clone(), position: i, annotation: Arc::new(a) }).unwrap();
        if i==0 { s.objects.selection = Some(id); }
    }
    s.project.listed = names.clone(); s.project.access = Access::ReadWrite; s.project.folder = Some("/home/me/photos".into());
    s.objects.active_label = Some(ids[0]);
    s.picture.name = Some(names[2].clone()); s.picture.phase = PicturePhase::Ready(p.clone()); s.picture.encode = EncodePhase::Ready;
    s.model.opening = false;
    s.model.info = Some(SegmenterInfo { id: "spark-sam@123".into(), name: "spark-sam (built in)".into(), device: "CPU (2 threads, AVX-512)".into(), input_side: 512, low_res_side: 128 });
    s.timings = Timings { open_ms: Some(12.0), encode_ms: Some(148.0), encode_source: Some(EmbeddingSource::Computed), decode_ms: Some(9.4) };
    s
}
fn draft(s: &mut Session) {
    let p = s.picture.handle().unwrap().clone();
    s.objects.selection = None;
    s.prompting.draft.add_point(ImagePoint::new(330.0, 180.0), Polarity::Include, None);
    let mk = |r: f32| { let v: Vec<f32> = (0..128*128).map(|i| { let (x,y)=((i%128) as f32*600.0/128.0, (i/128) as f32*600.0/128.0); (r-(x-330.0).hypot(y-180.0))/10.0 }).collect(); v };
    let items = [(90.0,0.82,0.91),(150.0,0.94,0.97),(210.0,0.61,0.80)].map(|(r,i,st)| inf::Candidate { low_res: mk(r).into(), predicted_iou: i, stability: st }).to_vec();
    let frame = inf::ViewFrame { image_width: p.width, image_height: p.height, view: p.whole(), content_width: 512, content_height: (512*p.height/p.width), input_side: 512 };
    s.prompting.answer = Some(Answer::new(p.id(), Generation(1), Candidates { items, chosen: 1, frame, low_res_side: 128 }));
}
fn shot(name: &str, dark: bool, s: Session, then: impl Fn(&mut Harness<'_, A>)) {
    let mut h = Harness::builder().with_size([1000.0, 660.0]).with_render_cursor(false).wgpu().build_eframe(|cc| {
        maskwright::ui::theme::install(&cc.egui_ctx);
        let mut window = Window::default();
        window.preferences.theme = if dark { maskwright::ui::preferences::ThemeChoice::Dark } else { maskwright::ui::preferences::ThemeChoice::Light };
        A { session: s, window, renderer: CanvasRenderer::new_inline(cc.wgpu_render_state.as_ref()), wishes: Wishes::default() }
    });
    h.run_steps(4);
    then(&mut h);
    h.run_steps(6);
    h.render().unwrap().save(format!("/tmp/look-{name}.png")).unwrap();
}
#[test]
fn look() {
    shot("objects-dark", true, full(), |_| {});
    shot("objects-light", false, full(), |_| {});
    let mut s = full(); draft(&mut s);
    s.notices.push(NoticeLevel::Info, "Opened 5 pictures.");
    s.notices.push(NoticeLevel::Error, "The picture zebra.jpg cannot be read: it ends early. Copy it again.");
    shot("draft-dark", true, s, |_| {});
    let mut s = full(); draft(&mut s);
    shot("draft-light", false, s, |_| {});
    shot("welcome-dark", true, session(), |_| {});
    shot("welcome-light", false, session(), |_| {});
    shot("palette-dark", true, full(), |h| { h.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::K) });
    shot("sheet-light", false, full(), |h| { h.key_press(egui::Key::F1) });
    shot("settings-dark", true, full(), |h| { h.key_press_modifiers(egui::Modifiers::COMMAND, egui::Key::Comma) });
}

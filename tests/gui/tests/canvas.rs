//! The canvas as a widget: what gestures say (no renderer), and how it looks (snapshots on a software GPU).

mod canvas_scene;

use canvas_scene::{Stage, box_mask, builder, disc_field, disc_mask, picture, stage, still_life};
use egui::{Event, Modifiers, MouseWheelUnit, PointerButton, Pos2, Theme, pos2, vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use maskwright::geometry::{ImagePoint, ImageRect, PixelRect};
use maskwright::prompt::Polarity;
use maskwright::raster::{LogitField, Picture};
use maskwright::ui::canvas::{
    CanvasAction, CanvasBox, CanvasInput, CanvasInstance, CanvasMask, CanvasOptions, CanvasPoint, CanvasRenderer,
    CanvasTool, CanvasView, candidate_thumbnail_ui, canvas_ui,
};

/// An application reduced to the canvas' state.
struct Desk {
    renderer: CanvasRenderer,
    picture: Option<Picture>,
    view: CanvasView,
    points: Vec<CanvasPoint>,
    tool: CanvasTool,
    said: Vec<CanvasAction>,
    hover: Option<ImagePoint>,
    zoom: f32,
}

type DeskHarness = Harness<'static, Desk>;

/// No renderer: a picture of 400 x 300 at zoom 1 with its corner at (200, 150) in a window of 800 x 600.
fn desk() -> DeskHarness {
    let state = Desk {
        renderer: CanvasRenderer::new_inline(None),
        picture: Some(picture(400, 300, |_, _| [128; 3])),
        view: CanvasView::At { center: ImagePoint::new(200.0, 150.0), zoom: 1.0 },
        points: Vec::new(),
        tool: CanvasTool::Prompt,
        said: Vec::new(),
        hover: None,
        zoom: 0.0,
    };
    let mut harness = builder((800, 600), Theme::Dark).build_ui_state(
        |ui, desk: &mut Desk| {
            // The root has a margin of its own; the canvas gets the whole window.
            let mut ui = ui
                .new_child(egui::UiBuilder::new().max_rect(egui::Rect::from_min_size(Pos2::ZERO, vec2(800.0, 600.0))));
            let output = canvas_ui(
                &mut ui,
                &mut desk.renderer,
                &CanvasInput {
                    picture: desk.picture.as_ref(),
                    view: desk.view,
                    points: &desk.points,
                    tool: desk.tool,
                    hint: Some("Click an object"),
                    options: CanvasOptions { reduce_motion: true, ..Default::default() },
                    ..Default::default()
                },
            );
            for action in output.actions {
                if let CanvasAction::View(view) = action {
                    desk.view = view;
                }
                desk.said.push(action);
            }
            desk.hover = output.hover;
            desk.zoom = output.zoom;
        },
        state,
    );
    harness.run();
    harness
}

fn button(harness: &mut DeskHarness, at: Pos2, button: PointerButton, pressed: bool, modifiers: Modifiers) {
    harness.hover_at(at);
    harness.event_modifiers(Event::PointerButton { pos: at, button, pressed, modifiers }, modifiers);
    harness.step();
}

fn click(harness: &mut DeskHarness, at: Pos2, with: PointerButton, modifiers: Modifiers) -> Vec<CanvasAction> {
    harness.state_mut().said.clear();
    harness.hover_at(at);
    harness.step();
    button(harness, at, with, true, modifiers);
    button(harness, at, with, false, modifiers);
    harness.state().said.clone()
}

fn drag(harness: &mut DeskHarness, from: Pos2, to: Pos2, with: PointerButton) -> Vec<CanvasAction> {
    harness.state_mut().said.clear();
    harness.hover_at(from);
    harness.step();
    button(harness, from, with, true, Modifiers::NONE);
    for step in 1..=4 {
        harness.hover_at(from + (to - from) * (step as f32 / 4.0));
        harness.step();
    }
    button(harness, to, with, false, Modifiers::NONE);
    harness.state().said.clone()
}

#[test]
fn the_canvas_has_a_name_and_says_that_it_cannot_draw() {
    let harness = desk();
    let canvas = harness.get_by_label("Canvas");
    assert_eq!(canvas.rect().size(), vec2(800.0, 600.0));
    harness.get_by_label_contains("no GPU renderer");
    harness.get_by_label("Click an object");
}

#[test]
fn clicks_say_points() {
    let mut harness = desk();
    let at = ImagePoint::new(50.0, 30.0);
    let here = pos2(250.0, 180.0);
    let include = [CanvasAction::Point { at, polarity: Polarity::Include }];
    let exclude = [CanvasAction::Point { at, polarity: Polarity::Exclude }];
    assert_eq!(click(&mut harness, here, PointerButton::Primary, Modifiers::NONE), include);
    assert_eq!(click(&mut harness, here, PointerButton::Secondary, Modifiers::NONE), exclude);
    assert_eq!(click(&mut harness, here, PointerButton::Primary, Modifiers::SHIFT), exclude);
    assert_eq!(harness.state().hover, Some(at));
    assert_eq!(click(&mut harness, pos2(100.0, 100.0), PointerButton::Primary, Modifiers::NONE), []);
    assert_eq!(harness.state().hover, None);
}

#[test]
fn a_drag_says_a_box_and_a_point_can_be_dragged_and_removed() {
    let mut harness = desk();
    let said = drag(&mut harness, pos2(210.0, 160.0), pos2(300.0, 250.0), PointerButton::Primary);
    assert_eq!(said, [CanvasAction::Box(ImageRect { x0: 10.0, y0: 10.0, x1: 100.0, y1: 100.0 })]);
    let point = CanvasPoint { at: ImagePoint::new(50.0, 30.0), polarity: Polarity::Exclude, waiting: false };
    harness.state_mut().points.push(point);
    let said = drag(&mut harness, pos2(252.0, 180.0), pos2(352.0, 200.0), PointerButton::Primary);
    let to = ImagePoint::new(152.0, 50.0);
    assert_eq!(said.last(), Some(&CanvasAction::PointMoved { index: 0, to, done: true }));
    let said = click(&mut harness, pos2(250.0, 180.0), PointerButton::Primary, Modifiers::NONE);
    assert_eq!(said, [CanvasAction::PointRemoved { index: 0 }]);
}

#[test]
fn a_drag_that_falls_into_one_frame_is_a_drag() {
    let mut harness = desk();
    harness.hover_at(pos2(210.0, 160.0));
    harness.step();
    let event = |pos, pressed| Event::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    // Not `harness.event`: that gives each event a frame of its own.
    let (from, to) = (pos2(210.0, 160.0), pos2(260.0, 190.0));
    harness.input_mut().events.extend([event(from, true), Event::PointerMoved(to), event(to, false)]);
    harness.step();
    let rect = ImageRect { x0: 10.0, y0: 10.0, x1: 60.0, y1: 40.0 };
    assert_eq!(harness.state().said, [CanvasAction::Box(rect)]);
}

#[test]
fn the_wheel_zooms_at_the_pointer_with_and_without_ctrl() {
    for modifiers in [Modifiers::NONE, Modifiers::COMMAND] {
        let mut harness = desk();
        let at = pos2(300.0, 250.0);
        harness.hover_at(at);
        harness.step();
        let under = harness.state().hover.expect("on the picture");
        let wheel = Event::MouseWheel {
            unit: MouseWheelUnit::Line,
            delta: vec2(0.0, 3.0),
            phase: egui::TouchPhase::Move,
            source: egui::MouseWheelSource::Unknown,
            modifiers,
        };
        harness.event_modifiers(wheel, modifiers);
        harness.run_steps(12);
        let zoomed = harness.state().zoom;
        assert!(zoomed > 1.2 && zoomed < 4.0, "{zoomed}");
        let now = harness.state().hover.expect("still on the picture");
        assert!((now.x - under.x).abs() < 1.0 && (now.y - under.y).abs() < 1.0, "{under:?} became {now:?}");
        assert!(harness.state().said.iter().all(|a| matches!(a, CanvasAction::View(_))));
    }
}

#[test]
fn middle_drag_and_space_drag_pan() {
    let mut harness = desk();
    let center = |harness: &DeskHarness| match harness.state().view {
        CanvasView::At { center, .. } => center,
        CanvasView::Fit => panic!("not fitted"),
    };
    drag(&mut harness, pos2(400.0, 300.0), pos2(440.0, 320.0), PointerButton::Middle);
    assert_eq!(center(&harness), ImagePoint::new(160.0, 130.0));
    harness.key_down(egui::Key::Space);
    harness.step();
    let said = drag(&mut harness, pos2(400.0, 300.0), pos2(380.0, 300.0), PointerButton::Primary);
    assert_eq!(center(&harness), ImagePoint::new(180.0, 130.0));
    assert!(said.iter().all(|a| matches!(a, CanvasAction::View(_))), "no point, no box: {said:?}");
}

#[test]
fn a_double_click_is_told_once() {
    let mut harness = desk();
    let at = ImagePoint::new(50.0, 30.0);
    let here = pos2(250.0, 180.0);
    let event = |pressed| Event::PointerButton {
        pos: here,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    };
    harness.hover_at(here);
    harness.step();
    harness.input_mut().events.extend([event(true), event(false), event(true), event(false)]);
    harness.step();
    let want = [CanvasAction::Point { at, polarity: Polarity::Include }, CanvasAction::DoubleClick { at }];
    assert_eq!(harness.state().said, want);
}

#[test]
fn a_picture_with_too_few_bytes_is_refused_in_words() {
    let mut broken = picture(40, 30, |_, _| [9; 3]);
    broken.rgb = broken.rgb[..100].into();
    let mut harness = stage((640, 400), Theme::Dark, move |ui, renderer| {
        canvas_ui(ui, renderer, &CanvasInput { picture: Some(&broken), ..Default::default() });
    });
    harness.run();
    harness.get_by_label_contains("100 bytes for 40 x 30 pixels, expected 3600");
}

// Snapshots: small, animations fixed, no cursor.

fn still() -> CanvasOptions {
    CanvasOptions { time_secs: Some(0.25), ..Default::default() }
}

fn snapshot(
    name: &str,
    window: (u32, u32),
    theme: Theme,
    mut act: impl FnMut(&mut egui::Ui, &mut CanvasRenderer) + 'static,
) {
    let desk = egui::Color32::from_gray(if theme == Theme::Dark { 24 } else { 208 });
    let mut harness: Harness<'static, Stage> = stage(window, theme, move |ui, renderer| {
        ui.painter().rect_filled(ui.max_rect(), 0.0, desk);
        act(ui, renderer);
    });
    harness.run();
    harness.snapshot(name);
}

fn ball() -> LogitField {
    disc_field(PixelRect::of_size(520, 340), (64, 64), (200.0, 130.0), 60.0)
}

fn point(x: f32, y: f32, polarity: Polarity, waiting: bool) -> CanvasPoint {
    CanvasPoint { at: ImagePoint::new(x, y), polarity, waiting }
}

#[test]
fn looks_draft() {
    let (picture, field) = (still_life(), ball());
    snapshot("canvas_draft", (640, 400), Theme::Dark, move |ui, renderer| {
        let points = [point(190.0, 120.0, Polarity::Include, false), point(380.0, 200.0, Polarity::Exclude, false)];
        let rect = ImageRect { x0: 130.0, y0: 60.0, x1: 270.0, y1: 200.0 };
        canvas_ui(
            ui,
            renderer,
            &CanvasInput {
                picture: Some(&picture),
                draft: Some(CanvasMask { field: &field, threshold: 0.0, color: [40, 120, 250] }),
                points: &points,
                prompt_box: Some(CanvasBox { rect, waiting: false }),
                options: still(),
                ..Default::default()
            },
        );
    });
}

#[test]
fn looks_instances() {
    let picture = still_life();
    let size = (picture.width, picture.height);
    let (ball, cube) = (disc_mask(size, (200.0, 130.0), 60.0), box_mask(size, 330..450, 150..260));
    let stone = disc_mask(size, (250.0, 170.0), 30.0);
    snapshot("canvas_instances", (640, 400), Theme::Light, move |ui, renderer| {
        let instance = |key, mask, color| CanvasInstance { key, mask, color, hidden: false, selected: key == 2 };
        let instances =
            [instance(1, &ball, [255, 140, 0]), instance(2, &cube, [0, 170, 90]), instance(3, &stone, [170, 60, 220])];
        let waiting = [point(60.0, 280.0, Polarity::Include, true), point(110.0, 280.0, Polarity::Exclude, true)];
        let rect = ImageRect { x0: 30.0, y0: 230.0, x1: 150.0, y1: 320.0 };
        canvas_ui(
            ui,
            renderer,
            &CanvasInput {
                picture: Some(&picture),
                instances: &instances,
                points: &waiting,
                prompt_box: Some(CanvasBox { rect, waiting: true }),
                hint: Some("Left click includes, right click excludes, drag a box, Enter keeps"),
                options: still(),
                ..Default::default()
            },
        );
    });
}

#[test]
fn looks_minified() {
    // Rings that grow finer outwards, down to two pixels: without mip levels they would swarm with false rings.
    let rings = picture(2400, 1800, |x, y| {
        let (dx, dy) = (x as f32 - 1200.0, y as f32 - 900.0);
        let wave = ((dx * dx + dy * dy) * (std::f32::consts::PI / 2.0 / 1200.0)).cos();
        [(127.5 + 127.5 * wave) as u8; 3]
    });
    snapshot("canvas_minified", (320, 240), Theme::Dark, move |ui, renderer| {
        canvas_ui(ui, renderer, &CanvasInput { picture: Some(&rings), options: still(), ..Default::default() });
    });
}

#[test]
fn looks_zoomed() {
    let picture = still_life();
    let ball = disc_mask((520, 340), (200.0, 130.0), 60.0);
    let field = disc_field(PixelRect { x: 150, y: 170, width: 40, height: 30 }, (64, 64), (172.0, 196.0), 7.0);
    snapshot("canvas_zoomed", (640, 400), Theme::Light, move |ui, renderer| {
        let instances = [CanvasInstance { key: 1, mask: &ball, color: [255, 230, 0], hidden: false, selected: false }];
        canvas_ui(
            ui,
            renderer,
            &CanvasInput {
                picture: Some(&picture),
                view: CanvasView::At { center: ImagePoint::new(180.0, 188.0), zoom: 16.0 },
                instances: &instances,
                draft: Some(CanvasMask { field: &field, threshold: 0.0, color: [40, 120, 250] }),
                points: &[point(172.0, 196.0, Polarity::Include, false)],
                options: still(),
                ..Default::default()
            },
        );
    });
}

#[test]
fn looks_preview_and_candidates() {
    let (picture, field) = (still_life(), ball());
    let larger = disc_field(PixelRect::of_size(520, 340), (64, 64), (220.0, 150.0), 90.0);
    snapshot("canvas_preview", (640, 400), Theme::Dark, move |ui, renderer| {
        let mask = |field| CanvasMask { field, threshold: 0.0, color: [250, 170, 40] };
        egui::Panel::right("candidates").exact_size(150.0).show(ui, |ui| {
            let region = maskwright::ui::canvas::candidates_region(&[mask(&field), mask(&larger)], (520, 340));
            for (name, selected, field) in [("Candidate 1", true, &field), ("Candidate 2", false, &larger)] {
                candidate_thumbnail_ui(ui, renderer, name, vec2(130.0, 100.0), selected, region, mask(field));
            }
        });
        let input = CanvasInput {
            picture: Some(&picture),
            preview: Some(mask(&larger)),
            options: CanvasOptions { reduce_motion: true, ..still() },
            ..Default::default()
        };
        canvas_ui(ui, renderer, &input);
    });
}

//! The shaders against their twins: every pixel that the GPU draws is computed again on the CPU.
//!
//! Runs on whatever wgpu finds, a software rasteriser included; `WGPU_BACKEND=gl` runs the same on GL.

mod canvas_scene;

use canvas_scene::{Stage, box_mask, disc_field, disc_mask, noise, stage, still_life};
use egui_kittest::Harness;
use maskwright::geometry::{ImageFromScreen, PixelRect, ScreenPoint};
use maskwright::raster::{LogitField, Mask, Picture};
use maskwright::render::instance_map::{Redraw, Stack, redraw};
use maskwright::render::{
    CanvasInstance, CanvasRenderer, MaskDraw, Outline, SceneDraw, UploadLimits, field_uniform, gpu_types,
    prepare_upload, twin, view_uniform,
};
use std::cell::RefCell;
use std::rc::Rc;

const SIZE: (u32, u32) = (320, 200);
const BACKGROUND: [u8; 3] = [10, 20, 30];

#[derive(Clone)]
struct Scene {
    picture: Picture,
    view: ImageFromScreen,
    masks: Vec<(u64, Mask, [u8; 3], bool, bool)>,
    fields: Vec<(LogitField, f32, Outline)>,
    outlines: bool,
}

impl Scene {
    fn new(picture: Picture, origin: (f32, f32), zoom: f32) -> Self {
        let view = ImageFromScreen { origin: ScreenPoint { x: origin.0, y: origin.1 }, zoom };
        Self { picture, view, masks: Vec::new(), fields: Vec::new(), outlines: true }
    }

    fn instances(&self) -> Vec<CanvasInstance<'_>> {
        self.masks
            .iter()
            .map(|(key, mask, color, hidden, selected)| CanvasInstance {
                key: *key,
                mask,
                color: *color,
                hidden: *hidden,
                selected: *selected,
            })
            .collect()
    }

    fn mask_draws(&self) -> Vec<MaskDraw<'_>> {
        self.fields
            .iter()
            .map(|(field, threshold, outline)| MaskDraw {
                field,
                threshold: *threshold,
                color: [40, 120, 250],
                tint_opacity: 0.45,
                outline: *outline,
            })
            .collect()
    }

    fn draw<'a>(&self, masks: &'a [MaskDraw<'a>]) -> SceneDraw<'a> {
        SceneDraw {
            clip: [0.0, 0.0, SIZE.0 as f32, SIZE.1 as f32],
            image_from_screen: self.view,
            pixels_per_point: 1.0,
            instances: true,
            tint_opacity: 0.4,
            outlines: self.outlines,
            masks,
        }
    }

    fn show(&self, ui: &egui::Ui, renderer: &mut CanvasRenderer) {
        let [r, g, b] = BACKGROUND;
        ui.painter().rect_filled(ui.max_rect(), 0.0, egui::Color32::from_rgb(r, g, b));
        renderer.show(Some(&self.picture), &self.instances());
        let shape = renderer.paint(&self.draw(&self.mask_draws())).expect("an inline renderer is always ready");
        ui.painter().add(shape);
    }

    /// The same frame from the twins, each pass rounded to bytes as the framebuffer does.
    fn twin(&self) -> Vec<[f32; 3]> {
        let limits = UploadLimits { max_side: 8192, max_texels: 1 << 26 };
        let upload = prepare_upload(&self.picture, limits);
        let draws = self.mask_draws();
        let mut view = view_uniform(&self.picture, &self.draw(&draws));
        view.lod = (1.0 / view.zoom_px).log2().max(0.0);
        let mut stack = Stack::default();
        let instances = self.instances();
        let work = stack.update(&instances).map(|(_, redraw)| redraw).unwrap_or_default();
        let size = (self.picture.width, self.picture.height);
        let whole = Redraw { dirty: vec![PixelRect::of_size(size.0, size.1)], ..work };
        let ids = redraw(size, 0, &whole).remove(0).ids;
        let mut palette = vec![[0u8; 4]; 256];
        for ((_, id), look) in stack.ids().zip(&instances) {
            let [r, g, b] = look.color;
            let selected = if look.selected { gpu_types::FLAG_SELECTED } else { 0 };
            let flags = if look.hidden { 0 } else { gpu_types::FLAG_VISIBLE | selected };
            view.selection |= u32::from(!look.hidden && look.selected);
            palette[id as usize] = [r, g, b, flags];
        }
        let map = twin::InstanceMap { width: size.0, height: size.1, ids: &ids, palette: &palette };
        let uniforms: Vec<_> = draws.iter().map(field_uniform).collect();
        let pixel = |x: u32, y: u32| {
            let at = [x as f32 + 0.5, y as f32 + 0.5];
            let [r, g, b] = BACKGROUND.map(|c| f32::from(c) / 255.0);
            let mut color = [r, g, b, 1.0];
            let mut lay = |top| color = twin::over(top, color).map(|v: f32| (v * 255.0).round() / 255.0);
            lay(twin::picture(&view, &upload, at));
            lay(twin::instances(&view, &map, at));
            for (uniform, draw) in uniforms.iter().zip(&draws) {
                lay(twin::mask_overlay(&view, uniform, draw.field, at));
            }
            [color[0], color[1], color[2]].map(|v| v * 255.0)
        };
        (0..SIZE.1).flat_map(|y| (0..SIZE.0).map(move |x| (x, y))).map(|(x, y)| pixel(x, y)).collect()
    }
}

/// A stage whose scene can be changed between frames.
fn theatre(scene: Scene) -> (Harness<'static, Stage>, Rc<RefCell<Scene>>) {
    let shared = Rc::new(RefCell::new(scene));
    let on_stage = Rc::clone(&shared);
    let harness = stage(SIZE, egui::Theme::Dark, move |ui, renderer| on_stage.borrow().show(ui, renderer));
    (harness, shared)
}

fn pixels(harness: &mut Harness<'static, Stage>) -> Vec<[u8; 3]> {
    harness.step();
    harness.render().expect("the frame is drawn").pixels().map(|p| [p[0], p[1], p[2]]).collect()
}

/// Pixels whose colour differs by more than `tolerance`, and the largest difference.
fn differing(got: &[[u8; 3]], want: &[[f32; 3]], tolerance: f32) -> (usize, f32, Option<usize>) {
    let apart = |(g, w): (&[u8; 3], &[f32; 3])| (0..3).map(|c| (f32::from(g[c]) - w[c]).abs()).fold(0.0f32, f32::max);
    let all: Vec<f32> = got.iter().zip(want).map(apart).collect();
    let largest = all.iter().copied().fold(0.0, f32::max);
    (all.iter().filter(|d| **d > tolerance).count(), largest, all.iter().position(|d| *d > tolerance))
}

#[track_caller]
fn check(scene: Scene, tolerance: f32, allowed: usize) {
    let want = scene.twin();
    let (mut harness, _) = theatre(scene);
    let got = pixels(&mut harness);
    assert_eq!(got.len(), want.len());
    let (count, largest, first) = differing(&got, &want, tolerance);
    let place = first.map(|i| (i as u32 % SIZE.0, i as u32 / SIZE.0, got[i], want[i]));
    assert!(count <= allowed, "{count} pixels differ, by up to {largest}; the first: {place:?}");
}

fn view_of_small_field() -> LogitField {
    disc_field(PixelRect { x: 30, y: 20, width: 150, height: 110 }, (23, 17), (100.0, 80.0), 40.0)
}

#[test]
fn the_picture_matches_its_twin_at_every_kind_of_zoom() {
    // Smaller (between two levels, and exactly on one), one to one, slightly larger, flat squares.
    for (origin, zoom) in [
        ((12.0, 9.0), 0.31),
        ((12.0, 9.0), 0.25),
        ((-40.0, -30.0), 1.0),
        ((-40.0, -30.0), 1.7),
        ((-700.0, -500.0), 6.5),
    ] {
        check(Scene::new(still_life(), origin, zoom), 2.5, 0);
    }
    // GPUs weigh texels in steps of 1/256, which noise shows most.
    check(Scene::new(noise(401, 301), (7.0, 5.0), 0.43), 3.5, 0);
}

#[test]
fn at_one_to_one_the_screen_holds_the_files_bytes() {
    let picture = noise(300, 180);
    let scene = Scene::new(picture.clone(), (5.0, 7.0), 1.0);
    let (mut harness, _) = theatre(scene);
    let got = pixels(&mut harness);
    for y in 0..180 {
        for x in 0..300 {
            let want = &picture.rgb[(y * 300 + x) * 3..][..3];
            assert_eq!(got[(y + 7) * SIZE.0 as usize + x + 5], want, "pixel {x},{y}");
        }
    }
}

#[test]
fn a_draft_mask_matches_its_twin() {
    for (zoom, outline) in [(0.5, Outline::Line), (1.0, Outline::Dashes { phase: 0.3 }), (4.25, Outline::None)] {
        for threshold in [0.0, -2.5] {
            let mut scene = Scene::new(still_life(), (-20.0, -15.0), zoom);
            scene.fields = vec![
                (view_of_small_field(), threshold, outline),
                (disc_field(PixelRect::of_size(520, 340), (64, 64), (200.0, 130.0), 60.0), threshold, Outline::Line),
            ];
            // Where the stripes turn, rounding may decide for either direction.
            check(scene, 2.5, 4);
        }
    }
}

#[test]
fn the_screen_shows_the_mask_that_the_file_will_hold() {
    // One to one, no edge: tinted exactly where the accepted mask is inside.
    for threshold in [0.0, 1.25] {
        let field = view_of_small_field();
        let grey = canvas_scene::picture(300, 180, |_, _| [100, 100, 100]);
        let mask = field.to_mask(300, 180, threshold);
        let mut scene = Scene::new(grey, (0.0, 0.0), 1.0);
        scene.fields = vec![(field.clone(), threshold, Outline::None)];
        let (mut harness, _) = theatre(scene);
        let got = pixels(&mut harness);
        let mut inside = 0;
        for y in 0..180u32 {
            for x in 0..300u32 {
                // Full tint gives blue 100 + 0.45 * 150; half of it is the edge between inside and outside.
                let tinted = f32::from(got[(y * SIZE.0 + x) as usize][2]) > 100.0 + 0.45 * 150.0 * 0.5;
                let at = maskwright::geometry::ImagePoint::new(x as f32 + 0.5, y as f32 + 0.5);
                if (field.sample(at) - threshold).abs() > 0.01 {
                    assert_eq!(tinted, mask.contains(x, y), "pixel {x},{y}");
                    inside += u32::from(tinted);
                }
            }
        }
        assert!(inside > 3000, "{inside}");
    }
}

fn crowded(origin: (f32, f32), zoom: f32) -> Scene {
    let picture = still_life();
    let size = (picture.width, picture.height);
    let mut scene = Scene::new(picture, origin, zoom);
    scene.masks = vec![
        (4, disc_mask(size, (200.0, 130.0), 60.0), [250, 90, 20], false, false),
        (9, box_mask(size, 180..300, 100..200), [30, 200, 60], false, true),
        (2, disc_mask(size, (280.0, 180.0), 35.0), [200, 40, 220], true, true),
        (5, disc_mask(size, (90.0, 60.0), 20.5), [20, 60, 250], false, false),
    ];
    scene
}

#[test]
fn instances_match_their_twin() {
    for (origin, zoom, outlines) in [
        ((3.0, 2.0), 0.571, true),
        ((-100.0, -60.0), 1.0, true),
        ((-300.0, -200.0), 2.3, true),
        ((-1300.0, -850.0), 7.1, true),
        ((3.0, 2.0), 0.571, false),
    ] {
        let mut scene = crowded(origin, zoom);
        scene.outlines = outlines;
        // Where a tap falls on the border of two texels, either one is right: a few pixels may fall differently.
        check(scene, 2.5, 24);
    }
}

#[test]
fn partial_updates_end_in_the_same_frame_as_a_fresh_start() {
    let (mut harness, shared) = theatre(crowded((3.0, 2.0), 0.6));
    let before = pixels(&mut harness);
    type Change = fn(&mut Scene);
    let changes: [Change; 7] = [
        |s| s.masks[0].3 = true,
        |s| s.masks[2].3 = false,
        |s| s.masks.swap(0, 1),
        |s| drop(s.masks.remove(1)),
        |s| s.masks.push((77, disc_mask((520, 340), (400.0, 200.0), 50.0), [9, 9, 250], false, false)),
        |s| s.masks[0].2 = [255, 255, 0],
        |s| s.masks.clear(),
    ];
    for (index, change) in changes.into_iter().enumerate() {
        change(&mut shared.borrow_mut());
        let updated = pixels(&mut harness);
        assert_ne!(updated, before, "change {index} shows");
        let (mut fresh, _) = theatre(shared.borrow().clone());
        assert!(updated == pixels(&mut fresh), "change {index}");
    }
}

#[test]
fn another_picture_replaces_everything() {
    let (mut harness, shared) = theatre(crowded((3.0, 2.0), 0.6));
    pixels(&mut harness);
    let other = Scene::new(noise(77, 131), (3.0, 2.0), 1.4);
    *shared.borrow_mut() = other.clone();
    let got = pixels(&mut harness);
    assert!(got == pixels(&mut theatre(other).0));
}

#[test]
fn two_views_in_one_frame_do_not_disturb_each_other() {
    let picture = still_life();
    let views = [(0.0, 0.3), (160.0, 2.0)].map(|(left, zoom)| {
        let clip = [left, 0.0, 160.0, 200.0];
        (clip, ImageFromScreen { origin: ScreenPoint { x: left, y: 0.0 }, zoom })
    });
    let frame = |shown: Vec<usize>| {
        let picture = picture.clone();
        let mut harness = stage(SIZE, egui::Theme::Dark, move |ui, renderer| {
            renderer.show(Some(&picture), &[]);
            for &index in &shown {
                let (clip, image_from_screen) = views[index];
                let draw =
                    SceneDraw { clip, image_from_screen, ..Scene::new(picture.clone(), (0.0, 0.0), 1.0).draw(&[]) };
                ui.painter().add(renderer.paint(&draw).expect("ready"));
            }
        });
        pixels(&mut harness)
    };
    let (both, left, right) = (frame(vec![0, 1]), frame(vec![0]), frame(vec![1]));
    for (i, pixel) in both.iter().enumerate() {
        let alone = if i % 320 < 160 { &left } else { &right };
        assert_eq!(*pixel, alone[i], "pixel {}", i);
    }
}

#[test]
fn the_renderers_own_thread_brings_the_picture_in_a_few_frames() {
    let picture = noise(1500, 1100);
    let shown = picture.clone();
    let mut harness = canvas_scene::builder(SIZE, egui::Theme::Dark).wgpu().build_eframe(|cc| {
        let context = cc.egui_ctx.clone();
        let wake = std::sync::Arc::new(move || context.request_repaint());
        Stage {
            renderer: CanvasRenderer::new(cc.wgpu_render_state.as_ref(), wake),
            act: Box::new(move |ui, renderer| {
                renderer.show(Some(&shown), &[]);
                let draw = Scene::new(shown.clone(), (0.0, 0.0), 1.0).draw(&[]);
                if let Some(shape) = renderer.paint(&draw) {
                    ui.painter().add(shape);
                }
            }),
        }
    });
    // Real time passes on the thread: a limit only so that a fault ends the test.
    for _ in 0..6000 {
        if harness.state().renderer.is_complete() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
        harness.step();
    }
    assert!(harness.state().renderer.is_complete());
    let got = pixels(&mut harness);
    assert_eq!(got[5 * 320 + 9], picture.rgb[(5 * 1500 + 9) * 3..][..3]);
}

#[test]
fn a_picture_wider_than_the_devices_textures_is_shown_smaller_and_says_so() {
    let wide = canvas_scene::picture(9000, 60, |x, _| if x < 4500 { [250, 10, 10] } else { [10, 10, 250] });
    let size = (wide.width, wide.height);
    let right = box_mask(size, 4500..9000, 0..60);
    let scene = |zoom| {
        let mut scene = Scene::new(wide.clone(), (10.0 - 4400.0 * zoom, 20.0), zoom);
        scene.masks = vec![(1, right.clone(), [0, 250, 0], false, false)];
        scene.outlines = false;
        scene
    };
    // The default device takes 8192.
    let (mut harness, _) = theatre(scene(1.0));
    let got = pixels(&mut harness);
    let notice = harness.state().renderer.notice().expect("it says so");
    assert!(notice.contains("1/2"), "{notice}");
    let row = &got[40 * SIZE.0 as usize..][..SIZE.0 as usize];
    assert_eq!((row[9], row[108]), ([250, 10, 10], [250, 10, 10]), "the border stays where it was");
    assert_eq!(row[113], [6, 106, 150], "0.4 of green over blue");

    // Asked for what the adapter has, it takes the picture as it is (software adapters have 16384).
    let mut setup = egui_kittest::wgpu::default_wgpu_setup();
    maskwright::render::raise_texture_limit(&mut setup);
    let scene = scene(1.0);
    let mut harness = canvas_scene::builder(SIZE, egui::Theme::Dark).wgpu_setup(setup).build_eframe(|cc| Stage {
        renderer: CanvasRenderer::new_inline(cc.wgpu_render_state.as_ref()),
        act: Box::new(move |ui, renderer| scene.show(ui, renderer)),
    });
    pixels(&mut harness);
    assert_eq!(harness.state().renderer.notice(), None);
}

#[test]
fn a_refused_gpu_call_is_reported_and_does_not_end_the_process() {
    let (problems, reported) = std::sync::mpsc::channel();
    let _harness = canvas_scene::builder(SIZE, egui::Theme::Dark).wgpu().build_eframe(move |cc| {
        use eframe::egui_wgpu::wgpu;
        let state = cc.wgpu_render_state.as_ref().expect("a GPU renderer");
        maskwright::render::watch_device(&state.device, move |problem| drop(problems.send(problem)));
        let _refused = state.device.create_texture(&wgpu::TextureDescriptor {
            label: Some("too wide"),
            size: wgpu::Extent3d { width: 1 << 20, height: 1, depth_or_array_layers: 1 },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: wgpu::TextureFormat::R8Unorm,
            usage: wgpu::TextureUsages::TEXTURE_BINDING,
            view_formats: &[],
        });
        Stage { renderer: CanvasRenderer::new_inline(None), act: Box::new(|_, _| ()) }
    });
    let problem = reported.try_recv().expect("the call was refused at once");
    assert!(matches!(problem, maskwright::render::GpuProblem::Refused(_)), "{problem}");
}

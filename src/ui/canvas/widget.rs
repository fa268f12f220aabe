//! The widget: reads egui's input, lays the layers over each other, collects the wishes.

use super::gesture::{Button, Gesture, Ground, PointerEvent, Said, point_at};
use super::marks::{MarkLook, paint_box, paint_points, paint_rubber_band};
use super::{CanvasAction, CanvasArea, CanvasInput, CanvasOutput, CanvasRenderer, CanvasTool, CanvasView};
use crate::geometry::{ImageFromScreen, ScreenPoint};
use crate::render::{MaskDraw, Outline, SceneDraw};
use egui::{Align2, Color32, CursorIcon, Key, Label, PointerButton, Rect, RichText, Role, Sense, Ui, WidgetInfo, vec2};
use std::time::Duration;

/// Zoom a point of wheel movement; a notch of a usual wheel is 40 points.
const WHEEL_ZOOM: f32 = 0.005;
/// Animations are drawn this often.
const ANIMATION_STEP: Duration = Duration::from_millis(66);

/// Draws the canvas in all the room that is left and returns what the user said. See the module's head.
pub fn canvas_ui(ui: &mut Ui, renderer: &mut CanvasRenderer, input: &CanvasInput<'_>) -> CanvasOutput {
    let size = ui.available_size().max(vec2(1.0, 1.0));
    let (rect, response) = ui.allocate_exact_size(size, Sense::click_and_drag());
    response.widget_info(|| WidgetInfo::labeled(Role::Image, ui.is_enabled(), "Canvas"));
    renderer.show(input.picture, input.instances);

    let Some(picture) = input.picture.filter(|p| p.width > 0 && p.height > 0) else {
        paint_notes(ui, rect, renderer.notice().filter(|_| input.picture.is_some()), input.hint);
        return CanvasOutput {
            actions: Vec::new(),
            hover: None,
            visible: None,
            image_from_screen: None,
            zoom: 0.0,
            zoom_over_fit: 0.0,
            response,
        };
    };
    let size = (picture.width, picture.height);
    let area = CanvasArea {
        origin: to_screen(rect.min),
        width: rect.width(),
        height: rect.height(),
        pixels_per_point: ui.pixels_per_point(),
    };

    // What the pointer says refers to the frame that the user saw.
    let gesture_id = response.id.with("gesture");
    let mut gesture = ui.data(|d| d.get_temp::<Gesture>(gesture_id)).unwrap_or_default();
    let ground = Ground {
        view: input.view.image_from_screen(area, size),
        size,
        points: input.points,
        instances: input.instances,
        tool: input.tool,
        interactive: input.options.interactive && ui.is_enabled() && !input.options.show_original,
        space: ui.input(|i| i.key_down(Key::Space)) && !ui.ctx().egui_wants_keyboard_input(),
        time_secs: ui.input(|i| i.time),
    };
    let mut actions = Vec::new();
    let mut view = input.view;
    for said in read_pointer(ui, &response, rect, &mut gesture, &ground) {
        match said {
            Said::Wish(wish) => actions.push(wish),
            Said::Pan(dx, dy) => view = view.panned(area, size, (dx, dy)),
        }
    }
    view = zoomed(ui, &response, view, area, size);
    if view != input.view {
        actions.push(CanvasAction::View(view));
    }
    ui.data_mut(|d| d.insert_temp(gesture_id, gesture));

    let image_from_screen = view.image_from_screen(area, size);
    let ground = Ground { view: image_from_screen, ..ground };
    let pointer = response.hover_pos().filter(|_| gesture.is_idle()).map(to_screen);
    let hover = pointer.map(|at| image_from_screen.image_from_screen(at)).filter(|at| at.is_inside(size.0, size.1));
    let hovered_point = pointer.filter(|_| ground.interactive).and_then(|at| point_at(&ground, at));
    set_cursor(ui, &response, &gesture, &ground, hover.is_some(), hovered_point.is_some());
    paint(ui, renderer, input, rect, &gesture, &ground, hovered_point);
    paint_notes(ui, rect, renderer.notice(), input.hint);

    CanvasOutput {
        actions,
        hover,
        visible: view.visible(area, size),
        image_from_screen: Some(image_from_screen),
        zoom: image_from_screen.zoom * area.pixels_per_point,
        zoom_over_fit: image_from_screen.zoom / CanvasView::FIT.zoom(area, size),
        response,
    }
}

fn to_screen(at: egui::Pos2) -> ScreenPoint {
    ScreenPoint { x: at.x, y: at.y }
}

/// Feeds the frame's pointer events to the gesture.
fn read_pointer(
    ui: &Ui,
    response: &egui::Response,
    rect: Rect,
    gesture: &mut Gesture,
    ground: &Ground<'_>,
) -> Vec<Said> {
    let mut said = Vec::new();
    // A press that closes a menu means no more than that.
    let may_start = response.contains_pointer() && !egui::Popup::is_any_open(ui.ctx());
    let (events, any_down, escape, pinching) =
        ui.input(|i| (i.events.clone(), i.pointer.any_down(), i.key_pressed(Key::Escape), i.multi_touch().is_some()));
    for event in events {
        match event {
            egui::Event::PointerButton { pos, button, pressed, modifiers } => {
                let Some(button) = button_of(button) else { continue };
                let at = to_screen(pos);
                if !pressed {
                    gesture.feed(PointerEvent::Released { button, at }, ground, &mut said);
                } else if may_start && rect.contains(pos) {
                    let (shift, ctrl) = (modifiers.shift, modifiers.command || modifiers.ctrl);
                    gesture.feed(PointerEvent::Pressed { button, at, shift, ctrl }, ground, &mut said);
                }
            }
            egui::Event::PointerMoved(pos) => {
                gesture.feed(PointerEvent::Moved { at: to_screen(pos) }, ground, &mut said);
            }
            _ => {}
        }
    }
    if !gesture.is_idle() {
        if escape || pinching {
            gesture.cancel(&mut said);
        }
        // A release outside the window may never be told.
        if !any_down {
            gesture.all_released();
        }
    }
    said
}

fn button_of(button: PointerButton) -> Option<Button> {
    match button {
        PointerButton::Primary => Some(Button::Left),
        PointerButton::Secondary => Some(Button::Right),
        PointerButton::Middle => Some(Button::Middle),
        PointerButton::Extra1 | PointerButton::Extra2 => None,
    }
}

/// Wheel, Ctrl and wheel, pinch: zoom at the pointer. A sideways wheel pans.
fn zoomed(ui: &Ui, response: &egui::Response, view: CanvasView, area: CanvasArea, size: (u32, u32)) -> CanvasView {
    let Some(anchor) = response.hover_pos().filter(|_| response.contains_pointer()) else { return view };
    let (wheel, pinch, moved) =
        ui.input(|i| (i.smooth_scroll_delta(), i.zoom_delta(), i.multi_touch().map(|t| t.translation_delta)));
    let factor = pinch * (wheel.y * WHEEL_ZOOM).exp();
    let mut view = view;
    if factor != 1.0 {
        view = view.zoomed_at(area, size, to_screen(anchor), factor);
    }
    let pan = moved.unwrap_or_default() + vec2(wheel.x, 0.0);
    if pan != egui::Vec2::ZERO { view.panned(area, size, (pan.x, pan.y)) } else { view }
}

fn set_cursor(
    ui: &Ui,
    response: &egui::Response,
    gesture: &Gesture,
    ground: &Ground<'_>,
    on_picture: bool,
    on_point: bool,
) {
    if !response.contains_pointer() && gesture.is_idle() {
        return;
    }
    let cursor = match ground.tool {
        _ if gesture.is_panning() => CursorIcon::Grabbing,
        _ if ground.space => CursorIcon::Grab,
        _ if on_point => CursorIcon::PointingHand,
        CanvasTool::Prompt if ground.interactive && (on_picture || !gesture.is_idle()) => CursorIcon::Crosshair,
        CanvasTool::Prompt | CanvasTool::Select => CursorIcon::Default,
    };
    ui.set_cursor_icon(cursor);
}

fn paint(
    ui: &Ui,
    renderer: &mut CanvasRenderer,
    input: &CanvasInput<'_>,
    rect: Rect,
    gesture: &Gesture,
    ground: &Ground<'_>,
    hovered_point: Option<usize>,
) {
    let options = input.options;
    let time = options.time_secs.unwrap_or(ground.time_secs);
    let phase = if options.reduce_motion { 0.0 } else { (time % 1.0) as f32 };
    let mut masks = Vec::new();
    if !options.show_original {
        if let Some(preview) = input.preview {
            masks.push(MaskDraw {
                field: preview.field,
                threshold: preview.threshold,
                color: preview.color,
                tint_opacity: options.tint_opacity * 0.6,
                outline: Outline::Line,
            });
        }
        if let Some(draft) = input.draft {
            masks.push(MaskDraw {
                field: draft.field,
                threshold: draft.threshold,
                color: draft.color,
                tint_opacity: options.tint_opacity,
                outline: if options.outlines { Outline::Dashes { phase } } else { Outline::None },
            });
        }
    }
    let painter = ui.painter_at(rect);
    let drawn = renderer.paint(&SceneDraw {
        clip: [rect.left(), rect.top(), rect.width(), rect.height()],
        image_from_screen: ground.view,
        pixels_per_point: ui.pixels_per_point(),
        instances: !options.show_original,
        tint_opacity: options.tint_opacity,
        outlines: options.outlines,
        masks: &masks,
    });
    match drawn {
        Some(shape) => drop(painter.add(shape)),
        None => paint_empty_sheet(&painter, ui.visuals().faint_bg_color, ground.view, ground.size),
    }
    if options.show_original {
        return;
    }
    let pulse = if options.reduce_motion { 0.85 } else { 0.75 + 0.25 * (time * std::f64::consts::TAU).sin() as f32 };
    let look = MarkLook { waiting_strength: pulse, hovered: hovered_point };
    if let Some(shown) = &input.prompt_box {
        paint_box(&painter, ground.view, shown, look);
    }
    if let Some(band) = gesture.rubber_band(ground) {
        paint_rubber_band(&painter, ground.view, band);
    }
    paint_points(&painter, ground.view, input.points, look);

    let waiting = input.points.iter().any(|p| p.waiting) || input.prompt_box.is_some_and(|b| b.waiting);
    let moves = waiting || (input.draft.is_some() && options.outlines);
    if moves && !options.reduce_motion && options.time_secs.is_none() && ui.input(|i| i.focused) {
        ui.ctx().request_repaint_after(ANIMATION_STEP);
    }
}

/// Where the picture would be, while there is nothing to draw it with or from.
fn paint_empty_sheet(painter: &egui::Painter, color: Color32, view: ImageFromScreen, size: (u32, u32)) {
    let corner = view.screen_from_image(crate::geometry::ImagePoint::new(size.0 as f32, size.1 as f32));
    let sheet = Rect::from_min_max(egui::pos2(view.origin.x, view.origin.y), egui::pos2(corner.x, corner.y));
    painter.rect_filled(sheet, 0.0, color);
}

/// The renderer's notice at the top, the caller's hint at the foot; both readable by assistive technology.
fn paint_notes(ui: &mut Ui, rect: Rect, notice: Option<String>, hint: Option<&str>) {
    if let Some(notice) = notice {
        note(ui, rect, Align2::CENTER_TOP, &notice);
    }
    if let Some(hint) = hint {
        note(ui, rect, Align2::CENTER_BOTTOM, hint);
    }
}

fn note(ui: &mut Ui, rect: Rect, align: Align2, text: &str) {
    let (margin, padding) = (10.0, vec2(10.0, 5.0));
    let room = rect.shrink(margin);
    if room.width() < 80.0 || room.height() < 40.0 {
        return;
    }
    let font = egui::TextStyle::Body.resolve(ui.style());
    let width = (room.width() - 2.0 * padding.x).min(560.0);
    let galley = ui.painter().layout(text.to_owned(), font, Color32::WHITE, width);
    let pill = align.align_size_within_rect(galley.size() + 2.0 * padding, room);
    ui.painter_at(rect).rect_filled(pill, 6.0, Color32::from_black_alpha(190));
    let label = Label::new(RichText::new(text).color(Color32::WHITE)).selectable(false).halign(egui::Align::Center);
    ui.put(pill.shrink2(padding), label);
}

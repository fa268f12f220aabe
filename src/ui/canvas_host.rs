//! What stands around the canvas: gives it the session's state, turns its wishes into commands, and says on it what a
//! newcomer needs next.
//!
//! Invariant: a click is never lost in silence. While the picture is being prepared it is shown as waiting; where the
//! answer is empty the hint says what to try.

use super::canvas::{
    CanvasAction, CanvasArea, CanvasBox, CanvasInput, CanvasInstance, CanvasMask, CanvasOptions, CanvasPoint,
    CanvasRenderer, CanvasTool, CanvasView, canvas_ui,
};
use super::hints::{self, Hint, HintTone};
use super::theme::Palette;
use super::widgets::card_frame;
use super::wish::Wishes;
use crate::geometry::{ImageRect, ScreenPoint};
use crate::prompt::PromptStep;
use crate::session::{Command, Session, Tool, WindowRequest};
use egui::{Align2, Area, Id, Order, Rect, RichText, Ui, vec2};

/// Colour of the mask being made, when no label gives one.
const DRAFT_COLOUR: [u8; 3] = [94, 129, 244];

/// What the canvas keeps between frames.
#[derive(Default)]
pub struct CanvasHost {
    view: CanvasView,
    area: Option<CanvasArea>,
    picture: Option<crate::document::ImageName>,
    zoom: f32,
    /// What was last said about the pointer, so that a resting pointer is said once.
    hovered: Option<crate::geometry::ImagePoint>,
    /// Which of the draft's steps each drawn point is.
    point_steps: Vec<usize>,
    emptiness: hints::EmptyMask,
}

/// Circumstances of a frame.
#[derive(Debug, Clone, Copy)]
pub struct CanvasCircumstances {
    /// A dialog lies over the canvas: the pointer says nothing to it.
    pub covered: bool,
    /// The window has no focus: nothing moves.
    pub unfocused: bool,
    /// Fixed clock for tests.
    pub time_secs: Option<f64>,
}

/// What the canvas tells the rest of the window.
pub struct CanvasFrame {
    /// Where it lies.
    pub rect: Rect,
    /// The part of the picture that can be seen, and how much closer than fitted it is.
    pub visible: Option<(ImageRect, f32)>,
}

impl CanvasHost {
    /// Screen pixels a picture pixel; 0 without a picture.
    pub fn zoom(&self) -> f32 {
        self.zoom
    }

    /// Where the canvas lay in the last frame, in logical points.
    pub fn rect(&self) -> Option<Rect> {
        let area = self.area?;
        Some(Rect::from_min_size(egui::pos2(area.origin.x, area.origin.y), vec2(area.width, area.height)))
    }

    /// Zooms as the command table asks; other requests are not the canvas'.
    pub fn zoom_request(&mut self, session: &Session, request: WindowRequest) {
        let (Some(area), Some(size)) = (self.area, session.picture.size()) else { return };
        let size = (size.width, size.height);
        let middle = ScreenPoint { x: area.origin.x + area.width / 2.0, y: area.origin.y + area.height / 2.0 };
        self.view = match request {
            WindowRequest::ZoomFit => CanvasView::FIT,
            WindowRequest::ZoomActualSize => self.view.one_to_one(area, size),
            WindowRequest::ZoomIn => self.view.zoomed_at(area, size, middle, 1.25),
            WindowRequest::ZoomOut => self.view.zoomed_at(area, size, middle, 0.8),
            _ => return,
        };
    }

    /// Draws the canvas and what lies on it.
    pub fn canvas_host_ui(
        &mut self,
        ui: &mut Ui,
        renderer: &mut CanvasRenderer,
        session: &Session,
        circumstances: CanvasCircumstances,
        wishes: &mut Wishes,
    ) -> CanvasFrame {
        if self.picture != session.picture.name {
            self.picture.clone_from(&session.picture.name);
            self.view = CanvasView::FIT;
        }
        let instances: Vec<CanvasInstance<'_>> = session
            .drawn_objects()
            .map(|(object, colour)| CanvasInstance {
                key: object.id.0,
                mask: &object.mask,
                color: [colour.r, colour.g, colour.b],
                hidden: false,
                selected: session.objects.selection == Some(object.id),
            })
            .collect();
        let (points, prompt_box) = self.prompt_marks(session);
        let prompting = &session.prompting;
        let threshold = session.view.threshold;
        let color = draft_colour(session);
        let mask = |field| CanvasMask { field, threshold, color };
        let answer = prompting.answer.as_ref().filter(|_| !prompting.draft.is_empty());
        let preview = prompting.hover.as_ref().filter(|_| prompting.draft.is_empty());
        let input = CanvasInput {
            picture: session.picture.handle().map(|handle| &**handle),
            view: self.view,
            instances: &instances,
            draft: answer.and_then(|answer| answer.shown_field()).map(mask),
            preview: preview.and_then(|answer| answer.shown_field()).map(mask),
            points: &points,
            prompt_box,
            tool: match session.tool {
                Tool::Prompt => CanvasTool::Prompt,
                Tool::Select => CanvasTool::Select,
            },
            hint: None,
            options: CanvasOptions {
                reduce_motion: session.view.reduce_motion || circumstances.unfocused,
                time_secs: circumstances.time_secs,
                tint_opacity: session.view.tint_opacity,
                outlines: session.view.outline,
                show_original: show_original(ui, circumstances),
                interactive: !circumstances.covered,
            },
        };
        if let Some((handle, levels)) = session.picture.handle().and_then(|h| Some((h, h.coarser_levels()?))) {
            renderer.bring(handle, levels);
        }
        let output = canvas_ui(ui, renderer, &input);
        let rect = output.response.rect;
        self.area = Some(CanvasArea {
            origin: ScreenPoint { x: rect.left(), y: rect.top() },
            width: rect.width(),
            height: rect.height(),
            pixels_per_point: ui.pixels_per_point(),
        });
        self.zoom = output.zoom;
        for action in output.actions {
            self.take_action(session, action, wishes);
        }
        let hover = output.hover.filter(|_| session.view.hover_preview && session.tool == Tool::Prompt);
        if hover != self.hovered {
            self.hovered = hover;
            wishes.command(Command::Hover(hover));
        }
        self.hint_ui(ui, rect, session);
        progress_ui(ui, rect, session);
        let visible = output.visible.map(|part| {
            let rect =
                ImageRect { x0: part.x as f32, y0: part.y as f32, x1: part.right() as f32, y1: part.bottom() as f32 };
            (rect, output.zoom_over_fit)
        });
        CanvasFrame { rect, visible }
    }

    fn prompt_marks(&mut self, session: &Session) -> (Vec<CanvasPoint>, Option<CanvasBox>) {
        let steps = &session.prompting.draft.prompt().steps;
        let waiting = hints::clicks_wait(session);
        let mut points = Vec::new();
        let mut prompt_box = None;
        self.point_steps.clear();
        for (index, step) in steps.iter().enumerate() {
            match step {
                PromptStep::Point { at, polarity } => {
                    points.push(CanvasPoint { at: *at, polarity: *polarity, waiting });
                    self.point_steps.push(index);
                }
                PromptStep::Box(rect) => prompt_box = Some(CanvasBox { rect: *rect, waiting }),
                PromptStep::Mask(_) => {}
            }
        }
        (points, prompt_box)
    }

    fn take_action(&mut self, session: &Session, action: CanvasAction, wishes: &mut Wishes) {
        match action {
            CanvasAction::Point { at, polarity } => wishes.command(Command::AddPoint { at, polarity }),
            CanvasAction::Box(rect) => wishes.command(Command::SetBox(rect)),
            CanvasAction::PointMoved { index, to, done } => {
                if let Some(&step) = self.point_steps.get(index) {
                    wishes.command(Command::MovePoint { step, to });
                }
                if done {
                    wishes.command(Command::EndDrag);
                }
            }
            CanvasAction::PointRemoved { index } => {
                if let Some(&step) = self.point_steps.get(index) {
                    wishes.command(Command::RemoveStep(step));
                }
            }
            CanvasAction::Select { at, .. } => wishes.command(Command::SelectAt(at)),
            CanvasAction::DoubleClick { .. } => double_click(session, wishes),
            CanvasAction::View(view) => self.view = view,
        }
    }

    fn hint_ui(&mut self, ui: &Ui, canvas: Rect, session: &Session) {
        let Some(hint) = hints::hint_for(session, &mut self.emptiness) else { return };
        pill_ui(ui, canvas, &hint);
    }
}

/// The first click of a double click was sent as a point of its own, so that its mask did not wait. On the prompt tool
/// the double click then accepts what that point gave; on the select tool it reopens what was selected.
fn double_click(session: &Session, wishes: &mut Wishes) {
    match session.tool {
        Tool::Select => wishes.command(Command::ReopenSelected),
        Tool::Prompt => {
            // With more than that one point there was a mask before the double click: that one is meant.
            if session.prompting.draft.prompt().steps.len() > 1 {
                wishes.command(Command::Undo);
            }
            wishes.command(Command::AcceptDraft);
        }
    }
}

fn draft_colour(session: &Session) -> [u8; 3] {
    let project = &session.project.project;
    let label = session.objects.active_label.and_then(|id| project.label(id));
    label.map_or(DRAFT_COLOUR, |label| [label.colour.r, label.colour.g, label.colour.b])
}

/// Holding the accent key under Escape shows the untouched picture.
fn show_original(ui: &Ui, circumstances: CanvasCircumstances) -> bool {
    !circumstances.covered && !ui.ctx().text_edit_focused() && ui.input(|input| input.key_down(egui::Key::Backtick))
}

/// One line in a rounded box at the top of the canvas.
fn pill_ui(ui: &Ui, canvas: Rect, hint: &Hint) {
    let palette = Palette::of(ui.visuals());
    Area::new(Id::unique("canvas hint"))
        .order(Order::Middle)
        .pivot(Align2::CENTER_TOP)
        .fixed_pos(canvas.center_top() + vec2(0.0, 12.0))
        .interactable(false)
        .fade_in(false)
        .show(ui.ctx(), |ui| {
            card_frame(ui).corner_radius(16).inner_margin(egui::Margin::symmetric(14, 6)).show(ui, |ui| {
                ui.set_max_width((canvas.width() - 60.0).max(160.0));
                let color = match hint.tone {
                    HintTone::Help => palette.text,
                    HintTone::Wait => palette.text_weak,
                    HintTone::Warning => palette.warning,
                    HintTone::Problem => palette.bad,
                };
                ui.label(RichText::new(&hint.text).size(13.0).color(color));
            });
        });
}

/// A thin bar at the top edge while the picture is being prepared.
fn progress_ui(ui: &Ui, canvas: Rect, session: &Session) {
    let Some(share) = hints::encode_share(session) else { return };
    let palette = Palette::of(ui.visuals());
    let bar = Rect::from_min_size(canvas.min, vec2(canvas.width(), 3.0));
    ui.painter().rect_filled(bar, 0.0, palette.line);
    let done = Rect::from_min_size(canvas.min, vec2(canvas.width() * share.clamp(0.0, 1.0), 3.0));
    ui.painter().rect_filled(done, 0.0, palette.accent);
}

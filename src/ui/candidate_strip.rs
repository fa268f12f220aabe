//! The candidates of a click side by side, with what the model thinks of each, and the two ways on: keep or drop.
//!
//! Invariant: the wheel over the strip changes the candidate and nothing else; elsewhere it zooms.

use super::canvas::{CanvasMask, CanvasRenderer, candidate_thumbnail_ui, candidates_region};
use super::icons::Icon;
use super::theme::Palette;
use super::widgets::{Weight, card_frame, keycap, wide_button};
use super::wish::Wishes;
use crate::geometry::PixelRect;
use crate::session::{Answer, Command, Session};
use egui::{Align2, Area, Event, Id, MouseWheelUnit, Order, Rect, RichText, Stroke, Ui, Vec2, vec2};

/// What the strip keeps between frames.
#[derive(Debug, Default)]
pub struct CandidateStrip {
    /// Wheel travel not yet spent on a step, in lines.
    wheel: f32,
    /// What all thumbnails of an answer show, found once an answer and threshold.
    region: Option<(u64, u32, Option<PixelRect>)>,
}

const THUMBNAIL: Vec2 = vec2(96.0, 72.0);
const THUMBNAIL_COLOUR: [u8; 3] = [94, 129, 244];

impl CandidateStrip {
    /// Draws the strip at the foot of the canvas while something has been said.
    pub fn candidate_strip_ui(
        &mut self,
        ui: &Ui,
        canvas: Rect,
        renderer: &mut CanvasRenderer,
        session: &Session,
        wishes: &mut Wishes,
    ) {
        if session.prompting.draft.is_empty() {
            return;
        }
        let answer = session.prompting.answer.as_ref();
        let area = Area::new(Id::unique("candidates"))
            .order(Order::Middle)
            .pivot(Align2::CENTER_BOTTOM)
            .fixed_pos(canvas.center_bottom() - vec2(0.0, 14.0))
            .show(ui.ctx(), |ui| {
                card_frame(ui).show(ui, |ui| {
                    ui.horizontal(|ui| {
                        ui.spacing_mut().item_spacing.x = 8.0;
                        if let Some(answer) = answer {
                            self.answer_ui(ui, renderer, session, answer, wishes);
                        }
                        buttons_ui(ui, session, answer.is_some(), wishes);
                    });
                });
            });
        let several = answer.is_some_and(|answer| answer.candidates.items.len() > 1);
        if several && area.response.contains_pointer() {
            self.wheel_ui(ui, wishes);
        }
    }

    fn answer_ui(
        &mut self,
        ui: &mut Ui,
        renderer: &mut CanvasRenderer,
        session: &Session,
        answer: &Answer,
        wishes: &mut Wishes,
    ) {
        let items = &answer.candidates.items;
        if items.len() < 2 {
            if let Some(item) = items.first() {
                let palette = Palette::of(ui.visuals());
                ui.vertical(|ui| {
                    ui.spacing_mut().item_spacing.y = 1.0;
                    ui.label(RichText::new(format!("IoU {:.2}", item.predicted_iou)).color(palette.text_strong));
                    ui.label(
                        RichText::new(format!("stability {:.2}", item.stability)).size(11.5).color(palette.text_weak),
                    );
                });
            }
            return;
        }
        let threshold = session.view.threshold;
        let masks: Vec<CanvasMask<'_>> = (0..items.len())
            .filter_map(|index| Some(CanvasMask { field: answer.field(index)?, threshold, color: THUMBNAIL_COLOUR }))
            .collect();
        let region = self.region_of(session, answer, &masks);
        for ((index, item), mask) in items.iter().enumerate().zip(masks) {
            let facts = (item.predicted_iou, item.stability);
            if candidate_ui(ui, renderer, mask, region, index, facts, answer.shown == index) {
                wishes.command(Command::ChooseCandidate(index));
            }
        }
    }

    fn region_of(&mut self, session: &Session, answer: &Answer, masks: &[CanvasMask<'_>]) -> Option<PixelRect> {
        let key = (answer.generation.0, session.view.threshold.to_bits());
        match self.region {
            Some((generation, threshold, region)) if (generation, threshold) == key => region,
            _ => {
                let size = session.picture.size()?;
                let region = candidates_region(masks, (size.width, size.height));
                self.region = Some((key.0, key.1, region));
                region
            }
        }
    }

    fn wheel_ui(&mut self, ui: &Ui, wishes: &mut Wishes) {
        let travel: f32 = ui.input(|input| {
            let lines = |event: &Event| match event {
                Event::MouseWheel { unit: MouseWheelUnit::Point, delta, .. } => Some(delta.y / 40.0),
                Event::MouseWheel { delta, .. } => Some(delta.y),
                _ => None,
            };
            input.events.iter().filter_map(lines).sum()
        });
        self.wheel += travel;
        while self.wheel.abs() >= 1.0 {
            let forward = self.wheel < 0.0;
            self.wheel += if forward { 1.0 } else { -1.0 };
            wishes.command(if forward { Command::NextCandidate } else { Command::PreviousCandidate });
        }
    }
}

/// One candidate; true when it was clicked.
fn candidate_ui(
    ui: &mut Ui,
    renderer: &mut CanvasRenderer,
    mask: CanvasMask<'_>,
    region: Option<PixelRect>,
    index: usize,
    (predicted_iou, stability): (f32, f32),
    shown: bool,
) -> bool {
    let palette = Palette::of(ui.visuals());
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 4.0;
        ui.spacing_mut().interact_size.y = 18.0;
        ui.visuals_mut().selection.bg_fill = palette.accent;
        ui.visuals_mut().selection.stroke = Stroke::new(2.0, palette.accent);
        let name = format!("Candidate {}, IoU {predicted_iou:.2}, stability {stability:.2}", index + 1);
        let response = candidate_thumbnail_ui(ui, renderer, &name, THUMBNAIL, shown, region, mask);
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 5.0;
            keycap(ui, &(index + 1).to_string());
            let ink = if shown { palette.text_strong } else { palette.text };
            ui.label(RichText::new(format!("IoU {predicted_iou:.2}")).size(12.0).color(ink))
                .on_hover_text("Predicted IoU: how good the model thinks this mask is");
            ui.label(RichText::new(format!("{stability:.2}")).size(11.5).color(palette.text_weak))
                .on_hover_text("Stability: how little the mask changes with the threshold, 1 at best");
        });
        response.on_hover_text("Click, the number key, or the wheel").clicked()
    })
    .inner
}

fn buttons_ui(ui: &mut Ui, session: &Session, answered: bool, wishes: &mut Wishes) {
    let correcting = session.prompting.draft.correcting().is_some();
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 6.0;
        let name = if correcting { "Keep change" } else { "Accept" };
        let accept = wide_button(ui, Some(Icon::Check), name, Weight::Primary, true, 96.0);
        let why = if answered { "Keep this mask (Enter)" } else { "Keep the mask as soon as it is there (Enter)" };
        if accept.on_hover_text(why).clicked() {
            wishes.command(Command::AcceptDraft);
        }
        let drop = wide_button(ui, Some(Icon::Cross), "Drop", Weight::Normal, true, 96.0);
        if drop.on_hover_text("Take back what was said (Esc)").clicked() {
            wishes.command(Command::DropDraft);
        }
    });
}

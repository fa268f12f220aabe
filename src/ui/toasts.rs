//! Messages that come up at the corner of the window and leave by themselves; errors stay until they are read.
//!
//! Invariant: a message is data ([`Toast`]); what has been said can be asked for in tests, and nothing is said twice
//! at once.

use super::icons::{self, Icon};
use super::theme::Palette;
use super::widgets::{IconButton, card_frame};
use egui::{Align2, Area, Context, Id, Order, Rect, vec2};

/// How serious a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Something went well.
    Good,
    /// Worth knowing.
    Info,
    /// Worked only in part.
    Warning,
    /// Failed.
    Error,
}

/// One message on the screen.
#[derive(Debug, Clone)]
pub struct Toast {
    /// Stays the same while it is shown.
    id: u64,
    /// How serious.
    pub severity: Severity,
    /// For people.
    pub text: String,
    /// The time of the window's clock at which it leaves, in seconds; `None` stays.
    leaves_at_secs: Option<f64>,
}

/// The messages that are shown now.
#[derive(Debug, Default)]
pub struct Toasts {
    shown: Vec<Toast>,
    next_id: u64,
}

/// No more than these fit; the oldest leave first.
const MAX_SHOWN: usize = 4;

impl Toasts {
    /// Shows a message. `now_secs` is the window's clock.
    pub fn push(&mut self, severity: Severity, text: impl Into<String>, now_secs: f64) {
        let text = text.into();
        // Long texts need longer to read.
        let reading_secs = 3.5 + text.len() as f64 * 0.03;
        let leaves_at_secs = (severity != Severity::Error).then_some(now_secs + reading_secs);
        self.shown.retain(|toast| toast.text != text);
        self.next_id += 1;
        self.shown.push(Toast { id: self.next_id, severity, text, leaves_at_secs });
        if self.shown.len() > MAX_SHOWN {
            self.shown.remove(0);
        }
    }

    /// What is shown now, the oldest first.
    pub fn shown(&self) -> &[Toast] {
        &self.shown
    }

    /// Draws the messages in the lower right corner of `within`, the newest at the bottom.
    pub fn toasts_ui(&mut self, context: &Context, within: Rect) {
        let now_secs = context.input(|input| input.time);
        let mut bottom = within.bottom() - 14.0;
        let mut dismissed = None;
        for toast in self.shown.iter_mut().rev() {
            let area = Area::new(Id::unique(("toast", toast.id)))
                .order(Order::Tooltip)
                .pivot(Align2::RIGHT_BOTTOM)
                .fixed_pos(egui::pos2(within.right() - 14.0, bottom))
                .constrain(false)
                .show(context, |ui| toast_ui(ui, toast));
            if area.inner {
                dismissed = Some(toast.id);
            }
            if area.response.contains_pointer()
                && let Some(leaves_at_secs) = &mut toast.leaves_at_secs
            {
                *leaves_at_secs = leaves_at_secs.max(now_secs + 1.5);
            }
            bottom = area.response.rect.top() - 8.0;
        }
        self.shown.retain(|toast| {
            Some(toast.id) != dismissed && toast.leaves_at_secs.is_none_or(|leaves_at| leaves_at > now_secs)
        });
        let next = self.shown.iter().filter_map(|toast| toast.leaves_at_secs).fold(f64::INFINITY, f64::min);
        if next.is_finite() {
            context.request_repaint_after_secs((next - now_secs) as f32 + 0.01);
        }
    }
}

/// Draws one message; true when it was dismissed.
fn toast_ui(ui: &mut egui::Ui, toast: &Toast) -> bool {
    let palette = Palette::of(ui.visuals());
    let (icon, color) = match toast.severity {
        Severity::Good => (Icon::Check, palette.good),
        Severity::Info => (Icon::Info, palette.accent),
        Severity::Warning => (Icon::Warning, palette.warning),
        Severity::Error => (Icon::Warning, palette.bad),
    };
    card_frame(ui)
        .show(ui, |ui| {
            ui.set_max_width(360.0);
            ui.horizontal_top(|ui| {
                let (rect, _) = ui.allocate_exact_size(vec2(18.0, 22.0), egui::Sense::hover());
                icons::paint(ui.painter(), rect.shrink2(vec2(0.0, 2.0)), icon, color);
                let text_width = (ui.available_width() - 34.0).max(120.0);
                ui.scope(|ui| {
                    ui.set_max_width(text_width);
                    ui.add(egui::Label::new(&toast.text).wrap());
                });
                IconButton::new(Icon::Cross, "Dismiss message").side(22.0).tint(palette.text_weak).show(ui).clicked()
            })
            .inner
        })
        .inner
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_message_moves_to_the_end_and_old_ones_leave() {
        let mut toasts = Toasts::default();
        for text in ["a", "b", "a", "c", "d", "e"] {
            toasts.push(Severity::Info, text, 0.0);
        }
        let texts: Vec<_> = toasts.shown().iter().map(|toast| toast.text.as_str()).collect();
        assert_eq!(texts, ["a", "c", "d", "e"]);
    }

    #[test]
    fn errors_stay_and_notes_leave() {
        let mut toasts = Toasts::default();
        toasts.push(Severity::Error, "broken", 10.0);
        toasts.push(Severity::Good, "saved", 10.0);
        assert_eq!(toasts.shown()[0].leaves_at_secs, None);
        assert!(toasts.shown()[1].leaves_at_secs.is_some_and(|at| at > 12.0));
    }
}

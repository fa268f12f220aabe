//! The session's notices as cards in the corner: notes leave by themselves, errors stay until they are read.
//!
//! Invariant: what is said is the session's data; here is only when each card leaves.

use super::icons::{self, Icon};
use super::theme::Palette;
use super::widgets::{IconButton, card_frame};
use super::wish::Wishes;
use crate::session::{Command, Notice, NoticeId, NoticeLevel, Notices};
use egui::{Align2, Area, Context, Id, Order, Rect, vec2};
use std::collections::BTreeMap;

/// When the cards leave.
#[derive(Debug, Default)]
pub struct Toasts {
    /// By the window's clock, in seconds; errors are not in it.
    leaves_at_secs: BTreeMap<NoticeId, f64>,
}

/// No more than these are shown at once; the newest.
const MAX_SHOWN: usize = 4;

impl Toasts {
    /// Draws the newest notices in the upper right corner of `within`, under the hint, the newest on top.
    pub fn toasts_ui(&mut self, context: &Context, within: Rect, notices: &Notices, wishes: &mut Wishes) {
        let now_secs = context.input(|input| input.time);
        self.leaves_at_secs.retain(|id, _| notices.iter().any(|notice| notice.id == *id));
        let mut top = within.top() + 54.0;
        for notice in notices.iter().rev().take(MAX_SHOWN) {
            let area = Area::new(Id::unique(("notice", notice.id.0)))
                .order(Order::Foreground)
                .pivot(Align2::RIGHT_TOP)
                .fixed_pos(egui::pos2(within.right() - 14.0, top))
                .constrain(false)
                .show(context, |ui| toast_ui(ui, notice));
            top = area.response.rect.bottom() + 8.0;
            let leaves = self.leaves(notice, now_secs, area.response.contains_pointer());
            if area.inner || leaves.is_some_and(|leaves_at| leaves_at <= now_secs) {
                wishes.command(Command::DismissNotice(notice.id));
            }
        }
        if let Some(next) = self.leaves_at_secs.values().copied().reduce(f64::min) {
            context.request_repaint_after_secs((next - now_secs).max(0.0) as f32 + 0.01);
        }
    }

    /// When a card leaves; later while the pointer rests on it. `None` stays.
    fn leaves(&mut self, notice: &Notice, now_secs: f64, pointed: bool) -> Option<f64> {
        if notice.level == NoticeLevel::Error {
            return None;
        }
        // Long texts need longer to read, warnings a second look.
        let extra = if notice.level == NoticeLevel::Warning { 4.0 } else { 0.0 };
        let reading_secs = 3.5 + extra + notice.text.len() as f64 * 0.03;
        let leaves_at = self.leaves_at_secs.entry(notice.id).or_insert(now_secs + reading_secs);
        if pointed {
            *leaves_at = leaves_at.max(now_secs + 1.5);
        }
        Some(*leaves_at)
    }
}

/// Draws one card; true when it was dismissed.
fn toast_ui(ui: &mut egui::Ui, notice: &Notice) -> bool {
    let palette = Palette::of(ui.visuals());
    let (icon, color) = match notice.level {
        NoticeLevel::Info => (Icon::Info, palette.accent),
        NoticeLevel::Warning => (Icon::Warning, palette.warning),
        NoticeLevel::Error => (Icon::Warning, palette.bad),
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
                    ui.add(egui::Label::new(&notice.text).wrap());
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
    fn errors_stay_and_notes_leave_later_while_they_are_pointed_at() {
        let mut toasts = Toasts::default();
        let notice = |level, id| Notice { id: NoticeId(id), level, text: "text".into() };
        assert_eq!(toasts.leaves(&notice(NoticeLevel::Error, 1), 10.0, false), None);
        let note = notice(NoticeLevel::Info, 2);
        let leaves_at = toasts.leaves(&note, 10.0, false).unwrap();
        assert_eq!(toasts.leaves(&note, 11.0, false), Some(leaves_at), "the clock runs from its first showing");
        assert_eq!(toasts.leaves(&note, leaves_at, true), Some(leaves_at + 1.5));
    }
}

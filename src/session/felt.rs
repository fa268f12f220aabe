//! How quick the program feels: the moments of a user's wishes and of their answers, noted by the program itself.
//!
//! The same notes feed the timing view of the window and `maskwright bench --felt`, so what is measured is what users
//! get. Noting costs a few clock reads a frame; nothing is drawn or computed for it.
//!
//! Invariant: each number has one start and one end, said at its field, and a wish that another one replaced has none.

use std::time::Instant;

/// What was noted last, in milliseconds; `None` until it has happened since the picture was asked for.
#[derive(Debug, Clone, Default)]
pub struct Felt {
    /// From the wish to open a picture (the command, however it came) to the moment at which the first frame that shows
    /// the picture has been handed to the display. Known only while the timings are watched.
    pub picture_ms: Option<f64>,
    /// From the wish to open a picture to the moment at which a worker has the logits of its first prompt.
    pub first_click_ms: Option<f64>,
    /// From the program's receipt of the button event that completed the last prompt to the moment at which a worker
    /// has its logits. A prompt that came by another way (undo, a script) counts from its command.
    pub click_ms: Option<f64>,
    /// From the same start to the moment at which the first frame that shows the mask has been handed to the display.
    /// Known only while the timings are watched.
    pub mask_ms: Option<f64>,
    opened: Option<Instant>,
    pressed: Option<Instant>,
    asked: Option<Instant>,
    unseen: Option<Instant>,
}

impl Felt {
    /// A picture is asked for: all numbers are about it from now on.
    pub fn wish_to_open(&mut self, now: Instant) {
        *self = Self { opened: Some(now), ..Self::default() };
    }

    /// When the button events of this frame were received; `None` in a frame without any. Call it once a frame, before
    /// the events are acted on.
    pub fn buttons(&mut self, received: Option<Instant>) {
        self.pressed = received;
    }

    /// A prompt is asked about.
    pub fn ask(&mut self, now: Instant) {
        self.asked = Some(self.pressed.unwrap_or(now));
        self.unseen = None;
    }

    /// The newest prompt was answered at this moment.
    pub fn answer(&mut self, ready: Instant) {
        let Some(asked) = self.asked.take() else { return };
        self.click_ms = Some(milliseconds(asked, ready));
        self.mask_ms = None;
        self.unseen = Some(asked);
        if let (None, Some(opened)) = (self.first_click_ms, self.opened) {
            self.first_click_ms = Some(milliseconds(opened, ready));
        }
    }

    /// Whether the moment at which a frame that shows the picture, or the newest mask, is handed over is still to be
    /// noted. Who watches the timings then has one more frame drawn.
    pub fn waits_for_frame(&self, shows_picture: bool, shows_mask: bool) -> bool {
        (shows_picture && self.opened.is_some() && self.picture_ms.is_none()) || (shows_mask && self.unseen.is_some())
    }

    /// A frame has been handed to the display; `shows_*` say what was on it.
    pub fn frame_shown(&mut self, now: Instant, shows_picture: bool, shows_mask: bool) {
        if let (true, None, Some(opened)) = (shows_picture, self.picture_ms, self.opened) {
            self.picture_ms = Some(milliseconds(opened, now));
        }
        if shows_mask && let Some(asked) = self.unseen.take() {
            self.mask_ms = Some(milliseconds(asked, now));
        }
    }
}

fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_number_runs_from_its_wish_to_its_answer() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut felt = Felt::default();
        felt.wish_to_open(at(0));
        felt.frame_shown(at(10), false, false);
        assert_eq!(felt.picture_ms, None, "that frame was empty");
        assert!(felt.waits_for_frame(true, false) && !felt.waits_for_frame(false, true));
        felt.frame_shown(at(80), true, false);
        felt.frame_shown(at(90), true, false);
        felt.buttons(Some(at(100)));
        felt.ask(at(105));
        felt.buttons(None);
        felt.answer(at(250));
        assert_eq!((felt.picture_ms, felt.first_click_ms, felt.click_ms), (Some(80.0), Some(250.0), Some(150.0)));
        assert!(felt.waits_for_frame(true, true));
        felt.frame_shown(at(270), true, true);
        assert_eq!(felt.mask_ms, Some(170.0));
        felt.ask(at(300));
        felt.ask(at(310));
        felt.answer(at(320));
        assert_eq!((felt.first_click_ms, felt.click_ms, felt.mask_ms), (Some(250.0), Some(10.0), None));
        felt.answer(at(330));
        assert_eq!(felt.click_ms, Some(10.0), "nothing was asked");
        felt.wish_to_open(at(400));
        assert_eq!((felt.picture_ms, felt.click_ms), (None, None));
    }
}

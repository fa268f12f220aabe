//! A run that measures how quick the window feels: plays a user in the real window and takes the time.
//!
//! The window, the engine, the model and the settings are those of any start; the clicks go in where the window system's
//! own events do. What is timed is the default journey: start without a picture, wait until all is quiet, open a photo,
//! click on it as soon as it shows, then click elsewhere, again and again, each time on a fresh prompt.
//!
//! Invariant: between the moments that are timed the window draws no more frames than it would for a user, so that what
//! is measured is not slowed by the measuring.

use super::launch::{LaunchError, LaunchOptions, open_window};
use super::one_more_frame;
use super::resident::{peak_resident_mib, resident_mib};
use crate::session::{Command, PicturePhase, Session};
use egui::{Context, Event, Modifiers, PointerButton, Pos2, RawInput, Rect, ViewportCommand};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// Quiet before memory at rest is read and before the photo is opened.
const REST: Duration = Duration::from_millis(600);
/// From a mask on the screen to the next press: no double click, and a drawn hover has settled.
const BETWEEN_CLICKS: Duration = Duration::from_millis(450);
/// What to measure.
#[derive(Debug, Clone)]
pub struct FeltPlan {
    /// The photo to open.
    pub photo: PathBuf,
    /// When the process was started, by the clock of whoever started it.
    pub started: SystemTime,
    /// Clicks after the first.
    pub clicks: usize,
    /// Frames drawn one after the other.
    pub frames: usize,
}

/// All samples of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FeltTimes {
    /// Name with unit, and its samples in the order taken.
    ///
    /// | name | from | to |
    /// |---|---|---|
    /// | `window_ms` | the start of the process | the first frame has been handed to the display |
    /// | `model_ms` | the start of the process | the window knows that the model answers |
    /// | `picture_ms` | the command to open the photo | the first frame that shows it has been handed over |
    /// | `file_ms` | the picture worker begins to read | it has all pixels |
    /// | `encode_ms` | the encode worker begins with the view | it has the embedding |
    /// | `first_click_ms` | the command to open the photo | a worker has the logits of the click made once it shows |
    /// | `click_ms` | the window gets the button event | a worker has the logits |
    /// | `decode_ms` | the worker begins with a click | it has the logits |
    /// | `mask_ms` | the window gets the button event | the first frame with the mask has been handed over |
    /// | `frame_ms` | a frame begins | the next one begins, when frames follow each other without pause |
    /// | `rss_at_rest_mib` | | resident memory with the model open and no picture |
    /// | `rss_with_photo_mib` | | the same with the photo, its embedding and a mask |
    /// | `rss_peak_mib` | | the most during the run |
    pub samples: Vec<(&'static str, Vec<f64>)>,
}

impl FeltTimes {
    fn add(&mut self, name: &'static str, value: Option<f64>) {
        let Some(value) = value else { return };
        match self.samples.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => self.samples.push((name, vec![value])),
        }
    }
}

/// Opens the window, plays the plan and closes it.
///
/// # Errors
/// [`LaunchError::NoWindow`], or [`LaunchError::NotMeasured`] where a step failed. A step that never ends is the
/// caller's to end, with this process.
pub fn measure_felt(plan: FeltPlan) -> Result<FeltTimes, LaunchError> {
    let result = Arc::new(Mutex::new(Err("the window was closed before all was measured".to_owned())));
    let run = FeltRun {
        plan,
        step: Step::FirstFrame,
        since: Instant::now(),
        is_new_step: true,
        times: FeltTimes::default(),
        result: Arc::clone(&result),
    };
    open_window(LaunchOptions::default(), Some(run))?;
    let mut result = result.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    std::mem::replace(&mut *result, Err(String::new())).map_err(LaunchError::NotMeasured)
}

/// What is waited for.
#[derive(Debug, Clone, Copy)]
enum Step {
    FirstFrame,
    ShownFrame,
    Model,
    /// Quiet until then.
    Rest,
    Picture,
    /// The mask of this click; 0 is the first.
    Mask(usize),
    /// Quiet before this click.
    Before(usize),
    /// So many frames are still to be drawn, the last began then.
    Frames(usize, Instant),
    /// Quiet at the end.
    LastRest,
    Over,
}

/// The user that is played.
pub struct FeltRun {
    plan: FeltPlan,
    step: Step,
    /// When the step began.
    since: Instant,
    is_new_step: bool,
    times: FeltTimes,
    result: Arc<Mutex<Result<FeltTimes, String>>>,
}

impl FeltRun {
    /// Called first in each frame, with the input that the frame will see.
    pub(super) fn act(
        &mut self,
        now: Instant,
        context: &Context,
        session: &mut Session,
        canvas: Option<Rect>,
        input: &mut RawInput,
    ) {
        let waited = now.saturating_duration_since(self.since);
        match self.step {
            Step::FirstFrame => {
                self.go_on(Step::ShownFrame, now);
            }
            Step::ShownFrame => {
                self.times.add("window_ms", self.since_start_ms());
                self.go_on(Step::Model, now);
            }
            Step::Model if session.model.info.is_some() => {
                self.times.add("model_ms", self.since_start_ms());
                self.go_on(Step::Rest, now);
            }
            Step::Rest if waited >= REST => {
                self.times.add("rss_at_rest_mib", resident_mib());
                session.handle(Command::Open(vec![self.plan.photo.clone()]));
                self.go_on(Step::Picture, now);
            }
            Step::Picture if session.felt.picture_ms.is_some() => {
                self.times.add("picture_ms", session.felt.picture_ms);
                self.times.add("file_ms", session.timings.open_ms);
                self.press(0, now, canvas, input);
            }
            Step::Mask(click) if session.felt.mask_ms.is_some() => {
                self.mask_shown(click, now, session);
            }
            Step::Before(click) if waited >= BETWEEN_CLICKS => {
                session.handle(Command::DropDraft);
                self.press(click, now, canvas, input);
            }
            Step::Frames(left, last) => {
                self.times.add("frame_ms", Some(now.saturating_duration_since(last).as_secs_f64() * 1e3));
                let next = if left > 1 { Step::Frames(left - 1, now) } else { Step::LastRest };
                self.go_on(next, now);
            }
            Step::LastRest if waited >= REST => {
                self.times.add("rss_with_photo_mib", resident_mib());
                self.times.add("rss_peak_mib", peak_resident_mib());
                let times = std::mem::take(&mut self.times);
                self.finish(Ok(times), context, now);
            }
            _ => {}
        }
        if let Some(problem) = problem_of(session) {
            self.finish(Err(problem), context, now);
        }
    }

    fn go_on(&mut self, step: Step, now: Instant) {
        self.step = step;
        self.since = now;
        self.is_new_step = true;
    }

    fn since_start_ms(&self) -> Option<f64> {
        // None if somebody has set the clock back meanwhile.
        SystemTime::now().duration_since(self.plan.started).ok().map(|time| time.as_secs_f64() * 1e3)
    }

    fn mask_shown(&mut self, click: usize, now: Instant, session: &Session) {
        let felt = &session.felt;
        if click == 0 {
            self.times.add("first_click_ms", felt.first_click_ms);
            self.times.add("encode_ms", session.timings.encode_ms);
        } else {
            self.times.add("click_ms", felt.click_ms);
            self.times.add("decode_ms", session.timings.decode_ms);
            self.times.add("mask_ms", felt.mask_ms);
        }
        let next = click + 1;
        self.go_on(
            if next <= self.plan.clicks { Step::Before(next) } else { Step::Frames(self.plan.frames, now) },
            now,
        );
    }

    /// Puts a click into the frame's input: press and release, each at its own place on the canvas' middle half.
    fn press(&mut self, click: usize, now: Instant, canvas: Option<Rect>, input: &mut RawInput) {
        let Some(canvas) = canvas else { return };
        // Steps of the golden ratio spread over both sides without repeating themselves.
        let share = |step: f32| 0.3 + 0.4 * (0.5 + click as f32 * step).fract();
        let pos =
            Pos2::new(canvas.left() + canvas.width() * share(0.618), canvas.top() + canvas.height() * share(0.382));
        let button =
            |pressed| Event::PointerButton { pos, button: PointerButton::Primary, pressed, modifiers: Modifiers::NONE };
        input.events.extend([Event::PointerMoved(pos), button(true), button(false)]);
        self.go_on(Step::Mask(click), now);
    }

    fn finish(&mut self, result: Result<FeltTimes, String>, context: &Context, now: Instant) {
        *self.result.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = result;
        self.go_on(Step::Over, now);
        context.send_viewport_cmd(ViewportCommand::Close);
    }

    /// Called last in each frame. Pauses end by a timer, all other steps by news, which brings a frame of its own.
    pub(super) fn ask_for_frame(&mut self, context: &Context, session: &Session) {
        let is_new_step = std::mem::take(&mut self.is_new_step);
        match self.step {
            Step::Rest | Step::LastRest if is_new_step => wake_after(context, REST),
            Step::Before(_) if is_new_step => wake_after(context, BETWEEN_CLICKS),
            Step::FirstFrame | Step::ShownFrame | Step::Frames(..) | Step::Over => one_more_frame(context),
            // The news may have come in the frame that is ending.
            Step::Model if session.model.info.is_some() => one_more_frame(context),
            _ => {}
        }
    }
}

/// egui drops a far-off wish for a frame when another frame comes first, so a thread keeps the time.
fn wake_after(context: &Context, pause: Duration) {
    let context = context.clone();
    std::thread::spawn(move || {
        std::thread::sleep(pause + Duration::from_millis(5));
        context.request_repaint();
    });
}

/// What went wrong with the photo or the model, if anything did.
fn problem_of(session: &Session) -> Option<String> {
    let unread = match &session.picture.phase {
        PicturePhase::Failed(why) => Some(why.clone()),
        _ => None,
    };
    unread.or_else(|| session.model.problem.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_name_stand_together_and_what_is_unknown_is_left_out() {
        let mut times = FeltTimes::default();
        times.add("click_ms", Some(1.0));
        times.add("frame_ms", None);
        times.add("click_ms", Some(2.0));
        assert_eq!(times.samples, [("click_ms", vec![1.0, 2.0])]);
    }
}

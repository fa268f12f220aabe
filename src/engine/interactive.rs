//! The interactive lane: answers clicks, and hovers when no click waits.
//!
//! Invariant: one runs, one waits; the newest question replaces the waiting one. An answer is told under the same lock
//! that `cancel_decode` takes, so after a cancel no answer to an older question is queued.

use super::event::Event;
use super::request::PictureId;
use super::shared::{Shared, elapsed_ms, fenced_result};
use super::state::{Asked, ReadyDecode, State};
use crate::geometry::PixelRect;
use crate::inference::{Candidates, InferenceError, Replay, predict};
use std::time::Instant;

/// The decodes of the last prompt, valid for one view and one model.
#[derive(Default)]
struct Memo {
    of: Option<(PictureId, PixelRect, u64)>,
    replay: Replay,
}

impl Memo {
    fn predict(&mut self, decode: &ReadyDecode) -> Result<Candidates, InferenceError> {
        let of = Some((decode.request.picture.id(), decode.request.view(), decode.model.number));
        if self.of != of {
            *self = Self { of, ..Self::default() };
        }
        predict(decode.model.segmenter.as_ref(), &decode.encoded, &decode.request.prompt, &mut self.replay)
    }
}

/// The lane's thread.
pub(super) fn run(shared: &Shared) {
    // A hover tries a point and takes it back; with a memory of its own it does not disturb the click's.
    let (mut clicks, mut hovers) = (Memo::default(), Memo::default());
    while let Some(decode) = shared.wait_for(State::take_ready_decode) {
        let memo = if decode.asked == Asked::Click { &mut clicks } else { &mut hovers };
        let start = Instant::now();
        let answer = fenced_result(|| memo.predict(&decode));
        let decode_ms = elapsed_ms(start);
        if answer.is_err() {
            *memo = Memo::default();
        }
        let (generation, picture) = (decode.request.generation, decode.request.picture.id());
        let event = match (answer, decode.asked) {
            (Ok(candidates), Asked::Click) => Event::MaskReady { generation, picture, candidates, decode_ms },
            (Ok(candidates), Asked::Hover) => Event::HoverReady { generation, picture, candidates },
            (Err(problem), _) => Event::DecodeFailed { generation, problem },
        };
        shared.change_and_tell(|state| {
            state.answering = None;
            let now = if decode.asked == Asked::Click { state.dropped_answers } else { state.dropped_hovers };
            if now == decode.epoch { vec![event] } else { Vec::new() }
        });
    }
}

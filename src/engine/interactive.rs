//! The interactive lane: answers clicks, and hovers when no click waits.
//!
//! Invariant: one runs, one waits; the newest question replaces the waiting one. An answer is told under the same lock
//! that `cancel_decode` takes, so after a cancel no answer to an older question is queued.

use super::event::Event;
use super::shared::{Shared, elapsed_ms, fenced_result};
use super::state::{Asked, State};
use crate::inference::{Replay, predict};
use std::time::Instant;

/// The lane's thread.
pub(super) fn run(shared: &Shared) {
    let mut replay = Replay::default();
    while let Some(decode) = shared.wait_for(State::take_ready_decode) {
        let start = Instant::now();
        let answer = fenced_result(|| {
            predict(decode.model.segmenter.as_ref(), &decode.encoded, &decode.request.prompt, &mut replay)
        });
        let decode_ms = elapsed_ms(start);
        let ready = Instant::now();
        if answer.is_err() {
            // A panic may have left the memory half-changed.
            replay = Replay::default();
        }
        let (generation, picture) = (decode.request.generation, decode.request.picture.id());
        let event = match (answer, decode.asked) {
            (Ok(candidates), Asked::Click) => Event::MaskReady { generation, picture, candidates, decode_ms, ready },
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

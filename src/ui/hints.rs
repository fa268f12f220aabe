//! The one line on the canvas that says what is going on or what to do next.
//!
//! Invariant: at most one line, the most pressing one; it is computed from the session alone, so tests can ask for it.

use crate::session::{Access, EncodePhase, PicturePhase, Session, Tool};

/// How a hint is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HintTone {
    /// What can be done.
    Help,
    /// What is awaited.
    Wait,
    /// What is not as it should be.
    Warning,
    /// What failed.
    Problem,
}

/// A line for the canvas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hint {
    /// How it is meant.
    pub tone: HintTone,
    /// For people.
    pub text: String,
}

/// What a newcomer reads first.
pub const FIRST_CONTACT: &str = "Left click: include. Right click: exclude. Drag: box. Enter keeps.";
/// What helps when a prompt gives no mask.
pub const EMPTY_MASK: &str = "No mask here. Click nearer the middle of the object, drag a box around it, or lower the threshold in the settings.";

/// Whether the newest answer's mask is empty, looked at once an answer and threshold.
#[derive(Debug, Default)]
pub struct EmptyMask {
    looked_at: Option<(u64, usize, u32)>,
    is_empty: bool,
}

impl EmptyMask {
    fn check(&mut self, session: &Session) -> bool {
        let prompting = &session.prompting;
        let Some(answer) = prompting.answer.as_ref().filter(|_| !prompting.waiting) else { return false };
        let threshold = session.view.threshold;
        let key = Some((answer.generation.0, answer.shown, threshold.to_bits()));
        if self.looked_at != key {
            self.looked_at = key;
            // Interpolated logits never exceed the grid's own.
            self.is_empty =
                answer.shown_field().is_some_and(|field| !field.values.iter().any(|&logit| logit > threshold));
        }
        self.is_empty
    }
}

/// Whether clicks wait for the encoder or the model.
pub fn clicks_wait(session: &Session) -> bool {
    !session.prompting.draft.is_empty()
        && session.prompting.waiting
        && (session.model.opening || !matches!(session.picture.encode, EncodePhase::Ready))
}

/// How far the encoder is, while it is at work.
pub fn encode_share(session: &Session) -> Option<f32> {
    match session.picture.encode {
        EncodePhase::Running { share } => Some(share),
        _ => None,
    }
}

/// The line for now; `None` where nothing needs to be said.
pub fn hint_for(session: &Session, emptiness: &mut EmptyMask) -> Option<Hint> {
    let hint = |tone, text: String| Some(Hint { tone, text });
    match &session.picture.phase {
        PicturePhase::None => return None,
        PicturePhase::Opening => return hint(HintTone::Wait, "Opening the picture…".into()),
        PicturePhase::Failed(why) => return hint(HintTone::Problem, why.clone()),
        PicturePhase::Ready(_) => {}
    }
    if let Some(conflict) = session.picture.size_conflict {
        let text = format!(
            "The file is now {}, but its objects were made at {}. They are kept, not shown. Put the old file back to go on.",
            conflict.found, conflict.stored
        );
        return hint(HintTone::Warning, text);
    }
    if let Access::ReadOnly { owner } = &session.project.access {
        return hint(
            HintTone::Warning,
            format!("{owner} has this project open. Here it can be looked at and exported."),
        );
    }
    if let Some(problem) = &session.model.problem
        && session.model.info.is_none()
    {
        return hint(HintTone::Problem, problem.clone());
    }
    if let EncodePhase::Failed(why) = &session.picture.encode {
        return hint(HintTone::Problem, format!("The picture could not be prepared: {why}"));
    }
    let waiting = session.prompting.draft.prompt().steps.len();
    if clicks_wait(session) {
        let clicks = if waiting == 1 { "Your click waits".to_owned() } else { format!("{waiting} prompts wait") };
        return hint(HintTone::Wait, format!("{clicks} until the picture is prepared{}", percent(session)));
    }
    if !session.prompting.draft.is_empty() {
        if emptiness.check(session) {
            return hint(HintTone::Warning, EMPTY_MASK.into());
        }
        if session.prompting.draft.correcting().is_some() {
            return hint(
                HintTone::Help,
                "Correcting an object. Enter keeps the change, Esc leaves it as it was.".into(),
            );
        }
        return None;
    }
    if session.model.opening && session.model.info.is_none() {
        return hint(HintTone::Wait, "Opening the model…".into());
    }
    if encode_share(session).is_some() {
        return hint(HintTone::Wait, format!("Preparing the picture{}. You may click already.", percent(session)));
    }
    if session.tool == Tool::Select {
        return hint(
            HintTone::Help,
            "Select tool: click an object, double-click it to correct it. Q goes back to prompting.".into(),
        );
    }
    // Who has made an object knows how.
    (session.project.project.annotation_count() == 0).then(|| Hint { tone: HintTone::Help, text: FIRST_CONTACT.into() })
}

fn percent(session: &Session) -> String {
    encode_share(session).map_or_else(|| "…".to_owned(), |share| format!(", {:.0} %", share * 100.0))
}

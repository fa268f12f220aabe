//! What the user has set about looking and clicking. Not part of the work: changing it is no edit.

/// What clicks do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tool {
    /// Clicks and boxes say where an object is.
    #[default]
    Prompt,
    /// Clicks select objects.
    Select,
}

/// How masks are shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewOptions {
    /// The logit above which a pixel belongs to the mask, -10..=10; 0 is the model's own choice.
    pub threshold: f32,
    /// How strongly masks are tinted, 0..=1.
    pub tint_opacity: f32,
    /// Whether masks have an outline.
    pub outline: bool,
    /// Whether nothing moves on its own.
    pub reduce_motion: bool,
    /// Whether the mask under the resting pointer is shown.
    pub hover_preview: bool,
}

impl Default for ViewOptions {
    fn default() -> Self {
        Self { threshold: 0.0, tint_opacity: 0.45, outline: true, reduce_motion: false, hover_preview: true }
    }
}

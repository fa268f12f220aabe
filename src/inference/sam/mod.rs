//! Promptable segmenters of SAM's kind: an image encoder once a view, then points, boxes and masks decoded lightly.

pub(super) mod preprocess;

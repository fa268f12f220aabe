//! Tests that need no display and no network, in one binary.

mod coco_export;

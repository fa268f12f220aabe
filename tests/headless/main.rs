//! The headless tier in one binary: everything that needs no window.

mod coco_export;
mod counter_weights;
mod sam_files;
mod sam_parity;
mod tidy;

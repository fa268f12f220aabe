//! The headless tier in one binary: everything that needs no window.

mod coco_export;
mod engine;
mod session;
mod tidy;

//! The headless tier in one binary: everything that needs no window, no display and no network.

mod coco_export;
mod engine;
mod session;
mod tidy;

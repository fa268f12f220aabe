//! The headless tier in one binary: everything that needs no window, no display and no network.

// clippy.toml lets test functions unwrap; their helpers may, too: a panic here is a failure with a place.
#![allow(clippy::unwrap_used)]

mod cli_demo;
mod cli_run;
mod cli_segment;
mod cli_usage;
mod coco_export;
mod coco_import;
mod counter_weights;
mod engine;
mod sam_files;
mod sam_parity;
mod session;
mod tidy;

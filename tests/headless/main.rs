//! Tests that need no display and no network, in one binary.

mod cli_demo;
mod cli_run;
mod cli_segment;
mod cli_usage;
mod coco_export;

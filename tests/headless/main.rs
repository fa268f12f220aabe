//! The headless tier in one binary: everything that needs no window.

mod engine;
mod tidy;

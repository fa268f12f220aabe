//! The whole window in one test binary: what it does (without drawing), and what it looks like (snapshots).

#![allow(clippy::unwrap_used, reason = "a panic here is a failed test with a place")]

mod dialogs;
mod flow;
mod snapshots;
mod support;

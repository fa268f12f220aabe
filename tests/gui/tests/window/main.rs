//! The whole window in one test binary: what it does (without drawing), and what it looks like (snapshots).

mod dialogs;
mod flow;
mod snapshots;
mod support;

//! The application without a window, driven by commands and a scripted engine.

mod editing;
mod harness;
mod keeping;
mod prompting;

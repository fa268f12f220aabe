//! The application without a window, driven by commands and a scripted engine.

mod editing;
mod harness;
mod importing;
mod keeping;
mod prompting;

//! Maskwright: clicks into masks, masks into labels, masks plus words into new pixels.
//!
//! The modules stand in reading order, and that order is the layer order. A module may use those of lower
//! layers as listed here and no others; `tests/headless/tidy.rs` fails where the source says otherwise.
//!
//! | layer | module | may use |
//! |---|---|---|
//! | 0 | [`atomic_file`], [`geometry`], [`kernels`], [`prompt`], [`raster`] | each other |
//! | 1 | [`document`] | layer 0 |
//! | 1 | [`inference`] | layer 0 |
//! | 2 | [`formats`] | document, layer 0 |
//! | 3 | [`engine`] | inference, formats, document, layer 0 |
//! | 4 | [`session`] | engine, document, layer 0 |
//! | 5 | `render` (feature `gui`) | layer 0 |
//! | 5 | `ui` (feature `gui`) | session, document, render, layer 0 |
//! | 6 | `app` (feature `gui`) | ui, render, session, and below |
//! | 6 | [`cli`] | inference, formats, document, layer 0 |
//!
//! Invariants that hold everywhere:
//! - Coordinates that cross a module boundary are pixels of the oriented picture, corner convention: the first
//!   pixel spans 0..1.
//! - candle is unknown outside `inference`; egui and wgpu are unknown below `render` and `ui`.
//! - Only an `Edit` changes a `Document`, and every edit has an inverse.
//! - The mask is the truth; polygons are a view of it made at export.

pub mod atomic_file;
pub mod geometry;
pub mod kernels;
pub mod prompt;
pub mod raster;

pub mod document;
pub mod inference;

pub mod formats;

pub mod engine;

pub mod session;

#[cfg(feature = "gui")]
pub mod render;
#[cfg(feature = "gui")]
pub mod ui;

#[cfg(feature = "gui")]
pub mod app;
pub mod cli;

//! Layer 2: what leaves for other tools and what comes in from them. No models, no windows.
//!
//! The input of every writer is a frozen, plain description of pictures and masks, so that a format knows nothing of
//! documents and nothing can change while a file is written.
//! Invariant: a file that was written holds exactly the masks that were given, and the writer has checked it.

pub mod coco;
pub mod file_names;
pub mod mask_folder;

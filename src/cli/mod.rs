//! Layer 6: the command line.

pub mod bench;

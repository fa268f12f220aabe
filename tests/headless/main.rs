//! Everything that needs no window, in one binary.

mod counter_weights;
mod sam_files;
mod sam_parity;

//! Starts Maskwright.

fn main() {}

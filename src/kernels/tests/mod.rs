//! Tests of all kernels at once: at the edge of readable memory, against their scalar twins and their definitions, with
//! odd numbers and absurd sizes, and of the pool under stress. What a kernel computes is tested beside it.

mod cases;
mod guard_pages;
mod guarded;
mod pool_stress;
mod properties;
mod refusals;

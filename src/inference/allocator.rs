//! The allocator of every program that links this library: mimalloc, because candle asks for a fresh buffer at every
//! operation and the system's allocator hands large ones back to the kernel, which clears their pages again each time.
//!
//! Measured on 2 cores, interleaved, CPU seconds in the kernel of all CPU seconds: chained products with outputs of
//! 50 MB (the size of SAM's layers) glibc 1.35 of 5.0, mimalloc 0.10 of 3.7, glibc told never to return memory 0.09 of
//! 3.7; median time 362, 290 and 362 ms. The built-in model's buffers are small enough for glibc to keep: no difference
//! in time, but 140 to 180 MiB resident instead of 100. Unlike glibc's settings this works on every system, gives idle
//! memory back after a while, and needs no unsafe code.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

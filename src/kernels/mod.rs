//! Fast CPU routines on slices: products with packed weights, convolutions, attention, norms, activations. No candle.
//!
//! Activations are f32 rows, one a pixel or token (`[rows, channels]`, which for pictures is NHWC), so a 1x1 convolution
//! is a product, a norm over channels is a norm of rows, and nothing is transposed between layers. Each kernel is
//! written once over [`simd`] vectors and compiled for every instruction set; the best one is chosen at run time.
//!
//! Invariants: public functions are safe and check the lengths they are given; `unsafe` stays inside this module; the
//! plain path (`Isa::PORTABLE`) is the twin that every other path is tested against; a result does not depend on the
//! number of threads.
#![expect(unsafe_code, reason = "vector instructions and disjoint writes from several threads")]
#![allow(clippy::needless_range_loop, reason = "loops over registers must have constant bounds to be unrolled")]

pub mod attention;
#[cfg(target_arch = "x86_64")]
mod bf16;
mod block;
pub mod convolution;
pub mod cross_attention;
pub mod depthwise;
pub mod enlarge;
pub mod inverted_residual;
pub mod isa;
pub mod layout;
pub mod maps;
pub mod math;
pub mod memory;
pub mod norm;
pub mod packed;
pub mod patches;
pub mod picture_pass;
pub mod pool;
pub mod product;
mod simd;
#[cfg(test)]
pub(crate) mod testing;
mod tile;

pub use attention::{Attention, Groups, Heads, Positions};
pub use convolution::Convolution;
pub use cross_attention::{CrossHeads, FewTokens};
pub use depthwise::Depthwise;
pub use enlarge::Enlarge;
pub use inverted_residual::InvertedResidual;
pub use isa::Isa;
pub use math::Activation;
pub use memory::{Aligned, Arena, Buffer};
pub use norm::LayerNorm;
pub use packed::Packed;
pub use patches::Patches;
pub use picture_pass::{HeadsIn, HeadsOut, Hearing, Meeting, PicturePass, look, look_at_rows};
pub use pool::Pool;
pub use product::{Linear, Rows, RowsMut, Start};

/// What a model's computation needs of the machine: instruction set, threads, memory.
#[derive(Clone)]
pub struct Cpu {
    /// The instruction set that weights are packed for.
    pub isa: Isa,
    /// The threads.
    pub pool: &'static Pool,
    /// Buffers for activations.
    pub arena: Arena,
}

impl Cpu {
    /// The best of this machine, with memory of its own.
    pub fn new() -> Self {
        Self { isa: Isa::best(), pool: Pool::global(), arena: Arena::default() }
    }

    /// The same with weights held as bf16, where the machine has products of them.
    pub fn with_bf16() -> Option<Self> {
        Some(Self { isa: Isa::best_bf16()?, ..Self::new() })
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;

//! Vectors of f32 lanes, one implementation an instruction set, so that every kernel is written once.
//!
//! A kernel is generic over [`Simd`] and runs through [`Isa::run`], which enters a function compiled for that set.
//! Invariant: everything between that entry and these operations is `#[inline(always)]`; code that is not inlined would
//! be compiled for the oldest machine, and vectors would cross calls through memory.
//!
//! [`Isa::run`]: super::isa::Isa::run

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512_bf16;
#[cfg(target_arch = "aarch64")]
pub(super) mod neon;
pub(super) mod portable;

/// The most lanes of a vector.
pub(super) const MAX_LANES: usize = 16;

/// Operations on `LANES` f32 values at once.
///
/// # Safety
/// Each function may be called only while its instruction set is known to be there, that is below [`Isa::run`]. Those that
/// take a pointer read or write `LANES` values (`count` values for the partial ones) there, without any alignment.
///
/// [`Isa::run`]: super::isa::Isa::run
pub(super) trait Simd: Copy {
    /// The vector.
    type V: Copy;
    /// Values in a vector.
    const LANES: usize;
    /// Vectors across the widest panel of packed weights.
    const MAX_VECTORS: usize;
    /// Rows of a product that are summed at once when the panel is 1, 2, 3 or 4 vectors wide: as many as the registers
    /// hold.
    const TILE_ROWS: [usize; 4];

    /// All lanes the same.
    unsafe fn splat(x: f32) -> Self::V;
    unsafe fn load(from: *const f32) -> Self::V;
    unsafe fn store(to: *mut f32, v: Self::V);
    /// `PERIOD` values (a power of two), over and over: lane `i` is value `i % PERIOD`.
    #[inline(always)]
    unsafe fn load_repeated<const PERIOD: usize>(from: *const f32) -> Self::V {
        let mut lanes = [0.0; MAX_LANES];
        // SAFETY: the caller's promise; the array holds a vector.
        unsafe {
            for (lane, value) in lanes.iter_mut().enumerate().take(Self::LANES) {
                *value = *from.add(lane % PERIOD);
            }
            Self::load(lanes.as_ptr())
        }
    }
    /// Lane `i` gets lane `i ^ DISTANCE`; `DISTANCE` is a power of two below `LANES`.
    #[inline(always)]
    unsafe fn swap_lanes<const DISTANCE: usize>(v: Self::V) -> Self::V {
        let (mut lanes, mut swapped) = ([0.0; MAX_LANES], [0.0; MAX_LANES]);
        // SAFETY: the arrays hold a vector.
        unsafe {
            Self::store(lanes.as_mut_ptr(), v);
            for lane in 0..Self::LANES {
                swapped[lane] = lanes[lane ^ DISTANCE];
            }
            Self::load(swapped.as_ptr())
        }
    }
    /// Asks for the cache line at `at`, which need not be there.
    #[inline(always)]
    unsafe fn prefetch(_at: *const f32) {}
    /// The first `count <= LANES` lanes; the others are 0.
    unsafe fn load_partial(from: *const f32, count: usize) -> Self::V;
    /// The first `count <= LANES` lanes; what lies behind them is not touched.
    unsafe fn store_partial(to: *mut f32, count: usize, v: Self::V);
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// `a * b + c`, rounded once where the machine can.
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// What a product adds to its sum for one step of the depth: `x * weight + sum`. Where weights are bf16, each lane
    /// holds a pair of such numbers, and both products are added.
    #[inline(always)]
    unsafe fn accumulate(sum: Self::V, x: Self::V, weight: Self::V) -> Self::V {
        // SAFETY: the caller's promise.
        unsafe { Self::mul_add(x, weight, sum) }
    }
    /// `b` where either is NaN, so put the value that may be NaN second.
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `b` where either is NaN.
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// Each lane's bits plus `offset`, shifted left by 23: turns a whole number in the low bits into a power of two.
    unsafe fn exponent_from_bits(v: Self::V, offset: i32) -> Self::V;
    /// Each lane as f16 would keep it: nearest, ties to even.
    unsafe fn round_to_f16(v: Self::V) -> Self::V;
    /// Sum of all lanes.
    unsafe fn sum(v: Self::V) -> f32;
    /// Largest lane; any of them where one is NaN.
    unsafe fn largest(v: Self::V) -> f32;
}

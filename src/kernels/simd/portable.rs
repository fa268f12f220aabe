//! Plain Rust arrays: the scalar twin of every kernel, the path on other machines, and what Miri can run.

use super::Simd;

/// Four lanes as an array; compilers turn the loops into the machine's baseline vectors.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

const LANES: usize = 4;

impl Simd for Portable {
    type V = [f32; LANES];
    const LANES: usize = LANES;
    const MAX_VECTORS: usize = 2;
    const TILE_ROWS: [usize; 4] = [4, 4, 0, 0];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the trait's contract.
        unsafe { from.cast::<Self::V>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        // SAFETY: the trait's contract.
        unsafe { to.cast::<Self::V>().write_unaligned(v) }
    }
    #[inline(always)]
    unsafe fn load_partial(from: *const f32, count: usize) -> Self::V {
        let mut v = [0.0; LANES];
        for (lane, value) in v.iter_mut().enumerate().take(count) {
            // SAFETY: `lane < count`.
            *value = unsafe { *from.add(lane) };
        }
        v
    }
    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, count: usize, v: Self::V) {
        for (lane, value) in v.iter().enumerate().take(count) {
            // SAFETY: `lane < count`.
            unsafe { *to.add(lane) = *value };
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(
            #[inline(always)]
            |i| a[i] + b[i],
        )
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(
            #[inline(always)]
            |i| a[i] - b[i],
        )
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(
            #[inline(always)]
            |i| a[i] * b[i],
        )
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(
            #[inline(always)]
            |i| a[i] / b[i],
        )
    }
    /// In two roundings: a single one would be a library call for each lane.
    #[inline(always)]
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        std::array::from_fn(
            #[inline(always)]
            |i| a[i] * b[i] + c[i],
        )
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(
            #[inline(always)]
            |i| if a[i] > b[i] { a[i] } else { b[i] },
        )
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        std::array::from_fn(
            #[inline(always)]
            |i| if a[i] < b[i] { a[i] } else { b[i] },
        )
    }
    #[inline(always)]
    unsafe fn exponent_from_bits(v: Self::V, offset: i32) -> Self::V {
        std::array::from_fn(
            #[inline(always)]
            |i| f32::from_bits(v[i].to_bits().wrapping_add_signed(offset) << 23),
        )
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        (v[0] + v[1]) + (v[2] + v[3])
    }
    #[inline(always)]
    unsafe fn largest(v: Self::V) -> f32 {
        v[0].max(v[1]).max(v[2].max(v[3]))
    }
}

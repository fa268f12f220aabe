//! AVX2 with FMA: eight lanes, 16 registers.

use super::Simd;
use std::arch::x86_64::*;

/// Needs AVX2, FMA and F16C.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

const LANES: usize = 8;
/// Eight times all bits, then eight times none: read at `LANES - count` it is a mask of the first `count` lanes.
const MASKS: [i32; 2 * LANES] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

/// # Safety
/// AVX2 is there and `count <= LANES`.
#[inline(always)]
unsafe fn mask(count: usize) -> __m256i {
    debug_assert!(count <= LANES);
    // SAFETY: `LANES - count` is in 0..=LANES, so eight values follow.
    unsafe { _mm256_loadu_si256(MASKS.as_ptr().add(LANES - count).cast()) }
}

// SAFETY of every block below: the instruction set is there and pointers are as the trait's contract says.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one contract for all, stated above and at the trait")]
impl Simd for Avx2 {
    type V = __m256;
    const LANES: usize = LANES;
    const MAX_VECTORS: usize = 2;
    const TILE_ROWS: [usize; 4] = [6, 6, 0, 0];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        unsafe { _mm256_set1_ps(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        unsafe { _mm256_loadu_ps(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        unsafe { _mm256_storeu_ps(to, v) }
    }
    #[inline(always)]
    unsafe fn load_repeated<const PERIOD: usize>(from: *const f32) -> Self::V {
        unsafe {
            match PERIOD {
                4 => {
                    let four = _mm_loadu_ps(from);
                    _mm256_set_m128(four, four)
                }
                _ => Self::load(from),
            }
        }
    }
    #[inline(always)]
    unsafe fn prefetch(at: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) }
    }
    #[inline(always)]
    unsafe fn swap_lanes<const DISTANCE: usize>(v: Self::V) -> Self::V {
        debug_assert!(DISTANCE == 4);
        unsafe { _mm256_permute2f128_ps::<1>(v, v) }
    }
    #[inline(always)]
    unsafe fn load_partial(from: *const f32, count: usize) -> Self::V {
        unsafe { _mm256_maskload_ps(from, mask(count)) }
    }
    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, count: usize, v: Self::V) {
        unsafe { _mm256_maskstore_ps(to, mask(count), v) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_add_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_sub_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_mul_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_div_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_max_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        unsafe { _mm256_min_ps(a, b) }
    }
    #[inline(always)]
    unsafe fn exponent_from_bits(v: Self::V, offset: i32) -> Self::V {
        unsafe {
            let bits = _mm256_add_epi32(_mm256_castps_si256(v), _mm256_set1_epi32(offset));
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(bits))
        }
    }
    #[inline(always)]
    unsafe fn round_to_f16(v: Self::V) -> Self::V {
        unsafe { _mm256_cvtph_ps(_mm256_cvtps_ph::<_MM_FROUND_TO_NEAREST_INT>(v)) }
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        unsafe {
            let half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let quarter = _mm_add_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_add_ss(quarter, _mm_movehdup_ps(quarter)))
        }
    }
    #[inline(always)]
    unsafe fn largest(v: Self::V) -> f32 {
        unsafe {
            let half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let quarter = _mm_max_ps(half, _mm_movehl_ps(half, half));
            _mm_cvtss_f32(_mm_max_ss(quarter, _mm_movehdup_ps(quarter)))
        }
    }
}

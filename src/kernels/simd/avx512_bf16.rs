//! AVX-512 whose products are of bf16 pairs: everything is [`Avx512`]'s but the step of a product.

use super::Simd;
use super::avx512::Avx512;
use std::arch::x86_64::*;

/// Needs AVX-512 F, BW, DQ, VL and BF16.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Bf16;

/// The first `count <= 16` values of a row as bf16, nearest, ties to even.
///
/// # Safety
/// `count` values may be read and written, and the processor has AVX-512 BF16.
#[inline(always)]
pub(crate) unsafe fn store_as_bf16(from: *const f32, to: *mut u16, count: usize) {
    // SAFETY: the caller's promise; the masks keep to `count`.
    unsafe {
        let mask = ((1u32 << count) - 1) as __mmask16;
        let rounded = _mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(mask, from));
        _mm256_mask_storeu_epi16(to.cast(), mask, std::mem::transmute::<__m256bh, __m256i>(rounded));
    }
}

// SAFETY of every block below: passed on from the trait's contract.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one contract for all, stated above and at the trait")]
impl Simd for Avx512Bf16 {
    type V = __m512;
    const LANES: usize = Avx512::LANES;
    const MAX_VECTORS: usize = Avx512::MAX_VECTORS;
    const TILE_ROWS: [usize; 4] = Avx512::TILE_ROWS;

    #[inline(always)]
    unsafe fn accumulate(sum: Self::V, x: Self::V, weight: Self::V) -> Self::V {
        unsafe {
            let x = std::mem::transmute::<__m512, __m512bh>(x);
            _mm512_dpbf16_ps(sum, x, std::mem::transmute::<__m512, __m512bh>(weight))
        }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        unsafe { Avx512::splat(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        unsafe { Avx512::load(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        unsafe { Avx512::store(to, v) }
    }
    #[inline(always)]
    unsafe fn load_partial(from: *const f32, count: usize) -> Self::V {
        unsafe { Avx512::load_partial(from, count) }
    }
    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, count: usize, v: Self::V) {
        unsafe { Avx512::store_partial(to, count, v) }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        unsafe { Avx512::add(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        unsafe { Avx512::sub(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        unsafe { Avx512::mul(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        unsafe { Avx512::div(a, b) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { Avx512::mul_add(a, b, c) }
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        unsafe { Avx512::max(a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        unsafe { Avx512::min(a, b) }
    }
    #[inline(always)]
    unsafe fn exponent_from_bits(v: Self::V, offset: i32) -> Self::V {
        unsafe { Avx512::exponent_from_bits(v, offset) }
    }
    #[inline(always)]
    unsafe fn round_to_f16(v: Self::V) -> Self::V {
        unsafe { Avx512::round_to_f16(v) }
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        unsafe { Avx512::sum(v) }
    }
    #[inline(always)]
    unsafe fn largest(v: Self::V) -> f32 {
        unsafe { Avx512::largest(v) }
    }
}

//! NEON: four lanes, 32 registers. Every 64-bit ARM has it.

use super::Simd;
use std::arch::aarch64::*;

/// Needs nothing beyond the architecture's baseline.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

const LANES: usize = 4;

// SAFETY of every block below: NEON is part of the architecture and pointers are as the trait's contract says.
#[expect(clippy::undocumented_unsafe_blocks, reason = "one contract for all, stated above and at the trait")]
impl Simd for Neon {
    type V = float32x4_t;
    const LANES: usize = LANES;
    const MAX_VECTORS: usize = 4;
    const TILE_ROWS: [usize; 4] = [8, 8, 8, 6];

    #[inline(always)]
    unsafe fn splat(x: f32) -> Self::V {
        unsafe { vdupq_n_f32(x) }
    }
    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        unsafe { vld1q_f32(from) }
    }
    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        unsafe { vst1q_f32(to, v) }
    }
    #[inline(always)]
    unsafe fn load_partial(from: *const f32, count: usize) -> Self::V {
        let mut lanes = [0.0; LANES];
        unsafe {
            std::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count);
            vld1q_f32(lanes.as_ptr())
        }
    }
    #[inline(always)]
    unsafe fn store_partial(to: *mut f32, count: usize, v: Self::V) {
        let mut lanes = [0.0; LANES];
        unsafe {
            vst1q_f32(lanes.as_mut_ptr(), v);
            std::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count);
        }
    }
    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        unsafe { vaddq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V {
        unsafe { vsubq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V {
        unsafe { vmulq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V {
        unsafe { vdivq_f32(a, b) }
    }
    #[inline(always)]
    unsafe fn mul_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        unsafe { vfmaq_f32(c, a, b) }
    }
    #[inline(always)]
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V {
        unsafe { vbslq_f32(vcgtq_f32(a, b), a, b) }
    }
    #[inline(always)]
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V {
        unsafe { vbslq_f32(vcltq_f32(a, b), a, b) }
    }
    #[inline(always)]
    unsafe fn exponent_from_bits(v: Self::V, offset: i32) -> Self::V {
        unsafe {
            let bits = vaddq_s32(vreinterpretq_s32_f32(v), vdupq_n_s32(offset));
            vreinterpretq_f32_s32(vshlq_n_s32::<23>(bits))
        }
    }
    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        unsafe { vaddvq_f32(v) }
    }
    #[inline(always)]
    unsafe fn largest(v: Self::V) -> f32 {
        unsafe { vmaxvq_f32(v) }
    }
}

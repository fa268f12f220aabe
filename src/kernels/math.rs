//! exp, erf, tanh and GELU on vectors, branch-free.
//!
//! Invariant: within a few units in the last place of the exact functions (tested against f64); NaN stays NaN.

use super::simd::Simd;

/// `exp(x)`; below -87 it gives about 1e-38, above 88 about 1.6e38. Source: Cephes `expf`.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
pub(super) unsafe fn exp<S: Simd>(x: S::V) -> S::V {
    // Adding 1.5 * 2^23 rounds to whole numbers and leaves them in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // SAFETY: arithmetic on registers.
    unsafe {
        let x = S::min(S::splat(88.0), S::max(S::splat(-87.0), x));
        let round = S::splat(ROUND);
        let shifted = S::mul_add(x, S::splat(std::f32::consts::LOG2_E), round);
        let whole = S::sub(shifted, round);
        let rest = S::mul_add(whole, S::splat(-0.693_359_4), x);
        let rest = S::mul_add(whole, S::splat(2.121_944_4e-4), rest);
        let mut poly = S::splat(1.987_569_1e-4);
        for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
            poly = S::mul_add(poly, rest, S::splat(coefficient));
        }
        let value = S::add(S::mul_add(S::mul(poly, rest), rest, rest), S::splat(1.0));
        S::mul(value, S::exponent_from_bits(shifted, 127 - ROUND.to_bits() as i32))
    }
}

/// `erf(x)`. Source: the rational approximation that Eigen and XLA use for f32 (odd polynomial over even one on -4..4).
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
pub(super) unsafe fn erf<S: Simd>(x: S::V) -> S::V {
    // SAFETY: arithmetic on registers.
    unsafe {
        let x = S::min(S::splat(4.0), S::max(S::splat(-4.0), x));
        let square = S::mul(x, x);
        let mut above = S::splat(-2.726_142_3e-10);
        for coefficient in
            [2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906_3e-4, -2.954_6e-3, -1.609_603_3e-2]
        {
            above = S::mul_add(above, square, S::splat(coefficient));
        }
        let mut below = S::splat(-1.456_607_2e-5);
        for coefficient in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2] {
            below = S::mul_add(below, square, S::splat(coefficient));
        }
        S::div(S::mul(x, above), below)
    }
}

/// The exact (erf) GELU.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
pub(super) unsafe fn gelu<S: Simd>(x: S::V) -> S::V {
    // SAFETY: arithmetic on registers.
    unsafe {
        let half = S::mul(x, S::splat(0.5));
        S::mul_add(half, erf::<S>(S::mul(x, S::splat(std::f32::consts::FRAC_1_SQRT_2))), half)
    }
}

/// `x * sigmoid(1.702 x)`, CLIP's approximation of GELU.
///
/// # Safety
/// As [`Simd`].
#[inline(always)]
pub(super) unsafe fn quick_gelu<S: Simd>(x: S::V) -> S::V {
    // SAFETY: arithmetic on registers.
    unsafe { S::div(x, S::add(S::splat(1.0), exp::<S>(S::mul(x, S::splat(-1.702))))) }
}

/// What follows a product, before the result is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// The exact (erf) GELU.
    Gelu,
    /// `x * sigmoid(1.702 x)`.
    QuickGelu,
}

impl Activation {
    /// The least and the largest value, if holding within these is all that it does.
    #[inline(always)]
    pub(super) fn limits(self) -> Option<(f32, f32)> {
        match self {
            Self::None => Some((f32::NEG_INFINITY, f32::INFINITY)),
            Self::Relu => Some((0.0, f32::INFINITY)),
            Self::Relu6 => Some((0.0, 6.0)),
            Self::Gelu | Self::QuickGelu => None,
        }
    }

    /// On some vectors, the match standing outside the loop.
    ///
    /// # Safety
    /// As [`Simd`].
    #[inline(always)]
    pub(super) unsafe fn apply_each<S: Simd, const COUNT: usize>(self, xs: &mut [S::V; COUNT]) {
        // Loops, not closures: those would be compiled for the oldest machine.
        // SAFETY: arithmetic on registers.
        unsafe {
            match self {
                Self::None => {}
                Self::Relu => {
                    for x in xs {
                        *x = Self::Relu.apply::<S>(*x);
                    }
                }
                Self::Relu6 => {
                    for x in xs {
                        *x = Self::Relu6.apply::<S>(*x);
                    }
                }
                Self::Gelu => {
                    for x in xs {
                        *x = Self::Gelu.apply::<S>(*x);
                    }
                }
                Self::QuickGelu => {
                    for x in xs {
                        *x = Self::QuickGelu.apply::<S>(*x);
                    }
                }
            }
        }
    }

    /// On one vector; the match is lifted out of loops.
    ///
    /// # Safety
    /// As [`Simd`].
    #[inline(always)]
    pub(super) unsafe fn apply<S: Simd>(self, x: S::V) -> S::V {
        // SAFETY: arithmetic on registers.
        unsafe {
            match self {
                Self::None => x,
                Self::Relu => S::max(S::splat(0.0), x),
                Self::Relu6 => S::min(S::splat(6.0), S::max(S::splat(0.0), x)),
                Self::Gelu => gelu::<S>(x),
                Self::QuickGelu => quick_gelu::<S>(x),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::isa::{Isa, Kernel};
    use super::*;

    #[derive(Clone, Copy)]
    enum Function {
        Exp,
        Erf,
        Activation(Activation),
    }

    struct Apply<'a>(Function, &'a mut [f32]);

    impl Kernel for Apply<'_> {
        type Output = ();
        #[inline(always)]
        unsafe fn run<S: Simd>(self) {
            for chunk in self.1.chunks_mut(S::LANES) {
                // SAFETY: partial accesses keep to the chunk.
                unsafe {
                    let x = S::load_partial(chunk.as_ptr(), chunk.len());
                    let y = match self.0 {
                        Function::Exp => exp::<S>(x),
                        Function::Erf => erf::<S>(x),
                        Function::Activation(activation) => activation.apply::<S>(x),
                    };
                    S::store_partial(chunk.as_mut_ptr(), chunk.len(), y);
                }
            }
        }
    }

    fn apply(isa: Isa, function: Function, xs: &[f32]) -> Vec<f32> {
        let mut values = xs.to_vec();
        // SAFETY: `Apply` keeps to its slice.
        unsafe { isa.run(Apply(function, &mut values)) };
        values
    }

    /// erf by its Taylor series in f64; exact enough for |x| < 4.
    fn erf_exact(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..200 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn functions_are_exact_to_f32_on_every_machine() {
        let xs: Vec<f32> = (-4000..=4000).map(|i| i as f32 / 1000.0).collect();
        let wide: Vec<f32> = (-870..=880).map(|i| i as f32 / 10.0).collect();
        for isa in Isa::all() {
            for (x, y) in xs.iter().zip(apply(isa, Function::Exp, &xs)) {
                assert!((f64::from(y) / f64::from(*x).exp() - 1.0).abs() < 3e-7, "exp {x}");
            }
            for (x, y) in wide.iter().zip(apply(isa, Function::Exp, &wide)) {
                assert!((f64::from(y) / f64::from(*x).exp() - 1.0).abs() < 1e-6, "exp {x}");
            }
            for (x, y) in xs.iter().zip(apply(isa, Function::Erf, &xs)) {
                assert!((f64::from(y) - erf_exact(f64::from(*x))).abs() < 1e-6, "erf {x}");
            }
            for (x, y) in xs.iter().zip(apply(isa, Function::Activation(Activation::Gelu), &xs)) {
                let x = f64::from(*x);
                let want = 0.5 * x * (1.0 + erf_exact(x * std::f64::consts::FRAC_1_SQRT_2));
                assert!((f64::from(y) - want).abs() < 1e-6, "gelu {x}");
            }
            for (x, y) in xs.iter().zip(apply(isa, Function::Activation(Activation::QuickGelu), &xs)) {
                let x = f64::from(*x);
                assert!((f64::from(y) - x / (1.0 + (-1.702 * x).exp())).abs() < 1e-6, "quick gelu {x}");
            }
        }
    }

    #[test]
    fn odd_values_stay_sane_on_every_machine() {
        let xs = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 1e-40, -1e30, 1e30];
        for isa in Isa::all() {
            let exp = apply(isa, Function::Exp, &xs);
            assert!(exp[0].is_nan() && exp[1] > 1e38 && exp[2] < 1e-37 && exp[3] == 1.0 && exp[4] == 1.0);
            for activation in
                [Activation::None, Activation::Relu, Activation::Relu6, Activation::Gelu, Activation::QuickGelu]
            {
                let y = apply(isa, Function::Activation(activation), &xs);
                assert!(y[0].is_nan(), "{activation:?} on {}", isa.word());
                assert!(y[3] == 0.0 && y[4].abs() <= 1e-40, "{activation:?} {y:?}");
            }
            assert_eq!(apply(isa, Function::Activation(Activation::Relu6), &xs)[1..3], [6.0, 0.0]);
        }
    }
}

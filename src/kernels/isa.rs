//! Which instruction set the kernels use on this machine, and the door into code compiled for it.
//!
//! Invariant: an [`Isa`] other than `Portable` exists only where the machine has the set, so entering it is sound.

use super::simd::Simd;
use super::simd::portable::Portable;
use std::sync::OnceLock;

/// Environment variable that holds the kernels to an older set, for comparisons: `portable`, `avx2`, `avx512`.
pub const VARIABLE: &str = "MASKWRIGHT_CPU";

/// An instruction set that this machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Isa(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Portable,
    #[cfg(target_arch = "aarch64")]
    Neon,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX-512 with products of bf16 numbers: weights are packed as bf16.
    #[cfg(target_arch = "x86_64")]
    Avx512Bf16,
}

/// What a set's registers hold.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Values in a vector.
    pub(super) lanes: usize,
    /// Vectors across the widest panel.
    pub(super) max_vectors: usize,
    /// Rows of a tile whose panel is 1, 2, 3 or 4 vectors wide.
    pub(super) tile_rows: [usize; 4],
}

/// Work that can be compiled for any set.
pub(super) trait Kernel {
    /// What it gives.
    type Output;
    /// Must be `#[inline(always)]`, and so must all that it calls.
    ///
    /// # Safety
    /// `S` is there, which [`Isa::run`] sees to; and whatever the kernel itself asks of its slices and pointers.
    unsafe fn run<S: Simd>(self) -> Self::Output;
}

impl Isa {
    /// Plain Rust, everywhere.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The best set of this machine, or the one that [`VARIABLE`] holds it to; found once.
    pub fn best() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| {
            let all = Self::all();
            let most = all.last().copied().unwrap_or(Self::PORTABLE);
            let Ok(wish) = std::env::var(VARIABLE) else { return most };
            all.into_iter().find(|isa| isa.word() == wish).unwrap_or_else(|| {
                tracing::warn!("{VARIABLE}={wish} is no instruction set of this machine; using {}", most.word());
                most
            })
        })
    }

    /// The best set with weights held as bf16 and sums in f32, where the machine multiplies such numbers in one
    /// instruction; [`VARIABLE`] may forbid it.
    pub fn best_bf16() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        if Self::best().0 == Kind::Avx512 && std::arch::is_x86_feature_detected!("avx512bf16") {
            return Some(Self(Kind::Avx512Bf16));
        }
        None
    }

    /// The same set with weights held as f32.
    pub fn with_f32_products(self) -> Self {
        #[cfg(target_arch = "x86_64")]
        if self.0 == Kind::Avx512Bf16 {
            return Self(Kind::Avx512);
        }
        self
    }

    /// Every set with f32 products that this machine has, the best last.
    pub fn all() -> Vec<Self> {
        #[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), expect(unused_mut))]
        let mut all = vec![Kind::Portable];
        #[cfg(target_arch = "aarch64")]
        all.push(Kind::Neon);
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") && has!("fma") && has!("f16c") {
                all.push(Kind::Avx2);
            }
            if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") && has!("fma") {
                all.push(Kind::Avx512);
            }
        }
        all.into_iter().map(Self).collect()
    }

    /// Its name for people.
    pub fn name(self) -> &'static str {
        match self.word() {
            "neon" => "NEON",
            "avx2" => "AVX2",
            "avx512" | "avx512bf16" => "AVX-512",
            other => other,
        }
    }

    /// `portable`, `neon`, `avx2`, `avx512` or `avx512bf16`.
    pub fn word(self) -> &'static str {
        match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "neon",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Bf16 => "avx512bf16",
        }
    }

    /// Whether weights are packed as bf16.
    pub(super) fn packs_bf16(self) -> bool {
        self != self.with_f32_products()
    }

    /// The shapes of its registers.
    pub(super) fn shape(self) -> Shape {
        struct Ask;
        impl Kernel for Ask {
            type Output = Shape;
            #[inline(always)]
            unsafe fn run<S: Simd>(self) -> Self::Output {
                Shape { lanes: S::LANES, max_vectors: S::MAX_VECTORS, tile_rows: S::TILE_ROWS }
            }
        }
        // SAFETY: it touches no memory.
        unsafe { self.run(Ask) }
    }

    /// Runs a kernel compiled for this set.
    ///
    /// # Safety
    /// What the kernel asks of its slices and pointers.
    #[inline]
    pub(super) unsafe fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            // SAFETY: plain Rust; the caller vouches for the kernel's own needs.
            Kind::Portable => unsafe { kernel.run::<Portable>() },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: as above; every 64-bit ARM has NEON.
            Kind::Neon => unsafe { kernel.run::<super::simd::neon::Neon>() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above; this variant is made only after asking the processor.
            Kind::Avx2 => unsafe { enter_avx2(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Kind::Avx512 | Kind::Avx512Bf16 => unsafe { enter_avx512(kernel) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Isa {
    /// Runs a kernel whose products are of bf16 pairs.
    ///
    /// # Safety
    /// What the kernel asks of its slices and pointers.
    #[inline]
    pub(super) unsafe fn run_bf16<K: Kernel>(self, kernel: K) -> K::Output {
        assert_eq!(self.0, Kind::Avx512Bf16, "only this set has such products");
        // SAFETY: this variant is made only after asking the processor; the caller vouches for the rest.
        unsafe { enter_avx512_bf16(kernel) }
    }
}

/// # Safety
/// The machine has what [`enter_avx512`] needs and AVX-512 BF16; the kernel's own needs.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
unsafe fn enter_avx512_bf16<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: passed on.
    unsafe { kernel.run::<super::simd::avx512_bf16::Avx512Bf16>() }
}

/// # Safety
/// The machine has AVX2, FMA and F16C; the kernel's own needs.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn enter_avx2<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: passed on.
    unsafe { kernel.run::<super::simd::avx2::Avx2>() }
}

/// # Safety
/// The machine has AVX-512 F, BW, DQ, VL and FMA; the kernel's own needs.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
unsafe fn enter_avx512<K: Kernel>(kernel: K) -> K::Output {
    // SAFETY: passed on.
    unsafe { kernel.run::<super::simd::avx512::Avx512>() }
}

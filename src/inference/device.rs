//! Where models run, said honestly: a GPU when this build supports one and it opens, else the CPU, and why.
//!
//! Invariant: no silent fallback. A build for CUDA or Metal that ends up on the CPU says so in the description that the
//! status bar and `--json` show.

use crate::kernels::{Cpu, Isa};
use candle_core::Device;
use serde::{Deserialize, Serialize};

/// Whose code computes on the CPU. GPUs always run candle's kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// This program's own kernels, and candle's where there is none.
    #[default]
    Ours,
    /// candle's kernels alone: what ours are measured and checked against.
    Candle,
}

/// Of the arithmetic: how weights and activations are held. Sums are always in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32 bits.
    #[default]
    F32,
    /// bfloat16: the range of f32 with 8 bits of precision.
    Bf16,
}

impl Precision {
    /// What the variable [`PRECISION_VARIABLE`] asks for; f32 where it is not set.
    fn wished() -> Self {
        let Ok(wish) = std::env::var(PRECISION_VARIABLE) else { return Self::default() };
        match wish.as_str() {
            "f32" => Self::F32,
            "bf16" => Self::Bf16,
            other => {
                tracing::warn!("{PRECISION_VARIABLE}={other} is neither f32 nor bf16; computing in f32");
                Self::F32
            }
        }
    }
}

/// Environment variable that holds the arithmetic of models on the CPU: `f32` (default) or `bf16`, which is faster where
/// the processor has it and changes masks a little (docs/performance.md says how much).
pub const PRECISION_VARIABLE: &str = "MASKWRIGHT_PRECISION";

/// The device that models are loaded onto, and its name for people.
#[derive(Debug, Clone)]
pub struct ComputeDevice {
    /// candle's handle.
    pub device: Device,
    /// Whose kernels run if the device is the CPU.
    pub engine: Engine,
    /// Of the arithmetic in [`Engine::Ours`].
    pub precision: Precision,
    /// `CPU (2 threads, AVX-512)`, `CUDA device 0`, or `CPU (...); CUDA is not usable: ...`.
    pub description: String,
}

impl ComputeDevice {
    /// The CPU, whatever else is there.
    pub fn cpu() -> Self {
        Self::cpu_with(Engine::default(), Precision::default())
    }

    /// The CPU with these kernels and this arithmetic.
    ///
    /// Where bf16 was asked for and the machine or the engine has no products of such numbers, the arithmetic is f32, and
    /// [`ComputeDevice::precision`] says so.
    pub fn cpu_with(engine: Engine, precision: Precision) -> Self {
        let has_bf16 = engine == Engine::Ours && Cpu::with_bf16().is_some();
        let precision = if has_bf16 { precision } else { Precision::F32 };
        Self { device: Device::Cpu, engine, precision, description: cpu_description(engine, precision) }
    }

    /// What this program's own kernels compute with.
    pub fn kernels(&self) -> Cpu {
        match self.precision {
            Precision::F32 => Cpu::new(),
            Precision::Bf16 => Cpu::with_bf16().unwrap_or_default(),
        }
    }

    /// What a model's id ends with, so that embeddings and masks of one arithmetic are never taken for those of another.
    pub(crate) fn id_suffix(&self) -> &'static str {
        match self.precision {
            Precision::F32 => "",
            Precision::Bf16 => "+bf16",
        }
    }

    /// Whether models compute with this program's own kernels.
    pub fn uses_kernels(&self) -> bool {
        self.device.is_cpu() && self.engine == Engine::Ours
    }

    /// The best device that this build supports and this machine offers.
    pub fn best() -> Self {
        let mut failures = Vec::new();
        if cfg!(feature = "cuda") {
            match Device::new_cuda(0) {
                Ok(device) => return Self::gpu(device, "CUDA device 0"),
                Err(error) => failures.push(format!("CUDA is not usable: {error}")),
            }
        }
        if cfg!(feature = "metal") {
            match Device::new_metal(0) {
                Ok(device) => return Self::gpu(device, "Metal device 0"),
                Err(error) => failures.push(format!("Metal is not usable: {error}")),
            }
        }
        let wish = Precision::wished();
        let mut cpu = Self::cpu_with(Engine::default(), wish);
        if cpu.precision != wish {
            tracing::warn!("{} has no products of bf16 numbers; computing in f32", cpu.description);
        }
        for failure in failures {
            // Errors of drivers run over many lines; the first says what is missing.
            let failure = failure.lines().next().unwrap_or_default().to_owned();
            tracing::warn!("{failure}; computing on the CPU");
            cpu.description = format!("{}; {failure}", cpu.description);
        }
        cpu
    }

    fn gpu(device: Device, description: &str) -> Self {
        Self { device, engine: Engine::default(), precision: Precision::default(), description: description.to_owned() }
    }
}

/// `CPU (2 threads, AVX-512)`: what the matrix products will use.
fn cpu_description(engine: Engine, precision: Precision) -> String {
    let threads = candle_core::utils::get_num_threads();
    let plural = if threads == 1 { "" } else { "s" };
    let set = match engine {
        Engine::Ours => Isa::best().name(),
        Engine::Candle => instruction_set(),
    };
    let precision = if precision == Precision::Bf16 { ", bf16" } else { "" };
    format!("CPU ({threads} thread{plural}, {set}{precision})")
}

#[cfg(target_arch = "x86_64")]
fn instruction_set() -> &'static str {
    // The same questions that the gemm crate asks when it picks its kernel.
    if std::arch::is_x86_feature_detected!("avx512f") {
        "AVX-512"
    } else if std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") {
        "AVX2"
    } else {
        "SSE2"
    }
}

#[cfg(target_arch = "aarch64")]
fn instruction_set() -> &'static str {
    "NEON"
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn instruction_set() -> &'static str {
    "portable"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_description_tells_what_runs() {
        let cpu = ComputeDevice::cpu();
        assert!(cpu.device.is_cpu());
        assert!(cpu.description.starts_with("CPU (") && cpu.description.contains("thread"), "{}", cpu.description);
        assert_eq!((cpu.engine, cpu.precision), (Engine::Ours, Precision::F32));
        let candle = ComputeDevice::cpu_with(Engine::Candle, Precision::F32);
        assert!(candle.device.is_cpu() && candle.engine == Engine::Candle);
        let best = ComputeDevice::best();
        assert_eq!(best.device.is_cpu(), best.description.starts_with("CPU ("), "{}", best.description);
    }
}

//! How many threads compute, settled once before the first tensor.
//!
//! candle asks for the number at every matrix product: it reads `RAYON_NUM_THREADS`, and where that is not set it counts
//! cores, on Linux by reading /proc/cpuinfo each time (a quarter of an encode in small models). It also counts the
//! machine's cores, not those that this process may use. So the number is worked out here and put where candle looks.

use std::num::NonZero;

/// The variable that rayon and candle read; a user's own setting wins.
const VARIABLE: &str = "RAYON_NUM_THREADS";

/// Settles the number of computing threads: physical cores, but no more than this process may use. Call it first in
/// `main`; later calls, and calls after other threads were started, change less or nothing. Gives the number.
pub fn settle_threads() -> usize {
    let wish = std::env::var(VARIABLE).ok().and_then(|text| text.parse::<usize>().ok()).filter(|&n| n > 0);
    let threads = wish.unwrap_or_else(|| {
        let allowed = std::thread::available_parallelism().map_or(1, NonZero::get);
        candle_core::utils::get_num_threads().min(allowed)
    });
    if wish.is_none() {
        tell_candle(threads);
    }
    crate::kernels::pool::set_threads(threads);
    // An error means that the pool exists already: then its size stands.
    let _ = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|index| format!("compute {index}"))
        .build_global();
    threads
}

/// Sets the variable where counting is slow and setting is provably safe.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the only way to give candle a number of threads is the environment")]
fn tell_candle(threads: usize) {
    let alone = std::fs::read_dir("/proc/self/task").is_ok_and(|tasks| tasks.count() == 1);
    if alone {
        // SAFETY: `set_var` is unsound only while another thread may read the environment. The kernel has just said
        // that this process has one thread, which is here, and nothing can start another one in between.
        unsafe { std::env::set_var(VARIABLE, threads.to_string()) };
    }
}

/// Elsewhere candle's counting is one cheap system call, and nothing needs to be told.
#[cfg(not(target_os = "linux"))]
fn tell_candle(_threads: usize) {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settling_twice_is_harmless_and_never_exceeds_what_is_allowed() {
        let first = settle_threads();
        assert!(first >= 1);
        assert_eq!(settle_threads(), first);
        if std::env::var(VARIABLE).is_err() {
            assert!(first <= std::thread::available_parallelism().map_or(1, NonZero::get));
        }
    }
}

//! What the program holds in memory, as the system counts it.

/// Resident memory of this process in MiB; `None` where /proc does not tell.
pub fn resident_mib() -> Option<f64> {
    field_mib("VmRSS:")
}

/// The most that it was so far.
pub fn peak_resident_mib() -> Option<f64> {
    field_mib("VmHWM:")
}

fn field_mib(name: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_at_least_what_is_held_now() {
        let now = resident_mib().unwrap();
        assert!(now > 0.5 && peak_resident_mib().unwrap() >= now);
    }
}

//! How masks and prompts stand in the file, and the checksum over them.

use crate::raster::Mask;
use sha2::{Digest, Sha256};

/// Run lengths as LEB128: 7 bits a byte, lowest first, the top bit says that more follow.
pub fn bytes_from_runs(runs: &[u32]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(runs.len() * 2);
    for &run in runs {
        let mut rest = run;
        while rest >= 0x80 {
            bytes.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        bytes.push(rest as u8);
    }
    bytes
}

/// The inverse of [`bytes_from_runs`]; `None` for bytes that it never gives.
pub fn runs_from_bytes(bytes: &[u8]) -> Option<Vec<u32>> {
    let mut runs = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(&first) = rest.next() {
        let (mut byte, mut run, mut shift) = (first, 0u32, 0);
        loop {
            let part = u32::from(byte & 0x7f);
            if shift > 28 || (shift == 28 && part > 0x0f) {
                return None;
            }
            run |= part << shift;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
            byte = *rest.next()?;
        }
        runs.push(run);
    }
    Some(runs)
}

/// The first 8 bytes of a SHA-256 over all that makes the mask and how it came to be.
pub fn checksum(mask: &Mask, runs: &[u8], prompt: Option<&str>) -> [u8; 8] {
    let mut hash = Sha256::new();
    hash.update(mask.width().to_le_bytes());
    hash.update(mask.height().to_le_bytes());
    hash.update((runs.len() as u64).to_le_bytes());
    hash.update(runs);
    hash.update(prompt.unwrap_or_default().as_bytes());
    let mut short = [0; 8];
    short.copy_from_slice(&hash.finalize()[..8]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn runs_come_back(runs in proptest::collection::vec(any::<u32>(), 0..50)) {
            prop_assert_eq!(runs_from_bytes(&bytes_from_runs(&runs)), Some(runs));
        }

        #[test]
        fn any_bytes_are_runs_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..50)) {
            if let Some(runs) = runs_from_bytes(&bytes) {
                prop_assert!(runs.len() <= bytes.len());
            }
        }
    }

    #[test]
    fn cut_and_overlong_runs_are_refused() {
        assert_eq!(runs_from_bytes(&[0x80]), None);
        assert_eq!(runs_from_bytes(&[0xff, 0xff, 0xff, 0xff, 0x1f]), None);
        assert_eq!(runs_from_bytes(&[0xff, 0xff, 0xff, 0xff, 0x0f]), Some(vec![u32::MAX]));
    }
}

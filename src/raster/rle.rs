//! COCO's compressed run lengths: a mask as a short ASCII string.
//!
//! Source: cocoapi `maskApi.c`, `rleToString` and `rleFrString`. From the fourth run on, the difference to the run
//! two places back is stored; numbers are split into groups of 5 bits, lowest first; bit 0x20 says that more groups
//! follow, bit 0x10 of the last one is the sign; 48 is added, which gives the characters '0'..='o'.
//! Invariant: `decode(encode(mask)) == mask`, and decoding accepts nothing that does not cover the picture exactly.

use super::{Mask, MaskError};

/// Why a string is no mask.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum RleStringError {
    /// A character that the encoding never writes.
    #[error("character {at} of the run-length string is byte {byte}, expected '0' to 'o' (48 to 111)")]
    Character {
        /// Which character, from 0.
        at: usize,
        /// Its byte.
        byte: u8,
    },
    /// The last number says that more is to come.
    #[error("the run-length string ends in the middle of a number; it has been cut short")]
    CutShort,
    /// A run below 0 or beyond any picture.
    #[error("run {index} of the run-length string is negative or too large; the string is damaged")]
    OutOfRange {
        /// Which run, from 0.
        index: usize,
    },
    /// The runs do not cover the picture.
    #[error(transparent)]
    Mask(#[from] MaskError),
}

/// The compressed string of a mask's runs.
pub fn rle_to_string(mask: &Mask) -> String {
    let runs = mask.runs();
    let mut text = String::with_capacity(2 * runs.len());
    for (index, &run) in runs.iter().enumerate() {
        let mut rest = i64::from(run);
        if index > 2 {
            rest -= i64::from(runs[index - 2]);
        }
        loop {
            let group = (rest & 0x1f) as u8;
            rest >>= 5;
            // Done when what is left is only the sign that the reader will extend.
            let more = if group & 0x10 != 0 { rest != -1 } else { rest != 0 };
            text.push(char::from(48 + group + if more { 0x20 } else { 0 }));
            if !more {
                break;
            }
        }
    }
    text
}

/// The mask of a compressed string for a picture of this size.
///
/// # Errors
/// [`RleStringError`] for foreign characters, a cut string, runs out of range, or runs that do not cover exactly
/// `width * height` pixels.
pub fn rle_from_string(width: u32, height: u32, text: &str) -> Result<Mask, RleStringError> {
    // 35 bits hold any difference of two runs; as many groups again leave room for padded numbers and nothing else.
    const MOST_BITS: u32 = 60;
    let mut runs: Vec<u32> = Vec::new();
    let (mut value, mut shift) = (0i64, 0u32);
    for (at, byte) in text.bytes().enumerate() {
        let group = match byte {
            48..=111 => i64::from(byte - 48),
            _ => return Err(RleStringError::Character { at, byte }),
        };
        let out_of_range = RleStringError::OutOfRange { index: runs.len() };
        if shift >= MOST_BITS {
            return Err(out_of_range);
        }
        value |= (group & 0x1f) << shift;
        shift += 5;
        if group & 0x20 != 0 {
            continue;
        }
        if group & 0x10 != 0 {
            value |= -1 << shift;
        }
        if runs.len() > 2 {
            value += i64::from(runs[runs.len() - 2]);
        }
        runs.push(u32::try_from(value).map_err(|_| out_of_range)?);
        (value, shift) = (0, 0);
    }
    if shift != 0 {
        return Err(RleStringError::CutShort);
    }
    Ok(Mask::from_runs(width, height, &runs)?)
}

#[cfg(test)]
mod tests {
    use super::super::test_masks::any_mask;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_string_is_its_mask_and_what_the_oracle_writes(mask in any_mask()) {
            let text = rle_to_string(&mask);
            let oracle = hotcoco::Rle { h: mask.height(), w: mask.width(), counts: mask.runs().to_vec() };
            prop_assert_eq!(&text, &hotcoco::mask::rle_to_string(&oracle));
            prop_assert_eq!(rle_from_string(mask.width(), mask.height(), &text), Ok(mask));
        }

        #[test]
        fn any_text_is_a_mask_or_an_error(text in "[ -~]{0,12}|[0-o]{0,40}", width in 1u32..9, height in 1u32..9) {
            if let Ok(mask) = rle_from_string(width, height, &text) {
                prop_assert_eq!(mask.runs().iter().sum::<u32>(), width * height);
            }
        }
    }

    #[test]
    fn long_runs_survive() {
        let (width, height) = (65_535, 65_535);
        let runs = [0, 1, 4_000_000_000, 2, width * height - 4_000_000_003];
        let mask = Mask::from_runs(width, height, &runs).unwrap();
        assert_eq!(rle_from_string(width, height, &rle_to_string(&mask)), Ok(mask));
    }

    #[test]
    fn damaged_strings_are_refused_with_the_place() {
        // pycocotools: encode(np.asfortranarray([[0, 1], [1, 1]], uint8)) gives counts b"13".
        assert_eq!(rle_from_string(2, 2, "13").unwrap().runs(), &[1, 3]);
        assert_eq!(rle_from_string(2, 2, "1 3"), Err(RleStringError::Character { at: 1, byte: b' ' }));
        assert_eq!(rle_from_string(2, 2, "1p"), Err(RleStringError::Character { at: 1, byte: b'p' }));
        assert_eq!(rle_from_string(2, 2, "1P"), Err(RleStringError::CutShort));
        assert_eq!(rle_from_string(2, 2, "1O"), Err(RleStringError::OutOfRange { index: 1 }));
        assert_eq!(rle_from_string(2, 2, &"o".repeat(40)), Err(RleStringError::OutOfRange { index: 0 }));
        let sum = |found| Err(RleStringError::Mask(MaskError::Sum { width: 2, height: 2, expected: 4, found }));
        assert_eq!(rle_from_string(2, 2, "12"), sum(3));
        assert_eq!(rle_from_string(2, 2, "14"), sum(5));
        assert_eq!(rle_from_string(2, 2, ""), sum(0));
    }
}

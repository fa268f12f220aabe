//! The name by which a project knows a picture: its path relative to the project's folder, with forward slashes.
//!
//! Invariant: a name never leaves the folder: it is not empty, not absolute, and has no `.` or `..` part. Names are
//! ordered as people count: `photo-2` before `photo-10`.

use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Why a text is no picture name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("the picture name {0:?} is not a path inside the project's folder; expected something like photo.jpg")]
pub struct ImageNameError(
    /// What was given.
    pub String,
);

/// A picture's name in its project. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ImageName(Arc<str>);

impl ImageName {
    /// Checks a relative path with forward slashes.
    ///
    /// # Errors
    /// A text that is empty, absolute, or leaves the folder.
    pub fn new(text: &str) -> Result<Self, ImageNameError> {
        let fits = !text.is_empty()
            && !text.contains(['\\', '\0'])
            && text.split('/').all(|part| !part.is_empty() && part != "." && part != "..")
            && !Path::new(text).has_root();
        if fits { Ok(Self(text.into())) } else { Err(ImageNameError(text.to_owned())) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where the picture lies.
    pub fn path_in(&self, folder: &Path) -> PathBuf {
        self.0.split('/').fold(folder.to_path_buf(), |path, part| path.join(part))
    }
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<ImageName> for String {
    fn from(name: ImageName) -> Self {
        name.0.to_string()
    }
}

impl TryFrom<String> for ImageName {
    type Error = ImageNameError;
    fn try_from(text: String) -> Result<Self, ImageNameError> {
        Self::new(&text)
    }
}

impl Ord for ImageName {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_counting(&self.0, &other.0).then_with(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for ImageName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Compares texts with runs of digits taken as numbers and letters without regard to case.
fn compare_counting(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (digits_a, digits_b) = (leading_digits(a), leading_digits(b));
        if digits_a > 0 && digits_b > 0 {
            let (number_a, number_b) = (a[..digits_a].trim_start_matches('0'), b[..digits_b].trim_start_matches('0'));
            let order = number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (&a[digits_a..], &b[digits_b..]);
            continue;
        }
        let (mut rest_a, mut rest_b) = (a.chars(), b.chars());
        match (rest_a.next(), rest_b.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => {
                let order = x.to_lowercase().cmp(y.to_lowercase());
                if order != Ordering::Equal {
                    return order;
                }
            }
        }
        (a, b) = (rest_a.as_str(), rest_b.as_str());
    }
}

fn leading_digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_stay_in_the_folder() {
        for bad in ["", "/a.png", "../a.png", "a/../b.png", "a//b.png", ".", "a/", "a\\b.png", "a\0.png"] {
            assert!(ImageName::new(bad).is_err(), "{bad:?}");
        }
        let name = ImageName::new("sub/a b ü.png").unwrap();
        assert_eq!(name.path_in(Path::new("root")), Path::new("root").join("sub").join("a b ü.png"));
    }

    #[test]
    fn names_are_ordered_as_people_count() {
        let mut names: Vec<_> = ["b10.png", "B2.png", "a.png", "b02.png", "b1x.png", "10.png", "9.png"]
            .map(|n| ImageName::new(n).unwrap())
            .to_vec();
        names.sort();
        let sorted: Vec<_> = names.iter().map(ImageName::as_str).collect();
        assert_eq!(sorted, ["9.png", "10.png", "a.png", "b1x.png", "B2.png", "b02.png", "b10.png"]);
    }

    proptest! {
        #[test]
        fn the_order_is_total(a in "[aAbB0-9äÄ]{1,6}", b in "[aAbB0-9äÄ]{1,6}", c in "[aAbB0-9äÄ]{1,6}") {
            let [a, b, c] = [a, b, c].map(|text| ImageName::new(&text).unwrap());
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            prop_assert_eq!(a == b, a.cmp(&b) == Ordering::Equal);
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
        }
    }
}

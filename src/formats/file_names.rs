//! File names made of words that anyone may have typed: labels, and names of pictures from elsewhere.
//!
//! Invariant: a name from here is one path component, never leads out of its folder, is at most 255 bytes long and is
//! allowed on Linux, macOS and Windows alike.

use std::collections::HashSet;
use std::path::{Component, Path};

/// Most bytes of a file name on the usual file systems.
pub const MAX_NAME_BYTES: usize = 255;

/// Room that is kept for a number that makes a name unique, such as "-12345".
const NUMBER_BYTES: usize = 12;

/// Names that Windows keeps for devices, whatever their ending.
const RESERVED: [&str; 22] = [
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9",
];

/// The text as part of a file name of at most `most_bytes` bytes: letters of any script stay, what a file system or a
/// shell may trip over becomes '_'. Never empty.
pub fn safe_part(text: &str, most_bytes: usize) -> String {
    let mut part = String::new();
    for character in text.trim().chars() {
        let kept = if is_risky(character) { '_' } else { character };
        if part.len() + kept.len_utf8() > most_bytes {
            break;
        }
        part.push(kept);
    }
    // Windows drops dots and spaces at the end; a dot in front hides the file.
    part.truncate(part.trim_end_matches(['.', ' ']).len());
    if part.starts_with('.') || part.starts_with('-') {
        part.replace_range(..1, "_");
    }
    let before_dot = part.split('.').next().unwrap_or_default().trim_end();
    if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(before_dot)) {
        part.insert(0, '_');
        if part.len() > most_bytes {
            part.pop();
        }
    }
    if part.is_empty() { "_".to_owned() } else { part }
}

/// Separators, what shells and Windows give a meaning to, control characters, and the marks that reverse text.
fn is_risky(character: char) -> bool {
    character.is_control()
        || matches!(character, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The name of a picture without folders and ending: the last part of a path with slashes of either kind.
pub fn stem(file_name: &str) -> &str {
    let name = file_name.rsplit(['/', '\\']).next().unwrap_or(file_name);
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

/// The name by which exports call a picture: its path below `folder` with forward slashes, or its bare file name if it
/// lies elsewhere. Bytes that are no text become the replacement character.
pub fn relative_name(folder: &Path, picture: &Path) -> String {
    let below = picture.strip_prefix(folder).unwrap_or_else(|_| picture.file_name().map_or(picture, Path::new));
    let parts: Vec<_> = below
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy()),
            _ => None,
        })
        .collect();
    parts.join("/")
}

/// Hands out every name once; file systems that ignore case are taken into account.
#[derive(Debug, Default)]
pub struct UniqueNames {
    taken: HashSet<String>,
}

impl UniqueNames {
    /// `<stem><ending>`, or with "-2", "-3" … before the ending if that was given out before. The stem is made safe and
    /// shortened; `ending` is the caller's own, such as ".png".
    pub fn make(&mut self, wanted_stem: &str, ending: &str) -> String {
        let stem = safe_part(wanted_stem, MAX_NAME_BYTES - NUMBER_BYTES - ending.len());
        let mut name = format!("{stem}{ending}");
        let mut number = 2;
        while !self.taken.insert(name.to_lowercase()) {
            name = format!("{stem}-{number}{ending}");
            number += 1;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn odd_text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<String>(),
            "[./\\\\:a ]{0,12}",
            "(\\.\\./){0,4}etc/passwd",
            "(con|NUL|Lpt1)(\\.[a-z]{0,3})?",
            "\\PC{200,400}",
            Just("\u{1f9e1}".repeat(120)),
            Just("a\nb".to_owned()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn any_text_gives_one_component_inside_the_folder(texts in proptest::collection::vec(odd_text(), 1..6)) {
            let mut names = UniqueNames::default();
            let mut seen = HashSet::new();
            for text in texts.iter().chain(&texts) {
                let name = names.make(text, ".png");
                prop_assert!(name.len() <= MAX_NAME_BYTES && name.ends_with(".png"));
                let parts: Vec<_> = Path::new(&name).components().collect();
                prop_assert_eq!(&parts, &[Component::Normal(name.as_ref())]);
                prop_assert!(!name.chars().any(is_risky), "{:?}", name);
                prop_assert!(!name.starts_with(['.', '-', ' ']));
                let before_dot = name.split('.').next().unwrap().trim_end().to_lowercase();
                prop_assert!(!RESERVED.contains(&before_dot.as_str()), "{}", name);
                prop_assert!(seen.insert(name.to_lowercase()), "{} twice", name);
            }
        }
    }

    #[test]
    fn pictures_are_called_by_their_path_below_the_folder() {
        let name = |picture: &str| relative_name(Path::new("/photos"), Path::new(picture));
        assert_eq!(name("/photos/a.jpg"), "a.jpg");
        assert_eq!(name("/photos/2024/./ä b.jpg"), "2024/ä b.jpg");
        assert_eq!(name("/elsewhere/2024/c.jpg"), "c.jpg");
        assert_eq!(name("/photos/../x/d.jpg"), "x/d.jpg");
        assert_eq!(relative_name(Path::new(""), Path::new("e.jpg")), "e.jpg");
    }

    #[test]
    fn ordinary_names_stay_as_they_are() {
        assert_eq!(safe_part("Kätzchen 猫 (2).v1", 200), "Kätzchen 猫 (2).v1");
        assert_eq!(safe_part("../../a", 200), "_._.._a");
        assert_eq!(safe_part("", 10), "_");
        assert_eq!(safe_part("ééé", 5), "éé");
        assert_eq!(stem("photos/2024/cat.v1.JPG"), "cat.v1");
        assert_eq!(stem(".hidden"), ".hidden");
        let mut names = UniqueNames::default();
        assert_eq!(["Cat", "cat", "CAT"].map(|name| names.make(name, ".png")), ["Cat.png", "cat-2.png", "CAT-3.png"]);
    }
}

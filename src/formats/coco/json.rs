//! The two things that plain JSON does not do for COCO: writing ASCII only, and reading the bare NaN of Python.

use serde_json::ser::{CharEscape, Formatter};
use std::borrow::Cow;
use std::io::{self, Write};

/// Compact JSON in ASCII, with each picture, annotation and category on its own line so that files can be compared.
///
/// ASCII because pycocotools opens the file in whatever encoding the system has.
#[derive(Default)]
pub(super) struct AsciiLines {
    depth: usize,
}

/// Arrays at this depth hold the records: the object is 1, its lists are 2.
const RECORD_LISTS: usize = 2;

impl Formatter for AsciiLines {
    fn begin_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth -= 1;
        writer.write_all(b"}")
    }

    fn begin_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.depth += 1;
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let records = self.depth == RECORD_LISTS;
        self.depth -= 1;
        writer.write_all(if records { b"\n]" } else { b"]" })
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        let comma: &[u8] = if first { b"" } else { b"," };
        writer.write_all(comma)?;
        writer.write_all(if self.depth == RECORD_LISTS { b"\n" } else { b"" })
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        for character in fragment.chars() {
            if character.is_ascii() {
                writer.write_all(&[character as u8])?;
            } else {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        serde_json::ser::CompactFormatter.write_char_escape(writer, escape)
    }
}

/// The text with bare `NaN`, `Infinity` and `-Infinity`, which Python writes and JSON does not know, turned into
/// `null`: so that they spoil one record and not the whole file.
pub(super) fn without_bare_nan(text: &str) -> Cow<'_, str> {
    if !text.contains("NaN") && !text.contains("Infinity") {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len() + 64);
    let mut kept_to = 0;
    let (mut in_string, mut escaped) = (false, false);
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let mut step = 1;
        match bytes[at] {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'N' | b'I' | b'-' if !in_string => {
                let word =
                    ["NaN", "Infinity", "-Infinity"].iter().find(|word| bytes[at..].starts_with(word.as_bytes()));
                if let Some(word) = word {
                    clean.push_str(&text[kept_to..at]);
                    clean.push_str("null");
                    step = word.len();
                    kept_to = at + step;
                }
            }
            _ => {}
        }
        at += step;
    }
    clean.push_str(&text[kept_to..]);
    Cow::Owned(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_nan_becomes_null_and_text_stays() {
        assert_eq!(without_bare_nan("[1,2]"), "[1,2]");
        assert_eq!(
            without_bare_nan(r#"{"NaN":[NaN,-Infinity,Infinity,-1],"a\"NaN":"x NaN\\","b":NaN}"#),
            r#"{"NaN":[null,null,null,-1],"a\"NaN":"x NaN\\","b":null}"#
        );
    }
}

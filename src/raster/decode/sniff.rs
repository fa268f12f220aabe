//! What a file is, by its content alone: its format, whether a JPEG reaches its end, whether there is more than one
//! frame or page. Only headers and block lengths are walked; nothing is decoded and nothing is allocated.

use image::ImageFormat;

/// The formats that are read, with the name for messages.
pub(super) fn format_of(bytes: &[u8]) -> Option<(ImageFormat, &'static str)> {
    match bytes {
        [0xff, 0xd8, 0xff, ..] => Some((ImageFormat::Jpeg, "JPEG")),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some((ImageFormat::Png, "PNG")),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some((ImageFormat::WebP, "WebP")),
        [b'I', b'I', b'*' | b'+', 0, ..] | [b'M', b'M', 0, b'*' | b'+', ..] => Some((ImageFormat::Tiff, "TIFF")),
        [b'B', b'M', ..] => Some((ImageFormat::Bmp, "BMP")),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some((ImageFormat::Gif, "GIF")),
        [b'P', b'1'..=b'7', next, ..] if next.is_ascii_whitespace() || *next == b'#' => Some((ImageFormat::Pnm, "PNM")),
        _ => None,
    }
}

/// A guess at what unreadable content is, to help whoever chose the file.
pub(super) fn describe_unknown(bytes: &[u8]) -> String {
    let brand = bytes.get(4..12).unwrap_or_default();
    let known = match bytes {
        [] => "an empty file",
        _ if brand.starts_with(b"ftyphei") || brand.starts_with(b"ftyphev") || brand == b"ftypmif1" => "HEIC content",
        _ if brand.starts_with(b"ftypavi") => "AVIF content",
        _ if brand.starts_with(b"ftyp") => "video content",
        [0xff, 0x0a, ..] | [0, 0, 0, 0x0c, b'J', b'X', b'L', b' ', ..] => "JPEG XL content",
        [b'8', b'B', b'P', b'S', ..] => "Photoshop content",
        [b'%', b'P', b'D', b'F', ..] => "PDF content",
        [b'P', b'K', 3, 4, ..] => "a zip archive",
        [b'<', ..] => "XML, SVG or HTML text",
        _ => return format!("unknown content (first bytes {:02x?})", &bytes[..bytes.len().min(8)]),
    };
    known.to_owned()
}

/// Whether the file runs up to the end that its format marks. Some decoders fill what is missing with grey and say
/// nothing, and an orientation that stood at the end would be lost silently, so this is asked first.
pub(super) fn reaches_its_end(format: ImageFormat, bytes: &[u8]) -> bool {
    match format {
        ImageFormat::Jpeg => jpeg_reaches_its_end(bytes),
        ImageFormat::Png => png_reaches_its_end(bytes),
        ImageFormat::WebP => webp_reaches_its_end(bytes),
        _ => true,
    }
}

fn webp_reaches_its_end(bytes: &[u8]) -> bool {
    let length_at = |at: usize| match bytes.get(at..at + 4) {
        Some(&[a, b, c, d]) => Some(u32::from_le_bytes([a, b, c, d]) as usize),
        _ => None,
    };
    let Some(end) = length_at(4).map(|length| length.saturating_add(8)) else { return false };
    let mut at = 12usize;
    while at.saturating_add(8) <= end {
        let Some(length) = length_at(at + 4) else { return false };
        // Chunks are padded to even lengths, but not every writer pads the last.
        at = at.saturating_add(8).saturating_add(length);
        if at > bytes.len() {
            return false;
        }
        at += at % 2;
    }
    true
}

fn png_reaches_its_end(bytes: &[u8]) -> bool {
    let mut at = 8;
    while let Some(&[a, b, c, d, ref kind @ ..]) = bytes.get(at..at + 8) {
        if kind == b"IEND" {
            return true;
        }
        // Length, kind, body, checksum.
        at = at.saturating_add(u32::from_be_bytes([a, b, c, d]) as usize).saturating_add(12);
        if at > bytes.len() {
            return false;
        }
    }
    false
}

fn jpeg_reaches_its_end(bytes: &[u8]) -> bool {
    let mut at = 2;
    loop {
        // Between segments and within scans alike: the next 0xff that starts a marker. In scans 0xff00 is data and
        // 0xffd0..=0xffd7 are restart marks; 0xffff is padding.
        let Some(found) = bytes.get(at..).and_then(|rest| rest.iter().position(|&b| b == 0xff)) else { return false };
        at += found + 1;
        match bytes.get(at) {
            None => return false,
            Some(0xd9) => return true,
            Some(0xff) => {}
            Some(0 | 1 | 0xd0..=0xd8) => at += 1,
            Some(_) => match bytes.get(at + 1..at + 3) {
                Some(&[high, low]) => at += 1 + usize::from(u16::from_be_bytes([high, low])).max(2),
                _ => return false,
            },
        }
    }
}

/// Whether a GIF holds a second frame.
pub(super) fn gif_has_more_frames(bytes: &[u8]) -> bool {
    gif_frame_count(bytes, 2) >= 2
}

/// Counts frames up to `enough`. Layout: GIF89a specification, sections 17-23.
fn gif_frame_count(bytes: &[u8], enough: usize) -> usize {
    let table_bytes = |flags: u8| if flags & 0x80 != 0 { 3usize << ((flags & 7) + 1) } else { 0 };
    let Some(&flags) = bytes.get(10) else { return 0 };
    let mut at = 13 + table_bytes(flags);
    let mut frames = 0;
    while frames < enough {
        match bytes.get(at) {
            Some(0x21) => at += 2,
            Some(0x2c) => {
                frames += 1;
                let Some(&flags) = bytes.get(at + 9) else { return frames };
                at += 10 + table_bytes(flags) + 1;
            }
            _ => return frames,
        }
        // Sub-blocks: a length and as many bytes, until a length of 0.
        loop {
            match bytes.get(at) {
                Some(0) => break at += 1,
                Some(&length) => at += 1 + usize::from(length),
                None => return frames,
            }
        }
    }
    frames
}

/// Whether a TIFF's first directory points to a second page. Layout: TIFF 6.0 section 2, and BigTIFF.
pub(super) fn tiff_has_more_pages(bytes: &[u8]) -> bool {
    let little = bytes.starts_with(b"II");
    let read = |at: usize, length: usize| -> Option<usize> {
        let field = bytes.get(at..at.checked_add(length)?)?;
        let fold = |value: u64, &byte: &u8| value << 8 | u64::from(byte);
        let value = if little { field.iter().rev().fold(0, fold) } else { field.iter().fold(0, fold) };
        usize::try_from(value).ok()
    };
    let next_page = || -> Option<usize> {
        if read(2, 2)? == 43 {
            let directory = read(8, 8)?;
            read(directory.checked_add(8)?.checked_add(read(directory, 8)?.checked_mul(20)?)?, 8)
        } else {
            let directory = read(4, 4)?;
            read(directory.checked_add(2)?.checked_add(read(directory, 2)?.checked_mul(12)?)?, 4)
        }
    };
    next_page().is_some_and(|offset| offset != 0)
}

//! Decoding of small files of every format and kind, whole, cut, lying and huge.

use super::*;
use image::codecs::{gif::GifEncoder, jpeg::JpegEncoder};
use image::{DynamicImage, ImageBuffer, Luma, LumaA, RgbImage, Rgba};

const RED: [u8; 3] = [255, 0, 0];
const GREEN: [u8; 3] = [0, 255, 0];
const BLUE: [u8; 3] = [0, 0, 255];
const WHITE: [u8; 3] = [255, 255, 255];

/// Red, green / blue, white in quadrants of 24 x 16, as `tests/fixtures/make_fixtures.py` draws it too.
fn scene() -> RgbImage {
    RgbImage::from_fn(24, 16, |x, y| {
        image::Rgb(match (x < 12, y < 8) {
            (true, true) => RED,
            (false, true) => GREEN,
            (true, false) => BLUE,
            (false, false) => WHITE,
        })
    })
}

fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)).unwrap()
}

/// The colours at the centres of the four quadrants, reading order.
fn corners(picture: &Picture) -> [[u8; 3]; 4] {
    let (w, h) = (picture.width as usize, picture.height as usize);
    [(w / 4, h / 4), (3 * w / 4, h / 4), (w / 4, 3 * h / 4), (3 * w / 4, 3 * h / 4)].map(|(x, y)| {
        let at = 3 * (y * w + x);
        [picture.rgb[at], picture.rgb[at + 1], picture.rgb[at + 2]]
    })
}

fn assert_near(found: [[u8; 3]; 4], wanted: [[u8; 3]; 4], tolerance: u8, what: &str) {
    for (f, w) in found.iter().flatten().zip(wanted.iter().flatten()) {
        assert!(f.abs_diff(*w) <= tolerance, "{what}: {found:?}, expected {wanted:?}");
    }
}

/// A JPEG with an APP1 segment that says only how to turn it.
fn jpeg_with_orientation(value: u8) -> Vec<u8> {
    let mut plain = Vec::new();
    JpegEncoder::new_with_quality(&mut plain, 98).encode_image(&scene()).unwrap();
    let tiff = [b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(), &[value, 0, 0, 0, 0, 0, 0]].concat();
    let body = [b"Exif\0\0".as_slice(), &tiff].concat();
    let length = (body.len() as u16 + 2).to_be_bytes();
    [&plain[..2], &[0xff, 0xe1], &length, &body, &plain[2..]].concat()
}

#[test]
fn every_lossless_format_gives_the_same_pixels() {
    let image = DynamicImage::from(scene());
    for format in [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff, ImageFormat::Bmp, ImageFormat::Pnm] {
        let picture = decode_picture_bytes("scene", &encoded(&image, format)).unwrap();
        assert_eq!((picture.width, picture.height, &picture.rgb[..]), (24, 16, &scene().into_raw()[..]), "{format:?}");
        assert_eq!(picture.notes, [], "{format:?}");
    }
    let picture = decode_picture_bytes("scene", &encoded(&image, ImageFormat::Gif)).unwrap();
    assert_eq!(corners(&picture), [RED, GREEN, BLUE, WHITE]);
    assert_eq!(picture.notes, []);
}

#[test]
fn all_eight_exif_orientations_come_out_upright() {
    let upright = [
        [RED, GREEN, BLUE, WHITE],
        [GREEN, RED, WHITE, BLUE],
        [WHITE, BLUE, GREEN, RED],
        [BLUE, WHITE, RED, GREEN],
        [RED, BLUE, GREEN, WHITE],
        [BLUE, RED, WHITE, GREEN],
        [WHITE, GREEN, BLUE, RED],
        [GREEN, WHITE, RED, BLUE],
    ];
    for (value, wanted) in (1u8..=8).zip(upright) {
        let picture = decode_picture_bytes("turned.jpg", &jpeg_with_orientation(value)).unwrap();
        assert_eq!((picture.width, picture.height), if value < 5 { (24, 16) } else { (16, 24) }, "{value}");
        assert_near(corners(&picture), wanted, 6, &format!("orientation {value}"));
        let notes = if value == 1 { vec![] } else { vec![PictureNote::Reoriented(value)] };
        assert_eq!(picture.notes, notes);
    }
    // A value that means nothing turns nothing.
    assert_eq!(decode_picture_bytes("odd.jpg", &jpeg_with_orientation(9)).unwrap().notes, []);
    for name in ["turned.webp", "turned.png", "turned.tif"] {
        let picture = decode_picture_bytes(name, &fixture(name)).unwrap();
        assert_eq!((picture.width, picture.height), (16, 24), "{name}");
        assert_near(corners(&picture), upright[5], 12, name);
        assert_eq!(picture.notes, [PictureNote::Reoriented(6)], "{name}");
    }
}

#[test]
fn turning_agrees_with_the_image_crate_pixel_for_pixel() {
    let image = RgbImage::from_fn(7, 5, |x, y| image::Rgb([x as u8, y as u8, (x * y) as u8]));
    for value in 1u8..=8 {
        let orientation = Orientation::from_exif(value).unwrap();
        let mut rgb = vec![0; 7 * 5 * 3];
        pixels::fill_oriented_rgb(image.as_raw(), (7, 5), ColorType::Rgb8, orientation, &mut rgb);
        let mut wanted = DynamicImage::from(image.clone());
        wanted.apply_orientation(orientation);
        assert_eq!(rgb, wanted.into_rgb8().into_raw(), "orientation {value}");
    }
}

#[test]
fn deep_grey_and_transparent_pictures_are_reduced_and_say_so() {
    let deep = ImageBuffer::from_fn(4, 1, |x, _| Luma([[0u16, 0x0101, 0x8080, 0xffff][x as usize]]));
    let picture = decode_picture_bytes("deep.png", &encoded(&deep.into(), ImageFormat::Png)).unwrap();
    assert_eq!(picture.rgb[..], [0, 0, 0, 1, 1, 1, 128, 128, 128, 255, 255, 255]);
    assert_eq!(picture.notes, [PictureNote::ReducedTo8Bit]);

    let grey_alpha = ImageBuffer::from_fn(3, 1, |x, _| LumaA([100u8, [0, 128, 255][x as usize]]));
    let picture = decode_picture_bytes("ga.png", &encoded(&grey_alpha.into(), ImageFormat::Png)).unwrap();
    assert_eq!(picture.rgb[..], [255, 255, 255, 177, 177, 177, 100, 100, 100]);
    assert_eq!(picture.notes, [PictureNote::AlphaFlattened]);

    let opaque = ImageBuffer::from_pixel(2, 2, Rgba([9u8, 8, 7, 255]));
    let picture = decode_picture_bytes("opaque.png", &encoded(&opaque.into(), ImageFormat::Png)).unwrap();
    assert_eq!((&picture.rgb[..3], picture.notes.len()), (&[9, 8, 7][..], 0));

    let deep_alpha = ImageBuffer::from_pixel(1, 1, Rgba([0u16, 0xffff, 0, 0x8000]));
    let picture = decode_picture_bytes("rgba16.tif", &encoded(&deep_alpha.into(), ImageFormat::Tiff)).unwrap();
    assert_eq!(picture.rgb[..], [127, 255, 127]);
    assert_eq!(picture.notes, [PictureNote::ReducedTo8Bit, PictureNote::AlphaFlattened]);
}

#[test]
fn cmyk_progressive_and_palette_pictures_have_the_right_colours() {
    for (name, tolerance) in [("cmyk.jpg", 12), ("progressive.jpg", 12), ("palette.bmp", 0)] {
        let picture = decode_picture_bytes(name, &fixture(name)).unwrap();
        assert_near(corners(&picture), [RED, GREEN, BLUE, WHITE], tolerance, name);
    }
}

#[test]
fn of_several_frames_the_first_is_shown_and_it_is_said() {
    let mut gif = Vec::new();
    {
        let mut encoder = GifEncoder::new(&mut gif);
        for color in [[200, 0, 0, 255], [0, 200, 0, 255]] {
            let frame = ImageBuffer::from_pixel(6, 4, Rgba::<u8>(color));
            encoder.encode_frame(image::Frame::new(frame)).unwrap();
        }
    }
    let picture = decode_picture_bytes("moving.gif", &gif).unwrap();
    assert_eq!((&picture.rgb[..3], &picture.notes[..]), (&[200, 0, 0][..], &[PictureNote::FirstFrameOnly][..]));
    for name in ["animated.webp", "animated.png", "two_pages.tif"] {
        let picture = decode_picture_bytes(name, &fixture(name)).unwrap();
        assert_eq!(corners(&picture), [RED, GREEN, BLUE, WHITE], "{name}");
        assert_eq!(picture.notes, [PictureNote::FirstFrameOnly], "{name}");
    }
}

/// A PNG that is only a header: signature, IHDR, IDAT of nothing, IEND.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], body: &[u8]| {
        let mut crc = !0u32;
        for &byte in kind.iter().chain(body) {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
            }
        }
        [&(body.len() as u32).to_be_bytes()[..], kind, body, &(!crc).to_be_bytes()].concat()
    };
    let header = [&width.to_be_bytes()[..], &height.to_be_bytes(), &[8, 6, 0, 0, 0]].concat();
    let zlib = [0x78, 0x9c, 3, 0, 0, 0, 0, 1];
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &header), &chunk(b"IDAT", &zlib), &chunk(b"IEND", b"")].concat()
}

#[test]
fn sizes_beyond_the_caps_are_refused_from_the_header() {
    let bomb = png_header(60_000, 60_000);
    assert!(bomb.len() < 80);
    let refused = decode_picture_bytes("bomb.png", &bomb).unwrap_err();
    assert!(matches!(refused, PictureError::TooManyPixels { width: 60_000, height: 60_000, .. }), "{refused}");
    assert!(refused.to_string().starts_with("bomb.png: ") && refused.to_string().contains("14400000000"), "{refused}");

    let long = decode_picture_bytes("long.png", &png_header(70_000, 1)).unwrap_err();
    assert!(matches!(long, PictureError::SideTooLong { width: 70_000, height: 1, .. }), "{long}");
    let none = decode_picture_bytes("none.png", &png_header(0, 5)).unwrap_err();
    assert!(matches!(none, PictureError::NoPixels { .. } | PictureError::Damaged { .. }), "{none}");
    let pnm = decode_picture_bytes("huge.ppm", b"P6 65535 65535 255\n").unwrap_err();
    assert!(matches!(pnm, PictureError::TooManyPixels { .. }), "{pnm}");
    let pnm = decode_picture_bytes("none.ppm", b"P6 0 4 255\n").unwrap_err();
    assert!(matches!(pnm, PictureError::NoPixels { .. } | PictureError::Damaged { .. }), "{pnm}");

    // The other formats' headers, patched to lie about the size.
    let mut bmp = encoded(&scene().into(), ImageFormat::Bmp);
    bmp[18..26].copy_from_slice(&[0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0]);
    let refused = decode_picture_bytes("liar.bmp", &bmp).unwrap_err();
    assert!(matches!(refused, PictureError::TooManyPixels { width: 65_535, .. }), "{refused}");
    let mut gif = encoded(&scene().into(), ImageFormat::Gif);
    gif[6..10].fill(0xff);
    let refused = decode_picture_bytes("liar.gif", &gif).unwrap_err();
    assert!(matches!(refused, PictureError::TooManyPixels { width: 65_535, .. }), "{refused}");
    let mut jpeg = jpeg_with_orientation(1);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xff);
    let refused = decode_picture_bytes("liar.jpg", &jpeg).unwrap_err();
    assert!(matches!(refused, PictureError::TooManyPixels { width: 65_535, .. }), "{refused}");
}

#[test]
fn one_pixel_and_one_long_column_are_pictures() {
    for (width, height) in [(1, 1), (1, 20_000), (20_000, 1)] {
        let image = RgbImage::from_pixel(width, height, image::Rgb([1, 2, 3]));
        for format in [ImageFormat::Png, ImageFormat::Bmp, ImageFormat::Tiff, ImageFormat::Pnm, ImageFormat::Jpeg] {
            let picture = decode_picture_bytes("thin", &encoded(&image.clone().into(), format)).unwrap();
            assert_eq!((picture.width, picture.height), (width, height), "{format:?}");
            assert_eq!(picture.rgb.len(), 3 * 20_000usize.pow(u32::from(width * height > 1)));
        }
    }
}

#[test]
fn a_file_cut_anywhere_is_an_error_or_a_picture_and_never_a_panic() {
    let image = DynamicImage::from(scene());
    let mut files: Vec<(String, Vec<u8>)> =
        [ImageFormat::Png, ImageFormat::WebP, ImageFormat::Tiff, ImageFormat::Bmp, ImageFormat::Pnm, ImageFormat::Gif]
            .map(|format| (format!("{format:?}"), encoded(&image, format)))
            .into();
    files.push(("exif.jpg".to_owned(), jpeg_with_orientation(6)));
    for name in [
        "cmyk.jpg",
        "progressive.jpg",
        "animated.webp",
        "animated.png",
        "turned.webp",
        "turned.png",
        "turned.tif",
        "two_pages.tif",
        "float.tif",
        "palette.bmp",
    ] {
        files.push((name.to_owned(), fixture(name)));
    }
    for (name, bytes) in files {
        let whole = decode_picture_bytes(&name, &bytes);
        let mut refused = 0;
        for length in 0..bytes.len() {
            match decode_picture_bytes(&name, &bytes[..length]) {
                Ok(cut) => {
                    let whole = whole.as_ref().ok().map(|w| (w.width, w.height));
                    assert_eq!(Some((cut.width, cut.height)), whole, "{name} cut at {length} of {}", bytes.len());
                }

                Err(error) => {
                    refused += 1;
                    let text = error.to_string();
                    assert!(text.starts_with(&format!("{name}: ")) && text.contains("; "), "{text}");
                }
            }
        }
        // Only what lies after the pixels may be missing: trailers, metadata and further frames.
        assert!(refused * 2 > bytes.len(), "{name}: {refused} of {} cuts were noticed", bytes.len());
        if name.ends_with(".jpg") || name.ends_with(".webp") {
            assert!(refused + 1 >= bytes.len(), "{name}: every cut must be noticed, {refused} of {}", bytes.len());
        }
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let mut state = 12_345u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for name in [
        "cmyk.jpg",
        "progressive.jpg",
        "animated.webp",
        "turned.webp",
        "animated.png",
        "turned.tif",
        "two_pages.tif",
        "palette.bmp",
    ] {
        let whole = fixture(name);
        for _ in 0..150 {
            let mut bytes = whole.clone();
            for _ in 0..1 + random() % 3 {
                let at = random() % bytes.len();
                bytes[at] = random() as u8;
            }
            let _ = decode_picture_bytes(name, &bytes);
        }
    }
}

#[test]
fn what_is_no_picture_is_named() {
    for (bytes, found) in [
        (&b""[..], "an empty file"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x18ftypheic\0\0", "HEIC"),
        (b"hello there", "unknown content"),
        (b"<svg/>", "SVG"),
    ] {
        let refused = decode_picture_bytes("it.jpg", bytes).unwrap_err().to_string();
        assert!(refused.contains(found) && refused.contains("expected JPEG"), "{refused}");
    }
    let float = decode_picture_bytes("float.tif", &fixture("float.tif")).unwrap_err();
    assert!(matches!(float, PictureError::Unsupported { format: "TIFF", .. }), "{float}");
}

#[test]
fn files_are_read_by_content_whatever_their_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("really a png.JPG");
    let png = encoded(&scene().into(), ImageFormat::Png);
    crate::atomic_file::write_atomically(&path, |writer| writer.write_all(&png)).unwrap();
    assert_eq!(decode_picture(&path).unwrap().width, 24);
    assert!(is_picture_path(&path) && !is_picture_path(Path::new("notes.txt")) && !is_picture_path(Path::new("png")));
    assert!(picture_extensions().contains(&"webp"));
    assert!(matches!(decode_picture(folder.path()), Err(PictureError::NotAFile { .. })));
    assert!(matches!(decode_picture(&folder.path().join("gone.png")), Err(PictureError::Unreadable { .. })));
    let holes = folder.path().join("holes.png");
    std::fs::File::options().write(true).create_new(true).open(&holes).unwrap().set_len(MAX_FILE_BYTES + 1).unwrap();
    assert!(matches!(decode_picture(&holes), Err(PictureError::FileTooLong { .. })));
}

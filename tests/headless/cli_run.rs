//! Runs the built program as a user's shell does, and takes its answer apart.

use maskwright::raster::{Mask, Picture};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What a run of the program gave.
pub struct Run {
    /// Exit code.
    pub code: i32,
    /// What programs read.
    pub stdout: String,
    /// What people read.
    pub stderr: String,
}

impl Run {
    /// The one JSON value on stdout.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }

    /// Checks the code, and that a failure says something on stderr and nothing on stdout.
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        if code != 0 {
            assert!(self.stdout.is_empty() && !self.stderr.is_empty(), "{} | {}", self.stdout, self.stderr);
            assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        }
        self
    }

    /// Checks that the complaint names all of these.
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is missing in: {}", self.stderr);
        }
        self
    }
}

/// The program, away from any display and from the user's settings.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_maskwright"));
    for name in ["DISPLAY", "WAYLAND_DISPLAY", "WAYLAND_SOCKET", "MASKWRIGHT_LOG"] {
        command.env_remove(name);
    }
    command
}

/// Runs a prepared command.
pub fn finish(mut command: Command) -> Run {
    let Output { status, stdout, stderr } = command.output().expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("the program speaks UTF-8");
    Run { code: status.code().expect("the program ends by itself"), stdout: text(stdout), stderr: text(stderr) }
}

/// Runs the program in a folder with arguments as a shell would split them at spaces.
pub fn run_in(folder: &Path, line: &str) -> Run {
    let mut command = program();
    command.current_dir(folder).args(line.split_whitespace());
    finish(command)
}

/// A demo photo of the repository.
pub fn photo(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo").join(name)
}

/// A folder that holds the three demo photos and nothing else.
pub fn folder_with_photos() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["astronaut.jpg", "chelsea.jpg", "coffee.jpg"] {
        std::fs::copy(photo(name), folder.path().join(name)).expect("the photo is in the repository");
    }
    folder
}

/// Names in a folder, sorted.
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name")).collect();
    names.sort();
    names
}

/// Intersection over union.
pub fn iou(a: &Mask, b: &Mask) -> f64 {
    let (a, b) = (a.to_bitmap(), b.to_bitmap());
    assert_eq!((a.width, a.height), (b.width, b.height));
    let count = |both: bool| {
        a.data.iter().zip(&b.data).filter(|&(&a, &b)| if both { a & b == 1 } else { a | b == 1 }).count() as f64
    };
    count(true) / count(false).max(1.0)
}

/// Decodes a picture file.
pub fn picture(path: &Path) -> Picture {
    maskwright::raster::decode_picture(path).expect("a readable picture")
}

/// Checks a COCO file's objects, in their order, against masks: rasterised by an independent reader, every pixel equal.
pub fn assert_coco_masks(path: &Path, masks: &[&Mask]) {
    let coco: Value = serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("JSON");
    let annotations = coco["annotations"].as_array().expect("a list");
    assert_eq!(annotations.len(), masks.len());
    for (annotation, mask) in annotations.iter().zip(masks) {
        let rings: Vec<Vec<f64>> = serde_json::from_value(annotation["segmentation"].clone()).expect("polygons");
        let runs = hotcoco::mask::fr_polys(&rings, mask.height(), mask.width()).expect("rings that can be drawn");
        assert_eq!(runs.counts, mask.runs(), "{annotation}");
        let bounds = mask.bounds().expect("not empty");
        assert_eq!(annotation["bbox"], serde_json::json!([bounds.x, bounds.y, bounds.width, bounds.height]));
        assert_eq!((&annotation["area"], &annotation["iscrowd"]), (&mask.area().into(), &0.into()));
    }
}

/// Reads a mask file of any size.
pub fn mask(path: &Path) -> Mask {
    let Picture { width, height, .. } = picture(path);
    maskwright::raster::read_mask_file(path, width, height).expect("a mask file")
}

//! Where results go: names for one file or several, and their folders.
//!
//! Invariant: names are known before anything is computed, and the picture that was read is never overwritten.

use super::exit::{Failure, Outcome};
use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// What `segment` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// A grey picture a mask: 0 outside, 255 inside, as large as the oriented picture
    Png,
    /// One COCO file with all masks, as polygons that give the same masks back
    Coco,
    /// One JSON file with all masks as compressed COCO run lengths
    RleJson,
    /// A PNG with alpha a mask, cropped to the object
    Cutout,
}

impl OutputFormat {
    fn extension(self) -> &'static str {
        match self {
            Self::Png | Self::Cutout => "png",
            Self::Coco | Self::RleJson => "json",
        }
    }

    /// Whether all masks share one file.
    pub fn is_one_file(self) -> bool {
        matches!(self, Self::Coco | Self::RleJson)
    }
}

/// The names that results will have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPlan {
    target: PathBuf,
    extension: &'static str,
}

impl OutputPlan {
    /// `out` names a file, or a folder (there already, or written with a slash at its end) that gets a file named like
    /// the picture.
    ///
    /// # Errors
    /// A name whose ending says another kind of file than the format is.
    pub fn new(out: &Path, format: OutputFormat, picture: &Path) -> Outcome<Self> {
        let extension = format.extension();
        let ends_with_slash = out.as_os_str().to_string_lossy().ends_with(std::path::is_separator);
        if ends_with_slash || out.is_dir() {
            let mut name = picture.file_stem().unwrap_or("mask".as_ref()).to_os_string();
            name.push(".");
            name.push(extension);
            return Ok(Self { target: out.join(name), extension });
        }
        if out.file_name().is_none() {
            return Err(Failure::usage(format!("-o {} names no file; give a file or a folder", out.display())));
        }
        let ending = out.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let is_other_kind = ending.is_some_and(|ending| {
            ending != extension && (ending == "json" || crate::raster::picture_extensions().contains(&ending.as_str()))
        });
        if is_other_kind {
            return Err(Failure::usage(format!(
                "-o {} does not fit the format, which makes .{extension} files; name it so, or choose another --format",
                out.display()
            )));
        }
        Ok(Self { target: out.to_path_buf(), extension })
    }

    /// The name of an only file: as it was given.
    pub fn only(&self) -> PathBuf {
        self.target.clone()
    }

    /// The name of one of several files, from 1: `OUT.png` becomes `OUT-1.png`, and so does a plain `OUT`.
    pub fn numbered(&self, number: usize) -> PathBuf {
        let has_ending = self.target.extension().is_some_and(|ending| ending.eq_ignore_ascii_case(self.extension));
        let stem = if has_ending { self.target.file_stem() } else { self.target.file_name() };
        let mut name = stem.unwrap_or_default().to_os_string();
        name.push(format!("-{number}.{}", self.extension));
        self.target.with_file_name(name)
    }
}

/// Makes the places of results ready: their folders are made, and none is the picture that was read.
///
/// # Errors
/// A result that would replace `picture`; a folder that cannot be made.
pub fn prepare_places<'a>(results: impl Iterator<Item = &'a PathBuf> + Clone, picture: &Path) -> Outcome<()> {
    let same_file = |path: &Path| match (path.canonicalize(), picture.canonicalize()) {
        (Ok(there), Ok(input)) => there == input,
        _ => false,
    };
    if let Some(path) = results.clone().find(|path| same_file(path)) {
        return Err(Failure::usage(format!("{} is the picture itself; choose another -o", path.display())));
    }
    for folder in results.filter_map(|path| path.parent()).filter(|folder| !folder.as_os_str().is_empty()) {
        make_folder(folder)?;
    }
    Ok(())
}

/// Makes a folder and those above it; one that is there already is fine.
///
/// # Errors
/// The folder cannot be made.
pub fn make_folder(folder: &Path) -> Outcome<()> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::writing(folder, error))
}

#[cfg(test)]
mod tests {
    use super::super::exit::Exit;
    use super::*;

    fn plan(out: &str, format: OutputFormat) -> Outcome<OutputPlan> {
        OutputPlan::new(Path::new(out), format, Path::new("photos/cat.jpg"))
    }

    #[test]
    fn names_are_numbered_before_their_ending() {
        let with_ending = plan("a/mask.PNG", OutputFormat::Png).unwrap();
        assert_eq!(with_ending.only(), Path::new("a/mask.PNG"));
        assert_eq!(with_ending.numbered(2), Path::new("a/mask-2.png"));
        assert_eq!(plan("mask", OutputFormat::Cutout).unwrap().numbered(1), Path::new("mask-1.png"));
        assert_eq!(plan("v1.2", OutputFormat::Png).unwrap().numbered(3), Path::new("v1.2-3.png"));
        assert_eq!(plan("new/", OutputFormat::Coco).unwrap().only(), Path::new("new/cat.json"));
        let folder = tempfile::tempdir().unwrap();
        let there = OutputPlan::new(folder.path(), OutputFormat::Png, Path::new("photos/cat.jpg")).unwrap();
        assert_eq!(there.only(), folder.path().join("cat.png"));
    }

    #[test]
    fn a_name_of_another_kind_is_refused() {
        for (out, format) in [
            ("a.json", OutputFormat::Png),
            ("a.jpg", OutputFormat::Cutout),
            ("a.png", OutputFormat::Coco),
            ("..", OutputFormat::RleJson),
        ] {
            match plan(out, format) {
                Err(failure) => assert_eq!(failure.exit, Exit::Usage, "{out}"),
                Ok(plan) => assert!(Path::new(out).is_dir(), "{plan:?}"),
            }
        }
    }

    #[test]
    fn the_picture_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let picture = folder.path().join("cat.png");
        std::fs::write(&picture, b"the picture").unwrap();
        let roundabout = folder.path().join(".").join("cat.png");
        let files = [folder.path().join("new").join("other.png"), roundabout];
        assert_eq!(prepare_places(files.iter(), &picture).unwrap_err().exit, Exit::Usage);
        assert_eq!(std::fs::read(&picture).unwrap(), b"the picture");
        assert!(!folder.path().join("new").exists(), "nothing was made");
        prepare_places(files[..1].iter(), &picture).unwrap();
        assert!(folder.path().join("new").is_dir());
    }
}

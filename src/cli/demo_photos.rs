//! The photos that the program carries, and what the demo asks on them. Provenance: `assets/README.md`.
//!
//! Invariant: the prompts are those of a person with some care, a point or a box and a few corrections; they are not
//! tuned to the last pixel, and every object is one that a person would name.

use super::exit::{Failure, Outcome};
use crate::atomic_file::write_atomically;
use crate::geometry::{ImagePoint, ImageRect};
use crate::prompt::{Polarity, Prompt, PromptStep};
use std::path::{Path, PathBuf};

/// One thing that the demo says about an object.
#[derive(Debug, Clone, Copy)]
pub enum DemoStep {
    /// An include point.
    On(f32, f32),
    /// An exclude point.
    Off(f32, f32),
    /// A box: left, top, right, bottom.
    Box(f32, f32, f32, f32),
}

/// One object of a photo.
#[derive(Debug)]
pub struct DemoObject {
    /// Its name in the COCO file.
    pub label: &'static str,
    /// What is said about it, in this order.
    pub steps: &'static [DemoStep],
}

impl DemoObject {
    /// The prompt on the whole photo.
    pub fn prompt(&self) -> Prompt {
        let point = |x: &f32, y: &f32, polarity| PromptStep::Point { at: ImagePoint::new(*x, *y), polarity };
        let step = |step: &DemoStep| match step {
            On(x, y) => point(x, y, Polarity::Include),
            Off(x, y) => point(x, y, Polarity::Exclude),
            Around(x0, y0, x1, y1) => PromptStep::Box(ImageRect { x0: *x0, y0: *y0, x1: *x1, y1: *y1 }),
        };
        Prompt { steps: self.steps.iter().map(step).collect(), ..Prompt::default() }
    }
}

/// A photo inside the program.
#[derive(Debug)]
pub struct DemoPhoto {
    /// Its file name.
    pub file_name: &'static str,
    /// The JPEG file.
    pub bytes: &'static [u8],
    /// What the demo segments on it.
    pub objects: &'static [DemoObject],
}

use DemoStep::{Box as Around, Off, On};

/// All photos, in the order of the contact sheet.
pub const PHOTOS: [DemoPhoto; 3] = [
    DemoPhoto {
        file_name: "astronaut.jpg",
        bytes: include_bytes!("../../assets/demo/astronaut.jpg"),
        objects: &[
            DemoObject {
                label: "astronaut",
                steps: &[
                    On(230.0, 100.0),
                    On(200.0, 330.0),
                    Off(400.0, 450.0),
                    On(280.0, 330.0),
                    On(150.0, 500.0),
                    Off(20.0, 450.0),
                ],
            },
            DemoObject { label: "helmet", steps: &[On(400.0, 430.0), On(490.0, 400.0), Off(262.0, 480.0)] },
        ],
    },
    DemoPhoto {
        file_name: "chelsea.jpg",
        bytes: include_bytes!("../../assets/demo/chelsea.jpg"),
        objects: &[DemoObject {
            label: "cat",
            steps: &[On(250.0, 160.0), On(40.0, 260.0), On(172.0, 115.0), Off(340.0, 270.0)],
        }],
    },
    DemoPhoto {
        file_name: "coffee.jpg",
        bytes: include_bytes!("../../assets/demo/coffee.jpg"),
        objects: &[DemoObject {
            label: "cup",
            steps: &[
                Around(172.0, 16.0, 410.0, 308.0),
                On(250.0, 230.0),
                Off(365.0, 300.0),
                Off(150.0, 200.0),
                On(230.0, 275.0),
            ],
        }],
    },
];

/// Writes the photos into a folder; a file that holds the same bytes already is left alone.
///
/// # Errors
/// The folder or a file cannot be written.
pub fn unpack(folder: &Path) -> Outcome<()> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::writing(folder, error))?;
    for photo in &PHOTOS {
        let path = folder.join(photo.file_name);
        if std::fs::read(&path).is_ok_and(|held| held == photo.bytes) {
            continue;
        }
        write_atomically(&path, |to| to.write_all(photo.bytes)).map_err(|error| Failure::writing(&path, error))?;
    }
    Ok(())
}

/// Writes the photos where the user's programs keep their data, so that work on them is kept too; gives the folder.
///
/// # Errors
/// There is no such place, or it cannot be written.
pub fn unpack_for_user() -> Outcome<PathBuf> {
    use etcetera::BaseStrategy;
    let places = etcetera::choose_base_strategy().map_err(|error| {
        Failure::configuration(
            anyhow::Error::new(error).context("no home folder to put the demo photos in; name a picture"),
        )
    })?;
    let folder = places.data_dir().join("maskwright").join("demo");
    unpack(&folder)?;
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unpacking_twice_leaves_the_files_alone_and_mends_a_damaged_one() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("a").join("demo");
        unpack(&folder).unwrap();
        let path = folder.join(PHOTOS[0].file_name);
        let written = std::fs::metadata(&path).unwrap().modified().unwrap();
        std::fs::write(folder.join(PHOTOS[1].file_name), b"torn").unwrap();
        unpack(&folder).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), written);
        for photo in &PHOTOS {
            assert_eq!(std::fs::read(folder.join(photo.file_name)).unwrap(), photo.bytes);
        }
    }

    #[test]
    fn at_least_three_objects_on_two_photos() {
        let objects: Vec<_> = PHOTOS.iter().map(|photo| photo.objects.len()).collect();
        assert!(objects.iter().filter(|&&count| count > 0).count() >= 2 && objects.iter().sum::<usize>() >= 3);
    }
}

//! Masks and cut-outs as PNG files in a folder, one picture after the other so that only one is in memory.
//!
//! Invariant: every file lies directly in the folder, whatever pictures and labels are called, no file of one export
//! overwrites another of the same export, and each is written whole or not at all.

use super::coco::CocoImage;
use super::file_names::{UniqueNames, safe_part, stem};
use crate::raster::{CutOut, CutOutExtent, Mask, MaskFileError, Picture, write_mask_file};
use std::fmt;
use std::path::{Path, PathBuf};

/// What the folder is filled with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FolderContent {
    /// One mask file an object: `<picture>_<number>_<label>.png`.
    MaskPerObject,
    /// One mask file a picture, the union of its objects: `<picture>.png`.
    MaskPerImage,
    /// One RGBA file an object: `<picture>_<number>_<label>.png`.
    CutOuts(CutOutExtent),
}

/// Why the export stopped. What was written before is whole and stays.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The folder is not there and cannot be made.
    #[error("{name}: the folder cannot be made ({source}); choose another one")]
    Folder {
        /// The folder.
        name: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// Cut-outs were asked for without the picture's pixels.
    #[error("{file_name}: cut-outs need the picture's pixels, which were not given; open the picture first")]
    NoPicture {
        /// The picture.
        file_name: String,
    },
    /// A mask that is not of its picture's size.
    #[error("{file_name}: object {object} was marked on a picture of another size; mark it again")]
    MaskSize {
        /// The picture.
        file_name: String,
        /// Which object, from 1.
        object: usize,
    },
    /// A file could not be made.
    #[error(transparent)]
    File(#[from] MaskFileError),
}

/// An object that has no file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The picture.
    pub file_name: String,
    /// Which object on it, from 1.
    pub object: usize,
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: object {} has no pixels and was left out", self.file_name, self.object)
    }
}

/// What was written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FolderReport {
    /// The files, in order.
    pub files: Vec<PathBuf>,
    /// Objects without pixels.
    pub left_out: Vec<LeftOut>,
}

/// An export under way.
#[derive(Debug)]
pub struct MaskFolder {
    folder: PathBuf,
    content: FolderContent,
    names: UniqueNames,
    report: FolderReport,
}

impl MaskFolder {
    /// Starts an export into a folder, which is made if it is not there. Files of an earlier export with the same
    /// names are replaced.
    ///
    /// # Errors
    /// [`FolderError::Folder`] if the folder cannot be made.
    pub fn create(folder: &Path, content: FolderContent) -> Result<Self, FolderError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| FolderError::Folder { name: folder.display().to_string(), source })?;
        let (names, report) = (UniqueNames::default(), FolderReport::default());
        Ok(Self { folder: folder.to_owned(), content, names, report })
    }

    /// Writes one picture's files. `picture` is needed for cut-outs only. Pictures without objects give no file.
    ///
    /// # Errors
    /// [`FolderError`]; files already written stay.
    pub fn add(&mut self, image: &CocoImage, picture: Option<&Picture>) -> Result<(), FolderError> {
        let file_name = || image.file_name.clone();
        let mut objects = Vec::new();
        for (annotation, object) in image.annotations.iter().zip(1..) {
            let mask = &annotation.mask;
            if (mask.width(), mask.height()) != (image.width, image.height) {
                return Err(FolderError::MaskSize { file_name: file_name(), object });
            }
            if mask.is_empty() {
                self.report.left_out.push(LeftOut { file_name: file_name(), object });
            } else {
                objects.push((object, annotation));
            }
        }
        if objects.is_empty() {
            return Ok(());
        }
        // Room for the number and the label in one name.
        const PART_BYTES: usize = 100;
        let image_part = safe_part(stem(&image.file_name), PART_BYTES);
        if self.content == FolderContent::MaskPerImage {
            let masks = objects.iter().map(|(_, annotation)| &annotation.mask);
            let union = Mask::union_of(image.width, image.height, masks);
            return self.write(&image_part, |path| write_mask_file(path, &union));
        }
        for (object, annotation) in objects {
            let label = safe_part(&annotation.category, PART_BYTES);
            let wanted = format!("{image_part}_{object:02}_{label}");
            match self.content {
                FolderContent::CutOuts(extent) => {
                    let picture = picture.ok_or_else(|| FolderError::NoPicture { file_name: file_name() })?;
                    let cut_out = CutOut::new(picture, &annotation.mask, extent)?;
                    self.write(&wanted, |path| cut_out.write(path))?;
                }
                _ => self.write(&wanted, |path| write_mask_file(path, &annotation.mask))?,
            }
        }
        Ok(())
    }

    /// What was written.
    pub fn finish(self) -> FolderReport {
        self.report
    }

    fn write(
        &mut self,
        wanted: &str,
        write: impl FnOnce(&Path) -> Result<(), MaskFileError>,
    ) -> Result<(), FolderError> {
        let path = self.folder.join(self.names.make(wanted, ".png"));
        write(&path)?;
        self.report.files.push(path);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::coco::CocoAnnotation;
    use crate::raster::read_mask_file;
    use crate::raster::test_masks::drawn;

    fn image(file_name: &str, objects: &[(&str, &[&str])]) -> CocoImage {
        let annotations = objects.iter().map(|(label, rows)| CocoAnnotation::new(*label, drawn(rows))).collect();
        CocoImage { file_name: file_name.to_owned(), width: 3, height: 2, annotations }
    }

    fn names(report: &FolderReport) -> Vec<String> {
        report.files.iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn each_object_gets_a_file_that_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("new/masks");
        let mut export = MaskFolder::create(&target, FolderContent::MaskPerObject).unwrap();
        let first = image("a/cat.jpg", &[("cat", &["##.", "..."]), ("dog", &["...", "..."]), ("cat", &["...", ".##"])]);
        let second = image("b/cat.png", &[("cat", &["###", "###"])]);
        export.add(&first, None).unwrap();
        export.add(&second, None).unwrap();
        let report = export.finish();
        assert_eq!(names(&report), ["cat_01_cat.png", "cat_03_cat.png", "cat_01_cat-2.png"]);
        assert_eq!(report.left_out, [LeftOut { file_name: "a/cat.jpg".to_owned(), object: 2 }]);
        assert_eq!(read_mask_file(&report.files[1], 3, 2).unwrap(), first.annotations[2].mask);

        let mut export = MaskFolder::create(&target, FolderContent::MaskPerImage).unwrap();
        export.add(&first, None).unwrap();
        let report = export.finish();
        assert_eq!(names(&report), ["cat.png"]);
        assert_eq!(read_mask_file(&report.files[0], 3, 2).unwrap(), drawn(&["##.", ".##"]));
    }

    #[test]
    fn cut_outs_need_the_picture() {
        let folder = tempfile::tempdir().unwrap();
        let content = FolderContent::CutOuts(CutOutExtent::Bounds);
        let mut export = MaskFolder::create(folder.path(), content).unwrap();
        let cat = image("cat.jpg", &[("cat", &["##.", "..."])]);
        assert!(matches!(export.add(&cat, None), Err(FolderError::NoPicture { .. })));
        let picture = Picture { width: 3, height: 2, rgb: vec![7; 18].into(), notes: Vec::new() };
        export.add(&cat, Some(&picture)).unwrap();
        let report = export.finish();
        let stored = image::open(&report.files[0]).unwrap().into_rgba8();
        assert_eq!((stored.dimensions(), stored.into_raw()), ((2, 1), vec![7, 7, 7, 255, 7, 7, 7, 255]));
    }

    #[test]
    fn odd_names_stay_inside_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out");
        let mut export = MaskFolder::create(&target, FolderContent::MaskPerObject).unwrap();
        for file_name in
            ["../../up.png", "/abs/olute.png", "..", "new\nline.png", "猫".repeat(120).as_str(), "", "a\\b.png"]
        {
            export.add(&image(file_name, &[("../x", &["#..", "..."]), ("/\n\0", &["#..", "..."])]), None).unwrap();
        }
        let report = export.finish();
        assert_eq!(report.files.len(), 14);
        assert_eq!(std::fs::read_dir(&target).unwrap().count(), 14);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_mask_of_another_size_stops_the_export() {
        let folder = tempfile::tempdir().unwrap();
        let mut export = MaskFolder::create(folder.path(), FolderContent::MaskPerImage).unwrap();
        let wrong = image("a.png", &[("x", &["#"])]);
        assert!(matches!(export.add(&wrong, None), Err(FolderError::MaskSize { object: 1, .. })));
        std::fs::write(folder.path().join("file"), b"").unwrap();
        let blocked = MaskFolder::create(&folder.path().join("file"), FolderContent::MaskPerImage);
        assert!(matches!(blocked, Err(FolderError::Folder { .. })));
    }
}

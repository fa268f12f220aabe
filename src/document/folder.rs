//! Which pictures a folder holds.

use super::ImageName;
use crate::raster::is_picture_path;
use std::io;
use std::path::Path;

/// The pictures of a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FolderListing {
    /// Ordered as people count.
    pub pictures: Vec<ImageName>,
    /// Picture files whose names are not Unicode and which can therefore not be kept in a project.
    pub unnameable: Vec<String>,
}

/// Lists the pictures that lie directly in a folder, by the ending of their names. Hidden files are left out.
///
/// # Errors
/// A folder that cannot be read.
pub fn list_pictures(folder: &Path) -> io::Result<FolderListing> {
    let mut listing = FolderListing::default();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if !is_picture_path(&path) || !path.is_file() {
            continue;
        }
        let Some(file_name) = path.file_name() else { continue };
        match file_name.to_str().map(ImageName::new) {
            Some(Ok(name)) => {
                if !name.as_str().starts_with('.') {
                    listing.pictures.push(name);
                }
            }
            _ => listing.unnameable.push(file_name.to_string_lossy().into_owned()),
        }
    }
    listing.pictures.sort();
    listing.unnameable.sort();
    Ok(listing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_pictures_only_and_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["p10.JPG", "p9.png", "notes.txt", ".hidden.png", "a.tiff", "maskwright.sqlite"] {
            std::fs::write(folder.path().join(name), b"x").unwrap();
        }
        std::fs::create_dir(folder.path().join("folder.png")).unwrap();
        let names: Vec<_> = list_pictures(folder.path()).unwrap().pictures.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["a.tiff", "p9.png", "p10.JPG"]);
        assert!(list_pictures(&folder.path().join("absent")).is_err());
    }
}

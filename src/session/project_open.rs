//! From what the user picked to an open project: which folder, which pictures of it, which of them first.

use super::command::{PastedPicture, SampleFile};
use super::project_desk::{Access, OpenRequest};
use crate::atomic_file::write_atomically;
use crate::document::store::{Contents, STORE_FILE_NAME, Store, StoreAccess};
use crate::document::{ImageName, list_pictures};
use crate::raster::write_rgb_png;
use std::path::{Path, PathBuf};

/// An open project, as the session takes it over.
#[derive(Debug)]
pub struct OpenedProject {
    /// The opened folder.
    pub folder: PathBuf,
    /// The folder was open already: what the session holds is newer than `contents`, which are empty.
    pub is_same_project: bool,
    /// What the project file holds.
    pub contents: Contents,
    /// All pictures of the folder.
    pub pictures: Vec<ImageName>,
    /// Those for the list: all, or only the files that were opened.
    pub listed: Vec<ImageName>,
    /// The picture to show first; otherwise the one shown last.
    pub focus: Option<ImageName>,
    /// Whether edits are kept.
    pub access: Access,
    /// The project file.
    pub store_path: PathBuf,
    /// What the user should know.
    pub remarks: Vec<String>,
}

/// Opens projects.
pub struct Opener {
    /// The user's data folder.
    pub data_folder: Option<PathBuf>,
}

/// What to list of a folder.
struct Wish {
    folder: PathBuf,
    /// Only these files; all if empty.
    files: Vec<ImageName>,
    focus: Option<ImageName>,
    remarks: Vec<String>,
}

impl Opener {
    /// Opens what was asked for. The store is `None` if the project may only be looked at, or is the `current` one.
    ///
    /// # Errors
    /// Why nothing was opened, in words for people.
    pub fn open(
        &self,
        request: &OpenRequest,
        current: Option<&Store>,
    ) -> Result<(OpenedProject, Option<Store>), String> {
        let mut wish = match request {
            OpenRequest::Paths(paths) => wish_from_paths(paths)?,
            OpenRequest::Samples(samples) => self.wish_from_samples(samples)?,
            OpenRequest::Pasted(pasted) => self.wish_from_pasted(pasted)?,
        };
        let listing = list_pictures(&wish.folder).map_err(|error| format!("{}: {error}", wish.folder.display()))?;
        if !listing.unnameable.is_empty() {
            wish.remarks.push(format!(
                "{} pictures have names that are not Unicode and were left out; rename them to use them.",
                listing.unnameable.len()
            ));
        }
        let mut pictures = listing.pictures;
        // A file that was named is taken for a picture whatever its ending; its content decides.
        pictures.extend(wish.files.iter().cloned());
        pictures.sort();
        pictures.dedup();
        if pictures.is_empty() {
            return Err(format!(
                "{}: there is no picture in this folder; expected JPEG, PNG, WebP, TIFF, BMP, GIF or PNM files",
                wish.folder.display()
            ));
        }
        let mut listed = if wish.files.is_empty() { pictures.clone() } else { wish.files };
        listed.sort();
        listed.dedup();
        let opened = |is_same_project, contents, access, store_path, remarks| OpenedProject {
            folder: wish.folder.clone(),
            is_same_project,
            contents,
            pictures: pictures.clone(),
            listed: listed.clone(),
            focus: wish.focus.clone(),
            access,
            store_path,
            remarks,
        };
        if let Some(store) = current
            && store.folder() == canonical(&wish.folder)
        {
            let path = store.path().to_path_buf();
            return Ok((opened(true, Contents::default(), Access::ReadWrite, path, wish.remarks), None));
        }
        let found = Store::open(&wish.folder, self.data_folder.as_deref()).map_err(|error| error.to_string())?;
        wish.remarks.extend(found.remarks);
        let (access, store) = match found.access {
            StoreAccess::ReadWrite(store) => (Access::ReadWrite, Some(store)),
            StoreAccess::ReadOnly { owner } => (Access::ReadOnly { owner }, None),
        };
        Ok((opened(false, found.contents, access, found.path, wish.remarks), store))
    }

    fn data_folder(&self, part: &str) -> Result<PathBuf, String> {
        let data = self.data_folder.as_ref().ok_or("there is no home folder to keep the picture in; set HOME")?;
        let folder = data.join(part);
        std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(folder)
    }

    fn wish_from_samples(&self, samples: &[SampleFile]) -> Result<Wish, String> {
        let folder = self.data_folder("samples")?;
        for sample in samples {
            let path = folder.join(sample.name);
            if std::fs::read(&path).is_ok_and(|bytes| bytes == sample.bytes) {
                continue;
            }
            write_atomically(&path, |writer| writer.write_all(sample.bytes))
                .map_err(|error| format!("{}: {error}", path.display()))?;
        }
        let focus = samples.first().and_then(|sample| ImageName::new(sample.name).ok());
        Ok(Wish { folder, files: Vec::new(), focus, remarks: Vec::new() })
    }

    fn wish_from_pasted(&self, pasted: &PastedPicture) -> Result<Wish, String> {
        let expected = 4 * u64::from(pasted.width) * u64::from(pasted.height);
        if expected == 0 || pasted.rgba.len() as u64 != expected {
            return Err(format!(
                "the clipboard's picture of {} x {} pixels has {} bytes, expected {expected}; copy it again",
                pasted.width,
                pasted.height,
                pasted.rgba.len()
            ));
        }
        let folder = self.data_folder("pasted")?;
        let (name, path) = (1u32..)
            .map(|number| format!("pasted-{number}.png"))
            .map(|name| (folder.join(&name), name))
            .find_map(|(path, name)| (!path.exists()).then_some((name, path)))
            .ok_or("the folder of pasted pictures is full")?;
        // Transparent pixels lie over white, as in pictures that are opened from a file.
        let over_white = |pixel: &[u8]| {
            let alpha = u32::from(pixel[3]);
            [0, 1, 2].map(|part: usize| ((u32::from(pixel[part]) * alpha + 255 * (255 - alpha) + 127) / 255) as u8)
        };
        let rgb: Vec<u8> = pasted.rgba.chunks_exact(4).flat_map(over_white).collect();
        write_rgb_png(&path, &rgb, (pasted.width, pasted.height)).map_err(|error| error.to_string())?;
        let focus = ImageName::new(&name).ok();
        Ok(Wish { folder, files: Vec::new(), focus, remarks: Vec::new() })
    }
}

fn wish_from_paths(paths: &[PathBuf]) -> Result<Wish, String> {
    let first = paths.first().ok_or("nothing was picked")?;
    let problem = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let meta = std::fs::metadata(first).map_err(|error| problem(first, error))?;
    let mut remarks = Vec::new();
    if meta.is_dir() {
        if paths.len() > 1 {
            remarks.push(format!("Only {} was opened; open the others on their own.", first.display()));
        }
        return Ok(Wish { folder: first.clone(), files: Vec::new(), focus: None, remarks });
    }
    let folder = parent(first);
    if first.file_name().is_some_and(|name| name == STORE_FILE_NAME) {
        return Ok(Wish { folder, files: Vec::new(), focus: None, remarks });
    }
    let home = canonical(&folder);
    let mut files = Vec::new();
    let mut left_out = 0;
    for path in paths {
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| ImageName::new(name).ok());
        match name {
            Some(name) if path.is_file() && canonical(&parent(path)) == home => files.push(name),
            _ => left_out += 1,
        }
    }
    let focus = files.first().cloned().ok_or_else(|| {
        format!("{}: the name is not Unicode, so the picture cannot be kept in a project; rename it", first.display())
    })?;
    if left_out > 0 {
        remarks.push(format!(
            "{left_out} of the picked files lie outside {} or cannot be read and were left out; open them on their own.",
            folder.display()
        ));
    }
    Ok(Wish { folder, files, focus: Some(focus), remarks })
}

fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

fn canonical(folder: &Path) -> PathBuf {
    std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_path_buf())
}

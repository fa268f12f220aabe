//! Annotations of other tools come into the project: read on the engine's heavy lane, matched to the pictures here.
//!
//! The reading is handed in by whoever builds the session (see `Services`), since a session knows no file format.
//! Invariants: an import is one action to undo; it never changes an object that is there, and a second import of the
//! same file adds nothing; what is left out is said.

use super::Session;
use crate::document::{
    Annotation, AnnotationId, Colour, Edit, ImageName, ImageSize, ImportedDataset, ImportedImage, Label, LabelId,
    Project,
};
use crate::engine::{HeavyOutcome, JobControl, JobError, JobId, JobTicket, Problem};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many names and remarks a notice lists before it only counts.
const LISTED: usize = 3;

/// Reads a file of annotations on the engine's heavy lane.
pub type Importer = Arc<dyn Fn(&Path, &JobControl<'_>) -> Result<ImportedDataset, JobError> + Send + Sync>;

/// A running import.
#[derive(Debug)]
pub struct ImportState {
    /// The file.
    pub path: PathBuf,
    /// The folder that was open when it was asked for.
    folder: PathBuf,
    ticket: JobTicket<ImportedDataset>,
}

impl Session {
    pub(super) fn start_import(&mut self, path: PathBuf) {
        let Some(folder) = self.project.folder.clone().filter(|_| !self.project.opening) else {
            self.warn("Open the folder with the pictures first; then their annotations can be imported.");
            return;
        };
        if !self.may_edit() {
            return;
        }
        let (importer, file) = (Arc::clone(&self.services.importer), path.clone());
        let name = format!("The import of {}", path.display());
        let ticket = self.services.engine.run_import(name, Box::new(move |control| importer(&file, control)));
        self.imports.push(ImportState { path, folder, ticket });
    }

    /// The import that this job does, if it is one; it is no longer running then.
    pub(super) fn take_import(&mut self, job: JobId) -> Option<ImportState> {
        let at = self.imports.iter().position(|import| import.ticket.id() == job)?;
        Some(self.imports.remove(at))
    }

    pub(super) fn import_done(&mut self, import: &ImportState, name: &str, outcome: HeavyOutcome) {
        match (outcome, import.ticket.take()) {
            (HeavyOutcome::Finished, Some(_)) if self.project.folder.as_ref() != Some(&import.folder) => {
                self.warn(format!(
                    "Another folder was opened meanwhile, so nothing was imported from {}. Open {} and import it again.",
                    import.path.display(),
                    import.folder.display()
                ));
            }
            (HeavyOutcome::Finished, Some(dataset)) => self.take_in_dataset(&import.path, dataset),
            (HeavyOutcome::Finished, None) => {
                let problem = Problem::new("it gave no answer; please report this");
                self.fail(format!("{name} failed. {problem}"));
            }
            (HeavyOutcome::Cancelled, _) => self.inform(format!("{name} was stopped; nothing was changed.")),
            (HeavyOutcome::Failed(problem), _) => self.fail(format!("{name} failed. {problem}")),
        }
    }

    fn take_in_dataset(&mut self, path: &Path, dataset: ImportedDataset) {
        if !self.may_edit() {
            return;
        }
        let conflict = self.picture.name.clone().filter(|_| self.picture.size_conflict.is_some());
        let mut plan = Plan::new(&mut self.project.project, dataset, conflict.as_ref());
        if plan.objects > 0 {
            if !plan.sizes.is_empty() {
                // Not undone with the objects: a picture that was opened meanwhile keeps its size.
                self.apply_fact(Edit::Together(std::mem::take(&mut plan.sizes)));
            }
            if !self.commit(Edit::Together(std::mem::take(&mut plan.edits))) {
                return;
            }
        }
        for remark in &plan.remarks {
            tracing::info!("import: {remark}");
        }
        let text = plan.notice(path);
        if plan.left_out == 0 && plan.objects > 0 { self.inform(text) } else { self.warn(text) }
    }
}

/// What an import will do to the project.
#[derive(Default)]
struct Plan {
    /// Labels, then objects.
    edits: Vec<Edit>,
    /// Sizes of pictures that were not opened yet.
    sizes: Vec<Edit>,
    objects: usize,
    pictures: usize,
    left_out: usize,
    remarks: Vec<String>,
}

impl Plan {
    /// Looks at all of a file. The project only gives away label ids. `conflict` is a picture that takes no objects,
    /// since its file no longer has the size of its masks.
    fn new(project: &mut Project, dataset: ImportedDataset, conflict: Option<&ImageName>) -> Self {
        let places = places_of(project, &dataset.images);
        let mut plan = Self { left_out: dataset.refused_objects, ..Self::default() };
        let labels = plan.plan_labels(project, &dataset);
        let mut ids = project.free_annotation_ids();
        let mut sizes: HashMap<ImageName, ImageSize> = HashMap::new();
        let mut added: HashMap<ImageName, usize> = HashMap::new();
        let (mut unmatched, mut unmatched_objects) = (Vec::new(), 0);
        let (mut misfits, mut misfit_objects) = (Vec::new(), 0);
        let (mut duplicates, mut unusable) = (0, 0);
        for (image, place) in dataset.images.into_iter().zip(places) {
            let Some(entry) = place.as_ref().and_then(|name| project.image(name)) else {
                unmatched_objects += image.objects.len();
                unmatched.push(image.file_name);
                continue;
            };
            let name = entry.name();
            let size = ImageSize { width: image.width, height: image.height };
            let of_objects = entry.annotations().first().map(|object| size_of(object));
            let known = entry.size().or(of_objects).or_else(|| sizes.get(name).copied());
            if conflict == Some(name) || known.is_some_and(|known| known != size) {
                misfit_objects += image.objects.len();
                let known = known.map_or_else(String::new, |known| format!(", here {known}"));
                misfits.push(format!("{name} (in the file {size}{known})"));
                continue;
            }
            for object in image.objects {
                if object.mask.is_empty() || (object.mask.width(), object.mask.height()) != (size.width, size.height) {
                    unusable += 1;
                    continue;
                }
                let label = object.category.as_deref().and_then(|name| labels.get(name.trim())).copied();
                if entry.annotations().iter().any(|known| known.label == label && known.mask == object.mask) {
                    duplicates += 1;
                    continue;
                }
                let above = added.entry(name.clone()).or_default();
                let position = entry.annotations().len() + *above;
                *above += 1;
                let annotation = Arc::new(Annotation { label, ..Annotation::new(next_id(&mut ids), object.mask) });
                plan.edits.push(Edit::AddAnnotation { image: name.clone(), position, annotation });
                plan.objects += 1;
                if entry.size().is_none() && sizes.insert(name.clone(), size).is_none() {
                    plan.sizes.push(Edit::SetImageSize { image: name.clone(), size: Some(size) });
                }
            }
        }
        plan.pictures = added.len();
        plan.left_out += unmatched_objects + misfit_objects + duplicates + unusable;
        if !unmatched.is_empty() {
            let what = counted(unmatched.len(), "picture of the file has", "pictures of the file have");
            let (list, objects) = (listed(&unmatched, ", "), counted(unmatched_objects, "object", "objects"));
            plan.remarks.push(format!("{what} no clear match in this folder: {list} ({objects})"));
        }
        if !misfits.is_empty() {
            let what = counted(misfits.len(), "picture has", "pictures have");
            let (list, objects) = (listed(&misfits, ", "), counted(misfit_objects, "object", "objects"));
            plan.remarks.push(format!("{what} another size in the file: {list} ({objects})"));
        }
        if duplicates > 0 {
            plan.remarks.push(format!("{} there already", counted(duplicates, "object is", "objects are")));
        }
        if unusable > 0 {
            let what = counted(unusable, "object has", "objects have");
            plan.remarks.push(format!("{what} no pixels, or a mask of another size than the picture"));
        }
        plan.remarks.extend(dataset.remarks);
        plan
    }

    /// The label of each name in the file: those that are there, and new ones at the end in the file's order.
    fn plan_labels(&mut self, project: &mut Project, dataset: &ImportedDataset) -> HashMap<String, LabelId> {
        let of_objects = dataset.images.iter().flat_map(|image| &image.objects).filter_map(|o| o.category.as_ref());
        let mut labels: HashMap<String, LabelId> = HashMap::new();
        let mut colours: Vec<Colour> = project.labels().iter().map(|label| label.colour).collect();
        for name in dataset.categories.iter().chain(of_objects).map(|name| name.trim()) {
            if name.is_empty() || labels.contains_key(name) {
                continue;
            }
            let known = project.label_named(name).map(|label| label.id);
            let id = known.unwrap_or_else(|| project.new_label_id());
            labels.insert(name.to_owned(), id);
            if known.is_none() {
                let (position, colour) = (colours.len(), super::objects::unused_colour(&colours));
                colours.push(colour);
                self.edits.push(Edit::AddLabel { position, label: Label { id, name: name.to_owned(), colour } });
            }
        }
        labels
    }

    /// What the user is told.
    fn notice(&self, path: &Path) -> String {
        let file = path.display();
        let mut text = match self.objects {
            0 => format!("No object was imported from {file}"),
            objects => format!(
                "{} on {} imported from {file}",
                counted(objects, "object", "objects"),
                counted(self.pictures, "picture", "pictures")
            ),
        };
        if self.left_out > 0 {
            text += &format!("; {} left out", self.left_out);
        }
        if !self.remarks.is_empty() {
            text += &format!(": {}", listed(&self.remarks, "; "));
        }
        text + "."
    }
}

fn size_of(object: &Annotation) -> ImageSize {
    ImageSize { width: object.mask.width(), height: object.mask.height() }
}

fn next_id(ids: &mut impl Iterator<Item = AnnotationId>) -> AnnotationId {
    ids.next().expect("ids count to 2^64")
}

fn counted(count: usize, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

/// The first few, and how many more there are.
fn listed(texts: &[String], separator: &str) -> String {
    let first = texts.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join(separator);
    match texts.len().saturating_sub(LISTED) {
        0 => first,
        more => format!("{first}{separator}and {more} more"),
    }
}

/// The project's picture of each picture of the file: of the same relative name; else of the same file name, if that is
/// clear; else of the same name without its ending. Clear means that neither side has a second candidate.
fn places_of(project: &Project, images: &[ImportedImage]) -> Vec<Option<ImageName>> {
    let names: Vec<String> = images.iter().map(|image| image.file_name.replace('\\', "/")).collect();
    let names: Vec<&str> = names.iter().map(|name| name.strip_prefix("./").unwrap_or(name)).collect();
    let known = |name: &str| ImageName::new(name).ok().filter(|name| project.image(name).is_some());
    let mut places: Vec<Option<ImageName>> = names.iter().map(|name| known(name)).collect();
    for key_of in [file_name_of as fn(&str) -> &str, stem_of] {
        let taken: HashSet<ImageName> = places.iter().flatten().cloned().collect();
        // `None` stands for several pictures.
        let mut pictures: HashMap<&str, Option<&ImageName>> = HashMap::new();
        for entry in project.images() {
            let key = key_of(entry.name().as_str());
            pictures.entry(key).and_modify(|several| *several = None).or_insert(Some(entry.name()));
        }
        let mut wanted: HashMap<&str, usize> = HashMap::new();
        for (name, _) in names.iter().zip(&places).filter(|(_, place)| place.is_none()) {
            *wanted.entry(key_of(name)).or_default() += 1;
        }
        for (name, place) in names.iter().zip(&mut places).filter(|(_, place)| place.is_none()) {
            let key = key_of(name);
            let picture = pictures.get(key).copied().flatten().filter(|picture| !taken.contains(*picture));
            *place = picture.filter(|_| wanted.get(key) == Some(&1)).cloned();
        }
    }
    places
}

fn file_name_of(name: &str) -> &str {
    name.rsplit_once('/').map_or(name, |(_, file)| file)
}

fn stem_of(name: &str) -> &str {
    let file = file_name_of(name);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_found_by_path_then_by_clear_name_then_by_clear_stem() {
        let mut project = Project::new();
        for name in ["a/1.png", "b/1.png", "c/cat.jpg", "d/dog.png", "two.png", "e/two.png", "fox.png", "fox.jpg"] {
            project.apply(&Edit::AddImage { image: ImageName::new(name).unwrap(), size: None }).unwrap();
        }
        for (file_names, expected) in [
            // Two pictures could be meant by the second: not even the one that is left is taken.
            (vec!["a\\1.png", "1.png"], vec![Some("a/1.png"), None]),
            (vec!["elsewhere/cat.jpg", "/abs/dog.jpeg"], vec![Some("c/cat.jpg"), Some("d/dog.png")]),
            // What is taken by its path is not taken again by its name.
            (vec!["x/cat.jpg", "./c/cat.jpg", "y/cat.png"], vec![None, Some("c/cat.jpg"), None]),
            // Two of the file for one here.
            (vec!["x/cat.jpg", "y/cat.jpg"], vec![None, None]),
            (vec!["two.png", "f/two.png"], vec![Some("two.png"), None]),
            // By name before by stem.
            (vec!["x/fox.jpg", "x/fox.webp"], vec![Some("fox.jpg"), None]),
            (vec!["nowhere.png", "..", ""], vec![None, None, None]),
        ] {
            let image =
                |name: &&str| ImportedImage { file_name: (*name).to_owned(), width: 1, height: 1, objects: Vec::new() };
            let images: Vec<_> = file_names.iter().map(image).collect();
            let places = places_of(&project, &images);
            let places: Vec<_> = places.iter().map(|place| place.as_ref().map(ImageName::as_str)).collect();
            assert_eq!(places, expected, "{file_names:?}");
        }
    }
}

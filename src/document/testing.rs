//! Random edits for tests of edits, history and store.

use super::{Annotation, AnnotationId, Colour, Edit, ImageName, ImageSize, Label, LabelId, Origin, Project};
use crate::geometry::{ImagePoint, ImageRect, PixelRect};
use crate::prompt::{Polarity, Prompt, PromptStep};
use crate::raster::{Bitmap, Mask};
use proptest::prelude::*;
use std::sync::Arc;

/// Numbers from which [`edit`] makes an edit.
pub type Seed = [u8; 6];

/// Lists of seeds.
pub fn seeds(count: std::ops::Range<usize>) -> impl Strategy<Value = Vec<Seed>> {
    proptest::collection::vec(any::<Seed>(), count)
}

/// A mask of this size with at least one pixel.
pub fn mask(seed: u8, size: ImageSize) -> Mask {
    let (x, y) = (u32::from(seed) % size.width, u32::from(seed) / 7 % size.height);
    Mask::from_bitmap(&Bitmap::from_fn(size.width, size.height, |column, row| {
        (column, row) == (x, y) || (column * 31 + row * 17 + u32::from(seed)) % 5 == 0
    }))
}

/// An account of a mask with every kind of step.
pub fn origin(seed: u8, size: ImageSize) -> Origin {
    let at = ImagePoint::new(f32::from(seed) * 0.1, 0.3);
    let mut steps = vec![PromptStep::Point { at, polarity: Polarity::Include }];
    if seed % 2 == 1 {
        steps.push(PromptStep::Box(ImageRect { x0: 0.1, y0: 0.2, x1: 1.7 + at.x, y1: 2.0 / 3.0 }));
        steps.push(PromptStep::Mask(mask(seed, size)));
        steps.push(PromptStep::Point { at, polarity: Polarity::Exclude });
    }
    let view = seed.is_multiple_of(3).then_some(PixelRect { x: 1, y: 2, width: 3, height: 4 });
    Origin {
        prompt: Prompt { steps, view, choice: (seed % 5 < 3).then_some(usize::from(seed % 3)) },
        threshold: f32::from(seed) / 77.0,
        predicted_iou: f32::from(seed) / 255.0,
        stability: 0.25,
        model_id: format!("model@{seed}"),
    }
}

/// An edit that mostly fits the project, now and then not.
pub fn edit(project: &Project, seed: Seed) -> Edit {
    let [kind, a, b, c, d, _] = seed;
    let image = ImageName::new(&format!("picture {}.png", a % 4)).expect("a plain name");
    let entry = project.image(&image);
    let size = entry.and_then(|entry| entry.size()).unwrap_or(ImageSize { width: 6, height: 5 });
    let count = entry.map_or(0, |entry| entry.annotations().len());
    let id = entry
        .and_then(|entry| entry.annotations().get(usize::from(b) % count.max(1)))
        .map_or(AnnotationId(9999), |annotation| annotation.id);
    let label_id = project.labels().get(usize::from(b) % project.labels().len().max(1)).map(|label| label.id);
    let some_label = label_id.unwrap_or(LabelId(9999));
    let colour = Colour::new(b, c, d);
    match kind % 20 {
        0..=3 => {
            let mut annotation = Annotation::new(AnnotationId(u64::from(c) + 1), mask(d, size));
            annotation.origin = (d % 3 > 0).then(|| origin(d, size));
            annotation.label = label_id.filter(|_| d % 2 == 0);
            annotation.name = (d % 4 == 0).then(|| "naïve 名前".to_owned());
            Edit::AddAnnotation { image, position: usize::from(b) % (count + 1), annotation: Arc::new(annotation) }
        }
        4 => Edit::AddImage { image, size: (b % 2 == 0).then_some(size) },
        5 => Edit::RemoveImage { image },
        6 => {
            let size = if b % 2 == 0 { size } else { ImageSize { width: 7, height: 7 } };
            Edit::SetImageSize { image, size: (c % 3 > 0).then_some(size) }
        }
        7 => Edit::RemoveAnnotation { image, id },
        8 => {
            let origin = (c % 2 == 0).then(|| Box::new(origin(c, size)));
            Edit::SetMask { image, id, mask: mask(d, size), origin }
        }
        9 => Edit::SetLabel { image, id, label: label_id.filter(|_| c % 4 > 0) },
        10 => Edit::SetColour { image, id, colour: (d % 2 == 0).then_some(colour) },
        11 => Edit::SetName { image, id, name: (d % 2 == 0).then(|| format!("name {c}")) },
        12 => Edit::SetHidden { image, id, hidden: d % 2 == 0 },
        13 => Edit::SetLocked { image, id, locked: d % 2 == 0 },
        14 => Edit::MoveAnnotation { image, id, position: usize::from(c) % (count + 1) },
        15 => {
            let label = Label { id: LabelId(u64::from(c % 16) + 1), name: format!("label {}", d % 16), colour };
            Edit::AddLabel { position: usize::from(b) % (project.labels().len() + 1), label }
        }
        16 => project.edit_removing_label(some_label).unwrap_or(Edit::RemoveLabel { id: some_label }),
        17 => Edit::RenameLabel { id: some_label, name: format!("label {}", d % 16) },
        18 => Edit::MoveLabel { id: some_label, position: usize::from(c) % (project.labels().len() + 1) },
        _ => {
            let parts = [[a, b, c, d, kind, 0], [b, a, d, c, kind, 0], [c, a, b, d, kind, 0]];
            // A group inside a group would never end here; the kinds above suffice.
            let parts = parts.into_iter().filter(|part| part[0] % 20 < 19).map(|part| edit(project, part));
            let mut parts: Vec<Edit> = parts.collect();
            parts.push(Edit::RecolourLabel { id: some_label, colour });
            Edit::Together(parts)
        }
    }
}

/// A project with pictures and labels to edit.
pub fn start() -> (Project, Vec<Edit>) {
    let size = Some(ImageSize { width: 6, height: 5 });
    let mut edits = Vec::new();
    for number in 0..3 {
        let image = ImageName::new(&format!("picture {number}.png")).expect("a plain name");
        edits.push(Edit::AddImage { image, size });
    }
    let label = Label { id: LabelId(100), name: "cat".to_owned(), colour: Colour::from_palette(0) };
    edits.push(Edit::AddLabel { position: 0, label });
    let mut project = Project::new();
    for edit in &edits {
        project.apply(edit).expect("fits an empty project");
    }
    (project, edits)
}

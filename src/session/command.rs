//! Everything a user can wish for, as data. The window, the palette and the keys all speak these words.
//!
//! Invariant: a closed enum. A wish may start work and may fail; it says so through a notice, never through a panic.

use super::export::ExportRequest;
use super::options::Tool;
use crate::document::{AnnotationId, Colour, ImageName, LabelId};
use crate::geometry::{ImagePoint, ImageRect};
use crate::prompt::Polarity;
use std::path::PathBuf;
use std::sync::Arc;

use super::notices::NoticeId;

/// A wish.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Opens a folder, or files of one folder. Of files of several folders, those of the first file's folder.
    Open(Vec<PathBuf>),
    /// Opens pictures that the program brings along; they are copied to the user's data folder first.
    OpenSamples(Vec<SampleFile>),
    /// Opens pixels from the clipboard; they are kept as a file in the user's data folder first.
    OpenPasted(PastedPicture),
    /// Shows this picture of the list.
    ShowImage(ImageName),
    /// Shows the next picture of the list; stops at the end.
    NextImage,
    /// Shows the picture before; stops at the start.
    PreviousImage,

    /// Says that the object covers a point, or does not.
    AddPoint {
        /// Where; points outside the picture are ignored.
        at: ImagePoint,
        /// On the object or beside it.
        polarity: Polarity,
    },
    /// Drags a point of the draft. All moves up to [`Command::EndDrag`] are one undoable action.
    MovePoint {
        /// Index in the draft's steps.
        step: usize,
        /// Where to; clamped to the picture.
        to: ImagePoint,
    },
    /// The drag is over.
    EndDrag,
    /// Takes back one thing said: a point or the box, by its index in the draft's steps.
    RemoveStep(usize),
    /// Says that the object lies in this box; replaces the draft's box. Clipped to the picture.
    SetBox(ImageRect),
    /// Takes one of the candidates of a lone point, 0..=2.
    ChooseCandidate(usize),
    /// Takes the next candidate, after the last the first.
    NextCandidate,
    /// Takes the candidate before.
    PreviousCandidate,
    /// The pointer rests on the picture, or has left it; answered by a preview if that is switched on.
    Hover(Option<ImagePoint>),
    /// Keeps the mask shown as an object, or as the corrected mask of the object reopened.
    AcceptDraft,
    /// Clears the prompts; a reopened object stays as it was.
    DropDraft,
    /// Clears the prompts if there are any, else clears the selection, else leaves the tool.
    Escape,

    /// Selects the topmost visible object at a point; nothing there clears the selection.
    SelectAt(ImagePoint),
    /// Selects an object, or none.
    Select(Option<AnnotationId>),
    /// Selects the next object of the picture, after the last the first.
    SelectNext,
    /// Selects the object before.
    SelectPrevious,
    /// Makes an object's prompts the draft again, so that clicks correct it.
    Reopen(AnnotationId),
    /// [`Command::Reopen`] for the selected object.
    ReopenSelected,
    /// Deletes an object; a locked one stays, with a notice.
    Delete(AnnotationId),
    /// [`Command::Delete`] for the selected object.
    DeleteSelected,
    /// Adds a copy of the selected object above it.
    DuplicateSelected,
    /// Gives an object a name of its own, or takes it away.
    Rename(AnnotationId, Option<String>),
    /// Gives an object a colour of its own, or its label's again.
    SetColour(AnnotationId, Option<Colour>),
    /// Hides or shows an object.
    SetHidden(AnnotationId, bool),
    /// Locks or unlocks an object.
    SetLocked(AnnotationId, bool),
    /// Hides the selected object, or shows it.
    ToggleHiddenSelected,
    /// Locks the selected object, or unlocks it.
    ToggleLockedSelected,
    /// Hides all objects of the picture, or shows all if all are hidden.
    ToggleAllHidden,
    /// Moves an object in drawing order, 0 at the bottom.
    MoveAnnotation(AnnotationId, usize),

    /// Says what an object is; it also becomes the label of the next objects.
    SetLabel(AnnotationId, Option<LabelId>),
    /// The n-th label (1..=9) for the selected object, or while prompting for the draft.
    LabelByNumber(usize),
    /// The label of this name for the selected object or the draft; made if there is none.
    LabelByName(String),
    /// The label that the next objects get.
    SetActiveLabel(Option<LabelId>),
    /// A new label at the end, in a colour of the palette.
    AddLabel(String),
    /// Calls a label differently.
    RenameLabel(LabelId, String),
    /// Gives a label another colour.
    RecolourLabel(LabelId, Colour),
    /// Moves a label among the labels.
    MoveLabel(LabelId, usize),
    /// Removes a label; its objects stay, without a label.
    RemoveLabel(LabelId),

    /// Takes back the last click of the draft, or else the last change of the project.
    Undo,
    /// Does again what was taken back last.
    Redo,
    /// Waits for nothing: retries a failed save at once and says where the work is kept.
    SaveNow,

    /// The logit above which a pixel belongs to the mask; 0 is the model's own choice. Clamped to +-10.
    SetThreshold(f32),
    /// How strongly masks are tinted, 0..=1.
    SetTintOpacity(f32),
    /// Whether masks have an outline.
    SetOutline(bool),
    /// Whether nothing moves on its own.
    SetReduceMotion(bool),
    /// Whether the mask under the resting pointer is shown.
    SetHoverPreview(bool),
    /// What clicks do.
    SetTool(Tool),

    /// Uses another segmenter.
    SetModel(ModelChoice),
    /// Writes masks to disk.
    Export(ExportRequest),
    /// Takes the objects of a COCO file into the open project, as one undoable action.
    ImportCoco(PathBuf),
    /// Stops the running export.
    CancelExport,
    /// Puts the selected object, cut out with alpha, on the clipboard.
    CopyCutout,
    /// The user has read a notice.
    DismissNotice(NoticeId),
}

impl Command {
    /// Whether the user will wait for another picture.
    pub fn opens_a_picture(&self) -> bool {
        matches!(
            self,
            Self::Open(_)
                | Self::OpenSamples(_)
                | Self::OpenPasted(_)
                | Self::ShowImage(_)
                | Self::NextImage
                | Self::PreviousImage
        )
    }
}

/// A picture file that the program brings along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleFile {
    /// File name.
    pub name: &'static str,
    /// The encoded picture.
    pub bytes: &'static [u8],
}

/// Pixels from the clipboard.
#[derive(Clone, PartialEq, Eq)]
pub struct PastedPicture {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Straight alpha, `[height, width, 4]`.
    pub rgba: Arc<[u8]>,
}

impl std::fmt::Debug for PastedPicture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PastedPicture({} x {})", self.width, self.height)
    }
}

/// Which segmenter to use.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ModelChoice {
    /// The one inside the program.
    #[default]
    BuiltIn,
    /// A safetensors file, or a folder with one.
    Path(PathBuf),
}

//! One table of all commands that have a key or a line in the palette: shortcuts, palette and help sheet are this table.
//!
//! Invariant (tested): in every context a shortcut means at most one command, ids and titles are unique. Defaults are
//! those that break the fewest habits of users of other annotation tools.

use super::command::Command;
use super::keys::{Key, Shortcut};
use super::options::Tool;

/// Where a command stands in the palette and the help sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Opening, saving, exporting, importing.
    File,
    /// Saying where an object is.
    Prompt,
    /// What is done with finished objects.
    Object,
    /// What objects are.
    Label,
    /// Undo and redo.
    Edit,
    /// Looking.
    View,
    /// Finding help.
    Help,
}

impl Group {
    /// All groups in the order of the help sheet.
    pub const ALL: [Self; 7] =
        [Self::File, Self::Prompt, Self::Object, Self::Label, Self::Edit, Self::View, Self::Help];

    /// For people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::File => "File",
            Self::Prompt => "Prompt",
            Self::Object => "Object",
            Self::Label => "Label",
            Self::Edit => "Edit",
            Self::View => "View",
            Self::Help => "Help",
        }
    }
}

/// The few facts that decide which commands are available; see `Session::context`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Context {
    /// A project is open.
    pub project: bool,
    /// A picture can be seen.
    pub picture: bool,
    /// Something has been said about an object.
    pub drafting: bool,
    /// There are several candidates to choose from.
    pub choosing: bool,
    /// An object is selected.
    pub selected: bool,
    /// The picture has objects.
    pub objects: bool,
    /// The project has objects.
    pub exportable: bool,
    /// Something can be taken back.
    pub can_undo: bool,
    /// Something can be done again.
    pub can_redo: bool,
}

/// When a command is available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// In every context.
    Always,
    /// A project is open.
    Project,
    /// A picture can be seen.
    Picture,
    /// Something has been said.
    Drafting,
    /// There are several candidates.
    Choosing,
    /// A picture can be seen and there are no candidates to choose from.
    PictureNotChoosing,
    /// An object is selected and nothing has been said.
    Selected,
    /// The picture has objects and nothing has been said.
    Objects,
    /// The project has objects.
    Exportable,
    /// Something can be taken back.
    CanUndo,
    /// Something can be done again.
    CanRedo,
}

impl When {
    /// Whether the context allows it.
    pub const fn allows(self, context: Context) -> bool {
        match self {
            Self::Always => true,
            Self::Project => context.project,
            Self::Picture => context.picture,
            Self::Drafting => context.drafting,
            Self::Choosing => context.choosing,
            Self::PictureNotChoosing => context.picture && !context.choosing,
            Self::Selected => context.selected && !context.drafting,
            Self::Objects => context.objects && !context.drafting,
            Self::Exportable => context.exportable,
            Self::CanUndo => context.can_undo,
            Self::CanRedo => context.can_redo,
        }
    }
}

/// Something that the window does itself: dialogs, panels, zoom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowRequest {
    /// The dialog that picks picture files.
    OpenFiles,
    /// The dialog that picks a folder.
    OpenFolder,
    /// The dialog of an export.
    Export,
    /// The dialog that picks a file of annotations.
    ImportCoco,
    /// Read a picture from the clipboard and open it.
    Paste,
    /// The dialog that picks a weights file.
    ChooseModel,
    /// The settings panel.
    Settings,
    /// The command palette.
    Palette,
    /// The shortcut sheet.
    Shortcuts,
    /// Type a label for the selected object or the draft.
    TypeLabel,
    /// Type a name for the selected object.
    TypeName,
    /// Show the whole picture.
    ZoomFit,
    /// One picture pixel a screen pixel.
    ZoomActualSize,
    /// Closer.
    ZoomIn,
    /// Further away.
    ZoomOut,
    /// Light or dark.
    ToggleTheme,
    /// Leave the canvas for the bars and panels: from there Tab goes on.
    FocusPanels,
    /// Show or hide how long things took.
    Timings,
    /// Close the window.
    Quit,
}

/// What a line of the table does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A wish to the session.
    Run(Command),
    /// A request to the window.
    Window(WindowRequest),
}

/// A line of the table.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandEntry {
    /// Stable name for settings files: `next-image`.
    pub id: &'static str,
    /// For people: `Next image`.
    pub title: &'static str,
    /// Where it stands.
    pub group: Group,
    /// Keys; the first is shown in menus and tooltips.
    pub keys: Vec<Shortcut>,
    /// When it is available.
    pub when: When,
    /// What it does.
    pub action: Action,
}

/// All lines, grouped, in the order of the help sheet.
#[derive(Debug, Clone, PartialEq)]
pub struct CommandTable {
    entries: Vec<CommandEntry>,
}

impl Default for CommandTable {
    fn default() -> Self {
        Self { entries: default_entries() }
    }
}

impl CommandTable {
    /// All lines.
    pub fn entries(&self) -> &[CommandEntry] {
        &self.entries
    }

    /// The line of this id.
    pub fn entry(&self, id: &str) -> Option<&CommandEntry> {
        self.entries.iter().find(|entry| entry.id == id)
    }

    /// The line of this action, for tooltips that show the key.
    pub fn entry_for(&self, action: &Action) -> Option<&CommandEntry> {
        self.entries.iter().find(|entry| entry.action == *action)
    }

    /// What a key means in a context; `None` if nothing.
    pub fn resolve(&self, shortcut: Shortcut, context: Context) -> Option<&CommandEntry> {
        self.entries.iter().find(|entry| entry.keys.contains(&shortcut) && entry.when.allows(context))
    }
}

fn default_entries() -> Vec<CommandEntry> {
    use Command as C;
    use Group::{Edit, File, Help, Label, Object, Prompt, View};
    use Shortcut as S;
    use WindowRequest as W;
    let mut entries = Vec::new();
    let mut add = |group, id, title, keys: &[Shortcut], when, action| {
        entries.push(CommandEntry { id, title, group, keys: keys.to_vec(), when, action });
    };
    let run = Action::Run;
    let window = Action::Window;

    add(File, "open-files", "Open pictures…", &[S::ctrl('O')], When::Always, window(W::OpenFiles));
    add(File, "open-folder", "Open folder…", &[S::ctrl('O').with_shift()], When::Always, window(W::OpenFolder));
    add(File, "paste", "Paste picture", &[S::ctrl('V')], When::Always, window(W::Paste));
    let next = [S::sign('D'), S::plain(Key::PageDown)];
    add(File, "next-image", "Next picture", &next, When::Project, run(C::NextImage));
    let previous = [S::sign('A'), S::plain(Key::PageUp)];
    add(File, "previous-image", "Previous picture", &previous, When::Project, run(C::PreviousImage));
    add(File, "save-now", "Save now (work is saved as it is made)", &[S::ctrl('S')], When::Project, run(C::SaveNow));
    add(File, "export", "Export…", &[S::ctrl('E')], When::Exportable, window(W::Export));
    add(File, "choose-model", "Use another model…", &[], When::Always, window(W::ChooseModel));
    add(
        File,
        "built-in-model",
        "Use the built-in model",
        &[],
        When::Always,
        run(C::SetModel(super::command::ModelChoice::BuiltIn)),
    );
    add(File, "settings", "Settings", &[S::ctrl(',')], When::Always, window(W::Settings));
    add(File, "import-coco", "Import COCO annotations…", &[], When::Project, window(W::ImportCoco));
    add(File, "quit", "Quit", &[S::ctrl('Q')], When::Always, window(W::Quit));

    add(Prompt, "prompt-tool", "Prompt tool: clicks make a mask", &[S::sign('Q')], When::Always, {
        run(C::SetTool(Tool::Prompt))
    });
    let accept = [S::plain(Key::Enter), S::sign('N')];
    add(Prompt, "accept", "Keep the mask", &accept, When::Drafting, run(C::AcceptDraft));
    add(Prompt, "escape", "Drop the prompts, the selection, the tool", &[S::plain(Key::Escape)], When::Always, {
        run(C::Escape)
    });
    for (id, title, digit, candidate) in [
        ("candidate-1", "Take candidate 1", '1', 0),
        ("candidate-2", "Take candidate 2", '2', 1),
        ("candidate-3", "Take candidate 3", '3', 2),
    ] {
        add(Prompt, id, title, &[S::sign(digit)], When::Choosing, run(C::ChooseCandidate(candidate)));
    }
    let tab = S::plain(Key::Tab);
    add(Prompt, "next-candidate", "Next candidate", &[tab], When::Choosing, run(C::NextCandidate));
    let back = [tab.with_shift()];
    add(Prompt, "previous-candidate", "Previous candidate", &back, When::Choosing, run(C::PreviousCandidate));

    add(Object, "select-tool", "Select tool: clicks select objects", &[S::sign('V')], When::Always, {
        run(C::SetTool(Tool::Select))
    });
    add(Object, "select-next", "Next object", &[tab], When::Objects, run(C::SelectNext));
    add(Object, "select-previous", "Previous object", &back, When::Objects, run(C::SelectPrevious));
    add(Object, "reopen", "Correct by clicks", &[S::sign('C')], When::Selected, run(C::ReopenSelected));
    let delete = [S::plain(Key::Delete), S::plain(Key::Backspace)];
    add(Object, "delete", "Delete object", &delete, When::Selected, run(C::DeleteSelected));
    add(Object, "duplicate", "Duplicate object", &[S::ctrl('D')], When::Selected, run(C::DuplicateSelected));
    add(Object, "copy-cutout", "Copy cut-out", &[S::ctrl('C')], When::Selected, run(C::CopyCutout));
    add(Object, "rename", "Name object…", &[S::plain(Key::Function(2))], When::Selected, window(W::TypeName));
    add(Object, "toggle-hidden", "Hide or show object", &[S::sign('H')], When::Selected, run(C::ToggleHiddenSelected));
    add(Object, "toggle-all-hidden", "Hide or show all objects", &[S::sign('T'), S::ctrl('H')], When::Objects, {
        run(C::ToggleAllHidden)
    });
    add(Object, "toggle-locked", "Lock or unlock object", &[S::sign('L')], When::Selected, {
        run(C::ToggleLockedSelected)
    });

    let by_number: [(&str, &str); 9] = [
        ("label-1", "Label 1"),
        ("label-2", "Label 2"),
        ("label-3", "Label 3"),
        ("label-4", "Label 4"),
        ("label-5", "Label 5"),
        ("label-6", "Label 6"),
        ("label-7", "Label 7"),
        ("label-8", "Label 8"),
        ("label-9", "Label 9"),
    ];
    for ((id, title), (number, digit)) in by_number.into_iter().zip((1..).zip('1'..='9')) {
        // While there are candidates the first three digits choose among them.
        let when = if number <= 3 { When::PictureNotChoosing } else { When::Picture };
        add(Label, id, title, &[S::sign(digit), S::ctrl(digit)], when, run(C::LabelByNumber(number)));
    }
    add(Label, "type-label", "Type a label…", &[S::sign('W'), S::ctrl('L')], When::Picture, window(W::TypeLabel));

    add(Edit, "undo", "Undo", &[S::ctrl('Z')], When::CanUndo, run(C::Undo));
    add(Edit, "redo", "Redo", &[S::ctrl('Z').with_shift(), S::ctrl('Y')], When::CanRedo, run(C::Redo));

    add(View, "zoom-fit", "Fit picture", &[S::sign('F'), S::ctrl('0')], When::Picture, window(W::ZoomFit));
    add(View, "zoom-actual", "Actual size", &[S::sign('0')], When::Picture, window(W::ZoomActualSize));
    let closer = [S::sign('+'), S::sign('='), S::ctrl('+'), S::ctrl('=')];
    add(View, "zoom-in", "Closer", &closer, When::Picture, window(W::ZoomIn));
    add(View, "zoom-out", "Further away", &[S::sign('-'), S::ctrl('-')], When::Picture, window(W::ZoomOut));
    let panels = [S::plain(Key::Function(6))];
    add(View, "focus-panels", "Go to the panels (then Tab)", &panels, When::Always, window(W::FocusPanels));
    add(View, "theme", "Light or dark", &[], When::Always, window(W::ToggleTheme));
    add(View, "timings", "Show or hide timings", &[S::plain(Key::Function(12))], When::Always, window(W::Timings));

    add(Help, "palette", "Find a command…", &[S::ctrl('P'), S::ctrl('K')], When::Always, window(W::Palette));
    add(Help, "shortcuts", "Keyboard shortcuts", &[S::sign('?'), S::plain(Key::Function(1))], When::Always, {
        window(W::Shortcuts)
    });
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    fn contexts() -> impl Iterator<Item = Context> {
        (0u16..512)
            .map(|bits| {
                let bit = |n: u16| bits >> n & 1 == 1;
                Context {
                    project: bit(0),
                    picture: bit(1),
                    drafting: bit(2),
                    choosing: bit(3),
                    selected: bit(4),
                    objects: bit(5),
                    exportable: bit(6),
                    can_undo: bit(7),
                    can_redo: bit(8),
                }
            })
            // Candidates exist only while prompting, and prompting needs a picture.
            .filter(|c| (!c.choosing || c.drafting) && (!c.drafting || c.picture))
    }

    #[test]
    fn no_key_means_two_things_in_one_context() {
        let table = CommandTable::default();
        for context in contexts() {
            let mut seen: HashMap<Shortcut, &str> = HashMap::new();
            for entry in table.entries().iter().filter(|entry| entry.when.allows(context)) {
                for key in &entry.keys {
                    if let Some(other) = seen.insert(*key, entry.id) {
                        panic!("{key} means {other} and {} in {context:?}", entry.id);
                    }
                }
            }
        }
    }

    #[test]
    fn ids_and_titles_are_unique_and_each_key_works_somewhere() {
        let table = CommandTable::default();
        let mut names = HashSet::new();
        for entry in table.entries() {
            assert!(names.insert(entry.id) && names.insert(entry.title), "{}", entry.id);
            for key in &entry.keys {
                let works = contexts().any(|c| table.resolve(*key, c).is_some_and(|found| found.id == entry.id));
                assert!(works, "{key} never reaches {}", entry.id);
            }
        }
    }

    #[test]
    fn digits_choose_candidates_while_prompting_and_label_otherwise() {
        let table = CommandTable::default();
        let idle = Context { picture: true, selected: true, ..Context::default() };
        let choosing = Context { picture: true, drafting: true, choosing: true, ..Context::default() };
        let refining = Context { choosing: false, ..choosing };
        let action = |context| table.resolve(Shortcut::sign('2'), context).map(|entry| entry.action.clone());
        assert_eq!(action(choosing), Some(Action::Run(Command::ChooseCandidate(1))));
        assert_eq!(action(refining), Some(Action::Run(Command::LabelByNumber(2))));
        assert_eq!(action(idle), Some(Action::Run(Command::LabelByNumber(2))));
        assert_eq!(action(Context::default()), None);
        assert_eq!(Shortcut::ctrl('Z').with_shift().to_string().replace("Cmd", "Ctrl"), "Ctrl+Shift+Z");
    }
}

//! Letters that the built-in fonts lack are drawn with a font of the system, looked for only once they are needed.
//!
//! Invariant: the drawing thread never reads a font file. It only hears that a letter is missing; a thread of its own
//! looks through the usual folders and hands the font back. What is found nowhere is told once.

use egui::epaint::text::{FallbackRequest, FontData, FontInsert, FontProvider};
use egui::{Context, FontFamily};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

/// Hears of letters that no font has. Called by egui once a letter, in the middle of laying out text: nothing may be
/// asked of the context here, which is locked.
struct MissingLetters(Mutex<Sender<char>>);

impl FontProvider for MissingLetters {
    fn font_for(&self, request: &FallbackRequest<'_>) -> Option<FontInsert> {
        let letter = request.cluster.chars().next()?;
        if let Ok(sender) = self.0.lock() {
            // The receiver lives as long as the window; without it nobody needs the letter.
            let _ = sender.send(letter);
        }
        None
    }
}

/// Looks for fonts as letters turn out to be missing.
pub struct SystemFonts {
    missing: Receiver<char>,
    found: Receiver<Search>,
    found_sender: Sender<Search>,
    asked: BTreeSet<&'static str>,
    used: BTreeSet<PathBuf>,
}

/// What a search came back with.
struct Search {
    script: &'static str,
    font: Option<(PathBuf, Vec<u8>)>,
}

/// One kind of writing: its name for people, its letters, and parts of the names of fonts that have it, best first.
struct Script {
    name: &'static str,
    ranges: &'static [(u32, u32)],
    font_names: &'static [&'static str],
}

const SCRIPTS: &[Script] = &[
    Script {
        name: "Chinese, Japanese or Korean",
        ranges: &[
            (0x1100, 0x11FF),
            (0x2E80, 0xA4CF),
            (0xAC00, 0xD7FF),
            (0xF900, 0xFAFF),
            (0xFF00, 0xFFEF),
            (0x20000, 0x3FFFF),
        ],
        font_names: &[
            "notosanscjk",
            "sourcehansans",
            "notosanssc",
            "notosansjp",
            "notosanskr",
            "wqy-microhei",
            "wqy-zenhei",
            "droidsansfallback",
            "pingfang",
            "hiragino",
            "msyh",
            "yugoth",
            "malgun",
            "arial unicode",
            "unifont",
        ],
    },
    Script {
        name: "Arabic",
        ranges: &[(0x0600, 0x06FF), (0x0750, 0x077F), (0xFB50, 0xFDFF), (0xFE70, 0xFEFF)],
        font_names: &["notosansarabic", "notonaskharabic", "dejavusans.", "segoeui", "arial", "unifont"],
    },
    Script {
        name: "Hebrew",
        ranges: &[(0x0590, 0x05FF)],
        font_names: &["notosanshebrew", "dejavusans.", "segoeui", "arial", "unifont"],
    },
    Script {
        name: "Devanagari",
        ranges: &[(0x0900, 0x097F)],
        font_names: &["notosansdevanagari", "lohit-devanagari", "nirmala", "mangal", "unifont"],
    },
    Script {
        name: "Thai",
        ranges: &[(0x0E00, 0x0E7F)],
        font_names: &["notosansthai", "loma", "leelawui", "tahoma", "thonburi", "unifont"],
    },
    Script {
        name: "these",
        ranges: &[(0, 0x10_FFFF)],
        font_names: &["dejavusans.", "notosans-regular", "segoeui", "arial", "unifont"],
    },
];

fn script_of(letter: char) -> &'static Script {
    let code = u32::from(letter);
    let has = |script: &&Script| script.ranges.iter().any(|&(from, to)| (from..=to).contains(&code));
    // The last row takes every letter.
    SCRIPTS.iter().find(has).unwrap_or(&SCRIPTS[SCRIPTS.len() - 1])
}

impl SystemFonts {
    /// Listens for missing letters from now on.
    pub fn watch(context: &Context) -> Self {
        let (sender, missing) = channel();
        let (found_sender, found) = channel();
        context.add_font_provider(Arc::new(MissingLetters(Mutex::new(sender))));
        Self { missing, found, found_sender, asked: BTreeSet::new(), used: BTreeSet::new() }
    }

    /// Starts searches for what turned out to be missing, and takes in what was found: call it after each frame.
    /// Returns texts for people where nothing was found.
    pub fn drain(&mut self, context: &Context) -> Vec<String> {
        while let Ok(letter) = self.missing.try_recv() {
            let script = script_of(letter);
            if self.asked.insert(script.name) {
                let (sender, context) = (self.found_sender.clone(), context.clone());
                std::thread::spawn(move || {
                    let font = find_font(&font_folders(), script)
                        .and_then(|path| std::fs::read(&path).ok().map(|bytes| (path, bytes)));
                    if sender.send(Search { script: script.name, font }).is_ok() {
                        context.request_repaint();
                    }
                });
            }
        }
        let mut notices = Vec::new();
        while let Ok(search) = self.found.try_recv() {
            match search.font {
                Some((path, bytes)) if self.used.insert(path.clone()) => {
                    context.add_font(font_insert(&path, bytes));
                    tracing::info!(font = %path.display(), "a system font was added for {} letters", search.script);
                }
                // Already in use, so it does not have the letter either.
                _ => notices.push(format!(
                    "No font with {} letters was found on this machine, so boxes are drawn instead. Your text is kept as it is. \
                     Installing a font such as Noto Sans (package fonts-noto-cjk or fonts-noto-core) and starting again helps.",
                    search.script
                )),
            }
        }
        notices
    }
}

fn font_insert(path: &Path, bytes: Vec<u8>) -> FontInsert {
    use egui::epaint::text::{FontPriority, InsertFontFamily};
    let family = |family| InsertFontFamily { family, priority: FontPriority::Lowest };
    FontInsert::new(
        &path.to_string_lossy(),
        FontData::from_owned(bytes),
        vec![family(FontFamily::Proportional), family(FontFamily::Monospace)],
    )
}

/// The folders in which systems keep fonts.
fn font_folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> =
        ["/usr/share/fonts", "/usr/local/share/fonts", "/System/Library/Fonts", "/Library/Fonts"]
            .map(Into::into)
            .into();
    if let Some(windows) = std::env::var_os("WINDIR") {
        folders.push(PathBuf::from(windows).join("Fonts"));
    }
    if let Ok(home) = etcetera::home_dir() {
        folders.extend([".local/share/fonts", ".fonts", "Library/Fonts"].map(|folder| home.join(folder)));
    }
    folders
}

/// The first font file, by order of preference, whose name fits the script.
fn find_font(folders: &[PathBuf], script: &Script) -> Option<PathBuf> {
    let mut files = Vec::new();
    for folder in folders {
        collect_fonts(folder, 0, &mut files);
    }
    files.sort();
    let plain = |path: &Path| {
        path.file_name().map(|name| name.to_string_lossy().to_lowercase().replace([' ', '_'], "")).unwrap_or_default()
    };
    script.font_names.iter().find_map(|wanted| {
        let mut fitting: Vec<&PathBuf> = files.iter().filter(|path| plain(path).contains(wanted)).collect();
        fitting.sort_by_key(|path| !plain(path).contains("regular"));
        fitting.first().map(|path| (*path).clone())
    })
}

/// Font files under a folder; links in circles end at the depth limit.
fn collect_fonts(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) {
    const MAX_DEPTH: usize = 5;
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let is_font = path
            .extension()
            .is_some_and(|ext| ["ttf", "otf", "ttc", "otc"].iter().any(|known| ext.eq_ignore_ascii_case(known)));
        if is_font {
            files.push(path);
        } else if depth < MAX_DEPTH && path.is_dir() {
            collect_fonts(&path, depth + 1, files);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_belong_to_the_script_people_would_name() {
        for (letter, name) in [('猫', "Chinese, Japanese or Korean"), ('ก', "Thai"), ('ש', "Hebrew"), ('ᚠ', "these")]
        {
            assert_eq!(script_of(letter).name, name);
        }
    }

    #[test]
    fn the_preferred_font_is_found_in_a_nested_folder() {
        let folder = tempfile::tempdir().unwrap();
        let nested = folder.path().join("truetype/noto");
        std::fs::create_dir_all(&nested).unwrap();
        for name in ["wqy-microhei.ttc", "NotoSansCJK-Bold.ttc", "NotoSansCJK-Regular.ttc", "readme.txt"] {
            std::fs::write(nested.join(name), b"").unwrap();
        }
        let found = find_font(&[folder.path().to_path_buf()], &SCRIPTS[0]);
        assert_eq!(found, Some(nested.join("NotoSansCJK-Regular.ttc")));
        assert_eq!(find_font(&[folder.path().to_path_buf()], &SCRIPTS[1]), None);
    }
}

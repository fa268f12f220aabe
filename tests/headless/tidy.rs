//! The rules of the house as tests: layers, owners of outside crates, file heads, file sizes, writing of files.
//!
//! Source is read as text with comments, strings and test modules taken out; that is enough for `use` and path mentions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each module with those it may name. Everything may name itself and layer 0.
const LAYERS: &[(&str, &[&str])] = &[
    ("atomic_file", &[]),
    ("geometry", &[]),
    ("kernels", &[]),
    ("prompt", &[]),
    ("raster", &[]),
    ("document", &[]),
    ("inference", &[]),
    ("formats", &["document"]),
    ("engine", &["inference", "formats", "document"]),
    ("session", &["engine", "document"]),
    ("render", &[]),
    ("ui", &["session", "document", "render"]),
    ("app", &["ui", "render", "session", "engine", "document", "formats", "inference"]),
    ("cli", &["inference", "formats", "document"]),
];
const LAYER_0: &[&str] = &["atomic_file", "geometry", "kernels", "prompt", "raster"];

/// Outside crates that only some modules may name, with the modules (or files) that may.
const OWNERS: &[(&str, &[&str])] = &[
    ("candle_core", &["inference"]),
    ("candle_nn", &["inference"]),
    ("safetensors", &["inference"]),
    ("crossbeam_channel", &["engine", "session"]),
    ("wgpu", &["render"]),
    ("bytemuck", &["render"]),
    ("egui_wgpu", &["render", "app"]),
    ("eframe", &["app"]),
    ("egui", &["ui", "app", "render/callback"]),
    ("rfd", &["app"]),
    ("arboard", &["app"]),
    ("clap", &["cli", "main"]),
    ("anyhow", &["cli", "main"]),
    ("image", &["raster"]),
    ("rusqlite", &["document/store"]),
];

const HARD_LIMIT_LINES: usize = 800;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The source files of the program, tests left out.
fn program_files() -> Vec<PathBuf> {
    files_below(&root().join("src"), "rs").into_iter().filter(|file| !is_test_code(file)).collect()
}

/// Rust source without comments, string contents and the test module that closes a file.
fn code_of(source: &str) -> String {
    let source = source.split("\n#[cfg(test)]\nmod ").next().unwrap_or(source);
    let mut out = String::with_capacity(source.len());
    for line in source.lines() {
        let line = line.trim_start();
        if line.starts_with("//") {
            out.push('\n');
            continue;
        }
        let mut in_string = false;
        let mut previous = ' ';
        for (index, c) in line.char_indices() {
            if c == '"' && previous != '\\' && previous != '\'' {
                in_string = !in_string;
            } else if !in_string && line[index..].starts_with("//") {
                break;
            } else if !in_string {
                out.push(c);
            }
            previous = c;
        }
        out.push('\n');
    }
    out
}

/// Whether `code` names `word::` as a path of its own (not as the tail of a longer name).
fn names_path(code: &str, word: &str) -> bool {
    code.match_indices(&format!("{word}::")).any(|(at, _)| {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        !(before.is_alphanumeric() || before == '_' || before == ':')
    }) || code.lines().any(|l| l.trim().trim_end_matches(';') == format!("use {word}"))
}

/// The modules of this crate that `code` names as `crate::name` or inside `use crate::{..}`.
fn modules_named(code: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for marker in ["crate::", "maskwright::"] {
        for (at, _) in code.match_indices(marker) {
            let rest = &code[at + marker.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                let mut depth = 0;
                let mut word = String::new();
                let mut at_start = true;
                for c in group.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => at_start = true,
                        c if c.is_alphanumeric() || c == '_' => {
                            if at_start && depth == 0 {
                                word.push(c);
                            }
                            continue;
                        }
                        _ => {}
                    }
                    if !word.is_empty() {
                        named.insert(std::mem::take(&mut word));
                        at_start = c == ',';
                    }
                }
                if !word.is_empty() {
                    named.insert(word);
                }
            } else {
                named.insert(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
            }
        }
    }
    named
}

fn module_of(file: &Path) -> String {
    let relative = file.strip_prefix(root().join("src")).expect("below src");
    let first = relative.iter().next().expect("not empty").to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn a_module_names_only_what_its_layer_may() {
    let allowed: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut faults = Vec::new();
    for file in program_files() {
        let module = module_of(&file);
        if module == "lib" || module == "main" {
            continue;
        }
        let Some(may) = allowed.get(module.as_str()) else {
            faults.push(format!("{}: the module {module} has no line in LAYERS", file.display()));
            continue;
        };
        let code = code_of(&std::fs::read_to_string(&file).unwrap());
        for named in modules_named(&code) {
            let known = allowed.contains_key(named.as_str());
            let cli_opens_the_window = module == "cli" && named == "app";
            if known
                && named != module
                && !may.contains(&named.as_str())
                && !LAYER_0.contains(&named.as_str())
                && !cli_opens_the_window
            {
                faults.push(format!("{}: {module} names {named}", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "layer rules of src/lib.rs:\n{}", faults.join("\n"));
}

#[test]
fn an_outside_crate_is_named_only_by_its_owner() {
    let mut faults = Vec::new();
    for file in program_files() {
        let relative = file.strip_prefix(root().join("src")).expect("below src").to_string_lossy().replace('\\', "/");
        let code = code_of(&std::fs::read_to_string(&file).unwrap());
        for (name, owners) in OWNERS {
            let owned = owners.iter().any(|o| relative.starts_with(&format!("{o}/")) || relative == format!("{o}.rs"));
            if !owned && names_path(&code, name) {
                faults.push(format!("{relative} names {name}, which belongs to {owners:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_source_file_has_a_head_and_a_bearable_length() {
    let mut faults = Vec::new();
    for folder in ["src", "tests", "benches"] {
        for file in files_below(&root().join(folder), "rs") {
            let text = std::fs::read_to_string(&file).unwrap();
            if !text.starts_with("//! ") {
                faults.push(format!("{}: no //! head", file.display()));
            }
            let lines = text.lines().count();
            if lines > HARD_LIMIT_LINES {
                faults.push(format!("{}: {lines} lines, the limit is {HARD_LIMIT_LINES}", file.display()));
            }
        }
    }
    for file in files_below(&root().join("shaders"), "wgsl") {
        if !std::fs::read_to_string(&file).unwrap().starts_with("//") {
            faults.push(format!("{}: no head comment", file.display()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A module of unit tests that has a file or a folder of its own.
fn is_test_code(file: &Path) -> bool {
    let stem = file.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let inside = file.strip_prefix(root()).unwrap_or(file);
    stem == "tests" || stem.ends_with("_tests") || inside.components().any(|part| part.as_os_str() == "tests")
}

#[test]
fn files_are_written_whole_and_nothing_is_left_open() {
    let mut faults = Vec::new();
    for file in program_files() {
        let code = code_of(&std::fs::read_to_string(&file).unwrap());
        for word in ["fs::write(", "File::create("] {
            if code.contains(word) && !file.ends_with("atomic_file.rs") {
                faults.push(format!("{}: {word}..) tears files; use atomic_file", file.display()));
            }
        }
        for word in ["todo!(", "unimplemented!(", "dbg!("] {
            if code.contains(word) {
                faults.push(format!("{}: {word}..)", file.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let reasons = std::fs::read_to_string(root().join("docs/dependencies.md")).unwrap();
    let mut inside = false;
    let mut missing = Vec::new();
    let mut seen = 0;
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]" || line == "[dev-dependencies]";
        } else if let Some((name, _)) = line.split_once('=').filter(|_| inside && line.starts_with(char::is_alphabetic))
        {
            seen += 1;
            if !reasons.contains(&format!("| `{}` |", name.trim())) {
                missing.push(name.trim().to_owned());
            }
        }
    }
    assert!(seen > 10, "the manifest was not understood: {seen} dependencies seen");
    assert!(missing.is_empty(), "docs/dependencies.md has no line for {missing:?}");
}

#[test]
fn the_reader_of_source_sees_what_it_should() {
    let code =
        code_of("use crate::{a::B, c, d::{e, f}};\n// crate::comment\nlet s = \"crate::string\"; crate::g::h();\n");
    let named: Vec<String> = modules_named(&code).into_iter().collect();
    assert_eq!(named, ["a", "c", "d", "g"]);
    assert!(names_path("use image::Rgb;", "image") && names_path("x = image::open()", "image"));
    assert!(!names_path("use crate::image::Rgb; my_image::x", "image"));
    assert!(!code_of("fn a() {}\n#[cfg(test)]\nmod tests { todo!() }").contains("todo"));
}

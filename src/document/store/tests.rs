//! The promises of the project file: what was written is read, whatever happens to process or file in between.

use super::*;
use crate::document::{Annotation, ImageSize, testing};
use proptest::prelude::*;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;

fn put(path: &Path, bytes: &[u8]) {
    crate::atomic_file::write_atomically(path, |writer| writer.write_all(bytes)).unwrap();
}

fn open(folder: &Path) -> (Store, OpenedStore) {
    let mut opened = Store::open(folder, None).unwrap();
    let owner = || StoreAccess::ReadOnly { owner: String::new() };
    match std::mem::replace(&mut opened.access, owner()) {
        StoreAccess::ReadWrite(store) => (store, opened),
        StoreAccess::ReadOnly { owner } => panic!("held by {owner}"),
    }
}

/// A store with the edits of [`testing::start`] in it.
fn started(folder: &Path) -> (Store, Project) {
    let (mut store, opened) = open(folder);
    assert_eq!(opened.contents, Contents::default());
    let (project, edits) = testing::start();
    for edit in &edits {
        store.write(edit).unwrap();
    }
    (store, project)
}

fn image(number: u32) -> ImageName {
    ImageName::new(&format!("picture {number}.png")).unwrap()
}

fn add_object(id: u64) -> Edit {
    let size = ImageSize { width: 6, height: 5 };
    let mut annotation = Annotation::new(AnnotationId(id), testing::mask(id as u8, size));
    annotation.origin = Some(testing::origin(id as u8, size));
    Edit::AddAnnotation { image: image(0), position: (id - 1) as usize, annotation: Arc::new(annotation) }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn the_file_holds_what_the_memory_holds(seeds in testing::seeds(1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, mut project) = started(folder.path());
        for seed in seeds {
            let edit = testing::edit(&project, seed);
            if project.apply(&edit).is_ok() {
                store.write(&edit).unwrap();
            }
        }
        let read = read::read(&store.connection).unwrap();
        prop_assert_eq!(read.damage, Vec::<String>::new());
        prop_assert_eq!(&read.contents.project, &project);
        store.close().unwrap();
        let (_store, opened) = open(folder.path());
        prop_assert_eq!(&opened.contents.project, &project);
    }
}

#[test]
fn drafts_and_the_last_picture_come_back_and_closing_leaves_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = started(folder.path());
    let prompt = testing::origin(7, ImageSize { width: 6, height: 5 }).prompt;
    let draft = StoredDraft { prompt, correcting: Some(AnnotationId(3)) };
    store.write_draft(&image(1), Some(&draft)).unwrap();
    store.write_draft(&image(2), Some(&StoredDraft::default())).unwrap();
    store.write_draft(&image(2), None).unwrap();
    store.write_last_image(&image(1)).unwrap();
    store.close().unwrap();
    assert!(!location::log_of(&folder.path().join(STORE_FILE_NAME)).exists());
    let (_store, opened) = open(folder.path());
    assert_eq!(opened.contents.last_image, Some(image(1)));
    assert_eq!(opened.contents.drafts.into_iter().collect::<Vec<_>>(), [(image(1), draft)]);
}

#[test]
fn an_edit_that_does_not_fit_the_file_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, project) = started(folder.path());
    let misfit = Edit::SetHidden { image: image(0), id: AnnotationId(77), hidden: true };
    let group = Edit::Together(vec![add_object(1), misfit]);
    assert!(matches!(store.write(&group), Err(StoreError::OutOfStep { .. })));
    assert_eq!(read::read(&store.connection).unwrap().contents.project, project);
}

const CHILD_FOLDER: &str = "MASKWRIGHT_TEST_STORE_FOLDER";

/// The child of the kill test: adds objects and says each number once it is on the disk. Does nothing by itself.
#[test]
fn child_that_writes_until_it_is_killed() {
    let Ok(folder) = std::env::var(CHILD_FOLDER) else { return };
    let (mut store, opened) = open(Path::new(&folder));
    let first = opened.contents.project.annotation_count() as u64 + 1;
    let mut out = io::stdout().lock();
    for id in first.. {
        store.write(&add_object(id)).unwrap();
        writeln!(out, "written {id}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn killed_at_any_moment_at_most_the_last_edit_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    started(folder.path()).0.close().unwrap();
    let mut total = 0;
    for round in 0..20u32 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["document::store::tests::child_that_writes_until_it_is_killed", "--exact", "--nocapture"])
            .env(CHILD_FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let said = |line: String| line.trim().rsplit_once("written ").and_then(|(_, id)| id.parse::<usize>().ok());
        // Kill after a few edits, at a moment within an edit that shifts from round to round.
        let mut last = lines.by_ref().filter_map(said).nth(round as usize % 4).expect("the child writes");
        std::thread::sleep(std::time::Duration::from_micros(u64::from(round * 7919 % 4000)));
        child.kill().unwrap();
        child.wait().unwrap();
        if let Some(later) = lines.filter_map(said).last() {
            last = later;
        }
        let (store, opened) = open(folder.path());
        assert_eq!(opened.remarks, Vec::<String>::new(), "round {round}");
        assert_eq!(schema::integrity(&store.connection).unwrap(), None);
        let found = opened.contents.project.annotation_count();
        assert!(found == last || found == last + 1, "round {round}: {last} were confirmed, {found} are there");
        for (index, annotation) in opened.contents.project.image(&image(0)).unwrap().annotations().iter().enumerate() {
            let Edit::AddAnnotation { annotation: expected, .. } = add_object(index as u64 + 1) else { unreachable!() };
            assert_eq!(annotation, &expected);
        }
        total = found;
    }
    assert!(total >= 20);
}

#[test]
fn a_second_process_looks_and_the_next_after_a_crash_writes() {
    let folder = tempfile::tempdir().unwrap();
    let (store, project) = started(folder.path());
    // The lock belongs to the opened file, so a second opening in this process stands for a second process.
    let second = Store::open(folder.path(), None).unwrap();
    let StoreAccess::ReadOnly { owner } = second.access else { panic!("two writers") };
    assert!(owner.starts_with(&format!("process {} on ", std::process::id())), "{owner}");
    assert_eq!(second.contents.project, project);
    drop(store);
    let (_store, opened) = open(folder.path());
    assert_eq!(opened.contents.project, project);
}

#[test]
fn a_newer_file_is_refused_and_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = started(folder.path());
    store.connection.execute_batch("PRAGMA user_version = 2").unwrap();
    store.close().unwrap();
    let path = folder.path().join(STORE_FILE_NAME);
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(folder.path(), None).err().expect("refused");
    assert!(matches!(error, StoreError::Newer { found: 2, known: 1, .. }), "{error}");
    assert!(std::fs::read(&path).unwrap() == before);
}

#[test]
fn a_database_of_another_program_is_refused_and_untouched() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(STORE_FILE_NAME);
    for setup in ["CREATE TABLE theirs (a)", "CREATE TABLE more (a); PRAGMA application_id = 5"] {
        Connection::open(&path).unwrap().execute_batch(setup).unwrap();
        let before = std::fs::read(&path).unwrap();
        let error = Store::open(folder.path(), None).err().expect("refused");
        assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
        assert!(std::fs::read(&path).unwrap() == before);
    }
}

#[test]
fn a_file_begun_by_a_process_that_died_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(STORE_FILE_NAME);
    // What is on the disk after `configure` and before `create`.
    schema::configure(&Connection::open(&path).unwrap()).unwrap();
    assert!(std::fs::metadata(&path).unwrap().len() > 0);
    started(folder.path());
}

#[test]
fn a_file_that_is_no_database_is_kept_aside() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(STORE_FILE_NAME);
    put(&path, b"not a database, but someone may want it");
    let (mut store, opened) = open(folder.path());
    assert!(opened.remarks[0].contains("kept as"), "{:?}", opened.remarks);
    let kept = location::with_suffix(&path, ".damaged-1");
    assert_eq!(std::fs::read(kept).unwrap(), b"not a database, but someone may want it");
    store.write(&Edit::AddImage { image: image(0), size: None }).unwrap();
}

#[test]
fn a_damaged_object_is_named_and_the_others_are_rescued() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = started(folder.path());
    for id in 1..=5 {
        store.write(&add_object(id)).unwrap();
    }
    store.connection.execute("UPDATE annotations SET runs = x'0000' WHERE id = 2", []).unwrap();
    store.connection.execute("UPDATE annotations SET prompt = replace(prompt, '0.3', '0.4') WHERE id = 4", []).unwrap();
    store.close().unwrap();
    let (store, opened) = open(folder.path());
    let ids: Vec<u64> =
        opened.contents.project.image(&image(0)).unwrap().annotations().iter().map(|a| a.id.0).collect();
    assert_eq!(ids, [1, 3, 5]);
    let remark = &opened.remarks[0];
    assert!(remark.contains("object 2") && remark.contains("object 4") && remark.contains("3 objects"), "{remark}");
    // The repaired file is sound.
    store.close().unwrap();
    assert_eq!(open(folder.path()).1.remarks, Vec::<String>::new());
}

#[test]
fn flipped_bytes_are_noticed_or_harmless_and_never_a_panic() {
    let original = tempfile::tempdir().unwrap();
    let (mut store, mut project) = started(original.path());
    for id in 1..=40 {
        store.write(&add_object(id)).unwrap();
        project.apply(&add_object(id)).unwrap();
    }
    store.close().unwrap();
    let bytes = std::fs::read(original.path().join(STORE_FILE_NAME)).unwrap();
    let (mut repaired, mut rescued_all_but_few) = (0, 0);
    for round in 0..120usize {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(STORE_FILE_NAME);
        let mut flipped = bytes.clone();
        // The first rounds go through the header, the rest over the whole file.
        let at = if round < 20 { round * 5 } else { round * 104_729 % bytes.len() };
        flipped[at] ^= 1 << (round % 8);
        put(&path, &flipped);
        match Store::open(folder.path(), None) {
            Ok(opened) if opened.remarks.is_empty() => {
                // Masks, prompts and structure are checked; a flip in a plain column such as a colour is a valid value.
                assert_eq!(opened.contents.project.annotation_count(), 40, "byte {at}");
                for annotation in opened.contents.project.image(&image(0)).unwrap().annotations() {
                    let original = project.annotation(&image(0), annotation.id).expect("a known id");
                    assert_eq!(annotation.mask, original.mask, "byte {at}");
                }
            }
            Ok(opened) => {
                repaired += 1;
                let kept = location::with_suffix(&path, ".damaged-1");
                assert!(std::fs::read(kept).unwrap() == flipped, "byte {at}");
                rescued_all_but_few += usize::from(opened.contents.project.annotation_count() >= 30);
            }
            Err(StoreError::Newer { .. } | StoreError::Foreign { .. }) => {
                assert!(std::fs::read(&path).unwrap() == flipped, "byte {at}");
            }
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
    assert!(repaired >= 20, "{repaired}");
    assert!(rescued_all_but_few * 2 >= repaired, "{rescued_all_but_few} of {repaired}");
}

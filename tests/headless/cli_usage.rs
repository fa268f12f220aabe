//! Command lines that are wrong, inputs that are unusable, set-ups that do not fit: each with its exit code, a text that
//! helps, and no file left behind.

use super::cli_run::{folder_with_photos, names_in, photo, program, run_in};

#[test]
fn help_and_version_are_answers() {
    let folder = tempfile::tempdir().unwrap();
    let help = run_in(folder.path(), "--help").expect(0);
    for word in ["segment", "demo", "models", "Exit codes", "65", "75", "78"] {
        assert!(help.stdout.contains(word), "{word}");
    }
    let help = run_in(folder.path(), "segment --help").expect(0);
    for flag in [
        "--point",
        "--not",
        "--box",
        "--mask",
        "--region",
        "--choose",
        "--candidates",
        "--label",
        "--model",
        "--format",
        "--output",
        "--json",
        "rle-json",
        "cutout",
        "Exit codes",
    ] {
        assert!(help.stdout.contains(flag), "{flag}");
    }
    assert!(run_in(folder.path(), "--version").expect(0).stdout.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn wrong_command_lines_end_with_2() {
    let folder = folder_with_photos();
    let before = names_in(folder.path());
    for (line, word) in [
        ("segment chelsea.jpg -o m.png", "--point"),
        ("segment chelsea.jpg --point 1 -o m.png", "X,Y"),
        ("segment chelsea.jpg --point 1,nan -o m.png", "X,Y"),
        ("segment chelsea.jpg --box 1,2,1,9 -o m.png", "no area"),
        ("segment chelsea.jpg --point 1,2", "--output"),
        ("segment --point 1,2 -o m.png", "IMAGE"),
        ("segment chelsea.jpg --point 1,2 --choose 4 -o m.png", "1..=3"),
        ("segment chelsea.jpg --box 1,2,30,40 --choose 2 -o m.png", "--choose"),
        ("segment chelsea.jpg --point 1,2 --choose 2 --candidates -o m.png", "--candidates"),
        ("segment chelsea.jpg --point 1,2 --candidates --format coco -o m.json", "rival"),
        ("segment chelsea.jpg --point 1,2 --format svg -o m.png", "rle-json"),
        ("segment chelsea.jpg --point 1,2 --format coco -o m.png", ".json"),
        ("segment chelsea.jpg --point 1,2 -o m.jpg", ".png"),
        ("segment chelsea.jpg --point 1,2 --box 1,1,9,9 --box 2,2,8,8 -o m.png", "before the first --box"),
        ("segment chelsea.jpg --point 1,2 --label a --label b -o m.png", "2 --label"),
        ("segment chelsea.jpg --point 1,2 --paint -o m.png", "--paint"),
        ("demo", "--output"),
        ("models", "list"),
    ] {
        run_in(folder.path(), line).expect(2).says(&[word]);
        assert_eq!(names_in(folder.path()), before, "{line}");
    }
}

#[test]
fn unusable_inputs_end_with_65_and_leave_nothing() {
    let folder = folder_with_photos();
    let path = folder.path();
    let bytes = std::fs::read(photo("chelsea.jpg")).unwrap();
    std::fs::write(path.join("cut.jpg"), &bytes[..bytes.len() / 2]).unwrap();
    std::fs::write(path.join("text.png"), b"not a picture").unwrap();
    std::fs::write(path.join("empty.png"), b"").unwrap();
    let before = names_in(path);
    for (line, words) in [
        ("segment missing.png --point 1,2 -o m.png", ["missing.png", "read"]),
        ("segment . --point 1,2 -o m.png", [".", "file"]),
        ("segment cut.jpg --point 1,2 -o m.png", ["cut.jpg", "JPEG"]),
        ("segment text.png --point 1,2 -o m.png", ["text.png", "expected"]),
        ("segment empty.png --point 1,2 -o m.png", ["empty.png", "empty"]),
        ("segment chelsea.jpg --point 452,2 -o m.png", ["outside the picture", "451 x 300"]),
        ("segment chelsea.jpg --point 5,2 --not -3,4 -o m.png", ["--not -3,4", "outside the picture"]),
        ("segment chelsea.jpg --box 460,0,470,20 -o m.png", ["--box", "outside the picture"]),
        ("segment chelsea.jpg --point 5,5 --region 100,100,200,200 -o m.png", ["--point 5,5", "outside --region"]),
        ("segment chelsea.jpg --point 5,5 --region 500,0,600,100 -o m.png", ["--region", "451 x 300"]),
        ("segment chelsea.jpg --mask missing.png -o m.png", ["missing.png", "read"]),
        ("segment chelsea.jpg --mask text.png -o m.png", ["text.png", "expected"]),
        ("segment chelsea.jpg --mask coffee.jpg -o m.png", ["coffee.jpg", "expected"]),
        ("missing-folder", ["missing-folder", "read"]),
    ] {
        run_in(path, line).expect(65).says(&words);
        assert_eq!(names_in(path), before, "{line}");
    }
}

#[test]
fn bad_model_files_end_with_78() {
    let folder = folder_with_photos();
    let path = folder.path();
    std::fs::write(path.join("pickle.pt"), b"\x80\x02}q\x00.").unwrap();
    std::fs::write(path.join("torn.safetensors"), b"\x10\x27\0\0\0\0\0\0{").unwrap();
    let before = names_in(path);
    for (model, word) in
        [("pickle.pt", "pickle"), ("torn.safetensors", "torn.safetensors"), ("no-such-model", "no-such-model")]
    {
        let line = format!("segment chelsea.jpg --point 200,150 --model {model} -o m.png");
        run_in(path, &line).expect(78).says(&[word]);
        assert_eq!(names_in(path), before, "{model}");
    }
}

#[test]
fn a_place_that_cannot_be_written_ends_with_78_and_the_picture_is_never_replaced() {
    let folder = folder_with_photos();
    let path = folder.path();
    // A PNG, so that a result could take its name.
    run_in(path, "segment chelsea.jpg --box 0,0,372,300 -o small.png").expect(0);
    let before = (names_in(path), std::fs::read(path.join("small.png")).unwrap());
    run_in(path, "segment chelsea.jpg --point 250,160 -o coffee.jpg/m.png").expect(78).says(&["coffee.jpg", "-o"]);
    run_in(path, "segment small.png --box 0,0,372,300 -o ./small.png").expect(2).says(&["the picture itself"]);
    assert_eq!((names_in(path), std::fs::read(path.join("small.png")).unwrap()), before);
}

#[test]
fn a_window_without_a_display_ends_with_78_and_names_the_way_without() {
    let folder = folder_with_photos();
    run_in(folder.path(), "chelsea.jpg").expect(78).says(&["maskwright segment", "--headless"]);
    run_in(folder.path(), "").expect(78).says(&["maskwright demo"]);
}

#[test]
fn models_are_listed_as_a_table_and_as_json() {
    let folder = tempfile::tempdir().unwrap();
    let table = run_in(folder.path(), "models list").expect(0).stdout;
    assert!(table.contains("spark-sam"), "{table}");
    let list = run_in(folder.path(), "models list --json").expect(0).json();
    let first = &list.as_array().expect("a list")[0];
    assert!(first["id"].as_str().is_some_and(|id| id.starts_with("spark-sam")), "{first}");
    assert!(first["bytes"].as_u64().is_some_and(|bytes| bytes > 1_000_000) && first["sha256"].is_string(), "{first}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_with_75() {
    // stdout on the full device is a write that fails with "no space", as on a full disk.
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("the full device");
    let mut command = program();
    command.args(["models", "list"]).stdout(full);
    let run = finish_with_stderr(command);
    assert_eq!(run.0, 75, "{}", run.1);
    assert!(run.1.contains("stdout"), "{}", run.1);
}

#[cfg(target_os = "linux")]
fn finish_with_stderr(mut command: std::process::Command) -> (i32, String) {
    let output = command
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("the program starts")
        .wait_with_output()
        .expect("it ends");
    (output.status.code().expect("a code"), String::from_utf8(output.stderr).expect("UTF-8"))
}

#[test]
fn a_window_cannot_be_measured_without_a_display() {
    let folder = tempfile::tempdir().unwrap();
    run_in(folder.path(), "bench --felt --json").expect(78).says(&["--felt measures the window"]);
    run_in(folder.path(), "bench --starts 2").expect(2).says(&["--felt"]);
    run_in(folder.path(), "bench --felt --starts 0").expect(2).says(&["--starts"]);
}

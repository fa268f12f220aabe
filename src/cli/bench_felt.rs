//! `maskwright bench --felt`: how quick the window feels on this machine.
//!
//! This process only starts the program several times over, each time in new, empty folders, so that no cache and no
//! setting of the user has a say, and sums up what each run noted about itself. What a run does and where each number
//! begins and ends is told in `app`, which opens the window; `main.rs` hands one to the other.
//!
//! Invariant: the runs follow each other, and nothing else of ours computes meanwhile.

use super::demo_photos::PHOTOS;
use super::exit::{Exit, Failure, Outcome};
use super::report::print_text;
use super::{Next, window};
use crate::atomic_file::write_atomically;
use crate::raster::{decode_picture, decode_picture_bytes, grainy_jpeg};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The photo that is made where none is given: 12 megapixels.
const PHOTO_SIZE: (u32, u32) = (4000, 3000);
/// As cameras have it.
const PHOTO_QUALITY: u8 = 85;
/// Clicks after the first, in each start.
const CLICKS: usize = 8;
/// Frames in a row, in each start.
const FRAMES: usize = 60;

/// A start that takes longer than this is stuck.
const START_AT_MOST: Duration = Duration::from_secs(120);

/// What `bench --felt` takes.
#[derive(Debug, clap::Args)]
pub struct FeltArguments {
    /// Measure how quick the window feels: it opens, shows a photo, is clicked on, and closes, several times
    #[arg(long, conflicts_with = "only")]
    felt: bool,
    /// The photo for --felt; without it one of 12 megapixels is made
    #[arg(long, value_name = "FILE", requires = "felt")]
    photo: Option<PathBuf>,
    /// Starts of the window for --felt
    #[arg(long, value_name = "N", requires = "felt", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1000))]
    starts: u32,
    /// This is one of the starts; its parent began it so many nanoseconds after 1970.
    #[arg(long, hide = true, requires = "photo")]
    felt_start: Option<u64>,
}

/// A window that measures itself.
#[derive(Debug, Clone)]
pub struct FeltRequest {
    /// The photo to open.
    pub photo: PathBuf,
    /// When the process was started.
    pub started: SystemTime,
    /// Clicks after the first.
    pub clicks: usize,
    /// Frames drawn in a row.
    pub frames: usize,
}

impl FeltArguments {
    /// Whether this is meant, and not the timing of models.
    pub fn is_wished(&self) -> bool {
        self.felt
    }
}

/// Measures, or hands one start over to the window.
///
/// # Errors
/// No display, an unusable photo, or a start that failed.
pub fn run(arguments: &FeltArguments, as_json: bool) -> Outcome<Next> {
    if let Some(problem) = window::why_no_window() {
        return Err(Failure::configuration_text(format!("{problem}; --felt measures the window and needs one")));
    }
    if let (Some(nanos), Some(photo)) = (arguments.felt_start, &arguments.photo) {
        let started = UNIX_EPOCH + Duration::from_nanos(nanos);
        let request = FeltRequest { photo: photo.clone(), started, clicks: CLICKS, frames: FRAMES };
        return Ok(Next::Felt(request));
    }
    let folder = tempfile::tempdir().map_err(Failure::retry)?;
    let (photo, made) = match &arguments.photo {
        Some(photo) => (photo.clone(), false),
        None => (make_photo(folder.path())?, true),
    };
    let size = decode_picture(&photo).map_err(Failure::input)?;
    let bytes = std::fs::metadata(&photo).map_err(|error| Failure::reading(&photo, error))?.len();
    let mut runs = Vec::new();
    for number in 0..arguments.starts {
        runs.push(start_once(&photo, &folder.path().join(format!("start-{number}")))?);
    }
    let mut summary = summary_of(&runs);
    summary.insert("starts".into(), json!(arguments.starts));
    let facts = json!({ "width": size.width, "height": size.height, "bytes": bytes, "made": made });
    summary.insert("photo".into(), facts);
    print_text(&if as_json { pretty(&Value::Object(summary)) } else { table(&summary) })?;
    Ok(Next::Finish(ExitCode::SUCCESS))
}

/// One start has been measured: its samples go to the parent, through stdout.
pub fn started_once(samples: &[(&'static str, Vec<f64>)]) -> ExitCode {
    let samples: Map<String, Value> =
        samples.iter().map(|(name, values)| ((*name).to_owned(), json!(values))).collect();
    match print_text(&Value::Object(samples).to_string()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn make_photo(folder: &Path) -> Outcome<PathBuf> {
    let small = &PHOTOS[PHOTOS.len() - 1];
    let picture = decode_picture_bytes(small.file_name, small.bytes).map_err(Failure::input)?;
    let jpeg = grainy_jpeg(&picture, PHOTO_SIZE, PHOTO_QUALITY).map_err(Failure::input_text)?;
    let path = folder.join("photo.jpg");
    write_atomically(&path, |out| std::io::Write::write_all(out, &jpeg))
        .map_err(|error| Failure::writing(&path, error))?;
    Ok(path)
}

/// Starts the program in folders of its own and reads what it noted.
fn start_once(photo: &Path, folder: &Path) -> Outcome<Map<String, Value>> {
    let photos = folder.join("photos");
    std::fs::create_dir_all(&photos).map_err(|error| Failure::writing(&photos, error))?;
    let copy = photos.join(photo.file_name().unwrap_or("photo.jpg".as_ref()));
    std::fs::copy(photo, &copy).map_err(|error| Failure::writing(&copy, error))?;
    let program = std::env::current_exe().map_err(Failure::retry)?;
    let mut command = Command::new(program);
    command.args(["bench", "--felt", "--photo"]).arg(&copy).stdin(Stdio::null()).stderr(Stdio::inherit());
    for (variable, name) in [("XDG_CACHE_HOME", "cache"), ("XDG_CONFIG_HOME", "config"), ("XDG_DATA_HOME", "data")] {
        command.env(variable, folder.join(name));
    }
    // As late as can be: from here on it counts.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(Failure::retry)?;
    command.arg("--felt-start").arg(now.as_nanos().to_string());
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(Failure::retry)?;
    let status = ended_in_time(&mut child)?;
    let mut text = String::new();
    if let Some(stdout) = &mut child.stdout {
        stdout.read_to_string(&mut text).map_err(Failure::retry)?;
    }
    if !status.success() {
        let text = format!("a start of the window ended with {status}; what it said stands above");
        let no_window = status.code() == Some(Exit::Configuration as i32);
        return Err(if no_window {
            Failure::configuration_text(text)
        } else {
            Failure::retry(anyhow::Error::msg(text))
        });
    }
    serde_json::from_str(&text).map_err(Failure::retry)
}

/// How a start ended. Its few lines fit the pipe, so it never waits for its reader.
fn ended_in_time(child: &mut Child) -> Outcome<ExitStatus> {
    let begin = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(Failure::retry)? {
            return Ok(status);
        }
        if begin.elapsed() > START_AT_MOST {
            child.kill().and_then(|()| child.wait().map(drop)).map_err(Failure::retry)?;
            let text = format!("a start of the window did not end within {} s", START_AT_MOST.as_secs());
            return Err(Failure::retry(anyhow::Error::msg(text)));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Medians and ninetieth percentiles over the samples of all runs, `NAME_ms` and `NAME_p90_ms`, in the order noted.
fn summary_of(runs: &[Map<String, Value>]) -> Map<String, Value> {
    let mut all: Vec<(&str, Vec<f64>)> = Vec::new();
    for (name, values) in runs.iter().flatten() {
        let values = values.as_array().into_iter().flatten().filter_map(Value::as_f64);
        match all.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => known.extend(values),
            None => all.push((name, values.collect())),
        }
    }
    let mut summary = Map::new();
    for (name, mut values) in all {
        values.sort_by(f64::total_cmp);
        let Some(last) = values.len().checked_sub(1) else { continue };
        let at = |share: f64| json!((values[(share * last as f64).round() as usize] * 100.0).round() / 100.0);
        summary.insert(name.to_owned(), at(0.5));
        if let Some(stem) = name.strip_suffix("_ms") {
            summary.insert(format!("{stem}_p90_ms"), at(0.9));
        }
    }
    summary
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).expect("a JSON value is always JSON")
}

fn table(summary: &Map<String, Value>) -> String {
    let mut text = format!("{:<22} {:>9} {:>9}", "", "median", "p90");
    for (name, value) in summary.iter().filter(|(name, _)| !name.ends_with("_p90_ms")) {
        let Some(value) = value.as_f64() else { continue };
        let p90 = name.strip_suffix("_ms").and_then(|stem| summary.get(&format!("{stem}_p90_ms"))?.as_f64());
        let p90 = p90.map_or(String::new(), |p90| format!("{p90:.1}"));
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{name:<22} {value:>9.1} {p90:>9}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_all_starts_are_summed_up_together() {
        let run = |clicks: Value, rss: f64| {
            let value = json!({ "click_ms": clicks, "rss_at_rest_mib": [rss] });
            value.as_object().cloned().unwrap()
        };
        let summary = summary_of(&[run(json!([3.0, 1.0]), 50.0), run(json!([2.0, 4.0, 50.0]), 60.0)]);
        let names: Vec<&String> = summary.keys().collect();
        assert_eq!(names, ["click_ms", "click_p90_ms", "rss_at_rest_mib"]);
        assert_eq!((&summary["click_ms"], &summary["click_p90_ms"]), (&json!(3.0), &json!(50.0)));
        let table = table(&summary);
        assert_eq!(table.lines().count(), 3, "{table}");
        assert!(table.contains("50.0"));
    }
}

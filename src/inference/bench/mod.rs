//! Timings of the models' slow and light halves on this machine, for `maskwright bench`.
//!
//! Invariant: what is timed is what users run (the trait's `encode` and `decode`), single runs take turns so that a
//! noisy moment hits all alike, and each was run once before to warm up.

mod subject;

use super::device::{ComputeDevice, Engine, Precision};
use super::segmenter::InferenceError;
use serde::Serialize;
use std::time::Instant;
use subject::{Model, Subject, Task};

/// One thing that can be timed.
struct Row {
    name: &'static str,
    model: Model,
    task: Task,
    /// Timed runs unless told otherwise: fewer where a run takes seconds.
    repeat: u32,
}

const fn row(name: &'static str, model: Model, task: Task, repeat: u32) -> Row {
    Row { name, model, task, repeat }
}

/// All that can be timed. SAM's decoder is the same whatever encodes, so its rows load the smallest SAM.
const ROWS: [Row; 9] = [
    row("spark-sam-encoder", Model::SparkSam, Task::Encode, 20),
    row("spark-sam-decoder", Model::SparkSam, Task::Decode { prompts: 1 }, 20),
    row("spark-sam-decoder-64", Model::SparkSam, Task::Decode { prompts: 64 }, 3),
    row("mobile-sam-encoder", Model::MobileSam, Task::Encode, 5),
    row("sam-b-encoder", Model::SamVitB, Task::Encode, 3),
    row("sam-decoder", Model::MobileSam, Task::Decode { prompts: 1 }, 20),
    row("sam-decoder-64", Model::MobileSam, Task::Decode { prompts: 64 }, 3),
    row("clip-b32-image", Model::ClipB32, Task::EmbedImages { count: 1 }, 20),
    row("clip-b32-image-16", Model::ClipB32, Task::EmbedImages { count: 16 }, 5),
];

/// The names of all that can be timed.
pub const NAMES: [&str; ROWS.len()] = {
    let mut names = [""; ROWS.len()];
    let mut index = 0;
    while index < names.len() {
        names[index] = ROWS[index].name;
        index += 1;
    }
    names
};

/// What to time, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BenchOptions {
    /// Some of [`NAMES`]; empty means all.
    pub only: Vec<String>,
    /// Random weights for the models whose weights are in the program, too; the others always have random ones.
    pub random_weights: bool,
    /// Whose kernels, on the CPU. `None`: the best device, with our kernels if that is the CPU.
    pub engine: Option<Engine>,
    /// Of the arithmetic.
    pub precision: Precision,
    /// Timed runs of each; `None`: more for quick things than for slow ones.
    pub repeat: Option<u32>,
}

/// Timings of one thing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timing {
    /// One of [`NAMES`].
    pub name: String,
    /// Whose kernels computed.
    pub engine: Engine,
    /// Of the arithmetic.
    pub precision: Precision,
    /// Half of the runs were quicker.
    pub median_ms: f64,
    /// A tenth of the runs was quicker.
    pub p10_ms: f64,
    /// Nine tenths of the runs were quicker.
    pub p90_ms: f64,
    /// The most memory that the whole process held so far, in MiB, loading and all other names included: to learn of one
    /// name, time it alone. `None` where the system does not tell.
    pub peak_rss_mib: Option<f64>,
    /// Computing threads.
    pub threads: usize,
}

/// The models that the asked names need, loaded, with their inputs made.
pub struct Bench {
    compute: ComputeDevice,
    rows: Vec<(&'static Row, usize)>,
    subjects: Vec<Subject>,
    repeat: Option<u32>,
}

impl Bench {
    /// Loads each model that one of the names needs, once.
    ///
    /// # Errors
    /// An unknown name, no runs, an arithmetic that the engine does not have, or a failing model.
    pub fn open(options: &BenchOptions) -> Result<Self, InferenceError> {
        let refuse = |problem: String| Err(InferenceError::Prompt(problem));
        let only = &options.only;
        if let Some(unknown) = only.iter().find(|name| !NAMES.contains(&name.as_str())) {
            return refuse(format!("nothing named {unknown} can be timed; choose from {}", NAMES.join(", ")));
        }
        if options.repeat == Some(0) {
            return refuse("no runs were asked for; give at least 1".to_owned());
        }
        let compute = match options.engine {
            Some(engine) => ComputeDevice::cpu_with(engine, options.precision),
            None => match ComputeDevice::best() {
                best if best.device.is_cpu() => ComputeDevice::cpu_with(Engine::Ours, options.precision),
                gpu => gpu,
            },
        };
        check_precision(&compute, options.precision)?;
        let wanted = ROWS.iter().filter(|row| only.is_empty() || only.iter().any(|name| name == row.name));
        let mut rows: Vec<(&'static Row, usize)> = Vec::new();
        let mut subjects: Vec<Subject> = Vec::new();
        for row in wanted {
            let known = subjects.iter().position(|subject| subject.model == row.model);
            let index = known.unwrap_or(subjects.len());
            if known.is_none() {
                subjects.push(Subject::open(row.model, options.random_weights, &compute)?);
            }
            subjects[index].get_ready(row.task)?;
            rows.push((row, index));
        }
        Ok(Self { compute, rows, subjects, repeat: options.repeat })
    }

    /// Runs each of the asked names once and gives the milliseconds of each, in the order of [`NAMES`].
    ///
    /// # Errors
    /// A failing model.
    pub fn turn(&self) -> Result<Vec<f64>, InferenceError> {
        self.rows.iter().map(|&(row, subject)| self.time(row, subject)).collect()
    }

    fn time(&self, row: &Row, subject: usize) -> Result<f64, InferenceError> {
        let start = Instant::now();
        self.subjects[subject].run(row.task)?;
        Ok(start.elapsed().as_secs_f64() * 1e3)
    }

    /// Warms up, then times all, taking turns until each had its runs.
    ///
    /// # Errors
    /// A failing model.
    pub fn run(&self) -> Result<Vec<Timing>, InferenceError> {
        let repeat = |row: &Row| self.repeat.unwrap_or(row.repeat) as usize;
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); self.rows.len()];
        self.turn()?;
        while self.rows.iter().zip(&times).any(|((row, _), times)| times.len() < repeat(row)) {
            for (&(row, subject), times) in self.rows.iter().zip(&mut times) {
                if times.len() < repeat(row) {
                    times.push(self.time(row, subject)?);
                }
            }
        }
        let peak_rss_mib = peak_rss_mib();
        Ok(self
            .rows
            .iter()
            .zip(times)
            .map(|(&(row, _), mut times)| {
                times.sort_by(f64::total_cmp);
                Timing {
                    name: row.name.to_owned(),
                    engine: self.engine(),
                    precision: self.compute.precision,
                    median_ms: quantile(&times, 0.5),
                    p10_ms: quantile(&times, 0.1),
                    p90_ms: quantile(&times, 0.9),
                    peak_rss_mib,
                    threads: candle_core::utils::get_num_threads(),
                }
            })
            .collect())
    }

    /// On a GPU candle's kernels run, whatever the CPU would use.
    fn engine(&self) -> Engine {
        if self.compute.device.is_cpu() { self.compute.engine } else { Engine::Candle }
    }
}

/// Refuses an arithmetic that would not be what computes.
fn check_precision(compute: &ComputeDevice, precision: Precision) -> Result<(), InferenceError> {
    if compute.precision == precision {
        return Ok(());
    }
    Err(InferenceError::Prompt(format!(
        "bf16 was asked for, and {} has no products of such numbers in this engine; leave --precision out",
        compute.description
    )))
}

/// The value below which a share of the sorted values lies, between neighbours by proportion.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[at.floor() as usize], sorted[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

/// The process's largest resident size so far, where /proc tells it.
fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kib / 1024.0 * 10.0).round() / 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder() -> BenchOptions {
        BenchOptions { only: vec!["spark-sam-decoder".to_owned()], repeat: Some(3), ..BenchOptions::default() }
    }

    fn refusal(options: &BenchOptions) -> String {
        Bench::open(options).err().unwrap().to_string()
    }

    #[test]
    fn timings_are_ordered_and_say_what_ran() {
        for engine in [Engine::Ours, Engine::Candle] {
            let random_weights = engine == Engine::Candle;
            let options = BenchOptions { engine: Some(engine), random_weights, ..decoder() };
            let bench = Bench::open(&options).unwrap();
            assert_eq!(bench.subjects.len(), 1, "one model is loaded");
            let timings = bench.run().unwrap();
            assert_eq!(timings.len(), 1);
            let timing = &timings[0];
            assert_eq!((timing.name.as_str(), timing.engine), ("spark-sam-decoder", engine));
            assert_eq!(timing.precision, Precision::F32);
            assert!(0.0 < timing.p10_ms && timing.p10_ms <= timing.median_ms && timing.median_ms <= timing.p90_ms);
        }
    }

    #[test]
    fn what_cannot_be_timed_is_refused() {
        let unknown = BenchOptions { only: vec!["nothing".to_owned()], ..BenchOptions::default() };
        let error = refusal(&unknown);
        assert!(error.contains("nothing named nothing") && error.contains("sam-b-encoder, sam-decoder"), "{error}");
        assert!(refusal(&BenchOptions { repeat: Some(0), ..decoder() }).contains("at least 1"));
        let bf16 = BenchOptions { engine: Some(Engine::Candle), precision: Precision::Bf16, ..decoder() };
        let error = refusal(&bf16);
        assert!(error.contains("no products of such numbers") && error.contains("leave --precision out"), "{error}");
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
        assert_eq!(quantile(&[5.0], 0.9), 5.0);
    }
}

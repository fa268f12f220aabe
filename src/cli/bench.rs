//! `maskwright bench`: how long the models take on this machine.

use super::exit::{Failure, Outcome};
use super::report::print_text;
use crate::inference::bench::{self, Bench, BenchOptions, Timing};
use crate::inference::{Engine, Precision};
use clap::builder::PossibleValuesParser;
use std::fmt::Write;

/// Time the models' encoders and decoders on this machine.
#[derive(Debug, clap::Args)]
pub struct BenchArguments {
    /// Time only these, separated by commas.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = PossibleValuesParser::new(bench::NAMES))]
    only: Vec<String>,
    /// Random weights for the built-in models, too; models whose weights are not in the program always have random ones.
    #[arg(long)]
    random_weights: bool,
    /// Whose kernels run on the CPU [default: ours, or the GPU if this build has one].
    #[arg(long)]
    engine: Option<EngineArgument>,
    /// Arithmetic of the models.
    #[arg(long, default_value = "f32")]
    precision: PrecisionArgument,
    /// Timed runs of each [default: 20 for quick ones, down to 3 for slow ones].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: Option<u32>,
    /// Print a JSON array instead of a table.
    #[arg(long)]
    pub(super) json: bool,
    /// Load and warm up once, then for each line on stdin run everything once and answer with one line of milliseconds:
    /// how `benches/engines` takes turns between engines.
    #[arg(long, hide = true, conflicts_with_all = ["json", "repeat"])]
    turns: bool,
    #[command(flatten)]
    pub(super) felt: super::bench_felt::FeltArguments,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum EngineArgument {
    /// This program's kernels.
    Ours,
    /// candle's.
    Candle,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PrecisionArgument {
    F32,
    Bf16,
}

impl BenchArguments {
    fn options(&self) -> BenchOptions {
        BenchOptions {
            only: self.only.clone(),
            random_weights: self.random_weights,
            engine: self.engine.map(|engine| match engine {
                EngineArgument::Ours => Engine::Ours,
                EngineArgument::Candle => Engine::Candle,
            }),
            precision: match self.precision {
                PrecisionArgument::F32 => Precision::F32,
                PrecisionArgument::Bf16 => Precision::Bf16,
            },
            repeat: self.repeat,
        }
    }
}

/// Times what was asked for and prints it.
///
/// # Errors
/// An unknown name, no runs, an arithmetic that the engine does not have, a failing model, or a closed stdout.
pub fn run(arguments: &BenchArguments) -> Outcome<()> {
    let bench = Bench::open(&arguments.options())?;
    if arguments.turns {
        return take_turns(&bench);
    }
    let timings = bench.run()?;
    print_text(&if arguments.json { json(&timings) } else { table(&timings) })
}

/// One line of milliseconds a line of stdin, after a first one, `ready`, when all is loaded and warm.
fn take_turns(bench: &Bench) -> Outcome<()> {
    bench.turn()?;
    print_text("ready")?;
    for line in std::io::stdin().lines() {
        line.map_err(Failure::retry)?;
        let times: Vec<String> = bench.turn()?.iter().map(|ms| format!("{ms:.4}")).collect();
        print_text(&times.join(" "))?;
    }
    Ok(())
}

fn json(timings: &[Timing]) -> String {
    serde_json::to_string_pretty(timings).expect("strings and finite numbers are always JSON")
}

fn table(timings: &[Timing]) -> String {
    let mut text = String::from("name                     median ms    p10 ms    p90 ms  threads  peak MiB");
    for timing in timings {
        let peak = timing.peak_rss_mib.map_or("?".to_owned(), |mib| format!("{mib:.0}"));
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n{:<24} {:>9.1} {:>9.1} {:>9.1} {:>8} {:>9}",
            timing.name, timing.median_ms, timing.p10_ms, timing.p90_ms, timing.threads, peak
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_the_promised_fields() {
        let timing = Timing {
            name: "spark-sam-encoder".to_owned(),
            engine: Engine::Candle,
            precision: Precision::F32,
            median_ms: 100.5,
            p10_ms: 99.0,
            p90_ms: 120.0,
            peak_rss_mib: Some(180.0),
            threads: 2,
        };
        let value: serde_json::Value = serde_json::from_str(&json(std::slice::from_ref(&timing))).unwrap();
        let fields: Vec<&String> = value[0].as_object().unwrap().keys().collect();
        assert_eq!(fields, ["name", "engine", "precision", "median_ms", "p10_ms", "p90_ms", "peak_rss_mib", "threads"]);
        assert!(table(&[timing]).lines().nth(1).unwrap().contains("100.5"));
    }
}

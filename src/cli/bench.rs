//! `maskwright bench`: how long the models take on this machine.

use crate::inference::InferenceError;
use crate::inference::bench::{self, Timing};
use clap::builder::PossibleValuesParser;
use std::fmt::Write;

/// Time the models' encoders and decoders on this machine.
#[derive(Debug, clap::Args)]
pub struct BenchArguments {
    /// Time only these, separated by commas.
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', value_parser = PossibleValuesParser::new(bench::NAMES))]
    only: Vec<String>,
    /// Timed runs of each.
    #[arg(long, value_name = "N", default_value_t = bench::DEFAULT_REPEAT, value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// Print a JSON array instead of a table.
    #[arg(long)]
    pub(super) json: bool,
    #[command(flatten)]
    pub(super) felt: super::bench_felt::FeltArguments,
}

/// Times what was asked for; gives the text for stdout, without a newline at its end.
///
/// # Errors
/// An unknown name, no runs, or a failing model.
pub fn run(arguments: &BenchArguments) -> Result<String, InferenceError> {
    let timings = bench::bench(&arguments.only, arguments.repeat as usize)?;
    Ok(if arguments.json { json(&timings) } else { table(&timings) })
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
            engine: "candle".to_owned(),
            precision: "f32".to_owned(),
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

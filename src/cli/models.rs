//! `maskwright models list`, and opening the segmenter that `--model` names.
//!
//! Invariant: nothing is searched for or downloaded; a model that cannot be opened ends the run with the code for a
//! wrong set-up, before anything is written.

use super::exit::{Failure, Outcome};
use super::report::{print_json, print_text};
use crate::inference::catalog::{self, BUILT_IN_SEGMENTER, ModelChoice, ModelEntry, open_segmenter};
use crate::inference::{InferenceError, Segmenter};
use clap::{Args, Subcommand};
use std::sync::Arc;

/// The models that this program can run
#[derive(Debug, Args)]
pub struct ModelsArguments {
    #[command(subcommand)]
    verb: ModelsVerb,
}

#[derive(Debug, Subcommand)]
enum ModelsVerb {
    /// List them: id, task, size, licence, where they come from
    List {
        /// Print a JSON array of {id, name, task, bytes, licence, place, sha256} instead of a table
        #[arg(long)]
        json: bool,
    },
}

/// Does it.
///
/// # Errors
/// stdout cannot be written.
pub fn run(arguments: &ModelsArguments) -> Outcome<()> {
    let ModelsVerb::List { json } = arguments.verb;
    let entries = catalog::list();
    if json { print_json(&entries) } else { print_text(&table(&entries)) }
}

/// Opens what `--model` names; the built-in segmenter if it is not given.
///
/// # Errors
/// [`super::exit::Exit::Configuration`] for a file that is no usable model.
pub fn open(argument: Option<&str>) -> Outcome<Arc<dyn Segmenter>> {
    let choice = argument.map_or_else(ModelChoice::default, ModelChoice::from_argument);
    open_segmenter(&choice).map_err(|error| match (error, &choice) {
        (InferenceError::Weights { path, problem }, ModelChoice::Path(_)) if !path.exists() => {
            Failure::configuration_text(format!(
                "{}: {problem}; --model takes the id {BUILT_IN_SEGMENTER} or the path of a safetensors file (see \
                 `maskwright models list`)",
                path.display()
            ))
        }
        (error, _) => error.into(),
    })
}

/// A line a model, columns as wide as their longest entry.
fn table(entries: &[ModelEntry]) -> String {
    let size = |bytes: Option<u64>| bytes.map_or("-".to_owned(), |bytes| format!("{:.1} MB", bytes as f64 / 1e6));
    let titles = ["ID", "TASK", "SIZE", "FROM", "LICENCE"].map(str::to_owned);
    let rows = entries.iter().map(|entry| {
        [entry.id.clone(), entry.task.clone(), size(entry.bytes), entry.place.clone(), entry.licence.clone()]
    });
    let rows: Vec<_> = std::iter::once(titles).chain(rows).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |row: &[String; 5]| {
        let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let lines: Vec<_> = table(&catalog::list()).lines().map(str::to_owned).collect();
        let at = lines[0].find("SIZE").unwrap();
        assert!(lines.len() > 1 && lines[1].starts_with(BUILT_IN_SEGMENTER));
        assert!(lines[1..].iter().all(|line| line.as_bytes()[at - 1] == b' ' && line.as_bytes()[at] != b' '));
    }
}

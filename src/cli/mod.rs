//! Layer 6: the command line. One file a subcommand; each calls the same library functions as the window.
//!
//! Invariant: stdout carries results only (with `--json` one JSON value and nothing else); everything said to people
//! goes to stderr; every end has a documented code ([`exit`]). Opening the window is a wish handed back to `main.rs`,
//! since this layer knows no display.

pub mod bench;
pub mod bench_felt;
pub mod contact_sheet;
pub mod demo;
pub mod demo_photos;
pub mod exit;
pub mod files;
pub mod models;
pub mod objects;
pub mod output;
pub mod prompt_arguments;
pub mod report;
pub mod segment;
mod tiny_font;
pub mod window;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use exit::{EXIT_CODES_HELP, Outcome};
use std::io::IsTerminal;
use std::process::ExitCode;
pub use window::WindowRequest;

/// Clicks into masks, masks into labels, masks plus words into new pixels.
///
/// With pictures or folders, or with nothing at all (then on a demo photo), the window opens. A file that is named like
/// a subcommand is written ./NAME.
#[derive(Debug, Parser)]
#[command(name = "maskwright", version, after_help = EXIT_CODES_HELP, args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    window: window::WindowArguments,
    #[command(subcommand)]
    command: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Segment(segment::SegmentArguments),
    Demo(demo::DemoArguments),
    Models(models::ModelsArguments),
    Bench(bench::BenchArguments),
}

/// What is left to do after the command line has been read and obeyed.
pub enum Next {
    /// Nothing: end with this code.
    Finish(ExitCode),
    /// Open the window.
    Window(WindowRequest),
    /// Open the window, have it measure itself, and give [`bench_felt::started_once`] what came of it.
    Felt(bench_felt::FeltRequest),
}

/// Reads the process's arguments and does what they ask, all but opening the window.
pub fn run() -> Next {
    start_log();
    let arguments = Arguments::command()
        .mut_subcommands(|verb| verb.after_help(EXIT_CODES_HELP))
        .try_get_matches()
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    let arguments = match arguments {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are answers on stdout with code 0, the rest are complaints on stderr with code 2.
            let _ = error.print();
            return Next::Finish(ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(exit::Exit::Usage as u8)));
        }
    };
    match obey(arguments) {
        Ok(next) => next,
        Err(failure) => Next::Finish(failure.report()),
    }
}

/// A window that was asked for did not open: do without it where that was allowed, else say so.
pub fn window_failed(request: WindowRequest, problem: &dyn std::fmt::Display) -> ExitCode {
    match window::without_window(request, problem) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// A window that was to be measured did not open.
pub fn felt_failed(problem: &dyn std::fmt::Display) -> ExitCode {
    exit::Failure::configuration_text(problem.to_string()).report()
}

/// The window ran, but did not end well (the last changes are not on the disk): that may pass.
pub fn window_ended_badly(problem: &dyn std::fmt::Display) -> ExitCode {
    exit::Failure::retry(anyhow::Error::msg(problem.to_string())).report()
}

fn obey(arguments: Arguments) -> Outcome<Next> {
    let done = || Next::Finish(ExitCode::SUCCESS);
    match arguments.command {
        None => window::request(arguments.window).map(Next::Window),
        Some(Verb::Segment(segment)) => segment::run(&segment).map(|()| done()),
        Some(Verb::Demo(demo)) => Ok(demo::run(demo)?.map_or_else(done, Next::Window)),
        Some(Verb::Models(models)) => models::run(&models).map(|()| done()),
        Some(Verb::Bench(bench)) if bench.felt.is_wished() => bench_felt::run(&bench.felt, bench.json),
        Some(Verb::Bench(bench)) => bench::run(&bench).map(|()| done()),
    }
}

/// Logs go to stderr; `MASKWRIGHT_LOG` says how much (`info`, `maskwright=debug`, ...), warnings by default.
fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("MASKWRIGHT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // A second start in one process (tests) keeps the first log.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .without_time()
        .with_target(false)
        .try_init();
}

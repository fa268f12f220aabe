//! The program: the command line is read and obeyed in `cli`; a window, if one is wished for, is opened by `app`.

use maskwright::cli::{self, Next};
use std::process::ExitCode;

fn main() -> ExitCode {
    // Before anything else: no other thread may be there yet.
    maskwright::inference::settle_threads();
    match cli::run() {
        Next::Finish(code) => code,
        Next::Window(request) => open_window(request),
        Next::Felt(request) => measure_felt(request),
    }
}

#[cfg(feature = "gui")]
fn open_window(request: cli::WindowRequest) -> ExitCode {
    use maskwright::app::{self, LaunchError, LaunchOptions};
    let options = LaunchOptions { paths: request.paths.clone(), demo: request.demo, model: request.model.clone() };
    match app::run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ LaunchError::NoWindow(_)) => cli::window_failed(request, &error),
        Err(error @ (LaunchError::NotSaved(_) | LaunchError::NotMeasured(_))) => cli::window_ended_badly(&error),
    }
}

#[cfg(feature = "gui")]
fn measure_felt(request: cli::bench_felt::FeltRequest) -> ExitCode {
    use maskwright::app::{self, FeltPlan, LaunchError};
    let cli::bench_felt::FeltRequest { photo, started, clicks, frames } = request;
    match app::measure_felt(FeltPlan { photo, started, clicks, frames }) {
        Ok(times) => cli::bench_felt::started_once(&times.samples),
        Err(error @ LaunchError::NoWindow(_)) => cli::felt_failed(&error),
        Err(error) => cli::window_ended_badly(&error),
    }
}

#[cfg(not(feature = "gui"))]
fn measure_felt(_request: cli::bench_felt::FeltRequest) -> ExitCode {
    cli::felt_failed(&"this build has no window")
}

#[cfg(not(feature = "gui"))]
fn open_window(request: cli::WindowRequest) -> ExitCode {
    cli::window_failed(request, &"this build has no window")
}

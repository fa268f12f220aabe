//! How a run of the program ends: a code for scripts and one text for people.
//!
//! Invariant: every failure has one of four codes, chosen where the failure is understood, and `--help` lists them. A
//! scheduler may retry on 75 and on nothing else.

use crate::inference::InferenceError;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;

/// The table that `--help` shows; its numbers are those of [`Exit`] (compared by test).
pub const EXIT_CODES_HELP: &str = "\
Exit codes:
   0  done
   2  the command line is wrong
  65  the input is unusable: no such picture, a damaged file, a mask of another size,
      a click outside the picture, a prompt that finds nothing; trying again will not help
  75  a passing failure (disk full, a device error): the same command may work later
  78  the set-up is wrong: a bad model file, an output place that may not be written, no display";

/// A result whose failure knows its exit code.
pub type Outcome<T> = Result<T, Failure>;

/// The codes of the program (sysexits.h names in brackets).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command line is wrong; clap's own code.
    Usage = 2,
    /// The input is unusable, do not retry (EX_DATAERR).
    InputUnusable = 65,
    /// A passing failure, retry (EX_TEMPFAIL).
    Retry = 75,
    /// Model file, output place or display are not as needed (EX_CONFIG).
    Configuration = 78,
}

/// Why a command stopped.
#[derive(Debug)]
pub struct Failure {
    /// What the process ends with.
    pub exit: Exit,
    /// What to tell: found, expected, next step.
    pub error: anyhow::Error,
}

impl Failure {
    /// The command line asks for something that cannot be.
    pub fn usage(text: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, error: anyhow::Error::msg(text.into()) }
    }

    /// The input cannot be used.
    pub fn input(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::InputUnusable, error: error.into() }
    }

    /// The input cannot be used, for this reason.
    pub fn input_text(text: impl Into<String>) -> Self {
        Self::input(anyhow::Error::msg(text.into()))
    }

    /// Something passing.
    pub fn retry(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Retry, error: error.into() }
    }

    /// The set-up is wrong.
    pub fn configuration(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Configuration, error: error.into() }
    }

    /// The set-up is wrong, for this reason.
    pub fn configuration_text(text: impl Into<String>) -> Self {
        Self::configuration(anyhow::Error::msg(text.into()))
    }

    /// A file could not be written. A place that is closed to us stays closed; all else may pass.
    pub fn writing(path: &Path, error: std::io::Error) -> Self {
        let closed = matches!(
            error.kind(),
            ErrorKind::PermissionDenied
                | ErrorKind::ReadOnlyFilesystem
                | ErrorKind::AlreadyExists
                | ErrorKind::NotFound
                | ErrorKind::NotADirectory
                | ErrorKind::IsADirectory
                | ErrorKind::InvalidInput
                | ErrorKind::InvalidFilename
        );
        let exit = if closed { Exit::Configuration } else { Exit::Retry };
        let next = if closed { "choose another place with -o" } else { "make room or try again" };
        let text = format!("{}: could not be written; {next}", path.display());
        Self { exit, error: anyhow::Error::new(error).context(text) }
    }

    /// A file could not be read. Only a fault of the device may pass.
    pub fn reading(path: &Path, error: std::io::Error) -> Self {
        let lasting = matches!(
            error.kind(),
            ErrorKind::NotFound
                | ErrorKind::PermissionDenied
                | ErrorKind::IsADirectory
                | ErrorKind::NotADirectory
                | ErrorKind::InvalidData
                | ErrorKind::InvalidInput
                | ErrorKind::InvalidFilename
                | ErrorKind::UnexpectedEof
        );
        let exit = if lasting { Exit::InputUnusable } else { Exit::Retry };
        Self { exit, error: anyhow::Error::new(error).context(format!("{}: could not be read", path.display())) }
    }

    /// Tells the failure on stderr, with its causes, and gives the process's code.
    pub fn report(&self) -> ExitCode {
        use std::io::Write;
        // A closed stderr leaves nobody to tell; the code still speaks.
        let _ = writeln!(std::io::stderr(), "maskwright: {:#}", self.error);
        ExitCode::from(self.exit as u8)
    }
}

impl From<InferenceError> for Failure {
    fn from(error: InferenceError) -> Self {
        let exit = match error {
            InferenceError::Prompt(_) => Exit::InputUnusable,
            InferenceError::Weights { .. } | InferenceError::NotANumber { .. } => Exit::Configuration,
            InferenceError::Cancelled | InferenceError::StoredEmbedding(_) | InferenceError::Compute(_) => Exit::Retry,
        };
        Self { exit, error: error.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[test]
    fn the_help_lists_every_code() {
        for exit in [Exit::Usage, Exit::InputUnusable, Exit::Retry, Exit::Configuration] {
            let number = format!("{:>4}  ", exit as u8);
            assert!(EXIT_CODES_HELP.lines().any(|line| line.starts_with(&number)), "{exit:?} is not in the help");
        }
    }

    #[test]
    fn disk_full_may_pass_and_a_closed_folder_does_not() {
        let path = Path::new("out/mask.png");
        let code = |kind: ErrorKind| Failure::writing(path, io::Error::from(kind)).exit;
        assert_eq!(code(ErrorKind::StorageFull), Exit::Retry);
        assert_eq!(code(ErrorKind::PermissionDenied), Exit::Configuration);
        assert_eq!(code(ErrorKind::NotADirectory), Exit::Configuration);
        let text = format!("{:#}", Failure::writing(path, io::Error::from(ErrorKind::StorageFull)).error);
        assert!(text.contains("mask.png") && text.contains("make room"), "{text}");
        assert_eq!(Failure::reading(path, io::Error::from(ErrorKind::NotFound)).exit, Exit::InputUnusable);
        assert_eq!(Failure::reading(path, io::Error::from(ErrorKind::TimedOut)).exit, Exit::Retry);
    }
}

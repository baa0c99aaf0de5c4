//! What a command prints: words for people or JSON for programs, a line at a time.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use console::Term;
use mesh_node::Error;
use serde::Serialize;

/// What is printed, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Sentences and tables.
    Words,
    /// One object a line.
    Json,
}

impl Format {
    /// Prints a value: as `words` say it, or as JSON.
    pub(crate) fn value<V: Serialize>(
        self,
        value: &V,
        words: impl FnOnce(&V) -> String,
    ) -> Result<(), Error> {
        match self {
            Self::Words => print(words(value)),
            Self::Json => print(serde_json::to_string(value).map_err(failed)?),
        }
    }

    /// Prints a line for people.
    pub(crate) fn words(self, line: impl Display) -> Result<(), Error> {
        match self {
            Self::Words => print(line),
            Self::Json => Ok(()),
        }
    }

    /// Whether a person watches.
    pub(crate) fn is_live(self) -> bool {
        self == Self::Words && Term::stdout().is_term()
    }
}

/// Prints a line. When nobody reads any more (`| head`), the command is done.
fn print(line: impl Display) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    match writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(failed(error)),
    }
}

/// Prints a line on stderr, where it disturbs no program that reads the rest.
pub(crate) fn aside(line: impl Display) {
    // Whoever closed stderr does not want to hear it.
    let _ = writeln!(io::stderr(), "{line}");
}

/// It failed.
pub(crate) fn failed(error: impl Display) -> Error {
    Error::new(mesh_node::ErrorKind::Failed, error.to_string())
}

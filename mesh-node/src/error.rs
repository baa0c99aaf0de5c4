//! What can go wrong for a caller, in words, and the exit code of `mesh` for each.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The class of an error: the exit code of the program `mesh`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// It failed.
    Failed,
    /// It was asked for in a wrong way.
    Usage,
    /// No node is running.
    NoNode,
    /// There is no such thing.
    NotFound,
    /// It is not done yet.
    Pending,
    /// It is not allowed, or somebody else has it.
    Permission,
    /// It is not what its author signed.
    Verification,
    /// Some of it was done.
    Partly,
}

impl ErrorKind {
    /// The exit code of `mesh`.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NoNode => 3,
            Self::NotFound => 4,
            Self::Pending => 5,
            Self::Permission => 6,
            Self::Verification => 7,
            Self::Partly => 8,
        }
    }
}

/// An error as a person reads it: what happened and what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct Error {
    /// Its class.
    pub kind: ErrorKind,
    /// What happened, to what, and what to do.
    pub message: String,
}

impl Error {
    /// An error of this class.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn failed(error: impl std::fmt::Display) -> Self {
        Self::new(ErrorKind::Failed, error.to_string())
    }

    pub(crate) fn stopped() -> Self {
        Self::new(ErrorKind::NoNode, "the node has stopped")
    }
}

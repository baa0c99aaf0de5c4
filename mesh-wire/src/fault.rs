//! What a peer did wrong. Never returned to a caller: it becomes an event and a score.

use thiserror::Error;

use crate::codec::DecodeError;

/// One thing a neighbour did that the specification forbids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Fault {
    /// Bytes that do not decode.
    #[error("sent bytes that do not decode: {0}")]
    Decode(#[from] DecodeError),
    /// A message that is not allowed in this state.
    #[error("broke the protocol: {0}")]
    Protocol(&'static str),
    /// More than a stated limit.
    #[error("exceeded a limit: {0}")]
    Limit(&'static str),
    /// Content that fails verification.
    #[error("sent content that fails verification: {0}")]
    Forged(&'static str),
}

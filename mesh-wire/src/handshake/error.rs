//! Why a handshake does not go on.

use thiserror::Error;

use crate::{DecodeError, Fault};

/// Why a frame did not move a handshake. On a stream the handshake has failed. Over datagrams,
/// where anybody can send anything, it stands where it stood, except that a peer with the keys
/// that breaks the protocol ends it there too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HandshakeError {
    /// Bytes that do not decode.
    #[error("a handshake message that does not decode: {0}")]
    Decode(#[from] DecodeError),
    /// A message that is too long, or a first message that is too short for datagrams.
    #[error("a handshake message of a wrong size")]
    Size,
    /// Not a handshake message, or not the one that is due.
    #[error("not the handshake message that is due")]
    Unexpected,
    /// Noise refuses it: altered, for somebody else, or with a degenerate key.
    #[error("a forged handshake message")]
    Forged,
    /// The two ends speak no common version.
    #[error("no common version")]
    NoCommonVersion,
    /// The responder chose another version than the highest common one.
    #[error("the version chosen is not the highest common one")]
    Downgrade,
    /// Our own message came back, or our own pseudonym is at the other end.
    #[error("the other end is this node itself")]
    Reflected,
}

impl From<HandshakeError> for Fault {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Decode(error) => Self::Decode(error),
            HandshakeError::Size => Self::Limit("handshake message"),
            HandshakeError::Unexpected => Self::Protocol("handshake message out of turn"),
            HandshakeError::Forged => Self::Forged("handshake message"),
            HandshakeError::NoCommonVersion => Self::Protocol("no common version"),
            HandshakeError::Downgrade => Self::Protocol("downgrade"),
            HandshakeError::Reflected => Self::Protocol("reflected handshake"),
        }
    }
}

impl From<snow::Error> for HandshakeError {
    fn from(_: snow::Error) -> Self {
        Self::Forged
    }
}

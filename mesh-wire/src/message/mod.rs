//! Every message of the protocol, by layer. `spec/README.md` has the table of kinds.
//!
//! Inside a sealed record stand one or more frames: kind (1 byte), length (varint), body. A kind
//! that is not known is skipped if it is even and ends the session if it is odd.

pub mod find;
pub mod link;
pub mod routing;
pub mod set;
pub mod sync;

use crate::codec::{Bytes, DecodeError, Problem, Reader, varint};
use crate::limits;

pub use find::Beacon;
pub use link::LinkMessage;
pub use routing::RouteMessage;
pub use sync::SyncMessage;

/// Bytes of a frame with a body of `body` bytes.
#[must_use]
pub const fn framed_size(body: usize) -> usize {
    1 + varint::size(body as u64) + body
}

/// Takes one frame: its kind and its body.
// spec: WIRE-5
pub fn read_frame(reader: &mut Reader) -> Result<(u8, Bytes), DecodeError> {
    let kind = reader.at("frame.kind").byte()?;
    let body = reader.at("frame.body").bytes(limits::RECORD_BYTES)?;
    Ok((kind, body))
}

/// A message of any layer that travels inside a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Between the two ends of one link.
    Link(LinkMessage),
    /// Who is around.
    Route(RouteMessage),
    /// Content.
    Sync(SyncMessage),
}

impl Message {
    /// Reads a body; `None` for an unknown kind that may be skipped.
    // spec: WIRE-6
    pub fn read_body(kind: u8, body: Bytes) -> Result<Option<Self>, DecodeError> {
        let link = || LinkMessage::read_body(kind, body.clone()).map(|m| m.map(Self::Link));
        let route = || RouteMessage::read_body(kind, body.clone()).map(|m| m.map(Self::Route));
        let sync = || SyncMessage::read_body(kind, body.clone()).map(|m| m.map(Self::Sync));
        match link().or_else(route).or_else(sync) {
            Some(message) => message.map(Some),
            None if kind.is_multiple_of(2) => Ok(None),
            None => Err(DecodeError { field: "frame.kind", problem: Problem::UnknownCritical }),
        }
    }
}

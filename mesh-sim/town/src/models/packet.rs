//! What is carried from one node to another, the same for all models.

use mesh_wire::codec::{Opaque, Output, Reader, varint};
use mesh_wire::{DecodeError, PeerId, Wire, codes, layout};

/// Largest content of one packet, in bytes: one frame of 1200 B with the longest header.
const CONTENT_BYTES: usize = 1024;
/// Bytes of a receipt: a number and a proof.
const RECEIPT_BYTES: usize = 40;

/// The name of a node. Where an original has more bytes for it, a [`Filler`] stands beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeId(pub u64);

impl From<PeerId> for NodeId {
    fn from(peer: PeerId) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = peer.0;
        Self(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
    }
}

/// A number of eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Word(pub u64);

macro_rules! eight_bytes {
    ($($type:ident),*) => {$(
        impl Wire for $type {
            const MIN_SIZE: usize = 8;

            fn size(&self) -> usize {
                8
            }

            fn write(&self, out: &mut Output) {
                out.extend_from_slice(&self.0.to_be_bytes());
            }

            fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
                reader.array().map(|bytes| Self(u64::from_be_bytes(bytes)))
            }
        }
    )*};
}
eight_bytes!(NodeId, Word);

/// `N` bytes that stand for a key, a signature or a nonce: they weigh, and nothing reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filler<const N: usize>;

impl<const N: usize> Wire for Filler<N> {
    const MIN_SIZE: usize = N;

    fn size(&self) -> usize {
        N
    }

    fn write(&self, out: &mut Output) {
        out.resize(out.len() + N, 0);
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        reader.take(N).map(|_| Self)
    }
}

/// Something for a node.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Who sends it.
    pub from: NodeId,
    /// Who gets it.
    pub to: NodeId,
    /// What is in it.
    pub payload: Payload,
}

codes! {
    /// What a packet is.
    pub enum What {
        /// Somebody's words.
        Message = 0,
        /// They have come.
        Receipt = 1,
    }
}

layout! {
    /// What is in a packet.
    pub struct Payload {
        /// What it is.
        what: What,
        /// The number of the message.
        number: Word,
        /// Bytes up to its size.
        rest: Opaque<CONTENT_BYTES>,
    }
}

impl Payload {
    /// Message `number`, of `bytes` in all.
    #[must_use]
    pub fn message(number: u64, bytes: usize) -> Self {
        Self::new(What::Message, number, bytes)
    }

    /// The receipt for message `number`.
    #[must_use]
    pub fn receipt(number: u64) -> Self {
        Self::new(What::Receipt, number, RECEIPT_BYTES)
    }

    /// Whether it is a receipt.
    #[must_use]
    pub fn is_receipt(&self) -> bool {
        self.what == What::Receipt
    }

    fn new(what: What, number: u64, bytes: usize) -> Self {
        let room = bytes.saturating_sub(what.size() + Word(number).size()).min(CONTENT_BYTES);
        let rest = room.saturating_sub(varint::size(room as u64));
        let rest = Opaque::new(vec![0; rest].into()).unwrap_or_default();
        Self { what, number: Word(number), rest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_the_size_that_was_asked_for() {
        for bytes in [40, 200, 1000] {
            assert_eq!(Payload::message(7, bytes).size(), bytes);
        }
        assert_eq!(Payload::receipt(7).size(), RECEIPT_BYTES);
    }
}

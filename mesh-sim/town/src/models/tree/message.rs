//! What nodes of the tree say to each other; sizes are ironwood's.
//!
//! A key has 32 B, of which the last 24 are in the fillers.

use mesh_wire::codec::List;
use mesh_wire::{layout, messages};

use super::bloom::Bloom;
use crate::models::{Filler, NodeId, Packet, Payload, Said, Word};
use crate::{Class, Kind};

/// Depth of a tree, at most.
pub(super) const DEPTH: usize = 128;

/// The ports from the root down to a node: a byte for each, up to port 63.
pub(super) type Coordinates = List<u16, DEPTH>;

messages! {
    /// What is said.
    pub enum Message {
        /// Would you be my parent?
        SignRequest = 0x80,
        /// I would, and this would be your port.
        SignReply = 0x81,
        /// Somebody's parent.
        Announce = 0x82,
        /// Who is behind me.
        Filter = 0x83,
        /// Where is somebody?
        LookUp = 0x84,
        /// Here I am.
        Found = 0x85,
        /// Not there any more.
        Broken = 0x86,
        /// A packet for somebody.
        Data = 0x87,
    }
}

layout! {
    /// 16 B.
    pub struct SignRequest {
        /// The number of the record that the asker has now.
        sequence: Word,
        /// A nonce.
        rest: Filler<8>,
    }
}

layout! {
    /// 82 B.
    pub struct SignReply {
        /// The number in the request.
        sequence: Word,
        /// The port of the asker at the one who signs.
        port: Word,
        /// A nonce and a signature.
        rest: Filler<66>,
    }
}

layout! {
    /// A node and its parent, signed by both: 212 B for each ancestor.
    pub struct Announce {
        /// The node.
        id: NodeId,
        /// Its parent; itself if it is a root.
        parent: NodeId,
        /// Its port there.
        port: Word,
        /// The number of this record.
        sequence: Word,
        /// Rest of both keys, a nonce, two signatures.
        rest: Filler<180>,
    }
}

layout! {
    /// 32 B and 8 B for each word of the filter that says something.
    pub struct Filter {
        /// Who is behind the sender.
        behind: Bloom,
    }
}

layout! {
    /// 66 B and the coordinates.
    pub struct LookUp {
        /// Steps along the tree it may still make.
        ttl: u8,
        /// Who asks.
        from: NodeId,
        /// Where the asker is.
        at: Coordinates,
        /// Who is looked for.
        to: NodeId,
        /// Rest of both keys.
        rest: Filler<48>,
    }
}

layout! {
    /// 140 B and both coordinates.
    pub struct Found {
        /// Whom it is for.
        to: NodeId,
        /// Where that is.
        at: Coordinates,
        /// The smallest distance to there that was reached.
        watermark: u8,
        /// Who was looked for.
        from: NodeId,
        /// Where that is.
        from_at: Coordinates,
        /// Rest of both keys, a number, a signature.
        rest: Filler<121>,
    }
}

layout! {
    /// 74 B and the coordinates.
    pub struct Broken {
        /// Whom it is for: who sent the packet.
        to: NodeId,
        /// Where that is.
        at: Coordinates,
        /// The smallest distance to there that was reached.
        watermark: u8,
        /// Who was not where the packet went.
        lost: NodeId,
        /// Rest of both keys, a type.
        rest: Filler<56>,
    }
}

layout! {
    /// 70 B, both coordinates, and what is sent.
    pub struct Data {
        /// Hops it has made.
        hops: u8,
        /// Who gets it.
        to: NodeId,
        /// Where that is.
        at: Coordinates,
        /// The smallest distance to there that was reached.
        watermark: u8,
        /// Who sends.
        from: NodeId,
        /// Where that is.
        from_at: Coordinates,
        /// Rest of both keys, a type.
        rest: Filler<50>,
        /// What is sent.
        payload: Payload,
    }
}

impl From<Data> for Packet {
    fn from(Data { from, to, payload, .. }: Data) -> Self {
        Self { from, to, payload }
    }
}

impl Said for Message {
    fn is_routed(&self) -> bool {
        match self {
            Self::SignRequest(_) | Self::SignReply(_) | Self::Announce(_) => false,
            Self::Filter(_) | Self::LookUp(_) => false,
            Self::Found(_) | Self::Broken(_) | Self::Data(_) => true,
        }
    }

    fn kind(&self) -> Kind {
        let routing = |name| Kind { class: Class::Routing, name };
        match self {
            Self::SignRequest(_) => routing("sign request"),
            Self::SignReply(_) => routing("sign reply"),
            Self::Announce(_) => routing("announce"),
            Self::Filter(_) => routing("filter"),
            Self::LookUp(_) => routing("look-up"),
            Self::Found(_) => routing("found"),
            Self::Broken(_) => routing("broken"),
            Self::Data(data) if data.payload.is_receipt() => {
                Kind { class: Class::Content, name: "receipt" }
            }
            Self::Data(_) => Kind { class: Class::Content, name: "message" },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_wire::Wire;

    #[test]
    fn messages_have_the_sizes_of_the_originals() {
        assert_eq!((SignRequest::MIN_SIZE, SignReply::MIN_SIZE), (16, 82));
        assert_eq!((Announce::MIN_SIZE, Filter::MIN_SIZE), (212, 32));
        assert_eq!((LookUp::MIN_SIZE, Found::MIN_SIZE, Broken::MIN_SIZE), (66, 140, 74));
        assert_eq!(Data::MIN_SIZE - Payload::MIN_SIZE, 70);
    }
}

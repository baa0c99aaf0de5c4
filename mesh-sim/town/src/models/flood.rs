//! Flooding: everybody repeats everything once, as bitchat does (of whose 9b84b36 hops, waits and
//! header are).
//!
//! There is nothing to know and nothing to lose: a packet finds every way there is, as long as its
//! hops suffice, and everybody pays for it. Kinder to it than bitchat: nobody announces himself,
//! and where many are near, hops stay as they are.

use std::ops::Range;

use mesh_wire::{LinkId, layout, messages};

use super::{Filler, Hands, NodeId, Packet, Payload, Protocol, Said, Word};
use crate::{Class, Kind};

/// Hops of bitchat.
pub const TTL_OF_BITCHAT: u8 = 7;
/// Hops that reach across a town of 200.
pub const TTL_FAR: u8 = 32;
/// Milliseconds before a node repeats, so that it hears who else does.
const WAIT_MS: Range<u64> = 10..220;

messages! {
    /// What is said.
    pub enum Message {
        /// A packet for somebody.
        Data = 0x80,
    }
}

layout! {
    /// A packet under a header of 30 B.
    pub struct Data {
        /// Hops it may still make, this one included.
        ttl: u8,
        /// One flood.
        id: Word,
        /// Who sends.
        from: NodeId,
        /// Who gets it.
        to: NodeId,
        /// Version, type, flags, length.
        rest: Filler<5>,
        /// What is sent.
        payload: Payload,
    }
}

impl Said for Message {
    fn is_routed(&self) -> bool {
        false
    }

    fn kind(&self) -> Kind {
        let Self::Data(data) = self;
        let name = if data.payload.is_receipt() { "receipt" } else { "message" };
        Kind { class: Class::Content, name }
    }
}

/// The protocol: it has no state but what its floods remember.
pub struct Flood {
    ttl: u8,
}

impl Flood {
    /// Packets make at most so many hops.
    #[must_use]
    pub fn new(ttl: u8) -> Self {
        Self { ttl }
    }
}

impl Protocol for Flood {
    type Message = Message;

    fn send(&mut self, hands: &mut Hands<Message>, packet: Packet, _: u32) {
        let Packet { from, to, payload } = packet;
        let id = hands.draw(0..u64::MAX);
        let data = Data { ttl: self.ttl, id: Word(id), from, to, rest: Filler, payload };
        hands.flood(id, data.into());
    }

    fn receive(&mut self, hands: &mut Hands<Message>, from: LinkId, message: Message) {
        let Message::Data(mut data) = message;
        let id = data.id.0;
        if !hands.hear(id, from) {
            return;
        }
        if data.to == hands.me {
            let hops = self.ttl.saturating_sub(data.ttl) + 1;
            let packet = Packet { from: data.from, to: data.to, payload: data.payload };
            hands.arrived(packet, hops);
        } else if data.ttl > 1 && !hands.is_black_hole() {
            data.ttl -= 1;
            hands.repeat(id, from, WAIT_MS, data.into());
        }
    }
}

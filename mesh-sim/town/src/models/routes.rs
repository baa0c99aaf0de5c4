//! Tables that say over which neighbour to reach a node, and the questions that fill them: what
//! [`super::aodv`] and [`super::vector`] have in common.
//!
//! Sizes are those of Reticulum: an announcement or its like 167 B, a request 51 B, a header of
//! 35 B before what is carried. Hops and waits of a request are those of our own.

use std::collections::BTreeMap;
use std::ops::Range;

use mesh_wire::{LinkId, layout};

use super::{Filler, Hands, NodeId, Packet, Payload, Said, Word};

/// Hops of a request that goes everywhere.
pub(super) const FAR: u8 = 32;
/// Milliseconds before a request is repeated.
const WAIT_MS: Range<u64> = 8..40;
/// Destinations of one table.
const DESTINATIONS: usize = 16_384;
/// Hops after which a packet has lost its way.
const HOPS: u8 = 64;

layout! {
    /// Who knows the way to `to`? 51 B.
    pub struct Request {
        /// Hops it may still make, this one included.
        ttl: u8,
        /// Hops it has made.
        hops: u8,
        /// One flood.
        id: Word,
        /// Who asks; its address has 16 B.
        from: NodeId,
        /// The number of what the asker says about itself.
        sequence: Word,
        /// Who is looked for; its address has 16 B.
        to: NodeId,
        /// The rest of both addresses, and a context.
        rest: Filler<17>,
    }
}

layout! {
    /// Here is `from`, says `from`, and signs it. 167 B.
    pub struct Reply {
        /// Hops it has made.
        hops: u8,
        /// Who answers.
        from: NodeId,
        /// The number of what it says about itself.
        sequence: Word,
        /// Who asked.
        to: NodeId,
        /// Rests of addresses, keys, a name, a random number, a signature.
        rest: Filler<142>,
    }
}

layout! {
    /// A packet under a header of 35 B.
    pub struct Data {
        /// Hops it has made.
        hops: u8,
        /// Who sends.
        from: NodeId,
        /// Who gets it.
        to: NodeId,
        /// Flags, a context, the rest of both addresses.
        rest: Filler<18>,
        /// What is sent.
        payload: Payload,
    }
}

impl From<Packet> for Data {
    fn from(Packet { from, to, payload }: Packet) -> Self {
        Self { hops: 0, from, to, rest: Filler, payload }
    }
}

impl From<Data> for Packet {
    fn from(Data { from, to, payload, .. }: Data) -> Self {
        Self { from, to, payload }
    }
}

impl Data {
    /// What it is called in the books.
    pub(super) fn name(&self) -> &'static str {
        if self.payload.is_receipt() { "receipt" } else { "message" }
    }

    /// Counts one more hop; whether it may make it.
    pub(super) fn step(&mut self) -> bool {
        self.hops += u8::from(self.hops <= HOPS);
        self.hops <= HOPS
    }
}

/// Which neighbour is next on the way to whom.
#[derive(Default)]
pub(super) struct Routes {
    known: BTreeMap<NodeId, Route>,
    /// The number of what this node said last about itself.
    own_sequence: u64,
}

/// One way, or what is left of it.
pub(super) struct Route {
    /// The next neighbour; `None` where it was lost.
    pub(super) link: Option<LinkId>,
    /// How long the way is.
    pub(super) hops: u8,
    /// Which of the things that the destination said about itself this follows from.
    pub(super) sequence: u64,
}

/// Questions and packets.
impl Routes {
    /// The number of what this node says next about itself.
    pub(super) fn next_sequence(&mut self) -> Word {
        self.own_sequence += 1;
        Word(self.own_sequence)
    }

    /// Asks everybody within `ttl` hops for the way to a node.
    pub(super) fn ask<M>(&mut self, hands: &mut Hands<M>, to: NodeId, ttl: u8)
    where
        M: Said + From<Request>,
    {
        let (id, sequence, from) = (hands.draw(0..u64::MAX), self.next_sequence(), hands.me);
        let request = Request { ttl, hops: 0, id: Word(id), from, sequence, to, rest: Filler };
        hands.flood(id, request.into());
    }

    /// Whoever asks is where the request comes from; only the one who is looked for answers.
    pub(super) fn on_request<M>(&mut self, hands: &mut Hands<M>, from: LinkId, mut request: Request)
    where
        M: Said + From<Request> + From<Reply>,
    {
        let (asker, sequence, id) = (request.from, request.sequence.0, request.id.0);
        request.hops = request.hops.saturating_add(1);
        if asker != hands.me {
            self.learn(asker, Route { link: Some(from), hops: request.hops, sequence });
        }
        if !hands.hear(id, from) {
            return;
        }
        if request.to == hands.me {
            let (from_me, sequence) = (hands.me, self.next_sequence());
            let reply = Reply { hops: 0, from: from_me, sequence, to: asker, rest: Filler };
            hands.send(from, reply.into());
        } else if request.ttl > 1 {
            request.ttl -= 1;
            hands.repeat(id, from, WAIT_MS, request.into());
        }
    }

    /// Whoever answers is where the reply comes from; who that is, if this node asked.
    pub(super) fn on_reply<M>(
        &mut self,
        hands: &mut Hands<M>,
        from: LinkId,
        mut reply: Reply,
    ) -> Option<NodeId>
    where
        M: Said + From<Reply>,
    {
        let (sequence, found) = (reply.sequence.0, reply.from);
        reply.hops = reply.hops.saturating_add(1);
        self.learn(found, Route { link: Some(from), hops: reply.hops, sequence });
        if reply.to == hands.me {
            return Some(found);
        }
        if let Some(link) = self.next(hands, reply.to) {
            hands.send(link, reply.into());
        }
        None
    }

    /// Takes a packet that is for this node; what is to be passed on otherwise.
    pub(super) fn on_data<M: Said>(
        &mut self,
        hands: &mut Hands<M>,
        from: LinkId,
        data: Data,
    ) -> Option<Data> {
        self.learn_back(&data, from);
        if data.to == hands.me {
            let hops = data.hops;
            hands.arrived(data.into(), hops);
            return None;
        }
        Some(data).filter(|_| !hands.is_black_hole())
    }
}

/// Ways.
impl Routes {
    /// Takes a way if it is newer than the known one, or as new and shorter; whether it did.
    pub(super) fn learn(&mut self, to: NodeId, route: Route) -> bool {
        let is_better = self.known.get(&to).is_none_or(|known| {
            let is_shorter = known.link.is_none() || route.hops < known.hops;
            (route.sequence > known.sequence) || (route.sequence == known.sequence && is_shorter)
        });
        let has_room = self.known.len() < DESTINATIONS || self.known.contains_key(&to);
        if is_better && has_room {
            self.known.insert(to, route);
        }
        is_better && has_room
    }

    /// Takes the way a packet came for the way back to its source, where none is known: receipts
    /// go back as Reticulum's proofs do.
    fn learn_back(&mut self, data: &Data, from: LinkId) {
        let sequence = self.sequence(data.from);
        if self.known.get(&data.from).is_none_or(|known| known.link.is_none()) {
            self.learn(data.from, Route { link: Some(from), hops: data.hops, sequence });
        }
    }

    /// The neighbour that is next on the way: the destination itself if it is one.
    pub(super) fn next<M: Said>(&self, hands: &Hands<M>, to: NodeId) -> Option<LinkId> {
        hands.link_to(to).or_else(|| self.known.get(&to)?.link)
    }

    /// How long the way is, or was.
    pub(super) fn hops(&self, to: NodeId) -> Option<u8> {
        self.known.get(&to).map(|route| route.hops)
    }

    /// The sequence number of the way, or of the one that is wanted.
    pub(super) fn sequence(&self, to: NodeId) -> u64 {
        self.known.get(&to).map_or(0, |route| route.sequence)
    }

    /// Forgets all ways over a link.
    pub(super) fn lose_link(&mut self, link: LinkId) {
        self.lose(|_, route| route.link == Some(link));
    }

    /// Forgets the way to a node, or only if it leads over `link`.
    pub(super) fn lose_way(&mut self, to: NodeId, link: Option<LinkId>) {
        self.lose(|id, route| id == to && (link.is_none() || route.link == link));
    }

    /// Forgets ways. Only something newer replaces them: an echo of the old one cannot.
    fn lose(&mut self, is_lost: impl Fn(NodeId, &Route) -> bool) {
        for (id, route) in &mut self.known {
            if route.link.is_some() && is_lost(*id, route) {
                route.link = None;
                route.sequence = route.sequence.saturating_add(1);
            }
        }
    }

    /// Bytes held: 64 for each destination.
    pub(super) fn weight(&self) -> usize {
        self.known.len() * 64
    }
}

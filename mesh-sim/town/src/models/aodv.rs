//! Ask for a way when one is needed: on-demand discovery like AODV's (RFC 3561).
//!
//! A request is flooded, first over a few hops, then over all; every node that repeats it remembers
//! where it came from. The one who is looked for answers along that way, and every node the answer
//! passes remembers where *that* came from: relays hold the way, packets carry none. Where a link
//! is lost, an error goes back to the source, which asks again at once.
//!
//! Rings and waits are those of our own discovery, so that a comparison shows what it is to hold
//! the way in the relays, and not who has better numbers; sizes are Reticulum's, whose addresses
//! and keys are as long as ours. Left out: hellos, which hop acknowledgements replace, answers of
//! relays that know a way, which break soonest where people walk, and repair by relays.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_wire::{LinkId, Time, Wake, layout, messages};

use super::routes::{Data, FAR, Reply, Request, Routes};
use super::{Filler, Hands, NodeId, Packet, Protocol, Said};
use crate::{Class, Kind};

/// Hops of the first ring, and how many it is longer than the last known way, up to a longest.
const RING: u8 = 3;
const RING_MORE: u8 = 2;
const RING_MAX: u8 = 8;
/// Time that an answer to a ring takes: so much for each hop, and so much more.
const RING_HOP: Duration = Duration::from_millis(200);
const RING_MORE_TIME: Duration = Duration::from_millis(150);
/// How long the answers to the first and the second request that go everywhere are waited for.
const FAR_TIMES: [Duration; 2] = [Duration::from_millis(2500), Duration::from_secs(4)];

messages! {
    /// What is said.
    pub enum Message {
        /// RREQ.
        Request = 0x80,
        /// RREP.
        Reply = 0x81,
        /// RERR.
        Broken = 0x82,
        /// A packet for somebody.
        Data = 0x83,
    }
}

layout! {
    /// The way of packets from `to` to `lost` has ended here. 40 B.
    pub struct Broken {
        /// Who is out of reach.
        lost: NodeId,
        /// Who sent to it.
        to: NodeId,
        /// Rest of both addresses, and the number of what is known to be wrong.
        rest: Filler<24>,
    }
}

impl Said for Message {
    fn is_routed(&self) -> bool {
        match self {
            Self::Request(_) => false,
            Self::Reply(_) | Self::Broken(_) | Self::Data(_) => true,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Request(_) => Kind { class: Class::Routing, name: "request" },
            Self::Reply(_) => Kind { class: Class::Routing, name: "reply" },
            Self::Broken(_) => Kind { class: Class::Routing, name: "broken" },
            Self::Data(data) => Kind { class: Class::Content, name: data.name() },
        }
    }
}

/// The protocol: ways that were asked for, and questions under way.
#[derive(Default)]
pub struct Aodv {
    routes: Routes,
    searches: BTreeMap<NodeId, Search>,
}

struct Search {
    /// How many requests have gone everywhere.
    far: usize,
    next_at: Time,
}

impl Aodv {
    fn search(&mut self, hands: &mut Hands<Message>, to: NodeId) {
        if !self.searches.contains_key(&to) {
            let last = self.routes.hops(to).map_or(0, |hops| hops.saturating_add(RING_MORE));
            let ring = last.clamp(RING, RING_MAX);
            let next_at = hands.now + RING_HOP * u32::from(ring) + RING_MORE_TIME;
            self.searches.insert(to, Search { far: 0, next_at });
            self.routes.ask(hands, to, ring);
        }
    }

    fn forward(&mut self, hands: &mut Hands<Message>, mut data: Data) {
        match self.routes.next(hands, data.to) {
            Some(link) if data.step() => hands.send(link, data.into()),
            Some(_) => {}
            None => self.broken(hands, &data),
        }
    }

    /// The way of a packet ends here.
    fn broken(&mut self, hands: &mut Hands<Message>, data: &Data) {
        if data.payload.is_receipt() {
            return;
        }
        if data.from == hands.me {
            return self.search(hands, data.to);
        }
        if let Some(link) = self.routes.next(hands, data.from) {
            let broken = Broken { lost: data.to, to: data.from, rest: Filler };
            hands.send(link, broken.into());
        }
    }

    fn on_broken(&mut self, hands: &mut Hands<Message>, from: LinkId, broken: Broken) {
        self.routes.lose_way(broken.lost, Some(from));
        if broken.to == hands.me {
            self.search(hands, broken.lost);
        } else if let Some(link) = self.routes.next(hands, broken.to) {
            hands.send(link, broken.into());
        }
    }
}

impl Protocol for Aodv {
    type Message = Message;

    fn link_up(&mut self, _: &mut Hands<Message>, _: LinkId) {}

    fn link_down(&mut self, _: &mut Hands<Message>, link: LinkId) {
        self.routes.lose_link(link);
    }

    fn send(&mut self, hands: &mut Hands<Message>, packet: Packet, attempt: u32) {
        if attempt > 0 {
            self.routes.lose_way(packet.to, None);
        }
        self.forward(hands, packet.into());
    }

    fn receive(&mut self, hands: &mut Hands<Message>, from: LinkId, message: Message) {
        match message {
            Message::Request(request) => self.routes.on_request(hands, from, request),
            Message::Reply(reply) => {
                if let Some(found) = self.routes.on_reply(hands, from, reply)
                    && self.searches.remove(&found).is_some()
                {
                    hands.resend(found);
                }
            }
            Message::Broken(broken) => self.on_broken(hands, from, broken),
            Message::Data(data) => {
                if let Some(data) = self.routes.on_data(hands, from, data) {
                    self.forward(hands, data);
                }
            }
        }
    }

    fn lost(&mut self, hands: &mut Hands<Message>, message: Message) {
        match message {
            Message::Data(data) => self.broken(hands, &data),
            Message::Request(_) | Message::Reply(_) | Message::Broken(_) => {}
        }
    }

    fn tick(&mut self, hands: &mut Hands<Message>) {
        let now = hands.now;
        let due = self.searches.iter().filter(|(_, search)| search.next_at <= now);
        for to in due.map(|(to, _)| *to).collect::<Vec<_>>() {
            let Some(search) = self.searches.get_mut(&to) else { continue };
            match FAR_TIMES.get(search.far) {
                Some(time) => {
                    search.far += 1;
                    search.next_at = now + *time;
                    self.routes.ask(hands, to, FAR);
                }
                None => drop(self.searches.remove(&to)),
            }
        }
    }

    fn wake_at(&self) -> Option<Wake> {
        let next = self.searches.values().map(|search| search.next_at).min();
        next.map(|at| Wake { at, reason: "search" })
    }

    fn weight(&self) -> usize {
        self.routes.weight()
    }
}

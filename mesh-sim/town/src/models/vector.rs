//! Tell everybody about oneself, always: announcements like Reticulum's (as of b48b96e, and of all
//! distance vectors since DSDV).
//!
//! Every node announces itself every 120 s, every node passes every announcement on, and so every
//! node knows over which neighbour to reach everybody. Only where that has failed, a node asks.
//!
//! Sizes, waits, hops and the share of a link are Reticulum's, the latter for each link and not
//! for the whole radio; that it announces so often and asks so soon is kinder to it than its own
//! defaults, which are not made for people who walk.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use mesh_wire::{LinkId, Time, Wake, Wire, layout, messages};

use super::routes::{Data, FAR, Reply, Request, Route, Routes};
use super::{Filler, Hands, NodeId, Packet, Protocol, Said, Word};
use crate::subject::FRAME_OVERHEAD;
use crate::{Class, Kind};

/// Milliseconds between two announcements of one node.
const ANNOUNCE_MS: Range<u64> = 108_000..132_000;
/// The first one comes sooner: a device announces itself soon after it was switched on.
const FIRST_MS: Range<u64> = 1_000..60_000;
/// Milliseconds before an announcement is passed on.
const WAIT_MS: Range<u64> = 0..500;
/// Hops that an announcement makes.
const HOPS: u8 = 128;
/// Announcements of others take at most 2 % of a link of 20 kB/s.
const ANNOUNCED_BYTES_PER_SECOND: u64 = 400;
/// Announcements that wait for one link.
const WAITING: usize = 16_384;
/// Time between two requests for one destination. Reticulum itself waits 20 s, too long for those
/// who walk.
const REQUEST_EVERY: Duration = Duration::from_secs(2);

messages! {
    /// What is said.
    pub enum Message {
        /// I am here.
        Announce = 0x80,
        /// Who knows the way?
        Request = 0x81,
        /// An announcement for the one who asked.
        Reply = 0x82,
        /// A packet for somebody.
        Data = 0x83,
    }
}

layout! {
    /// Here is `from`, says `from`, and signs it. 167 B.
    pub struct Announce {
        /// Hops it has made.
        hops: u8,
        /// Who is here.
        from: NodeId,
        /// The number of what it says about itself.
        sequence: Word,
        /// Rest of the address, keys, a name, a random number, a signature.
        rest: Filler<150>,
    }
}

impl Said for Message {
    fn is_routed(&self) -> bool {
        match self {
            Self::Announce(_) | Self::Request(_) => false,
            Self::Reply(_) | Self::Data(_) => true,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Announce(_) => Kind { class: Class::Routing, name: "announce" },
            Self::Request(_) => Kind { class: Class::Routing, name: "request" },
            Self::Reply(_) => Kind { class: Class::Routing, name: "reply" },
            Self::Data(data) => Kind { class: Class::Content, name: data.name() },
        }
    }
}

/// The protocol: a way to everybody, and announcements that wait for their share of a link.
#[derive(Default)]
pub struct Vector {
    routes: Routes,
    announce_at: Option<Time>,
    links: BTreeMap<LinkId, Share>,
    asked: BTreeMap<NodeId, Time>,
}

/// What announcements of others get of one link: those from near by go first.
struct Share {
    free_at: Time,
    waiting: BTreeMap<NodeId, (Time, Announce)>,
}

impl Share {
    fn next_at(&self) -> Option<Time> {
        let ready = self.waiting.values().map(|(ready_at, _)| *ready_at).min()?;
        Some(ready.max(self.free_at))
    }

    fn take(&mut self, now: Time) -> Option<Announce> {
        let ready = self.waiting.iter().filter(|(_, (ready_at, _))| *ready_at <= now);
        let (hops, from) = ready.map(|(from, (_, announce))| (announce.hops, *from)).min()?;
        let (_, announce) = self.waiting.remove(&from).filter(|_| hops < HOPS)?;
        let micros = (announce.size() + FRAME_OVERHEAD) as u64 * 1_000_000;
        self.free_at = now + Duration::from_micros(micros / ANNOUNCED_BYTES_PER_SECOND);
        Some(announce)
    }
}

impl Vector {
    fn announce(&mut self, hands: &mut Hands<Message>) {
        let (from, sequence) = (hands.me, self.routes.next_sequence());
        for link in hands.links() {
            hands.send(link, Announce { hops: 0, from, sequence, rest: Filler }.into());
        }
        let wait = hands.draw(ANNOUNCE_MS);
        self.announce_at = Some(hands.now + Duration::from_millis(wait));
    }

    fn on_announce(&mut self, hands: &mut Hands<Message>, from: LinkId, mut announce: Announce) {
        announce.hops = announce.hops.saturating_add(1);
        let (id, sequence) = (announce.from, announce.sequence.0);
        // Whoever is heard to say it needs not be told.
        if let Some(share) = self.links.get_mut(&from) {
            share.waiting.remove(&id);
        }
        let is_new = sequence > self.routes.sequence(id);
        let route = Route { link: Some(from), hops: announce.hops, sequence };
        if id == hands.me || !self.routes.learn(id, route) || !is_new {
            return;
        }
        let ready_at = hands.after(WAIT_MS);
        for (_, share) in self.links.iter_mut().filter(|(link, _)| **link != from) {
            if share.waiting.len() < WAITING {
                share.waiting.insert(id, (ready_at, announce.clone()));
            }
        }
    }

    /// Asks for the way to a node, but not all the time; whether it did.
    fn ask(&mut self, hands: &mut Hands<Message>, to: NodeId) -> bool {
        let now = hands.now;
        self.asked.retain(|_, at| *at + REQUEST_EVERY > now);
        if self.asked.contains_key(&to) {
            return false;
        }
        self.asked.insert(to, now);
        self.routes.ask(hands, to, FAR);
        true
    }

    /// Passes a packet on; one that nobody knows the way for is lost, and nobody is told.
    fn forward(&mut self, hands: &mut Hands<Message>, mut data: Data) -> bool {
        let next = self.routes.next(hands, data.to).filter(|_| data.step());
        if let Some(link) = next {
            hands.send(link, data.into());
        }
        next.is_some()
    }
}

impl Protocol for Vector {
    type Message = Message;

    fn link_up(&mut self, hands: &mut Hands<Message>, link: LinkId) {
        self.links.insert(link, Share { free_at: hands.now, waiting: BTreeMap::new() });
        if self.announce_at.is_none() {
            let wait = hands.draw(FIRST_MS);
            self.announce_at = Some(hands.now + Duration::from_millis(wait));
        }
    }

    fn link_down(&mut self, _: &mut Hands<Message>, link: LinkId) {
        self.links.remove(&link);
        self.routes.lose_link(link);
    }

    fn send(&mut self, hands: &mut Hands<Message>, packet: Packet, attempt: u32) {
        let (to, is_receipt) = (packet.to, packet.payload.is_receipt());
        let has_failed = attempt > 0 && self.ask(hands, to);
        if !has_failed && !self.forward(hands, packet.into()) && !is_receipt {
            self.ask(hands, to);
        }
    }

    fn receive(&mut self, hands: &mut Hands<Message>, from: LinkId, message: Message) {
        match message {
            Message::Announce(announce) => self.on_announce(hands, from, announce),
            Message::Request(request) => self.routes.on_request(hands, from, request),
            Message::Reply(reply) => {
                if let Some(found) = self.routes.on_reply(hands, from, reply) {
                    hands.resend(found);
                }
            }
            Message::Data(data) => {
                if let Some(data) = self.routes.on_data(hands, from, data) {
                    self.forward(hands, data);
                }
            }
        }
    }

    fn lost(&mut self, hands: &mut Hands<Message>, message: Message) {
        if let Message::Data(data) = message
            && data.from == hands.me
            && !data.payload.is_receipt()
        {
            self.ask(hands, data.to);
        }
    }

    fn tick(&mut self, hands: &mut Hands<Message>) {
        let now = hands.now;
        if self.announce_at.is_some_and(|at| at <= now) {
            self.announce(hands);
        }
        for (link, share) in &mut self.links {
            if share.next_at().is_some_and(|at| at <= now)
                && let Some(announce) = share.take(now)
            {
                hands.send(*link, announce.into());
            }
        }
    }

    fn wake_at(&self) -> Option<Wake> {
        let share = self.links.values().filter_map(Share::next_at).min();
        Wake::earlier(
            self.announce_at.map(|at| Wake { at, reason: "announce" }),
            share.map(|at| Wake { at, reason: "announcements of others" }),
        )
    }

    fn weight(&self) -> usize {
        self.routes.weight()
    }
}

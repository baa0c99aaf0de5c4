//! Coordinates in a spanning tree, like those of ironwood (d50055b), the routing of Yggdrasil 0.5,
//! whose numbers and sizes these are.
//!
//! The node with the lowest key is the root. Every node has a neighbour nearer to it for its
//! parent, and the ports from the root down to a node are its coordinates. A packet carries the
//! coordinates of its destination and goes to whichever neighbour is nearest to them. To learn
//! them, a look-up walks the tree, to where the Bloom filters may hold the name.
//!
//! Better than the original where that is simpler: an ancestry with a gap or a loop is not believed
//! (upstream takes it for a root), the coordinates of whoever writes are taken from its packet, and
//! what met a broken path is sent again once the path is found. Keep-alives are left out: a town
//! tells when links are lost.

mod ancestry;
mod bloom;
mod message;
mod parent;

pub use message::Message;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use mesh_wire::{LinkId, Time, Wake};

use super::{Filler, Hands, NodeId, Packet, Protocol, Word};
use ancestry::{Ancestries, Record, distance};
use bloom::Bloom;
use message::{Announce, Broken, Coordinates, Data, Filter, Found, LookUp, SignReply, SignRequest};
use parent::Doubt;

/// Between two looks at parents, announcements and filters; the first one comes at any time.
const MAINTENANCE: Duration = Duration::from_secs(1);
const FIRST_MS: Range<u64> = 0..1000;
/// Life of coordinates that are not used, and time between two look-ups for one node.
const PATH_TIME: Duration = Duration::from_secs(60);
const LOOK_UP_EVERY: Duration = Duration::from_secs(1);
/// Steps of a look-up along the tree.
const LOOK_UP_TTL: u8 = 200;
/// Hops after which a packet that was handed back is not routed again.
const HOPS: u8 = 40;
/// Bytes of a record, and of the filters for one neighbour.
const RECORD_BYTES: usize = 210;
const PEER_BYTES: usize = 2048;

/// The protocol: who is whose child, who is behind which neighbour, and coordinates in use.
#[derive(Default)]
pub struct Tree {
    ancestries: Ancestries,
    doubt: Doubt,
    peers: BTreeMap<LinkId, Peer>,
    paths: BTreeMap<NodeId, Path>,
    looked_up: BTreeMap<NodeId, Time>,
    maintain_at: Option<Time>,
}

/// A neighbour.
struct Peer {
    id: NodeId,
    /// Ours for it.
    port: u16,
    /// Its for us, if we take it for our parent.
    offer: Option<u16>,
    /// Whose records it has from us, or we from it.
    told: BTreeSet<NodeId>,
    /// Whether it is our parent or our child.
    is_in_tree: bool,
    /// Who is behind it.
    behind: Bloom,
    /// Who is behind us, as it was told.
    before: Bloom,
    /// Names go from a filter not with the first change but with the one after it.
    is_shrinking: bool,
}

/// Where a node is.
struct Path {
    at: Coordinates,
    until: Time,
    is_broken: bool,
}

/// The tree.
impl Tree {
    fn ask_for_signatures(&mut self, hands: &mut Hands<Message>) {
        let sequence = self.sequence(hands.me);
        for (link, peer) in &mut self.peers {
            peer.offer = None;
            hands.send(*link, SignRequest { sequence: Word(sequence), rest: Filler }.into());
        }
    }

    /// The number of this node's record.
    fn sequence(&self, me: NodeId) -> u64 {
        self.ancestries.record(me).map_or(0, |record| record.sequence)
    }

    fn on_announce(&mut self, hands: &mut Hands<Message>, from: LinkId, announce: Announce) {
        let (id, parent, sequence) = (announce.id, announce.parent, announce.sequence.0);
        let port = u16::try_from(announce.port.0).unwrap_or(u16::MAX);
        let is_new = self.ancestries.learn(hands.now, id, Record { parent, port, sequence });
        if is_new {
            self.untell(id);
            self.doubt.refresh |= id == hands.me;
        }
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.told.insert(id);
        }
        if let Some(ours) = self.ancestries.announce(id).filter(|ours| *ours != announce) {
            hands.send(from, ours.into());
        }
    }

    /// What neighbours were told of a node holds no more.
    fn untell(&mut self, id: NodeId) {
        for peer in self.peers.values_mut() {
            peer.told.remove(&id);
        }
    }

    /// Tells every neighbour the ancestry of this node and its own, as far as it is news.
    fn announce(&mut self, hands: &mut Hands<Message>) {
        let line = |id| self.ancestries.place(id).map_or(Vec::new(), |place| place.line);
        let own = line(hands.me);
        for (link, peer) in &mut self.peers {
            for id in own.iter().rev().chain(line(peer.id).iter().rev()) {
                if peer.told.insert(*id)
                    && let Some(announce) = self.ancestries.announce(*id)
                {
                    hands.send(*link, announce.into());
                }
            }
        }
    }

    /// Tells the neighbours in the tree who is behind this node, seen from them.
    fn tell_filters(&mut self, hands: &mut Hands<Message>) {
        let parent = |id| self.ancestries.record(id).map(|record| record.parent);
        let own = parent(hands.me);
        let links: Vec<LinkId> = self.peers.keys().copied().collect();
        for peer in self.peers.values_mut() {
            peer.is_in_tree = own == Some(peer.id) || parent(peer.id) == Some(hands.me);
        }
        for link in links {
            let mut filter = Bloom::default();
            let is_in_tree = self.peers.get(&link).is_some_and(|peer| peer.is_in_tree);
            if is_in_tree {
                filter.insert(hands.me);
                for (_, other) in self.peers.iter().filter(|(other, _)| **other != link) {
                    if other.is_in_tree {
                        filter.merge(&other.behind);
                    }
                }
            }
            let Some(peer) = self.peers.get_mut(&link) else { continue };
            peer.is_shrinking = is_in_tree && !peer.is_shrinking && filter.merge(&peer.before);
            if filter != peer.before {
                peer.before = filter.clone();
                hands.send(link, Filter { behind: filter }.into());
            }
        }
    }
}

/// Paths.
impl Tree {
    fn look_up(&mut self, hands: &mut Hands<Message>, to: NodeId) {
        let (now, from) = (hands.now, hands.me);
        let is_recent = self.looked_up.get(&to).is_some_and(|at| *at + LOOK_UP_EVERY > now);
        if let Some(place) = self.ancestries.place(from).filter(|_| !is_recent) {
            self.looked_up.insert(to, now);
            let at = Coordinates::new(&place.ports);
            let look_up = LookUp { ttl: LOOK_UP_TTL, from, at, to, rest: Filler };
            self.pass_on(hands, None, look_up);
        }
    }

    /// Passes a look-up on, along the tree, to wherever the name may be.
    fn pass_on(&mut self, hands: &mut Hands<Message>, from: Option<LinkId>, mut look_up: LookUp) {
        look_up.ttl = look_up.ttl.saturating_sub(1);
        let from = from.and_then(|link| self.peers.get(&link)).map(|peer| peer.id);
        // Who has two links hears it once.
        let mut heard: BTreeSet<NodeId> = from.into_iter().collect();
        for (link, peer) in self.peers.iter().filter(|_| look_up.ttl > 0) {
            let is_there = peer.is_in_tree && peer.behind.may_hold(look_up.to);
            if is_there && heard.insert(peer.id) {
                hands.send(*link, look_up.clone().into());
            }
        }
    }

    fn on_look_up(&mut self, hands: &mut Hands<Message>, from: LinkId, look_up: LookUp) {
        if !self.peers.get(&from).is_some_and(|peer| peer.is_in_tree) {
            return;
        }
        if look_up.to == hands.me
            && let Some(place) = self.ancestries.place(hands.me)
        {
            let (to, at, from) = (look_up.from, look_up.at.clone(), hands.me);
            let from_at = Coordinates::new(&place.ports);
            let watermark = u8::MAX;
            self.on_found(hands, Found { to, at, watermark, from, from_at, rest: Filler });
        }
        self.pass_on(hands, Some(from), look_up);
    }

    /// The neighbour that is nearest to `at`, if it is nearer than this node and this node nearer
    /// than all before it: distances fall, and nothing goes round in circles.
    fn next(&self, me: NodeId, at: &Coordinates, watermark: &mut u8) -> Option<LinkId> {
        let at: Vec<u16> = at.iter().collect();
        let own = distance(&at, &self.ancestries.place(me)?.ports);
        if own >= *watermark {
            return None;
        }
        *watermark = own;
        let far = |id| self.ancestries.place(id).map(|place| distance(&at, &place.ports));
        let nearer = self.peers.iter().filter_map(|(link, peer)| Some((far(peer.id)?, *link)));
        nearer.min().filter(|(distance, _)| *distance < own).map(|(_, link)| link)
    }

    fn on_found(&mut self, hands: &mut Hands<Message>, mut found: Found) {
        if found.to == hands.me {
            let had_path = self.paths.get(&found.from).is_some_and(|path| !path.is_broken);
            self.is_at(hands.now, found.from, found.from_at);
            if !had_path {
                hands.resend(found.from);
            }
        } else if let Some(link) = self.next(hands.me, &found.at, &mut found.watermark) {
            hands.send(link, found.into());
        }
    }

    fn is_at(&mut self, now: Time, id: NodeId, at: Coordinates) {
        self.paths.insert(id, Path { at, until: now + PATH_TIME, is_broken: false });
    }

    fn on_data(&mut self, hands: &mut Hands<Message>, mut data: Data) {
        if data.to == hands.me {
            let (from, from_at) = (data.from, data.from_at.clone());
            self.is_at(hands.now, from, from_at);
            let hops = data.hops;
            hands.arrived(data.into(), hops);
        } else if let Some(link) = self.next(hands.me, &data.at, &mut data.watermark) {
            data.hops = data.hops.saturating_add(1);
            hands.send(link, data.into());
        } else {
            let (to, at, lost, watermark) = (data.from, data.from_at, data.to, u8::MAX);
            self.on_broken(hands, Broken { to, at, watermark, lost, rest: Filler });
        }
    }

    fn on_broken(&mut self, hands: &mut Hands<Message>, mut broken: Broken) {
        if broken.to == hands.me {
            if let Some(path) = self.paths.get_mut(&broken.lost) {
                path.is_broken = true;
            }
            self.look_up(hands, broken.lost);
        } else if let Some(link) = self.next(hands.me, &broken.at, &mut broken.watermark) {
            hands.send(link, broken.into());
        }
    }
}

impl Protocol for Tree {
    type Message = Message;

    fn link_up(&mut self, hands: &mut Hands<Message>, link: LinkId) {
        let Some(id) = hands.neighbour(link) else { return };
        let is_free = |port: &u16| self.peers.values().all(|peer| peer.port != *port);
        let peer = Peer {
            id,
            port: (1..=u16::MAX).find(is_free).unwrap_or(u16::MAX),
            offer: None,
            told: BTreeSet::new(),
            is_in_tree: false,
            behind: Bloom::default(),
            before: Bloom::default(),
            is_shrinking: false,
        };
        self.peers.insert(link, peer);
        let sequence = Word(self.sequence(hands.me));
        hands.send(link, SignRequest { sequence, rest: Filler }.into());
        hands.send(link, Filter { behind: Bloom::default() }.into());
        if self.maintain_at.is_none() {
            self.maintain_at = Some(hands.now + Duration::from_millis(hands.draw(FIRST_MS)));
        }
    }

    fn link_down(&mut self, _: &mut Hands<Message>, link: LinkId) {
        self.peers.remove(&link);
    }

    fn send(&mut self, hands: &mut Hands<Message>, packet: Packet, attempt: u32) {
        let Packet { from, to, payload } = packet;
        let place = self.ancestries.place(from);
        let path = self.paths.get(&to).filter(|path| !path.is_broken || attempt <= 1);
        if let (Some(place), Some(path)) = (&place, path) {
            let (at, from_at) = (path.at.clone(), Coordinates::new(&place.ports));
            let (hops, watermark, rest) = (0, u8::MAX, Filler);
            self.on_data(hands, Data { hops, to, at, watermark, from, from_at, rest, payload });
            if attempt > 0 {
                self.look_up(hands, to);
            }
        } else if !payload.is_receipt() {
            self.look_up(hands, to);
        }
    }

    fn receive(&mut self, hands: &mut Hands<Message>, from: LinkId, message: Message) {
        match message {
            Message::SignRequest(SignRequest { sequence, .. }) => {
                let port = self.peers.get(&from).map_or(0, |peer| peer.port);
                let port = Word(port.into());
                hands.send(from, SignReply { sequence, port, rest: Filler }.into());
            }
            Message::SignReply(reply) => {
                let is_current = reply.sequence.0 == self.sequence(hands.me);
                if let Some(peer) = self.peers.get_mut(&from).filter(|_| is_current) {
                    peer.offer = u16::try_from(reply.port.0).ok();
                }
            }
            Message::Announce(announce) => self.on_announce(hands, from, announce),
            Message::Filter(filter) => {
                if let Some(peer) = self.peers.get_mut(&from) {
                    // The first filter on a link says nothing, and its sender has heard nothing.
                    if filter.behind == Bloom::default() {
                        peer.before = Bloom::default();
                    }
                    peer.behind = filter.behind;
                }
            }
            Message::LookUp(look_up) => self.on_look_up(hands, from, look_up),
            Message::Found(found) => self.on_found(hands, found),
            Message::Broken(broken) => self.on_broken(hands, broken),
            Message::Data(data) if data.to != hands.me && hands.is_black_hole() => {}
            Message::Data(data) => self.on_data(hands, data),
        }
    }

    /// What was handed back looks for another way, as if it had come here first.
    fn lost(&mut self, hands: &mut Hands<Message>, message: Message) {
        let watermark = u8::MAX;
        match message {
            Message::Data(data) if data.hops < HOPS => {
                let hops = data.hops.saturating_sub(1);
                self.on_data(hands, Data { watermark, hops, ..data });
            }
            Message::Found(found) => self.on_found(hands, Found { watermark, ..found }),
            Message::Broken(broken) => self.on_broken(hands, Broken { watermark, ..broken }),
            Message::SignRequest(_) | Message::SignReply(_) | Message::Announce(_) => {}
            Message::Filter(_) | Message::LookUp(_) | Message::Data(_) => {}
        }
    }

    fn tick(&mut self, hands: &mut Hands<Message>) {
        let now = hands.now;
        self.maintain_at = (!self.peers.is_empty()).then_some(now + MAINTENANCE);
        self.paths.retain(|_, path| path.until > now);
        self.looked_up.retain(|_, at| *at + LOOK_UP_EVERY > now);
        self.expire(hands);
        self.choose_parent(hands);
        self.announce(hands);
        self.tell_filters(hands);
    }

    fn wake_at(&self) -> Option<Wake> {
        self.maintain_at.map(|at| Wake { at, reason: "maintenance" })
    }

    fn weight(&self) -> usize {
        self.ancestries.len() * RECORD_BYTES + self.peers.len() * PEER_BYTES
    }
}

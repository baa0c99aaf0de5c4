//! What every model stands on: links that acknowledge hop by hop, and floods that repeat nothing.
//!
//! No original has these acknowledgements; all get them, so that no model waits for seconds where
//! ours does not: a routed message is acknowledged by the neighbour with 22 B; if that does not
//! come within 300 to 700 ms, the link is given up and what it did not carry is handed back. A link
//! that is heard again is taken back.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

use mesh_wire::{LinkId, Rng, Time, Wake, Wire};

use super::frame::{Frame, digest};
use super::{NodeId, Packet, Said};
use crate::Corruption;

/// After so many milliseconds without an acknowledgement a link is given up.
const HOP_ACK_MS: Range<u64> = 300..700;
/// Bytes that wait for their links at most: 8 s of 20 kB/s.
const QUEUE_BYTES: usize = 160_000;
/// Acknowledgements that wait for one link.
const UNTOLD: usize = 1024;
/// Identifiers remembered, so that nothing is repeated twice.
const SEEN: usize = 8192;

/// How a protocol acts: what it sends, what it floods, what it hands to the owner.
pub struct Hands<M> {
    /// The time of this call.
    pub now: Time,
    /// The name of this node.
    pub me: NodeId,
    /// Chance.
    pub rng: Rng,
    corruption: Option<Corruption>,
    links: BTreeMap<LinkId, Neighbour<M>>,
    queued_bytes: usize,
    seen: Seen,
    floods: BTreeMap<u64, Flood<M>>,
    arrived: VecDeque<(Packet, u8)>,
    resend: VecDeque<NodeId>,
}

struct Neighbour<M> {
    id: NodeId,
    /// Given up until it is heard again.
    silent: bool,
    queue: VecDeque<M>,
    /// Routed messages that were sent and not acknowledged, and when each is overdue.
    unacknowledged: VecDeque<(Time, M)>,
    /// Routed messages that were heard and are to be acknowledged.
    heard: VecDeque<u16>,
}

/// A message that is repeated to all neighbours it was not heard from, once `at` has come.
struct Flood<M> {
    at: Time,
    heard_from: Vec<LinkId>,
    message: M,
}

impl<M: Said> Hands<M> {
    pub(super) fn new(me: NodeId, rng: Rng) -> Self {
        Self {
            now: Time(0),
            me,
            rng,
            corruption: None,
            links: BTreeMap::new(),
            queued_bytes: 0,
            seen: Seen::default(),
            floods: BTreeMap::new(),
            arrived: VecDeque::new(),
            resend: VecDeque::new(),
        }
    }

    /// The links to neighbours that are there.
    #[must_use]
    pub fn links(&self) -> Vec<LinkId> {
        self.links.iter().filter(|(_, known)| !known.silent).map(|(link, _)| *link).collect()
    }

    /// The neighbour at the other end of a link that is up.
    #[must_use]
    pub fn neighbour(&self, link: LinkId) -> Option<NodeId> {
        self.links.get(&link).filter(|known| !known.silent).map(|known| known.id)
    }

    /// The link to a neighbour that is there.
    #[must_use]
    pub fn link_to(&self, id: NodeId) -> Option<LinkId> {
        self.links.iter().find(|(_, known)| known.id == id && !known.silent).map(|(link, _)| *link)
    }

    /// Whether this node forwards nothing for others.
    #[must_use]
    pub fn is_black_hole(&self) -> bool {
        self.corruption == Some(Corruption::BlackHole)
    }

    /// So many milliseconds from now; now, where nobody else is to be first.
    pub fn after(&mut self, wait_ms: Range<u64>) -> Time {
        let wait_ms = if self.is_black_hole() { 0 } else { self.draw(wait_ms) };
        self.now + Duration::from_millis(wait_ms)
    }

    /// A number between the ends of a range.
    pub fn draw(&mut self, range: Range<u64>) -> u64 {
        range.start + self.rng.below(range.end - range.start)
    }

    /// Sends a message over a link that is up. It is dropped where 8 s of others wait already.
    pub fn send(&mut self, link: LinkId, message: M) {
        let size = message.size();
        let Some(known) = self.links.get_mut(&link).filter(|known| !known.silent) else { return };
        if self.queued_bytes + size <= QUEUE_BYTES {
            self.queued_bytes += size;
            known.queue.push_back(message);
        }
    }

    /// Sends a message to all neighbours, and knows `id` from now on.
    pub fn flood(&mut self, id: u64, message: M) {
        self.seen.insert(id);
        for link in self.links() {
            self.send(link, message.clone());
        }
    }

    /// Whether `id` is heard for the first time, now over `from`.
    pub fn hear(&mut self, id: u64, from: LinkId) -> bool {
        if let Some(flood) = self.floods.get_mut(&id) {
            flood.heard_from.push(from);
        }
        self.seen.insert(id)
    }

    /// Repeats a message that was heard over `from`, after so many milliseconds, to all neighbours
    /// it was not heard from until then.
    pub fn repeat(&mut self, id: u64, from: LinkId, wait_ms: Range<u64>, message: M) {
        let at = self.after(wait_ms);
        self.floods.insert(id, Flood { at, heard_from: vec![from], message });
    }

    /// A packet for this node has come, over so many hops.
    pub fn arrived(&mut self, packet: Packet, hops: u8) {
        self.arrived.push_back((packet, hops));
    }

    /// What was sent to `to` and has no receipt was lost: it is sent again at once.
    pub fn resend(&mut self, to: NodeId) {
        self.resend.push_back(to);
    }
}

/// What the node, and not the protocol, does with hands.
impl<M: Said> Hands<M> {
    pub(super) fn corrupt(&mut self, how: Corruption) {
        self.corruption = Some(how);
    }

    pub(super) fn link_up(&mut self, link: LinkId, id: NodeId) {
        let known = Neighbour {
            id,
            silent: false,
            queue: VecDeque::new(),
            unacknowledged: VecDeque::new(),
            heard: VecDeque::new(),
        };
        self.links.insert(link, known);
    }

    /// Forgets a link; the routed messages that it did not carry.
    pub(super) fn link_down(&mut self, link: LinkId) -> Vec<M> {
        let lost = self.give_up(link);
        self.links.remove(&link);
        lost
    }

    /// Takes a link for dead; the routed messages that it did not carry.
    pub(super) fn give_up(&mut self, link: LinkId) -> Vec<M> {
        let Some(known) = self.links.get_mut(&link) else { return Vec::new() };
        known.silent = true;
        let sent = known.unacknowledged.drain(..).map(|(_, message)| message);
        let unsent = known.queue.drain(..).inspect(|message| self.queued_bytes -= message.size());
        sent.chain(unsent).filter(Said::is_routed).collect()
    }

    /// Something was heard over a link; whether it was given up and is back.
    pub(super) fn is_back(&mut self, link: LinkId) -> bool {
        self.links.get_mut(&link).is_some_and(|known| std::mem::take(&mut known.silent))
    }

    /// A routed message was heard.
    pub(super) fn acknowledge(&mut self, link: LinkId, message: &M) {
        if let Some(known) = self.links.get_mut(&link)
            && known.heard.len() < UNTOLD
        {
            known.heard.push_back(digest(message));
        }
    }

    /// The neighbour has heard a routed message.
    pub(super) fn acknowledged(&mut self, link: LinkId, heard: u16) {
        let Some(known) = self.links.get_mut(&link) else { return };
        let found = known.unacknowledged.iter().position(|(_, message)| digest(message) == heard);
        if let Some(found) = found {
            known.unacknowledged.remove(found);
        }
    }

    /// The links on which an acknowledgement is overdue.
    pub(super) fn overdue(&self) -> Vec<LinkId> {
        let is_late = |known: &Neighbour<M>| known.overdue_at().is_some_and(|at| at <= self.now);
        self.links.iter().filter(|(_, known)| is_late(known)).map(|(link, _)| *link).collect()
    }

    /// Repeats what has waited long enough.
    pub(super) fn tick(&mut self) {
        let due: Vec<u64> = self
            .floods
            .iter()
            .filter(|(_, flood)| flood.at <= self.now)
            .map(|(id, _)| *id)
            .collect();
        for flood in due.iter().filter_map(|id| self.floods.remove(id)).collect::<Vec<_>>() {
            for link in self.links() {
                if !flood.heard_from.contains(&link) {
                    self.send(link, flood.message.clone());
                }
            }
        }
    }

    pub(super) fn wake_at(&self) -> Option<Wake> {
        let flood = self.floods.values().map(|flood| flood.at).min();
        let overdue = self.links.values().filter_map(Neighbour::overdue_at).min();
        Wake::earlier(
            flood.map(|at| Wake { at, reason: "flood" }),
            overdue.map(|at| Wake { at, reason: "hop acknowledgement" }),
        )
    }

    /// The next frame for a link: acknowledgements first, then in the order of sending.
    pub(super) fn poll_send(&mut self, now: Time, link: LinkId, room: usize) -> Option<Frame<M>> {
        let known = self.links.get_mut(&link)?;
        if room < Frame::<M>::ACKNOWLEDGEMENT_BYTES {
            return None;
        }
        if let Some(heard) = known.heard.pop_front() {
            return Some(Frame::Acknowledged(heard));
        }
        let size = known.queue.front().map(Wire::size).filter(|size| *size <= room)?;
        let message = known.queue.pop_front()?;
        self.queued_bytes -= size;
        if message.is_routed() {
            let wait = HOP_ACK_MS.start + self.rng.below(HOP_ACK_MS.end - HOP_ACK_MS.start);
            let overdue = now + Duration::from_millis(wait);
            known.unacknowledged.push_back((overdue, message.clone()));
        }
        Some(Frame::Said(message))
    }

    pub(super) fn next_arrived(&mut self) -> Option<(Packet, u8)> {
        self.arrived.pop_front()
    }

    pub(super) fn next_resend(&mut self) -> Option<NodeId> {
        self.resend.pop_front()
    }
}

impl<M> Neighbour<M> {
    fn overdue_at(&self) -> Option<Time> {
        self.unacknowledged.iter().map(|(at, _)| *at).min()
    }
}

/// The last identifiers that were heard.
#[derive(Default)]
pub(super) struct Seen {
    known: BTreeSet<u64>,
    order: VecDeque<u64>,
}

impl Seen {
    /// Notes an identifier; whether it is new.
    pub(super) fn insert(&mut self, id: u64) -> bool {
        let is_new = self.known.insert(id);
        if is_new {
            self.order.push_back(id);
            if self.order.len() > SEEN
                && let Some(oldest) = self.order.pop_front()
            {
                self.known.remove(&oldest);
            }
        }
        is_new
    }
}

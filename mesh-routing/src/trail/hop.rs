//! One neighbour as a hop: what waits for it, and what it has not acknowledged.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::mem;
use core::time::Duration;

use mesh_wire::codec::List;
use mesh_wire::message::routing::{Arrived, Find, Packet, RouteMessage};
use mesh_wire::{HopTag, LinkId, Time, Wire, limits};

use super::numbers::{NUMBERS, Numbers};
use super::turns::Turns;

/// Messages other than packets that may wait for one link.
const CONTROL: usize = 64;
/// Acknowledgements that do not wait for company.
const ACKS_AT_ONCE: usize = 8;
/// Released bytes that are told at once: the other end waits for them, at most an eighth of what
/// it may have under way.
const RELEASE_AT_ONCE: u64 = limits::HOP_BYTES as u64 / 8;
/// Acknowledgements owed to one neighbour: more packets than [`limits::HOP_BYTES`] holds.
const OWED: usize = 1024;
/// What a hop over a link without loss costs.
const COST: u32 = 100;

/// A neighbour on the way of packets.
#[derive(Debug)]
pub(crate) struct Hop {
    tag: Option<HopTag>,
    /// The tag before, while it is still good.
    before: Option<(HopTag, Time)>,
    pub(crate) finds: Budget,
    /// Packets of unknown flows that are looked at.
    pub(crate) calls: Budget,
    /// Until when it is thought to be an anchor.
    anchor_until: Option<Time>,
    control: VecDeque<RouteMessage>,
    /// FINDs that wait, and since when.
    asking: VecDeque<(Time, Find)>,
    waiting: Turns,
    /// Packets to be sent once more: they go before those that wait.
    again: VecDeque<Sent>,
    unacknowledged: VecDeque<Sent>,
    next_number: u32,
    /// The highest number acknowledged so far, plus one.
    acknowledged: u32,
    /// Bytes sent; those that do not wait at the other end any more; those thought to be lost.
    sent_bytes: u64,
    released_bytes: u64,
    lost_bytes: u64,
    /// Since when it owes an acknowledgement and has given none.
    owes_since: Option<Time>,
    is_suspect: bool,
    came: Numbers,
    /// What it is owed.
    arrived: VecDeque<u32>,
    arrived_at: Option<Time>,
    is_time: bool,
    to_release: u64,
    told_released: u64,
    /// How long an acknowledgement usually takes: links that queue take their time.
    delay: Duration,
    /// When the last message left, if the link has taken no frame since.
    left_at: Option<Time>,
    /// How long it usually takes until it does.
    turn: Option<Duration>,
    /// Of the last packets, how many had to be sent again, in 1/256.
    loss: u32,
}

/// A packet, and the link it came over; `None` if it is this node's own.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// As it stands at this node.
    pub(crate) packet: Packet,
    /// Where in its path the hop stands that it is for.
    pub(crate) next: u8,
    pub(crate) ingress: Option<Ingress>,
    pub(crate) until: Time,
}

impl Waiting {
    /// The link it came over.
    pub(crate) fn over(&self) -> Option<LinkId> {
        self.ingress.map(|ingress| ingress.link)
    }
}

/// Where a packet came from, and the bytes it takes of the room for what came from there: none
/// once it has left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ingress {
    pub(crate) link: LinkId,
    pub(crate) bytes: usize,
}

#[derive(Debug)]
struct Sent {
    number: u32,
    /// When first and when last.
    first: Time,
    at: Time,
    /// How often.
    tries: u8,
    waiting: Waiting,
}

impl Sent {
    /// As it leaves: without the hops that it skips, so that the path stays the way it went.
    // spec: ROUTE-9
    fn packet(&self) -> Packet {
        let (packet, next) = (&self.waiting.packet, self.waiting.next);
        let (number, hops_left) = (self.number, packet.hops_left.saturating_sub(1));
        if next <= packet.position + 1 || packet.patches >= limits::PATCHES {
            return Packet { number, hops_left, position: next, ..packet.clone() };
        }
        let behind = packet.path.iter().skip(next.into());
        let path = packet.path.iter().take(usize::from(packet.position) + 1).chain(behind);
        let path = List::new(&path.collect::<Vec<_>>());
        Packet { number, hops_left, position: packet.position + 1, path, ..packet.clone() }
    }

    fn bytes(&self) -> u64 {
        self.packet().size() as u64
    }
}

/// FINDs, or calls by who is not known, that a link may still bring.
#[derive(Debug)]
pub(crate) struct Budget {
    left: u32,
    since: Time,
}

impl Budget {
    /// Takes one, if there is one.
    // spec: ROUTE-6
    pub(crate) fn take(&mut self, now: Time) -> bool {
        while self.left < limits::FIND_BURST && self.since + limits::FIND_REFILL <= now {
            self.left += 1;
            self.since = self.since + limits::FIND_REFILL;
        }
        if self.left == limits::FIND_BURST {
            self.since = now;
        }
        let taken = self.left.checked_sub(1);
        self.left = taken.unwrap_or(0);
        taken.is_some()
    }
}

impl Hop {
    pub(crate) fn new(now: Time) -> Self {
        Self {
            tag: None,
            before: None,
            finds: Budget { left: limits::FIND_BURST, since: now },
            calls: Budget { left: limits::FIND_BURST, since: now },
            anchor_until: None,
            control: VecDeque::new(),
            asking: VecDeque::new(),
            waiting: Turns::default(),
            again: VecDeque::new(),
            unacknowledged: VecDeque::new(),
            next_number: 0,
            acknowledged: 0,
            sent_bytes: 0,
            released_bytes: 0,
            lost_bytes: 0,
            owes_since: None,
            is_suspect: false,
            came: Numbers::default(),
            arrived: VecDeque::new(),
            arrived_at: None,
            is_time: false,
            to_release: 0,
            told_released: 0,
            delay: limits::HOP_TIME / 4,
            left_at: None,
            turn: None,
            loss: 0,
        }
    }

    /// It is called `tag` from now on; the tag before stays good for a while.
    pub(crate) fn call(&mut self, now: Time, tag: HopTag) {
        if let Some(before) = self.tag.replace(tag).filter(|before| *before != tag) {
            self.before = Some((before, now + limits::TAG_GRACE));
        }
    }

    pub(crate) fn is_called(&self, now: Time, tag: HopTag) -> bool {
        self.tag == Some(tag) || self.before.is_some_and(|(t, until)| t == tag && now < until)
    }

    /// It has said that it is an anchor.
    pub(crate) fn is_anchor_until(&mut self, until: Time) {
        self.anchor_until = Some(until);
    }

    pub(crate) fn is_anchor(&self, now: Time) -> bool {
        self.anchor_until.is_some_and(|until| now < until)
    }

    /// Something came over the link: it is there.
    pub(crate) fn is_alive(&mut self) {
        self.is_suspect = false;
    }

    /// Whether packets can be given to it.
    pub(crate) fn is_usable(&self) -> bool {
        self.tag.is_some() && !self.is_suspect
    }

    /// What the hop over it costs.
    pub(crate) fn cost(&self) -> u32 {
        COST + self.loss * COST / 64
    }

    /// The link takes a frame: the last one was on its way out until now at most.
    // spec: ROUTE-25
    pub(crate) fn takes(&mut self, now: Time) {
        if let Some(left) = self.left_at.take() {
            let took = now.since(left).min(LATEST);
            self.turn = Some(self.turn.map_or(took, |turn| (turn * 7 + took) / 8));
        }
    }

    /// It was given a message.
    pub(crate) fn gave(&mut self, now: Time) {
        self.left_at = Some(now);
    }

    /// How long an answer may take because frames leave slowly: nothing on a fast link.
    // spec: ROUTE-25
    pub(crate) fn slowness(&self) -> Duration {
        (self.turn.unwrap_or_default() * limits::HOP_TURNS).min(limits::PACKET_TIME)
    }

    /// Queues a FIND, behind all packets; the oldest makes room. Packets that wait for a way around
    /// a gap wait for no other packet.
    // spec: ROUTE-6
    pub(crate) fn ask(&mut self, now: Time, find: Find) {
        if !find.hops.is_empty() {
            return self.say(find.into());
        }
        if self.asking.len() >= CONTROL {
            self.asking.pop_front();
        }
        self.asking.push_back((now, find));
    }

    /// It has this FIND already.
    // spec: ROUTE-5
    pub(crate) fn knows(&mut self, id: &[u8; 8]) {
        self.asking.retain(|(_, find)| find.id != *id);
    }

    /// The next FIND; those that have waited for long have been answered elsewhere.
    // spec: ROUTE-6
    pub(crate) fn next_find(&mut self, now: Time, room: usize) -> Option<RouteMessage> {
        while self.asking.pop_front_if(|(since, _)| *since + limits::FIND_WAIT <= now).is_some() {}
        let fits = |(_, find): &mut (Time, Find)| find.size() + HEADER <= room;
        self.asking.pop_front_if(fits).map(|(_, find)| find.into())
    }

    /// Queues a message that is no packet; the oldest makes room.
    pub(crate) fn say(&mut self, message: RouteMessage) {
        if self.control.len() >= CONTROL {
            self.control.pop_front();
        }
        self.control.push_back(message);
    }

    /// Queues a packet. Returns those for which there is no room.
    pub(crate) fn queue(&mut self, waiting: Waiting) -> Vec<Waiting> {
        self.waiting.push(waiting)
    }

    /// Whether the other end takes another packet of `bytes` now.
    // spec: ROUTE-10
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let under_way = self.sent_bytes.saturating_sub(self.released_bytes + self.lost_bytes);
        self.is_usable() && under_way + bytes as u64 <= limits::HOP_BYTES as u64
    }

    /// The next packet that may leave, if it fits, and whence it came; it is numbered and
    /// remembered.
    pub(crate) fn next_packet(
        &mut self,
        now: Time,
        room: usize,
    ) -> Option<(Packet, Option<Ingress>)> {
        while self.again.pop_front_if(|sent| sent.waiting.until <= now).is_some() {}
        let again = self.again.front().map(|sent| &sent.waiting);
        let bytes = again.or_else(|| self.waiting.front())?.packet.size();
        if bytes + HEADER > room || !self.has_room(bytes + HEADER) {
            return None;
        }
        if let Some(sent) = self.again.pop_front() {
            // The other end remembers no more numbers than so.
            let is_old = self.next_number.wrapping_sub(sent.number) > NUMBERS;
            let again = if is_old { self.number(now, sent.waiting) } else { self.sent(now, sent) };
            return Some((again, None));
        }
        let mut waiting = self.waiting.pop()?;
        let ingress = waiting.ingress;
        waiting.ingress = ingress.map(|ingress| Ingress { bytes: 0, ..ingress });
        Some((self.number(now, waiting), ingress))
    }

    /// Numbers a packet that leaves now, and remembers it until it is acknowledged.
    // spec: ROUTE-9, ROUTE-10
    pub(crate) fn number(&mut self, now: Time, waiting: Waiting) -> Packet {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        self.sent(now, Sent { number, first: now, at: now, tries: 0, waiting })
    }

    fn sent(&mut self, now: Time, sent: Sent) -> Packet {
        self.owes_since.get_or_insert(now);
        let packet = sent.packet();
        self.sent_bytes += packet.size() as u64;
        self.unacknowledged.push_back(Sent {
            at: now,
            tries: sent.tries.saturating_add(1),
            ..sent
        });
        packet
    }

    /// The next message that is no packet.
    pub(crate) fn next_control(&mut self, room: usize) -> Option<RouteMessage> {
        let to_tell = self.to_release - self.told_released;
        let owes = !self.arrived.is_empty() || to_tell > 0;
        let has_company = self.arrived.len() >= ACKS_AT_ONCE
            || to_tell >= RELEASE_AT_ONCE
            || !self.again.is_empty()
            || !self.waiting.is_empty();
        if owes && (self.is_time || has_company) {
            let arrived = Arrived { numbers: List::new(&self.arrived), released: self.to_release };
            let told = arrived.numbers.len();
            let message = RouteMessage::from(arrived);
            if message.size() > room {
                return None;
            }
            self.arrived.drain(..told);
            self.told_released = self.to_release;
            if self.arrived.is_empty() {
                (self.arrived_at, self.is_time) = (None, false);
            }
            return Some(message);
        }
        if self.control.front()?.size() > room {
            return None;
        }
        self.control.pop_front()
    }

    /// A packet came over this link. Says whether it is the first copy: what was acknowledged too
    /// late comes again.
    // spec: ROUTE-11
    pub(crate) fn owe(&mut self, now: Time, number: u32) -> bool {
        // Who sends more than it may is not answered for all.
        if self.arrived.len() < OWED {
            self.arrived.push_back(number);
        }
        self.arrived_at.get_or_insert(now + limits::ACK_TIME);
        self.came.add(number)
    }

    /// A packet that came over this link waits here no longer.
    pub(crate) fn release(&mut self, now: Time, bytes: usize) {
        self.to_release += bytes as u64;
        self.arrived_at.get_or_insert(now + limits::ACK_TIME);
    }

    /// The other end has these packets.
    pub(crate) fn acknowledge(&mut self, now: Time, arrived: &Arrived) {
        for number in arrived.numbers.iter() {
            let take = |sent: &mut VecDeque<Sent>| {
                let at = sent.iter().position(|sent| sent.number == number)?;
                sent.remove(at)
            };
            let sent = take(&mut self.unacknowledged).or_else(|| {
                let late = take(&mut self.again)?;
                self.lost_bytes = self.lost_bytes.saturating_sub(late.bytes());
                Some(late)
            });
            let Some(sent) = sent else { continue };
            // Which copy of several was acknowledged is not known: it says no more than that the
            // link is slow.
            let most = if sent.tries > 1 { self.delay * 2 } else { Duration::MAX };
            self.delay = (self.delay * 7 + now.since(sent.first).min(most)) / 8;
            self.owes_since = (!self.unacknowledged.is_empty()).then_some(now);
            self.acknowledged = self.acknowledged.max(number.wrapping_add(1));
            self.loss -= self.loss / 16;
        }
        let released = arrived.released.min(self.sent_bytes);
        self.released_bytes = self.released_bytes.max(released);
        // Some may have arrived: their acknowledgement was lost.
        self.lost_bytes = self.lost_bytes.min(self.sent_bytes - self.released_bytes);
    }

    /// Packets that are overdue are sent again. If nothing at all was acknowledged, they are to go
    /// another way, all of them, and the neighbour is not used until it gives a sign of life.
    // spec: ROUTE-11
    pub(crate) fn overdue(&mut self, now: Time) -> Vec<Waiting> {
        if self.overdue_at().is_none_or(|at| at > now) {
            return Vec::new();
        }
        let is_silent = self.owes_since.is_some_and(|since| since + self.patience() <= now);
        self.is_suspect |= is_silent;
        for sent in mem::take(&mut self.unacknowledged) {
            if is_silent || self.late_at(&sent).is_some_and(|at| at <= now) {
                self.lost_bytes += sent.bytes();
                self.loss += (256 - self.loss) / 16;
                self.again.push_back(sent);
            } else {
                self.unacknowledged.push_back(sent);
            }
        }
        if !is_silent {
            return Vec::new();
        }
        // If it is there after all, it is slower than was thought.
        self.delay = self.patience() / 2;
        self.owes_since = None;
        let lost = mem::take(&mut self.again).into_iter().map(|sent| sent.waiting);
        lost.chain(self.waiting.drain()).collect()
    }

    fn overdue_at(&self) -> Option<Time> {
        let late = self.unacknowledged.iter().find_map(|sent| self.late_at(sent));
        let silent = self.owes_since.map(|since| since + self.patience());
        late.into_iter().chain(silent).min()
    }

    /// When a packet that is not acknowledged is sent again over this link: once soon, as it may
    /// have been lost alone, and then when later ones have passed it.
    // spec: ROUTE-11
    fn late_at(&self, sent: &Sent) -> Option<Time> {
        let is_passed = sent.number < self.acknowledged;
        let slow = self.slowness() / 2;
        match sent.tries {
            ..=1 => Some(sent.at + (self.delay * 2).clamp(limits::RETRY_TIME, LATEST).max(slow)),
            _ => is_passed.then(|| sent.at + self.patience()),
        }
    }

    /// How long an acknowledgement is waited for.
    // spec: ROUTE-11, ROUTE-25
    fn patience(&self) -> Duration {
        (self.delay * 4).max(self.slowness()).clamp(limits::HOP_TIME, limits::PACKET_TIME)
    }

    /// Everything that it did not acknowledge or that waits for it: the link is gone.
    pub(crate) fn dissolve(mut self) -> Vec<Waiting> {
        let sent = self.again.into_iter().chain(self.unacknowledged);
        sent.map(|sent| sent.waiting).chain(self.waiting.drain()).collect()
    }

    /// It is told what arrived as soon as it can be, and called by its old tag no longer than that
    /// is good.
    pub(crate) fn tick(&mut self, now: Time) {
        self.before.take_if(|(_, until)| *until <= now);
        self.is_time |= self.arrived_at.take_if(|at| *at <= now).is_some();
    }

    /// Takes out what has waited too long.
    pub(crate) fn stale(&mut self, now: Time) -> Vec<Waiting> {
        self.waiting.stale(now)
    }

    /// When it wants to be looked at.
    pub(crate) fn wake_at(&self) -> Option<Time> {
        let renamed = self.before.map(|(_, until)| until);
        [self.arrived_at, self.overdue_at(), self.waiting.stale_at(), renamed]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) fn weight(&self) -> usize {
        let sent = self.unacknowledged.iter().chain(&self.again);
        let under_way = sent.map(|sent| sent.waiting.packet.size()).sum::<usize>();
        size_of::<Self>()
            + self.waiting.bytes()
            + under_way
            + (self.control.len() + self.asking.len()) * FIND_BYTES
    }
}

/// A packet that may be lost is sent again after so long at the latest, unless the link is slow;
/// and a frame is not thought to take longer to leave.
const LATEST: Duration = Duration::from_secs(1);
/// A packet on a link: kind, length and a longer number.
const HEADER: usize = 8;
/// About what a waiting message that is no packet takes.
const FIND_BYTES: usize = 128;

//! Reaching who is no neighbour: FIND and its answers, packets along the paths they found.
//!
//! | to know | read |
//! |---|---|
//! | how a question spreads and is answered | `ask` |
//! | how those who hold a key know each other by it | `keys` |
//! | how a packet travels, and what happens at a gap | `carry` |
//! | one neighbour | `hop` |
//! | one session over relays | `flow` |
//! | what this node looks for | `search` |
//! | which relays it avoids | `repute` |
//! | a way around a gap | `detour` |
//! | whose packets leave first | `turns` |
//! | the next nodes with an uplink, and who has registered with them | `anchor` |
//! | what goes to them, and what they lead on | `guide` |
//!
//! A relay knows the neighbours before and behind it on a path and nothing about its ends; it
//! holds no state per destination or flow.

pub(crate) mod anchor;
mod ask;
mod carry;
pub(crate) mod detour;
pub(crate) mod flow;
mod guide;
pub(crate) mod hop;
#[cfg(feature = "hostile")]
pub(crate) mod hostile;
mod keys;
mod numbers;
pub(crate) mod repute;
pub(crate) mod search;
pub(crate) mod seen;
pub(crate) mod turns;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use mesh_wire::message::routing::RouteMessage;
use mesh_wire::{FindKey, HopTag, LinkId, Now, Rng, Role, Time, Wake, limits};

use anchor::Anchors;
pub use anchor::Uplink;
pub use carry::PACKET_ROOM;
use detour::{Detour, Way};
use flow::{Flow, Need};
use hop::Hop;
#[cfg(feature = "hostile")]
pub use hostile::Habit;
pub use keys::{flow_name, network_of};
use repute::Repute;
pub use search::Scope;
use search::{Led, Search, Wanted};
use seen::Seen;

/// Numbers of routed links begin here: those of a medium never get so far.
const FIRST_ROUTED: u64 = 1 << 63;

/// Whether this is a link over relays, numbered by [`crate::Router`].
#[must_use]
pub const fn is_routed(link: LinkId) -> bool {
    link.0 >= FIRST_ROUTED
}

/// Something about sessions over relays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrailEvent {
    /// There is a path to somebody: a handshake may begin on this link.
    Up {
        /// The routed link.
        link: LinkId,
        /// Which end this is.
        role: Role,
        /// What both ends hold; who does not is to be kept out of the handshake.
        key: FindKey,
        /// The neighbour over which it came.
        over: LinkId,
    },
    /// A frame came over a routed link.
    Frame(LinkId, Bytes),
    /// A routed link has another path, as the one before was broken: what went over it last may be
    /// lost.
    Mended(LinkId),
    /// A routed link is gone.
    Down(LinkId),
    /// Somebody who may have more than this node looks for who holds this key, and was answered.
    Asked(FindKey),
    /// A search is over. `None`: nobody answered.
    Searched(FindKey, Option<LinkId>),
}

/// What a node carries for others. Whatever it is, its own sessions over relays work.
// spec: ROUTE-19
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Relaying {
    /// Whatever comes: questions, their answers, packets.
    #[default]
    All,
    /// Nothing: it has no power or airtime to spare, and others lead their paths around it.
    Nothing,
}

/// The part of a router that reaches further than its neighbours.
// spec: ROUTE-1
#[derive(Debug)]
pub(crate) struct Trails {
    rng: Rng,
    tag: HopTag,
    before: Option<(HopTag, Time)>,
    hops: BTreeMap<LinkId, Hop>,
    seen: Seen,
    /// What this node answers to, beside its flows, and how much of it is here.
    keys: BTreeMap<FindKey, u64>,
    /// Those of which neighbours do not tell each other by themselves.
    pub(crate) hidden: BTreeSet<FindKey>,
    searches: Vec<Search>,
    flows: BTreeMap<LinkId, Flow>,
    next_flow: u64,
    detours: BTreeMap<[u8; 8], Detour>,
    ways: Vec<Way>,
    repute: Repute,
    pub(crate) relaying: Relaying,
    anchors: Anchors,
    /// When this node registers with the next one, and over which link it did.
    register_at: Option<Time>,
    registered_over: Option<LinkId>,
    /// What its clocks said last.
    pub(crate) clock: Now,
    events: VecDeque<TrailEvent>,
    #[cfg(feature = "hostile")]
    pub(crate) habit: hostile::Habit,
    #[cfg(feature = "hostile")]
    nuisance_at: Time,
}

impl Trails {
    pub(crate) fn new(mut rng: Rng) -> Self {
        let tag = HopTag(rng.bytes::<8>().first_chunk().copied().unwrap_or_default());
        Self {
            rng,
            tag,
            before: None,
            hops: BTreeMap::new(),
            seen: Seen::default(),
            keys: BTreeMap::new(),
            hidden: BTreeSet::new(),
            searches: Vec::new(),
            flows: BTreeMap::new(),
            next_flow: FIRST_ROUTED,
            detours: BTreeMap::new(),
            ways: Vec::new(),
            repute: Repute::default(),
            relaying: Relaying::All,
            anchors: Anchors::default(),
            register_at: None,
            registered_over: None,
            clock: Now::default(),
            events: VecDeque::new(),
            #[cfg(feature = "hostile")]
            habit: hostile::Habit::Good,
            #[cfg(feature = "hostile")]
            nuisance_at: Time(0),
        }
    }

    /// What this node is called in paths.
    pub(crate) fn tag(&self) -> HopTag {
        self.tag
    }

    /// A new tag; the old one is good for a while.
    // spec: ROUTE-2
    pub(crate) fn rotate(&mut self, now: Time) {
        self.before = Some((self.tag, now + limits::TAG_GRACE));
        self.tag = HopTag(self.rng.bytes::<8>().first_chunk().copied().unwrap_or_default());
        self.anchors.rotate(&mut self.rng);
    }

    /// Whether this node is to take another tag as a neighbour bears its own. Not again while the
    /// one before is good, or a neighbour could keep all paths through here from working.
    // spec: ROUTE-2
    pub(crate) fn clashes(&self, now: Time, tag: HopTag) -> bool {
        tag == self.tag && self.before.is_none_or(|(_, until)| until <= now)
    }

    fn is_mine(&self, now: Time, tag: HopTag) -> bool {
        tag == self.tag || self.before.is_some_and(|(t, until)| t == tag && now < until)
    }

    /// This node answers whoever looks for one of these.
    pub(crate) fn answer_to(&mut self, keys: impl IntoIterator<Item = (FindKey, u64)>) {
        let before = core::mem::replace(&mut self.keys, keys.into_iter().collect());
        if !self.keys.keys().eq(before.keys()) {
            self.keys_changed(self.clock.time);
        }
    }

    /// There is so much of what belongs to one of these keys.
    pub(crate) fn now_has(&mut self, key: FindKey, size: u64) {
        if let Some(known) = self.keys.get_mut(&key) {
            *known = size;
        }
    }

    /// FINDs of others in the last while.
    pub(crate) fn heard_lately(&self, now: Time) -> usize {
        self.seen.count(now)
    }

    /// Looks for somebody with the key, if it does not already. `false` if too much is being
    /// looked for.
    pub(crate) fn seek(
        &mut self,
        now: Time,
        (key, scope): (FindKey, Scope),
        wanted: Wanted,
    ) -> bool {
        if self.searches.iter().any(|search| search.key == key && search.wanted == wanted) {
            return true;
        }
        if self.searches.len() >= limits::SEARCHES || self.hops.is_empty() {
            return false;
        }
        let led = if self.can_be_led(now) { Led::Yes } else { Led::No };
        let old = match wanted {
            Wanted::Anybody => None,
            Wanted::Path(link) => self.flows.get(&link),
        };
        let old = old.map(|flow| flow.way().to_vec()).unwrap_or_default();
        let search =
            Search::new((now, self.slowness()), (key, scope, old), (wanted, led), &mut self.rng);
        self.ask(now, &search);
        self.searches.push(search);
        true
    }

    pub(crate) fn link_up(&mut self, now: Time, link: LinkId) {
        if self.hops.is_empty() {
            self.anchors.arrive(now, &mut self.rng);
        }
        self.hops.insert(link, Hop::new(now));
    }

    pub(crate) fn link_down(&mut self, now: Time, link: LinkId) {
        let Some(hop) = self.hops.remove(&link) else { return };
        self.again(now, hop.dissolve());
        self.leave_gone(now);
        self.leave_anchor(now, link);
        if self.hops.is_empty() {
            self.seen.clear();
            self.anchors.clear();
            self.register_at = None;
            self.detours.clear();
            self.ways.clear();
            for flow in core::mem::take(&mut self.flows).into_keys() {
                self.events.push_back(TrailEvent::Down(flow));
            }
            self.end_searches();
        }
    }

    fn end_searches(&mut self) {
        for search in core::mem::take(&mut self.searches) {
            self.over(&search);
        }
    }

    fn over(&mut self, search: &Search) {
        match search.wanted {
            Wanted::Anybody => {
                let found = search.found.first().copied();
                self.events.push_back(TrailEvent::Searched(search.key, found));
            }
            Wanted::Path(link) => {
                let is_lost = |flow: &Flow| search.found.is_empty() && flow.path().is_none();
                if self.flows.get(&link).is_some_and(is_lost) {
                    self.flows.remove(&link);
                    self.events.push_back(TrailEvent::Down(link));
                }
            }
        }
    }

    /// A flow has a session: `key` finds its other end again.
    pub(crate) fn secured(&mut self, link: LinkId, key: FindKey) {
        if let Some(flow) = self.flows.get_mut(&link) {
            flow.secured(key);
            self.keys_changed(self.clock.time);
        }
    }

    /// What came last over a routed link was genuine.
    // spec: ROUTE-16
    pub(crate) fn confirm(&mut self, now: Time, link: LinkId) {
        let Some(flow) = self.flows.get_mut(&link) else { return };
        if flow.confirm()
            && let Some(path) = flow.path()
        {
            self.repute.absolve(now, path.relays());
        }
    }

    /// A routed link is not needed any more.
    pub(crate) fn close(&mut self, link: LinkId) {
        self.flows.remove(&link);
    }

    /// How many relays lie on the way of a routed link.
    pub(crate) fn relays(&self, link: LinkId) -> Option<usize> {
        let path = self.flows.get(&link)?.path()?;
        Some(path.hops.len().saturating_sub(2))
    }

    /// How long a neighbour may take to answer because frames leave slowly, here and so, perhaps,
    /// everywhere around.
    // spec: ROUTE-25
    fn slowness(&self) -> Duration {
        let all: Duration = self.hops.values().map(Hop::slowness).sum();
        all / (self.hops.len() as u32).max(1)
    }

    /// The same of the other end of a routed link.
    // spec: ROUTE-25
    pub(crate) fn answer_time(&self, link: LinkId) -> Duration {
        let way = self.flows.get(&link).map_or(&[][..], Flow::way);
        self.slowness() * (way.len() as u32 + 1)
    }

    pub(crate) fn receive(&mut self, now: Time, link: LinkId, message: RouteMessage) {
        let Some(hop) = self.hops.get_mut(&link) else { return };
        hop.is_alive();
        match message {
            RouteMessage::Presence(presence) => {
                hop.call(now, presence.tag);
            }
            RouteMessage::Find(find) => self.found_find(now, link, find),
            RouteMessage::Found(found) => self.found_found(now, link, found),
            RouteMessage::Packet(packet) => self.packet(now, link, packet),
            RouteMessage::Broken(broken) => self.broken(now, broken),
            RouteMessage::Arrived(arrived) => hop.acknowledge(now, &arrived),
            RouteMessage::Anchor(anchor) => self.anchor(now, link, &anchor),
            RouteMessage::Guided(guided) => self.guided(now, link, guided),
            RouteMessage::Register(register) => self.registers(now, link, register),
        }
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Time) {
        #[cfg(feature = "hostile")]
        self.be_a_nuisance(now);
        self.ways.retain(|way| now < way.until);
        for (find, heard) in self.seen.due(now) {
            self.pass_on(now, &find, &heard);
        }
        self.tick_anchors(now);
        self.tick_hops(now);
        self.tick_detours(now);
        self.tick_searches(now);
        self.tick_flows(now);
    }

    fn tick_searches(&mut self, now: Time) {
        let slowness = self.slowness();
        for mut search in core::mem::take(&mut self.searches) {
            if now < search.until {
                self.searches.push(search);
            } else if search.widen((now, slowness), &mut self.rng) {
                self.ask(now, &search);
                self.searches.push(search);
            } else {
                self.over(&search);
            }
        }
    }

    // spec: ROUTE-16
    fn tick_flows(&mut self, now: Time) {
        let slowness = self.slowness();
        let due = |(link, flow): (&LinkId, &Flow)| Some((*link, flow.due(now, slowness)?));
        let needs: Vec<_> = self.flows.iter().filter_map(due).collect();
        for (link, need) in needs {
            match need {
                Need::End => self.drop_flow(link),
                Need::Path => self.doubt(now, link),
                Need::Probe => self.probe(now, link),
            }
        }
    }

    fn drop_flow(&mut self, link: LinkId) {
        self.flows.remove(&link);
        self.events.push_back(TrailEvent::Down(link));
    }

    /// Nothing answers over the path in use: the next is tried, or another looked for.
    fn doubt(&mut self, now: Time, link: LinkId) {
        let slowness = self.slowness();
        let Some(flow) = self.flows.get_mut(&link) else { return };
        let suspects = flow.turn(now, slowness);
        suspects.iter().for_each(|suspects| self.repute.blame(now, suspects));
        if flow.path().is_some() {
            return self.probe(now, link);
        }
        flow.leave();
        let key = flow.key;
        match flow.is_hopeless() {
            true => self.drop_flow(link),
            false => self.repair(now, link, key),
        }
    }

    /// Looks for another path of a flow that has none.
    fn repair(&mut self, now: Time, link: LinkId, key: Option<FindKey>) {
        let has_path = self.flows.get(&link).is_some_and(|flow| flow.path().is_some());
        match key {
            _ if has_path => {}
            Some(key) if self.seek(now, (key, Scope::Full), Wanted::Path(link)) => {}
            // The other end began and there is no session, or there is nobody to ask.
            Some(_) | None => self.drop_flow(link),
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<TrailEvent> {
        self.events.pop_front()
    }

    pub(crate) fn wake_at(&self) -> Option<Wake> {
        let wake = |at: Option<Time>, reason| at.map(|at| Wake { at, reason });
        let slowness = self.slowness();
        [
            wake(self.seen.wake_at(), "pass on a find"),
            wake(self.anchors.wake_at(), "tell of an anchor"),
            wake(self.register_at, "register with an anchor"),
            wake(self.hops.values().filter_map(Hop::wake_at).min(), "acknowledge packets"),
            wake(self.detours.values().map(|detour| detour.until).min(), "lead around a gap"),
            wake(self.searches.iter().map(|search| search.until).min(), "search further"),
            wake(self.flows.values().map(|flow| flow.wake_at(slowness)).min(), "doubt a path"),
            #[cfg(feature = "hostile")]
            wake(self.next_nuisance(), "be a nuisance"),
        ]
        .into_iter()
        .fold(None, Wake::earlier)
    }

    pub(crate) fn weight(&self) -> usize {
        let hops: usize = self.hops.values().map(Hop::weight).sum();
        let flows: usize = self.flows.values().map(Flow::weight).sum();
        let detours: usize = self.detours.values().map(Detour::weight).sum();
        hops + flows + detours + self.seen.weight() + self.anchors.weight()
    }
}

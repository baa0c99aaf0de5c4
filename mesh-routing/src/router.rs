//! The state machine of routing: announces this node, hears others, says whom to dial, and reaches
//! those who are no neighbours.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use mesh_wire::codec::List;
use mesh_wire::message::find::{Beacon, PortNumber};
use mesh_wire::message::routing::{Presence, RouteMessage};
use mesh_wire::{
    Address, Carrier, FindKey, Input, LinkId, Machine, Now, Rng, Time, Token, VERSIONS, Wake, Wire,
    limits,
};

use crate::announce::Schedule;
use crate::fixed::Fixed;
use crate::surroundings::Surroundings;
use crate::trail::search::Wanted;
use crate::trail::{Relaying, Scope, TrailEvent, Trails, Uplink};

/// Something the owner of a [`Router`] is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteEvent {
    /// Send this beacon to everyone in reach.
    Announce(Bytes),
    /// Dial. [`Router::dialled`] or [`Router::dial_failed`] tells the outcome.
    Dial(Address),
    /// Something about sessions over relays.
    Trail(TrailEvent),
}

/// Finds neighbours, and ways to others.
#[derive(Debug)]
pub struct Router {
    rng: Rng,
    token: Token,
    port: Option<PortNumber>,
    schedule: Schedule,
    surroundings: Surroundings,
    fixed: Fixed,
    trails: Trails,
    neighbours: BTreeMap<LinkId, Neighbour>,
    events: VecDeque<RouteEvent>,
}

#[derive(Debug)]
struct Neighbour {
    carrier: Carrier,
    /// What its beacons carry, once it has said so.
    token: Option<Token>,
    /// Whether it knows ours.
    told: Told,
    /// When to say it again, on a link that loses messages.
    again: Option<Time>,
    repeats: u32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    No,
    Yes,
}

impl Neighbour {
    fn new(carrier: Carrier) -> Self {
        Self { carrier, token: None, told: Told::No, again: None, repeats: 0 }
    }

    /// Whether it is to say what it has heard: where messages are lost, until it has once.
    fn is_to_answer(&self) -> bool {
        self.carrier == Carrier::Datagram && (self.again.is_some() || self.repeats == 0)
    }

    /// It was told who this is; if that may be lost, it will be told again until it answers.
    // spec: FIND-15
    fn said(&mut self, now: Time) {
        self.told = Told::Yes;
        if self.is_to_answer() {
            self.again = Some(now + FIRST_REPEAT * (1 << self.repeats.min(6)));
            self.repeats += 1;
        }
    }
}

/// Time before a neighbour that does not answer is told again who this is; doubles each time.
const FIRST_REPEAT: Duration = Duration::from_secs(1);

impl Router {
    /// A router that announces nothing until [`Router::listen`].
    #[must_use]
    pub fn new(mut rng: Rng) -> Self {
        let token = Token(rng.bytes());
        let trails = Trails::new(rng.fork("trails"));
        Self {
            rng,
            token,
            port: None,
            schedule: Schedule::new(),
            surroundings: Surroundings::default(),
            fixed: Fixed::default(),
            trails,
            neighbours: BTreeMap::new(),
            events: VecDeque::new(),
        }
    }

    /// This node can be dialled at `port` from now on, or not at all.
    pub fn listen(&mut self, now: Time, port: Option<PortNumber>) {
        self.port = port;
        match port {
            Some(_) => self.schedule.restart(now),
            None => self.schedule.stop(),
        }
        self.act(now);
    }

    /// What this node carries for others from now on. What it has taken already leaves all the
    /// same.
    // spec: ROUTE-19
    pub fn set_relaying(&mut self, relaying: Relaying) {
        self.trails.relaying = relaying;
    }

    /// What this node carries for others.
    #[must_use]
    pub fn relaying(&self) -> Relaying {
        self.trails.relaying
    }

    /// Whether this node has an uplink from now on: then it is an anchor for those around it.
    // spec: ROUTE-20
    pub fn set_uplink(&mut self, now: Time, uplink: Uplink) {
        self.trails.set_uplink(now, uplink);
    }

    /// Interfaces or addresses changed: whoever is there now has not heard us yet.
    pub fn surroundings_changed(&mut self, now: Time) {
        if self.port.is_some() {
            self.schedule.restart(now);
        }
        self.act(now);
    }

    /// Takes a datagram heard from `from`; what does not decode is nobody's fault and is ignored.
    // spec: FIND-11
    pub fn heard(&mut self, now: Time, from: &Address, beacon: Bytes) {
        let Ok(beacon) = Beacon::from_bytes(beacon) else { return };
        let Some(mut at) = from.socket_addr() else { return };
        let speaks_ours = beacon.versions.iter().any(|v| VERSIONS.contains(&v));
        if beacon.token == self.token || !speaks_ours {
            return;
        }
        at.set_port(beacon.tcp_port.get());
        self.surroundings.hear(now, beacon.token, Address::socket("tcp", at));
        self.act(now);
    }

    /// Keeps a link to `at`: dials it now, and again whenever the link is gone.
    pub fn keep(&mut self, now: Time, at: Address) {
        self.fixed.add(now, at);
        self.act(now);
    }

    /// The dial to `at` led to `link`.
    pub fn dialled(&mut self, at: &Address, link: LinkId) {
        self.fixed.linked(at, link);
    }

    /// The dial to `at` came to nothing. Perhaps only that direction is blocked, so this node
    /// announces itself soon: the other may reach us.
    // spec: FIND-12
    pub fn dial_failed(&mut self, now: Time, at: &Address) {
        self.fixed.failed(now, at);
        self.surroundings.lost(now, |_, heard| heard == at);
        self.schedule.hasten(now);
        self.act(now);
    }

    /// The pseudonym changes: a new token from now on, told to neighbours inside their links.
    // spec: FIND-14
    pub fn rotate(&mut self, now: Time) {
        self.token = Token(self.rng.bytes());
        self.trails.rotate(now);
        for neighbour in self.neighbours.values_mut() {
            (neighbour.told, neighbour.repeats) = (Told::No, 0);
        }
        self.surroundings_changed(now);
    }

    /// This node answers whoever looks for one of these, and nobody else but its own sessions.
    // spec: ROUTE-4
    ///
    /// Each key comes with how much of what it stands for is here: who has as much is not answered.
    pub fn answer_to(&mut self, keys: impl IntoIterator<Item = (FindKey, u64)>) {
        self.trails.answer_to(keys);
    }

    /// Of what one of these keys stands for, so much is here now.
    pub fn now_has(&mut self, key: FindKey, size: u64) {
        self.trails.now_has(key, size);
    }

    /// Of these keys neighbours do not tell each other by themselves: a search finds them, too.
    // spec: ROUTE-14
    pub fn hide(&mut self, keys: impl IntoIterator<Item = FindKey>) {
        self.trails.hidden = keys.into_iter().collect();
    }

    /// Looks for somebody who holds `key`; [`TrailEvent::Searched`] ends it. `false` if there is
    /// nobody to ask, or too much is being looked for.
    pub fn seek(&mut self, now: Time, key: FindKey, scope: Scope) -> bool {
        self.trails.seek(now, (key, scope), Wanted::Anybody)
    }

    /// How many questions of others it has heard within the last [`limits::FIND_LIFE`].
    #[must_use]
    pub fn heard_lately(&self, now: Time) -> usize {
        self.trails.heard_lately(now)
    }

    /// Whether there is anybody to ask.
    #[must_use]
    pub fn has_neighbours(&self) -> bool {
        !self.neighbours.is_empty()
    }

    /// The routed link has a session, and `key` is known to its two ends only.
    // spec: ROUTE-15
    pub fn secured(&mut self, link: LinkId, key: FindKey) {
        self.trails.secured(link, key);
    }

    /// What came last over a routed link was genuine.
    // spec: ROUTE-15
    pub fn confirm(&mut self, now: Time, link: LinkId) {
        self.trails.confirm(now, link);
    }

    /// The routed link is not used any more.
    pub fn close(&mut self, link: LinkId) {
        self.trails.close(link);
    }

    /// How many relays lie on the way of a routed link.
    #[must_use]
    pub fn relays(&self, link: LinkId) -> Option<usize> {
        self.trails.relays(link)
    }

    /// The link to a neighbour is ready for another frame: so long the last one took to leave.
    // spec: ROUTE-25
    pub fn takes(&mut self, now: Time, link: LinkId) {
        self.trails.takes(now, link);
    }

    /// How long the other end of a routed link may take to answer because links are slow; next to
    /// nothing where they are fast.
    // spec: ROUTE-25
    #[must_use]
    pub fn answer_time(&self, link: LinkId) -> Duration {
        self.trails.answer_time(link)
    }

    /// The routed links whose frames leave over the neighbour `link` and that may send one now;
    /// those after `after` come first.
    #[must_use]
    pub fn routed_over(&self, now: Time, link: LinkId, after: LinkId) -> Vec<LinkId> {
        self.trails.flows_over(now, link, after)
    }

    /// Wraps a frame of the routed link `routed` for its first hop, the neighbour `link`.
    pub fn wrap(
        &mut self,
        now: Time,
        (routed, link): (LinkId, LinkId),
        frame: Bytes,
    ) -> Option<RouteMessage> {
        self.trails.wrap(now, (routed, link), frame)
    }

    /// What left last over the routed link asks for an answer: if none comes, the path is doubted.
    // spec: ROUTE-16
    pub fn expect(&mut self, now: Time, link: LinkId) {
        self.trails.expect(now, link);
    }

    /// Routed links without a path; if there is a frame to send over one, [`Router::hold`] it.
    #[must_use]
    pub fn stranded(&self) -> Vec<LinkId> {
        self.trails.stranded()
    }

    /// Keeps a frame of a stranded routed link until there is a path, and looks for one.
    // spec: ROUTE-16
    pub fn hold(&mut self, now: Time, link: LinkId, frame: Bytes) {
        self.trails.hold(now, link, frame);
    }

    /// The frame of a routed link that waited for its path; it comes first.
    pub fn take_held(&mut self, link: LinkId) -> Option<Bytes> {
        self.trails.take_held(link)
    }

    /// From now on this node has this habit.
    #[cfg(feature = "hostile")]
    pub fn corrupt(&mut self, habit: crate::Habit) {
        self.trails.habit = habit;
    }

    /// Emits what is due: beacons and dials.
    fn act(&mut self, now: Time) {
        if self.schedule.due(now, &mut self.rng)
            && let Some(tcp_port) = self.port
        {
            let versions = List::new(&VERSIONS);
            let beacon = Beacon { versions, token: self.token, tcp_port };
            self.events.push_back(RouteEvent::Announce(beacon.to_bytes()));
        }
        while let Some(at) = self.fixed.due(now) {
            self.events.push_back(RouteEvent::Dial(at));
        }
        if !self.has_enough() {
            let neighbours = &self.neighbours;
            let linked = |token| neighbours.values().any(|n| n.token == Some(token));
            if let Some(at) = self.surroundings.due(now, linked) {
                self.events.push_back(RouteEvent::Dial(at));
            }
        }
    }

    /// Whether there are neighbours enough not to dial strangers.
    fn has_enough(&self) -> bool {
        self.neighbours.len() >= limits::LAN_NEIGHBOURS
    }

    // spec: FIND-15
    fn presence(&mut self, now: Time, link: LinkId, presence: &Presence) {
        let Some(neighbour) = self.neighbours.get_mut(&link) else { return };
        let before = neighbour.token.replace(presence.token);
        if presence.heard == self.token {
            neighbour.again = None;
        }
        if presence.answer != 0 {
            neighbour.told = Told::No;
        }
        self.surroundings.linked(now, presence.token);
        if let Some(before) = before.filter(|before| *before != presence.token) {
            self.surroundings.forget(before);
        }
        if self.trails.clashes(now, presence.tag) {
            self.trails.rotate(now);
            self.neighbours.values_mut().for_each(|other| other.told = Told::No);
        }
    }

    fn is_linked(&self, token: Token) -> bool {
        self.neighbours.values().any(|neighbour| neighbour.token == Some(token))
    }
}

impl Machine for Router {
    type Message = RouteMessage;
    type Event = RouteEvent;

    fn handle(&mut self, now: Now, input: Input<RouteMessage>) {
        self.trails.clock = now;
        match input {
            Input::LinkUp(link, state) => {
                self.neighbours.insert(link, Neighbour::new(state.carrier));
                self.trails.link_up(now.time, link);
            }
            Input::LinkDown(link) => {
                self.trails.link_down(now.time, link);
                let gone = self.neighbours.remove(&link).and_then(|neighbour| neighbour.token);
                self.fixed.unlinked(now.time, link);
                if let Some(gone) = gone.filter(|token| !self.is_linked(*token)) {
                    self.surroundings.lost(now.time, |token, _| token == gone);
                }
            }
            Input::Receive(link, message) => {
                if let RouteMessage::Presence(presence) = &message {
                    self.presence(now.time, link, presence);
                }
                self.trails.receive(now.time, link, message);
            }
            Input::Tick => {
                let again =
                    |neighbour: &&mut Neighbour| neighbour.again.is_some_and(|at| at <= now.time);
                for neighbour in self.neighbours.values_mut().filter(again) {
                    neighbour.told = Told::No;
                }
                self.trails.tick(now.time);
            }
        }
        self.act(now.time);
    }

    fn poll_send(&mut self, now: Now, link: LinkId, room: usize) -> Option<RouteMessage> {
        let neighbour = self.neighbours.get_mut(&link)?;
        if neighbour.told == Told::Yes {
            return self.trails.poll_send(now.time, link, room);
        }
        let presence = Presence {
            token: self.token,
            tag: self.trails.tag(),
            heard: neighbour.token.unwrap_or(Token([0; 8])),
            answer: u8::from(neighbour.is_to_answer()),
        };
        let message = RouteMessage::from(presence);
        if message.size() > room {
            return None;
        }
        neighbour.said(now.time);
        Some(message)
    }

    fn poll_event(&mut self) -> Option<RouteEvent> {
        self.events.pop_front().or_else(|| self.trails.poll_event().map(RouteEvent::Trail))
    }

    fn wake_at(&self) -> Option<Wake> {
        let wake = |at: Option<Time>, reason| at.map(|at| Wake { at, reason });
        let strangers = match self.has_enough() {
            true => None,
            false => self.surroundings.next(|token| self.is_linked(token)),
        };
        let waiting = self.neighbours.values().filter(|neighbour| neighbour.told == Told::Yes);
        let again = waiting.filter_map(|neighbour| neighbour.again);
        [
            wake(self.schedule.next(), "announce"),
            wake(strangers, "dial a neighbour"),
            wake(self.fixed.next(), "dial a peer"),
            wake(again.min(), "say again who this is"),
            self.trails.wake_at(),
        ]
        .into_iter()
        .fold(None, Wake::earlier)
    }

    fn weight(&self) -> usize {
        let neighbours = self.neighbours.len() * size_of::<Neighbour>();
        neighbours + self.surroundings.weight() + self.trails.weight()
    }
}

//! The state machine of finding: announces this node, hears others, says whom to dial.

use alloc::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use mesh_wire::codec::List;
use mesh_wire::message::find::{Beacon, PortNumber};
use mesh_wire::message::routing::{Presence, RouteMessage};
use mesh_wire::{
    Address, Input, LinkId, Machine, Now, Rng, Time, Token, VERSIONS, Wake, Wire, limits,
};

use crate::announce::Schedule;
use crate::fixed::Fixed;
use crate::surroundings::Surroundings;

/// Something the owner of a [`Router`] is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RouteEvent {
    /// Send this beacon to everyone in reach.
    Announce(Bytes),
    /// Dial. [`Router::dialled`] or [`Router::dial_failed`] tells the outcome.
    Dial(Address),
}

/// Finds neighbours.
#[derive(Debug)]
pub struct Router {
    rng: Rng,
    token: Token,
    port: Option<PortNumber>,
    schedule: Schedule,
    surroundings: Surroundings,
    fixed: Fixed,
    neighbours: BTreeMap<LinkId, Neighbour>,
    events: VecDeque<RouteEvent>,
}

#[derive(Debug, Default)]
struct Neighbour {
    /// What its beacons carry, once it has said so.
    token: Option<Token>,
    /// Whether it knows ours.
    told: Told,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    No,
    Yes,
}

impl Router {
    /// A router that announces nothing until [`Router::listen`].
    #[must_use]
    pub fn new(mut rng: Rng) -> Self {
        let token = Token(rng.bytes());
        Self {
            rng,
            token,
            port: None,
            schedule: Schedule::new(),
            surroundings: Surroundings::default(),
            fixed: Fixed::default(),
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
        self.neighbours.values_mut().for_each(|neighbour| neighbour.told = Told::No);
        self.surroundings_changed(now);
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

    fn is_linked(&self, token: Token) -> bool {
        self.neighbours.values().any(|neighbour| neighbour.token == Some(token))
    }
}

impl Machine for Router {
    type Message = RouteMessage;
    type Event = RouteEvent;

    fn handle(&mut self, now: Now, input: Input<RouteMessage>) {
        match input {
            Input::LinkUp(link, _) => {
                self.neighbours.insert(link, Neighbour::default());
            }
            Input::LinkDown(link) => {
                let gone = self.neighbours.remove(&link).and_then(|neighbour| neighbour.token);
                self.fixed.unlinked(now.time, link);
                if let Some(gone) = gone.filter(|token| !self.is_linked(*token)) {
                    self.surroundings.lost(now.time, |token, _| token == gone);
                }
            }
            // spec: FIND-15
            Input::Receive(link, RouteMessage::Presence(Presence { token })) => {
                if let Some(neighbour) = self.neighbours.get_mut(&link) {
                    let before = neighbour.token.replace(token);
                    self.surroundings.linked(now.time, token);
                    if let Some(before) = before.filter(|before| *before != token) {
                        self.surroundings.forget(before);
                    }
                }
            }
            Input::Tick => {}
        }
        self.act(now.time);
    }

    fn poll_send(&mut self, _: Now, link: LinkId, room: usize) -> Option<RouteMessage> {
        let neighbour = self.neighbours.get_mut(&link)?;
        let message = RouteMessage::from(Presence { token: self.token });
        if neighbour.told == Told::Yes || message.size() > room {
            return None;
        }
        neighbour.told = Told::Yes;
        Some(message)
    }

    fn poll_event(&mut self) -> Option<RouteEvent> {
        self.events.pop_front()
    }

    fn wake_at(&self) -> Option<Wake> {
        let wake = |at: Option<Time>, reason| at.map(|at| Wake { at, reason });
        let strangers = match self.has_enough() {
            true => None,
            false => self.surroundings.next(|token| self.is_linked(token)),
        };
        Wake::earlier(
            wake(self.schedule.next(), "announce"),
            Wake::earlier(
                wake(strangers, "dial a neighbour"),
                wake(self.fixed.next(), "dial a peer"),
            ),
        )
    }

    fn weight(&self) -> usize {
        self.neighbours.len() * size_of::<Neighbour>() + self.surroundings.weight()
    }
}

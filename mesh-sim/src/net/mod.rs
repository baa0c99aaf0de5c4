//! Nodes, links and time: a discrete-event world that follows from one seed.

mod drive;

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::ops::Range;
use std::time::Duration;

use mesh_wire::{
    Hash, Input, Link, LinkId, Machine, Now, PeerId, Rng, Role, Secured, Time, UnixTime, Wake,
};

use crate::quality::{End, Quality, Traffic, Transmitter};
use crate::queue::{Happening, Queue};
use crate::seed::{self, Replay};
use crate::trace::Trace;
use drive::far;

/// What the clocks of a world show at its beginning, in ms: 2026-01-01.
const BEGINNING: u64 = 1_767_225_600_000;

/// Machines on links, in virtual time.
///
/// It drives every machine as `mesh_wire::machine` says, and every message travels as its bytes.
/// On the way it insists on what holds for every machine: it panics, and prints its seed, if one
/// emits more than its room, bytes that do not decode, spins, or never runs dry.
///
/// ```
/// use std::time::Duration;
/// use mesh_sim::{Quality, Securing, World};
/// # fn example<M: mesh_wire::Machine + 'static>(
/// #     build: fn(usize, mesh_wire::Rng) -> M, command: fn(&mut M, mesh_wire::Now)) {
/// for seed in mesh_sim::seeds(16) {
///     let mut world = World::new(seed, Securing::ByWorld);
///     let (alice, bob) = (world.add(build), world.add(build));
///     let (link, _) = world.connect(alice, bob, Quality::STREAM);
///     world.with(alice, |machine, now| command(machine, now));
///     let met = world.run_until(Duration::from_secs(5), |world| !world.events(bob).is_empty());
///     assert!(met, "{}", world.traffic(link).bytes);
/// }
/// # }
/// ```
pub struct World<M: Machine> {
    now: Time,
    luck: Rng,
    securing: Securing,
    nodes: Vec<Node<M>>,
    /// The ends `2n` and `2n + 1` belong together; their indices are their numbers.
    ends: Vec<End>,
    queue: Queue,
    told: VecDeque<(usize, M::Event)>,
    handler: Option<Handler<M>>,
    in_flight: usize,
    last_travel: Time,
    trace: Trace,
    replay: Replay,
}

/// Who secures the links of a world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Securing {
    /// The world: every link comes up with the other end's name and a binding, as for a layer
    /// above the session.
    ByWorld,
    /// The machines: links come up with `secured: None`, as for a whole node.
    ByMachines,
}

type Handler<M> =
    Box<dyn FnMut(&mut World<M>, usize, <M as Machine>::Event) -> Option<<M as Machine>::Event>>;

struct Node<M: Machine> {
    machine: M,
    skew_ms: i64,
    links: Vec<LinkId>,
    /// When the transmitter that its links share is free, and the place of the link that is asked
    /// first then.
    radio: (Time, usize),
    /// What the machine said last.
    wake: Option<Wake>,
    /// The entry in the queue that counts; others are stale.
    alarm: Option<Time>,
    /// When it was last ticked, and how often at that instant.
    ticked: (Time, u32),
    /// What woke it, and how often.
    wakes: BTreeMap<&'static str, u64>,
    events: Vec<M::Event>,
}

impl<M: Machine> World<M> {
    /// An empty world at time 0. All that chance decides in it follows from `seed`.
    #[must_use]
    pub fn new(seed: u64, securing: Securing) -> Self {
        Self {
            now: Time(0),
            luck: seed::rng(seed).fork("luck"),
            securing,
            nodes: Vec::new(),
            ends: Vec::new(),
            queue: Queue::default(),
            told: VecDeque::new(),
            handler: Some(Box::new(|_, _, event| Some(event))),
            in_flight: 0,
            last_travel: Time(0),
            trace: Trace::new(),
            replay: Replay(seed),
        }
    }

    /// Adds a node, built from its index (0, 1, 2 …) and a generator of its own.
    pub fn add(&mut self, build: impl FnOnce(usize, Rng) -> M) -> usize {
        let node = self.nodes.len();
        let machine = build(node, self.node_rng(node));
        self.nodes.push(Node {
            machine,
            skew_ms: 0,
            links: Vec::new(),
            radio: (Time(0), 0),
            wake: None,
            alarm: None,
            ticked: (Time(0), 0),
            wakes: BTreeMap::new(),
            events: Vec::new(),
        });
        self.drain(node);
        self.tell();
        node
    }

    /// What happens with events: the handler gets each one as it is told, may act on the world
    /// (connect, disconnect, `with`), and returns the event if [`World::events`] should keep it.
    /// Until this is called, all are kept.
    pub fn on_event(
        &mut self,
        handler: impl FnMut(&mut Self, usize, M::Event) -> Option<M::Event> + 'static,
    ) {
        self.handler = Some(Box::new(handler));
    }

    /// Links two nodes; the first one dials. Both ends are up when this returns: the dialler's
    /// and the other's.
    pub fn connect(&mut self, from: usize, to: usize, quality: Quality) -> (LinkId, LinkId) {
        let first = self.ends.len() as u64;
        let ids = (LinkId(first), LinkId(first + 1));
        let binding = self.luck.bytes();
        for (id, node) in [(ids.0, from), (ids.1, to)] {
            self.ends.push(End::new(node, quality, self.now));
            self.nodes[node].links.push(id);
        }
        for (id, role, far) in [(ids.0, Role::Initiator, to), (ids.1, Role::Responder, from)] {
            let secured = match self.securing {
                Securing::ByWorld => Some(Secured { peer: self.peer(far), binding }),
                Securing::ByMachines => None,
            };
            let (carrier, largest_frame) = (quality.carrier, quality.room_bytes);
            let input = Input::LinkUp(id, Link { role, carrier, largest_frame, secured });
            self.handle(id, input);
        }
        // Only now: the handler may close the link again.
        self.tell();
        ids
    }

    /// Closes a link from one end, which is told now. The other end still gets what is under way
    /// and is told after that; what it sends until then is lost. A link that is down stays down.
    pub fn disconnect(&mut self, link: LinkId) {
        self.hang_up(link);
        self.down(link);
        self.tell();
    }

    /// From now on nothing comes through a link, what is under way included. Nobody is told until
    /// `silence` is over; then both ends are.
    pub fn fade(&mut self, link: LinkId, silence: Duration) {
        for end in [link, far(link)] {
            self.end(end).faded = true;
            self.queue.push(self.now + silence, Happening::Down(end));
        }
    }

    /// Calls commands of a machine, then drains it.
    pub fn with<R>(&mut self, node: usize, command: impl FnOnce(&mut M, Now) -> R) -> R {
        let now = self.now(node);
        let result = command(&mut self.nodes[node].machine, now);
        self.drain(node);
        self.tell();
        result
    }

    /// Puts another machine in the place of one that crashed, which is returned as it was. Its
    /// links are gone; the other ends learn of it.
    pub fn replace(&mut self, node: usize, machine: M) -> M {
        for link in mem::take(&mut self.nodes[node].links) {
            self.hang_up(link);
            self.end(link).up = false;
        }
        let old = mem::replace(&mut self.nodes[node].machine, machine);
        self.drain(node);
        self.tell();
        old
    }

    /// Sets by how many milliseconds the date of a node is ahead.
    pub fn set_skew(&mut self, node: usize, skew_ms: i64) {
        self.nodes[node].skew_ms = skew_ms;
    }

    /// Lets time pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.queue.next().is_some_and(|next| next <= end) {
            self.step();
        }
        self.now = end;
    }

    /// Lets time pass until `goal` holds, at most for `within`; whether it holds. It is looked at
    /// once at every instant at which something happened.
    pub fn run_until(&mut self, within: Duration, mut goal: impl FnMut(&Self) -> bool) -> bool {
        let end = self.now + within;
        loop {
            let next = self.queue.next();
            if next != Some(self.now) && goal(self) {
                return true;
            }
            if next.is_none_or(|next| next > end) {
                self.now = end;
                return false;
            }
            self.step();
        }
    }

    /// Lets time pass until no message has been under way for as long as `silence`, at most for
    /// `within`; whether it became quiet.
    pub fn run_until_quiet(&mut self, silence: Duration, within: Duration) -> bool {
        let end = self.now + within;
        loop {
            let quiet_at = (self.last_travel + silence).max(self.now);
            let next = self.queue.next();
            if self.in_flight == 0 && quiet_at <= end && next.is_none_or(|next| next > quiet_at) {
                self.now = quiet_at;
                return true;
            }
            if next.is_none_or(|next| next > end) {
                self.now = end;
                return false;
            }
            self.step();
        }
    }

    /// This moment.
    #[must_use]
    pub const fn time(&self) -> Time {
        self.now
    }

    /// This moment on the clocks of a node.
    #[must_use]
    pub fn now(&self, node: usize) -> Now {
        let unix = (BEGINNING + self.now.0 / 1000).saturating_add_signed(self.nodes[node].skew_ms);
        Now { time: self.now, unix: UnixTime(unix).min(UnixTime::MAX) }
    }

    /// Every node.
    #[must_use]
    pub fn nodes(&self) -> Range<usize> {
        0..self.nodes.len()
    }

    /// A machine.
    #[must_use]
    pub fn node(&self, node: usize) -> &M {
        &self.nodes[node].machine
    }

    /// What a node is called on links that the world secures.
    #[must_use]
    pub fn peer(&self, node: usize) -> PeerId {
        PeerId(self.rng(&format!("peer {node}")).bytes())
    }

    /// The links of a node that are up.
    #[must_use]
    pub fn links(&self, node: usize) -> &[LinkId] {
        &self.nodes[node].links
    }

    /// The node at the other end.
    #[must_use]
    pub fn far_node(&self, link: LinkId) -> usize {
        self.ends[far(link).0 as usize].node
    }

    /// What one end has sent.
    #[must_use]
    pub fn traffic(&self, link: LinkId) -> Traffic {
        self.ends[link.0 as usize].traffic
    }

    /// What woke a node since the start, and how often: its own alarms by their reasons, and
    /// `"a message came"`.
    #[must_use]
    pub fn wakes(&self, node: usize) -> &BTreeMap<&'static str, u64> {
        &self.nodes[node].wakes
    }

    /// The events of a node that were kept.
    #[must_use]
    pub fn events(&self, node: usize) -> &[M::Event] {
        &self.nodes[node].events
    }

    /// Takes the events of a node that were kept.
    pub fn take_events(&mut self, node: usize) -> Vec<M::Event> {
        mem::take(&mut self.nodes[node].events)
    }

    /// A generator for `purpose` that follows from the seed of the world.
    #[must_use]
    pub fn rng(&self, purpose: &str) -> Rng {
        seed::rng(self.replay.0).fork(purpose)
    }

    /// The hash of everything that left the machines: messages, events, alarms.
    #[must_use]
    pub fn trace(&self) -> Hash {
        self.trace.hash()
    }

    /// The generator from which a node was built.
    pub(crate) fn node_rng(&self, node: usize) -> Rng {
        self.rng(&format!("node {node}"))
    }

    /// Whether the last message has left, so that the machine is asked for the next at once.
    pub(crate) fn is_free(&self, link: LinkId) -> bool {
        let end = &self.ends[link.0 as usize];
        let free_at = match end.quality.transmitter {
            Transmitter::OfLink => end.free_at,
            Transmitter::OfNode => self.nodes[end.node].radio.0,
        };
        free_at <= self.now
    }
}

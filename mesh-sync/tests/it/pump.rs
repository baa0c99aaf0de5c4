//! Machines side by side, message by message: for tests that look at, change, or hold back what
//! goes between them.

use std::collections::VecDeque;
use std::time::Duration;

use mesh_sync::{Event, MemoryStore, Store, Sync};
use mesh_wire::codec::Wire;
use mesh_wire::message::SyncMessage;
use mesh_wire::{
    Carrier, Input, Link, LinkId, Machine, Now, PeerId, Rng, Role, Secured, Time, UnixTime, limits,
};

/// Machines and the links between them.
pub(crate) struct Pump<S: Store = MemoryStore> {
    pub(crate) nodes: Vec<Sync<S>>,
    pub(crate) now: Now,
    pub(crate) events: Vec<(usize, Event)>,
    links: Vec<[(usize, LinkId); 2]>,
    next_link: u64,
}

impl<S: Store> Pump<S> {
    /// No links yet.
    pub(crate) fn new(nodes: Vec<Sync<S>>) -> Self {
        let now = Now { time: Time(1), unix: UnixTime(1_800_000_000_000) };
        Self { nodes, now, events: Vec::new(), links: Vec::new(), next_link: 0 }
    }

    /// Links two nodes; the link's numbers at both ends.
    pub(crate) fn connect(&mut self, a: usize, b: usize) -> [LinkId; 2] {
        self.next_link += 1;
        let mut rng = Rng::from_seed([self.next_link as u8; 32]);
        let secured = Secured { peer: PeerId([0; 32]), binding: rng.bytes() };
        let ends = [LinkId(2 * self.next_link), LinkId(2 * self.next_link + 1)];
        for (node, link, role) in [(a, ends[0], Role::Initiator), (b, ends[1], Role::Responder)] {
            let carrier = Carrier::Stream;
            let info = Link { role, carrier, largest_frame: 1 << 16, secured: Some(secured) };
            self.handle(node, Input::LinkUp(link, info));
        }
        self.links.push([(a, ends[0]), (b, ends[1])]);
        ends
    }

    /// Cuts every link.
    pub(crate) fn disconnect(&mut self) {
        for (node, link) in std::mem::take(&mut self.links).into_iter().flatten() {
            self.handle(node, Input::LinkDown(link));
        }
    }

    /// Lets a node handle something, and keeps what it tells.
    pub(crate) fn handle(&mut self, node: usize, input: Input<SyncMessage>) {
        self.nodes[node].handle(self.now, input);
        while let Some(event) = self.nodes[node].poll_event() {
            self.events.push((node, event));
        }
    }

    /// The next message of a node on a link, as it is after a journey in bytes.
    pub(crate) fn poll(&mut self, node: usize, link: LinkId) -> Option<SyncMessage> {
        let message = self.nodes[node].poll_send(self.now, link, limits::RECORD_BYTES)?;
        assert!(message.size() <= limits::RECORD_BYTES);
        Some(SyncMessage::from_bytes(message.to_bytes()).unwrap())
    }

    /// Carries messages until there are none, or `carry` has counted enough: it sees each message
    /// and who sends it, and says what arrives. Whether there are none left.
    pub(crate) fn exchange(
        &mut self,
        mut carry: impl FnMut(usize, SyncMessage) -> Carried,
    ) -> bool {
        let mut quiet = 0;
        while quiet < self.links.len() * 2 {
            let mut turns: VecDeque<_> =
                self.links.iter().flat_map(|[a, b]| [(*a, *b), (*b, *a)]).collect();
            quiet = 0;
            while let Some(((from, out), (to, into))) = turns.pop_front() {
                let Some(message) = self.poll(from, out) else {
                    quiet += 1;
                    continue;
                };
                match carry(from, message) {
                    Carried::As(message) => self.handle(to, Input::Receive(into, message)),
                    Carried::Lost => {}
                    Carried::Stop => return false,
                }
            }
        }
        true
    }

    /// The same, with time: ticks when due, for `span` at most.
    pub(crate) fn run(
        &mut self,
        span: Duration,
        mut carry: impl FnMut(usize, SyncMessage) -> Carried,
    ) {
        let end = self.now.time + span;
        loop {
            self.exchange(&mut carry);
            let next = self.nodes.iter().filter_map(|node| Some(node.wake_at()?.at)).min();
            let Some(next) = next.filter(|next| *next <= end) else { return };
            let before = self.now.time.0 / 1000;
            self.now.time = self.now.time.max(next);
            self.now.unix.0 += self.now.time.0 / 1000 - before;
            for node in 0..self.nodes.len() {
                if self.nodes[node].wake_at().is_some_and(|wake| wake.at <= self.now.time) {
                    self.handle(node, Input::Tick);
                    let wake = self.nodes[node].wake_at();
                    assert!(wake.is_none_or(|wake| wake.at > self.now.time), "spins: {wake:?}");
                }
            }
        }
    }

    /// Everything arrives.
    pub(crate) fn settle(&mut self) {
        self.run(Duration::from_secs(5), |_, message| Carried::As(message));
    }

    /// What `node` blamed its neighbours for.
    pub(crate) fn faults(&self, node: usize) -> Vec<String> {
        let fault = |(at, event): &(usize, Event)| match event {
            Event::PeerFault { fault, .. } if *at == node => Some(fault.to_string()),
            _ => None,
        };
        self.events.iter().filter_map(fault).collect()
    }
}

/// What becomes of a message.
pub(crate) enum Carried {
    /// It arrives, perhaps changed.
    As(SyncMessage),
    /// It does not.
    Lost,
    /// Neither it nor anything else.
    Stop,
}

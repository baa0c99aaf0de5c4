//! Two machines of one kind, the links between them, and a neighbour who forges: what the stateful
//! bodies play on. After every operation the machines must be quiet, bounded and awake in time.

use core::time::Duration;

use bytes::Bytes;
use mesh_wire::{Carrier, Input, Link, LinkId, Machine, Now, PeerId, Role, Secured, Wire};

use crate::source::Source;

/// Links open at one time.
const LINKS: usize = 8;
/// Honest messages remembered, to be sent again or altered.
const REMEMBERED: usize = 16;
/// Events and ticks after which a machine counts as spinning.
const SPIN: usize = 10_000;

/// What a body does to its machines.
enum Operation {
    /// A link between the two comes up, this end of it dialled by the first.
    Connect(Carrier),
    /// A link goes down.
    Cut(LinkId),
    /// The machines exchange up to this many messages on a link.
    Exchange(LinkId, usize),
    /// The first machine gets these bytes from a link, if they decode.
    Forge(LinkId, Bytes),
    /// Time passes.
    Wait(Duration),
    /// The owner of one machine asks something of it.
    Command,
}

/// What the kinds of machines differ in.
pub(crate) struct Kind<M: Machine> {
    /// Bytes it may hold, whatever happens.
    pub(crate) weight_limit: usize,
    /// Who is at the other end of its links when they come up.
    pub(crate) secured: fn(LinkId) -> Option<Secured>,
    /// A command to one of the two.
    pub(crate) command: fn(&mut [M; 2], Now, &mut Source<'_>),
    /// The link that an event asks to close.
    pub(crate) closes: fn(&M::Event) -> Option<LinkId>,
}

/// The two machines and their world.
pub(crate) struct Bench<M: Machine> {
    kind: Kind<M>,
    machines: [M; 2],
    now: Now,
    links: Vec<(LinkId, Link)>,
    opened: u64,
    remembered: Vec<Bytes>,
}

impl<M: Machine> Bench<M> {
    pub(crate) fn new(kind: Kind<M>, machines: [M; 2]) -> Self {
        let (links, remembered) = (Vec::new(), Vec::new());
        Self { kind, machines, now: Now::default(), links, opened: 0, remembered }
    }

    /// Does what `data` says, then takes all links down.
    pub(crate) fn play(mut self, data: &[u8]) {
        let mut source = Source::new(data);
        while let Some(operation) = self.next_operation(&mut source) {
            self.perform(operation, &mut source);
            self.settle();
        }
        while let Some((link, _)) = self.links.first().copied() {
            self.cut(link);
            self.settle();
        }
    }

    fn next_operation(&mut self, source: &mut Source<'_>) -> Option<Operation> {
        let choice = source.next()?;
        let links: Vec<LinkId> = self.links.iter().map(|(link, _)| *link).collect();
        let link = |source: &mut Source<'_>| match links[..] {
            [] => LinkId(0),
            _ => source.pick(&links),
        };
        Some(match choice % 8 {
            0 => Operation::Connect(source.pick(&[Carrier::Stream, Carrier::Datagram])),
            1 => Operation::Cut(link(source)),
            2 | 3 => Operation::Exchange(link(source), 1 + source.below(64)),
            4 => Operation::Forge(link(source), source.bytes()),
            5 => {
                let link = link(source);
                let honest = match self.remembered.len() {
                    0 => Bytes::new(),
                    count => self.remembered[source.below(count)].clone(),
                };
                Operation::Forge(link, source.altered(&honest).into())
            }
            6 => Operation::Wait(Duration::from_micros(1 << source.below(32))),
            _ => Operation::Command,
        })
    }

    fn perform(&mut self, operation: Operation, source: &mut Source<'_>) {
        match operation {
            Operation::Connect(carrier) => self.connect(carrier),
            Operation::Cut(link) => self.cut(link),
            Operation::Exchange(link, count) => {
                for from in [0, 1].repeat(count) {
                    self.pass(link, from);
                    self.settle();
                }
            }
            Operation::Forge(link, bytes) => {
                if let Ok(message) = M::Message::from_bytes(bytes) {
                    self.machines[0].handle(self.now, Input::Receive(link, message));
                }
            }
            Operation::Wait(span) => {
                self.now.time = self.now.time + span;
                self.now.unix.0 += span.as_millis() as u64;
                self.tick();
            }
            Operation::Command => (self.kind.command)(&mut self.machines, self.now, source),
        }
    }

    fn connect(&mut self, carrier: Carrier) {
        if self.links.len() == LINKS {
            return;
        }
        self.opened += 1;
        let id = LinkId(self.opened);
        let largest_frame = match carrier {
            Carrier::Stream => mesh_wire::limits::RECORD_BYTES,
            Carrier::Datagram => mesh_wire::limits::DATAGRAM_BYTES,
        };
        let secured = (self.kind.secured)(id);
        let link = Link { role: Role::Initiator, carrier, largest_frame, secured };
        self.links.push((id, link));
        self.machines[0].handle(self.now, Input::LinkUp(id, link));
        let far = Link { role: Role::Responder, ..link };
        self.machines[1].handle(self.now, Input::LinkUp(id, far));
    }

    /// One message from machine `from` to the other, through its bytes.
    fn pass(&mut self, link: LinkId, from: usize) {
        let Some((_, open)) = self.links.iter().find(|(open, _)| *open == link) else { return };
        let room = open.largest_frame;
        let Some(message) = self.machines[from].poll_send(self.now, link, room) else { return };
        let bytes = message.to_bytes();
        assert!(bytes.len() <= room, "{} bytes into a room of {room}: {message:?}", bytes.len());
        if self.remembered.len() == REMEMBERED {
            self.remembered.remove(0);
        }
        self.remembered.push(bytes.clone());
        let read = M::Message::from_bytes(bytes).expect("a machine sends what decodes");
        self.machines[1 - from].handle(self.now, Input::Receive(link, read));
    }

    /// Lets the machines do what is due until they want to sleep.
    fn tick(&mut self) {
        for index in 0..self.machines.len() {
            let mut ticks = 0;
            while self.machines[index].wake_at().is_some_and(|wake| wake.at <= self.now.time) {
                self.machines[index].handle(self.now, Input::Tick);
                self.settle();
                ticks += 1;
                assert!(ticks < SPIN, "no sleep: {:?}", self.machines[index].wake_at());
            }
        }
    }

    /// Takes all events and checks the laws that hold at every moment.
    fn settle(&mut self) {
        let mut events = 0;
        while let Some(event) = self.machines.iter_mut().find_map(Machine::poll_event) {
            events += 1;
            assert!(events < SPIN, "events without end: {event:?}");
            if let Some(link) = (self.kind.closes)(&event) {
                self.cut(link);
            }
        }
        for machine in &self.machines {
            let (weight, limit) = (machine.weight(), self.kind.weight_limit);
            assert!(weight <= limit, "{weight} bytes held, at most {limit}");
        }
    }

    fn cut(&mut self, link: LinkId) {
        let Some(at) = self.links.iter().position(|(open, _)| *open == link) else { return };
        self.links.remove(at);
        self.machines.iter_mut().for_each(|m| m.handle(self.now, Input::LinkDown(link)));
    }
}

/// A neighbour whose handshake is done.
pub(crate) fn secured(link: LinkId) -> Option<Secured> {
    let number = link.0 as u8;
    Some(Secured { peer: PeerId([number; 32]), binding: [number.wrapping_add(128); 32] })
}

//! A machine under watch: everything that goes in and comes out is written down, and its weight
//! is looked at after every call.

use std::mem;

use bytes::Bytes;
use mesh_wire::{Input, LinkId, Machine, Now, Rng, Wake, Wire};

use super::Subject;
use crate::seed;

/// Messages a watched machine remembers having said, as a pattern for junk.
const SAID: usize = 256;

/// A machine that is itself, and keeps a journal.
pub(super) struct Watched<M: Machine> {
    machine: M,
    weight_limit: usize,
    journal: Vec<Entry<M::Message>>,
    said: Vec<Bytes>,
    /// If set, every message is first asked for with less room than there is.
    rooms: Option<Rng>,
}

/// A call, what came out of it and what the alarm was after it.
struct Entry<T> {
    call: Call<T>,
    output: Option<Bytes>,
    wake: Option<Wake>,
}

enum Call<T> {
    Handle(Now, Input<T>),
    /// The command that the subject draws from the generator of this seed.
    Command(Now, u64),
    Send(Now, LinkId, usize),
    Tell,
}

impl<M: Machine> Watched<M> {
    pub(super) fn new(machine: M, weight_limit: usize) -> Self {
        Self { machine, weight_limit, journal: Vec::new(), said: Vec::new(), rooms: None }
    }

    /// Asks for every message with random, mostly small rooms first.
    pub(super) fn narrow(&mut self, rng: Rng) {
        self.rooms = Some(rng);
    }

    /// Lets the subject call commands, drawn from the generator of `seed`.
    pub(super) fn command(&mut self, now: Now, seed: u64, subject: &Subject<M>) {
        (subject.command)(&mut self.machine, now, &mut seed::rng(seed));
        self.note(Call::Command(now, seed), None);
    }

    /// The bytes of something this machine has said.
    pub(super) fn said(&self, rng: &mut Rng) -> Bytes {
        let index = rng.below(self.said.len() as u64) as usize;
        self.said.get(index).cloned().unwrap_or_default()
    }

    /// Lives the same life again with `fresh`, and insists that the same comes out.
    pub(super) fn replay(&self, mut fresh: M, subject: &Subject<M>) {
        for (number, entry) in self.journal.iter().enumerate() {
            let output = match &entry.call {
                Call::Handle(now, input) => {
                    fresh.handle(*now, input.clone());
                    None
                }
                Call::Command(now, seed) => {
                    (subject.command)(&mut fresh, *now, &mut seed::rng(*seed));
                    None
                }
                Call::Send(now, link, room) => {
                    fresh.poll_send(*now, *link, *room).map(|message| message.to_bytes())
                }
                Call::Tell => fresh.poll_event().map(|event| described(&event)),
            };
            assert_eq!(output, entry.output, "the output of call {number} of the journal");
            assert_eq!(fresh.wake_at(), entry.wake, "the alarm after call {number}");
        }
    }

    fn note(&mut self, call: Call<M::Message>, output: Option<Bytes>) {
        let (weight, limit) = (self.machine.weight(), self.weight_limit);
        assert!(weight <= limit, "it holds {weight} bytes; its limit is {limit}");
        self.journal.push(Entry { call, output, wake: self.machine.wake_at() });
    }

    fn ask(&mut self, now: Now, link: LinkId, room: usize) -> Option<M::Message> {
        let message = self.machine.poll_send(now, link, room);
        let bytes = message.as_ref().map(Wire::to_bytes);
        if let Some(bytes) = &bytes {
            let size = bytes.len();
            assert!(size <= room, "it sent {size} bytes into a room of {room}: {message:?}");
            if self.said.len() == SAID {
                self.said.remove(0);
            }
            self.said.push(bytes.clone());
        }
        self.note(Call::Send(now, link, room), bytes);
        message
    }
}

impl<M: Machine> Machine for Watched<M> {
    type Message = M::Message;
    type Event = M::Event;

    fn handle(&mut self, now: Now, input: Input<M::Message>) {
        self.machine.handle(now, input.clone());
        self.note(Call::Handle(now, input), None);
    }

    fn poll_send(&mut self, now: Now, link: LinkId, room: usize) -> Option<M::Message> {
        if let Some(mut rooms) = mem::take(&mut self.rooms) {
            let most = [4, 64, 1024, room as u64][rooms.below(4) as usize];
            let small = rooms.below(most.min(room as u64) + 1) as usize;
            self.rooms = Some(rooms);
            let message = self.ask(now, link, small);
            if message.is_some() {
                return message;
            }
        }
        self.ask(now, link, room)
    }

    fn poll_event(&mut self) -> Option<M::Event> {
        let event = self.machine.poll_event();
        self.note(Call::Tell, event.as_ref().map(described));
        event
    }

    fn wake_at(&self) -> Option<Wake> {
        self.machine.wake_at()
    }

    fn weight(&self) -> usize {
        self.machine.weight()
    }
}

fn described(event: &impl std::fmt::Debug) -> Bytes {
    format!("{event:?}").into_bytes().into()
}

//! Finding out, with one peer, in what two sets differ: rounds, one after the other, until one
//! finds no difference.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use mesh_wire::message::set::{Reconcile, Step};
use mesh_wire::{Fault, Role, Wire as _, limits};

use super::key::Span;
use super::round::Round;
use super::tree::Set;

/// One end of the exchange about one set over one link. It sends no items: what it finds out, it
/// tells its owner, who sends what the peer lacks and then, at the initiator of the link, starts
/// the next round, until one ends [`Ending::Level`].
///
/// After every call, take all messages that there is room for, and all events. A round that hears
/// nothing for a while says its last question again by [`Reconciler::repeat`]; starting another
/// one gives it up.
///
/// It holds at most 5 MiB, most of it while it decodes tens of thousands of differences, beside
/// the events that are not taken and the snapshot of the set.
#[derive(Debug)]
pub struct Reconciler {
    binding: [u8; 32],
    role: Role,
    channel: u32,
    /// The newest round.
    serial: u32,
    round: Option<Round>,
    /// Rounds in a row that ended with a difference, since one that compared whole hashes.
    misses: u32,
    events: VecDeque<Event>,
}

/// What the owner is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The peer lacks all items in these spans: send them. Later ones in them may be sent, too.
    Push(Vec<Span>),
    /// The round is over.
    Ended {
        /// What is known now.
        ending: Ending,
        /// How many items the peer is going to send, by its own account.
        want: u64,
    },
}

/// How a round ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The sets were equal.
    Level,
    /// They differed; when everything has been sent, another round shows whether that was all.
    Different,
    /// They differed in more than one round can find.
    Unfinished,
}

impl Reconciler {
    /// The end with `role` of a session with this binding, about the set that stands at place
    /// `channel` in our list of channels.
    #[must_use]
    pub fn new(role: Role, binding: [u8; 32], channel: u32) -> Self {
        let events = VecDeque::new();
        Self { binding, role, channel, serial: 0, round: None, misses: 0, events }
    }

    /// The same, under serials above `serial`: on a link they ascend, whatever rounds are about.
    #[must_use]
    pub fn after(self, serial: u32) -> Self {
        Self { serial, ..self }
    }

    /// The serial of the newest round.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.serial
    }

    /// Begins a round; what is left of the one before is given up. Nothing happens at the
    /// responder: only the initiator of the link begins rounds.
    // spec: SYNC-27, SYNC-33
    pub fn start(&mut self, set: &mut Set) {
        if self.role == Role::Responder {
            return;
        }
        // Two rounds that trusted digests and short ids and did not come level are enough.
        self.misses = match self.round.as_ref().and_then(Round::ending) {
            Some(Ending::Different | Ending::Unfinished) if self.misses < limits::SET_ROUNDS => {
                self.misses + 1
            }
            Some(_) => 0,
            None => self.misses,
        };
        self.serial = self.serial.saturating_add(1);
        let mut round = Round::new(&self.binding, self.serial, set.snapshot());
        if self.misses < limits::SET_ROUNDS {
            round.summarise();
        } else {
            round.walk();
        }
        self.round = Some(round);
    }

    /// Takes a message of the peer about this set. One that breaks the rules is refused and
    /// changes nothing; one of another round changes nothing either.
    // spec: SYNC-27
    pub fn handle(&mut self, set: &mut Set, message: Reconcile) -> Result<(), Fault> {
        let Reconcile { serial, step, .. } = message;
        let opens = match &step {
            Step::Spine(_) | Step::Walk(_) => self.role == Role::Responder && serial > self.serial,
            Step::AskIds(_)
            | Step::ShortIds(_)
            | Step::AskSymbols(_)
            | Step::Symbols(_)
            | Step::Findings(_)
            | Step::Nodes(_) => false,
        };
        if opens {
            let mut round = Round::new(&self.binding, serial, set.snapshot());
            round.take(&step, &mut self.events)?;
            self.serial = serial;
            self.round = Some(round);
        } else if serial == self.serial
            && let Some(round) = &mut self.round
        {
            round.take(&step, &mut self.events)?;
        }
        Ok(())
    }

    /// The next message, which takes at most `room` bytes.
    #[must_use]
    pub fn poll_send(&mut self, room: usize) -> Option<Reconcile> {
        let step = self.round.as_mut()?.poll_send(room)?;
        let message = Reconcile { channel: self.channel, serial: self.serial, step };
        debug_assert!(mesh_wire::message::framed_size(message.size()) <= room);
        Some(message)
    }

    /// What the owner should know.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The answer to what was said last is overdue: says it again.
    pub fn repeat(&mut self) {
        if let Some(round) = &mut self.round {
            round.repeat();
        }
    }

    /// Bytes that it holds, but for the snapshot and the events.
    #[must_use]
    pub fn weight(&self) -> usize {
        size_of::<Self>() + self.round.as_ref().map_or(0, Round::weight)
    }
}

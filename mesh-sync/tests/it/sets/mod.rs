//! Two peers who bring their sets level: what they say is counted, and what they find is sent.

mod figures;
mod hostile;
mod level;
mod recovery;

use mesh_sync::set::{Ending, Event, Key, Reconciler, Set};
use mesh_wire::message::SyncMessage;
use mesh_wire::message::set::{Reconcile, Step};
use mesh_wire::{Hash, Rng, Role, UnixTime, Wire, limits};

const BINDING: [u8; 32] = [9; 32];
const CHANNEL: u32 = 3;
/// What one end may hold.
const MOST_BYTES: usize = 5 << 20;
/// A year in milliseconds, and when it begins.
const YEAR_MS: u64 = 365 * 24 * 3600 * 1000;
const START_MS: u64 = 1_760_000_000_000;
/// Flights that no honest round takes.
const FLIGHTS: usize = 4 * limits::SET_WALKS as usize;

/// Some keys of one year.
fn year(rng: &mut Rng, count: usize) -> Vec<Key> {
    let mut keys: Vec<Key> = (0..count)
        .map(|_| Key::new(UnixTime(START_MS + rng.below(YEAR_MS)), Hash(rng.bytes())))
        .collect();
    keys.sort_unstable();
    keys
}

/// What one end is told in a round.
#[derive(Debug, Default)]
struct Told {
    /// What it is to send.
    pushes: Vec<Key>,
    ending: Option<Ending>,
    want: u64,
}

impl Told {
    /// Takes what `end` tells about `set`, which has not changed since.
    fn drain(&mut self, end: &mut Reconciler, set: &mut Set) {
        while let Some(event) = end.poll_event() {
            match event {
                Event::Push(spans) => {
                    let set = set.snapshot();
                    self.pushes.extend(spans.into_iter().flat_map(|span| set.keys(span)));
                }
                Event::Ended { ending, want } => {
                    assert_eq!(self.ending, None, "a round ends once");
                    (self.ending, self.want) = (Some(ending), want);
                }
            }
        }
    }
}

/// What crosses the link in a round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Traffic {
    bytes: usize,
    flights: usize,
}

/// Two peers, the initiator first.
struct Pair {
    sets: [Set; 2],
    ends: [Reconciler; 2],
    /// Bytes that a message may take.
    room: usize,
}

impl Pair {
    fn new(a: impl IntoIterator<Item = Key>, b: impl IntoIterator<Item = Key>) -> Self {
        let ends =
            [Role::Initiator, Role::Responder].map(|role| Reconciler::new(role, BINDING, CHANNEL));
        let sets = [a.into_iter().collect(), b.into_iter().collect()];
        Self { sets, ends, room: limits::RECORD_BYTES }
    }

    /// One round, whose messages go through `pass`.
    fn round(&mut self, pass: impl FnMut(usize, Step) -> Option<Step>) -> (Traffic, [Told; 2]) {
        self.ends[0].start(&mut self.sets[0]);
        let mut told = [Told::default(), Told::default()];
        (self.exchange(pass, &mut told), told)
    }

    /// Carries messages, each through its bytes and then through `pass`, until there are none.
    fn exchange(
        &mut self,
        mut pass: impl FnMut(usize, Step) -> Option<Step>,
        told: &mut [Told; 2],
    ) -> Traffic {
        let mut traffic = Traffic::default();
        let (mut from, mut quiet) = (0, 0);
        while quiet < 2 {
            let before = traffic.bytes;
            while let Some(message) = self.ends[from].poll_send(self.room) {
                let bytes = SyncMessage::from(message).to_bytes();
                assert!(bytes.len() <= self.room, "{} bytes", bytes.len());
                traffic.bytes += bytes.len();
                let Ok(SyncMessage::Reconcile(message)) = SyncMessage::from_bytes(bytes) else {
                    panic!("what was written is read")
                };
                assert_eq!(message.channel, CHANNEL);
                let Some(step) = pass(from, message.step) else { continue };
                let message = Reconcile { step, ..message };
                // A fault is its sender's: the round goes on, or is given up.
                let _ = self.ends[1 - from].handle(&mut self.sets[1 - from], message);
                assert!(self.ends[1 - from].weight() <= MOST_BYTES);
            }
            self.drain(told);
            traffic.flights += usize::from(traffic.bytes > before);
            quiet = if traffic.bytes > before { 0 } else { quiet + 1 };
            from = 1 - from;
            assert!(traffic.flights < FLIGHTS, "a round without end");
        }
        traffic
    }

    /// Takes what both ends tell.
    fn drain(&mut self, told: &mut [Told; 2]) {
        let sides = self.ends.iter_mut().zip(&mut self.sets);
        told.iter_mut().zip(sides).for_each(|(told, (end, set))| told.drain(end, set));
    }

    /// Sends what was found.
    fn apply(&mut self, told: [Told; 2]) {
        let [first, second] = told;
        self.sets[1].extend(first.pushes);
        self.sets[0].extend(second.pushes);
    }

    /// Whether the two hold the same keys.
    fn is_level(&mut self) -> bool {
        let [a, b] = self.sets.each_mut().map(Set::snapshot);
        a.all().eq(b.all())
    }

    /// Rounds until one says that the two are level, and they are; how many that took.
    fn come_level(&mut self, most: usize) -> usize {
        for round in 1..=most {
            let (_, told) = self.round(|_, step| Some(step));
            if told.iter().all(|told| told.ending == Some(Ending::Level)) {
                assert!(self.is_level(), "a difference went unnoticed");
                return round;
            }
            self.apply(told);
        }
        panic!("not level after {most} rounds");
    }
}

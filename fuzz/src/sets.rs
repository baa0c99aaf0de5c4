//! A body for two peers who bring their sets level while somebody forges what one of them hears.

use bytes::Bytes;
use mesh_sync::set::{Ending, Event, Key, Reconciler, Set};
use mesh_wire::message::set::Reconcile;
use mesh_wire::{Hash, Role, UnixTime, Wire, limits};

use crate::source::Source;

/// Bytes that one end may hold beside its snapshot.
const WEIGHT: usize = 5 << 20;
/// Honest messages remembered, to be altered.
const REMEMBERED: usize = 16;
/// Items that one of the two sets may have.
const ITEMS: u64 = 4000;
/// Flights that an honest round takes at most with so few items.
const FLIGHTS: usize = 1000;

struct Pair {
    sets: [Set; 2],
    ends: [Reconciler; 2],
    remembered: Vec<Bytes>,
}

fn ends(binding: [u8; 32]) -> [Reconciler; 2] {
    [Role::Initiator, Role::Responder].map(|role| Reconciler::new(role, binding, 0))
}

/// Items come and go, rounds begin and are broken off, and messages to either end are forged. When
/// that is over the two come level.
pub fn sets(data: &[u8]) {
    let mut source = Source::new(data);
    let room = source.pick(&[limits::RECORD_BYTES, 3000]);
    let sets = [Set::new(), Set::new()];
    let mut pair = Pair { sets, ends: ends([7; 32]), remembered: Vec::new() };
    while let Some(choice) = source.next() {
        match choice % 8 {
            0 | 1 => pair.insert(&mut source),
            2 => pair.ends[0].start(&mut pair.sets[0]),
            3 => {
                for from in [0, 1].repeat(source.below(64)) {
                    pair.pass(from, room);
                }
            }
            4 => pair.ends.iter_mut().for_each(Reconciler::repeat),
            5 => {
                let (to, bytes) = (source.below(2), source.bytes());
                pair.forge(to, bytes);
            }
            6 => {
                let (to, at) = (source.below(2), source.below(REMEMBERED));
                let honest = pair.remembered.get(at).cloned().unwrap_or_default();
                let altered = source.altered(&honest);
                pair.forge(to, altered.into());
            }
            _ => pair.remove(source.below(2)),
        }
        pair.settle();
    }
    pair.come_level(room);
}

impl Pair {
    /// Some items of one time and of a following run of ids, to one end or both.
    fn insert(&mut self, source: &mut Source<'_>) {
        let (who, count) = (source.byte() % 3, source.byte());
        let (time, first) = (source.below(1 << 16) as u64, source.byte());
        // Some stand close together, some years apart.
        let time = UnixTime(time << (source.byte() % 33));
        for number in 0..count {
            let mut id = [first; 32];
            id[usize::from(first % 32)] = number;
            for (index, set) in self.sets.iter_mut().enumerate() {
                if usize::from(who) != index && set.len() < ITEMS {
                    set.insert(Key::new(time, Hash(id)));
                }
            }
        }
    }

    /// The oldest item of one set.
    fn remove(&mut self, who: usize) {
        let oldest = self.sets[who].snapshot().all().next().copied();
        if let Some(key) = oldest {
            assert!(self.sets[who].remove(&key));
        }
    }

    /// A message to end `to`, if these bytes are one.
    fn forge(&mut self, to: usize, bytes: Bytes) {
        if let Ok(message) = Reconcile::from_bytes(bytes) {
            // A fault is the forger's.
            let _ = self.ends[to].handle(&mut self.sets[to], message);
        }
    }

    /// One message from end `from` to the other, through its bytes; whether there was one.
    fn pass(&mut self, from: usize, room: usize) -> bool {
        let Some(message) = self.ends[from].poll_send(room) else { return false };
        let bytes = message.to_bytes();
        assert!(bytes.len() <= room, "{} bytes into a room of {room}", bytes.len());
        if self.remembered.len() == REMEMBERED {
            self.remembered.remove(0);
        }
        self.remembered.push(bytes.clone());
        let message = Reconcile::from_bytes(bytes).expect("what was written is read");
        // Where something was forged before, an honest message may come at a wrong moment.
        let _ = self.ends[1 - from].handle(&mut self.sets[1 - from], message);
        true
    }

    /// Takes the events: what an end finds missing at the other goes there. How the round ended,
    /// for whom it did.
    fn settle(&mut self) -> [Option<Ending>; 2] {
        let mut endings = [None; 2];
        for (at, how) in endings.iter_mut().enumerate() {
            while let Some(event) = self.ends[at].poll_event() {
                match event {
                    Event::Push(spans) => {
                        let snapshot = self.sets[at].snapshot();
                        let keys = spans.into_iter().flat_map(|span| snapshot.keys(span));
                        self.sets[1 - at].extend(keys.copied());
                    }
                    Event::Ended { ending, .. } => *how = Some(ending),
                }
            }
            let weight = self.ends[at].weight();
            assert!(weight <= WEIGHT, "{weight} bytes held");
        }
        endings
    }

    /// Over a new link, on which nobody forges, two rounds suffice, the second one to see it.
    fn come_level(&mut self, room: usize) {
        self.ends = ends([8; 32]);
        for _ in 0..2 {
            self.ends[0].start(&mut self.sets[0]);
            let mut endings = [None; 2];
            for flight in 0.. {
                assert!(flight < FLIGHTS, "a round without end");
                let mut is_quiet = true;
                while self.pass(flight % 2, room) {
                    is_quiet = false;
                }
                let new = self.settle();
                endings = [0, 1].map(|at| new[at].or(endings[at]));
                if is_quiet && flight > 1 && endings.iter().all(Option::is_some) {
                    break;
                }
            }
            if endings == [Some(Ending::Level); 2] {
                break;
            }
        }
        let [first, second] = self.sets.each_mut().map(Set::snapshot);
        assert!(first.all().eq(second.all()), "the two are not level");
    }
}

//! Ours: `mesh_sync::set`.

use std::time::Duration;

use mesh_sync::set::{Ending, Event, Key, Reconciler, Set};
use mesh_wire::message::SyncMessage;
use mesh_wire::{Hash, Role, UnixTime, Wire, limits};

use crate::sets::{Item, Spread, pair};
use crate::{Cost, timed};

fn set(items: &[Item]) -> Set {
    items.iter().map(|(time, id)| Key::new(UnixTime(*time), Hash(*id))).collect()
}

/// One round, until both sides know what they have to send.
pub(crate) fn run(a: &[Item], b: &[Item]) -> Cost {
    let mut sets = [set(a), set(b)];
    // The allocator tidies up after the building of the trees when it is next asked for something;
    // that is not the round's.
    round(&mut sets);
    round(&mut sets)
}

fn round(sets: &mut [Set; 2]) -> Cost {
    let snapshots = sets.each_mut().map(Set::snapshot);
    let mut ends = [Role::Initiator, Role::Responder].map(|role| Reconciler::new(role, [7; 32], 0));
    let mut cost = Cost { bytes: 0, flights: 0, found: 0, time: Duration::ZERO };
    let ((), time) = timed(|| ends[0].start(&mut sets[0]));
    cost.time += time;
    let (mut from, mut over) = (0, 0);
    while over < 2 {
        let before = cost.bytes;
        let ((), time) = timed(|| {
            while let Some(message) = ends[from].poll_send(limits::RECORD_BYTES) {
                let bytes = SyncMessage::from(message).to_bytes();
                cost.bytes += bytes.len();
                let Ok(SyncMessage::Reconcile(message)) = SyncMessage::from_bytes(bytes) else {
                    panic!("it was just written")
                };
                ends[1 - from].handle(&mut sets[1 - from], message).expect("an honest message");
            }
        });
        cost.time += time;
        cost.flights += usize::from(cost.bytes > before);
        for at in 0..2 {
            while let Some(event) = ends[at].poll_event() {
                match event {
                    Event::Push(spans) => {
                        let keys = spans.into_iter().flat_map(|span| snapshots[at].keys(span));
                        cost.found += keys.count();
                    }
                    Event::Ended { ending, .. } => {
                        assert_eq!(ending, Ending::Different);
                        over += 1;
                    }
                }
            }
        }
        from = 1 - from;
    }
    cost
}

/// What the trees themselves cost.
pub(crate) fn trees() {
    println!("| items | B/item held | build, ns/item | one more and its hashes, µs |");
    println!("|---|---|---|---|");
    for items in [10_000, 100_000, 1_000_000] {
        let (all, _) = pair(items, 1, Spread::Tail);
        let (mut tree, built) = timed(|| {
            let mut tree = set(&all);
            let _ = tree.snapshot();
            tree
        });
        const MORE: u64 = 1000;
        let ((), more) = timed(|| {
            for number in 0..MORE {
                let mut id = [0; 32];
                id[..8].copy_from_slice(&number.to_be_bytes());
                let time = all[(number as usize * 7919) % all.len()].0;
                tree.insert(Key::new(UnixTime(time), Hash(id)));
                let _ = tree.snapshot();
            }
        });
        let held = tree.weight() as f64 / tree.len() as f64;
        let build = built.as_nanos() / items as u128;
        let more = more.as_secs_f64() * 1e6 / MORE as f64;
        println!("| {items} | {held:.1} | {build} | {more:.1} |");
    }
}

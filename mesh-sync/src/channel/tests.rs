//! Items, heads and runs, true and forged.

use std::vec;
use std::vec::Vec;

use bytes::Bytes;
use mesh_wire::codec::{Extensions, List, Opaque, Wire};
use mesh_wire::message::sync::{
    Checkpoint, Item, ItemHeader, ItemKind, Items, Place, Retract, Right,
};
use mesh_wire::{ChannelId, Fault, Hash, Label, Rng, UnixTime, limits};

use super::item::{self, Checked};
use super::{Channel, LogId, ORIGIN, log};
use crate::command::{Content, NewItem, Readers};
use crate::library::Library;
use crate::store::MemoryStore;

/// An item that says something about its channel.
fn control(kind: ItemKind, place: &Place, content: Bytes) -> Checked {
    let header = ItemHeader {
        kind,
        time: UnixTime(1000),
        name: Label::default(),
        size: content.len() as u64,
        hash: Hash(*blake3::hash(&content).as_bytes()),
        extensions: Default::default(),
    };
    let header = Opaque::new(header.to_bytes()).unwrap();
    item::check(place, &Item { header, body: Opaque::new(content).unwrap() }).unwrap()
}

fn rng() -> Rng {
    Rng::from_seed([9; 32])
}

/// A library with a channel of `items` texts and its genesis.
fn origin(items: usize) -> (Library<MemoryStore>, ChannelId) {
    let mut library = Library::closed(MemoryStore::default());
    let mut rng = Rng::from_seed([items as u8; 32]);
    let name = Label::new("news").unwrap();
    let id =
        library.create(UnixTime(1_700_000_000_000), (&name, Readers::Everybody), &mut rng).unwrap();
    let text = |number| NewItem {
        kind: ItemKind::Text,
        name: Label::default(),
        content: Content::Inline(Bytes::from(std::format!("text {number}"))),
        expires: None,
    };
    library.publish(UnixTime(5), &id, (0..items).map(text).collect(), &mut rng).unwrap();
    (library, id)
}

/// The log of the origin.
fn origins(id: &ChannelId) -> LogId {
    LogId { channel: *id, log: ORIGIN }
}

/// The items of `range` as they travel.
fn run(library: &mut Library<MemoryStore>, id: &ChannelId, first: u64, count: u64) -> Items {
    library.run(&origins(id), first..first + count, usize::MAX).unwrap().unwrap()
}

/// A library that follows the channel and took these runs.
fn follower(id: ChannelId, runs: &[Items]) -> Library<MemoryStore> {
    let mut library = Library::closed(MemoryStore::default());
    library.follow(id).unwrap();
    for run in runs {
        let verified = log::verify(&library.channels[&id], run).unwrap();
        library.keep(&id, verified, UnixTime(0)).unwrap();
    }
    library
}

// spec: SYNC-2
#[test]
fn a_channel_is_named_by_its_first_item() {
    let (mut library, id) = origin(3);
    let genesis = run(&mut library, &id, 0, 1).items.iter().next().unwrap();
    assert_eq!(crate::merkle::tree::leaf(genesis.header.bytes()).0, id.0);
    assert_eq!(super::name(&genesis).unwrap().as_str(), "news");
    let (_, other) = origin(4);
    let everything = run(&mut library, &id, 0, 4);
    let Err(fault) = log::verify(&Channel::unknown(other), &everything) else { panic!() };
    assert_eq!(fault, Fault::Forged("a first item of another channel"));
}

// spec: SYNC-3
#[test]
fn items_that_break_the_rules_are_refused() {
    let name = |text: &str| Label::new(text).unwrap();
    let good = ItemHeader {
        kind: ItemKind::Text,
        time: UnixTime(1),
        name: name("a"),
        size: 5,
        hash: Hash(*blake3::hash(b"hello").as_bytes()),
        extensions: Default::default(),
    };
    let check = |seq, header: &ItemHeader, body: &[u8]| {
        let header = Opaque::new(header.to_bytes()).unwrap();
        let body = Opaque::new(Bytes::copy_from_slice(body)).unwrap();
        item::check(&Place { log: ORIGIN, seq }, &Item { header, body }).is_ok()
    };
    assert!(check(1, &good, b"hello"));
    assert!(!check(0, &good, b"hello"), "not a genesis");
    assert!(!check(1, &good, b"hellO") && !check(1, &good, b"hell"));
    let genesis = ItemHeader { kind: ItemKind::Genesis, ..good.clone() };
    assert!(check(0, &genesis, b"hello") && !check(1, &genesis, b"hello"));
    // The content of a text or a file may be left out, that of nothing else.
    let of = |kind| ItemHeader { kind, ..good.clone() };
    assert!(check(1, &good, b"") && check(1, &of(ItemKind::File), b"") && !check(0, &genesis, b""));
    let rulings = [ItemKind::Grant, ItemKind::Checkpoint, ItemKind::Keys, ItemKind::Retract];
    assert!(rulings.into_iter().all(|kind| !check(1, &of(kind), b"")));
    let long = ItemHeader { name: name(&"n".repeat(65)), ..genesis.clone() };
    assert!(!check(0, &long, b"hello"));
    let blob = |size| ItemHeader { size, ..good.clone() };
    assert!(check(1, &blob(limits::INLINE_BYTES as u64 + 1), b""));
    assert!(!check(1, &blob(limits::INLINE_BYTES as u64 + 1), b"hello"));
    assert!(check(1, &blob(limits::BLOB_BYTES), b""));
    assert!(!check(1, &blob(limits::BLOB_BYTES + 1), b""));
    assert!(!check(1, &blob(0), b""), "nothing has another hash");
}

// spec: SYNC-5, SYNC-6
#[test]
fn c_01_a_run_with_any_bit_changed_is_refused() {
    let (mut library, id) = origin(12);
    for (first, count) in [(0, 13), (0, 1), (5, 3), (8, 1), (12, 1), (3, 5)] {
        let before: Vec<Items> =
            if first == 0 { vec![] } else { vec![run(&mut library, &id, 0, first)] };
        let library_before = follower(id, &before);
        let channel = &library_before.channels[&id];
        let good = run(&mut library, &id, first, count);
        assert!(log::verify(channel, &good).is_ok());
        let encoded = good.to_bytes();
        for bit in 0..encoded.len() * 8 {
            let mut bytes = encoded.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let Ok(forged) = Items::from_bytes(bytes.into()) else { continue };
            let moved = (forged.channel, forged.log, forged.first) != (0, 0, first);
            assert!(moved || log::verify(channel, &forged).is_err(), "{first} {count} bit {bit}");
        }
        let mut order: Vec<Item> = good.items.iter().collect();
        order.rotate_left(1);
        let swapped = Items { items: List::new(&order), ..good.clone() };
        assert_eq!(log::verify(channel, &swapped).is_err(), count > 1);
        let fewer = Items { items: List::new(&order[1..]), ..good.clone() };
        assert!(count == 1 || log::verify(channel, &fewer).is_err());
        let twice: Vec<Item> = good.items.iter().chain(good.items.iter()).collect();
        let longer = Items { items: List::new(&twice), ..good.clone() };
        assert!(log::verify(channel, &longer).is_err());
    }
}

// spec: SYNC-7
#[test]
fn who_has_a_part_can_pass_it_on() {
    let (mut library, id) = origin(20);
    let size = 21;
    for part in 1..=size {
        for cut in 0..part {
            let mut runs = vec![];
            if cut > 0 {
                runs.push(run(&mut library, &id, 0, cut));
            }
            runs.push(run(&mut library, &id, cut, part - cut));
            let mut middle = follower(id, &runs);
            for split in 1..=part {
                let first = run(&mut middle, &id, 0, split);
                assert_eq!((first.size, first.items.len() as u64), (size, split));
                let mut passed = vec![first];
                if split < part {
                    passed.push(run(&mut middle, &id, split, part - split));
                }
                let end = follower(id, &passed);
                let here = &end.channels[&id].logs[0];
                assert_eq!(here.frontier, middle.channels[&id].logs[0].frontier);
            }
        }
    }
}

// spec: SYNC-44
#[test]
fn a_writer_retracts_nothing_of_others() {
    let (mut library, id) = origin(3);
    let link = library.request(&id, (Label::new("a").unwrap(), Right::Write), &mut rng()).unwrap();
    library.grant(UnixTime(1), &link, None).unwrap();
    let charter = &library.channels[&id].charter;
    let says = |place: Place, items: &[(u32, u64)]| {
        let item = |(log, seq): &(u32, u64)| Place { log: *log, seq: *seq };
        let items = List::new(&items.iter().map(item).collect::<Vec<_>>());
        let content = Retract { items, extensions: Default::default() }.to_bytes();
        let checked = control(ItemKind::Retract, &place, content);
        charter.clone().rule(&id, &place, &checked).is_ok()
    };
    let (own, owner) = (Place { log: 1, seq: 5 }, Place { log: 0, seq: 5 });
    assert!(says(own.clone(), &[(1, 4), (1, 0)]) && says(own.clone(), &[]));
    for not_before in [5, 6, u64::MAX >> 2] {
        assert!(!says(own.clone(), &[(1, 0), (1, not_before)]));
        assert!(!says(owner.clone(), &[(0, not_before)]));
    }
    assert!(!says(own.clone(), &[(0, 1)]) && !says(own, &[(1, 0), (2, 0)]));
    // The owner names what it likes, also what is not there yet, in logs that there are.
    assert!(says(owner.clone(), &[(0, 1), (1, 9)]) && !says(owner.clone(), &[(2, 0)]));
    assert!(!says(owner, &[(1, limits::LOG_ITEMS)]));
}

// spec: SYNC-66
#[test]
fn a_promise_of_no_moment_is_none() {
    let (library, id) = origin(3);
    let promised = |extensions: Extensions| {
        let content = Checkpoint { logs: List::default(), extensions }.to_bytes();
        let place = Place { log: 0, seq: 5 };
        let checked = control(ItemKind::Checkpoint, &place, content);
        let mut charter = library.channels[&id].charter.clone();
        charter.rule(&id, &place, &checked).unwrap();
        charter.promise().cloned()
    };
    let next = |bytes: &[u8]| promised(Extensions::one(2, bytes).unwrap());
    assert_eq!(next(&[0, 0, 0, 0, 9, 9]).unwrap().next, UnixTime(0x0909));
    assert_eq!((next(&[0; 5]), next(&[0; 7]), promised(Extensions::default())), (None, None, None));
    // One that was over when it was made is renewed at once, and not before it was made.
    let over = next(&[0; 6]).unwrap();
    assert_eq!((over.period().as_millis(), over.renewal()), (0, UnixTime(1000)));
}

// spec: SYNC-7
#[test]
fn a_log_that_grew_meanwhile_is_proven_by_its_newest_head() {
    let (mut library, id) = origin(5);
    let old = run(&mut library, &id, 0, 4);
    let text = NewItem {
        kind: ItemKind::Text,
        name: Label::default(),
        content: Content::Inline(Bytes::from_static(b"more")),
        expires: None,
    };
    library.publish(UnixTime(6), &id, vec![text; 700], &mut rng()).unwrap();
    let new = run(&mut library, &id, 2, 500);
    assert_eq!((old.size, new.size, new.items.len()), (6, 706, 500));
    let here = follower(id, &[old, new]);
    assert_eq!(here.channels[&id].logs[0].size(), 502);
    // And it is still so after a restart.
    let mut again = Library::closed(here.store.clone());
    again.open().unwrap();
    assert!(!again.channels[&id].damaged);
    assert_eq!(again.channels[&id].logs[0].head, here.channels[&id].logs[0].head);
    assert_eq!(again.channels[&id].logs[0].frontier, here.channels[&id].logs[0].frontier);
}

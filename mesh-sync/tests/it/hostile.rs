//! Neighbours that lie, forge, flood and fall silent.

use std::time::Duration;

use bytes::Bytes;
use mesh_sim::{hostile, seeds};
use mesh_sync::{BlobId, Event, MemoryStore, Sync};
use mesh_wire::codec::{List, Opaque, Wire};
use mesh_wire::message::SyncMessage;
use mesh_wire::message::sync::{
    Claim, Gateway, GroupData, Heard, Items, LogSummary, PageAsk, PageHave, Share, Summary, Want,
};
use mesh_wire::{ChannelId, Fault, Hash, Input, Label, LinkId, Machine, Rng, limits};

use crate::pump::{Carried, Pump};
use crate::world::*;

/// An origin and a follower, not linked yet.
fn pair() -> (Pump, ChannelId) {
    let node = |seed| Sync::open(MemoryStore::default(), Rng::from_seed([seed; 32])).unwrap();
    let mut pump = Pump::new(vec![node(1), node(2)]);
    let now = pump.now;
    let channel = pump.nodes[0].create_channel(now, &Label::new("news").unwrap()).unwrap();
    pump.nodes[1].follow(now, channel).unwrap();
    (pump, channel)
}

/// The messages that `node` sends, of those that `pick` picks, while all arrive.
fn watch<T>(pump: &mut Pump, node: usize, pick: impl Fn(&SyncMessage) -> Option<T>) -> Vec<T> {
    let mut seen = Vec::new();
    pump.run(Duration::from_secs(5), |from, message| {
        if from == node {
            seen.extend(pick(&message));
        }
        Carried::As(message)
    });
    seen
}

fn receive(pump: &mut Pump, node: usize, link: LinkId, message: impl Into<SyncMessage>) {
    pump.handle(node, Input::Receive(link, message.into()));
}

/// A blob at node 0 in the channel that both have, and everything level.
fn level_with_blob() -> (Pump, ChannelId, BlobId) {
    let (mut pump, channel) = pair();
    let now = pump.now;
    let bytes = content(&mut Rng::from_seed([1; 32]), 200_000);
    let blob = adopt(&mut pump.nodes[0], now, &bytes).unwrap();
    pump.nodes[0].publish(now, &channel, vec![file("file", blob)]).unwrap();
    (pump, channel, blob)
}

// spec: SYNC-13, SYNC-24
#[test]
fn c_01_forged_items_change_nothing_and_their_sender_is_asked_no_more() {
    let (mut pump, channel) = pair();
    let now = pump.now;
    pump.nodes[0].publish(now, &channel, texts(20)).unwrap();
    pump.connect(0, 1);
    let before = pump.nodes[1].store().clone();
    let mut after = 0;
    pump.run(SOON, |from, message| match message {
        SyncMessage::Items(mut items) => {
            items.signature[5] ^= 1;
            Carried::As(items.into())
        }
        SyncMessage::Want(want) if from == 1 => {
            after += 1;
            Carried::As(want.into())
        }
        message => Carried::As(message),
    });
    assert_eq!(pump.faults(1), [Fault::Forged("items that their writer did not sign").to_string()]);
    assert!(*pump.nodes[1].store() == before, "the store is as it was");
    assert_eq!(after, 1, "one request, and none after the forgery");
    // Another neighbour with the same is welcome.
    pump.connect(0, 1);
    pump.settle();
    assert_eq!(pump.nodes[1].channel(&channel).unwrap().items, 21);
}

/// Two nodes that are level, the link at the second one, and the last run it took.
fn level_pair() -> (Pump, LinkId, Items, BlobId) {
    let (mut pump, _, blob) = level_with_blob();
    let [_, link] = pump.connect(0, 1);
    let mut run: Option<Items> = None;
    pump.run(SOON, |_, message| {
        if let SyncMessage::Items(items) = &message {
            run = Some(items.clone());
        }
        Carried::As(message)
    });
    (pump, link, run.unwrap(), blob)
}

// spec: SYNC-13
#[test]
fn w_01_a_message_that_is_refused_leaves_everything_as_it_was() {
    let (_, _, good, blob) = level_pair();
    let header = Opaque::new(Bytes::from_static(b"no header")).unwrap();
    let item = mesh_wire::message::sync::Item { header, body: Opaque::default() };
    let genesis = good.items.iter().next().unwrap();
    let log = LogSummary { log: 0, size: limits::LOG_ITEMS + 1, root: [0; 8] };
    let summary = |log: &LogSummary| {
        let (claims, logs) = (List::new([]), List::new([log]));
        Summary { serial: 9000, channel: good.channel, blobs: 0, claims, logs }.into()
    };
    let far = LogSummary { log: limits::LOGS as u32, size: 1, ..log.clone() };
    let ask = PageAsk { handle: 70, channel: 0, hash: blob.hash, size: blob.size, page: 1 };
    let refused: [SyncMessage; 8] = [
        Items { first: 2, items: List::new([&item]), size: 3, ..good.clone() }.into(),
        Items { first: 2, size: u64::MAX >> 2, ..good.clone() }.into(),
        Items { first: 1, items: List::new(&[genesis, item]), ..good.clone() }.into(),
        summary(&log),
        summary(&far),
        ask.clone().into(),
        PageAsk { size: 1 << 62, page: 0, ..ask.clone() }.into(),
        PageAsk { size: 16, page: 0, ..ask }.into(),
    ];
    for message in refused {
        let (mut pump, link, _, _) = level_pair();
        let (store, weight) = (pump.nodes[1].store().clone(), pump.nodes[1].weight());
        receive(&mut pump, 1, link, message.clone());
        assert_eq!(pump.faults(1).len(), 1, "{message:?}");
        assert!(*pump.nodes[1].store() == store, "{message:?}");
        // All that is new is that the neighbour may have to be told something.
        assert!(pump.nodes[1].weight() <= weight + 40, "{message:?}");
    }
}

// spec: SYNC-16
#[test]
fn c_07_what_a_neighbour_may_not_know_looks_like_what_is_not_here() {
    let (mut pump, channel, shared) = level_with_blob();
    let now = pump.now;
    let hidden = pump.nodes[0].create_channel(now, &Label::new("hidden").unwrap()).unwrap();
    let bytes = content(&mut Rng::from_seed([2; 32]), 200_000);
    let secret = adopt(&mut pump.nodes[0], now, &bytes).unwrap();
    pump.nodes[0].publish(now, &hidden, vec![file("secret", secret)]).unwrap();
    let [link, _] = pump.connect(0, 1);
    let index = watch(&mut pump, 1, |message| match message {
        SyncMessage::Summary(summary) => Some(summary.channel),
        _ => None,
    })[0];
    let nowhere = BlobId { hash: Hash([7; 32]), size: 200_000 };
    let wrong_size = BlobId { size: 200_001, ..shared };
    let asks = [
        (secret, index),
        (nowhere, index),
        (wrong_size, index),
        (shared, index + 1),
        (shared, index),
    ];
    let mut answers = Vec::new();
    for (handle, (blob, channel)) in (900..).zip(asks) {
        let BlobId { hash, size } = blob;
        receive(&mut pump, 0, link, PageAsk { handle, channel, hash, size, page: 0 });
        let Some(SyncMessage::PageHave(have)) = pump.poll(0, link) else { panic!("no answer") };
        receive(&mut pump, 0, link, Heard { serials: List::new(&[have.serial]) });
        assert_eq!(have.handle, handle);
        answers.push(have.groups.bytes().clone());
        // And nothing of it is given.
        if blob != shared {
            let groups = List::new(&[0, 1]);
            receive(&mut pump, 0, link, mesh_wire::message::sync::GroupsWant { handle, groups });
            receive(&mut pump, 0, link, mesh_wire::message::sync::CvsWant { handle, level: 0 });
            assert_eq!(pump.poll(0, link), None);
        }
    }
    assert_eq!(answers, [&b""[..], b"", b"", b"", b"\x0f"]);
    assert!(pump.nodes[0].channel(&channel).is_some());
}

// spec: SYNC-18, SYNC-19
#[test]
fn c_02_lies_about_sizes_and_shapes_reserve_nothing() {
    let (mut pump, channel) = pair();
    let now = pump.now;
    let giant = BlobId { hash: Hash([9; 32]), size: limits::BLOB_BYTES };
    pump.nodes[0].publish(now, &channel, vec![file("giant", giant)]).unwrap();
    let [_, link] = pump.connect(0, 1);
    let handles = watch(&mut pump, 1, |message| match message {
        SyncMessage::PageAsk(ask) => Some(ask.handle),
        _ => None,
    });
    assert_eq!(handles.len(), limits::OPEN_PAGES);
    let handle = handles[0];
    let all = |bytes: usize| Opaque::new(vec![0xff; bytes].into()).unwrap();
    receive(&mut pump, 1, link, PageHave { serial: 9000, handle, groups: all(128) });
    assert!(matches!(pump.poll(1, link), Some(SyncMessage::Heard(_))));
    let Some(SyncMessage::CvsWant(want)) = pump.poll(1, link) else { panic!("asks from the top") };
    assert_eq!((want.handle, want.level), (handle, 3));
    let cvs = List::new(&[Hash([1; 32]); 16]);
    let level = 3;
    receive(&mut pump, 1, link, mesh_wire::message::sync::Cvs { handle, level, cvs });
    assert_eq!(pump.faults(1).len(), 1);
    // A group that nobody can verify is not even looked at.
    let bytes = Opaque::new(vec![0; 1 << 16].into()).unwrap();
    receive(&mut pump, 1, link, GroupData { handle, group: 0, bytes });
    assert_eq!(pump.nodes[1].store().blob_bytes(&giant.hash), None);
    assert_eq!(pump.nodes[1].blob(&giant).unwrap().groups_here, 0);
    assert!(pump.nodes[1].weight() < 64 << 10);
}

#[test]
fn c_06_a_hundred_thousand_tiny_items_take_no_more_memory_than_a_thousand() {
    let (mut pump, channel) = pair();
    let now = pump.now;
    pump.connect(0, 1);
    let mut weights = Vec::new();
    for _ in 0..100 {
        // Names that differ in case only are different names.
        let tiny = |number| match number % 2 {
            0 => mesh_sync::NewItem { name: Label::new("readme").unwrap(), ..text("a") },
            _ => mesh_sync::NewItem { name: Label::new("README").unwrap(), ..text("b") },
        };
        pump.nodes[0].publish(now, &channel, (0..1000).map(tiny).collect()).unwrap();
        pump.exchange(|_, message| Carried::As(message));
        weights.push(pump.nodes[1].weight());
    }
    assert_eq!(pump.nodes[1].channel(&channel).unwrap().items, 100_001);
    let items = pump.nodes[1].items(&channel, 1..3).unwrap();
    assert_eq!(
        [items[0].header.name.as_str(), items[1].header.name.as_str()],
        ["readme", "README"]
    );
    assert_eq!(pump.nodes[1].content(&channel, 2).unwrap().unwrap(), "b");
    assert!(weights.last() <= weights.first(), "{weights:?}");
}

/// A neighbour whose every message is changed on its way, in its fields or in its bytes.
fn lie(rng: &mut Rng, message: &SyncMessage) -> Option<SyncMessage> {
    if rng.below(3) > 0 {
        return Some(message.clone());
    }
    (0..20).find_map(|_| {
        let bytes = hostile::mutated(rng, &message.to_bytes());
        SyncMessage::from_bytes(Bytes::from(bytes)).ok()
    })
}

#[test]
fn s_02_a_neighbour_that_lies_in_every_message_gains_nothing() {
    for seed in seeds(60) {
        let (mut pump, channel, blob) = level_with_blob();
        let now = pump.now;
        pump.nodes[0].publish(now, &channel, texts(30)).unwrap();
        pump.connect(0, 1);
        let mut rng = mesh_sim::seed::rng(seed);
        let (mut asked, mut answered) = (0_usize, 0_usize);
        pump.run(Duration::from_secs(3600), |from, message| {
            if from == 1 {
                answered += message.size();
                return Carried::As(message);
            }
            let lied = lie(&mut rng, &message);
            asked += lied.as_ref().map_or(0, Wire::size);
            lied.map_or(Carried::Lost, Carried::As)
        });
        assert!(answered <= 64 * asked + (8 << 10), "{answered} bytes for {asked}");
        // What the follower has is the truth, as far as it has it.
        let here = pump.nodes[1].channel(&channel).unwrap();
        for seq in 0..here.items {
            let there = pump.nodes[0].content(&channel, seq).unwrap();
            assert_eq!(pump.nodes[1].content(&channel, seq).unwrap(), there);
        }
        let truth = pump.nodes[0].store().blob_bytes(&blob.hash).unwrap();
        if let Some(bytes) = pump.nodes[1].store().blob_bytes(&blob.hash) {
            for (here, there) in bytes.chunks(1 << 16).zip(truth.chunks(1 << 16)) {
                assert!(here == there || here.iter().all(|byte| *byte == 0));
            }
        }
        // And it is not harmed: an honest neighbour gives it the rest.
        pump.disconnect();
        pump.connect(0, 1);
        pump.settle();
        assert_eq!(pump.nodes[1].channel(&channel).unwrap().items, 32);
        assert!(pump.nodes[1].blob(&blob).unwrap().is_complete());
    }
}

#[test]
fn s_02_promises_that_are_not_kept_are_asked_for_a_bounded_number_of_times() {
    let (mut pump, channel) = pair();
    let now = pump.now;
    pump.nodes[0].publish(now, &channel, texts(5)).unwrap();
    pump.connect(0, 1);
    let mut wants = 0;
    pump.run(Duration::from_secs(24 * 3600), |_, message| match message {
        SyncMessage::Items(_) => Carried::Lost,
        SyncMessage::Want(_) => {
            wants += 1;
            Carried::As(message)
        }
        message => Carried::As(message),
    });
    assert_eq!(wants, limits::UNANSWERED);
}

// spec: SYNC-12
#[test]
fn s_03_nobody_is_sent_more_than_it_granted() {
    let (mut pump, channel) = pair();
    let now = pump.now;
    let long = (0..400).map(|_| text(&"x".repeat(10_000))).collect();
    pump.nodes[0].publish(now, &channel, long).unwrap();
    let [link, _] = pump.connect(0, 1);
    let index = watch(&mut pump, 1, |message| match message {
        SyncMessage::Summary(summary) => Some(summary.channel),
        _ => None,
    })[0];
    let drain = |pump: &mut Pump, serial, first, bytes| {
        receive(pump, 0, link, Want { channel: index, log: 0, serial, first, bytes });
        let mut sent = 0;
        while let Some(SyncMessage::Items(items)) = pump.poll(0, link) {
            sent += items.items.iter().map(|item| item.size()).sum::<usize>();
        }
        sent
    };
    let message = limits::RECORD_BYTES;
    assert_eq!(drain(&mut pump, 500, 0, 0), 0);
    let sent = drain(&mut pump, 501, 0, 100_000);
    assert!((100_000..100_000 + message).contains(&sent), "{sent}");
    assert_eq!(drain(&mut pump, 501, 0, 100_000), 0, "said twice, granted once");
    let sent = drain(&mut pump, 502, 0, u64::MAX >> 2);
    let most = limits::WANT_BYTES as usize;
    assert!((most..most + message).contains(&sent), "{sent}");
    assert_eq!(drain(&mut pump, 503, 1 << 50, 1000), 0, "beyond the end there is nothing");
}

#[test]
fn a_flood_of_anything_is_held_in_bounded_memory() {
    let (mut pump, channel, blob) = level_with_blob();
    let [link, _] = pump.connect(0, 1);
    pump.settle();
    let mut rng = Rng::from_seed([9; 32]);
    for serial in 0..20_000 {
        let tokens: Vec<[u8; 8]> = (0..rng.below(513)).map(|_| rng.bytes()).collect();
        let draw = |rng: &mut Rng| rng.below(600) as u32;
        let message: SyncMessage = match rng.below(6) {
            0 if serial % 50 == 0 => Share { serial, tokens: List::new(&tokens) }.into(),
            1 => PageAsk {
                handle: draw(&mut rng),
                channel: draw(&mut rng) % 16,
                hash: blob.hash,
                size: blob.size,
                page: 0,
            }
            .into(),
            2 => mesh_wire::message::sync::GroupsWant {
                handle: draw(&mut rng),
                groups: List::new(&(0..64).map(|_| rng.below(1 << 16) as u16).collect::<Vec<_>>()),
            }
            .into(),
            3 => {
                let channel = draw(&mut rng) % 16;
                Want { channel, log: 0, serial, first: rng.below(50), bytes: rng.below(1 << 40) }
                    .into()
            }
            4 => Heard { serials: List::new(&[serial, serial + 1]) }.into(),
            _ => {
                let log = LogSummary {
                    log: draw(&mut rng) % limits::LOGS as u32,
                    size: rng.below(50),
                    root: rng.bytes(),
                };
                let (channel, logs) = (draw(&mut rng) % 16, List::new(&[log]));
                let claim = Claim { gateway: Gateway::Shared, draw: 0 };
                let claims = List::new(&Some(claim).filter(|_| rng.below(2) == 0));
                Summary { serial, channel, blobs: rng.below(9), claims, logs }.into()
            }
        };
        receive(&mut pump, 0, link, message);
        assert!(pump.nodes[0].weight() < 128 << 10, "{}", pump.nodes[0].weight());
    }
    let limit = Event::PeerFault { link, fault: Fault::Limit("too many pages at a time") };
    assert!(pump.events.iter().any(|(_, event)| *event == limit));
    assert!(pump.nodes[0].channel(&channel).is_some());
}

// spec: SYNC-23
#[test]
fn bulk_does_not_hold_up_a_short_text() {
    let (mut pump, channel, _) = level_with_blob();
    let now = pump.now;
    let bytes = content(&mut Rng::from_seed([4; 32]), 20 << 20);
    let blob = adopt(&mut pump.nodes[0], now, &bytes).unwrap();
    pump.nodes[0].publish(now, &channel, vec![file("large", blob)]).unwrap();
    let [link, other] = pump.connect(0, 1);
    let mut groups = 0;
    pump.exchange(|_, message| {
        groups += usize::from(matches!(message, SyncMessage::GroupData(_)));
        if groups == 100 { Carried::Stop } else { Carried::As(message) }
    });
    while let Some(message) = pump.poll(1, other) {
        receive(&mut pump, 0, link, message);
    }
    pump.nodes[0].publish(now, &channel, vec![text("hello")]).unwrap();
    let mut before = 0;
    loop {
        match pump.poll(0, link).expect("the text goes out") {
            SyncMessage::Items(_) => break,
            SyncMessage::GroupData(_) => before += 1,
            _ => {}
        }
    }
    assert!(before <= 1, "{before} groups went first");
}

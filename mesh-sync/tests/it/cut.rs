//! Links break at any moment, and what was received stays received.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_sync::{BlobId, MemoryStore, Sync};
use mesh_wire::message::SyncMessage;
use mesh_wire::{ChannelId, Label, Rng};

use crate::pump::{Carried, Pump};
use crate::world::*;

/// An origin with many items and some blobs, and a follower that has nothing.
fn pair() -> (Pump, ChannelId, Vec<BlobId>) {
    let node = |seed| Sync::open(MemoryStore::default(), Rng::from_seed([seed; 32])).unwrap();
    let mut pump = Pump::new(vec![node(1), node(2)]);
    let now = pump.now;
    let channel = pump.nodes[0].create_channel(now, &Label::new("news").unwrap()).unwrap();
    pump.nodes[1].follow(now, channel).unwrap();
    let texts = (0..300).map(|number| text(&format!("{number} {}", "x".repeat(2000)))).collect();
    pump.nodes[0].publish(now, &channel, texts).unwrap();
    let mut rng = Rng::from_seed([3; 32]);
    let sizes = [17_000, 1_000_000, 65_536, 3_000_001];
    let blobs = sizes.map(|size| adopt(&mut pump.nodes[0], now, &content(&mut rng, size)).unwrap());
    let files = blobs.iter().map(|blob| file("file", *blob)).collect();
    pump.nodes[0].publish(now, &channel, files).unwrap();
    (pump, channel, blobs.to_vec())
}

/// What the follower has: items, and groups of all blobs.
fn progress(pump: &Pump, channel: &ChannelId, blobs: &[BlobId]) -> (u64, u64) {
    let here = |blob| pump.nodes[1].blob(blob).unwrap().groups_here;
    (pump.nodes[1].channel(channel).unwrap().items, blobs.iter().map(here).sum())
}

#[test]
fn s_08_a_link_cut_at_any_message_loses_nothing_that_arrived() {
    let (mut pump, channel, blobs) = pair();
    let (mut last, mut groups, mut messages) = ((0, 0), 0, 0);
    for cut in 1..=100 {
        pump.connect(0, 1);
        let mut left = cut;
        pump.run(Duration::from_secs(1), |_, message| {
            if left == 0 {
                return Carried::Stop;
            }
            left -= 1;
            messages += 1;
            groups += u64::from(matches!(message, SyncMessage::GroupData(_)));
            Carried::As(message)
        });
        pump.disconnect();
        let now = progress(&pump, &channel, &blobs);
        assert!(now.0 >= last.0 && now.1 >= last.1, "{last:?} became {now:?} at cut {cut}");
        assert_eq!(now.1, groups, "every group that arrived is kept, none came twice");
        last = now;
    }
    assert!(last.1 > 0, "a hundred cuts, {messages} messages: {last:?}");
    pump.connect(0, 1);
    pump.settle();
    let status = pump.nodes[1].channel(&channel).unwrap();
    assert_eq!((status.items, status.blobs_here, status.bytes), (305, 4, status.bytes_here));
    assert!(pump.faults(0).is_empty() && pump.faults(1).is_empty());
}

#[test]
fn s_08_every_message_may_be_the_one_that_is_lost_with_the_link() {
    let mut seen = BTreeSet::new();
    for at in 0..60 {
        let (mut pump, channel, _) = pair();
        pump.connect(0, 1);
        let mut count = 0;
        pump.run(Duration::from_secs(1), |_, message| {
            count += 1;
            if count <= at {
                return Carried::As(message);
            }
            seen.insert(message.kind());
            Carried::Stop
        });
        pump.disconnect();
        pump.connect(0, 1);
        pump.settle();
        let status = pump.nodes[1].channel(&channel).unwrap();
        assert_eq!((status.items, status.blobs_here), (305, 4), "cut at message {at}");
    }
    assert!(seen.len() >= 10, "{seen:?}");
}

//! Blobs spread from node to node.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_sim::{Quality, seeds};
use mesh_sync::{BlobId, Event, ItemState, MemoryStore, Store, Sync};
use mesh_wire::message::SyncMessage;
use mesh_wire::{ChannelId, Label, Rng, Wire, limits};

use crate::pump::{Carried, Pump};
use crate::world::*;

const GROUP: u64 = 64 << 10;

// spec: SYNC-16, SYNC-19
#[test]
fn a_follower_gets_every_blob() {
    let (mut world, channel) = chain(1, 3, Quality::STREAM);
    let mut rng = world.rng("content");
    let blobs = [16_385, 65_536, 65_537, 5_000_000].map(|size| content(&mut rng, size));
    let ids = publish_blobs(&mut world, &channel, &blobs);
    level(&mut world, &channel);
    for (id, bytes) in ids.iter().zip(&blobs) {
        for node in 1..3 {
            assert!(world.events(node).contains(&Event::BlobHere { blob: *id }));
            assert!(world.node(node).blob(id).unwrap().is_complete());
            assert_eq!(world.node(node).store().blob_bytes(&id.hash), Some(bytes.as_slice()));
        }
    }
    let states = world.node(2).items(&channel, 1..5).unwrap();
    assert!(states.iter().all(|item| item.state == ItemState::Here));
    assert_eq!(faults(&world), []);
}

#[test]
fn more_blobs_than_can_be_open_at_a_time_all_come() {
    let (mut world, channel) = chain(2, 3, Quality::STREAM);
    let mut rng = world.rng("content");
    let blobs: Vec<_> = (0..300).map(|number| content(&mut rng, 17_000 + number)).collect();
    publish_blobs(&mut world, &channel, &blobs);
    level(&mut world, &channel);
    assert_eq!(faults(&world), []);
}

#[test]
fn a_blob_larger_than_a_page_comes_whole() {
    let (mut pump, channel) = nodes(2);
    let bytes = content(&mut Rng::from_seed([1; 32]), (1030 * GROUP) as usize + 5);
    let blob = put(&mut pump, 0, &channel, &bytes);
    pump.connect(0, 1);
    pump.settle();
    assert!(pump.nodes[1].blob(&blob).unwrap().is_complete());
    assert!(pump.nodes[1].store().blob_bytes(&blob.hash) == Some(&bytes));
    for page in 0..2 {
        let values = pump.nodes.iter().map(|node| node.chaining_values(&blob, page));
        let values: Vec<_> = values.map(|values| values.unwrap().unwrap()).collect();
        assert!(values[0] == values[1] && values[0].len() == [1024, 7][page as usize]);
    }
}

// spec: SYNC-21
#[test]
fn two_providers_share_the_work_and_no_group_comes_twice() {
    let (mut pump, channel) = nodes(3);
    let bytes = content(&mut Rng::from_seed([2; 32]), 6 << 20);
    let blob = put(&mut pump, 0, &channel, &bytes);
    pump.connect(0, 1);
    pump.settle();
    pump.disconnect();
    let links = [pump.connect(0, 2)[1], pump.connect(1, 2)[1]];
    let mut groups: BTreeMap<u16, usize> = BTreeMap::new();
    pump.run(SOON, |_, message| {
        if let SyncMessage::GroupData(data) = &message {
            *groups.entry(data.group).or_default() += 1;
        }
        Carried::As(message)
    });
    assert!(pump.nodes[2].blob(&blob).unwrap().is_complete());
    assert!(groups.len() == 96 && groups.values().all(|times| *times == 1), "{groups:?}");
    let sources = pump.nodes[2].sources(&blob);
    assert_eq!(sources.iter().map(|(_, bytes)| bytes).sum::<u64>(), 6 << 20);
    for link in links {
        let (_, bytes) = sources.iter().find(|(from, _)| *from == link).unwrap();
        assert!(*bytes > 2 << 20, "{sources:?}");
    }
}

// spec: SYNC-21
#[test]
fn nodes_that_fetch_together_give_to_each_other() {
    let quality = Quality { bytes_per_second: 1 << 20, ..Quality::STREAM };
    let mut world = world(4, 4);
    let channel = create(&mut world, 0);
    for node in 1..4 {
        follow(&mut world, node, channel);
    }
    let mut links = Vec::new();
    for node in 1..4 {
        links.push(world.connect(0, node, quality).0);
        for other in 1..node {
            world.connect(node, other, quality);
        }
    }
    let mut rng = world.rng("content");
    publish_blobs(&mut world, &channel, &[content(&mut rng, 8 << 20)]);
    level(&mut world, &channel);
    let sent: u64 = links.iter().map(|link| world.traffic(*link).bytes).sum();
    assert!(sent < 18 << 20, "the origin sent {sent} bytes of 8 MiB to three");
    assert_eq!(faults(&world), []);
}

// spec: SYNC-24
#[test]
fn c_08_a_provider_of_bad_groups_is_found_out_by_the_first_and_asked_no_more() {
    let (mut pump, channel) = nodes(3);
    let bytes = content(&mut Rng::from_seed([2; 32]), 6 << 20);
    let blob = put(&mut pump, 0, &channel, &bytes);
    pump.connect(0, 1);
    pump.settle();
    pump.disconnect();
    pump.connect(0, 2);
    let [_, bad] = pump.connect(1, 2);
    let mut spoiled = 0;
    pump.run(SOON, |from, mut message| {
        if let (SyncMessage::GroupData(data), 1) = (&mut message, from) {
            let mut bytes = data.bytes.bytes().to_vec();
            bytes[77] ^= 1;
            data.bytes = mesh_wire::codec::Opaque::new(bytes.into()).unwrap();
            spoiled += 1;
        }
        Carried::As(message)
    });
    assert!(pump.nodes[2].blob(&blob).unwrap().is_complete());
    assert_eq!(pump.faults(2).len(), 1);
    assert!(spoiled < 16, "{spoiled} groups were under way");
    assert!(pump.nodes[2].sources(&blob).iter().all(|(link, _)| *link != bad));
}

// spec: SYNC-22
#[test]
fn groups_of_a_lost_or_silent_neighbour_are_asked_of_another() {
    let (mut pump, channel) = nodes(3);
    let bytes = content(&mut Rng::from_seed([2; 32]), 6 << 20);
    let blob = put(&mut pump, 0, &channel, &bytes);
    pump.connect(0, 1);
    pump.settle();
    pump.disconnect();
    pump.connect(0, 2);
    pump.connect(1, 2);
    pump.run(Duration::from_secs(600), |from, message| match message {
        SyncMessage::GroupData(_) if from == 1 => Carried::Lost,
        message => Carried::As(message),
    });
    assert!(pump.nodes[2].blob(&blob).unwrap().is_complete());
    assert!(pump.faults(2).is_empty());
}

#[test]
fn lost_datagrams_only_delay() {
    for seed in seeds(4) {
        let room_bytes = limits::RECORD_BYTES;
        let quality = Quality { loss_per_mille: 150, room_bytes, ..Quality::DATAGRAM };
        let (mut world, channel) = chain(seed, 3, quality);
        let mut rng = world.rng("content");
        let blobs = [20_000, 300_000, 700_000].map(|size| content(&mut rng, size));
        publish_blobs(&mut world, &channel, &blobs);
        let within = Duration::from_secs(1200);
        assert!(world.run_until(within, |world| is_level(world, 2, &channel)));
        assert_eq!(faults(&world), []);
    }
}

#[test]
fn a_blob_that_somebody_waits_for_comes_first() {
    let (mut pump, channel) = nodes(2);
    let mut rng = Rng::from_seed([4; 32]);
    let blobs: Vec<BlobId> =
        (0..200).map(|_| put(&mut pump, 0, &channel, &content(&mut rng, 150_000))).collect();
    let now = pump.now;
    pump.connect(0, 1);
    // The items first, then the wish.
    pump.exchange(|_, message| match message {
        SyncMessage::PageAsk(_) => Carried::Stop,
        message => Carried::As(message),
    });
    while let Some(event) = mesh_wire::Machine::poll_event(&mut pump.nodes[1]) {
        drop(event);
    }
    pump.nodes[1].prefer(now, blobs[170]);
    pump.run(SOON, |_, message| Carried::As(message));
    let here = |(node, event): &(usize, Event)| match event {
        Event::BlobHere { blob } if *node == 1 => Some(*blob),
        _ => None,
    };
    let order: Vec<BlobId> = pump.events.iter().filter_map(here).collect();
    assert_eq!(order.len(), 200);
    let place = order.iter().position(|blob| *blob == blobs[170]).unwrap();
    assert!(place < 8, "it came as number {place}");
}

#[test]
fn blobs_that_nobody_has_do_not_keep_others_waiting() {
    let (mut pump, channel) = nodes(2);
    let now = pump.now;
    let ghost = |n: u8| BlobId { hash: mesh_wire::Hash([n; 32]), size: 1 << 20 };
    let ghosts = (0..150).map(|number| file("ghost", ghost(number))).collect();
    pump.nodes[0].publish(now, &channel, ghosts).unwrap();
    let blob = put(&mut pump, 0, &channel, &content(&mut Rng::from_seed([5; 32]), 100_000));
    pump.connect(0, 1);
    pump.run(Duration::from_secs(120), |_, message| Carried::As(message));
    assert!(pump.nodes[1].blob(&blob).unwrap().is_complete());
    // And when all have been asked for, the link falls silent.
    pump.run(Duration::from_secs(600), |_, message| Carried::As(message));
    pump.run(Duration::from_secs(3600), |_, message| panic!("{message:?}"));
}

// spec: SYNC-16
#[test]
fn a_wrong_size_keeps_nobody_from_the_true_blob() {
    let (mut pump, channel) = nodes(2);
    let now = pump.now;
    let bytes = content(&mut Rng::from_seed([6; 32]), 200_000);
    let hash = mesh_wire::Hash(*blake3::hash(&bytes).as_bytes());
    let lies = [199_999, 131_073, 1 << 30].map(|size| file("lie", BlobId { hash, size }));
    pump.nodes[0].publish(now, &channel, lies.to_vec()).unwrap();
    let blob = put(&mut pump, 0, &channel, &bytes);
    pump.connect(0, 1);
    pump.settle();
    assert!(pump.nodes[1].blob(&blob).unwrap().is_complete());
    assert_eq!(pump.nodes[1].channel(&channel).unwrap().blobs_here, 1);
    assert!(pump.faults(1).is_empty());
}

// spec: SYNC-20
#[test]
fn k_04_what_rots_is_fetched_again() {
    let (mut pump, channel) = nodes(3);
    let bytes = content(&mut Rng::from_seed([7; 32]), 300_000);
    let blob = put(&mut pump, 0, &channel, &bytes);
    pump.connect(0, 1);
    pump.settle();
    let spoilt = [bytes[70_000] ^ 1];
    pump.nodes[1].store_mut().write_blob(&blob.hash, 70_000, &spoilt).unwrap();
    pump.connect(1, 2);
    pump.settle();
    for node in 1..3 {
        assert!(pump.nodes[node].blob(&blob).unwrap().is_complete(), "{node}");
        assert_eq!(pump.nodes[node].store().blob_bytes(&blob.hash), Some(&bytes[..]));
    }
    assert!(pump.faults(2).is_empty());
}

// spec: SYNC-20
#[test]
fn k_04_what_its_owner_finds_rotten_is_fetched_again() {
    let (mut pump, channel) = nodes(2);
    let bytes = content(&mut Rng::from_seed([8; 32]), 300_000);
    let blob = put(&mut pump, 0, &channel, &bytes);
    pump.connect(0, 1);
    pump.settle();
    let spoilt = [bytes[70_000] ^ 1];
    let reader = &mut pump.nodes[1];
    reader.store_mut().write_blob(&blob.hash, 70_000, &spoilt).unwrap();
    for sound in [0, 2, 4, 5, u64::MAX] {
        reader.recheck(pump.now, blob, sound).unwrap();
        assert!(reader.blob(&blob).unwrap().is_complete(), "group {sound} has not rotted");
    }
    reader.recheck(pump.now, blob, 1).unwrap();
    assert!(!reader.blob(&blob).unwrap().is_complete());
    pump.settle();
    assert_eq!(pump.nodes[1].store().blob_bytes(&blob.hash), Some(&bytes[..]));
}

/// Nodes of which the first has a channel that all follow.
fn nodes(count: u8) -> (Pump, ChannelId) {
    let node = |seed| Sync::open(MemoryStore::default(), Rng::from_seed([seed; 32])).unwrap();
    let mut pump = Pump::new((0..count).map(node).collect());
    let channel = pump.nodes[0].create_channel(pump.now, &Label::new("files").unwrap()).unwrap();
    for node in &mut pump.nodes[1..] {
        node.follow(pump.now, channel).unwrap();
    }
    (pump, channel)
}

fn put(pump: &mut Pump, node: usize, channel: &ChannelId, bytes: &[u8]) -> BlobId {
    let now = pump.now;
    let blob = adopt(&mut pump.nodes[node], now, bytes).unwrap();
    pump.nodes[node].publish(now, channel, vec![file("file", blob)]).unwrap();
    blob
}

#[test]
fn a_blob_costs_less_than_half_a_percent_beside_its_bytes() {
    let (mut pump, channel) = nodes(2);
    let bytes = content(&mut Rng::from_seed([8; 32]), 20 << 20);
    put(&mut pump, 0, &channel, &bytes);
    pump.connect(0, 1);
    let mut sent = 0;
    pump.run(SOON, |_, message| {
        sent += message.size();
        Carried::As(message)
    });
    let overhead = sent - bytes.len();
    assert!(overhead * 200 < bytes.len(), "{overhead} bytes");
}

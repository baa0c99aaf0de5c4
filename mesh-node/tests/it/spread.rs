//! Content among nodes: published here, read there, whoever carried it.

use core::time::Duration;

use bytes::Bytes;
use mesh_sim::{Quality, World, seeds};
use mesh_sync::{BlobId, Content, NewItem, Outboard, Store};
use mesh_wire::limits::GROUP_BYTES;
use mesh_wire::message::sync::ItemKind;
use mesh_wire::{ChannelId, Label};

use crate::{TestNode, node, world};

pub(crate) fn publish(world: &mut World<TestNode>, who: usize, channel: ChannelId, text: &str) {
    let content = Content::Inline(Bytes::copy_from_slice(text.as_bytes()));
    let item = NewItem { kind: ItemKind::Text, name: Label::default(), content, expires: None };
    world.with(who, |node, now| {
        node.sync_mut(now, |sync| sync.publish(now, &channel, vec![item])).unwrap();
    });
}

pub(crate) fn channel(world: &mut World<TestNode>, who: usize) -> ChannelId {
    world.with(who, |node, now| {
        let name = Label::new("news").unwrap();
        node.sync_mut(now, |sync| sync.create_channel(now, &name)).unwrap()
    })
}

pub(crate) fn follow(world: &mut World<TestNode>, who: usize, channel: ChannelId) {
    world.with(who, |node, now| node.sync_mut(now, |sync| sync.follow(now, channel)).unwrap());
}

pub(crate) fn read(
    world: &World<TestNode>,
    who: usize,
    channel: &ChannelId,
    seq: u64,
) -> Option<Bytes> {
    world.node(who).sync().content(channel, seq).ok().flatten()
}

/// Publishes a file of `size` bytes as a blob.
pub(crate) fn publish_blob(
    world: &mut World<TestNode>,
    who: usize,
    channel: ChannelId,
    size: usize,
) -> BlobId {
    let bytes: Vec<u8> = (0..size).map(|at| (at / 251) as u8 ^ at as u8).collect();
    let mut outboard = Outboard::builder(size as u64);
    bytes.chunks(GROUP_BYTES).for_each(|group| outboard.push(group));
    let outboard = outboard.finish().unwrap();
    let blob = outboard.id();
    let content = Content::Blob(blob);
    let item =
        NewItem { kind: ItemKind::File, name: Label::new("file").unwrap(), content, expires: None };
    world.with(who, |node, now| {
        node.sync_mut(now, |sync| {
            for (group, at) in bytes.chunks(GROUP_BYTES).zip((0..).step_by(GROUP_BYTES)) {
                sync.store_mut().write_blob(&blob.hash, at, group).unwrap();
            }
            sync.adopt_blob(now, &outboard).unwrap();
            sync.publish(now, &channel, vec![item]).unwrap();
        });
    });
    blob
}

#[test]
fn a_latecomer_reads_from_a_reader_what_a_publisher_signed_who_is_gone() {
    for quality in [Quality::STREAM, Quality { loss_per_mille: 50, ..Quality::DATAGRAM }] {
        for seed in seeds(4) {
            let mut world = world(seed);
            let [publisher, reader, latecomer] = [(); 3].map(|()| world.add(node));
            let news = channel(&mut world, publisher);
            publish(&mut world, publisher, news, "before anybody came");
            follow(&mut world, reader, news);
            let (link, _) = world.connect(publisher, reader, quality);
            world.run_for(Duration::from_secs(3));
            publish(&mut world, publisher, news, "while they were there");
            let got = world.run_until(Duration::from_secs(30), |world| {
                read(world, reader, &news, 2).is_some()
            });
            assert!(got, "seed {seed}: the reader got nothing over {quality:?}");
            world.disconnect(link);
            follow(&mut world, latecomer, news);
            world.connect(latecomer, reader, quality);
            let got = world.run_until(Duration::from_secs(30), |world| {
                read(world, latecomer, &news, 2).as_deref() == Some(b"while they were there")
            });
            assert!(got, "seed {seed}: the latecomer got nothing over {quality:?}");
            let first = read(&world, latecomer, &news, 1);
            assert_eq!(first.as_deref(), Some(&b"before anybody came"[..]));
        }
    }
}

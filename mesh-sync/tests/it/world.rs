//! Nodes, channels and content for tests.

use mesh_sim::{Quality, Securing, World};
use mesh_sync::{BlobId, Content, Event, MemoryStore, NewItem, Outboard, Refused, Store, Sync};
use mesh_wire::message::sync::ItemKind;
use mesh_wire::{ChannelId, Label, LinkId, Now, Rng};
use std::ops::Range;
use std::time::Duration;

/// A node whose store is in memory.
pub(crate) type Node = Sync<MemoryStore>;

/// Long enough for anything that is not stuck.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// A world of `count` nodes.
pub(crate) fn world(seed: u64, count: usize) -> World<Node> {
    let mut world = World::new(seed, Securing::ByWorld);
    for _ in 0..count {
        world.add(|_, rng| Sync::open(MemoryStore::default(), rng).unwrap());
    }
    world
}

/// A world in which node 0 has a channel that the others follow, every neighbour linked.
pub(crate) fn chain(seed: u64, count: usize, quality: Quality) -> (World<Node>, ChannelId) {
    let mut world = world(seed, count);
    let channel = create(&mut world, 0);
    for node in 1..count {
        follow(&mut world, node, channel);
        world.connect(node - 1, node, quality);
    }
    (world, channel)
}

pub(crate) fn create(world: &mut World<Node>, node: usize) -> ChannelId {
    let name = Label::new("news").unwrap();
    world.with(node, |sync, now| sync.create_channel(now, &name)).unwrap()
}

pub(crate) fn follow(world: &mut World<Node>, node: usize, channel: ChannelId) {
    world.with(node, |sync, now| sync.follow(now, channel)).unwrap();
}

/// A text as an item.
pub(crate) fn text(text: &str) -> NewItem {
    let content = Content::Inline(text.as_bytes().to_vec().into());
    NewItem { kind: ItemKind::Text, name: Label::default(), content, expires: None }
}

/// A blob as an item.
pub(crate) fn file(name: &str, blob: BlobId) -> NewItem {
    let name = Label::new(name).unwrap();
    NewItem { kind: ItemKind::File, name, content: Content::Blob(blob), expires: None }
}

pub(crate) fn publish(
    world: &mut World<Node>,
    channel: &ChannelId,
    items: Vec<NewItem>,
) -> Range<u64> {
    world.with(0, |sync, now| sync.publish(now, channel, items)).unwrap()
}

/// `count` texts that differ.
pub(crate) fn texts(count: usize) -> Vec<NewItem> {
    (0..count).map(|number| text(&format!("item {number}"))).collect()
}

/// Random bytes.
pub(crate) fn content(rng: &mut Rng, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 1024);
    while bytes.len() < size {
        bytes.extend_from_slice(&rng.bytes::<1024>());
    }
    bytes.truncate(size);
    bytes
}

/// The outboard of some bytes.
pub(crate) fn outboard(bytes: &[u8]) -> Outboard {
    let mut builder = Outboard::builder(bytes.len() as u64);
    bytes.chunks(64 << 10).for_each(|group| builder.push(group));
    builder.finish().unwrap()
}

/// Puts a blob in place at a node.
pub(crate) fn adopt<S: Store>(
    sync: &mut Sync<S>,
    now: Now,
    bytes: &[u8],
) -> Result<BlobId, Refused> {
    let outboard = outboard(bytes);
    sync.store_mut().write_blob(&outboard.id().hash, 0, bytes)?;
    sync.adopt_blob(now, &outboard)?;
    Ok(outboard.id())
}

/// Puts blobs in place at node 0 and publishes them.
pub(crate) fn publish_blobs(
    world: &mut World<Node>,
    channel: &ChannelId,
    blobs: &[Vec<u8>],
) -> Vec<BlobId> {
    let ids: Vec<BlobId> = blobs
        .iter()
        .map(|bytes| world.with(0, |sync, now| adopt(sync, now, bytes)).unwrap())
        .collect();
    let items = ids.iter().map(|id| file("file", *id)).collect();
    publish(world, channel, items);
    ids
}

/// Somebody meets somebody, or a link ends.
pub(crate) fn mingle(
    world: &mut World<Node>,
    (links, qualities): (&mut Vec<LinkId>, &[Quality]),
    rng: &mut Rng,
) {
    let mut below = |most: usize| rng.below(most as u64) as usize;
    let count = world.nodes().len();
    if !links.is_empty() && below(2) == 0 {
        world.disconnect(links.swap_remove(below(links.len())));
    } else {
        let node = below(count);
        let other = (node + 1 + below(count - 1)) % count;
        links.push(world.connect(node, other, qualities[below(qualities.len())]).0);
    }
}

/// How many items of a channel a node has.
pub(crate) fn size(world: &World<Node>, node: usize, channel: &ChannelId) -> u64 {
    world.node(node).channel(channel).map_or(0, |channel| channel.items)
}

/// Whether a node has all items and blobs that node 0 has.
pub(crate) fn is_level(world: &World<Node>, node: usize, channel: &ChannelId) -> bool {
    let [origin, here] = [0, node].map(|node| world.node(node).channel(channel));
    let sums = |status: Option<mesh_sync::ChannelStatus>| {
        status.map(|s| (s.items, s.blobs_known, s.blobs_here, s.bytes, s.bytes_here))
    };
    sums(origin) == sums(here)
}

/// Runs until every node has everything.
#[track_caller]
pub(crate) fn level(world: &mut World<Node>, channel: &ChannelId) {
    let nodes = world.nodes();
    let reached =
        world.run_until(SOON, |world| nodes.clone().all(|node| is_level(world, node, channel)));
    let sizes: Vec<_> = nodes.map(|node| world.node(node).channel(channel)).collect();
    assert!(reached, "{sizes:#?}");
}

/// What neighbours were blamed for, at every node.
pub(crate) fn faults(world: &World<Node>) -> Vec<(usize, LinkId, String)> {
    let mut faults = Vec::new();
    for node in world.nodes() {
        for event in world.events(node) {
            if let Event::PeerFault { link, fault } = event {
                faults.push((node, *link, fault.to_string()));
            }
        }
    }
    faults
}

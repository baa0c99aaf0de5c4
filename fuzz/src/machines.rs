//! Bodies for the machines: the input says what happens to two of them.

use core::net::SocketAddr;

use bytes::Bytes;
use mesh_node::node::{Node, NodeConfig, NodeEvent};
use mesh_sim::seed;
use mesh_sync::{
    BlobId, Content, Event as SyncEvent, ItemState, ItemStatus, MemoryStore, NewItem, Outboard,
    Store, Sync,
};
use mesh_wire::message::find::PortNumber;
use mesh_wire::message::sync::ItemKind;
use mesh_wire::{Address, ChannelId, Label, Now, limits};

use crate::bench::{Bench, Kind, secured};
use crate::source::Source;

/// Sync between a node that publishes and one that follows it, and whoever forges messages.
pub fn sync(data: &[u8]) {
    let kind = Kind {
        // What its laws allow for all links together.
        weight_limit: 1 << 20,
        secured,
        command: |nodes, now, source| command_sync(nodes.each_mut(), now, source),
        closes: |event| match event {
            SyncEvent::PeerFault { link, .. } => Some(*link),
            SyncEvent::NewItems { .. }
            | SyncEvent::ChannelKnown { .. }
            | SyncEvent::WritersChanged { .. }
            | SyncEvent::ContentChanged { .. }
            | SyncEvent::BlobProgress { .. }
            | SyncEvent::BlobHere { .. }
            | SyncEvent::BlobGivenUp { .. }
            | SyncEvent::Damaged { .. }
            | SyncEvent::Forked { .. }
            | SyncEvent::StoreFailed { .. }
            | SyncEvent::StoreBack => None,
        },
    };
    let node = |index| Sync::open(MemoryStore::default(), seed::rng(index));
    Bench::new(kind, [0, 1].map(|index| node(index).expect("an empty store opens"))).play(data);
}

fn command_sync(nodes: [&mut Sync<MemoryStore>; 2], now: Now, source: &mut Source<'_>) {
    let [publisher, reader] = nodes;
    let channels: Vec<_> = publisher.channels().into_iter().map(|status| status.id).collect();
    if channels.is_empty() {
        let name = Label::new("news").expect("a plain name");
        publisher.create_channel(now, &name).expect("an empty store takes a channel");
        return;
    }
    let channel = source.pick(&channels);
    match source.byte() % 9 {
        0 => reader.follow(now, channel).expect("there are few channels"),
        // Refused where it is not followed.
        1 => drop(reader.unfollow(now, &channel)),
        2 => {
            let content = Content::Inline(source.bytes());
            publish(publisher, now, &channel, (ItemKind::Text, content));
        }
        3 => {
            let blob = adopt_blob(publisher, now, source);
            publish(publisher, now, &channel, (ItemKind::File, Content::Blob(blob)));
        }
        4 => {
            let name = Label::new("more").expect("a plain name");
            publisher.create_channel(now, &name).expect("there are few channels");
        }
        // Refused where there is no such item.
        5 => drop(publisher.retract(now, &channel, &[u64::from(source.byte())])),
        6 => check(publisher, reader, &channel),
        7 => {
            let name = Label::new("green").expect("a plain name");
            publisher.create_board(now, &name).expect("there are few channels");
        }
        // Refused where it is no board that is known.
        _ => {
            let (content, name) = (Content::Inline(source.bytes()), Label::default());
            let item = NewItem { kind: ItemKind::Text, name, content, expires: None };
            drop(reader.publish(now, &channel, vec![item]));
        }
    }
}

fn publish(
    publisher: &mut Sync<MemoryStore>,
    now: Now,
    channel: &ChannelId,
    (kind, content): (ItemKind, Content),
) {
    let name = Label::new("name").expect("a plain name");
    let item = NewItem { kind, name, content, expires: None };
    publisher.publish(now, channel, vec![item]).expect("what is small can be published");
}

/// A blob of one to four groups, each of one byte from the input.
fn adopt_blob(publisher: &mut Sync<MemoryStore>, now: Now, source: &mut Source<'_>) -> BlobId {
    let size = limits::INLINE_BYTES + 1 + source.below(4) * limits::GROUP_BYTES;
    let bytes = vec![source.byte(); size];
    let mut builder = Outboard::builder(size as u64);
    bytes.chunks(limits::GROUP_BYTES).for_each(|group| builder.push(group));
    let outboard = builder.finish().expect("all bytes were pushed");
    let blob = outboard.id();
    publisher.store_mut().write_blob(&blob.hash, 0, &bytes).expect("memory takes it");
    publisher.adopt_blob(now, &outboard).expect("the bytes are in place");
    blob
}

/// What the reader shows as here is what was published.
fn check(publisher: &Sync<MemoryStore>, reader: &Sync<MemoryStore>, channel: &ChannelId) {
    // Refused where it is not followed.
    let Ok(items) = reader.items(channel, 0..u64::MAX) else { return };
    let is_here = |sync: &Sync<MemoryStore>, number| {
        let item = sync.item(channel, number).expect("memory does not fail");
        item.is_some_and(|(item, _)| item.state == ItemState::Here)
    };
    // What was retracted the reader may not have heard of.
    let both = |item: &ItemStatus| [reader, publisher].iter().all(|it| is_here(it, item.number));
    // Notes have other numbers everywhere.
    for item in items.into_iter().filter(|item| !item.is_note).filter(both) {
        let [theirs, ours] = [reader, publisher].map(|sync| content(sync, channel, &item));
        assert!(theirs == ours, "item {} differs", item.number);
    }
}

/// The content of an item that is here.
fn content(sync: &Sync<MemoryStore>, channel: &ChannelId, item: &ItemStatus) -> Bytes {
    let Some(blob) = item.blob else {
        let content = sync.content(channel, item.number).expect("memory does not fail");
        return content.expect("it is here");
    };
    let mut bytes = vec![0; blob.size as usize];
    sync.store().read_blob(&blob.hash, 0, &mut bytes).expect("memory does not fail");
    bytes.into()
}

/// Two whole nodes: the input plays the wire between them, and their owners.
pub fn node(data: &[u8]) {
    let kind = Kind {
        // What its laws allow for links at all their limits.
        weight_limit: 64 << 20,
        secured: |_| None,
        command: command_node,
        closes: |event| match event {
            NodeEvent::Close(link) => Some(*link),
            NodeEvent::Announce(_)
            | NodeEvent::Dial(_)
            | NodeEvent::Fault { .. }
            | NodeEvent::Rotated
            | NodeEvent::Changed => None,
        },
    };
    let node = |index| Node::new(NodeConfig::default(), MemoryStore::default(), seed::rng(index));
    Bench::new(kind, [0, 1].map(|index| node(index).expect("an empty store opens"))).play(data);
}

fn command_node(nodes: &mut [Node<MemoryStore>; 2], now: Now, source: &mut Source<'_>) {
    let from = SocketAddr::from(([192, 0, 2, source.byte()], 4001));
    let from = Address::socket("tcp", from);
    let node = &mut nodes[source.below(2)];
    match source.byte() % 6 {
        0 => node.heard(now, &from, source.bytes()),
        1 => node.listen(now, PortNumber::new(source.below(1 << 16) as u16)),
        2 => node.keep(now, from),
        3 => node.dial_failed(now, &from, "refused"),
        4 => node.leave(now),
        _ => {
            let [publisher, reader] = nodes;
            publisher.sync_mut(now, |publisher| {
                reader.sync_mut(now, |reader| command_sync([publisher, reader], now, source));
            });
        }
    }
}

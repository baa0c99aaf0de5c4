//! How fast a follower catches up, beside the hashing that nobody can avoid.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mesh_sync::blob::group_hash;
use mesh_sync::{Content, MemoryStore, NewItem, Outboard, Store, Sync};
use mesh_wire::message::sync::ItemKind;
use mesh_wire::{
    Carrier, ChannelId, Input, Label, Link, LinkId, Machine, Now, PeerId, Rng, Role, Secured, Time,
    limits,
};

const LINK: LinkId = LinkId(1);

/// A moment, by number.
fn moment(number: u64) -> Now {
    Now { time: Time(number), ..Now::default() }
}

/// An origin with `items` items of `bytes` bytes, and the name of its channel.
fn origin(items: usize, bytes: usize) -> (MemoryStore, ChannelId) {
    let mut sync = Sync::open(MemoryStore::default(), Rng::from_seed([1; 32])).expect("a store");
    let channel = sync.create_channel(moment(0), &Label::new("bench").expect("a name"));
    let channel = channel.expect("a channel");
    let item = |number: usize| NewItem {
        kind: ItemKind::Text,
        name: Label::default(),
        content: Content::Inline(vec![number as u8; bytes].into()),
        expires: None,
    };
    sync.publish(moment(0), &channel, (0..items).map(item).collect()).expect("published");
    (sync.into_store(), channel)
}

/// The origin and a follower that has nothing, linked.
fn linked(store: MemoryStore, channel: ChannelId) -> [Sync<MemoryStore>; 2] {
    let origin = Sync::open(store, Rng::from_seed([1; 32])).expect("a store");
    let mut follower =
        Sync::open(MemoryStore::default(), Rng::from_seed([2; 32])).expect("a store");
    follower.follow(moment(0), channel).expect("followed");
    let mut nodes = [origin, follower];
    for (node, role) in nodes.iter_mut().zip([Role::Initiator, Role::Responder]) {
        let secured = Some(Secured { peer: PeerId([0; 32]), binding: [3; 32] });
        let link = Link { role, carrier: Carrier::Stream, largest_frame: 1 << 16, secured };
        node.handle(moment(0), Input::LinkUp(LINK, link));
    }
    nodes
}

/// Carries messages until there are none.
fn exchange(nodes: &mut [Sync<MemoryStore>; 2]) {
    let (mut now, mut quiet) = (1, false);
    while !quiet {
        quiet = true;
        now += 1;
        for from in 0..2 {
            while nodes[from].poll_event().is_some() {}
            let room = limits::RECORD_BYTES;
            while let Some(message) = nodes[from].poll_send(moment(now), LINK, room) {
                nodes[1 - from].handle(moment(now), Input::Receive(LINK, message));
                quiet = false;
            }
        }
    }
}

fn items(c: &mut Criterion) {
    for (name, count, bytes) in
        [("10000 of 8 KiB", 10_000, 8 << 10), ("10000 of 100 B", 10_000, 100)]
    {
        let (store, channel) = origin(count, bytes);
        let mut group = c.benchmark_group(format!("items, {name}"));
        group.sample_size(10).throughput(Throughput::Elements(count as u64));
        group.bench_function("catch up, both ends", |bencher| {
            bencher.iter_batched(
                || linked(store.clone(), channel),
                |mut nodes| {
                    exchange(&mut nodes);
                    assert_eq!(nodes[1].channel(&channel).map(|c| c.items), Some(count as u64 + 1));
                    nodes
                },
                BatchSize::PerIteration,
            );
        });
        let (header, body) = (vec![1; 46], vec![2; bytes]);
        group.bench_function("hashing alone", |bencher| {
            bencher.iter(|| {
                for _ in 0..count {
                    black_box(blake3::keyed_hash(&[7; 32], black_box(&header)));
                    black_box(blake3::keyed_hash(&[7; 32], black_box(&[0; 64])));
                    black_box(blake3::hash(black_box(&body)));
                }
            });
        });
        group.finish();
    }
}

fn blobs(c: &mut Criterion) {
    let bytes = vec![5; 64 << 20];
    let mut group = c.benchmark_group("blob of 64 MiB");
    group.sample_size(10).throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("verify its groups", |bencher| {
        bencher.iter(|| {
            for (index, part) in bytes.chunks(limits::GROUP_BYTES).enumerate() {
                black_box(group_hash(bytes.len() as u64, index as u64, part));
            }
        });
    });
    let mut builder = Outboard::builder(bytes.len() as u64);
    bytes.chunks(limits::GROUP_BYTES).for_each(|part| builder.push(part));
    let outboard = builder.finish().expect("an outboard");
    let (store, channel) = origin(0, 0);
    let mut sync = Sync::open(store, Rng::from_seed([1; 32])).expect("a store");
    sync.store_mut().write_blob(&outboard.id().hash, 0, &bytes).expect("written");
    sync.adopt_blob(moment(0), &outboard).expect("adopted");
    let (kind, name) = (ItemKind::File, Label::default());
    let content = Content::Blob(outboard.id());
    let file = NewItem { kind, name, content, expires: None };
    sync.publish(moment(0), &channel, vec![file]).expect("published");
    let store = sync.into_store();
    group.bench_function("fetch it, both ends", |bencher| {
        bencher.iter_batched(
            || linked(store.clone(), channel),
            |mut nodes| {
                exchange(&mut nodes);
                assert_eq!(nodes[1].channel(&channel).map(|c| c.blobs_here), Some(1));
                nodes
            },
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, items, blobs);
criterion_main!(benches);

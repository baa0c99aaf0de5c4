//! Nodes that are no neighbours: others carry for them and learn nothing.

use core::time::Duration;

use mesh_node::Relaying;
use mesh_sim::{Quality, World, seeds};
use mesh_sync::BlobId;
use mesh_wire::message::RouteMessage;
use mesh_wire::{ChannelId, limits};

use crate::spread::{channel, follow, publish, publish_blob, read};
use crate::{TestNode, node, world};

/// A line of `count` nodes, the neighbours linked.
fn line(world: &mut World<TestNode>, count: usize, quality: Quality) -> Vec<usize> {
    let nodes: Vec<usize> = (0..count).map(|_| world.add(node)).collect();
    for pair in nodes.windows(2) {
        world.connect(pair[0], pair[1], quality);
    }
    nodes
}

fn relays(world: &World<TestNode>, who: usize) -> Vec<usize> {
    world.node(who).links().map(|link| link.relays).filter(|relays| *relays > 0).collect()
}

// spec: ROUTE-14, ROUTE-18
#[test]
fn a_channel_crosses_nodes_that_follow_nothing() {
    let (packet, _) = *RouteMessage::KINDS.iter().find(|(_, name)| *name == "Packet").unwrap();
    for quality in [Quality::STREAM, Quality { loss_per_mille: 30, ..Quality::DATAGRAM }] {
        for length in [3, 5, 8] {
            for seed in seeds(2) {
                let mut world = world(seed);
                let nodes = line(&mut world, length, quality);
                world.run_for(Duration::from_secs(2));
                let (first, last) = (nodes[0], nodes[length - 1]);
                let news = channel(&mut world, first);
                publish(&mut world, first, news, "far away");
                follow(&mut world, last, news);
                let got = world.run_until(Duration::from_secs(30), |world| {
                    read(world, last, &news, 1).as_deref() == Some(b"far away")
                });
                assert!(got, "seed {seed}: nothing over {length} nodes, {quality:?}");
                assert_eq!(relays(&world, last), [length - 2]);
                // What comes later takes the session that is there.
                publish(&mut world, first, news, "and more");
                let got = world.run_until(Duration::from_secs(10), |world| {
                    read(world, last, &news, 2).as_deref() == Some(b"and more")
                });
                assert!(got, "seed {seed}: no second item over {length} nodes");
                for relay in &nodes[1..length - 1] {
                    let mut sent = world.node(*relay).sent_by_kind();
                    assert!(sent.any(|(kind, sent)| kind == packet && sent.bytes > 0));
                    assert_eq!(world.node(*relay).sync().channels(), []);
                    assert!(relays(&world, *relay).is_empty());
                }
            }
        }
    }
}

#[test]
fn a_large_file_crosses_a_relay() {
    for seed in seeds(2) {
        let mut world = world(seed);
        let nodes = line(&mut world, 3, Quality::STREAM);
        world.run_for(Duration::from_secs(2));
        let files = channel(&mut world, nodes[0]);
        let blob: BlobId = publish_blob(&mut world, nodes[0], files, 3 << 20);
        follow(&mut world, nodes[2], files);
        let here = |world: &World<TestNode>| {
            world.node(nodes[2]).sync().blob(&blob).is_ok_and(|blob| blob.is_complete())
        };
        assert!(world.run_until(Duration::from_secs(60), here), "seed {seed}: the file is missing");
    }
}

/// No relay of the path is left: the next best carries on.
#[test]
fn when_a_relay_leaves_another_takes_over() {
    for seed in seeds(4) {
        let mut world = world(seed);
        let [near, one, other, far] = [(); 4].map(|()| world.add(node));
        let first = world.connect(near, one, Quality::STREAM).0;
        for (from, to) in [(one, far), (near, other), (other, far)] {
            world.connect(from, to, Quality::STREAM);
        }
        world.run_for(Duration::from_secs(2));
        let news: ChannelId = channel(&mut world, near);
        follow(&mut world, far, news);
        publish(&mut world, near, news, "first");
        let got = |world: &World<TestNode>, seq| read(world, far, &news, seq).is_some();
        assert!(world.run_until(Duration::from_secs(30), |world| got(world, 1)), "seed {seed}");
        world.disconnect(first);
        publish(&mut world, near, news, "second");
        assert!(world.run_until(Duration::from_secs(10), |world| got(world, 2)), "seed {seed}");
    }
}

/// Question, answer, and three of the handshake, the last of them with what there is to say.
// spec: ROUTE-14, SYNC-14
#[test]
fn a_first_message_takes_five_trips() {
    for seed in seeds(4) {
        let mut world = world(seed);
        let hop = Duration::from_millis(200);
        let still = Quality { delay: hop, jitter: Duration::ZERO, ..Quality::STREAM };
        let nodes = line(&mut world, 3, still);
        world.run_for(Duration::from_secs(5));
        let news = channel(&mut world, nodes[0]);
        follow(&mut world, nodes[2], news);
        // Until they know each other no more.
        world.run_for(limits::FLOW_IDLE * 2);
        assert!(relays(&world, nodes[0]).is_empty());
        publish(&mut world, nodes[0], news, "are you there?");
        let got = |world: &World<TestNode>| read(world, nodes[2], &news, 1).is_some();
        assert!(!world.run_until(5 * 2 * hop, got), "seed {seed}: faster than light");
        assert!(world.run_until(hop, got), "seed {seed}: there are more trips");
    }
}

/// One end of a session has lost it and looks for the other, which does not know that: the new
/// session takes the place of the old one, whoever began either.
// spec: ROUTE-18
#[test]
fn a_session_that_one_end_has_lost_keeps_no_new_one_out() {
    for seed in seeds(8) {
        let mut world = world(seed);
        let [near, relay, far] = [(); 3].map(|()| world.add(node));
        world.connect(near, relay, Quality::STREAM);
        let last = world.connect(relay, far, Quality::STREAM).0;
        world.run_for(Duration::from_secs(2));
        let [news, answers] = [near, far].map(|node| channel(&mut world, node));
        follow(&mut world, far, news);
        follow(&mut world, near, answers);
        world.run_for(Duration::from_secs(10));
        assert_eq!((relays(&world, near), relays(&world, far)), (vec![1], vec![1]));
        world.disconnect(last);
        world.run_for(Duration::from_secs(2));
        world.connect(relay, far, Quality::STREAM);
        world.run_for(Duration::from_secs(1));
        assert_eq!((relays(&world, near), relays(&world, far)), (vec![1], vec![]));
        publish(&mut world, far, answers, "here I am");
        let got = |world: &World<TestNode>| read(world, near, &answers, 1).is_some();
        assert!(world.run_until(Duration::from_secs(2), got), "seed {seed}");
        assert!(world.run_until(Duration::from_secs(2), |world| relays(world, near) == [1]));
    }
}

/// What a neighbour did not get before it walked away, it gets over others.
// spec: ROUTE-18
#[test]
fn who_lacks_something_when_a_link_breaks_looks_further() {
    for seed in seeds(4) {
        let mut world = world(seed);
        let [near, relay, far] = [(); 3].map(|()| world.add(node));
        let slow = Quality { delay: Duration::from_millis(100), ..Quality::STREAM };
        let direct = world.connect(near, far, slow).0;
        world.connect(near, relay, Quality::STREAM);
        world.connect(relay, far, Quality::STREAM);
        world.run_for(Duration::from_secs(2));
        let news = channel(&mut world, near);
        follow(&mut world, far, news);
        world.run_for(Duration::from_secs(20));
        assert!(relays(&world, far).is_empty(), "neighbours need no relay");
        let text = "x".repeat(2000);
        (0..300).for_each(|_| publish(&mut world, near, news, &text));
        let got = |world: &World<TestNode>, seq| read(world, far, &news, seq).is_some();
        assert!(world.run_until(Duration::from_secs(2), |world| got(world, 10)), "seed {seed}");
        world.disconnect(direct);
        assert!(!got(&world, 300), "there is something left");
        assert!(world.run_until(Duration::from_secs(5), |world| got(world, 300)), "seed {seed}");
    }
}

/// Neighbours who follow a channel and have nothing of it do not wait for each other.
// spec: ROUTE-18
#[test]
fn followers_who_have_nothing_look_further_than_each_other() {
    for seed in seeds(4) {
        let mut world = world(seed);
        let nodes = line(&mut world, 8, Quality::STREAM);
        let news = channel(&mut world, nodes[0]);
        for reader in &nodes[6..] {
            follow(&mut world, *reader, news);
        }
        // Near is not near enough; who finds nobody there looks further a little later.
        let has_name = |world: &World<TestNode>, reader: usize| {
            world.node(reader).sync().channel(&news).is_some_and(|channel| channel.items == 1)
        };
        let found = world.run_until(Duration::from_secs(70), |world| {
            nodes[6..].iter().all(|reader| has_name(world, *reader))
        });
        assert!(found, "seed {seed}");
    }
}

/// Nothing is looked for, carried or kept where nobody wants anything.
#[test]
fn routing_says_nothing_when_nothing_is_wanted() {
    let mut world = world(7);
    let nodes = line(&mut world, 6, Quality::STREAM);
    world.run_for(Duration::from_secs(60));
    let sent = |world: &World<TestNode>| -> u64 {
        nodes.iter().map(|node| world.node(*node).traffic().sent).sum()
    };
    let before = sent(&world);
    // Until the neighbours ask each other whether they are there.
    world.run_for(Duration::from_secs(50));
    assert_eq!(sent(&world), before);
}

/// What was said last needs no answer: nobody leaves a path for that.
// spec: ROUTE-16, ROUTE-18
#[test]
fn a_session_over_relays_outlives_a_pause() {
    for seed in seeds(2) {
        let mut world = world(seed);
        let nodes = line(&mut world, 4, Quality::STREAM);
        world.run_for(Duration::from_secs(2));
        let (first, last) = (nodes[0], nodes[3]);
        let news = channel(&mut world, first);
        publish(&mut world, first, news, "far away");
        follow(&mut world, last, news);
        world.run_for(Duration::from_secs(10));
        let carried = world.node(nodes[1]).traffic().sent;
        for round in 0..20 {
            world.run_for(Duration::from_secs(3));
            assert_eq!(world.node(nodes[1]).traffic().sent, carried, "nobody asks for ever");
            for end in [first, last] {
                assert_eq!(relays(&world, end), [2], "seed {seed}, round {round}");
            }
        }
    }
}

// spec: ROUTE-19
#[test]
fn who_refuses_to_relay_carries_nothing_and_reads_all_the_same() {
    for seed in seeds(2) {
        let mut world = world(seed);
        let nodes = line(&mut world, 4, Quality::STREAM);
        world.with(nodes[2], |node, _| node.set_relaying(Relaying::Nothing));
        world.run_for(Duration::from_secs(2));
        let news = channel(&mut world, nodes[0]);
        publish(&mut world, nodes[0], news, "hello");
        for reader in [nodes[3], nodes[2]] {
            follow(&mut world, reader, news);
            world.run_for(Duration::from_secs(20));
            // Once the one in between follows it, the channel goes from neighbour to neighbour.
            let expected = (reader == nodes[2]).then_some(&b"hello"[..]);
            assert_eq!(read(&world, nodes[3], &news, 1).as_deref(), expected, "seed {seed}");
        }
    }
}

/// Neighbours do not find out from each other that they have it; a search does, and what that has
/// proven goes over the link that is there, not over a path of one hop beside it.
// spec: SYNC-14, SYNC-54
#[test]
fn a_hidden_channel_is_found_by_a_search_also_by_a_neighbour() {
    for length in [2, 3] {
        for seed in seeds(4) {
            let mut world = world(seed);
            let nodes = line(&mut world, length, Quality::STREAM);
            world.run_for(Duration::from_secs(5));
            let (first, last) = (nodes[0], nodes[length - 1]);
            let news = channel(&mut world, first);
            let hide = |sync: &mut mesh_sync::Sync<_>, now| sync.follow_hidden(now, news).unwrap();
            for who in [first, last] {
                world.with(who, |node, now| node.sync_mut(now, |sync| hide(sync, now)));
            }
            publish(&mut world, first, news, "for few");
            let got = world.run_until(Duration::from_secs(30), |world| {
                read(world, last, &news, 1).as_deref() == Some(b"for few")
            });
            assert!(got, "seed {seed}: nothing over {length} nodes");
            world.run_for(Duration::from_secs(10));
            assert_eq!(relays(&world, last).is_empty(), length == 2, "seed {seed}");
            publish(&mut world, first, news, "and more");
            let got = world.run_until(Duration::from_secs(10), |world| {
                read(world, last, &news, 2).as_deref() == Some(b"and more")
            });
            assert!(got, "seed {seed}: no second item over {length} nodes");
        }
    }
}

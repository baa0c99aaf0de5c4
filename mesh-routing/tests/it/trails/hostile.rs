//! Neighbours who lie, forge, replay, flood and drop: what it costs others, at most.

use core::time::Duration;

use bytes::Bytes;
use mesh_routing::TrailEvent;
use mesh_sim::seeds;
use mesh_wire::codec::{List, Opaque};
use mesh_wire::message::RouteMessage;
use mesh_wire::message::routing::{Arrived, Find, Found, Packet};
use mesh_wire::{HopTag, LinkId, Machine, Wire, limits};

use super::alone::{Alone, find, hops, packet, presence, tag};
use super::traveller::{Habit, Net, between, calls, graph, grid, link, look, meet, net};

const HONEST: Habit = |_, _, message| Some(message);

/// Acknowledges every packet and carries none.
const SWALLOWS: Habit = |_, _, mut message| {
    if let RouteMessage::Packet(packet) = &mut message {
        packet.hops_left = 0;
    }
    Some(message)
};

/// Says of every way that it costs nothing.
const LIES_ABOUT_COSTS: Habit = |_, _, mut message| {
    if let RouteMessage::Find(Find { cost, .. }) | RouteMessage::Found(Found { cost, .. }) =
        &mut message
    {
        *cost = 0;
    }
    Some(message)
};

fn turn(net: &mut Net, node: usize, hears: Habit, speaks: Habit) {
    net.with(node, |node, _| (node.hears, node.speaks) = (hears, speaks));
}

/// Where every fifth node takes all it can get and carries nothing, nine of ten pairs that honest
/// nodes connect still reach each other.
// spec: ROUTE-16
#[test]
fn r_01_black_holes_take_a_tenth_of_the_sessions_at_most() {
    let (mut pairs, mut reached) = (0, 0);
    for seed in seeds(40) {
        let mut rng = mesh_sim::seed::rng(seed);
        let links = graph(&mut rng, 30);
        let mut net = net(seed, 30, &links);
        let holes: Vec<usize> = (1..29).filter(|_| rng.below(5) == 0).collect();
        if links.contains(&(0, 29)) || !is_connected(&links, &holes) {
            continue;
        }
        holes.iter().for_each(|hole| turn(&mut net, *hole, SWALLOWS, LIES_ABOUT_COSTS));
        pairs += 1;
        let met = (0..4).any(|_| {
            look(&mut net, 0, 29);
            net.run_until(Duration::from_secs(10), |net| !net.node(0).open().is_empty())
        });
        reached += usize::from(met && calls(&mut net, 0, 29, (b"hello", 20)));
    }
    assert!(pairs >= 10 || seeds(2).count() == 1, "{pairs} pairs say nothing");
    assert!(reached * 10 >= pairs * 9, "{reached} of {pairs}");
}

/// Whether 29 can be reached from 0 without these.
fn is_connected(links: &[(usize, usize)], without: &[usize]) -> bool {
    let mut reached = vec![0];
    let mut at = 0;
    while let Some(node) = reached.get(at).copied() {
        at += 1;
        let far = links.iter().filter_map(|(a, b)| match node {
            _ if *a == node => Some(*b),
            _ if *b == node => Some(*a),
            _ => None,
        });
        let new: Vec<usize> =
            far.filter(|far| !without.contains(far) && !reached.contains(far)).collect();
        reached.extend(new);
    }
    reached.contains(&29)
}

/// A relay that answers for everything and acknowledges every packet, but carries none any more:
/// its path is left when nothing came back for [`limits::DOUBT_TIME`], after two packets.
// spec: ROUTE-16
#[test]
fn r_02_a_grey_hole_is_left_after_three_losses() {
    for seed in seeds(16) {
        // 0-1-4 is short, 0-2-3-4 is long.
        let mut net = net(seed, 5, &[(0, 1), (1, 4), (0, 2), (2, 3), (3, 4)]);
        let routed = meet(&mut net, 0, 4);
        assert!(calls(&mut net, 0, 4, (b"before", 5)), "seed {seed}");
        net.run_for(Duration::from_secs(2));
        turn(&mut net, 1, SWALLOWS, HONEST);
        let mut losses = 0;
        while net.node(4).got(b"after") == 0 {
            net.with(0, |node, _| node.call(b"after"));
            net.run_for(limits::DOUBT_TIME / 2);
            losses += 1;
            assert!(losses <= 4, "seed {seed}: {losses} losses");
        }
        assert_eq!(net.node(0).open(), [routed], "seed {seed}: it is the same session");
        assert_eq!(net.node(0).router.relays(routed), Some(2));
    }
}

/// All short paths lead over relays that turn bad while they are used; the session moves on to the
/// long one.
// spec: ROUTE-16
#[test]
fn r_02_a_session_survives_when_every_short_path_has_a_grey_hole() {
    for seed in seeds(16) {
        let short = (1..=4).flat_map(|relay| [(0, relay), (relay, 8)]);
        let links: Vec<_> = short.chain([(0, 5), (5, 6), (6, 7), (7, 8)]).collect();
        let mut net = net(seed, 9, &links);
        let routed = meet(&mut net, 0, 8);
        assert!(calls(&mut net, 0, 8, (b"before", 5)), "seed {seed}");
        (1..=4).for_each(|hole| turn(&mut net, hole, SWALLOWS, LIES_ABOUT_COSTS));
        assert!(calls(&mut net, 0, 8, (b"after", 10)), "seed {seed}: nothing gets through");
        assert_eq!(net.node(0).open(), [routed], "seed {seed}: it is the same session");
        assert_eq!(net.node(0).router.relays(routed), Some(3));
    }
}

/// Nobody becomes the end of a session but who holds the key: an answer with a neighbour's proof,
/// a path that ends elsewhere, a presence with somebody's token and tag open nothing.
// spec: ROUTE-3, ROUTE-8, ROUTE-15
#[test]
fn r_03_nobody_is_found_or_reached_in_anothers_place() {
    for seed in seeds(16) {
        let mut net = net(seed, 4, &[(0, 1), (1, 2), (2, 3)]);
        // It claims to be whom they look for, with the proof of another answer.
        let claims: Habit = |node, link, message| {
            if let RouteMessage::Find(Find { id, .. }) = message {
                let proof = node.rng.bytes();
                let path = List::new(&[tag(1), HopTag(node.rng.bytes())]);
                let lie = Found { id, answer: 0, cost: 0, proof, path };
                node.says.push_back((link, lie.into()));
            }
            Some(message)
        };
        turn(&mut net, 1, claims, HONEST);
        let routed = meet(&mut net, 0, 3);
        let ups = net.events(0).iter().filter(|event| matches!(event, TrailEvent::Up { .. }));
        assert_eq!(ups.count(), 1, "seed {seed}: forged answers open nothing");
        assert_eq!(net.node(0).router.relays(routed), Some(2));
        // What it makes of the packets that pass is never taken for the other end's.
        let forges: Habit = |node, _, mut message| {
            if let RouteMessage::Packet(packet) = &mut message {
                packet.frame = Opaque::new(node.rng.bytes::<40>().to_vec().into()).unwrap();
            }
            Some(message)
        };
        turn(&mut net, 1, forges, HONEST);
        net.with(0, |node, _| node.call(b"lost"));
        net.run_for(Duration::from_secs(1));
        assert_eq!(net.node(3).got(b"lost") + net.node(0).got(b"lost"), 0, "seed {seed}");
        assert!(net.node(3).forged > 0);
    }
}

/// An attacker who sends another payload first, with the same number and flow, keeps nothing from
/// arriving: relays do not look at payloads, and remember none.
// spec: ROUTE-1
#[test]
fn r_05_a_payload_sent_first_in_anothers_name_displaces_nothing() {
    let mut node = Alone::among(3);
    let own = node.tag();
    let honest = packet(&[tag(1), own, tag(3)], 1);
    let frame = Opaque::new(Bytes::from_static(b"poison")).unwrap();
    let poison = Packet { frame, path: List::new(&[tag(2), own, tag(3)]), ..honest.clone() };
    node.hear(2, poison.clone());
    node.hear(1, honest.clone());
    node.hear(2, poison);
    node.hear(1, honest.clone());
    let frames: Vec<_> = node.packets(3).into_iter().map(|packet| packet.frame).collect();
    assert_eq!(frames.iter().filter(|frame| **frame == honest.frame).count(), 2);
    // A question that came first with another cost and hops is the same question: it goes on, and
    // who asked honestly over another link is not sent it back.
    node.hear(2, Find { hops_left: 2, cost: u32::MAX, ..find(1) });
    node.hear(1, find(1));
    node.wait(limits::FIND_JITTER);
    assert_eq!([1, 2, 3].map(|link| node.finds(link).len()), [0, 0, 1]);
}

/// What a relay changes, cuts or adds to is dropped at the end, and what it left alone is not.
// spec: ROUTE-14
#[test]
fn r_06_what_a_relay_changes_is_dropped_at_the_end() {
    for seed in seeds(16) {
        let mut net = net(seed, 4, &[(0, 1), (1, 2), (2, 3)]);
        meet(&mut net, 0, 3);
        net.with(1, |node, _| {
            node.hears = |node, _, message| {
                let RouteMessage::Packet(packet) = message else { return Some(message) };
                let mut bytes = packet.frame.bytes().to_vec();
                match node.rng.below(9) {
                    0 => bytes.truncate(node.rng.below(bytes.len() as u64) as usize),
                    1 => bytes.push(0),
                    2 if !bytes.is_empty() => bytes[0] ^= 1 << node.rng.below(8),
                    _ => {}
                }
                let frame = Opaque::new(bytes.into()).unwrap();
                Some(Packet { frame, ..packet }.into())
            };
        });
        for number in 0..8u8 {
            let is_here = calls(&mut net, 0, 3, (&[number; 8], 60));
            assert!(is_here, "seed {seed}: what it left alone gets through");
        }
        assert!(net.node(3).forged + net.node(0).forged > 0, "seed {seed}");
        for end in [0, 3] {
            let arrived = &net.node(end).arrived;
            let is_whole = |payload: &Bytes| (0..8u8).any(|number| payload[..] == [number; 8]);
            assert!(arrived.iter().all(is_whole), "seed {seed}");
        }
    }
}

/// One neighbour asks as fast as its link carries. It is heard ten times a second, and nobody's
/// table fills; who looks for somebody over the same relays is found all the same.
// spec: ROUTE-6
#[test]
fn r_07_a_flood_of_questions_is_cut_and_others_find_each_other() {
    for seed in seeds(8) {
        let mut net = net(seed, 26, &grid(5));
        link(&mut net, &[(25, 12)], mesh_sim::Quality::STREAM);
        let flooding = between(&net, 25, 12);
        let flood = |net: &mut Net, rounds: u32| {
            for _ in 0..rounds {
                net.with(25, |node, _| {
                    for _ in 0..100 {
                        let id = node.rng.bytes();
                        let lie = Find { id, tag: node.rng.bytes(), ..find(0) };
                        node.says.push_back((flooding, lie.into()));
                    }
                });
                net.run_for(Duration::from_millis(100));
            }
        };
        flood(&mut net, 100);
        let heard = net.node(12).heard.len();
        assert!(heard > 9000, "it is a flood: {heard}");
        // Over ten seconds each link carries the burst and ten a second.
        let most = limits::FIND_BURST as usize + 101 + 50;
        for node in (0..25).filter(|node| *node != 12) {
            for link in net.links(node) {
                let over = net.node(node).heard.iter().filter(|(over, _)| over == link).count();
                assert!(over <= 2 * most, "seed {seed}: {over} at {node}");
            }
            assert!(net.node(node).weight() < 256 << 10);
        }
        // They look while it goes on, as a node does: again and again.
        let met = (0..6).any(|_| {
            look(&mut net, 0, 24);
            flood(&mut net, 80);
            !net.node(0).open().is_empty()
        });
        assert!(met, "seed {seed}: the flood keeps them from finding each other");
        assert!(calls(&mut net, 0, 24, (b"hello", 5)), "seed {seed}");
    }
}

/// A neighbour sends packets through a relay as fast as it can, whatever the relay allows. Those
/// of others take turns with them.
// spec: ROUTE-12
#[test]
fn r_07_a_flood_of_packets_starves_nobody() {
    let mut node = Alone::among(3);
    let own = node.tag();
    let large = Opaque::new(vec![7; limits::PACKET_BYTES].into()).unwrap();
    let via = |from: u64| Packet {
        flow: [from as u8; 8],
        frame: large.clone(),
        ..packet(&[tag(from), own, tag(3)], 1)
    };
    let (mut honest, mut strange) = (0, 0);
    for round in 0..200 {
        (0..20).for_each(|_| node.hear(2, via(2)));
        node.hear(1, via(1));
        let sent = node.packets(3);
        honest += sent.iter().filter(|packet| packet.flow == [1; 8]).count();
        strange += sent.iter().filter(|packet| packet.flow == [2; 8]).count();
        // The link carries two packets in every round.
        let last = sent.iter().map(|packet| packet.number).collect::<Vec<_>>();
        for numbers in last.chunks(limits::ACKS) {
            node.hear(3, Arrived { numbers: List::new(numbers), released: 0 });
        }
        let size = via(1).size() as u64;
        node.hear(3, Arrived { numbers: List::default(), released: 2 * size * (round + 1) });
        node.wait(Duration::from_millis(1));
    }
    assert!(honest >= 190, "{honest} of 200 arrived beside {strange} of the flood");
}

/// Links come and go at random, the net falls in two and is whole again: then whoever looks is
/// found, however it was before.
// spec: ROUTE-16
#[test]
fn r_08_after_partition_and_churn_everybody_is_found_again() {
    for seed in seeds(8) {
        let mut rng = mesh_sim::seed::rng(seed).fork("churn");
        let links = grid(5);
        let mut net = net(seed, 25, &links);
        meet(&mut net, 0, 24);
        for round in 0..60u64 {
            // The middle column is cut for a while.
            let is_cut =
                |(a, b): &(usize, usize)| (20..40).contains(&round) && (a % 5 == 2) != (b % 5 == 2);
            for (a, b) in &links {
                let up = net.links(*a).iter().copied().find(|link| net.far_node(*link) == *b);
                match up {
                    Some(link) if is_cut(&(*a, *b)) || rng.below(60) == 0 => net.disconnect(link),
                    None if !is_cut(&(*a, *b)) && rng.below(4) == 0 => {
                        net.connect(*a, *b, mesh_sim::Quality::STREAM);
                    }
                    Some(_) | None => {}
                }
            }
            net.with(0, |node, _| node.call(&round.to_be_bytes()));
            net.run_for(Duration::from_secs(1));
        }
        for (a, b) in &links {
            if !net.links(*a).iter().any(|link| net.far_node(*link) == *b) {
                net.connect(*a, *b, mesh_sim::Quality::STREAM);
            }
        }
        net.run_for(Duration::from_secs(30));
        if net.node(0).open().is_empty() {
            meet(&mut net, 0, 24);
        }
        assert!(calls(&mut net, 0, 24, (b"healed", 30)), "seed {seed}: a black hole is left");
    }
}

/// Whatever a packet, a question or an answer names: what a node sends goes over links it has, to
/// neighbours it has shaken hands with, and asks for no dial.
// spec: ROUTE-9
#[test]
fn r_10_nothing_a_stranger_says_makes_a_node_send_beyond_its_neighbours() {
    for seed in seeds(16) {
        let mut rng = mesh_sim::seed::rng(seed);
        let mut node = Alone::among(3);
        let own = node.tag();
        for round in 0..200u64 {
            let mut tags: Vec<HopTag> = (0..rng.below(10)).map(|_| tag(rng.below(8))).collect();
            tags.insert(rng.below(tags.len() as u64 + 1) as usize, own);
            let at = tags.iter().position(|tag| *tag == own).unwrap() as u8;
            let link = 1 + rng.below(3);
            match rng.below(3) {
                0 => node.hear(link, packet(&tags, at)),
                1 => node.hear(link, Find { hops: List::new(&tags), ..find(round as u8) }),
                _ => {
                    let question = Find { id: [round as u8; 8], ..find(0) };
                    node.hear(link, super::alone::found(&question, &tags));
                }
            }
            node.wait(Duration::from_millis(rng.below(500)));
            let dials = std::iter::from_fn(|| node.router.poll_event())
                .filter(|event| !matches!(event, mesh_routing::RouteEvent::Trail(_)));
            assert_eq!(dials.count(), 0, "seed {seed}");
            assert!((4..16).all(|stranger| node.says(stranger).is_empty()), "seed {seed}");
            // Nor more than it was given: a packet, two questions to everybody, an answer.
            let said: usize = (1..=3).map(|link| node.says(link).len()).sum();
            assert!(said <= 16, "seed {seed}: {said} messages for one");
        }
    }
}

/// A neighbour that takes the tags of everybody on a path gets nothing of what others were given
/// first, and once a minute it makes the victim change its own.
// spec: ROUTE-2, ROUTE-3
#[test]
fn a_neighbour_that_takes_all_names_gets_no_packets() {
    let mut node = Alone::among(3);
    let own = node.tag();
    for name in [tag(1), tag(2), own, tag(2)] {
        node.hear(3, presence(name));
        node.hear(1, packet(&[tag(1), own, tag(2)], 1));
        assert_eq!((node.packets(2).len(), node.packets(3).len()), (1, 0), "{name:?}");
        node.hear(2, presence(tag(2)));
    }
}

/// A neighbour that says again what it heard, and what was said before, changes nothing.
// spec: ROUTE-5, ROUTE-10
#[test]
fn a_neighbour_that_repeats_everything_changes_nothing() {
    for seed in seeds(8) {
        let mut net = net(seed, 6, &[(0, 1), (1, 2), (0, 3), (3, 4), (4, 2), (2, 5)]);
        turn(
            &mut net,
            1,
            |node, _, message| {
                Some(message).inspect(|message| {
                    let links: Vec<LinkId> = node.heard.iter().map(|(link, _)| *link).collect();
                    if node.says.len() < 100 {
                        let again = links.iter().rev().take(3).map(|link| (*link, message.clone()));
                        node.says.extend(again);
                    }
                })
            },
            |node, link, message| {
                if node.says.len() < 100 {
                    node.says.push_back((link, message.clone()));
                }
                Some(message)
            },
        );
        meet(&mut net, 0, 5);
        assert!(calls(&mut net, 0, 5, (b"hello", 10)), "seed {seed}");
        // A session takes a record once; here, a payload per call.
        assert!(net.node(5).got(b"hello") <= 10, "seed {seed}");
        for honest in [0, 2, 3, 4, 5] {
            assert!(net.node(honest).weight() < 64 << 10, "seed {seed}");
        }
    }
}

/// A neighbour that lies in its acknowledgements gets what it can get, and nothing breaks.
// spec: ROUTE-10, ROUTE-11
#[test]
fn lies_in_acknowledgements_hurt_the_liar_alone() {
    for seed in seeds(16) {
        let mut rng = mesh_sim::seed::rng(seed);
        let mut node = Alone::among(3);
        let own = node.tag();
        for _ in 0..500 {
            node.hear(1, packet(&[tag(1), own, tag(2)], 1));
            node.hear(1, packet(&[tag(1), own, tag(3)], 1));
            let numbers: Vec<u32> = (0..rng.below(40)).map(|_| rng.below(1 << 32) as u32).collect();
            let released = rng.below(1 << 62) >> rng.below(62);
            node.hear(2, Arrived { numbers: List::new(&numbers), released });
            node.packets(2);
            let honest: Vec<Packet> = node.packets(3);
            let numbers: Vec<u32> = honest.iter().map(|packet| packet.number).collect();
            assert!(honest.iter().any(|packet| hops(&packet.path).last() == Some(&tag(3))));
            let released = u64::MAX >> 2;
            node.hear(3, Arrived { numbers: List::new(&numbers), released });
            node.wait(Duration::from_millis(rng.below(20)));
            assert!(node.router.weight() < 2 * limits::RELAY_BYTES, "seed {seed}");
        }
    }
}

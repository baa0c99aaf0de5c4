//! What holds whatever happens: packets end, questions do not multiply, one seed is one life.

use core::time::Duration;
use mesh_routing::Scope;
use std::collections::BTreeMap;

use mesh_sim::seeds;
use mesh_wire::codec::List;
use mesh_wire::message::RouteMessage;
use mesh_wire::message::routing::{Find, Found, Packet};
use mesh_wire::{HopTag, LinkId, Rng, limits};

use super::alone::packet;
use super::traveller::{Net, calls, graph, grid, line, look, meet, net};

fn below(rng: &mut Rng, bound: usize) -> usize {
    rng.below(bound as u64) as usize
}

/// The tag of a node, as a neighbour heard it last.
fn tag_of(net: &Net, node: usize) -> HopTag {
    let link = net.links(node)[0];
    let said = net.node(net.far_node(link)).heard.iter().rev().find_map(|(from, message)| {
        let is_from = net.far_node(*from) == node;
        if let RouteMessage::Presence(p) = message { is_from.then_some(p.tag) } else { None }
    });
    said.expect("it has said who it is")
}

/// Every PACKET that travelled, by flow.
fn packets(net: &Net) -> BTreeMap<[u8; 8], Vec<Packet>> {
    let mut by_flow: BTreeMap<_, Vec<Packet>> = BTreeMap::new();
    for (_, message) in net.nodes().flat_map(|node| &net.node(node).heard) {
        if let RouteMessage::Packet(packet) = message {
            by_flow.entry(packet.flow).or_default().push(packet.clone());
        }
    }
    by_flow
}

/// A path of tags of anybody and nobody, in any order, some of them often.
fn adversarial_path(rng: &mut Rng, first: HopTag, tags: &[HopTag]) -> Vec<HopTag> {
    let length = 2 + below(rng, limits::PATH_TAGS - 2);
    let few = 1 + below(rng, tags.len());
    let mut path: Vec<HopTag> = (0..length)
        .map(|_| match rng.below(5) {
            0 => HopTag(rng.bytes()),
            _ => tags[below(rng, few)],
        })
        .collect();
    path[1] = first;
    path
}

/// Whatever a path says, and wherever it leads in circles, each packet is carried at most as often
/// as it has tags and 16 times more, and is led around at most [`limits::PATCHES`] gaps.
// spec: ROUTE-9, ROUTE-13
#[test]
fn r_04_every_packet_ends() {
    for seed in seeds(48) {
        let mut rng = mesh_sim::seed::rng(seed);
        let links = graph(&mut rng, 12);
        let mut net = net(seed, 12, &links);
        let tags: Vec<HopTag> = net.nodes().map(|node| tag_of(&net, node)).collect();
        let mut lengths = BTreeMap::new();
        for number in 0..20u8 {
            let from = below(&mut rng, 12);
            let over = net.links(from)[below(&mut rng, net.links(from).len())];
            let path = adversarial_path(&mut rng, tags[net.far_node(over)], &tags);
            lengths.insert([number; 8], path.len());
            let packet = Packet { flow: [number; 8], ..packet(&path, 1) };
            net.with(from, |node, _| node.says.push_back((over, packet.into())));
            // Tags get stale and links go on the way.
            if rng.below(4) == 0 {
                let renamed = below(&mut rng, 12);
                net.with(renamed, |node, now| node.router.rotate(now.time));
            }
            net.run_for(Duration::from_millis(rng.below(50)));
        }
        net.run_for(Duration::from_secs(30));
        for (flow, carried) in packets(&net) {
            // The first of them is the forger's own.
            let most = lengths[&flow] + 8 + 1;
            assert!(carried.len() <= most, "seed {seed}: {} times, at most {most}", carried.len());
            assert!(carried.iter().all(|packet| packet.patches <= limits::PATCHES));
            let lefts = carried.iter().map(|packet| usize::from(packet.hops_left));
            assert!(lefts.max() <= Some(most), "nobody gives it more hops");
        }
        let silent = net.run_until_quiet(Duration::from_secs(5), Duration::from_secs(30));
        assert!(silent, "seed {seed}: something goes on for ever");
    }
}

/// Every copy of a FIND over every link, by its id.
fn copies(net: &Net) -> BTreeMap<([u8; 8], LinkId), usize> {
    let mut copies = BTreeMap::new();
    for (link, message) in net.nodes().flat_map(|node| &net.node(node).heard) {
        if let RouteMessage::Find(find) = message {
            *copies.entry((find.id, *link)).or_default() += 1;
        }
    }
    copies
}

/// A link carries a question at most once each way, and who hears it once more does not ask again.
// spec: ROUTE-5
#[test]
fn r_04_a_question_crosses_a_link_at_most_once_each_way() {
    for seed in seeds(24) {
        let mut rng = mesh_sim::seed::rng(seed);
        let (links, count) = match seed % 3 {
            0 => (grid(6), 36),
            1 => (line(20), 20),
            _ => (graph(&mut rng, 40), 40),
        };
        let mut net = net(seed, count, &links);
        look(&mut net, 0, count - 1);
        net.run_for(Duration::from_secs(9));
        let copies = copies(&net);
        assert!(copies.values().all(|count| *count == 1), "seed {seed}");
        let mut by_id: BTreeMap<[u8; 8], usize> = BTreeMap::new();
        copies.keys().for_each(|(id, _)| *by_id.entry(*id).or_default() += 1);
        let most = by_id.values().max().copied().unwrap_or_default();
        assert!(most <= 2 * links.len(), "seed {seed}: {most} copies on {} links", links.len());
    }
}

/// A neighbour that says everything thrice changes nothing for anybody else.
// spec: ROUTE-5, ROUTE-8
#[test]
fn questions_and_answers_that_come_thrice_count_once() {
    for seed in seeds(8) {
        let mut net = net(seed, 25, &grid(5));
        net.with(12, |node, _| {
            node.speaks = |node, link, message| {
                if matches!(message, RouteMessage::Find(_) | RouteMessage::Found(_)) {
                    node.says.extend([(link, message.clone()), (link, message.clone())]);
                }
                Some(message)
            };
        });
        meet(&mut net, 0, 24);
        assert!(calls(&mut net, 0, 24, (b"hello", 5)), "seed {seed}");
        let from_liar = |net: &Net, link: LinkId| net.far_node(link) == 12;
        let copies = copies(&net);
        assert!(copies.iter().all(|((_, link), n)| *n == 1 || (*n == 3 && from_liar(&net, *link))));
        let answers = net.node(0).heard.iter().filter(|(_, m)| matches!(m, RouteMessage::Found(_)));
        let asked = 2 * net.links(0).len() * usize::from(limits::ANSWERS);
        assert!(answers.count() <= asked, "seed {seed}");
    }
}

// spec: ROUTE-1
#[test]
fn where_nobody_wants_anything_nothing_is_sent() {
    let mut net = net(3, 25, &grid(5));
    let heard = |net: &Net| net.nodes().map(|node| net.node(node).heard.len()).sum::<usize>();
    let before = heard(&net);
    net.run_for(Duration::from_secs(3600));
    assert_eq!(heard(&net), before);
    // And when somebody wanted something, it ends.
    meet(&mut net, 0, 24);
    assert!(calls(&mut net, 0, 24, (b"hello", 5)));
    net.run_for(limits::FLOW_IDLE + Duration::from_secs(5));
    let before = heard(&net);
    net.run_for(Duration::from_secs(3600));
    assert_eq!(heard(&net), before);
    assert!(net.node(0).open().is_empty() && net.node(24).open().is_empty());
}

/// A life with everything in it, and its hash.
fn life(seed: u64) -> mesh_wire::Hash {
    let mut rng = mesh_sim::seed::rng(seed);
    let mut net = net(seed, 20, &graph(&mut rng, 20));
    look(&mut net, 0, 19);
    for round in 0..10u8 {
        net.run_for(Duration::from_millis(500));
        net.with(0, |node, _| node.call(&[round]));
        let node = below(&mut rng, 20);
        match net.links(node).first().copied() {
            Some(link) if rng.below(2) == 0 => net.disconnect(link),
            _ => net.with(node, |node, now| node.router.rotate(now.time)),
        }
    }
    net.run_for(Duration::from_secs(10));
    net.trace()
}

#[test]
fn one_seed_is_one_life() {
    for seed in seeds(4) {
        assert_eq!(life(seed), life(seed), "seed {seed}");
    }
    assert_ne!(life(0), life(1));
}

/// Answers that lie about the way lead packets nowhere, but not for long, and their lies are kept
/// in no greater number than truths.
// spec: ROUTE-8
#[test]
fn ways_of_any_length_and_shape_are_no_more_than_paths() {
    for seed in seeds(64) {
        let mut rng = mesh_sim::seed::rng(seed);
        let mut node = super::alone::Alone::among(3);
        assert!(node.router.seek(node.now, super::KEY, Scope::Full));
        let question: Find = node.finds(1).pop().unwrap();
        let last = HopTag(rng.bytes());
        for _ in 0..32 {
            let mut way: Vec<HopTag> =
                (0..below(&mut rng, 45)).map(|_| super::alone::tag(rng.below(6))).collect();
            way.push(last);
            let cost = rng.below(1 << 32) as u32;
            let path = List::new(&way);
            let proof = super::alone::found(&question, &[last]).proof;
            node.hear(1, Found { id: question.id, answer: 0, cost, proof, path });
        }
        node.wait(Duration::from_secs(60));
        let relays = node.events().into_iter().find_map(|event| {
            let mesh_routing::TrailEvent::Up { link, .. } = event else { return None };
            node.router.relays(link)
        });
        assert!(relays.is_none_or(|relays| relays + 2 <= limits::PATH_TAGS), "seed {seed}");
        assert!(mesh_wire::Machine::weight(&node.router) < 16 << 10, "seed {seed}");
    }
}

//! The same checks for every model: lines, rings, grids, links that break, nodes that are bad. Then
//! what each is known for.

use std::time::Duration;

use clap::ValueEnum;
use mesh_sim::{Law, Quality, Securing, Subject, Transmitter, World, seeds};
use mesh_wire::{Carrier, LinkId, Machine, Wire};

use super::aodv::Aodv;
use super::flood::Flood;
use super::node::Delivered;
use super::tree::Tree;
use super::vector::Vector;
use super::{Node, NodeId, Payload, Protocol, routes};
use crate::{self as town, Class, Corruption, Measure, Plan, Scenario, Sent};

/// The radio of a town.
const RADIO: Quality = Quality {
    carrier: Carrier::Datagram,
    delay: Duration::from_millis(15),
    jitter: Duration::from_millis(20),
    loss_per_mille: 0,
    repeat_per_mille: 0,
    bytes_per_second: 20_000,
    transmitter: Transmitter::OfNode,
    overhead_bytes: 18,
    room_bytes: 1200,
};

/// Runs a check for every model.
macro_rules! for_every_model {
    ($($name:ident => $check:ident;)*) => {
        mod flood_of_seven {
            use super::*;
            $(#[test] fn $name() { $check(|| Flood::new(7)); })*
        }
        mod flood_far {
            use super::*;
            $(#[test] fn $name() { $check(|| Flood::new(32)); })*
        }
        mod aodv {
            use super::*;
            $(#[test] fn $name() { $check(Aodv::default); })*
        }
        mod vector {
            use super::*;
            $(#[test] fn $name() { $check(Vector::default); })*
        }
        mod tree {
            use super::*;
            $(#[test] fn $name() { $check(Tree::default); })*
        }
    };
}
for_every_model! {
    a_line_is_crossed_hop_by_hop => a_line;
    a_ring_is_crossed_the_short_way => a_ring;
    a_broken_link_is_gone_around => a_broken_link;
    a_silent_link_is_gone_around => a_silent_link;
    a_grid_is_crossed_from_corner_to_corner => a_grid;
    a_lost_corner_stone_is_survived => a_dead_lowest_node;
    a_black_hole_hears_and_does_not_pass_on => a_black_hole;
    a_flooder_does_not_silence_others => a_flooder;
    two_parts_cannot_talk_and_one_whole_can => two_parts;
    the_laws_of_a_machine_are_kept => laws;
}

struct Net<P: Protocol> {
    world: World<Node<P>>,
    /// From node n to the next one.
    links: Vec<LinkId>,
    sent: u64,
}

impl<P: Protocol + 'static> Net<P> {
    fn new(seed: u64, nodes: usize, protocol: fn() -> P, ends: &[(usize, usize)]) -> Self {
        let mut world = World::new(seed, Securing::ByWorld);
        for node in 0..nodes {
            let name = world.peer(node);
            world.add(|_, rng| Node::new(name, protocol(), rng));
        }
        let links = ends.iter().map(|(from, to)| world.connect(*from, *to, RADIO).0).collect();
        let mut net = Self { world, links, sent: 0 };
        net.settle();
        net
    }

    fn line(seed: u64, nodes: usize, protocol: fn() -> P) -> Self {
        let ends: Vec<_> = (1..nodes).map(|node| (node - 1, node)).collect();
        Self::new(seed, nodes, protocol, &ends)
    }

    fn ring(seed: u64, nodes: usize, protocol: fn() -> P) -> Self {
        let ends: Vec<_> = (0..nodes).map(|node| (node, (node + 1) % nodes)).collect();
        Self::new(seed, nodes, protocol, &ends)
    }

    fn grid(seed: u64, side: usize, protocol: fn() -> P) -> Self {
        let across = (0..side * side).filter(|node| node % side + 1 < side).map(|at| (at, at + 1));
        let down = (0..side * (side - 1)).map(|node| (node, node + side));
        Self::new(seed, side * side, protocol, &across.chain(down).collect::<Vec<_>>())
    }

    /// Time for announcements and for the tree.
    fn settle(&mut self) {
        self.world.run_for(Duration::from_secs(150));
    }

    /// Sends a message and lets it arrive; its hops and the time it took.
    fn chat(&mut self, from: usize, to: usize) -> Option<(u8, Duration)> {
        let (number, peer) = (self.sent, self.world.peer(to));
        self.sent += 1;
        let start = self.world.now(to).time;
        let payload = Payload::message(number, 200);
        self.world.with(from, |node, now| node.send(now, peer, payload));
        let is_it = |event: &&Delivered| event.number == number;
        self.world.run_until(Duration::from_secs(15), |world| {
            world.events(to).iter().any(|event| is_it(&event))
        });
        let took = self.world.now(to).time.since(start);
        let event = self.world.events(to).iter().find(is_it)?;
        Some((event.hops, took))
    }

    fn total(&self, counts: impl Fn(Class, &str) -> bool) -> Sent {
        let mut total = Sent::default();
        for node in self.world.nodes() {
            for (kind, sent) in &self.world.node(node).sent().0 {
                if counts(kind.class, kind.name) {
                    total.messages += sent.messages;
                    total.bytes += sent.bytes;
                }
            }
        }
        total
    }
}

fn a_line<P: Protocol + 'static>(protocol: fn() -> P) {
    for seed in seeds(4) {
        let mut net = Net::line(seed, 7, protocol);
        for (from, to, hops) in [(0, 6, 6), (6, 0, 6), (2, 3, 1), (5, 1, 4)] {
            let (took_hops, took) = net.chat(from, to).expect("it arrives");
            assert_eq!(took_hops, hops, "from {from} to {to}");
            assert!(took < Duration::from_millis(2500), "from {from} to {to} in {took:?}");
        }
        net.world.run_for(Duration::from_secs(15));
        let messages = net.total(|_, name| name == "message");
        let receipts = net.total(|_, name| name == "receipt");
        assert!(messages.messages >= 17 && receipts.messages >= 17, "{messages:?} {receipts:?}");
    }
}

fn a_ring<P: Protocol + 'static>(protocol: fn() -> P) {
    for seed in seeds(4) {
        let mut net = Net::ring(seed, 8, protocol);
        for (from, to, hops) in [(0, 2, 2), (0, 4, 4), (1, 0, 1), (6, 1, 3)] {
            let (took_hops, _) = net.chat(from, to).expect("it arrives");
            // Coordinates of a tree may lead the long way round; floods may win by a whim.
            assert!((hops..=8 - hops).contains(&took_hops), "from {from} to {to}: {took_hops}");
        }
    }
}

fn a_broken_link<P: Protocol + 'static>(protocol: fn() -> P) {
    for seed in seeds(4) {
        let mut net = Net::ring(seed, 6, protocol);
        assert!(net.chat(0, 2).is_some());
        net.world.disconnect(net.links[1]);
        let (hops, _) = net.chat(0, 2).expect("it goes the other way");
        assert_eq!(hops, 4);
        let (hops, _) = net.chat(2, 0).expect("and back");
        assert_eq!(hops, 4);
    }
}

fn two_parts<P: Protocol + 'static>(protocol: fn() -> P) {
    let mut net = Net::line(1, 4, protocol);
    net.world.disconnect(net.links[1]);
    assert_eq!(net.chat(0, 3), None);
    net.links[1] = net.world.connect(1, 2, RADIO).0;
    net.settle();
    assert_eq!(net.chat(0, 3).map(|(hops, _)| hops), Some(3));
}

/// All laws but two, which forbid a machine to remember what it has heard of nodes that are away.
fn laws<P: Protocol + 'static>(protocol: fn() -> P) {
    const NODES: usize = 4;
    let kept = |law: &&Law| !matches!(law, Law::CleanGoodbye | Law::JunkProof);
    for seed in seeds(3) {
        let nobody = World::<Node<P>>::new(seed, Securing::ByWorld);
        let names: [_; NODES] = std::array::from_fn(|node| nobody.peer(node));
        let subject =
            Subject::new(move |node, rng| Node::new(names[node], protocol(), rng), 8 << 20)
                .over(RADIO)
                .commands(move |node, now, rng| {
                    let (to, number) =
                        (names[rng.below(NODES as u64) as usize], rng.below(1 << 60));
                    node.send(now, to, Payload::message(number, 200));
                });
        for law in Law::ALL.iter().filter(kept) {
            assert_eq!(law.test(&subject, seed), Ok(()), "{law}, seed {seed}");
        }
    }
}

fn a_silent_link<P: Protocol + 'static>(protocol: fn() -> P) {
    for seed in seeds(4) {
        let mut net = Net::ring(seed, 6, protocol);
        assert!(net.chat(0, 2).is_some());
        net.world.fade(net.links[1], Duration::from_secs(600));
        let (hops, _) = net.chat(0, 2).expect("it goes the other way");
        assert_eq!(hops, 4);
    }
}

fn a_grid<P: Protocol + 'static>(protocol: fn() -> P) {
    for seed in seeds(4) {
        let mut net = Net::grid(seed, 4, protocol);
        for (from, to) in [(0, 15), (15, 0), (3, 12)] {
            let (hops, _) = net.chat(from, to).expect("it arrives");
            assert!((6..=12).contains(&hops), "from {from} to {to}: {hops}");
        }
    }
}

/// The lowest name is the root of the tree; to the others it is a node like any other.
fn a_dead_lowest_node<P: Protocol + 'static>(protocol: fn() -> P) {
    for seed in seeds(4) {
        let mut net = Net::grid(seed, 4, protocol);
        let name = |node: &usize| NodeId::from(net.world.peer(*node));
        let lowest = net.world.nodes().min_by_key(name).expect("there are nodes");
        for link in net.world.links(lowest).to_vec() {
            net.world.fade(link, Duration::from_secs(3));
        }
        net.world.run_for(Duration::from_secs(40));
        for (from, to) in [(0, 15), (15, 0), (3, 12), (12, 3), (5, 10)] {
            let is_alive = from != lowest && to != lowest;
            assert_eq!(net.chat(from, to).is_some(), is_alive, "from {from} to {to}, seed {seed}");
        }
    }
}

fn a_black_hole<P: Protocol + 'static>(protocol: fn() -> P) {
    let mut net = Net::line(1, 3, protocol);
    net.world.with(1, |node, _| node.corrupt(Corruption::BlackHole));
    assert_eq!(net.chat(0, 2), None);
    assert!(net.chat(0, 1).is_some() && net.chat(1, 2).is_some());
}

fn a_flooder<P: Protocol + 'static>(protocol: fn() -> P) {
    let mut net = Net::line(1, 5, protocol);
    net.world.with(4, |node, _| node.corrupt(Corruption::Flooder));
    net.world.run_for(Duration::from_secs(5));
    assert!(net.chat(0, 1).is_some());
}

#[test]
fn a_flood_ends_after_its_hops_and_uses_a_link_once_in_each_direction() {
    for seed in seeds(4) {
        let mut net = Net::line(seed, 5, || Flood::new(3));
        assert_eq!(net.chat(0, 4), None);
        assert_eq!(net.chat(0, 3).map(|(hops, _)| hops), Some(3));

        let mut net = Net::grid(seed, 4, || Flood::new(7));
        net.chat(0, 15).expect("it arrives");
        net.world.run_for(Duration::from_secs(20));
        let messages = net.total(|_, name| name == "message").messages;
        assert!((15..=2 * 24).contains(&messages), "{messages} over 24 links");
    }
}

#[test]
fn nobody_asks_before_somebody_speaks_and_one_ring_suffices_for_those_near_by() {
    for seed in seeds(4) {
        let mut net = Net::line(seed, 12, Aodv::default);
        assert_eq!(net.total(|_, _| true), Sent::default());
        net.chat(0, 2).expect("it arrives");
        net.world.run_for(Duration::from_secs(20));
        let requests = |net: &Net<Aodv>| net.total(|_, name| name == "request").messages;
        assert_eq!(requests(&net), 2, "from 0 to 1 and on to 2, who answers");
        net.chat(2, 0).expect("it arrives");
        assert_eq!(requests(&net), 2, "the way back is known");
        net.chat(0, 11).expect("it arrives");
        assert_eq!(requests(&net), 2 + 3 + 11, "a ring of 3, then everybody");
    }
}

#[test]
fn who_has_lost_a_way_is_told_and_asks_again_at_once() {
    for seed in seeds(4) {
        let mut net = Net::ring(seed, 8, Aodv::default);
        net.chat(0, 3).expect("it arrives");
        net.world.fade(net.links[2], Duration::from_secs(600));
        let (_, took) = net.chat(0, 3).expect("it goes the other way");
        assert!(took < Duration::from_millis(3000), "before it is sent again: {took:?}");
        assert!(net.total(|_, name| name == "broken").messages > 0);
    }
}

#[test]
fn everybody_is_known_by_announcements_and_nobody_asks() {
    for seed in seeds(4) {
        let mut net = Net::grid(seed, 4, Vector::default);
        assert!(net.world.nodes().all(|node| net.world.node(node).weight() == 15 * 64));
        let (hops, _) = net.chat(0, 15).expect("it arrives");
        assert!(hops <= 8, "{hops}");
        assert_eq!(net.total(|_, name| name == "request"), Sent::default());
    }
}

#[test]
fn look_ups_walk_the_tree_and_strangers_are_looked_up_by_nobody() {
    for seed in seeds(4) {
        let mut net = Net::grid(seed, 4, Tree::default);
        net.chat(0, 15).expect("it arrives");
        let look_ups = net.total(|_, name| name == "look-up").messages;
        assert!((1..=2 * 15).contains(&look_ups), "{look_ups} along 15 branches");
        net.world.with(0, |node, _| node.corrupt(Corruption::Flooder));
        net.world.run_for(Duration::from_secs(10));
        let more = net.total(|_, name| name == "look-up").messages - look_ups;
        assert!(more < 100, "{more} of 1000 strangers pass a filter");
    }
}

#[test]
fn every_model_lives_in_a_town() {
    let text = "row = 'X'\ntitle = 'A lattice'\npeople = 9\nwarm_up = 60\nseconds = 90\n\
        place = { kind = 'grid' }\nload = { kind = 'probes', per_second = 1, bytes = 200 }";
    let plan = Plan::new(&Scenario::parse("lattice", text).expect("it is one"), 1);
    let models = town::Protocol::value_variants().iter();
    for model in models.filter(|protocol| **protocol != town::Protocol::Mesh) {
        let values = model.run(&plan).values;
        assert_eq!(values[&Measure::D15], 1.0, "{model}");
        assert!(values[&Measure::Content] > 0.0, "{model}");
    }
}

#[test]
fn tables_are_filled_by_messages_of_the_size_of_the_originals() {
    assert_eq!((routes::Request::MIN_SIZE, routes::Reply::MIN_SIZE), (51, 167));
    assert_eq!(routes::Data::MIN_SIZE - Payload::MIN_SIZE, 35);
    assert_eq!((super::vector::Announce::MIN_SIZE, super::aodv::Broken::MIN_SIZE), (167, 40));
}

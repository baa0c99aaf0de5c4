//! One link between two nodes, however it comes about and whatever is lost.

use core::time::Duration;

use mesh_sim::{Quality, seeds};
use mesh_wire::{Carrier, limits};

use crate::{node, open_links, world};

const SECOND: Duration = Duration::from_secs(1);

// spec: SESSION-18
#[test]
fn two_nodes_have_a_session_within_a_round_trip_and_a_half() {
    let mut world = world(1);
    let (alice, bob) = (world.add(node), world.add(node));
    let quality = Quality { delay: Duration::from_millis(10), ..Quality::STREAM };
    world.connect(alice, bob, quality);
    assert!(world.run_until(Duration::from_millis(35), |world| {
        [alice, bob].iter().all(|node| open_links(world.node(*node)).len() == 1)
    }));
}

// spec: SESSION-19
#[test]
fn h_11_simultaneous_opens_end_in_exactly_one_link() {
    for seed in seeds(32) {
        let mut world = world(seed);
        let (alice, bob) = (world.add(node), world.add(node));
        let mut rng = world.rng("delays");
        for (from, to) in [(alice, bob), (bob, alice), (alice, bob)] {
            let delay = Duration::from_millis(rng.below(20));
            world.connect(from, to, Quality { delay, ..Quality::STREAM });
            world.run_for(Duration::from_millis(rng.below(40)));
        }
        world.run_for(2 * SECOND);
        let (a, b) = (open_links(world.node(alice)), open_links(world.node(bob)));
        assert_eq!((a.len(), b.len()), (1, 1), "seed {seed}");
        assert_eq!(world.far_node(a[0]), bob);
        assert_eq!(world.links(alice).len(), 1, "the others are closed, too");
    }
}

#[test]
fn h_11_a_handshake_over_datagrams_survives_loss_repetition_and_reordering() {
    for seed in seeds(32) {
        let mut world = world(seed);
        let (alice, bob) = (world.add(node), world.add(node));
        let quality = Quality {
            delay: Duration::from_millis(10),
            jitter: Duration::from_millis(40),
            loss_per_mille: 200,
            repeat_per_mille: 200,
            ..Quality::DATAGRAM
        };
        world.connect(alice, bob, quality);
        let open = world.run_until(limits::HANDSHAKE_TIME, |world| {
            [alice, bob].iter().all(|node| open_links(world.node(*node)).len() == 1)
        });
        assert!(open, "seed {seed}");
    }
}

// spec: SESSION-14
#[test]
fn a_silent_neighbour_is_asked_and_then_given_up() {
    let mut world = world(3);
    let (alice, bob) = (world.add(node), world.add(node));
    world.connect(alice, bob, Quality::STREAM);
    world.run_for(10 * limits::DEAD_AFTER);
    assert_eq!(open_links(world.node(alice)).len(), 1, "a quiet neighbour that answers stays");

    let deaf = Quality { loss_per_mille: 1000, carrier: Carrier::Datagram, ..Quality::DATAGRAM };
    let carol = world.add(node);
    world.connect(carol, bob, deaf);
    assert!(!world.run_until(limits::HANDSHAKE_TIME + SECOND, |world| {
        !open_links(world.node(carol)).is_empty()
    }));
    assert!(world.links(carol).is_empty(), "a handshake that nobody answers ends");
}

// spec: SESSION-15
#[test]
fn whoever_leaves_says_so_and_the_other_end_knows_at_once() {
    let mut world = world(4);
    let (alice, bob) = (world.add(node), world.add(node));
    world.connect(alice, bob, Quality::STREAM);
    world.run_for(SECOND);
    world.with(alice, |alice, now| alice.leave(now));
    world.run_for(Duration::from_millis(100));
    assert!(world.links(alice).is_empty() && world.links(bob).is_empty());
}

#[test]
fn a_node_that_is_dialled_by_itself_hangs_up() {
    let mut world = world(5);
    let alice = world.add(node);
    world.connect(alice, alice, Quality::STREAM);
    world.run_for(2 * SECOND);
    assert!(world.links(alice).is_empty());
}

// spec: FIND-14
#[test]
fn a_pseudonym_lives_a_quarter_of_an_hour_and_links_outlive_it() {
    let mut world = world(6);
    let (alice, bob) = (world.add(node), world.add(node));
    world.connect(alice, bob, Quality::STREAM);
    let first = world.node(alice).peer();
    world.run_for(limits::PSEUDONYM_TIME * 4 / 5 - SECOND);
    assert_eq!(world.node(alice).peer(), first);
    world.run_for(limits::PSEUDONYM_TIME * 2 / 5 + SECOND);
    assert_ne!(world.node(alice).peer(), first);
    assert_eq!(open_links(world.node(alice)).len(), 1);
}

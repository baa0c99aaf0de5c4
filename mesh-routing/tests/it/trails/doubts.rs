//! How a node finds out which relay keeps its packets, and leads its paths around it.

use core::time::Duration;
use std::collections::BTreeSet;

use bytes::Bytes;
use mesh_routing::{Relaying, Scope, TrailEvent};
use mesh_sim::seeds;
use mesh_wire::codec::List;
use mesh_wire::message::routing::{Arrived, Broken, Find, Packet, RouteMessage};
use mesh_wire::{FindKey, HopTag, LinkId, limits};

use super::KEY;
use super::alone::{Alone, find, found, hops, packet, tag};
use super::traveller::{calls, look, meet, net};

/// A node that has sent its first frame along `way`, over link 1.
fn asking(way: &[HopTag]) -> (Alone, LinkId) {
    let mut node = Alone::among(3);
    let link = node.find(1, way);
    ask(&mut node, link, 1);
    (node, link)
}

/// A frame that asks for an answer leaves over link `number` and is acknowledged.
fn ask(node: &mut Alone, link: LinkId, number: u64) {
    let frame = node.router.take_held(link).unwrap_or(Bytes::from_static(b"question"));
    node.router.expect(node.now, link);
    let wrapped = node.router.wrap(node.now, (link, LinkId(number)), frame);
    let Some(RouteMessage::Packet(packet)) = wrapped else { panic!("{wrapped:?}") };
    node.hear(number, Arrived { numbers: List::new(&[packet.number]), released: 0 });
}

/// The relay at `packet`'s receiver says that it can carry the packet no further.
fn no_further(packet: &Packet) -> Broken {
    let (flow, path) = (packet.flow, packet.path.clone());
    let gap = path.len() as u8 - 2;
    Broken { flow, hops_left: 40, position: 0, gap, path }
}

/// How far a path works is told when another one is in use: that is no gap in it.
// spec: ROUTE-16
#[test]
fn late_answers_about_a_path_that_was_left_change_nothing() {
    let mut node = Alone::among(3);
    let routed = node.find(1, &[tag(1), tag(8), tag(9)]);
    let own = node.tag();
    let packet = node.send(routed, 1);
    let path = List::new(&[own, tag(2), tag(7)]);
    let hops_left = 8;
    let flow = packet.flow.map(|byte| !byte);
    node.hear(2, Broken { flow, hops_left, position: 0, gap: 1, path });
    assert_eq!((node.events(), node.finds(2)), (vec![], vec![]));
    assert_eq!(node.send(routed, 1).path, packet.path);
}

// spec: ROUTE-16
#[test]
fn the_relay_behind_the_last_that_can_be_reached_is_avoided() {
    for reached in 0..3 {
        let (mut node, _) = asking(&[tag(1), tag(7), tag(8), tag(9)]);
        node.wait(limits::TURN_TIME / 2);
        let probes = node.acknowledged(1);
        assert_eq!(probes.len(), 3, "one for each relay");
        for probe in &probes {
            assert_eq!(probe.patches, limits::PATCHES, "nobody looks for a detour");
        }
        for probe in probes.iter().filter(|probe| probe.path.len() <= 2 + reached) {
            node.hear(1, no_further(probe));
        }
        node.wait(limits::TURN_TIME / 2);
        let question = node.finds(2).pop().expect("it looks for a path without it");
        let culprit = [tag(1), tag(7), tag(8)][reached];
        assert_eq!(hops(&question.avoid), [culprit]);
    }
}

/// All relays say that they are reached, and yet nothing comes: the last one lies, as from behind
/// the others something came.
// spec: ROUTE-16
#[test]
fn where_all_relays_say_they_are_reached_the_last_one_is_avoided() {
    let (mut node, _) = asking(&[tag(1), tag(7), tag(9)]);
    node.wait(limits::TURN_TIME / 2);
    for probe in node.acknowledged(1) {
        node.hear(1, no_further(&probe));
    }
    node.wait(limits::TURN_TIME / 2);
    let avoided = hops(&node.finds(2)[0].avoid);
    assert_eq!(avoided, [tag(7)]);
}

// spec: ROUTE-16
#[test]
fn a_question_is_asked_again_over_the_next_path_and_then_another_is_looked_for() {
    let mut node = Alone::among(3);
    assert!(node.router.seek(node.now, KEY, Scope::Full));
    let question = node.finds(1).pop().unwrap();
    node.hear(1, found(&question, &[tag(1), tag(8), tag(9)]));
    node.hear(2, found(&question, &[tag(2), tag(7), tag(9)]));
    let Some(TrailEvent::Up { link, .. }) = node.events().pop() else { panic!() };
    ask(&mut node, link, 1);
    node.wait(limits::TURN_TIME / 2);
    node.acknowledged(1);
    node.wait(limits::TURN_TIME / 2);
    assert_eq!(node.router.routed_over(node.now, LinkId(2), LinkId(0)), [link]);
    ask(&mut node, link, 2);
    drop((node.finds(1), node.finds(2), node.finds(3)));
    node.wait(limits::TURN_TIME / 2);
    node.acknowledged(2);
    node.wait(limits::TURN_TIME / 2);
    let questions = node.finds(3);
    assert_eq!(questions.len(), 1, "whoever holds the key will do: nobody answered yet");
    assert!(!node.events().contains(&TrailEvent::Down(link)));
    node.hear(3, found(&questions[0], &[tag(3), tag(9)]));
    assert_eq!(node.router.routed_over(node.now, LinkId(3), LinkId(0)), [link]);
    assert_eq!(node.router.take_held(link), Some(Bytes::from_static(b"question")));
}

/// After the first silent path all others are asked how far they work: one that does is used next,
/// and each relay that keeps packets back is known, whichever path it is on.
// spec: ROUTE-16
#[test]
fn after_one_silent_path_one_that_works_is_used_next_and_all_bad_relays_are_avoided() {
    let mut node = Alone::among(5);
    assert!(node.router.seek(node.now, KEY, Scope::Full));
    let question = node.finds(1).pop().unwrap();
    (1..=4)
        .for_each(|link| node.hear(link, found(&question, &[tag(link), tag(link + 5), tag(10)])));
    let Some(TrailEvent::Up { link, .. }) = node.events().pop() else { panic!() };
    (1..=5).for_each(|other| drop(node.says(other)));
    ask(&mut node, link, 1);
    node.wait(limits::TURN_TIME / 2);
    let probes = |node: &mut Alone| [1, 2, 3, 4].map(|link| node.acknowledged(link));
    assert_eq!(probes(&mut node).map(|sent| sent.len()), [2, 0, 0, 0], "only the one in use");
    node.wait(limits::TURN_TIME / 2);
    assert_eq!(node.router.routed_over(node.now, LinkId(2), LinkId(0)), [link]);
    let [_, second, third, fourth] = probes(&mut node);
    assert_eq!([second.len(), third.len(), fourth.len()], [2; 3], "all others, at once");
    node.hear(3, no_further(&third[0]));
    fourth.iter().for_each(|probe| node.hear(4, no_further(probe)));
    node.wait(limits::TURN_TIME / 2);
    let used = [2, 3, 4].map(|over| node.router.routed_over(node.now, LinkId(over), LinkId(0)));
    assert_eq!(used, [vec![], vec![], vec![link]]);
    node.wait(limits::TURN_TIME / 2);
    let question = node.finds(5).pop().expect("it looks for another path");
    // The third path works up to its last relay; behind the last of the fourth there is no answer.
    let avoided: BTreeSet<HopTag> = question.avoid.iter().collect();
    assert_eq!(avoided, BTreeSet::from([tag(1), tag(2), tag(8), tag(9)]));
}

/// Where one relay is known to keep packets back, others may: all paths are asked from the first.
// spec: ROUTE-16
#[test]
fn who_knows_a_bad_relay_asks_along_all_paths_at_once() {
    let (mut node, first) = asking(&[tag(1), tag(7), tag(9)]);
    node.wait(limits::TURN_TIME / 2);
    assert_eq!(node.acknowledged(1).len(), 2);
    node.wait(limits::TURN_TIME / 2);
    node.router.close(first);
    assert!(node.router.seek(node.now, KEY, Scope::Full));
    let question = node.finds(2).pop().unwrap();
    assert_eq!(hops(&question.avoid), [tag(1)]);
    (2..=3).for_each(|link| node.hear(link, found(&question, &[tag(link), tag(link + 5), tag(9)])));
    let Some(TrailEvent::Up { link, .. }) = node.events().pop() else { panic!() };
    drop((node.says(2), node.says(3)));
    ask(&mut node, link, 2);
    node.wait(limits::TURN_TIME / 2);
    assert_eq!([2, 3].map(|link| node.acknowledged(link).len()), [2, 2]);
}

/// An answer may be on its way yet.
// spec: ROUTE-16
#[test]
fn a_path_that_was_asked_about_a_moment_ago_is_not_judged() {
    let mut node = Alone::among(3);
    assert!(node.router.seek(node.now, KEY, Scope::Full));
    let question = node.finds(1).pop().unwrap();
    node.hear(1, found(&question, &[tag(1), tag(8), tag(9)]));
    let Some(TrailEvent::Up { link, .. }) = node.events().pop() else { panic!() };
    ask(&mut node, link, 1);
    node.wait(limits::TURN_TIME);
    // The search for another path leads to one at once, and to a third shortly before it is left.
    let question = node.finds(2).pop().unwrap();
    node.hear(2, found(&question, &[tag(2), tag(7), tag(9)]));
    ask(&mut node, link, 2);
    node.wait(limits::TURN_TIME / 2 - Duration::from_millis(10));
    node.hear(3, found(&question, &[tag(3), tag(6), tag(9)]));
    node.wait(Duration::from_millis(10));
    assert_eq!(node.router.routed_over(node.now, LinkId(3), LinkId(0)), [link]);
}

/// Who is avoided and does not care, is not heard by its neighbours.
// spec: ROUTE-5
#[test]
fn a_find_from_a_neighbour_that_is_avoided_is_not_heard() {
    let mut node = Alone::among(3);
    let question = Find { avoid: List::new(&[tag(1)]), ..find(1) };
    node.hear(1, question.clone());
    node.wait(limits::FIND_JITTER);
    assert_eq!([1, 2, 3].map(|link| node.finds(link).len()), [0, 0, 0]);
    node.hear(2, question);
    node.wait(limits::FIND_JITTER);
    assert_eq!([1, 2, 3].map(|link| node.finds(link).len()), [1, 0, 1]);
}

/// A relay that has carried genuine packets is not blamed for a path that others are on.
// spec: ROUTE-16
#[test]
fn relays_that_have_carried_something_are_not_suspected_first() {
    let mut node = Alone::among(2);
    let own = node.tag();
    node.router.answer_to([(KEY, 1)]);
    node.hear(1, packet(&[tag(9), tag(7), tag(1), own], 3));
    let Some(TrailEvent::Up { link, .. }) = node.events().first().cloned() else { panic!() };
    node.router.confirm(node.now, link);
    node.router.secured(link, FindKey([4; 32]));
    let other = node.find(1, &[tag(1), tag(7), tag(8), tag(5)]);
    ask(&mut node, other, 1);
    node.wait(limits::TURN_TIME / 2);
    for probe in node.acknowledged(1) {
        node.hear(1, no_further(&probe));
    }
    node.wait(limits::TURN_TIME / 2);
    let avoided = node.finds(2).pop().map(|find| hops(&find.avoid));
    assert_eq!(avoided, Some(vec![tag(8)]));
}

/// Who is in a hurry to pass questions on, so that all paths lead over it, gains nothing where it
/// is known.
// spec: ROUTE-5
#[test]
fn a_question_that_comes_over_who_was_blamed_waits_for_another_copy() {
    let (mut node, _) = asking(&[tag(1), tag(7), tag(9)]);
    node.wait(limits::TURN_TIME);
    let avoided = node.finds(2).pop().map(|find| hops(&find.avoid));
    assert_eq!(avoided, Some(vec![tag(1)]));
    node.finds(3);
    let find = |id| Find { tag: [0; 8], ..find(id) };
    node.hear(1, find(1));
    node.hear(1, find(2));
    node.wait(limits::FIND_JITTER);
    assert_eq!(node.finds(3), []);
    node.hear(2, find(2));
    node.wait(limits::FIND_JITTER);
    let passed = |node: &mut Alone| node.finds(3).iter().map(|find| find.id).collect::<Vec<_>>();
    assert_eq!(passed(&mut node), [find(2).id]);
    node.hear(3, found(&find(2), &[tag(3), tag(9)]));
    assert_eq!((node.founds(1).len(), node.founds(2).len()), (0, 1), "the way of that copy");
    node.wait(Duration::from_millis(300));
    assert_eq!(passed(&mut node), [find(1).id], "there was no other");
}

/// With two ways, the one without the relay that refuses is found; with one, nobody is.
// spec: ROUTE-19
#[test]
fn paths_lead_around_who_refuses_to_relay() {
    for seed in seeds(8) {
        // 0-1-4 is short, 0-2-3-4 is long.
        let mut net = net(seed, 5, &[(0, 1), (1, 4), (0, 2), (2, 3), (3, 4)]);
        net.with(1, |node, _| node.router.set_relaying(Relaying::Nothing));
        let routed = meet(&mut net, 0, 4);
        assert!(calls(&mut net, 0, 4, (b"hello", 5)), "seed {seed}");
        assert_eq!(net.node(0).router.relays(routed), Some(2));
        net.with(2, |node, _| node.router.set_relaying(Relaying::Nothing));
        assert!(!calls(&mut net, 0, 4, (b"cut", 5)), "seed {seed}");
        net.with(1, |node, _| node.router.set_relaying(Relaying::All));
        let met = (0..3).any(|_| {
            look(&mut net, 0, 4);
            net.run_for(Duration::from_secs(8));
            !net.node(0).open().is_empty()
        });
        assert!(met && calls(&mut net, 0, 4, (b"again", 5)), "seed {seed}");
    }
}

/// Who refuses has sessions of its own, over others.
// spec: ROUTE-19
#[test]
fn who_refuses_to_relay_is_found_and_finds() {
    for seed in seeds(8) {
        let mut net = net(seed, 3, &[(0, 1), (1, 2)]);
        net.with(2, |node, _| node.router.set_relaying(Relaying::Nothing));
        meet(&mut net, 0, 2);
        assert!(calls(&mut net, 0, 2, (b"hello", 5)), "seed {seed}");
        assert!(calls(&mut net, 2, 0, (b"answer", 5)), "seed {seed}");
    }
}

/// It passes on no question, shows nobody a detour over itself, and says of each packet that it
/// goes no further.
// spec: ROUTE-19
#[test]
fn who_refuses_to_relay_says_so_of_each_packet() {
    let mut node = Alone::among(3);
    let own = node.tag();
    node.router.set_relaying(Relaying::Nothing);
    assert_eq!(node.router.relaying(), Relaying::Nothing);
    node.hear(1, find(1));
    node.hear(1, Find { hops_left: 2, hops: List::new(&[tag(2)]), ..find(2) });
    node.wait(limits::FIND_JITTER);
    assert_eq!([node.finds(2).len(), node.finds(3).len(), node.founds(1).len()], [0; 3]);
    node.hear(1, Find { hops_left: 2, hops: List::new(&[own]), ..find(3) });
    assert_eq!(node.founds(1).len(), 1, "it is there itself");
    node.hear(1, packet(&[tag(1), own, tag(2)], 1));
    assert_eq!(node.packets(2), []);
    let broken = node.brokens(1);
    assert_eq!(broken.iter().map(|broken| broken.gap).collect::<Vec<_>>(), [1]);
}

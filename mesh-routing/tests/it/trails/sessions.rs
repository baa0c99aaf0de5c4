//! Sessions over relays: how they begin, keep their paths, and end.

use core::time::Duration;

use bytes::Bytes;
use mesh_routing::{Scope, TrailEvent, is_routed};
use mesh_sim::{Quality, seeds};
use mesh_wire::codec::List;
use mesh_wire::message::RouteMessage;
use mesh_wire::message::routing::{Arrived, Packet};
use mesh_wire::{FindKey, LinkId, Role, limits};

use super::alone::{Alone, flow, found, hops, packet, tag};
use super::traveller::{between, calls, graph, grid, line, link, look, meet, net, nodes};
use super::{KEY, keyed};

const MOMENT: Duration = Duration::from_millis(1);

// spec: ROUTE-14
#[test]
fn who_is_found_is_called_over_lines_grids_and_random_graphs() {
    for quality in [Quality::STREAM, Quality { loss_per_mille: 50, ..Quality::DATAGRAM }] {
        for seed in seeds(8) {
            let links = [line(2 + seed as usize * 2), grid(5), {
                let mut rng = mesh_sim::seed::rng(seed);
                graph(&mut rng, 30)
            }];
            for links in links {
                let last = links.iter().map(|(_, to)| *to).max().unwrap();
                let mut net = nodes(seed, last + 1);
                link(&mut net, &links, quality);
                if links.contains(&(0, last)) {
                    continue;
                }
                meet(&mut net, 0, last);
                assert!(calls(&mut net, 0, last, (b"hello", 10)), "seed {seed}, {links:?}");
            }
        }
    }
}

// spec: ROUTE-14
#[test]
fn a_neighbour_is_not_found() {
    let mut net = net(1, 2, &line(2));
    look(&mut net, 0, 1);
    net.run_for(Duration::from_secs(10));
    assert_eq!(net.events(0), [TrailEvent::Searched(KEY, None)]);
}

// spec: ROUTE-14
#[test]
fn a_packet_of_an_unknown_flow_is_a_new_link_and_the_answers_take_its_way_back() {
    let mut node = Alone::among(2);
    node.router.answer_to([(FindKey([8; 32]), 1), (KEY, 1)]);
    let own = node.tag();
    let path = [tag(9), tag(8), tag(1), own];
    node.hear(1, packet(&path, 3));
    let events = node.events();
    let [TrailEvent::Up { link, role, key: KEY, over: LinkId(1) }, ..] = events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(role, Role::Responder);
    assert!(is_routed(link));
    assert_eq!(events[1..], [TrailEvent::Frame(link, Bytes::from_static(b"frame"))]);
    node.hear(1, packet(&path, 3));
    assert_eq!(node.events(), [TrailEvent::Frame(link, Bytes::from_static(b"frame"))]);
    assert_eq!(node.router.routed_over(node.now, LinkId(1), LinkId(0)), [link]);
    let answer = node.router.wrap(node.now, (link, LinkId(1)), Bytes::from_static(b"answer"));
    let Some(RouteMessage::Packet(answer)) = answer else { panic!("{answer:?}") };
    let mut back = path;
    back.reverse();
    assert_eq!((hops(&answer.path), answer.flow, answer.position), (back.to_vec(), flow(5), 1));
}

// spec: ROUTE-14
#[test]
fn who_does_not_know_what_a_node_answers_to_begins_nothing_with_it() {
    let mut node = Alone::among(2);
    node.router.answer_to([(KEY, 1)]);
    let own = node.tag();
    node.hear(1, Packet { flow: [5; 8], ..packet(&[tag(9), tag(1), own], 2) });
    assert_eq!(node.events(), []);
}

/// Whoever it is that they say they are from.
// spec: ROUTE-14
#[test]
fn r_07_packets_of_unknown_flows_cost_a_node_little() {
    let mut node = Alone::among(2);
    node.router.answer_to([(KEY, 1)]);
    let own = node.tag();
    let calls =
        |number: u64, flow: [u8; 8]| Packet { flow, ..packet(&[tag(9), tag(number), own], 2) };
    (0..limits::FIND_BURST).for_each(|n| node.hear(1, calls(1, u64::from(n).to_be_bytes())));
    node.hear(1, calls(1, flow(1)));
    assert_eq!(node.events(), [], "it looks at no more of them");
    node.hear(2, calls(2, flow(2)));
    assert_eq!(node.events().len(), 2, "another link has its own share");
    node.wait(limits::FIND_REFILL);
    node.hear(1, calls(1, flow(1)));
    assert_eq!(node.events().len(), 2);
}

// spec: ROUTE-14
#[test]
fn flows_are_so_many() {
    let mut node = Alone::among(2);
    node.router.answer_to([(KEY, 1)]);
    let own = node.tag();
    for number in 0..=255 {
        node.hear(1, Packet { flow: flow(number), ..packet(&[tag(9), tag(1), own], 2) });
        node.wait(limits::FIND_REFILL);
    }
    let ups = node.events().into_iter().filter(|event| matches!(event, TrailEvent::Up { .. }));
    assert_eq!(ups.count(), limits::FLOWS);
}

// spec: ROUTE-15
#[test]
fn a_way_is_taken_for_the_way_back_once_what_came_by_it_was_genuine() {
    let mut node = Alone::among(3);
    node.router.answer_to([(KEY, 1)]);
    let own = node.tag();
    node.hear(1, packet(&[tag(9), tag(1), own], 2));
    let Some(TrailEvent::Up { link, .. }) = node.events().first().cloned() else { panic!() };
    node.router.confirm(node.now, link);
    node.hear(2, packet(&[tag(9), tag(2), own], 2));
    let over = |node: &Alone, number| node.router.routed_over(node.now, LinkId(number), LinkId(0));
    assert_eq!((over(&node, 1), over(&node, 2)), (vec![link], vec![]));
    node.router.confirm(node.now, link);
    assert_eq!((over(&node, 1), over(&node, 2)), (vec![], vec![link]));
}

// spec: ROUTE-15
#[test]
fn the_ends_of_a_session_find_each_other_with_a_key_of_their_own() {
    let key = FindKey([4; 32]);
    let mut node = Alone::among(2);
    let link = node.find(1, &[tag(1), tag(9)]);
    node.router.secured(link, key);
    let asked = |id: [u8; 8]| mesh_wire::message::routing::Find {
        id,
        tag: keyed(&key, &[&[0], &id]),
        ..super::alone::find(0)
    };
    node.hear(2, asked([1; 8]));
    let answers = node.founds(2);
    assert_eq!(answers.len(), 1);
    assert!(!node.events().contains(&TrailEvent::Asked(key)), "it is nobody's news");
    node.router.close(link);
    node.hear(2, asked([2; 8]));
    assert_eq!(node.founds(2), []);
}

// spec: ROUTE-16
#[test]
fn a_path_without_an_answer_is_left_and_its_relays_are_avoided() {
    let mut node = Alone::among(2);
    let link = node.find(1, &[tag(1), tag(7), tag(9)]);
    let key = FindKey([4; 32]);
    node.router.secured(link, key);
    node.router.confirm(node.now, link);
    node.wait(Duration::from_secs(20));
    assert_eq!((node.finds(1), node.finds(2)), (vec![], vec![]), "nobody doubts what is not used");
    node.send(link, 1);
    node.wait(limits::DOUBT_TIME / 2);
    assert_eq!(node.acknowledged(1).len(), 2, "each relay is asked if packets reach it");
    node.wait(limits::DOUBT_TIME / 2 - MOMENT);
    assert_eq!(node.finds(2), []);
    node.wait(MOMENT);
    let question = node.finds(2).pop().expect("it looks for another");
    assert_eq!(question.tag, keyed(&key, &[&[0], &question.id]));
    assert_eq!(hops(&question.avoid), [tag(1)], "nothing came back from behind it");
    assert_eq!(hops(&question.along), [tag(1), tag(7)], "near the old path");
    assert_eq!(node.router.relays(link), None);
    // For five minutes.
    for (after, expected) in [(Duration::from_secs(270), 1), (Duration::from_secs(40), 0)] {
        node.wait(after);
        node.finds(2);
        assert!(node.router.seek(node.now, FindKey([after.as_secs() as u8; 32]), Scope::Full));
        assert_eq!(node.finds(2)[0].avoid.len(), expected, "{after:?}");
    }
}

// spec: ROUTE-16
#[test]
fn a_session_is_dropped_when_nobody_is_found_again() {
    let mut node = Alone::among(2);
    let link = node.find(1, &[tag(1), tag(9)]);
    node.router.secured(link, FindKey([4; 32]));
    node.send(link, 1);
    node.wait(limits::DOUBT_TIME + Duration::from_millis(6850) - MOMENT);
    let down = TrailEvent::Down(link);
    assert!(!node.events().contains(&down));
    node.wait(MOMENT);
    assert_eq!(node.events(), [down]);
}

// spec: ROUTE-16
#[test]
fn a_session_is_dropped_after_four_paths_in_a_row_without_an_answer() {
    let mut node = Alone::among(2);
    let link = node.find(1, &[tag(1), tag(6), tag(9)]);
    let key = FindKey([4; 32]);
    node.router.secured(link, key);
    for number in 0..4u8 {
        node.send(link, 1);
        assert!(!node.events().contains(&TrailEvent::Down(link)));
        node.finds(1);
        // After the first silent path it asks at once, and waits half as long.
        let ask_after = if number == 0 { limits::DOUBT_TIME / 2 } else { MOMENT };
        let leave_after = if number == 0 { limits::DOUBT_TIME } else { limits::DOUBT_TIME / 2 };
        node.wait(ask_after);
        node.acknowledged(1);
        assert_eq!(node.finds(2), []);
        node.wait(leave_after - ask_after);
        if let Some(question) = node.finds(2).pop() {
            let way = [tag(1), tag(40 + u64::from(number)), tag(9)];
            let proof = keyed(&key, &[&[1], &question.id, &[0], &tag(9).0]);
            let cost = 1000;
            node.hear(
                1,
                mesh_wire::message::routing::Found {
                    id: question.id,
                    answer: 0,
                    cost,
                    proof,
                    path: List::new(&way),
                },
            );
        }
    }
    node.wait(MOMENT);
    assert!(node.events().contains(&TrailEvent::Down(link)));
}

// spec: ROUTE-16
#[test]
fn a_session_that_carries_nothing_is_let_go() {
    let mut node = Alone::among(2);
    let link = node.find(1, &[tag(1), tag(9)]);
    node.router.secured(link, FindKey([4; 32]));
    node.router.confirm(node.now, link);
    node.wait(limits::FLOW_IDLE - MOMENT);
    assert!(!node.events().contains(&TrailEvent::Down(link)));
    node.wait(MOMENT);
    assert_eq!(node.events(), [TrailEvent::Down(link)]);
    assert_eq!(node.finds(1), []);
}

// spec: ROUTE-16
#[test]
fn when_the_first_hop_leaves_the_session_is_mended_at_once() {
    for seed in seeds(8) {
        // Two ways: 0-1-3 and 0-2-4-3.
        let mut net = net(seed, 5, &[(0, 1), (1, 3), (0, 2), (2, 4), (4, 3)]);
        let routed = meet(&mut net, 0, 3);
        assert!(calls(&mut net, 0, 3, (b"one", 5)), "seed {seed}");
        net.run_for(Duration::from_secs(10));
        let first = match net.node(0).router.routed_over(net.time(), between(&net, 0, 1), LinkId(0))
        {
            over if over.is_empty() => between(&net, 0, 2),
            _ => between(&net, 0, 1),
        };
        net.disconnect(first);
        assert!(calls(&mut net, 0, 3, (b"two", 5)), "seed {seed}");
        assert_eq!(net.node(0).open(), [routed], "it is the same session");
    }
}

// spec: ROUTE-16
#[test]
fn a_path_is_looked_for_when_something_waits_for_it_and_not_before() {
    for waits in [false, true] {
        let mut node = Alone::among(3);
        let link = node.find(1, &[tag(1), tag(7), tag(9)]);
        node.router.secured(link, FindKey([4; 32]));
        if waits {
            node.router.expect(node.now, link);
        }
        let sent = node.send(link, 1);
        node.hear(1, Arrived { numbers: List::new(&[sent.number]), released: 0 });
        node.lose(1);
        assert_eq!(node.router.relays(link), None, "its path begins at no neighbour");
        assert_eq!(node.finds(2).len(), usize::from(waits));
    }
}

// spec: ROUTE-16
#[test]
fn when_any_relay_leaves_a_grid_the_session_goes_on() {
    for seed in seeds(16) {
        let mut net = net(seed, 25, &grid(5));
        let routed = meet(&mut net, 0, 24);
        assert!(calls(&mut net, 0, 24, (b"first", 5)));
        let mut rng = net.rng("leavers");
        for round in 0..3u8 {
            let leaver = 1 + rng.below(23) as usize;
            // The corners keep a neighbour.
            if [1, 5, 19, 23].contains(&leaver) {
                continue;
            }
            for link in net.links(leaver).to_vec() {
                net.disconnect(link);
            }
            assert!(calls(&mut net, 0, 24, (&[round], 10)), "seed {seed}, without {leaver}");
            assert_eq!(net.node(0).open(), [routed], "seed {seed}");
        }
    }
}

/// What the tags of a path were called when it was found does not matter for long.
// spec: ROUTE-2, ROUTE-16
#[test]
fn a_session_outlives_the_tags_of_its_path() {
    for seed in seeds(4) {
        let mut net = net(seed, 5, &line(5));
        let routed = meet(&mut net, 0, 4);
        for round in 0..5u8 {
            let rotated = usize::from(round);
            net.with(rotated, |node, now| node.router.rotate(now.time));
            for part in 0..4 {
                assert!(calls(&mut net, 0, 4, (&[round, part], 15)), "seed {seed}, round {round}");
                net.run_for(Duration::from_secs(20));
            }
        }
        assert_eq!(net.node(0).open(), [routed], "seed {seed}");
    }
}

#[test]
fn an_answer_with_a_longer_way_is_kept_for_later() {
    let mut node = Alone::among(3);
    assert!(node.router.seek(node.now, KEY, Scope::Full));
    let question = node.finds(1).pop().unwrap();
    let dear =
        mesh_wire::message::routing::Found { cost: 900, ..found(&question, &[tag(1), tag(9)]) };
    node.hear(1, dear);
    let Some(TrailEvent::Up { link, .. }) = node.events().pop() else { panic!() };
    node.hear(2, found(&question, &[tag(2), tag(8), tag(9)]));
    assert_eq!(node.router.routed_over(node.now, LinkId(2), LinkId(0)), [link], "cheaper first");
    node.lose(2);
    assert_eq!(node.router.routed_over(node.now, LinkId(1), LinkId(0)), [link]);
}

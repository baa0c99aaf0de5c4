//! Packets, hop by hop.

use core::time::Duration;

use bytes::Bytes;
use mesh_routing::{Scope, TrailEvent};
use mesh_wire::codec::{List, Opaque};
use mesh_wire::message::RouteMessage;
use mesh_wire::message::routing::{Arrived, Broken, Find, Found, Packet};
use mesh_wire::{HopTag, LinkId, Wire, limits};

use super::alone::{Alone, find, flow, hops, packet, presence, tag};
use super::traveller::{calls, line, meet, net};

const MOMENT: Duration = Duration::from_millis(1);

/// A packet as large as one can be.
fn large(path: &[HopTag], position: u8) -> Packet {
    let frame = Opaque::new(vec![7; limits::PACKET_BYTES].into()).unwrap();
    Packet { frame, ..packet(path, position) }
}

fn arrived(numbers: &[u32], released: u64) -> Arrived {
    Arrived { numbers: List::new(numbers), released }
}

// spec: ROUTE-1
#[test]
fn a_relay_holds_the_last_finds_and_nothing_of_those_it_carried_for() {
    let mut net = net(1, 5, &line(5));
    meet(&mut net, 0, 4);
    net.run_for(Duration::from_secs(2));
    let weights = |net: &super::traveller::Net| [1, 2, 3].map(|relay| net.node(relay).weight());
    use mesh_wire::Machine;
    let before = weights(&net);
    for number in 0..100u8 {
        assert!(calls(&mut net, 0, 4, (&[number; 900], 5)), "{number}");
    }
    net.run_for(Duration::from_secs(2));
    assert_eq!(weights(&net), before);
    for relay in 1..4 {
        assert!(net.node(relay).open().is_empty());
        assert!(net.events(relay).is_empty(), "a relay is told nothing");
    }
}

// spec: ROUTE-9
#[test]
fn a_packet_goes_to_the_furthest_hop_that_is_a_neighbour() {
    let mut node = Alone::among(4);
    let own = node.tag();
    let path = [tag(1), own, tag(2), tag(3), tag(9)];
    node.hear(1, Packet { number: 77, ..packet(&path, 1) });
    assert_eq!(node.packets(2), []);
    let went = [tag(1), own, tag(3), tag(9)];
    let passed = Packet { position: 2, hops_left: 12, ..packet(&went, 1) };
    assert_eq!(node.packets(3), [passed], "what it skips is no part of the way back");
    // Nobody changes the path of a packet that asks how far it works.
    let asks = |position, hops_left| Packet {
        patches: limits::PATCHES,
        hops_left,
        ..packet(&path, position)
    };
    let number = 1;
    node.hear(1, asks(1, 13));
    assert_eq!(node.packets(3), [Packet { number, ..asks(3, 12) }]);
}

// spec: ROUTE-11
#[test]
fn a_packet_that_comes_again_is_acknowledged_and_goes_on_once() {
    let mut node = Alone::among(3);
    let own = node.tag();
    let packet =
        |number, flow| Packet { number, flow: [flow; 8], ..packet(&[tag(1), own, tag(2)], 1) };
    for (number, flow) in [(7, 1), (9, 2), (7, 1), (8, 3), (9, 2), (2000, 4), (900, 5)] {
        node.hear(1, packet(number, flow));
    }
    // Numbers are a link's own.
    node.hear(3, Packet { path: List::new(&[tag(3), own, tag(2)]), ..packet(7, 6) });
    let mut flows: Vec<u8> = node.packets(2).iter().map(|packet| packet.flow[0]).collect();
    flows.sort_unstable();
    assert_eq!(flows, [1, 2, 3, 4, 6]);
    node.wait(limits::ACK_TIME);
    let told = node.arriveds(1);
    let numbers: Vec<u32> = told.iter().flat_map(|told| told.numbers.iter()).collect();
    assert_eq!(numbers, [7, 9, 7, 8, 9, 2000, 900]);
    let bytes = [7, 9, 8, 2000].map(|number| packet(number, 0).size() as u64);
    let released = told.iter().map(|told| told.released).max();
    assert_eq!(released, Some(bytes.iter().sum()), "the others count as lost where they came from");
}

// spec: ROUTE-9
#[test]
fn a_packet_that_is_not_for_this_hop_or_has_none_left_is_dropped() {
    let mut node = Alone::among(3);
    let own = node.tag();
    let path = [tag(1), own, tag(2)];
    let dropped = [
        packet(&path, 0),
        packet(&path, 2),
        packet(&path, 3),
        packet(&path, 255),
        packet(&[own, tag(2)], 0),
        Packet { hops_left: 0, ..packet(&path, 1) },
        Packet { patches: limits::PATCHES + 1, ..packet(&path, 1) },
        packet(&[], 0),
    ];
    for packet in dropped {
        node.hear(1, packet.clone());
        assert_eq!((node.packets(2), node.brokens(1)), (vec![], vec![]), "{packet:?}");
        assert_eq!(node.events(), []);
    }
    node.hear(1, packet(&path, 1));
    assert_eq!(node.packets(2).len(), 1);
}

// spec: ROUTE-9
#[test]
fn a_packet_never_goes_back_over_the_link_it_came_by() {
    let mut node = Alone::among(2);
    let own = node.tag();
    for path in [vec![tag(2), own, tag(1)], vec![tag(1), own, tag(1), own, tag(1)]] {
        node.hear(1, packet(&path, 1));
        node.wait(Duration::from_secs(10));
        assert_eq!(node.packets(1), []);
        node.packets(2);
    }
    // Nor when the hop it was given to is lost or silent.
    for is_lost in [true, false] {
        node.hear(1, packet(&[tag(1), own, tag(2), tag(1), tag(9)], 1));
        assert_eq!(node.packets(1), []);
        assert_eq!(node.packets(2), [], "the furthest hop is the one it came from");
        node.hear(1, packet(&[tag(1), own, tag(2)], 1));
        assert_eq!(node.packets(2).len(), 1);
        if is_lost {
            node.lose(2);
        }
        node.wait(Duration::from_secs(10));
        assert_eq!(node.packets(1), []);
        node.meet(2, tag(2));
    }
}

// spec: ROUTE-9
#[test]
fn a_source_names_the_whole_path_and_the_spare_hops() {
    let mut node = Alone::among(2);
    let own = node.tag();
    let way = [tag(1), tag(7), tag(8), tag(9)];
    let link = node.find(1, &way);
    assert_eq!(node.router.routed_over(node.now, LinkId(1), LinkId(0)), [link]);
    assert_eq!(node.router.routed_over(node.now, LinkId(2), LinkId(0)), []);
    let frame = Bytes::from_static(b"hello");
    let wrapped = node.router.wrap(node.now, (link, LinkId(1)), frame.clone());
    let Some(RouteMessage::Packet(packet)) = wrapped else { panic!("{wrapped:?}") };
    assert_eq!(hops(&packet.path), [&[own][..], &way].concat());
    assert_eq!((packet.position, packet.hops_left, packet.patches), (1, 5 + 16, 0));
    assert_eq!((packet.number, packet.frame.bytes()), (0, &frame));
}

// spec: ROUTE-10
#[test]
fn every_packet_is_numbered_and_told_to_have_arrived_and_left() {
    let mut node = Alone::among(2);
    let own = node.tag();
    let (through, lost) = (packet(&[tag(1), own, tag(2)], 1), packet(&[tag(9)], 0));
    node.hear(1, Packet { number: 40, ..through.clone() });
    node.hear(1, Packet { number: 41, ..through.clone() });
    node.hear(1, Packet { number: 45, ..lost.clone() });
    assert_eq!(node.arriveds(1), [], "in company or after a moment");
    node.wait(limits::ACK_TIME);
    // The packets wait for link 2, the other is gone.
    let size = |packet: &Packet| packet.size() as u64;
    assert_eq!(node.arriveds(1), [arrived(&[40, 41, 45], size(&lost))]);
    let numbers: Vec<u32> = node.packets(2).iter().map(|packet| packet.number).collect();
    assert_eq!(numbers, [0, 1]);
    node.wait(limits::ACK_TIME);
    assert_eq!(node.arriveds(1), [arrived(&[], size(&lost) + 2 * size(&through))]);
}

// spec: ROUTE-10
#[test]
fn more_than_so_many_bytes_are_not_sent_ahead() {
    let mut node = Alone::among(2);
    let own = node.tag();
    let packet = large(&[tag(1), own, tag(2)], 1);
    let fits = limits::HOP_BYTES / packet.size();
    for _ in 0..fits + 20 {
        node.hear(1, packet.clone());
    }
    assert_eq!(node.packets(2).len(), fits);
    // Acknowledged, but they wait there: no more room.
    let all: Vec<u32> = (0..fits as u32).collect();
    for numbers in all.chunks(limits::ACKS) {
        node.hear(2, arrived(numbers, 0));
    }
    assert_eq!(node.packets(2).len(), 0);
    node.hear(2, arrived(&[], 5 * packet.size() as u64));
    assert_eq!(node.packets(2).len(), 5);
    // Who says that more left than came opens no more than everything.
    node.hear(2, arrived(&[], u64::MAX));
    assert_eq!(node.packets(2).len(), 15);
    node.hear(2, arrived(&[], u64::MAX));
    (0..fits + 20).for_each(|_| node.hear(1, packet.clone()));
    assert_eq!(node.packets(2).len(), fits);
}

/// Packets of which only the acknowledgement was lost are released, too: that opens no more room.
// spec: ROUTE-10
#[test]
fn lost_acknowledgements_open_no_room() {
    let mut node = Alone::among(2);
    let own = node.tag();
    let packet = large(&[tag(1), own, tag(2)], 1);
    let (mut released, mut next) = (0, 0);
    for _ in 0..30 {
        (0..4).for_each(|_| node.hear(1, packet.clone()));
        // They arrive, once more when they are sent again, and leave.
        for _ in 0..2 {
            let sent = node.packets(2);
            released += sent.iter().map(|packet| packet.size() as u64).sum::<u64>();
            next += sent.len() as u32;
            node.wait(50 * MOMENT);
            node.hear(2, arrived(&[next - 1], 0));
            node.wait(limits::HOP_TIME);
        }
        let all: Vec<u32> = (next.saturating_sub(30)..next).collect();
        node.hear(2, arrived(&all, released));
    }
    let fits = limits::HOP_BYTES / packet.size();
    (0..fits + 20).for_each(|_| node.hear(1, packet.clone()));
    assert!((fits - 1..=fits).contains(&node.packets(2).len()));
    node.hear(2, arrived(&[], released));
    assert_eq!(node.packets(2), []);
}

// spec: ROUTE-11
#[test]
fn a_packet_that_was_overtaken_is_sent_again() {
    let mut node = Alone::among(3);
    let own = node.tag();
    let path = [tag(1), own, tag(2)];
    let named = |name: u8| Packet { flow: [name; 8], ..packet(&path, 1) };
    (0..3).for_each(|name| node.hear(1, named(name)));
    let sent = node.packets(2);
    assert_eq!(sent.len(), 3);
    node.wait(100 * MOMENT);
    node.hear(2, arrived(&[0, 2], 0));
    node.wait(limits::HOP_TIME - 100 * MOMENT);
    let again = node.packets(2);
    assert_eq!(again, [sent[1].clone()], "under the same number");
    node.hear(2, arrived(&[1], 0));
    node.wait(2 * limits::HOP_TIME);
    assert_eq!(node.packets(2), []);
}

// spec: ROUTE-11
#[test]
fn a_neighbour_that_acknowledges_nothing_gets_no_more_and_its_packets_go_another_way() {
    let mut node = Alone::among(3);
    let own = node.tag();
    let path = [tag(1), own, tag(2), tag(3), tag(9)];
    // Both hops are neighbours: the further one gets them, and says nothing.
    (0..3).for_each(|_| node.hear(1, packet(&path, 1)));
    assert_eq!((node.packets(2).len(), node.packets(3).len()), (0, 3));
    node.hear(1, packet(&path, 1));
    node.wait(limits::HOP_TIME - MOMENT);
    assert_eq!(node.packets(2).len(), 0);
    node.wait(MOMENT);
    let others = node.packets(2);
    assert_eq!(others.len(), 4, "those sent, and the one that waited");
    assert!(others.iter().all(|packet| packet.position == 2));
    node.hear(1, packet(&path, 1));
    assert_eq!((node.packets(2).len(), node.packets(3).len()), (1, 0));
    node.hear(3, presence(tag(3)));
    node.hear(1, packet(&path, 1));
    assert_eq!((node.packets(2).len(), node.packets(3).len()), (0, 1), "it is there again");
}

/// Otherwise a slow link would never be found out to be slow, and questions for ways around it
/// would make it slower still.
// spec: ROUTE-11
#[test]
fn a_slow_neighbour_is_not_taken_for_one_that_is_gone_again_and_again() {
    let mut node = Alone::among(3);
    let own = node.tag();
    let slow = limits::HOP_TIME + 150 * MOMENT;
    let mut detours = Vec::new();
    for _ in 0..3 {
        node.hear(1, packet(&[tag(1), own, tag(2)], 1));
        let sent = node.packets(2);
        node.wait(slow);
        let again = node.packets(2);
        detours.push(node.finds(3).len());
        let numbers: Vec<u32> = sent.iter().chain(&again).map(|packet| packet.number).collect();
        node.hear(2, arrived(&numbers, 0));
        node.wait(slow);
        node.says(2);
        node.says(3);
    }
    assert_eq!(detours, [1, 0, 0]);
}

// spec: ROUTE-10, ROUTE-11
#[test]
fn what_waited_for_a_neighbour_that_is_gone_is_told_to_have_left() {
    for is_lost in [true, false] {
        let mut node = Alone::among(2);
        let own = node.tag();
        let packet = large(&[tag(1), own, tag(2)], 1);
        let count = 2 * limits::HOP_BYTES / packet.size() - 10;
        (0..count).for_each(|_| node.hear(1, packet.clone()));
        assert!(node.packets(2).len() < count, "some wait");
        if is_lost {
            node.lose(2);
        }
        let mut released = 0;
        for _ in 0..100 {
            node.wait(100 * MOMENT);
            released = node.arriveds(1).last().map_or(released, |arrived| arrived.released);
        }
        let sizes = (0..count as u32).map(|number| Packet { number, ..packet.clone() }.size());
        assert_eq!(released, sizes.sum::<usize>() as u64, "each once");
    }
}

// spec: ROUTE-12
#[test]
fn what_does_not_fit_is_dropped_and_so_is_what_waits_for_long() {
    let mut node = Alone::among(2);
    let own = node.tag();
    let packet = large(&[tag(1), own, tag(2)], 1);
    let fits = limits::RELAY_BYTES / packet.size();
    (0..fits + 50).for_each(|_| node.hear(1, packet.clone()));
    let free = limits::HOP_BYTES / packet.size();
    let mut sent = Vec::new();
    loop {
        let more = node.packets(2);
        if more.is_empty() {
            break;
        }
        assert!(more.len() <= free);
        sent.extend(more);
        let bytes: usize = sent.iter().map(Wire::size).sum();
        let numbers: Vec<u32> = sent.iter().map(|packet| packet.number).collect();
        for numbers in numbers.chunks(limits::ACKS) {
            node.hear(2, arrived(numbers, bytes as u64));
        }
    }
    assert_eq!(sent.len(), fits);

    let mut node = Alone::among(2);
    let own = node.tag();
    node.hear(1, super::alone::packet(&[tag(1), own, tag(2)], 1));
    node.wait(limits::PACKET_TIME);
    assert_eq!(node.packets(2), []);
    node.hear(1, super::alone::packet(&[tag(1), own, tag(2)], 1));
    node.wait(limits::PACKET_TIME - MOMENT);
    assert_eq!(node.packets(2).len(), 1);
}

/// An answer to the question for a detour.
fn way(question: &Find, hops: &[HopTag]) -> Found {
    let (id, cost) = (question.id, 0);
    Found { id, answer: 0, cost, proof: [9; 16], path: List::new(hops) }
}

// spec: ROUTE-13
#[test]
fn a_packet_before_a_gap_waits_for_the_best_way_around_it() {
    let mut node = Alone::among(3);
    let own = node.tag();
    let beyond: Vec<HopTag> = (20..30).map(tag).collect();
    let path = [&[tag(1), own][..], &beyond].concat();
    node.hear(1, packet(&path, 1));
    assert_eq!(node.finds(1), [], "not where it came from");
    let question = node.finds(2).pop().expect("the others are asked");
    assert_eq!(hops(&question.hops), beyond[..limits::DETOUR_TAGS]);
    assert_eq!(question.hops_left, limits::DETOUR_HOPS);
    assert!(question.avoid.is_empty());
    // One skips a hop, one skips five, one adds more for one skip more, one meets nothing.
    node.hear(2, way(&question, &[tag(2), beyond[1]]));
    node.hear(3, way(&question, &[tag(3), beyond[5]]));
    node.hear(2, way(&question, &[tag(2), tag(60), beyond[6]]));
    node.hear(2, way(&question, &[tag(2), tag(61)]));
    // Others may be better, but packets wait.
    node.wait(59 * MOMENT);
    assert_eq!((node.packets(2), node.packets(3)), (vec![], vec![]));
    node.wait(MOMENT);
    assert_eq!(node.packets(2), []);
    let patched = node.packets(3).pop().expect("it goes on");
    let expected = [&[tag(1), own, tag(3)][..], &beyond[5..]].concat();
    assert_eq!(hops(&patched.path), expected);
    assert_eq!((patched.patches, patched.position), (1, 2));
    // Others take the same way at once, for a while.
    node.hear(3, arrived(&[0], 0));
    node.wait(limits::DETOUR_LIFE - 2 * MOMENT);
    node.hear(1, packet(&path, 1));
    assert_eq!(node.packets(3).len(), 1);
    node.hear(3, arrived(&[1], 0));
    node.wait(2 * MOMENT);
    node.hear(1, packet(&path, 1));
    assert_eq!(node.packets(3).len(), 0);
    assert_eq!(node.finds(2).len(), 1, "it asks again");
}

// spec: ROUTE-13
#[test]
fn who_is_a_hop_or_has_one_as_a_neighbour_shows_the_way_to_the_furthest() {
    let mut node = Alone::among(4);
    let own = node.tag();
    let asks = |id, tags: &[HopTag]| Find { hops: List::new(tags), hops_left: 2, ..find(id) };
    node.hear(1, asks(1, &[tag(30), tag(2), tag(3), tag(31)]));
    assert_eq!(hops(&node.founds(1)[0].path), [own, tag(3)]);
    node.hear(1, asks(2, &[tag(30), own, tag(31)]));
    assert_eq!(hops(&node.founds(1)[0].path), [own]);
    // The one that asks is no way to itself.
    node.hear(1, asks(3, &[tag(1), tag(30)]));
    assert_eq!(node.founds(1), []);
    node.wait(limits::FIND_JITTER);
    let passed = node.finds(2);
    assert_eq!(passed.len(), 1, "but others may know one");
    assert_eq!((passed[0].id, passed[0].hops_left), ([3; 8], 1));
}

// spec: ROUTE-13
#[test]
fn a_packet_is_led_around_so_many_gaps_and_no_more() {
    for (patches, asked) in [(limits::PATCHES - 1, 1), (limits::PATCHES, 0)] {
        let mut node = Alone::among(3);
        let own = node.tag();
        node.hear(1, Packet { patches, ..packet(&[tag(1), own, tag(9)], 1) });
        assert_eq!(node.finds(2).len(), asked, "{patches} patches");
        assert_eq!(node.brokens(1).len(), 1 - asked);
    }
}

// spec: ROUTE-17
#[test]
fn a_relay_that_knows_no_way_tells_the_source_and_the_source_leaves_the_path() {
    let mut node = Alone::among(2);
    let own = node.tag();
    let path = [tag(8), tag(1), own, tag(9), tag(10)];
    node.hear(1, packet(&path, 2));
    assert_eq!(node.finds(2).pop().map(|find| find.hops_left), Some(limits::DETOUR_HOPS));
    node.wait(limits::DETOUR_TIME);
    let further = node.finds(2).pop().map(|find| find.hops_left);
    assert_eq!((node.brokens(1), further), (vec![], Some(2 * limits::DETOUR_HOPS)));
    node.wait(2 * limits::DETOUR_TIME);
    let told = node.brokens(1);
    let [broken] = &told[..] else { panic!("{told:?}") };
    assert_eq!((broken.flow, broken.gap, broken.position), (flow(5), 2, 1));
    assert_eq!(hops(&broken.path), path);
    assert_eq!(node.brokens(2), []);

    // The relay before: it passes the news on.
    let mut relay = Alone::among(2);
    let before = relay.tag();
    let path = [tag(1), before, tag(2), tag(9)];
    let news = |path: &[HopTag], position, gap| Broken {
        flow: [5; 8],
        hops_left: 12,
        position,
        gap,
        path: List::new(path),
    };
    relay.hear(2, news(&path, 1, 2));
    assert_eq!(relay.brokens(1), [Broken { hops_left: 11, ..news(&path, 0, 2) }]);
    // Not news of a gap before it, for another, or with no hop left.
    relay.hear(2, news(&path, 1, 1));
    relay.hear(2, news(&path, 2, 3));
    relay.hear(2, Broken { hops_left: 0, ..news(&path, 1, 2) });
    assert_eq!((relay.brokens(1), relay.brokens(2)), (vec![], vec![]));
}

// spec: ROUTE-17
#[test]
fn a_source_that_hears_of_a_gap_uses_another_path() {
    let mut node = Alone::among(2);
    let own = node.tag();
    assert!(node.router.seek(node.now, super::KEY, Scope::Full));
    let question = node.finds(1).pop().unwrap();
    let (one, other) = ([tag(1), tag(7), tag(9)], [tag(2), tag(8), tag(9)]);
    node.hear(1, super::alone::found(&question, &one));
    let mut second = super::alone::found(&question, &other);
    second.cost += 10;
    node.hear(2, second);
    let Some(TrailEvent::Up { link, .. }) = node.events().first().cloned() else { panic!() };
    let over = |node: &Alone, number| node.router.routed_over(node.now, LinkId(number), LinkId(0));
    assert_eq!((over(&node, 1), over(&node, 2)), (vec![link], vec![]));
    let wrapped = node.router.wrap(node.now, (link, LinkId(1)), Bytes::from_static(b"x"));
    let Some(RouteMessage::Packet(sent)) = wrapped else { panic!("{wrapped:?}") };
    let broken = |flow, gap| {
        let path = List::new(&[&[own][..], &one].concat());
        Broken { flow, hops_left: 3, position: 0, gap, path }
    };
    node.hear(1, broken([0; 8], 2));
    assert_eq!(over(&node, 1), [link], "the news of another flow");
    node.hear(1, broken(sent.flow, 2));
    assert_eq!((over(&node, 1), over(&node, 2)), (vec![], vec![link]));
}

//! What takes longer where frames leave slowly.

use core::time::Duration;

use bytes::Bytes;
use mesh_routing::Scope;
use mesh_wire::{FindKey, LinkId, limits};

use super::KEY;
use super::alone::{Alone, packet, tag};

const MOMENT: Duration = Duration::from_millis(1);
/// How long a frame takes to leave here.
const TURN: Duration = Duration::from_millis(100);
/// So a neighbour may take so long to answer.
const SLOW: Duration = Duration::from_millis(100 * limits::HOP_TURNS as u64);

/// A node among three, each of whose frames took so long to leave.
fn among_three(turn: Duration) -> Alone {
    let mut node = Alone::among(3);
    assert!(node.router.seek(node.now, FindKey([1; 32]), Scope::Near));
    (1..=3).for_each(|number| assert_eq!(node.finds(number).len(), 1));
    node.wait(turn);
    (1..=3).for_each(|number| node.router.takes(node.now, LinkId(number)));
    node.wait(Duration::from_secs(10));
    node.events();
    node
}

/// How long it takes until a node among these says something of a sort over link `number`.
fn until(node: &mut Alone, said: impl Fn(&mut Alone) -> usize) -> Duration {
    let begin = node.now;
    while said(node) == 0 {
        assert!(node.now < begin + Duration::from_secs(30), "it never does");
        node.wait(MOMENT);
    }
    node.now.since(begin)
}

// spec: ROUTE-11, ROUTE-25
#[test]
fn a_packet_is_sent_again_after_half_the_slowness_and_another_way_after_all_of_it() {
    let fast = (limits::HOP_TIME / 2, limits::HOP_TIME);
    for (turn, (again, elsewhere)) in [(Duration::ZERO, fast), (TURN, (SLOW / 2, SLOW))] {
        let mut node = among_three(turn);
        let own = node.tag();
        node.hear(1, packet(&[tag(1), own, tag(3), tag(9)], 1));
        assert_eq!(node.packets(3).len(), 1);
        let begin = node.now;
        assert_eq!(until(&mut node, |node| node.packets(3).len()), again);
        until(&mut node, |node| node.finds(2).len());
        assert_eq!(node.now.since(begin), elsewhere, "it asks for a way around");
    }
}

// spec: ROUTE-13, ROUTE-25
#[test]
fn a_way_around_a_gap_is_waited_for_longer() {
    let fast = limits::DETOUR_TIME;
    for (turn, expected) in [(Duration::ZERO, fast), (TURN, SLOW / 2)] {
        let mut node = among_three(turn);
        let own = node.tag();
        node.hear(1, packet(&[tag(1), own, tag(8), tag(9)], 1));
        assert_eq!(node.finds(2).len(), 1);
        assert_eq!(until(&mut node, |node| node.finds(2).len()), expected);
    }
}

// spec: ROUTE-5, ROUTE-25
#[test]
fn everybody_is_asked_once_more_only_when_answers_had_time_to_come() {
    for (turn, expected) in [(Duration::ZERO, Duration::from_millis(2500)), (TURN, 4 * SLOW)] {
        let mut node = among_three(turn);
        assert!(node.router.seek(node.now, KEY, Scope::Full));
        assert_eq!(node.finds(1).len(), 1);
        assert_eq!(until(&mut node, |node| node.finds(1).len()), expected);
    }
}

// spec: ROUTE-16, ROUTE-25
#[test]
fn a_path_is_left_only_when_each_of_its_hops_had_time() {
    for (turn, expected) in [(Duration::ZERO, limits::TURN_TIME), (TURN, 3 * SLOW)] {
        let mut node = among_three(turn);
        let link = node.find(1, &[tag(1), tag(8), tag(9)]);
        assert_eq!(node.router.answer_time(link), 3 * turn * limits::HOP_TURNS);
        let begin = node.now;
        node.router.expect(node.now, link);
        node.router.wrap(node.now, (link, LinkId(1)), Bytes::from_static(b"question")).unwrap();
        node.acknowledged(1);
        // What is asked meanwhile is how far the path works.
        let asked = |node: &mut Alone| {
            node.acknowledged(1);
            node.finds(2).len()
        };
        until(&mut node, asked);
        assert_eq!(node.now.since(begin), expected);
    }
}

/// However slow a link seems, nobody waits longer for a neighbour than a packet lives.
// spec: ROUTE-25
#[test]
fn slowness_has_an_end() {
    let mut node = among_three(Duration::from_secs(60));
    let link = node.find(1, &[tag(1), tag(9)]);
    assert_eq!(node.router.answer_time(link), 2 * limits::PACKET_TIME);
}

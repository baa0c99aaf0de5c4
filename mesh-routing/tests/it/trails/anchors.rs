//! Nodes with an uplink: who hears of them, who registers, and how questions are led.

use core::time::Duration;

use mesh_routing::{Scope, Uplink};
use mesh_sim::{Quality, seeds};
use mesh_wire::codec::List;
use mesh_wire::message::RouteMessage;
use mesh_wire::message::routing::{Anchor, Guided, Register};
use mesh_wire::{HopTag, Input, Machine, Now, UnixTime, limits};

use super::alone::{Alone, find, hops, tag};
use super::traveller::{Habit, Net, calls, grid, line, link, look, net, nodes};
use super::{KEY, keyed};

/// An anchor as a neighbour tells of it.
fn anchor(id: u8, number: u32, hops: u8) -> Anchor {
    Anchor { id: [id; 8], number, hops }
}

/// What who answers to [`KEY`] registers in an hour.
fn registered(hour: u64) -> [u8; 8] {
    keyed(&KEY, &[&[3], &hour.to_be_bytes()])
}

fn anchors(node: &mut Alone, link: u64) -> Vec<Anchor> {
    let said = node.says(link).into_iter();
    said.filter_map(|m| if let RouteMessage::Anchor(a) = m { Some(a) } else { None }).collect()
}

fn registers(node: &mut Alone, link: u64) -> Vec<Register> {
    let said = node.says(link).into_iter();
    said.filter_map(|m| if let RouteMessage::Register(r) = m { Some(r) } else { None }).collect()
}

fn guided(node: &mut Alone, link: u64) -> Vec<Guided> {
    let said = node.says(link).into_iter();
    said.filter_map(|m| if let RouteMessage::Guided(g) = m { Some(g) } else { None }).collect()
}

/// On its way up.
fn question(id: u8) -> Guided {
    let tags = List::new(&[registered(0), registered(1)]);
    Guided { find: find(id), tags, way: List::default() }
}

/// These become anchors, and everybody else who answers to [`KEY`] has registered.
fn raise(net: &mut Net, anchors: &[usize]) {
    for node in anchors {
        net.with(*node, |node, now| node.router.set_uplink(now.time, Uplink::Works));
    }
    net.run_for(limits::ANCHOR_EVERY + Duration::from_secs(20));
}

/// How many of the messages that were heard are such.
fn heard(net: &Net, is_such: fn(&RouteMessage) -> bool) -> usize {
    let messages = net.nodes().flat_map(|node| &net.node(node).heard);
    messages.filter(|(_, message)| is_such(message)).count()
}

fn is_about_anchors(message: &RouteMessage) -> bool {
    matches!(message, RouteMessage::Anchor(_) | RouteMessage::Register(_) | RouteMessage::Guided(_))
}

// spec: ROUTE-20, ROUTE-24
#[test]
fn where_nobody_has_an_uplink_nothing_is_said_of_anchors() {
    let mut net = net(1, 9, &grid(3));
    look(&mut net, 0, 8);
    net.run_for(Duration::from_secs(1200));
    assert_eq!(heard(&net, is_about_anchors), 0);
    // One that has lost its uplink is an anchor no longer.
    raise(&mut net, &[4]);
    assert!(heard(&net, is_about_anchors) > 0);
    net.with(4, |node, now| node.router.set_uplink(now.time, Uplink::None));
    net.run_for(limits::ANCHOR_LIFE + limits::REGISTER_EVERY);
    let before = heard(&net, is_about_anchors);
    net.run_for(Duration::from_secs(1200));
    assert_eq!(heard(&net, is_about_anchors), before);
}

// spec: ROUTE-20
#[test]
fn an_anchor_says_so_each_minute_and_changes_its_name_with_the_pseudonym() {
    let mut node = Alone::among(2);
    node.router.set_uplink(node.now, Uplink::Works);
    node.wait(limits::ANCHOR_EVERY);
    let first = anchors(&mut node, 1);
    assert_eq!((first.len(), first[0].number, first[0].hops), (1, 1, 0));
    node.wait(limits::ANCHOR_EVERY);
    let second = anchors(&mut node, 1);
    assert_eq!((second.len(), second[0].number, second[0].id), (1, 2, first[0].id));
    node.router.rotate(node.now);
    node.wait(limits::ANCHOR_EVERY);
    let third = anchors(&mut node, 1);
    assert_eq!((third.len(), third[0].number), (1, 1));
    assert_ne!(third[0].id, first[0].id);
    // It tells of no others: those around it have a way to it.
    node.hear(2, anchor(5, 1, 3));
    node.wait(Duration::from_secs(1));
    assert!(anchors(&mut node, 1).iter().all(|said| said.id != [5; 8]));
}

// spec: ROUTE-21
#[test]
fn the_two_nearest_are_told_of_once_and_only_to_whom_it_helps() {
    let mut node = Alone::among(4);
    node.hear(1, anchor(1, 7, 4));
    node.hear(2, anchor(1, 7, 2));
    node.hear(3, anchor(1, 7, 9));
    node.wait(Duration::from_secs(1));
    let told = [1, 2, 3, 4].map(|link| anchors(&mut node, link));
    let shortest = [anchor(1, 7, 3)];
    assert_eq!(told, [vec![], vec![], shortest.to_vec(), shortest.to_vec()]);
    // Again, older, or too soon: nothing new.
    for said in [anchor(1, 7, 2), anchor(1, 6, 0), anchor(1, 8, 0)] {
        node.hear(2, said);
        node.wait(Duration::from_secs(1));
        assert!(anchors(&mut node, 4).is_empty());
    }
    // Of a third, only if it is nearer than one of the two.
    node.hear(1, anchor(2, 1, 5));
    node.hear(1, anchor(3, 1, 6));
    node.wait(Duration::from_secs(1));
    assert_eq!(anchors(&mut node, 4), [anchor(2, 1, 6)]);
    node.hear(1, anchor(4, 1, 1));
    node.wait(Duration::from_secs(1));
    assert_eq!(anchors(&mut node, 4), [anchor(4, 1, 2)]);
    // Those that fall silent make room, however near they were.
    node.wait(limits::ANCHOR_EVERY * 2);
    node.hear(1, anchor(5, 1, 12));
    node.hear(1, anchor(6, 1, limits::ANCHOR_HOPS as u8));
    node.wait(Duration::from_secs(1));
    assert_eq!(anchors(&mut node, 4), [anchor(5, 1, 13)]);
}

// spec: ROUTE-22, ROUTE-23
#[test]
fn who_answers_to_a_key_registers_and_again_when_the_neighbour_is_gone() {
    let mut node = Alone::among(3);
    node.hear(1, anchor(1, 1, 1));
    node.hear(2, anchor(2, 1, 4));
    node.wait(limits::REGISTER_EVERY);
    assert_eq!([1, 2, 3].map(|link| registers(&mut node, link).len()), [0, 0, 0], "no key");
    node.router.answer_to([(KEY, 1)]);
    node.hear(1, anchor(1, 2, 1));
    node.hear(2, anchor(2, 2, 4));
    let own = node.tag();
    node.wait(Duration::from_secs(15));
    let told = registers(&mut node, 1);
    assert_eq!(told.len() + registers(&mut node, 2).len(), 1, "the nearer one, once");
    assert_eq!(told.first().map(|said| hops(&said.path)), Some(vec![own]));
    let tags: Vec<_> = told.iter().flat_map(|said| said.tags.iter()).collect();
    assert_eq!(tags, [registered(0)], "what it registers is not what FINDs show");
    node.lose(1);
    node.wait(Duration::from_secs(1));
    assert_eq!([2, 3].map(|link| registers(&mut node, link).len()), [1, 0]);
}

// spec: ROUTE-23
#[test]
fn a_registration_notes_its_way_and_goes_round_no_circle() {
    let mut node = Alone::among(3);
    node.hear(1, anchor(1, 1, 1));
    let own = node.tag();
    let tags = List::new(&[[7; 8]]);
    let register = |path: &[HopTag]| Register { path: List::new(path), tags: tags.clone() };
    node.hear(2, register(&[tag(2), tag(9)]));
    assert_eq!(registers(&mut node, 1), [register(&[own, tag(2), tag(9)])]);
    let long: Vec<HopTag> = (10..10 + limits::ANCHOR_HOPS as u64).map(tag).collect();
    for path in [vec![], vec![tag(2), own, tag(9)], long] {
        node.hear(2, register(&path));
        assert!(registers(&mut node, 1).is_empty(), "{path:?}");
    }
    node.hear(1, register(&[tag(1), tag(9)]));
    assert!([1, 2, 3].iter().all(|link| registers(&mut node, *link).is_empty()), "not back");
}

// spec: ROUTE-23
#[test]
fn one_link_with_many_registrations_displaces_none_of_another() {
    let mut node = Alone::among(3);
    node.router.set_uplink(node.now, Uplink::Works);
    let path = |number: u16| [tag(1), HopTag(number.to_be_bytes())];
    let victim = Register { path: List::new(&[tag(2)]), tags: List::new(&[registered(0)]) };
    node.hear(2, victim);
    for number in 0..2 * limits::REGISTRATIONS as u16 {
        node.hear(1, Register { path: List::new(&path(number)), tags: List::new(&[[7; 8]]) });
        node.wait(limits::FIND_REFILL);
    }
    assert!(node.router.weight() < 256 << 10, "{}", node.router.weight());
    [1, 2, 3].iter().for_each(|link| drop(node.says(*link)));
    node.hear(3, question(1));
    assert_eq!(guided(&mut node, 2).len(), 1);
    node.wait(limits::REGISTRATION_LIFE);
    node.hear(3, question(2));
    assert_eq!(guided(&mut node, 2).len(), 0, "it is forgotten in time");
}

// spec: ROUTE-24
#[test]
fn an_anchor_leads_a_question_to_who_registered_and_to_anchors_it_knows() {
    let mut node = Alone::among(4);
    node.router.set_uplink(node.now, Uplink::Works);
    node.hear(4, anchor(9, 1, 0));
    let path = List::new(&[tag(2), tag(8)]);
    node.hear(2, Register { path: path.clone(), tags: List::new(&[[1; 8], registered(0)]) });
    node.hear(3, Register { path: List::new(&[tag(3)]), tags: List::new(&[[1; 8]]) });
    [1, 2, 3, 4].iter().for_each(|link| drop(node.says(*link)));
    node.hear(1, question(1));
    let led = guided(&mut node, 2);
    assert_eq!(led.len(), 1);
    assert_eq!((led[0].way.clone(), led[0].tags.len()), (path, 0));
    assert_eq!(led[0].find.hops_left, 31);
    assert!(guided(&mut node, 3).is_empty(), "who registered for something else");
    assert_eq!(guided(&mut node, 4).len(), 1);
    node.hear(4, question(1));
    node.hear(1, question(1));
    assert!([1, 2, 3, 4].iter().all(|link| guided(&mut node, *link).is_empty()), "once");
}

// spec: ROUTE-22, ROUTE-24
#[test]
fn a_relay_leads_up_once_and_down_to_the_furthest_neighbour_of_the_way() {
    let mut node = Alone::among(3);
    node.hear(1, anchor(1, 1, 1));
    node.hear(2, question(1));
    node.hear(3, question(1));
    assert_eq!([1, 2, 3].map(|link| guided(&mut node, link).len()), [1, 0, 0]);
    node.hear(1, question(2));
    assert!([1, 2, 3].iter().all(|link| guided(&mut node, *link).is_empty()), "not back");
    let own = node.tag();
    let down =
        |id, way: &[HopTag]| Guided { tags: List::default(), way: List::new(way), ..question(id) };
    node.hear(1, down(3, &[own, tag(7), tag(3), tag(8)]));
    assert_eq!(hops(&guided(&mut node, 3)[0].way), [tag(3), tag(8)]);
    node.hear(1, down(4, &[tag(3), tag(8)]));
    assert!([1, 2, 3].iter().all(|link| guided(&mut node, *link).is_empty()), "not its way");
    // Its answer goes back over the link that the first copy came by.
    node.hear(3, super::alone::found(&find(1), &[tag(3), tag(8)]));
    assert_eq!(
        node.founds(2).first().map(|found| hops(&found.path)),
        Some(vec![own, tag(3), tag(8)])
    );
}

// spec: ROUTE-23, ROUTE-24
#[test]
fn clocks_half_an_hour_apart_ask_for_what_is_registered() {
    let minutes = |minutes: u64| UnixTime(minutes * 60_000);
    for (clock, hours) in [(600, [10, 9]), (629, [10, 9]), (630, [11, 10]), (659, [11, 10])] {
        let mut node = Alone::among(2);
        node.hear(1, anchor(1, 1, 0));
        node.router.handle(Now { time: node.now, unix: minutes(clock) }, Input::Tick);
        assert!(node.router.seek(node.now, KEY, Scope::Full));
        let led = guided(&mut node, 1);
        let tags: Vec<_> = led.iter().flat_map(|guided| guided.tags.iter()).collect();
        assert_eq!(tags, hours.map(registered), "minute {clock}");
    }
}

/// Two ends of a long line find each other over an anchor in its middle, and nobody in between is
/// asked.
// spec: ROUTE-24
#[test]
fn where_an_anchor_knows_both_nobody_else_is_asked() {
    for seed in seeds(8) {
        let mut net = net(seed, 15, &line(15));
        net.with(14, |node, _| node.router.answer_to([(KEY, 1)]));
        raise(&mut net, &[7]);
        let asked = |message: &RouteMessage| matches!(message, RouteMessage::Find(_));
        look(&mut net, 0, 14);
        assert!(net.run_until(limits::GUIDED_TIME, |net| !net.node(0).open().is_empty()));
        net.run_for(Duration::from_secs(10));
        assert!(heard(&net, asked) <= 4, "seed {seed}: only those near");
        assert!(calls(&mut net, 0, 14, (b"hello", 3)), "seed {seed}");
    }
}

/// Both hang on the same branch: the path is cut short where their ways to the anchor meet.
// spec: ROUTE-8, ROUTE-24
#[test]
fn a_path_does_not_climb_higher_than_it_must() {
    for seed in seeds(8) {
        // 0 is the anchor; 1-2-3 hang on it; from 3 on one branch goes to 9, one to 15.
        let branch = |begin: usize| (begin..begin + 5).map(|node| (node, node + 1));
        let trunk = [(0, 1), (1, 2), (2, 3), (3, 4), (3, 10)];
        let links: Vec<_> = trunk.into_iter().chain(branch(4)).chain(branch(10)).collect();
        let mut net = net(seed, 16, &links);
        net.with(15, |node, _| node.router.answer_to([(KEY, 1)]));
        raise(&mut net, &[0]);
        look(&mut net, 9, 15);
        assert!(net.run_until(limits::GUIDED_TIME, |net| !net.node(9).open().is_empty()));
        let routed = net.node(9).open()[0];
        assert_eq!(net.node(9).router.relays(routed), Some(11), "seed {seed}: over 3, not 0");
    }
}

// spec: ROUTE-24
#[test]
fn anchors_ask_each_other() {
    for seed in seeds(8) {
        // Two lines whose heads are anchors and know each other.
        let links: Vec<_> = (1..8).map(|n| (n - 1, n)).chain((9..16).map(|n| (n - 1, n))).collect();
        let mut net = nodes(seed, 16);
        link(&mut net, &links, Quality::STREAM);
        link(&mut net, &[(0, 8)], Quality::STREAM);
        net.with(15, |node, _| node.router.answer_to([(KEY, 1)]));
        raise(&mut net, &[0, 8]);
        look(&mut net, 7, 15);
        assert!(net.run_until(limits::GUIDED_TIME, |net| !net.node(7).open().is_empty()));
        assert!(calls(&mut net, 7, 15, (b"hello", 3)), "seed {seed}");
    }
}

/// One that says it is an anchor, takes what comes and leads nothing on: who looks finds as if
/// there were none, [`limits::GUIDED_TIME`] later.
// spec: ROUTE-24
#[test]
fn r_01_a_false_anchor_delays_a_search_and_no_more() {
    for seed in seeds(8) {
        let mut net = net(seed, 36, &grid(6));
        let swallows: Habit = |_, _, message| (!is_about_anchors(&message)).then_some(message);
        net.with(35, |node, _| node.router.answer_to([(KEY, 1)]));
        net.with(14, |node, _| node.hears = swallows);
        raise(&mut net, &[14]);
        look(&mut net, 0, 35);
        let soon = limits::GUIDED_TIME + Duration::from_secs(1);
        assert!(net.run_until(soon, |net| !net.node(0).open().is_empty()), "seed {seed}");
    }
}

/// A neighbour makes up anchors as fast as it can, ever nearer and newer: others hear little of it.
// spec: ROUTE-6, ROUTE-21
#[test]
fn r_07_a_flood_of_anchors_is_cut() {
    let mut node = Alone::among(2);
    let mut told = 0;
    for round in 0..1000_u32 {
        for name in 0..20 {
            let id = (round * 20 + name).to_be_bytes();
            let id = [id, id].concat().try_into().unwrap();
            node.hear(1, Anchor { id, number: round, hops: (round % 16) as u8 });
            node.hear(1, anchor(1, round, 0));
        }
        node.wait(Duration::from_millis(100));
        told += anchors(&mut node, 2).len();
    }
    // In 100 s: few that were nearer than those known, then each of the two twice a minute at most.
    assert!(told <= 24, "{told}");
    assert!(node.router.weight() < 4096, "{}", node.router.weight());
}

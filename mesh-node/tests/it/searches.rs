//! What a node remembers for those who ask why nobody comes: searches and links that are gone.

use core::time::Duration;

use mesh_node::node::{LinkEnd, Search, SearchState, Why};
use mesh_sim::{Quality, World, seeds};
use mesh_wire::message::link::CloseReason;
use mesh_wire::{Carrier, ChannelId, Fault};

use crate::spread::{channel, follow, publish, read};
use crate::stranger::{Outcome, Stranger, at};
use crate::{TestNode, node, world};

const SECOND: Duration = Duration::from_secs(1);

fn searches(world: &World<TestNode>, who: usize, channel: &ChannelId) -> Vec<Search> {
    world.node(who).searches(channel).copied().collect()
}

fn last(world: &World<TestNode>, who: usize, channel: &ChannelId) -> Option<SearchState> {
    world.node(who).searches(channel).last().map(|search| search.state)
}

/// A channel that nobody of this world but its maker, who is alone, has.
fn elsewhere(world: &mut World<TestNode>) -> ChannelId {
    let hermit = world.add(node);
    channel(world, hermit)
}

#[test]
fn a_search_with_nobody_near_is_told_from_one_that_nobody_answered() {
    let mut world = world(1);
    let news = elsewhere(&mut world);
    let [reader, other] = [(); 2].map(|()| world.add(node));
    follow(&mut world, reader, news);
    world.run_for(SECOND);
    assert_eq!(last(&world, reader, &news), Some(SearchState::Alone));
    assert_eq!(world.node(reader).next_search(&news), None);

    world.connect(reader, other, Quality::STREAM);
    let is_asked =
        |world: &World<TestNode>| last(world, reader, &news) == Some(SearchState::UnderWay);
    assert!(world.run_until(5 * SECOND, is_asked));
    world.run_for(SECOND);
    let history = searches(&world, reader, &news);
    let [_, Search { began, why, state, since }] = *history else { panic!("{history:?}") };
    assert_eq!((why, state), (Why::Arrived, SearchState::Unanswered));
    assert!(began < since);
    // It goes further later.
    let next = world.node(reader).next_search(&news);
    assert!(matches!(next, Some((at, Why::Later(0))) if at > since), "{next:?}");
    assert_eq!(world.node(other).searches(&news).count(), 0);
}

#[test]
fn a_search_that_led_to_a_session_says_through_how_many() {
    for seed in seeds(4) {
        let mut world = world(seed);
        let [first, relay, last] = [(); 3].map(|()| world.add(node));
        world.connect(first, relay, Quality::STREAM);
        world.connect(relay, last, Quality::STREAM);
        world.run_for(2 * SECOND);
        let news = channel(&mut world, first);
        follow(&mut world, last, news);
        world.run_for(10 * SECOND);
        let history = searches(&world, last, &news);
        let [Search { why, state, .. }] = *history else { panic!("seed {seed}: {history:?}") };
        assert_eq!((why, state), (Why::Wanted(0), SearchState::Met(Some(1))), "seed {seed}");
        let company: Vec<_> = world.node(last).sync().company(&news).collect();
        assert_eq!(company.len(), 1);
        assert_eq!(company[0].has, Some((1, 0)));
    }
}

// spec: ROUTE-18
#[test]
fn somebody_who_was_found_and_lost_before_there_was_a_session_is_looked_for_again() {
    let mut world = world(3);
    let [first, relay, last] = [(); 3].map(|()| world.add(node));
    let slow = Quality { delay: Duration::from_millis(50), ..Quality::STREAM };
    let (far, _) = world.connect(first, relay, slow);
    world.connect(relay, last, slow);
    world.run_for(2 * SECOND);
    let news = channel(&mut world, first);
    follow(&mut world, last, news);
    // FOUND is on its way back, the handshake has not begun.
    world.run_for(Duration::from_millis(220));
    world.disconnect(far);
    world.run_for(10 * SECOND);
    let states: Vec<_> =
        searches(&world, last, &news).into_iter().map(|search| search.state).collect();
    assert!(
        matches!(
            states[..],
            [SearchState::NotMet(_), SearchState::UnderWay | SearchState::Unanswered]
        ),
        "{states:?}"
    );
}

/// What is published while somebody is looked for again and again does not begin that anew.
// spec: ROUTE-18
#[test]
fn who_is_not_found_is_looked_for_less_and_less_whatever_is_published() {
    for seed in seeds(4) {
        let mut world = world(seed);
        let [writer, other] = [(); 2].map(|()| world.add(node));
        world.connect(writer, other, Quality::STREAM);
        world.run_for(2 * SECOND);
        let news = channel(&mut world, writer);
        let begin = world.now(writer).time;
        for (at, text) in [(0, "a"), (3, "b"), (13, "c"), (25, "d"), (28, "e")] {
            world.run_for((begin + at * SECOND).since(world.now(writer).time));
            publish(&mut world, writer, news, text);
        }
        world.run_for(30 * SECOND);
        let searches = searches(&world, writer, &news).into_iter();
        let searches: Vec<_> = searches.map(|s| (s.why, s.began.since(begin).as_secs())).collect();
        // Two stages end after 6.5 s, and 2 s later is the next search; one stage takes 2.5 s.
        let expected = [(0, 0), (1, 8), (2, 16), (3, 25), (4, 33)];
        let expected = expected.map(|(tries, at)| (Why::Wanted(tries), at));
        assert_eq!(searches, expected, "seed {seed}");
    }
}

/// The search for another path has asked everybody already.
// spec: ROUTE-18
#[test]
fn the_other_end_of_a_lost_session_is_looked_for_later_and_once() {
    for seed in seeds(4) {
        let mut world = world(seed);
        let [writer, relay, reader] = [(); 3].map(|()| world.add(node));
        world.connect(writer, relay, Quality::STREAM);
        let (last, _) = world.connect(relay, reader, Quality::STREAM);
        world.run_for(2 * SECOND);
        let news = channel(&mut world, writer);
        follow(&mut world, reader, news);
        world.run_for(10 * SECOND);
        world.disconnect(last);
        publish(&mut world, writer, news, "lost");
        let is_lost = |world: &World<TestNode>| world.node(writer).departures().count() > 0;
        assert!(world.run_until(15 * SECOND, is_lost), "seed {seed}");
        let lost = world.now(writer).time;
        assert_eq!(
            world.node(writer).next_search(&news),
            Some((lost + 2 * SECOND, Why::Wanted(1)))
        );
        world.connect(relay, reader, Quality::STREAM);
        let got = |world: &World<TestNode>| read(world, reader, &news, 1).is_some();
        assert!(world.run_until(5 * SECOND, got), "seed {seed}");
    }
}

#[test]
fn only_the_last_searches_are_remembered() {
    let mut world = world(4);
    let news = elsewhere(&mut world);
    let [reader, other] = [(); 2].map(|()| world.add(node));
    follow(&mut world, reader, news);
    for _ in 0..12 {
        let (link, _) = world.connect(reader, other, Quality::STREAM);
        world.run_for(5 * SECOND);
        world.disconnect(link);
        world.run_for(60 * SECOND);
    }
    let history = searches(&world, reader, &news);
    assert_eq!(history.len(), 8);
    assert!(history.is_sorted_by_key(|search| search.began));
    assert!(history[7].since + 70 * SECOND > world.now(reader).time);
}

#[test]
fn a_link_that_is_gone_says_why() {
    let mut world = world(5);
    let [one, other] = [(); 2].map(|()| world.add(node));
    let (link, _) = world.connect(one, other, Quality::STREAM);
    world.run_for(SECOND);
    world.disconnect(link);
    world.run_for(SECOND);
    world.connect(one, other, Quality::STREAM);
    world.run_for(SECOND);
    world.with(other, |node, now| node.leave(now));
    world.run_for(2 * SECOND);
    let gone: Vec<_> = world.node(one).departures().copied().collect();
    let [lost, left] = *gone else { panic!("{gone:?}") };
    assert_eq!(lost.end, LinkEnd::Lost);
    assert_eq!(left.end, LinkEnd::ClosedByPeer(CloseReason::Leaving));
    for gone in [lost, left] {
        assert_eq!(gone.peer, world.node(other).peer());
        assert!(gone.since < gone.at && gone.traffic.received > 0);
    }
    let ends: Vec<_> = world.node(other).departures().map(|gone| gone.end).collect();
    assert_eq!(ends, [LinkEnd::Lost, LinkEnd::Closed(CloseReason::Leaving)]);
}

#[test]
fn a_fault_is_remembered_and_many_departures_are_not() {
    let mut node = node(0, mesh_wire::Rng::from_seed([6; 32]));
    for number in 1..=40 {
        let mut stranger = Stranger::meet(&mut node, number, Carrier::Stream, at(number));
        // A frame of a known kind that ends too soon.
        assert_eq!(stranger.say(&mut node, &[0x20, 0x05]), Outcome::Closed);
    }
    assert_eq!(node.departures().count(), 32);
    assert!(node.departures().all(|gone| matches!(gone.end, LinkEnd::Faulted(Fault::Decode(_)))));
}

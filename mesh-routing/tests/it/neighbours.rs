//! Finding each other, as a story.

use core::time::Duration;

use mesh_routing::{RouteEvent, Router};
use mesh_sim::{Quality, Securing, World};
use mesh_wire::message::find::PortNumber;
use mesh_wire::{Address, Machine, Now, Rng, Time, limits};

fn router(seed: u8) -> Router {
    Router::new(Rng::from_seed([seed; 32]))
}

fn heard_from() -> Address {
    "udp://192.0.2.1:47474".parse().unwrap()
}

fn events(router: &mut Router) -> Vec<RouteEvent> {
    std::iter::from_fn(|| router.poll_event()).collect()
}

fn beacon(router: &mut Router) -> bytes::Bytes {
    router.listen(Time(0), PortNumber::new(4000));
    match events(router).into_iter().next() {
        Some(RouteEvent::Announce(beacon)) => beacon,
        other => panic!("no beacon but {other:?}"),
    }
}

// spec: FIND-10
#[test]
fn a_node_that_cannot_be_dialled_announces_nothing() {
    let mut alone = router(1);
    alone.surroundings_changed(Time(0));
    alone.listen(Time(0), None);
    assert_eq!(events(&mut alone), []);
    assert_eq!(alone.wake_at(), None);
}

// spec: FIND-11
#[test]
fn whoever_hears_a_beacon_dials_where_it_came_from_and_nobody_dials_itself() {
    let (mut alice, mut bob) = (router(1), router(2));
    let beacon = beacon(&mut alice);
    assert!(beacon.len() <= limits::BEACON_BYTES);
    bob.heard(Time(0), &heard_from(), beacon.clone());
    let dial = RouteEvent::Dial("tcp://192.0.2.1:4000".parse().unwrap());
    assert_eq!(events(&mut bob), [dial]);
    alice.heard(Time(0), &heard_from(), beacon.clone());
    assert_eq!(events(&mut alice), []);
    for cut in 0..beacon.len() {
        router(3).heard(Time(0), &heard_from(), beacon.slice(..cut));
    }
    let mut other = beacon.to_vec();
    other[1] = 9;
    let mut carol = router(3);
    carol.heard(Time(0), &heard_from(), other.into());
    assert_eq!(events(&mut carol), [], "a version nobody here speaks");
}

// spec: FIND-12
#[test]
fn a_node_that_cannot_dial_announces_itself_soon() {
    let mut bob = router(2);
    let beacon = beacon(&mut router(1));
    bob.listen(Time(0), PortNumber::new(5000));
    let late = Time(0) + 2 * limits::BEACON_EVERY;
    while let Some(wake) = bob.wake_at().filter(|wake| wake.at < late) {
        bob.handle(Now { time: wake.at, ..Now::default() }, mesh_wire::Input::Tick);
        events(&mut bob);
    }
    bob.heard(late, &heard_from(), beacon);
    events(&mut bob);
    bob.dial_failed(late, &"tcp://192.0.2.1:4000".parse().unwrap());
    let wake = bob.wake_at().unwrap();
    assert!(wake.at <= late + Duration::from_secs(1), "{wake:?}");
}

// spec: FIND-14
// spec: FIND-15
#[test]
fn linked_neighbours_are_not_dialled_again_even_when_their_token_changes() {
    let mut world = World::new(7, Securing::ByWorld);
    let [alice, bob] = [0, 1].map(|_| world.add(|_, rng| Router::new(rng)));
    world.on_event(|_, _, event| Some(event));
    world.connect(alice, bob, Quality::STREAM);
    world.run_for(Duration::from_secs(1));
    for _ in 0..3 {
        world.with(alice, |alice, now| alice.listen(now.time, PortNumber::new(4000)));
        let announced = world.take_events(alice).into_iter().rev().find_map(|event| match event {
            RouteEvent::Announce(beacon) => Some(beacon),
            RouteEvent::Dial(_) | RouteEvent::Trail(_) => None,
        });
        world.run_for(Duration::from_secs(1));
        let beacon = announced.unwrap();
        world.with(bob, |bob, now| bob.heard(now.time, &heard_from(), beacon));
        world.run_for(Duration::from_secs(60));
        let dialled = |event: &RouteEvent| matches!(event, RouteEvent::Dial(_));
        let seen = world.take_events(bob);
        assert!(!seen.iter().any(dialled), "{seen:?}");
        world.with(alice, |alice, now| alice.rotate(now.time));
    }
}

// spec: FIND-11
#[test]
fn a_lost_neighbour_that_is_still_heard_is_dialled_again() {
    let mut world = World::new(8, Securing::ByWorld);
    let [alice, bob] = [0, 1].map(|_| world.add(|_, rng| Router::new(rng)));
    world.on_event(|_, _, event| Some(event));
    let beacon = beacon(&mut router(9));
    world.with(bob, |bob, now| bob.heard(now.time, &heard_from(), beacon.clone()));
    let (link, _) = world.connect(bob, alice, Quality::STREAM);
    world.run_for(Duration::from_secs(1));
    world.disconnect(link);
    world.take_events(bob);
    world.with(bob, |bob, now| bob.heard(now.time, &heard_from(), beacon));
    let dialled = |event: &RouteEvent| matches!(event, RouteEvent::Dial(_));
    let again =
        world.run_until(Duration::from_secs(15), |world| world.events(bob).iter().any(dialled));
    assert!(again);
}

//! An owner says again and again how far its channel is, and who does not hear that knows it.

use std::time::Duration;

use mesh_sim::{Quality, World};
use mesh_sync::{MemoryStore, Promise, Refused, Sync};
use mesh_wire::message::sync::Right;
use mesh_wire::{ChannelId, Label, Machine};

use crate::world::{Node, SOON, chain, is_level, level, publish, texts};

const HOUR: Duration = Duration::from_hours(1);

/// What a node knows the owner to have promised.
fn promised(world: &World<Node>, node: usize, channel: &ChannelId) -> Option<Promise> {
    world.node(node).channel(channel).unwrap().promise
}

/// Whether that is not over yet.
fn is_fresh(world: &World<Node>, node: usize, channel: &ChannelId) -> bool {
    promised(world, node, channel).unwrap().next > world.now(node).unix
}

/// Items of a channel that a node has.
fn count(world: &World<Node>, node: usize, channel: &ChannelId) -> usize {
    world.node(node).channel(channel).unwrap().items as usize
}

// spec: SYNC-66
#[test]
fn who_is_kept_from_what_is_new_knows_it() {
    let (mut world, channel) = chain(1, 3, Quality::STREAM);
    level(&mut world, &channel);
    assert_eq!(promised(&world, 2, &channel), None, "nobody has promised anything");
    world.with(0, |sync, now| sync.promise(now, &channel, Some(2 * HOUR))).unwrap();
    for _ in 0..20 {
        world.run_for(HOUR / 2);
        assert!((0..3).all(|node| is_fresh(&world, node, &channel)));
    }
    // One an hour.
    assert!((11..=13).contains(&count(&world, 2, &channel)), "{}", count(&world, 2, &channel));
    // Node 1 goes on to say what it had, and says nothing of what is new.
    let link = world.links(1)[0];
    world.disconnect(link);
    publish(&mut world, &channel, texts(1));
    world.run_for(3 * HOUR);
    assert!(is_fresh(&world, 0, &channel));
    assert!((1..3).all(|node| !is_fresh(&world, node, &channel)));
    world.connect(0, 1, Quality::STREAM);
    let fresh = |world: &World<Node>| is_fresh(world, 2, &channel) && is_level(world, 2, &channel);
    assert!(world.run_until(SOON, fresh));
}

// spec: SYNC-66
#[test]
fn a_promise_can_be_ended_and_is_renewed_by_every_checkpoint() {
    let (mut world, channel) = chain(2, 2, Quality::STREAM);
    let minute = Duration::from_secs(60);
    world.with(0, |sync, now| sync.promise(now, &channel, Some(minute))).unwrap();
    level(&mut world, &channel);
    let first = promised(&world, 1, &channel).unwrap();
    assert_eq!(first.next.0 - first.made.0, 3_600_000, "no less than an hour");
    world.run_for(10 * minute);
    world.with(0, |sync, now| sync.checkpoint(now, &channel)).unwrap();
    level(&mut world, &channel);
    let second = promised(&world, 1, &channel).unwrap();
    assert_eq!(second.next.0 - second.made.0, 3_600_000);
    assert!(second.made.0 >= first.made.0 + 600_000);
    world.with(0, |sync, now| sync.promise(now, &channel, None)).unwrap();
    level(&mut world, &channel);
    assert_eq!(promised(&world, 1, &channel), None);
    let before = count(&world, 0, &channel);
    world.run_for(10 * HOUR);
    assert_eq!(count(&world, 0, &channel), before);
    assert!(world.node(0).wake_at().is_none(), "nothing is left to do");
    let refused = world.with(1, |sync, now| sync.promise(now, &channel, Some(HOUR)));
    assert_eq!(refused, Err(Refused::NotOwner));
}

// spec: SYNC-66
#[test]
fn an_owner_that_was_off_keeps_its_promise_when_it_runs_again() {
    let (mut world, channel) = chain(3, 2, Quality::STREAM);
    world.with(0, |sync, now| sync.promise(now, &channel, Some(2 * HOUR))).unwrap();
    level(&mut world, &channel);
    let empty = Sync::open(MemoryStore::default(), world.rng("off")).unwrap();
    let off = world.replace(0, empty);
    world.run_for(5 * HOUR);
    assert!(!is_fresh(&world, 1, &channel));
    let on = Sync::open(off.into_store(), world.rng("on")).unwrap();
    world.replace(0, on);
    world.connect(0, 1, Quality::STREAM);
    assert!(world.run_until(SOON, |world| is_fresh(world, 1, &channel)));
}

// spec: SYNC-37, SYNC-66
#[test]
fn who_takes_a_channel_over_keeps_what_was_promised() {
    let (mut world, channel) = chain(4, 3, Quality::STREAM);
    world.with(0, |sync, now| sync.promise(now, &channel, Some(2 * HOUR))).unwrap();
    level(&mut world, &channel);
    let asked = (Label::new("Bob").unwrap(), Right::Succeed);
    let bob = world.with(1, |sync, now| sync.request_right(now, &channel, asked)).unwrap();
    world.with(0, |sync, now| sync.grant(now, &bob, None)).unwrap();
    level(&mut world, &channel);
    let before = count(&world, 2, &channel);
    for _ in 0..8 {
        world.run_for(HOUR / 2);
        assert!(is_fresh(&world, 2, &channel));
    }
    assert!((before + 3..=before + 5).contains(&count(&world, 2, &channel)));
}

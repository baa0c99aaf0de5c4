//! What a node costs when nothing happens.

use core::time::Duration;

use mesh_sim::Quality;
use mesh_wire::message::find::PortNumber;

use crate::{node, open_links, world};

/// A TCP segment with one record, and its acknowledgement, over IPv6.
const SEGMENT_BYTES: u64 = 60 + 12 + 3;
const ACK_BYTES: u64 = 60 + 12;

/// A beacon over UDP and IPv6, and the same over IPv4.
const BEACON_BYTES: u64 = (48 + 12) + (28 + 12);

/// Ten idle links: at most one wake-up and 50 bytes per second in all, with the headers of TCP,
/// UDP and IP. `cargo test -p mesh-node --test it idle -- --nocapture` prints the account.
#[test]
fn ten_idle_links_cost_less_than_a_wake_up_and_fifty_bytes_per_second() {
    const HOUR: Duration = Duration::from_secs(3600);
    let mut world = world(1);
    let alice = world.add(node);
    for _ in 0..10 {
        let other = world.add(node);
        world.connect(alice, other, Quality::STREAM);
    }
    world.with(alice, |alice, now| alice.listen(now, PortNumber::new(4000)));
    world.run_for(Duration::from_secs(60));
    assert_eq!(open_links(world.node(alice)).len(), 10);

    let account = |world: &mesh_sim::World<crate::TestNode>| {
        let links = world.links(alice).to_vec();
        let sent = links.iter().map(|link| world.traffic(*link));
        let (messages, bytes) =
            sent.fold((0, 0), |sum, traffic| (sum.0 + traffic.messages, sum.1 + traffic.bytes));
        (messages, bytes, world.wakes(alice).clone())
    };
    world.take_events(alice);
    let before = account(&world);
    world.run_for(HOUR);
    let after = account(&world);
    let announced = world
        .take_events(alice)
        .iter()
        .filter(|event| matches!(event, mesh_node::node::NodeEvent::Announce(_)))
        .count() as u64;

    let messages = after.0 - before.0;
    let received = after.2["a message came"] - before.2.get("a message came").unwrap_or(&0);
    let sent = (after.1 - before.1)
        + messages * SEGMENT_BYTES
        + received * ACK_BYTES
        + announced * BEACON_BYTES;
    let wakes: u64 = after.2.iter().map(|(why, n)| n - before.2.get(why).unwrap_or(&0)).sum();
    for (why, count) in &after.2 {
        println!("{:>6} wake-ups in an hour: {why}", count - before.2.get(why).unwrap_or(&0));
    }
    println!("{wakes} wake-ups and {sent} bytes sent in an hour, {announced} beacons among them");
    assert!(wakes <= HOUR.as_secs(), "{wakes} wake-ups");
    assert!(sent <= 50 * HOUR.as_secs(), "{sent} bytes");
}

//! Bodies for the machines: the input says what happens to two of them.

use core::net::SocketAddr;

use mesh_routing::{RouteEvent, Router};
use mesh_sim::seed;
use mesh_wire::message::find::PortNumber;
use mesh_wire::{Address, Now};

use crate::bench::{Bench, Kind, secured};
use crate::source::Source;

/// Finding neighbours: beacons from anybody, dials that fail or lead to links.
pub fn router(data: &[u8]) {
    let kind = Kind {
        weight_limit: 256 << 10,
        secured,
        command: command_router,
        closes: |event| match event {
            RouteEvent::Announce(_) | RouteEvent::Dial(_) => None,
        },
    };
    Bench::new(kind, [0, 1].map(|index| Router::new(seed::rng(index)))).play(data);
}

fn command_router(routers: &mut [Router; 2], now: Now, source: &mut Source<'_>) {
    let router = &mut routers[source.below(2)];
    let from = SocketAddr::from(([192, 0, 2, source.byte()], 1024 + u16::from(source.byte())));
    let from = Address::socket("tcp", from);
    match source.byte() % 5 {
        0 => router.heard(now.time, &from, source.bytes()),
        1 => router.listen(now.time, PortNumber::new(source.below(1 << 16) as u16)),
        2 => router.keep(now.time, from),
        3 => router.dial_failed(now.time, &from),
        _ => router.rotate(now.time),
    }
}

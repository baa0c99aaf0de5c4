//! The ten laws.

use bytes::Bytes;
use mesh_routing::{Router, Scope, Uplink};
use mesh_sim::Subject;
use mesh_wire::codec::List;
use mesh_wire::message::find::{Beacon, PortNumber};
use mesh_wire::{Address, FindKey, Now, Rng, Token, Wire, limits};

fn address(rng: &mut Rng) -> Address {
    let [a, b, c, d] = rng.bytes();
    Address::socket("udp", std::net::SocketAddr::from(([a, b, c, d], 47474)))
}

fn beacon(rng: &mut Rng) -> Bytes {
    let [version, token @ ..] = rng.bytes::<2>();
    let versions = List::new(&[1, 2 + version % 3][..]);
    let tcp_port = PortNumber::new(1024 + u16::from(token[0])).unwrap();
    Beacon { versions, token: Token([token[0]; 8]), tcp_port }.to_bytes()
}

/// One of two that nodes find each other by.
fn key(rng: &mut Rng) -> FindKey {
    FindKey([rng.below(2) as u8; 32])
}

fn command(router: &mut Router, now: Now, rng: &mut Rng) {
    match rng.below(26) {
        0..=3 => router.listen(now.time, PortNumber::new(2000)),
        4..=7 => router.surroundings_changed(now.time),
        8..=13 => router.heard(now.time, &address(rng), beacon(rng)),
        14..=17 => router.dial_failed(now.time, &address(rng)),
        18..=20 => router.rotate(now.time),
        21 | 22 => router.answer_to([(key(rng), rng.below(3))]),
        23 => router.set_uplink(now.time, Uplink::Works),
        24 => router.set_uplink(now.time, Uplink::None),
        _ => drop(router.seek(now.time, key(rng), Scope::Full)),
    }
}

/// A beacon heard and a question remembered cost at most this.
const ENTRY_BYTES: usize = 256;
/// A link, with all that waits to be said over it.
const LINK_BYTES: usize = 16 << 10;

#[test]
fn a_router_keeps_the_ten_laws() {
    let entries = (limits::HEARD + limits::FINDS) * ENTRY_BYTES;
    let limit = entries + limits::LINKS * LINK_BYTES;
    let subject = Subject::new(|_, rng| Router::new(rng), limit).commands(command);
    mesh_sim::laws::check("router", &subject);
}

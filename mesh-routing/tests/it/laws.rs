//! The ten laws.

use bytes::Bytes;
use mesh_routing::Router;
use mesh_sim::Subject;
use mesh_wire::codec::List;
use mesh_wire::message::find::{Beacon, PortNumber};
use mesh_wire::{Address, Now, Rng, Token, Wire};

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

fn command(router: &mut Router, now: Now, rng: &mut Rng) {
    match rng.below(6) {
        0 => router.listen(now.time, PortNumber::new(2000)),
        1 => router.surroundings_changed(now.time),
        2 | 3 => router.heard(now.time, &address(rng), beacon(rng)),
        4 => router.dial_failed(now.time, &address(rng)),
        _ => router.rotate(now.time),
    }
}

/// A beacon heard costs at most this, a link less.
const ENTRY_BYTES: usize = 256;

#[test]
fn a_router_keeps_the_ten_laws() {
    let limit = (mesh_wire::limits::HEARD + mesh_wire::limits::LINKS) * ENTRY_BYTES;
    let subject = Subject::new(|_, rng| Router::new(rng), limit).commands(command);
    mesh_sim::laws::check("router", &subject);
}

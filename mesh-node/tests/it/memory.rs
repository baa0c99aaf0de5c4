//! What strangers can make a node hold, by an allocator that counts.

use mesh_wire::codec::{List, Opaque};
use mesh_wire::message::link::{Fragment, LinkMessage};
use mesh_wire::message::sync::{Share, SyncMessage};
use mesh_wire::{Carrier, Machine, limits};

use crate::laws::WEIGHT_BYTES;
use crate::node;
use crate::stranger::{Stranger, at};

#[test]
fn l_12_sixty_four_strangers_at_all_their_limits_fit_into_the_declared_memory() {
    let mut weight = 0;
    let info = allocation_counter::measure(|| {
        let mut alice = node(0, mesh_wire::Rng::from_seed([9; 32]));
        let mut strangers: Vec<_> = (0..limits::LINKS as u64)
            .map(|n| Stranger::meet(&mut alice, n, Carrier::Datagram, at(n)))
            .collect();
        for stranger in &mut strangers {
            for message in 0..100 {
                for index in 0..50 {
                    let bytes = Opaque::new(vec![7; 1100].into()).unwrap();
                    let part = Fragment { message, index, total: 60, bytes };
                    stranger.send(&mut alice, LinkMessage::from(part));
                }
            }
            let tokens = List::new(&[[7; 8]; limits::SHARED_CHANNELS]);
            stranger.send(&mut alice, SyncMessage::from(Share { serial: 1, tokens }));
        }
        weight = alice.weight();
    });
    println!("weight {weight} bytes, at the most {} bytes allocated", info.bytes_max);
    assert!(weight <= WEIGHT_BYTES, "{weight}");
    assert!(info.bytes_max <= WEIGHT_BYTES as u64, "{}", info.bytes_max);
}

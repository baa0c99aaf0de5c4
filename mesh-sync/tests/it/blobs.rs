//! Blobs spread from node to node.

use mesh_sim::Quality;
use mesh_sync::Event;

use crate::world::*;

#[test]
fn a_follower_gets_every_blob() {
    let (mut world, channel) = chain(1, 3, Quality::STREAM);
    let mut rng = world.rng("content");
    let blobs = [16_385, 65_536, 65_537, 5_000_000].map(|size| content(&mut rng, size));
    let ids = publish_blobs(&mut world, &channel, &blobs);
    level(&mut world, &channel);
    for (id, bytes) in ids.iter().zip(&blobs) {
        for node in 1..3 {
            assert!(world.events(node).contains(&Event::BlobHere { blob: *id }));
            assert!(world.node(node).blob(id).unwrap().is_complete());
            assert_eq!(world.node(node).store().blob_bytes(&id.hash), Some(bytes.as_slice()));
        }
    }
    assert_eq!(faults(&world), []);
}

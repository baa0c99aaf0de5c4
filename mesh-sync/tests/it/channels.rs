//! Channels spread from node to node.

use mesh_sim::Quality;
use mesh_sync::Event;

use crate::world::*;

#[test]
fn a_follower_gets_every_item() {
    let (mut world, channel) = chain(1, 2, Quality::STREAM);
    publish(&mut world, &channel, texts(1000));
    level(&mut world, &channel);
    let known = Event::ChannelKnown { channel };
    assert!(world.events(1).contains(&known));
    for seq in [1, 500, 1000] {
        let here = world.node(1).content(&channel, seq).unwrap();
        assert_eq!(here, world.node(0).content(&channel, seq).unwrap());
        assert_eq!(here.unwrap(), format!("item {}", seq - 1));
    }
    assert_eq!(faults(&world), []);
}

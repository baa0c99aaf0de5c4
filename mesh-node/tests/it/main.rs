//! Whole nodes in a simulated world: the sans-io composition, as its driver uses it.

mod hostile;
mod idle;
mod laws;
mod links;
mod memory;
mod relay;
mod searches;
mod spread;
mod stranger;

use mesh_node::node::{Node, NodeConfig, NodeEvent};
use mesh_sim::{Securing, World};
use mesh_sync::MemoryStore;
use mesh_wire::{LinkId, Rng};

/// A node with its content in memory.
pub(crate) type TestNode = Node<MemoryStore>;

/// A node of the world.
pub(crate) fn node(_: usize, rng: Rng) -> TestNode {
    Node::new(NodeConfig::default(), MemoryStore::default(), rng).unwrap()
}

/// A world of nodes whose owner closes links when they ask for it.
pub(crate) fn world(seed: u64) -> World<TestNode> {
    let mut world = World::new(seed, Securing::ByMachines);
    world.on_event(|world, _, event| {
        if let NodeEvent::Close(link) = event {
            world.disconnect(link);
        }
        Some(event)
    });
    world
}

/// The links of `node` that have a session.
pub(crate) fn open_links(node: &TestNode) -> Vec<LinkId> {
    node.links().map(|link| link.link).collect()
}

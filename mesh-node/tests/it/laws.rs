//! The ten laws, for the whole node.

use mesh_node::node::NodeEvent;
use mesh_sim::{Quality, Subject};
use mesh_sync::{Content, NewItem};
use mesh_wire::message::sync::ItemKind;
use mesh_wire::{Label, Now, Rng};

use crate::{TestNode, node};

/// What 64 links at all their limits may make a node hold (LIMIT-1).
pub(crate) const WEIGHT_BYTES: usize = 64 << 20;

fn command(node: &mut TestNode, now: Now, rng: &mut Rng) {
    let own: Vec<_> = node.sync().channels().iter().map(|channel| channel.id).collect();
    match (rng.below(4), own.first()) {
        (0, _) | (_, None) => {
            let _ =
                node.sync_mut(now, |sync| sync.create_channel(now, &Label::new("news").unwrap()));
        }
        (_, Some(channel)) => {
            let text = vec![b'x'; rng.below(2000) as usize];
            let content = Content::Inline(text.into());
            let item =
                NewItem { kind: ItemKind::Text, name: Label::default(), content, expires: None };
            let _ = node.sync_mut(now, |sync| sync.publish(now, channel, vec![item]));
        }
    }
}

fn subject() -> Subject<TestNode> {
    Subject::new(node, WEIGHT_BYTES).securing_its_links().commands(command).closing(|event| {
        match event {
            NodeEvent::Close(link) => Some(*link),
            NodeEvent::Announce(_)
            | NodeEvent::Dial(_)
            | NodeEvent::Fault { .. }
            | NodeEvent::Rotated
            | NodeEvent::Changed => None,
        }
    })
}

#[test]
fn a_node_keeps_the_ten_laws_on_streams() {
    mesh_sim::laws::check("node", &subject());
}

#[test]
fn a_node_keeps_the_ten_laws_on_datagrams() {
    mesh_sim::laws::check("node on datagrams", &subject().over(Quality::DATAGRAM));
}

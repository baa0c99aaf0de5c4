//! The node without our loop, sockets, clock or disk: two of them in one thread, joined by two
//! queues, in a time of their own. What an embedder with a loop already writes.

use std::collections::VecDeque;
use std::time::Duration;

use mesh_node::node::{Frame, Node, NodeConfig, NodeEvent};
use mesh_sync::{Content, MemoryStore, NewItem};
use mesh_wire::message::sync::ItemKind;
use mesh_wire::{Carrier, Input, Label, Link, LinkId, Machine, Now, Rng, Role};

/// What a frame may have on this medium.
const LARGEST_FRAME: usize = 70_000;
const LINK: LinkId = LinkId(1);

/// One node, and the frames on their way to it.
struct Side {
    node: Node<MemoryStore>,
    inbox: VecDeque<Frame>,
}

impl Side {
    fn new(seed: u8, role: Role, now: Now) -> Self {
        // A real embedder takes the seed from the operating system.
        let rng = Rng::from_seed([seed; 32]);
        let store = MemoryStore::default();
        let mut node = Node::new(NodeConfig::default(), store, rng).expect("an empty store opens");
        let carrier = Carrier::Stream;
        let link = Link { role, carrier, largest_frame: LARGEST_FRAME, secured: None };
        node.handle(now, Input::LinkUp(LINK, link));
        Self { node, inbox: VecDeque::new() }
    }

    /// The loop: take what came, send while there is something to send, tell what happened.
    fn turn(&mut self, now: Now, other: &mut VecDeque<Frame>) {
        while let Some(frame) = self.inbox.pop_front() {
            self.node.handle(now, Input::Receive(LINK, frame));
        }
        if self.node.wake_at().is_some_and(|wake| wake.at <= now.time) {
            self.node.handle(now, Input::Tick);
        }
        while let Some(frame) = self.node.poll_send(now, LINK, LARGEST_FRAME) {
            other.push_back(frame);
        }
        while let Some(event) = self.node.poll_event() {
            match event {
                NodeEvent::Fault { fault, .. } => println!("the neighbour {fault}"),
                // This medium has two ends and no more: nobody to announce to, or to dial.
                NodeEvent::Announce(_)
                | NodeEvent::Dial(_)
                | NodeEvent::Close(_)
                | NodeEvent::Rotated
                | NodeEvent::Changed => {}
            }
        }
    }
}

fn main() {
    let mut now = Now::default();
    let mut writer = Side::new(1, Role::Initiator, now);
    let mut reader = Side::new(2, Role::Responder, now);

    let name = Label::new("Village news").expect("a plain name");
    let channel = writer.node.sync_mut(now, |sync| sync.create_channel(now, &name));
    let channel = channel.expect("memory takes it");
    let text = Content::Inline("Market on Saturday".into());
    let item =
        NewItem { kind: ItemKind::Text, name: Label::default(), content: text, expires: None };
    writer.node.sync_mut(now, |sync| sync.publish(now, &channel, vec![item])).expect("signed");
    reader.node.sync_mut(now, |sync| sync.follow(now, channel)).expect("followed");

    loop {
        writer.turn(now, &mut reader.inbox);
        reader.turn(now, &mut writer.inbox);
        if let Ok(Some(text)) = reader.node.sync().content(&channel, 1) {
            println!("after {:?}: {}", now.time.since(Default::default()), text.escape_ascii());
            return;
        }
        now.time = now.time + Duration::from_millis(1);
    }
}

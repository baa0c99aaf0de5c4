//! The real thing: a whole [`Node`] in every pocket, with its sessions, its content layer and a
//! store in memory.
//!
//! Who writes to somebody has a channel for it that the other one follows; a message is an item.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use mesh_node::node::{Habit, Node, NodeConfig, NodeEvent, Uplink};
use mesh_sim::{Securing, World};
use mesh_sync::{Content, MemoryStore, NewItem};
use mesh_wire::message::sync::ItemKind;
use mesh_wire::message::{LinkMessage, RouteMessage, SyncMessage};
use mesh_wire::{ChannelId, Label, LinkId, Now, PeerId, Rng};

use crate::subject::{Class, Corruption, Kind, Ledger, Message, Sent, Subject, Told};

/// Towns of real nodes.
#[derive(Default)]
pub struct Device {
    /// The channel from one node to another, or, if it is to several, to itself.
    channels: BTreeMap<(usize, usize), ChannelId>,
    /// By reader and channel, what is on its way.
    waiting: BTreeMap<usize, BTreeMap<ChannelId, Line>>,
    /// By reader and link, how much content had come when a message came last.
    brought: BTreeMap<(usize, LinkId), u64>,
}

/// A channel as its reader sees it.
#[derive(Default)]
struct Line {
    /// The items that are here.
    here: u64,
    /// The messages that are not here, in the order of their items.
    due: VecDeque<u64>,
}

impl Device {
    fn expect(&mut self, reader: usize, channel: ChannelId, number: u64) {
        let line = self.waiting.entry(reader).or_default().entry(channel).or_default();
        line.due.push_back(number);
    }

    /// The messages that are here since the last time.
    fn arrived(&mut self, reader: usize, machine: &Node<MemoryStore>) -> Vec<u64> {
        let mut arrived = Vec::new();
        let lines = self.waiting.get_mut(&reader).into_iter().flatten();
        for (channel, line) in lines.filter(|(_, line)| !line.due.is_empty()) {
            // The first item is the channel's own.
            let items = machine.sync().channel(channel).map_or(0, |status| status.items);
            let here = items.saturating_sub(1);
            arrived.extend(line.due.drain(..(here - line.here) as usize));
            line.here = here;
        }
        arrived
    }

    /// Over how many links came what has just arrived: those of the link that has brought most
    /// since the last time.
    fn hops(&mut self, reader: usize, machine: &Node<MemoryStore>) -> Option<u32> {
        let news = machine.links().map(|link| {
            let content = link.traffic.content_received;
            let before = self.brought.insert((reader, link.link), content).unwrap_or(0);
            (content.saturating_sub(before), link.relays as u32 + 1)
        });
        news.filter(|(bytes, _)| *bytes > 0).max_by_key(|(bytes, _)| *bytes).map(|(_, hops)| hops)
    }

    fn create(
        &mut self,
        world: &mut World<Node<MemoryStore>>,
        from: usize,
        to: usize,
    ) -> ChannelId {
        let name = Label::new("to a friend").expect("a plain name");
        let made = world
            .with(from, |node, now| node.sync_mut(now, |sync| sync.create_channel(now, &name)));
        let channel = made.expect("memory takes it");
        self.channels.insert((from, to), channel);
        channel
    }
}

fn follow(world: &mut World<Node<MemoryStore>>, reader: usize, channel: ChannelId) {
    let followed =
        world.with(reader, |node, now| node.sync_mut(now, |sync| sync.follow(now, channel)));
    followed.expect("memory takes it");
}

fn publish(node: &mut Node<MemoryStore>, now: Now, channel: &ChannelId, message: Message) {
    // Every item is another one, as what people say is.
    let mut body = vec![b' '; message.bytes.max(8)];
    body[..8].copy_from_slice(&message.number.to_be_bytes());
    let content = Content::Inline(Bytes::from(body));
    let item = NewItem { kind: ItemKind::Text, name: Label::default(), content, expires: None };
    let published = node.sync_mut(now, |sync| sync.publish(now, channel, vec![item]));
    published.expect("memory takes it");
}

impl Subject for Device {
    type Machine = Node<MemoryStore>;

    const SECURING: Securing = Securing::ByMachines;

    /// Its frames are sealed already: what is left is the header of the medium.
    const OVERHEAD_BYTES: usize = 4;

    fn build(&mut self, _: usize, _: PeerId, rng: Rng) -> Self::Machine {
        let node = Node::new(NodeConfig::default(), MemoryStore::default(), rng);
        node.expect("an empty store opens")
    }

    fn uplink(&mut self, machine: &mut Self::Machine, now: Now) {
        machine.set_uplink(now, Uplink::Works);
    }

    fn befriend(&mut self, world: &mut World<Self::Machine>, from: usize, to: usize) {
        let channel = self.create(world, from, to);
        follow(world, to, channel);
    }

    fn gather(&mut self, world: &mut World<Self::Machine>, from: usize, to: &[usize]) {
        let channel = self.create(world, from, from);
        to.iter().for_each(|reader| follow(world, *reader, channel));
    }

    fn send(&mut self, machine: &mut Self::Machine, now: Now, message: Message) {
        let Some(channel) = self.channels.get(&(message.from, message.to)).copied() else { return };
        self.expect(message.to, channel, message.number);
        publish(machine, now, &channel, message);
    }

    fn publish(
        &mut self,
        machine: &mut Self::Machine,
        now: Now,
        (message, to): (Message, &[usize]),
    ) {
        let Some(channel) = self.channels.get(&(message.from, message.from)).copied() else {
            return;
        };
        to.iter().for_each(|reader| self.expect(*reader, channel, message.number));
        publish(machine, now, &channel, message);
    }

    fn told(&mut self, node: usize, machine: &Self::Machine, event: &NodeEvent) -> Vec<Told> {
        match event {
            NodeEvent::Close(link) => vec![Told::Close(*link)],
            NodeEvent::Changed => {
                let arrived = self.arrived(node, machine);
                let hops = (!arrived.is_empty()).then(|| self.hops(node, machine)).flatten();
                let delivered = |number| Told::Delivered { number, hops };
                arrived.into_iter().map(delivered).collect()
            }
            NodeEvent::Announce(_)
            | NodeEvent::Dial(_)
            | NodeEvent::Fault { .. }
            | NodeEvent::Rotated => Vec::new(),
        }
    }

    fn sent(&self, machine: &Self::Machine) -> Ledger {
        let kinds = machine.sent_by_kind().filter_map(|(code, sent)| {
            let sent = Sent { messages: sent.messages, bytes: sent.bytes };
            kind(code).map(|kind| (kind, sent))
        });
        Ledger(kinds.collect())
    }

    fn corrupt(&mut self, machine: &mut Self::Machine, how: Corruption) -> bool {
        machine.corrupt(match how {
            Corruption::BlackHole => Habit::BlackHole,
            Corruption::Flooder => Habit::Flooder,
        });
        true
    }
}

/// What a message with this code is for. What confirms packets hop by hop is there to
/// find out whether a way still works, and counted so when the goals were set.
fn kind(code: u8) -> Option<Kind> {
    let named = |kinds: &[(u8, &'static str)]| {
        kinds.iter().find(|(kind, _)| *kind == code).map(|(_, name)| *name)
    };
    let link = named(LinkMessage::KINDS).map(|name| match name {
        "Fragment" => (Class::Content, name),
        _ => (Class::Link, name),
    });
    let route = || {
        named(RouteMessage::KINDS).map(|name| match name {
            "Packet" => (Class::Content, name),
            "Presence" => (Class::Link, name),
            _ => (Class::Routing, name),
        })
    };
    let sync = || named(SyncMessage::KINDS).map(|name| (Class::Content, name));
    let (class, name) = link.or_else(route).or_else(sync)?;
    Some(Kind { class, name })
}

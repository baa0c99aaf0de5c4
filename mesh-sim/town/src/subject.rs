//! What is run in a town: the machine in every pocket, and how its owner uses it.

use std::collections::BTreeMap;

use mesh_sim::{Securing, World};
use mesh_wire::{LinkId, Machine, Now, PeerId, Rng};
use serde::Serialize;

/// Bytes that a frame has on the air besides what a machine of typed messages writes: length,
/// kind and the tag of its seal.
pub const FRAME_OVERHEAD: usize = 20;

/// One kind of device, the same in every pocket of a town.
///
/// A town calls, in this order: [`build`](Self::build) for every node, [`befriend`](Self::befriend)
/// for every pair that will chat, then, while links come and go, [`send`](Self::send) for every
/// message and [`told`](Self::told) for every event. Who is near whom and who says what follows
/// from the scenario and the seed alone: every subject meets exactly the same town.
pub trait Subject: Sized + 'static {
    /// The device.
    type Machine: Machine + 'static;

    /// Who secures its links: the world for machines of typed messages, which then learn the name
    /// of a neighbour ([`World::peer`]) in `Input::LinkUp`.
    const SECURING: Securing;

    /// Bytes that its frames have on the air besides what it writes.
    const OVERHEAD_BYTES: usize = FRAME_OVERHEAD;

    /// The device of a node, which its neighbours will know as `name` if the world secures links.
    fn build(&mut self, node: usize, name: PeerId, rng: Rng) -> Self::Machine;

    /// Before the first link: the owner of this machine has a link to the Internet. Most subjects
    /// make nothing of it.
    fn uplink(&mut self, _: &mut Self::Machine, _: Now) {}

    /// Before the first link: `from` will send to `to`.
    fn befriend(&mut self, world: &mut World<Self::Machine>, from: usize, to: usize);

    /// `message.from`, whose machine this is, sends. Once: repeating what is lost is up to the
    /// machine.
    fn send(&mut self, machine: &mut Self::Machine, now: Now, message: Message);

    /// Before the first link: `from` will publish to all of `to`. One by one, unless the subject
    /// knows better.
    fn gather(&mut self, world: &mut World<Self::Machine>, from: usize, to: &[usize]) {
        to.iter().for_each(|to| self.befriend(world, from, *to));
    }

    /// `message.from`, whose machine this is, publishes to those with whom it was gathered; each
    /// is to get the message with this number. One by one, unless the subject knows better.
    fn publish(
        &mut self,
        machine: &mut Self::Machine,
        now: Now,
        (message, to): (Message, &[usize]),
    ) {
        to.iter().for_each(|to| self.send(machine, now, Message { to: *to, ..message }));
    }

    /// What an event of a node means to the town.
    fn told(
        &mut self,
        node: usize,
        machine: &Self::Machine,
        event: &<Self::Machine as Machine>::Event,
    ) -> Vec<Told>;

    /// What a machine has sent since it was built, by kind.
    fn sent(&self, machine: &Self::Machine) -> Ledger;

    /// Turns a machine bad, from now on; says whether it can be made so.
    fn corrupt(&mut self, machine: &mut Self::Machine, how: Corruption) -> bool;

    /// Bytes that routing holds in memory.
    fn routing_bytes(&self, machine: &Self::Machine) -> usize {
        machine.weight()
    }
}

/// How a node is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corruption {
    /// It relays what finds ways at once, before everybody else, and drops what others say.
    BlackHole,
    /// It looks for someone who does not exist, a hundred times a second.
    Flooder,
}

/// A message from one person to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Which one: 0, 1, 2 … in the order of sending, through the whole town.
    pub number: u64,
    /// Whose node.
    pub from: usize,
    /// To whose node.
    pub to: usize,
    /// The size of its content.
    pub bytes: usize,
}

/// What a town wants to know of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// The message with this number is here; how many hops it took, if the subject can say.
    Delivered {
        /// [`Message::number`].
        number: u64,
        /// Links it travelled over.
        hops: Option<u32>,
    },
    /// The machine wants this link closed.
    Close(LinkId),
}

/// A kind of message on the air.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    /// What it is for.
    pub class: Class,
    /// Its name.
    pub name: &'static str,
}

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// To find and keep ways.
    Routing,
    /// What people say, on its way, and what confirms it end to end.
    Content,
    /// About one link alone: handshakes, questions whether it lives.
    Link,
}

/// Messages and bytes by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger(pub BTreeMap<Kind, Sent>);

/// How much was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Messages.
    pub messages: u64,
    /// Their bytes on the air.
    pub bytes: u64,
}

impl Ledger {
    /// Notes a message of `bytes` that leaves in a frame of its own.
    pub fn frame(&mut self, kind: Kind, bytes: usize) {
        let sent = self.0.entry(kind).or_default();
        sent.messages += 1;
        sent.bytes += (bytes + FRAME_OVERHEAD) as u64;
    }

    /// Adds what another one counted.
    pub(crate) fn add(&mut self, other: &Self) {
        for (kind, more) in &other.0 {
            let sent = self.0.entry(*kind).or_default();
            sent.messages += more.messages;
            sent.bytes += more.bytes;
        }
    }

    /// What was counted since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        let mut rest = self.clone();
        for (kind, before) in &earlier.0 {
            if let Some(sent) = rest.0.get_mut(kind) {
                sent.messages = sent.messages.saturating_sub(before.messages);
                sent.bytes = sent.bytes.saturating_sub(before.bytes);
            }
        }
        rest
    }
}

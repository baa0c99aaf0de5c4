//! A model as the subject of a town.

use mesh_sim::{Securing, World};
use mesh_wire::{Now, PeerId, Rng};

use super::node::{Delivered, FRAMING_BYTES};
use super::{Node, Payload, Protocol};
use crate::subject::{Corruption, FRAME_OVERHEAD};
use crate::{Ledger, Message, Subject, Told};

/// Devices that all route by the same protocol.
pub struct Models<P> {
    protocol: fn() -> P,
    names: Vec<PeerId>,
}

impl<P: Protocol + 'static> Models<P> {
    /// Devices that route by what `protocol` makes.
    #[must_use]
    pub fn new(protocol: fn() -> P) -> Self {
        Self { protocol, names: Vec::new() }
    }
}

impl<P: Protocol + 'static> Subject for Models<P> {
    type Machine = Node<P>;

    const SECURING: Securing = Securing::ByWorld;
    const OVERHEAD_BYTES: usize = FRAME_OVERHEAD - FRAMING_BYTES;

    fn build(&mut self, _: usize, name: PeerId, rng: Rng) -> Node<P> {
        self.names.push(name);
        Node::new(name, (self.protocol)(), rng)
    }

    fn befriend(&mut self, _: &mut World<Node<P>>, _: usize, _: usize) {}

    fn send(&mut self, machine: &mut Node<P>, now: Now, message: Message) {
        let payload = Payload::message(message.number, message.bytes);
        machine.send(now, self.names[message.to], payload);
    }

    fn told(&mut self, _: usize, _: &Node<P>, event: &Delivered) -> Vec<Told> {
        let hops = Some(u32::from(event.hops));
        vec![Told::Delivered { number: event.number, hops }]
    }

    fn sent(&self, machine: &Node<P>) -> Ledger {
        machine.sent().clone()
    }

    fn corrupt(&mut self, machine: &mut Node<P>, how: Corruption) -> bool {
        machine.corrupt(how);
        true
    }
}

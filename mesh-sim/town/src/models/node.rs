//! A node that routes by a [`Protocol`]: the machine around it, and messages from end to end.
//!
//! A message has a receipt, and while that has not come it is sent again, up to three times, 3 s
//! apart. What comes twice is told twice and has two receipts.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use mesh_wire::{Input, LinkId, Machine, Now, PeerId, Rng, Time, Wake, Wire};

use super::frame::Frame;
use super::packet::What;
use super::{Hands, NodeId, Packet, Payload, Protocol, Said};
use crate::{Class, Corruption, Kind, Ledger};

/// How often a message is sent again, at most.
const REPETITIONS: u32 = 3;
/// Time without a receipt after which it is sent again.
const RETRY_AFTER: Duration = Duration::from_secs(3);
/// Time between two of the packets of a flooder.
const NUISANCE_EVERY: Duration = Duration::from_millis(10);
/// Bytes that every message of a protocol writes for its kind and its length; they are part of
/// the 20 B of its frame.
pub(super) const FRAMING_BYTES: usize = 2;

/// A device that routes by `P`.
pub struct Node<P: Protocol> {
    protocol: P,
    hands: Hands<P::Message>,
    pending: BTreeMap<(NodeId, u64), Pending>,
    /// When a flooder sends the next packet.
    nuisance_at: Option<Time>,
    events: VecDeque<Delivered>,
    ledger: Ledger,
}

/// A message without a receipt.
struct Pending {
    packet: Packet,
    attempt: u32,
    retry_at: Time,
}

/// A message for this node has come; perhaps not for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// Its number.
    pub number: u64,
    /// Links it travelled over.
    pub hops: u8,
}

impl<P: Protocol> Node<P> {
    /// The node that neighbours know as `me`.
    #[must_use]
    pub fn new(me: PeerId, protocol: P, rng: Rng) -> Self {
        Self {
            protocol,
            hands: Hands::new(me.into(), rng),
            pending: BTreeMap::new(),
            nuisance_at: None,
            events: VecDeque::new(),
            ledger: Ledger::default(),
        }
    }

    /// Sends a message. No other from this node to that one may have the same number.
    pub fn send(&mut self, now: Now, to: PeerId, payload: Payload) {
        self.hands.now = now.time;
        let number = payload.number.0;
        let packet = Packet { from: self.hands.me, to: to.into(), payload };
        let retry_at = now.time + RETRY_AFTER;
        let pending = Pending { packet: packet.clone(), attempt: 0, retry_at };
        self.pending.insert((packet.to, number), pending);
        self.protocol.send(&mut self.hands, packet, 0);
        self.settle();
    }

    /// From now on it is bad.
    pub fn corrupt(&mut self, how: Corruption) {
        self.hands.corrupt(how);
        self.nuisance_at = (how == Corruption::Flooder).then_some(self.hands.now);
    }

    /// What it sent so far, by kind.
    #[must_use]
    pub fn sent(&self) -> &Ledger {
        &self.ledger
    }

    fn receive(&mut self, from: LinkId, frame: Frame<P::Message>) {
        if self.hands.is_back(from) {
            self.protocol.link_up(&mut self.hands, from);
        }
        match frame {
            Frame::Acknowledged(heard) => self.hands.acknowledged(from, heard),
            Frame::Said(message) => {
                if message.is_routed() {
                    self.hands.acknowledge(from, &message);
                }
                self.protocol.receive(&mut self.hands, from, message);
            }
        }
    }

    fn lost(&mut self, link: LinkId, messages: Vec<P::Message>) {
        self.protocol.link_down(&mut self.hands, link);
        for message in messages {
            self.protocol.lost(&mut self.hands, message);
        }
    }

    fn tick(&mut self) {
        for link in self.hands.overdue() {
            let lost = self.hands.give_up(link);
            self.lost(link, lost);
        }
        self.hands.tick();
        self.retry();
        self.be_a_nuisance();
        if self.protocol.wake_at().is_some_and(|wake| wake.at <= self.hands.now) {
            self.protocol.tick(&mut self.hands);
        }
    }

    fn retry(&mut self) {
        let now = self.hands.now;
        self.pending.retain(|_, message| message.retry_at > now || message.attempt < REPETITIONS);
        for message in self.pending.values_mut().filter(|message| message.retry_at <= now) {
            message.attempt += 1;
            message.retry_at = now + RETRY_AFTER;
            self.protocol.send(&mut self.hands, message.packet.clone(), message.attempt);
        }
    }

    /// A flooder has something for somebody who does not exist.
    fn be_a_nuisance(&mut self) {
        let now = self.hands.now;
        if self.nuisance_at.is_some_and(|at| at <= now) {
            self.nuisance_at = Some(now + NUISANCE_EVERY);
            let to = NodeId(self.hands.draw(0..u64::MAX));
            let packet = Packet { from: self.hands.me, to, payload: Payload::message(0, 0) };
            self.protocol.send(&mut self.hands, packet, 0);
        }
    }

    /// Takes from the hands what the protocol left there for the owner, until nothing is left.
    fn settle(&mut self) {
        loop {
            if let Some((packet, hops)) = self.hands.next_arrived() {
                self.arrived(packet, hops);
            } else if let Some(to) = self.hands.next_resend() {
                self.resend(to);
            } else {
                return;
            }
        }
    }

    fn arrived(&mut self, packet: Packet, hops: u8) {
        let number = packet.payload.number.0;
        match packet.payload.what {
            What::Message => {
                self.events.push_back(Delivered { number, hops });
                let payload = Payload::receipt(number);
                let receipt = Packet { from: self.hands.me, to: packet.from, payload };
                self.protocol.send(&mut self.hands, receipt, 0);
            }
            What::Receipt => {
                self.pending.remove(&(packet.from, number));
            }
        }
    }

    /// The way is new: whatever failed on the one before says nothing about it.
    fn resend(&mut self, to: NodeId) {
        for message in self.pending.values().filter(|message| message.packet.to == to) {
            self.protocol.send(&mut self.hands, message.packet.clone(), 0);
        }
    }

    fn note(&mut self, frame: &Frame<P::Message>) {
        let kind = match frame {
            Frame::Acknowledged(_) => Kind { class: Class::Link, name: "hop acknowledgement" },
            Frame::Said(message) => message.kind(),
        };
        self.ledger.frame(kind, frame.size() - FRAMING_BYTES);
    }
}

impl<P: Protocol> Machine for Node<P> {
    type Message = Frame<P::Message>;
    type Event = Delivered;

    fn handle(&mut self, now: Now, input: Input<Self::Message>) {
        self.hands.now = now.time;
        match input {
            Input::LinkUp(link, info) => {
                if let Some(secured) = info.secured {
                    self.hands.link_up(link, secured.peer.into());
                    self.protocol.link_up(&mut self.hands, link);
                }
            }
            Input::LinkDown(link) => {
                let lost = self.hands.link_down(link);
                self.lost(link, lost);
            }
            Input::Receive(from, frame) => self.receive(from, frame),
            Input::Tick => self.tick(),
        }
        self.settle();
    }

    fn poll_send(&mut self, now: Now, link: LinkId, room: usize) -> Option<Self::Message> {
        let frame = self.hands.poll_send(now.time, link, room)?;
        self.note(&frame);
        Some(frame)
    }

    fn poll_event(&mut self) -> Option<Delivered> {
        self.events.pop_front()
    }

    fn wake_at(&self) -> Option<Wake> {
        let retry = self.pending.values().map(|message| message.retry_at).min();
        let retry = retry.map(|at| Wake { at, reason: "message without receipt" });
        let nuisance = self.nuisance_at.map(|at| Wake { at, reason: "nuisance" });
        let own = Wake::earlier(retry, nuisance);
        Wake::earlier(Wake::earlier(own, self.hands.wake_at()), self.protocol.wake_at())
    }

    fn weight(&self) -> usize {
        self.protocol.weight()
    }
}

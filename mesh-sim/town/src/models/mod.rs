//! Models of other ways to route, to compare with: each a machine with typed messages.
//!
//! They are small enough to be read and true enough to be quoted: every message is encoded and has
//! the size that the original has, numbers are the originals' or, where those know none, ours, and
//! what is known to be weak in an original is made better where that is simple. What all of them
//! stand on is in one place and the same for all.
//!
//! | to know | read |
//! |---|---|
//! | what a protocol is asked to do | [`Protocol`] |
//! | hop acknowledgements, floods, lost links | [`hands`] |
//! | messages end to end: receipts, repetitions | [`node`] |
//! | everybody repeats everything | [`flood`] |
//! | ask for a way when one is needed | [`aodv`] |
//! | tell everybody about oneself, always | [`vector`] |
//! | coordinates in a spanning tree | [`tree`] |
//! | how a town runs them | [`Models`] |

pub mod aodv;
pub mod flood;
mod frame;
pub mod hands;
pub mod node;
mod packet;
mod routes;
mod subject;
#[cfg(test)]
mod tests;
pub mod tree;
pub mod vector;

use std::fmt;

use mesh_wire::{LinkId, Wake, Wire};

pub use hands::Hands;
pub use node::Node;
pub use packet::{Filler, NodeId, Packet, Payload, Word};
pub use subject::Models;

use crate::Kind;

/// A way to bring packets to nodes. It acts through [`Hands`], which are given to it in every call.
pub trait Protocol {
    /// What two nodes say to each other.
    type Message: Said;

    /// Brings a packet on its way, as far as is known how; `attempt` counts from 0.
    fn send(&mut self, hands: &mut Hands<Self::Message>, packet: Packet, attempt: u32);

    /// A neighbour said something.
    fn receive(&mut self, hands: &mut Hands<Self::Message>, from: LinkId, message: Self::Message);

    /// A neighbour is there: a new link, or one that was given up and is heard again.
    fn link_up(&mut self, _: &mut Hands<Self::Message>, _: LinkId) {}

    /// A neighbour is gone: the link is down, or a routed message was not acknowledged.
    fn link_down(&mut self, _: &mut Hands<Self::Message>, _: LinkId) {}

    /// A routed message was handed back by the link that did not carry it. Comes after
    /// [`Protocol::link_down`].
    fn lost(&mut self, _: &mut Hands<Self::Message>, _: Self::Message) {}

    /// The time of [`Protocol::wake_at`] has come.
    fn tick(&mut self, _: &mut Hands<Self::Message>) {}

    /// When it next wants [`Protocol::tick`], and why.
    fn wake_at(&self) -> Option<Wake> {
        None
    }

    /// Bytes of state that it holds.
    fn weight(&self) -> usize {
        0
    }
}

/// A message of a model.
pub trait Said: Wire + Clone + fmt::Debug + 'static {
    /// Whether it goes to one node beyond the neighbour: such messages are acknowledged by every
    /// hop, and handed back if they are not.
    fn is_routed(&self) -> bool;

    /// What it is called in the books.
    fn kind(&self) -> Kind;
}

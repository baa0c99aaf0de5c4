//! The one shape of every state machine here, from a layer to a whole node.
//!
//! The contract: **mutate, then drain.** After any call that takes `&mut self` and `now`, poll
//! events until `None`, poll messages for every link that has room until `None`, then sleep until
//! [`Machine::wake_at`], the next input or the next command, whichever comes first.
//!
//! ```text
//! loop {
//!     while let Some(event) = machine.poll_event() { tell(event) }
//!     for link in writable {
//!         while let Some(message) = machine.poll_send(now, link, room) { send(message) }
//!     }
//!     machine.handle(now, wait_for(input, machine.wake_at()));
//! }
//! ```
//!
//! `spec/README.md` lists the ten laws every machine keeps; `mesh-sim` checks them.

use core::fmt;

use crate::codec::Wire;
use crate::{LinkId, Now, PeerId, Time};

/// A state machine that talks to others of its kind over links.
pub trait Machine {
    /// What two instances say to each other.
    type Message: Wire + Clone + fmt::Debug;
    /// What it tells its owner.
    type Event: fmt::Debug;

    /// Takes one thing that happened. Never fails: what a peer did wrong becomes an event.
    fn handle(&mut self, now: Now, input: Input<Self::Message>);

    /// The next message for `link` that fits into `room` bytes, made only now that it can leave.
    fn poll_send(&mut self, now: Now, link: LinkId, room: usize) -> Option<Self::Message>;

    /// The next thing the owner should know.
    fn poll_event(&mut self) -> Option<Self::Event>;

    /// When it next wants [`Input::Tick`], and why.
    fn wake_at(&self) -> Option<Wake>;

    /// Bytes held on behalf of peers: what the stated limits bound.
    fn weight(&self) -> usize;
}

/// Something that happened to a machine.
#[derive(Clone, Debug)]
pub enum Input<M> {
    /// A link came up.
    LinkUp(LinkId, Link),
    /// A link is gone; its number does not come back.
    LinkDown(LinkId),
    /// A message came in.
    Receive(LinkId, M),
    /// The time of [`Machine::wake_at`] has come.
    Tick,
}

/// A wake-up and its reason, so that every one can be accounted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    /// When.
    pub at: Time,
    /// What for.
    pub reason: &'static str,
}

impl Wake {
    /// The earlier of two.
    #[must_use]
    pub fn earlier(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        match (a, b) {
            (Some(a), Some(b)) => Some(if b.at < a.at { b } else { a }),
            (a, b) => a.or(b),
        }
    }
}

/// What a machine may know about a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// Which end dialled.
    pub role: Role,
    /// How it carries frames.
    pub carrier: Carrier,
    /// The largest frame it carries, in bytes.
    pub largest_frame: usize,
    /// Who is at the other end; `None` until the handshake is done.
    pub secured: Option<Secured>,
}

/// What a finished handshake says about a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secured {
    /// The neighbour's pseudonym.
    pub peer: PeerId,
    /// The handshake hash: equal at both ends, different on every link.
    pub binding: [u8; 32],
}

/// Which end of a link this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// This end dialled.
    Initiator,
    /// This end was dialled.
    Responder,
}

/// How a link carries frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Carrier {
    /// In order, without loss (TCP).
    Stream,
    /// Each by itself; may be lost, repeated or overtaken (UDP, BLE).
    Datagram,
}

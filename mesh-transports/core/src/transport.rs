//! A medium: something that announces, is dialled, and dials.

use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use mesh_wire::Address;

use crate::FrameLink;

/// A dial of this node, numbered by the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// One medium: TCP, UDP multicast, a radio.
///
/// Dropping it ends its dials and closes what it listens on; its links live on.
pub trait Transport: Send {
    /// Its name: what stands before `://` in its addresses.
    fn name(&self) -> &'static str;

    /// How it is doing, for people.
    fn state(&self) -> State;

    /// Addresses at which others can dial this node now.
    fn listening(&self) -> Vec<Address>;

    /// Starts dialling. Exactly one event tells the outcome. A medium that cannot dial now, and
    /// one that is asked for more than [`mesh_wire::limits::DIALS`] at a time, says so by
    /// [`TransportEvent::DialFailed`].
    fn dial(&mut self, dial: DialId, to: &Address);

    /// Sends `beacon` to everyone in reach: once, or, on a radio that advertises by itself, until
    /// the next call. Nothing on a medium that has no such thing.
    fn announce(&mut self, beacon: &[u8]);

    /// Sheds what an onlooker could know this node by: a port that was not asked for, a radio
    /// address. The node calls it when its pseudonym changes; [`TransportEvent::Changed`] follows
    /// if [`Transport::listening`] did change.
    fn renew(&mut self) {}

    /// The next thing that happened. The first is [`TransportEvent::Changed`]. `cx` should hold
    /// the same waker from one call to the next.
    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<TransportEvent>;
}

/// Something that happened on a medium.
pub enum TransportEvent {
    /// A link came up: one that was dialled here, or one that somebody else dialled.
    Opened {
        /// The link.
        link: Box<dyn FrameLink>,
        /// Which dial, or `None` if the other end dialled.
        dial: Option<DialId>,
    },
    /// A dial came to nothing.
    DialFailed {
        /// Which.
        dial: DialId,
        /// Why.
        error: io::Error,
    },
    /// A beacon was heard: anybody's, this node's own included.
    Heard {
        /// The address it came from, under this transport's name.
        from: Address,
        /// The beacon.
        bytes: Bytes,
    },
    /// Interfaces, addresses or the radio changed: [`Transport::state`] and
    /// [`Transport::listening`] say how. The node announces itself anew.
    Changed,
}

/// How a medium is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It works; what it listens on.
    Up {
        /// For people.
        detail: String,
    },
    /// It should work and does not.
    Down {
        /// What is wrong.
        detail: String,
        /// What to do about it.
        remedy: String,
    },
}

//! What a medium must do to carry a mesh: announce, dial, and links that carry frames.
//!
//! A transport knows nothing of what is in a frame. It never blocks: everything is polled by the
//! one loop in mesh-node, so no particular executor is needed.

use std::io;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use mesh_wire::{Address, Carrier};

/// A dial of this node, numbered by the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DialId(pub u64);

/// One medium: TCP, UDP multicast, a radio.
pub trait Transport: Send {
    /// Its name: what stands before `://` in its addresses.
    fn name(&self) -> &'static str;

    /// How it is doing, for people.
    fn state(&self) -> State;

    /// Addresses at which others can dial this node now.
    fn listening(&self) -> Vec<Address>;

    /// Starts dialling; the outcome comes as an event. A medium that cannot dial now says so by
    /// [`TransportEvent::DialFailed`].
    fn dial(&mut self, dial: DialId, to: &Address);

    /// Sends `beacon` to everyone in reach, once; nothing on a medium that has no such thing.
    fn announce(&mut self, beacon: &[u8]);

    /// The next thing that happened.
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
    /// A beacon was heard.
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

/// A link that carries whole frames both ways.
///
/// Dropping it closes it; [`FrameLink::poll_flush`] first if the last frames matter.
pub trait FrameLink: Send {
    /// How it carries them.
    fn carrier(&self) -> Carrier;

    /// The largest frame it carries, in bytes.
    fn largest_frame(&self) -> usize;

    /// The address of the other end.
    fn remote(&self) -> Address;

    /// The next frame; `None` when the other end has closed. A frame larger than
    /// [`FrameLink::largest_frame`] is an error before it is buffered.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<BytesMut>>>;

    /// Ready when one frame of the largest size can be taken without holding more than one in
    /// memory.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Takes a frame; call only when [`FrameLink::poll_ready`] was ready.
    fn send(&mut self, frame: &[u8]) -> io::Result<()>;

    /// Ready when nothing that was taken is still held here.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

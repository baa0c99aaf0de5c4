//! What the two ends of one link say about the link itself. `spec/2-session.md`.

use crate::codec::{Opaque, varint};
use crate::limits;
use crate::{codes, layout, messages};

messages! {
    /// Kinds 0x00 to 0x0f.
    pub enum LinkMessage {
        /// Fills a record up to the next bucket.
        Padding = 0x00,
        /// The last message of a session.
        Close = 0x01,
        /// Asks for a [`Pong`].
        Ping = 0x02,
        /// Answers a [`Ping`].
        Pong = 0x04,
        /// A part of a message too large for a datagram.
        Fragment = 0x05,
    }
}

layout! {
    /// Bytes without meaning; whoever reads them skips them.
    pub struct Padding {
        /// Zeros.
        zeros: Opaque<{ limits::RECORD_BYTES }>,
    }
}

layout! {
    /// The session ends here.
    pub struct Close {
        /// Why.
        reason: CloseReason,
        /// Seconds to wait before dialling again; 0 for no wish.
        retry_after_s: u32,
    }
}

codes! {
    /// Why a session ends.
    pub enum CloseReason {
        /// The node goes away.
        Leaving = 0,
        /// The two nodes have a better link.
        Duplicate = 1,
        /// Too many links.
        Full = 2,
        /// The other side broke the protocol.
        Fault = 3,
        /// Nothing was heard for too long.
        Silent = 4,
    }
}

layout! {
    /// Is somebody there?
    pub struct Ping {
        /// Comes back in the answer.
        nonce: u64,
    }
}

layout! {
    /// Somebody is.
    pub struct Pong {
        /// The nonce of the [`Ping`].
        nonce: u64,
    }
}

layout! {
    /// A part of a frame; parts of one frame share a number and may come in any order.
    pub struct Fragment {
        /// The frame this is a part of.
        message: u32,
        /// Which part, from 0.
        index: u16,
        /// How many parts there are.
        total: u16,
        /// The part.
        bytes: Opaque<{ limits::DATAGRAM_BYTES }>,
    }
}

impl Padding {
    /// Padding that brings a record of `length` bytes to the next bucket, or to `room` if that
    /// comes first; `None` if there is nothing to fill. Others will put `around` bytes around the
    /// record: then what they make of it fills the bucket.
    // spec: SESSION-12
    #[must_use]
    pub fn fill(length: usize, room: usize, around: usize) -> Option<Self> {
        let mut buckets = Self::BUCKETS.iter().filter_map(|bucket| bucket.checked_sub(around));
        let bucket = buckets.find(|bucket| *bucket >= length)?;
        let gap = bucket.min(room).checked_sub(length)?;
        // A frame of padding costs a kind and two lengths; smaller gaps stay open.
        let zeros = (gap.saturating_sub(5)..gap).find(|zeros| {
            crate::message::framed_size(varint::size(*zeros as u64) + zeros) == gap
        })?;
        Opaque::new(alloc::vec![0; zeros].into()).map(|zeros| Self { zeros })
    }

    /// The sizes small records are padded to, in bytes.
    pub const BUCKETS: [usize; 6] = [32, 64, 128, 256, 512, 1024];
}

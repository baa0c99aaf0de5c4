//! What is stored of a channel beside its items. The layout is part of the format on disk.

use mesh_wire::codec::List;
use mesh_wire::{Hash, layout, limits};

layout! {
    /// How much of a channel is here, and the newest head that proves it.
    pub struct Record {
        /// The items `0..size` are here.
        size: u64,
        /// The size of the log that the head is about.
        head: u64,
        /// The head's signature.
        signature: [u8; 64],
        /// The roots right of `size` in a tree of `head` leaves.
        edge: List<Hash, { limits::EDGE_HASHES }>,
        /// Items that name a blob.
        blobs: u64,
        /// Those whose blob is here whole.
        blobs_here: u64,
        /// Bytes of content that the items name.
        bytes: u64,
        /// Bytes of those whose content is here whole.
        bytes_here: u64,
    }
}

/// Sums over the items that are here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) blobs: u64,
    pub(crate) blobs_here: u64,
    pub(crate) bytes: u64,
    pub(crate) bytes_here: u64,
}

impl Record {
    /// The sums.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            blobs: self.blobs,
            blobs_here: self.blobs_here,
            bytes: self.bytes,
            bytes_here: self.bytes_here,
        }
    }
}

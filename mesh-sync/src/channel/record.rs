//! What is stored of a channel beside its items. The layout is part of the format on disk.

use mesh_wire::codec::List;
use mesh_wire::{Hash, layout, limits};

layout! {
    /// How much of a log is here, and the newest head that proves it.
    pub struct LogRecord {
        /// The items `0..size` are here.
        size: u64,
        /// The size of the log that the head is about.
        head: u64,
        /// The head's signature.
        signature: [u8; 64],
        /// The roots right of `size` in a tree of `head` leaves.
        edge: List<Hash, { limits::EDGE_HASHES }>,
    }
}

layout! {
    /// Sums over the items of a channel that are here.
    #[derive(Default)]
    pub struct Counts {
        /// Items that came in, those that were taken out again included.
        arrived: u64,
        /// Texts and files.
        contents: u64,
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

//! What of a channel is to be here, and what came from whom. The layout is part of the format on
//! disk.

use mesh_wire::codec::{List, varint};
use mesh_wire::{codes, layout, limits};

codes! {
    /// Which of a channel's blobs come by themselves.
    pub enum Files {
        /// All that its limits allow.
        All = 0,
        /// None: those that somebody waits for or has pinned.
        Wanted = 1,
    }
}

/// How much of a channel's blobs is to be here. What somebody waits for or has pinned comes
/// whatever it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Which come by themselves.
    pub files: Files,
    /// The largest of those, in bytes, if there is a limit.
    pub largest: Option<u64>,
    /// How many bytes are kept, if there is a limit: the oldest are given up for newer ones.
    pub keep: Option<u64>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { files: Files::All, largest: None, keep: None }
    }
}

layout! {
    /// Bytes of content that came from others and went to them.
    #[derive(Copy, Default)]
    pub struct Exchange {
        /// From neighbours: what did not have to come from the Internet.
        neighbours: u64,
        /// From origins on the Internet.
        origins: u64,
        /// To others.
        given: u64,
    }
}

/// Who gave something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Source {
    /// A node.
    #[default]
    Neighbour,
    /// A server on the Internet.
    Origin,
}

impl Exchange {
    /// Content came.
    pub(crate) fn received(&mut self, from: Source, bytes: u64) {
        let sum = match from {
            Source::Neighbour => &mut self.neighbours,
            Source::Origin => &mut self.origins,
        };
        *sum = sum.saturating_add(bytes);
    }

    /// Both together.
    pub(crate) fn and(self, other: Self) -> Self {
        Self {
            neighbours: self.neighbours.saturating_add(other.neighbours),
            origins: self.origins.saturating_add(other.origins),
            given: self.given.saturating_add(other.given),
        }
    }
}

layout! {
    /// A channel's.
    pub struct Account {
        files: Files,
        /// [`NO_LIMIT`] if there is none, here and below.
        largest: u64,
        keep: u64,
        /// Bytes of blobs that count in its budget.
        used: u64,
        exchange: Exchange,
    }
}

/// More than there can be.
pub(crate) const NO_LIMIT: u64 = varint::MAX;

impl Default for Account {
    fn default() -> Self {
        let (used, exchange) = (0, Exchange::default());
        Self { files: Files::All, largest: NO_LIMIT, keep: NO_LIMIT, used, exchange }
    }
}

impl Account {
    /// What strangers name is not fetched whatever it is, unless its owner has said so.
    // spec: SYNC-62
    pub(crate) fn be_careful(&mut self) {
        if (self.largest, self.keep) == (NO_LIMIT, NO_LIMIT) {
            (self.largest, self.keep) = (limits::BOARD_FILE, limits::BOARD_FILES);
        }
    }

    /// What its owner has said.
    pub(crate) fn policy(&self) -> Policy {
        let limit = |bytes| Some(bytes).filter(|bytes| *bytes != NO_LIMIT);
        Policy { files: self.files, largest: limit(self.largest), keep: limit(self.keep) }
    }

    /// Its owner says something else.
    pub(crate) fn set(&mut self, policy: &Policy) {
        self.files = policy.files;
        self.largest = policy.largest.unwrap_or(NO_LIMIT).min(NO_LIMIT);
        self.keep = policy.keep.unwrap_or(NO_LIMIT).min(NO_LIMIT);
    }
}

layout! {
    /// The node's.
    #[derive(Default)]
    pub struct NodeAccount {
        /// Bytes of all channels' budgets together, if its owner has said so.
        total: List<u64, 1>,
        /// What was exchanged about channels that are followed no longer.
        past: Exchange,
    }
}

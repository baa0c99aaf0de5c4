//! What spreads: channels, their logs, and blobs. `spec/5-sync.md`.
//!
//! A channel is named by its index in the list of tokens that the *sender of the message* has
//! shared on this link. A blob is named by the handle its *asker* chose.

use crate::codec::{Extensions, List, Opaque};
use crate::id::WriterId;
use crate::{Hash, Label, UnixTime, limits};
use crate::{codes, layout, messages};

messages! {
    /// Kinds 0x20 to 0x3f.
    pub enum SyncMessage {
        /// Channels the sender shares.
        Share = 0x20,
        /// A channel it no longer shares.
        Unshare = 0x22,
        /// What it has of a channel.
        Summary = 0x24,
        /// Asks for items.
        Want = 0x26,
        /// Items, with what proves them.
        Items = 0x28,
        /// Asks what the other has of a blob.
        BlobAsk = 0x2a,
        /// What it has.
        BlobHave = 0x2c,
        /// Asks for groups.
        BlobWant = 0x2e,
        /// Asks for a page of chaining values.
        CvsWant = 0x30,
        /// The page.
        Cvs = 0x32,
        /// One group.
        BlobData = 0x34,
        /// The asker needs the blob no longer.
        BlobDrop = 0x36,
    }
}

layout! {
    /// More channels that the sender shares, as tokens only somebody who knows the channel can
    /// recognise; the rest are random and pad the list.
    pub struct Share {
        /// The index of the first token: the number of tokens shared before.
        first: u32,
        /// One token per channel.
        tokens: List<[u8; 8], { limits::TOKENS }>,
    }
}

layout! {
    /// The sender shares this channel no longer.
    pub struct Unshare {
        /// Its index.
        channel: u32,
    }
}

layout! {
    /// What the sender has of a channel.
    pub struct Summary {
        /// The channel's index.
        channel: u32,
        /// Its logs.
        logs: List<LogSummary, { limits::LOGS }>,
    }
}

layout! {
    /// What the sender has of one log.
    pub struct LogSummary {
        /// Which log; 0 is the origin's.
        log: u32,
        /// It has the items `0..size`.
        size: u64,
        /// Their root, under the session's salt: tells apart two histories of one length.
        root: [u8; 8],
    }
}

layout! {
    /// Asks for items; they come in [`Items`] of the other's choosing, in order.
    pub struct Want {
        /// The channel's index.
        channel: u32,
        /// Which log.
        log: u32,
        /// The first item wanted.
        first: u64,
        /// How many.
        count: u64,
        /// The most bytes the asker takes.
        bytes: u64,
    }
}

layout! {
    /// A run of items of one log, and the proof that the log's writer signed them.
    pub struct Items {
        /// The channel's index.
        channel: u32,
        /// Which log.
        log: u32,
        /// The sequence number of the first item.
        first: u64,
        /// The items.
        items: List<Item, { limits::RUN_ITEMS }>,
        /// Roots of the largest subtrees right of the run, from left to right.
        edge: List<Hash, { limits::EDGE_HASHES }>,
        /// The size of the log that the head is about.
        size: u64,
        /// The writer's signature over the head.
        signature: [u8; 64],
    }
}

layout! {
    /// One item as it travels.
    pub struct Item {
        /// The header, exactly as its writer wrote it: its hash is the leaf.
        header: Opaque<{ limits::HEADER_BYTES }>,
        /// The content if it is at most [`limits::INLINE_BYTES`], else nothing.
        body: Opaque<{ limits::INLINE_BYTES }>,
    }
}

layout! {
    /// What a writer says about one piece of content.
    pub struct ItemHeader {
        /// What it is.
        kind: ItemKind,
        /// When the writer says it wrote it.
        time: UnixTime,
        /// The name of the file, the text's empty name, or the channel's name.
        name: Label<{ limits::NAME_BYTES }>,
        /// Bytes of content.
        size: u64,
        /// BLAKE3 of the content.
        hash: Hash,
        /// What later versions add.
        extensions: Extensions,
    }
}

codes! {
    /// What an item is.
    pub enum ItemKind {
        /// The first item of a channel: its content is a [`Genesis`].
        Genesis = 0,
        /// Text to read.
        Text = 1,
        /// A file.
        File = 2,
    }
}

layout! {
    /// Who may sign in a channel.
    pub struct Genesis {
        /// The origin's key: it signs log 0.
        origin: WriterId,
        /// Random, so that one key can have many channels.
        nonce: [u8; 16],
        /// What later versions add.
        extensions: Extensions,
    }
}

layout! {
    /// Which of a blob's groups does the other have? Allowed for blobs that an item of a channel
    /// shared by both names.
    pub struct BlobAsk {
        /// The handle the asker will use for the blob on this link.
        blob: u32,
        /// The channel's index.
        channel: u32,
        /// The blob.
        hash: Hash,
    }
}

layout! {
    /// Groups the sender has and has not told before.
    pub struct BlobHave {
        /// The asker's handle.
        blob: u32,
        /// The groups, ascending, apart from each other.
        runs: List<Run, { limits::GROUP_RUNS }>,
    }
}

layout! {
    /// A run of groups.
    pub struct Run {
        /// The first.
        first: u64,
        /// How many.
        count: u64,
    }
}

layout! {
    /// Asks for groups; they come in the order asked.
    pub struct BlobWant {
        /// The asker's handle.
        blob: u32,
        /// The groups, apart from each other.
        runs: List<Run, { limits::GROUP_RUNS }>,
    }
}

layout! {
    /// Asks for one page of chaining values.
    pub struct CvsWant {
        /// The asker's handle.
        blob: u32,
        /// 0 for the values of groups, 1 for those of pages of groups, and so on.
        level: u8,
        /// Which page of the level.
        page: u64,
    }
}

layout! {
    /// One page of chaining values: they fold to the value of the page one level up, and the
    /// topmost page to the blob's hash.
    pub struct Cvs {
        /// The asker's handle.
        blob: u32,
        /// The level.
        level: u8,
        /// Which page of the level.
        page: u64,
        /// The values.
        cvs: List<Hash, { limits::PAGE_CVS }>,
    }
}

layout! {
    /// One group of a blob.
    pub struct BlobData {
        /// The asker's handle.
        blob: u32,
        /// Which group.
        group: u64,
        /// Its bytes.
        bytes: Opaque<{ limits::GROUP_BYTES }>,
    }
}

layout! {
    /// The asker needs the blob no longer; what it asked for and did not get is off.
    pub struct BlobDrop {
        /// The asker's handle.
        blob: u32,
    }
}

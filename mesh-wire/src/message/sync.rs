//! What spreads: channels, their logs, and blobs. `spec/5-sync.md`.
//!
//! A channel is named by its index in the list of tokens that the *sender of the message* has
//! shared on this link. Blobs travel page by page; a page is named by the handle its *asker* chose.

use super::set::{Reconcile, SetKey};
use crate::codec::{Extensions, List, Opaque};
use crate::enclosure::BlobKey;
use crate::id::WriterId;
use crate::oblivious::Point;
use crate::origin::OriginUrl;
use crate::sealed::SEALED_KEY_BYTES;
use crate::{Hash, Label, UnixTime, limits};
use crate::{codes, layout, messages};

messages! {
    /// Kinds 0x20 to 0x4f.
    pub enum SyncMessage {
        /// The channels the sender shares.
        Share = 0x20,
        /// Acknowledges what bears a serial.
        Heard = 0x22,
        /// What the sender has of a channel.
        Summary = 0x24,
        /// Asks for items.
        Want = 0x26,
        /// Items, with what proves them.
        Items = 0x28,
        /// Asks what the other has of a page of a blob.
        PageAsk = 0x2a,
        /// What it has.
        PageHave = 0x2c,
        /// Asks for groups of a page.
        GroupsWant = 0x2e,
        /// Asks for chaining values.
        CvsWant = 0x30,
        /// The chaining values.
        Cvs = 0x32,
        /// One group.
        GroupData = 0x34,
        /// The asker needs the page no longer.
        PageDrop = 0x36,
        /// A step towards knowing in what two sets differ.
        Reconcile = 0x38,
        /// What was signed about a channel.
        Fork = 0x3a,
        /// Asks about channels without naming them.
        Blinded = 0x3c,
        /// The answer, by which the asker knows their tokens.
        Evaluated = 0x3e,
        /// What people have written on a board.
        Notes = 0x40,
    }
}

layout! {
    /// The channels that the sender shares, all of them, as tokens that only somebody can recognise
    /// who knows the channel and has asked, or was asked. The rest are random and pad the list.
    /// Replaces the list before.
    pub struct Share {
        /// Counts the sender's messages that are repeated until they are heard.
        serial: u32,
        /// One token per channel.
        tokens: List<[u8; 8], { limits::SHARED_CHANNELS }>,
    }
}

layout! {
    /// Points for channels that the initiator offers, each under a random factor of its own. The
    /// rest are random and pad the list.
    pub struct Blinded {
        /// Counts the sender's messages that are repeated until they are heard.
        serial: u32,
        /// One point for each channel.
        points: List<Point, { limits::OFFERED_CHANNELS }>,
    }
}

layout! {
    /// The same points times the responder's secret number.
    pub struct Evaluated {
        /// The serial of the question.
        serial: u32,
        /// The points, in the same order.
        points: List<Point, { limits::OFFERED_CHANNELS }>,
    }
}

layout! {
    /// The sender has taken these messages.
    pub struct Heard {
        /// Their serials.
        serials: List<u32, { limits::SHARED_CHANNELS }>,
    }
}

layout! {
    /// What the sender has of a channel. Replaces what it said before of the same logs.
    pub struct Summary {
        /// Counts the sender's messages that are repeated until they are heard.
        serial: u32,
        /// The channel's index.
        channel: u32,
        /// How many of its items name a blob that is here whole.
        blobs: u64,
        /// That it gets the channel at its origin, if it does.
        claims: List<Claim, 1>,
        /// Those of its logs of which there is something to say.
        logs: List<LogSummary, { limits::LOGS }>,
    }
}

layout! {
    /// The sender gets a channel at its origin, for others as well.
    pub struct Claim {
        /// Which way it takes there.
        gateway: Gateway,
        /// Which of several claims stands: the one with the lowest.
        draw: u32,
    }
}

codes! {
    /// A way to the Internet.
    pub enum Gateway {
        /// One of its own.
        Own = 0,
        /// That of the network in which it and its neighbours are.
        Shared = 1,
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
    /// Asks for a stream of items from `first` on; they come in order, in [`Items`] of the other's
    /// choosing. Another [`Want`] with the same serial only grants more bytes.
    pub struct Want {
        /// The channel's index.
        channel: u32,
        /// Which log.
        log: u32,
        /// Names the stream; one stream per log, the newest counts.
        serial: u32,
        /// The first item wanted.
        first: u64,
        /// The bytes of items that the asker takes, counted from the start of the stream.
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
    /// What somebody signed about the first items of a channel; beside something else that they
    /// signed about them, it proves a fork.
    pub struct Fork {
        /// Counts the sender's messages that are repeated until they are heard.
        serial: u32,
        /// The channel's index.
        channel: u32,
        /// Which log.
        log: u32,
        /// How many items it is about.
        end: u64,
        /// The first item of the channel.
        genesis: Item,
        /// One: the sender's history. Two: a fork.
        branches: List<Branch, 2>,
    }
}

layout! {
    /// One history of the first items of a log, as its writer signed it.
    pub struct Branch {
        /// The size of the log that the head is about.
        size: u64,
        /// The writer's signature over the head.
        signature: [u8; 64],
        /// Roots of the complete subtrees that the first items make, from left to right.
        peaks: List<Hash, { limits::EDGE_HASHES }>,
        /// Roots of the largest subtrees right of them.
        edge: List<Hash, { limits::EDGE_HASHES }>,
    }
}

layout! {
    /// One item as it travels.
    pub struct Item {
        /// The header, exactly as its writer wrote it: its hash is the leaf.
        header: Opaque<{ limits::HEADER_BYTES }>,
        /// The content if it is at most [`limits::INLINE_BYTES`], else nothing; nothing, too, if
        /// the sender has it no longer.
        body: Opaque<{ limits::INLINE_BYTES }>,
    }
}

layout! {
    /// What people have written on a board; none to say that there may be some.
    pub struct Notes {
        /// Counts the sender's messages that are repeated until they are heard.
        serial: u32,
        /// The channel's index.
        channel: u32,
        /// The sender takes none that is not newer.
        since: UnixTime,
        /// The notes.
        notes: List<Note, { limits::RUN_ITEMS }>,
    }
}

layout! {
    /// What somebody has written on a board.
    pub struct Note {
        /// The header, which says who.
        header: Opaque<{ limits::HEADER_BYTES }>,
        /// The content if it is at most [`limits::INLINE_BYTES`], else nothing.
        body: Opaque<{ limits::INLINE_BYTES }>,
        /// The author's signature over the channel and the header's leaf.
        signature: [u8; 64],
    }
}

layout! {
    /// Who has written a note: an extension of its header.
    pub struct Author {
        /// Signs it.
        key: WriterId,
        /// What the author goes by; nobody vouches for it.
        name: Label<{ limits::CHANNEL_NAME_BYTES }>,
    }
}

layout! {
    /// Takes notes away: the content of a note of kind [`ItemKind::Retract`].
    pub struct Withdrawal {
        /// Which.
        notes: List<SetKey, { limits::RETRACTED_ITEMS }>,
        /// What later versions add.
        extensions: Extensions,
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
        /// Somebody else may write: its content is a [`Grant`], its name the writer's.
        Grant = 3,
        /// How far the writers are: its content is a [`Checkpoint`].
        Checkpoint = 4,
        /// A key for those who may read from now on: its content is [`EpochKeys`].
        Keys = 5,
        /// Where on the web the channel is, too: its content is [`Origins`].
        Origins = 7,
        /// The content of other items is withdrawn: its own is a [`Retract`].
        Retract = 6,
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
    /// Opens a log for another key.
    pub struct Grant {
        /// Whose log it is.
        writer: WriterId,
        /// What it may do there.
        right: Right,
        /// When it ends, at the first [`Checkpoint`] from then on; 0 if it does not.
        until: UnixTime,
        /// The writer's signature: it takes this right in this channel.
        acceptance: [u8; 64],
        /// What later versions add.
        extensions: Extensions,
    }
}

codes! {
    /// What a writer may do.
    pub enum Right {
        /// Write texts and files.
        Write = 0,
        /// Everything, in place of whoever gives this right, and ends with that.
        Succeed = 1,
    }
}

layout! {
    /// How far the writers are, as the origin sees it.
    pub struct Checkpoint {
        /// Logs that it speaks of, in ascending order.
        logs: List<LogState, { limits::LOGS }>,
        /// What later versions add.
        extensions: Extensions,
    }
}

layout! {
    /// How far one writer is.
    pub struct LogState {
        /// Which log.
        log: u32,
        /// How many items it has.
        size: u64,
        /// The root over them; 32 zero bytes over none.
        root: Hash,
        /// Whether there may be more.
        state: LogEnd,
    }
}

layout! {
    /// The key under which a private channel is written from now on, for each member.
    pub struct EpochKeys {
        /// Counts them, from 0 on.
        epoch: u32,
        /// Whom it is for, in ascending order.
        keys: List<EpochKey, { limits::LOGS }>,
        /// What later versions add.
        extensions: Extensions,
    }
}

layout! {
    /// The key of an epoch for one member.
    pub struct EpochKey {
        /// The member's log.
        log: u32,
        /// The key, sealed to the member.
        sealed: [u8; SEALED_KEY_BYTES],
    }
}

layout! {
    /// Withdraws the content of other items.
    pub struct Retract {
        /// Which.
        items: List<Place, { limits::RETRACTED_ITEMS }>,
        /// What later versions add.
        extensions: Extensions,
    }
}

layout! {
    /// The body of a text or a file in a private channel.
    pub struct SealedBody {
        /// Under the key of which epoch.
        epoch: u32,
        /// A [`Letter`].
        sealed: Opaque<{ limits::INLINE_BYTES }>,
    }
}

layout! {
    /// What only members read of an item.
    pub struct Letter {
        /// The item's name.
        name: Label<{ limits::NAME_BYTES }>,
        /// Its content.
        content: Opaque<{ limits::INLINE_BYTES }>,
    }
}

layout! {
    /// Where on the web a channel is, too.
    pub struct Origins {
        /// The best one first.
        urls: List<OriginUrl, { limits::ORIGINS }>,
        /// What later versions add.
        extensions: Extensions,
    }
}

layout! {
    /// The blob that a letter encloses, as everybody may know it: extension 5 of a header.
    pub struct Enclosure {
        /// BLAKE3 of the sealed bytes.
        hash: Hash,
        /// How many there are.
        size: u64,
    }
}

layout! {
    /// The content of a letter that encloses a blob: what it takes to read that.
    pub struct Unsealing {
        /// The key under which it is sealed, and nothing else.
        key: BlobKey,
        /// Bytes of content.
        size: u64,
        /// BLAKE3 of the content.
        hash: Hash,
    }
}

layout! {
    /// What the writer of an item had read: extension 3 of a header.
    pub struct Parents {
        /// Items of other logs, by ascending logs.
        items: List<Place, { limits::PARENTS }>,
    }
}

layout! {
    /// Where an item stands.
    pub struct Place {
        /// In which log of its channel.
        log: u32,
        /// Its number there.
        seq: u64,
    }
}

codes! {
    /// Whether a log may grow.
    pub enum LogEnd {
        /// It may.
        Open = 0,
        /// It has these items, and none beyond them is its channel's.
        Ended = 1,
    }
}

layout! {
    /// Which groups of this page does the other have? It answers now and whenever that changes.
    /// Allowed for blobs that an item of a channel shared by both names; for all others the answer
    /// is the same as if nothing were here.
    pub struct PageAsk {
        /// The handle the asker will use for the page on this link.
        handle: u32,
        /// The channel's index.
        channel: u32,
        /// The blob.
        hash: Hash,
        /// Its size in bytes.
        size: u64,
        /// Which page: the groups from `page * 1024` on.
        page: u64,
    }
}

layout! {
    /// The groups that the sender has of a page, all of them. Replaces what it said before.
    pub struct PageHave {
        /// Counts the sender's messages that are repeated until they are heard.
        serial: u32,
        /// The asker's handle.
        handle: u32,
        /// One bit per group, lowest bit first; zero bytes at the end are left out.
        groups: Opaque<{ limits::PAGE_CVS / 8 }>,
    }
}

layout! {
    /// Asks for groups; they come in the order asked.
    pub struct GroupsWant {
        /// The asker's handle.
        handle: u32,
        /// The groups, numbered from the start of the page.
        groups: List<u16, { limits::GROUPS_IN_FLIGHT }>,
    }
}

layout! {
    /// Asks for the chaining values of the page, or of a page of pages above it.
    pub struct CvsWant {
        /// The asker's handle.
        handle: u32,
        /// 0 for the values of the page's groups, 1 for those of the pages around it, and so on.
        level: u8,
    }
}

layout! {
    /// One page of chaining values: they fold to the value of the page one level up, and the
    /// topmost page to the blob's hash.
    pub struct Cvs {
        /// The asker's handle.
        handle: u32,
        /// The level.
        level: u8,
        /// The values.
        cvs: List<Hash, { limits::PAGE_CVS }>,
    }
}

layout! {
    /// One group of a blob.
    pub struct GroupData {
        /// The asker's handle.
        handle: u32,
        /// Which group, numbered from the start of the page.
        group: u16,
        /// Its bytes.
        bytes: Opaque<{ limits::GROUP_BYTES }>,
    }
}

layout! {
    /// The asker needs the page no longer; what it asked for and did not get is off.
    pub struct PageDrop {
        /// Counts the sender's messages that are repeated until they are heard.
        serial: u32,
        /// The asker's handle.
        handle: u32,
    }
}

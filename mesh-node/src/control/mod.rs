//! How other programs of the same user ask a running node: lines of JSON over a socket in its
//! home.
//!
//! A client connects, writes one [`Request`] and a line break, and reads one [`Answer`] a line
//! until `"done"` or `{"error":…}`:
//!
//! ```text
//! → {"feed":{"channel":"Village news","follow":false}}
//! ← {"item":{"seq":1,"author":"…","time_ms":…,"kind":"text","name":"","text":"Market on …
//! ← {"item":{"seq":2,…
//! ← "done"
//! ```
//!
//! Whoever goes away takes back what takes time: watching, following, publishing, getting.
//!
//! | to know | read |
//! |---|---|
//! | what can be asked and answered | here |
//! | who may ask, and how much at a time | [`Server`] |
//! | how to ask | [`ask`] |

use std::path::PathBuf;

use mesh_wire::message::sync::Right;
use serde::{Deserialize, Serialize};

use crate::api;
use crate::error::Error;

mod client;
mod server;

pub use client::{Answers, ask};
pub use server::Server;

/// What a client may ask. A field nobody knows is an error: it may have been meant to change what
/// happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// Who the node's user is: [`Answer::Identity`].
    Identity,
    /// [`Answer::Status`].
    Status,
    /// [`Answer::Status`] now and after every change, a few times a second at most.
    Watch,
    /// [`Answer::Finding`]s about the node.
    Doctor,
    /// [`Answer::Finding`]s about a channel or somebody near.
    Examine {
        /// A channel's local name, id or link, or the first digits of a neighbour's pseudonym.
        who: String,
    },
    /// Makes a channel that this node signs: [`Answer::Channel`].
    NewChannel {
        /// Its name.
        name: String,
        /// Whether only those are to read it who may write in it.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        private: bool,
        /// Whether everybody is to write in it: a board.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        open: bool,
        /// Whether no neighbour is to find out about it by asking.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hidden: bool,
    },
    /// Every channel, own and followed: [`Answer::Channel`]s.
    Channels,
    /// Subscribes: [`Answer::Channel`].
    Follow {
        /// The channel's link.
        link: String,
        /// Whether no neighbour is to find out about it by asking. One that is followed already is
        /// hidden by this, and stays as it is without.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        hidden: bool,
    },
    /// Changes whether neighbours find out by asking that a channel is here: [`Answer::Channel`].
    Hide {
        /// A local name, an id or a link.
        channel: String,
        /// Whether they do not.
        hidden: bool,
    },
    /// Ends a subscription.
    Unfollow {
        /// A local name, an id or a link.
        channel: String,
    },
    /// Changes how much of a channel is to be here: [`Answer::Channel`].
    SetChannel {
        /// A local name, an id or a link.
        channel: String,
        /// Which large files come by themselves, if that changes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        files: Option<ComingFiles>,
        /// The largest of those, if that changes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        largest: Option<Limit>,
        /// How many bytes are kept, if that changes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keep: Option<Limit>,
    },
    /// How much large files take and may, after a change if there is one: [`Answer::Quota`].
    Quota {
        /// How much they may from now on, in all channels together.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        total: Option<Limit>,
    },
    /// Keeps items, or lets them go when their time has come: their [`Answer::Item`]s.
    Pin {
        /// A local name, an id or a link.
        channel: String,
        /// Each a number or the hash of its content.
        items: Vec<String>,
        /// Whether to keep them.
        pinned: bool,
    },
    /// What to give to a channel's owner so that this node may write in it: [`Answer::Link`].
    RequestRight {
        /// A local name, an id or a link.
        channel: String,
        /// How the writer is called.
        name: String,
        /// What it wants to do.
        right: RequestedRight,
    },
    /// The channel, and who may write in it, or could, after a change if there is one:
    /// [`Answer::Channel`], [`Answer::Writer`]s.
    Writers {
        /// A local name, an id or a link.
        channel: String,
        /// What its owner changes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        change: Option<WriterChange>,
    },
    /// Publishes files and all files in directories: [`Answer::Read`] from time to time, then
    /// [`Answer::Published`].
    Publish {
        /// A local name, an id or a link.
        channel: String,
        /// Absolute.
        paths: Vec<PathBuf>,
        /// When their content goes everywhere, in milliseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_ms: Option<u64>,
    },
    /// Publishes a text: [`Answer::Published`].
    PublishText {
        /// A local name, an id or a link.
        channel: String,
        /// The text.
        text: String,
        /// When it goes everywhere, in milliseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expires_ms: Option<u64>,
    },
    /// Changes what this node goes by in what it writes on a board from now on:
    /// [`Answer::Channel`].
    SignAs {
        /// A local name, an id or a link.
        channel: String,
        /// The name. Nobody vouches for it.
        name: String,
    },
    /// Retracts the content of items: [`Answer::Item`]s as they are then.
    Retract {
        /// A local name, an id or a link.
        channel: String,
        /// Numbers, or hashes of content.
        items: Vec<String>,
    },
    /// Writes a channel as plain files for a web server: [`Answer::Origin`].
    WriteOrigin {
        /// A local name, an id or a link.
        channel: String,
        /// Where to. Absolute.
        folder: PathBuf,
        /// Where on the web that will be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        url: Option<String>,
    },
    /// [`Answer::Item`]s in the order of their numbers, and [`Answer::Channel`] at the end.
    Feed {
        /// A local name, an id or a link.
        channel: String,
        /// Whether to go on with those to come.
        follow: bool,
        /// Whether in the order in which people read what several write: [`crate::Mesh::chat`].
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        chat: bool,
    },
    /// Waits for items and writes each to a file: [`Answer::Progress`] from time to time, and one
    /// [`Answer::Got`] or [`Answer::Missed`] for each.
    Get {
        /// A local name, an id or a link.
        channel: String,
        /// Which.
        items: Wanted,
        /// Where to.
        to: Destination,
        /// Whether files that are there already give way.
        replace: bool,
    },
}

/// Which large files of a channel come by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ComingFiles {
    /// All that its limits allow.
    All,
    /// None: those that somebody waits for or has pinned.
    Wanted,
}

/// A limit of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// As without a word: none for a channel, for all together half of the disk's free space.
    Default,
    /// So many.
    Bytes(u64),
}

impl Limit {
    /// The number, if there is one.
    #[must_use]
    pub fn bytes(self) -> Option<u64> {
        match self {
            Self::Default => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

/// What somebody wants to do in a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestedRight {
    /// Publish.
    Write,
    /// Say who may, in place of whoever does now.
    Own,
}

impl From<RequestedRight> for Right {
    fn from(right: RequestedRight) -> Self {
        match right {
            RequestedRight::Write => Self::Write,
            RequestedRight::Own => Self::Succeed,
        }
    }
}

/// What the owner of a channel does about its writers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriterChange {
    /// Gives a writer what it asks for.
    Delegate {
        /// What the writer was given for [`Request::RequestRight`].
        writer: String,
        /// When that ends, in milliseconds since 1970, if it does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until_ms: Option<u64>,
    },
    /// Ends a writer's right.
    Revoke {
        /// The writer's name, or the first digits of its key.
        who: String,
    },
    /// Puts a new key in the place of the one that says who may write.
    Rotate,
    /// Says in the channel how far every writer is.
    Checkpoint {
        /// Promises to do so again at least every so many hours; 0 for no more; else as before.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hours: Option<u16>,
    },
}

/// Which items.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// Every file that the channel has by now.
    All,
    /// These: each a number or the hash of its content.
    These(Vec<String>),
}

/// Where received files go. Absolute paths.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Destination {
    /// To this file; for one item.
    File(PathBuf),
    /// Into this directory, under their own names.
    Directory(PathBuf),
}

/// A line of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// Who the node's user is.
    Identity(api::Identity),
    /// How the node is.
    Status(Box<api::Status>),
    /// Something that was looked at.
    Finding(api::Finding),
    /// A channel.
    Channel(api::ChannelStatus),
    /// What a writer gives to a channel's owner.
    Link(String),
    /// A writer of a channel.
    Writer(api::Writer),
    /// How much large files take, and may.
    Quota(api::Quota),
    /// An item.
    Item(api::Item),
    /// Bytes read so far.
    Read(u64),
    /// What was published.
    Published(api::Published),
    /// What was written for a web server.
    Origin(api::Origin),
    /// How far the item that is waited for is.
    Progress(api::Progress),
    /// An item is where it was wanted.
    Got(Got),
    /// An item is not.
    Missed(Missed),
    /// That was all.
    Done,
    /// It came to nothing, or stopped here.
    Error(Error),
}

/// An item that was written to a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Got {
    /// Its number in the channel.
    pub seq: u64,
    /// The file.
    pub path: PathBuf,
    /// Bytes of content, every one of them verified.
    pub size: u64,
    /// Neighbours it came from, as far as the node remembers.
    pub sources: Vec<api::Source>,
}

/// An item that was not, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missed {
    /// As it was asked for.
    pub item: String,
    /// Why.
    pub error: Error,
}

/// Bytes of a request, the line break included.
pub const REQUEST_BYTES: usize = 64 << 10;

#[cfg(test)]
mod tests;

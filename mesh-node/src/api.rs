//! What a node tells other programs: the values behind the library, the control socket and
//! `--json`. Field names are stable; `docs` in README names them.

use serde::{Deserialize, Serialize};

/// `mesh id`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The user's Ed25519 key, in hexadecimal.
    pub id: String,
    /// Two words and a number that follow from it.
    pub name: String,
    /// Six words that follow from it, to compare aloud.
    pub words: String,
}

/// `mesh status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The pseudonym neighbours see in this epoch.
    pub node: String,
    /// The user's name.
    pub name: String,
    /// Milliseconds since the node started.
    pub uptime_ms: u64,
    /// Every medium.
    pub transports: Vec<TransportStatus>,
    /// Every link that is up.
    pub links: Vec<LinkStatus>,
    /// Every channel, own and followed.
    pub channels: Vec<ChannelStatus>,
    /// What it does for others.
    pub role: RoleStatus,
    /// Bytes since the start.
    pub bytes: Bytes,
}

/// What a node does for others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleStatus {
    /// Whether it passes on what it does not follow.
    pub relay: bool,
    /// Whether it does so for strangers from afar.
    pub supernode: bool,
    /// Why.
    pub why: String,
}

/// One medium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportStatus {
    /// Its name.
    pub kind: String,
    /// `up` or `down`.
    pub state: String,
    /// Where it listens, or what is wrong.
    pub detail: String,
    /// What to do about it; empty if it is up.
    pub remedy: String,
    /// Where others can dial this node: what they give to `mesh up --peer`.
    pub addresses: Vec<String>,
}

/// One link.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// The neighbour's pseudonym.
    pub peer: String,
    /// The contact it proved to be, if it is one.
    pub contact: Option<String>,
    /// Whether it passes through others.
    pub relayed: bool,
    /// Through how many.
    pub relays: usize,
    /// The medium.
    pub transport: String,
    /// The neighbour's address.
    pub address: String,
    /// The last measured round trip in milliseconds, if there was one.
    pub rtt_ms: Option<f64>,
    /// When it came up, in milliseconds since the node's start.
    pub since_ms: u64,
    /// Channels shared with it.
    pub channels: usize,
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
}

/// One channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelStatus {
    /// Its id.
    pub channel: String,
    /// Its name; empty until something of it has arrived.
    pub name: String,
    /// `owner`, who says who may write, `writer`, or `follower`.
    pub role: String,
    /// Its link: all that a follower needs.
    pub link: String,
    /// Texts and files here.
    pub items: u64,
    /// The number that the next item gets here.
    pub next: u64,
    /// How many may write in it.
    pub writers: u64,
    /// Large files here in full.
    pub blobs_have: u64,
    /// Large files named by items.
    pub blobs_known: u64,
    /// Bytes of content here.
    pub bytes: u64,
    /// Where on the web it is, too, and how it stands with that; empty if nowhere.
    pub origin: String,
    /// How much of its large files is to be here.
    pub policy: Policy,
    /// Bytes of large files that count in its budget: those that others published.
    pub used: u64,
    /// Bytes of content that neighbours gave and the Internet did not have to.
    pub saved: u64,
    /// Bytes of content that this node gave to others.
    pub given: u64,
    /// Whether a neighbour says that it has more, and was asked for it.
    pub catching_up: bool,
    /// Whether only those read it who may write in it.
    pub private: bool,
    /// Whether it is a board: everybody writes in it.
    pub open: bool,
    /// Whether no neighbour finds out by asking that it is here.
    pub hidden: bool,
    /// When its owner last said how far it is, in milliseconds since 1970, if that was a promise to
    /// say so again.
    pub as_of_ms: Option<u64>,
    /// By when; if nothing newer is here then, what is here may be out of date.
    pub promised_ms: Option<u64>,
    /// Whether its key has signed two different histories: nothing more is taken or published.
    pub forked: bool,
}

/// How much of a channel's large files is to be here: `mesh channel set`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// `all` come by themselves, or those that are `wanted`: waited for or pinned.
    pub files: String,
    /// Bytes of the largest that comes by itself, if there is a limit.
    pub largest: Option<u64>,
    /// Bytes that are kept, if there is a limit: the oldest are given up for newer ones.
    pub keep: Option<u64>,
}

/// `mesh quota`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quota {
    /// Bytes that the large files of all channels may take, those published here aside.
    pub total: Option<u64>,
    /// Whether the user has said so, or it is half of what was free when the node started.
    pub set: bool,
    /// Bytes that they take.
    pub used: u64,
    /// Every channel.
    pub channels: Vec<ChannelQuota>,
}

/// One channel in `mesh quota`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelQuota {
    /// Its id.
    pub channel: String,
    /// Its name; empty until something of it has arrived.
    pub name: String,
    /// Bytes that it may take, if it has a limit of its own.
    pub keep: Option<u64>,
    /// Bytes that it takes.
    pub used: u64,
}

/// Somebody who may write in a channel, or could: a line of `mesh channel status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writer {
    /// The name under which it was let in; empty for whoever made the channel.
    pub name: String,
    /// Its key, in hexadecimal.
    pub key: String,
    /// `owner`, or `writer`.
    pub role: String,
    /// `open`; `ended`, by its owner; or `forked`: it has signed two different histories.
    pub state: String,
    /// When the right to write ends, in milliseconds since 1970, if it does.
    pub until_ms: Option<u64>,
    /// Whether it is this node.
    pub own: bool,
    /// Its items here.
    pub items: u64,
    /// When it says that it wrote the last of them, in milliseconds since 1970.
    pub newest_ms: Option<u64>,
}

/// Items of a channel, as many as were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The texts and files among them.
    pub items: Vec<Item>,
    /// The number to go on with; where that was asked for, there is nothing more yet.
    pub next: u64,
}

/// Bytes on all links since the start; of content, since the home was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    /// Received.
    #[serde(rename = "in")]
    pub received: u64,
    /// Sent.
    #[serde(rename = "out")]
    pub sent: u64,
    /// Of both, what was neither item nor blob.
    pub control: u64,
    /// Passed on for others, sealed by them: received once and sent once.
    pub carried: u64,
    /// Received from neighbours.
    pub local_in: u64,
    /// Content received from the Internet.
    pub internet_in: u64,
    /// Content that neighbours gave and the Internet did not have to.
    pub saved: u64,
    /// Content given to others.
    pub given: u64,
}

/// One line of `mesh feed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its number in the channel here: where several write, others may know it by another.
    pub seq: u64,
    /// The key that signed it, in hexadecimal.
    pub author: String,
    /// The name under which its author was let in; empty for whoever made the channel. On a board,
    /// what the author goes by: others may use the same name.
    pub writer: String,
    /// Whether it is a note on a board.
    pub note: bool,
    /// Whether it counts: it does not if its author wrote it after the right to had ended.
    pub valid: bool,
    /// Whether it came when items that stand behind it had been told: only where items are told in
    /// the order in which people read them.
    pub late: bool,
    /// Whether its author had read something that is not here: it may answer that.
    pub gap: bool,
    /// When its author says it was written, in milliseconds since 1970.
    pub time_ms: u64,
    /// `text` or `file`.
    pub kind: String,
    /// The file's name.
    pub name: String,
    /// The text, of a text.
    pub text: String,
    /// BLAKE3 of the content, in hexadecimal.
    pub blob: String,
    /// Bytes of content.
    pub size: u64,
    /// `here`, `partial`, `known`; `sealed`: it was written for others; `retracted` or `expired`:
    /// its content is gone for good.
    pub state: String,
    /// Bytes of content here.
    pub have: u64,
    /// Whether its content stays, whatever happens.
    pub pinned: bool,
    /// Why its content does not come by itself: `not-wanted`, `too-large`, `over-budget` or
    /// `no-room` beside newer ones; empty if it does, or is here.
    pub unfetched: String,
    /// When its content goes everywhere, in milliseconds since 1970, if it does.
    pub expires_ms: Option<u64>,
}

/// What `mesh publish` says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// The channel's id.
    pub channel: String,
    /// What was published.
    pub items: Vec<PublishedItem>,
    /// What was not, and why.
    pub skipped: Vec<Skipped>,
    /// What was written for a web server, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// One published item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedItem {
    /// Its number in the channel.
    pub seq: u64,
    /// Its name.
    pub name: String,
    /// BLAKE3 of the content, in hexadecimal.
    pub blob: String,
    /// Bytes of content.
    pub size: u64,
}

/// What was written for a web server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Files that are new or were changed.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Large files that are left out, as they are not here whole.
    pub missing: u64,
}

/// Something that was left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// What.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// How far `mesh get` is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// Bytes of content here.
    pub have: u64,
    /// Bytes in all; 0 while the item is not known yet.
    pub size: u64,
    /// Neighbours it comes from.
    pub sources: Vec<Source>,
}

/// One neighbour's share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Its address.
    pub address: String,
    /// Bytes of verified content that came from it.
    pub bytes: u64,
}

/// One line of `mesh doctor`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do about it; empty if nothing.
    pub remedy: String,
}

//! What the owner can see: channels, items, blobs, and what is going on.

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use mesh_wire::codec::Wire;
use mesh_wire::id::WriterId;
use mesh_wire::message::sync::{Item, ItemHeader, Right, Unsealing};
use mesh_wire::{ChannelId, Hash, LinkId, UnixTime};

use crate::blob::{BlobId, PageId};
use crate::board::{NOTES, note};
use crate::channel::account::{Exchange, Policy};
use crate::channel::charter::{Promise, Writer};
use crate::channel::epoch::Opened;
use crate::channel::{Channel, ChannelName, LogId, Visibility, item, parents};
use crate::command::Refused;
use crate::library::{Gone, expiry, is_content};
use crate::peer::Matched;
use crate::policy::Unfetched;
use crate::store::{Store, StoreError};
use crate::sync::Sync;

/// A channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelStatus {
    /// Its name for machines.
    pub id: ChannelId,
    /// Its name for people, once its first item is here.
    pub name: Option<ChannelName>,
    /// Whose it is.
    pub role: Role,
    /// Items that came in: they are numbered from 0 on, in that order.
    pub items: u64,
    /// Texts and files among those that are here.
    pub contents: u64,
    /// How many may write in it.
    pub writers: usize,
    /// Items among them that name a blob.
    pub blobs_known: u64,
    /// Those whose blob is here whole.
    pub blobs_here: u64,
    /// Bytes of content that the items name.
    pub bytes: u64,
    /// Bytes of the content that is here whole.
    pub bytes_here: u64,
    /// How much of it is to be here.
    pub policy: Policy,
    /// Bytes of blobs that count in its budget.
    pub used: u64,
    /// What came from whom, and went to others.
    pub exchange: Exchange,
    /// A neighbour says that it has more items, and was asked for them.
    pub catching_up: bool,
    /// The store no longer has what was signed: the channel is set aside.
    pub damaged: bool,
    /// Only its members read what is written in it.
    pub private: bool,
    /// It is a board: everybody writes in it.
    pub open: bool,
    /// Who may find out that it is here.
    pub visibility: Visibility,
    /// By when its owner is to say something newer, if it has promised that.
    pub promise: Option<Promise>,
    /// Somebody with its owner's key has signed two histories: nothing more is taken or signed.
    pub forked: bool,
}

/// Somebody who may write in a channel, or could.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriterStatus {
    /// The number of its log.
    pub log: u32,
    /// Its key.
    pub key: WriterId,
    /// How people know it; empty for the first owner.
    pub name: ChannelName,
    /// Whether it says who may write.
    pub right: Right,
    /// How far it may write by now.
    pub state: WriterState,
    /// When its right ends, if it does.
    pub until: Option<UnixTime>,
    /// Whether the key is this node's.
    pub is_ours: bool,
    /// Its items that are here.
    pub items: u64,
    /// When it says that it wrote the newest of them.
    pub newest: Option<UnixTime>,
}

/// How far a writer may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriterState {
    /// Without an end that is known.
    Open,
    /// So many items, which the owner has counted.
    Ended(u64),
    /// No more: it has signed two histories.
    Forked,
}

/// Whose a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// This node says who may write in it.
    Owner,
    /// This node may write in it.
    Writer,
    /// This node follows it.
    Follower,
}

/// An item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemStatus {
    /// Its number here.
    pub number: u64,
    /// Who wrote it.
    pub writer: WriterId,
    /// How people know the writer; empty for the first owner.
    pub writer_name: ChannelName,
    /// Whether it is a note on a board: its writer has chosen that name, and others may have it.
    pub is_note: bool,
    /// Whether it counts: a writer's right had not ended before it.
    pub is_valid: bool,
    /// Its writer had read something that is not here.
    pub has_gap: bool,
    /// What its writer says about it, as far as that is not sealed to others.
    pub header: ItemHeader,
    /// When its content goes, if it does.
    pub expires: Option<UnixTime>,
    /// The blob in which its content comes, if it does not travel inside it.
    pub blob: Option<BlobId>,
    /// What it takes to read that blob, if it is sealed.
    pub unsealing: Option<Unsealing>,
    /// How much of its content is here.
    pub state: ItemState,
    /// Whether its content stays, whatever happens.
    pub is_pinned: bool,
    /// Why its content does not come by itself, if it does not.
    pub unfetched: Option<Unfetched>,
}

/// How much of an item's content is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemState {
    /// All of it.
    Here,
    /// So many bytes of it.
    Partial(u64),
    /// Nothing.
    Known,
    /// All of it, but it was written for others.
    Sealed,
    /// Nothing, for good: its writer or the channel's owner has retracted it.
    Retracted,
    /// Nothing, for good: its time was over.
    Expired,
}

/// A blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobStatus {
    /// How many groups of 64 KiB it has.
    pub groups: u64,
    /// How many of them are here.
    pub groups_here: u64,
    /// How many bytes that is.
    pub bytes_here: u64,
    /// Links whose other end has some of it, while it is being fetched.
    pub providers: usize,
}

/// The other end of a link that shares a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharer {
    /// The link.
    pub link: LinkId,
    /// Items that it says it has, and how many blobs; `None` until it has said so.
    pub has: Option<(u64, u64)>,
    /// Requests for items, one after the other, that it did not answer.
    pub unanswered: u32,
}

impl BlobStatus {
    /// Whether all of it is here.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.groups_here == self.groups
    }
}

impl<S: Store> Sync<S> {
    /// Every channel; none while the store is closed.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelStatus> {
        self.library.channels.values().map(|channel| self.status(channel)).collect()
    }

    /// One channel.
    #[must_use]
    pub fn channel(&self, id: &ChannelId) -> Option<ChannelStatus> {
        self.library.channels.get(id).map(|channel| self.status(channel))
    }

    /// Every channel by its name for machines, whose it is, and how many items of it are here.
    pub fn sizes(&self) -> impl Iterator<Item = (ChannelId, Role, u64)> {
        let channels = self.library.channels.values();
        channels.map(|channel| (channel.id, channel.role(), channel.counts.arrived))
    }

    /// How many neighbours share the channel.
    #[must_use]
    pub fn sharers(&self, channel: &ChannelId) -> usize {
        self.company(channel).count()
    }

    /// The neighbours that share the channel, and what they have of it.
    pub fn company(&self, channel: &ChannelId) -> impl Iterator<Item = Sharer> {
        let neighbours = self.peers.iter().filter(|(_, peer)| !peer.is_origin());
        neighbours.filter_map(|(link, peer)| {
            let matched = peer.matched.get(channel)?;
            let sizes = matched.logs.values().filter_map(|talk| talk.theirs);
            let items = sizes.map(|theirs| theirs.size).reduce(|one, other| one + other);
            let items = items.or(matched.summary_heard.map(|_| 0));
            // How many notes it has is known only if they are those that are here.
            let items = match self.library.board(channel) {
                Some(_) => self.arrived_in(channel).ok().filter(|_| peer.is_level(channel)),
                None => items,
            };
            let unanswered = matched.logs.values().map(|talk| talk.unanswered).max();
            Some(Sharer {
                link: *link,
                has: items.map(|items| (items, matched.blobs)),
                unanswered: unanswered.unwrap_or(0),
            })
        })
    }

    /// The channels of which one end of this link lacks something that the other has.
    pub fn unfinished(&self, link: LinkId) -> impl Iterator<Item = ChannelId> {
        let peer = self.peers.get(&link);
        let matched = peer.into_iter().flat_map(|peer| &peer.matched);
        let is_unfinished = move |(id, matched): &(&ChannelId, &Matched)| {
            let Some(channel) = self.library.channels.get(*id) else { return false };
            let differs = |log: u32| {
                matched.theirs(log).map(|theirs| theirs.size) != Some(channel.valid(log))
            };
            let differs_here = peer.is_some_and(|peer| peer.is_comparing(id));
            differs_here || (0..channel.logs.len() as u32).any(differs)
        };
        matched.filter(is_unfinished).map(|(id, _)| *id)
    }

    /// The items numbered `range` that are here, without their content.
    pub fn items(
        &self,
        channel: &ChannelId,
        range: Range<u64>,
    ) -> Result<Vec<ItemStatus>, Refused> {
        self.is_open()?;
        let end = range.end.min(self.arrived_in(channel)?);
        let mut found = Vec::new();
        for number in range.start..end {
            found.extend(self.read(channel, number)?.map(|(status, _)| status));
        }
        Ok(found)
    }

    /// One item, with its content if that travels inside it; `None` if the item is not here.
    pub fn item(
        &self,
        channel: &ChannelId,
        number: u64,
    ) -> Result<Option<(ItemStatus, Option<Bytes>)>, Refused> {
        self.is_open()?;
        if number >= self.arrived_in(channel)? {
            return Ok(None);
        }
        let Some((status, body)) = self.read(channel, number)? else { return Ok(None) };
        if status.blob.is_some() || status.state != ItemState::Here {
            return Ok(Some((status, None)));
        }
        if !item::holds(&status.header, &body) {
            return Err(damaged().into());
        }
        Ok(Some((status, Some(body))))
    }

    /// The content of an item that travels inside it; `None` if it is a blob, or not here.
    pub fn content(&self, channel: &ChannelId, number: u64) -> Result<Option<Bytes>, Refused> {
        Ok(self.item(channel, number)?.and_then(|(_, body)| body))
    }

    /// Everybody who may write in a channel, or could, by the numbers of their logs.
    pub fn writers(&self, channel: &ChannelId) -> Result<Vec<WriterStatus>, Refused> {
        self.is_open()?;
        let known = self.library.channels.get(channel).ok_or(Refused::NoSuchChannel)?;
        let status = |(log, writer): (u32, &Writer)| -> Result<WriterStatus, Refused> {
            let at = LogId { channel: *channel, log };
            let items = self.library.valid(&at);
            let newest = match items.checked_sub(1) {
                Some(last) => self.library.item(&at, last)?,
                None => None,
            };
            let newest = newest.and_then(|item| header(item).ok());
            let state = match (known.is_forked(log), writer.is_open()) {
                (true, _) => WriterState::Forked,
                (false, true) => WriterState::Open,
                (false, false) => WriterState::Ended(writer.most),
            };
            Ok(WriterStatus {
                log,
                key: writer.key,
                name: writer.name.clone(),
                right: writer.right,
                state,
                until: Some(writer.until).filter(|until| *until > UnixTime(0)),
                is_ours: known.key(log).is_some(),
                items,
                newest: newest.map(|header| header.time),
            })
        };
        known.charter.writers().map(status).collect()
    }

    /// How much of a blob is here.
    pub fn blob(&self, blob: &BlobId) -> Result<BlobStatus, Refused> {
        self.is_open()?;
        let groups = blob.groups();
        let groups_here = self.library.groups_here(blob)?.unwrap_or(0);
        let bytes_here = self.library.shelved(blob)?.map_or(0, |shelved| shelved.bytes);
        let providers = self.fetch.providers(blob, &self.peers);
        Ok(BlobStatus { groups, groups_here, bytes_here, providers })
    }

    /// What the groups of one page of a blob (1024 to a page) must hash to, for an owner that
    /// reads them itself; `None` if that is not known here.
    pub fn chaining_values(&self, blob: &BlobId, page: u64) -> Result<Option<Vec<Hash>>, Refused> {
        self.is_open()?;
        Ok(self.library.group_hashes(&PageId { blob: *blob, index: page })?)
    }

    /// How many bytes of a blob came over which link, for the blobs fetched last.
    #[must_use]
    pub fn sources(&self, blob: &BlobId) -> Vec<(LinkId, u64)> {
        self.fetch.sources(blob)
    }

    /// The channels that both ends of a link share.
    #[must_use]
    pub fn shared_with(&self, link: LinkId) -> Vec<ChannelId> {
        let peer = self.peers.get(&link);
        peer.map(|peer| peer.matched.keys().copied().collect()).unwrap_or_default()
    }

    fn status(&self, channel: &Channel) -> ChannelStatus {
        let mut matched = self.peers.values().filter_map(|peer| peer.matched.get(&channel.id));
        ChannelStatus {
            id: channel.id,
            name: channel.name.clone(),
            role: channel.role(),
            items: channel.counts.arrived,
            contents: channel.counts.contents,
            writers: channel.charter.writers().filter(|(_, writer)| writer.is_open()).count(),
            blobs_known: channel.counts.blobs,
            blobs_here: channel.counts.blobs_here,
            bytes: channel.counts.bytes,
            bytes_here: channel.counts.bytes_here,
            policy: channel.account.policy(),
            used: channel.account.used,
            exchange: channel.account.exchange,
            catching_up: matched.any(Matched::is_catching_up)
                || self.peers.values().any(|peer| peer.is_comparing(&channel.id)),
            damaged: channel.damaged,
            private: channel.charter.is_private(),
            open: channel.board.is_some(),
            visibility: channel.visibility,
            promise: channel.charter.promise().cloned(),
            forked: channel.is_frozen(),
        }
    }

    pub(crate) fn arrived_in(&self, channel: &ChannelId) -> Result<u64, Refused> {
        let known = self.library.channels.get(channel).ok_or(Refused::NoSuchChannel)?;
        if known.damaged { Err(Refused::Damaged) } else { Ok(known.counts.arrived) }
    }

    /// An item and its body as it is stored, not verified, or what was sealed in it; `None` if it
    /// is void.
    fn read(
        &self,
        channel: &ChannelId,
        number: u64,
    ) -> Result<Option<(ItemStatus, Bytes)>, Refused> {
        let (at, seq) = self.library.place(channel, number)?.ok_or_else(damaged)?;
        self.read_at(&at, seq, number)
    }

    /// The same, where it is known to stand.
    pub(crate) fn read_at(
        &self,
        at: &LogId,
        seq: u64,
        number: u64,
    ) -> Result<Option<(ItemStatus, Bytes)>, Refused> {
        let known = self.library.channels.get(&at.channel).ok_or(Refused::NoSuchChannel)?;
        if seq >= known.size(at.log) {
            return Ok(None);
        }
        let is_note = at.log == NOTES;
        let Some(item) = self.library.item(at, seq)? else {
            // Of a note that has gone nothing stays.
            return if is_note { Ok(None) } else { Err(damaged().into()) };
        };
        let body = item.body.bytes().clone();
        let header = header(item)?;
        let (writer, writer_name, most) = author(known, at.log, &header).ok_or_else(damaged)?;
        let is_sealed = known.charter.is_private() && is_content(header.kind);
        // Only letters enclose what is read in their place.
        let blob = BlobId::of(&header).filter(|blob| is_sealed || blob.hash == header.hash);
        let is_bare = item::is_bare(&header, &body);
        let opened = match is_sealed && !is_bare {
            true => known.open(&header, &body),
            false => None,
        };
        let state = match blob {
            _ if is_content(header.kind)
                && let Some(gone) = self.library.gone(at, seq)? =>
            {
                match gone {
                    Gone::Expired => ItemState::Expired,
                    Gone::Retracted(_) => ItemState::Retracted,
                }
            }
            _ if is_bare => ItemState::Known,
            None if is_sealed && opened.is_none() => ItemState::Sealed,
            None => ItemState::Here,
            Some(blob) => match self.blob(&blob)? {
                whole if whole.is_complete() && is_sealed && opened.is_none() => ItemState::Sealed,
                whole if whole.is_complete() => ItemState::Here,
                BlobStatus { bytes_here: 0, .. } => ItemState::Known,
                part => ItemState::Partial(part.bytes_here),
            },
        };
        let Opened { header, body, unsealing } =
            opened.unwrap_or(Opened { header, body, unsealing: None });
        let named = if is_note { Vec::new() } else { parents::of(at.log, &header) };
        let (is_pinned, unfetched) = match blob {
            Some(blob) => self.prospects(&at.channel, &blob)?,
            None => (false, None),
        };
        let status = ItemStatus {
            number,
            writer,
            writer_name,
            is_note,
            is_valid: seq < most,
            expires: expiry(&header),
            has_gap: named.iter().any(|parent| parent.seq >= known.valid(parent.log)),
            header,
            blob,
            unsealing,
            state,
            is_pinned,
            unfetched,
        };
        Ok(Some((status, body)))
    }
}

/// Who wrote an item of a log, under which name, and how many items of it count.
fn author(
    channel: &Channel,
    log: u32,
    header: &ItemHeader,
) -> Option<(WriterId, ChannelName, u64)> {
    if log == NOTES {
        let author = note::author(header)?;
        return Some((author.key, author.name, u64::MAX));
    }
    let writer = channel.charter.writer(log)?;
    Some((writer.key, writer.name.clone(), writer.most))
}

fn header(item: Item) -> Result<ItemHeader, StoreError> {
    ItemHeader::from_bytes(item.header.into_bytes()).map_err(|_| damaged())
}

fn damaged() -> StoreError {
    StoreError::Damaged("an item has rotted".into())
}

//! What the owner can see: channels, items, blobs, and what is going on.

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use mesh_wire::codec::Wire;
use mesh_wire::id::WriterId;
use mesh_wire::message::sync::ItemHeader;
use mesh_wire::{ChannelId, Hash, LinkId};

use crate::blob::{BlobId, GROUP, PageId};
use crate::channel::{Channel, ChannelName, item};
use crate::command::Refused;
use crate::peer::Matched;
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
    /// The items `0..items` are here.
    pub items: u64,
    /// Items among them that name a blob.
    pub blobs_known: u64,
    /// Those whose blob is here whole.
    pub blobs_here: u64,
    /// Bytes of content that the items name.
    pub bytes: u64,
    /// Bytes of the content that is here whole.
    pub bytes_here: u64,
    /// A neighbour says that it has more items, and was asked for them.
    pub catching_up: bool,
    /// The store no longer has what was signed: the channel is set aside.
    pub damaged: bool,
    /// Somebody with its key has signed two histories: nothing more is taken or signed.
    pub forked: bool,
}

/// Whose a channel is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// This node signs it.
    Owner,
    /// This node follows it.
    Follower,
}

/// An item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemStatus {
    /// Its number.
    pub seq: u64,
    /// What its writer says about it.
    pub header: ItemHeader,
    /// How much of its content is here.
    pub state: ItemState,
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
}

/// A blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlobStatus {
    /// How many groups of 64 KiB it has.
    pub groups: u64,
    /// How many of them are here.
    pub groups_here: u64,
    /// About how many bytes that is; exact for a whole blob.
    pub bytes_here: u64,
    /// Links whose other end has some of it, while it is being fetched.
    pub providers: usize,
}

/// The other end of a link that shares a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sharer {
    /// The link.
    pub link: LinkId,
    /// Items that it says it has, and how many of their blobs; `None` until it has said so.
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
        channels.map(|channel| (channel.id, role(channel), channel.log.size()))
    }

    /// How many neighbours share the channel.
    #[must_use]
    pub fn sharers(&self, channel: &ChannelId) -> usize {
        self.company(channel).count()
    }

    /// The neighbours that share the channel, and what they have of it.
    pub fn company(&self, channel: &ChannelId) -> impl Iterator<Item = Sharer> {
        self.peers.iter().filter_map(|(link, peer)| {
            let matched = peer.matched.get(channel)?;
            Some(Sharer {
                link: *link,
                has: matched.theirs.map(|theirs| (theirs.size, theirs.blobs)),
                unanswered: matched.unanswered,
            })
        })
    }

    /// The channels of which one end of this link lacks something that the other has.
    pub fn unfinished(&self, link: LinkId) -> impl Iterator<Item = ChannelId> {
        let matched = self.peers.get(&link).into_iter().flat_map(|peer| &peer.matched);
        let is_unfinished = |(id, matched): &(&ChannelId, &Matched)| {
            let size = self.library.channels.get(*id).map(|channel| channel.log.size());
            matched.theirs.map(|theirs| theirs.size) != size
        };
        matched.filter(is_unfinished).map(|(id, _)| *id)
    }

    /// The items of `range` that are here, without their content.
    pub fn items(
        &self,
        channel: &ChannelId,
        range: Range<u64>,
    ) -> Result<Vec<ItemStatus>, Refused> {
        self.is_open()?;
        let size = self.size(channel)?;
        let here = range.start..range.end.min(size);
        here.map(|seq| Ok(self.read(channel, seq)?.0)).collect()
    }

    /// One item, with its content if that travels inside it; `None` if the item is not here.
    pub fn item(
        &self,
        channel: &ChannelId,
        seq: u64,
    ) -> Result<Option<(ItemStatus, Option<Bytes>)>, Refused> {
        self.is_open()?;
        if seq >= self.size(channel)? {
            return Ok(None);
        }
        let (status, body) = self.read(channel, seq)?;
        if BlobId::of(&status.header).is_some() {
            return Ok(Some((status, None)));
        }
        if !item::holds(&status.header, &body) {
            return Err(damaged().into());
        }
        Ok(Some((status, Some(body))))
    }

    /// The content of an item that travels inside it; `None` if it is a blob, or not here.
    pub fn content(&self, channel: &ChannelId, seq: u64) -> Result<Option<Bytes>, Refused> {
        Ok(self.item(channel, seq)?.and_then(|(_, body)| body))
    }

    /// How much of a blob is here.
    pub fn blob(&self, blob: &BlobId) -> Result<BlobStatus, Refused> {
        self.is_open()?;
        let groups = blob.groups();
        let groups_here = self.library.groups_here(blob)?.unwrap_or(0);
        let bytes_here = groups_here.saturating_mul(GROUP).min(blob.size);
        let providers = self.fetch.providers(blob, &self.peers);
        Ok(BlobStatus { groups, groups_here, bytes_here, providers })
    }

    /// What the groups of one page of a blob (1024 to a page) must hash to, for an owner that
    /// reads them itself; `None` if that is not known here.
    pub fn chaining_values(&self, blob: &BlobId, page: u64) -> Result<Option<Vec<Hash>>, Refused> {
        self.is_open()?;
        Ok(self.library.group_hashes(&PageId { blob: *blob, index: page })?)
    }

    /// Who signs a channel, once its first item is here.
    #[must_use]
    pub fn origin(&self, channel: &ChannelId) -> Option<WriterId> {
        let channel = self.library.channels.get(channel)?;
        channel.genesis.as_ref().map(|known| known.origin)
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
            name: channel.genesis.as_ref().map(|known| known.name.clone()),
            role: role(channel),
            items: channel.log.size(),
            blobs_known: channel.counts.blobs,
            blobs_here: channel.counts.blobs_here,
            bytes: channel.counts.bytes,
            bytes_here: channel.counts.bytes_here,
            catching_up: matched.any(|matched| matched.incoming.is_some()),
            damaged: channel.damaged,
            forked: channel.forked,
        }
    }

    fn size(&self, channel: &ChannelId) -> Result<u64, Refused> {
        let known = self.library.channels.get(channel).ok_or(Refused::NoSuchChannel)?;
        if known.damaged { Err(Refused::Damaged) } else { Ok(known.log.size()) }
    }

    /// An item as it is stored; its body is not verified.
    fn read(&self, channel: &ChannelId, seq: u64) -> Result<(ItemStatus, Bytes), Refused> {
        let item = self.library.item(channel, seq)?.ok_or_else(damaged)?;
        let header = ItemHeader::from_bytes(item.header.into_bytes()).map_err(|_| damaged())?;
        let state = match BlobId::of(&header) {
            None => ItemState::Here,
            Some(blob) => match self.blob(&blob)? {
                whole if whole.is_complete() => ItemState::Here,
                BlobStatus { bytes_here: 0, .. } => ItemState::Known,
                part => ItemState::Partial(part.bytes_here),
            },
        };
        Ok((ItemStatus { seq, header, state }, item.body.into_bytes()))
    }
}

fn role(channel: &Channel) -> Role {
    if channel.key.is_some() { Role::Owner } else { Role::Follower }
}

fn damaged() -> StoreError {
    StoreError::Damaged("an item has rotted".into())
}

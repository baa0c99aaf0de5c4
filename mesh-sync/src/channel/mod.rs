//! A channel: a log of items that its origin signs, and how much of it is here.

pub(crate) mod fork;
pub(crate) mod head;
pub(crate) mod item;
pub(crate) mod log;
pub(crate) mod record;

use alloc::collections::BTreeSet;

use bytes::Bytes;
use mesh_wire::codec::{Opaque, Wire, varint};
use mesh_wire::id::WriterId;
use mesh_wire::message::sync::{Genesis, Item, ItemHeader, ItemKind, Items};
use mesh_wire::sign::SigningKey;
use mesh_wire::{ChannelId, Label, limits};

use crate::merkle::tree;
use crate::store::{Store, StoreError, Table, key};
use log::Log;
use record::{Counts, Record};

/// The only log there is as yet: the origin's.
pub(crate) const LOG: u32 = 0;

/// The name of a channel.
pub type ChannelName = Label<{ limits::CHANNEL_NAME_BYTES }>;

/// A channel that this node follows or owns.
pub(crate) struct Channel {
    pub(crate) id: ChannelId,
    /// What its first item says, once that is here.
    pub(crate) genesis: Option<Known>,
    pub(crate) log: Log,
    pub(crate) counts: Counts,
    /// The key that signs it, if it is ours.
    pub(crate) key: Option<SigningKey>,
    /// Items whose bytes have rotted; they are asked for again.
    pub(crate) rotten: BTreeSet<u64>,
    /// The store no longer has what was signed: the channel is neither shared nor changed.
    pub(crate) damaged: bool,
    /// There is a proof that its key has signed two histories: it is frozen.
    pub(crate) forked: bool,
}

/// What the first item of a channel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) origin: WriterId,
    pub(crate) name: ChannelName,
}

impl Channel {
    /// A channel of which nothing is known but its name.
    pub(crate) fn unknown(id: ChannelId) -> Self {
        Self {
            id,
            genesis: None,
            log: Log::default(),
            counts: Counts::default(),
            key: None,
            rotten: BTreeSet::new(),
            damaged: false,
            forked: false,
        }
    }

    /// Reads a channel; one whose log does not match its signature is damaged.
    pub(crate) fn load<S: Store>(
        store: &S,
        id: ChannelId,
        record: Bytes,
    ) -> Result<Self, StoreError> {
        let mut channel = Self::unknown(id);
        let seed = store.get(Table::Secrets, &key::channel(&id))?;
        let seed = seed.and_then(|seed| <[u8; 32]>::try_from(&*seed).ok());
        channel.key = seed.map(|seed| SigningKey::from_seed(&seed));
        channel.forked = fork::load(store, &id)?.is_some();
        let Ok(record) = Record::from_bytes(record) else {
            channel.damaged = true;
            return Ok(channel);
        };
        channel.counts = record.counts();
        if record.size == 0 {
            return Ok(channel);
        }
        let first = store.get(Table::Items, &key::item(&id, LOG, 0))?;
        channel.genesis = first
            .and_then(|bytes| Item::from_bytes(bytes).ok())
            .filter(|item| is_first(&id, item))
            .and_then(|item| Known::read(&item));
        let log = channel.genesis.as_ref().map(|known| Log::load(store, id, &record, known));
        match log.transpose()?.flatten() {
            Some(log) => channel.log = log,
            None => channel.damaged = true,
        }
        Ok(channel)
    }
}

/// Whether `item` is the first one of the channel.
// spec: SYNC-2
pub(crate) fn is_first(id: &ChannelId, item: &Item) -> bool {
    tree::leaf(item.header.bytes()).0 == id.0
}

impl Known {
    /// What a genesis item says; `None` if it is not one.
    // spec: SYNC-3
    pub(crate) fn read(item: &Item) -> Option<Self> {
        let header = ItemHeader::from_bytes(item.header.bytes().clone()).ok()?;
        let genesis = Genesis::from_bytes(item.body.bytes().clone()).ok()?;
        let hash = blake3::hash(item.body.bytes());
        if header.kind != ItemKind::Genesis || header.hash.0 != *hash.as_bytes() {
            return None;
        }
        Some(Self { origin: genesis.origin, name: Label::new(header.name.as_str()).ok()? })
    }
}

/// How many bytes the items of a run take: what grants count.
// spec: SYNC-12
pub(crate) fn run_bytes(run: &Items) -> u64 {
    run.items.size().saturating_sub(varint::size(run.items.len() as u64)) as u64
}

/// An item as it travels and is stored; `None` if a part is too long.
pub(crate) fn item(header: &ItemHeader, body: Bytes) -> Option<Item> {
    Some(Item { header: Opaque::new(header.to_bytes())?, body: Opaque::new(body)? })
}

#[cfg(test)]
mod tests;

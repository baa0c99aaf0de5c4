//! What is here: channels, items and blobs, in the store and, as far as they are in use, in
//! memory. Everything that enters has been verified, and nothing leaves unverified.

pub(crate) mod arrivals;
mod authority;
mod blobs;
mod channels;
mod gone;
mod items;
mod notes;
mod shelf;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use mesh_wire::{ChannelId, Fault, UnixTime, Wire};

use crate::blob::{BlobId, CvCache};
use crate::channel::account::{Exchange, NO_LIMIT, NodeAccount, Source};
use crate::channel::{Channel, LogId};
use crate::store::{Store, StoreError, Table, key};
pub(crate) use blobs::Group;
pub(crate) use channels::is_content;
pub(crate) use gone::{Gone, expiry};
pub(crate) use notes::Posted;
pub(crate) use shelf::{QUEUES, Room, Wish};

/// Entries that are removed at one time.
const BATCH: usize = 256;

/// The channels and blobs of a node. After an error of the store it must be opened again.
pub(crate) struct Library<S> {
    pub(crate) store: S,
    pub(crate) channels: BTreeMap<ChannelId, Channel>,
    cvs: CvCache,
    /// What the node has beside its channels.
    pub(crate) account: NodeAccount,
    /// Bytes for all channels together as long as the owner has said nothing.
    pub(crate) assumed: u64,
    /// Channels whose accounts are written at the next commit.
    unwritten: BTreeSet<ChannelId>,
    /// How much was written since the last commit.
    pub(crate) uncommitted: u64,
    /// When content expires next.
    pub(crate) next_expiry: Option<UnixTime>,
    /// Channels of which content that was here or expected is gone, or expected again.
    pub(crate) changed: BTreeSet<ChannelId>,
    /// Whether blobs were named there, or may be: whom that concerns is to be told.
    pub(crate) has_lost_blobs: bool,
    /// Logs whose lacking content may be asked for, and from which item on of everybody anew.
    pub(crate) wounds: BTreeMap<LogId, u64>,
}

/// What became of a run of items.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The numbers under which they are read here.
    pub(crate) numbers: Range<u64>,
    pub(crate) rules: Rules,
}

/// Whether a run said something new about who may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// It did.
    New,
    /// All is as it was.
    Same,
}

/// Why something was not taken.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The peer is to blame, and nothing has changed.
    Fault(Fault),
    /// The disk is.
    Store(StoreError),
}

impl From<Fault> for Trouble {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl<S: Store> Library<S> {
    /// A library that knows nothing of what is in `store` yet.
    pub(crate) fn closed(store: S) -> Self {
        Self {
            store,
            channels: BTreeMap::new(),
            cvs: CvCache::default(),
            account: NodeAccount::default(),
            assumed: NO_LIMIT,
            unwritten: BTreeSet::new(),
            uncommitted: 0,
            next_expiry: None,
            changed: BTreeSet::new(),
            has_lost_blobs: false,
            wounds: BTreeMap::new(),
        }
    }

    /// Forgets everything and reads it from the store.
    pub(crate) fn open(&mut self) -> Result<(), StoreError> {
        self.close();
        let mut records = Vec::new();
        self.store.scan(Table::Channels, &[], &mut |key, record| {
            if let Ok(id) = key.try_into() {
                records.push((ChannelId(id), Bytes::copy_from_slice(record)));
            }
            true
        })?;
        for (id, record) in records {
            let channel = Channel::load(&self.store, id, record)?;
            self.channels.insert(id, channel);
        }
        let account = self.store.get(Table::Accounts, &[])?;
        self.account = account.and_then(|it| NodeAccount::from_bytes(it).ok()).unwrap_or_default();
        self.next_expiry = self.first_expiry()?;
        Ok(())
    }

    /// Forgets everything.
    pub(crate) fn close(&mut self) {
        self.channels.clear();
        self.cvs = CvCache::default();
        self.unwritten.clear();
        self.uncommitted = 0;
        self.next_expiry = None;
        self.changed.clear();
        self.wounds.clear();
    }

    /// Makes durable what was written.
    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        while let Some(id) = self.unwritten.pop_first() {
            if let Some(channel) = self.channels.get(&id) {
                self.store.put(Table::Accounts, &key::channel(&id), &channel.account.to_bytes())?;
            }
        }
        self.store.commit()?;
        self.uncommitted = 0;
        Ok(())
    }

    /// Content of a channel came or went. The sum is written with the next commit, whatever that is
    /// for.
    pub(crate) fn exchanged(&mut self, id: &ChannelId, change: impl FnOnce(&mut Exchange)) {
        if let Some(channel) = self.channels.get_mut(id) {
            change(&mut channel.account.exchange);
            self.unwritten.insert(*id);
        }
    }

    /// Bytes of a blob came.
    pub(crate) fn received(
        &mut self,
        blob: &BlobId,
        from: Source,
        bytes: u64,
    ) -> Result<(), StoreError> {
        if let Some(shelved) = self.shelved(blob)? {
            self.exchanged(&shelved.channel, |sums| sums.received(from, bytes));
        }
        Ok(())
    }

    /// Writes to the index.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.uncommitted += 8 * (key.len() + value.len()) as u64;
        self.store.put(table, key, value)
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.uncommitted += 8 * key.len() as u64;
        self.store.remove(table, key)
    }

    /// Removes every entry whose key begins with `prefix`.
    fn remove_all(&mut self, table: Table, prefix: &[u8]) -> Result<(), StoreError> {
        loop {
            let keys = self.entries(table, prefix, |key, _| Some(key.to_vec()))?;
            if keys.is_empty() {
                return Ok(());
            }
            keys.iter().try_for_each(|key| self.remove(table, key))?;
        }
    }

    /// The first [`BATCH`] entries whose keys begin with `prefix`, as `read` reads them.
    fn entries<T>(
        &self,
        table: Table,
        prefix: &[u8],
        read: impl Fn(&[u8], &[u8]) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = Vec::new();
        self.store.scan(table, prefix, &mut |key, value| {
            if !key.starts_with(prefix) || found.len() == BATCH {
                return false;
            }
            found.extend(read(key, value));
            true
        })?;
        Ok(found)
    }
}

#[cfg(test)]
mod tests;

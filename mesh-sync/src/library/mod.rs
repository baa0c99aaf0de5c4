//! What is here: channels, items and blobs, in the store and, as far as they are in use, in
//! memory. Everything that enters has been verified, and nothing leaves unverified.

pub(crate) mod arrivals;
mod authority;
mod blobs;
mod channels;
mod items;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use mesh_wire::{ChannelId, Fault};

use crate::blob::CvCache;
use crate::channel::Channel;
use crate::store::{Store, StoreError, Table};
pub(crate) use blobs::Group;
pub(crate) use channels::is_content;

/// Entries that are removed at one time.
const BATCH: usize = 256;

/// The channels and blobs of a node. After an error of the store it must be opened again.
pub(crate) struct Library<S> {
    pub(crate) store: S,
    pub(crate) channels: BTreeMap<ChannelId, Channel>,
    cvs: CvCache,
    /// How much was written since the last commit.
    pub(crate) uncommitted: u64,
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
        Self { store, channels: BTreeMap::new(), cvs: CvCache::default(), uncommitted: 0 }
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
        Ok(())
    }

    /// Forgets everything.
    pub(crate) fn close(&mut self) {
        self.channels.clear();
        self.cvs = CvCache::default();
        self.uncommitted = 0;
    }

    /// Makes durable what was written.
    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        self.store.commit()?;
        self.uncommitted = 0;
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

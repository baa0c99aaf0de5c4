//! The disk behind sync: an index in redb beside sparse files of blob bytes.
//!
//! One commit makes both durable, bytes first, so that the index never speaks of bytes that a
//! crash could take back. After any error the store stands where the last commit left it.

mod blobs;
mod index;
mod pump;

pub use blobs::{Blobs, Staged};
pub(crate) use pump::{PumpError, pump};

use bytes::Bytes;
use mesh_sync::{Store, StoreError, Table};
use mesh_wire::Hash;

use crate::home::Home;
use index::Index;

/// [`Store`] in the files of a [`Home`].
#[derive(Debug)]
pub struct DiskStore {
    index: Index,
    blobs: Blobs,
}

impl DiskStore {
    /// Opens the store of a home, making it first if there is none, and removes blob bytes that
    /// no row of the index says are here: a crash leaves such between an import and its commit, and
    /// between the commit that forgets a blob and the removal of its bytes.
    pub fn open(home: &Home) -> Result<Self, StoreError> {
        let path = home.index();
        let is_new = !path.exists();
        let store = Self {
            index: Index::open(Box::new(move |options| options.create(&path)))?,
            blobs: Blobs::new(home)?,
        };
        if !is_new {
            store.blobs.sweep(|blob| store.is_known(blob))?;
        }
        Ok(store)
    }

    /// The blob bytes, to hand to workers that import and export.
    #[must_use]
    pub fn blobs(&self) -> Blobs {
        self.blobs.clone()
    }

    /// Whether a row says that something of `blob` is here: such keys begin with its hash.
    fn is_known(&self, blob: &Hash) -> Result<bool, StoreError> {
        let mut is_known = false;
        self.index.scan(Table::Groups, blob.as_bytes(), &mut |key, _| {
            is_known = key.starts_with(blob.as_bytes());
            false
        })?;
        Ok(is_known)
    }

    /// Lets go of everything since the last commit if `result` is an error.
    fn settle<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if result.is_err() {
            self.index.roll_back();
            self.blobs.forget();
        }
        result
    }
}

impl Store for DiskStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.settle(self.index.get(table, key))
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.settle(self.index.put(table, key, value))
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        self.settle(self.index.remove(table, key))
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        self.settle(self.index.scan(table, from, visit))
    }

    fn read_blob(&self, blob: &Hash, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        self.settle(self.blobs.read(blob, offset, into))
    }

    fn write_blob(&mut self, blob: &Hash, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        self.settle(self.blobs.write(blob, offset, bytes))
    }

    fn remove_blob(&mut self, blob: &Hash) -> Result<(), StoreError> {
        self.blobs.remove(blob);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let durable = self.blobs.sync().and_then(|()| self.index.commit());
        self.settle(durable)?;
        let removed = self.blobs.unlink_removed();
        self.settle(removed)
    }
}

/// What the system said, in the words of the [`Store`] trait.
pub(crate) fn disk_error(what: impl std::fmt::Display, error: &std::io::Error) -> StoreError {
    use std::io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    let text = format!("{what}: {error}");
    if matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge) {
        StoreError::Full(text)
    } else {
        StoreError::Failed(text)
    }
}

#[cfg(test)]
mod tests;

//! A store in memory: for tests, and for nodes that keep nothing.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use bytes::Bytes;
use mesh_wire::Hash;

use super::{Store, StoreError, Table};

/// Keeps everything in memory. A commit has nothing to do; a clone is a second, equal store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStore {
    tables: BTreeMap<Table, BTreeMap<Box<[u8]>, Bytes>>,
    blobs: BTreeMap<Hash, Vec<u8>>,
}

impl MemoryStore {
    /// The bytes of a blob, as long as the furthest write reached.
    #[must_use]
    pub fn blob_bytes(&self, blob: &Hash) -> Option<&[u8]> {
        self.blobs.get(blob).map(Vec::as_slice)
    }
}

impl Store for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.tables.get(&table).and_then(|table| table.get(key)).cloned())
    }

    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError> {
        self.tables.entry(table).or_default().insert(key.into(), Bytes::copy_from_slice(value));
        Ok(())
    }

    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError> {
        if let Some(table) = self.tables.get_mut(&table) {
            table.remove(key);
        }
        Ok(())
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError> {
        let Some(table) = self.tables.get(&table) else { return Ok(()) };
        let range = (core::ops::Bound::Included(from), core::ops::Bound::Unbounded);
        let _ = table.range::<[u8], _>(range).all(|(key, value)| visit(key, value));
        Ok(())
    }

    fn read_blob(&self, blob: &Hash, offset: u64, into: &mut [u8]) -> Result<(), StoreError> {
        let bytes = self.blobs.get(blob).map(Vec::as_slice).unwrap_or_default();
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        let here = bytes.get(start..).unwrap_or_default();
        let (known, beyond) = into.split_at_mut(here.len().min(into.len()));
        known.copy_from_slice(here.get(..known.len()).unwrap_or_default());
        beyond.fill(0);
        Ok(())
    }

    fn write_blob(&mut self, blob: &Hash, offset: u64, bytes: &[u8]) -> Result<(), StoreError> {
        let too_far = || StoreError::Full(format!("{offset} is beyond the memory"));
        let start = usize::try_from(offset).map_err(|_| too_far())?;
        let end = start.checked_add(bytes.len()).ok_or_else(too_far)?;
        let file = self.blobs.entry(*blob).or_default();
        if file.len() < end {
            file.try_reserve(end - file.len()).map_err(|_| too_far())?;
            file.resize(end, 0);
        }
        file.get_mut(start..end).ok_or_else(too_far)?.copy_from_slice(bytes);
        Ok(())
    }

    fn remove_blob(&mut self, blob: &Hash) -> Result<(), StoreError> {
        self.blobs.remove(blob);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

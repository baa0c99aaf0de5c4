//! The nodes of a log in the store: tiles of 256 hashes, at every eighth level of the tree. What
//! stands between those levels is computed from a tile.

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use mesh_wire::Hash;

use super::tree::{Made, node, split};
use crate::channel::LogId;
use crate::store::{Store, StoreError, Table, key};

/// Levels of the tree that one level of tiles spans.
const TILE_LEVELS: u32 = 8;
/// Hashes of one tile.
const TILE_HASHES: u64 = 1 << TILE_LEVELS;
/// Bytes of one hash.
const HASH_BYTES: usize = 32;

/// The nodes of one log in a store.
pub(crate) struct Tiles<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) log: LogId,
}

impl<S: Store> Tiles<'_, S> {
    /// The root of the subtree over `leaves`, which the log has.
    pub(crate) fn root(&self, leaves: Range<u64>) -> Result<Hash, StoreError> {
        let size = leaves.end.saturating_sub(leaves.start);
        if size.is_power_of_two() {
            return self.complete(size.trailing_zeros(), leaves.start / size);
        }
        let middle = leaves.start + split(size.max(2));
        let left = self.root(leaves.start..middle)?;
        Ok(node(&left, &self.root(middle..leaves.end)?))
    }

    /// The peaks of the tree over the first `size` leaves.
    pub(crate) fn peaks(&self, size: u64) -> Result<Vec<Hash>, StoreError> {
        let mut peaks = Vec::new();
        let mut start = 0;
        for level in (0..u64::BITS).rev().filter(|level| size >> level & 1 == 1) {
            peaks.push(self.complete(level, start >> level)?);
            start += 1 << level;
        }
        Ok(peaks)
    }

    /// The hashes of `leaves`, which lie in one tile.
    pub(crate) fn leaves(&self, leaves: Range<u64>) -> Result<Vec<Hash>, StoreError> {
        self.hashes(0, leaves)
    }

    /// The root of the complete subtree number `index` of 2^level leaves.
    fn complete(&self, level: u32, index: u64) -> Result<Hash, StoreError> {
        let inside = level % TILE_LEVELS;
        let mut row = self.hashes(level / TILE_LEVELS, index << inside..(index + 1) << inside)?;
        while row.len() > 1 {
            row = row.chunks_exact(2).filter_map(pair).collect();
        }
        row.first().copied().ok_or_else(damaged)
    }

    /// Hashes of one level of tiles, all in one tile.
    fn hashes(&self, level: u32, range: Range<u64>) -> Result<Vec<Hash>, StoreError> {
        let tile = range.start / TILE_HASHES;
        let bytes = get(self.store, &key::tile(&self.log, level, tile))?;
        let at = |index: u64| (index % TILE_HASHES) as usize * HASH_BYTES;
        let first = at(range.start);
        let count = range.end.saturating_sub(range.start) as usize;
        let row = bytes.get(first..first + count * HASH_BYTES).ok_or_else(damaged)?;
        Ok(row.as_chunks().0.iter().map(|hash| Hash(*hash)).collect())
    }
}

/// Keeps the nodes that appending has made.
pub(crate) fn keep<S: Store>(store: &mut S, log: &LogId, made: &[Made]) -> Result<(), StoreError> {
    let levels = made.iter().map(|node| node.level).max().unwrap_or(0);
    for level in (0..=levels).step_by(TILE_LEVELS as usize) {
        let row: Vec<&Made> = made.iter().filter(|node| node.level == level).collect();
        for part in row.chunk_by(|a, b| a.index / TILE_HASHES == b.index / TILE_HASHES) {
            let Some(first) = part.first() else { continue };
            let tile = first.index / TILE_HASHES;
            let key = key::tile(log, level / TILE_LEVELS, tile);
            let before = (first.index % TILE_HASHES) as usize * HASH_BYTES;
            let mut bytes = match before {
                0 => Vec::new(),
                _ => get(store, &key)?.get(..before).ok_or_else(damaged)?.to_vec(),
            };
            part.iter().for_each(|node| bytes.extend_from_slice(node.hash.as_bytes()));
            store.put(Table::Nodes, &key, &bytes)?;
        }
    }
    Ok(())
}

fn pair(two: &[Hash]) -> Option<Hash> {
    let [left, right] = two else { return None };
    Some(node(left, right))
}

fn get<S: Store>(store: &S, key: &[u8]) -> Result<Bytes, StoreError> {
    store.get(Table::Nodes, key)?.ok_or_else(damaged)
}

fn damaged() -> StoreError {
    StoreError::Damaged("a node of a log is missing".into())
}

//! What it takes to serve a local file as a blob: computed once, on whatever thread is free.

use alloc::vec::Vec;

use mesh_wire::Hash;

use super::{BlobId, PAGE, fold, fold_root, group_hash};

/// A blob's name and its chaining values: 32 bytes for every 64 KiB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outboard {
    id: BlobId,
    /// From the groups up; empty for a blob of one group.
    levels: Vec<Vec<Hash>>,
}

/// Makes an [`Outboard`] of a file, group by group.
#[derive(Clone, Debug)]
pub struct OutboardBuilder {
    size: u64,
    groups: Vec<Hash>,
}

impl Outboard {
    /// Begins with a file of `size` bytes.
    #[must_use]
    pub fn builder(size: u64) -> OutboardBuilder {
        OutboardBuilder { size, groups: Vec::new() }
    }

    /// The blob.
    #[must_use]
    pub fn id(&self) -> BlobId {
        self.id
    }

    /// The pages of chaining values, with their levels and numbers.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (u32, u64, &[Hash])> {
        self.levels.iter().zip(0..).flat_map(|(values, level)| {
            values.chunks(PAGE as usize).zip(0..).map(move |(page, index)| (level, index, page))
        })
    }
}

impl OutboardBuilder {
    /// The next group: 64 KiB, less only at the end of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        let group = self.groups.len() as u64;
        self.push_hash(group_hash(self.size, group, bytes));
    }

    /// The next group, as its [`group_hash`]; several threads may compute those.
    pub fn push_hash(&mut self, hash: Hash) {
        self.groups.push(hash);
    }

    /// The outboard; `None` if the file had more or fewer groups than its size has.
    #[must_use]
    pub fn finish(self) -> Option<Outboard> {
        let id = |hash| BlobId { hash, size: self.size };
        if self.groups.len() as u64 != id(Hash([0; 32])).groups() {
            return None;
        }
        if let [one] = *self.groups.as_slice() {
            return Some(Outboard { id: id(one), levels: Vec::new() });
        }
        let mut levels = Vec::new();
        let mut values = self.groups;
        while values.len() > PAGE as usize {
            let above = values.chunks(PAGE as usize).filter_map(fold).collect();
            levels.push(core::mem::replace(&mut values, above));
        }
        let hash = fold_root(&values)?;
        levels.push(values);
        Some(Outboard { id: BlobId { hash, size: self.size }, levels })
    }
}

//! Pages of chaining values that were verified since the node started: a bounded cache.

use alloc::vec::Vec;

use mesh_wire::Hash;

use super::BlobId;

/// Pages kept: as many as can be in transfer.
const PAGES: usize = mesh_wire::limits::OPEN_PAGES;

/// A blob, a level and the number of a page.
pub(crate) type CvsKey = (BlobId, u32, u64);

/// The pages used last, the newest at the end.
#[derive(Default)]
pub(crate) struct CvCache(Vec<(CvsKey, Vec<Hash>)>);

impl CvCache {
    /// A page, if it is here.
    pub(crate) fn get(&mut self, key: &CvsKey) -> Option<&[Hash]> {
        let at = self.0.iter().position(|(page, _)| page == key)?;
        let page = self.0.remove(at);
        self.0.push(page);
        self.0.last().map(|(_, values)| values.as_slice())
    }

    /// Keeps a page; the one not used for longest goes.
    pub(crate) fn insert(&mut self, key: CvsKey, values: Vec<Hash>) {
        self.0.retain(|(page, _)| *page != key);
        if self.0.len() >= PAGES {
            self.0.remove(0);
        }
        self.0.push((key, values));
    }

    /// Forgets the pages of a blob.
    pub(crate) fn forget(&mut self, blob: &BlobId) {
        self.0.retain(|((of, _, _), _)| of != blob);
    }
}

//! Large content: bytes named by their BLAKE3 hash, cut into groups that verify one by one.
//!
//! A blob is cut into groups of 64 KiB, and 1024 groups make a page. The chaining values of a
//! page's groups fold to one value; the values of 1024 pages are again a page, and so on up to the
//! hash. Nothing else is needed to check any group by itself.

mod bitmap;
mod cvs;
mod outboard;
mod tree;

use mesh_wire::codec::Wire;
use mesh_wire::message::sync::{Enclosure, ItemHeader};
use mesh_wire::{Hash, limits};

pub(crate) use bitmap::Bitmap;
pub(crate) use cvs::CvCache;
pub use outboard::{Outboard, OutboardBuilder};
pub use tree::group_hash;
pub(crate) use tree::{fold, fold_root};

/// Groups of one page, and chaining values of one page of them.
pub(crate) const PAGE: u64 = limits::PAGE_CVS as u64;
/// Bytes of one group.
pub(crate) const GROUP: u64 = limits::GROUP_BYTES as u64;

/// The extension of a header that holds an [`Enclosure`].
const ENCLOSURE: u64 = 5;

/// A blob: the hash of its bytes, and how many there are. A hash with a wrong size names another
/// blob, one that nobody has.
// spec: SYNC-16
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId {
    /// BLAKE3 of the bytes.
    pub hash: Hash,
    /// How many bytes.
    pub size: u64,
}

/// One page of one blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PageId {
    pub(crate) blob: BlobId,
    pub(crate) index: u64,
}

impl BlobId {
    /// The blob that an item names: its content, or what it encloses. `None` if all that it says
    /// travels inside it.
    // spec: SYNC-3, SYNC-47
    #[must_use]
    pub fn of(header: &ItemHeader) -> Option<Self> {
        let named = Self { hash: header.hash, size: header.size };
        let enclosed = || {
            let bytes = header.extensions.get(ENCLOSURE)?;
            let Enclosure { hash, size } = Enclosure::from_bytes(bytes).ok()?;
            Some(Self { hash, size }).filter(|blob| blob.is_blob())
        };
        if named.is_blob() { Some(named) } else { enclosed() }
    }

    /// An item encloses it.
    pub(crate) fn enclose(self, header: &mut ItemHeader) {
        let enclosure = Enclosure { hash: self.hash, size: self.size }.to_bytes();
        if let Some(extensions) = header.extensions.with(ENCLOSURE, &enclosure) {
            header.extensions = extensions;
        }
    }

    /// Whether it is of a size that blobs have.
    fn is_blob(self) -> bool {
        (limits::INLINE_BYTES as u64 + 1..=limits::BLOB_BYTES).contains(&self.size)
    }

    /// How many groups it has.
    // spec: SYNC-15
    #[must_use]
    pub const fn groups(self) -> u64 {
        self.size.div_ceil(GROUP)
    }

    /// How many pages its groups fill.
    pub(crate) const fn pages(self) -> u64 {
        self.groups().div_ceil(PAGE)
    }

    /// How many levels of pages of chaining values stand under the hash; none for a single group,
    /// whose hash is the blob's.
    pub(crate) const fn levels(self) -> u32 {
        let (mut level, mut values) = (0, self.groups());
        while values > 1 {
            values = values.div_ceil(PAGE);
            level += 1;
        }
        level
    }

    /// How many values `level` has.
    pub(crate) const fn level_values(self, level: u32) -> u64 {
        let (mut values, mut below) = (self.groups(), level);
        while below > 0 {
            values = values.div_ceil(PAGE);
            below -= 1;
        }
        values
    }

    /// How many values page `page` of `level` has; 0 if there is no such page.
    pub(crate) const fn values(self, level: u32, page: u64) -> usize {
        let rest = self.level_values(level).saturating_sub(page.saturating_mul(PAGE));
        (if rest < PAGE { rest } else { PAGE }) as usize
    }

    /// How many bytes group `group` has.
    pub(crate) const fn group_bytes(self, group: u64) -> usize {
        let rest = self.size.saturating_sub(group.saturating_mul(GROUP));
        (if rest < GROUP { rest } else { GROUP }) as usize
    }
}

impl PageId {
    /// How many groups it has.
    pub(crate) const fn groups(self) -> usize {
        self.blob.values(0, self.index)
    }

    /// The number within the blob of its group `group`.
    pub(crate) fn group(self, group: u16) -> u64 {
        self.index * PAGE + u64::from(group)
    }
}

#[cfg(test)]
mod tests;

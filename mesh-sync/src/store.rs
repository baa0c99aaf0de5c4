//! What sync asks of a disk. mesh-node keeps it in redb and sparse files, tests in memory,
//! mesh-sim on a disk that forgets and lies.

pub(crate) mod key;
mod memory;

use alloc::string::String;

use bytes::Bytes;
use mesh_wire::Hash;
use thiserror::Error;

pub use memory::MemoryStore;

/// An ordered key-value index beside files of blob bytes.
///
/// Changes are seen by reads at once and survive a crash from the next [`Store::commit`] on. After
/// an error, everything since the last commit may be gone: [`crate::Sync`] then forgets what it
/// holds in memory and reads it again.
pub trait Store {
    /// The value at `key`.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Sets the value at `key`.
    fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Result<(), StoreError>;

    /// Removes the value at `key`, if there is one.
    fn remove(&mut self, table: Table, key: &[u8]) -> Result<(), StoreError>;

    /// Visits the entries from `from` on, in the order of their keys, until `visit` says `false`.
    fn scan(
        &self,
        table: Table,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StoreError>;

    /// Fills `into` with the blob's bytes from `offset` on. Bytes never written are anything.
    fn read_blob(&self, blob: &Hash, offset: u64, into: &mut [u8]) -> Result<(), StoreError>;

    /// Writes bytes of a blob in place, leaving holes where nothing was written.
    fn write_blob(&mut self, blob: &Hash, offset: u64, bytes: &[u8]) -> Result<(), StoreError>;

    /// Removes a blob's bytes.
    fn remove_blob(&mut self, blob: &Hash) -> Result<(), StoreError>;

    /// Makes all of the above durable: blob bytes first, then the index, all of it or none.
    fn commit(&mut self) -> Result<(), StoreError>;
}

/// The tables of the index. The numbers are part of the format on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Channel → sums over what is here of it.
    Channels = 0,
    /// (channel, log, sequence number) → item.
    Items = 1,
    /// (channel, log, level, tile) → 256 nodes of the log's tree.
    Nodes = 2,
    /// Blob → how much of it is here, and whether it is to be. A blob is named by its hash and its
    /// size.
    Blobs = 3,
    /// (blob, level, page) → chaining values.
    Cvs = 4,
    /// (blob, page) → which groups are here.
    Groups = 5,
    /// (blob, channel) → the newest item of the channel that names it, and how many do.
    References = 6,
    /// (channel, writer) → the secret behind a key of ours.
    Secrets = 7,
    /// (channel, queue, number of the item, the last first) → blob that is not here whole.
    Missing = 8,
    /// (channel, log) → the proof that its writer has signed two histories.
    Forks = 9,
    /// (channel, log) → how much of it is here, and what proves that.
    Logs = 10,
    /// Channel → its writers.
    Charters = 11,
    /// (channel, last number of a run first) → the log and the place in it where the run begins.
    Arrivals = 12,
    /// (channel, epoch) → the key under which it was written then.
    Epochs = 13,
    /// (channel, rank, number of the item) → blob that may be given up, the next one first.
    Kept = 14,
    /// Channel → what of it is to be here, and what came from whom. The key is empty for what the
    /// node has beside its channels.
    Accounts = 15,
    /// Channel → where on the web it is, as a person has said.
    Origins = 16,
    /// (channel, log, sequence number) → why the content of that item is gone for good.
    Gone = 17,
    /// (channel, log, sequence number) → how many bytes are lacking of that item's content.
    Lacking = 18,
    /// (moment, channel, log, sequence number) → nothing: the item's content expires then.
    Expiries = 19,
    /// Channel → nothing: it is offered to no neighbour.
    Hidden = 20,
    /// (channel, note) → where the note is, and its signature. (channel, note, key) → nothing: who
    /// has that key has taken the note away. Channel → what else is known of the board.
    Notes = 21,
}

impl Table {
    /// Every table, by their numbers.
    pub const ALL: [Self; 22] = [
        Self::Channels,
        Self::Items,
        Self::Nodes,
        Self::Blobs,
        Self::Cvs,
        Self::Groups,
        Self::References,
        Self::Secrets,
        Self::Missing,
        Self::Forks,
        Self::Logs,
        Self::Charters,
        Self::Arrivals,
        Self::Epochs,
        Self::Kept,
        Self::Accounts,
        Self::Origins,
        Self::Gone,
        Self::Lacking,
        Self::Expiries,
        Self::Hidden,
        Self::Notes,
    ];
}

/// Why the disk did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// No space left.
    #[error("the disk is full: {0}")]
    Full(String),
    /// What was read is not what was written.
    #[error("the store is damaged: {0}")]
    Damaged(String),
    /// Anything else.
    #[error("the disk failed: {0}")]
    Failed(String),
}

//! The keys of the index: fixed parts one after the other, numbers in big-endian, so that the
//! order of keys is the order of what they name. The layout is part of the format on disk.

use alloc::vec::Vec;

use mesh_wire::ChannelId;

use crate::blob::BlobId;

/// The channel itself: its record, its secret.
pub(crate) fn channel(channel: &ChannelId) -> Vec<u8> {
    channel.as_bytes().to_vec()
}

/// An item of a log, and a log's entry in [`crate::store::Table::Missing`].
pub(crate) fn item(channel: &ChannelId, log: u32, seq: u64) -> Vec<u8> {
    [channel.as_bytes().as_slice(), &log.to_be_bytes(), &seq.to_be_bytes()].concat()
}

/// What a key made by [`item`] names.
pub(crate) fn read_item(key: &[u8]) -> Option<(ChannelId, u32, u64)> {
    let (channel, rest) = key.split_first_chunk()?;
    let (log, seq) = rest.split_first_chunk()?;
    let seq = seq.try_into().ok()?;
    Some((ChannelId(*channel), u32::from_be_bytes(*log), u64::from_be_bytes(seq)))
}

/// A tile of a log's tree.
pub(crate) fn tile(channel: &ChannelId, log: u32, level: u32, tile: u64) -> Vec<u8> {
    let level = [level as u8];
    [channel.as_bytes().as_slice(), &log.to_be_bytes(), &level, &tile.to_be_bytes()].concat()
}

/// A blob: its record, and the front of all keys below.
pub(crate) fn blob(blob: &BlobId) -> Vec<u8> {
    [blob.hash.as_bytes().as_slice(), &blob.size.to_be_bytes()].concat()
}

/// What a key made by [`blob`] names, or one that begins like it.
pub(crate) fn read_blob(key: &[u8]) -> Option<BlobId> {
    let (hash, rest) = key.split_first_chunk()?;
    let size = rest.first_chunk()?;
    Some(BlobId { hash: mesh_wire::Hash(*hash), size: u64::from_be_bytes(*size) })
}

/// A page of a blob's chaining values.
pub(crate) fn cvs(blob: &BlobId, level: u32, page: u64) -> Vec<u8> {
    let mut key = self::blob(blob);
    key.push(level as u8);
    key.extend_from_slice(&page.to_be_bytes());
    key
}

/// The bitmap of a page.
pub(crate) fn groups(blob: &BlobId, page: u64) -> Vec<u8> {
    let mut key = self::blob(blob);
    key.extend_from_slice(&page.to_be_bytes());
    key
}

/// A channel whose items name a blob.
pub(crate) fn reference(blob: &BlobId, channel: &ChannelId) -> Vec<u8> {
    let mut key = self::blob(blob);
    key.extend_from_slice(channel.as_bytes());
    key
}

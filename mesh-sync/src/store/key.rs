//! The keys of the index: fixed parts one after the other, numbers in big-endian, so that the
//! order of keys is the order of what they name. The layout is part of the format on disk.

use alloc::vec::Vec;

use mesh_wire::id::WriterId;
use mesh_wire::{ChannelId, Hash, UnixTime};

use crate::blob::BlobId;
use crate::channel::LogId;
use crate::set::Key;

/// The channel itself, and the front of all keys of what belongs to it.
pub(crate) fn channel(channel: &ChannelId) -> Vec<u8> {
    channel.as_bytes().to_vec()
}

/// The secret behind a key that signs in a channel, or would.
pub(crate) fn secret(channel: &ChannelId, writer: &WriterId) -> Vec<u8> {
    [channel.as_bytes().as_slice(), writer.as_bytes()].concat()
}

/// The key of an epoch.
pub(crate) fn epoch(channel: &ChannelId, epoch: u32) -> Vec<u8> {
    [channel.as_bytes().as_slice(), &epoch.to_be_bytes()].concat()
}

/// The items of a channel from number `first` on, as they came in. The higher the number, the lower
/// the key: the first key at or behind that of some item is that of the run it is in.
pub(crate) fn arrival(channel: &ChannelId, first: u64) -> Vec<u8> {
    [channel.as_bytes().as_slice(), &(u64::MAX - first).to_be_bytes()].concat()
}

/// What a key made by [`arrival`] names.
pub(crate) fn read_arrival(key: &[u8]) -> Option<(ChannelId, u64)> {
    let (channel, first) = key.split_first_chunk()?;
    Some((ChannelId(*channel), u64::MAX - u64::from_be_bytes(first.try_into().ok()?)))
}

/// A log: its record, and the front of the keys of its items and tiles.
pub(crate) fn log(at: &LogId) -> Vec<u8> {
    [at.channel.as_bytes().as_slice(), &at.log.to_be_bytes()].concat()
}

/// An item of a log, and what else is noted at its place.
pub(crate) fn item(at: &LogId, seq: u64) -> Vec<u8> {
    [self::log(at).as_slice(), &seq.to_be_bytes()].concat()
}

/// What a key made by [`item`] names.
pub(crate) fn read_item(key: &[u8]) -> Option<(LogId, u64)> {
    let (channel, rest) = key.split_first_chunk()?;
    let (log, seq) = rest.split_first_chunk()?;
    let at = LogId { channel: ChannelId(*channel), log: u32::from_be_bytes(*log) };
    Some((at, u64::from_be_bytes(seq.try_into().ok()?)))
}

/// An item whose content expires at a moment: the earlier, the lower.
pub(crate) fn expiry(moment: UnixTime, at: &LogId, seq: u64) -> Vec<u8> {
    [moment.0.to_be_bytes().as_slice(), &item(at, seq)].concat()
}

/// What a key made by [`expiry`] names.
pub(crate) fn read_expiry(key: &[u8]) -> Option<(UnixTime, LogId, u64)> {
    let (moment, item) = key.split_first_chunk()?;
    let (at, seq) = read_item(item)?;
    Some((UnixTime(u64::from_be_bytes(*moment)), at, seq))
}

/// A note of a board: the older, the lower.
pub(crate) fn note(channel: &ChannelId, note: &Key) -> Vec<u8> {
    [channel.as_bytes().as_slice(), &note.to_bytes()].concat()
}

/// The note in a key made by [`note`], behind its channel.
pub(crate) fn read_note(note: &[u8]) -> Option<Key> {
    let (time, id) = note.split_first_chunk::<6>()?;
    let time = time.iter().fold(0, |time, byte| time << 8 | u64::from(*byte));
    Some(Key::new(UnixTime(time), Hash(id.try_into().ok()?)))
}

/// A note that whoever signs with a key has taken away.
pub(crate) fn withdrawn(channel: &ChannelId, note: &Key, by: &WriterId) -> Vec<u8> {
    [self::note(channel, note).as_slice(), by.as_bytes()].concat()
}

/// A tile of a log's tree.
pub(crate) fn tile(at: &LogId, level: u32, tile: u64) -> Vec<u8> {
    [self::log(at).as_slice(), &[level as u8], &tile.to_be_bytes()].concat()
}

/// A blob: its record, and the front of all keys below.
pub(crate) fn blob(blob: &BlobId) -> Vec<u8> {
    [blob.hash.as_bytes().as_slice(), &blob.size.to_be_bytes()].concat()
}

/// What a key made by [`blob`] names, or one that begins like it.
pub(crate) fn read_blob(key: &[u8]) -> Option<BlobId> {
    let (hash, rest) = key.split_first_chunk()?;
    let size = rest.first_chunk()?;
    Some(BlobId { hash: Hash(*hash), size: u64::from_be_bytes(*size) })
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

/// A blob that is missing in a channel and stands in this queue. The higher the number of the item
/// that names it, the lower the key.
pub(crate) fn missing(channel: &ChannelId, queue: u8, number: u64) -> Vec<u8> {
    [channel.as_bytes().as_slice(), &[queue], &(u64::MAX - number).to_be_bytes()].concat()
}

/// The number in a key made by [`missing`] for this queue.
pub(crate) fn read_missing(key: &[u8], channel: &ChannelId, queue: u8) -> Option<u64> {
    let number = key.strip_prefix(channel.as_bytes().as_slice())?.strip_prefix(&[queue])?;
    Some(u64::MAX - u64::from_be_bytes(number.try_into().ok()?))
}

/// A blob that may be given up, in the order in which blobs are.
pub(crate) fn kept(channel: &ChannelId, rank: u8, number: u64) -> Vec<u8> {
    [channel.as_bytes().as_slice(), &[rank], &number.to_be_bytes()].concat()
}

/// The rank and the number in a key made by [`kept`].
pub(crate) fn read_kept(key: &[u8], channel: &ChannelId) -> Option<(u8, u64)> {
    let (rank, number) = key.strip_prefix(channel.as_bytes().as_slice())?.split_first()?;
    Some((*rank, u64::from_be_bytes(number.try_into().ok()?)))
}

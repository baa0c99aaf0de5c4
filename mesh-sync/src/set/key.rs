//! What an item is called in a set: when it was made, and its id. Parts of a set are runs of such
//! keys, and those that begin alike hang together below one place in the tree.

use mesh_wire::codec::Bytes;
use mesh_wire::codec::Opaque;
use mesh_wire::message::set;
use mesh_wire::{Hash, UnixTime, limits};

/// Nibbles of a time.
pub(crate) const TIME_NIBBLES: usize = 12;
/// Nibbles of a key.
pub(crate) const KEY_NIBBLES: usize = 2 * limits::SET_KEY_BYTES;

/// The name of an item in a set. Keys are ordered by time, then by id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    time: UnixTime,
    id: Hash,
}

impl Key {
    /// The smallest key.
    pub(crate) const MIN: Self = Self { time: UnixTime(0), id: Hash([0; 32]) };
    /// The largest key.
    pub(crate) const MAX: Self = Self { time: UnixTime::MAX, id: Hash([0xff; 32]) };

    /// The key of the item `id` of `time`; times beyond [`UnixTime::MAX`] count as that.
    #[must_use]
    pub fn new(time: UnixTime, id: Hash) -> Self {
        Self { time: time.min(UnixTime::MAX), id }
    }

    /// When the item was made, in milliseconds since 1970.
    #[must_use]
    pub fn time(&self) -> UnixTime {
        self.time
    }

    /// The item.
    #[must_use]
    pub fn id(&self) -> Hash {
        self.id
    }

    /// The key as it is hashed: time, id.
    // spec: SYNC-26
    pub(crate) fn to_bytes(self) -> [u8; limits::SET_KEY_BYTES] {
        let mut bytes = [0; limits::SET_KEY_BYTES];
        let [_, _, time @ ..] = self.time.0.to_be_bytes();
        let (front, back) = bytes.split_at_mut(time.len());
        front.copy_from_slice(&time);
        back.copy_from_slice(&self.id.0);
        bytes
    }

    /// Nibble `index` of the bytes, the high one of a byte first.
    pub(crate) fn nibble(&self, index: usize) -> u8 {
        if index < TIME_NIBBLES {
            return (self.time.0 >> (4 * (TIME_NIBBLES - 1 - index)) & 15) as u8;
        }
        let index = index - TIME_NIBBLES;
        let byte = self.id.0.get(index / 2).copied().unwrap_or(0);
        if index.is_multiple_of(2) { byte >> 4 } else { byte & 15 }
    }

    /// This key with nibble `index` replaced.
    fn with_nibble(mut self, index: usize, nibble: u8) -> Self {
        if index < TIME_NIBBLES {
            let shift = 4 * (TIME_NIBBLES - 1 - index);
            self.time.0 = self.time.0 & !(15 << shift) | u64::from(nibble & 15) << shift;
        } else if let Some(byte) = self.id.0.get_mut((index - TIME_NIBBLES) / 2) {
            let shift = if index.is_multiple_of(2) { 4 } else { 0 };
            *byte = *byte & !(15 << shift) | (nibble & 15) << shift;
        }
        self
    }
}

impl From<set::SetKey> for Key {
    fn from(key: set::SetKey) -> Self {
        Self::new(key.time, key.id)
    }
}

impl From<Key> for set::SetKey {
    fn from(key: Key) -> Self {
        Self { time: key.time, id: key.id }
    }
}

/// The keys from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first key that belongs to it.
    pub first: Key,
    /// The last one.
    pub last: Key,
}

impl Span {
    /// All keys.
    pub(crate) const ALL: Self = Self { first: Key::MIN, last: Key::MAX };

    /// The keys of the milliseconds `first..=last`.
    pub(crate) fn of_times(first: u64, last: u64) -> Self {
        let first = Key { time: UnixTime(first), ..Key::MIN };
        Self { first, last: Key { time: UnixTime(last), ..Key::MAX } }
    }
}

/// A place in the tree of a set: what all keys below it begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Prefix {
    length: usize,
    /// The smallest key below it.
    key: Key,
}

impl Prefix {
    /// Above all keys.
    pub(crate) const ROOT: Self = Self { length: 0, key: Key::MIN };

    /// The first `length` nibbles of a time.
    pub(crate) fn of_time(time: UnixTime, length: usize) -> Self {
        (0..length)
            .fold(Self::ROOT, |prefix, index| prefix.child(Key { time, ..Key::MIN }.nibble(index)))
    }

    /// How many nibbles it has.
    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Its nibbles.
    pub(crate) fn nibbles(&self) -> impl Iterator<Item = u8> + use<> {
        let key = self.key;
        (0..self.length).map(move |index| key.nibble(index))
    }

    /// The place below it to which `nibble` leads.
    pub(crate) fn child(&self, nibble: u8) -> Self {
        let key = self.key.with_nibble(self.length, nibble);
        Self { length: self.length + 1, key }
    }

    /// The keys below it.
    pub(crate) fn span(&self) -> Span {
        let last = (self.length..KEY_NIBBLES).fold(self.key, |key, at| key.with_nibble(at, 15));
        Span { first: self.key, last }
    }

    /// How it travels.
    // spec: SYNC-32
    pub(crate) fn to_wire(self) -> set::Prefix {
        let bytes = self.key.to_bytes();
        let nibbles = bytes.get(..self.length.div_ceil(2)).unwrap_or_default();
        let nibbles = Opaque::new(Bytes::copy_from_slice(nibbles)).unwrap_or_default();
        set::Prefix { length: self.length as u8, nibbles }
    }

    /// What a peer wrote; `None` if there is no such place, or another way to write it.
    // spec: SYNC-32
    pub(crate) fn from_wire(wire: &set::Prefix) -> Option<Self> {
        let length = usize::from(wire.length);
        if length > KEY_NIBBLES {
            return None;
        }
        let nibble = |index: usize| {
            let byte = wire.nibbles.bytes().get(index / 2).copied().unwrap_or(0);
            if index.is_multiple_of(2) { byte >> 4 } else { byte & 15 }
        };
        let prefix = (0..length).fold(Self::ROOT, |prefix, index| prefix.child(nibble(index)));
        (prefix.to_wire() == *wire).then_some(prefix)
    }
}

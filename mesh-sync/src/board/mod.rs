//! A board: an open channel, in which everybody writes. What is here of its notes is in memory as
//! a set of their keys, ready to be compared with what others have.

pub(crate) mod exchange;
pub(crate) mod note;
pub(crate) mod round;
pub(crate) mod talk;

use bytes::Bytes;
use mesh_wire::codec::{Extensions, List, Wire};
use mesh_wire::id::WriterId;
use mesh_wire::message::sync::{Genesis, Item};
use mesh_wire::{ChannelId, UnixTime, layout, limits};

use crate::channel::ChannelName;
use crate::channel::epoch::SEALING;
use crate::set::{Key, Set};
use crate::store::{Store, StoreError, Table, key};

/// The log under whose number notes are stored, in the order in which they came in here. It is
/// nobody's, and never travels as a log.
pub(crate) const NOTES: u32 = limits::LOGS as u32;
/// The extension of a genesis by which everybody may write in the channel.
const OPEN: u64 = 3;
/// What the oldest time that is taken is rounded up to, in milliseconds.
const HOUR: u64 = 3_600_000;

/// What is here of an open channel.
#[derive(Default)]
pub(crate) struct Board {
    /// The keys of its notes.
    pub(crate) set: Set,
    /// Their bytes.
    pub(crate) bytes: u64,
    pub(crate) record: BoardRecord,
}

layout! {
    /// What is stored of a board beside its notes.
    #[derive(Default)]
    pub struct BoardRecord {
        /// Notes that ever came in here.
        arrived: u64,
        /// There was no room for notes up to this time.
        floor: UnixTime,
        /// What this node goes by there.
        name: ChannelName,
        /// Its key there, if it has written and is none of the channel's writers.
        author: List<WriterId, 1>,
    }
}

layout! {
    /// What is stored of a note beside what it says.
    pub struct NoteRecord {
        /// Under which number.
        seq: u64,
        /// The bytes of all of it.
        bytes: u64,
        /// Its author's signature.
        signature: [u8; 64],
    }
}

/// What the genesis of a board says of it.
// spec: SYNC-62
pub(crate) fn opening() -> Extensions {
    Extensions::one(OPEN, &[]).unwrap_or_default()
}

/// Whether a channel's first item makes it a board.
// spec: SYNC-62
pub(crate) fn is_open(first: &Item) -> bool {
    let genesis = Genesis::from_bytes(first.body.bytes().clone());
    genesis
        .is_ok_and(|it| it.extensions.get(OPEN).is_some() && it.extensions.get(SEALING).is_none())
}

impl Board {
    /// Reads what is here of a board; `None` if nobody can say under which number the next note
    /// is to stand.
    pub(crate) fn load<S: Store>(store: &S, id: &ChannelId) -> Result<Option<Self>, StoreError> {
        let (mut board, mut is_sound) = (Self::default(), true);
        store.scan(Table::Notes, id.as_bytes(), &mut |row, value| {
            let Some(rest) = row.strip_prefix(id.as_bytes()) else { return false };
            let value = Bytes::copy_from_slice(value);
            if rest.is_empty() {
                let record = BoardRecord::from_bytes(value);
                is_sound = record.is_ok();
                board.record = record.unwrap_or_default();
            } else if let (Some(key), Ok(note)) =
                (key::read_note(rest), NoteRecord::from_bytes(value))
            {
                board.insert(key, note.bytes);
            }
            true
        })?;
        Ok(Some(board).filter(|_| is_sound))
    }

    /// A note has come in.
    pub(crate) fn insert(&mut self, key: Key, bytes: u64) {
        if self.set.insert(key) {
            self.bytes += bytes;
        }
    }

    /// A note has gone.
    pub(crate) fn remove(&mut self, key: &Key, bytes: u64) {
        if self.set.remove(key) {
            self.bytes = self.bytes.saturating_sub(bytes);
        }
    }

    /// The note for which there is no room, if there is such a one.
    // spec: SYNC-64
    pub(crate) fn excess(&self) -> Option<Key> {
        let is_over =
            self.set.len() > limits::BOARD_NOTES as u64 || self.bytes > limits::BOARD_BYTES;
        if is_over { self.set.first() } else { None }
    }

    /// Notes up to this time are not taken.
    // spec: SYNC-64
    pub(crate) fn since(&self, now: UnixTime) -> UnixTime {
        let over = match now.0.checked_sub(limits::NOTE_LIFE.as_millis() as u64) {
            Some(over) => UnixTime((over / HOUR + 1) * HOUR),
            None => UnixTime(0),
        };
        self.record.floor.max(over)
    }
}

#[cfg(test)]
mod tests;

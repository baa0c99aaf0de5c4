//! Where each blob stands: how much of it is here, in which channel's budget that counts, whether
//! it is to be fetched, and whether it may be given up. The rows by which blobs are found in order
//! follow from this record, and are changed in this one place.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Range;

use mesh_wire::codec::Wire;
use mesh_wire::{ChannelId, codes, layout, limits};

use super::blobs::{Reference, Turn};
use super::{BATCH, Library};
use crate::blob::BlobId;
use crate::channel::LogId;
use crate::channel::account::Files;
use crate::store::{Store, StoreError, Table, key};

codes! {
    /// What is to become of a blob.
    pub enum Wish {
        /// It is fetched only if somebody waits for it, and given up before others.
        Resting = 0,
        /// It is fetched, and given up for newer ones.
        Wanted = 1,
        /// It is fetched first, and stays.
        Pinned = 2,
        /// The same, and counts in no budget: it was published here.
        Own = 3,
    }
}

layout! {
    /// What is known of a blob that an item names, or that was put in its place.
    pub struct Shelved {
        /// Bytes here.
        bytes: u64,
        /// The channel in whose budget they count; zeros as long as none names it.
        channel: ChannelId,
        /// The number there of an item that names it.
        number: u64,
        wish: Wish,
    }
}

/// Blobs up to this size come before all larger ones: pictures before films.
const SMALL: u64 = 1 << 20;

/// What is to be fetched stands in queues: first what stays, then small blobs, then large ones.
pub(crate) const QUEUES: u8 = 3;
/// The queue of those that are not to be fetched.
const RESTING: u8 = QUEUES;

/// Blobs that are looked at to find out whether there will be room for another one.
const OLDER: usize = 64;

/// Whether there is room for a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Room {
    /// There is, or older ones give way.
    Enough,
    /// What is on its way may take it.
    Later,
    /// There is none.
    None,
}

const NOWHERE: ChannelId = ChannelId([0; 32]);

impl Shelved {
    /// A blob that nothing has been said of.
    pub(super) fn unknown() -> Self {
        Self { bytes: 0, channel: NOWHERE, number: 0, wish: Wish::Resting }
    }

    /// The queue in which it stands, if it is not here whole.
    fn queue(&self, blob: &BlobId) -> Option<u8> {
        let queue = match self.wish {
            Wish::Own | Wish::Pinned => 0,
            Wish::Wanted if blob.size <= SMALL => 1,
            Wish::Wanted => 2,
            Wish::Resting => RESTING,
        };
        (self.bytes < blob.size).then_some(queue)
    }

    /// Its row among those that may be given up, if it may.
    fn kept(&self) -> Option<Vec<u8>> {
        let rank = match self.wish {
            Wish::Resting => 0,
            Wish::Wanted => 1,
            Wish::Pinned | Wish::Own => return None,
        };
        (self.bytes > 0).then(|| key::kept(&self.channel, rank, self.number))
    }

    /// Its bytes that count in its channel's budget.
    fn counted(&self) -> u64 {
        if self.wish == Wish::Own { 0 } else { self.bytes }
    }
}

impl<S: Store> Library<S> {
    /// What is known of a blob; `None` if nobody has named it.
    pub(crate) fn shelved(&self, blob: &BlobId) -> Result<Option<Shelved>, StoreError> {
        let bytes = self.store.get(Table::Blobs, &key::blob(blob))?;
        Ok(bytes.and_then(|bytes| Shelved::from_bytes(bytes).ok()))
    }

    /// Changes what is known of a blob, the rows that follow from it, and the sums.
    pub(super) fn shelve(&mut self, blob: &BlobId, after: &Shelved) -> Result<(), StoreError> {
        let before = self.shelved(blob)?.unwrap_or_else(Shelved::unknown);
        let (was, is) = (before.queue(blob), after.queue(blob));
        if was != is {
            for reference in self.references(blob)? {
                let Reference { channel, times, .. } = reference;
                self.remove_missing(blob, &before, &reference)?;
                self.put_missing(blob, after, &reference)?;
                match (was, is) {
                    (Some(_), None) => self.turn((blob, times), &channel, Turn::Whole)?,
                    (None, Some(_)) => self.turn((blob, times), &channel, Turn::Broken)?,
                    (None, None) | (Some(_), Some(_)) => {}
                }
            }
        }
        let (was, is) = (before.kept(), after.kept());
        if was != is {
            was.map_or(Ok(()), |row| self.remove(Table::Kept, &row))?;
            is.map_or(Ok(()), |row| self.put(Table::Kept, &row, &key::blob(blob)))?;
        }
        self.charge(&before, |used| used.saturating_sub(before.counted()));
        self.charge(after, |used| used.saturating_add(after.counted()));
        self.put(Table::Blobs, &key::blob(blob), &after.to_bytes())
    }

    /// Takes a blob out of the queue of a channel that names it.
    pub(super) fn remove_missing(
        &mut self,
        blob: &BlobId,
        before: &Shelved,
        Reference { channel, number, .. }: &Reference,
    ) -> Result<(), StoreError> {
        let row = before.queue(blob).map(|queue| key::missing(channel, queue, *number));
        row.map_or(Ok(()), |row| self.remove(Table::Missing, &row))
    }

    /// Puts a blob that is not here whole into its queue, for a channel that names it.
    pub(super) fn put_missing(
        &mut self,
        blob: &BlobId,
        after: &Shelved,
        Reference { channel, number, .. }: &Reference,
    ) -> Result<(), StoreError> {
        let row = after.queue(blob).map(|queue| key::missing(channel, queue, *number));
        row.map_or(Ok(()), |row| self.put(Table::Missing, &row, &key::blob(blob)))
    }

    /// So much more or less counts in a channel's budget. It becomes durable with the next commit.
    fn charge(&mut self, shelved: &Shelved, change: impl FnOnce(u64) -> u64) {
        if let Some(channel) = self.channels.get_mut(&shelved.channel) {
            channel.account.used = change(channel.account.used);
            self.unwritten.insert(shelved.channel);
        }
    }

    /// Whether the channel's owner wants blobs of this size.
    pub(super) fn wants(&self, channel: &ChannelId, size: u64) -> bool {
        let Some(channel) = self.channels.get(channel) else { return false };
        let account = &channel.account;
        let most = account.largest.min(account.keep).min(self.budget());
        account.files == Files::All && size <= most
    }

    /// What an item that names a blob makes of it: what was given up is wanted again when it is
    /// published again.
    pub(super) fn named(
        &self,
        blob: &BlobId,
        before: Option<Shelved>,
        (at, number): (&LogId, u64),
    ) -> Shelved {
        let channel = &at.channel;
        let is_own = self.channels.get(channel).is_some_and(|here| here.key(at.log).is_some());
        let mut after = before.unwrap_or_else(Shelved::unknown);
        let is_wanted = after.wish == Wish::Resting && self.wants(channel, blob.size);
        if is_own {
            after.wish = Wish::Own;
        } else if is_wanted {
            after.wish = Wish::Wanted;
        }
        if is_wanted || after.channel == NOWHERE || after.channel == *channel {
            (after.channel, after.number) = (*channel, number);
        }
        after
    }

    /// A blob stays from now on.
    pub(crate) fn pin(&mut self, blob: &BlobId) -> Result<(), StoreError> {
        let before = self.shelved(blob)?.filter(|before| before.wish != Wish::Own);
        let Some(before) = before else { return Ok(()) };
        self.shelve(blob, &Shelved { wish: Wish::Pinned, ..before })
    }

    /// A blob may go again.
    pub(crate) fn unpin(&mut self, blob: &BlobId) -> Result<(), StoreError> {
        let before = self.shelved(blob)?.filter(|before| before.wish == Wish::Pinned);
        let Some(before) = before else { return Ok(()) };
        let is_wanted = self.wants(&before.channel, blob.size);
        let wish = if is_wanted { Wish::Wanted } else { Wish::Resting };
        self.shelve(blob, &Shelved { wish, ..before })
    }

    /// Looks again at everything that is missing in a channel: its owner wants more or less.
    pub(crate) fn sort(&mut self, channel: &ChannelId) -> Result<(), StoreError> {
        let mut from = channel.as_bytes().to_vec();
        loop {
            let mut missing = Vec::new();
            self.store.scan(Table::Missing, &from, &mut |key, value| {
                let is_next = key.starts_with(channel.as_bytes()) && missing.len() < BATCH;
                let row = is_next.then(|| Some((key.to_vec(), key::read_blob(value)?)));
                missing.extend(row.flatten());
                is_next
            })?;
            let Some((last, _)) = missing.last() else { return Ok(()) };
            // Whatever moves to a queue behind this is looked at again, and stays there.
            from = [last.as_slice(), &[0]].concat();
            for (_, blob) in missing {
                self.sort_one(&blob)?;
            }
            if self.uncommitted >= limits::UNCOMMITTED_BYTES {
                self.commit()?;
            }
        }
    }

    fn sort_one(&mut self, blob: &BlobId) -> Result<(), StoreError> {
        let Some(before) = self.shelved(blob)? else { return Ok(()) };
        let mut references = self.references(blob)?.into_iter();
        let is_wanted = references.any(|reference| self.wants(&reference.channel, blob.size));
        let wish = match before.wish {
            Wish::Resting | Wish::Wanted if is_wanted => Wish::Wanted,
            Wish::Resting | Wish::Wanted => Wish::Resting,
            wish @ (Wish::Pinned | Wish::Own) => wish,
        };
        if wish == before.wish {
            return Ok(());
        }
        self.shelve(blob, &Shelved { wish, ..before })
    }

    /// The newest of the items `numbers` whose blob stands in a queue of a channel.
    pub(crate) fn missing(
        &self,
        channel: &ChannelId,
        queue: u8,
        numbers: &Range<u64>,
    ) -> Result<Option<(u64, BlobId)>, StoreError> {
        let Some(newest) = numbers.end.checked_sub(1) else { return Ok(None) };
        let mut found = None;
        let from = key::missing(channel, queue, newest);
        self.store.scan(Table::Missing, &from, &mut |key, value| {
            found = key::read_missing(key, channel, queue).zip(key::read_blob(value));
            false
        })?;
        Ok(found.filter(|(number, _)| numbers.contains(number)))
    }

    /// The blob of a channel that is given up first, as its rank and its item's number say.
    pub(crate) fn oldest(
        &self,
        channel: &ChannelId,
        spared: &[BlobId],
    ) -> Result<Option<(u8, u64, BlobId)>, StoreError> {
        let mut found = None;
        self.store.scan(Table::Kept, channel.as_bytes(), &mut |key, value| {
            let place = key::read_kept(key, channel);
            found = place.zip(key::read_blob(value)).map(|((rank, n), blob)| (rank, n, blob));
            found.is_some_and(|(_, _, blob)| spared.contains(&blob))
        })?;
        Ok(found.filter(|(_, _, blob)| !spared.contains(blob)))
    }

    /// The blob to be given up now, if there is more here than there is room for. What is spared
    /// takes none.
    // spec: SYNC-56
    pub(crate) fn excess(&self, spared: &[BlobId]) -> Result<Option<BlobId>, StoreError> {
        let keep = |id: &ChannelId| self.channels.get(id).map_or(0, |here| here.account.keep);
        if !self.is_over() {
            return Ok(None);
        }
        let used = self.channels.values().map(|channel| (channel.id, channel.account.used));
        let mut used: BTreeMap<ChannelId, u64> = used.collect();
        for blob in spared {
            let Some(shelved) = self.shelved(blob)? else { continue };
            if let Some(used) = used.get_mut(&shelved.channel) {
                *used = used.saturating_sub(shelved.counted());
            }
        }
        for (id, _) in used.iter().filter(|(id, used)| **used > keep(id)) {
            if let Some((_, _, blob)) = self.oldest(id, spared)? {
                return Ok(Some(blob));
            }
        }
        if sum(used.values()) <= self.budget() {
            return Ok(None);
        }
        let mut largest: Vec<(ChannelId, u64)> = used.into_iter().collect();
        largest.sort_by_key(|(_, used)| Reverse(*used));
        for (id, _) in largest.iter().filter(|(_, used)| *used > 0) {
            if let Some((_, _, blob)) = self.oldest(id, spared)? {
                return Ok(Some(blob));
            }
        }
        Ok(None)
    }

    /// Whether there is room for the rest of a blob that is to be fetched, if what else is on its
    /// way takes so many bytes in its channel and in all. Older ones give way to it, and blobs of
    /// the channel that takes most to those of others.
    // spec: SYNC-56
    pub(crate) fn room(
        &self,
        shelved: &Shelved,
        rest: u64,
        (in_channel, in_all): (u64, u64),
    ) -> Result<Room, StoreError> {
        let Some(channel) = self.channels.get(&shelved.channel) else { return Ok(Room::None) };
        let account = &channel.account;
        let needed = account.used.saturating_add(rest).saturating_add(in_channel);
        let lacks_there = needed.saturating_sub(account.keep);
        let needed = self.used().saturating_add(rest).saturating_add(in_all);
        let lacks = lacks_there.max(needed.saturating_sub(self.budget()));
        if lacks == 0 {
            return Ok(Room::Enough);
        }
        let (mut older, mut more) = self.older(&channel.id, shelved.number)?;
        let most = self.channels.values().max_by_key(|other| other.account.used);
        let most = most.filter(|most| lacks_there == 0 && most.account.used > account.used);
        if let Some(most) = most {
            let (bytes, others) = self.older(&most.id, u64::MAX)?;
            (older, more) = (older.saturating_add(bytes), more || others);
        }
        let on_its_way = if lacks_there > 0 { in_channel } else { in_all };
        Ok(match on_its_way {
            _ if older >= lacks => Room::Enough,
            0 if more => Room::Enough,
            0 => Room::None,
            _ => Room::Later,
        })
    }

    /// Bytes of the first blobs that would be given up for one of item `number`, and whether there
    /// are more of them.
    fn older(&self, channel: &ChannelId, number: u64) -> Result<(u64, bool), StoreError> {
        let mut blobs = Vec::new();
        self.store.scan(Table::Kept, channel.as_bytes(), &mut |key, value| {
            let place = key::read_kept(key, channel);
            let is_older = place.is_some_and(|(rank, n)| rank == 0 || n < number);
            blobs.extend(is_older.then(|| key::read_blob(value)).flatten());
            is_older && blobs.len() < OLDER
        })?;
        let mut bytes = 0_u64;
        for blob in &blobs {
            bytes = bytes.saturating_add(self.shelved(blob)?.map_or(0, |older| older.bytes));
        }
        Ok((bytes, blobs.len() == OLDER))
    }

    /// Removes a blob's bytes, its rows first. It is fetched again only if somebody waits for it.
    // spec: SYNC-56
    pub(crate) fn give_up(&mut self, blob: &BlobId) -> Result<(), StoreError> {
        let Some(before) = self.shelved(blob)? else { return Ok(()) };
        self.remove_all(Table::Groups, &key::blob(blob))?;
        self.remove_all(Table::Cvs, &key::blob(blob))?;
        self.cvs.forget(blob);
        self.shelve(blob, &Shelved { bytes: 0, wish: Wish::Resting, ..before })?;
        self.store.remove_blob(&blob.hash)
    }

    /// Whether a channel, or all together, have more than they may.
    pub(crate) fn is_over(&self) -> bool {
        let mut accounts = self.channels.values().map(|channel| &channel.account);
        accounts.any(|account| account.used > account.keep) || self.used() > self.budget()
    }

    /// Bytes that count in all budgets.
    pub(crate) fn used(&self) -> u64 {
        sum(self.channels.values().map(|channel| &channel.account.used))
    }

    /// Bytes that may.
    pub(crate) fn budget(&self) -> u64 {
        self.account.total.iter().next().unwrap_or(self.assumed)
    }
}

fn sum<'a>(parts: impl Iterator<Item = &'a u64>) -> u64 {
    parts.fold(0, |sum, part| sum.saturating_add(*part))
}

#[cfg(test)]
mod tests;

//! Blobs: groups go in when they match their chaining value, and come out when they still do.

use alloc::vec::Vec;

use bytes::Bytes;
use mesh_wire::{ChannelId, Fault, Hash};

use super::shelf::{Shelved, Wish};
use super::{Library, Trouble};
use crate::blob::{Bitmap, BlobId, GROUP, Outboard, PAGE, PageId, fold, fold_root, group_hash};
use crate::channel::LogId;
use crate::channel::record::Counts;
use crate::store::{Store, StoreError, Table, key};

/// A group that was to be read.
pub(crate) enum Group {
    /// Its bytes, as good as on the first day.
    Sound(Bytes),
    /// It is not here.
    Missing,
    /// It was here and no longer is what it was; it counts as missing from now on.
    Rotten,
}

/// A channel that names a blob: the number there of the newest such item, and how many there are.
#[derive(Clone, Copy)]
pub(super) struct Reference {
    pub(super) channel: ChannelId,
    pub(super) number: u64,
    pub(super) times: u64,
}

impl<S: Store> Library<S> {
    /// How many groups of a blob are here; `None` if nobody has named it.
    pub(crate) fn groups_here(&self, blob: &BlobId) -> Result<Option<u64>, StoreError> {
        Ok(self.shelved(blob)?.map(|shelved| shelved.bytes.div_ceil(GROUP)))
    }

    /// Which groups of a page are here.
    pub(crate) fn page(&self, page: &PageId) -> Result<Bitmap, StoreError> {
        let bytes = self.store.get(Table::Groups, &key::groups(&page.blob, page.index))?;
        Ok(bytes.and_then(|bytes| Bitmap::from_bytes(&bytes)).unwrap_or_default())
    }

    /// A page of chaining values, verified up to the hash; `None` if it is not here.
    // spec: SYNC-18, SYNC-20
    pub(crate) fn cvs(
        &mut self,
        blob: &BlobId,
        level: u32,
        page: u64,
    ) -> Result<Option<&[Hash]>, StoreError> {
        let key = (*blob, level, page);
        if self.cvs.get(&key).is_none() {
            let Some(values) = self.read_cvs(blob, level, page)? else { return Ok(None) };
            self.cvs.insert(key, values);
        }
        Ok(self.cvs.get(&key))
    }

    /// The same, from the store.
    fn read_cvs(
        &self,
        blob: &BlobId,
        level: u32,
        page: u64,
    ) -> Result<Option<Vec<Hash>>, StoreError> {
        let stored = self.store.get(Table::Cvs, &key::cvs(blob, level, page))?;
        let Some(bytes) = stored else { return Ok(None) };
        let values: Vec<Hash> = bytes.as_chunks().0.iter().map(|value| Hash(*value)).collect();
        Ok(self.proves(blob, (level, page), &values)?.then_some(values))
    }

    /// What the groups of a page must hash to, verified; `None` if that is not here.
    pub(crate) fn group_hashes(&self, page: &PageId) -> Result<Option<Vec<Hash>>, StoreError> {
        match page.blob.levels() {
            0 => Ok(Some(alloc::vec![page.blob.hash])),
            _ => self.read_cvs(&page.blob, 0, page.index),
        }
    }

    /// The first page of a blob from `index` on that is not here whole.
    pub(crate) fn lacking_page(
        &self,
        blob: &BlobId,
        index: u64,
    ) -> Result<Option<PageId>, StoreError> {
        let mut page = PageId { blob: *blob, index };
        self.store.scan(Table::Groups, &key::groups(blob, index), &mut |key, bytes| {
            let here = Bitmap::from_bytes(bytes).unwrap_or_default();
            let is_next = *key == *key::groups(blob, page.index);
            let is_whole = is_next && here.count() == page.groups();
            page.index += u64::from(is_whole);
            is_whole
        })?;
        Ok((page.index < blob.pages()).then_some(page))
    }

    /// Keeps a page of chaining values that a peer sent.
    // spec: SYNC-18
    pub(crate) fn keep_cvs(
        &mut self,
        blob: &BlobId,
        (level, page): (u32, u64),
        values: Vec<Hash>,
    ) -> Result<(), Trouble> {
        if !self.proves(blob, (level, page), &values)? {
            return Err(Fault::Forged("chaining values that do not fold to the blob").into());
        }
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.0).collect();
        self.put(Table::Cvs, &key::cvs(blob, level, page), &bytes)?;
        self.cvs.insert((*blob, level, page), values);
        Ok(())
    }

    /// Whether these values fold to the value above them, which must have been verified before.
    fn proves(
        &self,
        blob: &BlobId,
        (level, page): (u32, u64),
        values: &[Hash],
    ) -> Result<bool, StoreError> {
        if values.is_empty() || values.len() != blob.values(level, page) {
            return Ok(false);
        }
        if level + 1 == blob.levels() {
            return Ok(fold_root(values) == Some(blob.hash));
        }
        // At most three pages up: a blob has four levels.
        let above = self.read_cvs(blob, level + 1, page / PAGE)?;
        let above = above.and_then(|above| above.get((page % PAGE) as usize).copied());
        Ok(above.is_some() && fold(values) == above)
    }

    /// The lowest level of the page's chaining values that is not here while all above it are;
    /// `None` if the page's groups can be verified.
    pub(crate) fn cvs_lacking(&mut self, page: &PageId) -> Result<Option<u32>, StoreError> {
        for level in (0..page.blob.levels()).rev() {
            let index = page.index / PAGE.pow(level);
            if self.cvs(&page.blob, level, index)?.is_none() {
                return Ok(Some(level));
            }
        }
        Ok(None)
    }

    /// What a group must hash to; `None` if that is not known.
    fn expected(&mut self, page: &PageId, group: u16) -> Result<Option<Hash>, StoreError> {
        if page.blob.levels() == 0 {
            return Ok(Some(page.blob.hash));
        }
        let values = self.cvs(&page.blob, 0, page.index)?;
        Ok(values.and_then(|values| values.get(usize::from(group))).copied())
    }

    /// Keeps a group that a peer sent.
    // spec: SYNC-19
    pub(crate) fn keep_group(
        &mut self,
        page: &PageId,
        here: &mut Bitmap,
        group: u16,
        bytes: &[u8],
    ) -> Result<(), Trouble> {
        let number = page.group(group);
        let matches = bytes.len() == page.blob.group_bytes(number)
            && self.expected(page, group)? == Some(group_hash(page.blob.size, number, bytes));
        if !matches {
            return Err(Fault::Forged("a group that does not match its chaining value").into());
        }
        let offset = number * GROUP;
        self.store.write_blob(&page.blob.hash, offset, bytes)?;
        self.uncommitted += bytes.len() as u64;
        let mut after = *here;
        after.insert(group);
        self.put_page(page, &after)?;
        let before = self.shelved(&page.blob)?.unwrap_or_else(Shelved::unknown);
        let grown = before.bytes.saturating_add(bytes.len() as u64);
        self.shelve(&page.blob, &Shelved { bytes: grown, ..before })?;
        *here = after;
        Ok(())
    }

    /// Reads a group for somebody else.
    // spec: SYNC-20
    pub(crate) fn group(&mut self, page: &PageId, group: u16) -> Result<Group, StoreError> {
        let mut here = self.page(page)?;
        if !here.contains(group) {
            return Ok(Group::Missing);
        }
        let expected = self.expected(page, group)?;
        let number = page.group(group);
        let mut bytes = alloc::vec![0; page.blob.group_bytes(number)];
        let offset = number * GROUP;
        self.store.read_blob(&page.blob.hash, offset, &mut bytes)?;
        if Some(group_hash(page.blob.size, number, &bytes)) == expected {
            return Ok(Group::Sound(bytes.into()));
        }
        here.remove(group);
        self.put_page(page, &here)?;
        let before = self.shelved(&page.blob)?.unwrap_or_else(Shelved::unknown);
        let left = before.bytes.saturating_sub(bytes.len() as u64);
        self.shelve(&page.blob, &Shelved { bytes: left, ..before })?;
        Ok(Group::Rotten)
    }

    /// Takes a blob of the owner's, whose bytes are in the store already.
    pub(crate) fn adopt(&mut self, outboard: &Outboard) -> Result<(), StoreError> {
        let blob = outboard.id();
        self.cvs.forget(&blob);
        for (level, page, values) in outboard.pages() {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.0).collect();
            self.put(Table::Cvs, &key::cvs(&blob, level, page), &bytes)?;
        }
        for index in 0..blob.pages() {
            let page = PageId { blob, index };
            self.put_page(&page, &Bitmap::first(page.groups()))?;
        }
        let before = self.shelved(&blob)?.unwrap_or_else(Shelved::unknown);
        self.shelve(&blob, &Shelved { bytes: blob.size, wish: Wish::Own, ..before })
    }

    /// Item `number` of a channel, in this log of it, names a blob.
    pub(super) fn refer(
        &mut self,
        blob: &BlobId,
        (at, number): (&LogId, u64),
        counts: &mut Counts,
    ) -> Result<(), StoreError> {
        let channel = at.channel;
        let before = self.shelved(blob)?;
        counts.blobs += 1;
        counts.bytes = counts.bytes.saturating_add(blob.size);
        if before.as_ref().is_some_and(|before| before.bytes == blob.size) {
            counts.blobs_here += 1;
            counts.bytes_here += blob.size;
        }
        let reference = self.reference(blob, &channel)?;
        if let (Some(before), Some(reference)) = (&before, &reference) {
            self.remove_missing(blob, before, reference)?;
        }
        let times = reference.map_or(0, |reference| reference.times) + 1;
        let reference = Reference { channel, number, times };
        self.put_reference(blob, reference)?;
        let after = self.named(blob, before, (at, number));
        self.shelve(blob, &after)?;
        self.put_missing(blob, &after, &reference)
    }

    /// An item that named a blob is the channel's no longer.
    pub(super) fn no_longer_refer(
        &mut self,
        blob: &BlobId,
        channel: &ChannelId,
        counts: &mut Counts,
    ) -> Result<(), StoreError> {
        let Some(reference) = self.reference(blob, channel)? else { return Ok(()) };
        let Some(shelved) = self.shelved(blob)? else { return Ok(()) };
        counts.blobs = counts.blobs.saturating_sub(1);
        counts.bytes = counts.bytes.saturating_sub(blob.size);
        if shelved.bytes == blob.size {
            counts.blobs_here = counts.blobs_here.saturating_sub(1);
            counts.bytes_here = counts.bytes_here.saturating_sub(blob.size);
        }
        if reference.times > 1 {
            return self.put_reference(blob, Reference { times: reference.times - 1, ..reference });
        }
        self.remove(Table::References, &key::reference(blob, channel))?;
        self.remove_missing(blob, &shelved, &reference)?;
        self.forget_unless_named(blob)
    }

    /// The channels that name a blob.
    pub(crate) fn channels_naming(&self, blob: &BlobId) -> Result<Vec<ChannelId>, StoreError> {
        Ok(self.references(blob)?.into_iter().map(|reference| reference.channel).collect())
    }

    /// Whether an item of `channel` names a blob.
    pub(crate) fn is_named(&self, blob: &BlobId, channel: &ChannelId) -> Result<bool, StoreError> {
        Ok(self.reference(blob, channel)?.is_some())
    }

    /// Forgets a blob that no channel names any more; one that others name counts in their budgets.
    pub(super) fn forget_unless_named(&mut self, blob: &BlobId) -> Result<(), StoreError> {
        let Some(before) = self.shelved(blob)? else { return Ok(()) };
        let references = self.references(blob)?;
        if let Some(Reference { channel, number, .. }) = references.first().copied() {
            if references.iter().any(|reference| reference.channel == before.channel) {
                return Ok(());
            }
            return self.shelve(blob, &Shelved { channel, number, ..before });
        }
        self.shelve(blob, &Shelved { bytes: 0, ..before })?;
        let prefix = key::blob(blob);
        self.remove(Table::Blobs, &prefix)?;
        self.remove_all(Table::Groups, &prefix)?;
        self.remove_all(Table::Cvs, &prefix)?;
        self.cvs.forget(blob);
        let others = self.entries(Table::Blobs, blob.hash.as_bytes(), |key, _| Some(key.len()))?;
        if others.is_empty() {
            self.store.remove_blob(&blob.hash)?;
        }
        Ok(())
    }

    /// A blob that a channel names so many times has become whole, or no longer is: changes the
    /// channel's sums.
    pub(super) fn turn(
        &mut self,
        (blob, times): (&BlobId, u64),
        channel: &ChannelId,
        turn: Turn,
    ) -> Result<(), StoreError> {
        let bytes = blob.size.saturating_mul(times);
        self.count(channel, |counts| match turn {
            Turn::Whole => {
                counts.blobs_here = counts.blobs_here.saturating_add(times);
                counts.bytes_here = counts.bytes_here.saturating_add(bytes);
            }
            Turn::Broken => {
                counts.blobs_here = counts.blobs_here.saturating_sub(times);
                counts.bytes_here = counts.bytes_here.saturating_sub(bytes);
            }
        })
    }

    /// At most one reference per channel, and of those at most as many as can be shared.
    pub(super) fn references(&self, blob: &BlobId) -> Result<Vec<Reference>, StoreError> {
        let prefix = key::blob(blob);
        let mut found = Vec::new();
        self.store.scan(Table::References, &prefix, &mut |key, value| {
            let Some(channel) = key.strip_prefix(prefix.as_slice()) else { return false };
            let channel = channel.try_into().ok().map(ChannelId);
            found.extend(channel.and_then(|channel| read_reference(channel, value)));
            true
        })?;
        Ok(found)
    }

    fn reference(
        &self,
        blob: &BlobId,
        channel: &ChannelId,
    ) -> Result<Option<Reference>, StoreError> {
        let value = self.store.get(Table::References, &key::reference(blob, channel))?;
        Ok(value.and_then(|value| read_reference(*channel, &value)))
    }

    fn put_reference(&mut self, blob: &BlobId, reference: Reference) -> Result<(), StoreError> {
        let Reference { channel, number, times } = reference;
        let value = [number.to_be_bytes(), times.to_be_bytes()].concat();
        self.put(Table::References, &key::reference(blob, &channel), &value)
    }

    fn put_page(&mut self, page: &PageId, here: &Bitmap) -> Result<(), StoreError> {
        self.put(Table::Groups, &key::groups(&page.blob, page.index), &here.to_bytes())
    }
}

/// What becomes of a blob.
#[derive(Clone, Copy)]
pub(super) enum Turn {
    Whole,
    Broken,
}

fn read_reference(channel: ChannelId, value: &[u8]) -> Option<Reference> {
    let (number, times) = value.split_first_chunk()?;
    let times = u64::from_be_bytes(times.try_into().ok()?);
    Some(Reference { channel, number: u64::from_be_bytes(*number), times })
}

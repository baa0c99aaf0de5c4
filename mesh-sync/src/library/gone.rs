//! Items without their content: that is gone for good, because it was retracted or has expired, or
//! it is lacking, because it has rotted or came without.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use mesh_wire::codec::{Extensions, List, Opaque, Wire};
use mesh_wire::message::sync::{Item, ItemHeader, ItemKind, Place, Retract};
use mesh_wire::{ChannelId, Label, UnixTime, limits};

use super::channels::{is_content, written};
use super::{BATCH, Kept, Library};
use crate::blob::BlobId;
use crate::board::{NOTES, note};
use crate::channel::LogId;
use crate::channel::record::Counts;
use crate::command::Refused;
use crate::store::{Store, StoreError, Table, key};

/// The extension of a header that says when its content expires.
const EXPIRES: u64 = 2;

/// What is noted of an item that is gone and whose header has rotted.
pub(super) const NO_CONTENT: u64 = u64::MAX;

/// Why the content of an item is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Its time was over.
    Expired,
    /// The retract item that stands there says so.
    Retracted(Place),
}

/// When the content of an item expires, if it does.
// spec: SYNC-43
pub(crate) fn expiry(header: &ItemHeader) -> Option<UnixTime> {
    let moment = UnixTime::from_bytes(header.extensions.get(EXPIRES)?).ok();
    moment.filter(|_| is_content(header.kind))
}

/// When the content of an item that stands there goes, or all that there is of a note.
// spec: SYNC-43, SYNC-65
pub(super) fn end(at: &LogId, header: &ItemHeader) -> Option<UnixTime> {
    if at.log == NOTES { Some(note::end(header)) } else { expiry(header) }
}

/// The extensions of a header whose content expires then.
pub(super) fn expiring(moment: Option<UnixTime>) -> Extensions {
    let moment = moment.map(|moment| moment.min(UnixTime::MAX).to_bytes());
    moment.and_then(|moment| Extensions::one(EXPIRES, &moment)).unwrap_or_default()
}

impl Gone {
    fn to_bytes(&self) -> Bytes {
        match self {
            Self::Expired => Bytes::new(),
            Self::Retracted(by) => by.to_bytes(),
        }
    }

    fn from_bytes(bytes: Bytes) -> Self {
        Place::from_bytes(bytes).map_or(Self::Expired, Self::Retracted)
    }
}

impl<S: Store> Library<S> {
    /// Why the content of an item is gone, if it is.
    pub(crate) fn gone(&self, at: &LogId, seq: u64) -> Result<Option<Gone>, StoreError> {
        let gone = self.store.get(Table::Gone, &key::item(at, seq))?;
        Ok(gone.map(Gone::from_bytes))
    }

    /// Which of these items are known to be gone, be they here or not.
    pub(crate) fn gone_among(&self, at: &LogId, items: Range<u64>) -> Result<Vec<u64>, StoreError> {
        let mut found = Vec::new();
        self.store.scan(Table::Gone, &key::item(at, items.start), &mut |key, _| {
            let place = key::read_item(key).filter(|(log, _)| log == at);
            let seq = place.map(|(_, seq)| seq).filter(|seq| items.contains(seq));
            found.extend(seq);
            seq.is_some()
        })?;
        Ok(found)
    }

    /// The first item of a log from `seq` on whose content is lacking.
    // spec: SYNC-45
    pub(crate) fn lacking_from(&self, at: &LogId, seq: u64) -> Result<Option<u64>, StoreError> {
        let mut found = None;
        self.store.scan(Table::Lacking, &key::item(at, seq), &mut |key, _| {
            found = key::read_item(key).filter(|(log, _)| log == at).map(|(_, seq)| seq);
            false
        })?;
        Ok(found)
    }

    /// The content of an item is lacking; when it comes, so many bytes more are here.
    pub(super) fn lack(&mut self, at: &LogId, seq: u64, bytes: u64) -> Result<(), StoreError> {
        if self.owed(at, seq)?.is_none() {
            self.put(Table::Lacking, &key::item(at, seq), &bytes.to_be_bytes())?;
        }
        if let Some(log) = self.log_mut(at) {
            log.patchy = true;
        }
        let first = self.wounds.entry(*at).or_insert(seq);
        *first = seq.min(*first);
        Ok(())
    }

    /// How many bytes more are here when an item's content comes that is lacking.
    pub(super) fn owed(&self, at: &LogId, seq: u64) -> Result<Option<u64>, StoreError> {
        let owed = self.store.get(Table::Lacking, &key::item(at, seq))?;
        Ok(owed.map(|owed| owed.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))))
    }

    /// Retracts the content of items, by the numbers under which they are read here.
    // spec: SYNC-44
    pub(crate) fn retract(
        &mut self,
        time: UnixTime,
        id: &ChannelId,
        numbers: &[u64],
    ) -> Result<Kept, Refused> {
        let channel = self.writable(id)?;
        let mut places = BTreeSet::new();
        for number in numbers {
            let is_here = *number < channel.counts.arrived;
            let place = if is_here { self.place(id, *number)? } else { None };
            let valid = place.filter(|(at, seq)| *seq < channel.valid(at.log));
            let (at, seq) = valid.ok_or(Refused::NoSuchItem)?;
            if !self.header(&at, seq)?.is_some_and(|header| is_content(header.kind)) {
                return Err(Refused::NoSuchItem);
            }
            if !matches!(self.gone(&at, seq)?, Some(Gone::Retracted(_))) {
                places.insert((at.log, seq));
            }
        }
        let items = places.into_iter().map(|(log, seq)| Place { log, seq });
        let items: Vec<Place> = items.collect();
        let control = channel.charter.control();
        let log = match channel.own() {
            Some(own) if items.iter().all(|item| item.log == own) => own,
            _ if channel.key(control).is_some() => control,
            Some(_) => return Err(Refused::NotYourItem),
            None if items.iter().any(|item| channel.key(item.log).is_some()) => {
                return Err(Refused::Ended);
            }
            None => return Err(Refused::NotYourItem),
        };
        let at = LogId { channel: *id, log };
        self.growing(&at).ok_or(Refused::Forked)?;
        let write = |items: &[Place]| {
            let retract = Retract { items: List::new(items), extensions: Default::default() };
            written(ItemKind::Retract, time, Label::default(), retract.to_bytes())
        };
        self.extend(&at, items.chunks(limits::RETRACTED_ITEMS).map(write).collect())
    }

    /// Does what a retract item says.
    // spec: SYNC-44
    pub(super) fn obey(&mut self, by: (&LogId, u64), body: &Bytes) -> Result<(), StoreError> {
        let (LogId { channel, log }, seq) = (*by.0, by.1);
        let Ok(retract) = Retract::from_bytes(body.clone()) else { return Ok(()) };
        for target in retract.items.iter() {
            let at = LogId { channel, log: target.log };
            // What a control log says is not taken back when the writer's own log is cut.
            let stands = match self.gone(&at, target.seq)? {
                Some(Gone::Retracted(before)) => before.log != at.log || log == at.log,
                Some(Gone::Expired) | None => false,
            };
            if !stands {
                let why = Gone::Retracted(Place { log, seq });
                self.lose(&at, target.seq, &why)?;
            }
        }
        Ok(())
    }

    /// The content of everything goes that has expired by now.
    // spec: SYNC-43
    pub(crate) fn expire(&mut self, now: UnixTime) -> Result<(), StoreError> {
        while self.next_expiry.is_some_and(|next| next <= now) {
            let mut due = Vec::new();
            self.store.scan(Table::Expiries, &[], &mut |key, _| {
                let over = key::read_expiry(key).filter(|(moment, _, _)| *moment <= now);
                due.extend(over);
                over.is_some() && due.len() < BATCH
            })?;
            for (moment, at, seq) in due {
                self.remove(Table::Expiries, &key::expiry(moment, &at, seq))?;
                if self.gone(&at, seq)?.is_none() {
                    self.lose(&at, seq, &Gone::Expired)?;
                }
            }
            self.next_expiry = self.first_expiry()?;
            if self.uncommitted >= limits::UNCOMMITTED_BYTES {
                self.commit()?;
            }
        }
        Ok(())
    }

    /// When content expires next.
    pub(super) fn first_expiry(&self) -> Result<Option<UnixTime>, StoreError> {
        let mut first = None;
        self.store.scan(Table::Expiries, &[], &mut |key, _| {
            first = key::read_expiry(key).map(|(moment, _, _)| moment);
            false
        })?;
        Ok(first)
    }

    /// The content of an item is to go when its time is over.
    pub(super) fn limit(
        &mut self,
        at: &LogId,
        seq: u64,
        header: &ItemHeader,
    ) -> Result<(), StoreError> {
        let Some(moment) = end(at, header) else { return Ok(()) };
        self.put(Table::Expiries, &key::expiry(moment, at, seq), &[])?;
        self.next_expiry = Some(self.next_expiry.map_or(moment, |next| next.min(moment)));
        Ok(())
    }

    /// The content of an item is gone for good.
    // spec: SYNC-46
    fn lose(&mut self, at: &LogId, seq: u64, why: &Gone) -> Result<(), StoreError> {
        if at.log == NOTES {
            return self.drop_at(at, seq);
        }
        let Some(channel) = self.channels.get(&at.channel) else { return Ok(()) };
        let is_here = seq < channel.size(at.log);
        let header = if is_here { self.header(at, seq)? } else { None };
        if header.as_ref().is_some_and(|header| !is_content(header.kind)) {
            return Ok(());
        }
        let was_gone = self.gone(at, seq)?.is_some();
        self.put(Table::Gone, &key::item(at, seq), &why.to_bytes())?;
        self.changed.insert(at.channel);
        self.has_lost_blobs = true;
        match header {
            Some(header) if !was_gone => self.strip(at, seq, &header),
            _ => Ok(()),
        }
    }

    /// Takes out the content of an item that is here, with all that stands in the store about it.
    pub(super) fn strip(
        &mut self,
        at: &LogId,
        seq: u64,
        header: &ItemHeader,
    ) -> Result<(), StoreError> {
        let Some(channel) = self.channels.get(&at.channel) else { return Ok(()) };
        let mut counts = channel.counts.clone();
        self.uncount(at, seq, header, &mut counts)?;
        if let Some(item) = self.item(at, seq)?.filter(|item| !item.body.bytes().is_empty()) {
            self.put(Table::Items, &key::item(at, seq), &bare(&item).to_bytes())?;
        }
        self.count(&at.channel, |before| *before = counts)
    }

    /// The content of an item that is here is looked for, as far as it is not, counted and referred
    /// to.
    pub(super) fn look_for(
        &mut self,
        (at, seq, number): (&LogId, u64, u64),
        header: &ItemHeader,
        is_bare: bool,
        counts: &mut Counts,
    ) -> Result<(), StoreError> {
        let blob = BlobId::of(header);
        let inside = if blob.is_none() { header.size } else { 0 };
        counts.bytes = counts.bytes.saturating_add(inside);
        match is_bare {
            true => self.lack(at, seq, inside)?,
            false => counts.bytes_here = counts.bytes_here.saturating_add(inside),
        }
        if let Some(blob) = blob {
            self.refer(&blob, (at, number), counts)?;
        }
        self.limit(at, seq, header)
    }

    /// Content is no longer looked for, counted or referred to.
    pub(super) fn uncount(
        &mut self,
        at: &LogId,
        seq: u64,
        header: &ItemHeader,
        counts: &mut Counts,
    ) -> Result<(), StoreError> {
        let owed = self.owed(at, seq)?;
        if owed.is_some() {
            self.remove(Table::Lacking, &key::item(at, seq))?;
        }
        if let Some(moment) = end(at, header) {
            self.remove(Table::Expiries, &key::expiry(moment, at, seq))?;
        }
        match BlobId::of(header) {
            None => {
                counts.bytes = counts.bytes.saturating_sub(header.size);
                let here = header.size.saturating_sub(owed.unwrap_or(0));
                counts.bytes_here = counts.bytes_here.saturating_sub(here);
            }
            Some(blob) => self.no_longer_refer(&blob, &at.channel, counts)?,
        }
        Ok(())
    }

    /// Retract items of a log from `keep` on are void: what they alone took is fetched again.
    // spec: SYNC-44
    pub(super) fn unsay(&mut self, at: &LogId, keep: u64) -> Result<(), StoreError> {
        let Some(channel) = self.channels.get(&at.channel) else { return Ok(()) };
        let is_ours = channel.key(at.log).is_some();
        // What its writer said of the logs of others is void, too.
        let prefix = key::channel(&at.channel);
        loop {
            let said = self.entries(Table::Gone, &prefix, |key, value| {
                let (of, seq) = key::read_item(key)?;
                let is_void = match Gone::from_bytes(Bytes::copy_from_slice(value)) {
                    Gone::Retracted(by) => by.log == at.log && by.seq >= keep,
                    Gone::Expired => of == *at && seq >= keep,
                };
                (is_void && (of != *at || seq < keep || !is_ours)).then_some((of, seq))
            })?;
            if said.is_empty() {
                return Ok(());
            }
            for (of, seq) in said {
                self.remove(Table::Gone, &key::item(&of, seq))?;
                self.changed.insert(at.channel);
                self.has_lost_blobs = true;
                let size = self.channels.get(&of.channel).map_or(0, |it| it.size(of.log));
                let is_here = seq < if of == *at { keep } else { size };
                let header = if is_here { self.header(&of, seq)? } else { None };
                if let Some(header) = header {
                    self.regain(&of, seq, &header)?;
                }
            }
        }
    }

    /// Content that was gone may come again.
    fn regain(&mut self, at: &LogId, seq: u64, header: &ItemHeader) -> Result<(), StoreError> {
        let Some(channel) = self.channels.get(&at.channel) else { return Ok(()) };
        let mut counts = channel.counts.clone();
        if let Some(number) = self.number(at, seq)? {
            let is_bare = (1..=limits::INLINE_BYTES as u64).contains(&header.size);
            self.look_for((at, seq, number), header, is_bare, &mut counts)?;
        }
        self.count(&at.channel, |before| *before = counts)
    }

    /// What an item that is here says about its content, if that can be read.
    pub(super) fn header(&self, at: &LogId, seq: u64) -> Result<Option<ItemHeader>, StoreError> {
        let item = self.item(at, seq)?;
        Ok(item.and_then(|item| ItemHeader::from_bytes(item.header.into_bytes()).ok()))
    }
}

/// An item without its body.
pub(super) fn bare(item: &Item) -> Item {
    Item { header: item.header.clone(), body: Opaque::default() }
}

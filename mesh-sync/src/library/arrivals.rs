//! The items of a channel by the numbers under which its owner reads them: in the order in which
//! they came in, whatever log they are of. Where they came in the order of a log, at one time, a
//! whole run takes one row.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::ops::Range;

use mesh_wire::codec::Wire;
use mesh_wire::message::sync::{ItemHeader, Place};
use mesh_wire::{ChannelId, UnixTime, limits};

use super::Library;
use crate::board::NOTES;
use crate::channel::{LogId, parents};
use crate::store::{Store, StoreError, Table, key};

/// Items among which what was read last is looked for.
const RECENT: u64 = 256;

/// Items that came in one after the other, as they stand in their log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) at: LogId,
    /// The place of the first in its log.
    pub(crate) seq: u64,
    /// Its number here.
    pub(crate) number: u64,
    /// When they came; 0 while the channel has one log, whose order is known.
    pub(crate) when: UnixTime,
}

impl Arrival {
    /// The place in their log of the item with this number, one of these.
    pub(crate) fn seq_of(&self, number: u64) -> u64 {
        self.seq.saturating_add(number.saturating_sub(self.number))
    }
}

impl<S: Store> Library<S> {
    /// Where the item with this number stands.
    pub(crate) fn place(
        &self,
        channel: &ChannelId,
        number: u64,
    ) -> Result<Option<(LogId, u64)>, StoreError> {
        let found = self.arrivals(channel, number..number.saturating_add(1))?.pop();
        Ok(found.map(|arrival| (arrival.at, arrival.seq_of(number))))
    }

    /// How the items with these numbers came in, the last first.
    pub(crate) fn arrivals(
        &self,
        channel: &ChannelId,
        numbers: Range<u64>,
    ) -> Result<Vec<Arrival>, StoreError> {
        let mut found = Vec::new();
        let Some(last) = numbers.end.checked_sub(1).filter(|last| *last >= numbers.start) else {
            return Ok(found);
        };
        self.store.scan(Table::Arrivals, &key::arrival(channel, last), &mut |key, value| {
            let arrival = read(channel, key, value);
            found.extend(arrival);
            arrival.is_some_and(|arrival| arrival.number > numbers.start)
        })?;
        Ok(found)
    }

    /// The number under which an item of a log that is here is read.
    pub(super) fn number(&self, at: &LogId, seq: u64) -> Result<Option<u64>, StoreError> {
        let arrived = self.channels.get(&at.channel).map_or(0, |it| it.counts.arrived);
        let mut end = arrived;
        for run in self.arrivals(&at.channel, 0..arrived)? {
            let length = end - run.number;
            end = run.number;
            if run.at == *at && (run.seq..run.seq + length).contains(&seq) {
                return Ok(Some(run.number + seq - run.seq));
            }
        }
        Ok(None)
    }

    /// What the next item of a log of ours names as read before it: the newest of each other log
    /// that came in since its own last one, but for those that something named that came later.
    // spec: SYNC-49
    pub(super) fn parents(&self, at: &LogId) -> Result<Vec<Place>, StoreError> {
        let Some(channel) = self.sound(&at.channel) else { return Ok(Vec::new()) };
        let mut end = channel.counts.arrived;
        let numbers = end.saturating_sub(RECENT)..end;
        let (mut newest, mut met) = (Vec::new(), BTreeSet::new());
        let mut implied: Vec<Place> = Vec::new();
        for arrival in self.arrivals(&at.channel, numbers.clone())? {
            let (first, log) = (arrival.number.max(numbers.start), arrival.at.log);
            if log == at.log {
                break;
            }
            if log == NOTES {
                end = first;
                continue;
            }
            // What was taken out again, or does not count, was not read.
            let end = arrival.seq_of(core::mem::replace(&mut end, first));
            for seq in (arrival.seq_of(first)..end.min(channel.valid(log))).rev() {
                let covers = |place: &Place| place.log == log && place.seq >= seq;
                if met.insert(log) && !implied.iter().any(covers) {
                    newest.push(Place { log, seq });
                }
                let item = self.item(&arrival.at, seq)?;
                let header = item.map(|item| ItemHeader::from_bytes(item.header.into_bytes()));
                let named = header.and_then(Result::ok).map(|header| parents::of(log, &header));
                // From what does not exist yet nothing follows.
                let is_here = |place: &Place| place.seq < channel.valid(place.log);
                implied.extend(named.into_iter().flatten().filter(is_here));
            }
        }
        newest.truncate(limits::PARENTS);
        newest.sort_by_key(|place| place.log);
        Ok(newest)
    }

    /// Items come in.
    pub(super) fn arrive(&mut self, new: Arrival) -> Result<(), StoreError> {
        let channel = new.at.channel;
        let before = self.arrivals(&channel, new.number.saturating_sub(1)..new.number)?.pop();
        let is_next = |before: Arrival| {
            before.at == new.at && before.when == new.when && before.seq_of(new.number) == new.seq
        };
        if before.is_some_and(is_next) {
            return Ok(());
        }
        let (log, seq, UnixTime(when)) = (new.at.log, new.seq, new.when);
        let row = [&log.to_be_bytes()[..], &seq.to_be_bytes(), &when.to_be_bytes()].concat();
        self.put(Table::Arrivals, &key::arrival(&channel, new.number), &row)
    }
}

fn read(channel: &ChannelId, key: &[u8], value: &[u8]) -> Option<Arrival> {
    let (owner, number) = key::read_arrival(key).filter(|(owner, _)| owner == channel)?;
    let (log, rest) = value.split_first_chunk()?;
    let (seq, when) = rest.split_first_chunk()?;
    let at = LogId { channel: owner, log: u32::from_be_bytes(*log) };
    let when = UnixTime(u64::from_be_bytes(when.try_into().ok()?));
    Some(Arrival { at, seq: u64::from_be_bytes(*seq), number, when })
}

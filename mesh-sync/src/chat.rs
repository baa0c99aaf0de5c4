//! The order in which people read what several write: no item before what its writer had read, and
//! for the rest by the time.
//!
//! It is a view, made anew each time; the numbers of items, by which apps read on, stay as they
//! are. It follows from the items and from when each came in here, which counts only for those that
//! say they were written later than that.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use mesh_wire::message::sync::Place;
use mesh_wire::{ChannelId, UnixTime, limits};

use crate::channel::parents;
use crate::command::Refused;
use crate::library::is_content;
use crate::status::ItemStatus;
use crate::store::Store;
use crate::sync::Sync;

/// A text or a file in its place in a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The item.
    pub item: ItemStatus,
    /// It stands before one that was shown already.
    pub is_late: bool,
}

impl<S: Store> Sync<S> {
    /// The texts and files numbered from `shown` on among the newest [`limits::CHAT_ITEMS`] items
    /// of a channel, in the order in which people read them. Those numbered below have been shown:
    /// what came too late to stand before one of them says so.
    // spec: SYNC-50
    pub fn chat(&self, channel: &ChannelId, shown: u64) -> Result<Vec<Placed>, Refused> {
        self.is_open()?;
        let mut end = self.arrived_in(channel)?;
        // Of notes that have gone nothing is left but a number.
        let reach = match self.library.board(channel) {
            Some(_) => limits::BOARD_NOTES,
            None => limits::CHAT_ITEMS,
        };
        let first = end.saturating_sub(reach as u64);
        let mut entries = Vec::new();
        'all: for arrival in self.library.arrivals(channel, first..end)? {
            let (start, at) = (arrival.number.max(first), arrival.at);
            for number in (start..core::mem::replace(&mut end, start)).rev() {
                let seq = arrival.seq_of(number);
                let Some((item, _)) = self.read_at(&at, seq, number)? else { continue };
                let parents =
                    if item.is_note { Vec::new() } else { parents::of(at.log, &item.header) };
                let time = plausible(item.header.time, arrival.when);
                let place = Place { log: at.log, seq };
                entries.push(Entry { place, time, parents, content: item });
                if entries.len() == limits::CHAT_ITEMS {
                    break 'all;
                }
            }
        }
        arrange(&mut entries);
        let (mut placed, mut is_late) = (Vec::new(), false);
        for item in order(entries).into_iter().rev().filter(|item| is_content(item.header.kind)) {
            match item.number < shown {
                true => is_late = true,
                false => placed.push(Placed { item, is_late }),
            }
        }
        placed.reverse();
        Ok(placed)
    }
}

/// Notes have no order but that of their times: they stand as in a log that has it.
// spec: SYNC-50
fn arrange(entries: &mut [Entry<ItemStatus>]) {
    let mut notes: Vec<_> = entries.iter_mut().filter(|entry| entry.content.is_note).collect();
    notes.sort_by_key(|note| (note.time, note.content.writer, note.content.header.hash));
    (0..).zip(notes).for_each(|(seq, note)| note.place.seq = seq);
}

/// When something may have been written that came in at `when` (0 if nobody knows).
// spec: SYNC-50
fn plausible(time: UnixTime, when: UnixTime) -> UnixTime {
    let ahead = limits::AHEAD_TIME.as_millis() as u64;
    match when {
        UnixTime(0) => time,
        UnixTime(when) => time.min(UnixTime(when.saturating_add(ahead))),
    }
}

/// An item that is to be placed.
struct Entry<T> {
    place: Place,
    time: UnixTime,
    parents: Vec<Place>,
    content: T,
}

/// The first item of a log that has no place yet, and when it counts as written by what is known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Head {
    time: UnixTime,
    log: u32,
    /// The first log by whose items it has to wait.
    waits_for: Option<u32>,
}

/// Puts items in their order. Who lies about what it has read may make items wait for each other
/// in a circle: then the one of the circle that counts as the oldest goes first.
// spec: SYNC-50
fn order<T>(mut entries: Vec<Entry<T>>) -> Vec<T> {
    entries.sort_by_key(|entry| (entry.place.log, entry.place.seq));
    // What was taken out and came in again has two numbers.
    entries.dedup_by(|a, b| a.place == b.place);
    let mut logs: BTreeMap<u32, VecDeque<Entry<T>>> = BTreeMap::new();
    let mut times: BTreeMap<(u32, u64), UnixTime> = BTreeMap::new();
    let mut placed = Vec::with_capacity(entries.len());
    for entry in entries {
        logs.entry(entry.place.log).or_default().push_back(entry);
    }
    loop {
        let heads: Vec<Head> = logs.values().filter_map(|log| head(log, &logs, &times)).collect();
        let free = heads.iter().filter(|head| head.waits_for.is_none()).min();
        let Some(next) = free.or_else(|| circle(&heads)) else { return placed };
        let Some(entry) = logs.get_mut(&next.log).and_then(VecDeque::pop_front) else {
            return placed;
        };
        times.insert((entry.place.log, entry.place.seq), next.time);
        placed.push(entry.content);
    }
}

fn head<T>(
    log: &VecDeque<Entry<T>>,
    logs: &BTreeMap<u32, VecDeque<Entry<T>>>,
    times: &BTreeMap<(u32, u64), UnixTime>,
) -> Option<Head> {
    let Entry { place: Place { log, seq }, time, parents, .. } = log.front()?;
    // What is not among these items counts as read long ago, or as not there.
    let is_to_come = |parent: &&Place| {
        let others = logs.get(&parent.log).and_then(|others| others.front().zip(others.back()));
        others.is_some_and(|(next, last)| (next.place.seq..=last.place.seq).contains(&parent.seq))
    };
    let before = seq.checked_sub(1).map(|seq| Place { log: *log, seq });
    let before = parents.iter().chain(&before);
    let known = before.filter_map(|place| times.get(&(place.log, place.seq)));
    Some(Head {
        time: known.fold(*time, |latest, time| latest.max(*time)),
        log: *log,
        waits_for: parents.iter().find(is_to_come).map(|parent| parent.log),
    })
}

/// Of heads that all wait for one another: the oldest of a circle of them.
fn circle(heads: &[Head]) -> Option<&Head> {
    let mut path: Vec<&Head> = Vec::new();
    let mut next = heads.iter().min()?;
    loop {
        if let Some(start) = path.iter().position(|head| head.log == next.log) {
            return path.get(start..)?.iter().copied().min();
        }
        path.push(next);
        let waits_for = next.waits_for?;
        next = heads.iter().find(|head| head.log == waits_for)?;
    }
}

#[cfg(test)]
mod tests;

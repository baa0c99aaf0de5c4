//! FINDs that came by: each is passed on once, and its answers go back the way it came.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use mesh_wire::message::routing::Find;
use mesh_wire::{LinkId, Time, limits};

/// The FINDs of the last seconds.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    finds: BTreeMap<[u8; 8], Entry>,
    order: VecDeque<[u8; 8]>,
}

/// One FIND.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The link it came over first: answers go back there.
    pub(crate) ingress: LinkId,
    /// This node has blamed who is behind that link.
    pub(crate) is_doubtful: bool,
    /// All links it came over.
    pub(crate) heard: Vec<LinkId>,
    /// What the first copy cost to here.
    pub(crate) cost: u32,
    pub(crate) since: Time,
    /// When to pass it on, and what.
    pub(crate) onward: Option<(Time, Box<Find>)>,
    /// Answers given here.
    pub(crate) given: u8,
    /// The proofs of the answers passed back.
    pub(crate) passed: Vec<[u8; 16]>,
    /// Whether it has gone on to an anchor.
    pub(crate) is_led: bool,
}

impl Seen {
    /// The entry of a FIND that was seen before and is not forgotten.
    pub(crate) fn get(&mut self, now: Time, id: &[u8; 8]) -> Option<&mut Entry> {
        self.finds.get_mut(id).filter(|entry| now < entry.since + limits::FIND_LIFE)
    }

    /// Remembers a FIND that is not; those of long ago are forgotten, and the oldest makes room.
    // spec: ROUTE-1
    pub(crate) fn insert(&mut self, now: Time, id: [u8; 8], entry: Entry) {
        while let Some(oldest) = self.order.front().copied()
            && (self.order.len() >= limits::FINDS || self.get(now, &oldest).is_none())
        {
            self.finds.remove(&oldest);
            self.order.pop_front();
        }
        self.finds.insert(id, entry);
        self.order.push_back(id);
    }

    /// FINDs whose time to go on has come, with the links they are not to go to.
    pub(crate) fn due(&mut self, now: Time) -> Vec<(Find, Vec<LinkId>)> {
        let entries = self.finds.values_mut();
        let due = entries.filter_map(|entry| {
            let (_, find) = entry.onward.take_if(|(at, _)| *at <= now)?;
            Some((*find, entry.heard.clone()))
        });
        due.collect()
    }

    pub(crate) fn wake_at(&self) -> Option<Time> {
        let onward = self.finds.values().filter_map(|entry| entry.onward.as_ref());
        onward.map(|(at, _)| *at).min()
    }

    /// How many went to everybody and are remembered.
    pub(crate) fn count(&self, now: Time) -> usize {
        let recent = |entry: &&Entry| now < entry.since + limits::FIND_LIFE && !entry.is_led;
        self.finds.values().filter(recent).count()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(crate) fn weight(&self) -> usize {
        let entry = |entry: &Entry| {
            let onward = entry.onward.as_ref().map_or(0, |_| size_of::<Find>());
            size_of::<Entry>() + 16 + entry.heard.len() * size_of::<LinkId>() + onward
        };
        self.finds.values().map(entry).sum()
    }
}

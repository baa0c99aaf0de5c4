//! Pages that a neighbour asks of us, and what it still waits for.

use alloc::collections::{BTreeMap, VecDeque};
use core::mem::size_of;
use core::time::Duration;

use mesh_wire::{ChannelId, Fault, Time, limits};

use super::said::Said;
use crate::blob::{Bitmap, BlobId, PageId};

/// The pages that a neighbour has asked about.
#[derive(Default)]
pub(crate) struct Served {
    pages: BTreeMap<u32, Page>,
    /// Handles with something to send, whose turn it is first.
    turns: VecDeque<u32>,
}

/// One page.
struct Page {
    page: PageId,
    /// The channel that gives it the right to ask, if it named one that both share.
    channel: Option<ChannelId>,
    said: Said,
    /// It has changed a little: that can wait for the next round of chores.
    late: bool,
    groups: VecDeque<u16>,
    levels: u8,
}

/// What is to be sent next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) handle: u32,
    pub(crate) page: PageId,
    pub(crate) channel: Option<ChannelId>,
    pub(crate) part: Part,
}

/// What a neighbour is to be told about a page.
pub(crate) struct Answer {
    pub(crate) handle: u32,
    pub(crate) page: PageId,
    pub(crate) channel: Option<ChannelId>,
}

/// A part of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A page of chaining values of this level.
    Cvs(u8),
    /// A group.
    Group(u16),
}

impl Served {
    /// The neighbour asks about a page.
    pub(crate) fn ask(
        &mut self,
        handle: u32,
        page: PageId,
        channel: Option<ChannelId>,
    ) -> Result<(), Fault> {
        if !self.pages.contains_key(&handle) && self.pages.len() >= limits::ASKED_PAGES {
            return Err(Fault::Limit("too many pages at a time"));
        }
        let (said, late, groups, levels) = (Said::owed(), false, VecDeque::new(), 0);
        self.pages.insert(handle, Page { page, channel, said, late, groups, levels });
        Ok(())
    }

    /// It needs a page no longer.
    pub(crate) fn drop(&mut self, handle: u32) {
        self.pages.remove(&handle);
        self.turns.retain(|waiting| *waiting != handle);
    }

    /// It asks for groups. More than [`limits::GROUPS_IN_FLIGHT`] of a page do not wait here.
    pub(crate) fn want_groups(&mut self, handle: u32, groups: impl Iterator<Item = u16>) {
        let Some(page) = self.pages.get_mut(&handle) else { return };
        for group in groups.take(limits::GROUPS_IN_FLIGHT) {
            if page.groups.len() < limits::GROUPS_IN_FLIGHT && !page.groups.contains(&group) {
                page.groups.push_back(group);
            }
        }
        self.line_up(handle);
    }

    /// It asks for chaining values.
    pub(crate) fn want_cvs(&mut self, handle: u32, level: u8) {
        let Some(page) = self.pages.get_mut(&handle) else { return };
        page.levels |= 1_u8.checked_shl(u32::from(level)).unwrap_or(0);
        self.line_up(handle);
    }

    fn line_up(&mut self, handle: u32) {
        if !self.turns.contains(&handle) {
            self.turns.push_back(handle);
        }
    }

    /// What to send next, without taking it: chaining values before groups, pages in turn.
    pub(crate) fn next(&mut self) -> Option<Order> {
        while let Some(handle) = self.turns.front().copied() {
            if let Some(page) = self.pages.get(&handle) {
                let level = (page.levels != 0).then_some(page.levels.trailing_zeros() as u8);
                let group = || page.groups.front().map(|group| Part::Group(*group));
                if let Some(part) = level.map(Part::Cvs).or_else(group) {
                    return Some(Order { handle, page: page.page, channel: page.channel, part });
                }
            }
            self.turns.pop_front();
        }
        None
    }

    /// What [`Served::next`] gave was sent or cannot be.
    pub(crate) fn done(&mut self, order: &Order) {
        if let Some(page) = self.pages.get_mut(&order.handle) {
            match order.part {
                Part::Cvs(level) => page.levels &= !(1 << level),
                Part::Group(_) => drop(page.groups.pop_front()),
            }
        }
        self.turns.rotate_left(usize::from(!self.turns.is_empty()));
    }

    /// More or less of a page is here now.
    pub(crate) fn changed(&mut self, page: &PageId, here: &Bitmap) {
        for served in self.pages.values_mut().filter(|served| served.page == *page) {
            if here.count() == page.groups() {
                served.said.owe();
            } else {
                served.late = true;
            }
        }
    }

    /// Nothing of a blob is here any more.
    pub(crate) fn given_up(&mut self, blob: &BlobId) {
        for served in self.pages.values_mut().filter(|served| served.page.blob == *blob) {
            served.said.owe();
        }
    }

    /// A page of which something has to be said now.
    pub(crate) fn answer(&self) -> Option<Answer> {
        let (handle, page) = self.pages.iter().find(|(_, page)| page.said.is_due())?;
        Some(Answer { handle: *handle, page: page.page, channel: page.channel })
    }

    /// It was said under a serial.
    pub(crate) fn answered(&mut self, now: Time, patience: Duration, (handle, serial): (u32, u32)) {
        if let Some(page) = self.pages.get_mut(&handle) {
            page.late = false;
            page.said.said(now, patience, serial);
        }
    }

    /// The neighbour has taken an answer.
    pub(crate) fn heard(&mut self, serial: u32) {
        for page in self.pages.values_mut() {
            page.said.heard(serial);
        }
    }

    /// Answers that could wait are due now, and those that were not heard.
    pub(crate) fn chores(&mut self, now: Time) {
        for page in self.pages.values_mut() {
            page.said.is_overdue(now);
            if core::mem::take(&mut page.late) {
                page.said.owe();
            }
        }
    }

    /// Everything that was said may have been wrong.
    pub(crate) fn tell_all(&mut self) {
        self.pages.values_mut().for_each(|page| page.said.owe());
    }

    /// Whether an answer waits for the next round of chores, or to be heard.
    pub(crate) fn is_waiting(&self) -> bool {
        self.pages.values().any(|page| page.late || page.said.is_waiting())
    }

    /// Bytes held for the neighbour.
    pub(crate) fn weight(&self) -> usize {
        let groups: usize = self.pages.values().map(|page| page.groups.len()).sum();
        self.pages.len() * size_of::<(u32, Page)>()
            + groups * size_of::<u16>()
            + self.turns.len() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_wire::Hash;

    fn page(index: u64) -> PageId {
        PageId { blob: BlobId { hash: Hash([1; 32]), size: 1 << 40 }, index }
    }

    #[test]
    fn pages_are_served_in_turn_and_values_before_groups() {
        let mut served = Served::default();
        for handle in [3, 4] {
            served.ask(handle, page(u64::from(handle)), None).unwrap();
            served.want_groups(handle, [7, 5, 7].into_iter());
        }
        served.want_cvs(4, 0);
        let mut order = std::vec::Vec::new();
        while let Some(next) = served.next() {
            order.push((next.handle, next.part));
            served.done(&next);
        }
        let group = Part::Group;
        let cvs = Part::Cvs(0);
        assert_eq!(order, [(3, group(7)), (4, cvs), (3, group(5)), (4, group(7)), (4, group(5))]);
    }

    #[test]
    fn what_a_neighbour_asks_for_is_bounded() {
        let mut served = Served::default();
        let full = limits::ASKED_PAGES as u32;
        for handle in 0..full {
            served.ask(handle, page(0), None).unwrap();
            for round in 0..10 {
                served.want_groups(handle, (0..1000).map(|group| group * 7 + round));
            }
            (0..=255).for_each(|level| served.want_cvs(handle, level));
        }
        assert!(served.ask(full, page(0), None).is_err());
        assert!(served.weight() < 64 << 10, "{}", served.weight());
    }
}

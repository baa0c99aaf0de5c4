//! What will happen in a world, in the order in which it will.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use bytes::Bytes;
use mesh_wire::{LinkId, Time};

/// Something that will happen.
pub(crate) enum Happening {
    /// A message reaches this end of a link.
    Arrival(LinkId, Bytes),
    /// The last message has left this end of a link.
    Free(LinkId),
    /// This end of a link learns that the other has closed it.
    Down(LinkId),
    /// The alarm of a node goes off.
    Alarm(usize),
}

/// Happenings by time; those of one instant in the order in which they were pushed.
#[derive(Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    pushed: u64,
}

struct Entry {
    at: Time,
    number: u64,
    what: Happening,
}

impl Queue {
    pub(crate) fn push(&mut self, at: Time, what: Happening) {
        self.heap.push(Reverse(Entry { at, number: self.pushed, what }));
        self.pushed += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<(Time, Happening)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.what))
    }

    /// When the next one happens.
    pub(crate) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

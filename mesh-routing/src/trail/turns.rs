//! Packets that wait for one link: those that came over different links take turns.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::ops::Bound;

use mesh_wire::{LinkId, Time, Wire, limits};

use super::hop::Waiting;

/// What waits, by the link it came over: one that brings much delays itself, and not the others.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    queues: BTreeMap<Option<LinkId>, VecDeque<Waiting>>,
    /// Whose turn it was last.
    last: Option<LinkId>,
    bytes: usize,
}

impl Turns {
    pub(crate) fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Bytes of all packets.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Queues a packet. Returns those for which there is no room any more: the last ones of the
    /// link of which most wait.
    // spec: ROUTE-12
    pub(crate) fn push(&mut self, waiting: Waiting) -> Vec<Waiting> {
        self.bytes += waiting.packet.size();
        self.queues.entry(waiting.over()).or_default().push_back(waiting);
        let mut dropped = Vec::new();
        while self.bytes > limits::RELAY_BYTES {
            let bytes = |queue: &VecDeque<Waiting>| queue.iter().map(|w| w.packet.size()).sum();
            let most = self.queues.iter().max_by_key(|(_, queue)| -> usize { bytes(queue) });
            let Some(over) = most.map(|(over, _)| *over) else { break };
            dropped.extend(self.take(over, VecDeque::pop_back));
        }
        dropped
    }

    /// The packet whose turn it is.
    pub(crate) fn front(&self) -> Option<&Waiting> {
        self.queues.get(&self.turn()?)?.front()
    }

    pub(crate) fn pop(&mut self) -> Option<Waiting> {
        let over = self.turn()?;
        self.last = over;
        self.take(over, VecDeque::pop_front)
    }

    /// Takes out what has waited too long.
    // spec: ROUTE-12
    pub(crate) fn stale(&mut self, now: Time) -> Vec<Waiting> {
        let links: Vec<Option<LinkId>> = self.queues.keys().copied().collect();
        let mut stale = Vec::new();
        for over in links {
            let is_stale = |waiting: &mut Waiting| waiting.until <= now;
            while let Some(waiting) = self.take(over, |queue| queue.pop_front_if(is_stale)) {
                stale.push(waiting);
            }
        }
        stale
    }

    /// When something will have waited too long.
    pub(crate) fn stale_at(&self) -> Option<Time> {
        self.queues.values().filter_map(|queue| queue.front()).map(|waiting| waiting.until).min()
    }

    /// Everything.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Waiting> + use<> {
        core::mem::take(self).queues.into_values().flatten()
    }

    fn turn(&self) -> Option<Option<LinkId>> {
        let mut behind = self.queues.range((Bound::Excluded(self.last), Bound::Unbounded));
        behind.next().or_else(|| self.queues.first_key_value()).map(|(over, _)| *over)
    }

    fn take(
        &mut self,
        over: Option<LinkId>,
        one: impl FnOnce(&mut VecDeque<Waiting>) -> Option<Waiting>,
    ) -> Option<Waiting> {
        let queue = self.queues.get_mut(&over)?;
        let taken = one(queue);
        if queue.is_empty() {
            self.queues.remove(&over);
        }
        self.bytes -= taken.as_ref().map_or(0, |waiting| waiting.packet.size());
        taken
    }
}

//! Bad habits, for simulators: what a town holds out is measured with nodes that have them.

use mesh_wire::codec::List;
use mesh_wire::message::routing::Find;
use mesh_wire::{Time, limits};

use super::Trails;

/// How a node treats what it is given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Habit {
    /// As it should.
    #[default]
    Good,
    /// It passes on questions and answers at once, whoever wishes to avoid it; packets of others
    /// it acknowledges and drops.
    BlackHole,
    /// It looks for somebody who does not exist a hundred times a second.
    Flooder,
}

/// Time between two questions of a flooder, in microseconds.
const FLOOD_EVERY: u64 = 10_000;

impl Trails {
    pub(super) fn is_black_hole(&self) -> bool {
        self.habit == Habit::BlackHole
    }

    /// When a flooder asks next.
    pub(super) fn next_nuisance(&self) -> Option<Time> {
        let is_flooder = self.habit == Habit::Flooder && !self.hops.is_empty();
        is_flooder.then(|| Time(self.nuisance_at.0 + FLOOD_EVERY))
    }

    pub(super) fn be_a_nuisance(&mut self, now: Time) {
        if self.next_nuisance().is_some_and(|at| at <= now) {
            self.nuisance_at = now;
            let find = Find {
                id: self.rng.bytes(),
                hops_left: limits::PATH_HOPS as u8,
                cost: 0,
                avoid: List::default(),
                tag: self.rng.bytes(),
                state: self.rng.bytes(),
                hops: List::default(),
                along: List::default(),
            };
            self.pass_on(now, &find, &[]);
        }
    }
}

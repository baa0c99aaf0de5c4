//! Which relays are avoided: those of paths that brought nothing, unless they have been seen to
//! carry.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::time::Duration;

use mesh_wire::{HopTag, Time};

/// What this node thinks of relays.
// spec: ROUTE-16
#[derive(Debug, Default)]
pub(crate) struct Repute {
    /// The worst first.
    blamed: Vec<(HopTag, u32, Time)>,
    /// Relays of paths that brought answers; the last seen last.
    proven: Vec<(HopTag, Time)>,
}

/// What a path that brought nothing adds to the blame of its relays, together.
const BLAME: u32 = 60;
/// What one part of blame adds to the cost of a path: a relay's share of the longest one weighs
/// more than any path costs.
const COST: u32 = 4096;
/// How long this node remembers.
const LIFE: Duration = Duration::from_secs(300);
/// Relays remembered as good.
const PROVEN: usize = 128;

impl Repute {
    /// A path worked.
    pub(crate) fn absolve(&mut self, now: Time, relays: &[HopTag]) {
        self.blamed.retain(|(tag, ..)| !relays.contains(tag));
        self.proven.retain(|(tag, since)| !relays.contains(tag) && now < *since + LIFE);
        self.proven.extend(relays.iter().map(|tag| (*tag, now)));
        let more = self.proven.len().saturating_sub(PROVEN);
        self.proven.drain(..more);
    }

    /// A path did not: one of its relays is bad, and not one of those that have carried something
    /// if there are others.
    pub(crate) fn blame(&mut self, now: Time, relays: &[HopTag]) {
        let is_proven = |tag: &HopTag| {
            self.proven.iter().any(|(good, since)| good == tag && now < *since + LIFE)
        };
        let mut suspects: Vec<HopTag> =
            relays.iter().copied().filter(|tag| !is_proven(tag)).collect();
        if suspects.is_empty() {
            suspects = relays.to_vec();
            self.proven.retain(|(tag, _)| !relays.contains(tag));
        }
        let share = BLAME / (suspects.len().max(1) as u32);
        for tag in suspects {
            match self.blamed.iter_mut().find(|(known, ..)| *known == tag) {
                Some((_, score, since)) => (*score, *since) = (score.saturating_add(share), now),
                None => self.blamed.push((tag, share, now)),
            }
        }
        self.blamed.retain(|(_, _, since)| now < *since + LIFE);
        self.blamed.sort_by_key(|(_, score, since)| (Reverse(*score), Reverse(*since)));
        self.blamed.truncate(BLAMED);
    }

    /// Whether somebody was to blame alone.
    pub(crate) fn has_culprits(&self, now: Time) -> bool {
        let fresh =
            |(_, score, since): &(HopTag, u32, Time)| *score >= BLAME && now < *since + LIFE;
        self.blamed.iter().any(fresh)
    }

    /// Who is to blame, the worst first.
    pub(crate) fn blamed(&self, now: Time) -> impl Iterator<Item = HopTag> {
        let fresh = self.blamed.iter().filter(move |(_, _, since)| now < *since + LIFE);
        fresh.map(|(tag, ..)| *tag)
    }

    /// What the blame of these relays adds to the cost of a path.
    pub(crate) fn cost(&self, relays: &[HopTag]) -> u32 {
        let blamed = self.blamed.iter().filter(|(tag, ..)| relays.contains(tag));
        blamed.map(|(_, score, _)| score.saturating_mul(COST)).fold(0, u32::saturating_add)
    }
}

/// Relays whose blame is remembered.
const BLAMED: usize = 64;

//! Gaps in paths: packets wait a moment for a way around, which is used for others, too.

use alloc::vec::Vec;
use core::time::Duration;

use mesh_wire::{HopTag, Time, limits};

use super::hop::Waiting;

/// A question for a way around a gap.
#[derive(Debug)]
pub(crate) struct Detour {
    /// The hops behind the gap; the next first.
    pub(crate) beyond: Vec<HopTag>,
    pub(crate) waiting: Vec<Waiting>,
    /// Where the best answer meets the path again, and its hops up to there.
    best: Option<(usize, Vec<HopTag>)>,
    /// How often it has asked.
    asked: u8,
    /// Until when it waits for answers.
    pub(crate) until: Time,
}

impl Detour {
    pub(crate) fn new(beyond: Vec<HopTag>, waiting: Waiting) -> Self {
        Self { beyond, waiting: [waiting].into(), best: None, asked: 0, until: Time(0) }
    }

    /// How many hops it asks now, if there is no answer yet and it has not asked twice.
    // spec: ROUTE-13, ROUTE-25
    pub(crate) fn widen(&mut self, now: Time, slowness: Duration) -> Option<u8> {
        if self.best.is_some() || self.asked == ASKS {
            return None;
        }
        self.asked += 1;
        self.until = now + limits::DETOUR_TIME.max(slowness / 2) * u32::from(self.asked);
        Some(limits::DETOUR_HOPS * self.asked)
    }

    /// An answer. The best one skips most of the path and adds least.
    // spec: ROUTE-13
    pub(crate) fn answer(&mut self, now: Time, way: Vec<HopTag>) {
        let Some(meets) = self.beyond.iter().rposition(|tag| way.last() == Some(tag)) else {
            return;
        };
        let gain = |meets: usize, way: &[HopTag]| meets as isize - way.len() as isize;
        let is_better = self.best.as_ref().is_none_or(|(m, w)| gain(*m, w) < gain(meets, &way));
        if is_better && way.len() <= LONGEST {
            self.best = Some((meets, way));
            self.until = self.until.min(now + MORE);
        }
    }

    /// The way around, for this and later packets.
    pub(crate) fn way(&self, now: Time) -> Option<Way> {
        let (meets, way) = self.best.as_ref()?;
        let until = now + limits::DETOUR_LIFE;
        Some(Way {
            gap: *self.beyond.first()?,
            end: *self.beyond.get(*meets)?,
            way: way.clone(),
            until,
        })
    }

    pub(crate) fn weight(&self) -> usize {
        let waiting: usize = self.waiting.iter().map(|w| w.packet.frame.bytes().len() + 128).sum();
        size_of::<Self>() + waiting
    }
}

/// Times that the neighbours are asked, each for a longer way than the one before.
const ASKS: u8 = 2;
/// Hops of the longest way.
const LONGEST: usize = (limits::DETOUR_HOPS * ASKS) as usize + 1;
/// How long a better answer is waited for.
const MORE: Duration = Duration::from_millis(60);

/// A way around a gap that was found.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    /// The hop that cannot be reached.
    gap: HopTag,
    /// The hop of the path where it ends.
    end: HopTag,
    /// The hops up to there.
    way: Vec<HopTag>,
    pub(crate) until: Time,
}

impl Way {
    /// `path` led around the hop behind `position`, if this way does that.
    // spec: ROUTE-13
    pub(crate) fn apply(&self, path: &[HopTag], position: usize) -> Option<Vec<HopTag>> {
        let beyond = path.get(position + 1..)?;
        if beyond.first() != Some(&self.gap) {
            return None;
        }
        let end = beyond.iter().position(|tag| *tag == self.end)?;
        let (before, after) = (path.get(..=position)?, beyond.get(end + 1..)?);
        let patched: Vec<_> = before.iter().chain(&self.way).chain(after).copied().collect();
        (patched.len() <= limits::PATH_TAGS).then_some(patched)
    }
}

//! A set in a dozen digests: the *anchor* is the time of its newest item, and *level* `l` holds
//! the items whose times agree with it in `l` nibbles and are smaller in the next; those of the
//! anchor's own millisecond are level 12. So old items stand in few large levels, new ones in
//! small levels, and what came last to one of two peers lies beyond the anchor of the other.

use alloc::vec::Vec;

use mesh_wire::codec::List;
use mesh_wire::message::set;
use mesh_wire::{Fault, Hash, UnixTime, limits};

use super::digest::Salt;
use super::key::{Key, Prefix, Span, TIME_NIBBLES};
use super::snapshot::Snapshot;

/// Binary digits of the number of items in one level, at most.
const MOST_DIGITS: u8 = 48;

/// Some levels of a spine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Levels {
    pub(crate) anchor: UnixTime,
    /// One bit for each.
    pub(crate) bits: u16,
}

/// One level: what tells its contents apart, and how many items it has; of a peer, how many at
/// most. `None` if there are none.
type Level = Option<([u8; 8], u64)>;

/// What one peer says of its set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spine {
    pub(crate) anchor: UnixTime,
    levels: [Level; limits::SET_LEVELS],
}

/// What follows from the spine of the peer whose newest item is the older one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// The levels that differ.
    pub(crate) levels: Levels,
    /// Items that the peer has in them, at most; 0 only if it has none.
    pub(crate) theirs: u64,
    /// What only we can have: everything newer than the anchor.
    pub(crate) newer: Span,
}

impl Levels {
    /// The parts of the key space that these levels are.
    // spec: SYNC-28
    pub(crate) fn spans(&self) -> Vec<Span> {
        let time = self.anchor.0;
        let chosen = (0..limits::SET_LEVELS).filter(|level| self.bits >> level & 1 == 1);
        let spans = chosen.filter_map(|level| {
            if level == TIME_NIBBLES {
                return Some(Span::of_times(time, time));
            }
            let below = 4 * (TIME_NIBBLES - 1 - level);
            // From where its nibble is 0 to where it is that of the anchor.
            let (first, end) = (time >> (below + 4) << (below + 4), time >> below << below);
            (first < end).then(|| Span::of_times(first, end - 1))
        });
        spans.collect()
    }

    /// Whether these are levels at all.
    pub(crate) fn check(bits: u16) -> Result<u16, Fault> {
        let is_known = bits >> limits::SET_LEVELS == 0;
        if is_known { Ok(bits) } else { Err(Fault::Protocol("levels beyond the last")) }
    }
}

impl Spine {
    /// The spine of a set at `anchor`, which is its own newest time or an older one of a peer's.
    // spec: SYNC-28
    pub(crate) fn of(set: &Snapshot, anchor: UnixTime, salt: &Salt) -> Self {
        let key = Key::new(anchor, Hash([0; 32]));
        let level = |level: usize| {
            // The last level hangs at the same place as the one before.
            let depth = level.min(TIME_NIBBLES - 1);
            let mut children = set.children(&Prefix::of_time(anchor, depth));
            children.retain(|child| match level {
                TIME_NIBBLES => child.nibble == key.nibble(depth),
                _ => child.nibble < key.nibble(depth),
            });
            let count = children.iter().map(|child| child.count).sum();
            let places: Vec<_> = children.iter().map(|child| (child.nibble, child.hash)).collect();
            (count > 0).then(|| (salt.digest(&places), count))
        };
        Self { anchor, levels: core::array::from_fn(level) }
    }

    /// Compares what a peer says of its set with ours.
    // spec: SYNC-29
    pub(crate) fn judge(&self, set: &Snapshot, salt: &Salt) -> Judgement {
        let ours = Self::of(set, self.anchor, salt);
        let levels = Levels { anchor: self.anchor, bits: 0 };
        let newer = Span::of_times(self.anchor.0.saturating_add(1), UnixTime::MAX.0);
        let mut judgement = Judgement { levels, theirs: 0, newer };
        for (level, (theirs, ours)) in self.levels.iter().zip(&ours.levels).enumerate() {
            if theirs.map(|(digest, _)| digest) != ours.map(|(digest, _)| digest) {
                judgement.levels.bits |= 1 << level;
            }
        }
        judgement.theirs = self.items(&judgement.levels);
        judgement
    }

    /// How many items are in some levels; of a peer's, how many at most.
    pub(crate) fn items(&self, levels: &Levels) -> u64 {
        let chosen = self.levels.iter().enumerate().filter(|(at, _)| levels.bits >> at & 1 == 1);
        chosen.fold(0, |sum, (_, level)| sum + level.map_or(0, |(_, items)| items))
    }

    /// How it travels.
    // spec: SYNC-28
    pub(crate) fn to_wire(&self) -> set::Spine {
        let present = |bits, (at, level): (usize, &Level)| bits | u16::from(level.is_some()) << at;
        let level = |(digest, items): &([u8; 8], u64)| {
            let digits = u64::BITS - items.leading_zeros();
            set::Level { digest: *digest, digits: digits as u8 }
        };
        let said: Vec<_> = self.levels.iter().flatten().map(level).collect();
        set::Spine {
            anchor: self.anchor,
            present: self.levels.iter().enumerate().fold(0, present),
            levels: List::new(&said),
        }
    }

    /// What a peer said, if it makes sense.
    // spec: SYNC-28
    pub(crate) fn from_wire(spine: &set::Spine) -> Result<Self, Fault> {
        let present = Levels::check(spine.present)?;
        if present.count_ones() as usize != spine.levels.len() {
            return Err(Fault::Protocol("a spine with more or fewer levels than it says"));
        }
        if spine.levels.iter().any(|level| !(1..=MOST_DIGITS).contains(&level.digits)) {
            return Err(Fault::Protocol("a level of so many items"));
        }
        let mut said = spine.levels.iter();
        let levels = core::array::from_fn(|level| {
            let is_present = present >> level & 1 == 1;
            is_present
                .then(|| said.next().map(|level| (level.digest, (1 << level.digits) - 1)))
                .flatten()
        });
        Ok(Self { anchor: spine.anchor, levels })
    }
}

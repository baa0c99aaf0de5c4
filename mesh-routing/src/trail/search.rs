//! What this node looks for itself: in a small ring first, then everywhere.

use core::time::Duration;

use mesh_wire::{FindKey, LinkId, Rng, Time};

/// Hops of the first ring.
const RING: u8 = 3;
/// Hops of the others.
const EVERYWHERE: u8 = 32;

/// A search under way.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) key: FindKey,
    pub(crate) wanted: Wanted,
    /// Names the FIND of this stage.
    pub(crate) id: [u8; 8],
    stage: usize,
    pub(crate) until: Time,
    /// Where it has led so far.
    pub(crate) found: Option<LinkId>,
}

/// What a search is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Anybody with the key: a new flow.
    Anybody,
    /// Another path of this flow.
    Path(LinkId),
}

/// How far each stage goes, and how long it waits.
const STAGES: [(u8, Duration); 3] = [
    (RING, Duration::from_millis(400)),
    (EVERYWHERE, Duration::from_millis(2500)),
    (EVERYWHERE, Duration::from_millis(4000)),
];
/// How long other answers are waited for after the first.
const MORE: Duration = Duration::from_millis(500);

impl Search {
    pub(crate) fn new(now: Time, key: FindKey, wanted: Wanted, rng: &mut Rng) -> Self {
        let mut search = Self { key, wanted, id: [0; 8], stage: 0, until: now, found: None };
        search.begin(now, rng);
        search
    }

    fn begin(&mut self, now: Time, rng: &mut Rng) {
        self.id = rng.bytes();
        self.until = now + STAGES.get(self.stage).map_or(MORE, |(_, wait)| *wait);
    }

    /// The next stage, if nothing was found and there is one.
    pub(crate) fn widen(&mut self, now: Time, rng: &mut Rng) -> bool {
        self.stage += 1;
        let goes_on = self.found.is_none() && self.stage < STAGES.len();
        if goes_on {
            self.begin(now, rng);
        }
        goes_on
    }

    /// Whether it has failed but for this stage: perhaps there is no way but over those that are
    /// to be avoided.
    pub(crate) fn is_last(&self) -> bool {
        self.stage + 1 == STAGES.len()
    }

    /// Somebody was found; a little later the search is over.
    pub(crate) fn found(&mut self, now: Time, flow: LinkId) {
        if self.found.replace(flow).is_none() {
            self.until = self.until.min(now + MORE);
        }
    }

    /// How far its FIND goes: a random hop or two more than the ring says, so that who hears it
    /// cannot count back to the asker.
    pub(crate) fn hops(&self, rng: &mut Rng) -> u8 {
        let hops = STAGES.get(self.stage).map_or(RING, |(hops, _)| *hops);
        hops.saturating_add(rng.below(2) as u8)
    }
}

//! What this node looks for itself, and how far.

use alloc::vec::Vec;
use core::time::Duration;

use mesh_wire::{FindKey, LinkId, Rng, Time, limits};

/// Hops of the first ring where nothing is known.
pub(crate) const RING: u8 = 3;
/// Hops of the others.
const EVERYWHERE: u8 = 32;

/// A search under way.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) key: FindKey,
    pub(crate) scope: Scope,
    /// How many hops are near.
    ring: u8,
    pub(crate) wanted: Wanted,
    /// Names the FIND of this stage.
    pub(crate) id: [u8; 8],
    stage: usize,
    pub(crate) until: Time,
    /// Where it has led so far.
    pub(crate) found: Vec<LinkId>,
    /// Whether there is an anchor to ask.
    led: Led,
}

/// Whether a search asks the next anchor before it asks everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Led {
    No,
    Yes,
}

/// What a search is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Anybody with the key: a new flow.
    Anybody,
    /// Another path of this flow.
    Path(LinkId),
}

/// How far a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// No further than a few hops.
    Near,
    /// Everywhere, and once more.
    Full,
    /// Everywhere at once, and for several sessions.
    Wide,
}

impl Scope {
    /// How many of those who answer are wanted.
    pub(crate) fn sessions(self) -> usize {
        match self {
            Self::Near | Self::Full => 1,
            Self::Wide => usize::from(limits::ANSWERS),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Ring,
    /// Nobody but the next anchor, and whom it knows.
    Led,
    Everywhere,
    Again,
}

/// How long other answers are waited for after the first.
const MORE: Duration = Duration::from_millis(500);

impl Search {
    pub(crate) fn new(
        now: Time,
        (key, scope, ring): (FindKey, Scope, u8),
        (wanted, led): (Wanted, Led),
        rng: &mut Rng,
    ) -> Self {
        let (id, found) = ([0; 8], Vec::new());
        let mut search = Self { key, scope, ring, wanted, id, stage: 0, until: now, found, led };
        search.begin(now, rng);
        search
    }

    fn begin(&mut self, now: Time, rng: &mut Rng) {
        self.id = rng.bytes();
        self.until = now + self.stage().1;
    }

    /// The other end of a flow is seldom further away than it was; anybody else may be anywhere.
    fn stages(&self) -> &'static [Stage] {
        match (self.wanted, self.scope, self.led) {
            (Wanted::Path(_), _, _) | (Wanted::Anybody, Scope::Full, Led::Yes) => {
                &[Stage::Ring, Stage::Everywhere, Stage::Again]
            }
            (Wanted::Anybody, Scope::Near, _) => &[Stage::Ring],
            (Wanted::Anybody, Scope::Full, Led::No) => &[Stage::Everywhere, Stage::Again],
            (Wanted::Anybody, Scope::Wide, Led::Yes) => &[Stage::Led, Stage::Everywhere],
            (Wanted::Anybody, Scope::Wide, Led::No) => &[Stage::Everywhere],
        }
    }

    /// How far this stage goes, and how long it waits.
    // spec: ROUTE-5
    fn stage(&self) -> (u8, Duration) {
        match self.stages().get(self.stage) {
            Some(Stage::Ring) => {
                let near = Duration::from_millis(100 + 100 * u64::from(self.ring));
                (self.ring, if self.is_led() { limits::GUIDED_TIME } else { near })
            }
            Some(Stage::Led) => (0, limits::GUIDED_TIME),
            Some(Stage::Everywhere) => (EVERYWHERE, Duration::from_millis(2500)),
            Some(Stage::Again) | None => (EVERYWHERE, Duration::from_millis(4000)),
        }
    }

    /// The next stage, if nothing was found and there is one.
    pub(crate) fn widen(&mut self, now: Time, rng: &mut Rng) -> bool {
        self.stage += 1;
        let goes_on = self.found.is_empty() && self.stage < self.stages().len();
        if goes_on {
            self.begin(now, rng);
        }
        goes_on
    }

    /// Whether it has failed but for this stage: perhaps there is no way but over those that are
    /// to be avoided.
    pub(crate) fn is_last(&self) -> bool {
        self.stages().get(self.stage) == Some(&Stage::Again)
    }

    /// Whether the next anchor is asked in this stage.
    // spec: ROUTE-24
    pub(crate) fn is_led(&self) -> bool {
        self.led == Led::Yes && self.stage == 0 && self.scope != Scope::Near
    }

    /// Somebody was found; a little later the search is over.
    pub(crate) fn found(&mut self, now: Time, flow: LinkId) {
        if self.found.is_empty() {
            self.until = self.until.min(now + MORE);
        }
        if !self.found.contains(&flow) {
            self.found.push(flow);
        }
    }

    /// How far its FIND goes: a random hop or two more than the ring says, so that who hears it
    /// cannot count back to the asker.
    pub(crate) fn hops(&self, rng: &mut Rng) -> u8 {
        match self.stage().0 {
            0 => 0,
            hops => hops.saturating_add(rng.below(2) as u8),
        }
    }
}

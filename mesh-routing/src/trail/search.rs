//! What this node looks for itself, and how far.

use alloc::vec::Vec;
use core::time::Duration;

use mesh_wire::{FindKey, HopTag, LinkId, Rng, Time, limits};

/// Hops that are near.
const NEAR: u8 = 3;
/// Hops that are far enough.
const EVERYWHERE: u8 = 32;

/// A search under way.
#[derive(Debug)]
pub(crate) struct Search {
    pub(crate) key: FindKey,
    pub(crate) scope: Scope,
    /// The relays of the path that is to be replaced.
    old: Vec<HopTag>,
    pub(crate) wanted: Wanted,
    /// Names the FIND of this stage.
    pub(crate) id: [u8; 8],
    stages: &'static [Stage],
    stage: usize,
    pub(crate) until: Time,
    /// Where it has led so far.
    pub(crate) found: Vec<LinkId>,
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
    /// Everywhere, and then once more.
    Full,
    /// Everywhere.
    Once,
    /// Everywhere at once, and for several sessions.
    Wide,
}

impl Scope {
    /// How many of those who answer are wanted.
    pub(crate) fn sessions(self) -> usize {
        match self {
            Self::Near | Self::Full | Self::Once => 1,
            Self::Wide => usize::from(limits::ANSWERS),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Near,
    /// Those near the old path.
    Along,
    /// Neighbours up to so many hops away, and the next anchor and whom it knows.
    Led(u8),
    Everywhere,
    Again,
}

/// How long other answers are waited for after the first.
const MORE: Duration = Duration::from_millis(500);

/// The other end of a flow is seldom far from where it was; anybody else may be anywhere.
// spec: ROUTE-5, ROUTE-24
fn stages(wanted: Wanted, scope: Scope, led: Led) -> &'static [Stage] {
    match (wanted, scope, led) {
        (Wanted::Path(_), _, Led::Yes) => {
            &[Stage::Along, Stage::Led(NEAR), Stage::Everywhere, Stage::Again]
        }
        (Wanted::Path(_), _, Led::No) => &[Stage::Along, Stage::Everywhere, Stage::Again],
        (Wanted::Anybody, Scope::Near, _) => &[Stage::Near],
        (Wanted::Anybody, Scope::Full, Led::Yes) => {
            &[Stage::Led(NEAR), Stage::Everywhere, Stage::Again]
        }
        (Wanted::Anybody, Scope::Full, Led::No) => &[Stage::Everywhere, Stage::Again],
        (Wanted::Anybody, Scope::Once, Led::Yes) => &[Stage::Led(NEAR), Stage::Everywhere],
        (Wanted::Anybody, Scope::Wide, Led::Yes) => &[Stage::Led(0), Stage::Everywhere],
        (Wanted::Anybody, Scope::Once | Scope::Wide, Led::No) => &[Stage::Everywhere],
    }
}

impl Search {
    pub(crate) fn new(
        (now, slowness): (Time, Duration),
        (key, scope, old): (FindKey, Scope, Vec<HopTag>),
        (wanted, led): (Wanted, Led),
        rng: &mut Rng,
    ) -> Self {
        let (id, found) = ([0; 8], Vec::new());
        let stages = stages(wanted, scope, led);
        let mut search = Self { key, scope, old, wanted, id, stage: 0, until: now, stages, found };
        search.begin((now, slowness), rng);
        search
    }

    fn begin(&mut self, (now, slowness): (Time, Duration), rng: &mut Rng) {
        self.id = rng.bytes();
        let (_, wait, share) = self.stage();
        self.until = now + wait.max(slowness * share);
    }

    /// How far this stage goes, and how long it waits: at least so many times as long as a
    /// neighbour may take to answer where links are slow.
    // spec: ROUTE-5, ROUTE-25
    fn stage(&self) -> (u8, Duration, u32) {
        match self.stages.get(self.stage) {
            Some(Stage::Near) => (NEAR, Duration::from_millis(400), 1),
            Some(Stage::Along) => {
                let relays = self.old.len() as u32;
                let wait = Duration::from_millis(200) + Duration::from_millis(150) * relays;
                (limits::ALONG_HOPS, wait, relays / 2 + 1)
            }
            Some(Stage::Led(hops)) => (*hops, limits::GUIDED_TIME, 4),
            Some(Stage::Everywhere) => (EVERYWHERE, Duration::from_millis(2500), 4),
            Some(Stage::Again) | None => (EVERYWHERE, Duration::from_millis(4000), 4),
        }
    }

    /// The next stage, if nothing was found and there is one.
    pub(crate) fn widen(&mut self, now: (Time, Duration), rng: &mut Rng) -> bool {
        self.stage += 1;
        let goes_on = self.found.is_empty() && self.stage < self.stages.len();
        if goes_on {
            self.begin(now, rng);
        }
        goes_on
    }

    /// Whether it has failed but for this stage: perhaps there is no way but over those that are
    /// to be avoided.
    pub(crate) fn is_last(&self) -> bool {
        self.stages.get(self.stage) == Some(&Stage::Again)
    }

    /// The relays near which its FIND is to stay.
    pub(crate) fn along(&self) -> &[HopTag] {
        let is_along = self.stages.get(self.stage) == Some(&Stage::Along);
        if is_along { &self.old } else { &[] }
    }

    /// Whether the next anchor is asked in this stage.
    // spec: ROUTE-24
    pub(crate) fn is_led(&self) -> bool {
        matches!(self.stages.get(self.stage), Some(Stage::Led(_)))
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

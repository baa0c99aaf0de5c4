//! A session over relays: the paths it may take, and whether they work.

use alloc::vec::Vec;
use core::time::Duration;

use mesh_wire::{FindKey, HopTag, Time, limits};

/// Every hop of a way, this node first, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) hops: Vec<HopTag>,
    pub(crate) cost: u32,
}

/// One end of a session over relays.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Its name at both ends.
    pub(crate) name: [u8; 8],
    /// What finds the other end again, once there is a session.
    pub(crate) key: Option<FindKey>,
    /// The best first.
    paths: Vec<Path>,
    /// The way back of the last packet, until the frame in it proves to be genuine.
    candidate: Option<Path>,
    /// When the last packet came, and the last genuine one.
    came: Option<Time>,
    heard: Option<Time>,
    /// When the first packet left that nothing has answered.
    unanswered: Option<Time>,
    /// Whether the other end was asked for a sign of life since then.
    is_asked: bool,
    /// Times in a row that no answer came.
    doubts: u8,
    /// When it last carried something.
    used: Time,
    /// When a better path may be looked for.
    improve: Time,
}

/// What is to be done about a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// It carried nothing for long, or nothing can be done.
    End,
    /// A sign of life of the other end: perhaps it had no reason to answer.
    Sign,
    /// Another path.
    Path,
}

impl Flow {
    pub(crate) fn new(now: Time, name: [u8; 8], path: Path) -> Self {
        Self {
            name,
            key: None,
            paths: [path].into(),
            candidate: None,
            came: None,
            heard: None,
            unanswered: None,
            is_asked: false,
            doubts: 0,
            used: now,
            improve: now,
        }
    }

    /// The path in use.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.paths.first()
    }

    /// A path that was found.
    pub(crate) fn add(&mut self, path: Path) {
        self.paths.retain(|known| known.hops.get(1..) != path.hops.get(1..));
        let at = self.paths.partition_point(|known| known.cost <= path.cost);
        self.paths.insert(at, path);
        self.paths.truncate(limits::PATHS);
    }

    /// A packet came over `path`, turned round.
    pub(crate) fn came(&mut self, now: Time, path: Path) {
        self.used = now;
        self.came = Some(now);
        self.candidate = Some(path);
    }

    /// Whether it is time to look for a path without detours; if so, not again for a while.
    // spec: ROUTE-13
    pub(crate) fn may_improve(&mut self, now: Time) -> bool {
        let may = self.improve <= now;
        if may {
            self.improve = now + limits::DOUBT_TIME;
        }
        may
    }

    /// What came last was genuine: its way works, and comes first.
    // spec: ROUTE-15
    pub(crate) fn confirm(&mut self) {
        (self.unanswered, self.is_asked) = (None, false);
        self.doubts = 0;
        self.heard = self.came;
        if let Some(path) = self.candidate.take()
            && self.paths.first().is_none_or(|first| first.hops.get(1..) != path.hops.get(1..))
        {
            self.paths.retain(|known| known.hops.get(1..) != path.hops.get(1..));
            self.paths.insert(0, path);
            self.paths.truncate(limits::PATHS);
        }
    }

    /// A packet leaves. Soon after something genuine it is an answer itself, and wants none: or two
    /// ends would answer each other for ever.
    // spec: ROUTE-16
    pub(crate) fn sent(&mut self, now: Time) {
        self.used = now;
        if self.heard.is_none_or(|heard| heard + PATIENCE <= now) {
            self.unanswered.get_or_insert(now);
        }
    }

    /// The path in use is no good; returns it.
    pub(crate) fn drop_path(&mut self) -> Option<Path> {
        (self.unanswered, self.is_asked) = (None, false);
        (!self.paths.is_empty()).then(|| self.paths.remove(0))
    }

    /// The paths with this gap behind their hop number `gap` are no good.
    pub(crate) fn broken(&mut self, path: &[HopTag], gap: usize) {
        let Some(bad) = path.get(gap..gap.saturating_add(2)) else { return };
        self.paths.retain(|known| !known.hops.windows(2).any(|pair| pair == bad));
    }

    /// What is due at `now`, if anything.
    // spec: ROUTE-16
    pub(crate) fn due(&mut self, now: Time) -> Option<Need> {
        let is_due = |after| self.unanswered.is_some_and(|since| since + after <= now);
        let (is_doubted, is_late) = (is_due(limits::DOUBT_TIME), is_due(PATIENCE));
        self.doubts += u8::from(is_doubted);
        match is_doubted {
            _ if self.idle_at() <= now || self.doubts >= DOUBTS => Some(Need::End),
            true => Some(Need::Path),
            false if is_late && !self.is_asked => {
                self.is_asked = true;
                Some(Need::Sign)
            }
            false => None,
        }
    }

    pub(crate) fn wake_at(&self) -> Time {
        let patience = if self.is_asked { limits::DOUBT_TIME } else { PATIENCE };
        let doubt = self.unanswered.map(|since| since + patience);
        doubt.map_or(self.idle_at(), |doubt| doubt.min(self.idle_at()))
    }

    fn idle_at(&self) -> Time {
        self.used + limits::FLOW_IDLE
    }

    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>() + self.paths.iter().map(|path| path.hops.len() * 2).sum::<usize>()
    }
}

/// Paths that are tried in a row before a session is given up.
const DOUBTS: u8 = 4;
/// How long an answer may take before the other end is asked whether it is there.
const PATIENCE: Duration = Duration::from_micros(limits::DOUBT_TIME.as_micros() as u64 / 2);

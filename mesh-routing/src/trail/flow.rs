//! A session over relays: the paths it may take, and whether they work.

use alloc::vec::Vec;

use bytes::Bytes;
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
    /// Hops of the path that was used last.
    length: u8,
    /// The way back of the last packet, until the frame in it proves to be genuine.
    candidate: Option<Path>,
    /// What waits for a path.
    held: Option<Bytes>,
    /// When the first packet left that asks for an answer and has none.
    unanswered: Option<Time>,
    /// Times in a row that no answer came.
    doubts: u8,
    /// When it last carried something.
    used: Time,
}

/// What is to be done about a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// It carried nothing for long, or nothing can be done.
    End,
    /// Another path.
    Path,
}

impl Flow {
    pub(crate) fn new(now: Time, name: [u8; 8], path: Path) -> Self {
        Self {
            name,
            key: None,
            length: hops(&path),
            paths: [path].into(),
            candidate: None,
            held: None,
            unanswered: None,
            doubts: 0,
            used: now,
        }
    }

    /// The path in use.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.paths.first()
    }

    /// All paths, the best first.
    pub(crate) fn paths(&self) -> &[Path] {
        &self.paths
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
        self.candidate = Some(path);
    }

    /// What came last was genuine: its way works, and comes first.
    // spec: ROUTE-15
    pub(crate) fn confirm(&mut self) {
        self.unanswered = None;
        self.doubts = 0;
        if let Some(path) = self.candidate.take()
            && self.paths.first().is_none_or(|first| first.hops.get(1..) != path.hops.get(1..))
        {
            self.paths.retain(|known| known.hops.get(1..) != path.hops.get(1..));
            self.paths.insert(0, path);
            self.paths.truncate(limits::PATHS);
        }
    }

    /// A packet leaves.
    pub(crate) fn sent(&mut self, now: Time) {
        self.used = now;
    }

    /// What left last asks for an answer.
    // spec: ROUTE-16
    pub(crate) fn expect(&mut self, now: Time) {
        self.unanswered.get_or_insert(now);
    }

    /// A frame waits for a path; another one is not asked for meanwhile.
    pub(crate) fn hold(&mut self, frame: Bytes) {
        self.held = Some(frame);
    }

    pub(crate) fn holds(&self) -> bool {
        self.held.is_some()
    }

    /// The frame that waited.
    pub(crate) fn take_held(&mut self) -> Option<Bytes> {
        self.held.take()
    }

    /// The path in use is no good; returns it.
    pub(crate) fn drop_path(&mut self) -> Option<Path> {
        self.unanswered = None;
        self.length = self.length();
        (!self.paths.is_empty()).then(|| self.paths.remove(0))
    }

    /// How many hops it is to the other end, as far as is known.
    pub(crate) fn length(&self) -> u8 {
        self.paths.first().map_or(self.length, hops)
    }

    /// The paths with this gap behind their hop number `gap` are no good.
    pub(crate) fn broken(&mut self, path: &[HopTag], gap: usize) {
        let Some(bad) = path.get(gap..gap.saturating_add(2)) else { return };
        self.length = self.length();
        self.paths.retain(|known| !known.hops.windows(2).any(|pair| pair == bad));
    }

    /// What is due at `now`, if anything.
    // spec: ROUTE-16
    pub(crate) fn due(&mut self, now: Time) -> Option<Need> {
        let is_doubted = self.unanswered.is_some_and(|since| since + limits::DOUBT_TIME <= now);
        self.doubts += u8::from(is_doubted);
        if self.idle_at() <= now || self.doubts >= DOUBTS {
            return Some(Need::End);
        }
        is_doubted.then_some(Need::Path)
    }

    pub(crate) fn wake_at(&self) -> Time {
        let doubt = self.unanswered.map(|since| since + limits::DOUBT_TIME);
        doubt.map_or(self.idle_at(), |doubt| doubt.min(self.idle_at()))
    }

    fn idle_at(&self) -> Time {
        self.used + limits::FLOW_IDLE
    }

    pub(crate) fn weight(&self) -> usize {
        let paths = self.paths.iter().map(|path| path.hops.len() * 2).sum::<usize>();
        size_of::<Self>() + paths + self.held.as_ref().map_or(0, Bytes::len)
    }
}

fn hops(path: &Path) -> u8 {
    path.hops.len().saturating_sub(1) as u8
}

/// Paths that are tried in a row before a session is given up.
const DOUBTS: u8 = 4;

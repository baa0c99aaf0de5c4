//! A session over relays: the paths it may take, and whether they work.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use mesh_wire::{FindKey, HopTag, Time, limits};

/// Every hop of a way, this node first, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) hops: Vec<HopTag>,
    pub(crate) cost: u32,
    /// How far packets get on it, if that was asked.
    asked: Option<Asked>,
}

/// What the relays of a path said when they were asked whether packets reach them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    at: Time,
    /// How many of them packets reach.
    reached: usize,
}

impl Path {
    pub(crate) fn new(hops: Vec<HopTag>, cost: u32) -> Self {
        Self { hops, cost, asked: None }
    }

    /// The first relay that cannot be reached, as far as those asked before `then` have said.
    fn culprit(&self, then: Time) -> Option<HopTag> {
        let asked = self.asked.filter(|asked| asked.at <= then)?;
        self.relays().get(asked.reached).copied()
    }

    /// Whether all its relays said that packets reach them.
    fn is_reached(&self) -> bool {
        self.asked.is_some_and(|asked| asked.reached >= self.relays().len())
    }

    /// The hops between its ends.
    pub(crate) fn relays(&self) -> &[HopTag] {
        self.hops.get(1..self.hops.len().saturating_sub(1)).unwrap_or_default()
    }

    fn is_same(&self, other: &Self) -> bool {
        self.hops.get(1..) == other.hops.get(1..)
    }
}

/// One end of a session over relays.
#[derive(Debug)]
pub(crate) struct Flow {
    /// Its name at both ends.
    pub(crate) name: [u8; 8],
    /// What finds the other end again; before there is a session, anybody it was begun for.
    pub(crate) key: Option<FindKey>,
    stage: Stage,
    /// The one in use first.
    paths: Vec<Path>,
    /// The relays of the path that was used last.
    last: Vec<HopTag>,
    /// Paths that were turned from since the last answer.
    silent: Vec<Path>,
    /// The way back of the last packet, until the frame in it proves to be genuine.
    candidate: Option<Path>,
    /// What waits for a path.
    held: Option<Bytes>,
    /// The first frame since the last answer that asks for one.
    question: Option<Bytes>,
    /// When it left over the path in use.
    unanswered: Option<Time>,
    /// Times in a row that no answer came.
    doubts: u8,
    /// When it last carried something.
    used: Time,
}

/// How far a flow has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing came from the other end.
    Asked,
    /// Something did, or it began.
    Answered,
}

/// What is to be done about a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// It carried nothing for long, or nothing can be done.
    End,
    /// Another path.
    Path,
    /// To know how far its path works.
    Probe,
}

impl Flow {
    /// A flow along `path`, begun here for who holds `key`, or by the other end.
    pub(crate) fn new(now: Time, name: [u8; 8], path: Path, key: Option<FindKey>) -> Self {
        Self {
            name,
            key,
            last: path.relays().to_vec(),
            stage: key.map_or(Stage::Answered, |_| Stage::Asked),
            paths: [path].into(),
            silent: Vec::new(),
            candidate: None,
            held: None,
            question: None,
            unanswered: None,
            doubts: 0,
            used: now,
        }
    }

    /// There is a session; its two ends alone know `key`.
    pub(crate) fn secured(&mut self, key: FindKey) {
        (self.key, self.stage) = (Some(key), Stage::Answered);
    }

    /// The path in use.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.paths.first()
    }

    /// All paths, the one in use first.
    pub(crate) fn paths(&self) -> &[Path] {
        &self.paths
    }

    /// A path that was found. While an answer is waited for, the path in use stays in use.
    pub(crate) fn add(&mut self, path: Path) {
        if self.silent.iter().any(|known| known.is_same(&path)) {
            return;
        }
        let in_use = self.unanswered.is_some().then(|| self.paths.first().cloned()).flatten();
        self.paths.retain(|known| !known.is_same(&path));
        let at = self.paths.partition_point(|known| known.cost <= path.cost);
        self.paths.insert(at, path);
        if let Some(in_use) = in_use {
            self.use_first(in_use);
        }
        self.paths.truncate(limits::PATHS);
    }

    fn use_first(&mut self, path: Path) {
        self.paths.retain(|known| !known.is_same(&path));
        self.paths.insert(0, path);
        self.paths.truncate(limits::PATHS);
    }

    /// A packet came over `path`, turned round.
    pub(crate) fn came(&mut self, now: Time, path: Path) {
        self.used = now;
        self.candidate = Some(path);
    }

    /// What came last was genuine: its way works, and comes first. Says whether that is news.
    // spec: ROUTE-15
    pub(crate) fn confirm(&mut self) -> bool {
        self.stage = Stage::Answered;
        self.doubts = 0;
        let was_asked = self.unanswered.take().is_some();
        if let Some(question) = self.question.take() {
            self.held.take_if(|held| *held == question);
        }
        self.silent.clear();
        self.paths.iter_mut().for_each(|path| path.asked = None);
        let Some(path) = self.candidate.take() else { return was_asked };
        let is_other = self.path().is_none_or(|known| !known.is_same(&path));
        self.use_first(path);
        is_other || was_asked
    }

    /// `frame` leaves over the path in use.
    pub(crate) fn sent(&mut self, now: Time, frame: &Bytes) {
        self.used = now;
        match &self.question {
            Some(question) if question == frame => self.expect(now),
            None if self.unanswered.is_some() => self.question = Some(frame.clone()),
            Some(_) | None => {}
        }
    }

    /// What leaves next asks for an answer.
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

    /// The question leaves once more.
    fn ask_again(&mut self) {
        if self.held.is_none() {
            self.held.clone_from(&self.question);
        }
    }

    /// How far its paths work is asked now: of the first `count`, or of all if one was silent.
    // spec: ROUTE-16
    pub(crate) fn probe(&mut self, now: Time, count: usize) -> Vec<Path> {
        let count = count.max(self.doubted());
        let unknown = self.paths.iter_mut().take(count).filter(|path| path.asked.is_none());
        let asked = unknown.map(|path| {
            path.asked = Some(Asked { at: now, reached: 0 });
            path.clone()
        });
        asked.collect()
    }

    /// A packet got to hop number `hop` of `path` and no further. Says whether that was asked for:
    /// then the paths that begin like it work up to there.
    pub(crate) fn reached(&mut self, path: &[HopTag], hop: usize) -> bool {
        let is_meant = |known: &&mut Path| {
            hop > 0
                && known.hops.get(1..=hop) == path.get(1..=hop)
                && known.hops.get(hop + 1) != path.get(hop + 1)
        };
        let mut was_asked = false;
        for known in self.paths.iter_mut().filter(is_meant) {
            if let Some(asked) = &mut known.asked {
                asked.reached = asked.reached.max(hop);
            }
            was_asked = true;
        }
        was_asked
    }

    /// Leaves the path in use for one on which all relays can be reached, or else for the one that
    /// shares least with those left before; none with a relay that is known not to work. Returns
    /// who is to blame: of each group, one.
    // spec: ROUTE-16
    pub(crate) fn turn(&mut self, now: Time, slowness: Duration) -> Vec<Vec<HopTag>> {
        let then = Time(now.0.saturating_sub((self.patience(slowness) / 2).as_micros() as u64));
        let Some(left) = self.drop_path() else { return Vec::new() };
        let known = self.paths.iter().chain([&left]).filter_map(|path| path.culprit(then));
        let culprits: BTreeSet<HopTag> = known.collect();
        self.paths.retain(|path| !path.hops.iter().any(|tag| culprits.contains(tag)));
        let unknown = left.culprit(then).is_none().then(|| left.relays().to_vec());
        let suspects = culprits.into_iter().map(|one| [one].into()).chain(unknown).collect();
        self.silent.push(left);
        let shared = |path: &Path| {
            let failed = self.silent.iter().flat_map(Path::relays);
            (!path.is_reached(), failed.filter(|tag| path.relays().contains(tag)).count())
        };
        if let Some(next) = self.paths.iter().min_by_key(|path| shared(path)).cloned() {
            self.use_first(next);
            self.unanswered = Some(now);
        }
        self.ask_again();
        suspects
    }

    /// No path brought an answer: others are needed.
    pub(crate) fn leave(&mut self) {
        self.doubts += 1;
        self.silent.clear();
    }

    /// Whether enough was tried.
    pub(crate) fn is_hopeless(&self) -> bool {
        self.doubts >= DOUBTS
    }

    /// The path in use is no good; returns it.
    pub(crate) fn drop_path(&mut self) -> Option<Path> {
        self.unanswered = None;
        self.last = self.way().to_vec();
        (!self.paths.is_empty()).then(|| self.paths.remove(0))
    }

    /// The first `count` paths begin at no neighbour any more. What left over the one in use and
    /// waits for an answer is to leave again.
    pub(crate) fn leave_first(&mut self, count: usize) {
        if self.unanswered.is_some() {
            self.ask_again();
        }
        (0..count).for_each(|_| drop(self.drop_path()));
    }

    /// The relays on the way to the other end, or on the last way there was.
    pub(crate) fn way(&self) -> &[HopTag] {
        self.paths.first().map_or(&self.last, Path::relays)
    }

    /// The paths with this gap behind their hop number `gap` are no good, and what left over the
    /// one in use is lost.
    // spec: ROUTE-17
    pub(crate) fn broken(&mut self, path: &[HopTag], gap: usize) {
        let Some(bad) = path.get(gap..gap.saturating_add(2)) else { return };
        self.last = self.way().to_vec();
        let is_bad = |known: &Path| known.hops.windows(2).any(|pair| pair == bad);
        if self.paths.first().is_some_and(is_bad) {
            self.unanswered = None;
            self.ask_again();
        }
        self.paths.retain(|known| !is_bad(known));
    }

    /// What is due at `now`, if anything.
    // spec: ROUTE-16
    pub(crate) fn due(&self, now: Time, slowness: Duration) -> Option<Need> {
        let needs = [
            (Some(self.idle_at()), Need::End),
            (self.turn_at(slowness), Need::Path),
            (self.probe_at(slowness), Need::Probe),
        ];
        let due = needs.into_iter().find(|(at, _)| at.is_some_and(|at| at <= now));
        due.map(|(_, need)| need)
    }

    pub(crate) fn wake_at(&self, slowness: Duration) -> Time {
        let wake = [self.turn_at(slowness), self.probe_at(slowness), Some(self.idle_at())];
        wake.into_iter().flatten().min().unwrap_or(self.used)
    }

    /// When to ask how far the paths work of which that is not known.
    fn probe_at(&self, slowness: Duration) -> Option<Time> {
        let is_unknown = self.paths.iter().take(self.doubted()).any(|path| path.asked.is_none());
        let wait = match self.is_wary() {
            true => Duration::ZERO,
            false => self.patience(slowness) / 2,
        };
        self.unanswered.filter(|_| is_unknown).map(|since| since + wait)
    }

    /// When the path in use is left.
    fn turn_at(&self, slowness: Duration) -> Option<Time> {
        let wait = match self.is_wary() {
            true => self.patience(slowness) / 2,
            false => self.patience(slowness),
        };
        self.unanswered.map(|since| since + wait)
    }

    /// Whether another path was silent since the last answer: then this one may be, too.
    // spec: ROUTE-16
    fn is_wary(&self) -> bool {
        self.doubts > 0 || !self.silent.is_empty()
    }

    /// Of how many paths it is asked how far they work when no answer comes.
    fn doubted(&self) -> usize {
        if self.is_wary() { limits::PATHS } else { 1 }
    }

    /// How long an answer is waited for: less when none ever came, more over a long way or where
    /// links are slow.
    // spec: ROUTE-25
    fn patience(&self, slowness: Duration) -> Duration {
        let least = match self.stage {
            Stage::Asked => limits::TURN_TIME,
            Stage::Answered => limits::DOUBT_TIME,
        };
        least.max(limits::DOUBT_TIME_PER_HOP.max(slowness) * (self.way().len() as u32 + 1))
    }

    fn idle_at(&self) -> Time {
        self.used + limits::FLOW_IDLE
    }

    pub(crate) fn weight(&self) -> usize {
        let paths = self.paths.iter().chain(&self.silent);
        let tags = paths.map(|path| path.hops.len() * 2).sum::<usize>() + self.last.len() * 2;
        let frames = [&self.held, &self.question].into_iter().flatten().map(Bytes::len);
        size_of::<Self>() + tags + frames.sum::<usize>()
    }
}

/// Times in a row that paths are looked for before a session is given up.
const DOUBTS: u8 = 4;

//! One round: a spine, a judgement, and questions until one of the two knows the difference.

mod answer;
mod learn;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use mesh_wire::message::set::Step;
use mesh_wire::{Fault, limits};

use super::digest::Salt;
use super::key::Span;
use super::outgoing::{Incoming, Outgoing, Parts};
use super::reconciler::{Ending, Event};
use super::snapshot::Snapshot;
use super::spine::{Levels, Spine};
use super::walk::Walk;
use learn::Decoding;

/// Where our side of a round lists its short ids instead of sending symbols: so many cost no more
/// than a few packets, and take one flight.
const FEW: u64 = 256;
/// Symbols sent at first, if nothing says that there are many differences.
const FIRST: u64 = 32;

/// One side of a round.
#[derive(Debug)]
pub(crate) struct Round {
    salt: Salt,
    set: Snapshot,
    stage: Stage,
    out: Option<Outgoing>,
    /// Short ids that come in: the peer's, or those that it wants.
    ids: Incoming,
    /// The spine of the peer that we judged.
    judged: Option<Spine>,
    /// Questions for symbols, asked or answered.
    asks: u32,
    /// Questions for nodes that were answered.
    walks: u32,
}

#[derive(Debug)]
enum Stage {
    /// Nothing was said yet.
    Fresh,
    /// Our spine is out and waits for a judgement.
    Summarised(Box<Spine>),
    /// The peer is to list what it has in these levels.
    Listing(Levels),
    /// Symbols come in.
    Decoding(Box<Decoding>),
    /// Nodes come in.
    Walking(Walk),
    /// The peer finds out, and we answer. `None` if it walks.
    Answering(Option<Levels>),
    /// It is over.
    Over { ending: Ending, pushes: u64 },
}

impl Round {
    pub(crate) fn new(binding: &[u8; 32], serial: u32, set: Snapshot) -> Self {
        let (stage, ids) = (Stage::Fresh, Incoming::default());
        let salt = Salt::new(binding, serial);
        Self { salt, set, stage, out: None, ids, judged: None, asks: 0, walks: 0 }
    }

    /// Opens with a spine.
    pub(crate) fn summarise(&mut self) {
        let spine = Spine::of(&self.set, self.set.newest(), &self.salt);
        self.out = Some(Outgoing::Spine(spine.to_wire()));
        self.stage = Stage::Summarised(Box::new(spine));
    }

    /// Asks for the tree of the peer from its root down.
    // spec: SYNC-32
    pub(crate) fn walk(&mut self) {
        let mut walk = Walk::new();
        self.out = Some(Outgoing::Walk(walk.ask()));
        self.stage = Stage::Walking(walk);
    }

    /// How the round ended, if it has.
    pub(crate) fn ending(&self) -> Option<Ending> {
        match self.stage {
            Stage::Over { ending, .. } => Some(ending),
            Stage::Fresh
            | Stage::Summarised(_)
            | Stage::Listing(_)
            | Stage::Decoding(_)
            | Stage::Walking(_)
            | Stage::Answering(_) => None,
        }
    }

    pub(crate) fn poll_send(&mut self, room: usize) -> Option<Step> {
        let out = self.out.as_mut()?;
        let step = out.next(&self.set, room)?;
        if out.is_sent() {
            self.out = None;
        }
        Some(step)
    }

    /// Says again what was asked last.
    pub(crate) fn repeat(&mut self) {
        if self.out.is_some() {
            return;
        }
        self.out = match &mut self.stage {
            Stage::Summarised(spine) => Some(Outgoing::Spine(spine.to_wire())),
            Stage::Listing(levels) => Some(Outgoing::AskIds(levels.bits)),
            Stage::Decoding(decoding) if self.asks < limits::SET_ASKS => {
                self.asks += 1;
                Some(decoding.ask())
            }
            Stage::Walking(walk) => {
                Some(walk.ask()).filter(|places| !places.is_empty()).map(Outgoing::Walk)
            }
            Stage::Fresh | Stage::Decoding(_) | Stage::Answering(_) | Stage::Over { .. } => None,
        };
    }

    /// Takes a step of the peer.
    pub(crate) fn take(&mut self, step: &Step, events: &mut VecDeque<Event>) -> Result<(), Fault> {
        match step {
            Step::Spine(spine) => self.take_spine(Spine::from_wire(spine)?, events),
            Step::AskIds(ask) => self.take_ask_ids(Levels::check(ask.levels)?),
            Step::ShortIds(ids) => self.take_ids(ids, events),
            Step::AskSymbols(ask) => self.take_ask_symbols(ask),
            Step::Symbols(symbols) => self.take_symbols(symbols, events),
            Step::Findings(findings) => self.take_findings(findings, events),
            Step::Walk(walk) => self.take_walk(walk),
            Step::Nodes(nodes) => self.take_nodes(nodes, events),
        }
    }

    /// The one whose newest item is the newer one judges: what lies beyond the anchor of the other
    /// is new to it.
    // spec: SYNC-28, SYNC-29
    fn take_spine(&mut self, theirs: Spine, events: &mut VecDeque<Event>) -> Result<(), Fault> {
        match &self.stage {
            Stage::Fresh if self.set.newest() < theirs.anchor => self.summarise(),
            Stage::Fresh => self.judge(theirs, events),
            Stage::Summarised(ours) if theirs.anchor < ours.anchor => self.judge(theirs, events),
            Stage::Summarised(ours) => self.out = Some(Outgoing::Spine(ours.to_wire())),
            // The judgement was lost.
            Stage::Listing(levels) if self.judged.as_ref() == Some(&theirs) => {
                self.out = Some(Outgoing::AskIds(levels.bits));
            }
            Stage::Answering(Some(levels)) if self.judged.as_ref() == Some(&theirs) => {
                let levels = *levels;
                self.begin(levels, theirs.items(&levels));
            }
            Stage::Over { pushes, .. } if self.judged.as_ref() == Some(&theirs) => {
                self.out = Some(Outgoing::Findings(*pushes, Parts::new(0, Vec::new())));
            }
            Stage::Listing(_)
            | Stage::Decoding(_)
            | Stage::Walking(_)
            | Stage::Answering(_)
            | Stage::Over { .. } => {}
        }
        Ok(())
    }

    // spec: SYNC-29
    fn judge(&mut self, theirs: Spine, events: &mut VecDeque<Event>) {
        let judgement = theirs.judge(&self.set, &self.salt);
        let levels = judgement.levels;
        let mut new_to_them = if judgement.theirs == 0 { levels.spans() } else { Vec::new() };
        new_to_them.push(judgement.newer);
        let pushes = self.set.runs(&new_to_them, |_| true);
        self.judged = Some(theirs);
        let ending = if pushes.items == 0 { Ending::Level } else { Ending::Different };
        push(pushes.spans, events);
        if judgement.theirs == 0 {
            self.find(ending, pushes.items, Vec::new(), events);
        } else {
            self.stage = Stage::Answering(Some(levels));
            self.begin(levels, judgement.theirs);
        }
    }

    /// Says what the peer needs to find out about the levels that differ, in which it has `theirs`
    /// items at most.
    // spec: SYNC-29
    fn begin(&mut self, levels: Levels, theirs: u64) {
        let ours = self.count(&levels);
        if ours <= FEW {
            self.list(&levels);
        } else if theirs <= FEW {
            self.out = Some(Outgoing::AskIds(levels.bits));
            self.stage = Stage::Listing(levels);
        } else if self.asks < limits::SET_ASKS {
            // As many differences there are at least; they have more than half of `theirs`.
            let least = ours.saturating_sub(theirs).max((theirs / 2).saturating_sub(ours));
            let first = (least + least / 2).max(FIRST);
            self.encode(&levels, 0, first.min(limits::SET_FIRST_SYMBOLS as u64) as usize);
        }
    }

    /// Ends the round with what we found out.
    // spec: SYNC-31
    fn find(
        &mut self,
        ending: Ending,
        pushes: u64,
        wanted: Vec<u64>,
        events: &mut VecDeque<Event>,
    ) {
        let want = wanted.len() as u64;
        if want > 0 {
            self.judged = None;
        }
        self.out = Some(Outgoing::Findings(pushes, Parts::new(0, wanted)));
        self.end(ending, pushes);
        events.push_back(Event::Ended { ending, want });
    }

    /// Nothing is needed any more but how it ended.
    fn end(&mut self, ending: Ending, pushes: u64) {
        self.stage = Stage::Over { ending, pushes };
        self.set = Snapshot::default();
        self.ids = Incoming::default();
    }

    /// Bytes that it holds, but for the set.
    pub(crate) fn weight(&self) -> usize {
        let stage = match &self.stage {
            Stage::Decoding(decoding) => decoding.weight(),
            Stage::Walking(walk) => walk.weight(),
            Stage::Fresh
            | Stage::Summarised(_)
            | Stage::Listing(_)
            | Stage::Answering(_)
            | Stage::Over { .. } => 0,
        };
        stage + self.ids.weight() + self.out.as_ref().map_or(0, Outgoing::weight)
    }
}

fn push(spans: Vec<Span>, events: &mut VecDeque<Event>) {
    if !spans.is_empty() {
        events.push_back(Event::Push(spans));
    }
}

/// The short ids of what a set has in some levels.
fn short_ids(set: &Snapshot, salt: &Salt, levels: &Levels) -> impl Iterator<Item = u64> {
    levels.spans().into_iter().flat_map(|span| set.keys(span)).map(|key| salt.short_id(key))
}

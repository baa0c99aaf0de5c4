//! The side of a round that is asked, and in the end told.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use mesh_wire::message::set::{self, AskSymbols, Findings};
use mesh_wire::{Fault, Wire as _, limits};

use super::super::key::{Prefix, Span};
use super::super::outgoing::{Outgoing, Parts};
use super::super::reconciler::{Ending, Event};
use super::super::sketch;
use super::super::snapshot::Runs;
use super::super::spine::{Levels, Spine};
use super::{Round, Stage, push, short_ids};

/// Bytes of a symbol on its way.
const SYMBOL_BYTES: usize = set::Symbol::MIN_SIZE;

impl Round {
    // spec: SYNC-29
    pub(super) fn take_ask_ids(&mut self, bits: u16) -> Result<(), Fault> {
        let levels = match &self.stage {
            Stage::Summarised(ours) => Levels { anchor: ours.anchor, bits },
            // The list was lost.
            Stage::Answering(Some(levels)) if levels.bits == bits => *levels,
            Stage::Fresh
            | Stage::Listing(_)
            | Stage::Decoding(_)
            | Stage::Walking(_)
            | Stage::Answering(_)
            | Stage::Over { .. } => return Ok(()),
        };
        if self.count(&levels) > limits::SET_IDS as u64 {
            return Err(Fault::Limit("short ids asked for"));
        }
        self.stage = Stage::Answering(Some(levels));
        self.list(&levels);
        Ok(())
    }

    // spec: SYNC-30
    pub(super) fn take_ask_symbols(&mut self, ask: &AskSymbols) -> Result<(), Fault> {
        let Stage::Answering(Some(levels)) = self.stage else { return Ok(()) };
        let (first, count) = (ask.first as usize, ask.count as usize);
        if count == 0 || first.saturating_add(count) > limits::SET_SYMBOLS {
            return Err(Fault::Limit("symbols"));
        }
        if self.asks == limits::SET_ASKS {
            return Err(Fault::Limit("questions for symbols"));
        }
        self.asks += 1;
        let listed = self.count(&levels).saturating_mul(size_of::<u64>() as u64);
        if listed <= (count * SYMBOL_BYTES).min(limits::SET_IDS * size_of::<u64>()) as u64 {
            self.list(&levels);
        } else {
            self.encode(&levels, first, count);
        }
        Ok(())
    }

    // spec: SYNC-32
    pub(super) fn take_walk(&mut self, walk: &set::Walk) -> Result<(), Fault> {
        let places: Option<Vec<_>> = walk.prefixes.iter().map(|p| Prefix::from_wire(&p)).collect();
        let places = places.ok_or(Fault::Protocol("no such place"))?;
        if !matches!(self.stage, Stage::Fresh | Stage::Answering(_)) {
            return Ok(());
        }
        if self.walks == limits::SET_WALKS {
            return Err(Fault::Limit("questions for nodes"));
        }
        self.walks += 1;
        self.stage = Stage::Answering(None);
        self.out = Some(Outgoing::Nodes(Parts::new(0, places)));
        Ok(())
    }

    // spec: SYNC-31
    pub(super) fn take_findings(
        &mut self,
        findings: &Findings,
        events: &mut VecDeque<Event>,
    ) -> Result<(), Fault> {
        let (spans, believable) = match &self.stage {
            Stage::Summarised(_) | Stage::Answering(None) => (Vec::from([Span::ALL]), true),
            // We know better: the levels differ.
            Stage::Answering(Some(levels)) => (levels.spans(), false),
            Stage::Fresh
            | Stage::Listing(_)
            | Stage::Decoding(_)
            | Stage::Walking(_)
            | Stage::Over { .. } => return Ok(()),
        };
        let part = (findings.first, findings.more);
        let Some(wanted) = self.ids.take(part, &findings.wanted, limits::SET_WANTS)? else {
            return Ok(());
        };
        let ending = match findings.pushes == 0 && wanted.is_empty() {
            false => Ending::Different,
            true if believable => Ending::Level,
            true => Ending::Unfinished,
        };
        let pushes = self.resolve(wanted, &spans);
        self.out = None;
        self.end(ending, pushes.items);
        push(pushes.spans, events);
        events.push_back(Event::Ended { ending, want: findings.pushes });
        Ok(())
    }

    /// How many items we have in these levels.
    pub(super) fn count(&self, levels: &Levels) -> u64 {
        Spine::of(&self.set, levels.anchor, &self.salt).items(levels)
    }

    /// Lists what we have in these levels.
    pub(super) fn list(&mut self, levels: &Levels) {
        let ids = short_ids(&self.set, &self.salt, levels).collect();
        self.out = Some(Outgoing::ShortIds(levels.bits, Parts::new(0, ids)));
    }

    /// Sends symbols over what we have in these levels.
    pub(super) fn encode(&mut self, levels: &Levels, first: usize, count: usize) {
        let items = self.count(levels);
        let cells = sketch::encode(short_ids(&self.set, &self.salt, levels), first, count);
        self.out = Some(Outgoing::Symbols(levels.bits, items, Parts::new(first, cells)));
    }

    /// Our items with these short ids.
    // spec: SYNC-31
    pub(super) fn resolve(&self, mut ids: Vec<u64>, spans: &[Span]) -> Runs {
        if ids.is_empty() {
            return Runs::default();
        }
        ids.sort_unstable();
        self.set.runs(spans, |key| ids.binary_search(&self.salt.short_id(key)).is_ok())
    }
}

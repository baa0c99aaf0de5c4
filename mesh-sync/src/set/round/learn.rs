//! The side of a round that finds out: it gets a list, symbols or nodes, and asks for more.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use mesh_wire::message::set::{AskSymbols, Nodes, ShortIds, Symbols};
use mesh_wire::{Fault, limits};

use super::super::outgoing::Outgoing;
use super::super::reconciler::{Ending, Event};
use super::super::sketch::{self, Cell, Decoder};
use super::super::snapshot::Runs;
use super::super::spine::Levels;
use super::{Round, Stage, push, short_ids};

/// Symbols as they come in.
#[derive(Debug)]
pub(super) struct Decoding {
    levels: Levels,
    /// How many items they have there beyond ours.
    surplus: i64,
    decoder: Decoder,
    /// Symbols that came since the decoder ran.
    new: Vec<Cell>,
    /// How many symbols there are when all that were asked for are in.
    until: usize,
}

impl Round {
    // spec: SYNC-29
    pub(super) fn take_ids(
        &mut self,
        ids: &ShortIds,
        events: &mut VecDeque<Event>,
    ) -> Result<(), Fault> {
        let bits = Levels::check(ids.levels)?;
        let levels = match &self.stage {
            Stage::Summarised(ours) => Levels { anchor: ours.anchor, bits },
            Stage::Listing(levels) if levels.bits == bits => *levels,
            Stage::Decoding(decoding) if decoding.levels.bits == bits => decoding.levels,
            Stage::Fresh
            | Stage::Listing(_)
            | Stage::Decoding(_)
            | Stage::Walking(_)
            | Stage::Answering(_)
            | Stage::Over { .. } => return Ok(()),
        };
        if let Some(all) = self.ids.take((ids.first, ids.more), &ids.ids, limits::SET_IDS)? {
            self.compare(&levels, all, events);
        }
        Ok(())
    }

    /// The peer has `theirs` in these levels and nothing else.
    pub(super) fn compare(
        &mut self,
        levels: &Levels,
        mut theirs: Vec<u64>,
        events: &mut VecDeque<Event>,
    ) {
        theirs.sort_unstable();
        theirs.dedup();
        let mut unseen: Vec<bool> = theirs.iter().map(|_| true).collect();
        let lacked = self.set.runs(&levels.spans(), |key| {
            let at = theirs.binary_search(&self.salt.short_id(key));
            at.map(|at| unseen.get_mut(at).into_iter().for_each(|unseen| *unseen = false)).is_err()
        });
        let wanted = theirs.into_iter().zip(unseen).filter_map(|(id, unseen)| unseen.then_some(id));
        self.settle(lacked, wanted.collect(), events);
    }

    // spec: SYNC-30
    pub(super) fn take_symbols(
        &mut self,
        symbols: &Symbols,
        events: &mut VecDeque<Event>,
    ) -> Result<(), Fault> {
        let bits = Levels::check(symbols.levels)?;
        let (first, count) = (symbols.first as usize, symbols.symbols.len());
        if let Stage::Summarised(ours) = &self.stage
            && first == 0
        {
            let until = count.saturating_add(symbols.more as usize);
            if until == 0 || until > limits::SET_SYMBOLS {
                return Err(Fault::Limit("symbols"));
            }
            let levels = Levels { anchor: ours.anchor, bits };
            let surplus = symbols.items as i64 - ours.items(&levels) as i64;
            let (decoder, new) = (Decoder::default(), Vec::new());
            let decoding = Decoding { levels, surplus, decoder, new, until };
            self.stage = Stage::Decoding(Box::new(decoding));
        }
        let Stage::Decoding(decoding) = &mut self.stage else { return Ok(()) };
        if decoding.levels.bits != bits || first != decoding.len() {
            return Ok(());
        }
        if count > decoding.until - first {
            return Err(Fault::Protocol("more symbols than were asked for"));
        }
        decoding.new.extend(symbols.symbols.iter().map(|symbol| Cell::from_wire(&symbol)));
        if decoding.len() == decoding.until {
            self.decode(events);
        }
        Ok(())
    }

    /// All symbols that were asked for are here.
    // spec: SYNC-30
    pub(super) fn decode(&mut self, events: &mut VecDeque<Event>) {
        let Stage::Decoding(decoding) = &mut self.stage else { return };
        let theirs = core::mem::take(&mut decoding.new);
        let ids = short_ids(&self.set, &self.salt, &decoding.levels);
        let ours = sketch::encode(ids, decoding.decoder.len(), theirs.len());
        decoding.decoder.extend(&theirs, &ours, decoding.surplus);
        if decoding.decoder.is_done() {
            let (wanted, lacked) = decoding.decoder.found();
            let levels = decoding.levels;
            let count = lacked.len() as u64;
            let lacked = self.resolve(lacked, &levels.spans());
            if lacked.items == count {
                self.settle(lacked, wanted, events);
            } else {
                self.walk();
            }
            return;
        }
        match decoding.decoder.next_len().filter(|_| self.asks < limits::SET_ASKS) {
            Some(until) => {
                decoding.until = until;
                self.asks += 1;
                self.out = Some(decoding.ask());
            }
            None => self.walk(),
        }
    }

    // spec: SYNC-32
    pub(super) fn take_nodes(
        &mut self,
        nodes: &Nodes,
        events: &mut VecDeque<Event>,
    ) -> Result<(), Fault> {
        let Stage::Walking(walk) = &mut self.stage else { return Ok(()) };
        let mut spans = Vec::new();
        let all_here = walk.take(nodes, (&self.set, &self.salt), &mut spans)?;
        push(spans, events);
        if all_here {
            let places = walk.ask();
            if places.is_empty() {
                let (pushes, wanted) = (walk.pushes, core::mem::take(&mut walk.wanted));
                let ending = match walk.is_complete() {
                    false => Ending::Unfinished,
                    true if pushes == 0 && wanted.is_empty() => Ending::Level,
                    true => Ending::Different,
                };
                self.find(ending, pushes, wanted, events);
            } else {
                self.out = Some(Outgoing::Walk(places));
            }
        }
        Ok(())
    }

    /// Everything is known, if it makes sense: levels that differ hold a difference.
    pub(super) fn settle(&mut self, lacked: Runs, wanted: Vec<u64>, events: &mut VecDeque<Event>) {
        if lacked.items == 0 && wanted.is_empty() {
            return self.walk();
        }
        push(lacked.spans, events);
        self.find(Ending::Different, lacked.items, wanted, events);
    }
}

impl Decoding {
    /// How many symbols are here.
    pub(super) fn len(&self) -> usize {
        self.decoder.len() + self.new.len()
    }

    /// Asks for those that are missing.
    pub(super) fn ask(&self) -> Outgoing {
        let (first, until) = (self.len(), self.until);
        Outgoing::AskSymbols(AskSymbols { first: first as u32, count: (until - first) as u32 })
    }

    pub(super) fn weight(&self) -> usize {
        size_of::<Self>() + self.decoder.weight() + self.new.capacity() * size_of::<Cell>()
    }
}

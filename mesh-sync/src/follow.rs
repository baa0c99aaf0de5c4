//! Items flow in: from whom to ask for them, and what to do with those that come.

use alloc::vec::Vec;
use core::ops::Range;

use mesh_wire::message::sync::{Items, LogSummary, Right, Summary};
use mesh_wire::{ChannelId, Fault, LinkId, Time, limits};

use crate::channel::account::Source;
use crate::channel::charter::Writer;
use crate::channel::log::{self, Log, Verified};
use crate::channel::{LogId, run_bytes};
use crate::event::Event;
use crate::library::{Kept, Rules, Trouble};
use crate::peer::said::pause;
use crate::peer::{History, Remote, Stream, Told};
use crate::serve::has_other_history;
use crate::store::{Store, StoreError};
use crate::sync::Sync;

/// How far a grant runs ahead to begin with; doubles each time it is renewed.
pub(crate) const FIRST_WINDOW: u64 = 64 << 10;

impl<S: Store> Sync<S> {
    /// A neighbour says what it has of a channel.
    // spec: SYNC-11
    pub(crate) fn take_summary(
        &mut self,
        now: Time,
        link: LinkId,
        summary: &Summary,
    ) -> Result<(), Trouble> {
        let can_be =
            |log: LogSummary| log.size <= limits::LOG_ITEMS && (log.log as usize) < limits::LOGS;
        if !summary.logs.iter().all(can_be) {
            return Err(Fault::Protocol("a summary that cannot be").into());
        }
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(()) };
        let Some(id) = peer.slots.named(summary.channel) else { return Ok(()) };
        if self.library.sound(&id).is_none() {
            return Ok(());
        }
        peer.acknowledge(summary.serial);
        let is_origin = peer.is_origin();
        let Some(matched) = peer.matched.get_mut(&id) else { return Ok(()) };
        if matched.summary_heard.is_some_and(|heard| summary.serial <= heard) {
            return Ok(());
        }
        let is_first = matched.summary_heard.is_none();
        matched.summary_heard = Some(summary.serial);
        if core::mem::replace(&mut matched.blobs, summary.blobs) != summary.blobs {
            peer.hungry = true;
            self.fetch.news();
        }
        let claim = summary.claims.iter().next();
        if !is_origin && core::mem::replace(&mut matched.claim, claim) != matched.claim {
            self.claims_changed(now, &id);
        }
        for log in summary.logs.iter() {
            self.hear(link, &id, &log)?;
        }
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(()) };
        if is_first && let Some(matched) = peer.matched.get_mut(&id) {
            // It has nothing of what it does not name: what was offered unseen was too little.
            let unnamed = matched.logs.values_mut().filter(|talk| talk.theirs.is_none());
            for talk in unnamed.filter(|talk| talk.pushed.is_waiting()) {
                talk.pushed.answered();
                talk.told = None;
            }
        }
        peer.tell.insert(id);
        self.unsettled.insert(id);
        self.seek(now, &id);
        Ok(())
    }

    /// A neighbour says what it has of a log.
    fn hear(&mut self, link: LinkId, id: &ChannelId, log: &LogSummary) -> Result<(), Trouble> {
        let at = LogId { channel: *id, log: log.log };
        if self.library.log(&at).is_none() {
            // Nobody has opened it here: it is said again when somebody has.
            return Ok(());
        }
        let size = self.library.valid(&at);
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(()) };
        let Some(talk) = peer.matched.get_mut(id).map(|matched| matched.talk(log.log)) else {
            return Ok(());
        };
        if !matches!(talk.told, Some(Told::Here(_))) {
            // Who knows of a fork sends no summaries.
            talk.told = None;
        }
        (talk.history, talk.fruitless) = (History::Unknown, 0);
        let theirs = Some(Remote { size: log.size, root: log.root });
        let before = core::mem::replace(&mut talk.theirs, theirs);
        if before != theirs {
            talk.unanswered = 0;
            peer.pace.unanswered = 0;
            peer.hungry = true;
            self.fetch.news();
        }
        // Who has as much, or not what it was sent, may have another history.
        if (log.size == size || talk.sent > log.size)
            && has_other_history(&self.library, &peer.slots, (&at, talk))?
        {
            talk.pushed.answered();
        }
        let channel = self.library.sound(id).filter(|channel| channel.logs.len() > 1);
        let writer = channel.and_then(|channel| channel.charter.writer(log.log));
        if writer.is_some_and(|writer| writer.right == Right::Succeed) {
            // Whoever knows other rules means other writers.
            has_other_history(&self.library, &peer.slots, (&at, talk))?;
        }
        talk.has(log.size);
        if before.is_none() && talk.pushed.is_waiting() {
            // What was offered unseen was too little.
            talk.pushed.answered();
            talk.told = None;
        }
        let has_nothing =
            |stream: Stream| log.size <= if stream.repairs { stream.first } else { size };
        if talk.incoming.is_some_and(has_nothing) {
            talk.incoming = None;
        }
        Ok(())
    }

    /// Asks somebody for the items that a channel lacks, unless somebody is asked already.
    // spec: SYNC-12
    pub(crate) fn seek(&mut self, now: Time, id: &ChannelId) {
        let logs = self.library.sound(id).map_or(0, |channel| channel.logs.len() as u32);
        (0..logs).for_each(|log| self.seek_log(now, &LogId { channel: *id, log }));
    }

    fn seek_log(&mut self, now: Time, at: &LogId) {
        let Some(log) = self.library.growing(at) else { return };
        let Some(charter) = self.library.sound(&at.channel).map(|channel| &channel.charter) else {
            return;
        };
        let (first, patchy) = (log.size(), log.patchy);
        if self.health.is_full(now) {
            return;
        }
        let mut best: Option<(bool, u32, u64, LinkId)> = None;
        let mut origin = None;
        for (link, peer) in &self.peers {
            let Some(matched) = peer.matched.get(&at.channel) else { continue };
            let talk = matched.logs.get(&at.log);
            if talk.is_some_and(|talk| talk.incoming.is_some()) {
                if !peer.is_origin() {
                    return;
                }
                origin = Some(*link);
            }
            let theirs = matched.theirs(at.log).map_or(0, |theirs| theirs.size);
            let theirs = theirs.min(charter.most(at.log));
            let unanswered = talk.map_or(0, |talk| talk.unanswered);
            let answers = unanswered < limits::UNANSWERED && matched.knows(charter, at.log);
            if peer.trusted && answers && theirs > first {
                let candidate = (peer.is_origin(), unanswered, u64::MAX - theirs, *link);
                best = Some(best.map_or(candidate, |best| best.min(candidate)));
            }
        }
        if let Some(link) = origin {
            // A neighbour that has as much goes before the web.
            let Some((false, ..)) = best else { return };
            self.end_stream(link, at);
        }
        if let Some((_, _, _, link)) = best {
            self.begin(now, link, at, first);
        } else if patchy {
            self.library.wounds.entry(*at).or_insert(u64::MAX);
        }
    }

    /// Asks for all that is lacking.
    pub(crate) fn seek_all(&mut self, now: Time) {
        let channels: Vec<ChannelId> = self.library.channels.keys().copied().collect();
        channels.iter().for_each(|id| self.seek(now, id));
    }

    /// Nothing more of a stream is waited for.
    fn end_stream(&mut self, link: LinkId, at: &LogId) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        peer.wants.remove(at);
        if let Some(matched) = peer.matched.get_mut(&at.channel) {
            matched.talk(at.log).incoming = None;
        }
    }

    /// Begins a stream of items.
    pub(crate) fn begin(&mut self, now: Time, link: LinkId, at: &LogId, first: u64) {
        let repairs = first < self.library.log(at).map_or(0, Log::size);
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let serial = peer.next_serial();
        let Some(matched) = peer.matched.get_mut(&at.channel) else { return };
        let talk = matched.talk(at.log);
        let again = now + pause(peer.pace.repeat(), talk.unanswered);
        talk.incoming = Some(Stream {
            serial,
            first,
            // Of what is lacking, one item comes.
            granted: if repairs { 1 } else { FIRST_WINDOW },
            received: 0,
            window: FIRST_WINDOW,
            again,
            gap: talk.incoming.is_some(),
            repairs,
        });
        peer.wants.insert(*at);
    }

    /// Items came in.
    // spec: SYNC-13
    pub(crate) fn take_items(
        &mut self,
        now: Time,
        link: LinkId,
        run: &Items,
    ) -> Result<(), Trouble> {
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(()) };
        let Some(id) = peer.slots.named(run.channel) else { return Ok(()) };
        let Some(matched) = peer.matched.get_mut(&id) else { return Ok(()) };
        let at = LogId { channel: id, log: run.log };
        let Some(channel) = self.library.sound(&id) else { return Ok(()) };
        let Some(log) = self.library.growing(&at) else { return Ok(()) };
        let end = run.first.saturating_add(run.items.len() as u64);
        let writer = channel.charter.writer(at.log);
        let is_late = writer.and_then(Writer::end).is_some_and(|(most, _)| run.size != most);
        let is_beyond = end > channel.charter.most(at.log) || is_late;
        if self.health.is_full(now) || !peer.trusted || is_beyond {
            return Ok(());
        }
        let size = log.size();
        let is_told = size == 0 || matched.told(at.log) == Some(Told::Here(size));
        let knows = is_told && matched.agrees(&channel.charter, at.log);
        let is_guess = matched.theirs(at.log).is_none() && size > 0;
        let talk = matched.talk(at.log);
        if let Some(stream) = &mut talk.incoming {
            stream.received = stream.received.saturating_add(run_bytes(run));
            stream.again = now + peer.pace.repeat();
        }
        if run.first > size {
            if talk.incoming.is_some_and(|stream| !stream.gap) {
                self.begin(now, link, &at, size);
            }
            return Ok(());
        }
        let is_excused = talk.strange < limits::UNANSWERED;
        if end <= size {
            if is_excused && !self.library.are(&at, run)? {
                // Nobody has verified them: what is here is said, and they may do the same.
                talk.theirs = Some(Remote { size: end, root: [0; 8] });
                (talk.history, talk.incoming) = (History::Other, None);
                talk.strange += 1;
                peer.tell.insert(id);
                return Ok(());
            }
            self.go_on(now, link, &at, end);
            self.take_lacking((link, &at), run, size)?;
        } else {
            let verified = match log::verify(channel, run) {
                // Who has not heard what is here may well give what does not continue it.
                Err(_) if is_guess && is_excused => {
                    talk.strange += 1;
                    return Ok(());
                }
                Err(log::UNSIGNED) if is_excused && (run.first < size || !knows) => {
                    // When it has, it finds out why.
                    (talk.told, talk.incoming) = (None, None);
                    talk.strange += 1;
                    peer.tell.insert(id);
                    return Ok(());
                }
                verified => verified?,
            };
            let kept = self.keep(&id, link, verified)?;
            self.go_on(now, link, &at, end);
            self.take_lacking((link, &at), run, size)?;
            self.arrived(now, &id, kept);
        }
        Ok(())
    }

    /// Keeps what was verified.
    // spec: SYNC-39
    fn keep(
        &mut self,
        id: &ChannelId,
        link: LinkId,
        verified: Verified,
    ) -> Result<Kept, StoreError> {
        let source = self.peers.get(&link).map_or_else(Source::default, |peer| peer.source);
        let bytes = verified.items.iter().map(|(item, _)| item.body.bytes().len() as u64).sum();
        self.library.exchanged(id, |sums| sums.received(source, bytes));
        let kept = self.library.keep(id, verified, self.unix)?;
        if kept.rules == Rules::New {
            // What is void is fetched no longer.
            self.fetch.close_unwanted(&self.library, &mut self.peers)?;
        }
        if self.library.sound(id).is_some_and(|channel| channel.logs.len() > 1) {
            // After a crash, items of several writers might come in another order.
            self.commit()?;
        }
        Ok(kept)
    }

    /// New items are here: tells everybody whom it concerns.
    pub(crate) fn arrived(&mut self, now: Time, id: &ChannelId, kept: Kept) {
        let Kept { numbers: Range { start, end }, rules } = kept;
        if start == 0 {
            self.events.tell(Event::ChannelKnown { channel: *id });
            self.has_opened(id);
        }
        self.events.tell(Event::NewItems { channel: *id, first: start, count: end - start });
        self.peers.values_mut().for_each(|peer| peer.changed(id));
        self.fetch.arrived(id, &(start..end));
        if rules == Rules::New {
            self.fetch.news();
            self.peers.values_mut().for_each(|peer| peer.served.tell_all());
            self.events.tell(Event::WritersChanged { channel: *id });
            self.origins.is_stale = true;
            self.unsettled.insert(*id);
            self.seek(now, id);
        }
    }

    /// A run that ends before item `end` was taken: grants more, or ends the stream.
    // spec: SYNC-12
    fn go_on(&mut self, now: Time, link: LinkId, at: &LogId, end: u64) {
        let Some(log) = self.library.log(at) else { return };
        let size = log.size();
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let Some(matched) = peer.matched.get_mut(&at.channel) else { return };
        let theirs = matched.theirs(at.log).unwrap_or_default();
        let talk = matched.talk(at.log);
        let theirs = talk.theirs.insert(theirs);
        if theirs.size < end {
            // Whoever sends items has them, and all before them. Their next summary says so too.
            theirs.size = end;
            talk.history = History::Same;
        }
        let theirs = theirs.size;
        // Both may have pushed to each other, and neither says anything before it is answered.
        talk.has(theirs);
        talk.unanswered = 0;
        let Some(stream) = &mut talk.incoming else { return };
        stream.gap = false;
        let is_over = if stream.repairs { end > stream.first } else { size >= theirs };
        if is_over {
            if stream.repairs {
                talk.mended = end;
                talk.fruitless = talk.fruitless.saturating_add(1);
            }
            talk.incoming = None;
            peer.tell.insert(at.channel);
            self.seek_log(now, at);
        } else if stream.repairs {
            // It was sent before the request came.
        } else if stream.granted.saturating_sub(stream.received) <= stream.window / 2 {
            stream.window = (stream.window * 2).min(limits::WANT_BYTES);
            stream.granted = stream.received.saturating_add(stream.window);
            peer.wants.insert(*at);
        }
    }

    /// Streams that have come to a halt are begun anew, or elsewhere.
    // spec: SYNC-22
    pub(crate) fn restart_streams(&mut self, now: Time) {
        let mut halted = Vec::new();
        for peer in self.peers.values_mut() {
            for (id, matched) in &mut peer.matched {
                for (log, talk) in &mut matched.logs {
                    let Some(stream) = talk.incoming.filter(|stream| stream.again <= now) else {
                        continue;
                    };
                    let at = LogId { channel: *id, log: *log };
                    talk.incoming = None;
                    talk.unanswered = talk.unanswered.saturating_add(1);
                    if stream.repairs {
                        talk.mended = stream.first + 1;
                        talk.fruitless = talk.fruitless.saturating_add(1);
                    }
                    peer.wants.remove(&at);
                    peer.tell.insert(*id);
                    halted.push(at);
                }
            }
        }
        for at in halted {
            self.seek_log(now, &at);
        }
    }
}

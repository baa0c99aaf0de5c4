//! Items flow in: from whom to ask for them, and what to do with those that come.

use alloc::vec::Vec;

use mesh_wire::message::sync::{Items, Summary};
use mesh_wire::{ChannelId, Fault, LinkId, Time, limits};

use crate::channel::{LOG, log, run_bytes};
use crate::event::Event;
use crate::library::Trouble;
use crate::peer::said::pause;
use crate::peer::{History, Matched, Remote, Stream, Told};
use crate::serve::has_other_history;
use crate::store::Store;
use crate::sync::Sync;

/// How far a grant runs ahead to begin with; doubles each time it is renewed.
const FIRST_WINDOW: u64 = 64 << 10;

impl<S: Store> Sync<S> {
    /// A neighbour says what it has of a channel.
    // spec: SYNC-11
    pub(crate) fn take_summary(
        &mut self,
        now: Time,
        link: LinkId,
        summary: &Summary,
    ) -> Result<(), Trouble> {
        let Some(log) = summary.logs.iter().find(|log| log.log == LOG) else { return Ok(()) };
        if log.size > limits::LOG_ITEMS || log.blobs > log.size {
            return Err(Fault::Protocol("a summary that cannot be").into());
        }
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(()) };
        let Some(id) = peer.slots.named(summary.channel) else { return Ok(()) };
        let Some(channel) = self.library.sound(&id) else { return Ok(()) };
        let size = channel.log.size();
        peer.acknowledge(summary.serial);
        let Some(matched) = peer.matched.get_mut(&id) else { return Ok(()) };
        if matched.summary_heard.is_some_and(|heard| summary.serial <= heard) {
            return Ok(());
        }
        matched.summary_heard = Some(summary.serial);
        if !matches!(matched.told, Some(Told::Here { .. })) {
            // Who knows of a fork sends no summaries.
            matched.told = None;
        }
        matched.history = History::Unknown;
        let is_first = matched.theirs.is_none();
        let theirs = Some(Remote { size: log.size, root: log.root, blobs: log.blobs });
        if matched.theirs != theirs {
            matched.theirs = theirs;
            matched.unanswered = 0;
            peer.pace.unanswered = 0;
            peer.hungry = true;
            self.fetch.news();
        }
        // Who has as much, or not what it was sent, may have another history.
        if (log.size == size || matched.sent > log.size)
            && has_other_history(&self.library, &peer.slots, (&id, matched))?
        {
            matched.said.heard(Matched::PUSH);
        }
        if is_first && matched.said.heard(Matched::PUSH) && log.size < size {
            // What was offered unseen was too little.
            matched.told = None;
        } else if log.size >= size {
            matched.said.heard(Matched::PUSH);
        }
        if matched.incoming.is_some() && log.size <= size {
            matched.incoming = None;
        }
        peer.tell.insert(id);
        self.seek(now, &id);
        Ok(())
    }

    /// Asks somebody for the items that a channel lacks, unless somebody is asked already.
    // spec: SYNC-12
    pub(crate) fn seek(&mut self, now: Time, id: &ChannelId) {
        let Some(channel) = self.library.growing(id) else { return };
        let size = channel.log.size();
        let first = channel.rotten.first().copied().unwrap_or(size);
        if self.health.is_full(now) {
            return;
        }
        let mut best: Option<(u32, u64, LinkId)> = None;
        for (link, peer) in &self.peers {
            let Some(matched) = peer.matched.get(id) else { continue };
            if matched.incoming.is_some() {
                return;
            }
            let theirs = matched.theirs.map_or(0, |theirs| theirs.size);
            let answers = matched.unanswered < limits::UNANSWERED;
            if peer.trusted && answers && theirs > first {
                let candidate = (matched.unanswered, u64::MAX - theirs, *link);
                best = Some(best.map_or(candidate, |best| best.min(candidate)));
            }
        }
        if let Some((_, _, link)) = best {
            self.begin(now, link, id, first);
        }
    }

    /// Asks for all that is lacking.
    pub(crate) fn seek_all(&mut self, now: Time) {
        let channels: Vec<ChannelId> = self.library.channels.keys().copied().collect();
        channels.iter().for_each(|id| self.seek(now, id));
    }

    /// Begins a stream of items.
    fn begin(&mut self, now: Time, link: LinkId, id: &ChannelId, first: u64) {
        let size = self.library.sound(id).map_or(0, |channel| channel.log.size());
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let serial = peer.next_serial();
        let Some(matched) = peer.matched.get_mut(id) else { return };
        let again = now + pause(peer.pace.repeat(), matched.unanswered);
        matched.incoming = Some(Stream {
            serial,
            first,
            granted: FIRST_WINDOW,
            received: 0,
            window: FIRST_WINDOW,
            again,
            gap: matched.incoming.is_some(),
            repairs: first < size,
        });
        peer.wants.insert(*id);
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
        let Some(channel) = self.library.growing(&id) else { return Ok(()) };
        let end = run.first.saturating_add(run.items.len() as u64);
        if run.log != LOG || self.health.is_full(now) || !peer.trusted {
            return Ok(());
        }
        if let Some(stream) = &mut matched.incoming {
            stream.received = stream.received.saturating_add(run_bytes(run));
            stream.again = now + peer.pace.repeat();
        }
        if run.first > channel.log.size() {
            let is_new = matched.incoming.is_some_and(|stream| !stream.gap);
            let size = channel.log.size();
            if is_new {
                self.begin(now, link, &id, size);
            }
            return Ok(());
        }
        let size = channel.log.size();
        let is_excused = matched.strange < limits::UNANSWERED;
        if end <= size {
            if is_excused && !self.library.are(&id, run)? {
                // Nobody has verified them: what is here is said, and they may do the same.
                matched.theirs = Some(Remote { size: end, root: [0; 8], blobs: 0 });
                (matched.history, matched.incoming) = (History::Other, None);
                matched.strange += 1;
                peer.tell.insert(id);
                return Ok(());
            }
            for (item, seq) in run.items.iter().zip(run.first..) {
                self.library.repair(&id, seq, &item)?;
            }
        } else {
            // Who has not heard what is here may well give what does not continue it.
            let is_guess = matched.theirs.is_none() && size > 0;
            let told = matches!(matched.told, Some(Told::Here { size: told, .. }) if told == size);
            let knows = size == 0 || told;
            let verified = match log::verify(channel, run) {
                Err(_) if is_guess && is_excused => {
                    matched.strange += 1;
                    return Ok(());
                }
                Err(log::UNSIGNED) if is_excused && (run.first < size || !knows) => {
                    // When it has, it finds out why.
                    (matched.told, matched.incoming) = (None, None);
                    matched.strange += 1;
                    peer.tell.insert(id);
                    return Ok(());
                }
                verified => verified?,
            };
            let (first, count) = (verified.first, verified.items.len() as u64);
            self.library.keep(&id, verified)?;
            self.arrived(&id, first, count);
        }
        self.go_on(now, link, &id, end);
        Ok(())
    }

    /// New items are here: tells everybody whom it concerns.
    pub(crate) fn arrived(&mut self, id: &ChannelId, first: u64, count: u64) {
        if first == 0 {
            self.events.tell(Event::ChannelKnown { channel: *id });
        }
        self.events.tell(Event::NewItems { channel: *id, first, count });
        self.peers.values_mut().for_each(|peer| peer.changed(id));
        self.fetch.news();
    }

    /// A run that ends before item `end` was taken: grants more, or ends the stream.
    // spec: SYNC-12
    fn go_on(&mut self, now: Time, link: LinkId, id: &ChannelId, end: u64) {
        let Some(channel) = self.library.sound(id) else { return };
        let (size, is_sound) = (channel.log.size(), channel.rotten.is_empty());
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let Some(matched) = peer.matched.get_mut(id) else { return };
        let theirs = matched.theirs.get_or_insert(Remote { size: 0, root: [0; 8], blobs: 0 });
        if theirs.size < end {
            // Whoever sends items has them, and all before them. Their next summary says so too.
            theirs.size = end;
            matched.history = History::Same;
        }
        let theirs = theirs.size;
        matched.unanswered = 0;
        let Some(stream) = &mut matched.incoming else { return };
        stream.gap = false;
        if is_sound && (size >= theirs || stream.repairs) {
            matched.incoming = None;
            peer.tell.insert(*id);
            self.seek(now, id);
        } else if stream.repairs {
            // Only what has rotted is asked for, not all that stands behind it.
        } else if stream.granted.saturating_sub(stream.received) <= stream.window / 2 {
            stream.window = (stream.window * 2).min(limits::WANT_BYTES);
            stream.granted = stream.received.saturating_add(stream.window);
            peer.wants.insert(*id);
        }
    }

    /// Streams that have come to a halt are begun anew, or elsewhere.
    // spec: SYNC-22
    pub(crate) fn restart_streams(&mut self, now: Time) {
        let mut halted = Vec::new();
        for peer in self.peers.values_mut() {
            for (id, matched) in &mut peer.matched {
                let Some(stream) = matched.incoming.filter(|stream| stream.again <= now) else {
                    continue;
                };
                matched.incoming = None;
                matched.unanswered = matched.unanswered.saturating_add(1);
                peer.wants.remove(id);
                peer.tell.insert(*id);
                halted.push((*id, stream.repairs));
            }
        }
        for (id, repairs) in halted {
            if let Some(channel) = self.library.channels.get_mut(&id).filter(|_| repairs) {
                // Nobody has it; it is found again when it is asked for again.
                channel.rotten.pop_first();
            }
            self.seek(now, &id);
        }
    }
}

//! Content that is gone is cleared away, and content that is lacking is asked for.

use core::time::Duration;

use mesh_wire::message::sync::Items;
use mesh_wire::{LinkId, Now, Time, UnixTime, limits};

use crate::channel::LogId;
use crate::event::Event;
use crate::follow::FIRST_WINDOW;
use crate::peer::History;
use crate::store::{Store, StoreError};
use crate::sync::Sync;

/// The longest time until the clock is looked at again: somebody may have set it.
const LOOK_AGAIN: Duration = Duration::from_secs(600);
/// How long a clock has to be put right after a start.
const CLOCK_PATIENCE: Duration = Duration::from_secs(600);
/// What expired so long before a start has rather met a wrong clock, in milliseconds.
const LONG_AGO: u64 = 365 * 24 * 3600 * 1000;

/// When to look whether a moment of the wall clock has come, if it was `armed` for that or another
/// one before. If it has come and is not over, something is in the way.
pub(crate) fn alarm(now: Now, armed: Option<(UnixTime, Time)>, next: UnixTime) -> (UnixTime, Time) {
    let armed = armed.filter(|(before, at)| *before == next && *at > now.time);
    armed.unwrap_or_else(|| {
        let ahead = Duration::from_millis(next.0.saturating_sub(now.unix.0));
        let ahead = if ahead.is_zero() { LOOK_AGAIN } else { ahead.min(LOOK_AGAIN) };
        (next, now.time + ahead)
    })
}

impl<S: Store> Sync<S> {
    /// Lets go what has expired, and does for everything that is gone or lacking by now what
    /// others have to do with it.
    // spec: SYNC-43, SYNC-46
    pub(crate) fn clear(&mut self, now: Now) -> Result<(), StoreError> {
        let sure_at = *self.sure_at.get_or_insert(now.time + CLOCK_PATIENCE);
        if self.is_over(now) {
            self.library.expire(now.unix)?;
        }
        if core::mem::take(&mut self.library.has_lost_blobs) {
            self.fetch.close_unwanted(&self.library, &mut self.peers)?;
            self.fetch.news();
            self.peers.values_mut().for_each(|peer| peer.served.tell_all());
        }
        while let Some(channel) = self.library.changed.pop_first() {
            self.peers.values_mut().for_each(|peer| peer.changed(&channel));
            self.events.tell(Event::ContentChanged { channel });
        }
        while let Some((at, from)) = self.library.wounds.pop_first() {
            self.mend(now.time, &at, from)?;
        }
        self.expiry = self.library.next_expiry.map(|next| match self.expiry {
            Some((armed, at)) if armed == next && at > now.time => (armed, at),
            Some(_) | None if next <= now.unix => (next, sure_at),
            armed => alarm(now, armed, next),
        });
        Ok(())
    }

    /// Whether content has expired and is here all the same.
    // spec: SYNC-46
    pub(crate) fn is_over(&self, now: Now) -> bool {
        let Some(next) = self.library.next_expiry.filter(|next| *next <= now.unix) else {
            return false;
        };
        now.unix.0 - next.0 < LONG_AGO || self.sure_at.is_some_and(|at| at <= now.time)
    }

    /// Asks somebody for lacking content of a log, if nobody is asked for anything of it: items
    /// from `from` on even of those who were asked for them before.
    // spec: SYNC-45
    fn mend(&mut self, now: Time, at: &LogId, from: u64) -> Result<(), StoreError> {
        let talks = self.peers.values_mut().filter_map(|peer| peer.matched.get_mut(&at.channel));
        for talk in talks.filter_map(|matched| matched.logs.get_mut(&at.log)) {
            if from < u64::MAX {
                (talk.mended, talk.fruitless) = (talk.mended.min(from), 0);
            }
        }
        if self.library.growing(at).is_none() || self.health.is_full(now) {
            return Ok(());
        }
        let Some(lacking) = self.library.lacking_from(at, 0)? else {
            if let Some(log) = self.library.log_mut(at) {
                log.patchy = false;
            }
            return Ok(());
        };
        let Some(channel) = self.library.sound(&at.channel) else { return Ok(()) };
        let mut best = None;
        for (link, peer) in &self.peers {
            let Some(matched) = peer.matched.get(&at.channel) else { continue };
            let Some(talk) = matched.logs.get(&at.log) else { continue };
            if talk.incoming.is_some() {
                return Ok(());
            }
            let theirs = matched.theirs(at.log).map_or(0, |theirs| theirs.size);
            let theirs = theirs.min(channel.valid(at.log));
            let answers = talk.unanswered < limits::UNANSWERED
                && talk.fruitless < limits::UNANSWERED
                && talk.history != History::Other
                && matched.knows(&channel.charter, at.log);
            if !peer.trusted || !answers || theirs <= lacking {
                continue;
            }
            let next = self.library.lacking_from(at, talk.mended)?.filter(|next| *next < theirs);
            let first = next.or((talk.fruitless == 0).then_some(lacking));
            if let Some(first) = first {
                let candidate = (talk.unanswered, first, *link);
                best = Some(best.map_or(candidate, |best: (u32, u64, _)| best.min(candidate)));
            }
        }
        let Some((_, first, link)) = best else { return Ok(()) };
        self.begin(now, link, at, first);
        if self.library.lacking_from(at, first + 1)? == Some(first + 1)
            && let Some(peer) = self.peers.get_mut(&link)
            && let Some(matched) = peer.matched.get_mut(&at.channel)
            && let Some(stream) = &mut matched.talk(at.log).incoming
        {
            stream.granted = FIRST_WINDOW;
        }
        Ok(())
    }

    /// Takes what is lacking from a run of items, of which those before `size` were here.
    // spec: SYNC-45
    pub(crate) fn take_lacking(
        &mut self,
        (link, at): (LinkId, &LogId),
        run: &Items,
        size: u64,
    ) -> Result<(), StoreError> {
        if !self.library.log(at).is_some_and(|log| log.patchy) {
            return Ok(());
        }
        let mut is_better = false;
        for (item, seq) in run.items.iter().zip(run.first..size) {
            is_better |= self.library.repair(at, seq, &item)?;
        }
        if is_better {
            self.events.tell(Event::ContentChanged { channel: at.channel });
            for (other, peer) in &mut self.peers {
                let Some(matched) = peer.matched.get_mut(&at.channel) else { continue };
                let talk = matched.talk(at.log);
                if *other == link {
                    talk.fruitless = 0;
                } else {
                    talk.told = None;
                    peer.tell.insert(at.channel);
                }
            }
        }
        Ok(())
    }
}

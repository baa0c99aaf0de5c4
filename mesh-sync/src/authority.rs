//! What the owner does about writers: rights are asked for, given, passed on and taken.

use alloc::vec::Vec;
use core::ops::Range;
use core::time::Duration;

use mesh_wire::invite::WriterLink;
use mesh_wire::message::sync::Right;
use mesh_wire::origin::OriginUrl;
use mesh_wire::{ChannelId, Now, UnixTime};

use crate::channel::ChannelName;
use crate::clear::alarm;
use crate::command::Refused;
use crate::peer::Matched;
use crate::status::Role;
use crate::store::Store;
use crate::sync::Sync;

impl<S: Store> Sync<S> {
    /// What a channel's owner needs to give this node a right: a key of its own, and its consent.
    // spec: SYNC-37
    pub fn request_right(
        &mut self,
        now: Now,
        channel: &ChannelId,
        (name, right): (ChannelName, Right),
    ) -> Result<WriterLink, Refused> {
        self.is_open()?;
        let asked = self.library.request(channel, (name, right), &mut self.rng);
        self.durable(now, asked)
    }

    /// Gives a writer what it asks for, up to a moment if there is one. Who gives the right to
    /// succeed has no more right from then on.
    // spec: SYNC-37
    pub fn grant(
        &mut self,
        now: Now,
        writer: &WriterLink,
        until: Option<UnixTime>,
    ) -> Result<Range<u64>, Refused> {
        self.is_open()?;
        let granted = self.library.grant(now.unix, writer, until);
        self.written(now, &writer.channel, granted)
    }

    /// Puts a new key of this node in the place of the one that says who may write.
    // spec: SYNC-37
    pub fn rotate(&mut self, now: Now, channel: &ChannelId) -> Result<Range<u64>, Refused> {
        self.is_open()?;
        let rotated = self.library.rotate(now.unix, channel, &mut self.rng);
        self.written(now, channel, rotated)
    }

    /// Ends a writer's right: its items that are here by now stay, all others are void.
    // spec: SYNC-38
    pub fn revoke(
        &mut self,
        now: Now,
        channel: &ChannelId,
        log: u32,
    ) -> Result<Range<u64>, Refused> {
        self.is_open()?;
        let ended = self.library.check(now.unix, channel, Some(log));
        self.written(now, channel, ended)
    }

    /// Says how far every writer is by now, and ends the rights whose time is over.
    // spec: SYNC-38
    pub fn checkpoint(&mut self, now: Now, channel: &ChannelId) -> Result<Range<u64>, Refused> {
        self.is_open()?;
        let checked = self.library.check(now.unix, channel, None);
        self.written(now, channel, checked)
    }

    /// The same, and promises to do so again within a time, at least an hour, and on and on as long
    /// as this node runs; or promises nothing any more.
    // spec: SYNC-66
    pub fn promise(
        &mut self,
        now: Now,
        channel: &ChannelId,
        within: Option<Duration>,
    ) -> Result<Range<u64>, Refused> {
        self.is_open()?;
        let promised = self.library.promise(now.unix, channel, within);
        self.written(now, channel, promised)
    }

    /// Says where on the web a channel of this node is, too: the best place first.
    // spec: SYNC-57
    pub fn name_origins(
        &mut self,
        now: Now,
        channel: &ChannelId,
        urls: &[OriginUrl],
    ) -> Result<Range<u64>, Refused> {
        self.is_open()?;
        let named = self.library.name_origins(now.unix, channel, urls);
        self.written(now, channel, named)
    }

    /// What is known of channels has changed: in those of this node rights may end, and members may
    /// have to get new keys.
    // spec: SYNC-38, SYNC-41, SYNC-66
    pub(crate) fn govern(&mut self, now: Now) {
        if self.unsettled.is_empty() && self.promises.is_none_or(|(_, at)| at > now.time) {
            return;
        }
        while let Some(channel) = self.unsettled.pop_first() {
            self.end_rights(now, &channel);
            let renewed = self.library.renew(now.unix, &channel, &mut self.rng).transpose();
            // An error of the store has become an event, and the next change tries again.
            if let Some(Ok(kept)) = renewed.map(|renewed| self.durable(now, renewed)) {
                self.arrived(now.time, &channel, kept);
            }
        }
        self.keep_promises(now);
    }

    /// Makes the checkpoints that this node has promised.
    // spec: SYNC-66
    fn keep_promises(&mut self, now: Now) {
        let due = self.library.promised().filter(|(_, at)| *at <= now.unix);
        for channel in due.map(|(channel, _)| channel).collect::<Vec<_>>() {
            // An error of the store has become an event; it is tried again.
            let _ = self.checkpoint(now, &channel);
        }
        let next = self.library.promised().map(|(_, at)| at).min();
        self.promises = next.map(|next| alarm(now, self.promises, next));
    }

    /// Ends the rights whose time is over in a channel of this node, once a neighbour is here and
    /// has no more of what was written under them: that is in time, and counts.
    // spec: SYNC-38
    fn end_rights(&mut self, now: Now, id: &ChannelId) {
        let Some(channel) = self.library.sound(id) else { return };
        let over = channel.charter.writers().filter(|(_, writer)| writer.is_over(now.unix));
        let over: Vec<u32> = over.map(|(log, _)| log).collect();
        if channel.role() != Role::Owner || over.is_empty() {
            return;
        }
        let is_level = |matched: &Matched| {
            let has_no_more = |log: &u32| {
                matched.has_said(*log).is_some_and(|theirs| theirs.size <= channel.size(*log))
            };
            over.iter().all(has_no_more)
        };
        if self.peers.values().filter_map(|peer| peer.matched.get(id)).any(is_level) {
            // An error of the store has become an event, and a frozen channel has no rights to end.
            let _ = self.checkpoint(now, id);
        }
    }
}

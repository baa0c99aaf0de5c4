//! What the owner does about writers: rights are asked for, given, passed on and taken.

use alloc::vec::Vec;
use core::ops::Range;

use mesh_wire::invite::WriterLink;
use mesh_wire::message::sync::Right;
use mesh_wire::{ChannelId, Now, UnixTime};

use crate::channel::{Channel, ChannelName};
use crate::command::Refused;
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
        let name = ChannelName::default();
        let link = self.library.request(channel, (name, Right::Succeed), &mut self.rng);
        let link = self.durable(now, link)?;
        self.grant(now, &link, None)
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

    /// There is somebody to tell: ends the rights whose time is over, in channels of this node.
    // spec: SYNC-38
    pub(crate) fn end_rights(&mut self, now: Now) {
        let has_due = |channel: &&Channel| {
            let mut writers = channel.charter.writers();
            channel.role() == Role::Owner && writers.any(|(_, writer)| writer.is_over(now.unix))
        };
        let due = self.library.channels.values().filter(has_due);
        let due: Vec<ChannelId> = due.map(|channel| channel.id).collect();
        for channel in due {
            // An error of the store has become an event, and a frozen channel has no rights to end.
            let _ = self.checkpoint(now, &channel);
        }
    }
}

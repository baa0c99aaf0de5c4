//! What of all there is the owner wants here, and for how long: policies of channels, budgets, and
//! what is pinned.

use alloc::vec::Vec;

use mesh_wire::codec::List;
use mesh_wire::{ChannelId, Now};

use crate::blob::BlobId;
use crate::channel::account::{Exchange, Files, NO_LIMIT, Policy};
use crate::command::Refused;
use crate::event::Event;
use crate::library::{QUEUES, Room, Wish};
use crate::store::{Store, StoreError};
use crate::sync::Sync;

/// Blobs that are given up between two commits: what a small new budget makes superfluous goes
/// bit by bit.
const BATCH: usize = 256;

/// How many bytes of blobs are here, and how many may be. What was published here does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// How many may be, in all channels together, if there is a limit.
    pub total: Option<u64>,
    /// Whether the owner has said so.
    pub is_set: bool,
    /// How many are.
    pub used: u64,
}

/// Why a blob does not come by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfetched {
    /// The channel's files come only when somebody wants them.
    NotWanted,
    /// It is larger than the channel's files may be.
    TooLarge(u64),
    /// It is larger than all that may be here, of the channel or of all.
    OverBudget(u64),
    /// There is no room beside newer ones: perhaps it was here and was given up.
    NoRoom,
}

impl<S: Store> Sync<S> {
    /// Says how much of a channel is to be here. It is durable when this returns.
    pub fn set_policy(
        &mut self,
        now: Now,
        channel: &ChannelId,
        policy: Policy,
    ) -> Result<(), Refused> {
        self.is_open()?;
        let known = self.library.channels.get_mut(channel).ok_or(Refused::NoSuchChannel)?;
        known.account.set(&policy);
        let id = *channel;
        self.library.exchanged(&id, |_| {});
        let sorted = self.library.sort(&id);
        self.rearranged(now, sorted)
    }

    /// Says how many bytes of blobs may be here in all; `None` leaves it to
    /// [`Sync::assume_budget`]. It is durable when this returns.
    pub fn set_budget(&mut self, now: Now, total: Option<u64>) -> Result<(), Refused> {
        self.is_open()?;
        self.library.account.total = List::new(total.map(|total| total.min(NO_LIMIT)).as_ref());
        let written = self.library.put_account().and_then(|()| self.sort_all());
        self.rearranged(now, written)
    }

    /// How many bytes of blobs may be here in all as long as the owner has not said so; without
    /// this, there is no limit.
    pub fn assume_budget(&mut self, total: u64) {
        self.library.assumed = total.min(NO_LIMIT);
        self.begin_to_make_room();
    }

    /// How much there is, and may be.
    #[must_use]
    pub fn budget(&self) -> Budget {
        let total = Some(self.library.budget()).filter(|total| *total != NO_LIMIT);
        let is_set = !self.library.account.total.is_empty();
        Budget { total, is_set, used: self.library.used() }
    }

    /// What was exchanged with others since this node was made, channels included that are
    /// followed no longer.
    #[must_use]
    pub fn exchanged(&self) -> Exchange {
        let channels = self.library.channels.values().map(|channel| channel.account.exchange);
        channels.fold(self.library.account.past, Exchange::and)
    }

    /// Fetches the content of an item before all others, if it is not here, and keeps it whatever
    /// happens. It is durable when this returns. Content that travels inside its item always stays.
    pub fn pin(&mut self, now: Now, channel: &ChannelId, number: u64) -> Result<(), Refused> {
        let Some(blob) = self.content_of(channel, number)? else { return Ok(()) };
        let pinned = self.library.pin(&blob);
        self.rearranged(now, pinned)
    }

    /// Lets it go when its time has come.
    pub fn unpin(&mut self, now: Now, channel: &ChannelId, number: u64) -> Result<(), Refused> {
        let Some(blob) = self.content_of(channel, number)? else { return Ok(()) };
        let unpinned = self.library.unpin(&blob);
        self.rearranged(now, unpinned)
    }

    /// The blob that an item names; `None` if its content travels inside it.
    fn content_of(&self, channel: &ChannelId, number: u64) -> Result<Option<BlobId>, Refused> {
        let (item, _) = self.item(channel, number)?.ok_or(Refused::NoSuchItem)?;
        Ok(item.blob)
    }

    /// Whether a channel lacks a blob that comes as soon as somebody around has it.
    pub fn awaits_blobs(&self, channel: &ChannelId) -> Result<bool, Refused> {
        self.is_open()?;
        for queue in 0..QUEUES {
            let next = self.library.missing(channel, queue, &(0..u64::MAX))?;
            let Some((_, blob)) = next else { continue };
            if self.prospects(channel, &blob)?.1.is_none() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a blob was pinned, and why it does not come by itself if it does not.
    pub(crate) fn prospects(
        &self,
        channel: &ChannelId,
        blob: &BlobId,
    ) -> Result<(bool, Option<Unfetched>), StoreError> {
        let shelved = self.library.shelved(blob)?;
        let account = self.library.channels.get(channel).map(|channel| &channel.account);
        let (Some(shelved), Some(account)) = (shelved, account) else { return Ok((false, None)) };
        if shelved.wish != Wish::Resting || shelved.bytes == blob.size {
            let rest = blob.size.saturating_sub(shelved.bytes);
            let fits = shelved.wish != Wish::Wanted || rest == 0;
            let fits = fits || self.library.room(&shelved, rest, (0, 0))? != Room::None;
            return Ok((shelved.wish == Wish::Pinned, (!fits).then_some(Unfetched::NoRoom)));
        }
        let room = account.keep.min(self.library.budget());
        let why = match account.files {
            Files::Wanted => Unfetched::NotWanted,
            Files::All if blob.size > account.largest => Unfetched::TooLarge(account.largest),
            Files::All if blob.size > room => Unfetched::OverBudget(room),
            Files::All => Unfetched::NoRoom,
        };
        Ok((false, Some(why)))
    }

    /// Looks again at what is missing everywhere.
    fn sort_all(&mut self) -> Result<(), StoreError> {
        let channels: Vec<ChannelId> = self.library.channels.keys().copied().collect();
        channels.iter().try_for_each(|channel| self.library.sort(channel))
    }

    /// Something else is to be here than before.
    fn rearranged(&mut self, now: Now, outcome: Result<(), StoreError>) -> Result<(), Refused> {
        let outcome = outcome
            .and_then(|()| self.fetch.close_unwanted(&self.library, &mut self.peers))
            .and_then(|()| self.make_room());
        self.fetch.news();
        self.durable(now, outcome.map_err(Refused::Store))?;
        self.begin_to_make_room();
        Ok(())
    }

    /// Gives up blobs as long as there are more than there is room for. Those that somebody waits
    /// for stay, and take no room from others.
    // spec: SYNC-55, SYNC-56
    pub(crate) fn make_room(&mut self) -> Result<(), StoreError> {
        for _ in 0..BATCH {
            let Some(blob) = self.library.excess(&self.fetch.preferred())? else { break };
            self.library.give_up(&blob)?;
            self.fetch.close_blob(&blob, &mut self.peers);
            for channel in self.library.channels_naming(&blob)? {
                self.peers.values_mut().for_each(|peer| peer.changed(&channel));
            }
            self.peers.values_mut().for_each(|peer| peer.served.given_up(&blob));
            self.events.tell(Event::BlobGivenUp { blob });
        }
        Ok(())
    }
}

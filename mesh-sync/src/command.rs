//! What the owner does: channels, publishing, blobs.

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use mesh_wire::message::sync::{ItemKind, Unsealing};
use mesh_wire::origin::OriginUrl;
use mesh_wire::{ChannelId, Label, Now, UnixTime, limits};
use thiserror::Error;

use crate::blob::{BlobId, Outboard, PAGE, PageId};
use crate::channel::{ChannelName, Visibility};
use crate::library::{Group, Kept, Rules};
use crate::status::Role;
use crate::store::{Store, StoreError};
use crate::sync::Sync;

/// An item to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewItem {
    /// What it is: a text or a file.
    pub kind: ItemKind,
    /// Its name.
    pub name: Label<{ limits::NAME_BYTES }>,
    /// Its content.
    pub content: Content,
    /// When that is to go, wherever it has come by then.
    pub expires: Option<UnixTime>,
}

/// Who may read a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Whoever knows it.
    Everybody,
    /// Whoever may write in it.
    Members,
}

/// The content of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// At most [`limits::INLINE_BYTES`], which travel inside the item.
    Inline(Bytes),
    /// More than that, as a blob.
    Blob(BlobId),
    /// A blob for a private channel: sealed, and what it takes to read it.
    Sealed(BlobId, Unsealing),
}

/// Why a command was not done.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// The channel is not followed here.
    #[error("this node does not follow the channel")]
    NoSuchChannel,
    /// Others write it.
    #[error(
        "only those whom its owner has let in can publish in the channel: `mesh channel request` \
         prints what to give to the owner"
    )]
    NotYours,
    /// The right to write has ended.
    #[error(
        "the channel's owner has ended this node's right to write in it: what is here stays, and \
         nobody takes more"
    )]
    Ended,
    /// Somebody else says who may write.
    #[error("only the channel's owner says who may write in it")]
    NotOwner,
    /// The consent is not the writer's.
    #[error("the writer has not signed this: ask for what `mesh channel request` prints there")]
    NotAccepted,
    /// The key has a log already.
    #[error("this writer has the right already, or had it: another one needs another key")]
    AlreadyWrites,
    /// No key has been sealed to this node yet.
    #[error(
        "the key of this private channel has not arrived yet: it comes from its owner once that \
         has let this node in"
    )]
    NoKey,
    /// Too much to travel inside an item of a private channel.
    #[error(
        "a text in a private channel has at most {} kB: publish it as a file",
        limits::SEALED_CONTENT_BYTES >> 10
    )]
    TooLargeToSeal,
    /// A blob for members that everybody could read, or the other way round.
    #[error("a blob goes into a private channel sealed, and into no other")]
    WrongSeal,
    /// Too many logs.
    #[error("no more than {} writers in the life of a channel", limits::LOGS - limits::SUCCESSIONS)]
    TooManyWriters,
    /// An owner for some time only.
    #[error("the right to be the owner has no end: a new owner passes it on")]
    NoEnd,
    /// Nobody of that name or number may write.
    #[error("nobody like that may write in the channel: see `mesh channel status`")]
    NoSuchWriter,
    /// It is ours.
    #[error("a channel of one's own cannot be unfollowed")]
    Own,
    /// No more channels than can be shared over a link.
    #[error("no more than {} channels", limits::SHARED_CHANNELS)]
    TooManyChannels,
    /// A part is above its limit.
    #[error("{0} is too large")]
    TooLarge(&'static str),
    /// A blob small enough to travel inside its item.
    #[error("content of up to {} bytes travels inside its item", limits::INLINE_BYTES)]
    TooSmall,
    /// An item that only the node itself makes.
    #[error("only texts and files are published")]
    NotContent,
    /// Items are on their way here.
    #[error("items of the channel are on their way here: try again when they have come")]
    Incomplete,
    /// No text or file that counts has this number.
    #[error("the channel has no such text or file: see `mesh feed`")]
    NoSuchItem,
    /// Somebody else wrote it, and somebody else owns the channel.
    #[error("only who wrote an item, or the channel's owner, retracts it")]
    NotYourItem,
    /// Not everybody may write in it.
    #[error(
        "only on a board, which `mesh channel new --open` makes, people choose their own names"
    )]
    NotOpen,
    /// A board keeps notes that are newer than what this node would write now.
    #[error("the board is full of notes that are newer: is the clock of this device right?")]
    Overtaken,
    /// The store no longer has what was signed.
    #[error("the channel is damaged on disk")]
    Damaged,
    /// Its key has signed two histories.
    #[error(
        "the channel's key has signed two different histories, and nobody takes more of either. \
         Was this home copied, or restored from a backup? Make a new channel"
    )]
    Forked,
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl<S: Store> Sync<S> {
    /// Makes a channel of one's own that everybody may read, durable when this returns.
    pub fn create_channel(&mut self, now: Now, name: &ChannelName) -> Result<ChannelId, Refused> {
        self.create(now, name, Readers::Everybody)
    }

    /// Makes one that only its members read, durable when this returns. Its name, and those of its
    /// members, are for all to see who know it.
    // spec: SYNC-40
    pub fn create_private_channel(
        &mut self,
        now: Now,
        name: &ChannelName,
    ) -> Result<ChannelId, Refused> {
        self.create(now, name, Readers::Members)
    }

    /// Makes a board: a channel in which everybody writes who knows it. Durable when this returns.
    // spec: SYNC-62
    pub fn create_board(&mut self, now: Now, name: &ChannelName) -> Result<ChannelId, Refused> {
        self.is_open()?;
        self.has_room_for_a_channel()?;
        let made = self.library.create_board(now.unix, name, &mut self.rng);
        self.created(now, made)
    }

    /// Changes what this node goes by in what it writes on a board from now on.
    // spec: SYNC-62
    pub fn sign_as(
        &mut self,
        now: Now,
        board: &ChannelId,
        name: ChannelName,
    ) -> Result<(), Refused> {
        self.is_open()?;
        let named = self.library.sign_as(board, name);
        self.durable(now, named)
    }

    fn create(
        &mut self,
        now: Now,
        name: &ChannelName,
        readers: Readers,
    ) -> Result<ChannelId, Refused> {
        self.is_open()?;
        self.has_room_for_a_channel()?;
        let made = self.library.create(now.unix, (name, readers), &mut self.rng);
        self.created(now, made)
    }

    fn created(
        &mut self,
        now: Now,
        made: Result<ChannelId, Refused>,
    ) -> Result<ChannelId, Refused> {
        let id = self.durable(now, made)?;
        self.share();
        self.arrived(now.time, &id, Kept { numbers: 0..1, rules: Rules::New });
        self.govern(now);
        Ok(id)
    }

    /// Follows a channel: its items and blobs are fetched from whoever shares it. A channel that
    /// is followed already stays as it is.
    pub fn follow(&mut self, now: Now, channel: ChannelId) -> Result<(), Refused> {
        self.is_open()?;
        if self.library.channels.contains_key(&channel) {
            return Ok(());
        }
        self.has_room_for_a_channel()?;
        let followed = self.library.follow(channel);
        self.durable(now, followed)?;
        self.share();
        Ok(())
    }

    /// A channel that is followed is at this place on the web, too, says a person.
    // spec: SYNC-57
    pub fn follow_at(
        &mut self,
        now: Now,
        channel: &ChannelId,
        origin: OriginUrl,
    ) -> Result<(), Refused> {
        self.is_open()?;
        let known = self.library.channels.get(channel).ok_or(Refused::NoSuchChannel)?;
        if known.origin.as_ref() != Some(&origin) {
            let kept = self.library.keep_origin(channel, origin).map_err(Refused::Store);
            self.durable(now, kept)?;
            self.origins.is_stale = true;
        }
        Ok(())
    }

    /// Follows a channel that no neighbour is to find out about by guessing, or hides one that is
    /// followed already.
    // spec: SYNC-54
    pub fn follow_hidden(&mut self, now: Now, channel: ChannelId) -> Result<(), Refused> {
        self.is_open()?;
        let mut followed = Ok(());
        if !self.library.channels.contains_key(&channel) {
            self.has_room_for_a_channel()?;
            followed = self.library.follow(channel);
        }
        let hidden = followed.and_then(|()| self.library.show(&channel, Visibility::Hidden));
        self.durable(now, hidden)?;
        self.share();
        Ok(())
    }

    /// Changes who may find out that a channel is here, durable when this returns. What a neighbour
    /// has found out before, it knows.
    // spec: SYNC-54
    pub fn show(&mut self, now: Now, channel: &ChannelId, to: Visibility) -> Result<(), Refused> {
        self.is_open()?;
        let shown = self.library.show(channel, to);
        self.durable(now, shown)?;
        self.share();
        Ok(())
    }

    /// Forgets a channel, with all items and all blobs that no other channel names.
    pub fn unfollow(&mut self, now: Now, channel: &ChannelId) -> Result<(), Refused> {
        self.is_open()?;
        let known = self.library.channels.get(channel).ok_or(Refused::NoSuchChannel)?;
        if known.role() == Role::Owner {
            return Err(Refused::Own);
        }
        let forgotten = self.library.unfollow(channel);
        let forgotten = forgotten
            .and_then(|()| self.fetch.close_unwanted(&self.library, &mut self.peers))
            .map_err(Refused::Store);
        self.durable(now, forgotten)?;
        self.share();
        Ok(())
    }

    /// Appends items to this node's log of a channel, under one signature, or writes them on a
    /// board, and tells their numbers. They are durable when this returns.
    pub fn publish(
        &mut self,
        now: Now,
        channel: &ChannelId,
        items: Vec<NewItem>,
    ) -> Result<Range<u64>, Refused> {
        self.is_open()?;
        if self.library.board(channel).is_some() {
            let posted = self.library.post(now.unix, channel, items, &mut self.rng);
            return self.posted(now, channel, posted);
        }
        let published = self.library.publish(now.unix, channel, items, &mut self.rng);
        self.written(now, channel, published)
    }

    /// Retracts the content of items, by their numbers here: whoever hears of it drops it. What
    /// was retracted before stays so.
    // spec: SYNC-44
    pub fn retract(
        &mut self,
        now: Now,
        channel: &ChannelId,
        numbers: &[u64],
    ) -> Result<Range<u64>, Refused> {
        self.is_open()?;
        if self.library.board(channel).is_some() {
            let withdrawn = self.library.withdraw(now.unix, channel, numbers);
            return self.posted(now, channel, withdrawn);
        }
        let retracted = self.library.retract(now.unix, channel, numbers);
        self.written(now, channel, retracted)
    }

    /// Items were appended to a log of ours.
    pub(crate) fn written(
        &mut self,
        now: Now,
        channel: &ChannelId,
        outcome: Result<Kept, Refused>,
    ) -> Result<Range<u64>, Refused> {
        let kept = self.durable(now, outcome)?;
        if kept.rules == Rules::New {
            let closed = self.fetch.close_unwanted(&self.library, &mut self.peers);
            self.settle(now, closed)?;
        }
        let numbers = kept.numbers.clone();
        if !numbers.is_empty() {
            self.arrived(now.time, channel, kept);
            self.govern(now);
        }
        Ok(numbers)
    }

    /// Takes a blob whose bytes the owner has put in its place in the store. It is durable with
    /// the next commit, at the latest [`limits::COMMIT_TIME`] from now.
    pub fn adopt_blob(&mut self, now: Now, outboard: &Outboard) -> Result<(), Refused> {
        self.is_open()?;
        let blob = outboard.id();
        if blob.size <= limits::INLINE_BYTES as u64 {
            return Err(Refused::TooSmall);
        }
        if blob.size > limits::BLOB_BYTES {
            return Err(Refused::TooLarge("the content"));
        }
        let adopted = self.library.adopt(outboard).and_then(|()| self.is_whole(blob));
        self.fetch.close_blob(&blob, &mut self.peers);
        Ok(self.settle(now, adopted)?)
    }

    /// Fetches a blob before all others: somebody waits for it.
    pub fn prefer(&mut self, now: Now, blob: BlobId) {
        let is_missing = self.blob(&blob).is_ok_and(|status| !status.is_complete());
        if is_missing {
            self.fetch.prefer(blob, &mut self.peers);
            // An error has become an event.
            let _ = self.settle(now, Ok(()));
        }
    }

    /// Reads a group of a blob again that the owner found to be wrong. If it has rotted, it is
    /// missing from now on, and fetched.
    // spec: SYNC-20
    pub fn recheck(&mut self, now: Now, blob: BlobId, group: u64) -> Result<(), Refused> {
        self.is_open()?;
        let page = PageId { blob, index: group / PAGE };
        let checked = match self.library.group(&page, (group % PAGE) as u16) {
            Ok(Group::Rotten) => self.rotted(&page),
            Ok(Group::Sound(_) | Group::Missing) => Ok(()),
            Err(error) => Err(error),
        };
        Ok(self.settle(now, checked)?)
    }

    /// Makes everything durable now: nobody comes back to this machine.
    pub fn flush(&mut self, now: Now) -> Result<(), Refused> {
        self.is_open()?;
        self.durable(now, Ok(()))
    }

    /// The store; whoever puts a blob's bytes in place does it here.
    pub fn store_mut(&mut self) -> &mut S {
        &mut self.library.store
    }

    /// The store.
    pub fn store(&self) -> &S {
        &self.library.store
    }

    /// The store, for another machine.
    pub fn into_store(self) -> S {
        self.library.store
    }

    /// Ends a command that is acknowledged by its return.
    // spec: SYNC-19
    pub(crate) fn durable<T>(
        &mut self,
        now: Now,
        outcome: Result<T, Refused>,
    ) -> Result<T, Refused> {
        match outcome {
            Ok(value) => {
                let committed = self.commit();
                self.settle(now, committed)?;
                Ok(value)
            }
            Err(Refused::Store(error)) => Ok(self.settle(now, Err(error))?),
            Err(refused) => Err(refused),
        }
    }

    pub(crate) fn is_open(&self) -> Result<(), Refused> {
        self.health.closed().map_or(Ok(()), |error| Err(Refused::Store(error.clone())))
    }

    fn has_room_for_a_channel(&self) -> Result<(), Refused> {
        let is_free = self.library.channels.len() < limits::SHARED_CHANNELS;
        if is_free { Ok(()) } else { Err(Refused::TooManyChannels) }
    }
}

//! The machine: what happens is handed to the room it concerns, and what there is to say is asked
//! of the rooms in turn.
//!
//! The contract is [`Machine`]'s: mutate, then drain. What is in memory is a cache of the store:
//! when the store fails, it is thrown away and read anew.

use alloc::collections::BTreeSet;
use core::time::Duration;

use mesh_wire::message::SyncMessage;
use mesh_wire::{
    ChannelId, Input, Link, LinkId, Machine, Now, Rng, Time, UnixTime, Wake, Wire, limits,
};

use crate::event::{Event, Events};
use crate::fetch::{Fetch, Peers};
use crate::health::Health;
use crate::library::Library;
use crate::origin::Origins;
use crate::peer::Peer;
use crate::peer::allowance::Allowance;
use crate::peer::slots::Slots;
use crate::peer::turns::Class;
use crate::store::{Store, StoreError};

/// Follows and serves channels over any number of links.
pub struct Sync<S: Store> {
    pub(crate) library: Library<S>,
    pub(crate) peers: Peers,
    pub(crate) fetch: Fetch,
    pub(crate) events: Events,
    pub(crate) health: Health,
    pub(crate) origins: Origins,
    /// How often all others together may still guess what is followed here.
    pub(crate) guesses: Allowance,
    pub(crate) rng: Rng,
    /// The owner's clock when the last input came.
    pub(crate) unix: UnixTime,
    /// Channels of which something new is known: who writes them, or what others have.
    pub(crate) unsettled: BTreeSet<ChannelId>,
    commit_at: Option<Time>,
    chores_at: Option<Time>,
    /// When content expires next, and when to look whether that is now.
    pub(crate) expiry: Option<(UnixTime, Time)>,
    /// When this node has promised to say something next, and when to look whether that is now.
    pub(crate) promises: Option<(UnixTime, Time)>,
    /// When a clock is believed whatever it shows, once it is known when this node began.
    pub(crate) sure_at: Option<Time>,
}

impl<S: Store> Sync<S> {
    /// A machine over `store`, with everything in it.
    pub fn open(store: S, rng: Rng) -> Result<Self, StoreError> {
        let mut rng = rng.fork("sync");
        let seed = u64::from_be_bytes(rng.bytes());
        let mut sync = Self {
            library: Library::closed(store),
            peers: Peers::new(),
            fetch: Fetch::new(seed),
            events: Events::default(),
            health: Health::default(),
            origins: Origins::new(rng.fork("origins")),
            guesses: Allowance::of_all(),
            rng,
            unix: UnixTime(0),
            unsettled: BTreeSet::new(),
            commit_at: None,
            chores_at: None,
            expiry: None,
            promises: None,
            sure_at: None,
        };
        sync.open_library()?;
        // Nobody has said yet what time it is.
        sync.expiry = sync.library.next_expiry.map(|next| (next, Time(0)));
        sync.promises = sync.library.promised().map(|(_, next)| (next, Time(0))).min();
        Ok(sync)
    }

    fn open_library(&mut self) -> Result<(), StoreError> {
        self.library.open()?;
        for channel in self.library.channels.values().filter(|channel| channel.damaged) {
            self.events.tell(Event::Damaged { channel: channel.id });
        }
        self.begin_to_make_room();
        Ok(())
    }

    /// More may be here than there is room for: that is looked at with the next commit, which is
    /// due at once.
    pub(crate) fn begin_to_make_room(&mut self) {
        if self.library.is_over() {
            self.commit_at = Some(Time(0));
        }
    }

    /// Ends whatever was done to the machine: alarms, commits, and what to do about an error.
    pub(crate) fn settle<T>(
        &mut self,
        now: Now,
        outcome: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let time = now.time;
        let outcome = outcome.and_then(|value| {
            self.clear(now)?;
            if self.health.closed().is_none() && !self.health.is_full(time) {
                self.fetch.fill(time, &mut self.library, &mut self.peers)?;
            }
            if self.library.uncommitted >= limits::UNCOMMITTED_BYTES {
                self.commit()?;
            }
            Ok(value)
        });
        if let Err(error) = &outcome {
            self.close(time, error.clone());
        } else if self.library.uncommitted > 0 {
            self.commit_at.get_or_insert(time + limits::COMMIT_TIME);
        }
        outcome
    }

    /// Makes everything durable now.
    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        self.library.commit()?;
        self.health.committed();
        self.commit_at = None;
        Ok(())
    }

    /// The store failed: nothing in memory is to be believed.
    // spec: SYNC-25
    fn close(&mut self, now: Time, error: StoreError) {
        self.events.tell(Event::StoreFailed { error: error.clone() });
        self.health.failed(now, error);
        self.library.close();
        self.fetch.forget();
        self.close_origins();
        self.peers.values_mut().for_each(Peer::forget_transfers);
        self.commit_at = None;
        self.chores_at = None;
        self.expiry = None;
    }

    /// Tries the store again.
    fn reopen(&mut self, now: Time) -> Result<(), StoreError> {
        self.open_library()?;
        self.health.opened();
        self.events.tell(Event::StoreBack);
        self.share();
        self.seek_all(now);
        Ok(())
    }

    pub(crate) fn link_up(&mut self, link: LinkId, info: Link) {
        // A link without a session has nothing to say to this layer.
        let Some(secured) = info.secured else { return };
        let rng = Rng::from_seed(self.rng.bytes());
        let slots = Slots::new(&info, &secured, rng);
        self.peers.insert(link, Peer::new(slots, info.carrier));
        if self.health.closed().is_none() {
            self.share();
        }
    }

    /// The other end of a link may take so long to answer.
    // spec: SYNC-10
    pub fn be_patient(&mut self, link: LinkId, patience: Duration) {
        if let Some(peer) = self.peers.get_mut(&link) {
            peer.pace.be_patient(patience);
        }
    }

    pub(crate) fn link_down(&mut self, now: Time, link: LinkId) {
        self.peers.remove(&link);
        self.fetch.lost(link, &mut self.peers);
        if self.health.closed().is_none() {
            self.seek_all(now);
        }
        self.all_claims_changed(now);
    }

    fn tick(&mut self, now: Time) -> Result<(), StoreError> {
        if self.health.closed().is_some() {
            return if self.health.is_due(now) { self.reopen(now) } else { Ok(()) };
        }
        if self.health.has_room_again(now) {
            for peer in self.peers.values_mut() {
                peer.hungry = true;
                peer.compare_boards();
            }
            self.seek_all(now);
        }
        if self.commit_at.is_some_and(|at| at <= now) {
            self.commit()?;
            self.make_room()?;
        }
        if self.chores_at.is_some_and(|at| at <= now) {
            self.chores(now);
        }
        self.tick_origins(now);
        Ok(())
    }

    /// Something was sent or received that may leave something to look after.
    pub(crate) fn arm_chores(&mut self, now: Time) {
        if self.health.closed().is_none() {
            self.chores_at.get_or_insert(now + limits::CHORE_TIME);
        }
    }

    /// Says again what was not heard, asks again for what did not come.
    // spec: SYNC-10, SYNC-22
    fn chores(&mut self, now: Time) {
        for peer in self.peers.values_mut() {
            peer.share.is_overdue(now);
            peer.question.is_overdue(now);
            for (id, matched) in &mut peer.matched {
                if matched.said.is_overdue(now) {
                    matched.forget_told();
                    peer.tell.insert(*id);
                }
                for talk in matched.logs.values_mut() {
                    if talk.pushed.is_overdue(now) {
                        talk.told = None;
                        peer.tell.insert(*id);
                    }
                }
            }
            peer.served.chores(now);
            peer.chores_of_boards(now);
        }
        self.restart_streams(now);
        self.fetch.chores(now, &mut self.peers);
        let is_waiting = self.fetch.is_waiting(&self.peers)
            || self.peers.values().any(|peer| peer.is_waiting(now));
        self.chores_at = is_waiting.then_some(now + limits::CHORE_TIME);
    }

    /// What went over this link lately may have been lost: whatever waits for an answer is said and
    /// asked again.
    // spec: SYNC-10
    pub fn interrupted(&mut self, now: Time, link: LinkId) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        peer.share.hasten(now);
        peer.question.hasten(now);
        peer.rounds.hasten(now);
        peer.boards.values_mut().for_each(|talk| talk.said.hasten(now));
        for matched in peer.matched.values_mut() {
            matched.said.hasten(now);
            for talk in matched.logs.values_mut() {
                talk.pushed.hasten(now);
                if let Some(stream) = &mut talk.incoming {
                    stream.again = now;
                }
            }
        }
        self.chores(now);
    }

    fn next_message(
        &mut self,
        now: Time,
        link: LinkId,
        room: usize,
    ) -> Result<Option<SyncMessage>, StoreError> {
        let Some(peer) = self.peers.get(&link) else { return Ok(None) };
        let order = peer.turns.order();
        // Whatever else there is to say waits for the list: it names channels by their place in it.
        if peer.share.is_due() {
            self.arm_chores(now);
            return Ok(self.next_share(now, link, room).map(SyncMessage::from));
        }
        if let Some(message) = self.next_of_matching(now, link, room) {
            self.arm_chores(now);
            return Ok(Some(message));
        }
        for class in order {
            let message = match class {
                Class::Control => self.next_control(now, link, room)?,
                Class::Items => match self.next_items(now, link, room)? {
                    Some(items) => Some(items.into()),
                    None => self.next_notes(now, link, room)?.map(SyncMessage::from),
                },
                Class::Bulk => self.next_bulk(link, room)?,
            };
            if let (Some(message), Some(peer)) = (message, self.peers.get_mut(&link)) {
                peer.turns.sent(class, message.size());
                self.arm_chores(now);
                return Ok(Some(message));
            }
        }
        // In place of items there may be something to say about them.
        let message = self.about_a_channel(now, link, room)?;
        if message.is_some() {
            self.arm_chores(now);
        }
        Ok(message)
    }
}

impl<S: Store> Machine for Sync<S> {
    type Message = SyncMessage;
    type Event = Event;

    fn handle(&mut self, now: Now, input: Input<SyncMessage>) {
        self.unix = now.unix;
        let outcome = match input {
            Input::LinkUp(link, info) => {
                self.link_up(link, info);
                Ok(())
            }
            Input::LinkDown(link) => {
                self.link_down(now.time, link);
                Ok(())
            }
            Input::Receive(link, message) => {
                let outcome = self.receive(now.time, link, message);
                self.arm_chores(now.time);
                outcome
            }
            Input::Tick => self.tick(now.time),
        };
        // An error has become an event.
        if self.settle(now, outcome).is_ok() {
            self.govern(now);
        }
    }

    fn poll_send(&mut self, now: Now, link: LinkId, room: usize) -> Option<SyncMessage> {
        if self.health.closed().is_some() {
            return None;
        }
        // Nothing is given that has expired since anything was done last.
        if self.is_over(now) && self.settle(now, Ok(())).is_err() {
            return None;
        }
        let outcome = self.next_message(now.time, link, room);
        if matches!(outcome, Ok(None)) {
            return None;
        }
        self.settle(now, outcome).ok().flatten()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.events.next()
    }

    fn wake_at(&self) -> Option<Wake> {
        let wake = |at: Option<Time>, reason| at.map(|at| Wake { at, reason });
        let commit = wake(self.commit_at, "commit");
        let chores = wake(self.chores_at, "repeat what was not answered");
        let expiry = wake(self.expiry.map(|(_, at)| at), "content expires");
        let is_open = self.health.closed().is_none();
        let promises = wake(self.promises.map(|(_, at)| at), "a checkpoint is promised");
        let promises = promises.filter(|_| is_open);
        let origins = self.origins.wake_at().filter(|_| is_open);
        let clocks = Wake::earlier(expiry, Wake::earlier(promises, origins));
        let wake = Wake::earlier(commit, Wake::earlier(chores, clocks));
        Wake::earlier(self.health.wake_at(), wake)
    }

    fn weight(&self) -> usize {
        self.peers.values().map(Peer::weight).sum()
    }
}

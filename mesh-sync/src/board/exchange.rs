//! Notes flow: new ones unasked, all others as rounds find out who lacks them.

use alloc::vec::Vec;
use core::ops::Range;

use mesh_wire::codec::List;
use mesh_wire::message::SyncMessage;
use mesh_wire::message::set::Reconcile;
use mesh_wire::message::sync::{Note, Notes};
use mesh_wire::{ChannelId, Fault, LinkId, Now, Role, Time, UnixTime, Wire, limits};

use super::note::{self, Written};
use super::round::Outcome;
use super::talk::Talk;
use crate::command::Refused;
use crate::library::{Posted, Trouble};
use crate::peer::Peer;
use crate::peer::allowance::Allowance;
use crate::set::{Ending, Key, Span};
use crate::store::{Store, StoreError};
use crate::sync::Sync;

/// Bytes of [`Notes`] around its notes, the frame's header included.
const AROUND_BYTES: usize = 40;

/// What becomes of a note that came.
enum Fate {
    /// It is here.
    Known,
    /// Its time is over.
    Over,
    /// Its time is to come.
    Ahead,
    /// It is looked at.
    Candidate,
}

impl<S: Store> Sync<S> {
    /// A neighbour brings notes, or says that there may be some.
    // spec: SYNC-63, SYNC-64
    pub(crate) fn take_notes(
        &mut self,
        now: Time,
        link: LinkId,
        notes: &Notes,
    ) -> Result<(), Trouble> {
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(()) };
        let Some(id) = peer.slots.named(notes.channel) else { return Ok(()) };
        if self.library.board(&id).is_none() || !peer.boards.contains_key(&id) {
            return Ok(());
        }
        // What is not taken now is not acknowledged, and found by a round later.
        if !peer.trusted || self.health.is_full(now) {
            return Ok(());
        }
        let (taken, is_all) = self.examine(now, link, (&id, notes))?;
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(()) };
        let Some(talk) = peer.boards.get_mut(&id) else { return Ok(()) };
        talk.is_met = true;
        if notes.serial > talk.heard {
            (talk.heard, talk.since) = (notes.serial, notes.since);
        }
        if !taken.is_empty() {
            talk.news();
        }
        if notes.notes.is_empty() && peer.rounds.role == Role::Initiator {
            // They may not have known what the round is about that is under way.
            peer.rounds.give_up(&id);
            talk.news();
            talk.differs = true;
        }
        let (again, source) = (now + peer.pace.repeat(), peer.source);
        peer.rounds.heard(&id, notes.notes.len() as u64, again);
        peer.due.insert(id);
        if is_all {
            peer.acknowledge(notes.serial);
        }
        if taken.is_empty() {
            return Ok(());
        }
        let bytes = taken.iter().map(|note| note.checked.body.len() as u64).sum();
        self.library.exchanged(&id, |sums| sums.received(source, bytes));
        let keys: Vec<Key> = taken.iter().map(|note| note.key).collect();
        let kept = self.library.keep_notes(&id, taken)?;
        // After a crash, notes might come in another order.
        self.commit()?;
        self.spread(&id, (&keys, Some(link)));
        self.arrived(now, &id, kept);
        Ok(())
    }

    /// Those of the notes that came that are to be kept: verified, all of them, before any is. And
    /// whether there are none that may be taken later.
    // spec: SYNC-64
    fn examine(
        &mut self,
        now: Time,
        link: LinkId,
        (id, notes): (&ChannelId, &Notes),
    ) -> Result<(Vec<Written>, bool), Trouble> {
        let (mut taken, mut is_all): (Vec<Written>, bool) = (Vec::new(), true);
        for note in notes.notes.iter() {
            let key = note::key(note.header.bytes());
            let key = key.ok_or(Fault::Forged("a note without a header"))?;
            let fate = self.fate(id, &key);
            let Some(peer) = self.peers.get_mut(&link) else { break };
            let Some(talk) = peer.boards.get_mut(id) else { break };
            talk.has(&key);
            let allowance = peer.notes.entry(*id).or_insert_with(Allowance::of_a_board);
            match fate {
                Fate::Known => {}
                Fate::Over => talk.owes_since = true,
                Fate::Candidate if allowance.spend_on(now, note.size()) => {
                    let note = note::verify(id, note)?;
                    let is_over = note::end(&note.checked.header) <= self.unix;
                    let is_new = !taken.iter().any(|other| other.key == note.key);
                    if is_new && !is_over && !self.library.is_withdrawn(id, &note)? {
                        taken.push(note);
                    }
                }
                Fate::Candidate | Fate::Ahead => is_all = false,
            }
        }
        Ok((taken, is_all))
    }

    /// What is to be done with a note, as its key says.
    // spec: SYNC-64
    fn fate(&self, id: &ChannelId, key: &Key) -> Fate {
        let Some(board) = self.library.board(id) else { return Fate::Known };
        let ahead = UnixTime(self.unix.0.saturating_add(limits::AHEAD_TIME.as_millis() as u64));
        if board.set.contains(key) {
            Fate::Known
        } else if key.time() > ahead {
            Fate::Ahead
        } else if key.time() <= board.since(self.unix) {
            Fate::Over
        } else {
            Fate::Candidate
        }
    }

    /// A step of a round.
    // spec: SYNC-27, SYNC-63
    pub(crate) fn take_reconcile(
        &mut self,
        now: Time,
        link: LinkId,
        message: Reconcile,
    ) -> Result<(), Fault> {
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(()) };
        let Some(id) = peer.slots.named(message.channel) else { return Ok(()) };
        let Some(index) = peer.slots.index(&id) else { return Ok(()) };
        let Some(talk) = peer.boards.get_mut(&id) else { return Ok(()) };
        let Some(mut set) = self.library.compared(&id, self.unix, talk.since) else {
            return Ok(());
        };
        let outcome = peer.rounds.take((id, index), &mut set, message)?;
        talk.is_met = true;
        peer.rounds.heard(&id, 0, now + peer.pace.repeat());
        ended(talk, now, (peer.rounds.role, outcome));
        peer.due.insert(id);
        Ok(())
    }

    /// Everybody but who brought them gets new notes.
    // spec: SYNC-63
    fn spread(&mut self, id: &ChannelId, (keys, from): (&[Key], Option<LinkId>)) {
        for (link, peer) in &mut self.peers {
            let talk = peer.boards.get_mut(id).filter(|_| Some(*link) != from);
            if let Some(talk) = talk {
                keys.iter().for_each(|key| talk.push(*key));
                peer.due.insert(*id);
            }
        }
    }

    /// Notes of this node have been written.
    pub(crate) fn posted(
        &mut self,
        now: Now,
        id: &ChannelId,
        outcome: Result<Posted, Refused>,
    ) -> Result<Range<u64>, Refused> {
        let (kept, keys) = match outcome {
            Ok((kept, keys)) => (Ok(kept), keys),
            Err(refused) => (Err(refused), Vec::new()),
        };
        let numbers = self.written(now, id, kept)?;
        self.spread(id, (&keys, None));
        Ok(numbers)
    }

    /// A channel is known to be a board from now on: who shared it before may have waited for that.
    // spec: SYNC-63
    pub(crate) fn has_opened(&mut self, id: &ChannelId) {
        for peer in self.peers.values_mut() {
            if let Some(talk) = peer.boards.get_mut(id) {
                talk.differs = true;
                peer.due.insert(*id);
            }
        }
    }

    /// What is to be said about boards, but for notes: the next step of a round, or that there
    /// should be one.
    pub(crate) fn next_of_boards(
        &mut self,
        now: Time,
        link: LinkId,
        room: usize,
    ) -> Option<SyncMessage> {
        let peer = self.peers.get_mut(&link).filter(|peer| !peer.is_origin())?;
        let (patience, room) = (peer.pace.repeat(), peer.run_room(room));
        let is_full = self.health.is_full(now);
        if let Some(message) = peer.rounds.poll_send((now, patience), room) {
            return Some(message.into());
        }
        let boards: Vec<ChannelId> = peer.due.iter().copied().collect();
        for id in boards {
            let since = self.library.board(&id).map(|board| board.since(self.unix));
            let talk = peer.boards.get_mut(&id).filter(|talk| talk.is_due());
            let Some((talk, since)) = talk.zip(since) else {
                peer.due.remove(&id);
                continue;
            };
            let index = peer.slots.index(&id)?;
            let opens = peer.rounds.role == Role::Initiator;
            if talk.owes_since || (talk.differs && !opens && !talk.said.is_waiting()) {
                let serial = peer.expect(id);
                let talk = peer.boards.get_mut(&id)?;
                if talk.differs && !opens {
                    talk.differs = false;
                    talk.said.said(now, patience, serial);
                }
                talk.owes_since = false;
                return Some(
                    Notes { serial, channel: index, since, notes: List::default() }.into(),
                );
            }
            let is_free = peer.trusted && talk.after <= now && !peer.rounds.is_busy() && !is_full;
            if talk.differs && opens && is_free {
                let mut set = self.library.compared(&id, self.unix, talk.since)?;
                talk.differs = false;
                peer.rounds.open((id, index), &mut set);
                return peer.rounds.poll_send((now, patience), room).map(SyncMessage::from);
            }
        }
        None
    }

    /// Notes for a neighbour: new ones, and those that a round has found it to lack.
    // spec: SYNC-63
    pub(crate) fn next_notes(
        &mut self,
        now: Time,
        link: LinkId,
        room: usize,
    ) -> Result<Option<Notes>, StoreError> {
        let Some(peer) = self.peers.get_mut(&link).filter(|peer| !peer.is_origin()) else {
            return Ok(None);
        };
        let room = peer.run_room(room).saturating_sub(AROUND_BYTES);
        let is_pushable = |id: &&ChannelId| {
            let talk = peer.boards.get(*id);
            talk.is_some_and(|talk| !talk.fresh.is_empty() && !talk.said.is_waiting())
        };
        if let Some(id) = peer.due.iter().find(is_pushable).copied()
            && let Some(pushed) = self.push_notes(now, link, (&id, room))?
        {
            return Ok(Some(pushed));
        }
        self.found_notes(link, room)
    }

    /// New notes, as long as they are few and small.
    fn push_notes(
        &mut self,
        now: Time,
        link: LinkId,
        (id, room): (&ChannelId, usize),
    ) -> Result<Option<Notes>, StoreError> {
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(None) };
        let Some(talk) = peer.boards.get_mut(id) else { return Ok(None) };
        let (mut notes, mut bytes) = (Vec::new(), 0);
        for key in &talk.fresh {
            let note = self.library.note(id, key)?.filter(|_| key.time() > talk.since);
            bytes += note.as_ref().map_or(0, Wire::size);
            notes.extend(note);
        }
        let is_small = bytes <= limits::PUSH_BYTES;
        if is_small && bytes > room {
            return Ok(None);
        }
        talk.fresh.clear();
        if !is_small {
            talk.differs = true;
            notes.clear();
        }
        if notes.is_empty() {
            return Ok(None);
        }
        let serial = peer.expect(*id);
        let patience = peer.pace.repeat();
        if let Some(talk) = peer.boards.get_mut(id) {
            talk.said.said(now, patience, serial);
        }
        Ok(self.notes(link, id, (serial, &notes)))
    }

    /// What a round has found.
    fn found_notes(&mut self, link: LinkId, room: usize) -> Result<Option<Notes>, StoreError> {
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(None) };
        let Some(id) = peer.rounds.board() else { return Ok(None) };
        let Some(since) = peer.boards.get(&id).map(|talk| talk.since) else { return Ok(None) };
        let (mut notes, mut left) = (Vec::new(), room);
        'full: while let Some(span) = peer.rounds.next_find() {
            let Some(snapshot) = self.library.snapshot(&id) else { return Ok(None) };
            for key in snapshot.keys(span).filter(|key| key.time() > since) {
                let Some(note) = self.library.note(&id, key)? else { continue };
                let is_full = notes.len() == limits::RUN_ITEMS || note.size() > left;
                if is_full {
                    peer.rounds.put_back(Span { first: *key, last: span.last });
                    break 'full;
                }
                left -= note.size();
                notes.push(note);
            }
        }
        if notes.is_empty() {
            return Ok(None);
        }
        let serial = peer.next_serial();
        Ok(self.notes(link, &id, (serial, &notes)))
    }

    /// Notes go to a neighbour.
    fn notes(
        &mut self,
        link: LinkId,
        id: &ChannelId,
        (serial, notes): (u32, &[Note]),
    ) -> Option<Notes> {
        let since = self.library.board(id)?.since(self.unix);
        let channel = self.peers.get(&link)?.slots.index(id)?;
        let bytes = notes.iter().map(|note| note.body.bytes().len() as u64).sum();
        self.gave(Some(*id), bytes);
        Some(Notes { serial, channel, since, notes: List::new(notes) })
    }
}

impl Peer {
    /// Looks after what was said about boards and not answered.
    // spec: SYNC-63
    pub(crate) fn chores_of_boards(&mut self, now: Time) {
        for (id, talk) in &mut self.boards {
            if talk.is_overdue(now) {
                self.due.insert(*id);
            }
        }
        if let Some((id, outcome)) = self.rounds.chores(now, self.pace.repeat())
            && let Some(talk) = self.boards.get_mut(&id)
        {
            ended(talk, now, (self.rounds.role, outcome));
            self.due.insert(id);
        }
    }

    /// What was not taken may be taken now.
    pub(crate) fn compare_boards(&mut self) {
        for (id, talk) in &mut self.boards {
            talk.news();
            talk.differs = true;
            self.due.insert(*id);
        }
    }

    /// Begins anew with all boards: what was under way is lost.
    pub(crate) fn forget_boards(&mut self) {
        self.rounds.forget();
        let role = self.rounds.role;
        self.boards.values_mut().for_each(|talk| *talk = Talk::new(role));
        self.compare_boards();
    }

    /// Whether it is not known yet that both have the same notes of a board.
    pub(crate) fn is_comparing(&self, id: &ChannelId) -> bool {
        let is_under_way = self.rounds.is_busy() && self.rounds.board() == Some(*id);
        is_under_way || self.boards.get(id).is_some_and(|talk| talk.is_met && talk.is_due())
    }

    /// Whether both have said that they have the same notes of a board.
    pub(crate) fn is_level(&self, id: &ChannelId) -> bool {
        self.boards.get(id).is_some_and(|talk| talk.is_met) && !self.is_comparing(id)
    }

    /// Whether something about boards becomes due by itself.
    pub(crate) fn waits_for_boards(&self, now: Time) -> bool {
        self.rounds.is_busy() || self.boards.values().any(|talk| talk.is_waiting(now))
    }

    /// Bytes held for what goes on about boards.
    pub(crate) fn weight_of_boards(&self) -> usize {
        self.rounds.weight()
            + self.boards.values().map(Talk::weight).sum::<usize>()
            + self.boards.len() * size_of::<(ChannelId, Talk)>()
            + self.notes.len() * size_of::<(ChannelId, Allowance)>()
            + self.due.len() * size_of::<ChannelId>()
    }
}

/// A round has ended, if it has: who opens them opens another one until one ends level.
// spec: SYNC-33, SYNC-63
fn ended(talk: &mut Talk, now: Time, (role, outcome): (Role, Outcome)) {
    match (role, outcome) {
        (_, Outcome::UnderWay) | (Role::Responder, _) => {}
        (Role::Initiator, Outcome::Ended(Ending::Level, _)) => talk.is_level(),
        (Role::Initiator, Outcome::Ended(Ending::Different | Ending::Unfinished, found)) => {
            talk.is_not_level(now, found);
        }
    }
}

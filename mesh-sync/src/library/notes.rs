//! Notes of boards: they come, are given to others, and go with all that there is of them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;
use mesh_wire::codec::{List, Wire};
use mesh_wire::id::WriterId;
use mesh_wire::message::set::SetKey;
use mesh_wire::message::sync::{Author, ItemHeader, ItemKind, Note, Withdrawal};
use mesh_wire::{ChannelId, Label, Rng, UnixTime, limits};

use super::arrivals::Arrival;
use super::channels::{self, Draft, is_content, open, written};
use super::{Kept, Library, Rules};
use crate::board::note::{self, Written};
use crate::board::{Board, NOTES, NoteRecord};
use crate::channel::{Channel, ChannelName, LogId};
use crate::command::{NewItem, Refused};
use crate::merkle::tree;
use crate::set::{Key, Set, Snapshot};
use crate::store::{Store, StoreError, Table, key};

/// Notes of ours that have come in, and their keys.
pub(crate) type Posted = (Kept, Vec<Key>);

impl<S: Store> Library<S> {
    /// What is here of a board; `None` if the channel is none, as far as is known.
    pub(crate) fn board(&self, id: &ChannelId) -> Option<&Board> {
        self.sound(id)?.board.as_ref()
    }

    /// The keys of its notes as they are now.
    pub(crate) fn snapshot(&mut self, id: &ChannelId) -> Option<Snapshot> {
        Some(self.board_mut(id)?.set.snapshot())
    }

    /// Those that are compared with what somebody has who takes none up to `since`.
    // spec: SYNC-63
    pub(crate) fn compared(
        &mut self,
        id: &ChannelId,
        now: UnixTime,
        since: UnixTime,
    ) -> Option<Set> {
        let board = self.board_mut(id)?;
        // What is hashed now is hashed for all that come after.
        board.set.snapshot();
        Some(board.set.later(board.since(now).max(since)))
    }

    fn board_mut(&mut self, id: &ChannelId) -> Option<&mut Board> {
        self.channels.get_mut(id)?.board.as_mut()
    }

    /// Changes what this node goes by on a board.
    pub(crate) fn sign_as(&mut self, id: &ChannelId, name: ChannelName) -> Result<(), Refused> {
        let channel = self.channels.get_mut(id).ok_or(Refused::NoSuchChannel)?;
        let is_known = channel.name.is_some();
        let unknown = if is_known { Refused::NotOpen } else { Refused::Incomplete };
        channel.board.as_mut().ok_or(unknown)?.record.name = name;
        Ok(self.put_board(id)?)
    }

    /// Writes notes: those of a channel's owner are signed by its key.
    // spec: SYNC-62
    pub(crate) fn post(
        &mut self,
        time: UnixTime,
        id: &ChannelId,
        items: Vec<NewItem>,
        rng: &mut Rng,
    ) -> Result<Posted, Refused> {
        let channel = self.sound(id).ok_or(Refused::NoSuchChannel)?;
        let own = channel.own().and_then(|log| Some(channel.charter.writer(log)?.key));
        let key = match own.or(channel.author()) {
            Some(key) => key,
            None => self.new_author(id, rng)?,
        };
        let drafts = items.into_iter().map(|new| open(time, new));
        let drafts = drafts.map(|draft| draft.map(|draft| (key, draft)));
        self.sign(time, id, drafts.collect::<Result<_, _>>()?)
    }

    /// Another key than for everything else, so that nobody who is shown the one knows the other.
    fn new_author(&mut self, id: &ChannelId, rng: &mut Rng) -> Result<WriterId, Refused> {
        if self.board(id).is_none() {
            return Err(Refused::NotOpen);
        }
        let key = self.new_key(id, rng)?;
        if let Some(board) = self.board_mut(id) {
            board.record.author = List::new(&[key]);
        }
        self.put_board(id)?;
        Ok(key)
    }

    /// Takes notes away, by the numbers under which they are read here: those of this node, or any
    /// if the channel is its own.
    // spec: SYNC-65
    pub(crate) fn withdraw(
        &mut self,
        time: UnixTime,
        id: &ChannelId,
        numbers: &[u64],
    ) -> Result<Posted, Refused> {
        let channel = self.sound(id).ok_or(Refused::NoSuchChannel)?;
        let owner = channel.owner().filter(|owner| channel.keys.contains_key(owner));
        let mut named: BTreeMap<WriterId, Vec<SetKey>> = BTreeMap::new();
        let mut latest = time;
        for number in numbers {
            let found = self.place(id, *number)?.filter(|(at, _)| at.log == NOTES);
            let (at, seq) = found.ok_or(Refused::NoSuchItem)?;
            let header = self.header(&at, seq)?.filter(|header| is_content(header.kind));
            let header = header.ok_or(Refused::NoSuchItem)?;
            let author = note::author(&header).map(|author| author.key);
            let by = owner.or(author.filter(|author| channel.keys.contains_key(author)));
            let key = Key::new(header.time, tree::leaf(&header.to_bytes()));
            named.entry(by.ok_or(Refused::NotYourItem)?).or_default().push(key.into());
            // What is taken away is not newer.
            latest = latest.max(header.time);
        }
        let mut drafts = Vec::new();
        for (by, keys) in named {
            for notes in keys.chunks(limits::RETRACTED_ITEMS) {
                let content =
                    Withdrawal { notes: List::new(notes), extensions: Default::default() };
                let draft =
                    written(ItemKind::Retract, latest, Label::default(), content.to_bytes());
                drafts.push((by, draft));
            }
        }
        self.sign(latest, id, drafts)
    }

    /// Signs notes and keeps them. Each has a later time than the one before, so that they stay in
    /// their order.
    fn sign(
        &mut self,
        mut time: UnixTime,
        id: &ChannelId,
        drafts: Vec<(WriterId, Draft)>,
    ) -> Result<Posted, Refused> {
        let channel = self.channels.get(id).ok_or(Refused::NoSuchChannel)?;
        let board = channel.board.as_ref().ok_or(Refused::NotOpen)?;
        // In 1970 nothing is over, but no time comes before the first.
        time = time.max(UnixTime(1));
        if time <= board.since(time) {
            return Err(Refused::Overtaken);
        }
        let mut notes: Vec<Written> = Vec::with_capacity(drafts.len());
        for (by, (header, body)) in drafts {
            let author = Author { key: by, name: board.record.name.clone() };
            let header = note::name(header, &author).ok_or(Refused::TooLarge("the name"))?;
            let secret = &channel.keys.get(&by).ok_or(Refused::NotYours)?.sign;
            loop {
                let draft = (ItemHeader { time, ..header.clone() }, body.clone());
                let (item, _) = channels::finished(draft)?;
                time = UnixTime(time.0 + 1);
                let signed = note::verify(id, note::sign(id, &item, secret));
                let note = signed.map_err(|_| Refused::NotContent)?;
                // Who says the same twice in a millisecond says it in the next.
                if !board.set.contains(&note.key) {
                    notes.push(note);
                    break;
                }
            }
        }
        let keys: Vec<Key> = notes.iter().map(|note| note.key).collect();
        let kept = self.keep_notes(id, notes)?;
        // The board may be full of notes that are from later, as they say.
        let is_here = |key| self.board(id).is_some_and(|board| board.set.contains(key));
        if keys.iter().all(is_here) { Ok((kept, keys)) } else { Err(Refused::Overtaken) }
    }

    /// Whether somebody who may has taken a note away that has come.
    // spec: SYNC-65
    pub(crate) fn is_withdrawn(&self, id: &ChannelId, note: &Written) -> Result<bool, StoreError> {
        let Written { key, author, checked, .. } = note;
        self.is_taken_away(id, key, (&checked.header, &author.key))
    }

    /// The same of a note with this header. What takes away others is never taken away.
    fn is_taken_away(
        &self,
        id: &ChannelId,
        key: &Key,
        (header, author): (&ItemHeader, &WriterId),
    ) -> Result<bool, StoreError> {
        let owner = self.channels.get(id).and_then(Channel::owner);
        for by in owner.iter().chain([author]).filter(|_| is_content(header.kind)) {
            if self.store.get(Table::Notes, &key::withdrawn(id, key, by))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Keeps notes that are not here, and lets go for what there is no room.
    // spec: SYNC-64
    pub(crate) fn keep_notes(
        &mut self,
        id: &ChannelId,
        notes: Vec<Written>,
    ) -> Result<Kept, StoreError> {
        let at = LogId { channel: *id, log: NOTES };
        let Some(channel) = self.channels.get(id) else {
            return Ok(Kept { numbers: 0..0, rules: Rules::Same });
        };
        let (mut counts, mut seq) = (channel.counts.clone(), channel.size(NOTES));
        let first = counts.arrived;
        if !notes.is_empty() {
            let when = UnixTime(0);
            self.arrive(Arrival { at, seq, number: first, when })?;
        }
        for note in &notes {
            let (header, number) = (&note.checked.header, counts.arrived);
            counts.arrived += 1;
            counts.contents += u64::from(is_content(header.kind));
            self.put(Table::Items, &key::item(&at, seq), &note.item.to_bytes())?;
            let record = NoteRecord { seq, bytes: note.weight(), signature: note.signature };
            self.put(Table::Notes, &key::note(id, &note.key), &record.to_bytes())?;
            self.look_for((&at, seq, number), header, false, &mut counts)?;
            if let Some(board) = self.board_mut(id) {
                board.insert(note.key, note.weight());
            }
            seq += 1;
        }
        self.put_counts(id, &counts)?;
        let numbers = first..counts.arrived;
        if let Some(channel) = self.channels.get_mut(id) {
            channel.counts = counts;
        }
        if let Some(board) = self.board_mut(id) {
            board.record.arrived = seq;
        }
        for note in &notes {
            self.obey_note(id, note)?;
        }
        self.make_room_for_notes(id)?;
        self.put_board(id)?;
        Ok(Kept { numbers, rules: Rules::Same })
    }

    /// Takes away what a note says.
    // spec: SYNC-65
    fn obey_note(&mut self, id: &ChannelId, by: &Written) -> Result<(), StoreError> {
        for key in note::withdrawn(&by.checked.header, &by.checked.body) {
            self.put(Table::Notes, &key::withdrawn(id, &key, &by.author.key), &[])?;
            self.drop_if_withdrawn(id, &key)?;
        }
        Ok(())
    }

    fn drop_if_withdrawn(&mut self, id: &ChannelId, key: &Key) -> Result<(), StoreError> {
        let Some(record) = self.note_record(id, key)? else { return Ok(()) };
        let header = self.header(&LogId { channel: *id, log: NOTES }, record.seq)?;
        let author = header.as_ref().and_then(note::author);
        if let Some((header, author)) = header.zip(author)
            && self.is_taken_away(id, key, (&header, &author.key))?
        {
            self.drop_note(id, key)?;
        }
        Ok(())
    }

    /// Somebody else says who may write: what that key has taken away goes, if it is still here.
    // spec: SYNC-65
    pub(super) fn obey_owner(&mut self, id: &ChannelId) -> Result<(), StoreError> {
        let channel = self.channels.get(id).filter(|channel| channel.board.is_some());
        let Some(owner) = channel.and_then(Channel::owner) else { return Ok(()) };
        let mut named = Vec::new();
        self.store.scan(Table::Notes, id.as_bytes(), &mut |row, _| {
            let Some(rest) = row.strip_prefix(id.as_bytes()) else { return false };
            named.extend(rest.strip_suffix(owner.as_bytes()).and_then(key::read_note));
            true
        })?;
        named.iter().try_for_each(|key| self.drop_if_withdrawn(id, key))
    }

    // spec: SYNC-64
    fn make_room_for_notes(&mut self, id: &ChannelId) -> Result<(), StoreError> {
        while let Some(key) = self.board(id).and_then(Board::excess) {
            self.drop_note(id, &key)?;
            if let Some(board) = self.board_mut(id) {
                board.record.floor = board.record.floor.max(key.time());
                // Whatever the store said of it.
                board.remove(&key, 0);
            }
        }
        Ok(())
    }

    fn put_board(&mut self, id: &ChannelId) -> Result<(), StoreError> {
        let Some(record) = self.board(id).map(|board| board.record.to_bytes()) else {
            return Ok(());
        };
        self.put(Table::Notes, &key::channel(id), &record)
    }

    fn note_record(&self, id: &ChannelId, key: &Key) -> Result<Option<NoteRecord>, StoreError> {
        let record = self.store.get(Table::Notes, &key::note(id, key))?;
        Ok(record.and_then(|record| NoteRecord::from_bytes(record).ok()))
    }

    /// A note for somebody else, as good as on the first day; `None` if it is not here. One that
    /// has rotted goes, and may come again.
    // spec: SYNC-20
    pub(crate) fn note(&mut self, id: &ChannelId, key: &Key) -> Result<Option<Note>, StoreError> {
        let Some(record) = self.note_record(id, key)? else { return Ok(None) };
        let item = self.item(&LogId { channel: *id, log: NOTES }, record.seq)?;
        let note = item.map(|item| note::travelling(item, record.signature));
        let is_sound =
            |note: &Note| note::verify(id, note.clone()).is_ok_and(|note| note.key == *key);
        let note = note.filter(is_sound);
        if note.is_none() {
            self.drop_note(id, key)?;
        }
        Ok(note)
    }

    /// The time of a note is over.
    // spec: SYNC-65
    pub(super) fn drop_at(&mut self, at: &LogId, seq: u64) -> Result<(), StoreError> {
        let Some(item) = self.item(at, seq)? else { return Ok(()) };
        match note::key(item.header.bytes()) {
            Some(key) => self.drop_note(&at.channel, &key),
            None => Ok(()),
        }
    }

    /// All that there is of a note goes.
    // spec: SYNC-65
    fn drop_note(&mut self, id: &ChannelId, key: &Key) -> Result<(), StoreError> {
        let Some(record) = self.note_record(id, key)? else { return Ok(()) };
        let (at, seq) = (LogId { channel: *id, log: NOTES }, record.seq);
        let item = self.item(&at, seq)?;
        let header = item.as_ref().map(|item| item.header.bytes().clone());
        let header = header.and_then(|header| ItemHeader::from_bytes(header).ok());
        if let Some((header, item)) = header.zip(item) {
            let Some(channel) = self.channels.get(id) else { return Ok(()) };
            let mut counts = channel.counts.clone();
            let blobs = counts.blobs;
            self.uncount(&at, seq, &header, &mut counts)?;
            counts.contents -= u64::from(is_content(header.kind)).min(counts.contents);
            self.has_lost_blobs |= counts.blobs != blobs;
            self.count(id, |before| *before = counts)?;
            self.forget_withdrawn(id, (&header, item.body.bytes()))?;
        }
        self.remove(Table::Items, &key::item(&at, seq))?;
        self.remove(Table::Notes, &key::note(id, key))?;
        if let Some(board) = self.board_mut(id) {
            board.remove(key, record.bytes);
        }
        self.changed.insert(*id);
        Ok(())
    }

    /// What a note has taken away is older than it, and would have gone by now.
    fn forget_withdrawn(
        &mut self,
        id: &ChannelId,
        (header, body): (&ItemHeader, &Bytes),
    ) -> Result<(), StoreError> {
        let Some(author) = note::author(header) else { return Ok(()) };
        let named = note::withdrawn(header, body);
        named
            .iter()
            .try_for_each(|note| self.remove(Table::Notes, &key::withdrawn(id, note, &author.key)))
    }
}

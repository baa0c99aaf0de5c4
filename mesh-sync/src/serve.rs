//! Items and groups flow out: made when the link has room for them, from what is here and sound.

use alloc::vec::Vec;

use bytes::Bytes;
use mesh_wire::codec::{List, Opaque, varint};
use mesh_wire::message::SyncMessage;
use mesh_wire::message::sync::{
    Cvs, Fork, GroupData, Heard, Items, LogSummary, PageHave, Summary, Want,
};
use mesh_wire::{ChannelId, LinkId, Time, Wire, limits};

use crate::blob::{BlobId, PAGE};
use crate::channel::log::Log;
use crate::channel::{LogId, fork, run_bytes};
use crate::library::{Group, Library};
use crate::peer::served::{Answer, Order, Part};
use crate::peer::slots::Slots;
use crate::peer::{History, ITEM_ROOM, Outgoing, Talk, Told};
use crate::standing::{Due, Standing, due, news, standing};
use crate::store::{Store, StoreError};
use crate::sync::Sync;

/// The longest control message but those lists, with its frame.
const CONTROL_ROOM: usize = 160;
/// Bytes of a list of channels, serials or points around what it lists.
pub(crate) const LIST_OVERHEAD: usize = 16;
/// Bytes of a [`Cvs`] or [`GroupData`] around its content.
const BULK_OVERHEAD: usize = 24;
/// The newest items that are offered to somebody who has not said yet what it has.
const OFFERED_ITEMS: u64 = 4;

/// What is said of a channel.
enum Account {
    /// How much of its logs is here.
    Summary(Summary),
    /// That one of them has two histories, and what is known of that.
    Fork(Told, Fork),
}

impl Account {
    /// Bytes of the message, with its kind and length.
    fn size(&self) -> usize {
        let body = match self {
            Self::Summary(summary) => summary.size(),
            Self::Fork(_, fork) => fork.size(),
        };
        1 + varint::size(body as u64) + body
    }
}

impl<S: Store> Sync<S> {
    /// What keeps the exchange going.
    pub(crate) fn next_control(
        &mut self,
        now: Time,
        link: LinkId,
        room: usize,
    ) -> Result<Option<SyncMessage>, StoreError> {
        let Some(peer) = self.peers.get_mut(&link).filter(|_| room >= CONTROL_ROOM) else {
            return Ok(None);
        };
        let serials = peer.take_heard((room - LIST_OVERHEAD) / 4);
        if !serials.is_empty() {
            return Ok(Some(Heard { serials: List::new(&serials) }.into()));
        }
        if let Some(message) = self.about_a_channel(now, link, room)? {
            return Ok(Some(message));
        }
        if let Some(message) = self.next_of_boards(now, link, room) {
            return Ok(Some(message));
        }
        if let Some(answer) = self.answer(now, link)? {
            return Ok(Some(answer.into()));
        }
        if self.health.is_full(now) {
            return Ok(None);
        }
        let want = self.want(link).map(SyncMessage::from);
        Ok(want.or_else(|| self.fetch.request(now, link, &mut self.peers)))
    }

    /// What is here of a channel of which the neighbour does not know the newest.
    // spec: SYNC-11, SYNC-34
    pub(crate) fn about_a_channel(
        &mut self,
        now: Time,
        link: LinkId,
        room: usize,
    ) -> Result<Option<SyncMessage>, StoreError> {
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(None) };
        if peer.is_origin() {
            // It has no use for what others have.
            peer.tell.clear();
        }
        let mut settled = Vec::new();
        let mut found = None;
        for id in &peer.tell {
            let about = self.library.sound(id).zip(peer.matched.get(id));
            match about.map_or(Due::Nothing, |(channel, matched)| due(channel, matched)) {
                Due::Nothing => settled.push(*id),
                Due::Items => {}
                Due::Logs(logs) => {
                    found = Some((*id, logs));
                    break;
                }
            }
        }
        peer.tell.retain(|id| !settled.contains(id));
        let Some((id, logs)) = found else { return Ok(None) };
        let Some(account) = self.account(link, &id, &logs)? else {
            if let Some(peer) = self.peers.get_mut(&link) {
                peer.tell.remove(&id);
            }
            return Ok(None);
        };
        let Some(peer) = self.peers.get_mut(&link).filter(|_| account.size() <= room) else {
            return Ok(None);
        };
        let serial = peer.say(now, id);
        let Some(matched) = peer.matched.get_mut(&id) else { return Ok(None) };
        Ok(Some(match account {
            Account::Fork(told, fork) => {
                matched.talk(fork.log).told = Some(told);
                Fork { serial, ..fork }.into()
            }
            Account::Summary(summary) => {
                matched.blobs_told = Some(summary.blobs);
                matched.claim_told = summary.claims.iter().next();
                for log in summary.logs.iter() {
                    matched.talk(log.log).told = Some(Told::Here(log.size));
                }
                Summary { serial, ..summary }.into()
            }
        }))
    }

    /// What there is to say of these logs of a channel: their sizes, unless there is more to say of
    /// one of them. The serial is left for the caller to fill in.
    fn account(
        &self,
        link: LinkId,
        id: &ChannelId,
        logs: &[u32],
    ) -> Result<Option<Account>, StoreError> {
        let found = self.peers.get(&link).zip(self.library.sound(id));
        let Some((peer, channel)) = found else { return Ok(None) };
        let (Some(index), Some(matched)) = (peer.slots.index(id), peer.matched.get(id)) else {
            return Ok(None);
        };
        let (mut summaries, mut fork) = (Vec::with_capacity(logs.len()), None);
        for number in logs {
            let at = LogId { channel: *id, log: *number };
            let told = news(channel, *number, matched);
            let proof = match told {
                Told::Here(size) => {
                    let root = peer.slots.salted(&self.library.root(&at, size)?);
                    summaries.push(LogSummary { log: *number, size, root });
                    continue;
                }
                Told::Branch(end) => self.library.history(&at, end)?,
                Told::Fork => {
                    let writer = channel.charter.writer(*number).map(|writer| &writer.key);
                    fork::load(&self.library.store, &at, writer)?
                }
            };
            fork = fork.or(proof.map(|fork| (told, Fork { channel: index, ..fork })));
        }
        // Forks are said when all else is known: they may not be understood before.
        if summaries.is_empty() && !logs.is_empty() {
            return Ok(fork.map(|(told, fork)| Account::Fork(told, fork)));
        }
        // What notes name is asked about one by one.
        let blobs = if channel.board.is_some() { 0 } else { channel.counts.blobs_here };
        let logs = List::new(&summaries);
        let claims = List::new(&channel.claim);
        let summary = Summary { serial: 0, channel: index, blobs, claims, logs };
        Ok(Some(Account::Summary(summary)))
    }

    /// Asks for items.
    // spec: SYNC-12
    fn want(&mut self, link: LinkId) -> Option<Want> {
        let peer = self.peers.get_mut(&link)?;
        while let Some(LogId { channel: id, log }) = peer.wants.pop_first() {
            let talk = peer.matched.get(&id).and_then(|matched| matched.logs.get(&log));
            let stream = talk.and_then(|talk| talk.incoming);
            if let (Some(stream), Some(channel)) = (stream, peer.slots.index(&id)) {
                let (serial, first, bytes) = (stream.serial, stream.first, stream.granted);
                return Some(Want { channel, log, serial, first, bytes });
            }
        }
        None
    }

    /// A neighbour asks for items.
    // spec: SYNC-12
    pub(crate) fn take_want(&mut self, link: LinkId, want: &Want) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let Some(id) = peer.slots.named(want.channel) else { return };
        let at = LogId { channel: id, log: want.log };
        let Some(matched) = peer.matched.get_mut(&id).filter(|_| self.library.log(&at).is_some())
        else {
            return;
        };
        let talk = matched.talk(want.log);
        let before = talk.outgoing.filter(|stream| stream.serial == want.serial);
        let mut stream = before.unwrap_or(Outgoing {
            serial: want.serial,
            next: want.first,
            granted: 0,
            sent: 0,
        });
        let most = stream.sent.saturating_add(limits::WANT_BYTES);
        stream.granted = stream.granted.max(want.bytes.min(most));
        talk.outgoing = Some(stream);
        peer.line_up(at);
    }

    /// Items: new ones that are small, and those that were asked for.
    pub(crate) fn next_items(
        &mut self,
        now: Time,
        link: LinkId,
        room: usize,
    ) -> Result<Option<Items>, StoreError> {
        if let Some(pushed) = self.push(now, link, room)? {
            return Ok(Some(pushed));
        }
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(None) };
        let room = peer.run_room(room);
        for _ in 0..peer.streams.len() {
            let Some(at) = peer.streams.pop_front() else { break };
            let size = self.library.growing(&at).map_or(0, |_| self.library.valid(&at));
            let Some(matched) = peer.matched.get_mut(&at.channel) else { continue };
            let channel = self.library.sound(&at.channel);
            if !channel.is_some_and(|channel| matched.knows(&channel.charter, at.log)) {
                // It could not tell that they count, as it does not know yet what was ruled.
                peer.streams.push_back(at);
                continue;
            }
            let talk = matched.talk(at.log);
            let Some(stream) = talk.outgoing else { continue };
            if stream.next >= size || stream.sent >= stream.granted {
                continue;
            }
            if has_other_history(&self.library, &peer.slots, (&at, talk))? {
                peer.tell.insert(at.channel);
                continue;
            }
            let Some(stream) = &mut talk.outgoing else { continue };
            let space = room.saturating_sub(self.library.run_overhead(&at));
            // Who grants less than an item wants one.
            let end = if stream.granted < ITEM_ROOM as u64 { stream.next + 1 } else { size };
            let Some(mut run) = self.library.run(&at, stream.next..end, space)? else {
                // Too little room this time, or an item that has rotted.
                match space < ITEM_ROOM {
                    true => peer.streams.push_back(at),
                    false => self.seek(now, &at.channel),
                }
                return Ok(None);
            };
            stream.next += run.items.len() as u64;
            stream.sent = stream.sent.saturating_add(run_bytes(&run));
            if stream.next >= size {
                stream.granted = stream.sent;
            }
            talk.sent = talk.sent.max(stream.next);
            run.channel = peer.slots.index(&at.channel).unwrap_or(u32::MAX);
            peer.streams.push_back(at);
            self.gave(Some(at.channel), content(&run));
            return Ok(Some(run));
        }
        Ok(None)
    }

    /// New items that are small go to neighbours that had all items before them, or may have.
    // spec: SYNC-14
    fn push(&mut self, now: Time, link: LinkId, room: usize) -> Result<Option<Items>, StoreError> {
        let Some(peer) = self.peers.get_mut(&link).filter(|peer| !peer.is_origin()) else {
            return Ok(None);
        };
        let pushable = |id: &ChannelId| {
            let (channel, matched) = (self.library.sound(id)?, peer.matched.get(id)?);
            let logs = 0..channel.logs.len() as u32;
            logs.into_iter().find_map(|log| match standing(channel, log, matched) {
                Standing::Push(items) => Some((LogId { channel: *id, log }, Some(items))),
                Standing::Offer => Some((LogId { channel: *id, log }, None)),
                Standing::Tell | Standing::Nothing => None,
            })
        };
        let Some((at, items)) = peer.tell.iter().find_map(pushable) else { return Ok(None) };
        let space = room.saturating_sub(self.library.run_overhead(&at));
        let size = self.library.valid(&at);
        let Some(matched) = peer.matched.get_mut(&at.channel) else { return Ok(None) };
        let run = match items {
            Some(items) => {
                let talk = matched.talk(at.log);
                // What is not sent whole is told.
                talk.sent = items.end;
                if has_other_history(&self.library, &peer.slots, (&at, talk))? {
                    return Ok(None);
                }
                self.library.whole_run(&at, items, space.min(limits::PUSH_BYTES))?
            }
            None => {
                matched.offer = false;
                let space = space.min(limits::OFFER_BYTES);
                let mut run = None;
                for count in (1..=OFFERED_ITEMS.min(size)).rev() {
                    run = self.library.whole_run(&at, size - count..size, space)?;
                    if run.is_some() {
                        break;
                    }
                }
                run
            }
        };
        let Some(mut run) = run else { return Ok(None) };
        matched.blobs_told = self.library.sound(&at.channel).map(|here| here.counts.blobs_here);
        let talk = matched.talk(at.log);
        talk.told = Some(Told::Here(size));
        talk.pushed.said(now, peer.pace.repeat(), 0);
        run.channel = peer.slots.index(&at.channel).unwrap_or(u32::MAX);
        self.gave(Some(at.channel), content(&run));
        Ok(Some(run))
    }

    /// Content of a channel goes to a neighbour.
    pub(crate) fn gave(&mut self, channel: Option<ChannelId>, bytes: u64) {
        if let Some(channel) = channel {
            self.library.exchanged(&channel, |sums| sums.given = sums.given.saturating_add(bytes));
        }
    }

    /// Which groups of a page are here.
    // spec: SYNC-16, SYNC-17
    fn answer(&mut self, now: Time, link: LinkId) -> Result<Option<PageHave>, StoreError> {
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(None) };
        let Some(Answer { handle, page, channel }) = peer.served.answer() else {
            return Ok(None);
        };
        let serial = peer.next_serial();
        peer.served.answered(now, peer.pace.repeat(), (handle, serial));
        let mut groups = self.library.page(&page)?;
        if !self.may_see(link, channel, &page.blob)? {
            groups = Default::default();
        }
        let groups = Opaque::new(groups.to_bytes().into()).unwrap_or_default();
        Ok(Some(PageHave { serial, handle, groups }))
    }

    /// Whether a neighbour may know of a blob: an item of a channel that both share names it; and
    /// if anybody can have it named there, it came here for that channel.
    // spec: SYNC-16, SYNC-62
    fn may_see(
        &self,
        link: LinkId,
        channel: Option<ChannelId>,
        blob: &BlobId,
    ) -> Result<bool, StoreError> {
        let peer = self.peers.get(&link);
        let shared = |id: &ChannelId| {
            self.library.sound(id).is_some()
                && peer.is_some_and(|peer| peer.matched.contains_key(id))
        };
        match channel.filter(shared) {
            Some(channel) if self.library.board(&channel).is_some() => {
                let shelved = self.library.shelved(blob)?;
                Ok(shelved.is_some_and(|shelved| shelved.channel == channel))
            }
            Some(channel) => self.library.is_named(blob, &channel),
            None => Ok(false),
        }
    }

    /// Chaining values and groups that were asked for.
    // spec: SYNC-20
    pub(crate) fn next_bulk(
        &mut self,
        link: LinkId,
        room: usize,
    ) -> Result<Option<SyncMessage>, StoreError> {
        for _ in 0..limits::OPEN_PAGES * limits::GROUPS_IN_FLIGHT {
            let Some(peer) = self.peers.get_mut(&link) else { return Ok(None) };
            let Some(order) = peer.served.next() else { return Ok(None) };
            if order_bytes(&order) + BULK_OVERHEAD > room {
                return Ok(None);
            }
            peer.served.done(&order);
            if !self.may_see(link, order.channel, &order.page.blob)? {
                continue;
            }
            let part = match order.part {
                Part::Cvs(level) => self.cvs(&order, level)?,
                Part::Group(group) => self.group(&order, group)?,
            };
            if part.is_some() {
                return Ok(part);
            }
        }
        Ok(None)
    }

    fn cvs(&mut self, order: &Order, level: u8) -> Result<Option<SyncMessage>, StoreError> {
        let page = &order.page;
        if u32::from(level) >= page.blob.levels() {
            return Ok(None);
        }
        let index = page.index / PAGE.pow(u32::from(level));
        let values = self.library.cvs(&page.blob, u32::from(level), index)?;
        let handle = order.handle;
        Ok(values.map(|values| Cvs { handle, level, cvs: List::new(values) }.into()))
    }

    fn group(&mut self, order: &Order, group: u16) -> Result<Option<SyncMessage>, StoreError> {
        let bytes: Bytes = match self.library.group(&order.page, group)? {
            Group::Sound(bytes) => bytes,
            Group::Missing => return Ok(None),
            Group::Rotten => {
                self.rotted(&order.page)?;
                return Ok(None);
            }
        };
        self.gave(order.channel, bytes.len() as u64);
        let handle = order.handle;
        Ok(Opaque::new(bytes).map(|bytes| GroupData { handle, group, bytes }.into()))
    }
}

/// Whether a neighbour's items are not the beginning of ours. Looked at once per summary, and, as
/// it costs more than one if there are fewer, only when items would be sent or were not taken.
// spec: SYNC-11
pub(crate) fn has_other_history<S: Store>(
    library: &Library<S>,
    slots: &Slots,
    (at, talk): (&LogId, &mut Talk),
) -> Result<bool, StoreError> {
    let size = library.log(at).map_or(0, Log::size);
    let theirs = talk.theirs.filter(|theirs| (1..=size).contains(&theirs.size));
    if let (Some(theirs), History::Unknown) = (theirs, talk.history) {
        let same = slots.salted(&library.root(at, theirs.size)?) == theirs.root;
        talk.history = if same { History::Same } else { History::Other };
    }
    Ok(talk.history == History::Other)
}

/// Bytes of content in a run of items.
fn content(run: &Items) -> u64 {
    run.items.iter().map(|item| item.body.bytes().len() as u64).sum()
}

/// How many bytes an order takes on the link, its message aside.
fn order_bytes(order: &Order) -> usize {
    match order.part {
        Part::Cvs(level) => {
            let index = order.page.index / PAGE.saturating_pow(u32::from(level));
            order.page.blob.values(u32::from(level), index) * 32
        }
        Part::Group(group) => order.page.blob.group_bytes(order.page.group(group)),
    }
}

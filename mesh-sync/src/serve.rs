//! Items and groups flow out: made when the link has room for them, from what is here and sound.

use core::ops::Range;

use bytes::Bytes;
use mesh_wire::codec::{List, Opaque};
use mesh_wire::message::SyncMessage;
use mesh_wire::message::sync::{
    Cvs, Fork, GroupData, Heard, Items, LogSummary, PageHave, Share, Summary, Want,
};
use mesh_wire::{ChannelId, Hash, LinkId, Time, Wire, limits};

use crate::blob::{BlobId, PAGE};
use crate::channel::{Channel, LOG, fork, run_bytes};
use crate::library::{Group, Library};
use crate::peer::served::{Answer, Order, Part};
use crate::peer::slots::Slots;
use crate::peer::{History, ITEM_ROOM, Matched, Outgoing, Told};
use crate::store::{Store, StoreError};
use crate::sync::Sync;

/// The longest control message but [`Share`] and [`Heard`], with its frame.
const CONTROL_ROOM: usize = 160;
/// Bytes of a [`Share`] or [`Heard`] around its list.
const LIST_OVERHEAD: usize = 16;
/// Bytes of a [`Cvs`] or [`GroupData`] around its content.
const BULK_OVERHEAD: usize = 24;
/// New items that go out unasked at one time.
const PUSH_ITEMS: u64 = 16;
/// The newest items that are offered to somebody who has not said yet what it has.
const OFFERED_ITEMS: u64 = 4;

/// What a neighbour should be told of a channel.
enum Standing {
    /// Nothing now.
    Nothing,
    /// That there is more.
    Tell,
    /// These items.
    Push(Range<u64>),
    /// The newest ones, as it has said nothing yet.
    Offer,
}

impl<S: Store> Sync<S> {
    /// Our list of channels, by the places in which everything else names them.
    // spec: SYNC-9
    pub(crate) fn next_share(&mut self, now: Time, link: LinkId, room: usize) -> Option<Share> {
        let peer = self.peers.get_mut(&link)?;
        if peer.slots.tokens().count() * 8 + LIST_OVERHEAD > room {
            return None;
        }
        let serial = peer.next_serial();
        peer.share.said(now, peer.pace.repeat(), serial);
        Some(Share { serial, tokens: List::new(peer.slots.tokens()) })
    }

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
        let mut settled = alloc::vec::Vec::new();
        let mut due = None;
        for id in &peer.tell {
            match standing(self.library.sound(id), peer.matched.get(id)) {
                Standing::Nothing => settled.push(*id),
                Standing::Push(_) | Standing::Offer => {}
                Standing::Tell => {
                    due = Some(*id);
                    break;
                }
            }
        }
        peer.tell.retain(|id| !settled.contains(id));
        let Some(id) = due else { return Ok(None) };
        let (Some(channel), Some(index), Some(matched)) =
            (self.library.sound(&id), peer.slots.index(&id), peer.matched.get_mut(&id))
        else {
            return Ok(None);
        };
        let news = news(channel, matched);
        let mut message: SyncMessage = match news {
            Told::Here { size, blobs } => {
                let root = channel.log.frontier.root().unwrap_or(Hash([0; 32]));
                let log = LogSummary { log: LOG, size, root: peer.slots.salted(&root), blobs };
                Summary { serial: 0, channel: index, logs: List::new(&[log]) }.into()
            }
            Told::Branch(_) | Told::Fork => {
                let fork = match news {
                    Told::Branch(end) => self.library.history(&id, end)?,
                    Told::Here { .. } | Told::Fork => fork::load(&self.library.store, &id)?,
                };
                let Some(fork) = fork else {
                    peer.tell.remove(&id);
                    return Ok(None);
                };
                Fork { channel: index, ..fork }.into()
            }
        };
        if message.size() > room {
            return Ok(None);
        }
        matched.told = Some(news);
        peer.tell.remove(&id);
        let said = peer.say(now, id);
        if let SyncMessage::Summary(Summary { serial, .. })
        | SyncMessage::Fork(Fork { serial, .. }) = &mut message
        {
            *serial = said;
        }
        Ok(Some(message))
    }

    /// Asks for items.
    // spec: SYNC-12
    fn want(&mut self, link: LinkId) -> Option<Want> {
        let peer = self.peers.get_mut(&link)?;
        while let Some(id) = peer.wants.pop_first() {
            let stream = peer.matched.get(&id).and_then(|matched| matched.incoming);
            if let (Some(stream), Some(channel)) = (stream, peer.slots.index(&id)) {
                let (serial, first, bytes) = (stream.serial, stream.first, stream.granted);
                return Some(Want { channel, log: LOG, serial, first, bytes });
            }
        }
        None
    }

    /// A neighbour asks for items.
    // spec: SYNC-12
    pub(crate) fn take_want(&mut self, link: LinkId, want: &Want) {
        let Some(peer) = self.peers.get_mut(&link) else { return };
        let Some(id) = peer.slots.named(want.channel) else { return };
        let Some(matched) = peer.matched.get_mut(&id).filter(|_| want.log == LOG) else { return };
        let before = matched.outgoing.filter(|stream| stream.serial == want.serial);
        let mut stream = before.unwrap_or(Outgoing {
            serial: want.serial,
            next: want.first,
            granted: 0,
            sent: 0,
        });
        let most = stream.sent.saturating_add(limits::WANT_BYTES);
        stream.granted = stream.granted.max(want.bytes.min(most));
        matched.outgoing = Some(stream);
        peer.line_up(&id);
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
            let Some(id) = peer.streams.pop_front() else { break };
            let size = self.library.growing(&id).map_or(0, |channel| channel.log.size());
            let Some(matched) = peer.matched.get_mut(&id) else { continue };
            let Some(stream) = matched.outgoing else { continue };
            if stream.next >= size || stream.sent >= stream.granted {
                continue;
            }
            if has_other_history(&self.library, &peer.slots, (&id, matched))? {
                peer.tell.insert(id);
                continue;
            }
            let Some(stream) = &mut matched.outgoing else { continue };
            let space = room.saturating_sub(self.library.run_overhead(&id));
            let Some(mut run) = self.library.run(&id, stream.next..size, space)? else {
                // Too little room this time, or an item that has rotted.
                match space < ITEM_ROOM {
                    true => peer.streams.push_back(id),
                    false => self.seek(now, &id),
                }
                return Ok(None);
            };
            stream.next += run.items.len() as u64;
            stream.sent = stream.sent.saturating_add(run_bytes(&run));
            if stream.next >= size {
                stream.granted = stream.sent;
            }
            matched.sent = matched.sent.max(stream.next);
            run.channel = peer.slots.index(&id).unwrap_or(u32::MAX);
            peer.streams.push_back(id);
            return Ok(Some(run));
        }
        Ok(None)
    }

    /// New items that are small go to neighbours that had all items before them, or may have.
    // spec: SYNC-14
    fn push(&mut self, now: Time, link: LinkId, room: usize) -> Result<Option<Items>, StoreError> {
        let Some(peer) = self.peers.get_mut(&link) else { return Ok(None) };
        let standing = |id: &ChannelId| standing(self.library.sound(id), peer.matched.get(id));
        let pushable = |id: &ChannelId| match standing(id) {
            Standing::Push(items) => Some((*id, Some(items))),
            Standing::Offer => Some((*id, None)),
            Standing::Tell | Standing::Nothing => None,
        };
        let Some((id, items)) = peer.tell.iter().find_map(pushable) else { return Ok(None) };
        let space = room.saturating_sub(self.library.run_overhead(&id));
        let Some(matched) = peer.matched.get_mut(&id) else { return Ok(None) };
        let run = match items {
            Some(items) => {
                // What is not sent whole is told.
                matched.sent = items.end;
                if has_other_history(&self.library, &peer.slots, (&id, matched))? {
                    return Ok(None);
                }
                self.library.whole_run(&id, items, space.min(limits::PUSH_BYTES))?
            }
            None => {
                matched.offer = false;
                let size = self.library.sound(&id).map_or(0, |channel| channel.log.size());
                let space = space.min(limits::OFFER_BYTES);
                let mut run = None;
                for count in (1..=OFFERED_ITEMS.min(size)).rev() {
                    run = self.library.whole_run(&id, size - count..size, space)?;
                    if run.is_some() {
                        break;
                    }
                }
                run
            }
        };
        let Some(mut run) = run else { return Ok(None) };
        matched.told = self.library.sound(&id).map(|channel| news(channel, matched));
        matched.said.said(now, peer.pace.repeat(), Matched::PUSH);
        peer.tell.remove(&id);
        run.channel = peer.slots.index(&id).unwrap_or(u32::MAX);
        Ok(Some(run))
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

    /// Whether a neighbour may know of a blob: an item of a channel that both share names it.
    // spec: SYNC-16
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
    (id, matched): (&ChannelId, &mut Matched),
) -> Result<bool, StoreError> {
    let size = library.sound(id).map_or(0, |channel| channel.log.size());
    let theirs = matched.theirs.filter(|theirs| (1..=size).contains(&theirs.size));
    if let (Some(theirs), History::Unknown) = (theirs, matched.history) {
        let whole = library.sound(id).filter(|_| theirs.size == size);
        let root = match whole.and_then(|channel| channel.log.frontier.root()) {
            Some(root) => root,
            None => library.root(id, theirs.size)?,
        };
        let same = slots.salted(&root) == theirs.root;
        matched.history = if same { History::Same } else { History::Other };
    }
    Ok(matched.history == History::Other)
}

impl Matched {
    /// The serial of items that were pushed: no acknowledgement bears it.
    pub(crate) const PUSH: u32 = 0;
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

/// What there is to say of a channel.
// spec: SYNC-34, SYNC-35
fn news(channel: &Channel, matched: &Matched) -> Told {
    match (channel.forked, matched.history, matched.theirs) {
        (true, ..) => Told::Fork,
        (false, History::Other, Some(theirs)) => Told::Branch(theirs.size),
        _ => Told::Here { size: channel.log.size(), blobs: channel.counts.blobs_here },
    }
}

/// What a neighbour should be told of a channel now.
fn standing(channel: Option<&Channel>, matched: Option<&Matched>) -> Standing {
    let (Some(channel), Some(matched)) = (channel, matched) else { return Standing::Nothing };
    let news = news(channel, matched);
    let is_known = matched.told == Some(news) && !matched.said.is_due();
    if is_known || matched.said.is_waiting() {
        return Standing::Nothing;
    }
    let Told::Here { size, .. } = news else { return Standing::Tell };
    // Who asks for items is told when they are here. But who gives them has to know whose history
    // they are to continue.
    if matched.incoming.is_some() && (matched.told.is_some() || size == 0) {
        return Standing::Nothing;
    }
    let Some(theirs) = matched.theirs else {
        let offers = matched.offer && channel.key.is_some();
        return if offers { Standing::Offer } else { Standing::Tell };
    };
    // Who has been told of the items before has asked for them; nobody but their writer gives
    // them unasked to somebody new, as others may do the same.
    if matched.told.is_none() && channel.key.is_none() {
        return Standing::Tell;
    }
    let lacking = theirs.size..size;
    let is_streaming =
        matched.outgoing.is_some_and(|stream| stream.sent < stream.granted && stream.next < size);
    let is_small = (1..=PUSH_ITEMS).contains(&(lacking.end.saturating_sub(lacking.start)));
    if is_small && !is_streaming && matched.sent <= lacking.start {
        return Standing::Push(lacking);
    }
    Standing::Tell
}

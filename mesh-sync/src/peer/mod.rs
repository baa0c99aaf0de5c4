//! What is known of the neighbour at the other end of a link, and what is owed to it.

pub(crate) mod allowance;
pub(crate) mod pace;
pub(crate) mod said;
pub(crate) mod served;
pub(crate) mod slots;
pub(crate) mod turns;

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::mem::size_of;

use mesh_wire::message::sync::{Claim, Evaluated, Place};
use mesh_wire::{Carrier, ChannelId, Time, limits};

use crate::blob::{Bitmap, PageId};
use crate::board::round::Rounds;
use crate::board::talk::Talk as BoardTalk;
use crate::channel::account::Source;
use crate::channel::charter::Charter;
use crate::channel::{LogId, ORIGIN};
use allowance::Allowance;
use pace::Pace;
use said::Said;
use served::Served;
use slots::Slots;
use turns::Turns;

/// With this much room, every item fits.
pub(crate) const ITEM_ROOM: usize = limits::INLINE_BYTES + limits::HEADER_BYTES + 16;

/// The other end of a link.
pub(crate) struct Peer {
    pub(crate) slots: Slots,
    carrier: Carrier,
    /// The list of our channels, to be said.
    pub(crate) share: Said,
    /// The question about channels, to be asked.
    pub(crate) question: Said,
    /// The answer to theirs.
    pub(crate) answer: Option<Evaluated>,
    /// How often it may still guess what is followed here.
    pub(crate) guesses: Allowance,
    /// The serial of the newest list of theirs.
    pub(crate) share_heard: Option<u32>,
    /// Serials that are to be acknowledged.
    heard: BTreeSet<u32>,
    /// Summaries that were not acknowledged, by serial.
    awaiting: BTreeMap<u32, ChannelId>,
    serial: u32,
    /// The channels that both sides share.
    pub(crate) matched: BTreeMap<ChannelId, Matched>,
    /// Those of which something may have to be said.
    pub(crate) tell: BTreeSet<ChannelId>,
    /// What goes on about those that are boards, or may turn out to be.
    pub(crate) boards: BTreeMap<ChannelId, BoardTalk>,
    /// How many of their notes are still looked at, also if they are shared again.
    pub(crate) notes: BTreeMap<ChannelId, Allowance>,
    /// Those of which something may have to be said.
    pub(crate) due: BTreeSet<ChannelId>,
    /// The round about one of them.
    pub(crate) rounds: Rounds,
    /// Logs for which a request for items is to be sent.
    pub(crate) wants: BTreeSet<LogId>,
    /// Those of which the other end may wait for items, whose turn it is first.
    pub(crate) streams: VecDeque<LogId>,
    /// Pages that we ask for, by handle.
    pub(crate) asked: BTreeMap<u32, Asked>,
    pub(crate) handles: BTreeMap<PageId, u32>,
    next_handle: u32,
    /// Handles that are no longer in use, until the other end knows.
    pub(crate) drops: BTreeMap<u32, Said>,
    /// Whether there may be something to ask for.
    pub(crate) hungry: bool,
    pub(crate) pace: Pace,
    /// Pages that it asks of us.
    pub(crate) served: Served,
    pub(crate) turns: Turns,
    /// It never sent anything forged.
    pub(crate) trusted: bool,
    /// Where what it gives comes from: nothing is asked of files on the web that neighbours have.
    pub(crate) source: Source,
}

/// A channel that both sides share.
#[derive(Default)]
pub(crate) struct Matched {
    /// What is said of its logs, by their numbers: of those that somebody has opened here.
    pub(crate) logs: BTreeMap<u32, Talk>,
    /// The serial of their newest summary.
    pub(crate) summary_heard: Option<u32>,
    /// How many blobs of it they have.
    pub(crate) blobs: u64,
    /// How many we have, as said last.
    pub(crate) blobs_told: Option<u64>,
    /// That they get it at its origin.
    pub(crate) claim: Option<Claim>,
    /// What we said last of that.
    pub(crate) claim_told: Option<Claim>,
    pub(crate) said: Said,
    /// Our newest items are to be offered to it before it has said what it has.
    pub(crate) offer: bool,
}

/// One log of a channel that both sides share.
#[derive(Default)]
pub(crate) struct Talk {
    /// What they have of it, as far as they have said.
    pub(crate) theirs: Option<Remote>,
    /// What we said last.
    pub(crate) told: Option<Told>,
    /// Items that went to them unasked.
    pub(crate) pushed: Said,
    /// Items that we asked for.
    pub(crate) incoming: Option<Stream>,
    /// Items that they asked for.
    pub(crate) outgoing: Option<Outgoing>,
    /// Items below this were sent to them.
    pub(crate) sent: u64,
    /// Whether their items are the beginning of ours.
    pub(crate) history: History,
    /// Runs that did not continue what is here, and were taken for another history.
    pub(crate) strange: u32,
    /// Requests in a row without an answer.
    pub(crate) unanswered: u32,
    /// Lacking content of items below this was asked for, and comes round again after the rest.
    pub(crate) mended: u64,
    /// Requests in a row that brought no content that was lacking.
    pub(crate) fruitless: u32,
}

/// How a peer's items compare with ours. Looked at when items are about to be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum History {
    /// Not compared since the last summary.
    #[default]
    Unknown,
    /// They are the same as far as they go.
    Same,
    /// They are others.
    Other,
}

/// What a peer has of a log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remote {
    pub(crate) size: u64,
    pub(crate) root: [u8; 8],
}

/// What was said of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// How many items are here.
    Here(u64),
    /// What was signed about so many items, as theirs are others.
    Branch(u64),
    /// That it is forked.
    Fork,
}

impl Talk {
    /// They have so many items: what was pushed has arrived, whatever more there is by now.
    // spec: SYNC-14
    pub(crate) fn has(&mut self, items: u64) {
        if matches!(self.told, Some(Told::Here(told)) if items >= told) {
            self.pushed.answered();
        }
    }
}

impl Matched {
    /// What is said of a log.
    pub(crate) fn talk(&mut self, log: u32) -> &mut Talk {
        self.logs.entry(log).or_default()
    }

    /// What they have of a log: nothing of those that no summary of theirs has named, or what a
    /// writer has given in place of its first.
    // spec: SYNC-11, SYNC-14
    pub(crate) fn theirs(&self, log: u32) -> Option<Remote> {
        let has_spoken = self.logs.values().any(|talk| talk.theirs.is_some());
        let nothing = (has_spoken || self.summary_heard.is_some()).then(Remote::default);
        self.has_said(log).or(nothing)
    }

    /// What they have said that they have of a log.
    pub(crate) fn has_said(&self, log: u32) -> Option<Remote> {
        self.logs.get(&log).and_then(|talk| talk.theirs)
    }

    /// What they know that we have of a log.
    pub(crate) fn told(&self, log: u32) -> Option<Told> {
        let told = self.logs.get(&log).and_then(|talk| talk.told);
        told.or(self.blobs_told.filter(|_| log != ORIGIN).map(|_| Told::Here(0)))
    }

    /// Whether they know what was said last about who writes a log.
    // spec: SYNC-39
    pub(crate) fn knows(&self, charter: &Charter, log: u32) -> bool {
        let Some(writer) = charter.writer(log) else { return log == ORIGIN };
        let Place { log: control, seq } = writer.ruled;
        let is_other = self.logs.get(&control).is_some_and(|it| it.history == History::Other);
        let has = self.theirs(control).is_some_and(|theirs| theirs.size > seq);
        log == ORIGIN || (has && !is_other)
    }

    /// Whether it is certain that they and we mean the same writer by a log.
    // spec: SYNC-39
    pub(crate) fn agrees(&self, charter: &Charter, log: u32) -> bool {
        let control = charter.writer(log).map(|writer| writer.ruled.log);
        let control = control.and_then(|control| self.logs.get(&control));
        log == ORIGIN || control.is_some_and(|control| control.history == History::Same)
    }

    /// What was said may not have arrived: all of it is to be said again.
    pub(crate) fn forget_told(&mut self) {
        self.blobs_told = None;
        self.logs.values_mut().for_each(|talk| talk.told = None);
    }

    /// Whether items are on their way to us.
    pub(crate) fn is_catching_up(&self) -> bool {
        self.logs.values().any(|talk| talk.incoming.is_some())
    }
}

/// A stream of items that we asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) serial: u32,
    pub(crate) first: u64,
    /// Bytes granted and received since its start.
    pub(crate) granted: u64,
    pub(crate) received: u64,
    /// How far the grant runs ahead.
    pub(crate) window: u64,
    /// When it is overdue.
    pub(crate) again: Time,
    /// A gap was seen and the stream begun anew: later gaps are of the old one.
    pub(crate) gap: bool,
    /// It asks for content that is lacking.
    pub(crate) repairs: bool,
}

/// A stream of items that they asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outgoing {
    pub(crate) serial: u32,
    pub(crate) next: u64,
    pub(crate) granted: u64,
    pub(crate) sent: u64,
}

/// A page that we asked this peer about.
pub(crate) struct Asked {
    pub(crate) page: PageId,
    /// The groups it has, and the serial under which it said so.
    pub(crate) have: Bitmap,
    pub(crate) have_heard: Option<u32>,
    pub(crate) said: Said,
}

impl Peer {
    /// The neighbour at the other end of a link that has just come up.
    pub(crate) fn new(slots: Slots, carrier: Carrier) -> Self {
        let rounds = Rounds::new(slots.role(), slots.binding());
        Self {
            boards: BTreeMap::new(),
            notes: BTreeMap::new(),
            due: BTreeSet::new(),
            rounds,
            slots,
            carrier,
            share: Said::default(),
            question: Said::default(),
            answer: None,
            guesses: Allowance::of_a_link(),
            share_heard: None,
            heard: BTreeSet::new(),
            awaiting: BTreeMap::new(),
            serial: 0,
            matched: BTreeMap::new(),
            tell: BTreeSet::new(),
            wants: BTreeSet::new(),
            streams: VecDeque::new(),
            asked: BTreeMap::new(),
            handles: BTreeMap::new(),
            next_handle: 0,
            drops: BTreeMap::new(),
            hungry: false,
            pace: Pace::new(carrier),
            served: Served::default(),
            turns: Turns::default(),
            trusted: true,
            source: Source::default(),
        }
    }

    /// Whether it is files on the web.
    pub(crate) fn is_origin(&self) -> bool {
        self.source == Source::Origin
    }

    /// How much of `room` a run of items may take. In datagrams a message travels in pieces, and
    /// the more there are, the more often one is lost: there, no more than the largest item needs.
    pub(crate) fn run_room(&self, room: usize) -> usize {
        match self.carrier {
            Carrier::Stream => room,
            Carrier::Datagram => room.min(ITEM_ROOM + limits::EDGE_HASHES * 32 + 256),
        }
    }

    /// A number for the next thing that is counted.
    pub(crate) fn next_serial(&mut self) -> u32 {
        self.serial = self.serial.wrapping_add(1);
        self.serial
    }

    /// The other end's message `serial` is to be acknowledged.
    // spec: SYNC-10
    pub(crate) fn acknowledge(&mut self, serial: u32) {
        if self.heard.len() >= limits::SHARED_CHANNELS {
            self.heard.pop_first();
        }
        self.heard.insert(serial);
    }

    /// At most `most` of the serials to acknowledge.
    pub(crate) fn take_heard(&mut self, most: usize) -> Vec<u32> {
        let most = most.min(limits::SHARED_CHANNELS);
        core::iter::from_fn(|| self.heard.pop_first()).take(most).collect()
    }

    /// A summary of a channel goes out; its serial.
    pub(crate) fn say(&mut self, now: Time, channel: ChannelId) -> u32 {
        let serial = self.next_serial();
        let patience = self.pace.repeat();
        if let Some(matched) = self.matched.get_mut(&channel) {
            matched.said.said(now, patience, serial);
        }
        self.await_answer(serial, channel);
        serial
    }

    /// The serial of notes that are to be acknowledged.
    pub(crate) fn expect(&mut self, board: ChannelId) -> u32 {
        let serial = self.next_serial();
        self.await_answer(serial, board);
        serial
    }

    fn await_answer(&mut self, serial: u32, channel: ChannelId) {
        if self.awaiting.len() >= limits::SHARED_CHANNELS {
            self.awaiting.pop_first();
        }
        self.awaiting.insert(serial, channel);
    }

    /// The other end has taken our message `serial`.
    pub(crate) fn was_heard(&mut self, serial: u32) {
        let channel = self.awaiting.remove(&serial);
        let talk = channel.and_then(|channel| self.boards.get_mut(&channel));
        if talk.is_some_and(|talk| talk.said.heard(serial)) {
            return;
        }
        let matched = channel.and_then(|channel| self.matched.get_mut(&channel));
        if matched.is_some_and(|matched| matched.said.heard(serial)) {
            self.tell.extend(channel);
        } else if !self.share.heard(serial) {
            self.drops.retain(|_, said| !said.heard(serial));
            self.served.heard(serial);
        }
    }

    /// Something about a channel is new.
    pub(crate) fn changed(&mut self, channel: &ChannelId) {
        let Some(matched) = self.matched.get(channel) else { return };
        self.tell.insert(*channel);
        let streams = matched.logs.iter().filter(|(_, talk)| talk.outgoing.is_some());
        let streams: Vec<u32> = streams.map(|(log, _)| *log).collect();
        streams.into_iter().for_each(|log| self.line_up(LogId { channel: *channel, log }));
    }

    /// The other end may wait for items of a log.
    pub(crate) fn line_up(&mut self, log: LogId) {
        if !self.streams.contains(&log) {
            self.streams.push_back(log);
        }
    }

    /// A handle for a page that is about to be asked for.
    pub(crate) fn open_page(&mut self, page: PageId) -> u32 {
        let handle = self.next_handle;
        self.next_handle = self.next_handle.wrapping_add(1);
        self.handles.insert(page, handle);
        let said = Said::owed();
        let asked = Asked { page, have: Bitmap::default(), have_heard: None, said };
        self.asked.insert(handle, asked);
        handle
    }

    /// Asks for a page no longer.
    pub(crate) fn close_page(&mut self, page: &PageId) {
        if let Some(handle) = self.handles.remove(page) {
            self.asked.remove(&handle);
            self.drops.insert(handle, Said::owed());
        }
    }

    /// Brings the shared channels in line with both lists, and tells which are gone.
    pub(crate) fn rematch(&mut self) -> Vec<ChannelId> {
        let both = self.slots.both();
        let gone = self.matched.extract_if(.., |channel, _| !both.contains(channel));
        let gone = gone.map(|(channel, _)| channel).collect();
        self.tell.retain(|channel| both.contains(channel));
        self.boards.retain(|channel, _| both.contains(channel));
        if self.rounds.board().is_some_and(|board| !both.contains(&board)) {
            self.rounds.forget();
        }
        self.wants.retain(|log| both.contains(&log.channel));
        self.streams.retain(|log| both.contains(&log.channel));
        for channel in both {
            if self.matched.contains_key(&channel) {
                continue;
            }
            self.matched.insert(channel, Matched::default());
            self.tell.insert(channel);
            self.boards.insert(channel, BoardTalk::new(self.rounds.role));
            self.due.insert(channel);
        }
        gone
    }

    /// Nothing of what was said of a channel is true any more.
    pub(crate) fn forget(&mut self, channel: &ChannelId) {
        self.matched.remove(channel);
        self.boards.remove(channel);
        self.notes.remove(channel);
        self.wants.retain(|log| log.channel != *channel);
        self.streams.retain(|log| log.channel != *channel);
    }

    /// The other end still speaks of a page that was dropped: a late question has revived it.
    pub(crate) fn drop_again(&mut self, handle: u32) {
        if handle < self.next_handle && self.drops.len() < limits::ASKED_PAGES {
            self.drops.entry(handle).or_insert_with(Said::owed);
        }
    }

    /// Asks for nothing of what was asked for.
    pub(crate) fn forget_requests(&mut self) {
        self.wants.clear();
        self.drops.extend(self.asked.keys().map(|handle| (*handle, Said::owed())));
        self.asked.clear();
        self.handles.clear();
        self.pace.in_flight = 0;
        for (channel, matched) in &mut self.matched {
            matched.logs.values_mut().for_each(|talk| talk.incoming = None);
            self.tell.insert(*channel);
        }
    }

    /// Whether something of this neighbour may become overdue.
    pub(crate) fn is_waiting(&self, now: Time) -> bool {
        let is_pending = |talk: &Talk| talk.pushed.is_waiting() || talk.incoming.is_some();
        let waits =
            |matched: &Matched| matched.said.is_waiting() || matched.logs.values().any(is_pending);
        self.share.is_waiting()
            || self.question.is_waiting()
            || self.served.is_waiting()
            || self.drops.values().any(Said::is_waiting)
            || self.matched.values().any(waits)
            || self.waits_for_boards(now)
    }

    /// Forgets what is under way, after the store was lost.
    pub(crate) fn forget_transfers(&mut self) {
        self.forget_requests();
        self.streams.clear();
        self.forget_boards();
        let logs = self.matched.values_mut().flat_map(|matched| matched.logs.values_mut());
        logs.for_each(|talk| talk.outgoing = None);
        self.served.tell_all();
    }

    /// Bytes held on its behalf.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Self>()
            + self.slots.weight()
            + self.served.weight()
            + self.answer.as_ref().map_or(0, |answer| 32 * answer.points.len())
            + self.heard.len() * size_of::<u32>()
            + self.awaiting.len() * size_of::<(u32, ChannelId)>()
            + self.matched.len() * size_of::<(ChannelId, Matched)>()
            + self.matched.values().map(|matched| matched.logs.len()).sum::<usize>()
                * size_of::<(u32, Talk)>()
            + (self.tell.len() + self.wants.len() + self.streams.len()) * size_of::<LogId>()
            + self.asked.len() * size_of::<(u32, Asked, PageId, u32)>()
            + self.drops.len() * size_of::<(u32, Said)>()
            + self.weight_of_boards()
    }
}

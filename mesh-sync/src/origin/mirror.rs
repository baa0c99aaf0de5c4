//! A plain file server as a neighbour: it understands what [`crate::Sync`] says to one, and makes
//! requests for files of it and messages of their answers.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use mesh_wire::codec::{List, Opaque, Reader, Wire};
use mesh_wire::message::SyncMessage;
use mesh_wire::message::sync::{
    Cvs, CvsWant, GroupData, GroupsWant, Heard, Item, Items, LogState, LogSummary, PageAsk,
    PageHave, Place, Share, Summary, Want,
};
use mesh_wire::origin::{
    BundleProof, OriginHead, OriginLog, blob_path, bundle_path, cvs_path, head_path,
};
use mesh_wire::{ChannelId, Hash, limits};

use super::{Download, DownloadError, Site};
use crate::blob::{Bitmap, BlobId, GROUP, PAGE, PageId};
use crate::channel::{LogId, Visibility, item, run_bytes};
use crate::peer::slots::Slots;

/// Longest `head` file.
const HEAD_BYTES: usize = limits::LOGS * 128 + limits::EXTENSION_BYTES;

/// What an origin is asked for next, and what it has answered.
pub(crate) struct Mirror {
    pub(crate) site: Site,
    slots: Slots,
    is_shared: bool,
    serial: u32,
    heard: Vec<u32>,
    heads: BTreeMap<ChannelId, OriginHead>,
    streams: BTreeMap<LogId, Stream>,
    /// Pages that we are asked about, by handle.
    pages: BTreeMap<u32, PageId>,
    /// Those of them of which a file was not there.
    lacking: BTreeSet<u32>,
    jobs: VecDeque<Job>,
    flying: BTreeMap<u64, Job>,
    messages: VecDeque<SyncMessage>,
}

/// Items that are asked for.
#[derive(Clone, Copy)]
struct Stream {
    serial: u32,
    next: u64,
    granted: u64,
    sent: u64,
    /// Where the next item begins in its bundle, in bytes.
    from: u64,
}

/// A file, or a part of one.
#[derive(Clone, PartialEq, Eq)]
enum Job {
    /// What there is of a channel.
    Head(ChannelId),
    /// A bundle of a log from an item on, and where in it that begins, in bytes.
    Bundle(LogId, u64, u64),
    /// The chaining values of a page, or of one above it.
    Cvs(u32, u8),
    /// Groups of a page that follow each other.
    Groups(u32, Range<u16>),
}

/// What became of an answer.
pub(crate) enum Outcome {
    /// It is of use.
    Taken,
    /// It is what the origin has of a channel; whether that is as it was.
    Head(ChannelId, bool),
    /// The origin has nothing of a channel.
    Absent(ChannelId),
    /// The origin does not work.
    Broken(String),
}

impl Mirror {
    pub(crate) fn new(site: Site, mut slots: Slots) -> Self {
        slots.be_plain();
        Self {
            site,
            slots,
            is_shared: false,
            serial: 0,
            heard: Vec::new(),
            heads: BTreeMap::new(),
            streams: BTreeMap::new(),
            pages: BTreeMap::new(),
            lacking: BTreeSet::new(),
            jobs: VecDeque::new(),
            flying: BTreeMap::new(),
            messages: VecDeque::new(),
        }
    }

    /// It is where these channels are to be had.
    pub(crate) fn share(&mut self, channels: &BTreeSet<ChannelId>) {
        let open = channels.iter().map(|channel| (*channel, Visibility::Open)).collect();
        self.is_shared &= !self.slots.share(&open);
        self.heads.retain(|channel, _| channels.contains(channel));
    }

    /// The channels that are to be had here.
    pub(crate) fn channels(&self) -> impl Iterator<Item = ChannelId> {
        self.slots.both().into_iter()
    }

    /// Asks what there is of a channel.
    pub(crate) fn look(&mut self, channel: ChannelId) {
        self.add(Job::Head(channel));
    }

    fn add(&mut self, job: Job) {
        if !self.jobs.contains(&job) && !self.flying.values().any(|flying| *flying == job) {
            self.jobs.push_back(job);
        }
    }

    fn next_serial(&mut self) -> u32 {
        self.serial += 1;
        self.serial
    }

    /// The first item that a message asks for.
    pub(crate) fn wanted(&self, message: &SyncMessage) -> Option<(LogId, u64)> {
        let SyncMessage::Want(want) = message else { return None };
        let channel = self.slots.named(want.channel)?;
        Some((LogId { channel, log: want.log }, want.first))
    }

    /// What the machine says to it, and, if it wants items, how many bytes of the bundle in which
    /// the first of them stands it has.
    pub(crate) fn take(&mut self, message: &SyncMessage, from: u64) {
        match message {
            SyncMessage::Share(share) => {
                self.heard.push(share.serial);
                self.slots.take(share.tokens.iter().collect());
                let channels: Vec<ChannelId> = self.heads.keys().copied().collect();
                channels.iter().for_each(|channel| self.tell(channel));
            }
            SyncMessage::Summary(summary) => self.heard.push(summary.serial),
            SyncMessage::Fork(fork) => self.heard.push(fork.serial),
            SyncMessage::PageHave(have) => self.heard.push(have.serial),
            SyncMessage::Want(want) => self.take_want(want, from),
            SyncMessage::PageAsk(ask) => self.take_ask(ask),
            SyncMessage::CvsWant(CvsWant { handle, level }) => self.add(Job::Cvs(*handle, *level)),
            SyncMessage::GroupsWant(want) => self.take_groups_want(want),
            SyncMessage::PageDrop(page) => {
                self.heard.push(page.serial);
                self.pages.remove(&page.handle);
                self.lacking.remove(&page.handle);
                self.drop_jobs(page.handle);
            }
            // It asks for nothing, and has no use for what it is given.
            SyncMessage::Heard(_)
            | SyncMessage::Blinded(_)
            | SyncMessage::Evaluated(_)
            | SyncMessage::Items(_)
            | SyncMessage::Cvs(_)
            | SyncMessage::GroupData(_)
            | SyncMessage::Notes(_)
            | SyncMessage::Reconcile(_) => {}
        }
    }

    fn drop_jobs(&mut self, page: u32) {
        self.jobs.retain(|job| match job {
            Job::Cvs(handle, _) | Job::Groups(handle, _) => *handle != page,
            Job::Head(_) | Job::Bundle(..) => true,
        });
    }

    fn take_want(&mut self, want: &Want, from: u64) {
        let Some(channel) = self.slots.named(want.channel) else { return };
        let at = LogId { channel, log: want.log };
        let (serial, next) = (want.serial, want.first);
        let before = self.streams.get(&at).copied();
        let fresh = Stream { serial, next, granted: 0, sent: 0, from };
        let mut stream = before.filter(|stream| stream.serial == serial).unwrap_or(fresh);
        stream.granted = stream.granted.max(want.bytes);
        self.streams.insert(at, stream);
        self.go_on(at);
    }

    /// Asks for the bundle with the next item, if there is more and more is wanted.
    fn go_on(&mut self, at: LogId) {
        let Some(stream) = self.streams.get(&at) else { return };
        let size = self.there(&at).map_or(0, |log| log.state.size);
        if stream.next < size && stream.sent < stream.granted {
            self.add(Job::Bundle(at, stream.next, stream.from));
        }
    }

    /// What the origin has of a log.
    fn there(&self, at: &LogId) -> Option<OriginLog> {
        let mut logs = self.heads.get(&at.channel)?.logs.iter();
        logs.find(|log| log.state.log == at.log)
    }

    // spec: SYNC-59
    fn take_ask(&mut self, ask: &PageAsk) {
        let page = PageId { blob: BlobId { hash: ask.hash, size: ask.size }, index: ask.page };
        self.pages.insert(ask.handle, page);
        self.tell_page(ask.handle, &Bitmap::first(page.groups()));
    }

    /// A blob is not there, at least not now.
    fn withdraw(&mut self, page: u32) {
        self.drop_jobs(page);
        self.lacking.insert(page);
        self.tell_page(page, &Bitmap::default());
    }

    fn tell_page(&mut self, handle: u32, groups: &Bitmap) {
        let serial = self.next_serial();
        let groups = Opaque::new(groups.to_bytes().into()).unwrap_or_default();
        self.messages.push_back(PageHave { serial, handle, groups }.into());
    }

    /// One request for groups that follow each other.
    fn take_groups_want(&mut self, want: &GroupsWant) {
        let mut groups: Vec<u16> = want.groups.iter().collect();
        groups.sort_unstable();
        groups.dedup();
        for run in groups.chunk_by(|a, b| a + 1 == *b) {
            for part in run.chunks(limits::STRIPE_GROUPS as usize) {
                let (Some(first), Some(last)) = (part.first(), part.last()) else { continue };
                self.jobs.push_back(Job::Groups(want.handle, *first..*last + 1));
            }
        }
    }

    /// The next thing it says to the machine.
    pub(crate) fn message(&mut self) -> Option<SyncMessage> {
        if !self.is_shared {
            self.is_shared = true;
            let serial = self.next_serial();
            return Some(Share { serial, tokens: List::new(self.slots.tokens()) }.into());
        }
        if !self.heard.is_empty() {
            let most = self.heard.len().min(limits::SHARED_CHANNELS);
            let serials: Vec<u32> = self.heard.drain(..most).collect();
            return Some(Heard { serials: List::new(&serials) }.into());
        }
        self.messages.pop_front()
    }

    /// The next file to ask for, and the number under which its answer is expected.
    pub(crate) fn request(&mut self, number: u64) -> Option<Download> {
        while self.flying.len() < limits::DOWNLOADS {
            let job = self.jobs.pop_front()?;
            if let Some((path, range, most)) = self.file(&job) {
                self.flying.insert(number, job);
                let Site { url, servers } = &self.site;
                let (url, servers) = (alloc::format!("{url}/{path}"), *servers);
                return Some(Download { number, url, range, most, servers });
            }
        }
        None
    }

    /// The path of a file, which of its bytes, and how many at most.
    fn file(&self, job: &Job) -> Option<(String, Option<Range<u64>>, usize)> {
        Some(match job {
            Job::Head(channel) => (head_path(channel), None, HEAD_BYTES),
            Job::Bundle(at, first, from) => {
                let (most, number) = (limits::BUNDLE_BYTES, first / limits::BUNDLE_ITEMS);
                let range = (*from > 0).then_some(*from..limits::BUNDLE_BYTES as u64);
                (bundle_path(&at.channel, at.log, number), range, most)
            }
            Job::Cvs(handle, level) => {
                let page = self.pages.get(handle)?;
                let range = cvs_range(page, u32::from(*level));
                let most = (range.end - range.start) as usize;
                (cvs_path(&page.blob.hash), Some(range), most)
            }
            Job::Groups(handle, groups) => {
                let page = self.pages.get(handle)?;
                let range = group_range(page, groups);
                let most = (range.end - range.start) as usize;
                (blob_path(&page.blob.hash), Some(range), most)
            }
        })
    }

    /// An answer came.
    pub(crate) fn answered(
        &mut self,
        number: u64,
        answer: Result<Bytes, DownloadError>,
    ) -> Outcome {
        let Some(job) = self.flying.remove(&number) else { return Outcome::Taken };
        match (job, answer) {
            (_, Err(DownloadError::Failed(error))) => Outcome::Broken(error),
            (Job::Head(channel), Ok(bytes)) => match OriginHead::from_bytes(bytes) {
                Ok(head) => self.take_head(channel, head),
                Err(_) => Outcome::Broken("it says something else than what it has".into()),
            },
            (Job::Head(channel), Err(DownloadError::Missing)) => Outcome::Absent(channel),
            (Job::Bundle(at, number, from), Ok(bytes)) => {
                self.take_bundle(at, (number, from), bytes)
            }
            (Job::Bundle(at, first, from), Err(DownloadError::Missing)) => {
                self.start_over(at, (first, from))
            }
            // What is there in part, or as something else, is as good as not there.
            (Job::Cvs(handle, level), Ok(bytes)) => {
                let cvs: Vec<Hash> = bytes.as_chunks().0.iter().map(|cv| Hash(*cv)).collect();
                let page = self.pages.get(&handle);
                let range = page.map(|page| cvs_range(page, u32::from(level)));
                match is_whole(&bytes, range) {
                    true => {
                        self.messages.push_back(Cvs { handle, level, cvs: List::new(&cvs) }.into())
                    }
                    false => self.withdraw(handle),
                }
                Outcome::Taken
            }
            (Job::Groups(handle, groups), Ok(bytes)) => {
                let range = self.pages.get(&handle).map(|page| group_range(page, &groups));
                if !is_whole(&bytes, range) {
                    self.withdraw(handle);
                }
                let mut rest = bytes;
                for group in groups {
                    let bytes = rest.split_to(rest.len().min(limits::GROUP_BYTES));
                    if let Some(bytes) = Opaque::new(bytes).filter(|it| !it.bytes().is_empty()) {
                        self.messages.push_back(GroupData { handle, group, bytes }.into());
                    }
                }
                Outcome::Taken
            }
            (Job::Cvs(handle, _) | Job::Groups(handle, _), Err(DownloadError::Missing)) => {
                self.withdraw(handle);
                Outcome::Taken
            }
        }
    }

    fn take_head(&mut self, channel: ChannelId, head: OriginHead) -> Outcome {
        let is_same = self.heads.get(&channel) == Some(&head);
        self.heads.insert(channel, head);
        self.tell(&channel);
        // What was not there may be by now.
        for handle in core::mem::take(&mut self.lacking) {
            if let Some(page) = self.pages.get(&handle).copied() {
                self.tell_page(handle, &Bitmap::first(page.groups()));
            }
        }
        Outcome::Head(channel, is_same)
    }

    /// Says what the origin has of a channel.
    fn tell(&mut self, channel: &ChannelId) {
        let (Some(index), Some(head)) = (self.slots.index(channel), self.heads.get(channel)) else {
            return;
        };
        let logs: Vec<LogSummary> = head
            .logs
            .iter()
            .map(|OriginLog { state: LogState { log, size, root, .. }, .. }| LogSummary {
                log,
                size,
                root: self.slots.salted(&root),
            })
            .collect();
        let (serial, logs) = (self.next_serial(), List::new(&logs));
        let claims = List::new([]);
        self.messages.push_back(Summary { serial, channel: index, blobs: 0, claims, logs }.into());
    }

    /// Hands on the items of a bundle.
    // spec: SYNC-58
    fn take_bundle(&mut self, at: LogId, (first, from): (u64, u64), bytes: Bytes) -> Outcome {
        let (Some(index), Some(there)) = (self.slots.index(&at.channel), self.there(&at)) else {
            return Outcome::Taken;
        };
        let Some(mut run) = read_bundle(&there, first, bytes) else {
            return self.start_over(at, (first, from));
        };
        let Some(stream) = self.streams.get_mut(&at) else { return Outcome::Taken };
        (stream.next, stream.from) = (first + run.items.len() as u64, 0);
        stream.sent = stream.sent.saturating_add(run_bytes(&run));
        run.channel = index;
        self.messages.push_back(run.into());
        self.go_on(at);
        Outcome::Taken
    }

    /// A part of a bundle is not what it should be: perhaps it begins elsewhere, and all of it is
    /// to be read.
    fn start_over(&mut self, at: LogId, (first, from): (u64, u64)) -> Outcome {
        if from == 0 {
            return Outcome::Broken("what it says that it has is not there".into());
        }
        if let Some(stream) = self.streams.get_mut(&at) {
            let start = first / limits::BUNDLE_ITEMS * limits::BUNDLE_ITEMS;
            (stream.next, stream.from) = (start, 0);
        }
        self.go_on(at);
        Outcome::Taken
    }
}

/// The items of a bundle from `first` on, as far as the origin says that there are, with what
/// proves them.
// spec: SYNC-58
fn read_bundle(there: &OriginLog, first: u64, bytes: Bytes) -> Option<Items> {
    let LogState { log, size, .. } = there.state;
    let full = (first / limits::BUNDLE_ITEMS + 1) * limits::BUNDLE_ITEMS;
    let end = full.min(size);
    let mut reader = Reader::new(bytes);
    // Read from a wrong place, bytes may still look like items.
    let read = |seq| {
        let item = Item::read(&mut reader).ok()?;
        item::check(&Place { log, seq }, &item).is_ok().then_some(item)
    };
    let items: Option<Vec<Item>> = (first..end).map(read).collect();
    let items = items.filter(|items| !items.is_empty())?;
    let proof = match end == full {
        true => BundleProof::read(&mut reader).ok()?,
        false => BundleProof { size, signature: there.signature, edge: List::default() },
    };
    let BundleProof { size, signature, edge } = proof;
    Some(Items { channel: 0, log, first, items: List::new(&items), edge, size, signature })
}

/// Whether an answer has all that was asked for, if that is still wanted.
fn is_whole(answer: &Bytes, range: Option<Range<u64>>) -> bool {
    range.is_none_or(|range| answer.len() as u64 == range.end - range.start)
}

/// The bytes of a page of chaining values in the file that has all of them.
// spec: SYNC-58
fn cvs_range(page: &PageId, level: u32) -> Range<u64> {
    let below = |level| (0..level).map(|level| page.blob.level_values(level)).sum::<u64>();
    let first = below(level) + page.index / PAGE.pow(level) * PAGE;
    let count = page.blob.values(level, page.index / PAGE.pow(level)) as u64;
    first * 32..(first + count) * 32
}

/// The bytes of groups of a page in their blob.
fn group_range(page: &PageId, groups: &Range<u16>) -> Range<u64> {
    let end = page.group(groups.end.saturating_sub(1)) + 1;
    page.group(groups.start) * GROUP..(end * GROUP).min(page.blob.size)
}

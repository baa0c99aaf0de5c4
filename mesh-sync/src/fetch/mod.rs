//! What to ask of whom: the pages of blobs in transfer, and where each of their groups stands.

mod pick;
mod request;
mod sources;
mod stripes;
mod walk;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use mesh_wire::message::sync::PageHave;
use mesh_wire::{ChannelId, Fault, Hash, LinkId, Time, limits};

use crate::blob::{Bitmap, BlobId, PageId};
use crate::library::{Library, Trouble, Wish};
use crate::origin::is_origin;
use crate::peer::Peer;
use crate::store::{Store, StoreError};
use sources::Sources;
use walk::Walk;

/// The neighbours.
pub(crate) type Peers = BTreeMap<LinkId, Peer>;

/// Blobs that somebody waits for, and those that have come: whoever waited has still to read them.
const PREFERRED: usize = 16;

/// The pages in transfer.
#[derive(Default)]
pub(crate) struct Fetch {
    /// The first ones first.
    pages: Vec<OpenPage>,
    walk: Walk,
    preferred: VecDeque<BlobId>,
    /// Makes nodes that fetch the same blob begin with different groups.
    seed: u64,
    sources: Sources,
    /// Origins are asked only for what somebody waits for, or has pinned.
    pub(crate) is_metered: bool,
    /// Something waits until others have had their time to get it.
    pub(crate) is_held: bool,
}

/// A page in transfer.
pub(crate) struct OpenPage {
    id: PageId,
    /// The channels that name the blob.
    channels: Vec<ChannelId>,
    here: Bitmap,
    cvs: Cvs,
    flights: Vec<Flight>,
    is_pinned: bool,
    /// Only notes name the blob, which are on no origin.
    is_of_notes: bool,
    /// When something was last heard of it.
    since: Time,
    /// For some time nobody around has had anything of it: it takes no room from others.
    is_hopeless: bool,
}

/// Whether the groups of a page can be verified.
#[derive(Clone, Copy)]
enum Cvs {
    Here,
    /// Chaining values of this level come next; perhaps they are asked for.
    Lacking(u32, Option<(LinkId, Time)>),
}

/// A group that was asked for.
#[derive(Clone, Copy)]
struct Flight {
    group: u16,
    link: LinkId,
    asked: Time,
}

/// What a group that came in has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Landed {
    /// Nothing: it was here, or nobody wants it.
    Nowhere,
    /// It is kept.
    Kept(BlobId),
    /// It is kept, and was the last one.
    Whole(BlobId),
}

impl Fetch {
    /// Nothing in transfer.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Forgets all transfers, after the store was lost.
    pub(crate) fn forget(&mut self) {
        self.pages.clear();
        self.walk = Walk::default();
    }

    /// Something has changed that may make more blobs available.
    pub(crate) fn news(&mut self) {
        self.walk.news();
    }

    /// Items have come in, and their blobs come first.
    pub(crate) fn arrived(&mut self, channel: &ChannelId, numbers: &Range<u64>) {
        self.walk.arrived(channel, numbers);
    }

    /// The blobs that somebody waits for, or waited for last.
    pub(crate) fn preferred(&self) -> Vec<BlobId> {
        self.preferred.iter().copied().collect()
    }

    /// What came from whom.
    pub(crate) fn sources(&self, blob: &BlobId) -> Vec<(LinkId, u64)> {
        self.sources.of(blob)
    }

    /// Fetches a blob before all others.
    pub(crate) fn prefer(&mut self, blob: BlobId, peers: &mut Peers) {
        self.preferred.retain(|other| *other != blob);
        self.preferred.push_front(blob);
        self.preferred.truncate(PREFERRED);
        self.pages.sort_by_key(|page| page.id.blob != blob);
        let others = |page: &&OpenPage| page.id.blob != blob && page.flights.is_empty();
        let last = self.pages.iter().rev().find(others).map(|page| page.id);
        if let Some(last) = last.filter(|_| self.pages.len() >= limits::OPEN_PAGES) {
            self.close(&last, peers);
        }
        peers.values_mut().for_each(|peer| peer.hungry = true);
        self.news();
    }

    /// Opens pages until there are as many as there may be, or no more to open.
    pub(crate) fn fill<S: Store>(
        &mut self,
        now: Time,
        library: &mut Library<S>,
        peers: &mut Peers,
    ) -> Result<(), StoreError> {
        while self.pages.len() < limits::OPEN_PAGES {
            let Some(id) = self.next_page(library, peers)? else { break };
            let channels = library.channels_naming(&id.blob)?;
            let here = library.page(&id)?;
            let cvs = lacking(library.cvs_lacking(&id)?);
            let is_pinned = library.shelved(&id.blob)?.is_some_and(|it| it.wish == Wish::Pinned);
            let page = OpenPage {
                id,
                is_of_notes: are_boards(library, &channels),
                channels,
                here,
                cvs,
                flights: Vec::new(),
                is_pinned,
                since: now,
                is_hopeless: false,
            };
            match self.preferred.contains(&id.blob) {
                true => self.pages.insert(self.preferred_pages(), page),
                false => self.pages.push(page),
            }
            peers.values_mut().for_each(|peer| peer.hungry = true);
        }
        Ok(())
    }

    /// How many of the first pages are of preferred blobs.
    fn preferred_pages(&self) -> usize {
        let preferred = |page: &&OpenPage| self.preferred.contains(&page.id.blob);
        self.pages.iter().take_while(preferred).count()
    }

    /// The next page worth opening.
    fn next_page<S: Store>(
        &mut self,
        library: &Library<S>,
        peers: &Peers,
    ) -> Result<Option<PageId>, StoreError> {
        if !self.walk.is_under_way() {
            return Ok(None);
        }
        for blob in &self.preferred {
            let Some(page) = walk::closed_page(library, &self.pages, blob, 0)? else { continue };
            if library.channels_naming(blob)?.iter().any(|c| is_reachable(peers, c)) {
                return Ok(Some(page));
            }
        }
        self.walk.next(library, &self.pages, |channel| is_reachable(peers, channel))
    }

    /// Closes a page everywhere.
    fn close(&mut self, id: &PageId, peers: &mut Peers) {
        let Some(at) = self.pages.iter().position(|page| page.id == *id) else { return };
        for flight in self.pages.remove(at).flights {
            land(peers, &flight);
        }
        for peer in peers.values_mut() {
            peer.close_page(id);
            peer.hungry = true;
        }
    }

    /// Closes the pages of blobs that no channel names any more, or that are not to be fetched.
    pub(crate) fn close_unwanted<S: Store>(
        &mut self,
        library: &Library<S>,
        peers: &mut Peers,
    ) -> Result<(), StoreError> {
        self.preferred.retain(|blob| library.groups_here(blob).is_ok_and(|here| here.is_some()));
        let open: Vec<PageId> = self.pages.iter().map(|page| page.id).collect();
        for page in open {
            let channels = library.channels_naming(&page.blob)?;
            let shelved = library.shelved(&page.blob)?;
            let is = |wish| shelved.as_ref().is_some_and(|it| it.wish == wish);
            let (is_resting, is_pinned) = (is(Wish::Resting), is(Wish::Pinned));
            if channels.is_empty() || (is_resting && !self.preferred.contains(&page.blob)) {
                self.close(&page, peers);
            } else if let Some(open) = self.page_mut(&page) {
                open.is_of_notes = are_boards(library, &channels);
                (open.channels, open.is_pinned) = (channels, is_pinned);
            }
        }
        peers.values_mut().for_each(|peer| peer.hungry = true);
        Ok(())
    }

    /// A blob is here whole by other means, or given up: nobody needs to be asked for it.
    pub(crate) fn close_blob(&mut self, blob: &BlobId, peers: &mut Peers) {
        let of_blob = |page: &&OpenPage| page.id.blob == *blob;
        let open: Vec<PageId> = self.pages.iter().filter(of_blob).map(|page| page.id).collect();
        open.iter().for_each(|page| self.close(page, peers));
        self.preferred.retain(|other| other != blob);
    }

    /// A group of a page has rotted.
    pub(crate) fn rotted(&mut self, id: &PageId, here: Bitmap) {
        if let Some(page) = self.page_mut(id) {
            page.here = here;
        }
        self.news();
    }

    /// Nothing more comes from this link: its groups are free to be asked of others.
    pub(crate) fn lost(&mut self, link: LinkId, peers: &mut Peers) {
        for page in &mut self.pages {
            page.flights.retain(|flight| flight.link != link);
            if let Cvs::Lacking(level, Some((asked, _))) = page.cvs
                && asked == link
            {
                page.cvs = Cvs::Lacking(level, None);
            }
        }
        for peer in peers.values_mut() {
            peer.hungry = true;
        }
    }

    fn page_mut(&mut self, id: &PageId) -> Option<&mut OpenPage> {
        self.pages.iter_mut().find(|page| page.id == *id)
    }

    /// A neighbour says which groups it has.
    pub(crate) fn have(
        &mut self,
        now: Time,
        link: LinkId,
        peers: &mut Peers,
        (message, have): (&PageHave, Bitmap),
    ) -> Result<(), Fault> {
        let Some(peer) = peers.get_mut(&link) else { return Ok(()) };
        let Some(asked) = peer.asked.get_mut(&message.handle) else {
            peer.acknowledge(message.serial);
            peer.drop_again(message.handle);
            return Ok(());
        };
        if !have.minus(&Bitmap::first(asked.page.groups())).is_empty() {
            return Err(Fault::Protocol("groups beyond the end of a page"));
        }
        if asked.have_heard.is_some_and(|heard| message.serial <= heard) {
            peer.acknowledge(message.serial);
            return Ok(());
        }
        asked.have_heard = Some(message.serial);
        let changed = asked.have != have;
        asked.have = have;
        asked.said.answered();
        let id = asked.page;
        peer.hungry = true;
        if changed {
            peer.pace.unanswered = 0;
        }
        peer.acknowledge(message.serial);
        let Some(page) = self.page_mut(&id).filter(|_| changed) else { return Ok(()) };
        page.since = now;
        page.is_hopeless = false;
        if let Cvs::Lacking(level, Some((asked, _))) = page.cvs
            && (if have.is_empty() { asked == link } else { is_origin(asked) && !is_origin(link) })
        {
            // It will not answer, or a neighbour will sooner than the web.
            page.cvs = Cvs::Lacking(level, None);
            peers.values_mut().for_each(|peer| peer.hungry = true);
        }
        let gone = |flight: &Flight| flight.link == link && !have.contains(flight.group);
        let flights = page.flights.extract_if(.., |flight| gone(flight)).collect::<Vec<_>>();
        flights.iter().for_each(|flight| land(peers, flight));
        Ok(())
    }

    /// A page of chaining values came in.
    pub(crate) fn take_cvs<S: Store>(
        &mut self,
        library: &mut Library<S>,
        id: &PageId,
        level: u32,
        values: Vec<Hash>,
    ) -> Result<(), Trouble> {
        let Some(page) = self.page_mut(id) else { return Ok(()) };
        let Cvs::Lacking(lacks, _) = page.cvs else { return Ok(()) };
        if lacks != level {
            return Ok(());
        }
        let index = id.index / crate::blob::PAGE.pow(level);
        library.keep_cvs(&id.blob, (level, index), values)?;
        // Other open pages may hang below the same values.
        for page in self.pages.iter_mut().filter(|page| page.id.blob == id.blob) {
            if matches!(page.cvs, Cvs::Lacking(lacks, _) if lacks == level) {
                page.cvs = lacking(library.cvs_lacking(&page.id)?);
            }
        }
        Ok(())
    }

    /// A group came in.
    pub(crate) fn take_group<S: Store>(
        &mut self,
        (now, link): (Time, LinkId),
        library: &mut Library<S>,
        peers: &mut Peers,
        (id, group, bytes): (PageId, u16, &Bytes),
    ) -> Result<Landed, Trouble> {
        let Some(page) = self.pages.iter_mut().find(|page| page.id == id) else {
            return Ok(Landed::Nowhere);
        };
        if page.here.contains(group) || !page.is_verifiable() {
            return Ok(Landed::Nowhere);
        }
        library.keep_group(&id, &mut page.here, group, bytes)?;
        page.since = now;
        for flight in page.flights.extract_if(.., |flight| flight.group == group) {
            land(peers, &flight);
            if let Some(peer) = peers.get_mut(&flight.link).filter(|_| flight.link == link) {
                peer.pace.answered(now, flight.asked);
            }
        }
        let here = page.here;
        self.sources.add(id.blob, link, bytes.len() as u64);
        peers.values_mut().for_each(|peer| peer.served.changed(&id, &here));
        if here.count() == id.groups() {
            self.close(&id, peers);
            self.news();
        }
        if library.groups_here(&id.blob)? == Some(id.blob.groups()) {
            return Ok(Landed::Whole(id.blob));
        }
        Ok(Landed::Kept(id.blob))
    }

    /// How many links have something of a blob.
    pub(crate) fn providers(&self, blob: &BlobId, peers: &Peers) -> usize {
        let has = |asked: &crate::peer::Asked| asked.page.blob == *blob && !asked.have.is_empty();
        peers.values().filter(|peer| peer.asked.values().any(has)).count()
    }
}

impl OpenPage {
    /// Whether its groups can be verified: none is asked for before.
    fn is_verifiable(&self) -> bool {
        matches!(self.cvs, Cvs::Here)
    }
}

/// Whether all of these are boards.
fn are_boards<S: Store>(library: &Library<S>, channels: &[ChannelId]) -> bool {
    channels.iter().all(|channel| library.board(channel).is_some())
}

fn lacking(level: Option<u32>) -> Cvs {
    level.map_or(Cvs::Here, |level| Cvs::Lacking(level, None))
}

/// A group is no longer on its way.
fn land(peers: &mut Peers, flight: &Flight) {
    if let Some(peer) = peers.get_mut(&flight.link) {
        peer.pace.in_flight = peer.pace.in_flight.saturating_sub(1);
        peer.hungry = true;
    }
}

/// Whether somebody around shares the channel and may be asked.
fn is_reachable(peers: &Peers, channel: &ChannelId) -> bool {
    peers.values().any(|peer| peer.trusted && peer.matched.contains_key(channel))
}

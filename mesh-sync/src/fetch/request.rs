//! The next request on a link, made when the link has room for it.

use alloc::vec::Vec;

use mesh_wire::codec::List;
use mesh_wire::message::SyncMessage;
use mesh_wire::message::sync::{CvsWant, GroupsWant, PageAsk, PageDrop};
use mesh_wire::{LinkId, Time, limits};

use super::{Cvs, Fetch, Flight, Peers, land, pick, stripes};
use crate::blob::Bitmap;
use crate::origin::is_origin;
use crate::peer::{Asked, Peer};

/// Missing groups of a page from which on they are asked of two neighbours at once.
const END_GAME: usize = 8;

impl Fetch {
    /// The next request to send on a link.
    pub(crate) fn request(
        &mut self,
        now: Time,
        link: LinkId,
        peers: &mut Peers,
    ) -> Option<SyncMessage> {
        let peer = peers.get_mut(&link)?;
        let unsaid = peer.drops.iter().find(|(_, said)| said.is_due());
        if let Some(handle) = unsaid.map(|(handle, _)| *handle) {
            let serial = peer.next_serial();
            if let Some(said) = peer.drops.get_mut(&handle) {
                said.said(now, peer.pace.repeat(), serial);
            }
            return Some(PageDrop { serial, handle }.into());
        }
        if !peer.trusted || !peer.hungry {
            return None;
        }
        if let Some(ask) = self.ask(now, peer) {
            return Some(ask);
        }
        if peer.pace.is_alive()
            && let Some(want) = self.want_cvs(now, link, peers)
        {
            return Some(want);
        }
        let want = self.want_groups(now, link, peers);
        if want.is_none()
            && let Some(peer) = peers.get_mut(&link)
        {
            peer.hungry = false;
        }
        want
    }

    /// Whether a page is not for origins: they have no such thing, or the way to them costs, and
    /// nobody wants it now.
    // spec: SYNC-61
    fn is_barred(&self, page: &super::OpenPage) -> bool {
        let is_wanted = page.is_pinned || self.preferred.contains(&page.id.blob);
        page.is_of_notes || (self.is_metered && !is_wanted)
    }

    /// Asks about a page that this neighbour was not asked about, or did not answer.
    fn ask(&self, now: Time, peer: &mut Peer) -> Option<SyncMessage> {
        for page in &self.pages {
            if peer.is_origin() && self.is_barred(page) {
                continue;
            }
            let shared = page.channels.iter().find(|channel| peer.matched.contains_key(channel));
            let index = shared.and_then(|channel| peer.slots.index(channel));
            let Some(channel) = index else { continue };
            let handle = match peer.handles.get(&page.id) {
                Some(handle) => *handle,
                None if peer.asked.len() + peer.drops.len() >= limits::ASKED_PAGES => continue,
                None => peer.open_page(page.id),
            };
            let Some(asked) = peer.asked.get_mut(&handle) else { continue };
            if asked.said.is_due() {
                asked.said.said(now, peer.pace.repeat(), handle);
                let (hash, size) = (page.id.blob.hash, page.id.blob.size);
                return Some(PageAsk { handle, channel, hash, size, page: page.id.index }.into());
            }
        }
        None
    }

    /// Asks for the chaining values of the first page that lacks them.
    // spec: SYNC-18
    fn want_cvs(&mut self, now: Time, link: LinkId, peers: &Peers) -> Option<SyncMessage> {
        let peer = peers.get(&link)?;
        let (mut is_held, mut wanted) = (false, None);
        for (page, at) in self.pages.iter().zip(0..) {
            let Cvs::Lacking(level, None) = page.cvs else { continue };
            let Some((handle, asked)) = handle(peer, page) else { continue };
            if peer.is_origin() {
                let all = Bitmap::first(page.id.groups());
                let us = (peers, self.is_metered);
                if self.is_barred(page) {
                    continue;
                }
                if stripes::of_origin(now, link, (page, all), us).is_empty() {
                    is_held = true;
                    continue;
                }
            }
            if !asked.have.is_empty() {
                wanted = Some((at, handle, level));
                break;
            }
        }
        self.is_held |= is_held;
        let (at, handle, level): (usize, u32, u32) = wanted?;
        self.pages.get_mut(at)?.cvs = Cvs::Lacking(level, Some((link, now)));
        Some(CvsWant { handle, level: level as u8 }.into())
    }

    /// Asks for groups of the first page that this neighbour has some of.
    // spec: SYNC-21
    fn want_groups(&mut self, now: Time, link: LinkId, peers: &mut Peers) -> Option<SyncMessage> {
        let peer = peers.get(&link)?;
        let room = if peer.pace.is_alive() { peer.pace.room() } else { 0 };
        if room == 0 {
            return None;
        }
        let is_origin = peer.is_origin();
        let (at, handle, candidates) = match is_origin {
            true => self.free_at_origin(now, link, peers)?,
            false => self.free(peer).or_else(|| self.late(now, link, peer))?,
        };
        let page = self.pages.get_mut(at)?;
        let id = page.id;
        let has = |peer: &Peer| Some(peer.asked.get(peer.handles.get(&id)?)?.have);
        let alike = peers.values().filter(|peer| peer.is_origin() == is_origin);
        let neighbours: Vec<Bitmap> = alike.filter_map(has).collect();
        // What several neighbours have is left to all of them, so that all send at once.
        let has_some = |have: &&Bitmap| candidates.minus(have).count() < candidates.count();
        let owners = neighbours.iter().filter(has_some).count();
        let share = candidates.count().div_ceil(owners.max(1));
        let groups = pick::pick(page, candidates, &neighbours, self.seed, room.min(share));
        let flights = groups.iter().map(|group| Flight { group: *group, link, asked: now });
        page.flights.extend(flights);
        peers.get_mut(&link)?.pace.in_flight += groups.len();
        Some(GroupsWant { handle, groups: List::new(&groups) }.into())
    }

    /// Groups that the neighbour has and nobody was asked for.
    fn free(&self, peer: &Peer) -> Option<(usize, u32, Bitmap)> {
        self.pages.iter().zip(0..).find_map(|(page, at)| {
            let (handle, asked) = handle(peer, page).filter(|_| page.is_verifiable())?;
            let mut known = page.here;
            page.flights.iter().for_each(|flight| known.insert(flight.group));
            let free = asked.have.minus(&known);
            (!free.is_empty()).then_some((at, handle, free))
        })
    }

    /// The same of an origin: what no neighbour has, and is this node's to get.
    // spec: SYNC-61
    fn free_at_origin(
        &mut self,
        now: Time,
        link: LinkId,
        peers: &Peers,
    ) -> Option<(usize, u32, Bitmap)> {
        let peer = peers.get(&link)?;
        let (mut is_held, mut found) = (false, None);
        for (page, at) in self.pages.iter().zip(0..).filter(|(page, _)| !self.is_barred(page)) {
            let Some((handle, asked)) = handle(peer, page) else { continue };
            let mut known = page.here;
            page.flights.iter().for_each(|flight| known.insert(flight.group));
            let free = asked.have.minus(&known);
            if !page.is_verifiable() || free.is_empty() {
                continue;
            }
            let ours = stripes::of_origin(now, link, (page, free), (peers, self.is_metered));
            if !ours.is_empty() {
                found = Some((at, handle, ours));
                break;
            }
            is_held = true;
        }
        self.is_held |= is_held;
        found
    }

    /// The last groups of a page, which another neighbour was asked for and is slow to send, and
    /// any that an origin was asked for.
    fn late(&self, now: Time, link: LinkId, peer: &Peer) -> Option<(usize, u32, Bitmap)> {
        self.pages.iter().zip(0..).find_map(|(page, at)| {
            let (handle, asked) = handle(peer, page).filter(|_| page.is_verifiable())?;
            let missing = Bitmap::first(page.id.groups()).minus(&page.here);
            let is_end = missing.count() <= END_GAME;
            if !is_end && !page.flights.iter().any(|flight| is_origin(flight.link)) {
                return None;
            }
            let mut late = Bitmap::default();
            let patience = peer.pace.latency() * 2;
            for flight in &page.flights {
                let twice = |other: &&Flight| other.group == flight.group;
                let alone = page.flights.iter().filter(twice).count() == 1;
                let slow = flight.link != link && now.since(flight.asked) > patience;
                let counts = is_end || is_origin(flight.link);
                if alone && slow && counts && asked.have.contains(flight.group) {
                    late.insert(flight.group);
                }
            }
            (!late.is_empty()).then_some((at, handle, late))
        })
    }

    /// Looks for what is overdue, and for pages that take a place to no avail.
    // spec: SYNC-22
    pub(crate) fn chores(&mut self, now: Time, peers: &mut Peers) {
        for peer in peers.values_mut() {
            for asked in peer.asked.values_mut() {
                peer.hungry |= asked.said.is_overdue(now);
            }
            for said in peer.drops.values_mut() {
                said.is_overdue(now);
            }
        }
        let patience = |peers: &Peers, link: &LinkId| {
            peers.get(link).map_or(limits::REPEAT_TIME, |peer| peer.pace.patience())
        };
        let mut changed = false;
        for page in &mut self.pages {
            if let Cvs::Lacking(level, Some((link, asked))) = page.cvs
                && now.since(asked) >= patience(peers, &link)
            {
                page.cvs = Cvs::Lacking(level, None);
                changed = true;
                if let Some(peer) = peers.get_mut(&link) {
                    peer.pace.timed_out();
                }
            }
            let overdue =
                |flight: &Flight| now.since(flight.asked) >= patience(peers, &flight.link);
            let late: Vec<Flight> = page.flights.extract_if(.., |flight| overdue(flight)).collect();
            // One request asks for many groups: it fails once.
            for requests in late.chunk_by(|a, b| (a.link, a.asked) == (b.link, b.asked)) {
                requests.iter().for_each(|flight| land(peers, flight));
                let link = requests.first().map(|flight| flight.link);
                if let Some(peer) = link.and_then(|link| peers.get_mut(&link)) {
                    peer.pace.timed_out();
                }
                changed = true;
            }
            changed |=
                page.flights.iter().any(|flight| now.since(flight.asked) > limits::CHORE_TIME);
        }
        if changed || core::mem::take(&mut self.is_held) {
            peers.values_mut().for_each(|peer| peer.hungry = true);
        }
        self.rotate(now, peers);
    }

    /// Makes room for other pages where a page has been without any hope for some time.
    fn rotate(&mut self, now: Time, peers: &mut Peers) {
        let is_full = self.is_full();
        if !is_full && !self.walk.is_starved() {
            return;
        }
        for page in self.pages.iter_mut().filter(|page| !page.is_hopeless) {
            let is_old = now.since(page.since) >= limits::PAGE_TIME;
            page.is_hopeless = is_old && !is_with_somebody(page, peers);
            if page.is_hopeless && self.walk.is_starved() {
                self.walk.news();
            }
        }
        if is_full {
            let hopeless = self.pages.iter().filter(|page| page.is_hopeless).map(|page| page.id);
            for page in hopeless.collect::<Vec<_>>() {
                self.close(&page, peers);
                self.walk.skip(&page.blob);
            }
        }
    }

    /// Whether others wait for the place of a page.
    fn is_full(&self) -> bool {
        self.pages.len() >= limits::OPEN_PAGES && self.walk.is_under_way()
    }

    /// Whether chores will have something to look at.
    pub(crate) fn is_waiting(&self, peers: &Peers) -> bool {
        let asking = |peer: &Peer| peer.asked.values().any(|asked| asked.said.is_waiting());
        let is_blocking =
            |page: &super::OpenPage| !page.is_hopeless && !is_with_somebody(page, peers);
        let is_starved = self.walk.is_starved() && self.pages.iter().any(is_blocking);
        let flying = |page: &super::OpenPage| {
            !page.flights.is_empty() || matches!(page.cvs, Cvs::Lacking(_, Some(_)))
        };
        let is_stuck = self.is_full() || is_starved || self.is_held;
        is_stuck || self.pages.iter().any(flying) || peers.values().any(asking)
    }
}

/// Whether a neighbour has something of an open page.
fn is_with_somebody(page: &super::OpenPage, peers: &Peers) -> bool {
    let has = |peer: &Peer| handle(peer, page).is_some_and(|(_, asked)| !asked.have.is_empty());
    peers.values().any(has)
}

/// What a neighbour has said about an open page.
fn handle<'a>(peer: &'a Peer, page: &super::OpenPage) -> Option<(u32, &'a Asked)> {
    let handle = peer.handles.get(&page.id)?;
    Some((*handle, peer.asked.get(handle)?))
}

//! The walk along everything that is to be fetched: which page comes next.

use alloc::vec::Vec;
use core::array;
use core::ops::{Bound, Range};

use mesh_wire::ChannelId;

use super::OpenPage;
use crate::blob::{BlobId, GROUP, PageId};
use crate::library::{Library, QUEUES, Room, Wish};
use crate::store::{Store, StoreError};

/// Stretches of new items that are remembered in each queue: many small ones come one after the
/// other, and follow each other. What is forgotten is found by the walk along everything.
const FRESH: usize = 32;

/// How far the walk has come. What has come in last comes first; beside that it goes from queue to
/// queue, from channel to channel, from the newest item to the oldest, from page to page, and
/// begins again only if something has changed since it began.
pub(super) struct Walk {
    /// New items of a queue, the newest last.
    fresh: [Vec<Stretch>; QUEUES as usize],
    all: Option<Stretch>,
    news: bool,
    /// A blob waits for room that others on their way may take.
    is_starved: bool,
}

/// Items of a channel whose blobs stand in one queue; `numbers` is what is left of them.
struct Stretch {
    channel: ChannelId,
    queue: u8,
    numbers: Range<u64>,
    /// The blob that was found at the end of them, and the page after the last one found.
    found: Option<(BlobId, u64)>,
}

/// What comes next in a stretch.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Page(PageId),
    /// A blob for which there may be room when others have come.
    Later,
    Nothing,
}

impl Default for Walk {
    fn default() -> Self {
        Self { fresh: array::from_fn(|_| Vec::new()), all: None, news: true, is_starved: false }
    }
}

impl Walk {
    /// Something has changed.
    pub(super) fn news(&mut self) {
        self.news = true;
    }

    /// Items have come in.
    pub(super) fn arrived(&mut self, channel: &ChannelId, numbers: &Range<u64>) {
        for (queue, fresh) in (0..QUEUES).zip(&mut self.fresh) {
            let last = fresh.last_mut().filter(|last| last.channel == *channel);
            if let Some(last) = last.filter(|last| last.numbers.end == numbers.start) {
                last.numbers.end = numbers.end;
                continue;
            }
            if fresh.len() == FRESH {
                fresh.remove(0);
                self.news = true;
            }
            fresh.push(Stretch::new(*channel, queue, numbers.clone()));
        }
    }

    /// Nobody has anything of this blob: goes on with the next one.
    pub(super) fn skip(&mut self, blob: &BlobId) {
        let fresh = self.fresh.iter_mut().flat_map(|fresh| fresh.last_mut());
        for stretch in fresh.chain(&mut self.all) {
            if stretch.found.is_some_and(|(found, _)| found == *blob) {
                stretch.pass();
            }
        }
    }

    /// Whether a blob waits for those on their way.
    pub(super) fn is_starved(&self) -> bool {
        self.is_starved
    }

    /// Whether it is worth going on.
    pub(super) fn is_under_way(&self) -> bool {
        self.all.is_some() || self.news || self.fresh.iter().any(|fresh| !fresh.is_empty())
    }

    /// The next page that is neither here nor in `open`.
    // spec: SYNC-21
    pub(super) fn next<S: Store>(
        &mut self,
        library: &Library<S>,
        open: &[OpenPage],
        is_reachable: impl Fn(&ChannelId) -> bool,
    ) -> Result<Option<PageId>, StoreError> {
        for fresh in &mut self.fresh {
            while let Some(stretch) = fresh.last_mut() {
                if is_reachable(&stretch.channel) {
                    let next = stretch.next(library, open)?;
                    self.is_starved |= next == Next::Later;
                    if let Next::Page(page) = next {
                        return Ok(Some(page));
                    }
                }
                fresh.pop();
            }
        }
        loop {
            let Some(stretch) = &mut self.all else {
                if !core::mem::take(&mut self.news) {
                    return Ok(None);
                }
                self.is_starved = false;
                self.all = following(library, (0, None), &is_reachable);
                if self.all.is_none() {
                    return Ok(None);
                }
                continue;
            };
            let next = stretch.next(library, open)?;
            self.is_starved |= next == Next::Later;
            if let Next::Page(page) = next {
                return Ok(Some(page));
            }
            let place = (stretch.queue, Some(stretch.channel));
            self.all = following(library, place, &is_reachable);
        }
    }
}

/// All of the first channel behind `place` that lacks something and can be asked for it.
fn following<S: Store>(
    library: &Library<S>,
    (queue, after): (u8, Option<ChannelId>),
    is_reachable: impl Fn(&ChannelId) -> bool,
) -> Option<Stretch> {
    let mut from = after.map_or(Bound::Unbounded, Bound::Excluded);
    for queue in queue..QUEUES {
        let lacks = |channel: &&crate::channel::Channel| {
            channel.counts.blobs_here < channel.counts.blobs && is_reachable(&channel.id)
        };
        let range = library.channels.range((from, Bound::Unbounded));
        if let Some(channel) = range.map(|(_, channel)| channel).find(lacks) {
            return Some(Stretch::new(channel.id, queue, 0..channel.counts.arrived));
        }
        from = Bound::Unbounded;
    }
    None
}

impl Stretch {
    fn new(channel: ChannelId, queue: u8, numbers: Range<u64>) -> Self {
        Self { channel, queue, numbers, found: None }
    }

    /// Goes on behind the item at the end.
    fn pass(&mut self) {
        self.numbers.end = self.numbers.end.saturating_sub(1);
        self.found = None;
    }

    /// The next page in it. Where a blob does not fit, all older ones wait.
    fn next<S: Store>(
        &mut self,
        library: &Library<S>,
        open: &[OpenPage],
    ) -> Result<Next, StoreError> {
        while let Some((number, blob)) =
            library.missing(&self.channel, self.queue, &self.numbers)?
        {
            self.numbers.end = number + 1;
            let found = self.found.filter(|(found, _)| *found == blob);
            let page = closed_page(library, open, &blob, found.map_or(0, |(_, page)| page))?;
            if let Some(page) = page {
                match room(library, open, &blob)? {
                    Room::Enough => {}
                    Room::Later => return Ok(Next::Later),
                    Room::None => return Ok(Next::Nothing),
                }
                self.found = Some((blob, page.index + 1));
                return Ok(Next::Page(page));
            }
            self.pass();
        }
        Ok(Next::Nothing)
    }
}

/// Whether there is room for a blob beside what is on its way.
// spec: SYNC-56
fn room<S: Store>(
    library: &Library<S>,
    open: &[OpenPage],
    blob: &BlobId,
) -> Result<Room, StoreError> {
    let Some(shelved) = library.shelved(blob)? else { return Ok(Room::None) };
    if shelved.wish != Wish::Wanted {
        return Ok(Room::Enough);
    }
    let (mut in_channel, mut in_all) = (0_u64, 0_u64);
    for page in open.iter().filter(|page| page.id.blob != *blob && !page.is_hopeless) {
        let missing = page.id.groups().saturating_sub(page.here.count()) as u64 * GROUP;
        let missing = missing.min(page.id.blob.size);
        in_all = in_all.saturating_add(missing);
        if page.channels.contains(&shelved.channel) {
            in_channel = in_channel.saturating_add(missing);
        }
    }
    let rest = blob.size.saturating_sub(shelved.bytes);
    library.room(&shelved, rest, (in_channel, in_all))
}

/// The first page of a blob from `index` on that is neither here nor in `open`.
pub(super) fn closed_page<S: Store>(
    library: &Library<S>,
    open: &[OpenPage],
    blob: &BlobId,
    mut index: u64,
) -> Result<Option<PageId>, StoreError> {
    let open: Vec<u64> =
        open.iter().filter(|page| page.id.blob == *blob).map(|page| page.id.index).collect();
    while let Some(page) = library.lacking_page(blob, index)? {
        if !open.contains(&page.index) {
            return Ok(Some(page));
        }
        index = page.index + 1;
    }
    Ok(None)
}

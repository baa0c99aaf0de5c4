//! The walk along everything that is missing: which page comes next.

use alloc::vec::Vec;

use mesh_wire::ChannelId;

use super::OpenPage;
use crate::blob::{BlobId, PageId};
use crate::channel::LogId;
use crate::library::Library;
use crate::store::{Store, StoreError};

/// How far the walk has come. It goes from channel to channel, from item to item, from page to
/// page, and begins again only if something has changed since it began.
pub(super) struct Walk {
    at: Option<Place>,
    news: bool,
}

/// A channel, an item and a page.
#[derive(Clone, Copy)]
struct Place {
    at: LogId,
    seq: u64,
    /// The blob that was found there, and the page after the last one found.
    blob: Option<BlobId>,
    page: u64,
}

impl Place {
    /// The first page of an item.
    fn item(at: LogId, seq: u64) -> Self {
        Self { at, seq, blob: None, page: 0 }
    }
}

impl Default for Walk {
    fn default() -> Self {
        Self { at: None, news: true }
    }
}

impl Walk {
    /// Something has changed.
    pub(super) fn news(&mut self) {
        self.news = true;
    }

    /// Nobody has anything of this blob: goes on with the next one.
    pub(super) fn skip(&mut self, blob: &BlobId) {
        if let Some(at) = self.at.filter(|at| at.blob == Some(*blob)) {
            self.at = Some(Place::item(at.at, at.seq.saturating_add(1)));
        }
    }

    /// Whether it is worth going on.
    pub(super) fn is_under_way(&self) -> bool {
        self.at.is_some() || self.news
    }

    /// The next page that is neither here nor in `open`.
    // spec: SYNC-21
    pub(super) fn next<S: Store>(
        &mut self,
        library: &Library<S>,
        open: &[OpenPage],
        is_reachable: impl Fn(&ChannelId) -> bool,
    ) -> Result<Option<PageId>, StoreError> {
        loop {
            let Some(at) = self.at else {
                if !core::mem::take(&mut self.news) {
                    return Ok(None);
                }
                let first = LogId { channel: ChannelId([0; 32]), log: 0 };
                self.at = Some(Place::item(first, 0));
                continue;
            };
            let Some((log, seq, blob)) = library.missing_from(&at.at, at.seq)? else {
                self.at = None;
                continue;
            };
            if !is_reachable(&log.channel) {
                self.at = Some(Place::item(LogId { log: u32::MAX, ..log }, u64::MAX));
                continue;
            }
            let here = (log, seq) == (at.at, at.seq);
            let page = closed_page(library, open, &blob, if here { at.page } else { 0 })?;
            if let Some(found) = page {
                self.at = Some(Place { at: log, seq, blob: Some(blob), page: found.index + 1 });
                return Ok(Some(found));
            }
            self.at = Some(Place::item(log, seq.saturating_add(1)));
        }
    }
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

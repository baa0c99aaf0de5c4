//! Who gave what: remembered for the blobs fetched last.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use mesh_wire::{LinkId, limits};

use crate::blob::BlobId;

/// Blobs that are remembered.
const BLOBS: usize = 64;

/// Bytes received, by blob and link; the newest blob first.
#[derive(Default)]
pub(super) struct Sources(VecDeque<(BlobId, BTreeMap<LinkId, u64>)>);

impl Sources {
    /// Bytes of a blob came from a link.
    pub(super) fn add(&mut self, blob: BlobId, link: LinkId, bytes: u64) {
        if !self.0.iter().any(|(known, _)| *known == blob) {
            self.0.truncate(BLOBS - 1);
            self.0.push_front((blob, BTreeMap::new()));
        }
        let Some((_, links)) = self.0.iter_mut().find(|(known, _)| *known == blob) else { return };
        if links.len() >= limits::LINKS && !links.contains_key(&link) {
            links.pop_first();
        }
        *links.entry(link).or_default() += bytes;
    }

    /// Bytes of a blob by link.
    pub(super) fn of(&self, blob: &BlobId) -> Vec<(LinkId, u64)> {
        let links = self.0.iter().find(|(known, _)| known == blob).map(|(_, links)| links);
        links.into_iter().flatten().map(|(link, bytes)| (*link, *bytes)).collect()
    }
}

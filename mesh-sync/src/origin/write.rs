//! What whoever publishes a channel puts on the web: its items, and chaining values.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use mesh_wire::codec::{Extensions, List, Wire};
use mesh_wire::message::sync::{LogEnd, LogState};
use mesh_wire::origin::{BundleProof, OriginHead, OriginLog, bundle_path};
use mesh_wire::{ChannelId, Hash, limits};

use crate::blob::{BlobId, PAGE};
use crate::channel::LogId;
use crate::channel::charter::Writer;
use crate::channel::log::Log;
use crate::command::Refused;
use crate::store::Store;
use crate::sync::Sync;

/// Items of a log that are to be written to one file at its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The file, below the origin's url.
    pub path: String,
    /// Of which log.
    pub log: u32,
    /// Which items: all of the file's, also those that are in it already.
    pub items: Range<u64>,
}

impl<S: Store> Sync<S> {
    /// What is here of a channel, as its origin would say it.
    // spec: SYNC-58
    pub fn origin_head(&self, channel: &ChannelId) -> Result<OriginHead, Refused> {
        self.is_open()?;
        let known = self.library.sound(channel).ok_or(Refused::NoSuchChannel)?;
        let logs: Result<Vec<OriginLog>, Refused> = (0..known.logs.len() as u32)
            .map(|log| {
                let size = known.valid(log);
                let at = LogId { channel: *channel, log };
                let root = self.library.root(&at, size)?;
                let end = known.charter.writer(log).and_then(Writer::end);
                let (state, signature) = match (end, self.library.log(&at)) {
                    (None, Some(Log { head: Some(head), .. })) if head.size == size => {
                        (LogEnd::Open, head.signature)
                    }
                    (None, _) if size == 0 => (LogEnd::Open, [0; 64]),
                    // Not all that its head is about is here yet.
                    (None, _) => return Err(Refused::Incomplete),
                    (Some(_), _) => (LogEnd::Ended, [0; 64]),
                };
                Ok(OriginLog { state: LogState { log, size, root, state }, signature })
            })
            .collect();
        Ok(OriginHead { logs: List::new(&logs?), extensions: Extensions::default() })
    }

    /// What is to be written where an origin has what `before` says, so that it has all.
    // spec: SYNC-58
    pub fn origin_bundles(
        &self,
        channel: &ChannelId,
        before: Option<&OriginHead>,
    ) -> Result<Vec<Bundle>, Refused> {
        let mut bundles = Vec::new();
        for OriginLog { state, .. } in self.origin_head(channel)?.logs.iter() {
            let LogState { log, size, state, .. } = state;
            let there = before.and_then(|head| head.logs.iter().find(|it| it.state.log == log));
            let there = there.map(|there| there.state);
            let there = there.filter(|there| there.state == state && there.size <= size);
            let first = match there {
                Some(there) => {
                    let root = self.library.root(&LogId { channel: *channel, log }, there.size)?;
                    if root == there.root { there.size } else { 0 }
                }
                None => 0,
            };
            let at = LogId { channel: *channel, log };
            for number in 0..size.div_ceil(limits::BUNDLE_ITEMS) {
                let whole = number * limits::BUNDLE_ITEMS..(number + 1) * limits::BUNDLE_ITEMS;
                let there = first.clamp(whole.start, whole.end);
                // What is gone may have been there before.
                let is_stale = !self.library.gone_among(&at, whole.start..there)?.is_empty();
                let end = whole.end.min(size);
                let path = bundle_path(channel, log, number);
                if is_stale || there < end {
                    bundles.push(Bundle { path, log, items: whole.start..end });
                }
            }
        }
        Ok(bundles)
    }

    /// The items of a bundle, and what proves it if it is full.
    // spec: SYNC-58
    pub fn origin_items(
        &mut self,
        channel: &ChannelId,
        Bundle { log, items, .. }: &Bundle,
    ) -> Result<Bytes, Refused> {
        self.is_open()?;
        let at = LogId { channel: *channel, log: *log };
        let (mut next, mut bytes) = (items.start, Vec::new());
        while next < items.end {
            // What has rotted is fetched again, and can be written then.
            let run = self.library.run(&at, next..items.end, limits::BUNDLE_BYTES)?;
            let run = run.ok_or(Refused::Damaged)?;
            next += run.items.len() as u64;
            run.items.iter().for_each(|item| item.write(&mut bytes));
            if next == items.end && next.is_multiple_of(limits::BUNDLE_ITEMS) {
                let (size, signature, edge) = (run.size, run.signature, run.edge);
                BundleProof { size, signature, edge }.write(&mut bytes);
            }
        }
        Ok(bytes.into())
    }

    /// Whether an item names a blob whose content is not gone.
    pub fn is_named(&self, blob: &BlobId) -> Result<bool, Refused> {
        self.is_open()?;
        Ok(!self.library.channels_naming(blob)?.is_empty())
    }

    /// The chaining values of a blob that is here whole, all levels; nothing for one of one group.
    // spec: SYNC-58
    pub fn origin_cvs(&mut self, blob: &BlobId) -> Result<Bytes, Refused> {
        self.is_open()?;
        let mut bytes = Vec::new();
        for level in 0..blob.levels() {
            let pages = blob.level_values(level).div_ceil(PAGE);
            for page in 0..pages {
                let values = self.library.cvs(blob, level, page)?.ok_or(Refused::Damaged)?;
                values.iter().for_each(|value: &Hash| bytes.extend_from_slice(value.as_bytes()));
            }
        }
        Ok(bytes.into())
    }
}

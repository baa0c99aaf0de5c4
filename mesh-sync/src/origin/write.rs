//! What whoever publishes a channel puts on the web: runs of items, and chaining values.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use mesh_wire::codec::{Extensions, List, Opaque, Wire};
use mesh_wire::message::sync::{LogEnd, LogState};
use mesh_wire::origin::{OriginHead, bundle_path};
use mesh_wire::{ChannelId, Hash, limits};

use crate::blob::{BlobId, PAGE};
use crate::channel::LogId;
use crate::channel::charter::Writer;
use crate::command::Refused;
use crate::peer::ITEM_ROOM;
use crate::store::Store;
use crate::sync::Sync;

/// Items of a log that are to be written to one file at its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// The file, below the origin's url.
    pub path: String,
    /// Of which log.
    pub log: u32,
    /// Which items.
    pub items: Range<u64>,
    /// Whether they stand behind others that are in the file already.
    pub is_added: bool,
}

impl<S: Store> Sync<S> {
    /// What is here of a channel, as its origin would say it.
    // spec: SYNC-59
    pub fn origin_head(&self, channel: &ChannelId) -> Result<OriginHead, Refused> {
        self.is_open()?;
        let known = self.library.sound(channel).ok_or(Refused::NoSuchChannel)?;
        let logs: Result<Vec<LogState>, Refused> = (0..known.logs.len() as u32)
            .map(|log| {
                let size = known.valid(log);
                let root = self.library.root(&LogId { channel: *channel, log }, size)?;
                let end = known.charter.writer(log).and_then(Writer::end);
                let state = if end.is_some() { LogEnd::Ended } else { LogEnd::Open };
                Ok(LogState { log, size, root, state })
            })
            .collect();
        Ok(OriginHead { logs: List::new(&logs?), extensions: Extensions::default() })
    }

    /// What is to be written where an origin has what `before` says, so that it has all.
    // spec: SYNC-59
    pub fn origin_bundles(
        &self,
        channel: &ChannelId,
        before: Option<&OriginHead>,
    ) -> Result<Vec<Bundle>, Refused> {
        let mut bundles = Vec::new();
        for LogState { log, size, state, .. } in self.origin_head(channel)?.logs.iter() {
            let there = before.and_then(|head| head.logs.iter().find(|there| there.log == log));
            let there = there.filter(|there| there.state == state && there.size <= size);
            let first = match there {
                Some(there) => {
                    let root = self.library.root(&LogId { channel: *channel, log }, there.size)?;
                    if root == there.root { there.size } else { 0 }
                }
                None => 0,
            };
            for number in first / limits::BUNDLE_ITEMS..size.div_ceil(limits::BUNDLE_ITEMS) {
                let start = (number * limits::BUNDLE_ITEMS).max(first);
                let items = start..((number + 1) * limits::BUNDLE_ITEMS).min(size);
                let path = bundle_path(channel, log, number);
                let is_added = start > number * limits::BUNDLE_ITEMS;
                if !items.is_empty() {
                    bundles.push(Bundle { path, log, items, is_added });
                }
            }
        }
        Ok(bundles)
    }

    /// The items of a bundle, as runs.
    // spec: SYNC-59
    pub fn origin_runs(
        &mut self,
        channel: &ChannelId,
        Bundle { log, items, .. }: &Bundle,
    ) -> Result<Bytes, Refused> {
        self.is_open()?;
        let at = LogId { channel: *channel, log: *log };
        let (mut next, mut runs) = (items.start, Vec::new());
        let room = (limits::RECORD_BYTES / 2).max(ITEM_ROOM + self.library.run_overhead(&at));
        while next < items.end {
            // What has rotted is fetched again, and can be written then.
            let run = self.library.run(&at, next..items.end, room)?.ok_or(Refused::Damaged)?;
            next += run.items.len() as u64;
            let run = Opaque::<{ limits::RECORD_BYTES }>::new(run.to_bytes());
            run.ok_or(Refused::Damaged)?.write(&mut runs);
        }
        Ok(runs.into())
    }

    /// The chaining values of a blob that is here whole, all levels; nothing for one of one group.
    // spec: SYNC-59
    pub fn origin_cvs(&mut self, blob: &BlobId) -> Result<Bytes, Refused> {
        self.is_open()?;
        let mut bytes = Vec::new();
        for level in 0..blob.levels() {
            let pages = super::level_values(blob, level).div_ceil(PAGE);
            for page in 0..pages {
                let values = self.library.cvs(blob, level, page)?.ok_or(Refused::Damaged)?;
                values.iter().for_each(|value: &Hash| bytes.extend_from_slice(value.as_bytes()));
            }
        }
        Ok(bytes.into())
    }
}

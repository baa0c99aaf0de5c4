//! Items are read: for the owner, and as proven runs for others.

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use mesh_wire::codec::{List, Wire};
use mesh_wire::message::sync::{Branch, Fork, Item, ItemHeader, Items};
use mesh_wire::{Hash, limits};

use super::Library;
use super::gone::{NO_CONTENT, bare};
use crate::channel::charter::Writer;
use crate::channel::{LogId, ORIGIN, item};
use crate::merkle::tiles::Tiles;
use crate::merkle::{proof, tree};
use crate::store::{Store, StoreError, Table, key};

/// Bytes of [`Items`] around its items and edge hashes, the frame's header included.
const RUN_OVERHEAD: usize = 112;
/// Leaves that are read at one time: those of one tile.
const LEAVES: u64 = 256;

/// An item that was read, and whether it is what was signed.
enum Read {
    Sound(Item),
    /// It is, without its content.
    Bare(Item),
    Rotten,
}

impl<S: Store> Library<S> {
    /// An item as it is stored.
    pub(crate) fn item(&self, at: &LogId, seq: u64) -> Result<Option<Item>, StoreError> {
        let bytes = self.store.get(Table::Items, &key::item(at, seq))?;
        Ok(bytes.and_then(|bytes| Item::from_bytes(bytes).ok()))
    }

    /// Bytes of items that are here, as they travel.
    pub(crate) fn bytes_of(&self, at: &LogId, items: Range<u64>) -> Result<u64, StoreError> {
        let mut sum = 0;
        self.store.scan(Table::Items, &key::item(at, items.start), &mut |key, value| {
            let is_one =
                key::read_item(key).is_some_and(|(log, seq)| log == *at && seq < items.end);
            sum += if is_one { value.len() as u64 } else { 0 };
            is_one
        })?;
        Ok(sum)
    }

    /// Bytes of a message [`Items`] about this log beside the items.
    pub(crate) fn run_overhead(&self, at: &LogId) -> usize {
        let head = self.log(at).and_then(|log| log.head.as_ref());
        let size = head.map_or(0, |head| head.size);
        RUN_OVERHEAD + (u64::BITS - size.leading_zeros()) as usize * Hash::MIN_SIZE
    }

    /// As many of the items as `room` bytes hold, with their proof. `None` if not a single one
    /// fits or the first one has rotted. The channel's index is left for the caller to fill in.
    // spec: SYNC-6, SYNC-7, SYNC-20, SYNC-45
    pub(crate) fn run(
        &mut self,
        at: &LogId,
        items: Range<u64>,
        room: usize,
    ) -> Result<Option<Items>, StoreError> {
        let head = self.log(at).and_then(|log| log.head.as_ref());
        let Some(head) = head else { return Ok(None) };
        // What has ended is proven by its end.
        let writer = self.sound(&at.channel).and_then(|channel| channel.charter.writer(at.log));
        let (size, signature) = match writer.and_then(Writer::end) {
            Some((most, _)) => (most, [0; 64]),
            None => (head.size, head.signature),
        };
        let end = items.end.min(self.valid(at));
        let end = end.min(items.start.saturating_add(limits::RUN_ITEMS as u64));
        let (run, rotten) = self.sound_items(at, items.start..end, room)?;
        if let Some(seq) = rotten {
            let is_gone = self.gone(at, seq)?.is_some();
            self.lack(at, seq, if is_gone { NO_CONTENT } else { 0 })?;
        }
        if run.is_empty() {
            return Ok(None);
        }
        let edge = self.edge(at, items.start + run.len() as u64, size)?;
        Ok(Some(Items {
            channel: 0,
            log: at.log,
            first: items.start,
            items: List::new(&run),
            edge: List::new(&edge),
            size,
            signature,
        }))
    }

    /// A run of exactly these items, if they fit into `room` and are all sound.
    pub(crate) fn whole_run(
        &mut self,
        at: &LogId,
        items: Range<u64>,
        room: usize,
    ) -> Result<Option<Items>, StoreError> {
        let count = items.end.saturating_sub(items.start);
        let run = self.run(at, items, room)?;
        Ok(run.filter(|run| run.items.len() as u64 == count))
    }

    /// The items of `range` up to `room` bytes or the first rotten one, which is told.
    fn sound_items(
        &self,
        at: &LogId,
        range: Range<u64>,
        mut room: usize,
    ) -> Result<(Vec<Item>, Option<u64>), StoreError> {
        let mut stored: Vec<(u64, Bytes)> = Vec::new();
        self.store.scan(Table::Items, &key::item(at, range.start), &mut |key, value| {
            let seq = range.start + stored.len() as u64;
            let fits = range.contains(&seq) && value.len() <= room;
            if fits && key::read_item(key) == Some((*at, seq)) {
                room -= value.len();
                stored.push((seq, Bytes::copy_from_slice(value)));
                return true;
            }
            false
        })?;
        let tiles = Tiles { store: &self.store, log: *at };
        let mut items = Vec::with_capacity(stored.len());
        for tile in stored.chunk_by(|a, b| a.0 / LEAVES == b.0 / LEAVES) {
            let first = tile.first().map_or(0, |(seq, _)| *seq);
            let leaves = tiles.leaves(first..first + tile.len() as u64)?;
            for ((seq, bytes), leaf) in tile.iter().zip(leaves) {
                match read(bytes.clone(), &leaf) {
                    Read::Sound(item) | Read::Bare(item) => items.push(item),
                    Read::Rotten => return Ok((items, Some(*seq))),
                }
            }
        }
        Ok((items, None))
    }

    /// The edge right of the items before `end` in the tree over `size`: that of the newest head,
    /// or of items that are here.
    // spec: SYNC-7
    fn edge(&self, at: &LogId, end: u64, size: u64) -> Result<Vec<Hash>, StoreError> {
        let Some(log) = self.log(at) else { return Ok(Vec::new()) };
        let Some(head) = &log.head else { return Ok(Vec::new()) };
        let beyond: Vec<_> = proof::edge(log.size(), head.size);
        let beyond: Vec<_> = beyond.into_iter().zip(&head.edge).collect();
        let tiles = Tiles { store: &self.store, log: *at };
        let known = |leaves: &Range<u64>| -> Result<Option<Hash>, StoreError> {
            match beyond.iter().find(|(range, _)| range == leaves) {
                Some((_, hash)) => Ok(Some(**hash)),
                None if leaves.end <= log.size() => tiles.root(leaves.clone()).map(Some),
                None => Ok(None),
            }
        };
        proof::edge(end, size).into_iter().map(|leaves| node_over(leaves, &known)).collect()
    }

    /// Whether the items of a run, of which as many are here, are those that are here.
    pub(crate) fn are(&self, at: &LogId, run: &Items) -> Result<bool, StoreError> {
        let tiles = Tiles { store: &self.store, log: *at };
        let leaf = |(item, seq): (Item, u64)| (seq, tree::leaf(item.header.bytes()));
        let leaves: Vec<_> = run.items.iter().zip(run.first..).map(leaf).collect();
        for tile in leaves.chunk_by(|a, b| a.0 / LEAVES == b.0 / LEAVES) {
            let first = tile.first().map_or(0, |(seq, _)| *seq);
            let here = tiles.leaves(first..first + tile.len() as u64)?;
            if !here.iter().eq(tile.iter().map(|(_, leaf)| leaf)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What was signed about the first `end` items, which are here; `None` if there are not so
    /// many.
    // spec: SYNC-34
    pub(crate) fn branch(&self, at: &LogId, end: u64) -> Result<Option<Branch>, StoreError> {
        let log = self.growing(at).filter(|log| end <= log.size());
        let Some(head) = log.and_then(|log| log.head.as_ref()) else { return Ok(None) };
        let (size, signature) = (head.size, head.signature);
        let peaks = Tiles { store: &self.store, log: *at }.peaks(end)?;
        let (peaks, edge) = (List::new(&peaks), List::new(&self.edge(at, end, size)?));
        Ok(Some(Branch { size, signature, peaks, edge }))
    }

    /// The same, as others can check it; the channel's index and the serial are left for the caller
    /// to fill in.
    pub(crate) fn history(&self, at: &LogId, end: u64) -> Result<Option<Fork>, StoreError> {
        let origin = LogId { log: ORIGIN, ..*at };
        let (genesis, branch) = (self.item(&origin, 0)?, self.branch(at, end)?);
        let (Some(genesis), Some(branch)) = (genesis, branch) else { return Ok(None) };
        let branches = List::new(&[branch]);
        Ok(Some(Fork { serial: 0, channel: 0, log: at.log, end, genesis, branches }))
    }

    /// The root over the first `size` items, which are here.
    pub(crate) fn root(&self, at: &LogId, size: u64) -> Result<Hash, StoreError> {
        match self.log(at) {
            Some(log) if log.size() == size => return Ok(log.root()),
            _ if size == 0 => return Ok(Hash([0; 32])),
            _ => {}
        }
        Tiles { store: &self.store, log: *at }.root(0..size)
    }

    /// Puts back an item whose content is lacking, if this is it. Whether it came with its content.
    // spec: SYNC-20, SYNC-45
    pub(crate) fn repair(&mut self, at: &LogId, seq: u64, item: &Item) -> Result<bool, StoreError> {
        let Some(owed) = self.owed(at, seq)? else { return Ok(false) };
        let leaves = Tiles { store: &self.store, log: *at }.leaves(seq..seq + 1)?;
        let Some(leaf) = leaves.first() else { return Ok(false) };
        let is_whole = match read(item.to_bytes(), leaf) {
            Read::Sound(_) => true,
            Read::Bare(_) => false,
            Read::Rotten => return Ok(false),
        };
        let stored = self.store.get(Table::Items, &key::item(at, seq))?;
        let is_better = stored.is_none_or(|bytes| matches!(read(bytes, leaf), Read::Rotten));
        if is_whole || is_better {
            self.put(Table::Items, &key::item(at, seq), &item.to_bytes())?;
        }
        if self.gone(at, seq)?.is_some() {
            self.put(Table::Items, &key::item(at, seq), &bare(item).to_bytes())?;
            match self.header(at, seq)? {
                // Its content went while nobody could say what it was.
                Some(header) if owed != NO_CONTENT => self.strip(at, seq, &header)?,
                Some(_) | None => self.remove(Table::Lacking, &key::item(at, seq))?,
            }
            return Ok(false);
        }
        if is_whole {
            self.remove(Table::Lacking, &key::item(at, seq))?;
            let owed = if owed == NO_CONTENT { 0 } else { owed };
            self.count(&at.channel, |counts| {
                counts.bytes_here = counts.bytes_here.saturating_add(owed);
            })?;
        }
        Ok(is_whole)
    }
}

/// Reads an item and checks it against its leaf, and its content against its header.
fn read(bytes: Bytes, leaf: &Hash) -> Read {
    let Ok(found) = Item::from_bytes(bytes) else { return Read::Rotten };
    let header = ItemHeader::from_bytes(found.header.bytes().clone());
    let header = header.ok().filter(|_| tree::leaf(found.header.bytes()) == *leaf);
    match header {
        Some(header) if item::holds(&header, found.body.bytes()) => Read::Sound(found),
        Some(header) if item::is_bare(&header, found.body.bytes()) => Read::Bare(found),
        Some(_) | None => Read::Rotten,
    }
}

/// The node over `leaves`, from nodes that are known below it.
fn node_over(
    leaves: Range<u64>,
    known: &impl Fn(&Range<u64>) -> Result<Option<Hash>, StoreError>,
) -> Result<Hash, StoreError> {
    if let Some(hash) = known(&leaves)? {
        return Ok(hash);
    }
    let size = leaves.end.saturating_sub(leaves.start);
    if size < 2 {
        return Err(StoreError::Damaged("an edge of a log is missing".into()));
    }
    let middle = leaves.start + tree::split(size);
    let left = node_over(leaves.start..middle, known)?;
    Ok(tree::node(&left, &node_over(middle..leaves.end, known)?))
}

//! Channels come, grow and go.

use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;
use mesh_wire::codec::{List, Wire};
use mesh_wire::message::sync::{Fork, Genesis, Item, ItemHeader, ItemKind};
use mesh_wire::sign::SigningKey;
use mesh_wire::{ChannelId, Hash, Label, Rng, UnixTime, limits};

use super::Library;
use crate::blob::BlobId;
use crate::channel::head::{self, Head};
use crate::channel::item::Checked;
use crate::channel::log::{Log, Verified};
use crate::channel::record::{Counts, Record};
use crate::channel::{self, Channel, ChannelName, Known, LOG};
use crate::command::{Content, NewItem, Refused};
use crate::merkle::{tiles, tree};
use crate::store::{Store, StoreError, Table, key};

impl<S: Store> Library<S> {
    /// The channel, if it is followed and sound.
    pub(crate) fn sound(&self, id: &ChannelId) -> Option<&Channel> {
        self.channels.get(id).filter(|channel| !channel.damaged)
    }

    /// The channel, if it is sound and nobody has shown a fork of it: items come and go.
    // spec: SYNC-35
    pub(crate) fn growing(&self, id: &ChannelId) -> Option<&Channel> {
        self.sound(id).filter(|channel| !channel.forked)
    }

    /// Its key has signed two histories, as this proves.
    // spec: SYNC-35
    pub(crate) fn freeze(&mut self, id: &ChannelId, fork: &Fork) -> Result<(), StoreError> {
        self.put(Table::Forks, &key::channel(id), &fork.to_bytes())?;
        if let Some(channel) = self.channels.get_mut(id) {
            channel.forked = true;
        }
        Ok(())
    }

    /// Makes a channel and its first item.
    // spec: SYNC-2, SYNC-3
    pub(crate) fn create(
        &mut self,
        time: UnixTime,
        name: &ChannelName,
        rng: &mut Rng,
    ) -> Result<ChannelId, Refused> {
        let seed = rng.bytes::<32>();
        let key = SigningKey::from_seed(&seed);
        let origin = key.writer();
        let genesis = Genesis { origin, nonce: rng.bytes(), extensions: Default::default() };
        let name = Label::new(name.as_str()).map_err(|_| Refused::TooLarge("the name"))?;
        let (item, checked) = written(ItemKind::Genesis, time, name, genesis.to_bytes())?;
        let id = ChannelId(checked.leaf.0);
        let mut channel = Channel::unknown(id);
        channel.genesis = Known::read(&item);
        channel.key = Some(key);
        self.put(Table::Secrets, &key::channel(&id), &seed)?;
        self.channels.insert(id, channel);
        self.extend(&id, alloc::vec![(item, checked)])?;
        Ok(id)
    }

    /// Begins to follow a channel.
    pub(crate) fn follow(&mut self, id: ChannelId) -> Result<(), Refused> {
        let channel = Channel::unknown(id);
        self.put_record(&id, &channel.log, channel.counts)?;
        self.channels.insert(id, channel);
        Ok(())
    }

    /// Forgets a channel, its items, and the blobs that no other channel names.
    pub(crate) fn unfollow(&mut self, id: &ChannelId) -> Result<(), StoreError> {
        let prefix = key::channel(id);
        self.channels.remove(id);
        self.remove(Table::Channels, &prefix)?;
        self.remove(Table::Forks, &prefix)?;
        loop {
            let items = self.entries(Table::Items, &prefix, |key, value| {
                let item = Item::from_bytes(Bytes::copy_from_slice(value)).ok();
                let header = item.map(|item| item.header.into_bytes());
                let header = header.and_then(|header| ItemHeader::from_bytes(header).ok());
                Some((key.to_vec(), header.and_then(|header| BlobId::of(&header))))
            })?;
            if items.is_empty() {
                break;
            }
            for (key, blob) in items {
                self.remove(Table::Items, &key)?;
                if let Some(blob) = blob {
                    self.remove(Table::References, &key::reference(&blob, id))?;
                    self.forget_unless_named(&blob)?;
                }
            }
        }
        self.remove_all(Table::Nodes, &prefix)?;
        self.remove_all(Table::Missing, &prefix)
    }

    /// Writes items into a channel of ours and signs them.
    pub(crate) fn publish(
        &mut self,
        time: UnixTime,
        id: &ChannelId,
        items: Vec<NewItem>,
    ) -> Result<Range<u64>, Refused> {
        let channel = self.channels.get(id).ok_or(Refused::NoSuchChannel)?;
        let first = channel.log.size();
        if channel.damaged {
            return Err(Refused::Damaged);
        }
        if channel.key.is_none() {
            return Err(Refused::NotYours);
        }
        if channel.forked {
            return Err(Refused::Forked);
        }
        if first + items.len() as u64 > limits::LOG_ITEMS {
            return Err(Refused::TooLarge("the channel"));
        }
        let write = |new: NewItem| match new.content {
            _ if new.kind == ItemKind::Genesis => Err(Refused::NotFirst),
            Content::Inline(body) => written(new.kind, time, new.name, body),
            Content::Blob(blob) => {
                let header = ItemHeader {
                    kind: new.kind,
                    time,
                    name: new.name,
                    size: blob.size,
                    hash: blob.hash,
                    extensions: Default::default(),
                };
                BlobId::of(&header).ok_or(Refused::TooSmall)?;
                finished(header, Bytes::new())
            }
        };
        let items = items.into_iter().map(write).collect::<Result<Vec<_>, _>>()?;
        if !items.is_empty() {
            self.extend(id, items)?;
        }
        let size = self.channels.get(id).map_or(first, |channel| channel.log.size());
        Ok(first..size)
    }

    /// Appends items to a channel of ours under a new head.
    fn extend(&mut self, id: &ChannelId, items: Vec<(Item, Checked)>) -> Result<(), Refused> {
        let channel = self.channels.get(id).ok_or(Refused::NoSuchChannel)?;
        let (Some(key), Some(known)) = (&channel.key, &channel.genesis) else {
            return Err(Refused::NotYours);
        };
        let first = channel.log.size();
        let (mut frontier, mut made) = (channel.log.frontier.clone(), Vec::new());
        items.iter().for_each(|(_, checked)| frontier.push(checked.leaf, &mut made));
        let (size, root) = (frontier.size(), frontier.root().unwrap_or(Hash([0; 32])));
        let signature = head::sign(key, id, size, &root);
        let head = Some(Head { size, root, signature, edge: Vec::new() });
        let log = Log { frontier, head };
        self.keep(id, Verified { known: known.clone(), items, first, log, made })?;
        Ok(())
    }

    /// Keeps a run of verified items.
    pub(crate) fn keep(&mut self, id: &ChannelId, run: Verified) -> Result<(), StoreError> {
        let Some(channel) = self.channels.get(id) else { return Ok(()) };
        let mut counts = channel.counts;
        for ((item, checked), seq) in run.items.iter().zip(run.first..) {
            self.put(Table::Items, &key::item(id, LOG, seq), &item.to_bytes())?;
            counts.bytes = counts.bytes.saturating_add(checked.header.size);
            match BlobId::of(&checked.header) {
                None => counts.bytes_here += checked.header.size,
                Some(blob) => self.refer(&blob, (id, seq), &mut counts)?,
            }
        }
        tiles::keep(&mut self.store, id, LOG, &run.made)?;
        self.put_record(id, &run.log, counts)?;
        if let Some(channel) = self.channels.get_mut(id) {
            channel.genesis = Some(run.known);
            channel.log = run.log;
            channel.counts = counts;
        }
        Ok(())
    }

    /// Changes the sums of a channel.
    pub(super) fn count(
        &mut self,
        id: &ChannelId,
        change: impl FnOnce(&mut Counts),
    ) -> Result<(), StoreError> {
        let Some(mut channel) = self.channels.remove(id) else { return Ok(()) };
        change(&mut channel.counts);
        let written = match channel.damaged {
            true => Ok(()),
            false => self.put_record(id, &channel.log, channel.counts),
        };
        self.channels.insert(*id, channel);
        written
    }

    fn put_record(&mut self, id: &ChannelId, log: &Log, counts: Counts) -> Result<(), StoreError> {
        let head = log.head.as_ref();
        let record = Record {
            size: log.size(),
            head: head.map_or(0, |head| head.size),
            signature: head.map_or([0; 64], |head| head.signature),
            edge: List::new(head.map_or(&[][..], |head| &head.edge)),
            blobs: counts.blobs,
            blobs_here: counts.blobs_here,
            bytes: counts.bytes,
            bytes_here: counts.bytes_here,
        };
        self.put(Table::Channels, &key::channel(id), &record.to_bytes())
    }
}

/// An item whose content travels inside it.
fn written(
    kind: ItemKind,
    time: UnixTime,
    name: Label<{ limits::NAME_BYTES }>,
    body: Bytes,
) -> Result<(Item, Checked), Refused> {
    let hash = Hash(*blake3::hash(&body).as_bytes());
    let size = body.len() as u64;
    let header = ItemHeader { kind, time, name, size, hash, extensions: Default::default() };
    finished(header, body)
}

/// An item and its leaf.
fn finished(header: ItemHeader, body: Bytes) -> Result<(Item, Checked), Refused> {
    if header.size > limits::BLOB_BYTES {
        return Err(Refused::TooLarge("the content"));
    }
    let item = channel::item(&header, body).ok_or(Refused::TooLarge("the content"))?;
    let leaf = tree::leaf(item.header.bytes());
    Ok((item, Checked { header, leaf }))
}

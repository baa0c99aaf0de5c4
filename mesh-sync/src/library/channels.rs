//! Channels come, grow and go.

use alloc::vec::Vec;

use bytes::Bytes;
use mesh_wire::codec::{List, Opaque, Wire};
use mesh_wire::message::sync::{Fork, Genesis, Item, ItemHeader, ItemKind, Letter};
use mesh_wire::{ChannelId, Hash, Label, Rng, UnixTime, limits};
use zeroize::Zeroizing;

use super::{Kept, Library, Rules};
use crate::blob::BlobId;
use crate::channel::charter::Place;
use crate::channel::epoch::Secret;
use crate::channel::head::{self, Head};
use crate::channel::item::Checked;
use crate::channel::log::{Log, Verified};
use crate::channel::record::{Counts, LogRecord};
use crate::channel::{self, Channel, ChannelName, LogId, ORIGIN, Visibility};
use crate::command::{Content, NewItem, Readers, Refused};
use crate::merkle::tree::Frontier;
use crate::merkle::{tiles, tree};
use crate::store::{Store, StoreError, Table, key};

impl<S: Store> Library<S> {
    /// The channel, if it is followed and sound.
    pub(crate) fn sound(&self, id: &ChannelId) -> Option<&Channel> {
        self.channels.get(id).filter(|channel| !channel.damaged)
    }

    /// A log of a sound channel.
    pub(crate) fn log(&self, at: &LogId) -> Option<&Log> {
        self.sound(&at.channel)?.log(at.log)
    }

    /// The same, if nobody has shown a fork of it or of what says who may write: items come and go.
    // spec: SYNC-35
    pub(crate) fn growing(&self, at: &LogId) -> Option<&Log> {
        let channel = self.sound(&at.channel).filter(|channel| !channel.is_frozen())?;
        channel.log(at.log).filter(|_| !channel.is_forked(at.log))
    }

    /// How many items of a log are its channel's.
    pub(crate) fn valid(&self, at: &LogId) -> u64 {
        self.sound(&at.channel).map_or(0, |channel| channel.valid(at.log))
    }

    /// Its writer has signed two histories, as this proves.
    // spec: SYNC-35
    pub(crate) fn freeze(&mut self, at: &LogId, fork: &Fork) -> Result<(), StoreError> {
        self.put(Table::Forks, &key::log(at), &fork.to_bytes())?;
        if let Some(log) = self.log_mut(at) {
            log.forked = true;
        }
        Ok(())
    }

    pub(crate) fn log_mut(&mut self, at: &LogId) -> Option<&mut Log> {
        self.channels.get_mut(&at.channel)?.logs.get_mut(at.log as usize)
    }

    /// Makes a channel and its first item.
    // spec: SYNC-2, SYNC-3
    pub(crate) fn create(
        &mut self,
        time: UnixTime,
        (name, readers): (&ChannelName, Readers),
        rng: &mut Rng,
    ) -> Result<ChannelId, Refused> {
        let seed = Zeroizing::new(rng.bytes::<32>());
        let secret = Secret::from_seed(&seed);
        let origin = secret.sign.writer();
        let extensions = match readers {
            Readers::Everybody => Default::default(),
            Readers::Members => secret.sealing(),
        };
        let genesis = Genesis { origin, nonce: rng.bytes(), extensions };
        let label = Label::new(name.as_str()).map_err(|_| Refused::TooLarge("the name"))?;
        let first = written(ItemKind::Genesis, time, label, genesis.to_bytes())?;
        let id = ChannelId(first.1.leaf.0);
        let mut channel = Channel::unknown(id);
        channel.name = Some(name.clone());
        channel.keys.insert(origin, secret);
        self.put(Table::Secrets, &key::secret(&id, &origin), &*seed)?;
        self.channels.insert(id, channel);
        self.extend(&LogId { channel: id, log: ORIGIN }, alloc::vec![first])?;
        Ok(id)
    }

    /// Begins to follow a channel.
    pub(crate) fn follow(&mut self, id: ChannelId) -> Result<(), Refused> {
        let channel = Channel::unknown(id);
        self.put_counts(&id, &channel.counts)?;
        self.channels.insert(id, channel);
        Ok(())
    }

    /// Changes who may find out that a channel is here.
    pub(crate) fn show(&mut self, id: &ChannelId, to: Visibility) -> Result<(), Refused> {
        let channel = self.channels.get_mut(id).ok_or(Refused::NoSuchChannel)?;
        channel.visibility = to;
        match to {
            Visibility::Open => self.remove(Table::Hidden, &key::channel(id))?,
            Visibility::Hidden => self.put(Table::Hidden, &key::channel(id), &[])?,
        }
        Ok(())
    }

    /// Forgets a channel, its items, the blobs that no other channel names, and the keys: whoever
    /// has forgotten what it has signed would sign another history.
    pub(crate) fn unfollow(&mut self, id: &ChannelId) -> Result<(), StoreError> {
        let prefix = key::channel(id);
        self.channels.remove(id);
        loop {
            let items = self.entries(Table::Items, &prefix, |key, value| {
                let item = Item::from_bytes(Bytes::copy_from_slice(value)).ok();
                Some((key.to_vec(), item.as_ref().and_then(named_blob)))
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
        let tables = [
            Table::Channels,
            Table::Charters,
            Table::Logs,
            Table::Nodes,
            Table::Arrivals,
            Table::Missing,
            Table::Forks,
            Table::Secrets,
            Table::Epochs,
            Table::Hidden,
        ];
        tables.into_iter().try_for_each(|table| self.remove_all(table, &prefix))
    }

    /// Writes items into a log of ours and signs them.
    pub(crate) fn publish(
        &mut self,
        time: UnixTime,
        id: &ChannelId,
        items: Vec<NewItem>,
        rng: &mut Rng,
    ) -> Result<Kept, Refused> {
        let channel = self.writable(id)?;
        let wrote = channel.numbered().any(|(log, _)| channel.key(log).is_some());
        let refused = if wrote { Refused::Ended } else { Refused::NotYours };
        let log = channel.own().ok_or(refused)?;
        let at = LogId { channel: *id, log };
        self.growing(&at).ok_or(Refused::Forked)?;
        let is_private = channel.charter.is_private();
        let write = |new: NewItem| match (new.kind, new.content) {
            (kind, _) if !is_content(kind) => Err(Refused::NotContent),
            (_, Content::Blob(_)) if is_private => Err(Refused::TooLargeToSeal),
            (_, Content::Inline(content))
                if is_private && content.len() > limits::SEALED_CONTENT_BYTES =>
            {
                Err(Refused::TooLargeToSeal)
            }
            (kind, Content::Inline(content)) if is_private => {
                let content = Opaque::new(content).ok_or(Refused::TooLarge("the content"))?;
                let body = channel.seal(&Letter { name: new.name, content }, rng)?;
                written(kind, time, Label::default(), body)
            }
            (kind, Content::Inline(body)) => written(kind, time, new.name, body),
            (kind, Content::Blob(BlobId { size, hash })) => {
                let extensions = Default::default();
                let header = ItemHeader { kind, time, name: new.name, size, hash, extensions };
                BlobId::of(&header).ok_or(Refused::TooSmall)?;
                finished(header, Bytes::new())
            }
        };
        let items = items.into_iter().map(write).collect::<Result<Vec<_>, _>>()?;
        self.extend(&at, items)
    }

    /// The channel, if it can be written to by those who may.
    pub(super) fn writable(&self, id: &ChannelId) -> Result<&Channel, Refused> {
        let channel = self.channels.get(id).ok_or(Refused::NoSuchChannel)?;
        if channel.damaged {
            return Err(Refused::Damaged);
        }
        if channel.is_frozen() { Err(Refused::Forked) } else { Ok(channel) }
    }

    /// Appends items to a log of ours under a new head.
    pub(super) fn extend(
        &mut self,
        at: &LogId,
        items: Vec<(Item, Checked)>,
    ) -> Result<Kept, Refused> {
        let channel = self.channels.get(&at.channel).ok_or(Refused::NoSuchChannel)?;
        let log = channel.log(at.log).ok_or(Refused::NotYours)?;
        let first = log.size();
        if items.is_empty() {
            let numbers = channel.counts.arrived..channel.counts.arrived;
            return Ok(Kept { numbers, rules: Rules::Same });
        }
        if first + items.len() as u64 > limits::LOG_ITEMS {
            return Err(Refused::TooLarge("the channel"));
        }
        let (mut frontier, mut made) = (log.frontier.clone(), Vec::new());
        let mut charter = channel.charter.clone();
        for ((_, checked), seq) in items.iter().zip(first..) {
            let place = Place { log: at.log, seq };
            charter.rule(&at.channel, &place, checked).map_err(|_| Refused::NotContent)?;
            frontier.push(checked.leaf, &mut made);
        }
        let writer = charter.writer(at.log).and_then(|writer| channel.keys.get(&writer.key));
        let key = &writer.ok_or(Refused::NotYours)?.sign;
        let (size, root) = (frontier.size(), frontier.root().unwrap_or(Hash([0; 32])));
        let signature = head::sign(key, at, size, &root);
        let head = Head { size, root, signature, edge: Vec::new() };
        let run = Verified { log: at.log, items, first, frontier, head, made, charter };
        Ok(self.keep(&at.channel, run)?)
    }

    /// Keeps a run of verified items.
    pub(crate) fn keep(&mut self, id: &ChannelId, run: Verified) -> Result<Kept, StoreError> {
        let at = LogId { channel: *id, log: run.log };
        let Some(channel) = self.channels.get(id) else {
            return Ok(Kept { numbers: 0..0, rules: Rules::Same });
        };
        let mut counts = channel.counts.clone();
        let rules = if channel.charter == run.charter { Rules::Same } else { Rules::New };
        let first = counts.arrived;
        self.arrive(&at, run.first, first)?;
        for ((item, checked), seq) in run.items.iter().zip(run.first..) {
            self.put(Table::Items, &key::item(&at, seq), &item.to_bytes())?;
            let header = &checked.header;
            counts.arrived += 1;
            counts.contents += u64::from(is_content(header.kind));
            counts.bytes = counts.bytes.saturating_add(header.size);
            match BlobId::of(header) {
                None => counts.bytes_here += header.size,
                Some(blob) => self.refer(&blob, (&at, seq), &mut counts)?,
            }
        }
        tiles::keep(&mut self.store, &at, &run.made)?;
        let numbers = first..counts.arrived;
        self.put_log(&at, (&run.frontier, Some(&run.head)))?;
        self.put_counts(id, &counts)?;
        if rules == Rules::New {
            self.put(Table::Charters, &key::channel(id), &run.charter.to_bytes())?;
        }
        if let Some(channel) = self.channels.get_mut(id) {
            let name = || channel::name(&run.items.first()?.0);
            channel.name = channel.name.take().or_else(name);
            channel.counts = counts;
            channel.charter = run.charter;
            channel.make_room();
        }
        if let Some(log) = self.log_mut(&at) {
            (log.frontier, log.head) = (run.frontier, Some(run.head));
        }
        if rules == Rules::New {
            self.cut(id)?;
            let keys = run.items.iter().filter(|(_, item)| item.header.kind == ItemKind::Keys);
            keys.into_iter().try_for_each(|(_, item)| self.learn(id, item))?;
        }
        Ok(Kept { numbers, rules })
    }

    /// Changes the sums of a channel.
    pub(super) fn count(
        &mut self,
        id: &ChannelId,
        change: impl FnOnce(&mut Counts),
    ) -> Result<(), StoreError> {
        let Some(channel) = self.channels.get_mut(id) else { return Ok(()) };
        change(&mut channel.counts);
        let counts = channel.counts.clone();
        if channel.damaged { Ok(()) } else { self.put_counts(id, &counts) }
    }

    pub(super) fn put_counts(&mut self, id: &ChannelId, counts: &Counts) -> Result<(), StoreError> {
        self.put(Table::Channels, &key::channel(id), &counts.to_bytes())
    }

    pub(super) fn put_log(
        &mut self,
        at: &LogId,
        (frontier, head): (&Frontier, Option<&Head>),
    ) -> Result<(), StoreError> {
        let record = LogRecord {
            size: frontier.size(),
            head: head.map_or(0, |head| head.size),
            signature: head.map_or([0; 64], |head| head.signature),
            edge: List::new(head.map_or(&[][..], |head| &head.edge)),
        };
        self.put(Table::Logs, &key::log(at), &record.to_bytes())
    }
}

/// Whether people look for items of this kind, not only nodes.
pub(crate) fn is_content(kind: ItemKind) -> bool {
    match kind {
        ItemKind::Text | ItemKind::File => true,
        ItemKind::Genesis | ItemKind::Grant | ItemKind::Checkpoint | ItemKind::Keys => false,
    }
}

/// The blob that an item names.
pub(super) fn named_blob(item: &Item) -> Option<BlobId> {
    BlobId::of(&ItemHeader::from_bytes(item.header.bytes().clone()).ok()?)
}

/// An item whose content travels inside it.
pub(super) fn written(
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
    let item = channel::item(&header, body.clone()).ok_or(Refused::TooLarge("the content"))?;
    let leaf = tree::leaf(item.header.bytes());
    Ok((item, Checked { header, body, leaf }))
}

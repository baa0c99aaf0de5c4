//! Channels come, grow and go.

use alloc::vec::Vec;

use bytes::Bytes;
use mesh_wire::codec::{Extensions, List, Opaque, Wire};
use mesh_wire::enclosure::sealed_size;
use mesh_wire::id::WriterId;
use mesh_wire::message::sync::{Fork, Genesis, Item, ItemHeader, ItemKind, Letter, Place};
use mesh_wire::origin::OriginUrl;
use mesh_wire::{ChannelId, Hash, Label, Rng, UnixTime, limits};
use zeroize::Zeroizing;

use super::arrivals::Arrival;
use super::{Kept, Library, Rules, gone};
use crate::blob::BlobId;
use crate::board::{self, Board};
use crate::channel::epoch::Secret;
use crate::channel::head::{self, Head};
use crate::channel::item::{self, Checked};
use crate::channel::log::{Log, Verified};
use crate::channel::record::{Counts, LogRecord};
use crate::channel::{self, Channel, ChannelName, LogId, ORIGIN, Visibility, parents};
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
        let extensions = |secret: &Secret| match readers {
            Readers::Everybody => Default::default(),
            Readers::Members => secret.sealing(),
        };
        self.found(time, (name, &extensions), rng)
    }

    /// Makes an open channel and its first item.
    // spec: SYNC-62
    pub(crate) fn create_board(
        &mut self,
        time: UnixTime,
        name: &ChannelName,
        rng: &mut Rng,
    ) -> Result<ChannelId, Refused> {
        self.found(time, (name, &|_| board::opening()), rng)
    }

    fn found(
        &mut self,
        time: UnixTime,
        (name, extensions): (&ChannelName, &dyn Fn(&Secret) -> Extensions),
        rng: &mut Rng,
    ) -> Result<ChannelId, Refused> {
        let seed = Zeroizing::new(rng.bytes::<32>());
        let secret = Secret::from_seed(&seed);
        let origin = secret.sign.writer();
        let extensions = extensions(&secret);
        let genesis = Genesis { origin, nonce: rng.bytes(), extensions };
        let label = Label::new(name.as_str()).map_err(|_| Refused::TooLarge("the name"))?;
        let first = written(ItemKind::Genesis, time, label, genesis.to_bytes());
        let (_, Checked { leaf, .. }) = finished(first.clone())?;
        let id = ChannelId(leaf.0);
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

    /// Keeps where on the web a channel is, as a person has said.
    // spec: SYNC-57
    pub(crate) fn keep_origin(&mut self, id: &ChannelId, url: OriginUrl) -> Result<(), StoreError> {
        self.put(Table::Origins, &key::channel(id), &url.to_bytes())?;
        if let Some(channel) = self.channels.get_mut(id) {
            channel.origin = Some(url);
        }
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
        if let Some(channel) = self.channels.remove(id) {
            let past = self.account.past.and(channel.account.exchange);
            if past != self.account.past {
                self.account.past = past;
                self.put_account()?;
            }
        }
        loop {
            let items = self.entries(Table::Items, &prefix, |key, value| {
                let item = Item::from_bytes(Bytes::copy_from_slice(value)).ok();
                let header = item.map(|item| ItemHeader::from_bytes(item.header.into_bytes()));
                Some((key.to_vec(), header.and_then(Result::ok)))
            })?;
            if items.is_empty() {
                break;
            }
            for (key, header) in items {
                self.remove(Table::Items, &key)?;
                let place = key::read_item(&key);
                let header_at = header.as_ref().zip(place);
                let ends = header_at.and_then(|(header, (at, _))| gone::end(&at, header));
                if let (Some(moment), Some((at, seq))) = (ends, place) {
                    self.remove(Table::Expiries, &key::expiry(moment, &at, seq))?;
                }
                if let Some(blob) = header.as_ref().and_then(BlobId::of) {
                    self.remove(Table::References, &key::reference(&blob, id))?;
                    self.forget_unless_named(&blob)?;
                }
            }
        }
        self.next_expiry = self.first_expiry()?;
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
            Table::Origins,
            Table::Kept,
            Table::Accounts,
            Table::Gone,
            Table::Lacking,
            Table::Hidden,
            Table::Notes,
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
        if channel.name.is_none() {
            // Nobody knows yet who may write in it.
            return Err(Refused::Incomplete);
        }
        let wrote = channel.numbered().any(|(log, _)| channel.key(log).is_some());
        let refused = if wrote { Refused::Ended } else { Refused::NotYours };
        let log = channel.own().ok_or(refused)?;
        let at = LogId { channel: *id, log };
        self.growing(&at).ok_or(Refused::Forked)?;
        let draft = |new| match channel.charter.is_private() {
            true => sealed(channel, time, new, rng),
            false => open(time, new),
        };
        let items = items.into_iter().map(draft).collect::<Result<Vec<_>, _>>()?;
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

    /// Appends items to a log of ours under a new head. The first says what was read before.
    // spec: SYNC-49
    pub(super) fn extend(&mut self, at: &LogId, mut drafts: Vec<Draft>) -> Result<Kept, Refused> {
        let mut time = UnixTime(0);
        if let Some((header, _)) = drafts.first_mut() {
            parents::name(header, &self.parents(at)?);
            time = header.time;
        }
        let items = drafts.into_iter().map(finished).collect::<Result<Vec<_>, _>>()?;
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
        Ok(self.keep(&at.channel, run, time)?)
    }

    /// Keeps a run of verified items, which come in now.
    pub(crate) fn keep(
        &mut self,
        id: &ChannelId,
        run: Verified,
        now: UnixTime,
    ) -> Result<Kept, StoreError> {
        let at = LogId { channel: *id, log: run.log };
        let Some(channel) = self.channels.get(id) else {
            return Ok(Kept { numbers: 0..0, rules: Rules::Same });
        };
        let mut counts = channel.counts.clone();
        let rules = if channel.charter == run.charter { Rules::Same } else { Rules::New };
        let first = counts.arrived;
        let when = if run.charter.writers().count() > 1 { now } else { UnixTime(0) };
        self.arrive(Arrival { at, seq: run.first, number: first, when })?;
        let gone = self.gone_among(&at, run.first..run.first + run.items.len() as u64)?;
        for ((item, checked), seq) in run.items.iter().zip(run.first..) {
            let (header, number) = (&checked.header, counts.arrived);
            counts.arrived += 1;
            counts.contents += u64::from(is_content(header.kind));
            match gone.binary_search(&seq) {
                Ok(_) if is_content(header.kind) => {
                    // What comes with its content all the same comes without it to here.
                    self.put(Table::Items, &key::item(&at, seq), &gone::bare(item).to_bytes())?;
                    continue;
                }
                Ok(_) => self.remove(Table::Gone, &key::item(&at, seq))?,
                Err(_) => {}
            }
            self.put(Table::Items, &key::item(&at, seq), &item.to_bytes())?;
            let is_bare = item::is_bare(header, &checked.body);
            self.look_for((&at, seq, number), header, is_bare, &mut counts)?;
        }
        tiles::keep(&mut self.store, &at, &run.made)?;
        let numbers = first..counts.arrived;
        self.put_log(&at, (&run.frontier, Some(&run.head)))?;
        self.put_counts(id, &counts)?;
        if rules == Rules::New {
            self.put(Table::Charters, &key::channel(id), &run.charter.to_bytes())?;
        }
        let owner = self.channels.get(id).and_then(Channel::owner);
        if let Some(channel) = self.channels.get_mut(id) {
            let name = || channel::name(&run.items.first()?.0);
            channel.name = channel.name.take().or_else(name);
            if run.items.first().is_some_and(|(item, it)| is_board((item, it))) {
                channel.board.get_or_insert_with(Board::default);
                channel.account.be_careful();
                self.unwritten.insert(*id);
            }
            channel.counts = counts;
            channel.charter = run.charter;
            channel.make_room();
        }
        if let Some(log) = self.log_mut(&at) {
            (log.frontier, log.head) = (run.frontier, Some(run.head));
        }
        if rules == Rules::New {
            self.follow_rules(id, owner, &run.items)?;
        }
        for ((_, item), seq) in run.items.iter().zip(run.first..) {
            if item.header.kind == ItemKind::Retract {
                self.obey((&at, seq), &item.body)?;
            }
        }
        Ok(Kept { numbers, rules })
    }

    /// Does what new rules mean for what is here; the channel's owner was `owner` before.
    fn follow_rules(
        &mut self,
        id: &ChannelId,
        owner: Option<WriterId>,
        items: &[(Item, Checked)],
    ) -> Result<(), StoreError> {
        self.cut(id)?;
        if self.channels.get(id).and_then(Channel::owner) != owner {
            self.obey_owner(id)?;
        }
        let mut keys = items.iter().filter(|(_, item)| item.header.kind == ItemKind::Keys);
        keys.try_for_each(|(_, item)| self.learn(id, item))
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

    pub(crate) fn put_account(&mut self) -> Result<(), StoreError> {
        self.put(Table::Accounts, &[], &self.account.to_bytes())
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
        ItemKind::Genesis
        | ItemKind::Grant
        | ItemKind::Checkpoint
        | ItemKind::Keys
        | ItemKind::Origins
        | ItemKind::Retract => false,
    }
}

/// An item as its writer writes it: its header, and its content if that travels inside it.
pub(super) type Draft = (ItemHeader, Bytes);

/// Whether an item is the first of a channel that is open.
fn is_board((item, checked): (&Item, &Checked)) -> bool {
    checked.header.kind == ItemKind::Genesis && board::is_open(item)
}

/// An item for everybody.
pub(super) fn open(time: UnixTime, new: NewItem) -> Result<Draft, Refused> {
    let NewItem { kind, name, content, expires } = new;
    let (mut header, body) = match content {
        _ if !is_content(kind) => return Err(Refused::NotContent),
        Content::Inline(body) => written(kind, time, name, body),
        Content::Blob(BlobId { size, .. }) if size <= limits::INLINE_BYTES as u64 => {
            return Err(Refused::TooSmall);
        }
        Content::Blob(BlobId { size, hash }) => {
            let extensions = Default::default();
            (ItemHeader { kind, time, name, size, hash, extensions }, Bytes::new())
        }
        Content::Sealed(..) => return Err(Refused::WrongSeal),
    };
    header.extensions = gone::expiring(expires);
    Ok((header, body))
}

/// An item for the members of a private channel: a letter, and the blob that it encloses.
// spec: SYNC-42, SYNC-47
fn sealed(
    channel: &Channel,
    time: UnixTime,
    new: NewItem,
    rng: &mut Rng,
) -> Result<Draft, Refused> {
    let NewItem { kind, name, content, expires } = new;
    let (content, enclosed) = match content {
        _ if !is_content(kind) => return Err(Refused::NotContent),
        Content::Inline(content) => (content, None),
        Content::Sealed(blob, unsealing) if blob.size == sealed_size(unsealing.size) => {
            (unsealing.to_bytes(), Some(blob))
        }
        Content::Blob(_) | Content::Sealed(..) => return Err(Refused::WrongSeal),
    };
    if content.len() > limits::SEALED_CONTENT_BYTES {
        return Err(Refused::TooLargeToSeal);
    }
    let content = Opaque::new(content).ok_or(Refused::TooLargeToSeal)?;
    let body = channel.seal(&Letter { name, content }, rng)?;
    let (mut header, body) = written(kind, time, Label::default(), body);
    header.extensions = gone::expiring(expires);
    if let Some(blob) = enclosed {
        blob.enclose(&mut header);
    }
    Ok((header, body))
}

/// An item whose content travels inside it.
pub(super) fn written(
    kind: ItemKind,
    time: UnixTime,
    name: Label<{ limits::NAME_BYTES }>,
    body: Bytes,
) -> Draft {
    let hash = Hash(*blake3::hash(&body).as_bytes());
    let size = body.len() as u64;
    (ItemHeader { kind, time, name, size, hash, extensions: Default::default() }, body)
}

/// An item and its leaf.
pub(super) fn finished((header, body): Draft) -> Result<(Item, Checked), Refused> {
    if header.size > limits::BLOB_BYTES {
        return Err(Refused::TooLarge("the content"));
    }
    let item = channel::item(&header, body.clone()).ok_or(Refused::TooLarge("the content"))?;
    let leaf = tree::leaf(item.header.bytes());
    Ok((item, Checked { header, body, leaf }))
}

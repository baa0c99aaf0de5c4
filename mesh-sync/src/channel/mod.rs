//! A channel: logs of items, each signed by its writer, and how much of them is here.

pub(crate) mod account;
pub(crate) mod charter;
pub(crate) mod epoch;
pub(crate) mod fork;
pub(crate) mod head;
pub(crate) mod item;
pub(crate) mod log;
pub(crate) mod parents;
pub(crate) mod record;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;
use mesh_wire::codec::{Opaque, Wire, varint};
use mesh_wire::id::WriterId;
use mesh_wire::message::sync::{Claim, Item, ItemHeader, ItemKind, Items};
use mesh_wire::origin::OriginUrl;
use mesh_wire::sign::SigningKey;
use mesh_wire::{ChannelId, Label, limits};

use crate::board::{self, Board, NOTES};
use crate::merkle::tree;
use crate::status::Role;
use crate::store::{Store, StoreError, Table, key};
use account::Account;
use charter::Charter;
use epoch::{EpochSecret, Secret};
use log::Log;
use record::{Counts, LogRecord};

/// The origin's log.
pub(crate) const ORIGIN: u32 = 0;

/// The name of a channel.
pub type ChannelName = Label<{ limits::CHANNEL_NAME_BYTES }>;

/// A log of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LogId {
    pub(crate) channel: ChannelId,
    /// 0 for the origin's; others are numbered as they were opened.
    pub(crate) log: u32,
}

/// Who may find out that a channel is here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Every neighbour that knows it.
    Open,
    /// Only who looks for it, or was found when this node did.
    Hidden,
}

/// A channel that this node follows or owns.
pub(crate) struct Channel {
    pub(crate) id: ChannelId,
    /// Its name, once its first item is here.
    pub(crate) name: Option<ChannelName>,
    pub(crate) charter: Charter,
    /// By their numbers: as many as it has writers, and the origin's in any case.
    pub(crate) logs: Vec<Log>,
    pub(crate) counts: Counts,
    pub(crate) account: Account,
    /// The keys of this node that sign in it, or would.
    pub(crate) keys: BTreeMap<WriterId, Secret>,
    /// The keys under which it was written, as far as this node has got them.
    pub(crate) epochs: BTreeMap<u32, EpochSecret>,
    /// Where on the web it is to be had, as whoever follows it has said.
    pub(crate) origin: Option<OriginUrl>,
    /// That this node gets it at its origin.
    pub(crate) claim: Option<Claim>,
    /// The store no longer has what was signed: the channel is neither shared nor changed.
    pub(crate) damaged: bool,
    pub(crate) visibility: Visibility,
    /// Its notes, once it is known that everybody may write in it.
    pub(crate) board: Option<Board>,
}

impl Channel {
    /// A channel of which nothing is known but its id.
    pub(crate) fn unknown(id: ChannelId) -> Self {
        Self {
            id,
            name: None,
            charter: Charter::default(),
            logs: alloc::vec![Log::default()],
            counts: Counts::default(),
            account: Account::default(),
            keys: BTreeMap::new(),
            epochs: BTreeMap::new(),
            origin: None,
            claim: None,
            damaged: false,
            visibility: Visibility::Open,
            board: None,
        }
    }

    /// Reads a channel; one whose logs do not match their signatures is damaged.
    pub(crate) fn load<S: Store>(
        store: &S,
        id: ChannelId,
        record: Bytes,
    ) -> Result<Self, StoreError> {
        let mut channel = Self::unknown(id);
        store.scan(Table::Secrets, id.as_bytes(), &mut |key, seed| {
            let is_ours = key.starts_with(id.as_bytes());
            if let (true, Ok(seed)) = (is_ours, <&[u8; 32]>::try_from(seed)) {
                let secret = Secret::from_seed(seed);
                channel.keys.insert(secret.sign.writer(), secret);
            }
            is_ours
        })?;
        store.scan(Table::Epochs, id.as_bytes(), &mut |key, secret| {
            let number = key.strip_prefix(id.as_bytes()).and_then(|key| key.try_into().ok());
            if let (Some(number), Ok(secret)) = (number, secret.try_into()) {
                channel.epochs.insert(u32::from_be_bytes(number), EpochSecret::new(secret));
            }
            number.is_some()
        })?;
        let origin = store.get(Table::Origins, &key::channel(&id))?;
        channel.origin = origin.and_then(|url| OriginUrl::from_bytes(url).ok());
        let account = store.get(Table::Accounts, &key::channel(&id))?;
        channel.account = account.and_then(|it| Account::from_bytes(it).ok()).unwrap_or_default();
        if store.get(Table::Hidden, &key::channel(&id))?.is_some() {
            channel.visibility = Visibility::Hidden;
        }
        let Ok(counts) = Counts::from_bytes(record) else {
            channel.damaged = true;
            return Ok(channel);
        };
        channel.counts = counts;
        match channel.load_logs(store) {
            Err(StoreError::Damaged(_)) => channel.damaged = true,
            loaded => loaded?,
        }
        Ok(channel)
    }

    fn load_logs<S: Store>(&mut self, store: &S) -> Result<(), StoreError> {
        let rotten = || StoreError::Damaged("a channel no longer is what was signed".into());
        let origin = LogId { channel: self.id, log: ORIGIN };
        if let Some(charter) = store.get(Table::Charters, &key::channel(&self.id))? {
            self.charter = Charter::from_bytes(charter).map_err(|_| rotten())?;
            let first = store.get(Table::Items, &key::item(&origin, 0))?;
            let first = first.and_then(|bytes| Item::from_bytes(bytes).ok());
            let first = first.filter(|item| is_first(&self.id, item)).ok_or_else(rotten)?;
            self.name = Some(name(&first).ok_or_else(rotten)?);
            if board::is_open(&first) {
                self.board = Some(Board::load(store, &self.id)?.ok_or_else(rotten)?);
            }
        }
        self.make_room();
        for number in 0..self.logs.len() as u32 {
            let at = LogId { channel: self.id, log: number };
            let record = store.get(Table::Logs, &key::log(&at))?;
            let record = record.map(LogRecord::from_bytes).transpose().map_err(|_| rotten())?;
            let writer = self.charter.writer(number);
            let mut log = match (record, writer) {
                (Some(record), Some(writer)) => {
                    Log::load(store, &at, &record, writer)?.ok_or_else(rotten)?
                }
                _ => Log::default(),
            };
            log.forked = fork::load(store, &at, writer.map(|writer| &writer.key))?.is_some();
            if let Some(place) = self.logs.get_mut(number as usize) {
                *place = log;
            }
        }
        Ok(())
    }

    /// Every writer has a log.
    pub(crate) fn make_room(&mut self) {
        let writers = self.charter.writers().count().max(1);
        self.logs.resize_with(writers, Log::default);
    }

    /// A log, if there is such a one.
    pub(crate) fn log(&self, number: u32) -> Option<&Log> {
        self.logs.get(number as usize)
    }

    /// How many items of a log are here, or of notes have been.
    pub(crate) fn size(&self, number: u32) -> u64 {
        match &self.board {
            Some(board) if number == NOTES => board.record.arrived,
            Some(_) | None => self.log(number).map_or(0, Log::size),
        }
    }

    /// Every log and its number.
    pub(crate) fn numbered(&self) -> impl Iterator<Item = (u32, &Log)> {
        (0..self.logs.len() as u32).zip(&self.logs)
    }

    /// How many items of a log are its channel's: all that are here, but for those that its writer
    /// wrote beyond its end.
    // spec: SYNC-38
    pub(crate) fn valid(&self, number: u32) -> u64 {
        self.size(number).min(self.charter.most(number))
    }

    /// Whether there is a proof that a log has two histories, and nobody has said since which of
    /// its items count.
    // spec: SYNC-35, SYNC-38
    pub(crate) fn is_forked(&self, number: u32) -> bool {
        let is_open = self.charter.most(number) == limits::LOG_ITEMS;
        is_open && self.log(number).is_some_and(|log| log.forked)
    }

    /// The key that signs a log, if it is ours.
    pub(crate) fn key(&self, number: u32) -> Option<&SigningKey> {
        Some(&self.keys.get(&self.charter.writer(number)?.key)?.sign)
    }

    /// The log in which this node writes, if it may.
    pub(crate) fn own(&self) -> Option<u32> {
        let is_own = |(number, _): &(u32, _)| {
            self.key(*number).is_some() && self.charter.most(*number) == limits::LOG_ITEMS
        };
        self.charter.writers().rfind(is_own).map(|(number, _)| number)
    }

    /// The key with which this node signs notes, if it is none of the channel's writers.
    // spec: SYNC-62
    pub(crate) fn author(&self) -> Option<WriterId> {
        let author = self.board.as_ref()?.record.author.iter().next();
        author.filter(|author| self.keys.contains_key(author))
    }

    /// The key of whoever says who may write.
    pub(crate) fn owner(&self) -> Option<WriterId> {
        self.charter.writer(self.charter.control()).map(|writer| writer.key)
    }

    /// What this node is to it.
    pub(crate) fn role(&self) -> Role {
        if self.key(self.charter.control()).is_some() {
            Role::Owner
        } else if self.own().is_some() {
            Role::Writer
        } else {
            Role::Follower
        }
    }

    /// Whether nobody says any more who may write: two histories of its control log were signed.
    // spec: SYNC-35
    pub(crate) fn is_frozen(&self) -> bool {
        self.is_forked(self.charter.control())
    }
}

/// Whether `item` is the first one of the channel.
// spec: SYNC-2
pub(crate) fn is_first(id: &ChannelId, item: &Item) -> bool {
    tree::leaf(item.header.bytes()).0 == id.0
}

/// The channel's name, which its first item bears.
pub(crate) fn name(first: &Item) -> Option<ChannelName> {
    let header = ItemHeader::from_bytes(first.header.bytes().clone()).ok()?;
    let is_genesis = header.kind == ItemKind::Genesis && item::holds(&header, first.body.bytes());
    is_genesis.then(|| Label::new(header.name.as_str()).ok()).flatten()
}

/// How many bytes the items of a run take: what grants count.
// spec: SYNC-12
pub(crate) fn run_bytes(run: &Items) -> u64 {
    run.items.size().saturating_sub(varint::size(run.items.len() as u64)) as u64
}

/// An item as it travels and is stored; `None` if a part is too long.
pub(crate) fn item(header: &ItemHeader, body: Bytes) -> Option<Item> {
    Some(Item { header: Opaque::new(header.to_bytes())?, body: Opaque::new(body)? })
}

#[cfg(test)]
mod tests;

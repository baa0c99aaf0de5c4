//! Who may write: rights are asked for, given, passed on and taken.

use alloc::vec::Vec;

use mesh_wire::codec::{List, Wire};
use mesh_wire::invite::WriterLink;
use mesh_wire::message::sync::{
    Checkpoint, Grant, ItemHeader, ItemKind, LogState, Right, Standing,
};
use mesh_wire::sign::SigningKey;
use mesh_wire::{ChannelId, Label, Rng, UnixTime, limits};

use super::channels::{is_content, written};
use super::{Kept, Library};
use crate::blob::BlobId;
use crate::channel::charter::{self, Writer};
use crate::channel::head::Head;
use crate::channel::{Channel, ChannelName, LogId};
use crate::command::Refused;
use crate::merkle::tiles::Tiles;
use crate::merkle::tree::Frontier;
use crate::store::{Store, StoreError, Table, key};

impl<S: Store> Library<S> {
    /// A key of ours that would write in a channel, and its consent. One that was asked for before
    /// and is nobody's yet is taken again.
    // spec: SYNC-37
    pub(crate) fn request(
        &mut self,
        id: &ChannelId,
        (name, right): (ChannelName, Right),
        rng: &mut Rng,
    ) -> Result<WriterLink, Refused> {
        let channel = self.writable(id)?;
        let is_free = |key: &&SigningKey| {
            !channel.charter.writers().any(|(_, writer)| writer.key == key.writer())
        };
        let key = match channel.keys.values().find(is_free) {
            Some(key) => key.clone(),
            None => {
                let seed = rng.bytes::<32>();
                let key = SigningKey::from_seed(&seed);
                self.put(Table::Secrets, &key::secret(id, &key.writer()), &seed)?;
                if let Some(channel) = self.channels.get_mut(id) {
                    channel.keys.insert(key.writer(), key.clone());
                }
                key
            }
        };
        let acceptance = charter::accept(&key, id, right);
        Ok(WriterLink { channel: *id, writer: key.writer(), right, acceptance, name })
    }

    /// Gives somebody the right that they would have.
    // spec: SYNC-37
    pub(crate) fn grant(
        &mut self,
        time: UnixTime,
        link: &WriterLink,
        until: Option<UnixTime>,
    ) -> Result<Kept, Refused> {
        let channel = self.governed(&link.channel)?;
        if channel.charter.writers().any(|(_, writer)| writer.key == link.writer) {
            return Err(Refused::AlreadyWrites);
        }
        if channel.charter.writers().count() >= limits::LOGS {
            return Err(Refused::TooManyWriters);
        }
        let WriterLink { channel: id, writer, right, acceptance, .. } = *link;
        if !charter::has_accepted(&id, &writer, right, &acceptance) {
            return Err(Refused::NotAccepted);
        }
        let until = until.unwrap_or(UnixTime(0));
        let grant = Grant { writer, right, until, acceptance, extensions: Default::default() };
        let name = Label::new(link.name.as_str()).map_err(|_| Refused::TooLarge("the name"))?;
        let item = written(ItemKind::Grant, time, name, grant.to_bytes())?;
        let at = LogId { channel: id, log: channel.charter.control() };
        self.extend(&at, alloc::vec![item])
    }

    /// Says how far all writers are, and ends what the log `ended` may do.
    // spec: SYNC-38
    pub(crate) fn check(
        &mut self,
        time: UnixTime,
        id: &ChannelId,
        ended: Option<u32>,
    ) -> Result<Kept, Refused> {
        let channel = self.governed(id)?;
        let control = channel.charter.control();
        let is_writer = |log: &u32| channel.charter.writer(*log).is_some_and(Writer::is_open);
        if let Some(log) = ended
            && (log == control || !is_writer(&log))
        {
            return Err(Refused::NoSuchWriter);
        }
        let others = channel.numbered().filter(|(log, _)| *log != control && is_writer(log));
        let states: Vec<LogState> = others
            .map(|(log, here)| {
                let state = if ended == Some(log) { Standing::Ended } else { Standing::Open };
                LogState { log, size: here.size(), state }
            })
            .collect();
        let checkpoint = Checkpoint { logs: List::new(&states), extensions: Default::default() };
        let item = written(ItemKind::Checkpoint, time, Label::default(), checkpoint.to_bytes())?;
        self.extend(&LogId { channel: *id, log: control }, alloc::vec![item])
    }

    /// The channel, if this node says who may write in it.
    fn governed(&self, id: &ChannelId) -> Result<&Channel, Refused> {
        let channel = self.writable(id)?;
        match channel.key(channel.charter.control()) {
            Some(_) => Ok(channel),
            None => Err(Refused::NotOwner),
        }
    }

    /// Takes out what stands beyond the ends of logs, but for what this node has written: that its
    /// owner keeps, and nobody else gets.
    // spec: SYNC-38
    pub(super) fn cut(&mut self, id: &ChannelId) -> Result<(), StoreError> {
        let Some(channel) = self.channels.get(id) else { return Ok(()) };
        let is_beyond = |log: &u32| {
            channel.size(*log) > channel.charter.most(*log) && channel.key(*log).is_none()
        };
        let logs: Vec<u32> = (0..channel.logs.len() as u32).filter(is_beyond).collect();
        logs.into_iter().try_for_each(|log| self.cut_log(&LogId { channel: *id, log }))
    }

    fn cut_log(&mut self, at: &LogId) -> Result<(), StoreError> {
        let Some(channel) = self.channels.get(&at.channel) else { return Ok(()) };
        let (size, most) = (channel.size(at.log), channel.charter.most(at.log));
        let before = channel.log(at.log).and_then(|log| log.head.clone());
        let mut counts = channel.counts.clone();
        let head = match before.filter(|_| most > 0) {
            Some(head) => Some(Head { edge: self.edge(at, most)?, ..head }),
            None => None,
        };
        let peaks = Tiles { store: &self.store, log: *at }.peaks(most)?;
        let frontier = Frontier::from_peaks(most, peaks);
        for seq in most..size {
            let Some(item) = self.item(at, seq)? else { continue };
            self.remove(Table::Items, &key::item(at, seq))?;
            let header = ItemHeader::from_bytes(item.header.into_bytes());
            let Ok(header) = header else { continue };
            counts.contents -= u64::from(is_content(header.kind)).min(counts.contents);
            counts.bytes = counts.bytes.saturating_sub(header.size);
            match BlobId::of(&header) {
                None => counts.bytes_here = counts.bytes_here.saturating_sub(header.size),
                Some(blob) => self.no_longer_refer(&blob, &at.channel, &mut counts)?,
            }
        }
        self.put_log(at, (&frontier, head.as_ref()))?;
        self.put_counts(&at.channel, &counts)?;
        if let Some(channel) = self.channels.get_mut(&at.channel) {
            channel.counts = counts;
        }
        if let Some(log) = self.log_mut(at) {
            log.rotten.retain(|seq| *seq < most);
            (log.frontier, log.head) = (frontier, head);
        }
        Ok(())
    }
}

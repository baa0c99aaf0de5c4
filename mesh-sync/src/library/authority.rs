//! Who may write: rights are asked for, given, passed on and taken.

use alloc::vec::Vec;
use core::time::Duration;

use mesh_wire::codec::{Extensions, List, Wire};
use mesh_wire::id::WriterId;
use mesh_wire::invite::WriterLink;
use mesh_wire::message::sync::{
    Checkpoint, EpochKeys, Grant, ItemKind, LogEnd, LogState, Origins, Right,
};
use mesh_wire::origin::OriginUrl;
use mesh_wire::{ChannelId, Label, Rng, UnixTime, limits};
use zeroize::Zeroizing;

use super::channels::{is_content, written};
use super::{Kept, Library};
use crate::channel::charter::{self, Promise, Writer};
use crate::channel::epoch::{self, Secret};
use crate::channel::head::Head;
use crate::channel::item::Checked;
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
        let author = channel.author();
        let is_free = |key: &&WriterId| {
            author != Some(**key)
                && !channel.charter.writers().any(|(_, writer)| writer.key == **key)
        };
        let writer = match channel.keys.keys().find(is_free) {
            Some(writer) => *writer,
            None => self.new_key(id, rng)?,
        };
        self.accept(id, writer, (name, right))
    }

    /// A key that never was anywhere, in the place of the one that says who may write.
    // spec: SYNC-37
    pub(crate) fn rotate(
        &mut self,
        time: UnixTime,
        id: &ChannelId,
        rng: &mut Rng,
    ) -> Result<Kept, Refused> {
        self.governed(id)?;
        let writer = self.new_key(id, rng)?;
        let link = self.accept(id, writer, (ChannelName::default(), Right::Succeed))?;
        self.grant(time, &link, None)
    }

    /// The consent of a key of ours.
    fn accept(
        &self,
        id: &ChannelId,
        writer: WriterId,
        (name, right): (ChannelName, Right),
    ) -> Result<WriterLink, Refused> {
        let channel = self.channels.get(id).ok_or(Refused::NoSuchChannel)?;
        let secret = channel.keys.get(&writer).ok_or(Refused::NotYours)?;
        let extensions = match channel.charter.is_private() {
            true => secret.sealing(),
            false => Extensions::default(),
        };
        let acceptance = charter::accept(&secret.sign, id, (right, &extensions));
        Ok(WriterLink { channel: *id, writer, right, acceptance, name, extensions })
    }

    pub(super) fn new_key(
        &mut self,
        id: &ChannelId,
        rng: &mut Rng,
    ) -> Result<WriterId, StoreError> {
        let seed = Zeroizing::new(rng.bytes::<32>());
        let secret = Secret::from_seed(&seed);
        let writer = secret.sign.writer();
        self.put(Table::Secrets, &key::secret(id, &writer), &*seed)?;
        if let Some(channel) = self.channels.get_mut(id) {
            channel.keys.insert(writer, secret);
        }
        Ok(writer)
    }

    /// Begins a new epoch of a private channel of ours if its members are others than they were.
    // spec: SYNC-41
    pub(crate) fn renew(
        &mut self,
        time: UnixTime,
        id: &ChannelId,
        rng: &mut Rng,
    ) -> Result<Option<Kept>, Refused> {
        let Ok(channel) = self.governed(id) else { return Ok(None) };
        if !channel.charter.needs_keys() {
            return Ok(None);
        }
        let keys = epoch::keys(id, &channel.charter, rng);
        let item = written(ItemKind::Keys, time, Label::default(), keys.to_bytes());
        let at = LogId { channel: *id, log: channel.charter.control() };
        self.extend(&at, alloc::vec![item]).map(Some)
    }

    /// Keeps the key of an epoch that is sealed to this node.
    // spec: SYNC-41
    pub(super) fn learn(&mut self, id: &ChannelId, item: &Checked) -> Result<(), StoreError> {
        let keys = EpochKeys::from_bytes(item.body.clone()).ok();
        let opened = keys.and_then(|keys| {
            let secret = self.channels.get(id)?.opened(&keys)?;
            Some((keys.epoch, secret))
        });
        let Some((number, secret)) = opened else { return Ok(()) };
        self.put(Table::Epochs, &key::epoch(id, number), &*secret)?;
        if let Some(channel) = self.channels.get_mut(id) {
            channel.epochs.insert(number, secret);
        }
        Ok(())
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
        // What is left is for new keys of the owner's.
        let kept = match link.right {
            Right::Write => limits::SUCCESSIONS,
            Right::Succeed => 0,
        };
        if channel.charter.writers().count() + kept >= limits::LOGS {
            return Err(Refused::TooManyWriters);
        }
        if link.right == Right::Succeed && until.is_some() {
            return Err(Refused::NoEnd);
        }
        let WriterLink { channel: id, writer, right, acceptance, .. } = *link;
        let extensions = link.extensions.clone();
        let can_read = !channel.charter.is_private() || epoch::sealing(&extensions).is_some();
        if !can_read || !charter::has_accepted(&id, &writer, (right, &extensions), &acceptance) {
            return Err(Refused::NotAccepted);
        }
        let until = until.unwrap_or(UnixTime(0));
        let grant = Grant { writer, right, until, acceptance, extensions };
        let name = Label::new(link.name.as_str()).map_err(|_| Refused::TooLarge("the name"))?;
        let item = written(ItemKind::Grant, time, name, grant.to_bytes());
        let at = LogId { channel: id, log: channel.charter.control() };
        self.extend(&at, alloc::vec![item])
    }

    /// Says where on the web a channel of ours is, too.
    // spec: SYNC-57
    pub(crate) fn name_origins(
        &mut self,
        time: UnixTime,
        id: &ChannelId,
        urls: &[OriginUrl],
    ) -> Result<Kept, Refused> {
        let channel = self.governed(id)?;
        if urls.len() > limits::ORIGINS {
            return Err(Refused::TooLarge("the number of origins"));
        }
        let origins = Origins { urls: List::new(urls), extensions: Default::default() };
        let item = written(ItemKind::Origins, time, Label::default(), origins.to_bytes());
        let at = LogId { channel: *id, log: channel.charter.control() };
        self.extend(&at, alloc::vec![item])
    }

    /// Says how far all writers are, and ends what the log `ended` may do; and promises as before
    /// to do so again.
    // spec: SYNC-38, SYNC-66
    pub(crate) fn check(
        &mut self,
        time: UnixTime,
        id: &ChannelId,
        ended: Option<u32>,
    ) -> Result<Kept, Refused> {
        let within = self.governed(id)?.charter.promise().map(Promise::period);
        self.state(time, id, (ended, within))
    }

    /// The same, with another promise, or none.
    // spec: SYNC-66
    pub(crate) fn promise(
        &mut self,
        time: UnixTime,
        id: &ChannelId,
        within: Option<Duration>,
    ) -> Result<Kept, Refused> {
        self.state(time, id, (None, within))
    }

    fn state(
        &mut self,
        time: UnixTime,
        id: &ChannelId,
        (ended, within): (Option<u32>, Option<Duration>),
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
                let state = if ended == Some(log) { LogEnd::Ended } else { LogEnd::Open };
                LogState { log, size: here.size(), root: here.root(), state }
            })
            .collect();
        let within = within.map(|within| within.max(limits::PROMISE_LEAST));
        let extensions = Promise::extensions(time, within);
        let checkpoint = Checkpoint { logs: List::new(&states), extensions };
        let item = written(ItemKind::Checkpoint, time, Label::default(), checkpoint.to_bytes());
        self.extend(&LogId { channel: *id, log: control }, alloc::vec![item])
    }

    /// The channels of this node of which it has promised to say something, and when it does.
    // spec: SYNC-66
    pub(crate) fn promised(&self) -> impl Iterator<Item = (ChannelId, UnixTime)> {
        let ours = |channel: &&Channel| {
            let is_sound = !channel.damaged && !channel.is_frozen();
            is_sound && channel.key(channel.charter.control()).is_some()
        };
        self.channels.values().filter(ours).filter_map(|channel| {
            let promise = channel.charter.promise()?;
            Some((channel.id, promise.renewal()))
        })
    }

    /// The channel, if this node says who may write in it.
    fn governed(&self, id: &ChannelId) -> Result<&Channel, Refused> {
        let channel = self.writable(id)?;
        match channel.key(channel.charter.control()) {
            Some(_) => Ok(channel),
            None => Err(Refused::NotOwner),
        }
    }

    /// Brings logs that have ended in line with what was said of their ends, but for those of this
    /// node: what it has written its owner keeps, and nobody else gets what is void.
    // spec: SYNC-38
    pub(super) fn cut(&mut self, id: &ChannelId) -> Result<(), StoreError> {
        let logs = self.channels.get(id).map_or(0, |channel| channel.logs.len() as u32);
        (0..logs).try_for_each(|log| self.cut_log(&LogId { channel: *id, log }))
    }

    /// A log that has ended has exactly the items that were counted, or what is here is dropped and
    /// fetched anew under the root that was named.
    fn cut_log(&mut self, at: &LogId) -> Result<(), StoreError> {
        let Some(channel) = self.channels.get(&at.channel) else { return Ok(()) };
        let end = channel.charter.writer(at.log).and_then(Writer::end);
        let Some((most, root)) = end else { return Ok(()) };
        if channel.key(at.log).is_some() {
            return self.unsay(at, most);
        }
        let Some(head) = channel.log(at.log).and_then(|log| log.head.as_ref()) else {
            return Ok(());
        };
        let (size, mut counts) = (channel.size(at.log), channel.counts.clone());
        if (head.size, head.root) == (most, root) {
            return Ok(());
        }
        let keep = if size >= most && self.root(at, most)? == root { most } else { 0 };
        let peaks = Tiles { store: &self.store, log: *at }.peaks(keep)?;
        let frontier = Frontier::from_peaks(keep, peaks);
        let proof = Head { size: most, root, signature: [0; 64], edge: Vec::new() };
        let head = (keep > 0).then_some(proof);
        for seq in keep..size {
            let header = self.header(at, seq)?;
            self.remove(Table::Items, &key::item(at, seq))?;
            if let Some(header) = header {
                counts.contents -= u64::from(is_content(header.kind)).min(counts.contents);
                if self.gone(at, seq)?.is_none() {
                    self.uncount(at, seq, &header, &mut counts)?;
                }
            }
            self.remove(Table::Lacking, &key::item(at, seq))?;
        }
        self.put_log(at, (&frontier, head.as_ref()))?;
        self.put_counts(&at.channel, &counts)?;
        if let Some(channel) = self.channels.get_mut(&at.channel) {
            channel.counts = counts;
        }
        if let Some(log) = self.log_mut(at) {
            (log.frontier, log.head) = (frontier, head);
        }
        self.unsay(at, keep)
    }
}

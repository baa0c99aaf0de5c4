//! Who may write in a channel, and how far: what its control log says.

use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;
use mesh_wire::codec::{DecodeError, Extensions, List, Wire};
use mesh_wire::id::{SealingKey, WriterId};
use mesh_wire::message::sync::{
    Checkpoint, EpochKeys, Genesis, Grant, ItemKind, LogEnd, LogState, Origins, Place, Retract,
    Right,
};
use mesh_wire::origin::OriginUrl;
use mesh_wire::sign::{self, Context, SigningKey};
use mesh_wire::{ChannelId, Fault, Hash, Label, UnixTime, layout, limits};

use super::ChannelName;
use super::epoch::{self, NOBODY};
use super::item::Checked;

/// The writers of a channel, and the keys that they have got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Charter {
    /// By the numbers of their logs; nobody until the channel's first item is here.
    writers: Vec<Writer>,
    /// Keys that were given out.
    epochs: u32,
    /// The logs whose writers have got the last one.
    members: Vec<u32>,
    /// Where on the web the channel is, too.
    origins: Vec<OriginUrl>,
    /// By when there is to be a newer checkpoint.
    promise: Option<Promise>,
}

layout! {
    /// What the last checkpoint of a channel says about the next one.
    // spec: SYNC-66
    pub struct Promise {
        /// When it was made, by its writer's clock.
        made: UnixTime,
        /// By when there is to be another one.
        next: UnixTime,
    }
}

layout! {
    /// A charter as it is stored.
    pub struct CharterRecord {
        writers: List<Writer, { limits::LOGS }>,
        epochs: u32,
        members: List<u32, { limits::LOGS }>,
        origins: List<OriginUrl, { limits::ORIGINS }>,
        promise: List<Promise, 1>,
    }
}

layout! {
    /// A writer, as its row is stored, too.
    pub struct Writer {
        /// It signs the log.
        key: WriterId,
        /// How people know it; empty for the origin.
        name: ChannelName,
        /// What it may do.
        right: Right,
        /// When that ends, at the next checkpoint; 0 for never.
        until: UnixTime,
        /// So many items its log may have.
        most: u64,
        /// The root over so many, if a checkpoint has ended it; zeros else.
        root: Hash,
        /// The control item that said the newest of this.
        ruled: Place,
        /// To which keys are sealed for it; zeros in a channel that everybody may read.
        sealing: SealingKey,
    }
}

/// The extension of a checkpoint that says by when there is to be another one.
const NEXT: u64 = 2;
/// No checkpoint has named the root of a log.
const UNKNOWN: Hash = Hash([0; 32]);
/// The control log says what it may not.
const UNRULY: Fault = Fault::Forged("a control item that breaks the rules");

impl Charter {
    /// Reads what [`Charter::to_bytes`] wrote.
    pub(crate) fn from_bytes(bytes: Bytes) -> Result<Self, DecodeError> {
        let CharterRecord { writers, epochs, members, origins, promise } =
            CharterRecord::from_bytes(bytes)?;
        let (writers, members) = (writers.iter().collect(), members.iter().collect());
        let (origins, promise) = (origins.iter().collect(), promise.iter().next());
        Ok(Self { writers, epochs, members, origins, promise })
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        let (writers, members) = (List::new(&self.writers), List::new(&self.members));
        let (epochs, origins) = (self.epochs, List::new(&self.origins));
        let promise = List::new(&self.promise);
        CharterRecord { writers, epochs, members, origins, promise }.to_bytes()
    }

    /// Whether only members read what is written.
    // spec: SYNC-40
    pub(crate) fn is_private(&self) -> bool {
        self.writers.first().is_some_and(|origin| origin.sealing != NOBODY)
    }

    /// Where on the web the channel is, too.
    // spec: SYNC-57
    pub(crate) fn origins(&self) -> &[OriginUrl] {
        &self.origins
    }

    /// By when there is to be a newer checkpoint.
    // spec: SYNC-66
    pub(crate) fn promise(&self) -> Option<&Promise> {
        self.promise.as_ref()
    }

    /// How many keys were given out.
    pub(crate) fn epochs(&self) -> u32 {
        self.epochs
    }

    /// Whether those who may write now are others than those who have the last key.
    // spec: SYNC-41
    pub(crate) fn needs_keys(&self) -> bool {
        let open = self.writers().filter(|(_, writer)| writer.is_open()).map(|(log, _)| log);
        self.is_private() && (self.epochs == 0 || !open.eq(self.members.iter().copied()))
    }

    /// The writer of a log, if there is such a log.
    pub(crate) fn writer(&self, log: u32) -> Option<&Writer> {
        self.writers.get(log as usize)
    }

    /// Every writer, and the number of its log.
    pub(crate) fn writers(&self) -> impl DoubleEndedIterator<Item = (u32, &Writer)> {
        (0..self.writers.len() as u32).zip(&self.writers)
    }

    /// The log in which the channel's control items stand.
    // spec: SYNC-36
    pub(crate) fn control(&self) -> u32 {
        let last = self.writers().rfind(|(_, writer)| writer.right == Right::Succeed);
        last.map_or(0, |(log, _)| log)
    }

    /// How many items a log may have.
    pub(crate) fn most(&self, log: u32) -> u64 {
        self.writer(log).map_or(limits::LOG_ITEMS, |writer| writer.most)
    }

    /// Takes in what an item says about the channel, which most say nothing about.
    // spec: SYNC-3, SYNC-36
    pub(crate) fn rule(
        &mut self,
        channel: &ChannelId,
        place: &Place,
        item: &Checked,
    ) -> Result<(), Fault> {
        if place.seq >= self.most(place.log) {
            return Err(Fault::Forged("items beyond the end of their log"));
        }
        match item.header.kind {
            ItemKind::Text | ItemKind::File => return Ok(()),
            ItemKind::Genesis => return self.open(item),
            ItemKind::Retract => return self.retract(place, item),
            ItemKind::Grant | ItemKind::Checkpoint | ItemKind::Keys | ItemKind::Origins => {}
        }
        if place.log != self.control() || item.header.size > limits::INLINE_BYTES as u64 {
            return Err(UNRULY);
        }
        match item.header.kind {
            ItemKind::Grant => self.grant(channel, place, item),
            ItemKind::Keys => self.give_keys(item),
            ItemKind::Checkpoint => self.check(place, item),
            ItemKind::Origins => {
                self.origins = Origins::from_bytes(item.body.clone())?.urls.iter().collect();
                Ok(())
            }
            ItemKind::Genesis | ItemKind::Retract | ItemKind::Text | ItemKind::File => Ok(()),
        }
    }

    /// The first item of all says who signs log 0.
    fn open(&mut self, item: &Checked) -> Result<(), Fault> {
        let genesis = Genesis::from_bytes(item.body.clone())?;
        self.writers.push(Writer {
            key: genesis.origin,
            name: ChannelName::default(),
            right: Right::Succeed,
            until: UnixTime(0),
            most: limits::LOG_ITEMS,
            root: UNKNOWN,
            ruled: Place { log: 0, seq: 0 },
            sealing: epoch::sealing(&genesis.extensions).unwrap_or(NOBODY),
        });
        Ok(())
    }

    // spec: SYNC-37
    fn grant(&mut self, channel: &ChannelId, place: &Place, item: &Checked) -> Result<(), Fault> {
        let Grant { writer: key, right, until, acceptance, extensions } =
            Grant::from_bytes(item.body.clone())?;
        let sealing = epoch::sealing(&extensions).unwrap_or(NOBODY);
        let name = Label::new(item.header.name.as_str()).map_err(|_| UNRULY)?;
        let is_new = !self.writers.iter().any(|writer| writer.key == key);
        let can_read = !self.is_private() || sealing != NOBODY;
        let has_end = right == Right::Succeed && until > UnixTime(0);
        if !is_new
            || !can_read
            || has_end
            || self.writers.len() >= limits::LOGS
            || !has_accepted(channel, &key, (right, &extensions), &acceptance)
        {
            return Err(UNRULY);
        }
        if right == Right::Succeed
            && let Some(before) = self.writers.get_mut(place.log as usize)
        {
            before.most = place.seq + 1;
        }
        let (most, root, ruled) = (limits::LOG_ITEMS, UNKNOWN, place.clone());
        self.writers.push(Writer { key, name, right, until, most, root, ruled, sealing });
        Ok(())
    }

    /// Whether a writer may say that of these items. What it says changes no charter.
    // spec: SYNC-44
    fn retract(&self, place: &Place, item: &Checked) -> Result<(), Fault> {
        let retract = Retract::from_bytes(item.body.clone())?;
        let writer = self.writer(place.log).ok_or(UNRULY)?;
        let may = |Place { log, seq }: Place| match writer.right {
            _ if log == place.log => seq < place.seq,
            Right::Succeed => self.writer(log).is_some() && seq < limits::LOG_ITEMS,
            Right::Write => false,
        };
        let is_inline = item.header.size <= limits::INLINE_BYTES as u64;
        if is_inline && retract.items.iter().all(may) { Ok(()) } else { Err(UNRULY) }
    }

    // spec: SYNC-41
    fn give_keys(&mut self, item: &Checked) -> Result<(), Fault> {
        let EpochKeys { epoch, keys, .. } = EpochKeys::from_bytes(item.body.clone())?;
        let members: Vec<u32> = keys.iter().map(|key| key.log).collect();
        let are_logs = members.last().is_none_or(|last| self.writer(*last).is_some());
        if !self.is_private()
            || epoch != self.epochs
            || !members.is_sorted_by(|a, b| a < b)
            || !are_logs
        {
            return Err(UNRULY);
        }
        (self.epochs, self.members) = (self.epochs + 1, members);
        Ok(())
    }

    // spec: SYNC-38
    fn check(&mut self, place: &Place, item: &Checked) -> Result<(), Fault> {
        let checkpoint = Checkpoint::from_bytes(item.body.clone())?;
        let mut last = None;
        for LogState { log, size, root, .. } in checkpoint.logs.iter() {
            let ascends = last.replace(log).is_none_or(|last| last < log);
            let is_other = log != place.log && self.writer(log).is_some();
            let has_root = (size == 0) == (root == UNKNOWN);
            if !ascends || !is_other || !has_root || size >= limits::LOG_ITEMS {
                return Err(UNRULY);
            }
        }
        for LogState { log, size, root, state } in checkpoint.logs.iter() {
            let Some(writer) = self.writers.get_mut(log as usize) else { continue };
            let is_over = writer.is_over(item.header.time);
            if writer.is_open() && (state == LogEnd::Ended || is_over) {
                (writer.most, writer.root) = (size, root);
                writer.ruled = place.clone();
            }
        }
        let next = checkpoint.extensions.get(NEXT);
        let next = next.and_then(|next| UnixTime::from_bytes(next).ok());
        self.promise = next.map(|next| Promise { made: item.header.time, next });
        Ok(())
    }
}

impl Promise {
    /// How long it is for.
    pub(crate) fn period(&self) -> Duration {
        Duration::from_millis(self.next.0.saturating_sub(self.made.0))
    }

    /// When whoever made it makes the next one.
    pub(crate) fn renewal(&self) -> UnixTime {
        UnixTime(self.made.0.saturating_add(self.period().as_millis() as u64 / 2))
    }

    /// A checkpoint's extensions, if it is made at `time` and promises another one within a time.
    pub(crate) fn extensions(time: UnixTime, within: Option<Duration>) -> Extensions {
        let next = |within: Duration| {
            let next = UnixTime(time.0.saturating_add(within.as_millis() as u64));
            Extensions::one(NEXT, &next.min(UnixTime::MAX).to_bytes())
        };
        within.and_then(next).unwrap_or_default()
    }
}

impl Writer {
    /// Whether its log may grow, as far as is known.
    pub(crate) fn is_open(&self) -> bool {
        self.most == limits::LOG_ITEMS
    }

    /// The head that proves its log for good, in place of any signature of its own.
    // spec: SYNC-38
    pub(crate) fn end(&self) -> Option<(u64, Hash)> {
        (!self.is_open() && (self.root != UNKNOWN || self.most == 0))
            .then_some((self.most, self.root))
    }

    /// Whether its time is over, and nobody has said how far it came.
    pub(crate) fn is_over(&self, now: UnixTime) -> bool {
        self.ends() && self.until <= now
    }

    /// Whether its right has an end that has not come yet.
    pub(crate) fn ends(&self) -> bool {
        self.is_open() && self.until > UnixTime(0)
    }
}

/// What is signed by somebody who takes a right.
// spec: SYNC-37
fn consent(channel: &ChannelId, (right, extensions): (Right, &Extensions)) -> Vec<u8> {
    let mut bytes = channel.to_bytes().to_vec();
    right.write(&mut bytes);
    extensions.write(&mut bytes);
    bytes
}

/// Takes a right in a channel.
pub(crate) fn accept(
    key: &SigningKey,
    channel: &ChannelId,
    right: (Right, &Extensions),
) -> [u8; 64] {
    key.sign(Context::Acceptance, &consent(channel, right))
}

/// Whether `writer` has taken a right in a channel.
pub(crate) fn has_accepted(
    channel: &ChannelId,
    writer: &WriterId,
    right: (Right, &Extensions),
    acceptance: &[u8; 64],
) -> bool {
    sign::verify(writer, Context::Acceptance, &consent(channel, right), acceptance).is_ok()
}

//! Who may write in a channel, and how far: what its control log says.

use alloc::vec::Vec;

use bytes::Bytes;
use mesh_wire::codec::{DecodeError, List, Wire};
use mesh_wire::id::WriterId;
use mesh_wire::message::sync::{Checkpoint, Genesis, Grant, ItemKind, LogState, Right, Standing};
use mesh_wire::sign::{self, Context, SigningKey};
use mesh_wire::{ChannelId, Fault, Label, UnixTime, layout, limits};

use super::ChannelName;
use super::item::Checked;

/// The writers of a channel, by the numbers of their logs; nobody until its first item is here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Charter(Vec<Writer>);

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
        /// The control item that said the newest of this.
        ruled: Place,
    }
}

layout! {
    /// Where an item stands.
    pub struct Place {
        /// In which log of its channel.
        log: u32,
        /// Its number there.
        seq: u64,
    }
}

/// The control log says what it may not.
const UNRULY: Fault = Fault::Forged("a control item that breaks the rules");

impl Charter {
    /// Reads what [`Charter::to_bytes`] wrote.
    pub(crate) fn from_bytes(bytes: Bytes) -> Result<Self, DecodeError> {
        let writers = List::<Writer, { limits::LOGS }>::from_bytes(bytes)?;
        Ok(Self(writers.iter().collect()))
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        List::<Writer, { limits::LOGS }>::new(&self.0).to_bytes()
    }

    /// The writer of a log, if there is such a log.
    pub(crate) fn writer(&self, log: u32) -> Option<&Writer> {
        self.0.get(log as usize)
    }

    /// Every writer, and the number of its log.
    pub(crate) fn writers(&self) -> impl DoubleEndedIterator<Item = (u32, &Writer)> {
        (0..self.0.len() as u32).zip(&self.0)
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
            ItemKind::Grant | ItemKind::Checkpoint => {}
        }
        if place.log != self.control() || item.header.size > limits::INLINE_BYTES as u64 {
            return Err(UNRULY);
        }
        if item.header.kind == ItemKind::Grant {
            self.grant(channel, place, item)
        } else {
            self.check(place, item)
        }
    }

    /// The first item of all says who signs log 0.
    fn open(&mut self, item: &Checked) -> Result<(), Fault> {
        let genesis = Genesis::from_bytes(item.body.clone())?;
        self.0.push(Writer {
            key: genesis.origin,
            name: ChannelName::default(),
            right: Right::Succeed,
            until: UnixTime(0),
            most: limits::LOG_ITEMS,
            ruled: Place { log: 0, seq: 0 },
        });
        Ok(())
    }

    // spec: SYNC-37
    fn grant(&mut self, channel: &ChannelId, place: &Place, item: &Checked) -> Result<(), Fault> {
        let Grant { writer: key, right, until, acceptance, .. } =
            Grant::from_bytes(item.body.clone())?;
        let name = Label::new(item.header.name.as_str()).map_err(|_| UNRULY)?;
        let is_new = !self.0.iter().any(|writer| writer.key == key);
        if !is_new
            || self.0.len() >= limits::LOGS
            || !has_accepted(channel, &key, right, &acceptance)
        {
            return Err(UNRULY);
        }
        if right == Right::Succeed
            && let Some(before) = self.0.get_mut(place.log as usize)
        {
            before.most = place.seq + 1;
        }
        let (most, ruled) = (limits::LOG_ITEMS, place.clone());
        self.0.push(Writer { key, name, right, until, most, ruled });
        Ok(())
    }

    // spec: SYNC-38
    fn check(&mut self, place: &Place, item: &Checked) -> Result<(), Fault> {
        let checkpoint = Checkpoint::from_bytes(item.body.clone())?;
        let mut last = None;
        for LogState { log, size, .. } in checkpoint.logs.iter() {
            let ascends = last.replace(log).is_none_or(|last| last < log);
            let is_other = log != place.log && self.writer(log).is_some();
            if !ascends || !is_other || size > limits::LOG_ITEMS {
                return Err(UNRULY);
            }
        }
        for LogState { log, size, state } in checkpoint.logs.iter() {
            let Some(writer) = self.0.get_mut(log as usize) else { continue };
            let is_over = writer.is_over(item.header.time);
            if writer.is_open() && (state == Standing::Ended || is_over) {
                writer.most = size;
                writer.ruled = place.clone();
            }
        }
        Ok(())
    }
}

impl Writer {
    /// Whether its log may grow, as far as is known.
    pub(crate) fn is_open(&self) -> bool {
        self.most == limits::LOG_ITEMS
    }

    /// Whether its time is over, and nobody has said how far it came.
    pub(crate) fn is_over(&self, now: UnixTime) -> bool {
        self.is_open() && self.until > UnixTime(0) && self.until <= now
    }
}

/// What is signed by somebody who takes a right.
// spec: SYNC-37
fn consent(channel: &ChannelId, right: Right) -> Vec<u8> {
    let mut bytes = channel.to_bytes().to_vec();
    right.write(&mut bytes);
    bytes
}

/// Takes a right in a channel.
pub(crate) fn accept(key: &SigningKey, channel: &ChannelId, right: Right) -> [u8; 64] {
    key.sign(Context::Acceptance, &consent(channel, right))
}

/// Whether `writer` has taken a right in a channel.
pub(crate) fn has_accepted(
    channel: &ChannelId,
    writer: &WriterId,
    right: Right,
    acceptance: &[u8; 64],
) -> bool {
    sign::verify(writer, Context::Acceptance, &consent(channel, right), acceptance).is_ok()
}

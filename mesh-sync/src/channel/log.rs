//! A log: the items that are here are a prefix of it, and one signed head proves all of them.

use alloc::vec::Vec;

use mesh_wire::message::sync::{Item, ItemKind, Items, Place};
use mesh_wire::{Fault, Hash, limits};

use super::charter::{Charter, Writer};
use super::head::Head;
use super::item::{self, Checked};
use super::record::LogRecord;
use super::{Channel, LogId, ORIGIN, is_first};
use crate::merkle::proof;
use crate::merkle::tiles::Tiles;
use crate::merkle::tree::{Frontier, Made};
use crate::store::{Store, StoreError, Table, key};

/// A prefix of a log.
#[derive(Default)]
pub(crate) struct Log {
    /// The tree over the items that are here.
    pub(crate) frontier: Frontier,
    /// What proves it; `None` as long as nothing is here.
    pub(crate) head: Option<Head>,
    /// The content of some items may be lacking: what is, the store has noted.
    pub(crate) patchy: bool,
    /// There is a proof that its writer has signed two histories: it is frozen.
    pub(crate) forked: bool,
}

/// A run of items that its writer signed, ready to be kept.
pub(crate) struct Verified {
    pub(crate) log: u32,
    /// The items that are new, and their sequence numbers from this on.
    pub(crate) items: Vec<(Item, Checked)>,
    pub(crate) first: u64,
    /// The log with them.
    pub(crate) frontier: Frontier,
    pub(crate) head: Head,
    pub(crate) made: Vec<Made>,
    /// The channel's charter with them.
    pub(crate) charter: Charter,
}

impl Log {
    /// Reads a log; `None` if what is stored is not what was signed.
    pub(crate) fn load<S: Store>(
        store: &S,
        at: &LogId,
        record: &LogRecord,
        writer: &Writer,
    ) -> Result<Option<Self>, StoreError> {
        if record.size == 0 {
            return Ok(Some(Self::default()));
        }
        let is_proven = |head: &Head| {
            writer.end() == Some((head.size, head.root)) || head.is_signed(&writer.key, at)
        };
        let frontier =
            Frontier::from_peaks(record.size, Tiles { store, log: *at }.peaks(record.size)?);
        let edge: Vec<Hash> = record.edge.iter().collect();
        let head = proof::root(&frontier, &edge, record.head).map(|root| Head {
            size: record.head,
            root,
            signature: record.signature,
            edge,
        });
        let head = head.filter(is_proven);
        let mut patchy = false;
        store.scan(Table::Lacking, &key::log(at), &mut |key, _| {
            patchy = key.starts_with(&key::log(at));
            false
        })?;
        Ok(head.map(|head| Self { frontier, head: Some(head), patchy, ..Self::default() }))
    }

    /// How many items are here.
    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root over them; 32 zero bytes over none.
    pub(crate) fn root(&self) -> Hash {
        self.frontier.root().unwrap_or(Hash([0; 32]))
    }

    /// Whether this very signature for this very root has been verified already.
    fn is_proven(&self, head: &Head) -> bool {
        let before = self.head.as_ref();
        let fields = |head: &Head| (head.size, head.root, head.signature);
        before.is_some_and(|before| fields(before) == fields(head))
    }
}

/// The items continue something else, or nothing that their writer has signed.
pub(crate) const UNSIGNED: Fault = Fault::Forged("items that their writer did not sign");

/// Checks a run that begins at or before the end of its log and reaches beyond it, of a log that
/// the channel has.
// spec: SYNC-6, SYNC-36
pub(crate) fn verify(channel: &Channel, run: &Items) -> Result<Verified, Fault> {
    let at = LogId { channel: channel.id, log: run.log };
    let log = channel.log(run.log).ok_or(Fault::Protocol("a log that nobody has opened"))?;
    let first = log.size();
    let skip = usize::try_from(first.saturating_sub(run.first)).unwrap_or(usize::MAX);
    let (mut frontier, mut charter) = (log.frontier.clone(), channel.charter.clone());
    let (mut items, mut made) = (Vec::with_capacity(run.items.len()), Vec::new());
    for (item, seq) in run.items.iter().skip(skip).zip(first..) {
        let place = Place { log: run.log, seq };
        let checked = item::check(&place, &item)?;
        if seq == 0 && run.log == ORIGIN && !is_first(&channel.id, &item) {
            return Err(Fault::Forged("a first item of another channel"));
        }
        if checked.header.kind == ItemKind::Genesis {
            charter.rule(&channel.id, &place, &checked)?;
        }
        frontier.push(checked.leaf, &mut made);
        items.push((item, checked));
    }
    if run.size < frontier.size() || run.size > limits::LOG_ITEMS {
        return Err(Fault::Forged("a head of an impossible size"));
    }
    let edge: Vec<Hash> = run.edge.iter().collect();
    let root = proof::root(&frontier, &edge, run.size)
        .ok_or(Fault::Forged("an edge of the wrong length"))?;
    let head = Head { size: run.size, root, signature: run.signature, edge };
    let writer = charter.writer(run.log).ok_or(UNSIGNED)?;
    let is_proven = match writer.end() {
        Some(end) => end == (head.size, head.root),
        None => log.is_proven(&head) || head.is_signed(&writer.key, &at),
    };
    if !is_proven {
        return Err(UNSIGNED);
    }
    // Only what its writer has signed is looked at as a ruling, and blamed if it is none.
    for ((_, checked), seq) in items.iter().zip(first..) {
        if checked.header.kind != ItemKind::Genesis {
            charter.rule(&channel.id, &Place { log: run.log, seq }, checked)?;
        }
    }
    Ok(Verified { log: run.log, items, first, frontier, head, made, charter })
}

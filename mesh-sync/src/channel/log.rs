//! A log: the items that are here are a prefix of it, and one signed head proves all of them.

use alloc::vec::Vec;

use mesh_wire::message::sync::{Item, Items};
use mesh_wire::{ChannelId, Fault, Hash, limits};

use super::head::Head;
use super::item::{self, Checked};
use super::record::Record;
use super::{Channel, Known, LOG, is_first};
use crate::merkle::proof;
use crate::merkle::tiles::Tiles;
use crate::merkle::tree::{Frontier, Made};
use crate::store::{Store, StoreError};

/// A prefix of a log.
#[derive(Default)]
pub(crate) struct Log {
    /// The tree over the items that are here.
    pub(crate) frontier: Frontier,
    /// What proves it; `None` as long as nothing is here.
    pub(crate) head: Option<Head>,
}

/// A run of items that its writer signed, ready to be kept.
pub(crate) struct Verified {
    pub(crate) known: Known,
    /// The items that are new, and their sequence numbers from this on.
    pub(crate) items: Vec<(Item, Checked)>,
    pub(crate) first: u64,
    /// The log with them.
    pub(crate) log: Log,
    pub(crate) made: Vec<Made>,
}

impl Log {
    /// Reads a log; `None` if what is stored is not what was signed.
    pub(crate) fn load<S: Store>(
        store: &S,
        channel: ChannelId,
        record: &Record,
        known: &Known,
    ) -> Result<Option<Self>, StoreError> {
        let tiles = Tiles { store, channel, log: LOG };
        let peaks = match tiles.peaks(record.size) {
            Err(StoreError::Damaged(_)) => return Ok(None),
            peaks => peaks?,
        };
        let frontier = Frontier::from_peaks(record.size, peaks);
        let edge: Vec<Hash> = record.edge.iter().collect();
        let head = proof::root(&frontier, &edge, record.head).map(|root| Head {
            size: record.head,
            root,
            signature: record.signature,
            edge,
        });
        let head = head.filter(|head| head.is_signed(&known.origin, &channel));
        Ok(head.map(|head| Self { frontier, head: Some(head) }))
    }

    /// How many items are here.
    pub(crate) fn size(&self) -> u64 {
        self.frontier.size()
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

/// Checks a run that begins at or before the end of the log and reaches beyond it.
// spec: SYNC-6
pub(crate) fn verify(channel: &Channel, run: &Items) -> Result<Verified, Fault> {
    let log = &channel.log;
    let first = log.size();
    let skip = usize::try_from(first.saturating_sub(run.first)).unwrap_or(usize::MAX);
    let mut frontier = log.frontier.clone();
    let (mut items, mut made) = (Vec::with_capacity(run.items.len()), Vec::new());
    for (item, seq) in run.items.iter().skip(skip).zip(first..) {
        let checked = item::check(seq, &item)?;
        frontier.push(checked.leaf, &mut made);
        items.push((item, checked));
    }
    let known = match (&channel.genesis, items.first()) {
        (Some(known), _) => known.clone(),
        (None, Some((item, _))) if is_first(&channel.id, item) => {
            Known::read(item).ok_or(Fault::Forged("a genesis item without a key"))?
        }
        (None, _) => return Err(Fault::Forged("a first item of another channel")),
    };
    if run.size < frontier.size() || run.size > limits::LOG_ITEMS {
        return Err(Fault::Forged("a head of an impossible size"));
    }
    let edge: Vec<Hash> = run.edge.iter().collect();
    let root = proof::root(&frontier, &edge, run.size)
        .ok_or(Fault::Forged("an edge of the wrong length"))?;
    let head = Head { size: run.size, root, signature: run.signature, edge };
    if !log.is_proven(&head) && !head.is_signed(&known.origin, &channel.id) {
        return Err(UNSIGNED);
    }
    Ok(Verified { known, items, first, log: Log { frontier, head: Some(head) }, made })
}

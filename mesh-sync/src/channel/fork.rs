//! A fork: two histories of one log, both signed by its writer.

use alloc::vec::Vec;

use mesh_wire::codec::Wire;
use mesh_wire::id::WriterId;
use mesh_wire::message::sync::{Branch, Fork, Genesis};
use mesh_wire::{Fault, Hash, limits};

use super::head::Head;
use super::{LogId, ORIGIN, is_first, name};
use crate::merkle::proof;
use crate::merkle::tree::Frontier;
use crate::store::{Store, StoreError, Table, key};

/// Checks what somebody says was signed about the beginning of a log: every branch is genuine, and
/// two differ. `writer` signs the log; of the origin's the fork says itself who does.
// spec: SYNC-34
pub(crate) fn verify(at: &LogId, fork: &Fork, writer: Option<&WriterId>) -> Result<(), Fault> {
    if fork.end == 0 || fork.end > limits::LOG_ITEMS || fork.branches.is_empty() {
        return Err(Fault::Protocol("a fork of nothing"));
    }
    let mut peaks = fork.branches.iter().map(|branch| branch.peaks);
    if let (Some(one), Some(other)) = (peaks.next(), peaks.next())
        && one == other
    {
        return Err(Fault::Forged("a fork of equal branches"));
    }
    let genesis = Some(&fork.genesis).filter(|item| is_first(&at.channel, item));
    let genesis = genesis.filter(|item| name(item).is_some());
    let genesis = genesis.and_then(|item| Genesis::from_bytes(item.body.bytes().clone()).ok());
    let origin = genesis.ok_or(Fault::Forged("a first item of another channel"))?.origin;
    let writer = if at.log == ORIGIN { Some(&origin) } else { writer };
    let writer = writer.ok_or(Fault::Protocol("a log that nobody has opened"))?;
    match fork.branches.iter().all(|branch| is_genuine(at, writer, fork.end, &branch)) {
        true => Ok(()),
        false => Err(Fault::Forged("a branch that its writer did not sign")),
    }
}

/// Whether the writer signed a log that begins so.
fn is_genuine(at: &LogId, writer: &WriterId, end: u64, branch: &Branch) -> bool {
    let peaks: Vec<Hash> = branch.peaks.iter().collect();
    if peaks.len() != end.count_ones() as usize || branch.size < end {
        return false;
    }
    let edge: Vec<Hash> = branch.edge.iter().collect();
    let (size, signature) = (branch.size, branch.signature);
    let root = proof::root(&Frontier::from_peaks(end, peaks), &edge, size);
    root.is_some_and(|root| {
        let head = Head { size, root, signature, edge };
        size <= limits::LOG_ITEMS && head.is_signed(writer, at)
    })
}

/// The fork that was shown, if it is still what it was.
// spec: SYNC-35
pub(crate) fn load<S: Store>(
    store: &S,
    at: &LogId,
    writer: Option<&WriterId>,
) -> Result<Option<Fork>, StoreError> {
    let bytes = store.get(Table::Forks, &key::log(at))?;
    let fork = bytes.and_then(|bytes| Fork::from_bytes(bytes).ok());
    Ok(fork.filter(|fork| fork.branches.len() == 2 && verify(at, fork, writer).is_ok()))
}

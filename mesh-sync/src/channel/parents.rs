//! What the writer of an item had read.

use alloc::vec::Vec;

use mesh_wire::codec::{List, Wire};
use mesh_wire::message::sync::{ItemHeader, Parents, Place};

/// The extension of a header that holds [`Parents`].
const PARENTS: u64 = 3;

/// The items of other logs that this one of `log` names; none if it does not keep the rules.
// spec: SYNC-49
pub(crate) fn of(log: u32, header: &ItemHeader) -> Vec<Place> {
    let named = header.extensions.get(PARENTS).and_then(|bytes| Parents::from_bytes(bytes).ok());
    let named: Vec<Place> = named.iter().flat_map(|parents| parents.items.iter()).collect();
    let ascends = named.is_sorted_by(|one, next| one.log < next.log);
    if ascends && named.iter().all(|place| place.log != log) { named } else { Vec::new() }
}

/// Names them.
// spec: SYNC-49
pub(crate) fn name(header: &mut ItemHeader, parents: &[Place]) {
    let content = Parents { items: List::new(parents) }.to_bytes();
    let named = header.extensions.with(PARENTS, &content).filter(|_| !parents.is_empty());
    if let Some(extensions) = named {
        header.extensions = extensions;
    }
}

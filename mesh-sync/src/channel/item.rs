//! One item: its header, which the log proves, and its content, which the header proves.

use bytes::Bytes;
use mesh_wire::codec::Wire;
use mesh_wire::message::sync::{Item, ItemHeader, ItemKind, Place};
use mesh_wire::{Fault, Hash, limits};

use super::ORIGIN;
use crate::library::is_content;
use crate::merkle::tree;

/// An item that keeps the rules that concern it alone, and its leaf.
pub(crate) struct Checked {
    pub(crate) header: ItemHeader,
    pub(crate) body: Bytes,
    pub(crate) leaf: Hash,
}

/// Checks all that can be checked of an item without its log.
// spec: SYNC-3
pub(crate) fn check(place: &Place, item: &Item) -> Result<Checked, Fault> {
    let bytes = item.header.bytes();
    let header = ItemHeader::from_bytes(bytes.clone())?;
    let is_first = *place == Place { log: ORIGIN, seq: 0 };
    if (header.kind == ItemKind::Genesis) != is_first {
        return Err(Fault::Forged("a genesis item that is not first, or none that is"));
    }
    if is_first && header.name.as_str().len() > limits::CHANNEL_NAME_BYTES {
        return Err(Fault::Forged("a channel name that is too long"));
    }
    if header.size > limits::BLOB_BYTES {
        return Err(Fault::Forged("content larger than any blob"));
    }
    let body = item.body.bytes();
    if !holds(&header, body) && !is_bare(&header, body) {
        return Err(Fault::Forged("content that is not what its header says"));
    }
    Ok(Checked { header, body: item.body.bytes().clone(), leaf: tree::leaf(bytes) })
}

/// Whether the content of a text or a file is left out.
// spec: SYNC-45
pub(crate) fn is_bare(header: &ItemHeader, body: &[u8]) -> bool {
    let travels_inside = (1..=limits::INLINE_BYTES as u64).contains(&header.size);
    is_content(header.kind) && travels_inside && body.is_empty()
}

/// Whether `body` is the content that `header` names, or nothing where that is a blob.
// spec: SYNC-3
pub(crate) fn holds(header: &ItemHeader, body: &[u8]) -> bool {
    if header.size > limits::INLINE_BYTES as u64 {
        return body.is_empty();
    }
    header.size == body.len() as u64 && header.hash.0 == *blake3::hash(body).as_bytes()
}

//! A head: the writer's signature over the root of its log.

use alloc::vec::Vec;

use mesh_wire::Hash;
use mesh_wire::codec::{Wire, varint};
use mesh_wire::id::WriterId;
use mesh_wire::sign::{self, Context, SigningKey};

use super::LogId;

/// A head that was verified, and what stands right of the items that are here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The size of the log it is about.
    pub(crate) size: u64,
    pub(crate) root: Hash,
    pub(crate) signature: [u8; 64],
    /// The roots right of our items in a tree of `size` leaves (SYNC-7); nothing if we have all.
    pub(crate) edge: Vec<Hash>,
}

/// What is signed.
// spec: SYNC-5
fn message(at: &LogId, size: u64, root: &Hash) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(80);
    at.channel.write(&mut bytes);
    varint::write(u64::from(at.log), &mut bytes);
    varint::write(size, &mut bytes);
    root.write(&mut bytes);
    bytes
}

/// Signs the root of a log of `size` items.
// spec: SYNC-5
pub(crate) fn sign(key: &SigningKey, at: &LogId, size: u64, root: &Hash) -> [u8; 64] {
    key.sign(Context::LogHead, &message(at, size, root))
}

impl Head {
    /// Whether `writer` signed it.
    // spec: SYNC-5
    pub(crate) fn is_signed(&self, writer: &WriterId, at: &LogId) -> bool {
        let message = message(at, self.size, &self.root);
        sign::verify(writer, Context::LogHead, &message, &self.signature).is_ok()
    }
}

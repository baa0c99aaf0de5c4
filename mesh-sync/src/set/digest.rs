//! What is hashed: nodes of the tree, once and for all; what a round says about them, under a salt
//! that nobody could know before the session began.

use alloc::vec::Vec;
use core::fmt;
use core::hash::Hasher as _;

use mesh_wire::Hash;
use siphasher::sip::SipHasher13;

use super::key::Key;

/// The text whose derived key marks a leaf.
#[cfg(test)]
const LEAF_CONTEXT: &str = "mesh/1 leaf of a set";
/// The text whose derived key marks a branch.
#[cfg(test)]
const BRANCH_CONTEXT: &str = "mesh/1 branch of a set";
/// The text of the keys of a round.
const ROUND_CONTEXT: &str = "mesh/1 round about a set";

/// `blake3::derive_key(LEAF_CONTEXT, [])`.
const LEAF_KEY: [u8; 32] = [
    0x0d, 0x96, 0x91, 0xd2, 0x31, 0xb7, 0x95, 0xba, 0xa8, 0xe3, 0x9e, 0xb3, 0x93, 0x18, 0xab, 0xf1,
    0x49, 0xad, 0x57, 0x27, 0x61, 0xb0, 0x21, 0x9d, 0xf7, 0x16, 0x42, 0xf6, 0x28, 0xf2, 0x60, 0xaa,
];
/// `blake3::derive_key(BRANCH_CONTEXT, [])`.
const BRANCH_KEY: [u8; 32] = [
    0xd1, 0xf9, 0x84, 0x24, 0x86, 0xe2, 0xdb, 0xac, 0x0e, 0x0d, 0x38, 0x69, 0x37, 0x00, 0x45, 0xba,
    0x9b, 0x3a, 0x7e, 0x7b, 0x8d, 0x52, 0x96, 0xfd, 0x6a, 0xb6, 0xf3, 0x7c, 0x0d, 0x40, 0x03, 0xf2,
];

/// The hash of a place with few keys.
// spec: SYNC-26
pub(crate) fn leaf(keys: &[Key]) -> Hash {
    let mut hasher = blake3::Hasher::new_keyed(&LEAF_KEY);
    for key in keys {
        hasher.update(&key.to_bytes());
    }
    Hash(*hasher.finalize().as_bytes())
}

/// The hash of a place with many keys, from the places below it by nibble.
// spec: SYNC-26
pub(crate) fn branch(children: impl IntoIterator<Item = (u8, Hash)>) -> Hash {
    Hash(*listed(&BRANCH_KEY, children).as_bytes())
}

fn listed(key: &[u8; 32], children: impl IntoIterator<Item = (u8, Hash)>) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for (nibble, hash) in children {
        hasher.update(&[nibble]).update(hash.as_bytes());
    }
    hasher.finalize()
}

/// The secret of one round: digests and short ids mean nothing without it, so nobody who makes
/// items can make them collide.
// spec: SYNC-27
#[derive(Clone)]
pub(crate) struct Salt {
    digests: [u8; 32],
    ids: SipHasher13,
}

impl Salt {
    /// The salt of round `serial` in the session `binding`.
    pub(crate) fn new(binding: &[u8; 32], serial: u32) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(ROUND_CONTEXT);
        hasher.update(binding).update(&serial.to_be_bytes());
        let mut keys = hasher.finalize_xof();
        let (mut digests, mut ids) = ([0; 32], [0; 16]);
        keys.fill(&mut digests);
        keys.fill(&mut ids);
        Self { digests, ids: SipHasher13::new_with_key(&ids) }
    }

    /// What a spine says about some places.
    // spec: SYNC-28
    pub(crate) fn digest(&self, places: &[(u8, Hash)]) -> [u8; 8] {
        let hash = listed(&self.digests, places.iter().copied());
        let mut digest = [0; 8];
        digest.iter_mut().zip(hash.as_bytes()).for_each(|(to, from)| *to = *from);
        digest
    }

    /// What an item is called in this round.
    // spec: SYNC-27
    pub(crate) fn short_id(&self, key: &Key) -> u64 {
        let mut hasher = self.ids;
        hasher.write(&key.to_bytes());
        hasher.finish()
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(…)")
    }
}

/// Short ids as they travel.
// spec: SYNC-27
pub(crate) fn to_wire(ids: impl IntoIterator<Item = u64>) -> Vec<[u8; 8]> {
    ids.into_iter().map(u64::to_le_bytes).collect()
}

#[cfg(test)]
mod unit {
    use super::*;

    // spec: SYNC-26
    #[test]
    fn the_keys_are_derived_from_their_contexts() {
        assert_eq!(LEAF_KEY, blake3::derive_key(LEAF_CONTEXT, &[]));
        assert_eq!(BRANCH_KEY, blake3::derive_key(BRANCH_CONTEXT, &[]));
    }
}

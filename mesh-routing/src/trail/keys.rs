//! What is hashed under a find key: everything by which those who hold it know each other, and
//! which tells nobody else anything.

use mesh_wire::{FindKey, HopTag};

/// The first byte of what is hashed, so that no hash can be taken for another.
#[derive(Clone, Copy)]
enum Use {
    Asked = 0,
    Answered = 1,
    Has = 2,
    Registered = 3,
    Named = 4,
    Shaken = 5,
}

fn hash<const N: usize>(key: &FindKey, what: Use, parts: &[&[u8]]) -> [u8; N] {
    let mut hasher = blake3::Hasher::new_keyed(&key.0);
    hasher.update(&[what as u8]);
    for part in parts {
        hasher.update(part);
    }
    // No more than 32 are wanted.
    hasher.finalize().as_bytes().first_chunk().copied().unwrap_or([0; N])
}

/// What a FIND bears for those who hold the key.
// spec: ROUTE-4
pub(super) fn tag(key: &FindKey, id: &[u8; 8]) -> [u8; 8] {
    hash(key, Use::Asked, &[id])
}

/// Hides how much the asker has.
// spec: ROUTE-4
pub(super) fn state(key: &FindKey, id: &[u8; 8], size: u64) -> [u8; 4] {
    hash(key, Use::Has, &[id, &size.to_be_bytes()])
}

/// Shows that an answer is from somebody who holds the key.
// spec: ROUTE-7
pub(super) fn proof(key: &FindKey, id: &[u8; 8], (answer, last): (u8, HopTag)) -> [u8; 16] {
    hash(key, Use::Answered, &[id, &[answer], &last.0])
}

/// What an anchor knows who answers to the key by, for an hour.
// spec: ROUTE-23
pub(super) fn registration(key: &FindKey, hour: u64) -> [u8; 8] {
    hash(key, Use::Registered, &[&hour.to_be_bytes()])
}

/// The name of a flow between two who hold `key`, to whom it says so.
// spec: ROUTE-14
#[must_use]
pub fn flow_name(key: &FindKey, nonce: [u8; 4]) -> [u8; 8] {
    let [a, b, c, d] = nonce;
    let [e, f, g, h] = hash(key, Use::Named, &[&nonce]);
    [a, b, c, d, e, f, g, h]
}

/// What stands for a private network in a handshake between two who hold `key`: nobody else can
/// take part in it, or take the place of one of them.
// spec: ROUTE-14
#[must_use]
pub fn network_of(key: &FindKey, network: &[u8; 32]) -> [u8; 32] {
    hash(key, Use::Shaken, &[network])
}

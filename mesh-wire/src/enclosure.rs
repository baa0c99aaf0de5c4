//! Blobs that only those read who have their key: sealed group by group, so that each can be opened
//! by itself, and none passed off as another, or as the last one.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

use crate::limits;
use crate::seal::{Cipher, Forged, MakeCipher, TAG_BYTES};

/// Bytes of content in one group: sealed, it is a group of the blob.
pub const OPEN_GROUP_BYTES: usize = limits::GROUP_BYTES - TAG_BYTES;

/// The key of one sealed blob. Wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct BlobKey(Zeroizing<[u8; 32]>);

impl BlobKey {
    /// A key of 32 random bytes, for one blob only.
    #[must_use]
    pub fn from_array(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub(crate) fn to_array(&self) -> [u8; 32] {
        *self.0
    }
}

impl fmt::Debug for BlobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlobKey(…)")
    }
}

/// A length that tells little about `length`, at most 12 % above it: Padmé, from "Reducing Metadata
/// Leakage from Encrypted Files and Communication with PURBs" (Nikitin et al., 2019). Of a length
/// whose highest binary digit is number E, only that one and as many more may be 1 as E has digits.
// spec: SYNC-48
#[must_use]
pub const fn padded(length: u64) -> u64 {
    if length < 2 {
        return length;
    }
    let exponent = length.ilog2();
    let free = (1 << (exponent - exponent.ilog2() - 1)) - 1;
    length.saturating_add(free) & !free
}

/// Bytes of content, with what pads them, of a sealed blob with `size` bytes of content.
// spec: SYNC-48
const fn padded_content(size: u64) -> u64 {
    let padded = padded(size);
    // Sealed, it is larger than what travels inside an item.
    if padded < limits::INLINE_BYTES as u64 { limits::INLINE_BYTES as u64 } else { padded }
}

/// Bytes of a sealed blob with `size` bytes of content.
// spec: SYNC-47, SYNC-48
#[must_use]
pub const fn sealed_size(size: u64) -> u64 {
    let padded = padded_content(size);
    padded.saturating_add(padded.div_ceil(OPEN_GROUP_BYTES as u64) * TAG_BYTES as u64)
}

/// Seals the groups of one blob, or opens them, in any order: the construction STREAM of "Online
/// Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance" (Hoang, Reyhanitabar, Rogaway
/// and Vizár, 2015) over ChaCha20-Poly1305.
pub struct Sealer {
    cipher: Box<dyn Cipher>,
    padded: u64,
}

impl Sealer {
    /// For the blob with `size` bytes of content that has this key.
    #[must_use]
    pub fn new(make: MakeCipher, key: &BlobKey, size: u64) -> Self {
        Self { cipher: make(&key.0), padded: padded_content(size) }
    }

    /// How many groups the blob has.
    #[must_use]
    pub const fn groups(&self) -> u64 {
        self.padded.div_ceil(OPEN_GROUP_BYTES as u64)
    }

    /// How many bytes of content group `group` holds, with what pads them.
    #[must_use]
    pub const fn group_bytes(&self, group: u64) -> usize {
        let rest = self.padded.saturating_sub(group.saturating_mul(OPEN_GROUP_BYTES as u64));
        (if rest < OPEN_GROUP_BYTES as u64 { rest } else { OPEN_GROUP_BYTES as u64 }) as usize
    }

    /// Seals a group where it is; never two contents under one number.
    // spec: SYNC-47
    pub fn seal(&self, group: u64, bytes: &mut Vec<u8>) {
        let tag = self.cipher.seal_in_place(self.nonce(group), bytes);
        bytes.extend_from_slice(&tag);
    }

    /// Opens a group where it is; if it is not that group, nothing is left of it.
    // spec: SYNC-47
    pub fn open(&self, group: u64, bytes: &mut Vec<u8>) -> Result<(), Forged> {
        let opened = match bytes.split_last_chunk_mut::<TAG_BYTES>() {
            Some((sealed, tag)) => self.cipher.open_in_place(self.nonce(group), sealed, tag),
            None => Err(Forged),
        };
        let content = bytes.len().saturating_sub(TAG_BYTES);
        bytes.truncate(if opened.is_ok() { content } else { 0 });
        opened
    }

    /// Twice its number, and one more if it is the last.
    const fn nonce(&self, group: u64) -> u64 {
        let is_last = group + 1 == self.groups();
        2 * group + is_last as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::chacha20poly1305;

    // spec: SYNC-48
    #[test]
    fn padding_costs_at_most_an_eighth_and_leaves_few_lengths() {
        let known = [(0, 0), (1, 1), (9, 10), (15, 16), (16, 16), (100, 104), (1000, 1024)];
        for (length, expected) in known {
            assert_eq!(padded(length), expected, "{length}");
        }
        let mut lengths = alloc::collections::BTreeSet::new();
        for length in 1..100_000 {
            let padded = padded(length);
            assert!(padded >= length && (padded - length) * 100 <= 12 * length, "{length}");
            assert_eq!(super::padded(padded), padded);
            lengths.insert(padded);
        }
        assert!(lengths.len() < 250, "{}", lengths.len());
        assert_eq!(padded(limits::BLOB_BYTES), limits::BLOB_BYTES);
        for size in [0, 1, 15_361, 16_384, 65_520, 65_521, 300_000, 1 << 40] {
            let sealed = sealed_size(size);
            assert!(sealed > limits::INLINE_BYTES as u64, "{size}");
            let groups = sealed.div_ceil(limits::GROUP_BYTES as u64);
            let sealer = Sealer::new(chacha20poly1305, &BlobKey::from_array([7; 32]), size);
            assert_eq!(sealer.groups(), groups);
            let last = sealer.group_bytes(groups - 1) + TAG_BYTES;
            assert_eq!((groups - 1) * limits::GROUP_BYTES as u64 + last as u64, sealed);
        }
    }

    // spec: SYNC-47
    #[test]
    fn a_group_opens_by_itself_in_its_place_and_in_no_other() {
        let size = 3 * OPEN_GROUP_BYTES as u64;
        let key = BlobKey::from_array([7; 32]);
        let sealer = Sealer::new(chacha20poly1305, &key, size);
        let groups: Vec<Vec<u8>> = (0..sealer.groups())
            .map(|group| {
                let mut bytes = alloc::vec![group as u8; sealer.group_bytes(group)];
                sealer.seal(group, &mut bytes);
                bytes
            })
            .collect();
        assert_eq!(groups.iter().map(Vec::len).sum::<usize>() as u64, sealed_size(size));
        for (sealed, at) in groups.iter().zip(0..) {
            for group in 0..sealer.groups() {
                let mut bytes = sealed.clone();
                let opened = sealer.open(group, &mut bytes);
                assert_eq!(opened.is_ok(), group == at, "{at} as {group}");
                let content = alloc::vec![at as u8; sealer.group_bytes(at)];
                assert_eq!(bytes, if group == at { content } else { Vec::new() });
            }
            for flip in [0, sealed.len() / 2, sealed.len() - 1] {
                let mut bytes = sealed.clone();
                bytes[flip] ^= 1;
                assert_eq!(sealer.open(at, &mut bytes), Err(Forged));
            }
        }
        // What was in the middle is not the end of a shorter blob, nor the end the middle.
        let shorter = Sealer::new(chacha20poly1305, &key, size - OPEN_GROUP_BYTES as u64);
        let other = BlobKey::from_array([8; 32]);
        let other = Sealer::new(chacha20poly1305, &other, size);
        let last = shorter.groups() - 1;
        assert!(shorter.open(last, &mut groups[last as usize].clone()).is_err());
        assert!(other.open(0, &mut groups[0].clone()).is_err());
        assert!(sealer.open(0, &mut alloc::vec![0; TAG_BYTES - 1]).is_err());
    }

    #[test]
    fn a_key_is_not_shown() {
        assert_eq!(alloc::format!("{:?}", BlobKey::from_array([7; 32])), "BlobKey(…)");
    }
}

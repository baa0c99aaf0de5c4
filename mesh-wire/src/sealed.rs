//! Sealing for those who are not there: a key to one of them (HPKE, RFC 9180), content to all who
//! have that key.

use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};

use crate::Rng;
use crate::id::SealingKey;

/// Bytes of a key that is sealed to somebody: what the other needs to open it, the key, the tag.
pub const SEALED_KEY_BYTES: usize = 32 + 32 + 16;
/// Bytes that sealing content adds: a random nonce in front, a tag behind.
pub const SEALED_BYTES: usize = NONCE_BYTES + 16;

const NONCE_BYTES: usize = 24;

/// The secret behind a [`SealingKey`]. Wiped when dropped.
#[derive(Clone)]
pub struct OpeningKey(<X25519HkdfSha256 as Kem>::PrivateKey);

impl OpeningKey {
    /// The key that follows from 32 random bytes (`DeriveKeyPair` of RFC 9180).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(X25519HkdfSha256::derive_keypair(seed).0)
    }

    /// What others seal to.
    #[must_use]
    pub fn sealing_key(&self) -> SealingKey {
        let public = X25519HkdfSha256::sk_to_pk(&self.0).to_bytes();
        SealingKey(<[u8; 32]>::from(public))
    }

    /// The key that somebody has sealed to this one, for the purpose `info`.
    #[must_use]
    pub fn open_key(&self, info: &[u8], sealed: &[u8; SEALED_KEY_BYTES]) -> Option<[u8; 32]> {
        let (encapsulated, sealed) = sealed.split_first_chunk::<32>()?;
        let encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
        let opened = hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
            &OpModeR::Base,
            &self.0,
            &encapsulated,
            info,
            sealed,
            &[],
        );
        opened.ok()?.try_into().ok()
    }
}

impl fmt::Debug for OpeningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpeningKey(…)")
    }
}

/// Seals a key to somebody, for the purpose `info`: mode Base of HPKE with X25519, HKDF-SHA256 and
/// ChaCha20-Poly1305. `None` if nobody can have the key `to`.
// spec: SYNC-40
#[must_use]
pub fn seal_key(
    to: &SealingKey,
    info: &[u8],
    key: &[u8; 32],
    rng: &mut Rng,
) -> Option<[u8; SEALED_KEY_BYTES]> {
    let to = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(to.as_bytes()).ok()?;
    let sealed = hpke::single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &to,
        info,
        key,
        &[],
        rng,
    );
    let (encapsulated, sealed) = sealed.ok()?;
    [&*encapsulated.to_bytes(), &sealed].concat().try_into().ok()
}

/// Seals content for all who have `key`: XChaCha20-Poly1305 under a random nonce, which stands in
/// front. It opens only beside the same `context`.
// spec: SYNC-40
#[must_use]
pub fn seal(key: &[u8; 32], context: &[u8], content: &[u8], rng: &mut Rng) -> Option<Vec<u8>> {
    let nonce = rng.bytes::<NONCE_BYTES>();
    let payload = Payload { msg: content, aad: context };
    let sealed = XChaCha20Poly1305::new(key.into()).encrypt(&XNonce::from(nonce), payload);
    Some([&nonce[..], &sealed.ok()?].concat())
}

/// The content that [`seal`] has sealed.
// spec: SYNC-40
#[must_use]
pub fn open(key: &[u8; 32], context: &[u8], sealed: &[u8]) -> Option<Bytes> {
    let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
    let payload = Payload { msg: sealed, aad: context };
    let opened = XChaCha20Poly1305::new(key.into()).decrypt(&XNonce::from(*nonce), payload);
    opened.ok().map(Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: SYNC-40
    #[test]
    fn a_key_is_opened_by_whom_it_was_sealed_to_and_nobody_else() {
        let mut rng = Rng::from_seed([1; 32]);
        let [ada, bob] = [1, 2].map(|seed| OpeningKey::from_seed(&[seed; 32]));
        let sealed = seal_key(&ada.sealing_key(), b"for this", &[7; 32], &mut rng).unwrap();
        assert_eq!(ada.open_key(b"for this", &sealed), Some([7; 32]));
        assert_eq!(ada.open_key(b"for that", &sealed), None);
        assert_eq!(bob.open_key(b"for this", &sealed), None);
        for bit in 0..8 * SEALED_KEY_BYTES {
            let mut flipped = sealed;
            flipped[bit / 8] ^= 1 << (bit % 8);
            // The highest bit of an X25519 point is ignored, but not by the key schedule.
            assert_eq!(ada.open_key(b"for this", &flipped), None, "{bit}");
        }
        let again = seal_key(&ada.sealing_key(), b"for this", &[7; 32], &mut rng).unwrap();
        assert_ne!(sealed, again);
        assert_eq!(seal_key(&SealingKey([0; 32]), b"", &[7; 32], &mut rng), None, "small order");
    }

    // spec: SYNC-40
    #[test]
    fn content_opens_only_with_its_key_and_in_its_place() {
        let mut rng = Rng::from_seed([1; 32]);
        for length in [0, 1, 64, 16_384] {
            let content = alloc::vec![5; length];
            let sealed = seal(&[9; 32], b"here", &content, &mut rng).unwrap();
            assert_eq!(sealed.len(), length + SEALED_BYTES);
            assert_eq!(open(&[9; 32], b"here", &sealed).unwrap(), content);
            assert_eq!(open(&[8; 32], b"here", &sealed), None);
            assert_eq!(open(&[9; 32], b"there", &sealed), None);
            for at in [0, NONCE_BYTES, sealed.len() - 1] {
                let mut flipped = sealed.clone();
                flipped[at] ^= 1;
                assert_eq!(open(&[9; 32], b"here", &flipped), None);
            }
            assert_eq!(open(&[9; 32], b"here", &sealed[..sealed.len() - 1]), None);
            assert_ne!(seal(&[9; 32], b"here", &content, &mut rng).unwrap(), sealed);
        }
        assert_eq!(open(&[9; 32], b"here", &[0; NONCE_BYTES]), None);
        assert_eq!(open(&[9; 32], b"here", &[]), None);
    }
}

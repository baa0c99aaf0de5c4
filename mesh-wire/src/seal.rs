//! Sealing bytes under a key: the one cipher of the protocol, behind a trait so that the driver's
//! build can put a faster implementation of the same cipher in its place.

use alloc::boxed::Box;

use chacha20poly1305::{AeadInOut, ChaCha20Poly1305, KeyInit, Nonce, Tag};
use thiserror::Error;

/// Bytes that sealing adds: the tag.
pub const TAG_BYTES: usize = 16;

/// ChaCha20-Poly1305 (RFC 8439) under one key, with no associated data. The nonce is that of
/// Noise: four zero bytes, then the number in 8 bytes, little-endian.
///
/// An implementation wipes its key when dropped.
// spec: SESSION-9
pub trait Cipher: Send {
    /// Encrypts `bytes` where they are and returns their tag.
    fn seal_in_place(&self, nonce: u64, bytes: &mut [u8]) -> [u8; TAG_BYTES];

    /// Decrypts `bytes` where they are, if `tag` holds; else their content is unspecified.
    fn open_in_place(
        &self,
        nonce: u64,
        bytes: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), Forged>;
}

/// Makes a cipher of a key.
pub type MakeCipher = fn(&[u8; 32]) -> Box<dyn Cipher>;

/// Bytes that nobody with the key has sealed like this.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the tag does not hold")]
pub struct Forged;

/// The cipher in portable Rust.
#[must_use]
pub fn chacha20poly1305(key: &[u8; 32]) -> Box<dyn Cipher> {
    Box::new(Portable(ChaCha20Poly1305::new(key.into())))
}

struct Portable(ChaCha20Poly1305);

impl Cipher for Portable {
    fn seal_in_place(&self, nonce: u64, bytes: &mut [u8]) -> [u8; TAG_BYTES] {
        match self.0.encrypt_inout_detached(&noise_nonce(nonce), &[], (&mut *bytes).into()) {
            Ok(tag) => tag.into(),
            // Only for more than 256 GiB. No plaintext leaves even then.
            Err(_) => {
                bytes.fill(0);
                [0; TAG_BYTES]
            }
        }
    }

    fn open_in_place(
        &self,
        nonce: u64,
        bytes: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), Forged> {
        self.0
            .decrypt_inout_detached(&noise_nonce(nonce), &[], bytes.into(), &Tag::from(*tag))
            .map_err(|_| Forged)
    }
}

/// Four zero bytes and the number, little-endian: the nonce of Noise, section 12.3.
pub(crate) fn noise_nonce(number: u64) -> Nonce {
    let mut nonce = Nonce::default();
    for (into, byte) in nonce.iter_mut().skip(4).zip(number.to_le_bytes()) {
        *into = byte;
    }
    nonce
}

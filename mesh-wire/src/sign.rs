//! Who said it: Ed25519 signatures, each bound to the one purpose it was made for.

use alloc::vec::Vec;
use core::fmt;

use ed25519_dalek::{Signature, Signer, VerifyingKey};
use thiserror::Error;

use crate::id::WriterId;

/// What a signature is for. The same bytes under another context have another signature, so
/// nothing signed for one purpose can be shown as something else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// A writer vouches for the head of its log.
    LogHead,
    /// Somebody takes the right to write in a channel.
    Acceptance,
    /// Somebody writes on a board.
    Note,
}

impl Context {
    /// The text in front of what is signed.
    const fn text(self) -> &'static str {
        match self {
            Self::LogHead => "mesh/1 log head",
            Self::Acceptance => "mesh/1 acceptance of a right to write",
            Self::Note => "mesh/1 note",
        }
    }
}

/// The secret behind a [`WriterId`]. Wiped when dropped.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// The key that follows from 32 random bytes (the "private key" of RFC 8032).
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// Who signs with this key.
    #[must_use]
    pub fn writer(&self) -> WriterId {
        WriterId(self.0.verifying_key().to_bytes())
    }

    /// The signature of `message` for the purpose `context`.
    #[must_use]
    pub fn sign(&self, context: Context, message: &[u8]) -> [u8; 64] {
        self.0.sign(&signed_bytes(context.text(), message)).to_bytes()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

/// A signature that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the signature does not hold")]
pub struct BadSignature;

/// Whether `writer` signed `message` for the purpose `context`. The only place in the tree that
/// verifies a signature: what it accepts must be the same on every node.
pub fn verify(
    writer: &WriterId,
    context: Context,
    message: &[u8],
    signature: &[u8; 64],
) -> Result<(), BadSignature> {
    verify_bytes(writer, &signed_bytes(context.text(), message), signature)
}

// spec: SESSION-1
fn verify_bytes(writer: &WriterId, bytes: &[u8], signature: &[u8; 64]) -> Result<(), BadSignature> {
    if !is_reduced(writer) {
        return Err(BadSignature);
    }
    let key = VerifyingKey::from_bytes(writer.as_bytes()).map_err(|_| BadSignature)?;
    key.verify_strict(bytes, &Signature::from_bytes(signature)).map_err(|_| BadSignature)
}

/// Whether the y coordinate is below 2²⁵⁵ − 19: a key has one encoding here, and the library
/// decodes a second one for a few.
fn is_reduced(writer: &WriterId) -> bool {
    let [low, middle @ .., high] = writer.as_bytes();
    *low < 0xed || high | 0x80 != 0xff || middle.iter().any(|byte| *byte != 0xff)
}

/// Context, a zero byte, the length of the message in 8 bytes, the message.
// spec: SESSION-1
fn signed_bytes(context: &str, message: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(context.len() + 9 + message.len());
    bytes.extend_from_slice(context.as_bytes());
    bytes.push(0);
    bytes.extend_from_slice(&(message.len() as u64).to_be_bytes());
    bytes.extend_from_slice(message);
    bytes
}

#[cfg(test)]
mod tests;

//! The user's identity: an Ed25519 key that never leaves the home, and words for it.

use mesh_wire::id::WriterId;
use mesh_wire::sign::SigningKey;

use crate::api;

/// The key and what follows from it.
pub struct Identity {
    key: SigningKey,
}

impl Identity {
    /// The identity whose secret is `seed`.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { key: SigningKey::from_seed(seed) }
    }

    /// What others may know of it.
    #[must_use]
    pub fn public(&self) -> api::Identity {
        let id = self.key.writer();
        api::Identity { id: id.to_string(), name: name(&id), words: words(&id) }
    }
}

/// Two words and a number, easy to say and to remember; not unique.
fn name(id: &WriterId) -> String {
    let digest = blake3::derive_key("mesh/1 name of an identity", id.as_bytes());
    let number = u16::from_be_bytes([digest[4], digest[5]]) % 90 + 10;
    format!("{}-{}-{number}", word(&digest, 0), word(&digest, 1))
}

/// Six words, 66 bits: whoever compares them aloud knows that nobody stands between.
fn words(id: &WriterId) -> String {
    let digest = blake3::derive_key("mesh/1 fingerprint words", id.as_bytes());
    (0..6).map(|n| word(&digest, n)).collect::<Vec<_>>().join(" ")
}

/// The `n`-th word of a digest: eleven bits of two bytes, from the list of BIP 39.
fn word(digest: &[u8; 32], n: usize) -> &'static str {
    let index = u16::from_be_bytes([digest[2 * n], digest[2 * n + 1]]) >> 5;
    bip39::Language::English.word_list()[usize::from(index)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_always_has_the_same_words() {
        let one = Identity::from_seed(&[7; 32]).public();
        assert_eq!(one, Identity::from_seed(&[7; 32]).public());
        assert_ne!(one.words, Identity::from_seed(&[8; 32]).public().words);
        assert_eq!(one.words.split(' ').count(), 6);
        assert_eq!(one.name.split('-').count(), 3);
    }
}

//! ChaCha20-Poly1305 from ring: the same bytes as the pure implementation in mesh-wire, at about
//! twice its speed.

use mesh_wire::seal::{Cipher, Forged};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

/// Makes a cipher for `key`.
#[must_use]
pub fn make(key: &[u8; 32]) -> Box<dyn Cipher> {
    // The length of the key is the only thing ring refuses, and it is in the type.
    match UnboundKey::new(&CHACHA20_POLY1305, key) {
        Ok(key) => Box::new(Ring(LessSafeKey::new(key))),
        Err(_) => mesh_wire::seal::chacha20poly1305(key),
    }
}

struct Ring(LessSafeKey);

fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(bytes)
}

impl Cipher for Ring {
    fn seal_in_place(&self, counter: u64, bytes: &mut [u8]) -> [u8; 16] {
        let tag = self.0.seal_in_place_separate_tag(nonce(counter), Aad::empty(), bytes);
        let mut out = [0; 16];
        match tag {
            Ok(tag) => out.copy_from_slice(tag.as_ref()),
            // Only plaintexts above 256 GiB fail, and records are 64 KiB.
            Err(_) => unreachable!("a record is far below the limit of the cipher"),
        }
        out
    }

    fn open_in_place(&self, counter: u64, bytes: &mut [u8], tag: &[u8; 16]) -> Result<(), Forged> {
        let tag = ring::aead::Tag::from(*tag);
        self.0
            .open_in_place_separate_tag(nonce(counter), Aad::empty(), tag, bytes, 0..)
            .map(|_| ())
            .map_err(|_| Forged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ring_and_the_pure_cipher_make_the_same_bytes() {
        let (fast, pure) = (make(&[3; 32]), mesh_wire::seal::chacha20poly1305(&[3; 32]));
        for length in [0, 1, 63, 64, 1200, 65_536] {
            let plain: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let (mut one, mut two) = (plain.clone(), plain.clone());
            let tag = fast.seal_in_place(length as u64, &mut one);
            assert_eq!(tag, pure.seal_in_place(length as u64, &mut two));
            assert_eq!(one, two);
            assert!(fast.open_in_place(length as u64 + 1, &mut one.clone(), &tag).is_err());
            fast.open_in_place(length as u64, &mut one, &tag).unwrap();
            assert_eq!(one, plain);
        }
    }
}

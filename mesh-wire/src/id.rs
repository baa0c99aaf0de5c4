//! Names of things: content, channels, peers and links.

use core::fmt;

use data_encoding::HEXLOWER;

/// Declares a 32-byte name with the conversions every such name has.
macro_rules! name32 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 32]);

        impl $name {
            /// The bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Reads 64 hexadecimal digits.
            #[must_use]
            pub fn from_hex(text: &str) -> Option<Self> {
                let mut bytes = [0; 32];
                if text.len() != 64 || !text.is_ascii() {
                    return None;
                }
                let lower = text.to_ascii_lowercase();
                HEXLOWER.decode_mut(lower.as_bytes(), &mut bytes).ok()?;
                Some(Self(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "("))?;
                self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))?;
                write!(f, "…)")
            }
        }
    };
}

name32! {
    /// A BLAKE3 hash: the name of content, or a node of a Merkle tree.
    Hash
}
name32! {
    /// A key to which others seal what only its owner is to read.
    SealingKey
}
name32! {
    /// A channel: the leaf hash of its genesis item (`spec/5-sync.md`, SYNC-2).
    ChannelId
}
name32! {
    /// A neighbour as it calls itself for now: its pseudonym X25519 key of this epoch.
    PeerId
}
name32! {
    /// An Ed25519 verifying key: who signs.
    WriterId
}

/// What a beacon calls its sender: random, fresh in every epoch, derived from nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub [u8; 8]);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:016x})", u64::from_be_bytes(self.0))
    }
}

/// What a node is called in the paths of packets: random, of this epoch, told to neighbours only
/// inside their sessions.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HopTag(pub [u8; 2]);

impl fmt::Debug for HopTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HopTag({:04x})", u16::from_be_bytes(self.0))
    }
}

/// Who may be found: whoever holds the same key recognises a FIND made with it, and nobody else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FindKey(pub [u8; 32]);

impl fmt::Debug for FindKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FindKey(…)")
    }
}

/// A link of this node, numbered by whoever opened it. Never reused within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn hex_reads_what_it_writes_in_either_case() {
        let hash = Hash(core::array::from_fn(|i| i as u8 * 7));
        let text = hash.to_string();
        assert_eq!(Hash::from_hex(&text), Some(hash));
        assert_eq!(Hash::from_hex(&text.to_uppercase()), Some(hash));
        for bad in ["", "00", &text[1..], &text.replace('0', "g"), &"é".repeat(32)] {
            assert_eq!(Hash::from_hex(bad), None, "{bad}");
        }
    }
}

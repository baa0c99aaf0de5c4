//! Values to bytes and back: fixed layouts, one encoding per value, every limit in a type.
//!
//! `spec/1-wire.md` has the rules. Decoders never allocate, never recurse and never panic; what
//! they refuse, they name.

pub mod list;
mod macros;
pub mod reader;
pub mod varint;

use alloc::vec::Vec;

pub use bytes::Bytes;
use thiserror::Error;

pub use list::{Extensions, List, Opaque};
pub use reader::Reader;

use crate::enclosure::BlobKey;
use crate::{ChannelId, Hash, HopTag, PeerId, Token, UnixTime, id::SealingKey, id::WriterId};

/// What values are written into.
pub type Output = Vec<u8>;

/// Something with exactly one form in bytes.
pub trait Wire: Sized {
    /// The fewest bytes any value takes: bounds a count by the bytes behind it.
    const MIN_SIZE: usize;

    /// How many bytes [`Wire::write`] appends.
    fn size(&self) -> usize;

    /// Appends the value.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads a value off the front.
    fn read(reader: &mut Reader) -> Result<Self, DecodeError>;

    /// The bytes of the value alone.
    fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(self.size());
        self.write(&mut out);
        out.into()
    }

    /// Reads a value that takes all of `bytes`.
    // spec: WIRE-4
    fn from_bytes(bytes: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = Self::read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    }
}

/// Bytes that are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{field}: {problem}")]
pub struct DecodeError {
    /// The field that was being read.
    pub field: &'static str,
    /// What is wrong with it.
    pub problem: Problem,
}

/// The ways in which bytes can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Problem {
    /// They end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// A length or count is above its limit.
    #[error("a length or count is above its limit")]
    TooLarge,
    /// A list is shorter than it may be.
    #[error("a list is shorter than it may be")]
    TooShort,
    /// A number is not in its shortest form.
    #[error("a number is not in its shortest form")]
    NotShortest,
    /// A value that is not defined.
    #[error("a value that is not defined")]
    Undefined,
    /// Text that is not UTF-8, or has characters that deceive.
    #[error("text that is not UTF-8 or could deceive a reader")]
    BadText,
    /// Entries out of order, or one twice.
    #[error("entries out of order or repeated")]
    Unsorted,
    /// Bytes after the end.
    #[error("bytes after the end")]
    Trailing,
    /// A message that must be understood and is not.
    #[error("a critical message or extension of an unknown kind")]
    UnknownCritical,
}

/// Numbers that are written as varints and bounded by their type.
macro_rules! number {
    ($($type:ty),*) => {$(
        impl Wire for $type {
            const MIN_SIZE: usize = 1;

            fn size(&self) -> usize {
                varint::size(u64::from(*self))
            }

            fn write(&self, out: &mut Vec<u8>) {
                varint::write(u64::from(*self), out);
            }

            fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
                let value = varint::read(reader)?;
                Self::try_from(value).map_err(|_| reader.error(Problem::TooLarge))
            }
        }
    )*};
}
number!(u16, u32, u64);

/// Types that are a fixed number of bytes.
// spec: WIRE-1
macro_rules! fixed {
    ($($type:ty, $length:literal, $to:expr, $from:expr;)*) => {$(
        impl Wire for $type {
            const MIN_SIZE: usize = $length;

            fn size(&self) -> usize {
                $length
            }

            fn write(&self, out: &mut Vec<u8>) {
                let to: fn(&$type) -> [u8; $length] = $to;
                out.extend_from_slice(&to(self));
            }

            fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
                let from: fn([u8; $length]) -> $type = $from;
                reader.array().map(from)
            }
        }
    )*};
}
fixed! {
    u8, 1, |value| [*value], |[value]| value;
    [u8; 4], 4, |value| *value, |value| value;
    [u8; 8], 8, |value| *value, |value| value;
    [u8; 16], 16, |value| *value, |value| value;
    [u8; 32], 32, |value| *value, |value| value;
    [u8; 64], 64, |value| *value, |value| value;
    [u8; 80], 80, |value| *value, |value| value;
    SealingKey, 32, |value| value.0, SealingKey;
    BlobKey, 32, BlobKey::to_array, BlobKey::from_array;
    Hash, 32, |value| value.0, Hash;
    ChannelId, 32, |value| value.0, ChannelId;
    WriterId, 32, |value| value.0, WriterId;
    PeerId, 32, |value| value.0, PeerId;
    Token, 8, |value| value.0, Token;
    HopTag, 2, |value| value.0, HopTag;
}

impl Wire for UnixTime {
    const MIN_SIZE: usize = 6;

    fn size(&self) -> usize {
        6
    }

    fn write(&self, out: &mut Vec<u8>) {
        let [_, _, rest @ ..] = (*self).min(Self::MAX).0.to_be_bytes();
        out.extend_from_slice(&rest);
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let [a, b, c, d, e, f] = reader.array()?;
        Ok(Self(u64::from_be_bytes([0, 0, a, b, c, d, e, f])))
    }
}

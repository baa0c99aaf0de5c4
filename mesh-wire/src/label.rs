//! Short texts that strangers choose and people read: names of channels and files.

use core::fmt;

use bytes::Bytes;
use thiserror::Error;

use crate::codec::{DecodeError, Problem, Reader, Wire, varint};

/// At most `MAX` bytes of UTF-8 without characters that could deceive a reader or split a line:
/// no controls, no bidirectional overrides, no line or paragraph separators.
// spec: WIRE-9
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Label<const MAX: usize>(Bytes);

/// Why a text is not a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BadLabel {
    /// Too many bytes.
    #[error("it is longer than {0} bytes")]
    TooLong(usize),
    /// Not UTF-8.
    #[error("it is not UTF-8")]
    NotUtf8,
    /// A character that could deceive.
    #[error("it contains the character U+{:04X}, which could deceive a reader", *.0 as u32)]
    Deceptive(char),
}

impl<const MAX: usize> Label<MAX> {
    /// A label of `text`, if it may be one.
    pub fn new(text: &str) -> Result<Self, BadLabel> {
        check(text.as_bytes(), MAX)?;
        Ok(Self(Bytes::copy_from_slice(text.as_bytes())))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The bytes were checked when the label was made.
        core::str::from_utf8(&self.0).unwrap_or_default()
    }
}

fn check(bytes: &[u8], max: usize) -> Result<(), BadLabel> {
    if bytes.len() > max {
        return Err(BadLabel::TooLong(max));
    }
    let text = core::str::from_utf8(bytes).map_err(|_| BadLabel::NotUtf8)?;
    text.chars().find(|c| deceptive(*c)).map_or(Ok(()), |c| Err(BadLabel::Deceptive(c)))
}

/// Whether `c` could hide, reorder or break what stands around it when shown to a person.
#[must_use]
pub fn deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

impl<const MAX: usize> Wire for Label<MAX> {
    const MIN_SIZE: usize = 1;

    fn size(&self) -> usize {
        varint::size(self.0.len() as u64) + self.0.len()
    }

    fn write(&self, out: &mut alloc::vec::Vec<u8>) {
        varint::write(self.0.len() as u64, out);
        out.extend_from_slice(&self.0);
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let bytes = reader.bytes(MAX)?;
        check(&bytes, MAX).map_err(|_| reader.error(Problem::BadText))?;
        Ok(Self(bytes))
    }
}

impl<const MAX: usize> fmt::Display for Label<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<const MAX: usize> fmt::Debug for Label<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

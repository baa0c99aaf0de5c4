//! A cursor over received bytes. Everything it hands out is a slice of them: decoding allocates
//! nothing.

use bytes::Bytes;

use super::{DecodeError, Problem, varint};

/// Reads values off the front of a frame.
#[derive(Clone, Debug)]
pub struct Reader {
    rest: Bytes,
    field: &'static str,
}

impl Reader {
    /// A reader over `bytes`.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self { rest: bytes, field: "" }
    }

    /// Names what is read next, for errors.
    pub fn at(&mut self, field: &'static str) -> &mut Self {
        self.field = field;
        self
    }

    /// An error about the field being read.
    #[must_use]
    pub fn error(&self, problem: Problem) -> DecodeError {
        DecodeError { field: self.field, problem }
    }

    /// How many bytes are left.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// One byte.
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// Exactly `N` bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.take(N)?;
        <[u8; N]>::try_from(&*taken).map_err(|_| self.error(Problem::Truncated))
    }

    /// Exactly `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<Bytes, DecodeError> {
        if count > self.rest.len() {
            return Err(self.error(Problem::Truncated));
        }
        Ok(self.rest.split_to(count))
    }

    /// A length of at most `max`, then that many bytes.
    // spec: WIRE-3
    pub fn bytes(&mut self, max: usize) -> Result<Bytes, DecodeError> {
        let length = varint::read(self)?;
        match usize::try_from(length) {
            Ok(length) if length <= max => self.take(length),
            _ => Err(self.error(Problem::TooLarge)),
        }
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> Bytes {
        core::mem::take(&mut self.rest)
    }

    /// What is left, without taking it.
    #[must_use]
    pub fn peek(&self) -> &Bytes {
        &self.rest
    }

    /// Refuses bytes after the end.
    // spec: WIRE-4
    pub fn finish(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(self.error(Problem::Trailing)) }
    }
}

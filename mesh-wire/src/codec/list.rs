//! Parts of messages with a variable length. They stay in the bytes they came in: a list of a
//! thousand entries that a peer sends costs no memory beyond its frame.

use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use bytes::Bytes;

use super::{DecodeError, Problem, Reader, Wire, varint};
use crate::limits;

/// At most `MAX` values of one type: a count, then the values.
// spec: WIRE-3
pub struct List<T, const MAX: usize> {
    count: usize,
    encoded: Bytes,
    of: PhantomData<fn() -> T>,
}

impl<T: Wire, const MAX: usize> List<T, MAX> {
    /// A list of the first `MAX` of `values`.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a T>) -> Self
    where
        T: 'a,
    {
        let mut encoded = Vec::new();
        let mut count = 0;
        for value in values.into_iter().take(MAX) {
            value.write(&mut encoded);
            count += 1;
        }
        Self { count, encoded: encoded.into(), of: PhantomData }
    }

    /// How many values there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The values, decoded one by one.
    pub fn iter(&self) -> impl Iterator<Item = T> + use<T, MAX> {
        let mut reader = Reader::new(self.encoded.clone());
        // Every value was decoded once when the list was read, so none fails here.
        (0..self.count).map_while(move |_| T::read(&mut reader).ok())
    }
}

impl<T: Wire, const MAX: usize> Wire for List<T, MAX> {
    const MIN_SIZE: usize = 1;

    fn size(&self) -> usize {
        varint::size(self.count as u64) + self.encoded.len()
    }

    fn write(&self, out: &mut Vec<u8>) {
        varint::write(self.count as u64, out);
        out.extend_from_slice(&self.encoded);
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let count = u32::read(reader)? as usize;
        if count > MAX || count.saturating_mul(T::MIN_SIZE.max(1)) > reader.remaining() {
            return Err(reader.error(Problem::TooLarge));
        }
        let mut probe = reader.clone();
        for _ in 0..count {
            T::read(&mut probe)?;
        }
        let encoded = reader.take(reader.remaining() - probe.remaining())?;
        Ok(Self { count, encoded, of: PhantomData })
    }
}

impl<T, const MAX: usize> Clone for List<T, MAX> {
    fn clone(&self) -> Self {
        Self { count: self.count, encoded: self.encoded.clone(), of: PhantomData }
    }
}

impl<T, const MAX: usize> Default for List<T, MAX> {
    fn default() -> Self {
        Self { count: 0, encoded: Bytes::new(), of: PhantomData }
    }
}

impl<T, const MAX: usize> PartialEq for List<T, MAX> {
    fn eq(&self, other: &Self) -> bool {
        self.count == other.count && self.encoded == other.encoded
    }
}

impl<T, const MAX: usize> Eq for List<T, MAX> {}

impl<T: Wire + fmt::Debug, const MAX: usize> fmt::Debug for List<T, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// At most `MAX` bytes that this layer does not look into.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Opaque<const MAX: usize>(Bytes);

impl<const MAX: usize> Opaque<MAX> {
    /// Wraps `bytes`; `None` if there are more than `MAX`.
    #[must_use]
    pub fn new(bytes: Bytes) -> Option<Self> {
        (bytes.len() <= MAX).then_some(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The bytes, owned.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl<const MAX: usize> Wire for Opaque<MAX> {
    const MIN_SIZE: usize = 1;

    fn size(&self) -> usize {
        varint::size(self.0.len() as u64) + self.0.len()
    }

    fn write(&self, out: &mut Vec<u8>) {
        varint::write(self.0.len() as u64, out);
        out.extend_from_slice(&self.0);
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        reader.bytes(MAX).map(Self)
    }
}

impl<const MAX: usize> fmt::Debug for Opaque<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} bytes]", self.0.len())
    }
}

/// What later versions add to an object: entries of (type, length, bytes), sorted by type, each
/// type once. An entry with an odd type is critical: whoever does not know it must not act on the
/// object, but keeps it and passes it on unchanged.
// spec: WIRE-7
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Extensions(Opaque<{ limits::EXTENSION_BYTES }>);

impl Extensions {
    /// One entry alone.
    #[must_use]
    pub fn one(kind: u64, content: &[u8]) -> Option<Self> {
        Self::default().with(kind, content)
    }

    /// These entries and one more, of a type that none of them has; `None` if one has it, or all
    /// together are too long.
    #[must_use]
    pub fn with(&self, kind: u64, content: &[u8]) -> Option<Self> {
        let mut added = Vec::new();
        varint::write(kind, &mut added);
        varint::write(content.len() as u64, &mut added);
        added.extend_from_slice(content);
        let all = self.0.bytes();
        let mut reader = Reader::new(all.clone());
        let mut before = 0;
        while let Ok(Some((next, _))) = entry(&mut reader)
            && next <= kind
        {
            if next == kind {
                return None;
            }
            before = all.len() - reader.remaining();
        }
        let (before, behind) = all.split_at_checked(before)?;
        Opaque::new([before, &added, behind].concat().into()).map(Self)
    }

    /// The content of an entry.
    #[must_use]
    pub fn get(&self, wanted: u64) -> Option<Bytes> {
        let mut reader = Reader::new(self.0.bytes().clone());
        while let Ok(Some((kind, content))) = entry(&mut reader) {
            if kind == wanted {
                return Some(content);
            }
        }
        None
    }

    /// The type of the first critical entry that is not in `known`.
    #[must_use]
    pub fn unknown_critical(&self, known: &[u64]) -> Option<u64> {
        let mut reader = Reader::new(self.0.bytes().clone());
        while let Ok(Some((kind, _))) = entry(&mut reader) {
            if kind % 2 == 1 && !known.contains(&kind) {
                return Some(kind);
            }
        }
        None
    }
}

fn entry(reader: &mut Reader) -> Result<Option<(u64, Bytes)>, DecodeError> {
    if reader.remaining() == 0 {
        return Ok(None);
    }
    let kind = varint::read(reader)?;
    Ok(Some((kind, reader.bytes(limits::EXTENSION_BYTES)?)))
}

impl Wire for Extensions {
    const MIN_SIZE: usize = 1;

    fn size(&self) -> usize {
        self.0.size()
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.0.write(out);
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let opaque = Opaque::read(reader)?;
        let mut entries = Reader::new(opaque.bytes().clone());
        entries.at("extensions");
        let mut last = None;
        while let Some((kind, _)) = entry(&mut entries)? {
            if last.is_some_and(|last| kind <= last) {
                return Err(entries.error(Problem::Unsorted));
            }
            last = Some(kind);
        }
        Ok(Self(opaque))
    }
}

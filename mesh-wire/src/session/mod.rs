//! The sealed phase of a link: records, the keys that move forward under them, and the window
//! that lets each record in once.

mod receive;
#[cfg(test)]
mod tests;
mod window;

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use bytes::{Bytes, BytesMut};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::seal::{Cipher, MakeCipher, TAG_BYTES};
use crate::{Carrier, Time, limits};
use receive::{Datagrams, Stream};

/// Counters stay below this: no sum with a counter wraps, and the number 2⁶⁴ − 1 is left to the
/// ratchet.
// spec: SESSION-8
const END_OF_COUNTERS: u64 = 1 << 63;

/// One end of a sealed link.
///
/// Each direction has its own keys and counts its own records. The number of a record's key is
/// `counter / EPOCH_RECORDS`; every key follows from the one before by the REKEY function of
/// Noise, and the one before is forgotten.
pub struct Session {
    carrier: Carrier,
    sending: Sending,
    receiving: Receiving,
}

/// What the handshake leaves behind.
pub(crate) struct SessionKeys {
    pub(crate) sending: Zeroizing<[u8; 32]>,
    pub(crate) receiving: Zeroizing<[u8; 32]>,
    pub(crate) make: MakeCipher,
}

/// Why a record cannot be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SealError {
    /// It is shorter than a header, or its plaintext is above [`limits::RECORD_BYTES`].
    #[error("a record of this size cannot be sealed")]
    Size,
    /// All counters are used up.
    #[error("the session has sealed all the records it can")]
    Exhausted,
}

/// Why a record was not opened. On a stream each of these is the end of the session; on
/// datagrams the session is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The size or the header is not that of a record.
    #[error("not a record")]
    Malformed,
    /// Its counter was seen before, or is too far behind or ahead.
    #[error("a record that was seen before, or too far behind or ahead")]
    OutOfWindow,
    /// The tag does not hold.
    #[error("a forged record")]
    Forged,
    /// The session has ended: by an error on a stream, by too many forgeries on datagrams.
    #[error("the session has ended")]
    Ended,
}

impl Session {
    pub(crate) fn new(now: Time, carrier: Carrier, keys: &SessionKeys) -> Self {
        let receiving = Key::first(keys.make, &keys.receiving);
        Self {
            carrier,
            sending: Sending { key: Key::first(keys.make, &keys.sending), next: 0, since: now },
            receiving: match carrier {
                Carrier::Stream => Receiving::Stream(Some(Stream::new(receiving))),
                Carrier::Datagram => Receiving::Datagrams(Box::new(Datagrams::new(receiving))),
            },
        }
    }

    /// Bytes in front of the plaintext of every record.
    #[must_use]
    pub const fn header_bytes(&self) -> usize {
        header_bytes(self.carrier)
    }

    /// The longest plaintext whose record fits into a frame of `largest_frame` bytes.
    #[must_use]
    pub fn room(&self, largest_frame: usize) -> usize {
        largest_frame.saturating_sub(self.header_bytes() + TAG_BYTES).min(limits::RECORD_BYTES)
    }

    /// Seals the plaintext that stands in `record` behind [`Session::header_bytes`] bytes of any
    /// content: writes the header, encrypts in place, appends the tag. Allocates nothing if
    /// `record` has the capacity, but for one small key every [`limits::EPOCH_RECORDS`] records.
    // spec: SESSION-8
    pub fn seal(&mut self, now: Time, record: &mut Vec<u8>) -> Result<(), SealError> {
        let Some((header, plaintext)) = record.split_at_mut_checked(self.header_bytes()) else {
            return Err(SealError::Size);
        };
        if plaintext.len() > limits::RECORD_BYTES {
            return Err(SealError::Size);
        }
        let counter = self.sending.advance(now)?;
        match self.carrier {
            Carrier::Stream => header.fill(phase(counter)),
            Carrier::Datagram => header.copy_from_slice(&short(counter)),
        }
        let tag = self.sending.key.cipher.seal_in_place(counter, plaintext);
        record.extend_from_slice(&tag);
        Ok(())
    }

    /// Opens a record in place and returns its plaintext, a slice of it.
    // spec: SESSION-8
    pub fn open(&mut self, record: BytesMut) -> Result<Bytes, OpenError> {
        match &mut self.receiving {
            Receiving::Stream(stream) => {
                // Whatever fails takes the keys with it.
                let mut open = stream.take().ok_or(OpenError::Ended)?;
                let plaintext = open.open(record)?;
                *stream = Some(open);
                Ok(plaintext)
            }
            Receiving::Datagrams(datagrams) => datagrams.open(record),
        }
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Session({:?}, …)", self.carrier)
    }
}

struct Sending {
    key: Key,
    next: u64,
    since: Time,
}

impl Sending {
    /// The counter of the next record; moves to the next key where one is due.
    // spec: SESSION-11
    fn advance(&mut self, now: Time) -> Result<u64, SealError> {
        let mut counter = self.next;
        if now.since(self.since) >= limits::EPOCH_TIME {
            counter = first_of(self.key.epoch + 1);
        }
        if counter >= END_OF_COUNTERS {
            return Err(SealError::Exhausted);
        }
        if epoch(counter) > self.key.epoch {
            self.key = self.key.next();
            self.since = now;
        }
        self.next = counter + 1;
        Ok(counter)
    }
}

enum Receiving {
    Stream(Option<Stream>),
    Datagrams(Box<Datagrams>),
}

/// The key of one epoch.
struct Key {
    epoch: u64,
    cipher: Box<dyn Cipher>,
    make: MakeCipher,
}

impl Key {
    fn first(make: MakeCipher, key: &[u8; 32]) -> Self {
        Self { epoch: 0, cipher: make(key), make }
    }

    /// The key of the next epoch: 32 zero bytes encrypted under the nonce 2⁶⁴ − 1, the tag cut
    /// off. Nobody can go back from it.
    // spec: SESSION-10
    fn next(&self) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        self.cipher.seal_in_place(u64::MAX, &mut *key);
        Self { epoch: self.epoch + 1, cipher: (self.make)(&key), make: self.make }
    }
}

const fn header_bytes(carrier: Carrier) -> usize {
    match carrier {
        Carrier::Stream => 1,
        Carrier::Datagram => 4,
    }
}

const fn epoch(counter: u64) -> u64 {
    counter / limits::EPOCH_RECORDS
}

/// The first counter of an epoch.
const fn first_of(epoch: u64) -> u64 {
    epoch.saturating_mul(limits::EPOCH_RECORDS)
}

/// The header on a stream: the low bit of the epoch.
const fn phase(counter: u64) -> u8 {
    (epoch(counter) & 1) as u8
}

/// The header of a datagram: a zero byte and the low 24 bits of the counter.
const fn short(counter: u64) -> [u8; 4] {
    (counter as u32 & 0x00ff_ffff).to_be_bytes()
}

//! Opening records: in order on a stream, in any order as datagrams.

use bytes::{Buf, Bytes, BytesMut};

use super::window::Window;
use super::{END_OF_COUNTERS, Key, OpenError, epoch, first_of, header_bytes, phase};
use crate::seal::TAG_BYTES;
use crate::{Carrier, limits};

/// The receiving half on a stream: no counter travels, only the low bit of its epoch.
pub(super) struct Stream {
    key: Key,
    next: u64,
}

impl Stream {
    pub(super) fn new(key: Key) -> Self {
        Self { key, next: 0 }
    }

    // spec: SESSION-8
    pub(super) fn open(&mut self, mut record: BytesMut) -> Result<Bytes, OpenError> {
        let Some(&header @ (0 | 1)) = record.first() else {
            return Err(OpenError::Malformed);
        };
        let mut counter = self.next;
        if phase(counter) != header {
            counter = first_of(epoch(counter) + 1);
        }
        if counter >= END_OF_COUNTERS {
            return Err(OpenError::OutOfWindow);
        }
        while self.key.epoch < epoch(counter) {
            self.key = self.key.next();
        }
        open_in_place(&self.key, counter, &mut record, header_bytes(Carrier::Stream))?;
        self.next = counter + 1;
        Ok(record.freeze())
    }
}

/// The receiving half over datagrams: the keys of two epochs, and what was seen under them.
pub(super) struct Datagrams {
    pub(super) current: Key,
    pub(super) previous: Option<Key>,
    pub(super) window: Window,
    pub(super) forgeries: u64,
}

impl Datagrams {
    pub(super) fn new(key: Key) -> Self {
        Self {
            current: key,
            previous: None,
            window: Window::new(limits::EPOCH_RECORDS),
            forgeries: 0,
        }
    }

    /// Looks at the window, then opens, and only then moves anything.
    // spec: SESSION-7
    pub(super) fn open(&mut self, mut record: BytesMut) -> Result<Bytes, OpenError> {
        if self.forgeries >= limits::FORGERIES {
            return Err(OpenError::Ended);
        }
        let counter = self.counter(&record)?;
        if counter >= END_OF_COUNTERS || !self.window.is_fresh(counter) {
            return Err(OpenError::OutOfWindow);
        }
        let opened = self.open_under_its_key(counter, &mut record);
        if opened == Err(OpenError::Forged) {
            self.forgeries += 1;
        }
        opened?;
        self.window.mark(counter);
        Ok(record.freeze())
    }

    /// The counter nearest the start of the current epoch that ends in the 24 bits of the header.
    pub(super) fn counter(&self, record: &[u8]) -> Result<u64, OpenError> {
        let Some([0, a, b, c]) = record.first_chunk() else {
            return Err(OpenError::Malformed);
        };
        let low = u64::from(u32::from_be_bytes([0, *a, *b, *c]));
        let span = 1 << 24;
        let from = first_of(self.current.epoch).saturating_sub(span / 2);
        Ok(from + (low.wrapping_sub(from) & (span - 1)))
    }

    /// Keys of later epochs are tried, and kept only once the tag has held.
    fn open_under_its_key(&mut self, counter: u64, record: &mut BytesMut) -> Result<(), OpenError> {
        let header = header_bytes(Carrier::Datagram);
        let wanted = epoch(counter);
        if wanted == self.current.epoch {
            return open_in_place(&self.current, counter, record, header);
        }
        if wanted < self.current.epoch {
            let previous = self.previous.as_ref().filter(|key| key.epoch == wanted);
            return open_in_place(previous.ok_or(OpenError::OutOfWindow)?, counter, record, header);
        }
        if wanted - self.current.epoch > limits::EPOCHS_AHEAD {
            return Err(OpenError::OutOfWindow);
        }
        let mut before = None;
        let mut key = self.current.next();
        while key.epoch < wanted {
            let next = key.next();
            before = Some(core::mem::replace(&mut key, next));
        }
        open_in_place(&key, counter, record, header)?;
        let current = core::mem::replace(&mut self.current, key);
        self.previous = Some(before.unwrap_or(current));
        Ok(())
    }
}

/// Opens `record` and cuts header and tag off.
fn open_in_place(
    key: &Key,
    counter: u64,
    record: &mut BytesMut,
    header: usize,
) -> Result<(), OpenError> {
    let length = record.len().checked_sub(header + TAG_BYTES).ok_or(OpenError::Malformed)?;
    if length > limits::RECORD_BYTES {
        return Err(OpenError::Malformed);
    }
    let tag = *record.last_chunk().ok_or(OpenError::Malformed)?;
    let body = record.get_mut(header..header + length).ok_or(OpenError::Malformed)?;
    key.cipher.open_in_place(counter, body, &tag).map_err(|_| OpenError::Forged)?;
    record.truncate(header + length);
    record.advance(header);
    Ok(())
}

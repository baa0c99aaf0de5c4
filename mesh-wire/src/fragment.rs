//! Messages larger than a datagram: cut up here, put together there. Fragments travel inside
//! sealed records only, so each comes from the neighbour and comes once.

use alloc::collections::{BTreeMap, VecDeque};
use core::fmt;

use bytes::{Bytes, BytesMut};

use crate::codec::{Opaque, varint};
use crate::message::framed_size;
use crate::message::link::Fragment;
use crate::{Fault, limits};

/// Largest frame that is put together: a body of [`limits::RECORD_BYTES`].
const FRAME_BYTES: usize = framed_size(limits::RECORD_BYTES);
/// What keeping one part costs besides its bytes, about.
const PART_OVERHEAD: usize = 64;
/// The kind of a fragment, which may not be in fragments itself.
const FRAGMENT_KIND: u8 = 0x05;

/// The parts of one frame, in order.
#[derive(Debug)]
pub struct Fragments {
    message: u32,
    rest: Bytes,
    part: usize,
    index: u16,
    total: u16,
}

impl Fragments {
    /// Cuts `frame` into fragments whose frames take at most `room` bytes. `None` if it is empty
    /// or would take more than [`limits::FRAGMENTS`]. Frames under way on one link differ in
    /// `message`.
    // spec: SESSION-13
    #[must_use]
    pub fn new(message: u32, frame: Bytes, room: usize) -> Option<Self> {
        // Kind, length, message, index, total and the part's length, each at its longest.
        let around = 1 + 2 + varint::size(u64::from(message)) + 2 + 2 + 2;
        let part = room.checked_sub(around)?.min(limits::DATAGRAM_BYTES);
        let total = frame.len().checked_div(part)? + usize::from(!frame.len().is_multiple_of(part));
        if total == 0 || total > limits::FRAGMENTS {
            return None;
        }
        Some(Self { message, rest: frame, part, index: 0, total: total as u16 })
    }
}

impl Iterator for Fragments {
    type Item = Fragment;

    fn next(&mut self) -> Option<Fragment> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = self.rest.split_to(self.part.min(self.rest.len()));
        let (message, index, total) = (self.message, self.index, self.total);
        self.index += 1;
        Some(Fragment { message, index, total, bytes: Opaque::new(bytes)? })
    }
}

/// The unfinished frames of one link.
#[derive(Default)]
pub struct Reassembly {
    unfinished: VecDeque<Unfinished>,
    weight: usize,
}

struct Unfinished {
    message: u32,
    total: u16,
    length: usize,
    parts: BTreeMap<u16, Bytes>,
}

impl Unfinished {
    fn weight(&self) -> usize {
        self.length + self.parts.len() * PART_OVERHEAD
    }
}

impl Reassembly {
    /// Takes a fragment; gives the frame it completes. What is refused changes nothing, and what
    /// is over a limit pushes out the oldest unfinished frame.
    // spec: SESSION-13
    pub fn receive(&mut self, fragment: Fragment) -> Result<Option<Bytes>, Fault> {
        let Fragment { message, index, total, bytes } = fragment;
        let bytes = bytes.into_bytes();
        if index >= total || usize::from(total) > limits::FRAGMENTS || bytes.is_empty() {
            return Err(Fault::Protocol("a fragment that is no part of anything"));
        }
        let at = self.unfinished.iter().position(|frame| frame.message == message);
        let known = at.and_then(|at| self.unfinished.get(at));
        if known.is_some_and(|frame| frame.total != total || frame.parts.contains_key(&index)) {
            return Err(Fault::Protocol("fragments that contradict each other"));
        }
        if known.map_or(0, |frame| frame.length) + bytes.len() > FRAME_BYTES {
            return Err(Fault::Limit("fragments of one frame"));
        }
        let mut frame = match at.and_then(|at| self.unfinished.remove(at)) {
            Some(frame) => frame,
            None => Unfinished { message, total, length: 0, parts: BTreeMap::new() },
        };
        self.weight -= frame.weight();
        frame.length += bytes.len();
        // A copy: a slice would keep its whole datagram alive, which may be far larger.
        frame.parts.insert(index, Bytes::copy_from_slice(&bytes));
        if frame.parts.len() == usize::from(total) {
            return whole(&frame).map(Some);
        }
        self.weight += frame.weight();
        self.unfinished.insert(at.unwrap_or(self.unfinished.len()), frame);
        self.make_room();
        Ok(None)
    }

    /// Bytes held.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.weight
    }

    fn make_room(&mut self) {
        while self.unfinished.len() > limits::REASSEMBLIES || self.weight > limits::REASSEMBLY_BYTES
        {
            let Some(oldest) = self.unfinished.pop_front() else { return };
            self.weight -= oldest.weight();
        }
    }
}

impl fmt::Debug for Reassembly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reassembly({} frames, {} bytes)", self.unfinished.len(), self.weight)
    }
}

fn whole(frame: &Unfinished) -> Result<Bytes, Fault> {
    let mut bytes = BytesMut::with_capacity(frame.length);
    frame.parts.values().for_each(|part| bytes.extend_from_slice(part));
    if bytes.first() == Some(&FRAGMENT_KIND) {
        return Err(Fault::Protocol("a fragment of a fragment"));
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests;

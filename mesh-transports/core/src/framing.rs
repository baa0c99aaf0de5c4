//! Frames on a byte stream: three bytes of length, big-endian, then the frame.

use std::io;
use std::mem;

use bytes::{Buf, Bytes, BytesMut};

use crate::link::check_size;

/// Bytes before each frame.
pub const PREFIX_BYTES: usize = 3;

/// Room for one read while no larger frame is under way: hundreds of small frames in one call to
/// the system, and little to move when the beginning of a large one comes with them.
const READ_BYTES: usize = 16 << 10;

// spec: FIND-9
/// What stands before `frame` on a stream with frames of at most `largest` bytes; an error if it
/// is empty or too large.
pub fn prefix(frame: &[u8], largest: usize) -> io::Result<[u8; PREFIX_BYTES]> {
    check_size(frame, largest.min((1 << 24) - 1))?;
    let [_, prefix @ ..] = (frame.len() as u32).to_be_bytes();
    Ok(prefix)
}

/// Takes the frames out of a byte stream, without copying the large ones, and without holding
/// memory while no frame is under way.
///
/// ```text
/// loop {
///     while let Some(frame) = reader.next_frame()? { use(frame) }
///     append(reader.room());                                        // one read of the stream
/// }
/// ```
#[derive(Debug)]
pub struct Reader {
    largest: usize,
    /// Whole frames, perhaps with the beginning of one more.
    whole: BytesMut,
    /// The beginning of a frame.
    partial: Vec<u8>,
}

impl Reader {
    /// A reader of a stream with frames of at most `largest` bytes.
    #[must_use]
    pub fn new(largest: usize) -> Self {
        Self { largest, whole: BytesMut::new(), partial: Vec::new() }
    }

    /// The next frame, if all of it was read. A length that is zero or too large is an error, now
    /// and on every later call.
    pub fn next_frame(&mut self) -> io::Result<Option<BytesMut>> {
        if self.whole.is_empty() {
            if self.end_of_first(&self.partial)?.is_none_or(|end| end > self.partial.len()) {
                return Ok(None);
            }
            let mut read = mem::take(&mut self.partial);
            // A frame that is kept must not keep the room that its read did not need.
            if read.len() < read.capacity() / 2 {
                read.shrink_to_fit();
            }
            self.whole = Bytes::from(read).into();
        }
        let Some(end) = self.end_of_first(&self.whole)? else { return Ok(None) };
        let rest = self.whole.get(end..).unwrap_or_default();
        let mut frame = match self.end_of_first(rest) {
            Ok(next) if next.is_none_or(|next| next > rest.len()) => {
                self.partial = rest.to_vec();
                self.whole.truncate(end);
                mem::take(&mut self.whole)
            }
            Ok(_) | Err(_) => self.whole.split_to(end),
        };
        frame.advance(PREFIX_BYTES);
        Ok(Some(frame))
    }

    /// Where the next bytes of the stream are to be appended, up to its capacity: room for what
    /// is missing of a frame and the prefix of the next one, so that a stream of large frames
    /// takes one read and no copy each. Call after [`Reader::next_frame`] gave `None`.
    pub fn room(&mut self) -> &mut Vec<u8> {
        let known = self.end_of_first(&self.partial).ok().flatten();
        let wanted = known.map_or(0, |end| end + PREFIX_BYTES).max(READ_BYTES);
        self.partial.reserve_exact(wanted.saturating_sub(self.partial.len()));
        &mut self.partial
    }

    /// Gives back the memory of [`Reader::room`] if nothing was read into it.
    pub fn rest(&mut self) {
        if self.partial.is_empty() {
            self.partial = Vec::new();
        }
    }

    /// Whether the stream may end here.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.whole.is_empty() && self.partial.is_empty()
    }

    /// Where the frame at the beginning of `bytes` ends, once its prefix is there.
    fn end_of_first(&self, bytes: &[u8]) -> io::Result<Option<usize>> {
        let Some(&[a, b, c]) = bytes.first_chunk() else { return Ok(None) };
        let size = u32::from_be_bytes([0, a, b, c]) as usize;
        if size == 0 || size > self.largest {
            let problem =
                format!("a frame of {size} bytes came; 1 to {} are allowed", self.largest);
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        Ok(Some(PREFIX_BYTES + size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LARGEST: usize = 40_000;

    /// The frames read from `stream` when it comes in pieces of at most `piece` bytes.
    fn read(stream: &[u8], piece: usize) -> io::Result<Vec<BytesMut>> {
        let mut reader = Reader::new(LARGEST);
        let mut frames = Vec::new();
        let mut stream = stream;
        loop {
            while let Some(frame) = reader.next_frame()? {
                frames.push(frame);
            }
            if stream.is_empty() {
                assert!(reader.is_between_frames());
                reader.rest();
                assert_eq!(reader.partial.capacity(), 0, "no frame under way, no memory");
                return Ok(frames);
            }
            let room = reader.room();
            let count = piece.min(room.capacity() - room.len()).min(stream.len());
            room.extend_from_slice(&stream[..count]);
            stream = &stream[count..];
        }
    }

    fn stream(frames: &[Vec<u8>]) -> Vec<u8> {
        let framed = |frame| [&prefix(frame, LARGEST).unwrap()[..], frame].concat();
        frames.iter().flat_map(|frame| framed(frame)).collect()
    }

    fn frames() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let size = prop_oneof![1..4_usize, 1..2000_usize, LARGEST - 2..=LARGEST];
        let frame = (size, any::<u8>()).prop_map(|(size, byte)| vec![byte; size]);
        proptest::collection::vec(frame, 0..20)
    }

    proptest! {
        // spec: FIND-9
        #[test]
        fn frames_come_out_as_they_went_in_however_the_stream_is_cut(
            frames in frames(),
            piece in prop_oneof![1..10_usize, 1000..100_000_usize],
        ) {
            let read = read(&stream(&frames), piece).unwrap();
            prop_assert_eq!(read, frames);
        }
    }

    #[test]
    fn a_length_that_is_zero_or_too_large_is_refused_before_the_frame_is_buffered() {
        for size in [0, LARGEST + 1, (1 << 24) - 1] {
            let mut reader = Reader::new(LARGEST);
            let bad = &(size as u32).to_be_bytes()[1..];
            reader.room().extend_from_slice(&[&stream(&[vec![7; 9]]), bad].concat());
            assert_eq!(reader.next_frame().unwrap().unwrap(), [7; 9][..], "the good one first");
            for _ in 0..2 {
                let error = reader.next_frame().unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            }
            assert!(reader.partial.capacity() <= 2 * READ_BYTES, "{}", reader.partial.capacity());
        }
    }

    #[test]
    fn a_writer_refuses_what_no_reader_takes() {
        assert_eq!(prefix(&[0; 258], 258).unwrap(), [0, 1, 2]);
        for bad in [&[][..], &[0; 259]] {
            assert_eq!(prefix(bad, 258).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn a_small_frame_does_not_keep_a_large_buffer() {
        let mut reader = Reader::new(LARGEST);
        reader.room().extend_from_slice(&stream(&[vec![1; 10]]));
        let frame = reader.next_frame().unwrap().unwrap();
        assert!(frame.capacity() < 100, "{}", frame.capacity());
    }

    #[test]
    fn a_large_frame_is_read_into_its_own_memory() {
        let mut reader = Reader::new(LARGEST);
        let two = stream(&[vec![1; LARGEST], vec![2; LARGEST]]);
        reader.room().extend_from_slice(&two[..PREFIX_BYTES]);
        assert!(reader.next_frame().unwrap().is_none());
        let room = reader.room();
        let (at, size) = (room.as_ptr(), room.capacity());
        assert_eq!(size, LARGEST + 2 * PREFIX_BYTES, "and the prefix of the next");
        room.extend_from_slice(&two[PREFIX_BYTES..size]);
        let frame = reader.next_frame().unwrap().unwrap();
        assert_eq!(frame.as_ptr(), at.wrapping_add(PREFIX_BYTES), "not copied");
        assert_eq!(reader.room().capacity(), size);
    }
}

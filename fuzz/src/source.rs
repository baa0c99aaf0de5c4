//! The input of a body as a source of choices. At its end every choice is the first one.

use bytes::Bytes;

/// What is left of an input.
pub(crate) struct Source<'a> {
    rest: &'a [u8],
}

impl<'a> Source<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// The next byte, which names an operation; `None` at the end.
    pub(crate) fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// A number below `bound`, which is at most 2¹⁶; 0 if `bound` is 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let wide = usize::from(self.byte()) << 8 | usize::from(self.byte());
        wide.checked_rem(bound).unwrap_or(0)
    }

    /// Everything that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        core::mem::take(&mut self.rest)
    }

    /// One of `all`.
    pub(crate) fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// A length of up to 255 and that many bytes, fewer at the end.
    pub(crate) fn bytes(&mut self) -> Bytes {
        let count = usize::from(self.byte()).min(self.rest.len());
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        Bytes::copy_from_slice(taken)
    }

    /// `frame` with up to three bytes changed and perhaps an end cut off.
    pub(crate) fn altered(&mut self, frame: &[u8]) -> Vec<u8> {
        let mut frame = frame.to_vec();
        for _ in 0..self.below(4) {
            let at = self.below(frame.len());
            if let Some(byte) = frame.get_mut(at) {
                *byte ^= self.byte();
            }
        }
        if self.byte() & 7 == 7 {
            frame.truncate(self.below(frame.len()));
        }
        frame
    }
}

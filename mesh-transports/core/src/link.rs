//! A link: whole frames, both ways, between two nodes.

use std::io;
use std::task::{Context, Poll};

use bytes::BytesMut;
use mesh_wire::{Address, Carrier, limits};

/// The largest frame of a stream link, in bytes: the largest record, sealed.
pub const STREAM_FRAME_BYTES: usize = limits::RECORD_BYTES + 64;

/// A link that carries whole frames both ways.
///
/// What was taken leaves while [`FrameLink::poll_ready`] or [`FrameLink::poll_flush`] is polled.
/// Dropping a link closes it; [`FrameLink::poll_flush`] first if the last frames matter.
pub trait FrameLink: Send {
    /// How it carries them.
    fn carrier(&self) -> Carrier;

    /// The largest frame it carries, in bytes.
    fn largest_frame(&self) -> usize;

    /// The address of the other end.
    fn remote(&self) -> Address;

    /// The next frame; `None` when the other end has closed. A frame larger than
    /// [`FrameLink::largest_frame`] is an error before it is buffered. Frames that came together
    /// may share memory: copy what is to outlive its frame.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<BytesMut>>>;

    /// Ready when one frame of the largest size can be taken without holding more than one in
    /// memory.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Takes a frame; call only when [`FrameLink::poll_ready`] was ready. An empty frame and one
    /// that is too large are errors that leave the link as it was.
    fn send(&mut self, frame: &[u8]) -> io::Result<()>;

    /// Ready when nothing that was taken is still held here.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// Refuses a frame that a link with frames of at most `largest` bytes must not take.
pub fn check_size(frame: &[u8], largest: usize) -> io::Result<()> {
    let problem = match frame.len() {
        0 => "an empty frame".to_owned(),
        size if size > largest => format!("a frame of {size} bytes; the largest has {largest}"),
        _ => return Ok(()),
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, problem))
}

//! One connection: frames straight to the socket and straight from it.

use std::io::{self, IoSlice};
use std::net::{SocketAddr, TcpStream};
use std::task::{Context, Poll, ready};

use async_io::Async;
use bytes::{Buf, BufMut, BytesMut};
use mesh_transport::framing::{self, Reader};
use mesh_transport::{FrameLink, link::STREAM_FRAME_BYTES};
use mesh_wire::{Address, Carrier, limits};
use rustix::buffer::spare_capacity;
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, recv, sendmsg};
use socket2::SockRef;

/// A link over one TCP connection. While nothing is under way it holds no memory but its own.
pub(crate) struct TcpLink {
    stream: Async<TcpStream>,
    remote: SocketAddr,
    reader: Reader,
    /// What the socket did not take yet of the last frame.
    unsent: BytesMut,
    /// Whether the socket had nothing more to read, or no more room, when it was last tried. Then
    /// the reactor is asked first, and a link where nothing happens costs no call to the system.
    is_drained: bool,
    is_full: bool,
}

impl TcpLink {
    /// A link over a connection to `remote`.
    pub(crate) fn new(stream: Async<TcpStream>, remote: SocketAddr) -> io::Result<Self> {
        let socket = SockRef::from(stream.get_ref());
        // Frames are as large as can be already: waiting for more only delays them.
        socket.set_tcp_nodelay(true)?;
        // Bounds how long the kernel keeps the last frames of a link that was dropped, and keeps
        // a peer that stopped reading, as long as a node waits for a silent one; its own retries
        // go on for a quarter of an hour. Keep-alive would wake both radios to learn what the
        // node's pings tell.
        socket.set_tcp_user_timeout(Some(limits::DEAD_AFTER))?;
        Ok(Self {
            stream,
            remote: canonical(remote),
            reader: Reader::new(STREAM_FRAME_BYTES),
            unsent: BytesMut::new(),
            is_drained: false,
            is_full: false,
        })
    }

    /// What the end of the stream means.
    fn end(&self) -> io::Result<Option<BytesMut>> {
        if self.reader.is_between_frames() {
            Ok(None)
        } else {
            Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the link ended within a frame"))
        }
    }
}

impl FrameLink for TcpLink {
    fn carrier(&self) -> Carrier {
        Carrier::Stream
    }

    fn largest_frame(&self) -> usize {
        STREAM_FRAME_BYTES
    }

    fn remote(&self) -> Address {
        Address::socket("tcp", self.remote)
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<BytesMut>>> {
        loop {
            if let Some(frame) = self.reader.next_frame()? {
                return Poll::Ready(Ok(Some(frame)));
            }
            if self.is_drained {
                ready!(self.stream.poll_readable(cx))?;
                self.is_drained = false;
            }
            let room = self.reader.room();
            match recv(&self.stream, spare_capacity(room), RecvFlags::empty()) {
                Ok((0, _)) => return Poll::Ready(self.end()),
                // It gave less than it could.
                Ok(_) => self.is_drained = room.len() < room.capacity(),
                Err(Errno::AGAIN) => {
                    self.is_drained = true;
                    self.reader.rest();
                }
                Err(Errno::INTR) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
    }

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }

    fn send(&mut self, frame: &[u8]) -> io::Result<()> {
        let prefix = framing::prefix(frame, STREAM_FRAME_BYTES)?;
        if !self.unsent.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let sent = write(&self.stream, &[IoSlice::new(&prefix), IoSlice::new(frame)])?;
        let mut rest = (&prefix[..]).chain(frame);
        rest.advance(sent);
        // It took less than there was.
        self.is_full = rest.has_remaining();
        if self.is_full {
            self.unsent.reserve(rest.remaining());
            self.unsent.put(rest);
        }
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            if self.is_full {
                ready!(self.stream.poll_writable(cx))?;
                self.is_full = false;
            }
            self.unsent.advance(write(&self.stream, &[IoSlice::new(&self.unsent)])?);
            self.is_full = !self.unsent.is_empty();
        }
        self.unsent = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

/// Gives the socket as much of the parts as it takes.
fn write(stream: &Async<TcpStream>, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    // A peer that is gone is an error here, not a signal to a process that may not be ours.
    let flags = SendFlags::NOSIGNAL;
    match sendmsg(stream, parts, &mut SendAncillaryBuffer::default(), flags) {
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        other => Ok(other?),
    }
}

/// An IPv4 address as such: a socket for both families writes it as an IPv6 one.
fn canonical(at: SocketAddr) -> SocketAddr {
    match at {
        SocketAddr::V6(v6) => match v6.ip().to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), v6.port()),
            None => at,
        },
        SocketAddr::V4(_) => at,
    }
}

//! Takes connections: who comes, and no faster than the system has room for.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_io::{Async, Timer};
use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, Socket, Type};

use crate::link::TcpLink;

/// Connections that wait to be taken: the kernel holds them, not we.
const BACKLOG: i32 = 128;

/// Connections that end before they are taken, passed over at one time.
const TRIES: usize = 16;

/// The pause after the system had no room: long enough not to spin, short enough not to notice.
const PAUSE: Duration = Duration::from_secs(1);

/// A listening socket.
pub(crate) struct Listener {
    socket: Async<TcpListener>,
    at: SocketAddr,
    /// Whether nobody waited when it was last tried.
    is_drained: bool,
    /// Why no connections are taken now, until the timer rings.
    trouble: Option<(io::Error, Timer)>,
}

impl Listener {
    /// Listens at `at`; where there is no IPv6, at every IPv4 address instead of every address.
    pub(crate) fn new(at: SocketAddr) -> io::Result<Self> {
        let socket = match listen(at) {
            Err(_) if at.is_ipv6() && at.ip().is_unspecified() => {
                listen((Ipv4Addr::UNSPECIFIED, at.port()).into())
            }
            other => other,
        }?;
        let at = socket.local_addr()?;
        Ok(Self { socket: Async::new_nonblocking(socket)?, at, is_drained: false, trouble: None })
    }

    /// Where it listens.
    pub(crate) fn at(&self) -> SocketAddr {
        self.at
    }

    /// Why it takes no connections now, if so.
    pub(crate) fn trouble(&self) -> Option<&io::Error> {
        self.trouble.as_ref().map(|(error, _)| error)
    }

    /// The next link, or `None` if [`Listener::trouble`] begins or ends.
    pub(crate) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Option<TcpLink>> {
        if let Some((_, timer)) = &mut self.trouble {
            ready!(Pin::new(timer).poll(cx));
            self.trouble = None;
            return Poll::Ready(None);
        }
        for _ in 0..TRIES {
            if self.is_drained && ready!(self.socket.poll_readable(cx)).is_ok() {
                self.is_drained = false;
            }
            match self.accept() {
                Ok(link) => return Poll::Ready(Some(link)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_drained = true,
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    self.trouble = Some((error, Timer::after(PAUSE)));
                    return Poll::Ready(None);
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn accept(&self) -> io::Result<TcpLink> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let (stream, from) = acceptfrom_with(&self.socket, flags)?;
        let from = from.and_then(|from| SocketAddr::try_from(from).ok());
        let from = from.ok_or(io::ErrorKind::ConnectionAborted)?;
        TcpLink::new(Async::new_nonblocking(TcpStream::from(stream))?, from)
    }
}

fn listen(at: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(at), Type::STREAM, Some(Protocol::TCP))?;
    if at.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A node that starts again gets its port back while the last connections to it fade away.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&at.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether the next connection may fare better at once (accept(2), "Error handling").
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionAborted, ConnectionReset, HostUnreachable, Interrupted, InvalidInput,
        NetworkDown, NetworkUnreachable, TimedOut,
    };
    let kinds = [
        ConnectionAborted,
        ConnectionReset,
        HostUnreachable,
        Interrupted,
        // Options of a connection that is gone already.
        InvalidInput,
        NetworkDown,
        NetworkUnreachable,
        TimedOut,
    ];
    kinds.contains(&error.kind())
}

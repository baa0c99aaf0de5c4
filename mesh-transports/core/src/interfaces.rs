//! The network interfaces that are up, and the news that they changed.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_io::{Async, Timer};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};

/// Time between looks where the system does not tell of changes.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Messages of the kernel taken at once: it sends a handful for each change.
const NOTICES: usize = 64;

/// The kernel's groups of news (`linux/rtnetlink.h`): links, IPv4 and IPv6 addresses.
const GROUPS: u32 = 0x1 | 0x10 | 0x100;

/// A network interface that is up and has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// The system's number for it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Its addresses, each with the length of its network's prefix in bits.
    pub networks: Vec<(IpAddr, u8)>,
}

/// The interfaces of this machine. Costs nothing while nothing changes.
pub struct Interfaces {
    up: Vec<Interface>,
    news: News,
}

/// Who says that something changed.
enum News {
    Kernel(Async<OwnedFd>),
    Clock(Timer),
}

impl Interfaces {
    /// The interfaces as they are now.
    #[must_use]
    pub fn new() -> Self {
        // The ear opens before the first look, or a change between the two would be missed.
        let news = listen().map_or_else(|_| News::by_the_clock(), News::Kernel);
        Self { up: look(), news }
    }

    /// Those that are up, by their numbers.
    #[must_use]
    pub fn up(&self) -> &[Interface] {
        &self.up
    }

    /// Ready when something may have changed; [`Interfaces::up`] was looked up anew.
    pub fn poll_change(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.news {
            News::Kernel(socket) => match ready!(socket.poll_readable(cx)) {
                Ok(()) => drain(socket),
                Err(_) => self.news = News::by_the_clock(),
            },
            News::Clock(timer) => {
                ready!(Pin::new(timer).poll(cx));
            }
        }
        self.up = look();
        Poll::Ready(())
    }
}

impl Default for Interfaces {
    fn default() -> Self {
        Self::new()
    }
}

impl News {
    fn by_the_clock() -> Self {
        Self::Clock(Timer::interval(LOOK_EVERY))
    }
}

/// A socket on which the kernel tells of changes.
fn listen() -> io::Result<Async<OwnedFd>> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
    Async::new_nonblocking(socket)
}

/// Takes the kernel's messages away. What they say is not read: a look says more.
fn drain(socket: &Async<OwnedFd>) {
    let mut message = [0; 4096];
    for _ in 0..NOTICES {
        match recv(socket, &mut message, RecvFlags::empty()) {
            // Messages were lost, and with this error the kernel has told so.
            Ok(_) | Err(rustix::io::Errno::NOBUFS) => {}
            Err(_) => return,
        }
    }
}

/// The interfaces that are up; none if the system does not say.
fn look() -> Vec<Interface> {
    let mut up: Vec<Interface> = Vec::new();
    for found in if_addrs::get_if_addrs().unwrap_or_default() {
        let (Some(index), true) = (found.index, found.is_oper_up()) else { continue };
        let network = match found.addr {
            if_addrs::IfAddr::V4(at) => (at.ip.into(), at.prefixlen),
            if_addrs::IfAddr::V6(at) => (at.ip.into(), at.prefixlen),
        };
        match up.iter_mut().find(|interface| interface.index == index) {
            Some(interface) => interface.networks.push(network),
            None => up.push(Interface { index, name: found.name, networks: vec![network] }),
        }
    }
    up.sort_by_key(|interface| interface.index);
    up
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_io::block_on;
    use std::future::poll_fn;

    #[test]
    fn a_machine_has_the_interface_it_talks_to_itself_over() {
        let interfaces = Interfaces::new();
        assert!(matches!(interfaces.news, News::Kernel(_)), "this kernel tells of changes");
        let has_loopback =
            |interface: &Interface| interface.networks.iter().any(|(at, _)| at.is_loopback());
        assert!(interfaces.up().iter().any(has_loopback), "{:?}", interfaces.up());
    }

    #[test]
    fn where_the_system_tells_nothing_it_is_asked_by_the_clock() {
        let news = News::Clock(Timer::interval(Duration::from_millis(1)));
        let mut interfaces = Interfaces { up: Vec::new(), news };
        block_on(poll_fn(|cx| interfaces.poll_change(cx)));
        assert_eq!(interfaces.up(), Interfaces::new().up());
    }
}

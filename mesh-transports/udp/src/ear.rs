//! Sends and hears beacons on one interface, in one family of addresses.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::task::{Context, Poll, ready};

use async_io::Async;
use bytes::Bytes;
use mesh_transport::interfaces::Interface;
use mesh_wire::limits;
use rustix::net::sockopt::set_ip_multicast_if_with_ifindex;
use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use crate::group::{GROUP_V4, GROUP_V6, HOPS, PORT, filter};

/// Datagrams looked at before others get their turn.
const BATCH: usize = 16;

/// A family of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    V4,
    V6,
}

/// A socket that belongs to one interface and one family.
pub(crate) struct Ear {
    interface: Interface,
    family: Family,
    socket: Async<UdpSocket>,
    /// Where its beacons go.
    to: SocketAddr,
    /// Why the last beacon did not leave, if so.
    trouble: Option<io::Error>,
    /// Whether nothing was to be read when it was last tried.
    is_drained: bool,
}

impl Family {
    /// The interface with the addresses of this family that beacons can be sent from; `None` if
    /// it has none.
    pub(crate) fn part_of(self, interface: &Interface) -> Option<Interface> {
        let mut part = interface.clone();
        part.networks.retain(|(at, _)| match self {
            Self::V4 => at.is_ipv4(),
            // Linux routes no IPv6 multicast over loopback; IPv4 reaches the same nodes.
            Self::V6 => at.is_ipv6() && !at.is_loopback(),
        });
        (!part.networks.is_empty()).then_some(part)
    }
}

impl Ear {
    /// Opens the socket for one family's part of an interface.
    // spec: FIND-1, FIND-4, FIND-5, FIND-7, FIND-8
    pub(crate) fn open(interface: Interface, family: Family) -> io::Result<Self> {
        let (socket, to) = match family {
            Family::V4 => open_v4(&interface)?,
            Family::V6 => open_v6(&interface)?,
        };
        let socket = Async::new_nonblocking(socket.into())?;
        Ok(Self { interface, family, socket, to, trouble: None, is_drained: false })
    }

    /// Whether it is the one for this part of an interface as it is now.
    pub(crate) fn is_for(&self, interface: &Interface) -> bool {
        self.interface == *interface
    }

    /// Why its last beacon did not leave, if so.
    pub(crate) fn trouble(&self) -> Option<&io::Error> {
        self.trouble.as_ref()
    }

    /// For people: `eth0 (IPv6)`.
    pub(crate) fn describe(&self) -> String {
        let family = match self.family {
            Family::V4 if self.to.ip().is_multicast() => "IPv4",
            Family::V4 => "IPv4, broadcast",
            Family::V6 => "IPv6",
        };
        format!("{} ({family})", self.interface.name)
    }

    /// Sends a beacon to everyone on the link.
    pub(crate) fn send(&mut self, beacon: &[u8]) {
        self.trouble = self.socket.get_ref().send_to(beacon, self.to).err();
    }

    /// The next beacon, and where it came from.
    // spec: FIND-2, FIND-6
    pub(crate) fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<(SocketAddr, Bytes)> {
        let mut datagram = [0; limits::BEACON_BYTES + 1];
        for _ in 0..BATCH {
            if self.is_drained && ready!(self.socket.poll_readable(cx)).is_ok() {
                self.is_drained = false;
            }
            match self.socket.get_ref().recv_from(&mut datagram) {
                Ok((size, from)) if self.is_on_link(from) => {
                    let beacon = datagram.get(..size).unwrap_or_default();
                    if (1..=limits::BEACON_BYTES).contains(&size) {
                        return Poll::Ready((from, Bytes::copy_from_slice(beacon)));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.is_drained = true,
                // From elsewhere, or the news that something sent earlier did not arrive.
                Ok(_) | Err(_) => {}
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Whether a datagram from there can have begun its way on this interface.
    fn is_on_link(&self, from: SocketAddr) -> bool {
        if let SocketAddr::V6(v6) = from
            && v6.ip().is_unicast_link_local()
            && v6.scope_id() != self.interface.index
        {
            return false;
        }
        self.interface.networks.iter().any(|network| contains(*network, from.ip()))
    }
}

/// Whether the network, an address in it and the length of its prefix, has the address in it.
fn contains((network, prefix): (IpAddr, u8), at: IpAddr) -> bool {
    let (network, at, size) = match (network, at) {
        (IpAddr::V4(network), IpAddr::V4(at)) => {
            (network.to_bits().into(), at.to_bits().into(), 32_u32)
        }
        (IpAddr::V6(network), IpAddr::V6(at)) => (network.to_bits(), at.to_bits(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    let host_bits = size.saturating_sub(prefix.into());
    let differing: u128 = network ^ at;
    differing.checked_shr(host_bits).unwrap_or(0) == 0
}

/// A socket that shares the port with the other nodes of this machine and of all its users.
fn open(domain: Domain, hops_at: u32) -> io::Result<Socket> {
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    // Multicast and broadcast come to every socket that shares; SO_REUSEPORT would keep out the
    // nodes of other users.
    socket.set_reuse_address(true)?;
    socket.attach_filter(&filter(hops_at))?;
    Ok(socket)
}

fn open_v4(interface: &Interface) -> io::Result<(Socket, SocketAddr)> {
    let socket = open(Domain::IPV4, 8)?;
    // What other sockets joined is not for this one.
    socket.set_multicast_all_v4(false)?;
    socket.set_multicast_ttl_v4(HOPS)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)).into())?;
    let index = InterfaceIndexOrAddress::Index(interface.index);
    if socket.join_multicast_v4_n(&GROUP_V4, &index).is_ok() {
        // The source is named, or a beacon on loopback would bear another interface's address.
        let from = interface.networks.iter().find_map(|(at, _)| match at {
            IpAddr::V4(at) => Some(*at),
            IpAddr::V6(_) => None,
        });
        let from = from.unwrap_or(Ipv4Addr::UNSPECIFIED);
        set_ip_multicast_if_with_ifindex(&socket, &GROUP_V4, &from, interface.index)?;
        return Ok((socket, (GROUP_V4, PORT).into()));
    }
    socket.set_broadcast(true)?;
    socket.set_ttl_v4(HOPS)?;
    // A broadcast goes nowhere by itself without a default route, and to one interface with it.
    socket.bind_device(Some(interface.name.as_bytes()))?;
    Ok((socket, (Ipv4Addr::BROADCAST, PORT).into()))
}

fn open_v6(interface: &Interface) -> io::Result<(Socket, SocketAddr)> {
    let socket = open(Domain::IPV6, 7)?;
    socket.set_only_v6(true)?;
    socket.set_multicast_all_v6(false)?;
    socket.set_multicast_hops_v6(HOPS)?;
    socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, PORT)).into())?;
    socket.join_multicast_v6(&GROUP_V6, interface.index)?;
    socket.set_multicast_if_v6(interface.index)?;
    Ok((socket, SocketAddrV6::new(GROUP_V6, PORT, 0, interface.index).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(network: &str, prefix: u8, at: &str, expected: bool) {
        let [network, at]: [IpAddr; 2] = [network, at].map(|ip| ip.parse().unwrap());
        assert_eq!(contains((network, prefix), at), expected, "{at} in {network}/{prefix}");
    }

    // spec: FIND-6
    #[test]
    fn an_address_is_in_a_network_if_it_shares_the_prefix() {
        check("192.0.2.77", 24, "192.0.2.1", true);
        check("192.0.2.77", 24, "192.0.3.1", false);
        check("192.0.2.77", 32, "192.0.2.77", true);
        check("192.0.2.77", 32, "192.0.2.76", false);
        check("192.0.2.77", 0, "8.8.8.8", true);
        check("fe80::1", 64, "fe80::ffff", true);
        check("fe80::1", 64, "fe80:0:0:1::1", false);
        check("::1", 128, "::1", true);
        check("::1", 128, "::2", false);
        check("::", 0, "2001:db8::1", true);
        check("::", 0, "192.0.2.1", false);
        check("192.0.2.1", 0, "::1", false);
    }
}

//! Where beacons go: the numbers every node agrees on.

use std::net::{Ipv4Addr, Ipv6Addr};

use mesh_wire::limits;
use socket2::SockFilter;

/// The port. Registered for nothing, and below what systems hand out by themselves, so that no
/// stranger's socket sits on it by chance.
// spec: FIND-1
pub const PORT: u16 = 17474;

/// The IPv4 group, of those that stay within a site (RFC 2365).
// spec: FIND-1
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(239, 255, 109, 101);

/// The IPv6 group: `mesh` as a number that nobody assigns (RFC 3307, section 4.3), within one
/// link.
// spec: FIND-1
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff12, 0, 0, 0, 0, 0, 0xed65, 0x7368);

/// The time to live that beacons are sent with and must arrive with: every router takes one away,
/// so nobody beyond the link can send what arrives with all of it (RFC 5082).
// spec: FIND-4
pub const HOPS: u32 = 255;

/// What the kernel keeps from us, so that junk does not even wake us: datagrams that are too
/// large, and those with fewer than [`HOPS`] left, a number that stands at `hops_at` in the
/// IP header.
// spec: FIND-2, FIND-4
pub(crate) fn filter(hops_at: u32) -> [SockFilter; 6] {
    // Operations of linux/bpf_common.h.
    const LOAD_BYTE: u16 = 0x30;
    const LOAD_LENGTH: u16 = 0x80;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const JUMP_IF_GREATER: u16 = 0x25;
    const RETURN: u16 = 0x06;
    // Offsets from here on count from the IP header (linux/filter.h).
    const IP_HEADER: u32 = -0x10_0000_i32 as u32;
    const UDP_HEADER_BYTES: u32 = 8;
    const LARGEST: u32 = UDP_HEADER_BYTES + limits::BEACON_BYTES as u32;
    [
        SockFilter::new(LOAD_LENGTH, 0, 0, 0),
        SockFilter::new(JUMP_IF_GREATER, 3, 0, LARGEST),
        SockFilter::new(LOAD_BYTE, 0, 0, IP_HEADER + hops_at),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, HOPS),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
        SockFilter::new(RETURN, 0, 0, 0),
    ]
}

//! Beacons between nodes of one machine, over loopback and in network namespaces of their own.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::task::{Context, Poll, Waker};

use mesh_transport::contract::wait;
use mesh_transport::{DialId, State, Transport, TransportEvent};
use mesh_transport_udp::Udp;
use mesh_transport_udp::group::{GROUP_V4, GROUP_V6, HOPS, PORT};
use mesh_wire::limits;
use socket2::{Domain, SockRef, Socket, Type};

fn on(names: &[&str]) -> Udp {
    Udp::new(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
}

fn ready<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    match poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// Where the next beacon comes from, and what it says.
fn heard(udp: &mut Udp) -> (SocketAddr, Vec<u8>) {
    loop {
        if let TransportEvent::Heard { from, bytes } = wait(|cx| udp.poll_event(cx)) {
            assert_eq!(from.transport(), "udp");
            return (from.socket_addr().unwrap(), bytes.to_vec());
        }
    }
}

/// Where `listener` hears `beacon` from, at last, if `speaker` says it whenever anything changes.
fn heard_from(
    (speaker, listener): (&mut Udp, &mut Udp),
    beacon: &[u8],
    expected: impl Fn(SocketAddr) -> bool,
) {
    wait(|cx| {
        while let Poll::Ready(event) = speaker.poll_event(cx) {
            if matches!(event, TransportEvent::Changed) {
                speaker.announce(beacon);
            }
        }
        while let Poll::Ready(event) = listener.poll_event(cx) {
            match event {
                TransportEvent::Changed => speaker.announce(beacon),
                TransportEvent::Heard { from, bytes } => {
                    if bytes == beacon && expected(from.socket_addr().unwrap()) {
                        return Poll::Ready(());
                    }
                }
                TransportEvent::Opened { .. } | TransportEvent::DialFailed { .. } => {}
            }
        }
        Poll::Pending
    });
}

fn until_state(udp: &mut Udp, is_expected: impl Fn(&State) -> bool) {
    while !is_expected(&udp.state()) {
        wait(|cx| match udp.poll_event(cx) {
            Poll::Ready(TransportEvent::Changed) => Poll::Ready(()),
            Poll::Ready(_) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        });
    }
}

fn is_on(name: &str) -> impl Fn(&State) -> bool {
    move |state| matches!(state, State::Up { detail } if detail.contains(name))
}

/// Says that this process has a network namespace to itself.
const NAMESPACE: &str = "MESH_TEST_NAMESPACE";

/// Whether this is the process of the test called `name` in a fresh network namespace; if not,
/// starts that one.
fn in_namespace(name: &str) -> bool {
    if std::env::var_os(NAMESPACE).is_some() {
        return true;
    }
    if !rustix::process::geteuid().is_root() {
        println!("skipped: not root");
        return false;
    }
    let mut child = Command::new("unshare");
    child.arg("--net").arg(std::env::current_exe().unwrap());
    child.args([name, "--exact", "--nocapture"]).env(NAMESPACE, "1");
    assert!(child.status().unwrap().success());
    false
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

fn set(path: &str, value: &str) {
    std::fs::write(format!("/proc/sys/net/{path}"), value).unwrap();
}

/// Adds an interface that is up; the other end of its cable is `v1`.
fn add_v0() {
    ip("link add v0 type veth peer name v1");
    ip("address add 192.0.2.1/24 dev v0");
    ip("link set v1 up");
    ip("link set v0 up");
}

// spec: FIND-8
#[test]
fn nodes_on_one_machine_hear_each_other_and_themselves() {
    let mut nodes = [on(&["lo"]), on(&["lo"]), on(&["lo"])];
    let beacon = format!("from {}", std::process::id());
    nodes[1].announce(beacon.as_bytes());
    for node in &mut nodes {
        while heard(node).1 != beacon.as_bytes() {}
    }
}

// spec: FIND-1, FIND-5
#[test]
fn a_namespace_with_nothing_but_loopback_is_enough() {
    if !in_namespace("a_namespace_with_nothing_but_loopback_is_enough") {
        return;
    }
    ip("link set lo up");
    let (mut a, mut b) = (on(&[]), on(&[]));
    a.announce(b"here");
    assert_eq!(heard(&mut b), (SocketAddr::from(([127, 0, 0, 1], PORT)), b"here".to_vec()));
    assert_eq!(a.state(), State::Up { detail: "beacons on lo (IPv4)".into() });
}

// spec: FIND-2, FIND-4, FIND-6
#[test]
fn only_beacons_that_begin_on_the_link_are_heard() {
    if !in_namespace("only_beacons_that_begin_on_the_link_are_heard") {
        return;
    }
    ip("link set lo up");
    add_v0();
    let mut udp = on(&["lo"]);
    let longest = vec![7; limits::BEACON_BYTES];
    let from = |ip: [u8; 4]| UdpSocket::bind(SocketAddr::from((ip, 0))).unwrap();
    let near = from([127, 0, 0, 1]);
    let say = |socket: &UdpSocket, hops, what: &[u8]| {
        socket.set_multicast_ttl_v4(hops).unwrap();
        SockRef::from(socket).set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
        socket.send_to(what, (GROUP_V4, PORT)).unwrap();
    };
    say(&near, 1, b"one hop");
    say(&near, HOPS - 1, b"routed");
    say(&near, HOPS, &[&longest[..], &[7]].concat());
    say(&near, HOPS, b"");
    say(&from([192, 0, 2, 1]), HOPS, b"elsewhere");
    say(&near, HOPS, &longest);
    assert_eq!(heard(&mut udp), (near.local_addr().unwrap(), longest));
}

// spec: FIND-2, FIND-4
#[test]
fn only_beacons_that_begin_on_the_link_are_heard_over_ipv6() {
    if !in_namespace("only_beacons_that_begin_on_the_link_are_heard_over_ipv6") {
        return;
    }
    add_v0();
    let (mut speaker, mut udp) = (on(&["v0"]), on(&["v1"]));
    heard_from((&mut speaker, &mut udp), b"ready", |from| from.is_ipv6());
    let socket = UdpSocket::bind("[::]:0").unwrap();
    let index = rustix::net::netdevice::name_to_index(&socket, "v0").unwrap();
    let say = |hops, what: &[u8]| {
        SockRef::from(&socket).set_multicast_hops_v6(hops).unwrap();
        SockRef::from(&socket).set_multicast_if_v6(index).unwrap();
        socket.send_to(what, (GROUP_V6, PORT)).unwrap();
    };
    say(1, b"one hop");
    say(HOPS - 1, b"routed");
    say(HOPS, &[7; limits::BEACON_BYTES + 1]);
    say(HOPS, b"here");
    loop {
        let (from, beacon) = heard(&mut udp);
        if beacon != b"ready" {
            assert_eq!(
                (from.port(), &beacon[..]),
                (socket.local_addr().unwrap().port(), &b"here"[..])
            );
            return;
        }
    }
}

// spec: FIND-5
#[test]
fn an_interface_that_comes_is_used_and_one_that_goes_is_left() {
    if !in_namespace("an_interface_that_comes_is_used_and_one_that_goes_is_left") {
        return;
    }
    ip("link set lo up");
    let (mut a, mut b) = (on(&[]), on(&[]));
    assert!(is_on("lo (IPv4)")(&a.state()) && !is_on("v0")(&a.state()));
    for _ in 0..2 {
        add_v0();
        until_state(&mut a, is_on("v0"));
        heard_from((&mut a, &mut b), b"here", |from| from.ip() == Ipv4Addr::new(192, 0, 2, 1));
        ip("link set v0 down");
        until_state(&mut a, |state| is_on("lo")(state) && !is_on("v0")(state));
        ip("link set v0 up");
        until_state(&mut a, is_on("v0"));
        ip("link delete v0");
        until_state(&mut a, |state| is_on("lo")(state) && !is_on("v0")(state));
    }
}

#[test]
fn without_an_interface_it_is_down_and_comes_up_with_one() {
    if !in_namespace("without_an_interface_it_is_down_and_comes_up_with_one") {
        return;
    }
    let mut all = on(&[]);
    let mut named = on(&["v0"]);
    for udp in [&mut all, &mut named] {
        assert!(matches!(udp.state(), State::Down { .. }));
        assert!(matches!(ready(|cx| udp.poll_event(cx)), Some(TransportEvent::Changed)));
        udp.announce(b"here");
        assert!(ready(|cx| udp.poll_event(cx)).is_none());
    }
    ip("link set lo up");
    until_state(&mut all, is_on("lo"));
    add_v0();
    until_state(&mut named, is_on("v0"));
    assert!(!is_on("lo")(&named.state()), "it may not use that one");
    ip("link set v0 down");
    ip("link set lo down");
    for udp in [&mut all, &mut named] {
        until_state(udp, |state| matches!(state, State::Down { .. }));
    }
}

// spec: FIND-5
#[test]
fn link_local_neighbours_meet_as_soon_as_their_addresses_may_be_used() {
    if !in_namespace("link_local_neighbours_meet_as_soon_as_their_addresses_may_be_used") {
        return;
    }
    let (mut a, mut b) = (on(&["v0"]), on(&["v1"]));
    add_v0();
    heard_from((&mut a, &mut b), b"here", |from| {
        let SocketAddr::V6(from) = from else { return false };
        from.ip().is_unicast_link_local() && from.scope_id() > 0
    });
}

// spec: FIND-7
#[test]
fn where_no_group_can_be_joined_beacons_are_broadcast() {
    if !in_namespace("where_no_group_can_be_joined_beacons_are_broadcast") {
        return;
    }
    set("ipv6/conf/default/disable_ipv6", "1");
    add_v0();
    let mut member = on(&[]);
    set("ipv4/igmp_max_memberships", "0");
    let mut outsider = on(&[]);
    assert_eq!(outsider.state(), State::Up { detail: "beacons on v0 (IPv4, broadcast)".into() });
    outsider.announce(b"here");
    let from = (SocketAddr::from(([192, 0, 2, 1], PORT)), b"here".to_vec());
    assert_eq!(heard(&mut member), from);
    assert_eq!(heard(&mut outsider), from);
}

#[test]
fn a_port_in_foreign_hands_is_told_and_got_back() {
    if !in_namespace("a_port_in_foreign_hands_is_told_and_got_back") {
        return;
    }
    ip("link set lo up");
    let thieves = [Domain::IPV4, Domain::IPV6].map(|domain| {
        let thief = Socket::new(domain, Type::DGRAM, None).unwrap();
        let ip = if domain == Domain::IPV4 { "0.0.0.0" } else { "::" };
        if domain == Domain::IPV6 {
            thief.set_only_v6(true).unwrap();
        }
        thief.bind(&SocketAddr::new(ip.parse().unwrap(), PORT).into()).unwrap();
        thief
    });
    let mut udp = on(&[]);
    let State::Down { detail, remedy } = udp.state() else { panic!("it is not down") };
    assert!(detail.contains("in use"), "{detail}");
    assert!(remedy.contains(&PORT.to_string()), "{remedy}");
    drop(thieves);
    udp.announce(b"here");
    assert!(matches!(udp.state(), State::Up { .. }));
    assert_eq!(heard(&mut udp).1, b"here");
}

#[test]
fn a_firewall_is_told_once_and_its_end_too() {
    if !in_namespace("a_firewall_is_told_once_and_its_end_too") {
        return;
    }
    ip("link set lo up");
    let nft = |command: &str| Command::new("nft").arg(command).status();
    let hook = "type filter hook output priority 0;";
    let rules = format!("table ip t {{ chain o {{ {hook} udp dport {PORT} reject; }}; }}");
    let Ok(status) = nft(&rules) else {
        println!("skipped: no nft");
        return;
    };
    assert!(status.success());
    let mut udp = on(&["lo"]);
    let is_told = |udp: &mut Udp| {
        udp.announce(b"here");
        matches!(ready(|cx| udp.poll_event(cx)), Some(TransportEvent::Changed))
    };
    assert!(is_told(&mut udp));
    assert!(matches!(udp.state(), State::Down { .. }));
    assert!(!is_told(&mut udp), "that is known");
    assert!(nft("delete table ip t").unwrap().success());
    assert!(is_told(&mut udp));
    assert!(is_on("lo")(&udp.state()));
}

#[test]
fn it_cannot_be_dialled_and_says_so() {
    let mut udp = on(&["lo"]);
    assert!(udp.listening().is_empty());
    udp.dial(DialId(3), &"udp://127.0.0.1:17474".parse().unwrap());
    loop {
        match wait(|cx| udp.poll_event(cx)) {
            TransportEvent::DialFailed { dial, error } => {
                assert_eq!(
                    (dial, error.to_string().as_str()),
                    (DialId(3), "UDP carries beacons, no links")
                );
                return;
            }
            TransportEvent::Changed | TransportEvent::Heard { .. } => {}
            TransportEvent::Opened { .. } => panic!("a link over UDP"),
        }
    }
}

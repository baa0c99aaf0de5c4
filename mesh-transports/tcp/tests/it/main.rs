//! TCP on loopback: the contract of every transport, and what is TCP's own.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::task::{Context, Poll, Waker};

use mesh_transport::contract::{Pair, wait};
use mesh_transport::link::STREAM_FRAME_BYTES;
use mesh_transport::{DialId, FrameLink, State, Transport, TransportEvent};
use mesh_transport_tcp::Tcp;
use mesh_wire::Address;

fn tcp() -> Tcp {
    Tcp::new(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap()
}

fn pair() -> Pair {
    // Nobody listens on the port of tcpmux on a machine of this century.
    let nobody = "tcp://127.0.0.1:1".parse().unwrap();
    Pair { dialler: Box::new(tcp()), listener: Box::new(tcp()), nobody }
}

mesh_transport::contract!(pair);

fn port(tcp: &Tcp) -> SocketAddr {
    tcp.listening().first().and_then(Address::socket_addr).unwrap()
}

/// The next event that is no [`TransportEvent::Changed`] is a link.
fn opened(tcp: &mut Tcp) -> Box<dyn FrameLink> {
    loop {
        match wait(|cx| tcp.poll_event(cx)) {
            TransportEvent::Opened { link, .. } => return link,
            TransportEvent::Changed => {}
            TransportEvent::DialFailed { error, .. } => panic!("{error}"),
            TransportEvent::Heard { .. } => panic!("TCP hears no beacons"),
        }
    }
}

/// A link to a peer that is nothing but a socket.
fn link_to_socket() -> (Tcp, Box<dyn FrameLink>, TcpStream) {
    let mut tcp = tcp();
    let socket = TcpStream::connect(port(&tcp)).unwrap();
    let link = opened(&mut tcp);
    (tcp, link, socket)
}

fn ready<T>(poll: impl FnOnce(&mut Context<'_>) -> Poll<T>) -> Option<T> {
    match poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

// spec: FIND-9
#[test]
fn a_frame_is_three_bytes_of_length_and_itself() {
    let (_tcp, mut link, mut socket) = link_to_socket();
    link.send(&[7; 258]).unwrap();
    let mut read = [0; 261];
    socket.read_exact(&mut read).unwrap();
    assert_eq!(read[..4], [0, 1, 2, 7]);

    socket.write_all(&[0, 0, 2, 8]).unwrap();
    socket.write_all(&[9, 0, 0]).unwrap();
    socket.write_all(&[1, 5]).unwrap();
    for frame in [&[8, 9][..], &[5]] {
        assert_eq!(wait(|cx| link.poll_receive(cx)).unwrap().unwrap(), frame);
    }
}

#[test]
fn a_frame_of_a_wrong_size_ends_the_link_before_it_is_read() {
    for size in [0, STREAM_FRAME_BYTES as u32 + 1, (1 << 24) - 1] {
        let (_tcp, mut link, mut socket) = link_to_socket();
        socket.write_all(&size.to_be_bytes()[1..]).unwrap();
        let error = wait(|cx| link.poll_receive(cx)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}

#[test]
fn an_end_within_a_frame_is_an_error() {
    let (_tcp, mut link, mut socket) = link_to_socket();
    socket.write_all(&[0, 0, 9, 1]).unwrap();
    drop(socket);
    let error = wait(|cx| link.poll_receive(cx)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}

#[test]
fn l_08_a_peer_that_stops_reading_costs_one_frame_and_nobody_else() {
    let mut tcp = tcp();
    let _deaf = TcpStream::connect(port(&tcp)).unwrap();
    let mut stuffed = opened(&mut tcp);
    let mut other = TcpStream::connect(port(&tcp)).unwrap();
    let mut link = opened(&mut tcp);

    let frame = vec![7; STREAM_FRAME_BYTES];
    let memory = allocation_counter::measure(|| {
        while let Some(ready) = ready(|cx| stuffed.poll_ready(cx)) {
            ready.unwrap();
            stuffed.send(&frame).unwrap();
        }
    });
    assert!(memory.bytes_current <= STREAM_FRAME_BYTES as i64 + 1024, "{memory:?}");
    assert_eq!(stuffed.send(&frame).unwrap_err().kind(), io::ErrorKind::WouldBlock);

    link.send(b"hello").unwrap();
    let mut read = [0; 8];
    other.read_exact(&mut read).unwrap();
    assert_eq!(&read[3..], b"hello");
}

#[test]
fn an_idle_link_holds_no_buffers() {
    let mut tcp = tcp();
    let mut kept = None;
    let memory = allocation_counter::measure(|| {
        let mut socket = TcpStream::connect(port(&tcp)).unwrap();
        let mut link = opened(&mut tcp);
        for size in [100_u32, STREAM_FRAME_BYTES as u32] {
            let frame = vec![7; size as usize];
            socket.write_all(&size.to_be_bytes()[1..]).unwrap();
            socket.write_all(&frame).unwrap();
            assert_eq!(wait(|cx| link.poll_receive(cx)).unwrap().unwrap(), frame);
            assert!(ready(|cx| link.poll_receive(cx)).is_none());
            link.send(&frame).unwrap();
            wait(|cx| link.poll_flush(cx)).unwrap();
        }
        kept = Some((link, socket));
    });
    assert!(memory.bytes_current < 4096, "{memory:?}");
}

#[test]
fn every_address_means_both_families_and_names_them_as_they_are() {
    let mut tcp = Tcp::new(SocketAddr::from(([0_u16; 8], 0))).unwrap();
    let listening = tcp.listening();
    assert!(!listening.is_empty());
    let at: Vec<_> = listening.iter().map(|at| at.socket_addr().unwrap()).collect();
    assert!(at.iter().all(|at| !at.ip().is_unspecified()), "{at:?}");

    let _socket = TcpStream::connect(("127.0.0.1", at[0].port())).unwrap();
    let remote = opened(&mut tcp).remote();
    assert!(remote.rest().starts_with("127.0.0.1:"), "{remote}");
}

#[test]
fn renewing_moves_to_another_port_and_says_so() {
    let mut tcp = tcp();
    let before = port(&tcp);
    while ready(|cx| tcp.poll_event(cx)).is_some() {}
    tcp.renew();
    assert!(matches!(ready(|cx| tcp.poll_event(cx)), Some(TransportEvent::Changed)));
    assert_ne!(port(&tcp), before);
    assert!(TcpStream::connect(before).is_err());
    TcpStream::connect(port(&tcp)).unwrap();

    let asked = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut tcp = Tcp::new(asked).unwrap();
    tcp.renew();
    assert_eq!(port(&tcp), asked, "a port that was asked for stays");
}

#[test]
fn a_port_that_is_taken_is_an_error() {
    let first = tcp();
    assert!(Tcp::new(port(&first)).is_err());
}

#[test]
fn a_dialled_link_names_whom_it_reached() {
    let (mut near, mut far) = (tcp(), tcp());
    let to = far.listening().remove(0);
    near.dial(DialId(1), &to);
    assert_eq!(opened(&mut near).remote(), to);
    assert!(opened(&mut far).remote().rest().starts_with("127.0.0.1:"));
}

/// Says that this process is the one with few files.
const FEW_FILES: &str = "MESH_TEST_FEW_FILES";

#[test]
fn without_files_it_pauses_says_so_and_goes_on() {
    if std::env::var_os(FEW_FILES).is_none() {
        // The limit holds for a whole process: it gets one of its own.
        let name = "without_files_it_pauses_says_so_and_goes_on";
        let mut child = Command::new("prlimit");
        child.arg("--nofile=40").arg(std::env::current_exe().unwrap());
        child.args([name, "--exact", "--nocapture"]).env(FEW_FILES, "1");
        assert!(child.status().unwrap().success());
        return;
    }
    let mut tcp = tcp();
    while ready(|cx| tcp.poll_event(cx)).is_some() {}
    let mut files = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        files.push(file);
    }
    files.pop();
    let _socket = TcpStream::connect(port(&tcp)).unwrap();
    assert!(matches!(wait(|cx| tcp.poll_event(cx)), TransportEvent::Changed));
    assert!(matches!(tcp.state(), State::Down { .. }));
    assert!(ready(|cx| tcp.poll_event(cx)).is_none(), "it does not try again and again");
    files.clear();
    assert!(matches!(wait(|cx| tcp.poll_event(cx)), TransportEvent::Changed));
    assert!(matches!(tcp.state(), State::Up { .. }));
    opened(&mut tcp);
}

//! The transport: listens at one address, dials any.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_io::{Async, Timer};
use futures_lite::future;
use mesh_transport::interfaces::Interfaces;
use mesh_transport::{DialId, State, Transport, TransportEvent};
use mesh_wire::{Address, limits};

use crate::link::TcpLink;
use crate::listener::Listener;

/// A dial that takes longer is given up: two lost packets and a slow way fit in.
const DIAL_TIME: Duration = Duration::from_secs(5);

type Dial = Pin<Box<dyn Future<Output = io::Result<TcpLink>> + Send>>;

/// Links over TCP.
pub struct Tcp {
    asked: SocketAddr,
    listener: Listener,
    interfaces: Interfaces,
    dials: Vec<(DialId, Dial)>,
    events: VecDeque<TransportEvent>,
    /// What [`Transport::listening`] was when it was last looked at.
    told: Vec<Address>,
}

impl Tcp {
    /// Listens at `at`. `[::]` stands for every address of both families, or of IPv4 alone where
    /// there is no IPv6; port 0 for one that the system chooses, and another one after every
    /// [`Transport::renew`]. Fails if the address is not this machine's or the port is taken.
    pub fn new(at: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            asked: at,
            listener: Listener::new(at)?,
            interfaces: Interfaces::new(),
            dials: Vec::new(),
            events: VecDeque::from([TransportEvent::Changed]),
            told: Vec::new(),
        })
    }

    fn poll_dials(&mut self, cx: &mut Context<'_>) {
        let Self { dials, events, .. } = self;
        dials.retain_mut(|(dial, connecting)| {
            let Poll::Ready(outcome) = connecting.as_mut().poll(cx) else { return true };
            events.push_back(match outcome {
                Ok(link) => TransportEvent::Opened { link: Box::new(link), dial: Some(*dial) },
                Err(error) => TransportEvent::DialFailed { dial: *dial, error },
            });
            false
        });
    }

    fn poll_interfaces(&mut self, cx: &mut Context<'_>) {
        if self.interfaces.poll_change(cx).is_ready() {
            let listening = self.listening();
            if listening != self.told {
                self.told = listening;
                self.events.push_back(TransportEvent::Changed);
            }
            // There may be more news, and the next call asks for them.
            cx.waker().wake_by_ref();
        }
    }
}

impl Transport for Tcp {
    fn name(&self) -> &'static str {
        "tcp"
    }

    fn state(&self) -> State {
        match self.listener.trouble() {
            None => State::Up { detail: format!("listens at {}", self.listener.at()) },
            Some(error) => State::Down {
                detail: format!("takes no connections: {error}"),
                remedy: "close other programs, or allow more open files (ulimit -n)".into(),
            },
        }
    }

    fn listening(&self) -> Vec<Address> {
        let at = self.listener.at();
        let dialled_at = |ip: IpAddr| Address::socket(self.name(), SocketAddr::new(ip, at.port()));
        if !at.ip().is_unspecified() {
            return vec![dialled_at(at.ip())];
        }
        let networks = self.interfaces.up().iter().flat_map(|interface| &interface.networks);
        let ips = networks.map(|(ip, _)| *ip).filter(|ip| at.is_ipv6() || ip.is_ipv4());
        let (loopback, others): (Vec<_>, Vec<_>) = ips
            // Nobody else knows our number for the interface that a link-local address needs.
            .filter(|ip| !matches!(ip, IpAddr::V6(v6) if v6.is_unicast_link_local()))
            .partition(IpAddr::is_loopback);
        let reachable = if others.is_empty() { loopback } else { others };
        reachable.into_iter().map(dialled_at).collect()
    }

    fn dial(&mut self, dial: DialId, to: &Address) {
        let problem = match to.socket_addr() {
            _ if to.transport() != self.name() => format!("{to} is not a TCP address"),
            None => format!("{to} is not an IP address and a port"),
            Some(_) if self.dials.len() >= limits::DIALS => "too many dials at once".into(),
            Some(to) => {
                self.dials.push((dial, Box::pin(connect(to))));
                return;
            }
        };
        let error = io::Error::new(io::ErrorKind::InvalidInput, problem);
        self.events.push_back(TransportEvent::DialFailed { dial, error });
    }

    fn announce(&mut self, _: &[u8]) {}

    fn renew(&mut self) {
        // Without a new port the old one serves on: to be found matters more than to be new.
        if self.asked.port() == 0
            && let Ok(listener) = Listener::new(self.asked)
        {
            self.listener = listener;
            self.events.push_back(TransportEvent::Changed);
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<TransportEvent> {
        if self.events.is_empty() {
            self.poll_interfaces(cx);
            self.poll_dials(cx);
            if let Poll::Ready(accepted) = self.listener.poll_accept(cx) {
                self.events.push_back(match accepted {
                    Some(link) => TransportEvent::Opened { link: Box::new(link), dial: None },
                    None => TransportEvent::Changed,
                });
            }
        }
        self.events.pop_front().map_or(Poll::Pending, Poll::Ready)
    }
}

async fn connect(to: SocketAddr) -> io::Result<TcpLink> {
    let too_late = async {
        Timer::after(DIAL_TIME).await;
        Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {DIAL_TIME:?}")))
    };
    let stream = future::or(Async::<TcpStream>::connect(to), too_late).await?;
    TcpLink::new(stream, to)
}

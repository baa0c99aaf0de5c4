//! The only loop of the project: moves frames between transports and the node, tells the time,
//! takes commands, and sleeps until one of them has something to do.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_channel::Receiver;
use async_io::Timer;
use event_listener::Event;
use futures_lite::Stream;
use mesh_sync::Store;
use mesh_transport::{DialId, FrameLink, Transport, TransportEvent};
use mesh_wire::admission::Source;
use mesh_wire::message::find::PortNumber;
use mesh_wire::{Address, Input, Link, LinkId, Machine, Now, Role, Time};

use crate::clock::Clock;
use crate::node::{Frame, Internet, Node, NodeEvent};
use crate::web::Web;

/// Something to do with the node between two frames.
pub(crate) type Command<S> = Box<dyn FnOnce(&mut Node<S>, &Media<'_>, Now) + Send>;

/// What can be seen of the media between two frames.
pub(crate) struct Media<'a> {
    /// Every transport.
    pub(crate) transports: &'a [Box<dyn Transport>],
    /// Every link that is open.
    pub(crate) links: &'a BTreeMap<LinkId, Box<dyn FrameLink>>,
}

/// What moves a node: a future that ends when every handle is gone and all links are closed.
///
/// Spawn it on any executor, or block a thread on it.
#[must_use = "a node stands still unless its driver is polled"]
pub struct Driver<S: Store> {
    node: Node<S>,
    clock: Clock,
    transports: Vec<Box<dyn Transport>>,
    links: BTreeMap<LinkId, Box<dyn FrameLink>>,
    dials: BTreeMap<DialId, Address>,
    web: Web,
    commands: Pin<Box<Receiver<Command<S>>>>,
    changed: Arc<Event>,
    timer: Timer,
    ring: Option<Time>,
    record: Vec<u8>,
    next: u64,
    port: Option<PortNumber>,
    leaving: Option<Time>,
}

/// Frames taken from one link, and commands taken, before the others get their turn.
const BATCH: usize = 8;

/// Rounds before the executor gets its turn.
const ROUNDS: usize = 64;

/// How long the last records may take to leave.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(1);

/// Whether anything happened in a round.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    None,
    Some,
}

impl<S: Store> Driver<S> {
    pub(crate) fn new(
        node: Node<S>,
        transports: Vec<Box<dyn Transport>>,
        commands: Receiver<Command<S>>,
        changed: Arc<Event>,
    ) -> Self {
        Self {
            node,
            clock: Clock::start(),
            transports,
            links: BTreeMap::new(),
            dials: BTreeMap::new(),
            web: Web::default(),
            commands: Box::pin(commands),
            changed,
            timer: Timer::never(),
            ring: None,
            record: Vec::new(),
            next: 0,
            port: None,
            leaving: None,
        }
    }

    /// Begins to announce the node, and keeps links to `peers`.
    pub(crate) fn begin(&mut self, peers: Vec<Address>, internet: Internet) {
        let now = self.clock.now();
        self.node.set_internet(now, internet);
        self.listen(now);
        peers.into_iter().for_each(|peer| self.node.keep(now, peer));
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn round(&mut self, cx: &mut Context<'_>) -> Progress {
        let mut progress = Progress::None;
        self.poll_transports(cx, &mut progress);
        self.poll_commands(cx, &mut progress);
        self.receive(cx, &mut progress);
        let now = self.clock.now();
        if self.node.wake_at().is_some_and(|wake| wake.at <= now.time) {
            self.node.handle(now, Input::Tick);
            progress = Progress::Some;
        }
        self.tell(&mut progress);
        self.send(cx, &mut progress);
        self.download(cx, &mut progress);
        self.tell(&mut progress);
        progress
    }

    fn poll_transports(&mut self, cx: &mut Context<'_>, progress: &mut Progress) {
        for index in 0..self.transports.len() {
            for _ in 0..BATCH {
                let Poll::Ready(event) = self.transports[index].poll_event(cx) else { break };
                *progress = Progress::Some;
                self.on_transport(event);
            }
        }
    }

    fn on_transport(&mut self, event: TransportEvent) {
        let now = self.clock.now();
        match event {
            TransportEvent::Opened { link, dial } => {
                let id = LinkId(self.number());
                let dialled = dial.and_then(|dial| self.dials.remove(&dial));
                let about = Link {
                    role: if dial.is_some() { Role::Initiator } else { Role::Responder },
                    carrier: link.carrier(),
                    largest_frame: link.largest_frame(),
                    secured: None,
                };
                let remote = link.remote();
                self.links.insert(id, link);
                if let Some(to) = dialled {
                    self.node.dialled(now, &to, id);
                }
                let from = remote.socket_addr().map_or_else(|| Source::of_link(id), Source::from);
                self.node.opened(now, id, about, from);
            }
            TransportEvent::DialFailed { dial, error } => {
                if let Some(to) = self.dials.remove(&dial) {
                    self.node.dial_failed(now, &to, &error.to_string());
                }
            }
            TransportEvent::Heard { from, bytes } => self.node.heard(now, &from, bytes),
            TransportEvent::Changed => {
                self.listen(now);
            }
        }
    }

    /// Tells the node at which TCP port it can be dialled; if that is as before, that its
    /// surroundings changed.
    fn listen(&mut self, now: Now) {
        let tcp = self.transports.iter().filter(|transport| transport.name() == "tcp");
        let mut ports = tcp.flat_map(|tcp| tcp.listening()).filter_map(|at| at.socket_addr());
        let port = ports.find_map(|at| PortNumber::new(at.port()));
        if port == self.port {
            self.node.surroundings_changed(now);
        } else {
            self.port = port;
            self.node.listen(now, port);
        }
    }

    fn poll_commands(&mut self, cx: &mut Context<'_>, progress: &mut Progress) {
        for _ in 0..BATCH {
            match self.commands.as_mut().poll_next(cx) {
                Poll::Ready(Some(command)) => {
                    let media = Media { transports: &self.transports, links: &self.links };
                    command(&mut self.node, &media, self.clock.now());
                }
                Poll::Ready(None) if self.leaving.is_none() => {
                    let now = self.clock.now();
                    self.node.leave(now);
                    self.leaving = Some(now.time + FAREWELL);
                }
                Poll::Ready(None) | Poll::Pending => return,
            }
            *progress = Progress::Some;
        }
    }

    fn receive(&mut self, cx: &mut Context<'_>, progress: &mut Progress) {
        let mut gone = Vec::new();
        for (id, link) in &mut self.links {
            for _ in 0..BATCH {
                match link.poll_receive(cx) {
                    Poll::Ready(Ok(Some(frame))) => {
                        self.node.receive(self.clock.now(), *id, frame);
                        *progress = Progress::Some;
                    }
                    Poll::Ready(Ok(None) | Err(_)) => {
                        gone.push(*id);
                        break;
                    }
                    Poll::Pending => break,
                }
            }
        }
        for id in gone {
            *progress = Progress::Some;
            self.drop_link(id);
        }
    }

    fn send(&mut self, cx: &mut Context<'_>, progress: &mut Progress) {
        let mut gone = Vec::new();
        for (id, link) in &mut self.links {
            for _ in 0..BATCH {
                match link.poll_ready(cx) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => gone.push(*id),
                    Poll::Pending => break,
                }
                let room = link.largest_frame();
                if !self.node.write_frame(self.clock.now(), *id, room, &mut self.record) {
                    break;
                }
                *progress = Progress::Some;
                if link.send(&self.record).is_err() {
                    gone.push(*id);
                    break;
                }
            }
            if let Poll::Ready(Err(_)) = link.poll_flush(cx) {
                gone.push(*id);
            }
        }
        for id in gone {
            *progress = Progress::Some;
            self.drop_link(id);
        }
    }

    /// Asks web servers for files, and hands on what they answer.
    fn download(&mut self, cx: &mut Context<'_>, progress: &mut Progress) {
        while let Some(download) = self.node.poll_download(self.clock.now()) {
            *progress = Progress::Some;
            self.web.ask(download);
        }
        while let Poll::Ready((number, answer)) = self.web.poll_answer(cx) {
            *progress = Progress::Some;
            self.node.downloaded(self.clock.now(), number, answer);
        }
    }

    fn drop_link(&mut self, id: LinkId) {
        if self.links.remove(&id).is_some() {
            self.node.handle(self.clock.now(), Input::LinkDown(id));
        }
    }

    /// Does what the node's events ask for and tells the rest.
    fn tell(&mut self, progress: &mut Progress) {
        while let Some(event) = self.node.poll_event() {
            *progress = Progress::Some;
            match event {
                NodeEvent::Announce(beacon) => {
                    self.transports.iter_mut().for_each(|t| t.announce(&beacon));
                }
                NodeEvent::Dial(to) => self.dial(to),
                NodeEvent::Close(id) => self.drop_link(id),
                NodeEvent::Rotated => self.transports.iter_mut().for_each(|t| t.renew()),
                NodeEvent::Changed => {
                    self.changed.notify(usize::MAX);
                }
                NodeEvent::Fault { link, fault } => {
                    tracing::info!(?link, %fault, "a neighbour misbehaved");
                }
            }
        }
    }

    fn dial(&mut self, to: Address) {
        let dial = DialId(self.number());
        let transport = self.transports.iter_mut().find(|t| t.name() == to.transport());
        match transport {
            Some(transport) => {
                transport.dial(dial, &to);
                self.dials.insert(dial, to);
            }
            None => {
                let error = "this node has no such transport";
                self.node.dial_failed(self.clock.now(), &to, error);
            }
        }
    }

    /// Sets the timer to the node's alarm; `Ready` if it is due.
    fn poll_alarm(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let wake = [self.node.wake_at().map(|wake| wake.at), self.leaving];
        let ring = wake.into_iter().flatten().min();
        if ring != self.ring {
            self.ring = ring;
            match ring {
                Some(at) => self.timer.set_at(self.clock.instant(at)),
                None => self.timer = Timer::never(),
            }
        }
        match Pin::new(&mut self.timer).poll(cx) {
            Poll::Ready(_) => {
                // A clock that stood still rings again: the alarm is set anew.
                self.ring = None;
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: Store + Unpin> Future for Driver<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        for _ in 0..ROUNDS {
            if this.round(cx) == Progress::Some {
                continue;
            }
            let over = this.leaving.is_some_and(|end| this.clock.now().time >= end);
            if this.leaving.is_some() && (over || this.links.is_empty()) {
                return Poll::Ready(());
            }
            if this.poll_alarm(cx).is_pending() {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// A frame as the driver hands it to the node.
impl From<bytes::BytesMut> for Frame {
    fn from(bytes: bytes::BytesMut) -> Self {
        Self(bytes.freeze())
    }
}

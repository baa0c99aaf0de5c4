//! The whole node as one machine. It composes and holds no policy: what a frame means is decided
//! by the layer it belongs to, and what the layers say to each other passes through here as a
//! value.
//!
//! | to know | read |
//! |---|---|
//! | what happens to a received frame | `incoming` |
//! | what goes into a sent one | `outgoing` |
//! | the life of a link | `links`, `open` |
//! | whom it looks for beyond its neighbours | `reach` |
//! | what it can tell of that later | `searches`, `departures` |

mod departures;
mod incoming;
pub mod links;
mod open;
mod outgoing;
mod reach;
mod searches;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use core::fmt;
use core::time::Duration;

use bytes::Bytes;
#[cfg(feature = "hostile")]
pub use mesh_routing::Habit;
pub use mesh_routing::{Relaying, Uplink};
use mesh_routing::{RouteEvent, Router, TrailEvent};
pub use mesh_sync::{Download, DownloadError, Internet, Servers};
use mesh_sync::{Event as SyncEvent, Store, StoreError, Sync};
use mesh_wire::admission::{Admission, Source};
use mesh_wire::codec::{Output, Reader};
use mesh_wire::handshake::Pseudonym;
use mesh_wire::message::find::PortNumber;
use mesh_wire::message::link::CloseReason;
use mesh_wire::seal::MakeCipher;
use mesh_wire::{
    Address, Carrier, DecodeError, Fault, Input, Link, LinkId, Machine, Now, PeerId, Rng, Time,
    Wake, Wire, limits,
};

use departures::Departures;
pub use departures::{Departure, LinkEnd};
use links::LinkState;
pub use links::{LinkReport, Sent, Traffic};
use reach::Reach;
pub use reach::Why;
pub use searches::{Search, SearchState};

/// What a node needs to be told about its surroundings.
#[derive(Clone, Copy, Debug)]
pub struct NodeConfig {
    /// The private network it belongs to: only nodes with the same value complete a handshake.
    pub network: [u8; 32],
    /// Where its ciphers come from.
    pub cipher: MakeCipher,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self { network: [0; 32], cipher: mesh_wire::seal::chacha20poly1305 }
    }
}

/// A node without sockets, clock or disk of its own.
pub struct Node<S: Store> {
    config: NodeConfig,
    rng: Rng,
    pseudonym: Pseudonym,
    rotate_at: Time,
    admission: Admission,
    links: BTreeMap<LinkId, LinkState>,
    router: Router,
    sync: Sync<S>,
    reach: Reach,
    /// The routed link that sent last: they take turns.
    turn: LinkId,
    banned: BTreeMap<PeerId, Time>,
    attempts: VecDeque<Attempt>,
    departures: Departures,
    past: Traffic,
    sent: BTreeMap<u8, Sent>,
    events: VecDeque<NodeEvent>,
}

/// Something the owner of a [`Node`] is to do or may want to know.
#[derive(Clone, Debug)]
pub enum NodeEvent {
    /// Send this beacon to everyone in reach.
    Announce(Bytes),
    /// Dial; then [`Node::opened`] or [`Node::dial_failed`].
    Dial(Address),
    /// Let what was taken from this link leave, then close it.
    Close(LinkId),
    /// A neighbour did what it must not do.
    Fault {
        /// On which link.
        link: LinkId,
        /// What.
        fault: Fault,
    },
    /// The pseudonym changed: ports and connection numbers are to change in the same moment.
    Rotated,
    /// Something that can be asked about may be different now.
    Changed,
}

/// A dial and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it ended.
    pub at: Time,
    /// Where to.
    pub to: Address,
    /// Why it came to nothing; `None` if it led to a link.
    pub failure: Option<String>,
}

/// Attempts remembered for people to read.
const ATTEMPTS: usize = 32;

/// A peer that sent something forged is not talked to for so long.
const BAN: Duration = Duration::from_secs(3600);

/// Bans remembered.
const BANS: usize = 256;

impl<S: Store> Node<S> {
    /// A node that keeps its content in `store`.
    pub fn new(config: NodeConfig, store: S, mut rng: Rng) -> Result<Self, StoreError> {
        let mut node = Self {
            config,
            pseudonym: Pseudonym::generate(&mut rng),
            rotate_at: Time(0) + life_of_a_pseudonym(&mut rng),
            admission: Admission::new(rng.fork("admission")),
            links: BTreeMap::new(),
            router: Router::new(rng.fork("routing")),
            sync: Sync::open(store, rng.fork("sync"))?,
            reach: Reach::default(),
            turn: LinkId(0),
            banned: BTreeMap::new(),
            attempts: VecDeque::new(),
            departures: Departures::default(),
            past: Traffic::default(),
            sent: BTreeMap::new(),
            events: VecDeque::new(),
            rng,
        };
        node.list_channels(Time(0));
        Ok(node)
    }

    /// What neighbours call this node in this epoch.
    #[must_use]
    pub fn peer(&self) -> PeerId {
        self.pseudonym.peer()
    }

    /// The content layer, to look at.
    #[must_use]
    pub fn sync(&self) -> &Sync<S> {
        &self.sync
    }

    /// Gives a command to the content layer.
    pub fn sync_mut<R>(&mut self, now: Now, command: impl FnOnce(&mut Sync<S>) -> R) -> R {
        let result = command(&mut self.sync);
        self.look_at_channels(now);
        self.drain(now);
        self.look_for_paths(now);
        self.events.push_back(NodeEvent::Changed);
        result
    }

    /// How many bytes of large files may be here as long as the owner has not said so.
    pub fn assume_budget(&mut self, total: u64) {
        self.sync.assume_budget(total);
    }

    /// This node takes TCP connections at `port` from now on, or none.
    pub fn listen(&mut self, now: Now, port: Option<PortNumber>) {
        self.router.listen(now.time, port);
        self.drain(now);
    }

    /// What this node carries for others from now on; its own sessions work in any case.
    pub fn set_relaying(&mut self, relaying: Relaying) {
        self.router.set_relaying(relaying);
    }

    /// What this node carries for others.
    #[must_use]
    pub fn relaying(&self) -> Relaying {
        self.router.relaying()
    }

    /// Whether it has an uplink from now on: then it is an anchor for those around it.
    pub fn set_uplink(&mut self, now: Now, uplink: Uplink) {
        self.router.set_uplink(now.time, uplink);
    }

    /// What way to the Internet it has from now on.
    pub fn set_internet(&mut self, now: Now, internet: Internet) {
        self.sync_mut(now, |sync| sync.set_internet(now, internet));
    }

    /// The next file to ask of a web server. To be called whenever events are asked for, until it
    /// says `None`, and followed by [`Node::downloaded`] in any case.
    pub fn poll_download(&mut self, now: Now) -> Option<Download> {
        let download = self.sync.poll_download(now);
        self.drain(now);
        download
    }

    /// What became of a download.
    pub fn downloaded(&mut self, now: Now, number: u64, answer: Result<Bytes, DownloadError>) {
        self.sync_mut(now, |sync| sync.downloaded(now, number, answer));
    }

    /// Interfaces or addresses changed.
    pub fn surroundings_changed(&mut self, now: Now) {
        self.router.surroundings_changed(now.time);
        self.drain(now);
    }

    /// Takes a datagram that was sent to everyone.
    pub fn heard(&mut self, now: Now, from: &Address, beacon: Bytes) {
        self.router.heard(now.time, from, beacon);
        self.drain(now);
    }

    /// Keeps a link to `at`.
    pub fn keep(&mut self, now: Now, at: Address) {
        self.router.keep(now.time, at);
        self.drain(now);
    }

    /// The dial to `to` led to `link`, which comes up next.
    pub fn dialled(&mut self, now: Now, to: &Address, link: LinkId) {
        self.router.dialled(to, link);
        self.remember(now, to, None);
    }

    /// The dial to `to` came to nothing.
    pub fn dial_failed(&mut self, now: Now, to: &Address, why: &str) {
        self.router.dial_failed(now.time, to);
        self.remember(now, to, Some(why.to_string()));
        self.drain(now);
    }

    fn remember(&mut self, now: Now, to: &Address, failure: Option<String>) {
        if self.attempts.len() == ATTEMPTS {
            self.attempts.pop_front();
        }
        self.attempts.push_back(Attempt { at: now.time, to: to.clone(), failure });
    }

    /// From now on this node treats others so.
    #[cfg(feature = "hostile")]
    pub fn corrupt(&mut self, habit: Habit) {
        self.router.corrupt(habit);
    }

    /// The last dials, oldest first.
    pub fn attempts(&self) -> impl Iterator<Item = &Attempt> {
        self.attempts.iter()
    }

    /// Says goodbye on every link.
    pub fn leave(&mut self, now: Now) {
        let links: alloc::vec::Vec<_> = self.links.keys().copied().collect();
        for link in links {
            self.close(now, link, CloseReason::Leaving);
        }
        // An error has become an event.
        let _ = self.sync.flush(now);
        self.drain(now);
    }

    /// Everything that was sent and received.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let links = self.links.iter();
        links.fold(self.past, |sum, (id, link)| sum.plus(link.traffic.on_the_air(*id)))
    }

    /// What was sent to neighbours since the node was made, by kind of message (chapter 1 of the
    /// specification lists them). What is sent over relays counts as the packets that carry it.
    pub fn sent_by_kind(&self) -> impl Iterator<Item = (u8, Sent)> {
        self.sent.iter().map(|(kind, sent)| (*kind, *sent))
    }

    /// Takes what the layers want done, at once, until they want nothing more.
    fn drain(&mut self, now: Now) {
        while let Some(event) = self.router.poll_event() {
            self.events.push_back(match event {
                RouteEvent::Announce(beacon) => NodeEvent::Announce(beacon),
                RouteEvent::Dial(to) => NodeEvent::Dial(to),
                RouteEvent::Trail(event) => {
                    self.on_trail(now, event);
                    continue;
                }
            });
        }
        while let Some(event) = self.sync.poll_event() {
            match event {
                SyncEvent::PeerFault { link, fault } => self.on_fault(now, link, fault),
                SyncEvent::NewItems { channel, first, count } => {
                    self.has_more(&channel, first + count);
                    self.changed();
                }
                SyncEvent::ChannelKnown { .. }
                | SyncEvent::WritersChanged { .. }
                | SyncEvent::ContentChanged { .. }
                | SyncEvent::BlobProgress { .. }
                | SyncEvent::BlobHere { .. }
                | SyncEvent::BlobGivenUp { .. }
                | SyncEvent::Damaged { .. }
                | SyncEvent::Forked { .. }
                | SyncEvent::StoreFailed { .. } => self.changed(),
                SyncEvent::StoreBack => {
                    self.list_channels(now.time);
                    self.changed();
                }
            }
        }
    }

    /// A routed link is a link like any other, but that its frames leave inside those of others.
    // spec: ROUTE-14
    fn on_trail(&mut self, now: Now, event: TrailEvent) {
        match event {
            TrailEvent::Up { link, role, key, over } => {
                let (carrier, largest_frame) = (Carrier::Datagram, limits::PACKET_BYTES);
                let state = Link { role, carrier, largest_frame, secured: None };
                self.begin(now, link, (state, Some(key)), Source::of_link(over));
            }
            TrailEvent::Frame(link, frame) => {
                let frame = frame.try_into_mut().unwrap_or_else(|shared| shared[..].into());
                self.receive(now, link, frame);
            }
            TrailEvent::Mended(link) => self.sync.interrupted(now.time, link),
            TrailEvent::Down(link) => self.link_down(now, link),
            TrailEvent::Asked(key) => self.asked(now.time, key),
            TrailEvent::Searched(key, found) => {
                self.note_search(now.time, &key, found);
                self.searched(now.time, key, found);
            }
        }
    }

    /// One hint is as good as many.
    fn changed(&mut self) {
        if !matches!(self.events.back(), Some(NodeEvent::Changed)) {
            self.events.push_back(NodeEvent::Changed);
        }
    }

    /// A neighbour broke a rule: the link ends, and whoever sent something forged is not talked to
    /// for an hour.
    // spec: SESSION-20
    fn on_fault(&mut self, now: Now, link: LinkId, fault: Fault) {
        if matches!(fault, Fault::Forged(_))
            && let Some(peer) = self.links.get(&link).and_then(LinkState::peer)
        {
            if self.banned.len() >= BANS {
                self.banned.pop_first();
            }
            self.banned.insert(peer, now.time + BAN);
        }
        self.events.push_back(NodeEvent::Fault { link, fault });
        self.blame(link, fault);
        self.close(now, link, CloseReason::Fault);
    }

    fn is_banned(&mut self, now: Time, peer: PeerId) -> bool {
        self.banned.retain(|_, until| *until > now);
        self.banned.contains_key(&peer)
    }

    /// A new pseudonym and a new token, in the same moment.
    // spec: FIND-14
    fn rotate(&mut self, now: Now) {
        self.pseudonym = Pseudonym::generate(&mut self.rng);
        self.rotate_at = now.time + life_of_a_pseudonym(&mut self.rng);
        self.router.rotate(now.time);
        self.events.push_back(NodeEvent::Rotated);
    }
}

fn life_of_a_pseudonym(rng: &mut Rng) -> Duration {
    let fifth = limits::PSEUDONYM_TIME / 5;
    limits::PSEUDONYM_TIME - fifth + Duration::from_secs(rng.below(2 * fifth.as_secs()))
}

impl<S: Store> Machine for Node<S> {
    type Message = Frame;
    type Event = NodeEvent;

    fn handle(&mut self, now: Now, input: Input<Frame>) {
        match input {
            Input::LinkUp(id, link) => {
                self.opened(now, id, link, Source::of_link(id));
            }
            Input::LinkDown(id) => self.link_down(now, id),
            Input::Receive(id, Frame(bytes)) => {
                // Whole frames are usually ours alone; then nothing is copied.
                let bytes = bytes.try_into_mut().unwrap_or_else(|shared| shared[..].into());
                self.receive(now, id, bytes);
            }
            Input::Tick => self.tick(now),
        }
        self.drain(now);
        self.look_for_paths(now);
    }

    fn poll_send(&mut self, now: Now, link: LinkId, room: usize) -> Option<Frame> {
        let mut frame = Output::new();
        self.write_frame(now, link, room, &mut frame).then(|| Frame(frame.into()))
    }

    fn poll_event(&mut self) -> Option<NodeEvent> {
        self.events.pop_front()
    }

    fn wake_at(&self) -> Option<Wake> {
        let links = self.links.values().filter_map(LinkState::wake_at);
        let layers = [self.router.wake_at(), self.sync.wake_at(), self.reach.wake_at()];
        let layers = layers.into_iter().flatten();
        let rotate = Wake { at: self.rotate_at, reason: "change the pseudonym" };
        links.chain(layers).chain([rotate]).min_by_key(|wake| wake.at)
    }

    /// What is remembered about those who were let in or banned is not counted: it stays after
    /// them, on purpose, and is below 64 KiB.
    fn weight(&self) -> usize {
        let links: usize = self.links.values().map(LinkState::weight).sum();
        links + self.router.weight() + self.sync.weight()
    }
}

impl<S: Store> Node<S> {
    fn tick(&mut self, now: Now) {
        if self.rotate_at <= now.time {
            self.rotate(now);
        }
        self.tick_links(now);
        self.router.handle(now, Input::Tick);
        self.sync.handle(now, Input::Tick);
        self.tick_reach(now.time);
    }
}

/// A frame as it travels on a link: a handshake message or a sealed record.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(pub Bytes);

impl Wire for Frame {
    const MIN_SIZE: usize = 0;

    fn size(&self) -> usize {
        self.0.len()
    }

    fn write(&self, out: &mut Output) {
        out.extend_from_slice(&self.0);
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self(reader.rest()))
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} bytes)", self.0.len())
    }
}

impl<S: Store> fmt::Debug for Node<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({:?}, {} links)", self.peer(), self.links.len())
    }
}

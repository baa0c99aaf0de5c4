//! A router with an owner that uses what it finds: sessions with a hand-made shake of hands, and
//! payloads that are echoed. Its habits may be bad.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use mesh_routing::{RouteEvent, Router, Scope, TrailEvent};
use mesh_sim::{Quality, Securing, World};
use mesh_wire::message::routing::RouteMessage;
use mesh_wire::{FindKey, Input, LinkId, Machine, Now, Rng, Role, Wake};

use super::{KEY, keyed};

/// What becomes of a message that is heard or said.
pub(crate) type Habit = fn(&mut Traveller, LinkId, RouteMessage) -> Option<RouteMessage>;

/// A node of the worlds here.
pub(crate) struct Traveller {
    pub(crate) router: Router,
    pub(crate) rng: Rng,
    now: Now,
    /// What it does with what it hears, and with what its router would say.
    pub(crate) hears: Habit,
    pub(crate) speaks: Habit,
    /// What it says of its own accord.
    pub(crate) says: VecDeque<(LinkId, RouteMessage)>,
    sessions: BTreeMap<LinkId, Session>,
    /// What reached it, sessions aside, and how often it got something that was not genuine.
    pub(crate) arrived: Vec<Bytes>,
    pub(crate) forged: usize,
    /// Every FIND, PACKET and other message that came.
    pub(crate) heard: Vec<(LinkId, RouteMessage)>,
    turn: LinkId,
    events: VecDeque<TrailEvent>,
}

/// One end of a session over relays.
struct Session {
    /// Known to its two ends; before they have shaken hands, what they found each other by.
    key: FindKey,
    is_open: bool,
    outbox: VecDeque<Bytes>,
    sent: u32,
    seen: BTreeSet<u32>,
}

/// What a frame is.
const HELLO: u8 = 0;
const WELCOME: u8 = 1;
const CALL: u8 = 2;
const ECHO: u8 = 3;

impl Session {
    /// A frame that only who holds the key can make: kind, number, content, proof.
    fn push(&mut self, kind: u8, content: &[u8]) {
        let mut frame = [&[kind][..], &self.sent.to_be_bytes(), content].concat();
        self.sent += 1;
        frame.extend_from_slice(&keyed::<16>(&self.key, &[&frame]));
        self.outbox.push_back(frame.into());
    }

    /// Opens a frame, once.
    fn open(&mut self, frame: &Bytes) -> Option<(u8, Bytes)> {
        let (body, proof) = frame.split_last_chunk::<16>()?;
        let is_genuine = [self.key, KEY].iter().any(|key| keyed::<16>(key, &[body]) == *proof);
        let number = u32::from_be_bytes(*body.get(1..)?.first_chunk()?);
        let is_new = is_genuine && self.seen.insert(number);
        is_new.then(|| (body[0], frame.slice(5..body.len())))
    }
}

impl Traveller {
    pub(crate) fn new(_: usize, rng: Rng) -> Self {
        Self {
            router: Router::new(rng.fork("router")),
            rng,
            now: Now::default(),
            hears: |_, _, message| Some(message),
            speaks: |_, _, message| Some(message),
            says: VecDeque::new(),
            sessions: BTreeMap::new(),
            arrived: Vec::new(),
            forged: 0,
            heard: Vec::new(),
            turn: LinkId(0),
            events: VecDeque::new(),
        }
    }

    /// The routed links that have a session.
    pub(crate) fn open(&self) -> Vec<LinkId> {
        self.sessions.iter().filter(|(_, s)| s.is_open).map(|(link, _)| *link).collect()
    }

    /// Sends a payload over every session it has.
    pub(crate) fn call(&mut self, content: &[u8]) {
        let open = self.sessions.values_mut().filter(|session| session.is_open);
        open.for_each(|session| session.push(CALL, content));
        self.look_for_paths();
    }

    fn look_for_paths(&mut self) {
        for routed in self.router.stranded() {
            let session = self.sessions.get_mut(&routed);
            if let Some(frame) = session.and_then(|session| session.outbox.pop_front()) {
                self.router.hold(self.now.time, routed, frame);
            }
        }
    }

    /// How many payloads reached it that equal `content`.
    pub(crate) fn got(&self, content: &[u8]) -> usize {
        self.arrived.iter().filter(|arrived| arrived == &content).count()
    }

    fn follow(&mut self, event: &TrailEvent) {
        match event {
            TrailEvent::Up { link, role, .. } => {
                let (outbox, seen) = (VecDeque::new(), BTreeSet::new());
                let mut session = Session { key: KEY, is_open: false, outbox, sent: 0, seen };
                if *role == Role::Initiator {
                    session.push(HELLO, &[]);
                }
                self.sessions.insert(*link, session);
            }
            TrailEvent::Down(link) => drop(self.sessions.remove(link)),
            TrailEvent::Frame(link, frame) => self.read(*link, frame),
            TrailEvent::Mended(_) | TrailEvent::Asked(_) | TrailEvent::Searched(..) => {}
        }
    }

    fn read(&mut self, link: LinkId, frame: &Bytes) {
        let Some(session) = self.sessions.get_mut(&link) else { return };
        let Some((kind, content)) = session.open(frame) else {
            self.forged += 1;
            return;
        };
        self.router.confirm(self.now.time, link);
        match kind {
            HELLO => {
                let key = FindKey(self.rng.bytes());
                session.push(WELCOME, &key.0);
                (session.key, session.is_open) = (key, true);
                self.router.secured(link, key);
            }
            WELCOME => {
                let key = FindKey(content[..].try_into().unwrap());
                (session.key, session.is_open) = (key, true);
                self.router.secured(link, key);
            }
            CALL => {
                session.push(ECHO, &content);
                self.arrived.push(content);
            }
            _ => self.arrived.push(content),
        }
    }
}

impl Machine for Traveller {
    type Message = RouteMessage;
    type Event = TrailEvent;

    fn handle(&mut self, now: Now, input: Input<RouteMessage>) {
        self.now = now;
        match input {
            Input::Receive(link, message) => {
                self.heard.push((link, message.clone()));
                if let Some(message) = (self.hears)(self, link, message) {
                    self.router.handle(now, Input::Receive(link, message));
                }
            }
            Input::LinkUp(..) | Input::LinkDown(_) | Input::Tick => self.router.handle(now, input),
        }
        self.look_for_paths();
    }

    fn poll_send(&mut self, now: Now, link: LinkId, room: usize) -> Option<RouteMessage> {
        if let Some(at) = self.says.iter().position(|(over, _)| *over == link) {
            return self.says.remove(at).map(|(_, message)| message);
        }
        while let Some(message) = self.router.poll_send(now, link, room) {
            if let Some(message) = (self.speaks)(self, link, message) {
                return Some(message);
            }
        }
        for routed in self.router.routed_over(now.time, link, self.turn) {
            let held = self.router.take_held(routed);
            let session = self.sessions.get_mut(&routed)?;
            if let Some(frame) = held.or_else(|| session.outbox.pop_front()) {
                self.turn = routed;
                if [HELLO, CALL].contains(&frame[0]) {
                    self.router.expect(now.time, routed);
                }
                return self.router.wrap(now.time, (routed, link), frame);
            }
        }
        None
    }

    fn poll_event(&mut self) -> Option<TrailEvent> {
        while let Some(event) = self.router.poll_event() {
            if let RouteEvent::Trail(event) = event {
                self.follow(&event);
                self.events.push_back(event);
            }
        }
        self.events.pop_front()
    }

    fn wake_at(&self) -> Option<Wake> {
        self.router.wake_at()
    }

    fn weight(&self) -> usize {
        self.router.weight()
    }
}

/// The worlds of these tests.
pub(crate) type Net = World<Traveller>;

/// Nodes without links.
pub(crate) fn nodes(seed: u64, count: usize) -> Net {
    let mut net = World::new(seed, Securing::ByWorld);
    for _ in 0..count {
        net.add(Traveller::new);
    }
    net
}

/// Nodes that have these links and know their neighbours.
pub(crate) fn net(seed: u64, count: usize, links: &[(usize, usize)]) -> Net {
    let mut net = nodes(seed, count);
    link(&mut net, links, Quality::STREAM);
    net
}

/// Links nodes, and lets them say who they are.
pub(crate) fn link(net: &mut Net, links: &[(usize, usize)], quality: Quality) {
    for (from, to) in links {
        net.connect(*from, *to, quality);
    }
    net.run_for(Duration::from_secs(1));
}

/// The links of nodes in a row.
pub(crate) fn line(count: usize) -> Vec<(usize, usize)> {
    (1..count).map(|node| (node - 1, node)).collect()
}

/// The links of a grid of `width` by `width` nodes.
pub(crate) fn grid(width: usize) -> Vec<(usize, usize)> {
    let at = |x: usize, y: usize| y * width + x;
    let cells = (0..width).flat_map(|y| (0..width).map(move |x| (x, y)));
    let right = |(x, y): (usize, usize)| (x + 1 < width).then(|| (at(x, y), at(x + 1, y)));
    let down = |(x, y): (usize, usize)| (y + 1 < width).then(|| (at(x, y), at(x, y + 1)));
    cells.flat_map(|cell| right(cell).into_iter().chain(down(cell))).collect()
}

/// The links of a random graph in which everybody can be reached: a random tree and as many links
/// again.
pub(crate) fn graph(rng: &mut Rng, count: usize) -> Vec<(usize, usize)> {
    let mut pick = |below: usize| rng.below(below as u64) as usize;
    let mut links: BTreeSet<(usize, usize)> = (1..count).map(|node| (pick(node), node)).collect();
    for _ in 0..count {
        let (from, to) = (pick(count), pick(count));
        if from != to {
            links.insert((from.min(to), from.max(to)));
        }
    }
    links.into_iter().collect()
}

/// The link of `from` whose other end is `to`.
pub(crate) fn between(net: &Net, from: usize, to: usize) -> LinkId {
    let mut links = net.links(from).iter().copied();
    links.find(|link| net.far_node(*link) == to).expect("they are neighbours")
}

/// `to` answers and `from` looks.
pub(crate) fn look(net: &mut Net, from: usize, to: usize) {
    net.with(to, |node, _| node.router.answer_to([(KEY, 1)]));
    let asks = net.with(from, |node, now| node.router.seek(now.time, KEY, Scope::Full));
    assert!(asks, "there is nobody to ask");
}

/// `from` finds `to`, and they have a session; its routed link at `from`. Where links lose
/// questions and answers, it looks more than once.
#[track_caller]
pub(crate) fn meet(net: &mut Net, from: usize, to: usize) -> LinkId {
    for _ in 0..8 {
        look(net, from, to);
        net.run_until(Duration::from_secs(10), |net| !net.node(from).open().is_empty());
        if let Some(link) = net.node(from).open().first() {
            return *link;
        }
    }
    panic!("{from} does not find {to}")
}

/// Whether a payload goes from one to the other and its echo back, within so many seconds. Links
/// over relays lose datagrams: it is said again every second.
pub(crate) fn calls(
    net: &mut Net,
    from: usize,
    to: usize,
    (content, seconds): (&[u8], u64),
) -> bool {
    (0..seconds).any(|_| {
        net.with(from, |node, _| node.call(content));
        net.run_until(Duration::from_secs(1), |net| {
            net.node(to).got(content) > 0 && net.node(from).got(content) > 0
        })
    })
}

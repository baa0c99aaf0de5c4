//! One router whose neighbours are played by hand: what it says to each of them, message by
//! message.

use core::time::Duration;

use bytes::Bytes;
use mesh_routing::{RouteEvent, Router, Scope, TrailEvent};
use mesh_wire::codec::{List, Opaque};
use mesh_wire::message::routing::{Arrived, Broken, Find, Found, Packet, Presence, RouteMessage};
use mesh_wire::{
    Carrier, HopTag, Input, Link, LinkId, Machine, Now, PeerId, Rng, Role, Secured, Time, Token,
    limits,
};

use super::{KEY, keyed};

/// A router and the moment it lives in. Its neighbours have the links 1, 2, 3 …
pub(crate) struct Alone {
    pub(crate) router: Router,
    pub(crate) now: Time,
    /// Packets that it was given: each has a number of its own, unless the test says which.
    given: u32,
}

/// The tag of the neighbour at link `number`.
pub(crate) fn tag(number: u64) -> HopTag {
    HopTag([0xee, number as u8])
}

impl Alone {
    /// A router with `count` neighbours that have said who they are.
    pub(crate) fn among(count: u64) -> Self {
        let mut alone =
            Self { router: Router::new(Rng::from_seed([9; 32])), now: Time(0), given: 0 };
        (1..=count).for_each(|number| alone.meet(number, tag(number)));
        alone
    }

    /// A neighbour comes over link `number`, and calls itself `tag`.
    pub(crate) fn meet(&mut self, number: u64, tag: HopTag) {
        let secured = Some(Secured { peer: PeerId([number as u8; 32]), binding: [1; 32] });
        let (carrier, largest_frame) = (Carrier::Stream, limits::RECORD_BYTES);
        let link = Link { role: Role::Initiator, carrier, largest_frame, secured };
        self.handle(Input::LinkUp(LinkId(number), link));
        self.hear(number, presence(tag));
        self.says(number);
    }

    /// What the router is called.
    pub(crate) fn tag(&mut self) -> HopTag {
        let mut other = self.router_said_presence();
        other.pop().expect("a neighbour that asks is told")
    }

    fn router_said_presence(&mut self) -> Vec<HopTag> {
        let asks = Presence { answer: 1, ..presence(tag(1)) };
        self.hear(1, asks);
        let tags = self.says(1).into_iter().filter_map(|message| {
            if let RouteMessage::Presence(said) = message { Some(said.tag) } else { None }
        });
        tags.collect()
    }

    /// Something comes over link `number`.
    pub(crate) fn hear(&mut self, number: u64, message: impl Into<RouteMessage>) {
        let mut message = message.into();
        if let RouteMessage::Packet(packet) = &mut message
            && packet.number == 0
        {
            packet.number = self.given;
            self.given += 1;
        }
        self.handle(Input::Receive(LinkId(number), message));
    }

    fn handle(&mut self, input: Input<RouteMessage>) {
        self.router.handle(Now { time: self.now, ..Now::default() }, input);
    }

    pub(crate) fn lose(&mut self, number: u64) {
        self.handle(Input::LinkDown(LinkId(number)));
    }

    /// Everything the router says over link `number` now.
    pub(crate) fn says(&mut self, number: u64) -> Vec<RouteMessage> {
        let now = Now { time: self.now, ..Now::default() };
        let (router, link) = (&mut self.router, LinkId(number));
        std::iter::from_fn(|| router.poll_send(now, link, limits::RECORD_BYTES)).collect()
    }

    pub(crate) fn packets(&mut self, number: u64) -> Vec<Packet> {
        let said = self.says(number).into_iter();
        said.filter_map(|m| if let RouteMessage::Packet(p) = m { Some(p) } else { None }).collect()
    }

    pub(crate) fn finds(&mut self, number: u64) -> Vec<Find> {
        let said = self.says(number).into_iter();
        said.filter_map(|m| if let RouteMessage::Find(f) = m { Some(f) } else { None }).collect()
    }

    pub(crate) fn founds(&mut self, number: u64) -> Vec<Found> {
        let said = self.says(number).into_iter();
        said.filter_map(|m| if let RouteMessage::Found(f) = m { Some(f) } else { None }).collect()
    }

    pub(crate) fn brokens(&mut self, number: u64) -> Vec<Broken> {
        let said = self.says(number).into_iter();
        said.filter_map(|m| if let RouteMessage::Broken(b) = m { Some(b) } else { None }).collect()
    }

    pub(crate) fn arriveds(&mut self, number: u64) -> Vec<Arrived> {
        let said = self.says(number).into_iter();
        said.filter_map(|m| if let RouteMessage::Arrived(a) = m { Some(a) } else { None }).collect()
    }

    /// Its owner sends a frame over a routed link whose way begins at link `number`, and that
    /// neighbour acknowledges it.
    pub(crate) fn send(&mut self, routed: LinkId, number: u64) -> Packet {
        let frame = Bytes::from_static(b"frame");
        let wrapped = self.router.wrap(self.now, (routed, LinkId(number)), frame);
        let Some(RouteMessage::Packet(packet)) = wrapped else { panic!("{wrapped:?}") };
        self.router.expect(self.now, routed);
        let numbers = List::new(&[packet.number]);
        self.hear(number, Arrived { numbers, released: 0 });
        packet
    }

    /// The neighbour at link `number` acknowledges the packets that it gets now.
    pub(crate) fn acknowledged(&mut self, number: u64) -> Vec<Packet> {
        let packets = self.packets(number);
        let numbers: Vec<u32> = packets.iter().map(|packet| packet.number).collect();
        self.hear(number, Arrived { numbers: List::new(&numbers), released: 0 });
        packets
    }

    /// What it tells its owner about sessions over relays.
    pub(crate) fn events(&mut self) -> Vec<TrailEvent> {
        let events = std::iter::from_fn(|| self.router.poll_event());
        let trail = |event| if let RouteEvent::Trail(trail) = event { Some(trail) } else { None };
        events.filter_map(trail).collect()
    }

    /// Time passes; the router is woken when it wants to be.
    pub(crate) fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        for _ in 0..10_000 {
            let Some(wake) = self.router.wake_at().filter(|wake| wake.at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(wake.at);
            self.handle(Input::Tick);
        }
        panic!("it does not sleep: {:?}", self.router.wake_at());
    }

    /// It looks for who holds [`KEY`] and is answered over link `number` with this way; the routed
    /// link.
    pub(crate) fn find(&mut self, number: u64, way: &[HopTag]) -> LinkId {
        assert!(self.router.seek(self.now, KEY, Scope::Full));
        let find = self.finds(number).pop().expect("every neighbour is asked");
        (1..8).for_each(|other| drop(self.says(other)));
        self.hear(number, found(&find, way));
        let up = self.events().into_iter().find_map(|event| {
            let TrailEvent::Up { link, role: Role::Initiator, .. } = event else { return None };
            Some(link)
        });
        up.expect("an answer opens a link")
    }
}

/// A neighbour says that it is called `tag`.
pub(crate) fn presence(tag: HopTag) -> Presence {
    Presence { token: Token([tag.0[1]; 8]), tag, heard: Token([1; 8]), answer: 0 }
}

/// A question for who holds [`KEY`].
pub(crate) fn find(id: u8) -> Find {
    let id = [id; 8];
    Find {
        id,
        hops_left: 32,
        cost: 50,
        avoid: List::default(),
        tag: keyed(&KEY, &[&[0], &id]),
        state: [0; 4],
        hops: List::default(),
        along: List::default(),
    }
}

/// The answer of who holds [`KEY`] and stands at the end of `way`.
pub(crate) fn found(find: &Find, way: &[HopTag]) -> Found {
    let last = way.last().expect("a way ends somewhere");
    let proof = keyed(&KEY, &[&[1], &find.id, &[0], &last.0]);
    Found { id: find.id, answer: 0, cost: find.cost + 100, proof, path: List::new(way) }
}

/// The name of a flow with those who know [`KEY`].
pub(crate) fn flow(nonce: u8) -> [u8; 8] {
    let check: [u8; 4] = keyed(&KEY, &[&[4], &[nonce; 4]]);
    [[nonce; 4], check].concat().try_into().expect("4 and 4 bytes")
}

/// A packet on its way along `path`, for the hop at `position`.
pub(crate) fn packet(path: &[HopTag], position: u8) -> Packet {
    Packet {
        number: 0,
        flow: flow(5),
        hops_left: path.len() as u8 + 8,
        patches: 0,
        position,
        path: List::new(path),
        frame: Opaque::new(Bytes::from_static(b"frame")).unwrap(),
    }
}

/// The hops of a path.
pub(crate) fn hops<const N: usize>(path: &List<HopTag, N>) -> Vec<HopTag> {
    path.iter().collect()
}

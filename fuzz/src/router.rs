//! The body for routing: two routers, their owners, and what reaches them over relays that are not
//! there.

use core::net::SocketAddr;

use bytes::Bytes;
use mesh_routing::{RouteEvent, Router, Scope, TrailEvent, Uplink, flow_name};
use mesh_sim::seed;
use mesh_wire::codec::{List, Opaque};
use mesh_wire::message::find::PortNumber;
use mesh_wire::message::routing::{
    Anchor, Arrived, Broken, Find, Found, Guided, Packet, Register, RouteMessage,
};
use mesh_wire::{Address, FindKey, HopTag, Input, LinkId, Machine, Now, Time, Wake, limits};

use crate::bench::{Bench, Kind, secured};
use crate::source::Source;

/// Finding neighbours: beacons from anybody, dials that fail or lead to links. And finding others:
/// questions, answers, packets, and links over relays.
pub fn router(data: &[u8]) {
    let kind = Kind {
        // Packets that wait for every link and every detour, and those not acknowledged.
        weight_limit: 4 << 20,
        secured,
        command,
        closes: |event| match event {
            RouteEvent::Announce(_) | RouteEvent::Dial(_) | RouteEvent::Trail(_) => None,
        },
    };
    Bench::new(kind, [0, 1].map(|index| Owner::new(Router::new(seed::rng(index))))).play(data);
}

/// A router and who uses its routed links.
struct Owner {
    router: Router,
    /// What it called itself last.
    tag: HopTag,
    /// The routed links there are.
    routed: Vec<LinkId>,
    /// What it heard last, and over which link.
    heard: Option<(LinkId, Found)>,
    last: LinkId,
    time: Time,
}

/// What the two may find each other by.
const KEYS: [FindKey; 2] = [FindKey([1; 32]), FindKey([2; 32])];

impl Owner {
    fn new(router: Router) -> Self {
        let (routed, last) = (Vec::new(), LinkId(1));
        Self { router, tag: HopTag([0; 2]), routed, heard: None, last, time: Time(0) }
    }

    fn hear(&mut self, now: Now, message: impl Into<RouteMessage>) {
        self.router.handle(now, Input::Receive(self.last, message.into()));
    }

    /// The answer that came last comes again, with more hops before its end: they are not proven.
    fn hear_of_longer_way(&mut self, now: Now, hops: Vec<HopTag>) {
        let Some((link, found)) = self.heard.clone() else { return };
        let path: Vec<HopTag> = hops.into_iter().chain(found.path.iter()).collect();
        let longer = RouteMessage::from(Found { path: List::new(&path), ..found });
        self.router.handle(now, Input::Receive(link, longer));
    }

    fn use_link(&mut self, now: Now, source: &mut Source<'_>) {
        if self.routed.is_empty() {
            return;
        }
        let link = source.pick(&self.routed);
        match source.byte() % 4 {
            0 => self.router.secured(link, source.pick(&KEYS)),
            1 => self.router.confirm(now.time, link),
            2 => {
                self.router.close(link);
                self.routed.retain(|open| *open != link);
            }
            _ => {
                let over = self.router.routed_over(now.time, self.last, link);
                assert!(over.iter().all(|routed| self.routed.contains(routed)), "{over:?}");
            }
        }
    }
}

/// One of the two does something, or hears what a neighbour made up.
fn command(owners: &mut [Owner; 2], now: Now, source: &mut Source<'_>) {
    let tags = [owners[0].tag, owners[1].tag];
    let owner = &mut owners[source.below(2)];
    let from = SocketAddr::from(([192, 0, 2, source.byte()], 1024 + u16::from(source.byte())));
    let from = Address::socket("tcp", from);
    match source.byte() % 11 {
        0 => owner.router.heard(now.time, &from, source.bytes()),
        1 => owner.router.listen(now.time, PortNumber::new(source.below(1 << 16) as u16)),
        2 => owner.router.keep(now.time, from),
        3 => owner.router.dial_failed(now.time, &from),
        4 => owner.router.rotate(now.time),
        5 => owner.router.answer_to([(source.pick(&KEYS), u64::from(source.byte() % 3))]),
        6 => drop(owner.router.seek(now.time, source.pick(&KEYS), Scope::Full)),
        7 => owner.hear_of_longer_way(now, hops(tags, source)),
        8 => owner.use_link(now, source),
        10 => owner.router.set_uplink(now.time, source.pick(&[Uplink::None, Uplink::Works])),
        _ => made_up(owner, now, (tags, source)),
    }
}

/// A message that names the two, as no fuzzer would by chance.
fn made_up(owner: &mut Owner, now: Now, (tags, source): ([HopTag; 2], &mut Source<'_>)) {
    let flow = match source.byte() % 8 {
        nonce @ 0..4 => flow_name(&source.pick(&KEYS), [nonce; 4]),
        byte => [byte; 8],
    };
    let position = source.byte() % 8;
    let (number, hops_left) = (u32::from(source.byte()), source.byte());
    let hops = hops(tags, source);
    let path = List::new(&hops);
    match source.byte() % 7 {
        0 => {
            let frame = Opaque::new(source.bytes()).expect("255 bytes fit");
            let patches = source.byte() % (limits::PATCHES + 2);
            owner.hear(now, Packet { number, flow, hops_left, patches, position, path, frame });
        }
        1 => owner.hear(now, Broken { flow, hops_left, position, gap: source.byte() % 8, path }),
        2 => {
            owner.hear(now, Find { hops: List::new(&hops), ..question(flow, hops_left, number) });
        }
        4 => owner.hear(now, Anchor { id: flow, number, hops: hops_left % 20 }),
        5 => {
            let tags = List::new(&[[source.byte() % 2; 8]]);
            owner.hear(now, Register { path: List::new(&hops), tags });
        }
        6 => {
            let (find, way) = (question(flow, hops_left, number), List::new(&hops));
            owner.hear(now, Guided { find, tags: List::new(&[[source.byte() % 2; 8]]), way });
        }
        _ => {
            let numbers: Vec<u32> = (0..u32::from(hops_left)).map(|n| number + n).collect();
            let released = 1 << (source.byte() % 62);
            owner.hear(now, Arrived { numbers: List::new(&numbers), released });
        }
    }
}

fn question(id: [u8; 8], hops_left: u8, cost: u32) -> Find {
    let (avoid, hops, along) = (List::default(), List::default(), List::default());
    Find { id, hops_left, cost, avoid, tag: [0; 8], state: [0; 4], hops, along }
}

/// Up to seven hops: the two, and others.
fn hops(tags: [HopTag; 2], source: &mut Source<'_>) -> Vec<HopTag> {
    let count = source.byte() % 8;
    let hop = |byte: u8| tags.get(usize::from(byte % 3)).copied().unwrap_or(HopTag([byte, 0]));
    (0..count).map(|_| hop(source.byte())).collect()
}

impl Machine for Owner {
    type Message = RouteMessage;
    type Event = RouteEvent;

    fn handle(&mut self, now: Now, input: Input<RouteMessage>) {
        self.time = now.time;
        if let Input::Receive(link, message) = &input {
            self.last = *link;
            if let RouteMessage::Found(found) = message {
                self.heard = Some((*link, found.clone()));
            }
        }
        self.router.handle(now, input);
    }

    fn poll_send(&mut self, now: Now, link: LinkId, room: usize) -> Option<RouteMessage> {
        if let Some(message) = self.router.poll_send(now, link, room) {
            if let RouteMessage::Presence(presence) = &message {
                self.tag = presence.tag;
            }
            return Some(message);
        }
        let over = self.router.routed_over(now.time, link, LinkId(0));
        let routed = over.first()?;
        self.router.wrap(now.time, (*routed, link), Bytes::from_static(&[7; limits::PACKET_BYTES]))
    }

    fn poll_event(&mut self) -> Option<RouteEvent> {
        let event = self.router.poll_event()?;
        match &event {
            RouteEvent::Trail(TrailEvent::Up { link, .. }) => self.routed.push(*link),
            RouteEvent::Trail(TrailEvent::Down(link)) => self.routed.retain(|open| open != link),
            RouteEvent::Trail(TrailEvent::Frame(link, _)) => self.router.confirm(self.time, *link),
            RouteEvent::Trail(
                TrailEvent::Mended(_) | TrailEvent::Asked(_) | TrailEvent::Searched(..),
            )
            | RouteEvent::Announce(_)
            | RouteEvent::Dial(_) => {}
        }
        assert!(self.routed.len() <= limits::FLOWS, "{} routed links", self.routed.len());
        Some(event)
    }

    fn wake_at(&self) -> Option<Wake> {
        self.router.wake_at()
    }

    fn weight(&self) -> usize {
        self.router.weight()
    }
}

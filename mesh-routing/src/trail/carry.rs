//! Packets: along their path, around a gap, or back with the news that there is one.

use alloc::vec::Vec;

use bytes::Bytes;
use mesh_wire::codec::{List, Opaque};
use mesh_wire::message::routing::{Broken, Find, Packet, RouteMessage};
use mesh_wire::{HopTag, LinkId, Role, Time, Wire, limits};

use super::detour::Detour;
use super::flow::{Flow, Path};
use super::hop::{Ingress, Waiting};
use super::{Relaying, TrailEvent, Trails};

/// Hops that a packet may go beyond the length of its path.
const SPARE_HOPS: u8 = 16;
/// Room that a link must have for a packet, with its kind and length.
pub const PACKET_ROOM: usize = limits::PACKET_BYTES + 2 * limits::PATH_TAGS + 32;

impl Trails {
    /// Takes a packet from a neighbour.
    // spec: ROUTE-9, ROUTE-19
    pub(super) fn packet(&mut self, now: Time, link: LinkId, packet: Packet) {
        let bytes = packet.size();
        if self.hops.get_mut(&link).is_some_and(|hop| !hop.owe(now, packet.number)) {
            // Its sender counts the other copy as lost.
            return;
        }
        let path: Vec<HopTag> = packet.path.iter().collect();
        let position = usize::from(packet.position);
        let is_mine = position > 0 && path.get(position).is_some_and(|tag| self.is_mine(now, *tag));
        if !is_mine || packet.hops_left == 0 || packet.patches > limits::PATCHES {
            return self.release(now, Some(Ingress { link, bytes }));
        }
        if position + 1 == path.len() {
            self.deliver(now, link, &packet, path);
            return self.release(now, Some(Ingress { link, bytes }));
        }
        #[cfg(feature = "hostile")]
        if self.is_black_hole() {
            return self.release(now, Some(Ingress { link, bytes }));
        }
        let until = now + limits::PACKET_TIME;
        let ingress = Some(Ingress { link, bytes });
        let waiting = Waiting { packet, next: 0, ingress, until };
        match self.relaying {
            Relaying::All => self.forward(now, waiting),
            Relaying::Nothing => self.give_up(now, waiting, &path),
        }
    }

    /// The room of a packet at this node is free again.
    fn release(&mut self, now: Time, ingress: Option<Ingress>) {
        let Some(Ingress { link, bytes }) = ingress.filter(|ingress| ingress.bytes > 0) else {
            return;
        };
        if let Some(hop) = self.hops.get_mut(&link) {
            hop.release(now, bytes);
        }
    }

    /// A packet for this node.
    // spec: ROUTE-14
    fn deliver(&mut self, now: Time, over: LinkId, packet: &Packet, mut path: Vec<HopTag>) {
        path.reverse();
        let cost = path.len() as u32;
        let back = Path::new(path, cost);
        let is_full = self.flows.len() >= limits::FLOWS;
        let known = self.flows.iter().find(|(_, flow)| flow.name == packet.flow);
        let link = match known {
            Some((link, _)) => *link,
            None if is_full => return,
            None => {
                // To look for the key takes time.
                if !self.hops.get_mut(&over).is_some_and(|hop| hop.calls.take(now)) {
                    return;
                }
                let Some(key) = self.key_of(&packet.flow) else { return };
                self.open(now, (packet.flow, key, Role::Responder), back.clone(), over)
            }
        };
        if let Some(flow) = self.flows.get_mut(&link) {
            flow.came(now, back);
        }
        self.events.push_back(TrailEvent::Frame(link, packet.frame.bytes().clone()));
    }

    /// Gives a packet to the furthest hop of its path that is a neighbour; or looks for a way
    /// around the gap; or tells its source. One that has waited too long goes no further.
    // spec: ROUTE-9, ROUTE-12
    pub(super) fn forward(&mut self, now: Time, mut waiting: Waiting) {
        if waiting.until <= now {
            return self.release(now, waiting.ingress);
        }
        let path: Vec<HopTag> = waiting.packet.path.iter().collect();
        let position = usize::from(waiting.packet.position);
        if let Some((at, link)) = self.next_hop(now, &path, position)
            && waiting.over() != Some(link)
        {
            let Some(hop) = self.hops.get_mut(&link) else { return };
            waiting.next = at as u8;
            for dropped in hop.queue(waiting) {
                self.release(now, dropped.ingress);
            }
            return;
        }
        self.detour(now, waiting, &path);
    }

    /// The furthest hop behind `position` that is a neighbour.
    fn next_hop(&self, now: Time, path: &[HopTag], position: usize) -> Option<(usize, LinkId)> {
        let beyond = path.iter().enumerate().skip(position + 1).rev();
        beyond.into_iter().find_map(|(at, tag)| self.hop_called(now, *tag).map(|link| (at, link)))
    }

    // spec: ROUTE-13
    fn detour(&mut self, now: Time, mut waiting: Waiting, path: &[HopTag]) {
        let position = usize::from(waiting.packet.position);
        let beyond: Vec<HopTag> =
            path.iter().skip(position + 1).take(limits::DETOUR_TAGS).copied().collect();
        if waiting.packet.patches >= limits::PATCHES || beyond.is_empty() {
            return self.give_up(now, waiting, path);
        }
        let mut ways = self.ways.iter().filter(|way| now < way.until);
        if let Some(patched) = ways.find_map(|way| way.apply(path, position)) {
            let next = self.next_hop(now, &patched, position);
            if next.is_some_and(|(_, link)| Some(link) != waiting.over()) {
                waiting.packet.path = List::new(&patched);
                waiting.packet.patches += 1;
                return self.forward(now, waiting);
            }
        }
        let same = |detour: &&mut Detour| detour.beyond == beyond;
        if let Some(detour) = self.detours.values_mut().find(same) {
            if detour.weight() < limits::RELAY_BYTES {
                return detour.waiting.push(waiting);
            }
            return self.release(now, waiting.ingress);
        }
        let others = self.hops.keys().filter(|link| Some(**link) != waiting.over()).count();
        if self.detours.len() >= limits::DETOURS || others == 0 {
            return self.give_up(now, waiting, path);
        }
        self.ask_around(now, Detour::new(beyond, waiting));
    }

    /// Asks the neighbours for a way around a gap, but not the one the packet came from. Gives it
    /// back if nobody is to be asked any more.
    // spec: ROUTE-13
    fn ask_around(&mut self, now: Time, mut detour: Detour) -> Option<Detour> {
        let Some(hops_left) = detour.widen(now, self.slowness()) else { return Some(detour) };
        let find = Find {
            id: self.rng.bytes(),
            hops_left,
            cost: 0,
            avoid: List::default(),
            tag: self.rng.bytes(),
            state: self.rng.bytes(),
            hops: List::new(&detour.beyond),
            along: List::default(),
        };
        let over = detour.waiting.first().and_then(Waiting::over);
        self.pass_on(now, &find, over.as_slice());
        self.detours.insert(find.id, detour);
        None
    }

    /// Detours whose time is over: packets go around, or no further.
    pub(super) fn tick_detours(&mut self, now: Time) {
        let due = |(id, detour): (&[u8; 8], &Detour)| (detour.until <= now).then_some(*id);
        let due: Vec<[u8; 8]> = self.detours.iter().filter_map(due).collect();
        for id in due {
            let detour = self.detours.remove(&id).and_then(|detour| self.ask_around(now, detour));
            let Some(detour) = detour else { continue };
            let way = detour.way(now);
            if let Some(way) = &way {
                self.ways.push(way.clone());
                let more = self.ways.len().saturating_sub(limits::DETOURS);
                self.ways.drain(..more);
            }
            for mut waiting in detour.waiting {
                let path: Vec<HopTag> = waiting.packet.path.iter().collect();
                let position = usize::from(waiting.packet.position);
                let patched = way.as_ref().and_then(|way| way.apply(&path, position));
                let next = |path: &[HopTag]| self.next_hop(now, path, position);
                match patched.filter(|path| next(path).is_some()) {
                    Some(patched) => {
                        waiting.packet.path = List::new(&patched);
                        waiting.packet.patches += 1;
                        self.forward(now, waiting);
                    }
                    None => self.give_up(now, waiting, &path),
                }
            }
        }
    }

    /// Drops a packet and tells its source where the gap is.
    // spec: ROUTE-17
    fn give_up(&mut self, now: Time, waiting: Waiting, path: &[HopTag]) {
        let packet = &waiting.packet;
        self.release(now, waiting.ingress);
        let broken = Broken {
            flow: packet.flow,
            hops_left: (path.len() as u8).saturating_add(SPARE_HOPS),
            position: packet.position,
            gap: packet.position,
            path: packet.path.clone(),
        };
        self.back(now, broken, path);
    }

    /// Sends the news of a gap one hop further towards the source, or takes it.
    fn back(&mut self, now: Time, mut broken: Broken, path: &[HopTag]) {
        let position = usize::from(broken.position);
        if position == 0 {
            return self.heard_of_gap(now, &broken, path);
        }
        let before = path.iter().enumerate().take(position);
        let mut near = before.filter_map(|(at, tag)| Some((at, self.hop_called(now, *tag)?)));
        let Some((at, link)) = near.next() else { return };
        let Some(hops_left) = broken.hops_left.checked_sub(1) else { return };
        (broken.position, broken.hops_left) = (at as u8, hops_left);
        if let Some(hop) = self.hops.get_mut(&link) {
            hop.say(broken.into());
        }
    }

    /// Takes the news of a gap from a neighbour.
    // spec: ROUTE-17
    pub(super) fn broken(&mut self, now: Time, broken: Broken) {
        let path: Vec<HopTag> = broken.path.iter().collect();
        let own = path.get(usize::from(broken.position));
        if own.is_some_and(|tag| self.is_mine(now, *tag)) && broken.position < broken.gap {
            self.back(now, broken, &path);
        }
    }

    fn heard_of_gap(&mut self, now: Time, broken: &Broken, path: &[HopTag]) {
        let gap = usize::from(broken.gap);
        // What was asked may be answered late, when another path is in use: that is no gap.
        if let Some(flow) = self.flows.values_mut().find(|flow| probe_of(flow) == broken.flow) {
            if flow.reached(path, gap) {
                self.repute.absolve(now, path.get(1..gap).unwrap_or_default());
            }
            return;
        }
        let flow = self.flows.iter_mut().find(|(_, flow)| flow.name == broken.flow);
        let Some((link, flow)) = flow else { return };
        flow.broken(path, gap);
        let (link, key) = (*link, flow.key);
        if flow.path().is_some() {
            self.events.push_back(TrailEvent::Mended(link));
        }
        self.repair(now, link, key);
    }

    /// Asks how far the paths of a flow work: each relay gets a packet that it can carry no
    /// further, and says so. With no detour left to a packet, that costs nobody else anything.
    // spec: ROUTE-16
    pub(super) fn probe(&mut self, now: Time, link: LinkId) {
        let Some(flow) = self.flows.get_mut(&link) else { return };
        // Where some relays are known to keep packets back, others may.
        let count = if self.repute.has_culprits(now) { limits::PATHS } else { 1 };
        let (name, paths) = (probe_of(flow), flow.probe(now, count));
        for path in paths {
            for count in 1..=path.relays().len() {
                self.ask_relay(now, name, path.relays().iter().take(count));
            }
        }
    }

    /// Sends what nobody can carry further than to the last of these relays.
    fn ask_relay<'a>(
        &mut self,
        now: Time,
        flow: [u8; 8],
        relays: impl Iterator<Item = &'a HopTag>,
    ) {
        let nowhere = HopTag(self.rng.bytes::<8>().first_chunk().copied().unwrap_or_default());
        let hops: Vec<HopTag> =
            [self.tag].into_iter().chain(relays.copied()).chain([nowhere]).collect();
        let packet = Packet {
            number: 0,
            flow,
            hops_left: (hops.len() as u8).saturating_add(SPARE_HOPS + 1),
            patches: limits::PATCHES,
            position: 0,
            path: List::new(&hops),
            frame: Opaque::default(),
        };
        let until = now + limits::PACKET_TIME;
        self.forward(now, Waiting { packet, next: 0, ingress: None, until });
    }

    /// The flows that may send over `link` now, as their best path begins there: those behind
    /// `after` come first, so that they take turns.
    pub(crate) fn flows_over(&self, now: Time, link: LinkId, after: LinkId) -> Vec<LinkId> {
        if self.flows.is_empty()
            || !self.hops.get(&link).is_some_and(|hop| hop.has_room(PACKET_ROOM))
        {
            return Vec::new();
        }
        let begins_there = |flow: &Flow| {
            let path = flow.path().map(|path| path.hops.as_slice()).unwrap_or_default();
            self.next_hop(now, path, 0).is_some_and(|(_, over)| over == link)
        };
        let flows = self.flows.iter().filter(|(_, flow)| begins_there(flow));
        let mut flows: Vec<LinkId> = flows.map(|(flow, _)| *flow).collect();
        flows.sort_by_key(|flow| *flow <= after);
        flows
    }

    /// Wraps a frame of a flow for the link that [`Self::flows_over`] was asked about.
    // spec: ROUTE-9
    pub(crate) fn wrap(
        &mut self,
        now: Time,
        (flow, link): (LinkId, LinkId),
        frame: Bytes,
    ) -> Option<RouteMessage> {
        let state = self.flows.get_mut(&flow)?;
        let mut hops = state.path()?.hops.clone();
        if let Some(own) = hops.first_mut() {
            *own = self.tag;
        }
        let name = state.name;
        let (at, _) = self.next_hop(now, &hops, 0)?;
        self.flows.get_mut(&flow)?.sent(now, &frame);
        let packet = Packet {
            number: 0,
            flow: name,
            hops_left: (hops.len() as u8).saturating_add(SPARE_HOPS + 1),
            patches: 0,
            position: 0,
            path: List::new(&hops),
            frame: Opaque::new(frame)?,
        };
        let until = now + limits::PACKET_TIME;
        let waiting = Waiting { packet, next: at as u8, ingress: None, until };
        let hop = self.hops.get_mut(&link)?;
        hop.gave(now);
        Some(hop.number(now, waiting).into())
    }

    /// A link takes another frame.
    // spec: ROUTE-25
    pub(crate) fn takes(&mut self, now: Time, link: LinkId) {
        if let Some(hop) = self.hops.get_mut(&link) {
            hop.takes(now);
        }
    }

    /// The next message for a neighbour.
    pub(crate) fn poll_send(
        &mut self,
        now: Time,
        link: LinkId,
        room: usize,
    ) -> Option<RouteMessage> {
        let hop = self.hops.get_mut(&link)?;
        let (message, ingress) = if let Some(control) = hop.next_control(room) {
            (control, None)
        } else if let Some((packet, ingress)) = hop.next_packet(now, room) {
            (packet.into(), ingress)
        } else {
            (hop.next_find(now, room)?, None)
        };
        hop.gave(now);
        self.release(now, ingress);
        Some(message)
    }

    /// Packets that were lost or wait too long.
    pub(super) fn tick_hops(&mut self, now: Time) {
        let links: Vec<LinkId> = self.hops.keys().copied().collect();
        for link in links {
            let Some(hop) = self.hops.get_mut(&link) else { continue };
            hop.tick(now);
            let (stale, lost) = (hop.stale(now), hop.overdue(now));
            for waiting in stale {
                self.release(now, waiting.ingress);
            }
            self.again(now, lost);
        }
        self.leave_gone(now);
    }

    /// Packets that were lost, or wait for a neighbour that is, go on from here once more.
    // spec: ROUTE-11
    pub(super) fn again(&mut self, now: Time, lost: Vec<Waiting>) {
        for waiting in lost {
            self.forward(now, waiting);
        }
    }

    /// Leaves paths that begin at no neighbour.
    // spec: ROUTE-16
    pub(super) fn leave_gone(&mut self, now: Time) {
        for link in self.flows.keys().copied().collect::<Vec<_>>() {
            let begins = |path: &Path| self.next_hop(now, &path.hops, 0).is_some();
            let Some(flow) = self.flows.get(&link) else { continue };
            let gone = flow.paths().iter().take_while(|path| !begins(path)).count();
            let Some(flow) = self.flows.get_mut(&link).filter(|_| gone > 0) else { continue };
            flow.leave_first(gone);
            if flow.path().is_none() && flow.holds() {
                let key = flow.key;
                self.repair(now, link, key);
            }
        }
    }

    /// Flows without a path, for which nothing waits. Nobody looks for one before there is
    /// something to send: see [`Self::hold`].
    pub(crate) fn stranded(&self) -> Vec<LinkId> {
        let stranded = |flow: &Flow| flow.path().is_none() && !flow.holds();
        self.flows.iter().filter(|(_, flow)| stranded(flow)).map(|(link, _)| *link).collect()
    }

    /// A frame of a stranded flow: it waits, and a path is looked for.
    // spec: ROUTE-16
    pub(crate) fn hold(&mut self, now: Time, link: LinkId, frame: Bytes) {
        let Some(flow) = self.flows.get_mut(&link) else { return };
        flow.hold(frame);
        let key = flow.key;
        self.repair(now, link, key);
    }

    /// The frame of a flow that waited for a path.
    pub(crate) fn take_held(&mut self, link: LinkId) -> Option<Bytes> {
        self.flows.get_mut(&link)?.take_held()
    }

    /// What left last over a flow asks for an answer.
    pub(crate) fn expect(&mut self, now: Time, link: LinkId) {
        if let Some(flow) = self.flows.get_mut(&link) {
            flow.expect(now);
        }
    }
}

/// What a flow is called in packets that ask how far its path works.
// spec: ROUTE-16
fn probe_of(flow: &Flow) -> [u8; 8] {
    flow.name.map(|byte| !byte)
}

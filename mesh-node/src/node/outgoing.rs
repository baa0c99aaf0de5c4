//! What goes into a sent frame: the packet builder. Layers are asked in order of urgency; what
//! they give is packed into one record and sealed in place.

use alloc::vec::Vec;
use core::mem;

use bytes::Bytes;
use mesh_routing::{PACKET_ROOM, is_routed};
use mesh_sync::Store;
use mesh_wire::codec::Output;
use mesh_wire::fragment::Fragments;
use mesh_wire::handshake::Handshake;
use mesh_wire::message::framed_size;
use mesh_wire::message::link::{LinkMessage, Padding};
use mesh_wire::message::{RouteMessage, SyncMessage};
use mesh_wire::{Carrier, LinkId, Machine, Now, Wire, limits};

use super::Node;
use super::incoming::content;
use super::links::Phase;

impl<S: Store> Node<S> {
    /// Makes the next frame for a link that takes `room` bytes, in `frame`; says whether there is
    /// one. `frame` is emptied first and keeps its capacity: in steady state nothing is allocated.
    pub fn write_frame(&mut self, now: Now, id: LinkId, room: usize, frame: &mut Output) -> bool {
        frame.clear();
        let Some(state) = self.links.get_mut(&id) else { return false };
        match &mut state.phase {
            Phase::Knocking { reply, .. } => {
                state.asks = true;
                frame.extend(reply.take_if(|reply| reply.len() <= room).into_iter().flatten());
            }
            Phase::Handshake(handshake) => {
                state.asks = true;
                frame.extend(handshake_frame(handshake, now, room).unwrap_or_default());
            }
            Phase::Open(open) => {
                let handshake = open.handshake.as_mut();
                match handshake.and_then(|handshake| handshake_frame(handshake, now, room)) {
                    Some(message) => frame.extend(message),
                    None => self.write_record(now, id, room, frame),
                }
            }
            Phase::Closed => {}
        }
        if let Some(state) = self.links.get_mut(&id) {
            state.traffic.sent += frame.len() as u64;
        }
        self.drain(now);
        !frame.is_empty()
    }

    fn write_record(&mut self, now: Now, id: LinkId, room: usize, record: &mut Output) {
        self.router.takes(now.time, id);
        let Some(state) = self.links.get_mut(&id) else { return };
        let Phase::Open(open) = &mut state.phase else { return };
        let (header, room) = (open.session.header_bytes(), open.session.room(room));
        if room < SMALLEST {
            return;
        }
        record.resize(header, 0);
        let goodbye = open.control.goodbye();
        if let Some(close) = &goodbye {
            LinkMessage::from(close.clone()).write(record);
        } else {
            self.fill(now, id, room, record);
        }
        if record.len() == header {
            return record.clear();
        }
        let around = if is_routed(id) { limits::PACKET_OVERHEAD } else { 0 };
        let padding = Padding::fill(record.len() - header, room, around);
        if let Some(padding) = padding {
            LinkMessage::from(padding).write(record);
        }
        if let Some(state) = self.links.get_mut(&id)
            && let Phase::Open(open) = &mut state.phase
            && open.session.seal(now.time, record).is_err()
        {
            // The session has sealed all it can: 2⁶³ records.
            record.clear();
            return self.end(now, id);
        }
        if goodbye.is_some() {
            self.end(now, id);
        }
    }

    /// Packs messages until the record has `full` bytes or nobody has anything that fits.
    // spec: SESSION-22
    fn fill(&mut self, now: Now, id: LinkId, full: usize, record: &mut Output) {
        let header = record.len();
        loop {
            let begin = record.len();
            let room = full.saturating_sub(begin - header);
            if !self.write_next(now, id, (room, full), record) {
                return;
            }
            // Frames of a routed link are counted in the packets that carry them.
            if !is_routed(id)
                && let Some(kind) = record.get(begin)
            {
                let sent = self.sent.entry(*kind).or_default();
                sent.messages += 1;
                sent.bytes += (record.len() - begin) as u64;
            }
        }
    }

    /// Appends the most urgent message that fits; says whether there was one.
    // spec: SESSION-18
    fn write_next(
        &mut self,
        now: Now,
        id: LinkId,
        (room, full): (usize, usize),
        record: &mut Output,
    ) -> bool {
        let Some(state) = self.links.get_mut(&id) else { return false };
        let Phase::Open(open) = &mut state.phase else { return false };
        if room < SMALLEST {
            return false;
        }
        if let Some(message) = open.control.poll(now.time) {
            state.asks |= matches!(message, LinkMessage::Ping(_));
            message.write(record);
            return true;
        }
        if let Some(fragments) = &mut open.fragments {
            state.asks = true;
            match fragments.next_if(|fragment| framed_size(fragment.size()) <= room) {
                Some(fragment) => LinkMessage::from(fragment).write(record),
                None => return false,
            }
            if fragments.peek().is_none() {
                open.fragments = None;
            }
            return true;
        }
        if let Some(message) = self.router.poll_send(now, id, room) {
            if matches!(message, RouteMessage::Packet(_)) {
                state.traffic.carried += framed_size(message.size()) as u64;
            }
            message.write(record);
            return true;
        }
        if let Some(message) = self.routed(now, id, room) {
            message.write(record);
            return true;
        }
        let Some(state) = self.links.get_mut(&id) else { return false };
        let Phase::Open(open) = &mut state.phase else { return false };
        // What is too large for a datagram leaves in pieces.
        let whole = match state.link.carrier {
            Carrier::Stream => room,
            Carrier::Datagram => limits::RECORD_BYTES,
        };
        let Some(message) = self.sync.poll_send(now, id, whole) else { return false };
        state.traffic.content_sent += content(&message);
        state.asks |= asks(&message);
        if message.size() <= room {
            message.write(record);
        } else {
            open.fragmented = open.fragmented.wrapping_add(1);
            let fragments = Fragments::new(open.fragmented, message.to_bytes(), full);
            open.fragments = fragments.map(Iterator::peekable);
        }
        true
    }
}

impl<S: Store> Node<S> {
    /// The next frame of a routed link whose way begins at the neighbour `over`, wrapped for it.
    // spec: ROUTE-9
    fn routed(&mut self, now: Now, over: LinkId, room: usize) -> Option<RouteMessage> {
        if is_routed(over) || room < PACKET_ROOM {
            return None;
        }
        for routed in self.router.routed_over(now.time, over, self.turn) {
            let held = self.router.take_held(routed);
            if let Some(frame) = held.or_else(|| self.routed_frame(now, routed)) {
                self.turn = routed;
                let state = self.links.get_mut(&routed);
                if state.is_some_and(|state| mem::take(&mut state.asks)) {
                    self.router.expect(now.time, routed);
                }
                return self.router.wrap(now.time, (routed, over), frame);
            }
        }
        None
    }

    fn routed_frame(&mut self, now: Now, routed: LinkId) -> Option<Bytes> {
        let mut frame = Output::new();
        self.write_frame(now, routed, limits::PACKET_BYTES, &mut frame).then(|| frame.into())
    }

    /// Where there is something to say and no path to say it over, one is looked for.
    // spec: ROUTE-16
    pub(super) fn look_for_paths(&mut self, now: Now) {
        for routed in self.router.stranded() {
            if let Some(frame) = self.routed_frame(now, routed) {
                self.router.hold(now.time, routed, frame);
                self.drain(now);
            }
        }
    }
}

/// Whether the other end has to say something to this.
// spec: ROUTE-16
fn asks(message: &SyncMessage) -> bool {
    match message {
        SyncMessage::Share(_)
        | SyncMessage::Summary(_)
        | SyncMessage::Want(_)
        | SyncMessage::Items(_)
        | SyncMessage::Notes(_)
        | SyncMessage::PageAsk(_)
        | SyncMessage::PageHave(_)
        | SyncMessage::PageDrop(_)
        | SyncMessage::GroupsWant(_)
        | SyncMessage::CvsWant(_)
        | SyncMessage::Reconcile(_)
        | SyncMessage::Fork(_)
        | SyncMessage::Blinded(_) => true,
        SyncMessage::Heard(_)
        | SyncMessage::GroupData(_)
        | SyncMessage::Cvs(_)
        | SyncMessage::Evaluated(_) => false,
    }
}

/// The handshake message that is due, if it fits.
fn handshake_frame(handshake: &mut Handshake, now: Now, room: usize) -> Option<Vec<u8>> {
    (handshake.frame_bytes() <= room).then(|| handshake.poll_send(now.time)).flatten()
}

/// No message is asked for when fewer bytes are left: none of use would fit.
const SMALLEST: usize = 24;

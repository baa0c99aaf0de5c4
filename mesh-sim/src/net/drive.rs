//! How a world drives its machines: take what happens next, hand it in, drain, set the alarm.

use std::mem;

use bytes::Bytes;
use mesh_wire::{Input, LinkId, Machine, Wire};

use super::{End, Happening, Transmitter, World};

/// Things a machine may do at one instant before the world takes it for one that never stops.
const RUNAWAY: u32 = 100_000;

impl<M: Machine> World<M> {
    pub(super) fn end(&mut self, link: LinkId) -> &mut End {
        &mut self.ends[link.0 as usize]
    }

    pub(super) fn step(&mut self) {
        let Some((at, what)) = self.queue.pop() else { return };
        self.now = at;
        match what {
            Happening::Arrival(link, bytes) => self.arrive(link, bytes),
            Happening::Free(link) => {
                let node = self.end(link).node;
                self.drain(node);
            }
            Happening::Down(link) => self.down(link),
            Happening::Alarm(node) => self.alarm(node),
        }
        self.tell();
    }

    fn arrive(&mut self, link: LinkId, bytes: Bytes) {
        self.in_flight -= 1;
        self.last_travel = self.now;
        if self.end(link).faded {
            self.end(far(link)).traffic.lost += 1;
        } else if self.end(link).up {
            match M::Message::from_bytes(bytes) {
                Ok(message) => {
                    let node = self.end(link).node;
                    self.count_wake(node, "a message came");
                    self.handle(link, Input::Receive(link, message));
                }
                Err(error) => panic!("a machine sent what it would not read: {error}"),
            }
        }
    }

    /// Lets the other end learn, after all that is under way, that the link is closed.
    pub(super) fn hang_up(&mut self, link: LinkId) {
        if self.end(link).faded {
            return;
        }
        let at = self.ends[link.0 as usize].last_word(self.now);
        self.queue.push(at, Happening::Down(far(link)));
    }

    pub(super) fn down(&mut self, link: LinkId) {
        let end = self.end(link);
        if !mem::take(&mut end.up) {
            return;
        }
        let node = end.node;
        self.nodes[node].links.retain(|known| *known != link);
        self.handle(link, Input::LinkDown(link));
    }

    pub(super) fn handle(&mut self, link: LinkId, input: Input<M::Message>) {
        let node = self.end(link).node;
        let now = self.now(node);
        self.nodes[node].machine.handle(now, input);
        self.drain(node);
    }

    fn alarm(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        if state.alarm != Some(self.now) {
            return;
        }
        state.alarm = None;
        if state.wake.is_none_or(|wake| wake.at > self.now) {
            return self.set_alarm(node);
        }
        state.ticked = (self.now, if state.ticked.0 == self.now { state.ticked.1 + 1 } else { 0 });
        let ticks = state.ticked.1;
        let reason = state.wake.map_or("", |wake| wake.reason);
        self.count_wake(node, reason);
        let now = self.now(node);
        self.nodes[node].machine.handle(now, Input::Tick);
        let silent = !self.drain(node);
        let wake = self.nodes[node].wake;
        if wake.is_some_and(|wake| wake.at <= self.now) && (silent || ticks > RUNAWAY) {
            panic!("node {node} spins: it was ticked, did nothing and says {wake:?}");
        }
    }

    fn count_wake(&mut self, node: usize, reason: &'static str) {
        *self.nodes[node].wakes.entry(reason).or_default() += 1;
    }

    /// Polls a machine until it is dry; whether anything came out.
    pub(super) fn drain(&mut self, node: usize) -> bool {
        let mut emitted = false;
        for _ in 0..RUNAWAY {
            let mut dry = true;
            if let Some(event) = self.nodes[node].machine.poll_event() {
                self.trace.event(self.now, node, &event);
                self.told.push_back((node, event));
                dry = false;
            }
            let (first, count) = (self.nodes[node].radio.1, self.nodes[node].links.len());
            for index in (first..count).chain(0..first.min(count)) {
                let link = self.nodes[node].links[index];
                if self.is_free(link) && self.send(node, link) {
                    dry = false;
                    if self.takes_turns(link) {
                        self.nodes[node].radio = (self.end(link).free_at, index + 1);
                    }
                }
            }
            if dry {
                self.set_alarm(node);
                return emitted;
            }
            emitted = true;
        }
        panic!("node {node} never runs dry");
    }

    /// Whether the link shares its transmitter with others.
    fn takes_turns(&mut self, link: LinkId) -> bool {
        self.end(link).quality.transmitter == Transmitter::OfNode
    }

    /// Asks a machine for one message; whether there was one.
    fn send(&mut self, node: usize, link: LinkId) -> bool {
        let now = self.now(node);
        let room = self.end(link).quality.room_bytes;
        let Some(message) = self.nodes[node].machine.poll_send(now, link, room) else {
            return false;
        };
        let bytes = message.to_bytes();
        let size = bytes.len();
        assert!(size <= room, "node {node} sent {size} B into a room of {room} B: {message:?}");
        self.trace.message(self.now, link, &bytes);
        self.last_travel = self.now;
        let end = &mut self.ends[link.0 as usize];
        let arrivals = end.send(self.now, size, &mut self.luck);
        self.queue.push(end.free_at, Happening::Free(link));
        for at in arrivals {
            self.in_flight += 1;
            self.queue.push(at, Happening::Arrival(far(link), bytes.clone()));
        }
        true
    }

    /// Notes what the machine says about its alarm and makes sure that the queue has it.
    fn set_alarm(&mut self, node: usize) {
        let state = &mut self.nodes[node];
        let wake = state.machine.wake_at();
        if wake != state.wake {
            state.wake = wake;
            self.trace.wake(self.now, node, wake);
        }
        let Some(wake) = wake else { return };
        let at = wake.at.max(self.now);
        if state.alarm.is_none_or(|alarm| at < alarm) {
            state.alarm = Some(at);
            self.queue.push(at, Happening::Alarm(node));
        }
    }

    /// Hands out what was told. What the handler causes to be told is handed out by the same loop.
    pub(super) fn tell(&mut self) {
        let Some(mut handler) = self.handler.take() else { return };
        while let Some((node, event)) = self.told.pop_front() {
            if let Some(kept) = handler(self, node, event) {
                self.nodes[node].events.push(kept);
            }
        }
        self.handler = Some(handler);
    }
}

/// The other end.
pub(super) fn far(link: LinkId) -> LinkId {
    LinkId(link.0 ^ 1)
}

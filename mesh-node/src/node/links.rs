//! The links of a node: from the first handshake byte to the last record.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use mesh_routing::{is_routed, network_of};
use mesh_sync::Store;
use mesh_wire::admission::{Path, Source, Verdict};
use mesh_wire::codec::{Extensions, List};
use mesh_wire::handshake::{self, Established, Handshake, Introduction, Progress};
use mesh_wire::message::link::CloseReason;
use mesh_wire::{
    Carrier, Fault, FindKey, Input, Link, LinkId, Machine, Now, PeerId, Role, Secured, Time,
    VERSIONS, Wake, limits,
};

use super::departures::{Departure, LinkEnd};
use super::open::Open;
use super::reach::session_key;
use super::{Node, NodeEvent};

/// One link and how far it has come.
pub(crate) struct LinkState {
    pub(super) link: Link,
    pub(super) phase: Phase,
    pub(super) traffic: Traffic,
    /// Something that leaves or has left asks for an answer.
    pub(super) asks: bool,
    /// What was looked for when this link over relays was found: both ends know it.
    key: Option<FindKey>,
    since: Time,
}

/// Bytes on a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Received, in frames.
    pub received: u64,
    /// Sent, in frames.
    pub sent: u64,
    /// Of what was received: items and blobs.
    pub content_received: u64,
    /// Of what was sent: items and blobs.
    pub content_sent: u64,
    /// Of what was sent: packets passed on for others; they were received, too.
    pub carried: u64,
}

/// Messages of one kind that were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// How many.
    pub messages: u64,
    /// Their bytes, with kind and length, before they were sealed.
    pub bytes: u64,
}

impl Traffic {
    /// The frames of a routed link went over links to neighbours, and count there.
    pub(super) fn on_the_air(self, id: LinkId) -> Self {
        match is_routed(id) {
            true => Self { received: 0, sent: 0, ..self },
            false => self,
        }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            received: self.received + other.received,
            sent: self.sent + other.sent,
            content_received: self.content_received + other.content_received,
            content_sent: self.content_sent + other.content_sent,
            carried: self.carried + other.carried,
        }
    }
}

pub(super) enum Phase {
    /// Somebody sent a first datagram, or will; nothing is spent on it yet but this answer.
    Knocking { source: Source, reply: Option<[u8; 33]> },
    /// Nobody has proved anything yet.
    Handshake(Box<Handshake>),
    /// Sealed records travel.
    Open(Box<Open>),
    /// The owner has been told to close it; nothing travels any more.
    Closed,
}

impl LinkState {
    pub(super) fn peer(&self) -> Option<PeerId> {
        match &self.phase {
            Phase::Open(open) => Some(open.peer),
            Phase::Knocking { .. } | Phase::Handshake(_) | Phase::Closed => None,
        }
    }

    // spec: SESSION-14
    pub(super) fn wake_at(&self) -> Option<Wake> {
        match &self.phase {
            Phase::Handshake(handshake) => handshake.wake_at(),
            Phase::Open(open) => {
                let handshake = open.handshake.as_ref().and_then(|handshake| handshake.wake_at());
                Wake::earlier(handshake, Some(open.wake_at(self.link.role)))
            }
            Phase::Knocking { .. } => {
                Some(Wake { at: self.since + limits::HANDSHAKE_TIME, reason: "give up a caller" })
            }
            Phase::Closed => None,
        }
    }

    pub(super) fn weight(&self) -> usize {
        let held = match &self.phase {
            Phase::Handshake(_) => size_of::<Handshake>() + limits::HANDSHAKE_BYTES,
            Phase::Open(open) => {
                // A frame that leaves in fragments is the newest message of another layer.
                let leaving = open.fragments.as_ref().map_or(0, |_| limits::RECORD_BYTES);
                size_of::<Open>() + open.reassembly.weight() + leaving
            }
            Phase::Knocking { .. } | Phase::Closed => 0,
        };
        size_of::<Self>() + held
    }
}

/// What can be told of a link that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkReport {
    /// Which.
    pub link: LinkId,
    /// The neighbour's pseudonym.
    pub peer: PeerId,
    /// When it came up.
    pub since: Time,
    /// When something genuine came last.
    pub heard: Time,
    /// The last measured round trip.
    pub round_trip: Option<Duration>,
    /// Relays between the two ends; 0 for a neighbour.
    pub relays: usize,
    /// What went over it.
    pub traffic: Traffic,
}

impl<S: Store> Node<S> {
    /// Every link that has a session.
    pub fn links(&self) -> impl Iterator<Item = LinkReport> {
        self.links.iter().filter_map(|(link, state)| match &state.phase {
            Phase::Open(open) if open.control.goodbye.is_none() => Some(LinkReport {
                link: *link,
                peer: open.peer,
                since: state.since,
                heard: open.heard,
                round_trip: open.control.round_trip,
                relays: self.router.relays(*link).unwrap_or(0),
                traffic: state.traffic,
            }),
            Phase::Open(_) | Phase::Knocking { .. } | Phase::Handshake(_) | Phase::Closed => None,
        })
    }

    /// A link came up. One that somebody else opened must be let in before it costs anything.
    // spec: SESSION-17
    pub fn opened(&mut self, now: Now, id: LinkId, link: Link, source: Source) {
        self.begin(now, id, (link, None), source);
    }

    /// A link came up, or one over relays between two who know `key`.
    pub(super) fn begin(
        &mut self,
        now: Now,
        id: LinkId,
        (link, key): (Link, Option<FindKey>),
        source: Source,
    ) {
        let (phase, traffic) = (Phase::Closed, Traffic::default());
        let state = LinkState { link, phase, traffic, asks: false, key, since: now.time };
        self.links.insert(id, state);
        match (link.role, link.carrier) {
            (Role::Initiator, _) => self.shake_hands(now, id),
            (Role::Responder, Carrier::Stream) => {
                self.let_in(now, id, &source, Path::Validated);
            }
            (Role::Responder, Carrier::Datagram) => {
                self.set_phase(id, Phase::Knocking { source, reply: None });
            }
        }
    }

    fn set_phase(&mut self, id: LinkId, phase: Phase) {
        if let Some(state) = self.links.get_mut(&id) {
            state.phase = phase;
        }
    }

    /// Asks whether a handshake that somebody else wants may begin.
    pub(super) fn let_in(&mut self, now: Now, id: LinkId, source: &Source, path: Path<'_>) {
        let alive = self.links.values().filter(|link| !matches!(link.phase, Phase::Closed));
        if alive.count() >= limits::LINKS + limits::HALF_OPEN {
            return self.refuse(id);
        }
        match self.admission.ask(now.time, source, id, path) {
            Verdict::Accept { instead_of } => {
                if let Some(oldest) = instead_of {
                    self.end(now, oldest);
                }
                self.shake_hands(now, id);
            }
            Verdict::Retry(reply) => {
                self.set_phase(id, Phase::Knocking { source: *source, reply: Some(reply) });
            }
            Verdict::Refuse => self.refuse(id),
        }
    }

    /// Has a link closed that nothing depends on any more.
    fn refuse(&mut self, id: LinkId) {
        if is_routed(id) {
            self.router.close(id);
            self.links.remove(&id);
        } else {
            self.events.push_back(NodeEvent::Close(id));
        }
    }

    fn shake_hands(&mut self, now: Now, id: LinkId) {
        let Some(state) = self.links.get_mut(&id) else { return };
        let config = handshake::Config {
            carrier: state.link.carrier,
            network: state
                .key
                .map_or(self.config.network, |key| network_of(&key, &self.config.network)),
            versions: List::new(&VERSIONS),
            pseudonym: self.pseudonym.clone(),
            introduction: Introduction { extensions: Extensions::default() },
            cipher: self.config.cipher,
            resend: match is_routed(id) {
                true => limits::ROUTED_RESEND.max(self.router.answer_time(id) / 2),
                false => limits::HANDSHAKE_RESEND,
            },
            patience: match is_routed(id) {
                true => limits::ROUTED_HANDSHAKE_TIME.max(self.router.answer_time(id) * 4),
                false => limits::HANDSHAKE_TIME,
            },
        };
        let handshake = match state.link.role {
            Role::Initiator => Handshake::initiate(now.time, config, &mut self.rng),
            Role::Responder => Handshake::respond(now.time, config, &mut self.rng),
        };
        state.phase = Phase::Handshake(Box::new(handshake));
    }

    pub(super) fn link_down(&mut self, now: Now, id: LinkId) {
        self.end(now, id);
        if let Some(state) = self.links.remove(&id) {
            self.past = self.past.plus(state.traffic.on_the_air(id));
        }
    }

    /// The handshake on `id` is done: from here on the layers may use the link.
    // spec: SESSION-18
    pub(super) fn established(&mut self, now: Now, id: LinkId, established: Established) {
        self.admission.done(id);
        let Established { role, peer, binding, session, .. } = established;
        let Some(state) = self.links.get_mut(&id) else { return };
        let before = core::mem::replace(&mut state.phase, Phase::Closed);
        let Phase::Handshake(handshake) = before else { return };
        state.link.role = role;
        state.link.secured = Some(Secured { peer, binding });
        state.since = now.time;
        let open = Open::new(now.time, peer, session, handshake);
        state.phase = Phase::Open(Box::new(open));
        let (link, key) = (state.link, state.key);
        if is_routed(id) {
            self.reach.met(now.time, id);
            self.router.secured(id, session_key(&binding));
            self.router.confirm(now.time, id);
        } else {
            if !self.router.has_neighbours() {
                self.arrived_somewhere(now.time);
            }
            self.router.handle(now, Input::LinkUp(id, link));
        }
        self.sync.handle(now, Input::LinkUp(id, link));
        self.sync.be_patient(id, self.router.answer_time(id));
        if let Some(channel) = key.and_then(|key| self.reach.channel(&key)) {
            self.sync.met(id, channel);
        }
        self.changed();
        let open = self.links.values().filter(|link| link.peer().is_some()).count();
        if peer == self.peer() || open > limits::LINKS {
            self.close(now, id, CloseReason::Full);
        } else if self.is_banned(now.time, peer) {
            self.close(now, id, CloseReason::Fault);
        } else {
            self.keep_one(now, id, peer);
        }
    }

    /// Two nodes that dialled each other keep the link whose initiator has the lower pseudonym;
    /// of two with the same initiator, that one keeps the newer.
    // spec: SESSION-19
    fn keep_one(&mut self, now: Now, newer: LinkId, peer: PeerId) {
        let own = self.peer();
        let initiated = |state: &LinkState| match state.link.role {
            Role::Initiator => own,
            Role::Responder => peer,
        };
        let same = |(id, state): &(&LinkId, &LinkState)| {
            **id != newer && state.peer() == Some(peer) && !state.is_leaving()
        };
        let Some((older, old)) = self.links.iter().find(same) else { return };
        let Some(new) = self.links.get(&newer) else { return };
        let is_old = new.since.since(old.since) > limits::HANDSHAKE_TIME;
        let (older, old, new) = (*older, initiated(old), initiated(new));
        self.sync.lead_to_the_same(older, newer);
        // A neighbour needs no relay.
        if is_routed(older) != is_routed(newer) {
            let routed = if is_routed(older) { older } else { newer };
            self.close(now, routed, CloseReason::Duplicate);
        } else if is_routed(newer) && is_old {
            // As a rule nobody looks for whom it has a session with: the other end has lost the
            // older one. Where it was found once more by chance, the newer serves as well.
            self.close(now, older, CloseReason::Duplicate);
        } else if old == new {
            if new == own {
                self.close(now, older, CloseReason::Duplicate);
            }
        } else {
            let loser = if old < new { newer } else { older };
            self.close(now, loser, CloseReason::Duplicate);
        }
    }

    /// Ends a link: with a last record if it has a session, else at once.
    // spec: SESSION-15
    pub(super) fn close(&mut self, now: Now, id: LinkId, reason: CloseReason) {
        let Some(state) = self.links.get_mut(&id) else { return };
        match &mut state.phase {
            Phase::Open(open) if open.control.goodbye.is_none() => {
                open.leave(now.time, reason);
            }
            Phase::Open(_) | Phase::Closed => {}
            Phase::Knocking { .. } | Phase::Handshake(_) => self.end(now, id),
        }
    }

    /// Notes that a link ends because of what the other end did.
    pub(super) fn blame(&mut self, id: LinkId, fault: Fault) {
        if let Some(LinkState { phase: Phase::Open(open), .. }) = self.links.get_mut(&id) {
            open.control.end.get_or_insert(LinkEnd::Faulted(fault));
        }
    }

    /// Nothing more travels on this link.
    pub(super) fn end(&mut self, now: Now, id: LinkId) {
        let Some(state) = self.links.get_mut(&id) else { return };
        let before = core::mem::replace(&mut state.phase, Phase::Closed);
        self.admission.done(id);
        let peer = match before {
            Phase::Knocking { .. } | Phase::Handshake(_) => None,
            Phase::Open(open) => {
                let (link, peer, at) = (id, open.peer, now.time);
                let (since, traffic) = (state.since, state.traffic);
                let end = open.control.end.unwrap_or(LinkEnd::Lost);
                self.departures.push(Departure { link, peer, since, at, traffic, end });
                Some(peer)
            }
            Phase::Closed => return,
        };
        self.refuse(id);
        self.not_met(now.time, id);
        if let Some(peer) = peer {
            if !is_routed(id) {
                self.router.handle(now, Input::LinkDown(id));
            }
            let unfinished: Vec<_> = self.sync.unfinished(id).collect();
            self.sync.handle(now, Input::LinkDown(id));
            let is_here = |link: &LinkState| link.peer() == Some(peer) && !link.is_leaving();
            if !self.links.values().any(is_here) {
                self.look_again(now.time, id, &unfinished);
            }
            self.changed();
        }
    }

    /// What is due on every link.
    pub(super) fn tick_links(&mut self, now: Now) {
        let due = |wake: Option<Wake>| wake.is_some_and(|wake| wake.at <= now.time);
        let links: Vec<LinkId> =
            self.links.iter().filter(|(_, s)| due(s.wake_at())).map(|(id, _)| *id).collect();
        for id in links {
            self.tick_link(now, id);
        }
    }

    fn tick_link(&mut self, now: Now, id: LinkId) {
        let Some(state) = self.links.get_mut(&id) else { return };
        match &mut state.phase {
            Phase::Knocking { .. } => self.end(now, id),
            Phase::Handshake(handshake) => {
                handshake.tick(now.time);
                if handshake.progress(now.time) == Progress::Failed {
                    self.end(now, id);
                }
            }
            Phase::Open(open) => {
                if let Some(handshake) = &mut open.handshake {
                    handshake.tick(now.time);
                }
                if !open.has_finished(now.time) {
                    return self.end(now, id);
                }
                if open.control.goodbye.is_some() {
                    self.end(now, id);
                } else if now.time.since(open.heard) >= limits::DEAD_AFTER {
                    self.close(now, id, CloseReason::Silent);
                } else if now.time >= open.ask_at(state.link.role) && !open.is_asked() {
                    open.control.to_ask = true;
                }
            }
            Phase::Closed => {}
        }
    }
}

impl LinkState {
    pub(super) fn is_leaving(&self) -> bool {
        match &self.phase {
            Phase::Open(open) => open.control.goodbye.is_some(),
            Phase::Knocking { .. } | Phase::Handshake(_) => false,
            Phase::Closed => true,
        }
    }
}

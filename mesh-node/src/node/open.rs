//! A link with a session: whether the other end is there, and how it ends.

use alloc::boxed::Box;
use core::iter::Peekable;
use core::time::Duration;

use mesh_sync::Store;
use mesh_wire::fragment::{Fragments, Reassembly};
use mesh_wire::handshake::{Handshake, Progress};
use mesh_wire::message::link::{Close, CloseReason, LinkMessage, Ping, Pong};
use mesh_wire::session::Session;
use mesh_wire::{Fault, LinkId, Now, PeerId, Role, Time, Wake, limits};

use super::Node;
use super::departures::LinkEnd;
use super::links::{LinkState, Phase};

/// A link with a session.
pub(super) struct Open {
    pub(super) session: Session,
    pub(super) control: Control,
    pub(super) reassembly: Reassembly,
    pub(super) fragments: Option<Peekable<Fragments>>,
    pub(super) fragmented: u32,
    /// Until it is certain that the other end has finished, too.
    pub(super) handshake: Option<Box<Handshake>>,
    pub(super) peer: PeerId,
    pub(super) heard: Time,
}

/// What the two ends say about the link itself: is the other there, and how does this end?
#[derive(Default)]
pub(super) struct Control {
    pub(super) to_ask: bool,
    asked: Option<Time>,
    answer: Option<Pong>,
    pub(super) goodbye: Option<(Close, Time)>,
    /// Why it ends.
    pub(super) end: Option<LinkEnd>,
    pub(super) round_trip: Option<Duration>,
    budget: Budget,
}

/// Link control messages a peer may still send.
struct Budget {
    left: u32,
    since: Time,
}

impl Default for Budget {
    fn default() -> Self {
        Self { left: limits::CONTROL_BURST, since: Time(0) }
    }
}

/// How long the last record of a session may wait for room.
const GOODBYE: Duration = Duration::from_secs(1);

impl Control {
    /// Charges one message to the peer's budget.
    // spec: SESSION-16
    fn charge(&mut self, now: Time) -> Result<(), Fault> {
        let refill = now.since(self.budget.since).as_micros() / limits::CONTROL_REFILL.as_micros();
        if refill > 0 {
            let refill = u32::try_from(refill).unwrap_or(u32::MAX);
            self.budget.left = self.budget.left.saturating_add(refill).min(limits::CONTROL_BURST);
            self.budget.since = now;
        }
        self.budget.left =
            self.budget.left.checked_sub(1).ok_or(Fault::Limit("link control messages"))?;
        Ok(())
    }

    /// The next message about the link itself.
    pub(super) fn poll(&mut self, now: Time) -> Option<LinkMessage> {
        if let Some(pong) = self.answer.take() {
            return Some(pong.into());
        }
        if core::mem::take(&mut self.to_ask) {
            self.asked = Some(now);
            return Some(Ping { nonce: now.0 }.into());
        }
        None
    }

    /// The last message of the session, if it ends now.
    pub(super) fn goodbye(&self) -> Option<Close> {
        self.goodbye.as_ref().map(|(close, _)| close.clone())
    }
}

impl Open {
    pub(super) fn new(
        now: Time,
        peer: PeerId,
        session: Session,
        handshake: Box<Handshake>,
    ) -> Self {
        Self {
            session,
            // Asked once at the start, so that the round trip is known.
            control: Control { to_ask: true, ..Control::default() },
            reassembly: Reassembly::default(),
            fragments: None,
            fragmented: 0,
            handshake: Some(handshake),
            peer,
            heard: now,
        }
    }

    /// What is sent next is the last.
    pub(super) fn leave(&mut self, now: Time, reason: CloseReason) {
        let close = Close { reason, retry_after_s: 0 };
        self.control.goodbye = Some((close, now + GOODBYE));
        self.control.end.get_or_insert(LinkEnd::Closed(reason));
    }

    /// A record came from the other end.
    pub(super) fn heard(&mut self, now: Time) {
        self.heard = now;
        if let Some(handshake) = &mut self.handshake {
            handshake.confirm();
            self.has_finished(now);
        }
    }

    /// Whether this is a handshake message that the other end had to repeat.
    pub(super) fn repeated(&mut self, now: Time, frame: &[u8]) -> bool {
        self.handshake.as_mut().is_some_and(|handshake| handshake.receive(now, frame).is_ok())
    }

    /// Drops the handshake once it has nothing more to do; says `false` if the other end never
    /// used the session.
    pub(super) fn has_finished(&mut self, now: Time) -> bool {
        let progress = self.handshake.as_ref().map(|handshake| handshake.progress(now));
        match progress {
            Some(Progress::Done) => self.handshake = None,
            Some(Progress::Failed) => return false,
            Some(Progress::Waiting | Progress::Lingering) | None => {}
        }
        true
    }

    pub(super) fn wake_at(&self, role: Role) -> Wake {
        match &self.control.goodbye {
            Some((_, end)) => Wake { at: *end, reason: "close a link" },
            None if self.is_asked() => {
                Wake { at: self.heard + limits::DEAD_AFTER, reason: "give up a neighbour" }
            }
            None => Wake { at: self.ask_at(role), reason: "ask a silent neighbour" },
        }
    }

    /// When to ask the other end if it is there. The end that dialled asks first, so that one
    /// question serves both.
    pub(super) fn ask_at(&self, role: Role) -> Time {
        let later = match role {
            Role::Initiator => Duration::ZERO,
            Role::Responder => (limits::DEAD_AFTER - limits::PING_AFTER) / 2,
        };
        self.heard + limits::PING_AFTER + later
    }

    /// Whether the other end was asked if it is there, and has been silent since.
    pub(super) fn is_asked(&self) -> bool {
        self.control.to_ask || self.control.asked.is_some_and(|asked| asked >= self.heard)
    }
}

impl<S: Store> Node<S> {
    /// Takes a message about the link itself.
    pub(super) fn link_message(
        &mut self,
        now: Now,
        id: LinkId,
        message: LinkMessage,
    ) -> Result<(), Fault> {
        let Some(LinkState { phase: Phase::Open(open), .. }) = self.links.get_mut(&id) else {
            return Ok(());
        };
        match message {
            LinkMessage::Padding(_) => {}
            LinkMessage::Ping(Ping { nonce }) => {
                open.control.charge(now.time)?;
                open.control.answer = Some(Pong { nonce });
            }
            LinkMessage::Pong(Pong { nonce }) => {
                open.control.charge(now.time)?;
                if let Some(asked) = open.control.asked.filter(|asked| asked.0 == nonce) {
                    open.control.round_trip = Some(now.time.since(asked));
                }
            }
            LinkMessage::Close(close) => {
                open.control.end.get_or_insert(LinkEnd::ClosedByPeer(close.reason));
                self.end(now, id);
            }
            LinkMessage::Fragment(fragment) => {
                if let Some(frame) = open.reassembly.receive(fragment)? {
                    self.frame(now, id, frame)?;
                }
            }
        }
        Ok(())
    }
}

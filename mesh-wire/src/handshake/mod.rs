//! How two strangers get a sealed link: three messages of Noise XX between pseudonyms.
//!
//! ```text
//! initiator                                   responder
//!     Hello   versions, e            ------->
//!             <-------  Answer  e, ee, s, es, {versions, choice, introduction}
//!     Finish  s, se, {introduction}  ------->
//!             <------>  records of the session
//! ```

mod error;
mod frames;
mod noise;
mod pseudonym;
mod steps;
#[cfg(test)]
mod tests;

use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::seal::MakeCipher;
use crate::session::Session;
use crate::{Carrier, PeerId, Rng, Role, Time, Wake};
use noise::{Run, Setup};

pub use error::HandshakeError;
#[cfg(test)]
pub(crate) use frames::HELLO as HELLO_TYPE;
pub use frames::{Answer, Introduction, Retry, Versions};
pub(crate) use frames::{cookie_and_hash, retry_frame};
pub use pseudonym::Pseudonym;

/// What a handshake starts from.
#[derive(Clone, Debug)]
pub struct Config {
    /// How the link carries frames.
    pub carrier: Carrier,
    /// The private network both must be in; zeros for the open one.
    pub network: [u8; 32],
    /// The versions this end speaks.
    pub versions: Versions,
    /// Who this end is for now.
    pub pseudonym: Pseudonym,
    /// What it tells the other end about itself.
    pub introduction: Introduction,
    /// The cipher of the session.
    pub cipher: MakeCipher,
    /// Over datagrams, how long an answer is waited for before a message is sent again:
    /// [`crate::limits::HANDSHAKE_RESEND`], or [`crate::limits::ROUTED_RESEND`] over relays.
    pub resend: Duration,
    /// How long each end goes on: [`crate::limits::HANDSHAKE_TIME`], or
    /// [`crate::limits::ROUTED_HANDSHAKE_TIME`] over relays.
    pub patience: Duration,
}

/// What a finished handshake leaves.
#[derive(Debug)]
pub struct Established {
    /// Which end this one was: both may have dialled, and one of them gave way.
    pub role: Role,
    /// The version both speak.
    pub version: u8,
    /// The other end's pseudonym.
    pub peer: PeerId,
    /// The handshake hash: the same at both ends and on no other link.
    pub binding: [u8; 32],
    /// What the other end told about itself.
    pub introduction: Introduction,
    /// The sealed phase.
    pub session: Session,
}

/// Where a handshake stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No session yet.
    Waiting,
    /// There is a session, but the other end may still ask for the last message again: keep the
    /// handshake and go on polling it.
    Lingering,
    /// Nothing is left to do: drop the handshake, keep the session.
    Done,
    /// It came to nothing, or nobody ever used the session: drop the link.
    Failed,
}

/// The handshake of one link, from one end.
///
/// After every call: poll [`Handshake::poll_send`] until `None`, look at
/// [`Handshake::progress`], sleep until [`Handshake::wake_at`] or the next frame.
pub struct Handshake {
    config: Config,
    rng: Rng,
    state: State,
    /// The newest frame from this end, and when it is (next) to be sent.
    frame: Vec<u8>,
    due: Option<Time>,
    /// Up to when the owner has been told what is due.
    seen: Option<Time>,
    resend: Duration,
    deadline: Time,
}

enum State {
    /// Initiator: the hello is on its way.
    Asking {
        run: Run,
        ephemeral: [u8; 32],
    },
    /// Responder: no hello yet.
    Listening,
    /// Responder: the answer is on its way.
    Answered {
        run: Run,
        setup: Setup,
        hello: Vec<u8>,
        version: u8,
    },
    /// Initiator: there is a session; the finish may have to be repeated.
    Finishing,
    /// Responder: there is a session; the record that says so may have to be repeated.
    Confirming {
        finish: [u8; 32],
    },
    Done,
    Failed,
}

impl Handshake {
    /// For the end that dialled.
    #[must_use]
    pub fn initiate(now: Time, config: Config, rng: &mut Rng) -> Self {
        let mut handshake = Self::respond(now, config, rng);
        // Nothing in the setup is a peer's: this does not fail.
        handshake.state = handshake.ask(now).unwrap_or(State::Failed);
        handshake
    }

    /// For the end that was dialled.
    #[must_use]
    pub fn respond(now: Time, config: Config, rng: &mut Rng) -> Self {
        Self {
            resend: config.resend,
            deadline: now + config.patience,
            config,
            rng: Rng::from_seed(rng.bytes()),
            state: State::Listening,
            frame: Vec::new(),
            due: None,
            seen: None,
        }
    }

    /// Takes a frame from the link; gives the session when there is one.
    pub fn receive(
        &mut self,
        now: Time,
        frame: &[u8],
    ) -> Result<Option<Established>, HandshakeError> {
        let outcome = self.take(now, frame);
        let is_done = matches!(self.state, State::Done);
        if outcome.is_err() && self.config.carrier == Carrier::Stream && !is_done {
            self.state = State::Failed;
        }
        outcome
    }

    /// The next frame for the link.
    // spec: SESSION-6
    pub fn poll_send(&mut self, now: Time) -> Option<Vec<u8>> {
        let due = self.due.is_some_and(|due| due <= now);
        if !due || matches!(self.progress(now), Progress::Done | Progress::Failed) {
            return None;
        }
        self.due = None;
        let unheard = matches!(self.state, State::Asking { .. } | State::Finishing);
        if unheard && self.config.carrier == Carrier::Datagram {
            self.due = Some(now + self.resend);
            self.resend *= 2;
        } else if matches!(self.state, State::Finishing) {
            self.state = State::Done;
        }
        Some(self.frame.clone())
    }

    /// Bytes of the frame that [`Handshake::poll_send`] would give: the link must have room.
    #[must_use]
    pub fn frame_bytes(&self) -> usize {
        self.frame.len()
    }

    /// The time of [`Handshake::wake_at`] has come. What is due then stays due, and is not told
    /// again.
    pub fn tick(&mut self, now: Time) {
        self.seen = self.seen.max(Some(now));
    }

    /// A record of the session was opened: the other end has finished too.
    pub fn confirm(&mut self) {
        if matches!(self.state, State::Finishing) {
            self.state = State::Done;
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn progress(&self, now: Time) -> Progress {
        let until = |before, after| if now < self.deadline { before } else { after };
        match self.state {
            State::Asking { .. } | State::Listening | State::Answered { .. } => {
                until(Progress::Waiting, Progress::Failed)
            }
            State::Finishing => until(Progress::Lingering, Progress::Failed),
            State::Confirming { .. } => until(Progress::Lingering, Progress::Done),
            State::Done => Progress::Done,
            State::Failed => Progress::Failed,
        }
    }

    /// When it next has a frame to send, or is over.
    #[must_use]
    pub fn wake_at(&self) -> Option<Wake> {
        if matches!(self.state, State::Done | State::Failed) {
            return None;
        }
        let untold = self.due.filter(|due| Some(*due) > self.seen);
        let due = untold.map(|at| Wake { at, reason: "a handshake message is due" });
        let end = Wake { at: self.deadline, reason: "a handshake ends" };
        Wake::earlier(due, Some(end))
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handshake(…)")
    }
}

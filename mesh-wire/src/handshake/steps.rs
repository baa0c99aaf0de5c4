//! What each message does to a handshake.

use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use zeroize::Zeroizing;

use super::frames::{
    self, ANSWER, Answer, FINISH, HELLO, Hello, Introduction, RETRY, Retry, Versions,
};
use super::noise::{Run, Setup};
use super::{Config, Established, Handshake, HandshakeError, Progress, State, cookie_and_hash};
use crate::codec::Problem;
use crate::session::Session;
use crate::{Carrier, DecodeError, Role, Time, Wire, limits};

impl Handshake {
    pub(super) fn take(
        &mut self,
        now: Time,
        frame: &[u8],
    ) -> Result<Option<Established>, HandshakeError> {
        if frame.len() > limits::HANDSHAKE_BYTES {
            return Err(HandshakeError::Size);
        }
        if matches!(self.progress(now), Progress::Done | Progress::Failed) {
            return Err(HandshakeError::Unexpected);
        }
        match frame.split_first() {
            Some((&HELLO, _)) => self.on_hello(now, frame).map(|()| None),
            Some((&ANSWER, message)) => self.on_answer(now, message).map(Some),
            Some((&FINISH, message)) => self.on_finish(now, message),
            Some((&RETRY, body)) => self.on_retry(now, body).map(|()| None),
            Some(_) | None => Err(HandshakeError::Unexpected),
        }
    }

    pub(super) fn ask(&mut self, now: Time) -> Result<State, HandshakeError> {
        let seed = Zeroizing::new(self.rng.bytes());
        let Config { versions, carrier, .. } = &self.config;
        let padding = vec![0; Hello::padding(versions, *carrier)];
        let setup = self.setup(Role::Initiator, versions, seed);
        let mut run = Run::start(&setup)?;
        let message = run.write(&padding)?;
        let ephemeral = *message.first_chunk().ok_or(HandshakeError::Size)?;
        self.frame = Hello::frame(&self.config.versions, &message);
        self.due = Some(now);
        Ok(State::Asking { run, ephemeral })
    }

    /// A hello is answered if this end listens or gives way; the one that was answered is
    /// answered again in the same words.
    // spec: SESSION-6
    fn on_hello(&mut self, now: Time, frame: &[u8]) -> Result<(), HandshakeError> {
        let hello = Hello::read(frame, self.config.carrier)?;
        match &self.state {
            State::Listening => self.answer(now, &hello),
            State::Asking { ephemeral, .. } => match hello.ephemeral() {
                Some(theirs) if theirs == ephemeral => Err(HandshakeError::Reflected),
                Some(theirs) if theirs < ephemeral => self.answer(now, &hello),
                Some(_) | None => Ok(()),
            },
            State::Answered { hello: answered, .. } if *answered == hello.noise => {
                self.due = Some(now);
                Ok(())
            }
            State::Answered { .. }
            | State::Finishing
            | State::Confirming { .. }
            | State::Done
            | State::Failed => Err(HandshakeError::Unexpected),
        }
    }

    fn answer(&mut self, now: Time, hello: &Hello) -> Result<(), HandshakeError> {
        let version = frames::highest_common(&hello.versions, &self.config.versions)
            .ok_or(HandshakeError::NoCommonVersion)?;
        let seed = Zeroizing::new(self.rng.bytes());
        let setup = self.setup(Role::Responder, &hello.versions, seed);
        let (run, message) = self.answer_from(&setup, &hello.noise, version)?;
        self.frame = message;
        self.frame.insert(0, ANSWER);
        self.due = Some(now);
        self.state = State::Answered { run, setup, hello: hello.noise.to_vec(), version };
        Ok(())
    }

    /// The run as it stands after the answer, and the answer; the same for the same setup.
    fn answer_from(
        &self,
        setup: &Setup,
        hello: &[u8],
        choice: u8,
    ) -> Result<(Run, Vec<u8>), HandshakeError> {
        let Config { versions, introduction, .. } = self.config.clone();
        let mut run = Run::start(setup)?;
        run.read(hello)?;
        let message = run.write(&Answer { versions, choice, introduction }.to_bytes())?;
        Ok((run, message))
    }

    fn on_answer(&mut self, now: Time, message: &[u8]) -> Result<Established, HandshakeError> {
        let State::Asking { run, .. } = &mut self.state else {
            return Err(HandshakeError::Unexpected);
        };
        let payload = run.read(message)?;
        // From here on the message is the other end's own: what is wrong with it is its fault.
        let before = core::mem::replace(&mut self.state, State::Failed);
        let State::Asking { mut run, .. } = before else {
            return Err(HandshakeError::Unexpected);
        };
        let answer = Answer::from_bytes(payload.into())?;
        frames::check_versions(&answer.versions, "Answer.versions")?;
        let agreed = frames::highest_common(&answer.versions, &self.config.versions);
        if agreed != Some(answer.choice) {
            return Err(HandshakeError::Downgrade);
        }
        self.frame = run.write(&self.config.introduction.to_bytes())?;
        self.frame.insert(0, FINISH);
        self.due = Some(now);
        self.resend = self.config.resend;
        self.deadline = now + self.config.patience;
        let established = self.establish(now, run, answer.choice, answer.introduction)?;
        self.state = State::Finishing;
        Ok(established)
    }

    fn on_finish(
        &mut self,
        now: Time,
        message: &[u8],
    ) -> Result<Option<Established>, HandshakeError> {
        let hash = *blake3::hash(message).as_bytes();
        if matches!(&self.state, State::Confirming { finish } if *finish == hash) {
            self.due = Some(now);
            return Ok(None);
        }
        let payload = self.read_finish(message)?;
        let State::Answered { run, version, .. } =
            core::mem::replace(&mut self.state, State::Failed)
        else {
            return Err(HandshakeError::Unexpected);
        };
        let introduction = Introduction::from_bytes(payload.into())?;
        let mut established = self.establish(now, run, version, introduction)?;
        self.state = match self.config.carrier {
            Carrier::Stream => State::Done,
            Carrier::Datagram => {
                // An empty record: tells the initiator that its finish came.
                self.frame = vec![0; established.session.header_bytes()];
                established.session.seal(now, &mut self.frame).map_err(|_| HandshakeError::Size)?;
                self.due = Some(now);
                self.deadline = now + self.config.patience;
                State::Confirming { finish: hash }
            }
        };
        Ok(Some(established))
    }

    /// The payload of the finish. snow keeps its hashes but not its key when the first half of a
    /// message opens and the second does not, so the run is then made anew: otherwise a copy of
    /// the finish with one bit flipped would keep the real one out.
    fn read_finish(&mut self, message: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let State::Answered { run, .. } = &mut self.state else {
            return Err(HandshakeError::Unexpected);
        };
        let error = match run.read(message) {
            Ok(payload) => return Ok(payload),
            Err(error) => error,
        };
        if run.peer().is_some()
            && let State::Answered { setup, hello, version, .. } = &self.state
        {
            let (anew, _) = self.answer_from(setup, hello, *version)?;
            if let State::Answered { run, .. } = &mut self.state {
                *run = anew;
            }
        }
        Err(error.into())
    }

    /// The first demand for a cookie is followed at once, later ones with the next repetition.
    // spec: SESSION-21
    fn on_retry(&mut self, now: Time, body: &[u8]) -> Result<(), HandshakeError> {
        let retry = Retry::from_bytes(Bytes::copy_from_slice(body))?;
        let named = cookie_and_hash(&self.frame).map(|(cookie, hash)| (*cookie, hash));
        let (State::Asking { .. }, Some((old, hash))) = (&self.state, named) else {
            return Err(HandshakeError::Unexpected);
        };
        if !hash.starts_with(&retry.hello) {
            return Err(HandshakeError::Forged);
        }
        if let Some(cookie) = self.frame.get_mut(1..17) {
            cookie.copy_from_slice(&retry.cookie);
        }
        if old == [0; 16] {
            self.due = Some(now);
        }
        Ok(())
    }

    fn setup(&self, role: Role, versions: &Versions, seed: Zeroizing<[u8; 32]>) -> Setup {
        let Config { carrier, network, pseudonym, .. } = &self.config;
        let prologue = frames::prologue(*carrier, network, versions);
        Setup { role, prologue, secret: pseudonym.0.clone(), seed }
    }

    fn establish(
        &self,
        now: Time,
        mut run: Run,
        version: u8,
        introduction: Introduction,
    ) -> Result<Established, HandshakeError> {
        let (Some(peer), Some(binding)) = (run.peer(), run.binding()) else {
            return Err(HandshakeError::Forged);
        };
        if peer == self.config.pseudonym.peer() {
            return Err(HandshakeError::Reflected);
        }
        if introduction.extensions.unknown_critical(&[]).is_some() {
            let field = "Introduction.extensions";
            return Err(DecodeError { field, problem: Problem::UnknownCritical }.into());
        }
        let session = Session::new(now, self.config.carrier, &run.split(self.config.cipher));
        Ok(Established { role: run.role(), version, peer, binding, introduction, session })
    }
}

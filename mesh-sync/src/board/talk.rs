//! What goes on about one board on one link.

use alloc::vec::Vec;
use core::time::Duration;

use mesh_wire::{Role, Time, UnixTime, limits};

use crate::peer::said::{Said, pause};
use crate::set::Key;

/// New notes that go out unasked at one time.
const PUSH_NOTES: usize = 16;
/// Rounds in a row that may bring the two no nearer before each waits longer: two that go by short
/// ids, and one that compares whole hashes.
const PROMPT_ROUNDS: u32 = limits::SET_ROUNDS + 1;

/// What goes on about one board on one link.
pub(crate) struct Talk {
    /// They have said something about it: they know that it is one.
    pub(crate) is_met: bool,
    /// They take no notes up to this time, as their newest word is.
    pub(crate) since: UnixTime,
    /// Its serial.
    pub(crate) heard: u32,
    /// They do not know up to when we take none.
    pub(crate) owes_since: bool,
    /// New notes that go to them unasked.
    pub(crate) fresh: Vec<Key>,
    /// What was sent and has to be acknowledged.
    pub(crate) said: Said,
    /// A round may find something.
    pub(crate) differs: bool,
    /// Rounds in a row that brought the two no nearer.
    strikes: u32,
    /// How few notes one of them has found that one of the two lacks.
    found: u64,
    /// No round is opened before.
    pub(crate) after: Time,
}

impl Talk {
    /// Both share the board. Who has opened the link opens rounds; the other only has to say so if
    /// it did not know before that the channel is a board.
    pub(crate) fn new(role: Role) -> Self {
        Self {
            is_met: false,
            since: UnixTime(0),
            heard: 0,
            owes_since: false,
            fresh: Vec::new(),
            said: Said::default(),
            differs: role == Role::Initiator,
            strikes: 0,
            found: u64::MAX,
            after: Time(0),
        }
    }

    /// One of the two has something new to say: rounds that brought them no nearer may do so now.
    // spec: SYNC-63
    pub(crate) fn news(&mut self) {
        self.differs |= self.strikes > 0;
        self.is_level();
    }

    /// A note is new here: it goes to them, or a round finds it.
    // spec: SYNC-63
    pub(crate) fn push(&mut self, key: Key) {
        self.news();
        if self.is_met && self.fresh.len() < PUSH_NOTES {
            self.fresh.push(key);
        } else {
            self.fresh.clear();
            self.differs = true;
        }
    }

    /// They have a note.
    pub(crate) fn has(&mut self, key: &Key) {
        self.fresh.retain(|fresh| fresh != key);
    }

    /// Something is to be said, if not at once.
    pub(crate) fn is_due(&self) -> bool {
        self.differs || self.owes_since || !self.fresh.is_empty()
    }

    /// A round has found that both have the same.
    pub(crate) fn is_level(&mut self) {
        (self.strikes, self.found) = (0, u64::MAX);
    }

    /// A round has found so many notes that one of the two lacks. Where some of them are lost, the
    /// next one finds far fewer.
    // spec: SYNC-63
    pub(crate) fn is_not_level(&mut self, now: Time, found: u64) {
        let is_nearer = found > 0 && found <= self.found / 2;
        self.strikes = if is_nearer { 0 } else { self.strikes.saturating_add(1) };
        self.found = found.min(self.found);
        self.differs = self.strikes < limits::UNANSWERED;
        self.after = now
            + match self.strikes.checked_sub(PROMPT_ROUNDS) {
                Some(tries) => pause(limits::REPEAT_TIME, tries),
                None => Duration::ZERO,
            };
    }

    /// What was sent was not acknowledged in time. Whether that is so.
    pub(crate) fn is_overdue(&mut self, now: Time) -> bool {
        let is_overdue = self.said.is_overdue(now);
        self.differs |= is_overdue;
        is_overdue
    }

    /// Whether something becomes due by itself.
    pub(crate) fn is_waiting(&self, now: Time) -> bool {
        self.said.is_waiting() || self.differs && self.after > now
    }

    /// Bytes that it holds.
    pub(crate) fn weight(&self) -> usize {
        self.fresh.capacity() * size_of::<Key>()
    }
}

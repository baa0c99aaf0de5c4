//! Something that is said again and again until it is heard, because a datagram may be lost.

use core::time::Duration;

use mesh_wire::{Time, limits};

/// One thing to be said. The other side answers by its serial, or in its own way.
// spec: SYNC-10
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Said {
    /// It has changed since it was said last.
    owed: bool,
    /// The serial it went out under, and when it goes out again.
    waiting: Option<(u32, Time)>,
    /// Times it was said without an answer.
    tries: u32,
}

impl Said {
    /// Something new.
    pub(crate) fn owed() -> Self {
        Self { owed: true, ..Self::default() }
    }

    /// It has changed.
    pub(crate) fn owe(&mut self) {
        self.owed = true;
    }

    /// Whether it is to be said now: at most one saying is on its way.
    pub(crate) fn is_due(&self) -> bool {
        self.owed && self.waiting.is_none()
    }

    /// Whether an answer is awaited.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// It was said; the answer to it takes at most `patience` if nothing is lost.
    pub(crate) fn said(&mut self, now: Time, patience: Duration, serial: u32) {
        self.owed = false;
        self.waiting = Some((serial, now + pause(patience, self.tries)));
    }

    /// The answer to `serial` came. Whether that was the one awaited.
    pub(crate) fn heard(&mut self, serial: u32) -> bool {
        let awaited = self.waiting.is_some_and(|(waiting, _)| waiting == serial);
        if awaited {
            self.answered();
        }
        awaited
    }

    /// An answer came, whatever its serial.
    pub(crate) fn answered(&mut self) {
        self.waiting = None;
        self.tries = 0;
    }

    /// No answer will come: it may be said again at once.
    pub(crate) fn hasten(&mut self, now: Time) {
        if let Some((_, again)) = &mut self.waiting {
            *again = now;
        }
    }

    /// Notices that an answer is overdue. Whether it is to be said again now.
    pub(crate) fn is_overdue(&mut self, now: Time) -> bool {
        let overdue = self.waiting.is_some_and(|(_, again)| again <= now);
        if overdue {
            self.waiting = None;
            self.owed = true;
            self.tries = self.tries.saturating_add(1);
        }
        overdue
    }
}

/// How long to wait for an answer after `tries` without one.
pub(crate) fn pause(patience: Duration, tries: u32) -> Duration {
    patience.saturating_mul(1 << tries.min(10)).min(limits::REPEAT_MAX.max(patience))
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: SYNC-10
    #[test]
    fn what_is_not_heard_is_said_again_ever_more_slowly() {
        let mut said = Said::owed();
        let (mut now, mut waits) = (Time(0), std::vec::Vec::new());
        for serial in 0..8 {
            assert!(said.is_due());
            said.said(now, limits::REPEAT_TIME, serial);
            assert!(!said.is_due() && !said.is_overdue(now));
            let wait = pause(limits::REPEAT_TIME, serial);
            waits.push(wait.as_secs());
            now = now + wait;
            assert!(said.is_overdue(now));
        }
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 64, 64]);
        said.said(now, limits::REPEAT_TIME, 8);
        assert!(!said.heard(7) && said.heard(8));
        assert!(!said.is_due() && !said.is_waiting());
    }
}

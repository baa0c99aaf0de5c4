//! How much may be on its way from a neighbour: enough to fill a fast link, little on a slow one.

use core::time::Duration;

use mesh_wire::{Carrier, Time, limits};

/// Groups in flight to begin with, and the fewest.
const FIRST: usize = 8;
const FEWEST: usize = 2;
/// Answers faster than this invite more requests; slower than four times this, fewer.
const TARGET: Duration = Duration::from_millis(250);

/// The requests for groups on one link.
pub(crate) struct Pace {
    /// Groups asked for and not received.
    pub(crate) in_flight: usize,
    /// How many there may be.
    window: usize,
    /// Whether the window stays as it is.
    is_steady: bool,
    /// From request to answer, smoothed; `None` before the first answer.
    latency: Option<Duration>,
    /// How long the first answer may take.
    repeat: Duration,
    /// Requests in a row that were not answered.
    pub(crate) unanswered: u32,
}

impl Pace {
    /// A link of which nothing is known but how it carries frames.
    pub(crate) fn new(carrier: Carrier) -> Self {
        let repeat = match carrier {
            Carrier::Stream => limits::REPEAT_TIME_STREAM,
            Carrier::Datagram => limits::REPEAT_TIME,
        };
        Self { in_flight: 0, window: FIRST, is_steady: false, latency: None, repeat, unanswered: 0 }
    }

    /// An origin: whoever asks it for us says in any case what has become of that, and knows how
    /// much a line bears.
    pub(crate) fn of_origin() -> Self {
        let (window, repeat) = (limits::GROUPS_IN_FLIGHT, limits::ORIGIN_TIME);
        Self { window, is_steady: true, repeat, ..Self::new(Carrier::Stream) }
    }

    /// The first answer may take so long.
    pub(crate) fn be_patient(&mut self, patience: Duration) {
        self.repeat = self.repeat.max(patience);
    }

    /// How long to wait for an answer that is not a group.
    pub(crate) fn repeat(&self) -> Duration {
        self.repeat
    }

    /// How many groups to ask for now: none until a good part of the window is free.
    // spec: SYNC-21
    pub(crate) fn room(&self) -> usize {
        let free = self.window.saturating_sub(self.in_flight);
        if free * 4 >= self.window { free } else { 0 }
    }

    /// A group came that was asked for at `asked`.
    pub(crate) fn answered(&mut self, now: Time, asked: Time) {
        let latency = now.since(asked);
        self.unanswered = 0;
        if self.is_steady {
            return;
        }
        self.latency = Some(self.latency.map_or(latency, |before| (before * 7 + latency) / 8));
        if latency < TARGET {
            self.window = (self.window + 1).min(limits::GROUPS_IN_FLIGHT);
        } else if latency > TARGET * 4 {
            self.window = (self.window - self.window / 8).max(FEWEST);
        }
    }

    /// A group did not come.
    pub(crate) fn timed_out(&mut self) {
        if !self.is_steady {
            self.window = (self.window / 2).max(FEWEST);
        }
        self.unanswered = self.unanswered.saturating_add(1);
    }

    /// Whether it answers at all.
    pub(crate) fn is_alive(&self) -> bool {
        self.unanswered < limits::UNANSWERED
    }

    /// How long to wait for a group.
    // spec: SYNC-22
    pub(crate) fn patience(&self) -> Duration {
        let usual = self.latency.map_or(self.repeat, |l| (l * 4).max(limits::REPEAT_TIME));
        usual.saturating_mul(1 << self.unanswered.min(5))
    }

    /// How long an answer usually takes.
    pub(crate) fn latency(&self) -> Duration {
        self.latency.unwrap_or(self.repeat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: SYNC-10
    #[test]
    fn over_slow_links_the_first_answer_may_take_longer_and_over_fast_ones_no_less() {
        for (slow, expected) in [(0, 2), (2, 2), (5, 5)] {
            let mut pace = Pace::new(Carrier::Datagram);
            pace.be_patient(Duration::from_secs(slow));
            assert_eq!(pace.repeat(), Duration::from_secs(expected));
            assert_eq!(pace.patience(), Duration::from_secs(expected));
        }
    }

    // spec: SYNC-21
    #[test]
    fn a_fast_link_is_filled_and_a_slow_one_is_not_hoarded() {
        let mut pace = Pace::new(Carrier::Datagram);
        for _ in 0..100 {
            pace.answered(Time(10_000), Time(0));
        }
        assert_eq!(pace.room(), limits::GROUPS_IN_FLIGHT);
        for _ in 0..100 {
            pace.answered(Time(5_000_000), Time(0));
        }
        assert!(pace.room() <= 8, "{}", pace.room());
        (0..limits::UNANSWERED).for_each(|_| pace.timed_out());
        assert_eq!(pace.room(), FEWEST);
        assert!(!pace.is_alive());
    }
}

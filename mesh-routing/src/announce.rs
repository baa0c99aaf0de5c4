//! When to announce this node.

use core::time::Duration;

use mesh_wire::{Rng, Time, limits};

/// After the first beacon two more follow soon, for neighbours that were not ready or lost one;
/// then one every [`limits::BEACON_EVERY`], give or take a fifth, so that a crowd does not beat
/// in step.
// spec: FIND-10
#[derive(Debug)]
pub(crate) struct Schedule {
    next: Option<Time>,
    sent: usize,
}

const SOON: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// Beacons out of turn are at least this far apart.
const BETWEEN: Duration = Duration::from_secs(1);

impl Schedule {
    /// Announces nothing until [`Schedule::restart`].
    pub(crate) fn new() -> Self {
        Self { next: None, sent: 0 }
    }

    /// Announces at once, and soon again.
    pub(crate) fn restart(&mut self, now: Time) {
        *self = Self { next: Some(now), sent: 0 };
    }

    /// Announces within a second, if that is not due anyway.
    pub(crate) fn hasten(&mut self, now: Time) {
        self.next = self.next.map(|next| next.min(now + BETWEEN));
    }

    pub(crate) fn stop(&mut self) {
        self.next = None;
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.next
    }

    /// Whether a beacon is due; if so, the next one is set.
    pub(crate) fn due(&mut self, now: Time, rng: &mut Rng) -> bool {
        if self.next.is_none_or(|next| next > now) {
            return false;
        }
        let pause = SOON.get(self.sent).copied().unwrap_or_else(|| {
            let fifth = limits::BEACON_EVERY / 5;
            let spread = rng.below(2 * fifth.as_micros() as u64);
            limits::BEACON_EVERY - fifth + Duration::from_micros(spread)
        });
        self.sent = self.sent.saturating_add(1);
        self.next = Some(now + pause);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    // spec: FIND-10
    #[test]
    fn three_beacons_within_two_seconds_then_one_every_half_minute() {
        let mut rng = Rng::from_seed([1; 32]);
        let mut schedule = Schedule::new();
        assert!(!schedule.due(Time(0), &mut rng));
        schedule.restart(Time(5));
        let mut times = Vec::new();
        while let Some(next) = schedule.next().filter(|next| *next < Time(301_000_000)) {
            assert!(schedule.due(next, &mut rng));
            assert!(!schedule.due(next, &mut rng), "one beacon per alarm");
            times.push(next.0);
        }
        assert_eq!(times[..3], [5, 200_005, 1_200_005]);
        let gaps: Vec<_> = times[2..].windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (24_000_000..36_000_000).contains(gap)), "{gaps:?}");
    }
}

//! How often others may do what costs something here: guess what is followed, bring notes.

use core::time::Duration;

use mesh_wire::{Time, limits};

/// What is left of a number of things that comes back with time.
// spec: SYNC-53, SYNC-64
pub(crate) struct Allowance {
    most: u32,
    refill: Duration,
    left: u32,
    /// Up to when what has come back is counted; of no meaning while nothing was spent.
    counted: Time,
}

impl Allowance {
    /// Guesses of one link.
    pub(crate) fn of_a_link() -> Self {
        Self::full(limits::GUESSES, limits::GUESS_REFILL)
    }

    /// Guesses of all links together.
    pub(crate) fn of_all() -> Self {
        Self::full(limits::ALL_GUESSES, limits::ALL_GUESSES_REFILL)
    }

    /// Notes of one board on one link, in KiB, of which every note has one at least.
    pub(crate) fn of_a_board() -> Self {
        Self::full((limits::BOARD_BYTES / 1024) as u32, limits::NOTE_REFILL)
    }

    fn full(most: u32, refill: Duration) -> Self {
        Self { most, refill, left: most, counted: Time(0) }
    }

    /// Spends `count` guesses of a link and of all links. Whether there were enough of both.
    pub(crate) fn spend(now: Time, both: [&mut Self; 2], count: usize) -> bool {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let [link, all] = both.map(|guesses| {
            guesses.refill(now);
            guesses
        });
        let is_enough = count <= link.left.min(all.left);
        if is_enough {
            link.left -= count;
            all.left -= count;
        }
        is_enough
    }

    /// Takes a note of so many bytes into account. Whether there was enough left.
    pub(crate) fn spend_on(&mut self, now: Time, bytes: usize) -> bool {
        self.refill(now);
        let count = bytes.div_ceil(1024) as u32;
        let is_enough = count <= self.left;
        self.left -= if is_enough { count } else { 0 };
        is_enough
    }

    fn refill(&mut self, now: Time) {
        let back = now.since(self.counted).as_nanos() / self.refill.as_nanos().max(1);
        let missing = self.most - self.left;
        if back >= u128::from(missing) {
            (self.left, self.counted) = (self.most, now);
        } else {
            let back = back as u32;
            self.left += back;
            self.counted = self.counted + self.refill * back;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: SYNC-53
    #[test]
    fn guesses_run_out_and_come_back_one_by_one() {
        let (mut link, mut all) = (Allowance::of_a_link(), Allowance::of_all());
        let spend = |link: &mut Allowance, all: &mut Allowance, seconds: u64, count| {
            Allowance::spend(Time(seconds * 1_000_000), [link, all], count)
        };
        assert!(!spend(&mut link, &mut all, 50, limits::GUESSES as usize + 1));
        assert!(spend(&mut link, &mut all, 50, limits::GUESSES as usize));
        assert!(!spend(&mut link, &mut all, 59, 1), "not yet");
        assert!(spend(&mut link, &mut all, 60, 1));
        assert!(!spend(&mut link, &mut all, 89, 3), "two are back, and stay");
        assert!(spend(&mut link, &mut all, 90, 3));
        assert!(!spend(&mut link, &mut all, 10_000, limits::GUESSES as usize + 1));
        assert!(spend(&mut link, &mut all, 10_000, limits::GUESSES as usize));
    }

    // spec: SYNC-53
    #[test]
    fn many_links_together_guess_no_more_than_all_may() {
        let (mut all, mut spent) = (Allowance::of_all(), 0);
        for second in 0..3600 {
            let mut link = Allowance::of_a_link();
            let count = limits::GUESSES as usize;
            if Allowance::spend(Time(second * 1_000_000), [&mut link, &mut all], count) {
                spent += count as u64;
            }
        }
        let refilled = 3_600_000 / limits::ALL_GUESSES_REFILL.as_millis() as u64;
        let most = u64::from(limits::ALL_GUESSES) + refilled;
        assert!((most - 128..=most).contains(&spent), "{spent}");
    }
}

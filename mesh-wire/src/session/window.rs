//! Which counters of the two newest epochs were seen.

use alloc::boxed::Box;
use alloc::vec;

/// One bit for every counter of two epochs. It moves a whole epoch at a time, with the keys: a
/// counter older than both has no key any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    records: u64,
    newest: u64,
    seen: [Box<[u64]>; 2],
}

impl Window {
    /// A window over epochs of `records` records, in epoch 0.
    pub(super) fn new(records: u64) -> Self {
        let empty = || vec![0; records.div_ceil(64) as usize].into_boxed_slice();
        Self { records, newest: 0, seen: [empty(), empty()] }
    }

    /// Whether `counter` belongs to one of the two newest epochs, or a later one, and was not
    /// marked.
    pub(super) fn is_fresh(&self, counter: u64) -> bool {
        let epoch = counter / self.records;
        let [even, odd] = &self.seen;
        let (word, bit) = self.place(counter);
        let half = if epoch.is_multiple_of(2) { even } else { odd };
        let marked = half.get(word).is_none_or(|word| word & bit != 0);
        epoch > self.newest || (epoch + 1 >= self.newest && !marked)
    }

    /// Marks a fresh counter; one of a later epoch moves the window.
    pub(super) fn mark(&mut self, counter: u64) {
        let epoch = counter / self.records;
        let (word, bit) = self.place(counter);
        let [even, odd] = &mut self.seen;
        let (half, other) = if epoch.is_multiple_of(2) { (even, odd) } else { (odd, even) };
        if epoch > self.newest {
            half.fill(0);
            if epoch > self.newest + 1 {
                other.fill(0);
            }
            self.newest = epoch;
        }
        if let Some(word) = half.get_mut(word) {
            *word |= bit;
        }
    }

    fn place(&self, counter: u64) -> (usize, u64) {
        let within = counter % self.records;
        ((within / 64) as usize, 1 << (within % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;
    use std::collections::BTreeSet;

    /// The window as one would say it: everything ever marked, and the two newest epochs.
    #[derive(Clone, Default)]
    struct Naive {
        newest: u64,
        seen: BTreeSet<u64>,
    }

    /// Offers `counter` to both; they must agree.
    fn offer(window: &mut Window, naive: &mut Naive, counter: u64) {
        let epoch = counter / window.records;
        let expected = epoch + 1 >= naive.newest && !naive.seen.contains(&counter);
        assert_eq!(window.is_fresh(counter), expected, "{counter} in {window:?}");
        if expected {
            window.mark(counter);
            naive.seen.insert(counter);
            naive.newest = naive.newest.max(epoch);
        }
    }

    // spec: SESSION-7
    #[test]
    fn h_15_a_window_of_eight_agrees_with_a_set_for_every_sequence() {
        fn every(window: &Window, naive: &Naive, left: u32) {
            for counter in 0..20 {
                let (mut window, mut naive) = (window.clone(), naive.clone());
                offer(&mut window, &mut naive, counter);
                if left > 1 {
                    every(&window, &naive, left - 1);
                }
            }
        }
        every(&Window::new(4), &Naive::default(), 4);
    }

    #[test]
    fn h_15_the_real_window_agrees_with_a_set_for_random_sequences() {
        for seed in 0..8 {
            let mut rng = Rng::from_seed([seed; 32]);
            let (mut window, mut naive) = (Window::new(4096), Naive::default());
            let mut near = 0;
            for _ in 0..20_000 {
                near += rng.below(6);
                if rng.below(2000) == 0 {
                    near += rng.below(3 * 4096);
                }
                let back = if rng.below(4) == 0 { rng.below(9000) } else { rng.below(8) };
                offer(&mut window, &mut naive, near.saturating_sub(back));
            }
        }
    }
}
